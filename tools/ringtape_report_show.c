// SPDX-License-Identifier: GPL-3.0-or-later
//
// See ringtape_report_show.h. Contract: a value that cannot be shown is "-", never a wrong one.
#include "tools/ringtape_report_show.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "derive/summary.h"
#include "format/decimal_text.h"
#include "format/ensure.h"

// Commas between thousands of the whole part; `text` has digits, perhaps a sign and a point.
static const char *show_commas(char out[SHOW_BYTES], const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    const size_t whole = strcspn(digits, ".");
    char *next = out;
    if (strlen(text) + whole / 3 >= SHOW_BYTES) return "-";
    if (digits > text) *next++ = *text;
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0) *next++ = ',';
        *next++ = digits[i];
    }
    memcpy(next, digits + whole, strlen(digits + whole) + 1);
    return out;
}

// Rounds to `decimals`, half to even.
static bool show_round(wide value, uint32_t scale, uint32_t decimals, wide *rounded)
{
    if (!wide_ratio(value < 0 ? -value : value, scale, 1, 0, decimals, rounded)) return false;
    if (value < 0) *rounded = -*rounded;
    return true;
}

// All `decimals` digits, zeros too.
static void show_digits(char out[SHOW_BYTES], wide value, uint32_t decimals)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    size_t size = decimal_text_format(text, value, (uint8_t)decimals);
    const uint32_t fraction = show_fraction(text);
    uint32_t missing = decimals == 0 ? 0 : fraction == 0 ? decimals + 1 : decimals + 1 - fraction;
    ensure(size + missing < SHOW_BYTES);
    memcpy(out, text, size);
    if (fraction == 0 && missing > 0) {
        out[size++] = '.';
        missing--;
    }
    memset(out + size, '0', missing);
    out[size + missing] = '\0';
}

const char *show_fixed(char out[SHOW_BYTES], wide value, uint32_t scale, uint32_t decimals)
{
    char text[SHOW_BYTES];
    wide rounded;
    if (!show_round(value, scale, decimals, &rounded)) return "-";
    show_digits(text, rounded, decimals);
    return show_commas(out, text);
}

const char *show_exact(char out[SHOW_BYTES], wide value, uint32_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    (void)decimal_text_format(text, value, (uint8_t)scale);
    return show_commas(out, text);
}

const char *show_percent(char out[SHOW_BYTES], wide ratio, bool with_sign)
{
    char text[SHOW_BYTES];
    const char *shown = show_fixed(text, ratio, SUMMARY_DECIMALS - 2, 2);
    const bool sign = with_sign && ratio > 0 && strcmp(shown, "0.00") != 0;
    if (strcmp(shown, "-0.00") == 0) shown++;
    (void)snprintf(out, SHOW_BYTES, "%s%s", sign ? "+" : "", shown);
    return out;
}

const char *show_thousandths(char out[SHOW_BYTES], double value)
{
    char text[SHOW_BYTES];
    if (!(value >= 0 && value < 1e15)) return "-";
    (void)snprintf(text, sizeof text, "%.3f", value);
    return show_commas(out, text);
}

const char *show_ms(char out[SHOW_BYTES], int64_t time_ns)
{
    const char *shown = show_fixed(out, time_ns, 6, 1);
    return strcmp(shown, "-0.0") == 0 ? shown + 1 : shown;
}

struct show_unit show_unit_of(wide largest, uint32_t scale)
{
    static const struct show_unit units[] = {
        {0, ""}, {3, "thousand"}, {6, "million"}, {9, "billion"}, {12, "trillion"}};
    const size_t count = sizeof units / sizeof units[0];
    wide whole = (largest < 0 ? -largest : largest) / wide_power(scale);
    size_t at = 0;
    while (whole >= 10000 && at + 1 < count) {
        whole /= 1000;
        at++;
    }
    return units[at];
}

const char *show_amount(char out[SHOW_BYTES], wide value, uint32_t scale, struct show_unit unit)
{
    if (scale + unit.digits > WIDE_DIGITS) return "-";
    return show_fixed(out, value, scale + unit.digits, 2);
}

uint32_t show_fraction(const char *text)
{
    const char *point = strchr(text, '.');
    return point == NULL ? 0 : (uint32_t)strlen(point);
}

// ---- text of the data ----

// Bytes of the character at `text`, its code point in *code; 0: it is none.
static uint32_t character_of(const uint8_t *text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t first = text[0];
    const uint32_t size = first < 0x80 ? 1 : first < 0xc2   ? 0
                                         : first < 0xe0     ? 2
                                         : first < 0xf0     ? 3
                                         : first < 0xf5     ? 4
                                                            : 0;
    if (size == 0) return 0;
    *code = size == 1 ? first : first & (0xffu >> (size + 1));
    for (uint32_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0; // the zero at the end, too
        *code = *code << 6 | (text[i] & 0x3f);
    }
    return *code >= least[size] && *code < 0x110000 && (*code < 0xd800 || *code > 0xdfff) ? size
                                                                                          : 0;
}

// Controls, and what turns other text around or joins with it.
static bool character_is_odd(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff0 && code <= 0xffff) || (code & 0xfffe) == 0xfffe;
}

uint32_t show_character(const char *text, bool *odd)
{
    uint32_t code = 0;
    ensure(*text != '\0');
    const uint32_t size = character_of((const uint8_t *)text, &code);
    *odd = size == 0 || character_is_odd(code);
    return size == 0 ? 1 : size;
}
