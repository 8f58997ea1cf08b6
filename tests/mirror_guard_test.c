// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: sealing a store while no daemon has it (`ringtaped --seal`) leaves a mirror that is behind
// what it needs, and keeps nothing that it does not need. Method: a simulated recorder with a
// mirror stops, its store is sealed apart, it starts again.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "control/seal.h"
#include "format/catalogue.h"
#include "format/mirror_state.h"
#include "mirror_life.h"

static struct mirror_life life;
static struct mirror_state state, again;
static char text[MIRROR_STATE_BYTES_MAX];

static uint32_t tapes_there(void)
{
    uint32_t there = 0;
    for (uint32_t tape = 1; tape < 200; tape++) {
        char path[64];
        (void)snprintf(path, sizeof path, "store/tape/%08u.tape", tape);
        there += sim_disk_size(life.world, path) >= 0;
    }
    return there;
}

// Segments of several tapes, up to tape `last` or later.
static uint32_t merged_segments(uint32_t last)
{
    const struct catalogue *catalogue = keep_store_catalogue(life.store);
    uint32_t merged = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++)
        merged += catalogue->segments[i].tape_first != catalogue->segments[i].tape_last &&
                  catalogue->segments[i].tape_last >= last;
    return merged;
}

static uint32_t trades(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < life.broker.count; i++)
        count += life.broker.log[i].channel == CHANNEL_TRADE;
    return count;
}

static void begin(uint64_t seed, uint32_t shards)
{
    mirror_life_begin(&life, seed);
    life.tape_bytes = 16 << 10;
    cr_assert(mirror_life_start(&life, shards));
    cr_assert(mirror_life_work(&life, 300));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
}

static void end(void)
{
    cr_assert(mirror_life_check(&life), "%s", life.why);
    cr_assert(mirror_life_stop(&life));
    mirror_life_end(&life);
}

Test(mirror_guard, tapes_that_are_not_sent_stay_and_are_not_merged)
{
    begin(1, 2);
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 2000));
    cr_assert(mirror_life_stop(&life));
    uint32_t sent = trades();
    uint32_t tapes = tapes_there();
    cr_assert_gt(tapes, 5);
    cr_assert_eq(seal_store("store"), 0);
    cr_assert_geq(tapes_there() + 2, tapes, "but those sent");
    cr_assert_gt(tapes_there(), 3);
    life.broker.down = false;
    cr_assert(mirror_life_start(&life, 2));
    cr_assert_leq(merged_segments(0), 1, "but those sent");
    cr_assert(mirror_life_work(&life, 50));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_counters(life.mirror).from_segments, 0);
    cr_assert_eq(mirror_counters(life.mirror).rows_lost, 0);
    cr_assert_eq(trades(), 2350, "each once: %u after %u", trades(), sent);
    end();
}

Test(mirror_guard, what_is_sent_goes)
{
    begin(2, 2);
    cr_assert(mirror_life_work(&life, 2000));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert(mirror_life_stop(&life));
    cr_assert_gt(tapes_there(), 5);
    cr_assert_eq(seal_store("store"), 0);
    cr_assert_eq(tapes_there(), 2, "those that the cursors are on");
    cr_assert(mirror_life_start(&life, 2));
    cr_assert_gt(merged_segments(0), 0);
    cr_assert(mirror_life_work(&life, 50));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(trades(), 2350, "each once: %u", trades());
    end();
}

// What a crash left: nobody knows yet how far the mirror really is.
Test(mirror_guard, the_tapes_of_a_crash_stay)
{
    begin(3, 2);
    mirror_life_crash(&life, SIM_CRASH_KILL);
    cr_assert_eq(seal_store("store"), 0);
    cr_assert_geq(tapes_there(), 2);
    cr_assert(mirror_life_start(&life, 1));
    cr_assert(mirror_life_work(&life, 50));
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_eq(mirror_counters(life.mirror).from_segments, 0);
    end();
}

// A tape went for want of room, and the mirror is among the rows of its segments.
Test(mirror_guard, segments_that_are_read_instead_of_a_tape_stay_as_they_are)
{
    mirror_life_begin(&life, 4);
    life.tape_bytes = 16 << 10;
    life.seals = life.keeps_tapes = true;
    cr_assert(mirror_life_start(&life, 1));
    life.broker.down = true;
    cr_assert(mirror_life_work(&life, 3000));
    cr_assert(mirror_life_run(&life, 3000000000));
    cr_assert_gt(mirror_life_lose_tapes(&life), 0);
    life.broker.down = false;
    for (int i = 0; i < 100000 && trades() < 1400; i++) cr_assert(mirror_life_run(&life, 20000));
    life.broker.down = true;
    cr_assert(mirror_life_stop(&life));
    cr_assert_lt(trades(), 2500);
    int64_t size = sim_disk_read(life.world, "store/mirror/state", text, sizeof text, 0);
    cr_assert_eq(mirror_state_parse(&state, text, (size_t)size), 0);
    cr_assert_geq(state.cursor[CHANNEL_TRADE][0].rows, MIRROR_STATE_REMADE_ROW);
    cr_assert_eq(seal_store("store"), 0);
    life.broker.down = false;
    cr_assert(mirror_life_start(&life, 1));
    cr_assert_eq(merged_segments(state.cursor[CHANNEL_TRADE][0].tape), 0);
    cr_assert(mirror_life_settle(&life), "%s", life.why);
    cr_assert_gt(mirror_counters(life.mirror).from_segments, 0);
    cr_assert_leq(trades(), 3000 + 700, "%u came, a tape of them again at most", trades());
    end();
}

Test(mirror_guard, a_damaged_state_seals_nothing)
{
    begin(6, 1);
    cr_assert(mirror_life_stop(&life));
    uint32_t tapes = tapes_there();
    sim_disk_write(life.world, "store/mirror/state", "damage", 6, 20);
    cr_assert_neq(seal_store("store"), 0);
    cr_assert_eq(tapes_there(), tapes);
    mirror_life_end(&life);
}

// ---- the state alone ----

Test(mirror_guard, a_topic_without_a_cursor_is_told)
{
    state.topics = 1u << CHANNEL_TRADE | 1u << CHANNEL_DEPTH | 1u << CHANNEL_NONE;
    state.cursor[CHANNEL_TRADE][3] = (struct mirror_cursor){9, 50};
    state.cursor[CHANNEL_QUOTE][3] = (struct mirror_cursor){4, 7};
    size_t size = mirror_state_write(&state, text);
    cr_assert_eq(mirror_state_parse(&again, text, size), 0);
    cr_assert_eq(memcmp(&again, &state, sizeof state), 0);
    cr_assert_eq(mirror_state_topics(&again), state.topics);
    cr_assert_not(mirror_state_past(&again, state.topics, 3, 8), "depth has delivered nothing");
    cr_assert(mirror_state_past(&again, 1u << CHANNEL_TRADE, 3, 8));
    cr_assert_not(mirror_state_past(&again, 1u << CHANNEL_TRADE, 3, 9));
    cr_assert_not(mirror_state_past(&again, 1u << CHANNEL_TRADE, 2, 8));
    cr_assert_eq(mirror_state_reach(&again, CHANNEL_TRADE, 3, 9), 50);
    cr_assert_eq(mirror_state_reach(&again, CHANNEL_TRADE, 3, 10), 0);
    again.topics = 0; // as before minor 2
    cr_assert_eq(mirror_state_topics(&again), 1u << CHANNEL_TRADE | 1u << CHANNEL_QUOTE);
}
