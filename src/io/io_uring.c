// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loop over the kernel; with io_uring_probe.c all that calls liburing (2.3 of Debian 12, or
// newer).
//
// What an operation goes through is in loop_core.c; here its entries are moved in and out of the
// ring. A start only appends to the backlog; submission queue entries are written in one place, so
// that a full queue is dealt with once. With IORING_SETUP_DEFER_TASKRUN completions appear only
// inside io_uring_enter: one reading of the clock after it is the time of them all, and nothing but
// the ring may be waited on, hence the eventfd for wake-ups is read through the ring.
#include "format/ensure.h"
#include "io/host_file.h"
#include "io/host_socket.h"
#include "io/io.h"
#include "io/io_enqueue.h"
#include "io/io_explain.h"
#include "io/io_uring_probe.h"
#include "io/loop_core.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    IO_ENTRIES_DEFAULT = 256,
    IO_BUFFERS_DEFAULT = 256,
    IO_BUFFER_BYTES_DEFAULT = 32 * 1024,
    IO_LOCKS_MAX = 4,
    IO_WORKERS_MAX = 4, // kernel threads for fsync, fallocate and what would block
    IO_BUFFER_GROUP = 0,
};

_Static_assert(HOST_SOCKET_ADDRESS_BYTES_MAX <= sizeof((struct io_op){0}.private_words),
               "the kernel reads the address of a connect from the operation");

// Completions that belong to no operation; no pointer has these values.
enum { IO_TAG_CANCEL = 0, IO_TAG_WAKE = 1 };

struct io {
    struct io_uring ring;
    struct loop_core core;

    struct io_uring_buf_ring *buffer_ring;
    size_t buffer_ring_bytes;
    uint8_t *buffers;
    size_t buffers_bytes;
    size_t buffer_stride;
    uint32_t buffer_count;
    uint32_t buffer_bytes;

    uint64_t wake_value; // the kernel reads the eventfd into it
    bool wake_armed;
    bool bound;
    pthread_t thread; // compared without a system call
    int locks[IO_LOCKS_MAX];
    uint32_t lock_count;
};

// ---- clock and randomness ----

int64_t io_monotonic_ns(struct io *io)
{
    (void)io;
    return loop_core_monotonic_ns();
}

int64_t io_utc_ns(struct io *io)
{
    return loop_core_utc_ns(&io->core);
}

void io_random(struct io *io, void *bytes, size_t size)
{
    (void)io;
    uint8_t *next = bytes;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        ensure(got > 0 || errno == EINTR);
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
}

// ---- starting and cancelling ----

void io_enqueue(struct io *io, struct io_op *op)
{
    loop_core_enqueue(&io->core, op);
}

void io_cancel(struct io *io, struct io_op *op)
{
    loop_core_cancel(&io->core, op);
}

// ---- submission ----

static int loop_open_flags(uint32_t flags)
{
    int result = O_CLOEXEC;
    bool read = (flags & IO_OPEN_READ) != 0;
    bool write = (flags & IO_OPEN_WRITE) != 0;
    result |= read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY;
    result |= (flags & IO_OPEN_CREATE) != 0 ? O_CREAT : 0;
    result |= (flags & IO_OPEN_EXCLUSIVE) != 0 ? O_EXCL : 0;
    result |= (flags & IO_OPEN_DIRECT) != 0 ? O_DIRECT : 0;
    result |= (flags & IO_OPEN_DIRECTORY) != 0 ? O_DIRECTORY : 0;
    result |= (flags & IO_OPEN_TRUNCATE) != 0 ? O_TRUNC : 0;
    return result;
}

static void loop_prepare_network(struct io_uring_sqe *sqe, struct io_op *op)
{
    switch (op->kind) {
    case IO_CONNECT: {
        uint32_t size = host_socket_address(&op->address, op->private_words);
        io_uring_prep_connect(sqe, op->handle, (const void *)op->private_words, size);
        break;
    }
    case IO_ACCEPT:
        io_uring_prep_multishot_accept(sqe, op->handle, NULL, NULL, SOCK_CLOEXEC);
        break;
    case IO_RECEIVE:
        io_uring_prep_recv_multishot(sqe, op->handle, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = IO_BUFFER_GROUP;
        break;
    default:
        ensure(op->kind == IO_SEND);
        io_uring_prep_send(sqe, op->handle, op->buffer.write, op->size, MSG_NOSIGNAL);
        break;
    }
}

static void loop_prepare_disk(struct io_uring_sqe *sqe, struct io_op *op)
{
    uint64_t offset = (uint64_t)op->offset + op->done;
    switch (op->kind) {
    case IO_READ:
        io_uring_prep_read(sqe, op->handle, (char *)op->buffer.read + op->done,
                           op->size - op->done, offset);
        break;
    case IO_WRITE:
        io_uring_prep_write(sqe, op->handle, (const char *)op->buffer.write + op->done,
                            op->size - op->done, offset);
        sqe->rw_flags = (op->flags & IO_WRITE_DURABLE) != 0 ? RWF_DSYNC : 0;
        break;
    case IO_FSYNC:
        io_uring_prep_fsync(sqe, op->handle, op->flags != 0 ? IORING_FSYNC_DATASYNC : 0);
        break;
    case IO_FALLOCATE:
        // io_uring_prep_fallocate() takes signed sizes in liburing 2.3 and unsigned ones in 2.9.
        io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, op->handle,
                         (const void *)(uintptr_t)op->offset, 0, 0);
        break;
    default:
        ensure(op->kind == IO_CLOSE);
        io_uring_prep_close(sqe, op->handle);
        break;
    }
}

static void loop_prepare_path(struct io_uring_sqe *sqe, struct io_op *op)
{
    const char *path = op->buffer.path;
    switch (op->kind) {
    case IO_OPEN:
        io_uring_prep_openat(sqe, AT_FDCWD, path, loop_open_flags(op->flags), 0644);
        break;
    case IO_RENAME:
        io_uring_prep_renameat(sqe, AT_FDCWD, path, AT_FDCWD, op->path_to, 0);
        break;
    case IO_UNLINK:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, path, 0);
        break;
    default:
        ensure(op->kind == IO_MKDIR);
        io_uring_prep_mkdirat(sqe, AT_FDCWD, path, 0755);
        break;
    }
}

static void loop_prepare(struct io_uring_sqe *sqe, struct io_op *op)
{
    switch (op->kind) {
    case IO_CONNECT:
    case IO_ACCEPT:
    case IO_RECEIVE:
    case IO_SEND:
        loop_prepare_network(sqe, op);
        break;
    case IO_READ:
    case IO_WRITE:
    case IO_FSYNC:
    case IO_FALLOCATE:
    case IO_CLOSE:
        loop_prepare_disk(sqe, op);
        break;
    case IO_OPEN:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR:
        loop_prepare_path(sqe, op);
        break;
    case IO_NONE:
    case IO_RESOLVE:
    case IO_TIMEOUT:
        ensure(false); // never in the backlog
    }
    io_uring_sqe_set_data(sqe, op);
}

// An entry of the submission queue; submits when it is full. NULL: the kernel takes nothing more
// before completions have been reaped.
static struct io_uring_sqe *loop_entry(struct io *io)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
    if (sqe != NULL)
        return sqe;
    io->core.counters.enters += 1;
    int submitted = io_uring_submit(&io->ring);
    ensure(submitted >= 0 || submitted == -EBUSY || submitted == -EAGAIN || submitted == -EINTR);
    return io_uring_get_sqe(&io->ring);
}

static bool loop_arm_wake(struct io *io)
{
    if (io->wake_armed)
        return true;
    struct io_uring_sqe *sqe = loop_entry(io);
    if (sqe == NULL)
        return false;
    io_uring_prep_read(sqe, io->core.wake_handle, &io->wake_value, sizeof io->wake_value, 0);
    io_uring_sqe_set_data64(sqe, IO_TAG_WAKE);
    io->wake_armed = true;
    return true;
}

// What finds no entry keeps its order and comes with the next run.
static void loop_fill(struct io *io)
{
    bool room = loop_arm_wake(io);
    while (room && io->core.backlog.first != NULL) {
        struct io_op *op = io->core.backlog.first;
        if (!loop_core_ready_to_submit(&io->core, op))
            continue;
        struct io_uring_sqe *sqe = loop_entry(io);
        room = sqe != NULL;
        if (room) {
            loop_prepare(sqe, op);
            loop_core_submitted(&io->core, op);
        }
    }
    while (room && io->core.cancels.first != NULL) {
        struct io_op *op = io->core.cancels.first;
        struct io_uring_sqe *sqe = loop_entry(io);
        room = sqe != NULL;
        if (room) {
            io_uring_prep_cancel(sqe, op, 0);
            io_uring_sqe_set_data64(sqe, IO_TAG_CANCEL);
            loop_core_submitted(&io->core, op);
        }
    }
}

// ---- completion ----

static void loop_return_buffer(struct io *io, uint32_t id)
{
    ensure(id < io->buffer_count);
    int mask = io_uring_buf_ring_mask(io->buffer_count);
    io_uring_buf_ring_add(io->buffer_ring, io->buffers + id * io->buffer_stride, io->buffer_bytes,
                          (unsigned short)id, mask, 0);
    io_uring_buf_ring_advance(io->buffer_ring, 1);
}

static void loop_complete(struct io *io, const struct io_uring_cqe *cqe)
{
    struct io_op *op = io_uring_cqe_get_data(cqe);
    bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) == 0) {
        loop_core_completed(&io->core, op, cqe->res, more);
        return;
    }
    uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    ensure(op->kind == IO_RECEIVE && cqe->res <= (int)io->buffer_bytes);
    op->data = io->buffers + id * io->buffer_stride;
    loop_core_completed(&io->core, op, cqe->res, more);
    loop_return_buffer(io, id);
}

static void loop_wake_read(struct io *io, int result)
{
    ensure(result == sizeof io->wake_value || result == -EINTR || result == -EAGAIN);
    io->wake_armed = false;
    loop_core_woken(&io->core);
}

static void loop_reap(struct io *io)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    if ((*io->ring.sq.kflags & IORING_SQ_CQ_OVERFLOW) != 0)
        io->core.counters.overflows += 1;
    io_uring_for_each_cqe(&io->ring, head, cqe) {
        count += 1;
        if (cqe->user_data == IO_TAG_WAKE)
            loop_wake_read(io, cqe->res);
        else if (cqe->user_data != IO_TAG_CANCEL)
            loop_complete(io, cqe);
    }
    io_uring_cq_advance(&io->ring, count);
    io->core.counters.completions += count;
    loop_core_feed_starved(&io->core); // every buffer has returned by now
}

// ---- running ----

static void loop_bind(struct io *io)
{
    io->bound = true;
    io->thread = pthread_self();
    // liburing 2.3 declares io_uring_enable_rings() but its shared library does not export it.
    unsigned ring = (unsigned)io->ring.ring_fd;
    ensure(io_uring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
    (void)io_uring_register_ring_fd(&io->ring); // saves a reference count per enter
    unsigned workers[2] = {IO_WORKERS_MAX, IO_WORKERS_MAX};
    (void)io_uring_register_iowq_max_workers(&io->ring, workers);
}

static void loop_enter(struct io *io, int64_t wait_ns)
{
    int result;
    io->core.counters.enters += 1;
    if (wait_ns == 0) {
        result = io_uring_submit_and_get_events(&io->ring);
    } else {
        struct __kernel_timespec limit = {wait_ns / 1000000000, wait_ns % 1000000000};
        struct io_uring_cqe *cqe;
        result = io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, wait_ns < 0 ? NULL : &limit,
                                                  NULL);
    }
    ensure(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
           result == -EBUSY);
}

uint32_t io_run(struct io *io, int64_t wait_ns)
{
    if (!io->bound)
        loop_bind(io);
    ensure(pthread_equal(io->thread, pthread_self()));
    io->core.called = 0;
    loop_fill(io);
    loop_enter(io, loop_core_wait_ns(&io->core, wait_ns));
    (void)loop_core_utc_ns(&io->core);
    loop_core_fire_ready(&io->core);
    loop_reap(io);
    loop_core_fire_timers(&io->core);
    return io->core.called;
}

void io_wake(struct io *io)
{
    loop_core_wake(&io->core);
}

void io_on_wake(struct io *io, void (*callback)(void *context), void *context)
{
    io->core.on_wake = callback;
    io->core.on_wake_context = context;
}

// ---- life ----

static int loop_setup_ring(struct io *io, const struct io_options *options,
                           const struct io_explain_facts *facts, struct io_message *message)
{
    uint32_t entries = options->entries != 0 ? options->entries : IO_ENTRIES_DEFAULT;
    struct io_uring_params parameters = {0};
    // R_DISABLED: the loop may be opened on another thread than the one that runs it.
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                       IORING_SETUP_R_DISABLED;
    // Room for every receive buffer and for a burst of everything else: overflow is a slow path.
    parameters.cq_entries = 4 * entries + 2 * io->buffer_count;
    int error = io_uring_queue_init_params(entries, &io->ring, &parameters);
    if (error == -EINVAL)
        loop_explain_flags(facts, message);
    else if (error != 0)
        io_explain(message, facts, "io_uring_setup with DEFER_TASKRUN", error);
    if (error != 0)
        return error;
    error = loop_probe(&io->ring, facts, message);
    if (error != 0)
        io_uring_queue_exit(&io->ring);
    return error;
}

static void *loop_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void loop_free_memory(struct io *io)
{
    if (io->buffer_ring != NULL)
        (void)munmap(io->buffer_ring, io->buffer_ring_bytes);
    if (io->buffers != NULL)
        (void)munmap(io->buffers, io->buffers_bytes);
    loop_core_deinit(&io->core);
    free(io);
}

static int loop_allocate(struct io *io, const struct io_options *options)
{
    uint32_t count = options->receive_buffers;
    uint32_t bytes = options->receive_buffer_bytes;
    io->buffer_count = count != 0 ? count : IO_BUFFERS_DEFAULT;
    io->buffer_bytes = bytes != 0 ? bytes : IO_BUFFER_BYTES_DEFAULT;
    ensure((io->buffer_count & (io->buffer_count - 1)) == 0 && io->buffer_count <= 32768);
    io->buffer_stride = ((size_t)io->buffer_bytes + IO_RECEIVE_PADDING + 63) & ~(size_t)63;
    io->buffers_bytes = io->buffer_stride * io->buffer_count;
    io->buffer_ring_bytes = io->buffer_count * sizeof(struct io_uring_buf);
    int error = loop_core_init(&io->core, io);
    if (error != 0)
        return error;
    io->buffers = loop_map(io->buffers_bytes);
    io->buffer_ring = loop_map(io->buffer_ring_bytes);
    return io->buffers != NULL && io->buffer_ring != NULL ? 0 : -ENOMEM;
}

static int loop_setup_buffers(struct io *io)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)io->buffer_ring,
        .ring_entries = io->buffer_count,
        .bgid = IO_BUFFER_GROUP,
    };
    int error = io_uring_register_buf_ring(&io->ring, &registration, 0);
    if (error != 0)
        return error;
    io_uring_buf_ring_init(io->buffer_ring);
    for (uint32_t id = 0; id < io->buffer_count; id++)
        loop_return_buffer(io, id);
    return 0;
}

// On failure nothing of the ring is left.
static int loop_open(struct io *io, const struct io_options *options,
                     const struct io_explain_facts *facts, struct io_message *message)
{
    int error = loop_allocate(io, options);
    if (error != 0) {
        io_explain(message, facts, "the loop's memory", error);
        return error;
    }
    error = loop_setup_ring(io, options, facts, message);
    if (error != 0)
        return error;
    error = loop_setup_buffers(io);
    if (error != 0)
        io_explain(message, facts, "the ring of receive buffers", error);
    if (error == 0) {
        error = loop_restrict(&io->ring);
        if (error != 0)
            io_explain(message, facts, "IORING_REGISTER_RESTRICTIONS", error);
    }
    if (error != 0)
        io_uring_queue_exit(&io->ring);
    return error;
}

int io_open_loop(struct io **result, const struct io_options *options, struct io_message *message)
{
    static const struct io_options defaults = {0};
    ensure(result != NULL && message != NULL);
    struct io_explain_facts facts;
    io_explain_facts(&facts);
    struct io *io = calloc(1, sizeof *io);
    ensure(io != NULL);
    int error = loop_open(io, options != NULL ? options : &defaults, &facts, message);
    if (error != 0) {
        loop_free_memory(io);
        return error;
    }
    *result = io;
    return 0;
}

void io_close_loop(struct io *io)
{
    ensure(io->core.in_flight == 0);
    ensure(!io->bound || pthread_equal(io->thread, pthread_self()));
    for (uint32_t i = 0; i < io->lock_count; i++)
        (void)close(io->locks[i]);
    io_uring_queue_exit(&io->ring);
    loop_free_memory(io);
}

struct io_counters io_counters(const struct io *io)
{
    return io->core.counters;
}

// ---- synchronous questions ----

int io_listen(struct io *io, const struct io_address *address, uint16_t *port)
{
    (void)io;
    return host_socket_listen(address, port);
}

int64_t io_file_size(struct io *io, const char *path)
{
    (void)io;
    return host_file_size(path);
}

int64_t io_read_now(struct io *io, int handle, void *bytes, size_t size, int64_t offset)
{
    (void)io;
    return host_file_read(handle, bytes, size, offset);
}

void io_read_afresh(struct io *io, int handle)
{
    (void)io;
    host_file_forget(handle);
}

int io_list(struct io *io, const char *path, void (*each)(void *context, const char *name),
            void *context)
{
    (void)io;
    return host_file_list(path, each, context);
}

int64_t io_free_bytes(struct io *io, const char *path)
{
    (void)io;
    return host_file_free_bytes(path);
}

uint32_t io_alignment(struct io *io, int handle)
{
    (void)io;
    return host_file_alignment(handle);
}

int io_lock(struct io *io, const char *path)
{
    ensure(io->lock_count < IO_LOCKS_MAX);
    int handle = host_file_lock(path);
    if (handle < 0)
        return handle;
    io->locks[io->lock_count++] = handle;
    return 0;
}
