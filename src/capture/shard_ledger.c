// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_ledger: the shard's part of the ledger. Contract: what the file says is on stable storage.
//
//     IDLE ──a minute, or the end──→ TAKEN ──all rows up to then durable──→ WRITING ──→ IDLE
//                                      └──the end: taken anew, TAKEN
//
// The text is made in one go: about 1 ms for 10,000 keys. A file that cannot be written is tried
// again a minute later; the old one stands, and more rows are read at the next start.
#include "capture/shard_parts.h"

#include "base/transition.h"
#include "format/ensure.h"
#include <string.h>

static void ledger_enter(struct shard_ledger *ledger, enum shard_ledger_state state)
{
    transition(TRANSITION_LEDGER, ledger->state, state);
    ledger->state = state;
}

int shard_ledger_open(struct shard *shard)
{
    struct shard_ledger *ledger = &shard->ledger;
    if (shard->options.recall == NULL) return 0;
    ledger->tapes[0] = (struct shard_ledger_tape){shard->options.recall->since_ns,
                                                  shard->options.recall->tape};
    ledger->tape_count = 1;
    ledger->due_ns = io_monotonic_ns(shard->io) + SHARD_LEDGER_NS;
    return keep_ledger_open(&ledger->writer, shard->io, shard->options.store,
                            (int)shard->options.index);
}

void shard_ledger_close(struct shard *shard)
{
    if (shard->ledger.writer != NULL) keep_ledger_close(shard->ledger.writer);
    shard->ledger.writer = NULL;
}

// Since when windows need the rows: a minute at least.
static int64_t ledger_needed_ns(const struct shard *shard, int64_t now_ns)
{
    return arbiter_needed_ns(&shard->intake.arbiter, now_ns - SHARD_LEDGER_NS);
}

// The newest of the remembered tapes that began before it is needed; the newest is remembered.
static struct shard_ledger_tape ledger_tape(struct shard *shard, int64_t now_ns, uint32_t tape)
{
    struct shard_ledger *ledger = &shard->ledger;
    int64_t needed_ns = ledger_needed_ns(shard, now_ns);
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < ledger->tape_count; i++) {
        if (ledger->tapes[i].since_ns <= needed_ns) chosen = i;
    }
    struct shard_ledger_tape found = ledger->tapes[chosen];
    // Older ones are needed no more; where there are too many the oldest stays.
    uint32_t from = chosen;
    if (ledger->tape_count - from == SHARD_LEDGER_TAPES) {
        memmove(&ledger->tapes[1], &ledger->tapes[2],
                (SHARD_LEDGER_TAPES - 2) * sizeof ledger->tapes[0]);
        ledger->tape_count--;
        from = 0;
    }
    ledger->tape_count -= from;
    memmove(ledger->tapes, ledger->tapes + from, ledger->tape_count * sizeof ledger->tapes[0]);
    if (tape != 0)
        ledger->tapes[ledger->tape_count++] = (struct shard_ledger_tape){now_ns, tape};
    return found;
}

static void ledger_take(struct shard *shard)
{
    struct shard_ledger *ledger = &shard->ledger;
    const struct arbiter *arbiter = &shard->intake.arbiter;
    struct tape_writer_counters tape = tape_writer_counters(shard->writer);
    struct ledger *content = keep_ledger_content(ledger->writer);
    int64_t now_ns = io_utc_ns(shard->io);
    struct shard_ledger_tape from = ledger_tape(shard, now_ns, tape.tape);
    ledger_clear(content);
    content->generation = shard->options.recall->generation;
    content->shards = 1;
    content->tape = from.tape;
    content->since_ns = from.since_ns;
    content->time_ns = now_ns;
    bool whole = true;
    for (uint32_t i = 0; whole && i < arbiter->key_count; i++) {
        const struct arbiter_key *key = &arbiter->keys[i];
        if (!key->coverage.started && !key->closed) continue; // nothing has come yet
        whole = arbiter_save(arbiter, i, symbols_name(shard->symbols, key->symbol)->text, content);
    }
    if (!whole) return; // the old file stands
    keep_ledger_take(ledger->writer);
    ledger->rows = tape.rows;
    ledger_enter(ledger, SHARD_LEDGER_TAKEN);
}

static void ledger_written(void *context, int result)
{
    struct shard *shard = context;
    struct shard_ledger *ledger = &shard->ledger;
    ensure(ledger->state == SHARD_LEDGER_WRITING);
    ledger_enter(ledger, SHARD_LEDGER_IDLE);
    if (result == 0) return;
    log_write(shard->options.log, LOG_LEDGER_UNWRITTEN, io_utc_ns(shard->io),
              "shard=%u cause=\"%s\"", shard->options.index, strerror(-result));
}

void shard_ledger_tick(struct shard *shard)
{
    struct shard_ledger *ledger = &shard->ledger;
    if (ledger->writer == NULL) return;
    if (ledger->state == SHARD_LEDGER_IDLE && io_monotonic_ns(shard->io) >= ledger->due_ns) {
        ledger->due_ns = io_monotonic_ns(shard->io) + SHARD_LEDGER_NS;
        ledger_take(shard);
    }
    if (ledger->state != SHARD_LEDGER_TAKEN) return;
    struct tape_writer_counters tape = tape_writer_counters(shard->writer);
    if (tape.rows_durable < ledger->rows) return;
    ledger_enter(ledger, SHARD_LEDGER_WRITING);
    keep_ledger_write(ledger->writer, ledger_written, shard);
}

bool shard_ledger_end(struct shard *shard, bool durable)
{
    struct shard_ledger *ledger = &shard->ledger;
    if (ledger->writer == NULL || ledger->ended) return ledger->state != SHARD_LEDGER_WRITING;
    if (ledger->state == SHARD_LEDGER_WRITING) return false;
    ledger->ended = true;
    if (!durable) return true; // the rows will tell
    ledger_take(shard);
    if (ledger->state != SHARD_LEDGER_TAKEN) return true;
    ledger_enter(ledger, SHARD_LEDGER_WRITING);
    keep_ledger_write(ledger->writer, ledger_written, shard);
    return false;
}
