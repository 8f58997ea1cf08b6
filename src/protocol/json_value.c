// SPDX-License-Identifier: GPL-3.0-or-later
//
// Scalars of an accepted document: escapes (RFC 8259 section 7), strings, numbers.
#include "protocol/json_value.h"

#include "format/ensure.h"
#include "protocol/json.h"

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

// Four hexadecimal digits; -1 if they are none.
static int32_t hex_unit(const char *at, const char *end)
{
    int32_t unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

// The code point of "uXXXX" or "uXXXX\uXXXX" at *at, which is moved behind it; -1 if malformed.
static int32_t unicode_escape(const char **at, const char *end)
{
    ensure(**at == 'u');
    int32_t unit = hex_unit(*at + 1, end);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return -1;
    *at += 5;
    if (unit < 0xd800 || unit > 0xdbff)
        return unit;
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return -1;
    int32_t low = hex_unit(*at + 2, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

// The character a one-letter escape stands for; 0 if it is none.
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static uint32_t utf8_encode(uint32_t point, char utf8[JSON_ESCAPE_SIZE_MAX])
{
    ensure(point <= 0x10ffff && (point < 0xd800 || point > 0xdfff));
    if (point < 0x80) {
        utf8[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        utf8[0] = (char)(0xc0 | point >> 6);
        utf8[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        utf8[0] = (char)(0xe0 | point >> 12);
        utf8[1] = (char)(0x80 | (point >> 6 & 0x3f));
        utf8[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    utf8[0] = (char)(0xf0 | point >> 18);
    utf8[1] = (char)(0x80 | (point >> 12 & 0x3f));
    utf8[2] = (char)(0x80 | (point >> 6 & 0x3f));
    utf8[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

uint32_t json_escape_decode(const char **at, const char *end, char utf8[JSON_ESCAPE_SIZE_MAX])
{
    ensure(end - *at >= 2 && **at == '\\');
    const char *letter = *at + 1;
    if (*letter == 'u') {
        int32_t point = unicode_escape(&letter, end);
        if (point < 0)
            return 0;
        *at = letter;
        return utf8_encode((uint32_t)point, utf8);
    }
    utf8[0] = short_escape(*letter);
    if (utf8[0] == 0)
        return 0;
    *at = letter + 1;
    return 1;
}

// ---- strings ------------------------------------------------------------------------------------

static struct json_slice content_of(const struct json_value *value)
{
    ensure(value->type == JSON_STRING && value->size >= 2);
    return (struct json_slice){value->text + 1, value->size - 2};
}

// The next bytes of the decoded content: a run without escapes in place, or one escape in `utf8`.
static struct json_slice next_piece(const char **at, const char *end,
                                    char utf8[JSON_ESCAPE_SIZE_MAX])
{
    ensure(*at < end);
    if (**at == '\\') {
        uint32_t size = json_escape_decode(at, end, utf8);
        ensure(size > 0);
        return (struct json_slice){utf8, size};
    }
    const char *begin = *at;
    const char *stop = memchr(begin, '\\', (size_t)(end - begin));
    *at = stop != NULL ? stop : end;
    return (struct json_slice){begin, (uint32_t)(*at - begin)};
}

bool json_string_equals(const struct json_value *value, const char *content)
{
    if (value->type != JSON_STRING)
        return false;
    struct json_slice inside = content_of(value);
    const char *at = inside.text;
    const char *end = inside.text + inside.size;
    size_t left = strlen(content);
    while (at < end) {
        char utf8[JSON_ESCAPE_SIZE_MAX];
        struct json_slice piece = next_piece(&at, end, utf8);
        if (piece.size > left || memcmp(piece.text, content, piece.size) != 0)
            return false;
        content += piece.size;
        left -= piece.size;
    }
    return left == 0;
}

enum json_error json_string_decode(const struct json_value *value, char *target,
                                   uint32_t target_size, uint32_t *size)
{
    if (value->type != JSON_STRING)
        return JSON_WRONG_TYPE;
    struct json_slice inside = content_of(value);
    const char *at = inside.text;
    const char *end = inside.text + inside.size;
    uint32_t used = 0;
    while (at < end) {
        char utf8[JSON_ESCAPE_SIZE_MAX];
        struct json_slice piece = next_piece(&at, end, utf8);
        if (piece.size > target_size - used)
            return JSON_NO_SPACE;
        memcpy(target + used, piece.text, piece.size);
        used += piece.size;
    }
    ensure(used <= inside.size);
    *size = used;
    return JSON_OK;
}

enum json_error json_string_raw(const struct json_value *value, struct json_slice *content)
{
    if (value->type != JSON_STRING)
        return JSON_WRONG_TYPE;
    struct json_slice inside = content_of(value);
    if (memchr(inside.text, '\\', inside.size) != NULL)
        return JSON_ESCAPE;
    *content = inside;
    return JSON_OK;
}

// ---- numbers and booleans -----------------------------------------------------------------------

enum json_error json_integer(const struct json_value *value, int64_t *integer)
{
    if (value->type != JSON_NUMBER_TEXT)
        return JSON_WRONG_TYPE;
    for (uint32_t i = 0; i < value->size; i++)
        if (value->text[i] == '.' || value->text[i] == 'e' || value->text[i] == 'E')
            return JSON_NUMBER;
    uint8_t scale;
    int64_t mantissa;
    if (decimal_parse(value->text, value->size, &mantissa, &scale) != DECIMAL_OK)
        return JSON_NUMBER;
    ensure(scale == 0);
    *integer = mantissa;
    return JSON_OK;
}

enum json_error json_decimal(const struct json_value *value, int64_t *mantissa, uint8_t *scale,
                             enum decimal_error *reason)
{
    struct json_slice text = {value->text, value->size};
    if (value->type == JSON_STRING)
        text = content_of(value);
    else if (value->type != JSON_NUMBER_TEXT)
        return JSON_WRONG_TYPE;
    enum decimal_error error = decimal_parse(text.text, text.size, mantissa, scale);
    if (reason != NULL)
        *reason = error;
    return error == DECIMAL_OK ? JSON_OK : JSON_NUMBER;
}

enum json_error json_boolean(const struct json_value *value, bool *boolean)
{
    if (value->type != JSON_BOOLEAN)
        return JSON_WRONG_TYPE;
    *boolean = value->size == 4;
    return JSON_OK;
}

const char *json_error_text(enum json_error error)
{
    static const char *const text[] = {
        [JSON_OK] = "json: ok",
        [JSON_EMPTY] = "json: empty",
        [JSON_SYNTAX] = "json: syntax error",
        [JSON_TRUNCATED] = "json: ends early",
        [JSON_TRAILING] = "json: something follows the document",
        [JSON_TOO_DEEP] = "json: nested above 64 levels",
        [JSON_UTF8] = "json: a string is not UTF-8",
        [JSON_ESCAPE] = "json: unknown escape or lone surrogate",
        [JSON_CONTROL] = "json: control character in a string",
        [JSON_WRONG_TYPE] = "json: value of another type",
        [JSON_NOT_FOUND] = "json: no such member",
        [JSON_DUPLICATE] = "json: member given twice",
        [JSON_NO_SPACE] = "json: string too long",
        [JSON_NUMBER] = "json: number does not fit",
    };
    ensure((uint32_t)error < sizeof text / sizeof text[0]);
    return text[error];
}
