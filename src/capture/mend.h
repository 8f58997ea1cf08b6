// SPDX-License-Identifier: GPL-3.0-or-later
//
// mend: carries out what repair plans, on the shard's loop: asks the exchanges by REST within their
// budgets, gives the rows to the intake, the newest ids to the arbiter.
//
//     slot:  FREE ──repair_next──→ WAITING ──permit──→ ASKING ──answer──→ FREE
//                                   │ ↑______another page_____│
//                                   └──a snapshot without a permit: put back──→ FREE
//
// Every request spends its weight of the exchange's budget first (base/permits.h, shared by all
// shards and remembered over restarts). What the replies say about limits is believed: the weight
// used, Remaining-Req, Retry-After with 429, 418, 403, 5xx. After other failures the exchange is
// left alone for a second, then twice as long each time, up to a minute, or until a link to it
// comes up: after an outage holes are closed at once. Questions that were under way together and
// fail together count as one failure.
//
// Live capture goes first: an answer is read when it is whole, one page (at most 1,000 rows, about
// 1 ms) at a time; the newest ids of all symbols once a minute take about 4 ms.
//
// The newest ids of all symbols are asked for by one shard, and read by all (audit_board.h).
//
// Memory: MEND_SLOTS requests an exchange, allocated with its first feed. Threading: core-local.
#ifndef RINGTAPE_CAPTURE_MEND_H
#define RINGTAPE_CAPTURE_MEND_H

#include "base/permits.h"
#include "base/symbols.h"
#include "capture/audit_board.h"
#include "capture/intake.h"
#include "capture/repair.h"
#include "capture/rest.h"
#include "exchange/dialect.h"

enum { MEND_SLOTS = 4 };
#define MEND_AUDIT_SOON_NS (3 * LIMIT_SECOND_NS) // after a link has come up

enum mend_state { MEND_FREE, MEND_WAITING, MEND_ASKING };

struct mend;
struct mend_exchange;

struct mend_slot {
    struct mend_exchange *exchange;
    enum mend_state state;
    struct repair_job job;
    struct history_ask ask;
    struct url url; // as it was when asked
    struct rest rest;
};

struct mend_exchange {
    struct mend *mend;
    const struct dialect *dialect; // NULL: not used
    struct url url;
    struct tls_context *tls;
    uint32_t budget;
    uint8_t number; // symbols_exchange()
    bool told;      // that it does not answer
    uint32_t failures;
    uint32_t bans; // in a row
    int64_t hold_ns;  // monotonic: nothing is asked before
    int64_t banned_ns; // UTC: until when a refusal without Retry-After counts
    int64_t audit_ns; // monotonic: when LAST_IDS is due
    int64_t soon_ns;  // monotonic: since when one is wanted before its time
    int64_t asked_ns; // monotonic: when it was last asked
    int board_place;  // -1: this shard asks for itself
    uint64_t board_seen;
    struct arbiter_now audit_now; // of the answer being read
    struct repair_cursor cursor;
    struct mend_slot *slots; // [MEND_SLOTS]
};

struct mend_counters {
    uint64_t requests;
    uint64_t failures;
    uint64_t audits;
    uint64_t snapshots;
};

struct mend {
    struct io *io;
    const struct log *log;
    struct permits *permits;
    struct intake *intake;
    const struct symbols *symbols;
    struct audit_board *board; // NULL: there are no other shards
    bool stopping;
    struct mend_exchange exchanges[SYMBOL_EXCHANGES_MAX];
    struct mend_counters counters;
};

// The caller sets io, log, permits, intake, symbols, board; the rest is zero.

// The exchange may be asked at `url` from now on, within `weight` a window (0: its own limit). The
// trust *tls (NULL for http://) is taken over, and *tls cleared, with an exchange's first opening.
// False: no memory (logged); nothing is asked then.
bool mend_exchange_open(struct mend *mend, const struct dialect *dialect, uint8_t number,
                        const struct url *url, struct tls_context **tls, uint32_t weight);
// A link of the exchange has come up: it may be asked again, and its audit is due soon.
void mend_reachable(struct mend *mend, uint8_t exchange);
// That requests were made on, so far.
uint64_t mend_connections(const struct mend *mend);
// Ten times a second.
void mend_tick(struct mend *mend);
// Cancels what is under way, ends what is connected. True once there is nothing.
bool mend_stop(struct mend *mend);
// After that; or when the loop is gone.
void mend_close(struct mend *mend);

#endif
