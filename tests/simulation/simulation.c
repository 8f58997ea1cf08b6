// SPDX-License-Identifier: GPL-3.0-or-later
//
// simulation: see simulation.h.
#include "tests/simulation/simulation.h"

#include <criterion/criterion.h>

#include "keep/keep_store.h"
#include "market_tls.h"
#include "scripted_producer.h"

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS

enum { SITTINGS_LEAST = 4, CRASHES_LEAST = 3, START_OPERATIONS = 60, AIM_OPERATIONS = 12,
       START_MISREADS_PPM = 20000, START_REFUSALS_MAX = 10, COMMIT_MS_MAX = 2000, HOLD_MS_MAX = 300,
       DISK_BYTES = 1 << 30, TAPE_BYTES = 1 << 20 };

struct simulation {
    struct life *life;
    struct simulation_counts *counts;
    struct simulation_groups groups;
};

static uint64_t drawn(struct simulation *own, uint64_t bound)
{
    return sim_world_random(own->life->world, bound);
}

static void simulation_begin(struct simulation *own, uint64_t seed,
                             const struct simulation_options *options)
{
    const bool upbit = seed % 4 == 3;
    struct life *life = life_create(seed, 1 + (uint32_t)(seed % 3 != 0), upbit ? 25 * MS : 50 * MS);
    own->life = life;
    life->upbit = upbit;
    life->tls = seed % 5 == 2 && market_tls_begin(life->peer);
    life->seals = true;
    life->may_refuse = true;
    life->tape_age_ns = 20 * SECOND;
    // Long: the ledger is due while rows of its keys are still in memory.
    life->commit_ns = drawn(own, 4) == 0 ? (int64_t)(1 + drawn(own, COMMIT_MS_MAX)) * MS : 0;
    life->named = drawn(own, 2) == 0;
    sim_world_faults(life->world)->torn_sector = 500000;
    sim_world_faults(life->world)->resolve_rotated = drawn(own, 2) == 0;
    if (drawn(own, 4) == 0) // a day ends, and is closed
        sim_world_step_clock(life->world, 24 * LIMIT_HOUR_NS -
                                              (int64_t)(30 + drawn(own, 270)) * SECOND);
    own->groups = (struct simulation_groups){.disk = drawn(own, 3) != 0,
                                             .clock = drawn(own, 4) == 0,
                                             .rot = drawn(own, 8) == 0,
                                             .tls = life->tls};
    if (options->log) life->log.file = 2;
    if (!upbit && drawn(own, 6) == 0)
        life->keep = life_keep_create((int64_t)(16 + drawn(own, 64)) << 10);
    life->guarded = life->keep != NULL || drawn(own, 2) == 0;
    if (drawn(own, 4) == 0) return; // without a mirror
    life->broker = calloc(1, sizeof *life->broker);
    life->broker->world = life->world;
    own->groups.refusing = drawn(own, 4) == 0;
}

// Symbols that the exchange does not name any more, and of these some that it does not know.
static void simulation_delist(struct simulation *own)
{
    struct market_faults *faults = &own->life->peer->faults;
    const uint32_t few = 1u << drawn(own, MARKET_SYMBOLS) | 1u << drawn(own, MARKET_SYMBOLS);
    faults->delisted = drawn(own, 3) == 0 ? few : 0;
    faults->unknown = faults->delisted & (uint32_t)drawn(own, 1u << MARKET_SYMBOLS);
}

// Faults and pauses in turn. False: the machine has crashed.
static bool simulation_faults(struct simulation *own, int64_t for_ns)
{
    struct life *life = own->life;
    while (for_ns > 0) {
        const int64_t with_ns = (int64_t)(500 + drawn(own, 8000)) * MS;
        const int64_t without_ns = (int64_t)drawn(own, 6000) * MS;
        if (drawn(own, 8) == 0) simulation_delist(own);
        simulation_fault_begin(life, &own->groups);
        own->counts->episodes++;
        life_run(life, with_ns);
        const bool crashed = sim_world_crashed(life->world);
        simulation_fault_end(life);
        if (crashed) return false;
        life_run(life, without_ns);
        if (sim_world_crashed(life->world)) return false;
        for_ns -= with_ns + without_ns;
    }
    return true;
}

static void simulation_crash(struct simulation *own)
{
    const bool power = drawn(own, 2) == 0;
    life_crash(own->life, power ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    simulation_fault_struck(power ? simulation_power : simulation_kill);
    own->counts->crashes++;
}

// Alerts are deleted at once, where nobody judges them. Not where a disk may be full: then `keep`
// deletes of every channel.
static void simulation_keep(struct simulation *own)
{
    const struct retention_rules keep = {.channel[CHANNEL_ALERT].size_bytes = 1};
    if (own->groups.clock && !own->groups.disk && own->life->keep == NULL)
        keep_store_set_rules(own->life->store, &keep);
}

// With another number of shards. False: the machine crashed before the start was through: one start
// in four, or, where a power cut is to come, two in three.
static bool simulation_start(struct simulation *own, bool cut)
{
    struct life *life = own->life;
    life->shards = 1 + (uint32_t)drawn(own, LIFE_SHARDS_MAX);
    life->start_crash = cut || drawn(own, 2) == 0 ? SIM_CRASH_POWER : SIM_CRASH_KILL;
    life->connects = drawn(own, 4) == 0 ? 1 + (uint32_t)drawn(own, 8) : 0;
    life->candles_late_ns = drawn(own, 2) == 0 ? (int64_t)drawn(own, 8000) * MS : 0;
    if (cut ? drawn(own, 3) != 0 : drawn(own, 4) == 0)
        sim_world_crash_at(life->world, sim_world_operations(life->world) + 1 +
                                            drawn(own, START_OPERATIONS));
    struct sim_faults *faults = sim_world_faults(life->world);
    if (own->groups.disk && drawn(own, 4) == 0)
        faults->read_flipped = faults->read_misplaced = START_MISREADS_PPM;
    bool started = life_start(life);
    for (int i = 0; life->refused; i++) { // as a service manager does
        cr_assert_lt(i, START_REFUSALS_MAX);
        life_run(life, SECOND);
        started = life_start(life);
    }
    started = started && !sim_world_crashed(life->world);
    faults->read_flipped = faults->read_misplaced = 0;
    if (started) {
        sim_world_crash_at(life->world, 0);
        simulation_keep(own);
        return true;
    }
    simulation_crash(own);
    simulation_fault_struck(simulation_start_crash);
    return false;
}

// Until one of the drawn arrows is taken, or so long; the machine may crash.
static void simulation_until_arrow(struct simulation *own, enum simulation_aim aim, int64_t for_ns)
{
    struct sim_world *world = own->life->world;
    const int64_t end_ns = sim_world_monotonic_ns(world) + for_ns;
    simulation_arrow_await(aim, drawn(own, UINT32_MAX));
    while (!simulation_arrow_came() && sim_world_monotonic_ns(world) < end_ns &&
           sim_world_step(world))
        continue;
}

// A stop at a moment of which the network, the exchange and the broker may be at their worst.
static void simulation_stop(struct simulation *own, int64_t within_ns)
{
    struct life *life = own->life;
    const bool faulty = drawn(own, 2) == 0;
    if (faulty) simulation_fault_begin(life, &(struct simulation_groups){0});
    if (drawn(own, 3) == 0) life_reload(life);
    if (life->commit_ns > 0 && drawn(own, 3) == 0) // the rows of a ledger are long in memory
        simulation_until_arrow(own, SIMULATION_AIM_TAKEN, 65 * SECOND);
    else
        simulation_until_arrow(own, drawn(own, 2) == 0 ? SIMULATION_AIM_BRIEF
                                                       : SIMULATION_AIM_ANY,
                               (int64_t)drawn(own, (uint64_t)(within_ns / MS)) * MS);
    life_stop(life);
    if (faulty) simulation_fault_end(life);
    own->counts->stops++;
}

// The tape has failed, and there is no room for another when its spare is thrown away: rows wait in
// memory, and no ledger may tell of them. A crash right behind a ledger that does.
static void simulation_starve(struct simulation *own)
{
    struct life *life = own->life;
    const int64_t used = DISK_BYTES - io_free_bytes(life->peer_io, "/data");
    sim_disk_capacity(life->world, used - TAPE_BYTES / 2);
    sim_world_faults(life->world)->write_error = 1000000;
    life_run(life, 100 * MS);
    sim_world_faults(life->world)->write_error = 0;
    simulation_until_arrow(own, SIMULATION_AIM_LEDGER, 65 * SECOND);
    sim_disk_capacity(life->world, DISK_BYTES);
}

// A crash with writes under way: of a killed process they are seen at the next start, and are not
// durable.
static void simulation_hold(struct simulation *own)
{
    struct sim_faults *faults = sim_world_faults(own->life->world);
    faults->slow_disk = 1000000;
    life_run(own->life, (int64_t)(1 + drawn(own, HOLD_MS_MAX)) * MS);
    faults->slow_disk = 0;
}

// At a crash right behind an arrow, or a few operations of the disk behind one that writes; on a
// disk that is slow now and then what was begun later may be durable first.
static void simulation_aim(struct simulation *own)
{
    struct sim_world *world = own->life->world;
    struct sim_faults *faults = sim_world_faults(world);
    if (own->groups.disk && drawn(own, 4) == 0) {
        simulation_starve(own);
        return;
    }
    if (own->groups.disk && drawn(own, 4) == 0) {
        simulation_hold(own);
        return;
    }
    if (drawn(own, 3) == 0) {
        simulation_until_arrow(own, SIMULATION_AIM_ANY, 10 * SECOND);
        return;
    }
    if (own->groups.disk && drawn(own, 2) == 0) faults->slow_disk = 200000;
    simulation_until_arrow(own, SIMULATION_AIM_DISK, 60 * SECOND);
    sim_world_crash_at(world, sim_world_operations(world) + 1 + drawn(own, AIM_OPERATIONS));
    life_run(own->life, SECOND);
    faults->slow_disk = 0;
}

// Stopped as soon as it is there.
static void simulation_brief_sitting(struct simulation *own)
{
    if (!simulation_start(own, false)) return;
    simulation_stop(own, 10 * SECOND);
}

// Without power as soon as it is there again: what a killed process left unsynced is lost with it.
// Half of them within a few operations of the disk, before the sealer has made segments of that;
// nearly all, where a kill was aimed.
static void simulation_relapse(struct simulation *own, bool aimed)
{
    if (!simulation_start(own, aimed)) return;
    struct sim_world *world = own->life->world;
    if (drawn(own, aimed ? 8 : 2) != 1)
        sim_world_crash_at(world, sim_world_operations(world) + 1 + drawn(own, AIM_OPERATIONS));
    life_run(own->life, (int64_t)drawn(own, 2000) * MS);
    life_crash(own->life, SIM_CRASH_POWER);
    simulation_fault_struck(simulation_power);
    own->counts->crashes++;
}

// From a start to a stop, a kill at any time, or before any operation of the disk.
static void simulation_sitting(struct simulation *own, int64_t for_ns)
{
    struct life *life = own->life;
    simulation_delist(own);
    if (drawn(own, 3) == 0) simulation_brief_sitting(own);
    if (!simulation_start(own, false)) return;
    const uint64_t ending = own->counts->crashes < CRASHES_LEAST ? 1 + drawn(own, 3)
                                                                 : drawn(own, 4);
    if (ending == 1)
        sim_world_crash_at(life->world, sim_world_operations(life->world) + 1 +
                                            drawn(own, (uint64_t)(for_ns / (10 * MS))));
    if (drawn(own, 4) != 0) life_run(life, (int64_t)drawn(own, 3000) * MS);
    if (!sim_world_crashed(life->world)) (void)simulation_faults(own, for_ns);
    const bool aimed = ending == 2 && !sim_world_crashed(life->world);
    if (aimed) simulation_aim(own);
    if (ending > 0 || sim_world_crashed(life->world)) {
        simulation_crash(own);
        if (aimed || drawn(own, 2) == 0) simulation_relapse(own, aimed);
    } else {
        life_run(life, 5 * SECOND); // a disk that was full has room again
        simulation_stop(own, 30 * SECOND);
    }
    life_run(life, (int64_t)drawn(own, 3000) * MS);
}

// Long enough for channels to pause one after the other, and to come back.
static void simulation_full_disk(struct simulation *own)
{
    sim_disk_capacity(own->life->world, 1 << 20);
    life_run(own->life, 60 * SECOND);
    sim_disk_capacity(own->life->world, DISK_BYTES);
    life_run(own->life, 60 * SECOND);
}

static uint64_t rest_failures(const struct life *life)
{
    uint64_t failures = shard_counters(life->shard).rest_failures;
    for (uint32_t i = 1; i < life->shards; i++)
        failures += shard_counters(life->other[i - 1]).rest_failures;
    return failures;
}

// Nothing fails any more, audits come round twice, the mirror catches up. The exchange goes on to
// close connections of REST behind an answer, as any does: no question fails for that.
static void simulation_calm(struct simulation *own)
{
    struct life *life = own->life;
    life->shards = 1 + (uint32_t)drawn(own, LIFE_SHARDS_MAX);
    life->connects = 0;
    life->peer->faults = (struct market_faults){.closed = 50000};
    cr_assert(life_start(life));
    life_run(life, 5 * SECOND);
    simulation_outage(life, true); // links come up again, by whatever address is there
    life_run(life, 2 * SECOND);
    simulation_outage(life, false);
    if (own->groups.disk) simulation_full_disk(own);
    life_run(life, 30 * SECOND);
    life->live_from_ns = io_utc_ns(life->peer_io);
    life_run(life, 10 * SECOND);
    life->peer->stopped = true;
    const uint64_t failures = rest_failures(life);
    life_run(life, 160 * SECOND);
    cr_assert_eq(rest_failures(life), failures, "questions failed though nothing did");
    for (int i = 0; life->broker != NULL && !life_mirror_idle(life); i++) {
        cr_assert_lt(i, 300, "the mirror does not catch up");
        if (own->groups.refusing && i % 20 == 0) life_mirror_retry(life);
        life_run(life, SECOND);
    }
    life_stop(life);
}

// What lay on a sector that is bad for good may be lost, if it is told: trades, and rows that list
// or take back; candles and the order in Kafka are of what was there before.
static void simulation_judge_rot(struct simulation *own, const struct life_result *result,
                                 uint32_t aside)
{
    const uint64_t told = simulation_rows_told_lost(own->life, aside) + result->unreadable;
    cr_assert(own->groups.clock || own->life->keep != NULL || result->rows_lost <= told,
              "%llu rows were durable and are not there; %llu told as damaged",
              (unsigned long long)result->rows_lost, (unsigned long long)told);
    cr_assert_eq(result->wrong, result->stale, "%llu not as sent",
                 (unsigned long long)(result->wrong - result->stale));
    cr_assert_leq(result->rows_missing, told,
                  "%llu neither stored nor listed, %llu still listed, %llu rows at least; "
                  "%llu told as damaged",
                  (unsigned long long)result->missing, (unsigned long long)result->stale,
                  (unsigned long long)result->rows_missing, (unsigned long long)told);
    own->counts->listed += result->missing;
}

static void simulation_judge(struct simulation *own)
{
    struct life *life = own->life;
    const uint32_t aside = life->rots > 0 ? simulation_tapes_aside(life) : 0;
    const struct life_result result = life->upbit ? life_judge_upbit(life) : life_judge(life);
    own->counts->stored = result.stored;
    own->counts->listed = result.listed;
    const uint64_t was_stored = result.stored + (life->keep != NULL ? life->keep->gone : 0);
    cr_assert_gt(was_stored, 1000, "too little to mean anything: %llu",
                 (unsigned long long)was_stored);
    cr_assert_eq(result.duplicated, 0, "%llu stored twice", (unsigned long long)result.duplicated);
    cr_assert_eq(result.not_live, 0, "%llu not by a link though nothing failed",
                 (unsigned long long)result.not_live);
    cr_assert_eq(result.depth_twice, 0, "%llu updates of depth stored twice",
                 (unsigned long long)result.depth_twice);
    cr_assert_eq(result.depth_wrong, 0, "%llu books", (unsigned long long)result.depth_wrong);
    if (life->rots > 0) {
        simulation_judge_rot(own, &result, aside);
        return;
    }
    // What was deleted was durable; where a clock steps back nobody knows the sitting of a row.
    cr_assert(life->keep != NULL || own->groups.clock || result.rows_lost == 0,
              "%llu rows were durable and are not there", (unsigned long long)result.rows_lost);
    cr_assert_eq(result.wrong, 0, "%llu not as sent, or listed though stored",
                 (unsigned long long)result.wrong);
    cr_assert_eq(result.books_short, 0, "%llu books are not live",
                 (unsigned long long)result.books_short);
    cr_assert_eq(result.missing, 0, "%llu neither stored nor listed",
                 (unsigned long long)result.missing);
    cr_assert_eq(result.depth_unlisted, 0, "%llu gaps of depth",
                 (unsigned long long)result.depth_unlisted);
    // A start after trades were deleted counts what is left of their candles, as do alerts.
    const bool deleted = life->keep != NULL && life->keep->count > 0;
    cr_assert(deleted || result.candles_wrong == 0, "%llu of %llu candles",
                 (unsigned long long)result.candles_wrong, (unsigned long long)result.candles);
    const bool again = !own->groups.disk && !own->groups.clock && !deleted;
    cr_assert(!again || result.alerts_wrong == 0, "%llu of %llu alerts",
                 (unsigned long long)result.alerts_wrong, (unsigned long long)result.alerts);
    cr_assert_eq(result.given_up, 0, "%llu lost that REST would have told",
                 (unsigned long long)result.given_up);
    if (life->broker != NULL) {
        own->counts->delivered = life->broker->count;
        simulation_judge_kafka(life, &own->groups);
    }
}

void simulation_run(uint64_t seed, const struct simulation_options *options,
                    struct simulation_counts *counts)
{
    struct simulation own = {.counts = counts};
    *counts = (struct simulation_counts){0};
    simulation_begin(&own, seed, options);
    const int64_t end_ns = options->minutes * LIMIT_MINUTE_NS;
    for (int i = 0; i < SITTINGS_LEAST || sim_world_monotonic_ns(own.life->world) < end_ns; i++)
        simulation_sitting(&own, (int64_t)(20 + drawn(&own, 150)) * SECOND * options->minutes / 10);
    simulation_calm(&own);
    for (uint32_t s = 0; s < MARKET_SYMBOLS; s++)
        counts->events += own.life->peer->symbols[s].count * (own.life->upbit ? 1 : 2);
    for (uint32_t i = 0; own.life->keep != NULL && i < own.life->keep->count; i++)
        simulation_fault_struck(simulation_deleted);
    counts->virtual_ns = sim_world_monotonic_ns(own.life->world);
    counts->hash = sim_world_hash(own.life->world);
    simulation_fault_hits(own.life, counts);
    simulation_arrows_taken(counts->arrows);
    simulation_judge(&own);
    free(own.life->broker);
    life_destroy(own.life);
}
