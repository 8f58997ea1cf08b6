// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_schema: the one table of configuration keys. A key has a kind (how its text becomes a
// value), a place in its struct, bounds, a default and words for people; defaults, messages and the
// reference come from it. Constant; any thread.
#ifndef RINGTAPE_CONTROL_CONFIG_SCHEMA_H
#define RINGTAPE_CONTROL_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum config_kind {
    CONFIG_TEXT,     // char[], bounded by `max` bytes
    CONFIG_FILE,     // the same, a path; CONFIG_FILE_CREDENTIAL is resolved
    CONFIG_INTEGER,  // uint32_t
    CONFIG_RATIO,    // int64_t ppm
    CONFIG_BOOLEAN,  // bool
    CONFIG_DURATION, // int64_t ns
    CONFIG_SIZE,     // int64_t bytes
    CONFIG_LEVEL,    // enum log_level
    CONFIG_EXCHANGE, // const struct dialect *
    CONFIG_CHOICE,   // one text to config_put_special()
    CONFIG_CHANNELS, // list of names
    CONFIG_SYMBOLS,  // `all` or list of names
    CONFIG_INTERVALS, // list of names like 5m: struct config_candles
    CONFIG_NAMES,    // list of texts, one by one to config_put_special()
    CONFIG_PAIRS,    // mapping of texts, pair by pair to it
    CONFIG_ALERTS,   // list of mappings
    CONFIG_SECTION,  // a mapping with keys of its own
    CONFIG_SWITCH,   // the same, or one text to config_put_special()
    CONFIG_FEEDS,    // list of mappings
    CONFIG_KEEP,     // channel names, each with a mapping: struct retention_limits[CHANNEL_COUNT]
};

// How a file among the credentials of the unit is written (systemd.exec(5), LoadCredential=), as
// systemd itself abbreviates their folder: $CREDENTIALS_DIRECTORY, another for each unit.
#define CONFIG_FILE_CREDENTIAL "%d/"
#define CONFIG_FILE_EXPECTED "the path of a file, or %d/NAME for a credential of the unit"

struct config_entry {
    const char *name;
    enum config_kind kind;
    size_t offset;
    int64_t min;
    int64_t max;
    const char *standard; // default as it would be written; NULL: required; "": none
    const char *expected; // completes "expected ..."
    const char *help;
    const struct config_entry *keys; // CONFIG_SECTION, CONFIG_FEEDS, CONFIG_KEEP
};

// The keys of the whole file and of one feed; a nameless entry ends each table.
extern const struct config_entry config_top[];
extern const struct config_entry config_feed_keys[];
extern const struct config_entry config_alert_keys[]; // of one rule: struct alert_rule

// Kinds whose value is one scalar text.
static inline bool config_is_scalar(const struct config_entry *entry)
{
    return entry->kind < CONFIG_CHANNELS;
}

// A required key may be followed by another of the same name and "_file": then it takes one of
// them. The bits of those that do, from its own on.
static inline uint64_t config_either(const struct config_entry *entry)
{
    const char *next = entry[1].name;
    const size_t size = strlen(entry->name);
    const bool file = next != NULL && strncmp(next, entry->name, size) == 0 &&
                      strcmp(next + size, "_file") == 0;
    return file ? 3 : 1;
}

// A number within the entry's bounds.
static inline bool config_in(const struct config_entry *entry, int64_t value)
{
    return value >= entry->min && value <= entry->max;
}

// Sets the value of a scalar kind in the struct at `base`. False: not what the entry expects.
bool config_put(const struct config_entry *entry, const char *text, void *base);
struct config_candles;
// Puts the interval in its place. 0, -EINVAL (none), -EEXIST.
int config_put_interval(struct config_candles *candles, const char *text, size_t size);
// CHOICE, NAMES, PAIRS, SWITCH: `entry->offset` says what is done; `name` of a pair, else NULL.
// False: not what the entry expects.
bool config_put_special(const struct config_entry *entry, void *base, const char *name,
                        const char *text);
// Sets all defaults of a table.
void config_defaults(const struct config_entry *keys, void *base);

#endif
