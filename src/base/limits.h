// SPDX-License-Identifier: GPL-3.0-or-later
//
// limits: every bound of the daemon that is not part of a module's own interface, with its reason.
// Where a bound is reached at run time, that is a handled and counted state, never undefined.
#ifndef RINGTAPE_BASE_LIMITS_H
#define RINGTAPE_BASE_LIMITS_H

#define LIMIT_MICROSECOND_NS 1000ll
#define LIMIT_MILLISECOND_NS 1000000ll
#define LIMIT_SECOND_NS 1000000000ll
#define LIMIT_MINUTE_NS (60 * LIMIT_SECOND_NS)
#define LIMIT_HOUR_NS (60 * LIMIT_MINUTE_NS)

enum {
    // ---- configuration ----
    LIMIT_FEEDS = 32,
    LIMIT_FEED_CHANNELS = 24,
    LIMIT_FEED_SYMBOLS = 8192,     // Binance lists about 3,500 spot symbols, halted ones included
    LIMIT_SHARDS = 64,
    LIMIT_REDUNDANCY = 4,
    LIMIT_CONFIG_BYTES = 4 << 20,
    LIMIT_CONFIG_MISTAKES = 16,    // reported at once
    LIMIT_URL_BYTES = 255,
    LIMIT_PATH_BYTES = 767,        // of a configured file or folder; leaves room for names below it

    // ---- a shard ----
    LIMIT_LINKS = 1024,            // slots of one shard, successors during a renewal included
    LIMIT_SHARD_FEEDS = 64,        // configured ones and, during a reload, those they replace
    LIMIT_SHARD_SYMBOLS = 65536,   // all that were ever subscribed or listed in one life
    // In 32 KiB a TLS record of 16 KiB mostly lies in two buffers, and is copied to lie in one.
    LIMIT_SHARD_RECEIVE_BUFFERS = 128,
    LIMIT_SHARD_RECEIVE_BUFFER_BYTES = 128 << 10,
    LIMIT_SHARD_COMMANDS = 256,    // from the control thread, waiting
    LIMIT_UNKNOWN_KEYS = 1024,     // distinct (exchange, message, key) counted one by one
    LIMIT_UNKNOWN_KEY_FRAMES = 1000, // whole frames kept of each of them

    // ---- a link ----
    LIMIT_BAN_S = 72 * 3600, // the longest that an exchange keeps an address out (Binance)
    LIMIT_MESSAGE_BYTES = 1 << 20, // one WebSocket message. Address space: memory is only used
                                   // where a link really gets messages in pieces
    LIMIT_MESSAGE_KEEP_BYTES = 64 << 10, // of it stays resident over a reconnect
    LIMIT_REST_BODY_BYTES = 64 << 20,    // Binance exchangeInfo has about 15 MB
    LIMIT_ADDRESS_TEXT_BYTES = 63,
    LIMIT_CAUSE_BYTES = 255,
};

#endif
