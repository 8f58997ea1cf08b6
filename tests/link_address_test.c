// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which of an exchange's addresses links go to: copies of a subscription to different ones,
// whatever order the name server gives them in, as long as there are enough.
#include "shard_rig.h"

#include "capture/shard_parts.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "exchange.test"
#define SECOND LIMIT_SECOND_NS

static struct rig *address_rig(uint64_t seed, uint32_t addresses, bool rotated)
{
    struct rig *rig = rig_create(seed, 1);
    for (uint32_t i = 0; i < addresses; i++) {
        char text[32];
        // Not in the order in which they sort.
        (void)snprintf(text, sizeof text, "10.0.%u.1", (i * 7 + 3) % 11);
        sim_world_name(rig->world, HOST, text);
    }
    rig->host = HOST;
    sim_world_faults(rig->world)->resolve_rotated = rotated;
    return rig;
}

static const struct link *live_link(const struct rig *rig, uint32_t copy, uint32_t place)
{
    const struct shard *shard = rig->shard[0];
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        if (slot->used && slot->link.state == LINK_LIVE && slot->link.streams.copy == copy &&
            slot->link.streams.place == place)
            return &slot->link;
    }
    cr_assert_fail("copy %u, place %u is not live", copy, place);
    return NULL;
}

static uint32_t different_addresses(const struct rig *rig, uint32_t copies, uint32_t place)
{
    uint32_t different = 0;
    for (uint32_t i = 0; i < copies; i++) {
        bool seen = false;
        const char *text = live_link(rig, i, place)->address_text;
        for (uint32_t j = 0; j < i; j++)
            seen = seen || strcmp(text, live_link(rig, j, place)->address_text) == 0;
        different += !seen;
    }
    return different;
}

Test(link_address, copies_go_to_different_addresses)
{
    for (uint32_t rotated = 0; rotated < 2; rotated++) {
        for (uint32_t addresses = 1; addresses <= 6; addresses++) {
            for (uint32_t copies = 2; copies <= 3; copies++) {
                struct rig *rig = address_rig(addresses, addresses, rotated == 1);
                rig_feed(rig, 1, 0, 5, copies);
                rig_run(rig, 5 * SECOND);
                cr_assert_eq(rig_sum_links(rig), copies);
                uint32_t expected = addresses < copies ? addresses : copies;
                cr_assert_eq(different_addresses(rig, copies, 0), expected,
                             "%u copies, %u addresses, rotated %u", copies, addresses, rotated);
                rig_stop(rig, true);
                rig_destroy(rig);
            }
        }
    }
}

Test(link_address, links_of_many_places_keep_apart_too)
{
    struct rig *rig = address_rig(7, 3, true);
    rig->dialect.streams_max = 4;
    rig_feed(rig, 1, 0, 16, 2);
    rig_run(rig, 10 * SECOND);
    cr_assert_eq(rig_sum_links(rig), 8);
    for (uint32_t place = 0; place < 4; place++)
        cr_assert_eq(different_addresses(rig, 2, place), 2, "place %u", place);
    rig_stop(rig, true);
    rig_destroy(rig);
}

// After any number of losses the copies are apart again.
Test(link_address, links_that_come_back_keep_apart)
{
    struct rig *rig = address_rig(8, 3, true);
    rig_feed(rig, 1, 0, 5, 2);
    rig_run(rig, 5 * SECOND);
    for (uint32_t round = 0; round < 12; round++) {
        struct link *link = (struct link *)live_link(rig, round % 2, 0);
        link_reject(link, "for the test");
        if (round % 3 == 2) link_reject((struct link *)live_link(rig, 1 - round % 2, 0), "too");
        rig_run(rig, 70 * SECOND);
        cr_assert_eq(rig_sum_links(rig), 2, "round %u", round);
        cr_assert_eq(different_addresses(rig, 2, 0), 2, "round %u", round);
    }
    rig_stop(rig, true);
    rig_destroy(rig);
}

// An address that refuses is passed over, even to where a sibling is.
Test(link_address, an_address_that_refuses_is_passed_over)
{
    struct rig *rig = address_rig(9, 2, false);
    rig_feed(rig, 1, 0, 5, 2);
    sim_world_fail(rig->world, IO_CONNECT, 0, -111); // ECONNREFUSED
    rig_run(rig, 5 * SECOND);
    cr_assert_eq(rig_sum_links(rig), 2);
    rig_stop(rig, true);
    rig_destroy(rig);
}
