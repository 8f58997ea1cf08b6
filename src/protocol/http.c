// SPDX-License-Identifier: GPL-3.0-or-later
//
// The parser of HTTP/1.1 messages.
//
//   START -(line)-> FIELDS -(empty line)-> HTTP_HEAD, then by the framing rules of RFC 9112 section
//   6.3
//     no body                  -> DONE
//     Content-Length           -> LENGTH -> DONE
//     until the end of input   -> UNTIL_CLOSE -(http_parse_end)-> DONE
//     chunked                  -> CHUNK_SIZE <-> EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF
//                                 -(size 0)-> TRAILER <-> TRAILER_LINE, TRAILER_LF -> DONE
//   any -(error)-> FAILED
//
// Head lines are gathered in the caller's memory by http_head_take() and parsed there one by one.
#include "protocol/http.h"

#include "format/ensure.h"
#include <string.h>
#include <strings.h>

enum state {
    STATE_START,
    STATE_FIELDS,
    STATE_LENGTH,
    STATE_UNTIL_CLOSE,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_EXTENSION,
    STATE_CHUNK_SIZE_LF,
    STATE_CHUNK_DATA,
    STATE_CHUNK_DATA_CR,
    STATE_CHUNK_DATA_LF,
    STATE_TRAILER,
    STATE_TRAILER_LINE,
    STATE_TRAILER_LF,
    STATE_TRAILER_END,
    STATE_DONE,
    STATE_FAILED,
};

// A chunk's size is a 64-bit number; its last hexadecimal digit must still fit.
#define CHUNK_SIZE_LIMIT ((uint64_t)1 << 60)

void http_parser_init(struct http_parser *parser, enum http_kind kind, char *head,
                      uint32_t head_capacity)
{
    ensure(head != NULL && head_capacity >= 256 && head_capacity <= UINT16_MAX);
    *parser = (struct http_parser){.kind = kind, .head = head, .head_capacity = head_capacity};
}

void http_parser_reset(struct http_parser *parser)
{
    ensure(parser->head != NULL);
    http_parser_init(parser, parser->kind, parser->head, parser->head_capacity);
}

void http_parser_expect_no_body(struct http_parser *parser)
{
    ensure(parser->kind == HTTP_RESPONSE && parser->state == STATE_START);
    parser->head_only = true;
}

// What holds between calls.
static void http_check(const struct http_parser *parser)
{
    ensure(parser->head != NULL && parser->head_size <= parser->head_capacity);
    ensure(parser->fields_count <= HTTP_FIELDS_MAX);
    ensure(parser->overhead <= HTTP_CHUNK_OVERHEAD_MAX + 1);
    ensure(parser->state > STATE_FIELDS || parser->line_offset <= parser->head_size);
    ensure(parser->state != STATE_LENGTH || parser->left > 0);
    ensure(parser->state != STATE_CHUNK_DATA || parser->left > 0);
}

static enum http_result fail(struct http_parser *parser, enum http_result error)
{
    ensure(http_failed(error));
    parser->state = STATE_FAILED;
    parser->left = (uint64_t)-(int)error;
    return error;
}

// ---- lines of the head --------------------------------------------------------------------------

static bool is_token(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

// No control characters but the tab.
static bool is_clean(const char *text, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

// "HTTP/1.1" or "HTTP/1.0" at the beginning.
static bool parse_version(struct http_parser *parser, const char *text, uint32_t size)
{
    if (size < 8 || memcmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1'))
        return false;
    parser->version_1_0 = text[7] == '0';
    return true;
}

// "HTTP/1.1 200 OK"; the reason and the space before it may be missing.
static bool parse_status_line(struct http_parser *parser, const char *line, uint32_t size)
{
    if (!parse_version(parser, line, size) || size < 12 || line[8] != ' ')
        return false;
    uint32_t status = 0;
    for (uint32_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        status = status * 10 + (uint32_t)(line[i] - '0');
    }
    if (status < 100 || status > 599 || (size > 12 && line[12] != ' '))
        return false;
    parser->status = (uint16_t)status;
    uint32_t begin = size > 13 ? 13 : size;
    parser->reason = (struct http_slice){line + begin, size - begin};
    return is_clean(line, size);
}

// "GET /path HTTP/1.1"
static bool parse_request_line(struct http_parser *parser, const char *line, uint32_t size)
{
    uint32_t method = 0;
    while (method < size && is_token(line[method]))
        method++;
    if (method == 0 || method == size || line[method] != ' ')
        return false;
    uint32_t begin = method + 1;
    uint32_t end = begin;
    while (end < size && (unsigned char)line[end] > 0x20 && line[end] != 0x7f)
        end++;
    if (end == begin || end == size || line[end] != ' ' || size - end - 1 != 8)
        return false;
    parser->method = (struct http_slice){line, method};
    parser->target = (struct http_slice){line + begin, end - begin};
    return parse_version(parser, line + end + 1, 8);
}

static enum http_result parse_field(struct http_parser *parser, uint32_t offset, uint32_t size)
{
    const char *line = parser->head + offset;
    uint32_t name = 0;
    while (name < size && is_token(line[name]))
        name++;
    if (name == 0 || name == size || line[name] != ':' || !is_clean(line, size))
        return HTTP_ERROR_FIELD;
    uint32_t begin = name + 1;
    while (begin < size && (line[begin] == ' ' || line[begin] == '\t'))
        begin++;
    while (size > begin && (line[size - 1] == ' ' || line[size - 1] == '\t'))
        size--;
    if (parser->fields_count == HTTP_FIELDS_MAX)
        return HTTP_ERROR_FIELDS_TOO_MANY;
    parser->fields[parser->fields_count++] = (struct http_field){
        .name_offset = (uint16_t)offset,
        .name_size = (uint16_t)name,
        .value_offset = (uint16_t)(offset + begin),
        .value_size = (uint16_t)(size - begin),
    };
    return HTTP_MORE;
}

// ---- framing of the body ------------------------------------------------------------------------

static bool field_is(const struct http_parser *parser, const struct http_field *field,
                     const char *name)
{
    return strlen(name) == field->name_size &&
           strncasecmp(parser->head + field->name_offset, name, field->name_size) == 0;
}

static bool parse_length(struct http_parser *parser, const struct http_field *field)
{
    const char *text = parser->head + field->value_offset;
    uint64_t length = 0;
    // 18 digits cannot overflow, and no body has more.
    if (field->value_size == 0 || field->value_size > 18)
        return false;
    for (uint32_t i = 0; i < field->value_size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text[i] - '0');
    }
    if (parser->length_known && parser->content_length != length)
        return false;
    parser->length_known = true;
    parser->content_length = length;
    return true;
}

static bool parse_coding(struct http_parser *parser, const struct http_field *field)
{
    if (parser->chunked || parser->version_1_0 || field->value_size != 7)
        return false;
    parser->chunked = strncasecmp(parser->head + field->value_offset, "chunked", 7) == 0;
    return parser->chunked;
}

static enum http_result read_framing(struct http_parser *parser)
{
    for (uint32_t i = 0; i < parser->fields_count; i++) {
        const struct http_field *field = &parser->fields[i];
        if (field_is(parser, field, "Content-Length") && !parse_length(parser, field))
            return HTTP_ERROR_LENGTH;
        if (field_is(parser, field, "Transfer-Encoding") && !parse_coding(parser, field))
            return HTTP_ERROR_TRANSFER_CODING;
    }
    if (parser->chunked && parser->length_known)
        return HTTP_ERROR_TRANSFER_CODING;
    parser->keep_alive = parser->version_1_0
                             ? http_field_has_token(parser, "Connection", "keep-alive")
                             : !http_field_has_token(parser, "Connection", "close");
    return HTTP_MORE;
}

static bool has_no_body(const struct http_parser *parser)
{
    if (parser->kind == HTTP_REQUEST)
        return !parser->chunked && !parser->length_known;
    return parser->head_only || parser->status < 200 || parser->status == 204 ||
           parser->status == 304;
}

static void choose_body(struct http_parser *parser)
{
    ensure(parser->state == STATE_FIELDS);
    parser->upgraded = parser->kind == HTTP_RESPONSE && parser->status == 101;
    if (has_no_body(parser)) {
        parser->state = STATE_DONE;
    } else if (parser->chunked) {
        parser->left = 0;
        parser->state = STATE_CHUNK_SIZE;
    } else if (parser->length_known) {
        parser->left = parser->content_length;
        parser->state = parser->left > 0 ? STATE_LENGTH : STATE_DONE;
    } else {
        parser->keep_alive = false;
        parser->state = STATE_UNTIL_CLOSE;
    }
}

// An interim response is forgotten; what was said about this exchange stays.
static void forget_interim(struct http_parser *parser)
{
    bool head_only = parser->head_only;
    http_parser_reset(parser);
    parser->head_only = head_only;
}

// The empty line: the head is complete. HTTP_MORE if it was an interim one.
static enum http_result end_head(struct http_parser *parser)
{
    enum http_result result = read_framing(parser);
    if (http_failed(result))
        return result;
    if (parser->kind == HTTP_RESPONSE && parser->status < 200 && parser->status != 101) {
        forget_interim(parser);
        return HTTP_MORE;
    }
    choose_body(parser);
    return HTTP_HEAD;
}

// One complete line from line_offset to head_size, with its line end.
static enum http_result end_line(struct http_parser *parser)
{
    uint32_t offset = parser->line_offset;
    uint32_t size = parser->head_size - offset;
    ensure(size >= 1 && parser->head[parser->head_size - 1] == '\n');
    bool start = parser->state == STATE_START;
    if (size < 2 || parser->head[parser->head_size - 2] != '\r')
        return start ? HTTP_ERROR_START_LINE : HTTP_ERROR_FIELD;
    size -= 2;
    parser->line_offset = parser->head_size;
    if (!start)
        return size == 0 ? end_head(parser) : parse_field(parser, offset, size);
    const char *line = parser->head + offset;
    bool good = parser->kind == HTTP_RESPONSE ? parse_status_line(parser, line, size)
                                              : parse_request_line(parser, line, size);
    parser->state = STATE_FIELDS;
    return good ? HTTP_MORE : HTTP_ERROR_START_LINE;
}

// Fail-fast: a peer that does not speak HTTP is told by its first bytes, not after 16 KB of them.
static bool start_is_possible(const struct http_parser *parser)
{
    uint32_t size = parser->head_size < 7 ? parser->head_size : 7;
    return parser->kind == HTTP_REQUEST || memcmp(parser->head, "HTTP/1.", size) == 0;
}

static enum http_result http_head_take(struct http_parser *parser, const char **at, const char *end)
{
    while (*at < end) {
        const char *feed = memchr(*at, '\n', (size_t)(end - *at));
        size_t size = (size_t)((feed != NULL ? feed + 1 : end) - *at);
        if (size > parser->head_capacity - parser->head_size)
            return HTTP_ERROR_HEAD_TOO_LARGE;
        memcpy(parser->head + parser->head_size, *at, size);
        parser->head_size += (uint32_t)size;
        *at += size;
        if (parser->state == STATE_START && !start_is_possible(parser))
            return HTTP_ERROR_START_LINE;
        if (feed == NULL)
            return HTTP_MORE;
        enum http_result result = end_line(parser);
        if (result != HTTP_MORE)
            return result;
    }
    return HTTP_MORE;
}

// ---- the body -----------------------------------------------------------------------------------

// A slice of at most `left` bytes.
static enum http_result take_body(struct http_parser *parser, const char **at, const char *end,
                                  enum state after, struct http_slice *body)
{
    uint64_t size = (uint64_t)(end - *at);
    if (size == 0)
        return HTTP_MORE;
    // Slices are counted in 32 bits; a larger input gives several.
    if (size > UINT32_MAX)
        size = UINT32_MAX;
    if (parser->state != STATE_UNTIL_CLOSE) {
        ensure(parser->left > 0);
        if (size > parser->left)
            size = parser->left;
        parser->left -= size;
        if (parser->left == 0)
            parser->state = (uint8_t)after;
    }
    *body = (struct http_slice){*at, (uint32_t)size};
    *at += size;
    return HTTP_BODY;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// The chunk's size line; line_offset counts its digits.
static bool take_chunk_size(struct http_parser *parser, char c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (parser->left >= CHUNK_SIZE_LIMIT)
            return false;
        parser->left = parser->left * 16 + (uint64_t)digit;
        parser->line_offset++;
        return true;
    }
    if (parser->line_offset == 0)
        return false;
    if (c == '\r')
        parser->state = STATE_CHUNK_SIZE_LF;
    else if (c == ';' || c == ' ' || c == '\t')
        parser->state = STATE_CHUNK_EXTENSION;
    else
        return false;
    return true;
}

// A character that must not end a line: extension or trailer.
static bool take_overhead(struct http_parser *parser, char c, enum state line_end)
{
    if (c == '\r')
        parser->state = (uint8_t)line_end;
    else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
        return false;
    return ++parser->overhead <= HTTP_CHUNK_OVERHEAD_MAX;
}

// One character outside the chunks' data; false if it is wrong.
static bool take_chunk_character(struct http_parser *parser, char c)
{
    switch ((enum state)parser->state) {
    case STATE_CHUNK_SIZE:
        // Leading zeros are no way to grow the line without bound.
        return parser->line_offset < HTTP_CHUNK_OVERHEAD_MAX && take_chunk_size(parser, c);
    case STATE_CHUNK_EXTENSION:
        return take_overhead(parser, c, STATE_CHUNK_SIZE_LF);
    case STATE_CHUNK_SIZE_LF:
        parser->state = parser->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER;
        return c == '\n';
    case STATE_CHUNK_DATA_CR:
        parser->state = STATE_CHUNK_DATA_LF;
        return c == '\r';
    case STATE_CHUNK_DATA_LF:
        parser->state = STATE_CHUNK_SIZE;
        parser->line_offset = 0;
        return c == '\n';
    case STATE_TRAILER:
        if (c == '\r')
            parser->state = STATE_TRAILER_END;
        else
            parser->state = STATE_TRAILER_LINE;
        return c == '\r' || (is_token(c) && ++parser->overhead <= HTTP_CHUNK_OVERHEAD_MAX);
    case STATE_TRAILER_LINE:
        return take_overhead(parser, c, STATE_TRAILER_LF);
    case STATE_TRAILER_LF:
        parser->state = STATE_TRAILER;
        return c == '\n';
    case STATE_TRAILER_END:
        parser->state = STATE_DONE;
        return c == '\n';
    case STATE_START:
    case STATE_FIELDS:
    case STATE_LENGTH:
    case STATE_UNTIL_CLOSE:
    case STATE_CHUNK_DATA:
    case STATE_DONE:
    case STATE_FAILED:
        break;
    }
    ensure(!"a state between chunks");
    return false;
}

static enum http_result take_chunked(struct http_parser *parser, const char **at, const char *end,
                                     struct http_slice *body)
{
    while (*at < end && parser->state != STATE_DONE) {
        if (parser->state == STATE_CHUNK_DATA)
            return take_body(parser, at, end, STATE_CHUNK_DATA_CR, body);
        if (!take_chunk_character(parser, *(*at)++))
            return HTTP_ERROR_CHUNK;
    }
    return parser->state == STATE_DONE ? HTTP_DONE : HTTP_MORE;
}

static enum http_result advance(struct http_parser *parser, const char **at, const char *end,
                                struct http_slice *body)
{
    switch ((enum state)parser->state) {
    case STATE_START:
    case STATE_FIELDS: {
        enum http_result result = http_head_take(parser, at, end);
        // line_offset now counts the digits of a chunk size.
        if (result == HTTP_HEAD)
            parser->line_offset = 0;
        return result;
    }
    case STATE_LENGTH:
    case STATE_UNTIL_CLOSE:
        return take_body(parser, at, end, STATE_DONE, body);
    case STATE_DONE:
        return HTTP_DONE;
    case STATE_FAILED:
        return (enum http_result)(-(int)parser->left);
    case STATE_CHUNK_SIZE:
    case STATE_CHUNK_EXTENSION:
    case STATE_CHUNK_SIZE_LF:
    case STATE_CHUNK_DATA:
    case STATE_CHUNK_DATA_CR:
    case STATE_CHUNK_DATA_LF:
    case STATE_TRAILER:
    case STATE_TRAILER_LINE:
    case STATE_TRAILER_LF:
    case STATE_TRAILER_END:
        return take_chunked(parser, at, end, body);
    }
    ensure(!"a state");
    return HTTP_ERROR_START_LINE;
}

enum http_result http_parse(struct http_parser *parser, const char **at, const char *end,
                            struct http_slice *body)
{
    ensure(*at <= end);
    http_check(parser);
    enum http_result result = advance(parser, at, end, body);
    if (http_failed(result))
        return fail(parser, result);
    ensure(result != HTTP_MORE || *at == end);
    http_check(parser);
    return result;
}

enum http_result http_parse_end(struct http_parser *parser)
{
    if (parser->state == STATE_FAILED)
        return (enum http_result)(-(int)parser->left);
    if (parser->state == STATE_UNTIL_CLOSE)
        parser->state = STATE_DONE;
    return parser->state == STATE_DONE ? HTTP_DONE : fail(parser, HTTP_ERROR_TRUNCATED);
}

const char *http_result_text(enum http_result result)
{
    switch (result) {
    case HTTP_MORE:
        return "http: needs more input";
    case HTTP_HEAD:
        return "http: head complete";
    case HTTP_BODY:
        return "http: part of the body";
    case HTTP_DONE:
        return "http: message complete";
    case HTTP_ERROR_START_LINE:
        return "http: the peer does not speak HTTP/1.1";
    case HTTP_ERROR_FIELD:
        return "http: malformed header field";
    case HTTP_ERROR_FIELDS_TOO_MANY:
        return "http: too many header fields";
    case HTTP_ERROR_HEAD_TOO_LARGE:
        return "http: head too large";
    case HTTP_ERROR_LENGTH:
        return "http: malformed or contradictory Content-Length";
    case HTTP_ERROR_TRANSFER_CODING:
        return "http: unsupported Transfer-Encoding";
    case HTTP_ERROR_CHUNK:
        return "http: malformed chunk";
    case HTTP_ERROR_TRUNCATED:
        return "http: connection closed inside a message";
    }
    ensure(!"an http_result");
    return "";
}
