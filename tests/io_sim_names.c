// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the simulated network knows by name: hosts and their addresses, ports that are down.
#include "io_sim.h"
#include "io_sim_world.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { SIM_NAMES_MAX = 64, SIM_DOWN_MAX = 32, SIM_GONE_MAX = 8 };

struct sim_name {
    char host[IO_HOST_BYTES_MAX + 1];
    struct io_address address;
    bool hidden; // from answers
};

struct sim_down {
    uint16_t port; // 0: free
    bool refuse;
};

struct sim_names {
    uint32_t answers; // rotated
    struct sim_name names[SIM_NAMES_MAX];
    uint32_t count;
    struct sim_down downs[SIM_DOWN_MAX];
    struct io_address gone[SIM_GONE_MAX];
    uint32_t gone_count;
};

struct sim_names *sim_names_create(void)
{
    struct sim_names *names = calloc(1, sizeof *names);
    ensure(names != NULL);
    return names;
}

static struct sim_down *sim_down_find(struct sim_names *names, uint16_t port)
{
    for (uint32_t i = 0; i < SIM_DOWN_MAX; i++) {
        if (names->downs[i].port == port)
            return &names->downs[i];
    }
    return NULL;
}

void sim_network_down(struct sim_world *world, uint16_t port, bool down, bool refuse)
{
    ensure(port != 0);
    struct sim_down *old = sim_down_find(world->names, port);
    struct sim_down *room = old != NULL ? old : sim_down_find(world->names, 0);
    ensure(room != NULL);
    *room = (struct sim_down){.port = down ? port : 0, .refuse = refuse};
}

bool sim_port_down(struct sim_world *world, uint16_t port, bool *refuse)
{
    const struct sim_down *down = sim_down_find(world->names, port);
    if (down == NULL)
        return false;
    *refuse = down->refuse;
    return true;
}

static bool sim_numeric(const char *text, uint16_t port, struct io_address *address)
{
    *address = (struct io_address){.port = port};
    if (inet_pton(AF_INET, text, address->bytes) == 1)
        return true;
    address->ipv6 = inet_pton(AF_INET6, text, address->bytes) == 1;
    return address->ipv6;
}

void sim_world_name(struct sim_world *world, const char *host, const char *address)
{
    struct sim_names *names = world->names;
    ensure(names->count < SIM_NAMES_MAX && strlen(host) <= IO_HOST_BYTES_MAX);
    struct sim_name *name = &names->names[names->count++];
    (void)strcpy(name->host, host);
    ensure(sim_numeric(address, 0, &name->address));
}

static bool sim_address_same(const struct io_address *a, const struct io_address *b)
{
    return a->ipv6 == b->ipv6 && memcmp(a->bytes, b->bytes, a->ipv6 ? 16 : 4) == 0;
}

bool sim_address_is_gone(const struct sim_world *world, const struct io_address *address)
{
    const struct sim_names *names = world->names;
    for (uint32_t i = 0; i < names->gone_count; i++) {
        if (sim_address_same(&names->gone[i], address))
            return true;
    }
    return false;
}

void sim_address_gone(struct sim_world *world, const char *address, bool gone)
{
    struct sim_names *names = world->names;
    struct io_address wanted;
    uint32_t at = 0;
    ensure(sim_numeric(address, 0, &wanted));
    while (at < names->gone_count && !sim_address_same(&names->gone[at], &wanted)) at++;
    ensure(at < SIM_GONE_MAX);
    if (at == names->gone_count && gone)
        names->gone[names->gone_count++] = wanted;
    else if (at < names->gone_count && !gone)
        names->gone[at] = names->gone[--names->gone_count];
}

void sim_name_hidden(struct sim_world *world, const char *host, const char *address, bool hidden)
{
    struct sim_names *names = world->names;
    struct io_address wanted;
    ensure(sim_numeric(address, 0, &wanted));
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i].host, host) == 0 &&
            sim_address_same(&names->names[i].address, &wanted))
            names->names[i].hidden = hidden;
    }
}

int64_t sim_resolve(struct sim_world *world, struct io_op *op)
{
    struct sim_names *names = world->names;
    int64_t count = 0;
    int error = 0;
    if (sim_numeric(op->path_to, op->address.port, &op->buffer.addresses[0]))
        return 1;
    if (sim_scripted(world, IO_RESOLVE, &error))
        return error;
    if (sim_fault(world, &world->faults.resolve_failed))
        return -EAGAIN;
    for (uint32_t i = 0; i < names->count && count < IO_ADDRESSES_MAX; i++) {
        if (names->names[i].hidden || strcmp(names->names[i].host, op->path_to) != 0)
            continue;
        op->buffer.addresses[count] = names->names[i].address;
        op->buffer.addresses[count++].port = op->address.port;
    }
    for (uint32_t turns = names->answers % (count > 0 ? (uint32_t)count : 1); turns > 0; turns--) {
        struct io_address first = op->buffer.addresses[0];
        memmove(&op->buffer.addresses[0], &op->buffer.addresses[1],
                (size_t)(count - 1) * sizeof first);
        op->buffer.addresses[count - 1] = first;
    }
    names->answers += world->faults.resolve_rotated;
    return count > 0 ? count : -EHOSTUNREACH;
}
