// SPDX-License-Identifier: GPL-3.0-or-later
//
// asked ──helper takes──> current ──getaddrinfo──> answered ──resolver_take──> the loop
//   └──────── resolver_forget ────────┘
//
// The helper never touches an operation while it asks: it works on copies of host and port and
// looks, under the lock, whether the question still stands.
#include "io/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct resolver {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct op_list asked;
    struct op_list answered;
    struct io_op *current; // being asked; NULL if forgotten meanwhile
    void (*wake)(void *context);
    void *context;
    bool started;
    bool busy; // the helper is inside getaddrinfo()
    bool closing;
    pthread_t thread;
};

struct resolver *resolver_create(void (*wake)(void *context), void *context)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return NULL;
    ensure(pthread_mutex_init(&resolver->mutex, NULL) == 0);
    ensure(pthread_cond_init(&resolver->changed, NULL) == 0);
    resolver->wake = wake;
    resolver->context = context;
    return resolver;
}

static void resolver_lock(struct resolver *resolver)
{
    ensure(pthread_mutex_lock(&resolver->mutex) == 0);
}

static void resolver_unlock(struct resolver *resolver)
{
    ensure(pthread_mutex_unlock(&resolver->mutex) == 0);
}

static void resolver_free(struct resolver *resolver)
{
    (void)pthread_mutex_destroy(&resolver->mutex);
    (void)pthread_cond_destroy(&resolver->changed);
    free(resolver);
}

void resolver_destroy(struct resolver *resolver)
{
    resolver_lock(resolver);
    ensure(resolver->asked.count == 0 && resolver->answered.count == 0);
    bool started = resolver->started;
    bool busy = resolver->busy;
    pthread_t thread = resolver->thread;
    resolver->closing = true;
    ensure(pthread_cond_signal(&resolver->changed) == 0);
    resolver_unlock(resolver);
    if (!started) {
        resolver_free(resolver);
    } else if (busy) {
        ensure(pthread_detach(thread) == 0);
    } else {
        // The helper frees; joined so that nothing of the loop runs when it is closed.
        ensure(pthread_join(thread, NULL) == 0);
    }
}

static bool resolver_numeric(struct io_op *op)
{
    struct io_address *address = &op->buffer.addresses[0];
    *address = (struct io_address){.port = op->address.port};
    if (inet_pton(AF_INET, op->path_to, address->bytes) != 1) {
        if (inet_pton(AF_INET6, op->path_to, address->bytes) != 1)
            return false;
        address->ipv6 = true;
    }
    op->result = 1;
    return true;
}

static void resolver_copy(struct io_address *address, const struct addrinfo *info, uint16_t port)
{
    *address = (struct io_address){.port = port, .ipv6 = info->ai_family == AF_INET6};
    if (address->ipv6) {
        const struct sockaddr_in6 *ipv6 = (const void *)info->ai_addr;
        memcpy(address->bytes, &ipv6->sin6_addr, 16);
    } else {
        const struct sockaddr_in *ipv4 = (const void *)info->ai_addr;
        memcpy(address->bytes, &ipv4->sin_addr, 4);
    }
}

// Fills `addresses`; returns their number or a negative errno.
static int64_t resolver_lookup(const char *host, uint16_t port, struct io_address *addresses)
{
    // Without AI_ADDRCONFIG, which hides localhost on a machine that has the loopback only.
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0)
        return error == EAI_NONAME || error == EAI_NODATA ? -EHOSTUNREACH : -EAGAIN;
    int64_t count = 0;
    for (struct addrinfo *info = list; info != NULL && count < IO_ADDRESSES_MAX;
         info = info->ai_next) {
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
            resolver_copy(&addresses[count++], info, port);
    }
    freeaddrinfo(list);
    return count > 0 ? count : -EHOSTUNREACH;
}

// One question, from taking to answer. Called and returns with the lock held.
static void resolver_serve(struct resolver *resolver)
{
    struct io_op *op = op_list_take(&resolver->asked);
    char host[IO_HOST_BYTES_MAX + 1];
    struct io_address addresses[IO_ADDRESSES_MAX];
    size_t size = strlen(op->path_to);
    ensure(size < sizeof host);
    memcpy(host, op->path_to, size + 1);
    uint16_t port = op->address.port;
    resolver->current = op;
    resolver->busy = true;
    resolver_unlock(resolver);
    int64_t result = resolver_lookup(host, port, addresses);
    resolver_lock(resolver);
    resolver->busy = false;
    if (resolver->current == NULL)
        return;
    if (result > 0)
        memcpy(op->buffer.addresses, addresses, (size_t)result * sizeof addresses[0]);
    op->result = result;
    resolver->current = NULL;
    op_list_append(&resolver->answered, op);
    resolver->wake(resolver->context);
}

static void *resolver_run(void *context)
{
    struct resolver *resolver = context;
    resolver_lock(resolver);
    while (!resolver->closing) {
        if (resolver->asked.count > 0)
            resolver_serve(resolver);
        else
            ensure(pthread_cond_wait(&resolver->changed, &resolver->mutex) == 0);
    }
    resolver_unlock(resolver);
    resolver_free(resolver);
    return NULL;
}

// Signals are for the threads of the daemon that ask for them.
static bool resolver_start(struct resolver *resolver)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    ensure(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int error = pthread_create(&resolver->thread, NULL, resolver_run, resolver);
    ensure(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    resolver->started = error == 0;
    return resolver->started;
}

bool resolver_ask(struct resolver *resolver, struct io_op *op)
{
    ensure(op->kind == IO_RESOLVE);
    if (resolver_numeric(op))
        return true;
    resolver_lock(resolver);
    bool ready = resolver->started || resolver_start(resolver);
    if (ready) {
        op_list_append(&resolver->asked, op);
        ensure(pthread_cond_signal(&resolver->changed) == 0);
    } else {
        op->result = -EAGAIN;
    }
    resolver_unlock(resolver);
    return !ready;
}

bool resolver_forget(struct resolver *resolver, struct io_op *op)
{
    ensure(op->kind == IO_RESOLVE);
    resolver_lock(resolver);
    bool forgotten = false;
    if (resolver->current == op) {
        resolver->current = NULL;
        forgotten = true;
    }
    for (struct io_op *each = resolver->asked.first; each != NULL && !forgotten; each = each->next)
        forgotten = each == op;
    if (forgotten && (op->next != NULL || op->previous != NULL || resolver->asked.first == op))
        op_list_remove(&resolver->asked, op);
    resolver_unlock(resolver);
    return forgotten;
}

struct io_op *resolver_take(struct resolver *resolver)
{
    resolver_lock(resolver);
    struct io_op *op = op_list_take(&resolver->answered);
    resolver_unlock(resolver);
    return op;
}
