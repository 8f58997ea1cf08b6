// SPDX-License-Identifier: GPL-3.0-or-later
//
// What does this machine itself take from the time at which a message is to be sent to the read
// that returns it? What no recorder can be below: two threads, a TCP connection on loopback,
// messages of a trade's size that bear their intended times, nothing else done to them. Late
// senders count, as in `bench latency`, which runs this beside each of its rates.
//
//     loopback_bench [--rate N] [--seconds N] [--smoke]     default: 10,000 a second for 10 s
#include "format/ensure.h"
#include "format/histogram.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ll

enum {
    MESSAGE_BYTES = 172, // of a trade of Binance with its WebSocket header
    READ_BYTES = 1 << 16,
    GRAIN_NS = 20000, // as exchange-sim is asked for: it sleeps no less
};

struct work {
    int64_t rate;
    int64_t count;
    int sender;
    int receiver;
    struct histogram late;
};

static int64_t now_ns(void)
{
    struct timespec now;
    ensure(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void sleep_until(int64_t due_ns)
{
    int64_t least_ns = now_ns() + GRAIN_NS;
    if (due_ns < least_ns) due_ns = least_ns;
    const struct timespec due = {.tv_sec = due_ns / SECOND_NS, .tv_nsec = due_ns % SECOND_NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR) {}
}

static void *send_all(void *context)
{
    struct work *work = context;
    uint8_t message[MESSAGE_BYTES] = {0};
    const int64_t begin_ns = now_ns();
    for (int64_t i = 0; i < work->count; i++) {
        const int64_t due_ns = begin_ns + (int64_t)((__int128)i * SECOND_NS / work->rate);
        if (now_ns() < due_ns) sleep_until(due_ns);
        memcpy(message, &due_ns, sizeof due_ns);
        for (ssize_t sent = 0; sent < MESSAGE_BYTES;) {
            const ssize_t more = send(work->sender, message + sent, (size_t)(MESSAGE_BYTES - sent),
                                      MSG_NOSIGNAL);
            ensure(more > 0);
            sent += more;
        }
    }
    ensure(shutdown(work->sender, SHUT_WR) == 0);
    return NULL;
}

static void receive_all(struct work *work)
{
    static uint8_t bytes[READ_BYTES + MESSAGE_BYTES];
    size_t held = 0;
    int64_t seen = 0;
    ssize_t more;
    while ((more = recv(work->receiver, bytes + held, READ_BYTES, 0)) > 0) {
        const int64_t read_ns = now_ns();
        held += (size_t)more;
        size_t at = 0;
        for (; held - at >= MESSAGE_BYTES; at += MESSAGE_BYTES, seen++) {
            int64_t due_ns;
            memcpy(&due_ns, bytes + at, sizeof due_ns);
            // The first second warms up.
            if (seen >= work->rate) histogram_add(&work->late, read_ns - due_ns);
        }
        memmove(bytes, bytes + at, held - at);
        held -= at;
    }
    ensure(more == 0 && held == 0 && seen == work->count);
}

static void connect_both(struct work *work)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ensure(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0);
    ensure(listen(listener, 1) == 0);
    ensure(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    work->sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(connect(work->sender, (struct sockaddr *)&address, size) == 0);
    work->receiver = accept(listener, NULL, NULL);
    ensure(work->receiver >= 0);
    ensure(setsockopt(work->sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    ensure(close(listener) == 0);
}

static void report(const struct work *work, const char *name, uint32_t per_million)
{
    const double late_us = (double)histogram_quantile_ns(&work->late, per_million) / 1e3;
    (void)fprintf(stderr, "%-6s %10.1f us\n", name, late_us);
    (void)printf("{\"bench\":\"loopback\",\"case\":\"%lld\",\"metric\":\"%s_us\",\"value\":%.1f,"
                 "\"unit\":\"us\",\"spread\":null,\"peer\":null}\n",
                 (long long)work->rate, name, late_us);
}

int main(int count, char **arguments)
{
    static struct work work = {.rate = 10000};
    int64_t seconds = 10;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--smoke") == 0) seconds = 2;
        if (i + 1 < count && strcmp(arguments[i], "--rate") == 0)
            work.rate = strtoll(arguments[i + 1], NULL, 10);
        if (i + 1 < count && strcmp(arguments[i], "--seconds") == 0)
            seconds = strtoll(arguments[i + 1], NULL, 10);
    }
    ensure(work.rate > 0 && seconds > 1);
    work.count = work.rate * seconds;
    pthread_t sender;
    connect_both(&work);
    ensure(pthread_create(&sender, NULL, send_all, &work) == 0);
    receive_all(&work);
    ensure(pthread_join(sender, NULL) == 0);
    report(&work, "p50", 500000);
    report(&work, "p99", 990000);
    report(&work, "p999", 999000);
    const bool good = histogram_count(&work.late) == (uint64_t)(work.count - work.rate);
    (void)printf("{\"bench\":\"loopback\",\"metric\":\"ok\",\"value\":%s}\n",
                 good ? "true" : "false");
    return good ? 0 : 1;
}
