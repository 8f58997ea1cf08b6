// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_player: which row is played when.
//
// Begins with the first row that is due, at the moment of replay_player_start(); from there a row
// comes as much later as it was due later, divided by the speed. What is late keeps its time, so
// lateness does not add up. At speed 0 a row is due as soon as the one before was passed.
//
// Threading: one owner.
#ifndef RINGTAPE_TOOLS_REPLAY_PLAYER_H
#define RINGTAPE_TOOLS_REPLAY_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/histogram.h"
#include "tools/replay_reader.h"

#define REPLAY_TOLD_AFTER_NS INT64_C(1000000000)

struct replay_player {
    struct replay_reader *reader;
    int64_t speed_thousandths; // 1,000: as recorded; 0: as fast as it goes
    bool loop;                 // begins again at the end
    // A slice begins; false: it cannot be played. NULL: nobody asks.
    bool (*prepare)(void *context, struct replay_slice *slice);
    void *prepare_context;
    // State.
    struct replay_slice *slice;       // NULL: none was taken yet
    uint32_t next;                    // in the slice
    bool started;
    bool ended;
    int error;            // of the store, then it has ended
    bool based;           // the first row is known
    int64_t start_ns;     // monotonic, when the first row is played
    int64_t base_ns;      // when it was due
    int64_t clock_ns;     // of the exchange that is played: when the last row was due
    int64_t marked_at_ns; // monotonic: when clock_ns was marked_ns, a second after told_ns
    int64_t marked_ns;
    int64_t told_ns;
    uint64_t played;
    uint64_t laps;
    struct histogram late; // ns after its time, not at speed 0
};

void replay_player_open(struct replay_player *player, struct replay_reader *reader,
                        int64_t speed_thousandths, bool loop);
void replay_player_start(struct replay_player *player, int64_t now_ns);

enum { REPLAY_NOT_YET = -1, REPLAY_ENDED = -2 };
// 0: `*entry` is to be played now; above: ns until it is; REPLAY_NOT_YET: the store is being read,
// the reader calls when there is more; REPLAY_ENDED.
int64_t replay_player_next(struct replay_player *player, int64_t now_ns,
                           const struct replay_entry **entry);
// It was played.
void replay_player_pass(struct replay_player *player, const struct replay_entry *entry,
                        int64_t now_ns);
// What the exchange's REST tells of: its clock as it was one or two seconds ago. What a stream has
// sent may still be on its way then; a client that hears of it by REST first takes it for missed.
int64_t replay_player_told_ns(const struct replay_player *player, int64_t now_ns);

#endif
