// SPDX-License-Identifier: GPL-3.0-or-later
//
// To a pipe: one JSON line a message, as the exchange sent it, with the name of its stream:
//
//     {"time_ns":1700000000123456789,"exchange":"binance","stream":"btcusdt@trade","data":{..}}
//
// time_ns is when it was received; --speed spaces the lines as it does messages. Microseconds where
// the exchange has them. A reader that closes the pipe has seen enough.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "tools/replay_options.h"
#include "tools/replay_player.h"
#include "tools/replay_streams.h"
#include "tools/ringtape_command.h"

enum { OUTPUT_BYTES = 1 << 20 };
#define WAIT_MAX_NS ((int64_t)100000000)

struct replay_pipe {
    struct replay_reader *reader;
    struct replay_player player;
    struct exchange_sim_hub hub; // names of streams only
    struct replay_streams streams;
    char *payload;
};

static void pipe_row(struct replay_pipe *pipe, const struct replay_entry *entry)
{
    const struct rows *rows = &pipe->player.slice->rows[entry->channel];
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    if (entry->skipped || replay_streams_name(&pipe->streams, rows, entry->row, name) == 0) return;
    const uint32_t number = rows->symbol[entry->row];
    const struct replay_symbol *symbol = replay_streams_symbol(&pipe->streams, number);
    const struct replay_row row = {
        .exchange = (enum exchange_sim_exchange)symbol->exchange,
        .rows = rows,
        .row = entry->row,
        .symbol = replay_streams_wire(&pipe->streams, number),
        .microseconds = symbol->exchange == EXCHANGE_SIM_BINANCE,
    };
    const uint32_t size = replay_json(&row, pipe->payload);
    if (size == 0) return;
    (void)printf("{\"time_ns\":%" PRId64 ",\"exchange\":\"%s\",\"stream\":\"%s\",\"data\":",
                 entry->due_ns, exchange_sim_exchange_name(row.exchange), name);
    (void)fwrite(pipe->payload, 1, size, stdout);
    (void)fputs("}\n", stdout);
}

static void pipe_wait(int64_t wait_ns)
{
    (void)fflush(stdout);
    if (wait_ns > WAIT_MAX_NS) wait_ns = WAIT_MAX_NS;
    const struct timespec time = {.tv_sec = 0, .tv_nsec = wait_ns};
    (void)nanosleep(&time, NULL);
}

static int pipe_play(struct replay_pipe *pipe)
{
    const struct replay_entry *entry;
    replay_player_start(&pipe->player, ringtape_monotonic_ns());
    while (replay_stop == 0 && !ferror(stdout)) {
        const int64_t now_ns = ringtape_monotonic_ns();
        const int64_t wait_ns = replay_player_next(&pipe->player, now_ns, &entry);
        if (wait_ns == REPLAY_ENDED) break;
        if (wait_ns != 0) {
            pipe_wait(wait_ns == REPLAY_NOT_YET ? WAIT_MAX_NS / 100 : wait_ns);
            continue;
        }
        pipe_row(pipe, entry);
        replay_player_pass(&pipe->player, entry, now_ns);
    }
    if (pipe->player.error != 0)
        return ringtape_fail("the store: %s", ringtape_error_text(pipe->player.error));
    return replay_reader_damages(pipe->reader) > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

int replay_frames(const struct replay_options *options)
{
    static struct replay_pipe pipe;
    static char buffer[OUTPUT_BYTES];
    const struct replay_reader_options reader = {.query = &options->query};
    int code = replay_reader_open(&pipe.reader, &reader);
    if (code != RINGTAPE_EXIT_OK) return code;
    pipe.payload = malloc(REPLAY_JSON_BYTES_MAX);
    if (pipe.payload == NULL || !exchange_sim_hub_open(&pipe.hub, NULL) ||
        !replay_streams_open(&pipe.streams, &pipe.hub, replay_reader_names(pipe.reader)))
        return ringtape_fail("out of memory");
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    replay_player_open(&pipe.player, pipe.reader, options->speed_thousandths, false);
    code = pipe_play(&pipe);
    replay_reader_close(pipe.reader);
    return ringtape_finish_output(code);
}
