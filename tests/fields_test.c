// SPDX-License-Identifier: GPL-3.0-or-later
//
// docs/fields.md is true: its tables are those of the code, and every recorded frame, its keys and
// values, can be made again from the row that was stored of it.
//
// Regeneration knows the row (after rows_append() and rows_get()), the message's table, the name of
// the instrument, and the unit of time of the connection, nothing else. Numbers are compared as
// exact decimals, objects as sets of keys; a key that follows from others may be absent.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dialect_support.h"
#include "exchange/strict.h"
#include "format/rows.h"
#include "tools/exchange_sim_capture.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const wire_words[] = {
    [STRICT_TYPE] = "type",
    [STRICT_SYMBOL] = "symbol",
    [STRICT_SYMBOL_ECHO] = "symbol",
    [STRICT_TIME] = "time",
    [STRICT_INTEGER] = "integer",
    [STRICT_DECIMAL] = "number",
    [STRICT_DECIMAL_TEXT] = "number in text",
    [STRICT_BOOLEAN] = "boolean",
    [STRICT_TEXT] = "text",
    [STRICT_TEXT_NOT_ZERO] = "text",
    [STRICT_MAKER] = "boolean",
    [STRICT_ASK_BID] = "word",
    [STRICT_STREAM_TYPE] = "word",
    [STRICT_BIDS] = "pairs",
    [STRICT_ASKS] = "pairs",
    [STRICT_UNITS] = "units",
    [STRICT_OBJECT] = "object",
    [STRICT_CHECKED] = "checked",
};

// ---- the document against the tables ----

static void kept_as(const struct strict_message *message, const struct strict_field *field,
                    char *out, size_t out_size)
{
    const char *words = "derivable";
    switch (field->kind) {
    case STRICT_SYMBOL: words = "`symbol`"; break;
    case STRICT_BIDS:
    case STRICT_ASKS:
    case STRICT_UNITS: words = "levels"; break;
    case STRICT_STREAM_TYPE: words = "flags"; break;
    default: break;
    }
    if (field->column >= 0)
        (void)snprintf(out, out_size, "`%s`",
                       channel_schema(message->channel)->columns[field->column].name);
    else
        (void)snprintf(out, out_size, "%s", words);
}

// Copies the next line of `*at` without its newline; false at the end.
static bool next_line(const char **at, char *line, size_t line_size)
{
    const size_t size = strcspn(*at, "\n");
    if (**at == '\0')
        return false;
    cr_assert_lt(size, line_size);
    memcpy(line, *at, size);
    line[size] = '\0';
    *at += size + ((*at)[size] == '\n');
    return true;
}

static void check_section(const char *document, const char *dialect,
                          const struct strict_message *message)
{
    char title[128], line[512], wanted[512], kept[64];
    (void)snprintf(title, sizeof title, "\n### %s %s → %s\n", dialect, message->type,
                   channel_schema(message->channel)->name);
    const char *at = strstr(document, title);
    cr_assert_not_null(at, "no section %s", title);
    at += strlen(title);
    do
        cr_assert(next_line(&at, line, sizeof line));
    while (strncmp(line, "|---", 4) != 0);
    for (int i = 0; i < message->field_count; i++) {
        const struct strict_field *field = &message->fields[i];
        const char *quote = field->key_short != NULL ? "`" : "";
        kept_as(message, field, kept, sizeof kept);
        (void)snprintf(wanted, sizeof wanted, "| `%s` | %s%s%s | %s | %s | %s |", field->key, quote,
                       field->key_short != NULL ? field->key_short : "", quote,
                       wire_words[field->kind], kept, field->required ? "yes" : "no");
        cr_assert(next_line(&at, line, sizeof line));
        cr_expect_eq(strncmp(line, wanted, strlen(wanted)), 0, "%s\nis not\n%s", line, wanted);
    }
    cr_assert(next_line(&at, line, sizeof line));
    cr_expect_str_empty(line, "one row too many: %s", line);
}

Test(fields, the_document_has_the_tables_of_the_code)
{
    static char document[1 << 17];
    FILE *file = fopen("docs/fields.md", "r");
    if (file == NULL)
        cr_skip_test("not run from the root of the tree");
    document[fread(document, 1, sizeof document - 1, file)] = '\0';
    (void)fclose(file);
    uint32_t sections = 0, documented = 0;
    for (uint32_t d = 0; dialects[d] != NULL; d++)
        for (uint32_t m = 0; dialects[d]->messages[m] != NULL; m++, sections++)
            check_section(document, dialects[d]->name, dialects[d]->messages[m]);
    for (const char *at = document; (at = strstr(at, "\n### ")) != NULL; at++)
        documented++;
    cr_assert_eq(sections, documented);
}

// ---- regeneration ----

struct maker {
    const struct strict_message *message;
    const struct event *event; // as read back from the rows
    const char *symbol;        // "BTCUSDT"
    bool keys_short;
    int64_t time_unit_ns; // of the connection
};

static bool text_equals(const struct json_value *value, const void *text, size_t size)
{
    char decoded[256];
    uint32_t decoded_size;
    return value->type == JSON_STRING && value->size <= sizeof decoded &&
           json_string_decode(value, decoded, sizeof decoded, &decoded_size) == JSON_OK &&
           decoded_size == size && memcmp(decoded, text, size) == 0;
}

static bool word_equals(const struct json_value *value, const char *word)
{
    return text_equals(value, word, strlen(word));
}

static bool number_equals(const struct json_value *value, enum json_type type, int64_t mantissa,
                          uint8_t scale)
{
    int64_t wire;
    uint8_t wire_scale;
    return value->type == type && json_decimal(value, &wire, &wire_scale, NULL) == JSON_OK &&
           strict_decimal_compare(wire, wire_scale, mantissa, scale) == 0;
}

static bool column_equals(const struct maker *maker, const struct json_value *value,
                          enum json_type type, int column)
{
    return event_has(maker->event, column) &&
           number_equals(value, type, maker->event->value[column], maker->event->scale[column]);
}

// The levels of one side, in the order of the message.
static bool pairs_equal(const struct maker *maker, const struct json_value *value, uint8_t side)
{
    struct json_walk walk, pair_walk;
    struct json_value pair, price, quantity, extra;
    uint32_t i = 0;
    if (json_walk_array(value, &walk) != JSON_OK)
        return false;
    while (json_walk_element(&walk, &pair)) {
        while (i < maker->event->level_count && maker->event->levels[i].side != side)
            i++;
        const struct event_level *level = &maker->event->levels[i];
        if (i++ == maker->event->level_count || json_walk_array(&pair, &pair_walk) != JSON_OK ||
            !json_walk_element(&pair_walk, &price) || !json_walk_element(&pair_walk, &quantity) ||
            json_walk_element(&pair_walk, &extra) ||
            !number_equals(&price, JSON_STRING, level->price, level->price_scale) ||
            !number_equals(&quantity, JSON_STRING, level->quantity, level->quantity_scale))
            return false;
    }
    while (i < maker->event->level_count && maker->event->levels[i].side != side)
        i++;
    return i == maker->event->level_count;
}

static bool units_equal(const struct maker *maker, const struct json_value *value)
{
    static const char *const keys[2][4] = {{"ask_price", "ask_size", "bid_price", "bid_size"},
                                           {"ap", "as", "bp", "bs"}};
    struct json_walk walk;
    struct json_value unit, cell;
    uint32_t i = 0;
    if (json_walk_array(value, &walk) != JSON_OK)
        return false;
    for (; json_walk_element(&walk, &unit); i += 2) {
        for (uint32_t k = 0; k < 4; k++) {
            const struct event_level *level = &maker->event->levels[i + k / 2];
            if (i + 1 >= maker->event->level_count || level->side != (k < 2) ||
                json_find(&unit, keys[maker->keys_short][k], &cell) != JSON_OK ||
                !number_equals(&cell, JSON_NUMBER_TEXT, k % 2 == 0 ? level->price : level->quantity,
                               k % 2 == 0 ? level->price_scale : level->quantity_scale))
                return false;
        }
    }
    return i == maker->event->level_count;
}

// Upbit's derivable keys of a trade, by other means than the code's own check.
static bool checked_equals(const struct maker *maker, const struct json_value *value,
                           const char *key)
{
    const struct event *event = maker->event;
    const time_t second = (time_t)(event->value[TRADE_TIME] / 1000000000);
    struct tm parts;
    char text[32];
    cr_assert_eq(event->channel, CHANNEL_TRADE);
    cr_assert_not_null(gmtime_r(&second, &parts));
    if (strcmp(key, "trade_date") == 0) {
        cr_assert_gt(strftime(text, sizeof text, "%Y-%m-%d", &parts), 0);
        return word_equals(value, text);
    }
    if (strcmp(key, "trade_time") == 0) {
        cr_assert_gt(strftime(text, sizeof text, "%H:%M:%S", &parts), 0);
        return word_equals(value, text) ||
               (parts.tm_sec == 0 && text_equals(value, text, strlen("18:17")));
    }
    __int128 price = event->value[TRADE_PRICE], close = event->value[TRADE_PREVIOUS_CLOSE];
    for (uint32_t s = event->scale[TRADE_PRICE]; s < 10; s++)
        price *= 10;
    for (uint32_t s = event->scale[TRADE_PREVIOUS_CLOSE]; s < 10; s++)
        close *= 10;
    if (strcmp(key, "change") == 0)
        return word_equals(value, price > close ? "RISE" : price < close ? "FALL" : "EVEN");
    cr_assert_str_eq(key, "change_price");
    const __int128 change = price > close ? price - close : close - price;
    return change <= INT64_MAX && number_equals(value, JSON_NUMBER_TEXT, (int64_t)change, 10);
}

static bool text_column_equals(const struct maker *maker, const struct json_value *value,
                               const struct strict_field *field)
{
    if (!event_has(maker->event, field->column))
        return field->kind == STRICT_TEXT_NOT_ZERO && word_equals(value, "0");
    const struct event_text text = event_text(maker->event, field->column);
    return text_equals(value, text.bytes, text.size);
}

// True if the row makes this very value again.
static bool field_equals(const struct maker *maker, const struct strict_field *field,
                         const struct json_value *value)
{
    const struct event *event = maker->event;
    const int64_t cell = field->column >= 0 ? event->value[field->column] : 0;
    bool boolean;
    switch (field->kind) {
    case STRICT_TYPE: return word_equals(value, maker->message->type);
    case STRICT_SYMBOL:
    case STRICT_SYMBOL_ECHO: return word_equals(value, maker->symbol);
    case STRICT_TIME:
        return event_has(event, field->column) && cell % maker->time_unit_ns == 0 &&
               number_equals(value, JSON_NUMBER_TEXT, cell / maker->time_unit_ns, 0);
    case STRICT_INTEGER:
        return event_has(event, field->column) && number_equals(value, JSON_NUMBER_TEXT, cell, 0);
    case STRICT_DECIMAL: return column_equals(maker, value, JSON_NUMBER_TEXT, field->column);
    case STRICT_DECIMAL_TEXT: return column_equals(maker, value, JSON_STRING, field->column);
    case STRICT_BOOLEAN:
    case STRICT_MAKER:
        return event_has(event, field->column) && json_boolean(value, &boolean) == JSON_OK &&
               boolean == (cell != 0);
    case STRICT_TEXT:
    case STRICT_TEXT_NOT_ZERO: return text_column_equals(maker, value, field);
    case STRICT_ASK_BID: return word_equals(value, cell == SIDE_SELL ? "ASK" : "BID");
    case STRICT_STREAM_TYPE:
        return word_equals(value, (event->value[COLUMN_FLAGS] & EVENT_SNAPSHOT) != 0 ? "SNAPSHOT"
                                                                                     : "REALTIME");
    case STRICT_BIDS: return pairs_equal(maker, value, 0);
    case STRICT_ASKS: return pairs_equal(maker, value, 1);
    case STRICT_UNITS: return units_equal(maker, value);
    case STRICT_CHECKED: return checked_equals(maker, value, field->key);
    case STRICT_OBJECT: return value->type == JSON_OBJECT;
    }
    return false;
}

// Every member of the object is made again from the row; `made` gets a bit for each field.
static void check_members(const struct maker *maker, const char *prefix,
                          const struct json_value *object, uint64_t *made)
{
    struct json_walk walk;
    struct json_value key, value;
    cr_assert_eq(json_walk_object(object, &walk), JSON_OK);
    while (json_walk_member(&walk, &key, &value)) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s%.*s", prefix, (int)key.size - 2, key.text + 1);
        int field = 0;
        while (field < maker->message->field_count &&
               strcmp(maker->keys_short && maker->message->fields[field].key_short != NULL
                          ? maker->message->fields[field].key_short
                          : maker->message->fields[field].key,
                      name) != 0)
            field++;
        cr_assert_lt(field, maker->message->field_count, "unknown key %s", name);
        const struct strict_field *entry = &maker->message->fields[field];
        cr_assert(field_equals(maker, entry, &value), "%s is not %.*s", name, (int)value.size,
                  value.text);
        *made |= 1ull << field;
        if (entry->kind == STRICT_OBJECT) {
            (void)snprintf(name, sizeof name, "%s.", entry->key);
            check_members(maker, name, &value, made);
        }
    }
}

// A column of the row that the frame did not give would be an invention.
static void check_columns(const struct maker *maker, uint64_t made)
{
    uint64_t columns = 1u << COLUMN_FLAGS;
    for (int i = 0; i < maker->message->field_count; i++) {
        const struct strict_field *field = &maker->message->fields[i];
        if ((made >> i & 1) == 0)
            cr_assert_not(field->required, "%s", field->key);
        else if (field->column >= 0 && field->kind != STRICT_TEXT_NOT_ZERO)
            columns |= 1ull << field->column;
        else if (field->column >= 0 && event_has(maker->event, field->column))
            columns |= 1ull << field->column;
    }
    if (maker->event->channel == CHANNEL_BOOK)
        columns |= 1ull << BOOK_SOURCE;
    cr_assert_eq(maker->event->present, columns, "%s", maker->message->type);
}

// ---- frames ----

struct fields_reader {
    struct dialect_support support;
    struct rows rows[CHANNEL_COUNT];
    void *memory[CHANNEL_COUNT];
    struct event_level *levels;
    int64_t time_unit_ns;
    uint32_t checked;
};

static void open_reader(struct fields_reader *reader, const char *dialect, const char *symbols)
{
    static const struct rows_limits limits = {4, EVENT_LEVELS_MAX, 4096};
    memset(reader, 0, sizeof *reader);
    dialect_support_open(&reader->support, dialect, symbols);
    reader->levels = calloc(EVENT_LEVELS_MAX, sizeof *reader->levels);
    for (enum channel c = CHANNEL_TRADE; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema(c);
        if (schema == NULL)
            continue;
        reader->memory[c] = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
        rows_init(&reader->rows[c], schema, &limits, reader->memory[c]);
    }
}

static void close_reader(struct fields_reader *reader)
{
    for (enum channel c = CHANNEL_TRADE; c < CHANNEL_COUNT; c++)
        free(reader->memory[c]);
    free(reader->levels);
    dialect_support_close(&reader->support);
}

// The name of a combined stream follows from the row, but for the speed at its end.
static void check_stream(const struct maker *maker, const struct json_value *stream)
{
    static const char *const names[CHANNEL_COUNT] = {
        [CHANNEL_TRADE] = "trade", [CHANNEL_AGG_TRADE] = "aggTrade", [CHANNEL_QUOTE] = "bookTicker",
        [CHANNEL_DEPTH] = "depth", [CHANNEL_TICKER] = "ticker",      [CHANNEL_KLINE] = "kline_",
    };
    char wanted[128];
    int size = 0;
    for (const char *c = maker->symbol; *c != '\0'; c++)
        wanted[size++] = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
    size += sprintf(wanted + size, "@%s", names[maker->event->channel]);
    if (maker->event->channel == CHANNEL_KLINE) {
        const struct event_text interval = event_text(maker->event, KLINE_INTERVAL);
        size += sprintf(wanted + size, "%.*s", (int)interval.size, (const char *)interval.bytes);
    }
    cr_assert_gt(stream->size, (uint32_t)size);
    cr_assert_eq(memcmp(stream->text + 1, wanted, (size_t)size), 0);
    const char after = stream->text[1 + size];
    cr_assert(after == '"' || (after == '@' && maker->event->channel == CHANNEL_DEPTH));
}

static const struct strict_message *message_of(const struct dialect *dialect,
                                             const struct event *event)
{
    for (uint32_t i = 0; dialect->messages[i] != NULL; i++)
        if (dialect->messages[i]->channel == event->channel &&
            (event->channel != CHANNEL_BOOK || strcmp(dialect->name, "binance-usdm") != 0 ||
             dialect->messages[i]->fields[0].kind != STRICT_TYPE))
            return dialect->messages[i];
    return NULL;
}

// Frame -> event -> rows -> event -> the frame's keys and values.
static void check_frame(struct fields_reader *reader, const uint8_t *text, uint32_t size)
{
    static struct event event, stored;
    struct json_value message, data, stream;
    dialect_support_begin(&reader->support, text, size, '7');
    const struct dialect *dialect = reader->support.dialect;
    cr_assert(dialect->next(&reader->support.frame, &event));
    cr_assert_neq(event.channel, CHANNEL_RAW, "%.*s", (int)size, (const char *)text);
    struct rows *rows = &reader->rows[event.channel];
    rows_clear(rows);
    cr_assert(rows_append(rows, &event));
    cr_assert_not(dialect->next(&reader->support.frame, &event), "a raw row behind %.*s", (int)size,
                  (const char *)text);
    rows_get(rows, 0, &stored, reader->levels);
    const struct symbol_name *name = symbols_name(reader->support.symbols, stored.symbol);
    const struct maker maker = {
        .message = message_of(dialect, &stored),
        .event = &stored,
        .symbol = name->text + name->symbol_offset,
        .keys_short = memmem(text, size, "\"ty\":", 5) != NULL,
        .time_unit_ns = reader->time_unit_ns,
    };
    cr_assert_eq(json_parse((const char *)text, size, &message, NULL), JSON_OK);
    if (json_find(&message, "stream", &stream) == JSON_OK) {
        check_stream(&maker, &stream);
        cr_assert_eq(json_find(&message, "data", &data), JSON_OK);
        message = data;
    }
    uint64_t made = 0;
    check_members(&maker, "", &message, &made);
    check_columns(&maker, made);
    reader->checked++;
}

static const struct {
    const char *dialect;
    const char *name;
    int64_t time_unit_ns;
    uint32_t frames; // REST depth replies included
} recordings[] = {
    {"binance", "captures/cryptofeed_BINANCE-b38f7c.0.gz", 1000000, 11367},
    {"binance", "captures/cryptofeed_BINANCE.ws.1.0.gz", 1000000, 265},
    {"binance", "captures/hbtplayground_spot_nexousdt_20240724.dat.gz", 1000000, 112274},
    {"binance", "captures/hbtplayground_spot_nexousdt_20240725.dat.gz", 1000000, 52762},
    {"binance", "captures/hftbacktest_spot_btcusdt_20240808.gz", 1000000, 41249},
    {"binance", "captures/hftbacktest_spot_btcusdt_20240809.gz", 1000000, 58325},
    {"binance", "captures/hftbacktest_spot_ethusdt_20240808.gz", 1000000, 33618},
    {"binance", "captures/polysim_spot_aggTrade.jsonl.gz", 1000000, 188},
    {"binance", "captures/polysim_spot_depth.jsonl.gz", 1000000, 600},
    {"binance", "captures/polysim_spot_depth_snapshot.json.gz", 1000000, 1},
    {"binance", "captures/polysim_spot_kline_1m_micros.jsonl.gz", 1000, 30},
    {"binance-usdm", "captures/hftbacktest_usdm_btcusdt_20240808.gz", 1000000, 93954},
    {"upbit", "captures/cryptofeed_UPBIT-d78752.0.gz", 1000000, 1733},
};

#define SYMBOLS                                                                                    \
    "BTCUSDT ETHUSDT NEXOUSDT BTCAUD MANAUSDT ETHBRL DENTUSDT ZILUSDT RENBTCETH BTCSTUSDT "        \
    "QTUMETH AXSBNB NEOUSDC NKNUSDT BLZETH LRCBTC RUNEEUR KRW-STX KRW-ANKR BTC-FLOW BTC-BASIC "    \
    "KRW-IQ USDT-ADA BTC-CHZ KRW-DAWN KRW-BAT KRW-ADA"

// `change` may rewrite a message before it is read (NULL: as recorded).
static uint32_t check_recording(uint32_t index, uint32_t (*change)(const uint8_t *text,
                                                                   uint32_t size, uint8_t *out))
{
    static uint8_t changed[1 << 16];
    static struct fields_reader reader;
    struct exchange_sim_capture_line line;
    const char *path = dialect_support_recording(recordings[index].name);
    if (path == NULL)
        return 0;
    open_reader(&reader, recordings[index].dialect, SYMBOLS);
    reader.time_unit_ns = recordings[index].time_unit_ns;
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    cr_assert_not_null(capture);
    while (exchange_sim_capture_next(capture, &line)) {
        const bool rest = line.kind == EXCHANGE_SIM_CAPTURE_REST;
        if (!rest && line.kind != EXCHANGE_SIM_CAPTURE_MESSAGE)
            continue;
        reader.support.context.raw_symbol = rest ? 0 : SYMBOL_NONE;
        if (change != NULL)
            check_frame(&reader, changed, change(line.text, line.size, changed));
        else
            check_frame(&reader, line.text, line.size);
    }
    const uint32_t checked = reader.checked;
    exchange_sim_capture_close(capture);
    close_reader(&reader);
    return checked;
}

Test(fields, recorded_frames_are_made_again_from_their_rows)
{
    for (uint32_t i = 0; i < COUNT(recordings); i++) {
        if (dialect_support_recording(recordings[i].name) == NULL)
            cr_skip_test("no recordings");
        const uint32_t checked = check_recording(i, NULL);
        cr_expect_eq(checked, recordings[i].frames, "%s: %u", recordings[i].name, checked);
    }
}

// SIMPLE to DEFAULT: the long keys for the short ones.
static uint32_t lengthen(const uint8_t *text, uint32_t size, uint8_t *out)
{
    static const char *const keys[][2] = {
        {"ty", "type"},           {"cd", "code"},
        {"tms", "timestamp"},     {"td", "trade_date"},
        {"ttm", "trade_time"},    {"ttms", "trade_timestamp"},
        {"tp", "trade_price"},    {"tv", "trade_volume"},
        {"ab", "ask_bid"},        {"pcp", "prev_closing_price"},
        {"c", "change"},          {"cp", "change_price"},
        {"sid", "sequential_id"}, {"st", "stream_type"},
        {"tas", "total_ask_size"}, {"tbs", "total_bid_size"},
        {"obu", "orderbook_units"}, {"ap", "ask_price"},
        {"bp", "bid_price"},      {"as", "ask_size"},
        {"bs", "bid_size"},
    };
    uint32_t out_size = 0;
    for (uint32_t i = 0; i < size; i++) {
        uint32_t k = 0;
        out[out_size++] = text[i];
        if (text[i] != '"')
            continue;
        for (; k < COUNT(keys); k++) {
            const size_t key_size = strlen(keys[k][0]);
            if (i + key_size + 2 < size && memcmp(text + i + 1, keys[k][0], key_size) == 0 &&
                memcmp(text + i + 1 + key_size, "\":", 2) == 0)
                break;
        }
        if (k == COUNT(keys))
            continue;
        memcpy(out + out_size, keys[k][1], strlen(keys[k][1]));
        out_size += (uint32_t)strlen(keys[k][1]);
        i += (uint32_t)strlen(keys[k][0]);
    }
    return out_size;
}

Test(fields, upbit_in_default_form)
{
    const uint32_t last = COUNT(recordings) - 1;
    if (dialect_support_recording(recordings[last].name) == NULL)
        cr_skip_test("no recordings");
    cr_assert_eq(check_recording(last, lengthen), recordings[last].frames);
}
