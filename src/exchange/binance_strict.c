// SPDX-License-Identifier: GPL-3.0-or-later
//
// The strict reader of Binance frames: any order of keys, every fault named.
//
//     frame -> {"stream":NAME,"data":MESSAGE} or MESSAGE alone (raw stream)
//     MESSAGE -> its type: by "e"; without it by "u" (spot bookTicker) or "lastUpdateId" (book)
//     type -> its table -> strict_read() -> the stream's name is held against the message
//
// A partial book tells neither its symbol nor its depth: both come from the stream's name, in a raw
// stream from the context. A depth reply of REST has no stream at all: BOOK_SOURCE_REST.
//
// Source: binance-spot-api-docs web-socket-streams.md, rest-api.md.
#include "exchange/binance.h"

#include <string.h>

#include "format/ensure.h"

// The parts of a frame.
struct parts {
    struct json_value message;
    struct json_slice symbol; // of the stream's name: "btcusdt"; empty: no stream
    struct json_slice suffix; // "depth5@100ms"
    const char *type;
};

int binance_book_source(const char *stream, uint32_t size)
{
    static const struct {
        const char *name;
        enum book_source source;
    } sources[] = {{"depth5", BOOK_SOURCE_DEPTH5},
                   {"depth10", BOOK_SOURCE_DEPTH10},
                   {"depth20", BOOK_SOURCE_DEPTH20}};
    for (uint32_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const uint32_t name_size = (uint32_t)strlen(sources[i].name);
        if (size >= name_size && memcmp(stream, sources[i].name, name_size) == 0 &&
            (size == name_size || stream[name_size] == '@'))
            return (int)sources[i].source;
    }
    return -1;
}

static void split_stream(struct parts *parts, const char *name, uint32_t size)
{
    const char *at = memchr(name, '@', size);
    const uint32_t symbol_size = at != NULL ? (uint32_t)(at - name) : size;
    parts->symbol = (struct json_slice){name, symbol_size};
    if (at != NULL)
        parts->suffix = (struct json_slice){at + 1, size - symbol_size - 1};
}

// Takes the wrapper off. False with the raw row queued.
static bool unwrap(struct dialect_frame *frame, const struct json_value *root, struct parts *parts)
{
    struct json_walk walk;
    struct json_value key, value, stream = {.text = NULL}, data = {.text = NULL};
    if (json_walk_object(root, &walk) != JSON_OK) {
        strict_raw(frame, RAW_UNKNOWN_TYPE, "no object", "", 0);
        return false;
    }
    uint32_t others = 0;
    while (json_walk_member(&walk, &key, &value)) {
        struct json_value *part = json_string_equals(&key, "stream") ? &stream
                                  : json_string_equals(&key, "data") ? &data
                                                                     : NULL;
        if (part == NULL) {
            others++;
        } else if (part->text != NULL) {
            strict_raw(frame, RAW_DUPLICATE_KEY, "combined", "", 0);
            return false;
        } else {
            *part = value;
        }
    }
    if (stream.text == NULL && data.text == NULL) {
        parts->message = *root;
        if (frame->context->raw_stream != NULL)
            split_stream(parts, frame->context->raw_stream,
                         (uint32_t)strlen(frame->context->raw_stream));
        return true;
    }
    struct json_slice name;
    if (stream.text == NULL || data.text == NULL) {
        strict_raw(frame, RAW_MISSING_KEY, "combined", stream.text == NULL ? "stream" : "data",
                 stream.text == NULL ? 6 : 4);
        return false;
    }
    if (stream.type != JSON_STRING || json_string_raw(&stream, &name) != JSON_OK) {
        strict_raw(frame, RAW_WRONG_TYPE, "combined", "stream", 6);
        return false;
    }
    if (data.type != JSON_OBJECT) {
        strict_raw(frame, RAW_WRONG_TYPE, "combined", "data", 4);
        return false;
    }
    split_stream(parts, name.text, name.size);
    parts->message = data;
    if (others > 0)
        strict_raw(frame, RAW_UNKNOWN_KEY, "combined", "*", 1);
    return true;
}

// The type named by "e", NULL if there is none such. Futures have two called depthUpdate: the
// stream says whether it is a partial book.
static const struct strict_message *type_of_name(const struct strict_message *const *messages,
                                               const struct json_value *name, bool partial)
{
    const struct strict_message *found = NULL;
    for (uint32_t i = 0; messages[i] != NULL; i++)
        if (messages[i]->fields[0].kind == STRICT_TYPE &&
            json_string_equals(name, messages[i]->type) &&
            (found == NULL || (messages[i]->channel == CHANNEL_BOOK) == partial))
            found = messages[i];
    return found;
}

// The type of a message without "e": a book or a spot bookTicker.
static const struct strict_message *type_of_keys(const struct strict_message *const *messages,
                                               const struct json_value *message)
{
    struct json_value value;
    enum channel channel = CHANNEL_NONE;
    if (json_find(message, "lastUpdateId", &value) != JSON_NOT_FOUND)
        channel = CHANNEL_BOOK;
    else if (json_find(message, "u", &value) != JSON_NOT_FOUND)
        channel = CHANNEL_QUOTE;
    for (uint32_t i = 0; messages[i] != NULL; i++)
        if (messages[i]->channel == channel && messages[i]->fields[0].kind != STRICT_TYPE)
            return messages[i];
    return NULL;
}

// The message type, or NULL with the raw row queued.
static const struct strict_message *message_type(struct dialect_frame *frame,
                                               const struct parts *parts)
{
    const struct strict_message *const *messages = frame->dialect->messages;
    const bool partial = binance_book_source(parts->suffix.text, parts->suffix.size) >= 0;
    const struct strict_message *message = NULL;
    struct json_value name;
    struct json_slice text;
    const enum json_error error = json_find(&parts->message, "e", &name);
    if (error == JSON_NOT_FOUND) {
        message = type_of_keys(messages, &parts->message);
        if (message == NULL)
            strict_raw(frame, RAW_UNKNOWN_TYPE, "no type", "", 0);
    } else if (error == JSON_DUPLICATE) {
        strict_raw(frame, RAW_DUPLICATE_KEY, "e", "", 0);
    } else if (error != JSON_OK || json_string_raw(&name, &text) != JSON_OK) {
        strict_raw(frame, RAW_WRONG_TYPE, "e", "", 0);
    } else {
        message = type_of_name(messages, &name, partial);
        if (message == NULL)
            strict_raw(frame, RAW_UNKNOWN_TYPE, "e", text.text, text.size);
    }
    return message;
}

// True if the stream's symbol is the lower-case spelling of the message's.
static bool symbol_matches(const struct dialect_context *context, uint32_t symbol,
                           struct json_slice stream)
{
    const struct symbol_name *name = symbols_name(context->symbols, symbol);
    if (stream.size != (uint32_t)(name->size - name->symbol_offset))
        return false;
    for (uint32_t i = 0; i < stream.size; i++) {
        const char c = name->text[name->symbol_offset + i];
        const char lower = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
        if (stream.text[i] != lower)
            return false;
    }
    return true;
}

// The number of the symbol a stream is named after.
static uint32_t symbol_of_stream(const struct dialect_context *context, struct json_slice stream)
{
    char upper[SYMBOL_NAME_BYTES_MAX];
    if (stream.size == 0 || stream.size > sizeof upper)
        return SYMBOL_NONE;
    for (uint32_t i = 0; i < stream.size; i++) {
        const char c = stream.text[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    return symbols_find(context->symbols, context->exchange, upper, stream.size);
}

// True if a stream of that suffix carries such messages: "trade" -> trade, "depth@100ms" -> depth.
static bool suffix_matches(const struct strict_message *message, const struct event *event,
                           struct json_slice suffix)
{
    const char *at = suffix.size > 0 ? memchr(suffix.text, '@', suffix.size) : NULL;
    const uint32_t size = at != NULL ? (uint32_t)(at - suffix.text) : suffix.size;
    char wanted[32] = "";
    switch (message->channel) {
    case CHANNEL_TRADE: memcpy(wanted, "trade", 6); break;
    case CHANNEL_AGG_TRADE: memcpy(wanted, "aggTrade", 9); break;
    case CHANNEL_QUOTE: memcpy(wanted, "bookTicker", 11); break;
    case CHANNEL_DEPTH: memcpy(wanted, "depth", 6); break;
    case CHANNEL_TICKER: memcpy(wanted, "ticker", 7); break;
    case CHANNEL_KLINE: {
        const struct event_text interval = event_text(event, KLINE_INTERVAL);
        memcpy(wanted, "kline_", 7);
        if (interval.size < sizeof wanted - 7)
            memcpy(wanted + 6, interval.bytes, interval.size);
        break;
    }
    case CHANNEL_BOOK: return true; // decided by the suffix alone
    default: return false;
    }
    return size == strlen(wanted) && memcmp(suffix.text, wanted, size) == 0;
}

// Symbol and source of a book that does not name them itself.
static bool place_book(struct dialect_frame *frame, const struct parts *parts)
{
    const bool stream = parts->symbol.size > 0;
    frame->message_symbol =
        stream ? symbol_of_stream(frame->context, parts->symbol) : frame->context->raw_symbol;
    if (frame->message_symbol != SYMBOL_NONE)
        return true;
    strict_raw(frame, RAW_UNKNOWN_SYMBOL, "depth", parts->symbol.text, parts->symbol.size);
    return false;
}

bool binance_strict(struct dialect_frame *frame, struct event *event)
{
    struct json_value root;
    struct parts parts = {.symbol = {"", 0}, .suffix = {"", 0}};
    struct strict_reading reading;
    ensure(frame->kind == DIALECT_FRAME_EVENTS);
    ensure(frame->pending_count == 0);
    if (!strict_parse(frame, &root) || !unwrap(frame, &root, &parts))
        return false;
    const struct strict_message *message = message_type(frame, &parts);
    if (message == NULL)
        return false;
    const bool book = message->channel == CHANNEL_BOOK;
    const int source = binance_book_source(parts.suffix.text, parts.suffix.size);
    if (book && source < 0 && parts.symbol.size > 0) {
        strict_raw(frame, RAW_UNKNOWN_TYPE, "depth", parts.suffix.text, parts.suffix.size);
        return false;
    }
    if (book && message->fields[0].kind != STRICT_TYPE && !place_book(frame, &parts))
        return false;
    if (!strict_read(&reading, frame, message, false, &parts.message, event))
        return false;
    if (book)
        event_set(event, BOOK_SOURCE, source >= 0 ? source : BOOK_SOURCE_REST);
    if (parts.symbol.size > 0 && (!symbol_matches(frame->context, event->symbol, parts.symbol) ||
                                  !suffix_matches(message, event, parts.suffix)))
        strict_contradicts(&reading, "stream");
    return true;
}

// ---- what a frame is ----

static bool starts_with(const struct dialect_frame *frame, const char *text, uint32_t size)
{
    return frame->size > size && memcmp(frame->bytes, text, size) == 0;
}

static struct event_text words_of(const struct json_value *value)
{
    struct json_slice text = {value->text, value->size};
    if (value->type == JSON_STRING)
        (void)json_string_raw(value, &text);
    return (struct event_text){(const uint8_t *)text.text, text.size};
}

static void read_reply(struct dialect_frame *frame, const struct json_value *root)
{
    struct json_value value, error;
    frame->kind = DIALECT_FRAME_REPLY;
    frame->reply_id = -1;
    if (json_find(root, "id", &value) == JSON_OK)
        (void)json_integer(&value, &frame->reply_id);
    frame->reply_failed = json_find(root, "result", &value) != JSON_OK;
    if (!frame->reply_failed) {
        frame->reply = words_of(&value);
        return;
    }
    if (json_find(root, "error", &error) != JSON_OK)
        error = *root;
    if (error.type == JSON_OBJECT && json_find(&error, "msg", &value) == JSON_OK)
        frame->reply = words_of(&value);
    else
        frame->reply = words_of(&error);
}

static bool names_shutdown(const struct json_value *object)
{
    struct json_value value;
    return object->type == JSON_OBJECT && json_find(object, "e", &value) == JSON_OK &&
           json_string_equals(&value, "serverShutdown");
}

// Not inlined: the usual frame needs no room on the stack.
static __attribute__((noinline)) void begin_unusual(struct dialect_frame *frame)
{
    struct json_value root, value;
    if (json_parse((const char *)frame->bytes, frame->size, &root, NULL) != JSON_OK ||
        root.type != JSON_OBJECT)
        return;
    if (names_shutdown(&root) ||
        (json_find(&root, "data", &value) == JSON_OK && names_shutdown(&value))) {
        frame->kind = DIALECT_FRAME_SHUTDOWN;
        return;
    }
    if (json_find(&root, "stream", &value) != JSON_NOT_FOUND ||
        json_find(&root, "e", &value) != JSON_NOT_FOUND)
        return;
    if (json_find(&root, "result", &value) == JSON_OK ||
        json_find(&root, "error", &value) == JSON_OK ||
        (json_find(&root, "code", &value) == JSON_OK &&
         json_find(&root, "msg", &value) == JSON_OK))
        read_reply(frame, &root);
}

void binance_begin(struct dialect_frame *frame)
{
    frame->kind = DIALECT_FRAME_EVENTS;
    if (!((starts_with(frame, "{\"stream\":\"", 11) && frame->bytes[11] != '!') ||
          (starts_with(frame, "{\"e\":\"", 6) && frame->bytes[6] != 's') ||
          starts_with(frame, "{\"u\":", 5) || starts_with(frame, "{\"lastUpdateId\":", 16)))
        begin_unusual(frame);
}
