// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_counters: what --print-counters prints, one JSON line. Its fields: docs/operating.md.
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "control/process.h"

static struct shard_counters control_sum(const struct control *control)
{
    struct shard_counters sum = {0};
    for (uint32_t i = 0; i < control->shard_count; i++) {
        struct shard_counters one = shard_counters(control->shards[i].shard);
        const uint64_t *from = (const uint64_t *)&one;
        uint64_t *to = (uint64_t *)&sum;
        for (size_t word = 0; word < sizeof sum / sizeof *to; word++) to[word] += from[word];
    }
    return sum;
}

void control_print(struct control *control)
{
    struct shard_counters sum = control_sum(control);
    struct mirror_counters mirror = control_kafka_counters(&control->kafka);
    struct sealer_counters sealed;
    const uint64_t *from = (const uint64_t *)(const void *)&control->sealer.published;
    uint64_t words[sizeof sealed / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof sealed / sizeof *from; i++)
        words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    memcpy(&sealed, words, sizeof sealed);
    char time[LOG_TIME_BYTES];
    log_time_format(io_utc_ns(control->io), time);
#define C(value) (unsigned long long)(value)
    (void)printf("{\"time\":\"%s\",\"links\":%llu,\"links_live\":%llu,\"symbols\":%llu,"
                 "\"messages\":%llu,\"bytes\":%llu,\"events\":%llu,\"raw\":%llu,"
                 "\"durable\":%llu,\"refused\":%llu,\"paused\":%llu,"
                 "\"tape_bytes\":%llu,\"connects\":%llu,"
                 "\"downs\":%llu,\"feeds_failed\":%llu,\"copies\":%llu,\"repaired\":%llu,"
                 "\"holes_open\":%llu,\"holes_opened\":%llu,\"holes_lost\":%llu,"
                 "\"rest_requests\":%llu,\"rest_connections\":%llu,"
                 "\"rest_failures\":%llu,\"audits\":%llu,"
                 "\"snapshots\":%llu,\"mutes\":%llu,\"clock_alarms\":%llu,"
                 "\"candles\":%llu,\"candles_late\":%llu,\"alerts\":%llu,"
                 "\"tapes_waiting\":%llu,"
                 "\"tapes_sealed\":%llu,\"tapes_damaged\":%llu,\"rows_sealed\":%llu,"
                 "\"segments\":%llu,\"segments_light\":%llu,"
                 "\"segments_deleted\":%llu,\"segment_bytes\":%llu,\"days_marked\":%llu,"
                 "\"seal_failures\":%llu,"
                 "\"mirrored\":%llu,\"mirror_refused\":%llu,\"mirror_in_flight\":%llu,"
                 "\"mirror_behind\":%llu,\"mirror_stuck\":%llu,\"mirror_lost\":%llu,"
                 "\"mirror_restarts\":%llu,",
                 time, C(sum.links), C(sum.links_live), C(sum.symbols), C(sum.messages),
                 C(sum.bytes), C(sum.events), C(sum.raw), C(sum.durable), C(sum.refused),
                 C(sum.paused), C(sum.tape_bytes), C(sum.connects), C(sum.downs),
                 C(sum.feeds_failed + control->feeds_failed), C(sum.copies), C(sum.repaired),
                 C(sum.holes_open), C(sum.holes_opened), C(sum.holes_lost), C(sum.rest_requests),
                 C(sum.rest_connections), C(sum.rest_failures), C(sum.audits), C(sum.snapshots),
                 C(sum.mutes), C(sum.clock_alarms), C(sum.candles),
                 C(sum.candles_late), C(sum.alerts),
                 C(keep_store_waiting(control->store)), C(sealed.tapes), C(sealed.tapes_damaged),
                 C(sealed.rows), C(sealed.segments), C(sealed.segments_light), C(sealed.deleted),
                 C(sealed.bytes_out), C(sealed.days), C(sealed.failures),
                 C(mirror.delivered), C(mirror.refused), C(mirror.in_flight), C(mirror.behind),
                 C(mirror.stuck), C(mirror.rows_lost), C(mirror.restarts));
    control_sinks_print(&control->sinks);
    control_report_print(&control->report);
    (void)printf("\"rss_bytes\":%llu}\n", C(process_rss_bytes()));
#undef C
    (void)fflush(stdout);
}
