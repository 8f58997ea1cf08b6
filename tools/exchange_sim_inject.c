// SPDX-License-Identifier: GPL-3.0-or-later
//
// SPECs are read key by key; what a kind wants is in one table.
#include "tools/exchange_sim_inject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

#define SECOND_US ((int64_t)1000000)
#define ONE_PPM ((int64_t)1000000)
#define HOUR_US (3600 * SECOND_US)

enum { LINE_SIZE = 512, DECIMALS_MAX = 6 };

struct kind_wants {
    const char *name;
    const char *unit; // of size
    int64_t unit_ppm;
    int64_t size_min_ppm;
    int64_t size_max_ppm;
    int64_t over_us; // unless said
    const char *sizes;
};

static const struct kind_wants kinds[EXCHANGE_SIM_INJECT_KINDS] = {
    {"surge", "%", ONE_PPM / 100, 1, 10 * ONE_PPM, 5 * SECOND_US, "size=0.0001% to 1000%"},
    {"crash", "%", ONE_PPM / 100, 1, 9 * ONE_PPM / 10, 5 * SECOND_US, "size=0.0001% to 90%"},
    {"burst", "x", ONE_PPM, ONE_PPM, 10000 * ONE_PPM, 10 * SECOND_US, "size=1x to 10000x"},
    {"spread", "%", ONE_PPM / 100, 1, ONE_PPM / 2, 5 * SECOND_US, "size=0.0001% to 50%"},
};

static const struct inject_unit {
    const char *name;
    int64_t factor;
} durations[] = {{"ms", 1000}, {"s", SECOND_US}, {"m", 60 * SECOND_US}};

const char *exchange_sim_inject_name(enum exchange_sim_inject_kind kind)
{
    ensure(kind < EXCHANGE_SIM_INJECT_KINDS);
    return kinds[kind].name;
}

__attribute__((format(printf, 2, 3))) static bool refuse(char *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, EXCHANGE_SIM_INJECT_WHY_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

// "0.25s" in units of 1/factor; exact. The unit begins at *unit.
static bool read_number(const char *text, int64_t *digits, int *decimals, const char **unit)
{
    bool point = false;
    *digits = 0;
    *decimals = 0;
    const char *c = text;
    for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
        point = point || *c == '.';
        if (*c == '.')
            continue;
        *digits = *digits * 10 + (*c - '0');
        *decimals += point;
        if (*digits > ONE_PPM * ONE_PPM || *decimals > DECIMALS_MAX)
            return false;
    }
    *unit = c;
    return c > text;
}

static bool read_value(const char *text, const char *name, int64_t factor, int64_t *value)
{
    const char *unit;
    int decimals;
    int64_t digits;
    if (!read_number(text, &digits, &decimals, &unit) || strcmp(unit, name) != 0)
        return false;
    __int128 scaled = (__int128)digits * factor;
    for (; decimals > 0; decimals--) {
        if (scaled % 10 != 0)
            return false;
        scaled /= 10;
    }
    *value = (int64_t)scaled;
    return scaled <= INT64_MAX;
}

static bool read_duration(const char *text, int64_t *us)
{
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        if (read_value(text, durations[i].name, durations[i].factor, us))
            return true;
    return false;
}

static bool read_symbol(struct exchange_sim_inject *inject, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || strlen(colon + 1) >= sizeof inject->symbol || colon[1] == '\0')
        return false;
    inject->exchange = exchange_sim_exchange_by_name(text, (uint32_t)(colon - text));
    (void)snprintf(inject->symbol, sizeof inject->symbol, "%s", colon + 1);
    return inject->exchange != EXCHANGE_SIM_EXCHANGES;
}

// What a SPEC says so far; NULL: not said.
struct spec {
    const char *kind;
    const char *symbol;
    const char *at;
    const char *size;
    const char *over;
};

static bool spec_take(struct spec *spec, char *part, char *why)
{
    const struct {
        const char *name;
        const char **value;
    } keys[] = {{"kind", &spec->kind}, {"symbol", &spec->symbol}, {"at", &spec->at},
                {"size", &spec->size}, {"over", &spec->over}};
    char *equals = strchr(part, '=');
    if (equals == NULL)
        return refuse(why, "KEY=VALUE is expected: %s", part);
    *equals = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i].name, part) != 0)
            continue;
        if (*keys[i].value != NULL)
            return refuse(why, "%s stands there twice", part);
        *keys[i].value = equals + 1;
        return true;
    }
    return refuse(why, "kind, symbol, at, size or over is expected: %s", part);
}

static bool spec_kind(const struct spec *spec, struct exchange_sim_inject *inject, char *why)
{
    for (int i = 0; i < EXCHANGE_SIM_INJECT_KINDS; i++)
        if (spec->kind != NULL && strcmp(kinds[i].name, spec->kind) == 0) {
            inject->kind = (enum exchange_sim_inject_kind)i;
            return true;
        }
    return refuse(why, "kind=surge, crash, burst or spread is expected");
}

static bool spec_whole(const struct spec *spec, struct exchange_sim_inject *inject, char *why)
{
    if (!spec_kind(spec, inject, why))
        return false;
    const struct kind_wants *wants = &kinds[inject->kind];
    inject->over_us = wants->over_us;
    if (spec->symbol == NULL || !read_symbol(inject, spec->symbol))
        return refuse(why, "symbol=EXCHANGE:SYMBOL is expected");
    if (spec->at == NULL || !read_duration(spec->at, &inject->at_us) ||
        inject->at_us > 24 * HOUR_US)
        return refuse(why, "at=0s to 1440m is expected");
    if (spec->size == NULL ||
        !read_value(spec->size, wants->unit, wants->unit_ppm, &inject->size_ppm) ||
        inject->size_ppm < wants->size_min_ppm || inject->size_ppm > wants->size_max_ppm)
        return refuse(why, "%s is expected", wants->sizes);
    if (spec->over != NULL &&
        (!read_duration(spec->over, &inject->over_us) || inject->over_us > HOUR_US))
        return refuse(why, "over=0s to 60m is expected");
    return true;
}

// Kept in order of time.
static bool injects_add(struct exchange_sim_injects *injects,
                        const struct exchange_sim_inject *inject, char *why)
{
    uint32_t place = injects->count;
    if (injects->count == EXCHANGE_SIM_INJECTS_MAX)
        return refuse(why, "more than %d", EXCHANGE_SIM_INJECTS_MAX);
    for (uint32_t i = 0; i < injects->count; i++) {
        const struct exchange_sim_inject *other = &injects->at[i];
        if (other->exchange == inject->exchange && strcmp(other->symbol, inject->symbol) == 0 &&
            inject->at_us <= other->at_us + other->over_us &&
            other->at_us <= inject->at_us + inject->over_us)
            return refuse(why, "two at once of %s", inject->symbol);
    }
    for (; place > 0 && injects->at[place - 1].at_us > inject->at_us; place--)
        injects->at[place] = injects->at[place - 1];
    injects->at[place] = *inject;
    injects->count++;
    return true;
}

static bool read_spec(struct exchange_sim_injects *injects, const char *text, char *why)
{
    char copy[LINE_SIZE];
    struct spec spec = {0};
    struct exchange_sim_inject inject = {0};
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return refuse(why, "more than %d bytes", LINE_SIZE - 1);
    char *rest = NULL;
    for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest))
        if (!spec_take(&spec, part, why))
            return false;
    return spec_whole(&spec, &inject, why) && injects_add(injects, &inject, why);
}

static bool read_file(struct exchange_sim_injects *injects, const char *path, char *why)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    bool good = true;
    if (file == NULL)
        return refuse(why, "%.100s: %s", path, strerror(errno));
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "#\n")] = '\0';
        for (size_t size = strlen(line); size > 0 && line[size - 1] == ' ';)
            line[--size] = '\0';
        good = line[0] == '\0' || read_spec(injects, line, why);
    }
    (void)fclose(file);
    return good;
}

bool exchange_sim_inject_read(struct exchange_sim_injects *injects, const char *text,
                              char why[EXCHANGE_SIM_INJECT_WHY_SIZE])
{
    ensure(injects->count <= EXCHANGE_SIM_INJECTS_MAX);
    return text[0] == '@' ? read_file(injects, text + 1, why) : read_spec(injects, text, why);
}
