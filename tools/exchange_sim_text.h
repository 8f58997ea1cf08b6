// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_text: appending JSON and numbers to memory of the caller, and taking requests apart.
//
// A writer that runs out of room sets `full` and writes nothing more; the caller looks at it once,
// at the end. Pure functions, no allocation; one owner at a time.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_TEXT_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct exchange_sim_text {
    char *start;
    char *at;
    char *end;
    bool full;
};

struct exchange_sim_text exchange_sim_text(void *memory, uint32_t size);
uint32_t exchange_sim_text_size(const struct exchange_sim_text *text);
void exchange_sim_text_bytes(struct exchange_sim_text *text, const void *bytes, uint32_t size);
void exchange_sim_text_string(struct exchange_sim_text *text, const char *string);
// String literals, without strlen().
#define EXCHANGE_SIM_TEXT(text, literal)                                                           \
    exchange_sim_text_bytes((text), (literal), sizeof(literal) - 1)
void exchange_sim_text_integer(struct exchange_sim_text *text, int64_t value);
// Exactly `digits` digits, with leading zeros.
void exchange_sim_text_padded(struct exchange_sim_text *text, int64_t value, int digits);
// mantissa / 10^scale with `places` >= scale places: (3513, 4, 8) is 0.35130000.
void exchange_sim_text_decimal(struct exchange_sim_text *text, int64_t mantissa, int scale,
                               int places);
// The same of sums of more than 64 bits, not negative, below 2^63 in front of the point.
void exchange_sim_text_wide(struct exchange_sim_text *text, __int128 mantissa, int scale,
                            int places);
// As Java prints a double, which Upbit does: 0.004, 103460000.0, below 0.001 in E-notation: 9.9E-7.
void exchange_sim_text_double(struct exchange_sim_text *text, int64_t mantissa, int scale);
// A JSON string with its quotes; escapes quotes, backslashes and control characters.
void exchange_sim_text_quoted(struct exchange_sim_text *text, const char *bytes, uint32_t size);

struct exchange_sim_calendar {
    int year;
    int month;
    int day;
    int second; // of the day
};
// UTC, of a time after 1970.
struct exchange_sim_calendar exchange_sim_text_calendar(int64_t us);
void exchange_sim_text_date(struct exchange_sim_text *text,
                            const struct exchange_sim_calendar *calendar, const char *separator);
void exchange_sim_text_clock(struct exchange_sim_text *text,
                             const struct exchange_sim_calendar *calendar, const char *separator);

// The value of `name` in a query string ("symbol=BTCUSDT&limit=5"), URL-decoded and terminated.
// False where it is absent or does not fit.
bool exchange_sim_text_query(const char *query, uint32_t query_size, const char *name, char *value,
                             uint32_t value_size);
// %41 becomes A, in place; returns the new size.
uint32_t exchange_sim_text_url_decode(char *text, uint32_t size);
// A whole number without sign; `fallback` where it is none.
int64_t exchange_sim_text_number(const char *text, int64_t fallback);

#endif
