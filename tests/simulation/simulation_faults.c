// SPDX-License-Identifier: GPL-3.0-or-later
//
// The kinds of faults: chances of the simulated machine, chances of the simulated exchange, and
// what is done to them at a moment. All are off between two episodes.
#include "tests/simulation/simulation.h"

#include <stddef.h>
#include <string.h>

#include "format/ensure.h"
#include "scripted_producer.h"

enum fault_place {
    PLACE_WORLD,  // a chance in struct sim_faults
    PLACE_MARKET, // a chance in struct market_faults
    PLACE_ACTION, // done once at the beginning, undone at the end
};

// What a seed may leave out as a whole: where clocks step or the disk fails, alerts cannot be
// raised again from what is stored.
enum fault_group { GROUP_ANY, GROUP_DISK, GROUP_CLOCK, GROUP_ROT, GROUP_REFUSING, GROUP_TLS };

struct fault {
    const char *name;
    enum fault_group group;
    enum fault_place place;
    size_t offset;
    uint32_t ppm;
    void (*act)(struct life *life, bool begins);
};

#define WORLD(field, chance)                                                                       \
    {.name = #field, .place = PLACE_WORLD, .offset = offsetof(struct sim_faults, field),           \
     .ppm = (chance)}
#define DISK(field, chance)                                                                        \
    {.name = #field, .group = GROUP_DISK, .place = PLACE_WORLD,                                    \
     .offset = offsetof(struct sim_faults, field), .ppm = (chance)}
#define MARKET(field, chance)                                                                      \
    {.name = "exchange_" #field, .place = PLACE_MARKET,                                            \
     .offset = offsetof(struct market_faults, field), .ppm = (chance)}
#define TLS(field, chance)                                                                         \
    {.name = "tls_" #field, .group = GROUP_TLS, .place = PLACE_MARKET,                             \
     .offset = offsetof(struct market_faults, field), .ppm = (chance)}
#define ACTION(function) {.name = #function, .place = PLACE_ACTION, .act = (function)}

static void links_reset(struct life *life, bool begins)
{
    if (begins) sim_network_cut(life->world, life->peer->port, true);
}

static void links_mute(struct life *life, bool begins)
{
    if (begins) sim_network_cut(life->world, life->peer->port, false);
}

static void exchange_refuses(struct life *life, bool begins)
{
    if (begins) sim_network_cut(life->world, life->peer->port, true);
    sim_network_down(life->world, life->peer->port, begins, true);
}

static void exchange_unreachable(struct life *life, bool begins)
{
    if (begins) sim_network_cut(life->world, life->peer->port, false);
    sim_network_down(life->world, life->peer->port, begins, false);
}

static void rest_down(struct life *life, bool begins)
{
    life->peer->faults.down = begins;
}

static void broker_down(struct life *life, bool begins)
{
    if (life->broker != NULL) life->broker->down = begins;
}

static void broker_stuck(struct life *life, bool begins)
{
    if (life->broker != NULL) life->broker->stuck_channels = begins ? 1u << CHANNEL_TRADE : 0;
}

static void broker_slow(struct life *life, bool begins)
{
    if (life->broker != NULL) life->broker->one_by_one = begins;
}

// The topic is gone: all is kept as letters.
static void broker_refuses(struct life *life, bool begins)
{
    if (life->broker != NULL) life->broker->refused_channels = begins ? 1u << CHANNEL_TRADE : 0;
}

// Some messages are too large for it, some for the producer. A batch with one of those breaks the
// producer, and another cannot be made at first.
static void broker_picky(struct life *life, bool begins)
{
    if (life->broker == NULL) return;
    life->broker->bad_every = begins ? 97 : 0;
    life->broker->large_every = begins ? 89 : 0;
    life->broker->makes_failing = begins ? life->broker->makes + 2 : 0;
}

// One of the two addresses, for as long as the episode lasts.
static void address_gone(struct life *life, bool begins)
{
    static const char *const addresses[] = LIFE_ADDRESSES;
    const uint64_t which = begins ? sim_world_random(life->world, 2) : 2;
    for (uint32_t i = 0; i < 2; i++) sim_address_gone(life->world, addresses[i], i == which);
    if (begins) sim_network_cut(life->world, life->peer->port, true);
}

// The name leads to a third address, and nobody is at the old ones.
static void address_changed(struct life *life, bool begins)
{
    static const char *const addresses[] = LIFE_ADDRESSES;
    for (uint32_t i = 0; i < 3; i++) {
        sim_name_hidden(life->world, LIFE_HOST, addresses[i], (i == 2) != begins);
        sim_name_hidden(life->world, LIFE_HOST_ALIAS, addresses[i], (i == 2) != begins);
        sim_address_gone(life->world, addresses[i], (i == 2) != begins);
    }
    if (begins) sim_network_cut(life->world, life->peer->port, true);
}

void simulation_outage(struct life *life, bool begins)
{
    exchange_refuses(life, begins);
    if (begins && life->named) address_gone(life, true);
}

static void clock_forward(struct life *life, bool begins)
{
    if (begins)
        sim_world_step_clock(life->world, (int64_t)sim_world_random(life->world, 3000) *
                                              LIMIT_MILLISECOND_NS);
}

static void clock_back(struct life *life, bool begins)
{
    if (begins)
        sim_world_step_clock(life->world, -(int64_t)sim_world_random(life->world, 3000) *
                                              LIMIT_MILLISECOND_NS);
}

static void disk_full(struct life *life, bool begins)
{
    sim_disk_capacity(life->world, begins ? 1 << 20 : 1 << 30);
}

// Not a fault, but no better a time for one.
static void reload(struct life *life, bool begins)
{
    if (begins) life_reload(life);
}

static void disk_rot(struct life *life, bool begins)
{
    if (begins) simulation_rot(life);
}

// New connections, which all are, get to see a certificate of another name.
static void tls_certificate(struct life *life, bool begins)
{
    life->peer->other_certificate = begins;
    if (begins) sim_network_cut(life->world, life->peer->port, true);
}

static void killed(struct life *life, bool begins)
{
    (void)life;
    (void)begins;
}

static const struct fault faults[] = {
    {.name = "kill", .place = PLACE_ACTION, .act = killed},
    {.name = "power_loss", .place = PLACE_ACTION, .act = killed},
    {.name = "crash_in_a_start", .place = PLACE_ACTION, .act = killed},
    {.name = "deleted_by_keep", .place = PLACE_ACTION, .act = killed},
    WORLD(torn_sector, 500000), // always
    WORLD(cancel_late, 300000), // always
    WORLD(receive_split, 500000),
    WORLD(receive_starved, 500000),
    WORLD(send_short, 500000),
    WORLD(connect_refused, 500000),
    WORLD(connect_timeout, 200000),
    WORLD(reset, 3000),
    WORLD(mute, 300000),
    WORLD(resolve_failed, 500000),
    DISK(read_error, 20000),
    DISK(write_error, 50000),
    DISK(failed_write_lands, 500000), // always, with write_error
    DISK(no_space, 50000),
    DISK(fsync_error, 50000),
    DISK(slow_disk, 100000),
    DISK(read_flipped, 20000),
    DISK(read_misplaced, 20000),
    MARKET(lost, 10000),
    MARKET(doubled, 10000),
    MARKET(late, 10000),
    MARKET(cut, 1000),
    MARKET(muted, 300),
    MARKET(refused, 300000),
    MARKET(limited, 300000),
    MARKET(shortened, 300000),
    MARKET(overlapped, 300000),
    MARKET(hung_up, 300000),
    MARKET(closed, 300000),
    MARKET(rejected, 500000),
    MARKET(unanswered, 500000),
    MARKET(stale, 500000),
    MARKET(slow, 300000),
    ACTION(links_reset),
    ACTION(links_mute),
    ACTION(exchange_refuses),
    ACTION(exchange_unreachable),
    ACTION(address_gone),
    ACTION(address_changed),
    ACTION(rest_down),
    ACTION(broker_down),
    ACTION(broker_stuck),
    ACTION(broker_slow),
    ACTION(reload),
    {.name = "broker_refuses", .group = GROUP_REFUSING, .place = PLACE_ACTION,
     .act = broker_refuses},
    {.name = "broker_picky", .group = GROUP_REFUSING, .place = PLACE_ACTION, .act = broker_picky},
    {.name = "clock_forward", .group = GROUP_CLOCK, .place = PLACE_ACTION, .act = clock_forward},
    {.name = "clock_back", .group = GROUP_CLOCK, .place = PLACE_ACTION, .act = clock_back},
    {.name = "disk_full", .group = GROUP_DISK, .place = PLACE_ACTION, .act = disk_full},
    {.name = "disk_rot", .group = GROUP_ROT, .place = PLACE_ACTION, .act = disk_rot},
    TLS(garbled, 3000),
    TLS(rekeyed, 100000),
    {.name = "tls_certificate", .group = GROUP_TLS, .place = PLACE_ACTION, .act = tls_certificate},
};
// Those of TLS are the last, so that other seeds draw among the rest as if these were not there.
enum { FAULTS = sizeof faults / sizeof *faults, FIRST_DRAWN = 6, FAULTS_TLS = 3 };
enum { FAULT_ROT = FAULTS - FAULTS_TLS - 1 };
_Static_assert(FAULTS <= SIMULATION_KINDS_MAX, "one counter each");
const uint32_t simulation_kill = 0, simulation_power = 1, simulation_start_crash = 2,
               simulation_deleted = 3;

static uint64_t acted[FAULTS];
static uint32_t current[SIMULATION_AT_ONCE];

uint32_t simulation_fault_count(void)
{
    return FAULTS;
}

const char *simulation_fault_name(uint32_t kind)
{
    ensure(kind < FAULTS);
    return faults[kind].name;
}

void simulation_fault_struck(uint32_t kind)
{
    ensure(kind < FAULTS && faults[kind].place == PLACE_ACTION);
    acted[kind]++;
}

static void fault_set(struct life *life, uint32_t kind, bool begins)
{
    const struct fault *fault = &faults[kind];
    char *place = fault->place == PLACE_WORLD ? (char *)sim_world_faults(life->world)
                                              : (char *)&life->peer->faults;
    if (fault->place == PLACE_ACTION) {
        fault->act(life, begins);
        acted[kind] += begins;
        return;
    }
    *(uint32_t *)(void *)(place + fault->offset) = begins ? fault->ppm : 0;
    // What a new link or question would meet is met once there is one.
    const bool met = fault->offset == offsetof(struct market_faults, rejected) ||
                     fault->offset == offsetof(struct market_faults, unanswered);
    if (begins && (fault->place == PLACE_WORLD ? strncmp(fault->name, "connect", 7) == 0 : met))
        sim_network_cut(life->world, life->peer->port, true);
}

static bool allowed(const struct fault *fault, const struct simulation_groups *groups)
{
    ensure(fault->group <= GROUP_TLS);
    return (groups->disk || fault->group != GROUP_DISK) &&
           (groups->rot || fault->group != GROUP_ROT) &&
           (groups->refusing || fault->group != GROUP_REFUSING) &&
           (groups->tls || fault->group != GROUP_TLS) &&
           (groups->clock || fault->group != GROUP_CLOCK);
}

// Where sectors may rot, every fourth fault is that: else one in forty would be, and most of those
// at a segment.
static uint32_t any_fault(struct life *life, const struct simulation_groups *groups)
{
    const uint64_t kinds = groups->tls ? FAULTS - FIRST_DRAWN : FAULTS - FAULTS_TLS - FIRST_DRAWN;
    ensure(faults[FAULT_ROT].act == disk_rot);
    if (groups->rot && sim_world_random(life->world, 4) == 0) return FAULT_ROT;
    uint32_t kind;
    do
        kind = FIRST_DRAWN + (uint32_t)sim_world_random(life->world, kinds);
    while (!allowed(&faults[kind], groups));
    return kind;
}

void simulation_fault_begin(struct life *life, const struct simulation_groups *groups)
{
    for (uint32_t i = 0; i < SIMULATION_AT_ONCE; i++) {
        current[i] = any_fault(life, groups);
        if (i > 0 && sim_world_random(life->world, 3) != 0) current[i] = current[0];
        if (i == 0 || current[i] != current[0]) fault_set(life, current[i], true);
    }
    sim_world_faults(life->world)->failed_write_lands = 500000;
    sim_world_faults(life->world)->torn_sector = 500000;
    // Repair has something to ask for, and what comes late may come before its answer.
    if (faults[current[0]].place == PLACE_MARKET) life->peer->faults.lost = 10000;
    if (life->peer->faults.late > 0 && sim_world_random(life->world, 2) == 0)
        life->peer->faults.slow = 700000;
}

void simulation_fault_end(struct life *life)
{
    for (uint32_t i = 0; i < SIMULATION_AT_ONCE; i++) fault_set(life, current[i], false);
    life->peer->faults.lost = life->peer->faults.slow = 0;
}

void simulation_fault_hits(const struct life *life, struct simulation_counts *counts)
{
    for (uint32_t i = 0; i < FAULTS; i++) {
        const struct fault *fault = &faults[i];
        if (fault->place == PLACE_WORLD)
            counts->hits[i] = sim_world_hits(life->world, fault->offset);
        else if (fault->place == PLACE_MARKET)
            counts->hits[i] = life->peer->hits[fault->offset / sizeof(uint32_t)];
        else
            counts->hits[i] = acted[i];
    }
}
