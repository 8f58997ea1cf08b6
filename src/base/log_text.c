// SPDX-License-Identifier: GPL-3.0-or-later
//
// log_text: see log_text.h. Contract: quotes in the output are those of the format, or escaped.
#include "base/log_text.h"

#include "format/ensure.h"
#include "format/text_utf8.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SPEC_BYTES = 24, NUMBER_BYTES = 64 };

struct text {
    char *out;
    size_t size;
    size_t room; // one less than there is: for the quote that closes
    bool quoted;
    bool cut;
};

static void put(struct text *text, const char *bytes, size_t size)
{
    if (text->cut || text->size + size > text->room) {
        text->cut = true;
        return;
    }
    memcpy(text->out + text->size, bytes, size);
    text->size += size;
}

static void put_value(struct text *text, char byte)
{
    const char escaped[2] = {'\\', byte};
    const unsigned char code = (unsigned char)byte;
    const bool special = byte == '"' || byte == '\\';
    const bool open = !text->quoted && (special || byte == ' ' || byte == '=');
    if (code < 0x20 || code == 0x7f || open) put(text, "?", 1);
    else if (special) put(text, escaped, 2);
    else put(text, &byte, 1);
}

// Bytes of the character there; 0: of none, or of one that steers terminals (U+0080 ... U+009F).
// A peer's words are cut anywhere, and of a line with one bad byte journalctl shows nothing.
static size_t character(const char *bytes, size_t size)
{
    const unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80) return 1;
    const size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (wanted > size || !text_utf8_valid(bytes, wanted)) return 0;
    return first == 0xc2 && (unsigned char)bytes[1] < 0xa0 ? 0 : wanted;
}

static void put_values(struct text *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !text->cut;) {
        const size_t length = character(bytes + i, size - i);
        if (length > 1) put(text, bytes + i, length);
        else put_value(text, length == 1 ? bytes[i] : '?');
        i += length > 1 ? length : 1;
    }
}

// One conversion of a format: "%-08llx".
struct spec {
    char flags[SPEC_BYTES]; // '%', flags and width, as they stand
    const char *length;
    size_t length_size;
    int precision; // -1: none
    char kind;
};

static const char *spec_read(struct spec *spec, const char *at, va_list *arguments)
{
    const size_t flags = 1 + strspn(at + 1, "-+ #0123456789");
    ensure(flags < sizeof spec->flags);
    memcpy(spec->flags, at, flags);
    spec->flags[flags] = '\0';
    at += flags;
    spec->precision = -1;
    if (*at == '.') {
        at++;
        spec->precision = 0;
        if (*at == '*') {
            spec->precision = va_arg(*arguments, int);
            at++;
        } else {
            for (; *at >= '0' && *at <= '9'; at++)
                spec->precision = spec->precision * 10 + (*at - '0');
        }
    }
    spec->length = at;
    spec->length_size = strspn(at, "hljz");
    at += spec->length_size;
    spec->kind = *at;
    return at + 1;
}

static bool spec_long(const struct spec *spec)
{
    return spec->length_size > 0 && spec->length[0] != 'h';
}

_Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8, "l, ll, j and z are of one width");

static void put_number(struct text *text, const struct spec *spec, va_list *arguments)
{
    char format[SPEC_BYTES + 8], number[NUMBER_BYTES];
    const bool with_sign = spec->kind == 'd' || spec->kind == 'i';
    uint64_t value;
    if (with_sign)
        value = spec_long(spec) ? (uint64_t)va_arg(*arguments, long)
                                : (uint64_t)(int64_t)va_arg(*arguments, int);
    else
        value = spec_long(spec) ? va_arg(*arguments, unsigned long)
                                : va_arg(*arguments, unsigned);
    (void)snprintf(format, sizeof format, "%s%s%c", spec->flags, "l", spec->kind);
    // The format is a constant's, checked by the compiler where log_write() is called.
    const int size = snprintf(number, sizeof number, format, value);
    ensure(size > 0 && (size_t)size < sizeof number);
    put_values(text, number, (size_t)size);
}

static void put_spec(struct text *text, const struct spec *spec, va_list *arguments)
{
    switch (spec->kind) {
    case 's': {
        const char *value = va_arg(*arguments, const char *);
        const size_t most = spec->precision < 0 ? SIZE_MAX / 2 : (size_t)spec->precision;
        put_values(text, value, strnlen(value, most));
        break;
    }
    case 'c': put_value(text, (char)va_arg(*arguments, int)); break;
    case '%': put_value(text, '%'); break;
    default:
        ensure(spec->kind != '\0' && strchr("diuxX", spec->kind) != NULL);
        put_number(text, spec, arguments);
    }
}

// Bytes of a sequence of UTF-8 that the cut left without its end.
static size_t torn(const char *bytes, size_t size)
{
    size_t back = 0;
    while (back < size && back < 3 && ((unsigned char)bytes[size - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == size || (unsigned char)bytes[size - 1 - back] < 0xc0) return 0;
    const unsigned char first = (unsigned char)bytes[size - 1 - back];
    const size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    return back + 1 < wanted ? back + 1 : 0;
}

size_t log_text_pairs(char *out, size_t room, const char *format, va_list arguments)
{
    struct text text = {.out = out, .room = room > 0 ? room - 1 : 0};
    va_list left;
    va_copy(left, arguments);
    for (const char *at = format; *at != '\0' && !text.cut;) {
        if (*at == '%') {
            struct spec spec;
            at = spec_read(&spec, at, &left);
            put_spec(&text, &spec, &left);
            continue;
        }
        put(&text, at, 1);
        if (*at == '"' && !text.cut) text.quoted = !text.quoted;
        at++;
    }
    va_end(left);
    if (text.cut) text.size -= torn(out, text.size);
    if (text.quoted && room > 0) out[text.size++] = '"';
    ensure(text.size <= room);
    return text.size;
}
