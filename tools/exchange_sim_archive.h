// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_archive: Binance's public archives, as data.binance.vision serves them: files of a
// folder under /data/, ranges of them, and what may go wrong on the way.
//
// Faults are told by their distance: `cut=4` breaks every fourth download off in its middle.
//
//     checksum   a .CHECKSUM says another sum          truncated  a zip ends early, and says so
//     missing    404                                   limit      429 with Retry-After
//     error      503                                   cut        the connection ends half-way
//     slow       the answer comes half a second late
//
// Threading: the server's loop; files are read at once, so they are small.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_ARCHIVE_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

enum exchange_sim_archive_fault {
    ARCHIVE_FAULT_CHECKSUM,
    ARCHIVE_FAULT_TRUNCATED,
    ARCHIVE_FAULT_MISSING,
    ARCHIVE_FAULT_LIMIT,
    ARCHIVE_FAULT_ERROR,
    ARCHIVE_FAULT_CUT,
    ARCHIVE_FAULT_SLOW,
    ARCHIVE_FAULTS,
};
enum { ARCHIVE_FILE_BYTES_MAX = 8 << 20 };

struct exchange_sim_archive {
    const char *folder; // holds data/; NULL: there is none
    uint32_t every[ARCHIVE_FAULTS];
    uint32_t asked[ARCHIVE_FAULTS]; // requests that the fault could have met
};

// "cut=4,missing=7". False: not that.
bool exchange_sim_archive_faults(struct exchange_sim_archive *archive, const char *text);

struct exchange_sim_connection;
// Answers if the path is one of archives. False: it is not.
bool exchange_sim_archive_request(struct exchange_sim_archive *archive,
                                  struct exchange_sim_connection *connection, const char *path,
                                  uint32_t size);

#endif
