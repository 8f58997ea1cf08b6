// SPDX-License-Identifier: GPL-3.0-or-later
//
// What do the kernel's two stages cost a shard alone: receiving a megabyte over TCP, and committing
// a batch? The stages between are in benches of their own (protocol, dialect, arbiter, derive,
// tape); bench/stages.py puts all of them beside the budget.
//
//     stages_bench [--smoke] [DIRECTORY]     the batches are written there; default: here
//
// receive: a thread sends over loopback as fast as it can, the loop receives as a link does
// (multishot, ring of buffers) and looks at nothing. commit: aligned durable writes into a
// preallocated file, one in flight, as the tape's. CPU time of the thread that runs the loop, what
// the kernel does in its name included; medians.
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/times.h"
#include "format/ensure.h"
#include "io/io.h"

enum {
    SAMPLES_MAX = 15,
    RECEIVE_BYTES = 256 << 20,
    RECEIVE_BYTES_SMOKE = 16 << 20,
    SEND_BYTES = 64 << 10,
    FILE_BYTES = 64 << 20,
    COMMITS = 64,
    COMMITS_SMOKE = 8,
};

static struct io *io;
static bool smoke;

static void print(const char *name, const char *metric, double values[], uint32_t count,
                  const char *unit)
{
    qsort(values, count, sizeof *values, times_compare);
    const double median = values[count / 2];
    (void)fprintf(stderr, "%-16s %10.1f %s\n", name, median, unit);
    (void)printf("{\"bench\":\"stages\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.2f,"
                 "\"unit\":\"%s\",\"spread\":%.3f,\"peer\":null}\n",
                 name, metric, median, unit, (values[count - 1] - values[0]) / median);
}

// ---- receive ----

struct transfer {
    struct io_op accept, receive, close;
    int handle;
    uint64_t received, wanted, completions;
    bool ended, closed;
};

static struct transfer transfer;
static uint16_t port;

static void *send_all(void *context)
{
    static uint8_t bytes[SEND_BYTES];
    const uint64_t wanted = *(const uint64_t *)context;
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    ensure(handle >= 0);
    ensure(connect(handle, (const struct sockaddr *)&address, sizeof address) == 0);
    for (uint64_t sent = 0; sent < wanted;) {
        const ssize_t size = send(handle, bytes, sizeof bytes, 0);
        ensure(size > 0);
        sent += (uint64_t)size;
    }
    ensure(close(handle) == 0);
    return NULL;
}

static void received(struct io *loop, struct io_op *op)
{
    (void)loop;
    struct transfer *of = io_owner(op, struct transfer, receive);
    ensure(op->result >= 0);
    of->received += (uint64_t)op->result;
    of->completions++;
    of->ended = !op->more;
}

static void accepted(struct io *loop, struct io_op *op)
{
    struct transfer *of = io_owner(op, struct transfer, accept);
    if (op->result < 0) return; // cancelled at the end
    of->handle = (int)op->result;
    io_receive(loop, &of->receive, of->handle, received);
}

static void closed(struct io *loop, struct io_op *op)
{
    (void)loop;
    io_owner(op, struct transfer, close)->closed = true;
}

// ns a megabyte (2^20).
static double receive_once(void)
{
    pthread_t sender;
    uint64_t wanted = smoke ? RECEIVE_BYTES_SMOKE : RECEIVE_BYTES;
    transfer.received = transfer.completions = 0;
    transfer.ended = transfer.closed = false;
    ensure(pthread_create(&sender, NULL, send_all, &wanted) == 0);
    const double begin = times_cpu_ns();
    while (!transfer.ended) (void)io_run(io, -1);
    const double cost = times_cpu_ns() - begin;
    ensure(transfer.received >= wanted && pthread_join(sender, NULL) == 0);
    io_close(io, &transfer.close, transfer.handle, closed);
    while (!transfer.closed) (void)io_run(io, -1);
    return cost / ((double)transfer.received / (1 << 20));
}

static void bench_receive(uint32_t samples)
{
    double costs[SAMPLES_MAX], sizes[SAMPLES_MAX];
    const struct io_address address = {.bytes = {127, 0, 0, 1}};
    const int listener = io_listen(io, &address, &port);
    ensure(listener >= 0);
    io_accept(io, &transfer.accept, listener, accepted);
    for (uint32_t i = 0; i < samples; i++) {
        costs[i] = receive_once();
        sizes[i] = (double)transfer.received / (double)transfer.completions;
    }
    print("receive", "ns_per_megabyte", costs, samples, "ns");
    print("receive", "bytes_per_completion", sizes, samples, "byte");
    io_cancel(io, &transfer.accept);
    while (!io_idle(&transfer.accept)) (void)io_run(io, -1);
}

// ---- commit ----

static struct io_op disk;
static bool disk_done;

static void disk_ended(struct io *loop, struct io_op *op)
{
    (void)loop;
    ensure(op->result >= 0);
    disk_done = true;
}

static int64_t disk_wait(void)
{
    while (!disk_done) (void)io_run(io, -1);
    disk_done = false;
    return disk.result;
}

static int commit_file(const char *path)
{
    io_open(io, &disk, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, disk_ended);
    const int handle = (int)disk_wait();
    io_fallocate(io, &disk, handle, FILE_BYTES, disk_ended);
    (void)disk_wait();
    io_fsync(io, &disk, handle, false, disk_ended);
    (void)disk_wait();
    return handle;
}

static void bench_commit(const char *folder, uint32_t bytes, const char *name, uint32_t samples)
{
    double costs[SAMPLES_MAX];
    char path[512];
    const uint32_t commits = smoke ? COMMITS_SMOKE : COMMITS;
    (void)snprintf(path, sizeof path, "%s/stages-%d.tmp", folder, (int)getpid());
    const int handle = commit_file(path);
    uint8_t *batch = aligned_alloc(4096, bytes);
    ensure(batch != NULL);
    memset(batch, 'x', bytes);
    int64_t at = 0;
    for (uint32_t i = 0; i < samples; i++) {
        const double begin = times_cpu_ns();
        for (uint32_t n = 0; n < commits; n++, at = (at + bytes) % FILE_BYTES) {
            io_write(io, &disk, handle, batch, bytes, at, IO_WRITE_DURABLE, disk_ended);
            ensure(disk_wait() == bytes);
        }
        costs[i] = (times_cpu_ns() - begin) / commits;
    }
    print(name, "ns_per_commit", costs, samples, "ns");
    io_close(io, &disk, handle, disk_ended);
    (void)disk_wait();
    io_unlink(io, &disk, path, disk_ended);
    (void)disk_wait();
    free(batch);
}

int main(int argc, char **argv)
{
    struct io_message message;
    smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    const char *folder = argc > 1 + smoke ? argv[1 + smoke] : ".";
    const uint32_t samples = smoke ? 1 : SAMPLES_MAX;
    if (io_open_loop(&io, &(struct io_options){.name = "bench"}, &message) != 0) {
        (void)fprintf(stderr, "stages_bench: %s\n", message.text);
        return 69;
    }
    bench_receive(samples);
    // 20,000 rows of 27 bytes: 5 ms at 4 M messages a second; and a quiet feed's sector.
    bench_commit(folder, 512 << 10, "commit_512k", samples);
    bench_commit(folder, 4 << 10, "commit_4k", samples);
    io_close_loop(io);
    return 0;
}
