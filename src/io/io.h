// SPDX-License-Identifier: GPL-3.0-or-later
//
// io: the one seam between ringtape and the world: network, disk, clock, randomness, name service.
//
// Two implementations exist and are chosen at link time: src/io/io_uring.c (the kernel) and
// tests/io_sim.c (a deterministic world with a virtual clock, one seed, and faults). The same
// contract test runs against both (tests/io_contract_test.c).
//
// Shape. A `struct io` is one loop. It belongs to the thread that runs it; nothing here but
// io_wake() may be called from another thread. An operation is a `struct io_op` embedded in its
// owner, who finds itself again with io_owner(). Starting an operation only enqueues; callbacks run
// only from io_run(), never from inside the function that started the operation, so there is no
// recursion. From its start until its last callback the op and every buffer it names belong to the
// loop. Every started op gets exactly one last callback (op->more == false).
//
// Results. op->result is >= 0 (bytes, a handle, 0) or a negative errno. What the kernel does behind
// the scenes (EINTR, short submission, full queues, an exhausted buffer ring, re-arming of
// multishot operations) is dealt with inside the seam and never reaches a callback.
//
// Bounds. Memory is allocated in io_open_loop() and sealed. Operations are caller-owned, so the
// number in flight is bounded by their owners; the loop keeps intrusive lists only.
//
// Sources: liburing manual pages; pitfalls measured or reported in docs/architecture.md.
#ifndef RINGTAPE_IO_IO_H
#define RINGTAPE_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;
struct io_op;
typedef void io_callback(struct io *io, struct io_op *op);

enum io_kind {
    IO_NONE, // idle: may be started
    IO_RESOLVE,
    IO_CONNECT,
    IO_ACCEPT,
    IO_RECEIVE,
    IO_SEND,
    IO_READ,
    IO_WRITE,
    IO_FSYNC,
    IO_FALLOCATE,
    IO_OPEN,
    IO_CLOSE,
    IO_RENAME,
    IO_UNLINK,
    IO_MKDIR,
    IO_TIMEOUT,
};

enum {
    IO_ADDRESSES_MAX = 16, // of one resolved host name; the rest is ignored
    IO_HOST_BYTES_MAX = 255,
    IO_PATH_BYTES_MAX = 1023,
    IO_RECEIVE_PADDING = 64, // readable bytes behind received data (scanners read ahead)
};

// An IPv4 or IPv6 end point, as much of sockaddr as ringtape needs. IPv4: first four bytes.
struct io_address {
    uint8_t bytes[16];
    uint16_t port; // host order
    bool ipv6;
};

// Transparent because owners embed it; fields below the line belong to the loop.
struct io_op {
    io_callback *callback;
    int64_t result;         // valid in the callback
    const uint8_t *data;    // IO_RECEIVE: the bytes, valid during the callback only
    int64_t completed_ns;   // UTC clock when the completion was reaped (receive time); never goes
                            // back within one loop
    enum io_kind kind;      // IO_NONE while idle
    bool more;              // IO_RECEIVE, IO_ACCEPT: further callbacks follow
    bool clock_stepped;     // IO_RECEIVE: the UTC clock stepped since the last callback
    // ---- private to the implementation ----
    bool canceled;
    uint8_t state;
    int32_t handle;
    uint32_t size;
    uint32_t flags;
    int64_t offset;
    int64_t deadline_ns;
    union {
        void *read;
        const void *write;
        const char *path;
        struct io_address *addresses;
    } buffer;
    const char *path_to;
    struct io_address address;
    struct io_op *next;
    struct io_op *previous;
    struct io_op *child; // timers are a pairing heap
    uint64_t sequence;   // of start: equal deadlines fire in the order of starting
    uint32_t done;       // bytes of a transfer that is continued
    uint32_t steps;      // clock steps already told
    uint64_t private_words[4];
};

// The owner that embeds `op` as `member`.
#define io_owner(op, type, member) ((type *)(void *)((char *)(op) - offsetof(type, member)))

struct io_options {
    uint32_t entries;              // submission queue entries; 0 = 256
    uint32_t receive_buffers;      // power of two; 0 = 256
    uint32_t receive_buffer_bytes; // 0 = 32,768
    const char *name;              // of the loop, for messages and the simulator's trace
};

// What went wrong at start, for people: one sentence with the remedy.
struct io_message {
    char text[1536]; // room for a whole path
};

// ---- life ----

// Probes kernel features and allocates everything. 0, or -ENOSYS / -EPERM / -ENOMEM / ... with
// `message` naming the missing thing and the remedy (the daemon then exits with 69).
int io_open_loop(struct io **io, const struct io_options *options, struct io_message *message);
// No operation may be in flight. By the thread that ran the loop.
void io_close_loop(struct io *io);

// Submits what was enqueued, waits until something completes, a timeout fires, or
// `wait_ns` passed (0: do not wait; negative: for ever), runs the callbacks; returns their number.
// It may return earlier with 0. The first call binds the loop to the calling thread.
uint32_t io_run(struct io *io, int64_t wait_ns);

// Makes io_run() of `io` return soon and run `callback` set by io_on_wake(). The only function
// that another thread may call; many wakes may fold into one callback. In the simulator the wake
// is one more event of the schedule.
void io_wake(struct io *io);
void io_on_wake(struct io *io, void (*callback)(void *context), void *context);

// ---- clock and randomness ----

int64_t io_utc_ns(struct io *io);       // CLOCK_REALTIME, but never going back within one loop
int64_t io_monotonic_ns(struct io *io); // CLOCK_MONOTONIC; for intervals and deadlines
// Unpredictable (getrandom); seeded in the simulator.
void io_random(struct io *io, void *bytes, size_t size);

// ---- network; a handle is a small non-negative integer, valid on its loop only ----

// result = number of addresses written to `addresses` (IO_ADDRESSES_MAX of room), or -EHOSTUNREACH
// (no such name), -EAGAIN (name service failed). Numeric hosts too. `host` must live until then.
void io_resolve(struct io *io, struct io_op *op, const char *host, uint16_t port,
                struct io_address *addresses, io_callback *callback);
// TCP with TCP_NODELAY; result = handle or -errno (-ECONNREFUSED, -ETIMEDOUT, ...).
void io_connect(struct io *io, struct io_op *op, const struct io_address *address,
                io_callback *callback);
// Synchronous: result handle or -errno; *port gets the bound port (ask with port 0).
int io_listen(struct io *io, const struct io_address *address, uint16_t *port);
// Multishot: result = handle of one accepted connection each; ends by io_cancel().
void io_accept(struct io *io, struct io_op *op, int listener, io_callback *callback);
// Multishot: each callback brings op->data and op->result bytes (1 ... receive_buffer_bytes, with
// IO_RECEIVE_PADDING readable bytes behind them); the buffer returns to the ring when
// the callback returns. Last callback: result 0 (peer closed its side) or -errno.
void io_receive(struct io *io, struct io_op *op, int handle, io_callback *callback);
// result = bytes sent, possibly fewer than `size`.
void io_send(struct io *io, struct io_op *op, int handle, const void *data, uint32_t size,
             io_callback *callback);

// ---- disk; paths are copied by the call only where said ----

enum io_open_flags {
    IO_OPEN_READ = 1,
    IO_OPEN_WRITE = 2,
    IO_OPEN_CREATE = 4,    // with IO_OPEN_EXCLUSIVE: fails with -EEXIST where the file exists
    IO_OPEN_EXCLUSIVE = 8,
    IO_OPEN_DIRECT = 16,    // O_DIRECT where the file system has it (tmpfs: silently without)
    IO_OPEN_DIRECTORY = 32, // for io_fsync() of a directory
    IO_OPEN_TRUNCATE = 64,
};

enum io_write_flags {
    IO_WRITE_DURABLE = 1, // RWF_DSYNC: complete means on stable storage
};

// `path` is relative to the working directory or absolute and must live until the callback.
void io_open(struct io *io, struct io_op *op, const char *path, uint32_t flags,
             io_callback *callback); // result = handle
// File or socket. No other operation on the handle may be in flight: cancel, and wait for the last
// callback, first.
void io_close(struct io *io, struct io_op *op, int handle, io_callback *callback);
// result = bytes, fewer at the end of the file only. O_DIRECT: address, size and offset
// multiples of io_alignment().
void io_read(struct io *io, struct io_op *op, int handle, void *bytes, uint32_t size,
             int64_t offset, io_callback *callback);
// result = size (the seam continues short writes) or -errno; after an error nothing is known
// about what is on disk: stop trusting the file, never write the same range again (fsyncgate). The
// seam tries neither an fsync nor a durable write a second time, not even after EINTR.
void io_write(struct io *io, struct io_op *op, int handle, const void *bytes, uint32_t size,
              int64_t offset, uint32_t flags, io_callback *callback);
void io_fsync(struct io *io, struct io_op *op, int handle, bool data_only, io_callback *callback);
// Allocates [0, size) and sets the file's size: later writes change no metadata.
void io_fallocate(struct io *io, struct io_op *op, int handle, int64_t size,
                  io_callback *callback);
void io_rename(struct io *io, struct io_op *op, const char *from, const char *to,
               io_callback *callback); // replaces; durable after io_fsync() of the directory
void io_unlink(struct io *io, struct io_op *op, const char *path, io_callback *callback);
void io_mkdir(struct io *io, struct io_op *op, const char *path, io_callback *callback); // -EEXIST

// Synchronous, for start-up and rare moments only (never between events).
int64_t io_file_size(struct io *io, const char *path); // or -errno
// Calls `each` for every entry of the directory but . and ..; order is unspecified. 0 or -errno.
int io_list(struct io *io, const char *path, void (*each)(void *context, const char *name),
            void *context);
// Free for us on that file system, or -errno.
int64_t io_free_bytes(struct io *io, const char *path);
// For direct reads and writes; 4096 unless the file system demands more.
uint32_t io_alignment(struct io *io, int handle);
// Bytes read from `offset` (fewer only at the end) or -errno, at once. For loops that have nothing
// else to do meanwhile (the sealer): never between events of a shard.
int64_t io_read_now(struct io *io, int handle, void *bytes, size_t size, int64_t offset);
// What a read brought is not what was written: what the kernel keeps of the file in memory is let
// go, so that the next read asks the device.
void io_read_afresh(struct io *io, int handle);
// Exclusive lock of a file, held until the loop is closed or the process ends. 0, -EWOULDBLOCK
// (another process holds it), -errno. Creates the file.
int io_lock(struct io *io, const char *path);

// ---- time, cancellation ----

// result = 0 when `after_ns` passed, -ECANCELED when cancelled.
void io_timeout(struct io *io, struct io_op *op, int64_t after_ns, io_callback *callback);
// Asks an op in flight to end; its last callback still comes, with -ECANCELED or with its
// real result if that was faster. Disk operations run to their end. No effect on an idle op.
void io_cancel(struct io *io, struct io_op *op);

static inline bool io_idle(const struct io_op *op)
{
    return op->kind == IO_NONE;
}

// ---- what the loop counted (metrics, doctor) ----

struct io_counters {
    uint64_t completions;
    uint64_t enters;             // io_uring_enter calls
    uint64_t receive_no_buffers; // ENOBUFS, re-armed
    uint64_t overflows;          // completion queue overflow seen
    uint64_t clock_steps;
};
struct io_counters io_counters(const struct io *io);

#endif
