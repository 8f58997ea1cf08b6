// SPDX-License-Identifier: GPL-3.0-or-later
//
// Messages are searched for their few keys by text: they are machine-written, without white space,
// and come from files that the tests know. Laps add to digits where they stand in the payload.
#include "tools/exchange_sim_reel.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

#define MILLISECOND_NS ((int64_t)1000000)

// ---- looking into payloads; all are machine-written, without white space ----

// The digits behind "key":, or NULL.
static const char *find_number(const uint8_t *payload, uint32_t size, const char *key)
{
    const char *text = (const char *)payload;
    const char *at = memmem(text, size, key, strlen(key));
    if (at == NULL)
        return NULL;
    at += strlen(key);
    return at < text + size && isdigit((unsigned char)*at) ? at : NULL;
}

static int64_t read_number(const char *digits, uint8_t *count)
{
    int64_t value = 0;
    uint8_t size = 0;
    for (; isdigit((unsigned char)digits[size]) && size < 18; size++)
        value = value * 10 + (digits[size] - '0');
    *count = size;
    return value;
}

static int64_t payload_number(const uint8_t *payload, uint32_t size, const char *key)
{
    uint8_t digits;
    const char *at = find_number(payload, size, key);
    return at == NULL ? 0 : read_number(at, &digits);
}

static bool starts_with(const uint8_t *payload, uint32_t size, const char *text)
{
    size_t const length = strlen(text);
    return size >= length && memcmp(payload, text, length) == 0;
}

// The identity at the exchange; 0 where the message has none.
static int64_t payload_id(const uint8_t *payload, uint32_t size)
{
    if (starts_with(payload, size, "{\"e\":\"trade\""))
        return payload_number(payload, size, ",\"t\":");
    if (starts_with(payload, size, "{\"e\":\"aggTrade\""))
        return payload_number(payload, size, ",\"a\":");
    if (starts_with(payload, size, "{\"ty\":\"trade\""))
        return payload_number(payload, size, ",\"sid\":");
    if (starts_with(payload, size, "{\"u\":"))
        return payload_number(payload, size, "{\"u\":");
    return payload_number(payload, size, ",\"u\":");
}

// Content of the string behind "key":".
static uint32_t payload_string(const uint8_t *payload, uint32_t size, const char *key,
                               const char **content)
{
    const char *end = (const char *)payload + size;
    const char *at = memmem(payload, size, key, strlen(key));
    if (at == NULL)
        return 0;
    at += strlen(key);
    const char *quote = memchr(at, '"', (size_t)(end - at));
    *content = at;
    return quote == NULL ? 0 : (uint32_t)(quote - at);
}

// "KRW-BTC@trade" out of an Upbit message.
static uint32_t upbit_stream(struct exchange_sim_hub *hub, const uint8_t *payload, uint32_t size)
{
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    const char *type;
    const char *code;
    uint32_t const type_size = payload_string(payload, size, "\"ty\":\"", &type);
    uint32_t const code_size = payload_string(payload, size, "\"cd\":\"", &code);
    if (type_size == 0 || code_size == 0)
        return EXCHANGE_SIM_STREAM_NONE;
    struct exchange_sim_text out = exchange_sim_text(name, sizeof name);
    exchange_sim_text_bytes(&out, code, code_size);
    EXCHANGE_SIM_TEXT(&out, "@");
    exchange_sim_text_bytes(&out, type, type_size);
    if (out.full)
        return EXCHANGE_SIM_STREAM_NONE;
    return exchange_sim_hub_stream(hub, EXCHANGE_SIM_UPBIT, name, exchange_sim_text_size(&out));
}

// ---- loading ----

static struct exchange_sim_reel_event *reel_append(struct exchange_sim_reel *reel)
{
    if (reel->count == reel->capacity) {
        uint32_t const capacity = reel->capacity * 2 + 4096;
        void *events = realloc(reel->events, capacity * sizeof *reel->events);
        if (events == NULL)
            return NULL;
        reel->events = events;
        reel->capacity = capacity;
    }
    struct exchange_sim_reel_event *event = &reel->events[reel->count++];
    *event = (struct exchange_sim_reel_event){0};
    return event;
}

// Where the recording has no receive times, the event time stands for it, else the one before.
static int64_t line_time(const struct exchange_sim_reel *reel,
                         const struct exchange_sim_capture_line *line, const uint8_t *payload,
                         uint32_t size)
{
    uint8_t digits = 0;
    if (line->receive_ns > 0)
        return line->receive_ns;
    const char *at = find_number(payload, size, "\"E\":");
    int64_t time = at == NULL ? 0 : read_number(at, &digits);
    if (digits < 13)
        return reel->count > 1 ? reel->events[reel->count - 2].time_ns : 0;
    for (; digits < 19; digits++)
        time *= 10;
    return time;
}

static bool load_message(struct exchange_sim_reel *reel, struct exchange_sim_hub *hub,
                         enum exchange_sim_exchange exchange,
                         const struct exchange_sim_capture_line *line, const char *only)
{
    const char *name;
    uint32_t name_size;
    const uint8_t *payload = line->text;
    uint32_t size = line->size;
    uint32_t stream;
    if (exchange == EXCHANGE_SIM_UPBIT)
        stream = upbit_stream(hub, payload, size);
    else if (exchange_sim_capture_unwrap(line->text, line->size, &name, &name_size, &payload,
                                         &size))
        stream = exchange_sim_hub_stream(hub, exchange, name, name_size);
    else
        stream = EXCHANGE_SIM_STREAM_NONE;
    if (stream == EXCHANGE_SIM_STREAM_NONE || size > MARKET_EVENT_SIZE_MAX * 4) {
        reel->malformed++;
        return true;
    }
    const char *channel = strchr(hub->streams[stream].key, '@');
    if (only != NULL && (channel == NULL || strcmp(channel + 1, only) != 0))
        return true;
    struct exchange_sim_reel_event *event = reel_append(reel);
    if (event == NULL)
        return false;
    event->time_ns = line_time(reel, line, payload, size);
    event->payload = (uint8_t *)(uintptr_t)payload;
    event->size = size;
    event->stream = stream;
    event->id = payload_id(payload, size);
    return true;
}

static void rest_of_url(struct exchange_sim_reel_rest *rest, const char *url, uint32_t size)
{
    const char *const end = url + size;
    const char *query = memchr(url, '?', size);
    const char *const path_end = query == NULL ? end : query;
    if (query != NULL)
        (void)exchange_sim_text_query(query + 1, (uint32_t)(end - query - 1), "symbol",
                                      rest->symbol, sizeof rest->symbol);
    const char *at = path_end;
    while (at > url && at[-1] != '/')
        at--;
    struct exchange_sim_text out = exchange_sim_text(rest->what, sizeof rest->what - 1);
    exchange_sim_text_bytes(&out, at, (uint32_t)(path_end - at));
}

// A REST reply is of the symbol in its URL or, inline, of the recording's only one.
static bool load_rest(struct exchange_sim_reel *reel, const struct exchange_sim_hub *hub,
                      enum exchange_sim_exchange exchange,
                      const struct exchange_sim_capture_line *line)
{
    if (reel->rest_count == reel->rest_capacity) {
        uint32_t const capacity = reel->rest_capacity * 2 + 16;
        void *rests = realloc(reel->rests, capacity * sizeof *reel->rests);
        if (rests == NULL)
            return false;
        reel->rests = rests;
        reel->rest_capacity = capacity;
    }
    struct exchange_sim_reel_rest *rest = &reel->rests[reel->rest_count++];
    *rest = (struct exchange_sim_reel_rest){
        .exchange = exchange, .body = line->text, .size = line->size};
    if (line->url_size > 0) {
        rest_of_url(rest, line->url, line->url_size);
        return true;
    }
    memcpy(rest->what, "depth", sizeof "depth");
    const char *key =
        reel->count == 0 ? "" : hub->streams[reel->events[reel->count - 1].stream].key;
    for (uint32_t i = 0; i < MARKET_NAME_SIZE - 1 && key[i] != '@' && key[i] != '\0'; i++)
        rest->symbol[i] = (char)toupper((unsigned char)key[i]);
    return true;
}

bool exchange_sim_reel_load(struct exchange_sim_reel *reel, struct exchange_sim_hub *hub,
                            enum exchange_sim_exchange exchange, const char *path, const char *only)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    if (reel->capture_count == REEL_CAPTURES_MAX) {
        errno = E2BIG;
        return false;
    }
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    if (capture == NULL)
        return false;
    reel->captures[reel->capture_count++] = capture;
    struct exchange_sim_capture_line line;
    while (exchange_sim_capture_next(capture, &line)) {
        bool loaded = true;
        if (line.kind == EXCHANGE_SIM_CAPTURE_MESSAGE)
            loaded = load_message(reel, hub, exchange, &line, only);
        else if (line.kind == EXCHANGE_SIM_CAPTURE_REST)
            loaded = load_rest(reel, hub, exchange, &line);
        else if (line.kind == EXCHANGE_SIM_CAPTURE_MALFORMED)
            reel->malformed++;
        if (!loaded)
            return false;
    }
    return true;
}

// ---- laps ----

static void patch_add(struct exchange_sim_reel_event *event, const char *key, bool time)
{
    const char *at = find_number(event->payload, event->size, key);
    if (at == NULL || event->patch_count == REEL_PATCHES_MAX)
        return;
    struct exchange_sim_patch *patch = &event->patches[event->patch_count];
    ptrdiff_t const offset = at - (const char *)event->payload;
    (void)read_number(at, &patch->digits);
    if (offset > UINT16_MAX || patch->digits < 4)
        return;
    patch->offset = (uint16_t)offset;
    patch->time = time;
    event->patch_count++;
}

static void patches_find(struct exchange_sim_reel_event *event)
{
    if (starts_with(event->payload, event->size, "{\"u\":")) {
        patch_add(event, "{\"u\":", false);
        return;
    }
    patch_add(event, ",\"E\":", true);
    patch_add(event, ",\"T\":", true);
    if (starts_with(event->payload, event->size, "{\"e\":\"trade\"")) {
        patch_add(event, ",\"t\":", false);
        return;
    }
    patch_add(event, ",\"u\":", false);
    patch_add(event, ",\"U\":", false);
    patch_add(event, ",\"pu\":", false);
}

static int event_compare(const void *left, const void *right)
{
    const struct exchange_sim_reel_event *a = left;
    const struct exchange_sim_reel_event *b = right;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return a->payload < b->payload ? -1 : a->payload > b->payload;
}

static bool reel_ordered(const struct exchange_sim_reel *reel)
{
    for (uint32_t i = 1; i < reel->count; i++)
        if (reel->events[i].time_ns < reel->events[i - 1].time_ns)
            return false;
    return true;
}

static bool reel_strides(struct exchange_sim_reel *reel, uint32_t stream_count)
{
    int64_t *first = calloc(stream_count, sizeof *first);
    reel->stride = calloc(stream_count, sizeof *reel->stride);
    if (first == NULL || reel->stride == NULL) {
        free(first);
        return false;
    }
    for (uint32_t i = 0; i < reel->count; i++) {
        const struct exchange_sim_reel_event *event = &reel->events[i];
        if (first[event->stream] == 0)
            first[event->stream] = event->id;
        if (event->id - first[event->stream] >= reel->stride[event->stream])
            reel->stride[event->stream] = event->id - first[event->stream] + 1;
    }
    free(first);
    return true;
}

bool exchange_sim_reel_seal(struct exchange_sim_reel *reel, const struct exchange_sim_hub *hub)
{
    // A single recording stays in its own order, whatever its clock did.
    if (reel->capture_count > 1 && !reel_ordered(reel))
        qsort(reel->events, reel->count, sizeof *reel->events, event_compare);
    for (uint32_t i = 0; i < reel->count; i++)
        patches_find(&reel->events[i]);
    if (reel->count > 0)
        reel->lap_span_ns = reel->events[reel->count - 1].time_ns - reel->events[0].time_ns;
    // Whole milliseconds, so that patched times move on by the same amount in every unit; a second
    // more, since the exchange's times do not follow the receiver's evenly.
    reel->lap_span_ns = (reel->lap_span_ns / MILLISECOND_NS + 1000) * MILLISECOND_NS;
    return reel_strides(reel, hub->stream_count);
}

void exchange_sim_reel_close(struct exchange_sim_reel *reel)
{
    for (uint32_t i = 0; i < reel->capture_count; i++)
        exchange_sim_capture_close(reel->captures[i]);
    free(reel->events);
    free(reel->rests);
    free(reel->stride);
}

// Adds to a number in place; false where it would need another digit.
static bool patch_apply(uint8_t *payload, const struct exchange_sim_patch *patch, int64_t add)
{
    uint8_t *const first = payload + patch->offset;
    ensure(add >= 0);
    // One division a digit: this is a third of what a recorded event costs.
    uint64_t left = (uint64_t)add;
    uint32_t carry = 0;
    for (uint8_t *at = first + patch->digits - 1; left > 0 || carry > 0; at--) {
        if (at < first)
            return false;
        uint32_t const sum = (uint32_t)(*at - '0') + (uint32_t)(left % 10) + carry;
        left /= 10;
        carry = sum >= 10;
        *at = (uint8_t)('0' + (carry > 0 ? sum - 10 : sum));
    }
    return true;
}

// What one lap adds to a time of that many digits: 13 ms, 16 us, 19 ns.
static int64_t lap_time(const struct exchange_sim_reel *reel, uint8_t digits)
{
    int64_t span = reel->lap_span_ns;
    for (; digits < 19; digits++)
        span /= 10;
    return span;
}

bool exchange_sim_reel_event(struct exchange_sim_reel *reel, uint32_t index, uint32_t lap,
                             struct exchange_sim_event *event)
{
    ensure(index < reel->count);
    struct exchange_sim_reel_event *stored = &reel->events[index];
    int64_t const stride = reel->stride[stored->stream];
    // Patching adds one lap to what stands there, which is the lap before.
    for (uint32_t i = 0; lap > 0 && i < stored->patch_count; i++) {
        const struct exchange_sim_patch *patch = &stored->patches[i];
        int64_t const add = patch->time ? lap_time(reel, patch->digits) : stride;
        if (!patch_apply(stored->payload, patch, add))
            return false;
    }
    if (lap > 0)
        stored->id += stored->id == 0 ? 0 : stride;
    event->stream = stored->stream;
    event->id = stored->id;
    for (int unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) {
        event->payload[unit] = stored->payload;
        event->size[unit] = stored->size;
    }
    return true;
}
