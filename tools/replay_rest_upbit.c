// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit over REST: the markets, trades of a day, order books.
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/replay_rest.h"

#define DAY_NS ((int64_t)86400000000000)
#define SECOND_NS ((int64_t)1000000000)

enum { TICKS_MAX = 500 };

static void put_market(struct replay_question *q, const char *name)
{
    const char *dash = strchr(name, '-');
    const char *base = dash == NULL ? name : dash + 1;
    replay_rest_comma(q);
    EXCHANGE_SIM_TEXT(&q->body, "{\"market\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    EXCHANGE_SIM_TEXT(&q->body, ",\"korean_name\":");
    exchange_sim_text_quoted(&q->body, base, (uint32_t)strlen(base));
    EXCHANGE_SIM_TEXT(&q->body, ",\"english_name\":");
    exchange_sim_text_quoted(&q->body, base, (uint32_t)strlen(base));
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_markets(struct replay_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "[");
    replay_rest_instruments(q, put_market);
    if (q->status == 200) EXCHANGE_SIM_TEXT(&q->body, "]");
}

// ---- trades ----

struct tick {
    int64_t id;
    uint32_t size;
    char *text;
};

// The newest `most` of a day, below the cursor.
struct ticks {
    struct replay_question *q;
    struct tick tick[TICKS_MAX + 1];
    uint32_t count;
    uint32_t most;
    int64_t below_id;
    int64_t least_id; // of those kept
};

static int tick_order(const void *left, const void *right)
{
    const struct tick *a = left, *b = right;
    return (a->id < b->id) - (a->id > b->id);
}

// The oldest goes when there are too many.
static void ticks_cut(struct ticks *ticks)
{
    if (ticks->count <= ticks->most) return;
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < ticks->count; i++)
        if (ticks->tick[i].id < ticks->tick[oldest].id) oldest = i;
    free(ticks->tick[oldest].text);
    ticks->least_id = ticks->tick[oldest].id;
    ticks->tick[oldest] = ticks->tick[--ticks->count];
}

static bool ticks_row(void *context, const struct replay_row *row)
{
    struct ticks *ticks = context;
    const int64_t id = replay_value(row, TRADE_ID);
    if (id >= ticks->below_id || id <= ticks->least_id) return true;
    const uint32_t size = replay_json_rest_tick(row, ticks->q->rest->element);
    char *text = malloc(size);
    if (text == NULL) return false;
    memcpy(text, ticks->q->rest->element, size);
    ticks->tick[ticks->count++] = (struct tick){id, size, text};
    ticks_cut(ticks);
    return true;
}

// "HH:mm:ss" or "HHmmss" as ns of the day, exclusive; DAY_NS where it is absent.
static int64_t until_of(const struct replay_question *q)
{
    char value[REPLAY_REST_VALUE_BYTES];
    int64_t digits = 0;
    int count = 0;
    if (!replay_rest_parameter(q, "to", value)) return DAY_NS;
    for (const char *c = value; *c != 0; c++)
        if (*c >= '0' && *c <= '9' && count < 6) {
            digits = digits * 10 + (*c - '0');
            count++;
        }
    if (count != 6) return DAY_NS;
    return (digits / 10000 * 3600 + digits / 100 % 100 * 60 + digits % 100) * SECOND_NS;
}

static void answer_ticks(struct replay_question *q)
{
    static struct ticks ticks;
    char name[256];
    uint32_t number;
    const int64_t clock_ns = replay_rest_clock_ns(q->rest);
    const int64_t day_ns =
        clock_ns - clock_ns % DAY_NS - replay_rest_number(q, "days_ago", 0) * DAY_NS;
    const int64_t count = replay_rest_number(q, "count", 1);
    if (!replay_rest_symbol(q, "market", name, &number)) return;
    ticks = (struct ticks){.q = q, .below_id = replay_rest_number(q, "cursor", INT64_MAX)};
    ticks.most = (uint32_t)(count < 1 ? 1 : count > TICKS_MAX ? TICKS_MAX : count);
    struct store_query query = store_query_all(CHANNEL_TRADE);
    query.time_from = day_ns;
    query.time_to = day_ns + until_of(q);
    if (query.time_to > clock_ns + 1) query.time_to = clock_ns + 1;
    EXCHANGE_SIM_TEXT(&q->body, "[");
    if (query.time_from < query.time_to) replay_rest_rows(q, &query, name, ticks_row, &ticks);
    qsort(ticks.tick, ticks.count, sizeof ticks.tick[0], tick_order);
    for (uint32_t i = 0; i < ticks.count; i++) {
        if (q->status == 200) {
            replay_rest_comma(q);
            exchange_sim_text_bytes(&q->body, ticks.tick[i].text, ticks.tick[i].size);
        }
        free(ticks.tick[i].text);
    }
    if (q->status == 200) EXCHANGE_SIM_TEXT(&q->body, "]");
}

void replay_rest_upbit(struct replay_question *q)
{
    static const struct {
        const char *path;
        void (*answer)(struct replay_question *q);
    } endpoints[] = {{"market/all", answer_markets}, {"trades/ticks", answer_ticks}};
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
        if (strlen(endpoints[i].path) == q->path_size &&
            memcmp(endpoints[i].path, q->path, q->path_size) == 0) {
            endpoints[i].answer(q);
            return;
        }
    replay_rest_failure(q, 404, 0, "Not found");
}
