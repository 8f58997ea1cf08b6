// SPDX-License-Identifier: GPL-3.0-or-later
//
// options: the command line of ringtaped. Long options only; a repeated or unknown one is an error
// (exit code 64), so that a typing mistake never records something else than was meant.
#ifndef RINGTAPE_CONTROL_OPTIONS_H
#define RINGTAPE_CONTROL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK,
    OPTIONS_PROBE,
    OPTIONS_SEAL,
    OPTIONS_TAKE_IN,
    OPTIONS_VERSION,
    OPTIONS_HELP,
    OPTIONS_HELP_CONFIG,
    OPTIONS_MISTAKE,
};

struct options {
    enum options_action action;
    const char *config;        // path; required for RUN and CHECK, not for PROBE
    const char *seal;          // SEAL, TAKE_IN: path of the store
    int64_t counters_every_ns; // 0: no counter lines
    char mistake[160];
};

void options_parse(struct options *options, int count, char *const *arguments);
void options_help(FILE *out);

#endif
