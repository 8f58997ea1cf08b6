// SPDX-License-Identifier: Apache-2.0
//
// export_state: how far a Delta export of a store is, as text: for the daemon, which deletes and
// merges nothing that is not exported yet. File STORE/export/<hash of the tables' folder>, replaced
// as a whole by `ringtape export --delta` at the end of each round. Whoever gives up an export
// removes its file.
//
//     ringtape-export 1 0
//     time 1767225600000000000      when this was true
//     tables /srv/lake              the folder of the tables
//     channel trade 120             rows of this channel of tapes up to here are in its table
//     xxh3 0123456789abcdef         of all bytes before this line
//
// A channel that is not named is not exported. What the tables themselves say counts for the export
// alone: this file may be behind them, which costs room and no row.
// Pure: text in memory. Threading: one owner.
#ifndef RINGTAPE_FORMAT_EXPORT_STATE_H
#define RINGTAPE_FORMAT_EXPORT_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "format/event.h"

enum {
    EXPORT_STATE_PATH_BYTES = 4096,
    EXPORT_STATE_BYTES_MAX = 8192,
    EXPORT_STATE_NAME_BYTES = 17, // "0123456789abcdef" and the end
};

struct export_state {
    int64_t time_ns;
    char tables[EXPORT_STATE_PATH_BYTES];
    uint32_t channels;            // bit c: exported
    uint32_t tape[CHANNEL_COUNT]; // of those: all rows of tapes up to this one
};

// The name of the file for tables in `folder`.
void export_state_name(const char *folder, char out[EXPORT_STATE_NAME_BYTES]);
// The text, its trailer included, into EXPORT_STATE_BYTES_MAX bytes; returns its size.
size_t export_state_write(const struct export_state *state, char *out);
// 0; -EBADMSG: damaged; -EPROTONOSUPPORT: another major version. Zero on failure.
int export_state_parse(struct export_state *state, const char *text, size_t size);

#endif
