// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_options: the command line of one subcommand, from one table that is also its help text.
//
// Options are long: `--name value` or `--name=value`; given twice they are refused, unless they
// make a list. `--` ends them. What is not an option is a positional argument.
//
// Ownership: texts point into argv. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_OPTIONS_H
#define RINGTAPE_TOOLS_RINGTAPE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RINGTAPE_OPTIONS_MAX = 24,  // of one command
    RINGTAPE_OPTIONS_LIST_MAX = 4096, // values of one list
};

enum ringtape_option_kind {
    RINGTAPE_OPTION_FLAG, // target: bool
    RINGTAPE_OPTION_TEXT, // target: const char *
    RINGTAPE_OPTION_LIST, // target: struct ringtape_option_list; may be repeated, or "A,B"
    RINGTAPE_OPTION_TIME, // target: int64_t, ns UTC
    RINGTAPE_OPTION_COUNT, // target: uint64_t
};

struct ringtape_option_list {
    const char *text[RINGTAPE_OPTIONS_LIST_MAX];
    uint32_t count;
};

struct ringtape_option {
    const char *name;  // without dashes
    enum ringtape_option_kind kind;
    void *target;      // keeps its value when the option is not given
    const char *value; // its name in the help; NULL: a flag
    const char *help;
    bool required;
};

struct ringtape_usage {
    const char *command;
    const char *purpose; // some sentences, lines broken
    const char *argument;      // name of the one positional argument, or NULL: none is taken
    const char **argument_target; // required if not NULL
    const struct ringtape_option *options;
    uint32_t option_count;
};

// True: go on. False: end with *exit_code; help or the mistake has been printed. Lists are split in
// place, so argv is written to.
bool ringtape_options_parse(const struct ringtape_usage *usage, int argc, char **argv,
                            int64_t now_ns, int *exit_code);

#endif
