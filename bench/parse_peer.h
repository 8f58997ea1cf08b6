// SPDX-License-Identifier: GPL-3.0-or-later
//
// parse_peer: what a JSON library of others has to offer to be measured by parse_bench: one whole
// message to one event, the same columns as the dialects give, to exact integers.
//
// Each is a shared library of its own (bench/parse.py makes them) with `parse_peer` in it, so that
// the product's build needs neither C++ nor these libraries. Includable from C++.
#ifndef RINGTAPE_BENCH_PARSE_PEER_H
#define RINGTAPE_BENCH_PARSE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/event.h"

// The symbol's number, as ringtape finds it: the same work for everyone.
typedef uint32_t parse_peer_find(const void *symbols, const char *name, uint32_t size);

struct parse_peer_context {
    const void *symbols;
    parse_peer_find *find;
    bool upbit;                 // else Binance spot, combined streams
    struct event_level *levels; // room for EVENT_LEVELS_MAX
};

struct parse_peer {
    const char *name; // "simdjson 3.9.4"
    void *(*open)(void);
    void (*close)(void *state);
    // False where the message is not understood. At least 64 readable bytes follow the message.
    bool (*read)(void *state, const struct parse_peer_context *context, const uint8_t *bytes,
                 uint32_t size, struct event *event);
};

#endif
