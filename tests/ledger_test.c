// SPDX-License-Identifier: GPL-3.0-or-later
//
// The ledger's text: what is written comes back; every cut and every flipped bit is refused.
#include "format/ledger.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct ledger made, read;

static size_t write_sample(char *text, size_t size)
{
    cr_assert_eq(ledger_init(&made), 0);
    cr_assert_eq(ledger_init(&read), 0);
    made.generation = 7;
    made.shards = 2;
    made.tape = 41;
    made.since_ns = 17;
    made.time_ns = INT64_MAX;
    struct ledger_key *key = ledger_add_key(&made);
    strcpy(key->symbol, "binance:BTCUSDT");
    key->channel = CHANNEL_TRADE;
    key->first = 1;
    key->last = 9;
    key->proven = 9;
    key->live = key->unlisted = key->ended_lost = true;
    key->ended = 9;
    key->ended_ns = 900;
    const struct ledger_hole hole = {4, 5, 100, 200, 300, COVERAGE_AUDIT};
    cr_assert(ledger_add_hole(&made, &hole));
    key = ledger_add_key(&made);
    strcpy(key->symbol, "upbit:KRW-BTC");
    key->channel = CHANNEL_TRADE;
    key->times = true;
    const struct ledger_hole endless = {-4, INT64_MAX, 0, 0, 0, COVERAGE_STOPPED};
    cr_assert(ledger_add_hole(&made, &endless));
    key = ledger_add_key(&made);
    strcpy(key->symbol, "binance:OLD");
    key->channel = CHANNEL_DEPTH;
    key->gone = true;
    return ledger_write(&made, text, size);
}

Test(ledger, comes_back_as_it_was)
{
    static char text[4096], again[4096];
    size_t size = write_sample(text, sizeof text);
    cr_assert_gt(size, 100);
    cr_assert_eq(ledger_parse(&read, text, size), 0);
    cr_assert_eq(read.key_count, 3);
    cr_assert_eq(read.holes[read.keys[1].hole_first].last, INT64_MAX);
    cr_assert(read.keys[2].gone && read.keys[1].times && read.keys[0].live);
    cr_assert(read.keys[0].unlisted && !read.keys[1].unlisted);
    cr_assert(read.keys[0].ended_lost && !read.keys[1].ended_lost);
    cr_assert(read.keys[0].ended == 9 && read.keys[0].ended_ns == 900);
    cr_assert_eq(ledger_write(&read, again, sizeof again), size);
    cr_assert_eq(memcmp(text, again, size), 0);
    cr_assert_eq(ledger_write(&read, again, 10), 0, "no room is told");
}

Test(ledger, damage_is_found)
{
    static char text[4096], bad[4096];
    size_t size = write_sample(text, sizeof text);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(ledger_parse(&read, text, cut), -EBADMSG, "cut at %zu", cut);
    for (size_t at = 0; at < size; at++) {
        memcpy(bad, text, size);
        bad[at] ^= 1;
        cr_assert_eq(ledger_parse(&read, bad, size), -EBADMSG, "byte %zu", at);
        cr_assert_eq(read.key_count, 0);
    }
}
