// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reading the specification, and exponential intervals without floating point.
#include "tools/exchange_sim_fault_spec.h"

#include <stdio.h>
#include <string.h>

#include "format/ensure.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    ITEM_SIZE_MAX = 128,
    MEAN_SECONDS_MAX = 1000000,
    SKIPPED_MAX = 1000000, // times nobody asked for
};

struct fault_kind {
    const char *name;
    int64_t mean_ms; // of the default mix; 0: not in it
};

static const struct fault_kind kinds[EXCHANGE_SIM_FAULT_KINDS] = {
    [EXCHANGE_SIM_FAULT_DROP] = {"drop", 4000},
    [EXCHANGE_SIM_FAULT_GAP] = {"gap", 20000},
    [EXCHANGE_SIM_FAULT_DUPLICATE] = {"duplicate", 4000},
    [EXCHANGE_SIM_FAULT_REORDER] = {"reorder", 4000},
    [EXCHANGE_SIM_FAULT_LATE] = {"late", 5000},
    [EXCHANGE_SIM_FAULT_STAMP] = {"stamp", 1000},
    [EXCHANGE_SIM_FAULT_WINDOWS] = {"windows", 1000},
    [EXCHANGE_SIM_FAULT_FIN] = {"fin", 60000},
    [EXCHANGE_SIM_FAULT_RESET] = {"reset", 90000},
    [EXCHANGE_SIM_FAULT_CUT] = {"cut", 90000},
    [EXCHANGE_SIM_FAULT_CLOSE] = {"close", 120000},
    [EXCHANGE_SIM_FAULT_MUTE] = {"mute", 120000},
    [EXCHANGE_SIM_FAULT_DEAF] = {"deaf", 180000},
    [EXCHANGE_SIM_FAULT_SLOW] = {"slow", 45000},
    [EXCHANGE_SIM_FAULT_SHUTDOWN] = {"shutdown", 150000},
    [EXCHANGE_SIM_FAULT_DROP_ALL] = {"drop_all", 3000},
    [EXCHANGE_SIM_FAULT_OUTAGE] = {"outage", 60000},
    [EXCHANGE_SIM_FAULT_RESTART] = {"restart", 0},
    [EXCHANGE_SIM_FAULT_RESTART_BOOK] = {"restart_book", 0},
    [EXCHANGE_SIM_FAULT_LIST] = {"list", 40000},
    [EXCHANGE_SIM_FAULT_DELIST] = {"delist", 80000},
    [EXCHANGE_SIM_FAULT_REST_ERROR] = {"rest_error", 15000},
    [EXCHANGE_SIM_FAULT_REST_HANGUP] = {"rest_hangup", 30000},
    [EXCHANGE_SIM_FAULT_REST_LIMIT] = {"rest_limit", 30000},
    [EXCHANGE_SIM_FAULT_REST_BAN] = {"rest_ban", 0},
    [EXCHANGE_SIM_FAULT_REST_WAF] = {"rest_waf", 120000},
    [EXCHANGE_SIM_FAULT_REST_SLOW] = {"rest_slow", 20000},
    [EXCHANGE_SIM_FAULT_REST_SHORT] = {"rest_short", 5000},
    [EXCHANGE_SIM_FAULT_REST_OVERLAP] = {"rest_overlap", 5000},
    [EXCHANGE_SIM_FAULT_REST_DOWN] = {"rest_down", 0},
};

const char *exchange_sim_fault_name(enum exchange_sim_fault_kind kind)
{
    ensure(kind < EXCHANGE_SIM_FAULT_KINDS);
    return kinds[kind].name;
}

static enum exchange_sim_fault_kind kind_by_name(const char *name)
{
    for (int i = 0; i < EXCHANGE_SIM_FAULT_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum exchange_sim_fault_kind)i;
    return EXCHANGE_SIM_FAULT_NONE;
}

// ---- reading ----

struct reading {
    struct exchange_sim_fault_spec *spec;
    bool said[EXCHANGE_SIM_FAULT_KINDS]; // by name
    bool any_on;
    bool add_default;
    int64_t times_milli;
    char *why;
};

// Up to three decimals, in thousandths; -1 where it is no such number.
static int64_t thousandths(const char *text)
{
    int64_t value = 0;
    int places = -1;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text == '.' && places < 0) {
            places = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || places == 3 || value > MEAN_SECONDS_MAX)
            return -1;
        value = value * 10 + (*text - '0');
        places += places >= 0;
    }
    for (int i = places < 0 ? 0 : places; i < 3; i++)
        value *= 10;
    return value;
}

static bool refuse(struct reading *r, const char *what, const char *item)
{
    (void)snprintf(r->why, EXCHANGE_SIM_FAULT_WHY_SIZE, "%s: %s", what, item);
    return false;
}

static bool read_channels(struct reading *r, const char *value)
{
    struct exchange_sim_fault_spec *spec = r->spec;
    while (*value != '\0') {
        size_t const size = strcspn(value, "+");
        if (size == 0 || size >= EXCHANGE_SIM_FAULT_CHANNEL_SIZE ||
            spec->channel_count == EXCHANGE_SIM_FAULT_CHANNELS_MAX)
            return refuse(r, "channels like trade+depth are expected", value);
        memcpy(spec->channels[spec->channel_count], value, size);
        spec->channels[spec->channel_count++][size] = '\0';
        value += size + (value[size] == '+');
    }
    return spec->channel_count > 0 || refuse(r, "channels like trade+depth are expected", "");
}

static bool read_seed(struct reading *r, const char *value)
{
    uint64_t seed = 0;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c < '0' || *c > '9')
            return refuse(r, "a seed is a whole number", value);
        seed = seed * 10 + (uint64_t)(*c - '0');
    }
    r->spec->seed = seed;
    r->spec->seeded = true;
    return true;
}

static bool read_kind(struct reading *r, const char *name, const char *value)
{
    enum exchange_sim_fault_kind const kind = kind_by_name(name);
    if (kind == EXCHANGE_SIM_FAULT_NONE)
        return refuse(r, "there is no fault of that name", name);
    bool const off = strcmp(value, "off") == 0;
    bool const on = kind == EXCHANGE_SIM_FAULT_WINDOWS && strcmp(value, "on") == 0;
    int64_t const mean = off ? 0 : on ? 1000 : thousandths(value);
    if (mean < 0)
        return refuse(r, "seconds (up to three decimals) or off are expected", value);
    r->spec->mean_ns[kind] = mean * 1000000;
    r->said[kind] = true;
    r->any_on = r->any_on || mean > 0;
    return true;
}

static bool read_item(struct reading *r, char *item)
{
    char *value = strchr(item, '=');
    if (value == NULL) {
        r->add_default = strcmp(item, "default") == 0;
        return r->add_default || refuse(r, "KIND=SECONDS is expected", item);
    }
    *value++ = '\0';
    if (strcmp(item, "seed") == 0)
        return read_seed(r, value);
    if (strcmp(item, "channels") == 0)
        return read_channels(r, value);
    if (strcmp(item, "times") != 0)
        return read_kind(r, item, value);
    r->times_milli = thousandths(value);
    return r->times_milli > 0 || refuse(r, "times wants a number above zero", value);
}

static void complete(struct reading *r)
{
    struct exchange_sim_fault_spec *spec = r->spec;
    for (int i = 0; i < EXCHANGE_SIM_FAULT_KINDS; i++) {
        if (!r->said[i] && (r->add_default || !r->any_on))
            spec->mean_ns[i] = kinds[i].mean_ms * 1000000;
        if (i != EXCHANGE_SIM_FAULT_WINDOWS)
            spec->mean_ns[i] = (int64_t)((__int128)spec->mean_ns[i] * 1000 / r->times_milli);
    }
}

bool exchange_sim_fault_spec_read(struct exchange_sim_fault_spec *spec, const char *text,
                                  char why[EXCHANGE_SIM_FAULT_WHY_SIZE])
{
    struct reading r = {.spec = spec, .times_milli = 1000, .why = why};
    *spec = (struct exchange_sim_fault_spec){0};
    why[0] = '\0';
    while (text != NULL && *text != '\0') {
        char item[ITEM_SIZE_MAX];
        size_t const size = strcspn(text, ",");
        if (size == 0 || size >= sizeof item)
            return refuse(&r, "KIND=SECONDS is expected", text);
        memcpy(item, text, size);
        item[size] = '\0';
        if (!read_item(&r, item))
            return false;
        text += size + (text[size] == ',');
    }
    complete(&r);
    return true;
}

bool exchange_sim_fault_channel(const struct exchange_sim_fault_spec *spec, const char *channel)
{
    ensure(spec->channel_count <= EXCHANGE_SIM_FAULT_CHANNELS_MAX);
    for (uint32_t i = 0; i < spec->channel_count; i++)
        if (strcmp(spec->channels[i], channel) == 0)
            return true;
    return spec->channel_count == 0;
}

// ---- clocks ----

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t exchange_sim_fault_random(struct exchange_sim_fault_clock *clock,
                                   enum exchange_sim_fault_kind kind)
{
    ensure(kind < EXCHANGE_SIM_FAULT_KINDS);
    return mix(clock->random[kind] += 0x9e3779b97f4a7c15u);
}

int64_t exchange_sim_fault_between(struct exchange_sim_fault_clock *clock,
                                   enum exchange_sim_fault_kind kind, int64_t least, int64_t most)
{
    ensure(least <= most);
    uint64_t const random = exchange_sim_fault_random(clock, kind);
    return least + (int64_t)(random % (uint64_t)(most - least + 1));
}

// mean * -ln(u) for u evenly in (0, 1): -log2(u) by its whole part and, between two powers of two,
// a straight line, which is at most 0.09 off; ln 2 is 0.693.
static int64_t interval(struct exchange_sim_fault_clock *clock, enum exchange_sim_fault_kind kind)
{
    uint64_t const u = exchange_sim_fault_random(clock, kind) | 1;
    int const zeros = __builtin_clzll(u);
    uint64_t const fraction = zeros == 63 ? 0 : (u << (zeros + 1)) >> 32; // of 2^32
    __int128 const log2 = (((__int128)zeros + 1) << 32) - (__int128)fraction;
    int64_t const ns = (int64_t)(((__int128)clock->spec->mean_ns[kind] * log2 * 693 / 1000) >> 32);
    return ns < 1000 ? 1000 : ns;
}

void exchange_sim_fault_clock_open(struct exchange_sim_fault_clock *clock,
                                   const struct exchange_sim_fault_spec *spec, uint32_t exchange,
                                   uint64_t number, int64_t now_ns)
{
    *clock = (struct exchange_sim_fault_clock){.spec = spec, .open = true};
    for (int i = 0; i < EXCHANGE_SIM_FAULT_KINDS; i++) {
        clock->random[i] = mix(mix(mix(spec->seed + 1) ^ (exchange + 1)) ^ (number + 1)) +
                           mix((uint64_t)i + 1);
        if (spec->mean_ns[i] > 0)
            clock->next_ns[i] = now_ns + interval(clock, (enum exchange_sim_fault_kind)i);
    }
}

bool exchange_sim_fault_due(struct exchange_sim_fault_clock *clock,
                            enum exchange_sim_fault_kind kind, int64_t now_ns)
{
    ensure(kind < EXCHANGE_SIM_FAULT_KINDS && clock->open);
    if (clock->spec->mean_ns[kind] == 0 || now_ns < clock->next_ns[kind])
        return false;
    for (int i = 0; i < SKIPPED_MAX && clock->next_ns[kind] <= now_ns; i++)
        clock->next_ns[kind] += interval(clock, kind);
    return true;
}
