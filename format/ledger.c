// SPDX-License-Identifier: Apache-2.0
//
// Text ↔ ledger. The grammar is fixed: one space between words, one line feed a line, the trailer
// last. Whatever deviates is damage. Numbers are written by hand: a shard writes some megabytes of
// them between two messages.
#include "format/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { TRAILER_BYTES = 5 + 16 + 1, HEAD_BYTES_MAX = 256 };

const char *coverage_cause_text(enum coverage_cause cause)
{
    static const char *const texts[] = {"skipped by a live link", "no link was live",
                                        "ringtaped did not run", "found by the audit",
                                        "the tape took no rows"};
    _Static_assert(sizeof texts / sizeof *texts == COVERAGE_CAUSES, "a text each");
    ensure(cause < COVERAGE_CAUSES);
    return texts[cause];
}

int ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){0};
    ledger->keys = malloc(LEDGER_KEYS_MAX * sizeof *ledger->keys);
    ledger->holes = malloc(LEDGER_HOLES_MAX * sizeof *ledger->holes);
    if (ledger->keys && ledger->holes)
        return 0;
    ledger_free(ledger);
    return -ENOMEM;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->keys);
    free(ledger->holes);
    ledger->keys = NULL;
    ledger->holes = NULL;
}

void ledger_clear(struct ledger *ledger)
{
    struct ledger_key *keys = ledger->keys;
    struct ledger_hole *holes = ledger->holes;
    *ledger = (struct ledger){.keys = keys, .holes = holes};
}

struct ledger_key *ledger_add_key(struct ledger *ledger)
{
    if (ledger->key_count == LEDGER_KEYS_MAX)
        return NULL;
    struct ledger_key *key = &ledger->keys[ledger->key_count++];
    *key = (struct ledger_key){.hole_first = ledger->hole_count};
    return key;
}

bool ledger_add_hole(struct ledger *ledger, const struct ledger_hole *hole)
{
    ensure(ledger->key_count > 0 && hole->first <= hole->last);
    if (ledger->hole_count == LEDGER_HOLES_MAX)
        return false;
    ledger->holes[ledger->hole_count++] = *hole;
    ledger->keys[ledger->key_count - 1].hole_count++;
    return true;
}

// ---- writing ----

struct out {
    char *at;
    const char *end;
};

static void put_text(struct out *out, const char *text)
{
    size_t size = strlen(text);
    ensure(size <= (size_t)(out->end - out->at)); // ledger_bytes_max() was asked
    memcpy(out->at, text, size);
    out->at += size;
}

static void put_integer(struct out *out, int64_t value)
{
    char digits[24];
    size_t size = 0;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[size++] = (char)('0' + left % 10);
    while ((left /= 10) != 0);
    if (value < 0)
        digits[size++] = '-';
    ensure(size < (size_t)(out->end - out->at));
    *out->at++ = ' ';
    while (size > 0)
        *out->at++ = digits[--size];
}

static void put_pair(struct out *out, const char *word, int64_t a, int64_t b)
{
    put_text(out, word);
    put_integer(out, a);
    put_integer(out, b);
}

static void put_key(struct out *out, const struct ledger_key *key)
{
    put_text(out, key->gone ? "gone " : "key ");
    put_text(out, key->symbol);
    put_text(out, " ");
    put_text(out, channel_schema(key->channel)->name);
    if (key->gone) {
        put_text(out, "\n");
        return;
    }
    put_text(out, key->times ? " time" : " id");
    put_pair(out, " first", key->first, key->first_ns);
    put_pair(out, " last", key->last, key->last_ns);
    put_pair(out, " proven", key->proven, key->proven_ns);
    put_integer(out, key->proven_from_ns);
    put_text(out, " tail");
    put_integer(out, key->tail);
    put_text(out, key->live ? " live" : " down");
    put_text(out, key->unlisted ? " unlisted" : "");
    if (key->ended_lost)
        put_pair(out, " ended", key->ended, key->ended_ns);
    put_text(out, "\n");
}

static void put_hole(struct out *out, const struct ledger_hole *hole)
{
    put_pair(out, "hole", hole->first, hole->last);
    put_integer(out, hole->from_ns);
    put_integer(out, hole->to_ns);
    put_integer(out, hole->found_ns);
    put_integer(out, (int64_t)hole->cause);
    put_text(out, "\n");
}

size_t ledger_bytes_max(const struct ledger *ledger)
{
    return HEAD_BYTES_MAX + TRAILER_BYTES +
           ((size_t)ledger->key_count + ledger->hole_count) * LEDGER_LINE_BYTES_MAX;
}

size_t ledger_write(const struct ledger *ledger, char *text, size_t size)
{
    char line[HEAD_BYTES_MAX];
    if (size < ledger_bytes_max(ledger))
        return 0;
    struct out out = {text, text + size};
    (void)snprintf(line, sizeof line,
                   "ringtape-ledger 1 0\ngeneration %llu\nshards %u\ntape %u\nsince %lld\n"
                   "time %lld\n",
                   (unsigned long long)ledger->generation, ledger->shards, ledger->tape,
                   (long long)ledger->since_ns, (long long)ledger->time_ns);
    put_text(&out, line);
    for (uint32_t k = 0; k < ledger->key_count; k++) {
        const struct ledger_key *key = &ledger->keys[k];
        put_key(&out, key);
        for (uint32_t h = 0; h < key->hole_count; h++)
            put_hole(&out, &ledger->holes[key->hole_first + h]);
    }
    XXH64_hash_t hash = XXH3_64bits(text, (size_t)(out.at - text));
    (void)snprintf(line, sizeof line, "xxh3 %016llx\n", (unsigned long long)hash);
    put_text(&out, line);
    return (size_t)(out.at - text);
}

// ---- reading ----

struct in {
    const char *at;
    const char *end; // of the line
    bool good;
};

static void take_text(struct in *in, const char *text)
{
    size_t size = strlen(text);
    in->good = in->good && (size_t)(in->end - in->at) >= size && memcmp(in->at, text, size) == 0;
    if (in->good)
        in->at += size;
}

static int64_t take_integer(struct in *in)
{
    take_text(in, " ");
    bool negative = in->good && in->at < in->end && *in->at == '-';
    in->at += negative;
    uint64_t value = 0;
    const char *begin = in->at;
    while (in->good && in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        uint64_t digit = (uint64_t)(*in->at++ - '0');
        in->good = value <= ((uint64_t)INT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    in->good = in->good && in->at > begin && in->at - begin < 20;
    return negative ? -(int64_t)value : (int64_t)value;
}

static size_t take_word(struct in *in, char *out, size_t room)
{
    const char *space = memchr(in->at, ' ', (size_t)(in->end - in->at));
    const char *end = space ? space : in->end;
    size_t size = (size_t)(end - in->at);
    in->good = in->good && size > 0 && size < room;
    if (!in->good)
        return 0;
    memcpy(out, in->at, size);
    out[size] = '\0';
    in->at = end;
    return size;
}

static bool take_flag(struct in *in, const char *yes, const char *no)
{
    size_t size = strlen(yes);
    bool is = (size_t)(in->end - in->at) >= size && memcmp(in->at, yes, size) == 0;
    take_text(in, is ? yes : no);
    return is;
}

static bool parse_key(struct ledger *ledger, struct in *in, bool gone)
{
    char channel[32];
    struct ledger_key *key = ledger_add_key(ledger);
    if (!key)
        return false;
    key->gone = gone;
    (void)take_word(in, key->symbol, sizeof key->symbol);
    take_text(in, " ");
    (void)take_word(in, channel, sizeof channel);
    key->channel = in->good ? channel_by_name(channel) : CHANNEL_NONE;
    if (key->channel == CHANNEL_NONE || gone)
        return key->channel != CHANNEL_NONE && in->good && in->at == in->end;
    key->times = take_flag(in, " time", " id");
    take_text(in, " first");
    key->first = take_integer(in);
    key->first_ns = take_integer(in);
    take_text(in, " last");
    key->last = take_integer(in);
    key->last_ns = take_integer(in);
    take_text(in, " proven");
    key->proven = take_integer(in);
    key->proven_ns = take_integer(in);
    key->proven_from_ns = take_integer(in);
    take_text(in, " tail");
    key->tail = take_integer(in);
    key->live = take_flag(in, " live", " down");
    key->unlisted = take_flag(in, " unlisted", "");
    key->ended_lost = take_flag(in, " ended", "");
    if (key->ended_lost) {
        key->ended = take_integer(in);
        key->ended_ns = take_integer(in);
    }
    return in->good && in->at == in->end && key->first <= key->last;
}

static bool parse_hole(struct ledger *ledger, struct in *in)
{
    struct ledger_hole hole;
    if (ledger->key_count == 0)
        return false;
    hole.first = take_integer(in);
    hole.last = take_integer(in);
    hole.from_ns = take_integer(in);
    hole.to_ns = take_integer(in);
    hole.found_ns = take_integer(in);
    int64_t cause = take_integer(in);
    if (!in->good || in->at != in->end || hole.first > hole.last || cause < 0 ||
        cause >= COVERAGE_CAUSES)
        return false;
    hole.cause = (enum coverage_cause)cause;
    return ledger_add_hole(ledger, &hole);
}

static bool parse_line(struct ledger *ledger, const char *line, const char *end)
{
    struct in in = {line, end, true};
    if (take_flag(&in, "key ", ""))
        return parse_key(ledger, &in, false);
    if (take_flag(&in, "gone ", ""))
        return parse_key(ledger, &in, true);
    return take_flag(&in, "hole", "") && parse_hole(ledger, &in);
}

static bool parse_head(struct ledger *ledger, const char **at, const char *end)
{
    static const char *const names[] = {"generation", "shards", "tape", "since", "time"};
    int64_t values[5];
    for (int i = 0; i < 5; i++) {
        const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
        if (!line_end)
            return false;
        struct in in = {*at, line_end, true};
        take_text(&in, names[i]);
        values[i] = take_integer(&in);
        if (!in.good || in.at != line_end || values[i] < 0)
            return false;
        *at = line_end + 1;
    }
    ledger->generation = (uint64_t)values[0];
    ledger->shards = (uint32_t)values[1];
    ledger->tape = (uint32_t)values[2];
    ledger->since_ns = values[3];
    ledger->time_ns = values[4];
    return true;
}

static int parse(struct ledger *ledger, const char *text, size_t size)
{
    static const char first[] = "ringtape-ledger 1 ";
    char trailer[TRAILER_BYTES + 1];
    if (size < sizeof first + TRAILER_BYTES || text[size - 1] != '\n' ||
        memcmp(text, "ringtape-ledger ", 16) != 0)
        return -EBADMSG;
    const char *end = text + size - TRAILER_BYTES;
    XXH64_hash_t hash = XXH3_64bits(text, (size_t)(end - text));
    (void)snprintf(trailer, sizeof trailer, "xxh3 %016llx\n", (unsigned long long)hash);
    if (memcmp(end, trailer, TRAILER_BYTES) != 0)
        return -EBADMSG;
    if (memcmp(text, first, sizeof first - 1) != 0)
        return -EPROTONOSUPPORT;
    const char *at = memchr(text, '\n', (size_t)(end - text));
    if (!at++ || !parse_head(ledger, &at, end))
        return -EBADMSG;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end || !parse_line(ledger, at, line_end))
            return -EBADMSG;
        at = line_end + 1;
    }
    return 0;
}

int ledger_parse(struct ledger *ledger, const char *text, size_t size)
{
    ledger_clear(ledger);
    int result = parse(ledger, text, size);
    if (result != 0)
        ledger_clear(ledger);
    return result;
}
