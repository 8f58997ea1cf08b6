// SPDX-License-Identifier: GPL-3.0-or-later
//
// audit_board: see audit_board.h.
#include "capture/audit_board.h"

#include "format/ensure.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void audit_board_init(struct audit_board *board)
{
    memset(board, 0, sizeof *board);
    ensure(pthread_mutex_init(&board->mutex, NULL) == 0);
}

void audit_board_free(struct audit_board *board)
{
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) {
        for (uint32_t b = 0; b < 2; b++) {
            struct audit_board_body *body = &board->exchanges[i].bodies[b];
            ensure(body->readers == 0);
            if (body->bytes != NULL) (void)munmap(body->bytes, LIMIT_REST_BODY_BYTES);
        }
    }
    (void)pthread_mutex_destroy(&board->mutex);
}

static void board_lock(struct audit_board *board)
{
    ensure(pthread_mutex_lock(&board->mutex) == 0);
}

static void board_unlock(struct audit_board *board)
{
    ensure(pthread_mutex_unlock(&board->mutex) == 0);
}

static bool board_reserve(struct audit_board_exchange *exchange)
{
    bool good = true;
    for (uint32_t b = 0; b < 2; b++) {
        if (exchange->bodies[b].bytes != NULL) continue;
        void *bytes = mmap(NULL, LIMIT_REST_BODY_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        good = good && bytes != MAP_FAILED;
        if (bytes != MAP_FAILED) exchange->bodies[b].bytes = bytes;
    }
    return good;
}

int audit_board_open(struct audit_board *board, const void *who)
{
    ensure(who != NULL);
    int place = -ENOMEM;
    board_lock(board);
    for (int i = 0; i < SYMBOL_EXCHANGES_MAX && place < 0; i++) {
        struct audit_board_exchange *exchange = &board->exchanges[i];
        if (exchange->who != NULL && exchange->who != who) continue;
        if (!board_reserve(exchange)) break;
        exchange->who = who;
        place = i;
    }
    board_unlock(board);
    return place;
}

static struct audit_board_exchange *board_place(struct audit_board *board, int place)
{
    ensure(place >= 0 && place < SYMBOL_EXCHANGES_MAX && board->exchanges[place].who != NULL);
    return &board->exchanges[place];
}

bool audit_board_claim(struct audit_board *board, int place, int64_t now_ns)
{
    struct audit_board_exchange *exchange = board_place(board, place);
    board_lock(board);
    bool mine = exchange->claimed_ns == 0 || now_ns - exchange->claimed_ns > AUDIT_BOARD_CLAIM_NS;
    if (mine) exchange->claimed_ns = now_ns;
    board_unlock(board);
    return mine;
}

void audit_board_drop(struct audit_board *board, int place)
{
    board_lock(board);
    board_place(board, place)->claimed_ns = 0;
    board_unlock(board);
}

void audit_board_put(struct audit_board *board, int place, const struct audit_answer *answer)
{
    struct audit_board_exchange *exchange = board_place(board, place);
    ensure(answer->size <= LIMIT_REST_BODY_BYTES);
    board_lock(board);
    uint32_t spare = 1 - exchange->newest;
    struct audit_board_body *body = &exchange->bodies[spare];
    exchange->claimed_ns = 0;
    if (body->readers == 0) {
        (void)madvise(body->bytes, LIMIT_REST_BODY_BYTES, MADV_DONTNEED);
        memcpy(body->bytes, answer->body, answer->size);
        body->answer = *answer;
        body->answer.body = body->bytes;
        exchange->newest = spare;
        atomic_fetch_add_explicit(&exchange->number, 1, memory_order_release);
    }
    board_unlock(board);
}

uint64_t audit_board_number(const struct audit_board *board, int place)
{
    ensure(place >= 0 && place < SYMBOL_EXCHANGES_MAX);
    return atomic_load_explicit(&board->exchanges[place].number, memory_order_acquire);
}

uint32_t audit_board_take(struct audit_board *board, int place, struct audit_answer *answer)
{
    struct audit_board_exchange *exchange = board_place(board, place);
    board_lock(board);
    ensure(exchange->number > 0);
    uint32_t newest = exchange->newest;
    exchange->bodies[newest].readers++;
    *answer = exchange->bodies[newest].answer;
    board_unlock(board);
    return newest;
}

void audit_board_release(struct audit_board *board, int place, uint32_t body)
{
    struct audit_board_exchange *exchange = board_place(board, place);
    board_lock(board);
    ensure(body < 2 && exchange->bodies[body].readers > 0);
    exchange->bodies[body].readers--;
    board_unlock(board);
}
