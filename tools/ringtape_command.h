// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_command: what the subcommands share: their entry points, exit codes, and how they speak
// of errors. docs/cli.md is the page for users.
#ifndef RINGTAPE_TOOLS_RINGTAPE_COMMAND_H
#define RINGTAPE_TOOLS_RINGTAPE_COMMAND_H

#include <stdint.h>

enum ringtape_exit {
    RINGTAPE_EXIT_OK = 0,
    RINGTAPE_EXIT_FOUND = 1,  // damage, or rows that do not fit: what was asked for is not whole
    RINGTAPE_EXIT_TERMINAL = 2, // there is none
    RINGTAPE_EXIT_USAGE = 64, // the command line is wrong
    RINGTAPE_EXIT_IO = 74,    // a file or program could not be read, written, run
};

// One line of `ringtape --help`. `run` gets the arguments behind the command's name.
struct ringtape_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

int ringtape_ls(int argc, char **argv);
int ringtape_inspect(int argc, char **argv);
int ringtape_cat(int argc, char **argv);
int ringtape_book(int argc, char **argv);
int ringtape_verify(int argc, char **argv);
int ringtape_coverage(int argc, char **argv);
int ringtape_day(int argc, char **argv);
int ringtape_reload(int argc, char **argv);
int ringtape_mirror(int argc, char **argv);
int ringtape_recover(int argc, char **argv);
int ringtape_seal(int argc, char **argv);
int ringtape_export(int argc, char **argv);
int ringtape_compact(int argc, char **argv);
int ringtape_vacuum(int argc, char **argv);
int ringtape_status(int argc, char **argv);
int ringtape_top(int argc, char **argv);
int ringtape_doctor(int argc, char **argv);
int ringtape_alerts(int argc, char **argv);
int ringtape_candles(int argc, char **argv);
int ringtape_report(int argc, char **argv);
int ringtape_replay(int argc, char **argv);
int ringtape_backfill(int argc, char **argv);

// "ringtape: " and the text, one line on standard error. Returns RINGTAPE_EXIT_IO, for `return`.
__attribute__((format(printf, 1, 2))) int ringtape_fail(const char *format, ...);
// What an errno means, in words; for negative errno as the library returns them.
const char *ringtape_error_text(int error);
// Flushes standard output: output that did not arrive is an error. A reader that has seen enough
// (head) is none.
int ringtape_finish_output(int exit_code);

int64_t ringtape_now_ns(void);       // UTC
int64_t ringtape_monotonic_ns(void); // for durations

#endif
