// SPDX-License-Identifier: Apache-2.0
//
// Dates by the proleptic Gregorian calendar; the year is counted from March, so that the leap day
// is its last and month lengths follow one formula. No libc: its time functions depend on locale
// and zone, and are slow.
#include "format/time_text.h"

#include "format/ensure.h"
#include <string.h>

enum {
    DAYS_PER_ERA = 146097,      // 400 years
    DAYS_TO_1970 = 719468,      // from 0000-03-01
    SECONDS_PER_DAY = 86400,
    NS_PER_SECOND = 1000000000,
    DIGITS_MAX = 9,
};

struct time_text_civil {
    int64_t year;
    int month; // 1 ... 12
    int day;   // 1 ... 31
};

static struct time_text_civil time_text_civil_from_days(int64_t days)
{
    const int64_t shifted = days + DAYS_TO_1970;
    ensure(shifted >= 0);
    const int64_t era = shifted / DAYS_PER_ERA;
    const int64_t day_of_era = shifted % DAYS_PER_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return (struct time_text_civil){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

static int64_t time_text_days_from_civil(struct time_text_civil civil)
{
    const int64_t year = civil.year - (civil.month <= 2);
    const int64_t era = year / 400;
    const int64_t year_of_era = year % 400;
    const int64_t month_from_march = civil.month > 2 ? civil.month - 3 : civil.month + 9;
    const int64_t day_of_year = (153 * month_from_march + 2) / 5 + civil.day - 1;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - DAYS_TO_1970;
}

static int64_t time_text_floor(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

static char *time_text_put(char *next, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        next[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return next + digits;
}

static char *time_text_put_date(char *next, int64_t days)
{
    const struct time_text_civil civil = time_text_civil_from_days(days);
    next = time_text_put(next, civil.year, 4);
    *next++ = '-';
    next = time_text_put(next, civil.month, 2);
    *next++ = '-';
    return time_text_put(next, civil.day, 2);
}

size_t time_text_format(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns, int digits)
{
    ensure(digits >= 0 && digits <= DIGITS_MAX);
    const int64_t days = time_text_floor(time_ns, TIME_TEXT_DAY_NS);
    // Not time_ns - days * DAY_NS: the product leaves int64 on the first day of the range.
    const int64_t remainder = time_ns % TIME_TEXT_DAY_NS;
    const int64_t of_day = remainder < 0 ? remainder + TIME_TEXT_DAY_NS : remainder;
    const int64_t second = of_day / NS_PER_SECOND;
    int64_t fraction = of_day % NS_PER_SECOND;
    for (int i = digits; i < DIGITS_MAX; i++) fraction /= 10;

    char *next = time_text_put_date(out, days);
    *next++ = 'T';
    next = time_text_put(next, second / 3600, 2);
    *next++ = ':';
    next = time_text_put(next, second / 60 % 60, 2);
    *next++ = ':';
    next = time_text_put(next, second % 60, 2);
    if (digits > 0) {
        *next++ = '.';
        next = time_text_put(next, fraction, digits);
    }
    *next++ = 'Z';
    *next = 0;
    ensure(next - out < TIME_TEXT_BYTES_MAX);
    return (size_t)(next - out);
}

void time_text_date(char out[TIME_TEXT_DATE_BYTES], int64_t time_ns)
{
    *time_text_put_date(out, time_text_floor(time_ns, TIME_TEXT_DAY_NS)) = 0;
}

int64_t time_text_day_start(int64_t time_ns)
{
    int64_t start;
    const int64_t days = time_text_floor(time_ns, TIME_TEXT_DAY_NS);
    return __builtin_mul_overflow(days, TIME_TEXT_DAY_NS, &start) ? INT64_MIN : start;
}

// ---- parsing: each function consumes at *next and says whether it found what it wants ----

static bool time_text_take(const char **next, char wanted)
{
    if (**next != wanted) return false;
    (*next)++;
    return true;
}

static bool time_text_take_digits(const char **next, int digits, int *value)
{
    int result = 0;
    for (int i = 0; i < digits; i++) {
        if (**next < '0' || **next > '9') return false;
        result = result * 10 + (*(*next)++ - '0');
    }
    *value = result;
    return true;
}

static int time_text_month_days(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool time_text_take_date(const char **next, int64_t *days)
{
    int year, month, day;
    if (!time_text_take_digits(next, 4, &year) || !time_text_take(next, '-') ||
        !time_text_take_digits(next, 2, &month) || !time_text_take(next, '-') ||
        !time_text_take_digits(next, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > time_text_month_days(year, month)) return false;
    if (year < 1000) return false; // outside int64 nanoseconds anyway
    *days = time_text_days_from_civil((struct time_text_civil){year, month, day});
    return true;
}

static bool time_text_take_fraction(const char **next, int64_t *ns)
{
    int64_t result = 0;
    int digits = 0;
    for (; **next >= '0' && **next <= '9'; digits++) {
        if (digits == DIGITS_MAX) return false; // would not be exact
        result = result * 10 + (*(*next)++ - '0');
    }
    if (digits == 0) return false;
    for (; digits < DIGITS_MAX; digits++) result *= 10;
    *ns = result;
    return true;
}

static bool time_text_take_clock(const char **next, int64_t *seconds, int64_t *ns)
{
    int hour, minute, second = 0;
    if (!time_text_take_digits(next, 2, &hour) || !time_text_take(next, ':') ||
        !time_text_take_digits(next, 2, &minute))
        return false;
    if (time_text_take(next, ':')) {
        if (!time_text_take_digits(next, 2, &second)) return false;
        if (time_text_take(next, '.') && !time_text_take_fraction(next, ns)) return false;
    }
    if (hour > 23 || minute > 59 || second > 59) return false;
    *seconds = hour * 3600 + minute * 60 + second;
    return true;
}

static bool time_text_take_offset(const char **next, int64_t *seconds)
{
    if (**next == 0 || time_text_take(next, 'Z') || time_text_take(next, 'z')) return true;
    const bool negative = **next == '-';
    int hour, minute;
    if (!negative && **next != '+') return false;
    (*next)++;
    if (!time_text_take_digits(next, 2, &hour) || !time_text_take(next, ':') ||
        !time_text_take_digits(next, 2, &minute) || hour > 23 || minute > 59)
        return false;
    const int64_t offset = hour * 3600 + minute * 60;
    *seconds = negative ? -offset : offset;
    return true;
}

static bool time_text_parse_absolute(const char *text, int64_t *time_ns)
{
    int64_t days, seconds = 0, ns = 0, offset = 0;
    if (!time_text_take_date(&text, &days)) return false;
    if (*text != 0) {
        if (*text != 'T' && *text != 't' && *text != ' ') return false;
        text++;
        if (!time_text_take_clock(&text, &seconds, &ns)) return false;
        if (!time_text_take_offset(&text, &offset)) return false;
    }
    if (*text != 0) return false;
    const int64_t total_s = days * SECONDS_PER_DAY + seconds - offset;
    const __int128 total = (__int128)total_s * NS_PER_SECOND + ns;
    if (total < INT64_MIN || total > INT64_MAX) return false;
    *time_ns = (int64_t)total;
    return true;
}

static int64_t time_text_take_unit(const char **next)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", NS_PER_SECOND},
        {"m", INT64_C(60) * NS_PER_SECOND},
        {"h", INT64_C(3600) * NS_PER_SECOND},
        {"d", INT64_C(86400) * NS_PER_SECOND},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const size_t size = strlen(units[i].name);
        if (strncmp(*next, units[i].name, size) != 0) continue;
        *next += size;
        return units[i].ns;
    }
    return 0;
}

static bool time_text_parse_relative(const char *text, int64_t now_ns, int64_t *time_ns)
{
    const int sign = *text++ == '-' ? -1 : 1;
    __int128 total = now_ns;
    if (*text == 0) return false;
    while (*text != 0) {
        int64_t count = 0;
        const char *digits = text;
        for (; *text >= '0' && *text <= '9'; text++) {
            if (count > INT64_MAX / 10 - 1) return false;
            count = count * 10 + (*text - '0');
        }
        const int64_t unit_ns = text > digits ? time_text_take_unit(&text) : 0;
        if (unit_ns == 0) return false;
        total += (__int128)sign * count * unit_ns;
    }
    if (total < INT64_MIN || total > INT64_MAX) return false;
    *time_ns = (int64_t)total;
    return true;
}

bool time_text_parse(const char *text, int64_t now_ns, int64_t *time_ns)
{
    ensure(text != NULL && time_ns != NULL);
    if (strcmp(text, "now") == 0) {
        *time_ns = now_ns;
        return true;
    }
    if (*text == '-' || *text == '+') return time_text_parse_relative(text, now_ns, time_ns);
    return time_text_parse_absolute(text, time_ns);
}
