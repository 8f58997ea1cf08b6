// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_statistics: the statistics page of the daemon. The sections of shards, mirror and alert
// receivers are theirs to publish (base/statistics.h); here is a thread that adds what concerns the
// daemon as a whole (memory, disk, threads, sealer), puts the page together twice a second and
// writes it to the store (keep/statistics_file.h); and what answers HTTP requests from it.
//
// Only that thread waits for the disk. Requests are answered from memory: they read the sections
// themselves and are as new as these.
//
// Threading: open, start, stop, close by the control thread; the setters too; sections as said
// there. Memory: the page in three copies (the sections, the thread's, that of HTTP), allocated in
// control_statistics_open().
#ifndef RINGTAPE_CONTROL_CONTROL_STATISTICS_H
#define RINGTAPE_CONTROL_CONTROL_STATISTICS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/statistics.h"
#include "control/config.h"
#include "control/http_server.h"
#include "control/worker.h"
#include "keep/sealer.h"
#include "keep/statistics_file.h"

#define CONTROL_STATISTICS_NS (500 * LIMIT_MILLISECOND_NS)
// A shard that has told nothing for so long does not progress: it publishes ten times a second.
#define CONTROL_STATISTICS_STALL_NS (5 * LIMIT_SECOND_NS)
// Rows that wait for the disk for so long: the tape is not writable.
#define CONTROL_STATISTICS_TAPE_NS (10 * LIMIT_SECOND_NS)

// What the control thread knows; atomic words.
struct control_statistics_facts {
    _Atomic uint64_t state; // enum statistics_state
    _Atomic uint64_t config_hash;
    _Atomic uint64_t reloads;
    _Atomic uint64_t reloads_failed;
    _Atomic uint64_t feeds;
    _Atomic uint64_t feeds_waiting;
    _Atomic uint64_t feeds_failed;
};

struct control_statistics {
    struct statistics_page *live;  // whose sections others write; NULL: not open
    struct statistics_page *whole; // the thread's
    struct statistics_page *asked; // of the HTTP server's thread
    struct statistics_daemon own;  // the thread's
    struct control_statistics_facts facts;
    const char *commit; // of the build; set before the open
    struct keep_store *store;
    const struct sealer_counters *sealed; // word by word
    const struct log *log;
    struct io *io;
    struct io_op tick;
    struct statistics_file file;
    struct worker worker;
    atomic_bool stop;
    bool last; // the last page is on its way, or was
    bool ended;
    int64_t slow_ns;       // monotonic: next look at what takes longer
    int64_t sealed_ns;     // monotonic: when tapes last waited for nobody
    uint64_t tapes_sealed; // then
    struct http_server *http; // NULL: none
    _Atomic uint64_t requests;
};

// The page and the loop. 0 or a negative errno with a message. `sealed` lives as long as this.
int control_statistics_open(struct control_statistics *statistics, const struct config *config,
                            struct keep_store *store, const struct sealer_counters *sealed,
                            const struct log *log, struct io_message *message);
// The thread begins to write, and HTTP to answer where `config` says so. 0 or a negative errno with
// a message.
int control_statistics_start(struct control_statistics *statistics, const struct config *config,
                             struct io *control, struct io_message *message);
// Asks for the last page and the end; true once it has ended. Again and again.
bool control_statistics_stop(struct control_statistics *statistics);
void control_statistics_close(struct control_statistics *statistics);

// A whole page as of now, of memory of the caller's.
void control_statistics_take(const struct control_statistics *statistics,
                             struct statistics_page *page);
// True: every shard has told something within CONTROL_STATISTICS_STALL_NS, as of now. Any thread,
// without waiting and without copying a page.
bool control_statistics_moving(const struct control_statistics *statistics);
// Does it go on, is it of use? False: `text` says why not, a line each.
bool control_statistics_healthy(const struct statistics_page *page, char *text, size_t text_size);
bool control_statistics_ready(const struct statistics_page *page, char *text, size_t text_size);

#endif
