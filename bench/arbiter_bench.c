// SPDX-License-Identifier: GPL-3.0-or-later
//
// What does the arbiter cost an event? The question of the shard's budget (20 ns of 250) and of the
// promise of 50 million events a second and core. Bound: one or two cache lines a key.
//
// Trades of 1 and of 500 symbols over one link, and over two that bring everything twice; median of
// 21 samples of CPU time. The last line says whether exactly the first of each id was taken.
// --smoke: one short sample of each.
#include "bench/times.h"
#include "capture/arbiter.h"
#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 21, SYMBOLS_MAX = 500 };

static bool good = true;
static struct arbiter arbiter;
static struct arbiter_link links[2] = {{.number = 1}, {.number = 2, .copy = 1}};

static void nothing_told(void *context, const struct arbiter_news *news)
{
    (void)context;
    (void)news;
}

static void nothing_released(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

// Judges `rounds` ids of each symbol; ns an event.
static double sample(uint32_t symbols, uint32_t copies, int64_t from, int64_t rounds)
{
    static struct event event;
    uint64_t taken = 0;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, TRADE_TIME, 1700000000000000000);
    double begin = times_cpu_ns();
    for (int64_t id = from; id < from + rounds; id++) {
        event.value[TRADE_ID] = id;
        for (uint32_t i = 0; i < symbols; i++) {
            event.symbol = i * 7919 % symbols;
            for (uint32_t copy = 0; copy < copies; copy++)
                taken += arbiter_judge(&arbiter, &event, &links[copy],
                                       (struct arbiter_now){id, id}) == ARBITER_NEW;
        }
    }
    double cost = (times_cpu_ns() - begin) / (double)(rounds * symbols * copies);
    good = good && taken == (uint64_t)rounds * symbols;
    return cost;
}

static void report(const char *name, uint32_t symbols, uint32_t copies, bool smoke)
{
    double costs[SAMPLES];
    uint32_t samples = smoke ? 1 : SAMPLES;
    int64_t rounds = (smoke ? 100000 : 4000000) / symbols;
    ensure(arbiter_open(&arbiter, nothing_told, nothing_released, NULL) == 0);
    for (uint32_t i = 0; i < symbols; i++)
        (void)arbiter_key_open(&arbiter, i, CHANNEL_TRADE, ARBITER_SEQUENCE);
    for (uint32_t i = 0; i < samples; i++)
        costs[i] = sample(symbols, copies, 1 + i * rounds, rounds);
    arbiter_close(&arbiter);
    qsort(costs, samples, sizeof *costs, times_compare);
    double median = costs[samples / 2];
    (void)fprintf(stderr, "%-28s %8.1f ns  %8.1f M events/s\n", name, median, 1e3 / median);
    (void)printf("{\"bench\":\"arbiter\",\"case\":\"%s\",\"metric\":\"events_per_second\","
                 "\"value\":%.0f,\"unit\":\"1/s\",\"spread\":%.3f,\"peer\":null}\n",
                 name, 1e9 / median, (costs[samples - 1] - costs[0]) / median);
}

int main(int count, char **arguments)
{
    bool smoke = count > 1 && strcmp(arguments[1], "--smoke") == 0;
    report("one_symbol", 1, 1, smoke);
    report("symbols_500", SYMBOLS_MAX, 1, smoke);
    report("symbols_500_copies_2", SYMBOLS_MAX, 2, smoke);
    (void)printf("{\"bench\":\"arbiter\",\"metric\":\"ok\",\"value\":%s}\n",
                 good ? "true" : "false");
    return good ? 0 : 1;
}
