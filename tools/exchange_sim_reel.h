// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_reel: recordings, loaded whole and ready to be sent.
//
// The events of all recordings are ordered by their receive times (stable within a recording). REST
// replies in them are kept for the REST server. Laps: a reel may be played again and again with ids
// and times moved on by what one lap covers, digits patched in place, so that every lap is news;
// this works for trade, bookTicker and depth, whose ids rise.
//
// Ownership: payloads live until exchange_sim_reel_close(). Threading: one owner.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_REEL_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_REEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_capture.h"
#include "tools/exchange_sim_hub.h"
#include "tools/exchange_sim_market.h"

enum {
    REEL_CAPTURES_MAX = 32,
    REEL_PATCHES_MAX = 5,
};

struct exchange_sim_patch {
    uint16_t offset; // of the digits in the payload
    uint8_t digits;
    bool time; // else an id
};

struct exchange_sim_reel_event {
    int64_t time_ns;
    int64_t id;
    uint8_t *payload;
    uint32_t size;
    uint32_t stream;
    uint8_t patch_count;
    struct exchange_sim_patch patches[REEL_PATCHES_MAX];
};

struct exchange_sim_reel_rest {
    enum exchange_sim_exchange exchange;
    char symbol[MARKET_NAME_SIZE]; // upper case; empty: none given
    char what[MARKET_NAME_SIZE];   // last part of the path: "depth", "exchangeInfo"
    const uint8_t *body;
    uint32_t size;
};

struct exchange_sim_reel {
    struct exchange_sim_reel_event *events;
    uint32_t count;
    uint32_t capacity;
    struct exchange_sim_reel_rest *rests;
    uint32_t rest_count;
    uint32_t rest_capacity;
    struct exchange_sim_capture *captures[REEL_CAPTURES_MAX];
    uint32_t capture_count;
    int64_t lap_span_ns; // time that one lap covers
    int64_t *stride;     // by stream: ids that one lap covers
    uint32_t malformed;
};

// Adds the messages of a recording, only those of channel `only` ("trade") where that is not NULL.
// False with errno set where it could not be read.
bool exchange_sim_reel_load(struct exchange_sim_reel *reel, struct exchange_sim_hub *hub,
                            enum exchange_sim_exchange exchange, const char *path,
                            const char *only);
// After the last load: orders, and prepares laps. False when out of memory.
bool exchange_sim_reel_seal(struct exchange_sim_reel *reel, const struct exchange_sim_hub *hub);
void exchange_sim_reel_close(struct exchange_sim_reel *reel);

// Event `index` of lap `lap`, patched for it: each event is to be asked for once in every lap.
// False where a number would need another digit: the reel cannot go on.
bool exchange_sim_reel_event(struct exchange_sim_reel *reel, uint32_t index, uint32_t lap,
                             struct exchange_sim_event *event);

#endif
