// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_http: the section `http`: where metrics are served, and of which symbols. Pure.
#ifndef RINGTAPE_CONTROL_CONFIG_HTTP_H
#define RINGTAPE_CONTROL_CONFIG_HTTP_H

#include <stdbool.h>

#include "capture/shard.h"
#include "control/config_schema.h"
#include "io/io.h"

enum { CONFIG_HTTP_LISTEN_BYTES = 63 };

struct config_http {
    bool off;
    char listen[CONFIG_HTTP_LISTEN_BYTES + 1]; // as it was written
    struct io_address address;
    struct shard_symbols symbols; // with series of their own
};

// What config_put_special() does for the keys here.
enum { CONFIG_PUT_HTTP_OFF = 16, CONFIG_PUT_HTTP_LISTEN, CONFIG_PUT_HTTP_SYMBOL };
// And for those of a feed.
enum { CONFIG_PUT_PIN = 24 };
// And in the section `security`.
enum { CONFIG_PUT_SECCOMP = 25 };
bool config_http_put(const struct config_entry *entry, void *base, const char *text);

extern const struct config_entry config_http_keys[];

#endif
