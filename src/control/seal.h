// SPDX-License-Identifier: GPL-3.0-or-later
//
// seal: `ringtaped --seal STORE`: without recording anything, brings all tapes of a store into
// segments and makes one segment of each channel's day. What `ringtape seal` runs when no daemon
// has the store. Where a mirror to Kafka is configured, tapes that it has not sent are sealed but
// stay, and their segments are not merged: it goes on from them at the next start.
#ifndef RINGTAPE_CONTROL_SEAL_H
#define RINGTAPE_CONTROL_SEAL_H

// Also `ringtaped --take-in STORE`, which merges nothing: what `ringtape backfill` runs when no
// daemon has the store, to have numbers given to it and its segments taken in.
//
// Both print what was done on standard output. An exit code: 0; 69 kernel; 73 the store cannot be
// used; 74 some tape could not be sealed or was damaged (it is in quarantine/).
int seal_store(const char *path);
int seal_take_in(const char *path);

#endif
