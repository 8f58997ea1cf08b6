// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape alerts: the alerts that stored rows raise, by the code that the daemon runs
// (src/derive/alert.h); docs/alerts.md.
//
// A rule's state of a symbol depends on that symbol's rows of one channel alone, in order of
// arrival, which is how a scan gives them; so channels are read one after the other. Silence is
// judged at the heartbeats of the status channel, against the last row received before each.
//
// Memory: alerts, heartbeats and starts of what is asked for.
#include "derive/alert.h"
#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_names.h"
#include "tools/ringtape_print.h"
#include "tools/ringtape_query.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ALERTS_MAX = 1 << 20, ALERTS_BEATS_MAX = 1 << 22, ALERTS_STARTS_MAX = 1 << 16 };

struct alerts_beat {
    int64_t receive_ns;
    int64_t heard_ns; // receive time of the last row before it, after the beat before
    uint32_t exchange;
};

struct ringtape_alerts {
    struct ringtape_query query;
    struct ringtape_option_list texts_of_rules;
    struct alert_rules rules;
    bool json;
    bool usual; // what is usual instead of the alerts
    struct store *store;
    struct ringtape_names names;
    struct alerts alerts;
    const char *exchanges[ALERT_EXCHANGES_MAX];
    uint32_t exchange_count;
    char **texts;             // [RINGTAPE_NAMES_MAX] names with their zero byte
    uint8_t *exchange_of;     // [RINGTAPE_NAMES_MAX]
    uint32_t *lives;          // [RINGTAPE_NAMES_MAX] starts that the symbol has seen
    int64_t *starts;
    uint32_t start_count;
    struct alerts_beat *beats; // by receive time
    uint32_t beat_count;
    struct event *made;
    uint32_t made_count;
    uint64_t damages;
    bool full;
};

// ---- names ----

// The number of the exchange, added if new.
static uint32_t alerts_exchange(struct ringtape_alerts *work, const char *name, size_t size)
{
    for (uint32_t i = 0; i < work->exchange_count; i++) {
        if (strlen(work->exchanges[i]) == size && memcmp(work->exchanges[i], name, size) == 0)
            return i;
    }
    if (work->exchange_count == ALERT_EXCHANGES_MAX) return 0;
    work->exchanges[work->exchange_count] = strndup(name, size);
    ensure(work->exchanges[work->exchange_count] != NULL);
    return work->exchange_count++;
}

static int alerts_symbol_of(struct ringtape_alerts *work, const struct event_text *name,
                            uint32_t *symbol)
{
    const int error = ringtape_names_add(&work->names, name, symbol);
    if (error != 0 || work->texts[*symbol] != NULL) return error;
    work->texts[*symbol] = strndup((const char *)name->bytes, name->size);
    if (work->texts[*symbol] == NULL) return -ENOMEM;
    const size_t size = strcspn(work->texts[*symbol], ":");
    work->exchange_of[*symbol] =
        (uint8_t)alerts_exchange(work, work->texts[*symbol], size);
    alerts_symbol(&work->alerts, *symbol, work->texts[*symbol], work->exchange_of[*symbol]);
    return 0;
}

// ---- rows ----

static void alerts_emit(void *context, const struct event *event)
{
    struct ringtape_alerts *work = context;
    if (work->made_count == ALERTS_MAX)
        work->full = true;
    else
        work->made[work->made_count++] = *event;
}

static void alerts_heard(struct ringtape_alerts *work, uint32_t exchange, int64_t receive_ns)
{
    uint32_t low = 0;
    uint32_t high = work->beat_count;
    while (low < high) { // the first beat behind the row
        const uint32_t middle = (low + high) / 2;
        if (work->beats[middle].receive_ns > receive_ns)
            high = middle;
        else
            low = middle + 1;
    }
    while (low < work->beat_count && work->beats[low].exchange != exchange) low++;
    if (low < work->beat_count && receive_ns > work->beats[low].heard_ns)
        work->beats[low].heard_ns = receive_ns;
}

// The recorder's state of the symbol began anew with each of its lives.
static void alerts_life(struct ringtape_alerts *work, uint32_t symbol, int64_t receive_ns)
{
    uint32_t *seen = &work->lives[symbol];
    const uint32_t before = *seen;
    while (*seen < work->start_count && work->starts[*seen] <= receive_ns) (*seen)++;
    if (*seen != before) alerts_forget(&work->alerts, symbol);
}

static int alerts_row(struct ringtape_alerts *work, const struct store_chunk *chunk, uint32_t at)
{
    struct event event;
    rows_get(chunk->rows, at, &event, NULL);
    if (event.symbol == SYMBOL_NONE || !event_has(&event, COLUMN_RECEIVE_TIME)) return 0;
    const int error = alerts_symbol_of(work, &chunk->symbols[event.symbol], &event.symbol);
    if (error != 0) return error;
    alerts_life(work, event.symbol, event.value[COLUMN_RECEIVE_TIME]);
    if (event.value[COLUMN_FLAGS] == 0)
        alerts_heard(work, work->exchange_of[event.symbol], event.value[COLUMN_RECEIVE_TIME]);
    alerts_event(&work->alerts, &event);
    return 0;
}

static int alerts_status(struct ringtape_alerts *work, const struct store_chunk *chunk,
                         uint32_t at)
{
    struct event event;
    rows_get(chunk->rows, at, &event, NULL);
    if (!event_has(&event, COLUMN_RECEIVE_TIME)) return 0;
    if (event.value[STATUS_KIND] == STATUS_STARTED && work->start_count < ALERTS_STARTS_MAX)
        work->starts[work->start_count++] = event.value[COLUMN_RECEIVE_TIME];
    if (event.value[STATUS_KIND] != STATUS_INTERVAL_CLOSED ||
        !event_has(&event, STATUS_CHANNEL) || event.value[STATUS_CHANNEL] != CHANNEL_CANDLE)
        return 0;
    const struct event_text detail = event_text(&event, STATUS_DETAIL);
    const uint8_t *space = detail.size > 0 ? memchr(detail.bytes, ' ', detail.size) : NULL;
    if (space == NULL || work->beat_count == ALERTS_BEATS_MAX) return 0;
    work->beats[work->beat_count++] = (struct alerts_beat){
        .receive_ns = event.value[COLUMN_RECEIVE_TIME],
        .exchange = alerts_exchange(work, (const char *)detail.bytes,
                                    (size_t)(space - detail.bytes))};
    return 0;
}

static void alerts_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_alerts *work = context;
    work->damages++;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

typedef int alerts_take(struct ringtape_alerts *work, const struct store_chunk *chunk,
                        uint32_t at);

static int alerts_scan(struct ringtape_alerts *work, enum channel channel, alerts_take *take)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    if (channel != CHANNEL_STATUS) {
        query.symbols = work->query.symbols.text;
        query.symbol_count = work->query.symbols.count;
    }
    query.time_from = work->query.from;
    query.time_to = work->query.to;
    query.damage = alerts_damage;
    query.damage_context = work;
    int result = store_scan_open(&scan, work->store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        for (uint32_t i = 0; i < chunk.count && result >= 0; i++)
            result = take(work, &chunk, chunk.index[i]);
        if (result < 0) break;
    }
    store_scan_close(scan);
    return result;
}

// ---- what is usual ----

static void alerts_ratio_text(int64_t ppm, char *text, size_t size)
{
    (void)snprintf(text, size, "%lld.%06lld", (long long)(ppm / ALERT_ONE_PPM),
                   (long long)(ppm % ALERT_ONE_PPM));
}

static void alerts_print_usual_of(struct ringtape_json *json, const struct alert_usual *usual)
{
    char text[64];
    ringtape_json_count(json, "learnt", usual->learnt);
    if (usual->kind == ALERT_SURGE || usual->kind == ALERT_CRASH) {
        (void)snprintf(text, sizeof text, "%.17g", usual->variance);
        ringtape_json_text(json, "variance", text);
        (void)snprintf(text, sizeof text, "%.17g", usual->deviation);
    } else if (usual->kind == ALERT_SPREAD) {
        alerts_ratio_text(usual->spread_ppm, text, sizeof text);
    } else {
        (void)snprintf(text, sizeof text, "%" PRId64 ".%012" PRId64,
                       (int64_t)(usual->quantity / wide_power(12)),
                       (int64_t)(usual->quantity % wide_power(12)));
    }
    ringtape_json_text(json, "usual", text);
    alerts_ratio_text(usual->threshold_ppm, text, sizeof text);
    ringtape_json_text(json, "threshold", text);
}

static void alerts_print_usual(struct ringtape_alerts *work)
{
    struct ringtape_json json;
    struct alert_usual usual;
    ringtape_json_start(&json, stdout);
    for (uint32_t symbol = 0; symbol < work->names.count; symbol++) {
        for (uint32_t rule = 0; rule < work->rules.count; rule++) {
            if (work->texts[symbol] == NULL ||
                !alerts_usual(&work->alerts, symbol, rule, &usual))
                continue;
            ringtape_json_object(&json, NULL);
            ringtape_json_text(&json, "symbol", work->texts[symbol]);
            ringtape_json_text(&json, "rule", work->rules.at[rule].name);
            alerts_print_usual_of(&json, &usual);
            ringtape_json_object_end(&json);
            ringtape_json_line(&json);
        }
    }
}

// ---- replay ----

static int beats_order(const void *a, const void *b)
{
    const struct alerts_beat *one = a;
    const struct alerts_beat *two = b;
    return (one->receive_ns > two->receive_ns) - (one->receive_ns < two->receive_ns);
}

static int times_order(const void *a, const void *b)
{
    const int64_t one = *(const int64_t *)a;
    const int64_t two = *(const int64_t *)b;
    return (one > two) - (one < two);
}

static void alerts_silence(struct ringtape_alerts *work)
{
    uint32_t life = 0;
    alerts_forget(&work->alerts, SYMBOL_NONE);
    for (uint32_t i = 0; i < work->beat_count; i++) {
        const struct alerts_beat *beat = &work->beats[i];
        const uint32_t before = life;
        while (life < work->start_count && work->starts[life] <= beat->receive_ns) life++;
        if (life != before) alerts_forget(&work->alerts, SYMBOL_NONE);
        struct alert_exchange *exchange = &work->alerts.exchanges[beat->exchange];
        const bool own = life == 0 || beat->heard_ns >= work->starts[life - 1];
        if (own && beat->heard_ns > exchange->heard_ns) exchange->heard_ns = beat->heard_ns;
        alerts_beat(&work->alerts, beat->exchange, work->exchanges[beat->exchange],
                    beat->receive_ns);
    }
}

static int alerts_replay(struct ringtape_alerts *work)
{
    int result = alerts_scan(work, CHANNEL_STATUS, alerts_status);
    if (work->beat_count > 0)
        qsort(work->beats, work->beat_count, sizeof *work->beats, beats_order);
    if (work->start_count > 0)
        qsort(work->starts, work->start_count, sizeof *work->starts, times_order);
    if (result == 0) result = alerts_scan(work, CHANNEL_TRADE, alerts_row);
    if (result == 0) result = alerts_scan(work, CHANNEL_AGG_TRADE, alerts_row);
    if (result == 0) {
        memset(work->lives, 0, RINGTAPE_NAMES_MAX * sizeof *work->lives);
        result = alerts_scan(work, CHANNEL_QUOTE, alerts_row);
    }
    if (result == 0 && work->usual)
        alerts_print_usual(work);
    else if (result == 0)
        alerts_silence(work);
    return result;
}

// ---- printing ----

static int alerts_order(const void *a, const void *b)
{
    const struct event *one = a;
    const struct event *two = b;
    if (one->value[ALERT_TO_TIME] != two->value[ALERT_TO_TIME])
        return one->value[ALERT_TO_TIME] < two->value[ALERT_TO_TIME] ? -1 : 1;
    return (one->value[ALERT_ID] > two->value[ALERT_ID]) -
           (one->value[ALERT_ID] < two->value[ALERT_ID]);
}

static int alerts_print(struct ringtape_alerts *work)
{
    const struct channel_schema *schema = channel_schema(CHANNEL_ALERT);
    const struct rows_limits limits = {.rows = 1, .text_bytes = 4096};
    const size_t bytes = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    struct ringtape_json json;
    struct rows rows;
    void *memory = aligned_alloc(64, bytes);
    if (memory == NULL) return -ENOMEM;
    rows_init(&rows, schema, &limits, memory);
    ringtape_json_start(&json, stdout);
    if (!work->json) ringtape_print_csv_header(schema);
    if (work->made_count > 0)
        qsort(work->made, work->made_count, sizeof *work->made, alerts_order);
    for (uint32_t i = 0; i < work->made_count; i++) {
        const struct store_chunk chunk = {.rows = &rows, .symbols = work->names.texts,
                                          .symbol_count = work->names.count};
        ensure(rows_append(&rows, &work->made[i]));
        if (work->json)
            ringtape_print_json(&json, &chunk, 0);
        else
            ringtape_print_csv(&chunk, 0);
        rows_clear(&rows);
    }
    free(memory);
    return 0;
}

// ---- the command ----

static bool alerts_rules(struct ringtape_alerts *work)
{
    if (work->texts_of_rules.count == 0) alert_rules_standard(&work->rules);
    for (uint32_t i = 0; i < work->texts_of_rules.count; i++) {
        if (i < ALERT_RULES_MAX &&
            alert_rule_parse(work->texts_of_rules.text[i], &work->rules.at[work->rules.count++]))
            continue;
        (void)fprintf(stderr,
                      "ringtape alerts: --rule: expected a kind and keys like 'surge window=1m "
                      "threshold=3%%', 16 rules at most, found '%s'\n",
                      work->texts_of_rules.text[i]);
        return false;
    }
    return true;
}

static bool alerts_parse(struct ringtape_alerts *work, int argc, char **argv, int *exit_code)
{
    bool replay = false;
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(work->query),
        {.name = "replay", .kind = RINGTAPE_OPTION_FLAG, .target = &replay,
         .help = "raise them again from the stored rows"},
        {.name = "rule", .kind = RINGTAPE_OPTION_LIST, .target = &work->texts_of_rules,
         .value = "RULE",
         .help = "this rule instead of the defaults, as in the configuration:\n"
                 "'surge window=1m threshold=3%'; may be repeated"},
        RINGTAPE_QUERY_SYMBOL(work->query),
        RINGTAPE_QUERY_FROM(work->query),
        RINGTAPE_QUERY_TO(work->query),
        {.name = "usual", .kind = RINGTAPE_OPTION_FLAG, .target = &work->usual,
         .help = "instead of alerts: what each rule holds for usual of each symbol in the end,\n"
                 "and the threshold that follows, as JSON lines"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &work->json,
         .help = "one JSON object a row instead of CSV"},
    };
    const struct ringtape_usage usage = {
        .command = "alerts",
        .purpose = "Alerts that the stored rows raise, by the same code as the daemon's and so "
                   "the same\nalerts. Those it stored: 'ringtape cat --channel alert'.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    if (!ringtape_query_check(&work->query, "alerts") || !alerts_rules(work)) return false;
    if (replay) return true;
    (void)fprintf(stderr, "ringtape alerts: --replay is missing; stored alerts are shown by "
                          "'ringtape cat --channel alert'\n");
    return false;
}

static int alerts_open_all(struct ringtape_alerts *work)
{
    const struct alerts_options options = {
        .symbols_max = RINGTAPE_NAMES_MAX, .emit = alerts_emit, .context = work};
    work->texts = calloc(RINGTAPE_NAMES_MAX, sizeof *work->texts);
    work->exchange_of = calloc(RINGTAPE_NAMES_MAX, sizeof *work->exchange_of);
    work->lives = calloc(RINGTAPE_NAMES_MAX, sizeof *work->lives);
    work->starts = calloc(ALERTS_STARTS_MAX, sizeof *work->starts);
    work->beats = calloc(ALERTS_BEATS_MAX, sizeof *work->beats);
    work->made = calloc(ALERTS_MAX, sizeof *work->made);
    if (work->texts == NULL || work->exchange_of == NULL || work->lives == NULL ||
        work->starts == NULL || work->beats == NULL || work->made == NULL)
        return -ENOMEM;
    int result = ringtape_names_open(&work->names);
    if (result == 0) result = alerts_open(&work->alerts, &options);
    if (result != 0) return result;
    alerts_use(&work->alerts, &work->rules);
    return 0;
}

static int alerts_run(struct ringtape_alerts *work)
{
    int result = alerts_open_all(work);
    if (result == 0) result = alerts_replay(work);
    if (result == 0 && !work->usual) result = alerts_print(work);
    if (result < 0) return ringtape_fail("%s: %s", work->query.store, ringtape_error_text(result));
    if (work->full)
        return ringtape_fail("%s: more than %d alerts; ask for less", work->query.store,
                             ALERTS_MAX);
    return work->damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

int ringtape_alerts(int argc, char **argv)
{
    static struct ringtape_alerts work;
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&work.query);
    if (!alerts_parse(&work, argc, argv, &exit_code)) return exit_code;
    exit_code = ringtape_store_open(&work.store, work.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = alerts_run(&work);
    store_close(work.store);
    return ringtape_finish_output(exit_code);
}
