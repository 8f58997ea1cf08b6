// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_value: see config_value.h. Contract: one spelling per value kind; anything else, an
// overflow included, is refused and never guessed ("10M" could be minutes, megabytes or mebibytes).
#include "control/config_value.h"

#include "base/limits.h"
#include "format/ensure.h"
#include <string.h>

struct config_unit {
    const char *name;
    int64_t factor;
};

static const struct config_unit config_durations[] = {
    {"ns", 1},
    {"us", LIMIT_MICROSECOND_NS},
    {"ms", LIMIT_MILLISECOND_NS},
    {"s", LIMIT_SECOND_NS},
    {"m", LIMIT_MINUTE_NS},
    {"h", LIMIT_HOUR_NS},
    {"d", 24 * LIMIT_HOUR_NS},
    {NULL, 0},
};

static const struct config_unit config_sizes[] = {
    {"B", 1},          {"KiB", 1ll << 10}, {"MiB", 1ll << 20},
    {"GiB", 1ll << 30}, {"TiB", 1ll << 40}, {NULL, 0},
};

// The digits at the start of `text`; *rest is what follows. False without digits or on overflow.
static bool config_digits(const char *text, int64_t *value, const char **rest)
{
    int64_t sum = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, *at - '0', &sum))
            return false;
    }
    ensure(sum >= 0);
    *value = sum;
    *rest = at;
    return at != text;
}

static bool config_with_unit(const char *text, const struct config_unit *units, int64_t *value)
{
    int64_t number;
    const char *unit;
    if (!config_digits(text, &number, &unit)) return false;
    for (; units->name != NULL; units++) {
        if (strcmp(unit, units->name) != 0) continue;
        ensure(units->factor > 0);
        if (__builtin_mul_overflow(number, units->factor, &number)) return false;
        *value = number;
        return true;
    }
    return false;
}

bool config_value_duration(const char *text, int64_t *ns)
{
    return config_with_unit(text, config_durations, ns);
}

bool config_value_size(const char *text, int64_t *bytes)
{
    return config_with_unit(text, config_sizes, bytes);
}

bool config_value_integer(const char *text, int64_t *value)
{
    int64_t number;
    const char *rest;
    if (!config_digits(text, &number, &rest) || *rest != '\0') return false;
    *value = number;
    return true;
}

// At most four decimals of a percentage are whole ppm.
bool config_value_ratio(const char *text, int64_t *ppm)
{
    int64_t whole;
    int64_t part = 0;
    const char *rest;
    if (!config_digits(text, &whole, &rest) || whole > 1000000000) return false;
    int64_t unit = 10000;
    if (*rest == '.') {
        for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
            if (unit == 1) return false;
            unit /= 10;
            part += (*rest - '0') * unit;
        }
        if (unit == 10000) return false;
    }
    const bool percent = strcmp(rest, "%") == 0;
    if (!percent && strcmp(rest, "x") != 0) return false;
    *ppm = (whole * 10000 + part) * (percent ? 1 : 100);
    return true;
}

bool config_value_boolean(const char *text, bool *value)
{
    bool is_true = strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
    if (!is_true && strcmp(text, "false") != 0 && strcmp(text, "off") != 0) return false;
    *value = is_true;
    return true;
}
