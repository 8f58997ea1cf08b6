// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit to its WebSocket clients: request arrays, formats, keep-alive words, errors.
// Source: docs.upbit.com, websocket-guide. Events come in the SIMPLE format; the others are made of
// it.
#include "tools/exchange_sim_connection.h"

#include <string.h>

#include "format/ensure.h"
#include "protocol/json.h"

enum {
    TICKET_SIZE_MAX = 128,
    KEY_TABLE_SIZE = 256, // a power of two, well above the number of keys
    EVENT_SIZE_MAX = EXCHANGE_SIM_EVENT_SIZE_MAX * 2,
};

// ---- formats ----

struct key_pair {
    const char *simple;
    const char *full;
};

// The short keys of all message types; none has two meanings within values we send.
static const struct key_pair key_pairs[] = {
    {"ty", "type"},
    {"cd", "code"},
    {"tms", "timestamp"},
    {"td", "trade_date"},
    {"tdt", "trade_date"},
    {"ttm", "trade_time"},
    {"ttms", "trade_timestamp"},
    {"tp", "trade_price"},
    {"tv", "trade_volume"},
    {"ab", "ask_bid"},
    {"pcp", "prev_closing_price"},
    {"c", "change"},
    {"cp", "change_price"},
    {"scp", "signed_change_price"},
    {"cr", "change_rate"},
    {"scr", "signed_change_rate"},
    {"sid", "sequential_id"},
    {"bap", "best_ask_price"},
    {"bas", "best_ask_size"},
    {"bbp", "best_bid_price"},
    {"bbs", "best_bid_size"},
    {"st", "stream_type"},
    {"op", "opening_price"},
    {"hp", "high_price"},
    {"lp", "low_price"},
    {"atv", "acc_trade_volume"},
    {"atv24h", "acc_trade_volume_24h"},
    {"atp", "acc_trade_price"},
    {"atp24h", "acc_trade_price_24h"},
    {"aav", "acc_ask_volume"},
    {"abv", "acc_bid_volume"},
    {"h52wp", "highest_52_week_price"},
    {"h52wdt", "highest_52_week_date"},
    {"l52wp", "lowest_52_week_price"},
    {"l52wdt", "lowest_52_week_date"},
    {"ms", "market_state"},
    {"its", "is_trading_suspended"},
    {"dd", "delisting_date"},
    {"mw", "market_warning"},
    {"tas", "total_ask_size"},
    {"tbs", "total_bid_size"},
    {"obu", "orderbook_units"},
    {"ap", "ask_price"},
    {"bp", "bid_price"},
    {"as", "ask_size"},
    {"bs", "bid_size"},
    {"lv", "level"},
};

struct key_table {
    bool filled;
    uint64_t word[KEY_TABLE_SIZE]; // the short key's bytes; 0: empty
    const char *full[KEY_TABLE_SIZE];
};

static uint64_t key_word(const char *key, uint32_t size)
{
    uint64_t word = 0;
    memcpy(&word, key, size < 8 ? size : 8);
    return word;
}

static uint32_t key_slot(const struct key_table *table, uint64_t word)
{
    uint32_t slot = (uint32_t)((word * 0x9e3779b97f4a7c15u) >> 56);
    while (table->word[slot] != 0 && table->word[slot] != word)
        slot = (slot + 1) % KEY_TABLE_SIZE;
    return slot;
}

static const char *key_full(const char *key, uint32_t size)
{
    static struct key_table table;
    if (!table.filled) {
        for (size_t i = 0; i < sizeof key_pairs / sizeof key_pairs[0]; i++) {
            uint64_t const word =
                key_word(key_pairs[i].simple, (uint32_t)strlen(key_pairs[i].simple));
            uint32_t const slot = key_slot(&table, word);
            table.word[slot] = word;
            table.full[slot] = key_pairs[i].full;
        }
        table.filled = true;
    }
    return size > 7 ? NULL : table.full[key_slot(&table, key_word(key, size))];
}

// Replaces short keys; what is no key, and unknown keys, stay. Strings in events hold no escapes.
static void expand_keys(struct exchange_sim_text *out, const char *at, const char *end)
{
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL)
            break;
        const char *close = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (close == NULL)
            break;
        exchange_sim_text_bytes(out, at, (uint32_t)(quote + 1 - at));
        uint32_t const size = (uint32_t)(close - quote - 1);
        bool const is_key = close + 1 < end && close[1] == ':';
        const char *full = is_key ? key_full(quote + 1, size) : NULL;
        if (full != NULL)
            exchange_sim_text_string(out, full);
        else
            exchange_sim_text_bytes(out, quote + 1, size);
        at = close;
        exchange_sim_text_bytes(out, at++, 1);
    }
    exchange_sim_text_bytes(out, at, (uint32_t)(end - at));
}

// KRW-BTC.5@orderbook wants five pairs: cuts the list of units behind the fifth.
static uint32_t trim_units(const char *name, const char *payload, uint32_t size, char *target)
{
    const char *dot = strchr(name, '.');
    const char *channel = strchr(name, '@');
    memcpy(target, payload, size);
    target[size] = '\0';
    if (dot == NULL || channel == NULL || dot > channel)
        return size;
    uint32_t units = 0;
    for (const char *c = dot + 1; c < channel; c++)
        units = units * 10 + (uint32_t)(*c - '0');
    char *at = strstr(target, "\"obu\":[");
    for (uint32_t i = 0; at != NULL && i < units; i++) {
        at = strchr(at, '}');
        at = at == NULL ? NULL : at + 1;
    }
    char *rest = at == NULL ? NULL : strchr(at, ']');
    if (rest == NULL || units == 0)
        return size;
    memmove(at, rest, strlen(rest) + 1);
    return (uint32_t)strlen(target);
}

void exchange_sim_upbit_event(struct exchange_sim_connection *c, const char *name,
                              const uint8_t *payload, uint32_t size)
{
    static char trimmed[EVENT_SIZE_MAX];
    static char expanded[EVENT_SIZE_MAX];
    ensure(size < sizeof trimmed);
    const char *text = (const char *)payload;
    if (strchr(name, '.') != NULL) {
        size = trim_units(name, text, size, trimmed);
        text = trimmed;
    }
    if (c->format == EXCHANGE_SIM_DEFAULT || c->format == EXCHANGE_SIM_JSON_LIST) {
        struct exchange_sim_text out = exchange_sim_text(expanded, sizeof expanded);
        expand_keys(&out, text, text + size);
        ensure(!out.full);
        text = expanded;
        size = exchange_sim_text_size(&out);
    }
    bool const list = c->format == EXCHANGE_SIM_JSON_LIST || c->format == EXCHANGE_SIM_SIMPLE_LIST;
    struct exchange_sim_part const parts[] = {{"[", list}, {text, size}, {"]", list}};
    exchange_sim_connection_frame(c, WEBSOCKET_BINARY, parts, 3);
}

// ---- requests ----

struct request {
    struct exchange_sim_connection *connection;
    char ticket[TICKET_SIZE_MAX]; // with quotes
    bool typed;                   // it has a type
    bool list;                    // LIST_SUBSCRIPTIONS
};

static void reply_error(struct exchange_sim_connection *c, const char *name, const char *message)
{
    char text[256];
    struct exchange_sim_text out = exchange_sim_text(text, sizeof text);
    EXCHANGE_SIM_TEXT(&out, "{\"error\":{\"name\":\"");
    exchange_sim_text_string(&out, name);
    EXCHANGE_SIM_TEXT(&out, "\",\"message\":\"");
    exchange_sim_text_string(&out, message);
    EXCHANGE_SIM_TEXT(&out, "\"}}");
    struct exchange_sim_part const part = {text, exchange_sim_text_size(&out)};
    exchange_sim_connection_frame(c, WEBSOCKET_TEXT, &part, 1);
}

static bool flag(const struct json_value *object, const char *snake, const char *camel)
{
    struct json_value value;
    bool set = false;
    if (json_find(object, snake, &value) == JSON_OK || json_find(object, camel, &value) == JSON_OK)
        (void)json_boolean(&value, &set);
    return set;
}

// Code and type make the stream's name: "KRW-BTC@trade".
static void request_code(const struct request *request, const struct json_value *code,
                         const char *type, bool snapshot)
{
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    uint32_t size = 0;
    struct exchange_sim_connection *c = request->connection;
    if (json_string_decode(code, name, 40, &size) != JSON_OK)
        return;
    struct exchange_sim_text out = exchange_sim_text(name, sizeof name);
    out.at += size;
    EXCHANGE_SIM_TEXT(&out, "@");
    exchange_sim_text_string(&out, type);
    size = exchange_sim_text_size(&out);
    if (out.full || !exchange_sim_connection_subscribe(c, name, size) || !snapshot ||
        c->server->snapshot == NULL)
        return;
    c->server->snapshot(c->server->snapshot_context, c, c->streams[c->stream_count - 1]);
}

static bool request_type(struct request *request, const struct json_value *object,
                         const struct json_value *type_value)
{
    static const char *const types[] = {"trade", "orderbook", "ticker"};
    struct json_value codes;
    struct json_value code;
    struct json_walk walk;
    const char *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (json_string_equals(type_value, types[i]))
            type = types[i];
    bool const candle = type_value->size > 8 && memcmp(type_value->text, "\"candle.", 8) == 0;
    if (type == NULL && !candle) {
        reply_error(request->connection, "INVALID_PARAM", "unknown type");
        return false;
    }
    if (json_find(object, "codes", &codes) != JSON_OK ||
        json_walk_array(&codes, &walk) != JSON_OK || codes.size <= 2) {
        reply_error(request->connection, "NO_CODES", "codes is empty");
        return false;
    }
    request->typed = true;
    bool const snapshot = !flag(object, "is_only_realtime", "isOnlyRealtime");
    while (type != NULL && json_walk_element(&walk, &code))
        request_code(request, &code, type, snapshot);
    return true;
}

static bool request_format(struct request *request, const struct json_value *format)
{
    static const char *const names[] = {"DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"};
    for (int i = 0; i < 4; i++)
        if (json_string_equals(format, names[i])) {
            request->connection->format = (enum exchange_sim_format)i;
            return true;
        }
    reply_error(request->connection, "WRONG_FORMAT", "unknown format");
    return false;
}

// First pass: ticket and format, since the format applies to every type before it, too.
static bool request_prepare(struct request *request, const struct json_value *root)
{
    struct json_walk walk;
    struct json_value object;
    struct json_value value;
    if (json_walk_array(root, &walk) != JSON_OK) {
        reply_error(request->connection, "WRONG_FORMAT", "an array is expected");
        return false;
    }
    request->connection->format = EXCHANGE_SIM_DEFAULT;
    while (json_walk_element(&walk, &object)) {
        if (object.type != JSON_OBJECT) {
            reply_error(request->connection, "WRONG_FORMAT", "objects are expected");
            return false;
        }
        if (json_find(&object, "ticket", &value) == JSON_OK && value.size < TICKET_SIZE_MAX) {
            memcpy(request->ticket, value.text, value.size);
            request->ticket[value.size] = '\0';
        }
        if (json_find(&object, "method", &value) == JSON_OK)
            request->list = json_string_equals(&value, "LIST_SUBSCRIPTIONS");
        if (json_find(&object, "format", &value) == JSON_OK && !request_format(request, &value))
            return false;
    }
    if (request->ticket[0] != '\0')
        return true;
    reply_error(request->connection, "NO_TICKET", "ticket is missing");
    return false;
}

static void list_type(struct exchange_sim_text *out, const struct exchange_sim_connection *c,
                      const char *type, bool simple)
{
    bool first = true;
    for (uint32_t i = 0; i < c->stream_count; i++) {
        const char *key = c->server->hub->streams[c->streams[i]].key;
        const char *at = strchr(key, '@');
        if (at == NULL || strcmp(at + 1, type) != 0)
            continue;
        if (first) {
            exchange_sim_text_string(out, out->at[-1] == '[' ? "{" : ",{");
            exchange_sim_text_string(out, simple ? "\"ty\":\"" : "\"type\":\"");
            exchange_sim_text_string(out, type);
            exchange_sim_text_string(out, simple ? "\",\"cds\":[" : "\",\"codes\":[");
        }
        exchange_sim_text_string(out, first ? "" : ",");
        exchange_sim_text_quoted(out, key, (uint32_t)(at - key));
        first = false;
    }
    if (first)
        return;
    EXCHANGE_SIM_TEXT(out, "]");
    if (strcmp(type, "orderbook") == 0)
        exchange_sim_text_string(out, simple ? ",\"lv\":0" : ",\"level\":0");
    EXCHANGE_SIM_TEXT(out, "}");
}

static void request_list(const struct request *request)
{
    static char text[EXCHANGE_SIM_REPLY_MAX];
    struct exchange_sim_connection *c = request->connection;
    bool const simple = c->format == EXCHANGE_SIM_SIMPLE || c->format == EXCHANGE_SIM_SIMPLE_LIST;
    struct exchange_sim_text out = exchange_sim_text(text, sizeof text);
    exchange_sim_text_string(&out, simple ? "{\"mthd\":" : "{\"method\":");
    EXCHANGE_SIM_TEXT(&out, "\"LIST_SUBSCRIPTIONS\"");
    exchange_sim_text_string(&out, simple ? ",\"rslt\":[" : ",\"result\":[");
    list_type(&out, c, "ticker", simple);
    list_type(&out, c, "trade", simple);
    list_type(&out, c, "orderbook", simple);
    exchange_sim_text_string(&out, simple ? "],\"tckt\":" : "],\"ticket\":");
    exchange_sim_text_string(&out, request->ticket);
    EXCHANGE_SIM_TEXT(&out, "}");
    ensure(!out.full);
    struct exchange_sim_part const part = {text, exchange_sim_text_size(&out)};
    exchange_sim_connection_frame(c, WEBSOCKET_BINARY, &part, 1);
}

static void request_alive(struct exchange_sim_connection *c)
{
    static const char up[] = "{\"status\":\"UP\"}";
    struct exchange_sim_part const part = {up, sizeof up - 1};
    exchange_sim_connection_frame(c, WEBSOCKET_TEXT, &part, 1);
    c->alive_ns = c->server->now_ns + 10 * (int64_t)1000000000;
}

void exchange_sim_upbit_message(struct exchange_sim_connection *c, const uint8_t *text,
                                uint32_t size)
{
    struct request request = {.connection = c};
    struct json_value root;
    struct json_value object;
    struct json_value value;
    struct json_walk walk;
    if (size == 4 && memcmp(text, "PING", 4) == 0) {
        request_alive(c);
        return;
    }
    if (json_parse((const char *)text, size, &root, NULL) != JSON_OK) {
        reply_error(c, "WRONG_FORMAT", "not JSON");
        return;
    }
    if (!request_prepare(&request, &root))
        return;
    if (request.list) {
        request_list(&request);
        return;
    }
    // A later request replaces the whole set.
    exchange_sim_connection_unsubscribe_all(c);
    ensure(json_walk_array(&root, &walk) == JSON_OK);
    while (json_walk_element(&walk, &object))
        if (json_find(&object, "type", &value) == JSON_OK &&
            !request_type(&request, &object, &value))
            return;
    if (!request.typed)
        reply_error(c, "NO_TYPE", "type is missing");
}
