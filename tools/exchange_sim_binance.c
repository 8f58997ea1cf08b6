// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance (spot and USD-M futures) to its WebSocket clients: paths, control requests, wrapping.
// Source: binance-spot-api-docs, web-socket-streams.md.
#include "tools/exchange_sim_connection.h"

#include <string.h>

#include "format/ensure.h"
#include "protocol/json.h"

enum {
    ID_SIZE_MAX = 64,
    QUERY_SIZE_MAX = HTTP_HEAD_SIZE * 3,
};

enum control_error { // as on the wire
    CONTROL_UNKNOWN_PROPERTY = 0,
    CONTROL_VALUE_TYPE = 1,
    CONTROL_INVALID_REQUEST = 2,
    CONTROL_INVALID_JSON = 3,
};

// Futures have the same paths behind /public, /market and /private since 2026-04.
static uint32_t group_size(const char *path, uint32_t size)
{
    static const char *const groups[] = {"/public/", "/market/", "/private/"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        uint32_t const length = (uint32_t)strlen(groups[i]);
        if (size >= length && memcmp(path, groups[i], length) == 0)
            return length - 1;
    }
    return 0;
}

bool exchange_sim_binance_path(const char *path, uint32_t size)
{
    uint32_t const group = group_size(path, size);
    path += group;
    size -= group;
    return (size == 3 && memcmp(path, "/ws", 3) == 0) ||
           (size >= 4 && memcmp(path, "/ws/", 4) == 0) ||
           (size == 7 && memcmp(path, "/stream", 7) == 0);
}

// So many more streams may be subscribed.
static bool streams_allowed(const struct exchange_sim_connection *c, uint32_t more)
{
    uint32_t const most = c->server->options.limit[c->exchange].streams;
    return !c->server->options.limits || most == 0 || c->stream_count + more <= most;
}

static void subscribe_name(struct exchange_sim_connection *c, const char *name, uint32_t size)
{
    if (size > 0 && streams_allowed(c, 1))
        (void)exchange_sim_connection_subscribe(c, name, size);
}

// Names between slashes.
static void subscribe_list(struct exchange_sim_connection *c, const char *list, uint32_t size)
{
    const char *at = list;
    const char *const end = list + size;
    while (at < end) {
        const char *stop = memchr(at, '/', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        subscribe_name(c, at, (uint32_t)(stop - at));
        at = stop + 1;
    }
}

void exchange_sim_binance_upgraded(struct exchange_sim_connection *c, const char *target,
                                   uint32_t target_size)
{
    char names[QUERY_SIZE_MAX];
    char unit[16];
    uint32_t const group = group_size(target, target_size);
    target += group;
    target_size -= group;
    const char *const end = target + target_size;
    const char *query = memchr(target, '?', target_size);
    const char *const path_end = query == NULL ? end : query;
    query = query == NULL ? end : query + 1;
    uint32_t const query_size = (uint32_t)(end - query);
    if (exchange_sim_text_query(query, query_size, "timeUnit", unit, sizeof unit))
        c->microseconds = strcmp(unit, "MICROSECOND") == 0 || strcmp(unit, "microsecond") == 0;
    c->combined = memcmp(target, "/stream", 7) == 0;
    if (c->combined) {
        if (exchange_sim_text_query(query, query_size, "streams", names, sizeof names))
            subscribe_list(c, names, (uint32_t)strlen(names));
        return;
    }
    uint32_t const list_size = (uint32_t)(path_end - target) - 3; // behind "/ws"
    ensure(list_size < sizeof names);
    memcpy(names, target + 3, list_size);
    subscribe_list(c, names, exchange_sim_text_url_decode(names, list_size));
}

void exchange_sim_binance_event(struct exchange_sim_connection *c, const char *name,
                                const uint8_t *payload, uint32_t size)
{
    if (!c->combined) {
        struct exchange_sim_part const part = {payload, size};
        exchange_sim_connection_frame(c, WEBSOCKET_TEXT, &part, 1);
        return;
    }
    struct exchange_sim_part const parts[] = {
        {"{\"stream\":\"", 11},
        {name, (uint32_t)strlen(name)},
        {"\",\"data\":", 9},
        {payload, size},
        {"}", 1},
    };
    exchange_sim_connection_frame(c, WEBSOCKET_TEXT, parts, sizeof parts / sizeof parts[0]);
}

void exchange_sim_binance_shutdown(struct exchange_sim_connection *c, int64_t utc_ns)
{
    char text[96];
    struct exchange_sim_text payload = exchange_sim_text(text, sizeof text);
    EXCHANGE_SIM_TEXT(&payload, "{\"e\":\"serverShutdown\",\"E\":");
    exchange_sim_text_integer(&payload, c->microseconds ? utc_ns / 1000 : utc_ns / 1000000);
    EXCHANGE_SIM_TEXT(&payload, "}");
    exchange_sim_binance_event(c, "!serverShutdown", (const uint8_t *)text,
                               exchange_sim_text_size(&payload));
}

// ---- control requests ----

struct control {
    struct exchange_sim_connection *connection;
    char id[ID_SIZE_MAX + 1]; // JSON text
    struct json_value params;
    bool has_params;
};

static void reply_text(struct exchange_sim_connection *c, const char *text, uint32_t size)
{
    struct exchange_sim_part const part = {text, size};
    exchange_sim_connection_frame(c, WEBSOCKET_TEXT, &part, 1);
}

static void reply_error(const struct control *control, enum control_error code, const char *message)
{
    char text[512];
    struct exchange_sim_text out = exchange_sim_text(text, sizeof text);
    EXCHANGE_SIM_TEXT(&out, "{\"code\":");
    exchange_sim_text_integer(&out, code);
    EXCHANGE_SIM_TEXT(&out, ",\"msg\":");
    exchange_sim_text_quoted(&out, message, (uint32_t)strlen(message));
    EXCHANGE_SIM_TEXT(&out, ",\"id\":");
    exchange_sim_text_string(&out, control->id);
    EXCHANGE_SIM_TEXT(&out, "}");
    reply_text(control->connection, text, exchange_sim_text_size(&out));
}

static void reply_result(const struct control *control, const char *result)
{
    char text[256];
    struct exchange_sim_text out = exchange_sim_text(text, sizeof text);
    EXCHANGE_SIM_TEXT(&out, "{\"result\":");
    exchange_sim_text_string(&out, result);
    EXCHANGE_SIM_TEXT(&out, ",\"id\":");
    exchange_sim_text_string(&out, control->id);
    EXCHANGE_SIM_TEXT(&out, "}");
    reply_text(control->connection, text, exchange_sim_text_size(&out));
}

// id: int64, a string of letters and digits up to 36, or null; anything else is refused.
static bool control_id(struct control *control, const struct json_value *root)
{
    struct json_value id;
    int64_t integer;
    memcpy(control->id, "null", sizeof "null");
    enum json_error const found = json_find(root, "id", &id);
    if (found == JSON_NOT_FOUND)
        return true;
    bool const valid = found == JSON_OK &&
                       (id.type == JSON_NULL || (id.type == JSON_STRING && id.size <= 38) ||
                        (id.type == JSON_NUMBER_TEXT && json_integer(&id, &integer) == JSON_OK));
    if (!valid || id.size > ID_SIZE_MAX)
        return false;
    memcpy(control->id, id.text, id.size);
    control->id[id.size] = '\0';
    return true;
}

static bool params_are_strings(const struct control *control)
{
    struct json_walk walk;
    struct json_value element;
    if (!control->has_params || json_walk_array(&control->params, &walk) != JSON_OK)
        return false;
    while (json_walk_element(&walk, &element))
        if (element.type != JSON_STRING)
            return false;
    return true;
}

static uint32_t params_count(const struct control *control)
{
    struct json_walk walk;
    struct json_value element;
    uint32_t count = 0;
    if (json_walk_array(&control->params, &walk) == JSON_OK)
        while (json_walk_element(&walk, &element))
            count++;
    return count;
}

static void control_streams(const struct control *control, bool subscribe)
{
    struct exchange_sim_connection *c = control->connection;
    if (!params_are_strings(control)) {
        reply_error(control, CONTROL_INVALID_REQUEST, "Invalid request: params must be strings");
        return;
    }
    if (subscribe && !streams_allowed(c, params_count(control))) {
        reply_error(control, CONTROL_INVALID_REQUEST, "Invalid request: too many streams");
        return;
    }
    struct json_walk walk;
    struct json_value element;
    ensure(json_walk_array(&control->params, &walk) == JSON_OK);
    while (json_walk_element(&walk, &element)) {
        char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
        uint32_t size = 0;
        if (json_string_decode(&element, name, EXCHANGE_SIM_STREAM_NAME_MAX, &size) != JSON_OK)
            continue;
        if (subscribe)
            subscribe_name(c, name, size);
        else if (exchange_sim_connection_unsubscribe(c, name, size))
            c->server->counters.unsubscribed++;
    }
    reply_result(control, "null");
}

static void control_list(const struct control *control)
{
    static char text[EXCHANGE_SIM_REPLY_MAX];
    struct exchange_sim_connection *c = control->connection;
    struct exchange_sim_text out = exchange_sim_text(text, sizeof text);
    EXCHANGE_SIM_TEXT(&out, "{\"result\":[");
    for (uint32_t i = 0; i < c->stream_count; i++) {
        const struct exchange_sim_stream *stream = &c->server->hub->streams[c->streams[i]];
        for (uint32_t s = 0; s < stream->subscriber_count; s++) {
            const struct exchange_sim_subscriber *subscriber = &stream->subscribers[s];
            if (subscriber->connection != c)
                continue;
            exchange_sim_text_string(&out, i == 0 ? "" : ",");
            exchange_sim_text_quoted(&out, subscriber->name, (uint32_t)strlen(subscriber->name));
        }
    }
    EXCHANGE_SIM_TEXT(&out, "],\"id\":");
    exchange_sim_text_string(&out, control->id);
    EXCHANGE_SIM_TEXT(&out, "}");
    ensure(!out.full);
    reply_text(c, text, exchange_sim_text_size(&out));
}

static void control_property(const struct control *control, bool set)
{
    struct json_walk walk;
    struct json_value name;
    struct json_value value;
    bool combined;
    if (!control->has_params || json_walk_array(&control->params, &walk) != JSON_OK ||
        !json_walk_element(&walk, &name) || (set && !json_walk_element(&walk, &value))) {
        reply_error(control, CONTROL_INVALID_REQUEST, "Invalid request: params are missing");
    } else if (!json_string_equals(&name, "combined")) {
        reply_error(control, CONTROL_UNKNOWN_PROPERTY, "Unknown property");
    } else if (!set) {
        reply_result(control, control->connection->combined ? "true" : "false");
    } else if (json_boolean(&value, &combined) != JSON_OK) {
        reply_error(control, CONTROL_VALUE_TYPE, "Invalid value type: expected Boolean");
    } else {
        control->connection->combined = combined;
        reply_result(control, "null");
    }
}

void exchange_sim_binance_message(struct exchange_sim_connection *c, const uint8_t *text,
                                  uint32_t size)
{
    struct control control = {.connection = c, .id = "null"};
    struct json_value root;
    struct json_value method;
    if (json_parse((const char *)text, size, &root, NULL) != JSON_OK) {
        reply_error(&control, CONTROL_INVALID_JSON, "Invalid JSON: expected value");
        return;
    }
    if (root.type != JSON_OBJECT || !control_id(&control, &root) ||
        json_find(&root, "method", &method) != JSON_OK) {
        reply_error(&control, CONTROL_INVALID_REQUEST, "Invalid request: unknown field or type");
        return;
    }
    control.has_params = json_find(&root, "params", &control.params) == JSON_OK;
    if (json_string_equals(&method, "SUBSCRIBE"))
        control_streams(&control, true);
    else if (json_string_equals(&method, "UNSUBSCRIBE"))
        control_streams(&control, false);
    else if (json_string_equals(&method, "LIST_SUBSCRIPTIONS"))
        control_list(&control);
    else if (json_string_equals(&method, "SET_PROPERTY"))
        control_property(&control, true);
    else if (json_string_equals(&method, "GET_PROPERTY"))
        control_property(&control, false);
    else
        reply_error(&control, CONTROL_INVALID_REQUEST, "Invalid request: unknown variant");
}
