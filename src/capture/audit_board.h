// SPDX-License-Identifier: GPL-3.0-or-later
//
// audit_board: one answer for all shards. An audit of Binance asks for the newest ids of all
// symbols at once (weight 40 to 80 of the IP address's budget); with several shards one of them
// asks, and every one reads the answer.
//
//     audit_board_claim ─true→ the caller asks → audit_board_put, or audit_board_drop
//     audit_board_number ─a new one→ audit_board_take → … reads … → audit_board_release
//
// Ownership: the board keeps two bodies an exchange, in address space reserved at the open. One
// that is being read is not written; where both are read the answer is not put, and others ask.
// Threading: any; a lock, taken a few times a minute, never while an answer is read.
#ifndef RINGTAPE_CAPTURE_AUDIT_BOARD_H
#define RINGTAPE_CAPTURE_AUDIT_BOARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/symbols.h"

// A claim is forgotten then: whoever made it does not ask any more.
#define AUDIT_BOARD_CLAIM_NS LIMIT_MINUTE_NS

struct audit_answer {
    const uint8_t *body;
    uint32_t size;
    int64_t asked_ns;        // monotonic
    int64_t answered_utc_ns;
};

struct audit_board_body {
    uint8_t *bytes; // [LIMIT_REST_BODY_BYTES] of address space
    uint32_t readers;
    struct audit_answer answer;
};

struct audit_board_exchange {
    const void *who;      // the dialect; NULL: free
    int64_t claimed_ns;   // monotonic; 0: nobody asks
    _Atomic uint64_t number; // of the newest answer; 0: none yet
    uint32_t newest;      // its body
    struct audit_board_body bodies[2];
};

struct audit_board {
    pthread_mutex_t mutex;
    struct audit_board_exchange exchanges[SYMBOL_EXCHANGES_MAX];
};

void audit_board_init(struct audit_board *board);
// After the last shard has ended.
void audit_board_free(struct audit_board *board);

// The exchange `who` names; its place is the same for all. -ENOMEM: no place or no memory.
int audit_board_open(struct audit_board *board, const void *who);
// True: the caller has to ask now. False: another one does.
bool audit_board_claim(struct audit_board *board, int place, int64_t now_ns);
// It did not work out.
void audit_board_drop(struct audit_board *board, int place);
// It did: `answer` is copied, and the claim is over.
void audit_board_put(struct audit_board *board, int place, const struct audit_answer *answer);
// Of the newest answer.
uint64_t audit_board_number(const struct audit_board *board, int place);
// The newest answer, valid until audit_board_release() of the same body.
uint32_t audit_board_take(struct audit_board *board, int place, struct audit_answer *answer);
void audit_board_release(struct audit_board *board, int place, uint32_t body);

#endif
