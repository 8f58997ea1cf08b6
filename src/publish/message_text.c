// SPDX-License-Identifier: GPL-3.0-or-later
//
// message_text: see message_text.h. Digits are made in pairs from the end: a division by 100 costs
// as much as one by 10.
#include "publish/message_text.h"

#include <string.h>

#include "format/ensure.h"
#include "format/event.h"

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

// Digits of `value` in the last bytes of room[20]; the first of them.
static uint32_t digits(uint64_t value, char room[20])
{
    uint32_t at = 20;
    while (value >= 100) {
        at -= 2;
        memcpy(&room[at], &digit_pairs[2 * (value % 100)], 2);
        value /= 100;
    }
    if (value < 10) {
        room[--at] = (char)('0' + value);
        return at;
    }
    at -= 2;
    memcpy(&room[at], &digit_pairs[2 * value], 2);
    return at;
}

static uint64_t magnitude(char **out, int64_t value)
{
    if (value >= 0) return (uint64_t)value;
    *(*out)++ = '-';
    return 0 - (uint64_t)value;
}

char *message_integer(char *out, int64_t value)
{
    char room[20];
    uint32_t first = digits(magnitude(&out, value), room);
    memcpy(out, room + first, 20 - first);
    return out + (20 - first);
}

static char *with_point(char *out, const char *digit, uint32_t count, uint8_t scale)
{
    if (count > scale) {
        uint32_t whole = count - scale;
        memcpy(out, digit, whole);
        out[whole] = '.';
        memcpy(out + whole + 1, digit + whole, scale);
        return out + count + 1;
    }
    *out++ = '0';
    *out++ = '.';
    for (uint32_t zero = count; zero < scale; zero++) *out++ = '0';
    memcpy(out, digit, count);
    return out + count;
}

char *message_decimal(char *out, int64_t mantissa, uint8_t scale)
{
    ensure(scale <= DECIMAL_SCALE_MAX);
    if (mantissa == 0) scale = 0;
    while (scale > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        scale--;
    }
    if (scale == 0) return message_integer(out, mantissa);
    char room[20];
    uint32_t first = digits(magnitude(&out, mantissa), room);
    return with_point(out, room + first, 20 - first, scale);
}

static char *escape(char *out, uint8_t byte)
{
    static const char hexadecimal[] = "0123456789abcdef";
    *out++ = '\\';
    switch (byte) {
    case '"':
    case '\\': *out++ = (char)byte; return out;
    case '\n': *out++ = 'n'; return out;
    case '\r': *out++ = 'r'; return out;
    case '\t': *out++ = 't'; return out;
    default: break;
    }
    memcpy(out, "u00", 3);
    out[3] = hexadecimal[byte >> 4];
    out[4] = hexadecimal[byte & 15];
    return out + 5;
}

char *message_escaped(char *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] == '"' || text[i] == '\\')
            out = escape(out, text[i]);
        else
            *out++ = (char)text[i];
    }
    return out;
}

char *message_hex(char *out, const uint8_t *bytes, size_t size)
{
    static const char hexadecimal[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *out++ = hexadecimal[bytes[i] >> 4];
        *out++ = hexadecimal[bytes[i] & 15];
    }
    return out;
}
