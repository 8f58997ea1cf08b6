// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_sinks: the section `alert_sinks`: where alerts go beside store and Kafka. Its keys, and
// what they cannot judge one by one. Pure but for reading the header's file.
#ifndef RINGTAPE_CONTROL_CONFIG_SINKS_H
#define RINGTAPE_CONTROL_CONFIG_SINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "control/config_schema.h"
#include "publish/alert_sink.h"

struct config_sinks {
    char url[LIMIT_URL_BYTES + 1];
    char url_file[LIMIT_PATH_BYTES + 1]; // both "": no webhook
    char ca_file[LIMIT_PATH_BYTES + 1];
    char header_file[LIMIT_PATH_BYTES + 1];
    int64_t webhook_limit_ns;
    char program[LIMIT_PATH_BYTES + 1]; // "": no command
    int64_t command_limit_ns;
};

extern const struct config_entry config_sinks_keys[];

// False: `text` says what is wrong, never what a file holds. Reads the files of the URL and of the
// header.
bool config_sinks_webhook(const struct config_sinks *sinks, struct alert_sink_settings *settings,
                          char *text, size_t text_size);
bool config_sinks_command(const struct config_sinks *sinks, struct alert_sink_settings *settings,
                          char *text, size_t text_size);

#endif
