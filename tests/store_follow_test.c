// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: a follower gets every durable row once, whatever the writer does meanwhile: batches written
// again, failed writes, tapes that end, are sealed, deleted and merged. Method: a writer step by
// step, and one that is a process of its own, at full speed, from a printed seed.
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/store.h"
#include "tests/store_fixture.h"

enum { IDS_MAX = 1 << 20, NOISE_STEPS = 700 };

struct follower {
    struct store *store;
    struct store_scan *scan;
    uint8_t *ids;
    uint64_t rows;
    uint64_t greatest;
    uint64_t damages;
};

static void note_damage(void *context, const struct store_damage *damage)
{
    struct follower *follower = context;
    follower->damages++;
    (void)fprintf(stderr, "%s at %d: %s\n", damage->path, (int)damage->offset, damage->what);
}

static struct follower *follow(const char *path, enum store_follow how)
{
    struct follower *follower = calloc(1, sizeof *follower);
    struct store_query query = store_query_all(CHANNEL_TRADE);
    follower->ids = calloc(IDS_MAX, 1);
    query.follow = how;
    query.damage = note_damage;
    query.damage_context = follower;
    cr_assert_eq(store_open(&follower->store, path, NULL), 0);
    cr_assert_eq(store_scan_open(&follower->scan, follower->store, &query), 0);
    return follower;
}

static void unfollow(struct follower *follower)
{
    cr_assert_eq(follower->damages, 0);
    store_scan_close(follower->scan);
    store_close(follower->store);
    free(follower->ids);
    free(follower);
}

// Everything there is for now. Returns the last result.
static int take(struct follower *follower)
{
    struct store_chunk chunk;
    int result;
    while ((result = store_scan_next(follower->scan, &chunk)) > 0) {
        for (uint32_t i = 0; i < chunk.count; i++) {
            int64_t id = chunk.rows->value[TRADE_ID][chunk.index[i]];
            cr_assert(id > 0 && id < IDS_MAX);
            cr_assert_eq(follower->ids[id]++, 0, "trade %d twice", (int)id);
            cr_assert_eq(chunk.rows->value[TRADE_TIME][chunk.index[i]],
                         STORE_FIXTURE_TIME + id * 1000000);
            follower->greatest = (uint64_t)id > follower->greatest ? (uint64_t)id
                                                                   : follower->greatest;
            follower->rows++;
        }
    }
    if (result < 0)
        (void)fprintf(stderr, "%s\n", strerror(-result));
    return result;
}

static void expect(struct follower *follower, uint64_t first, uint64_t last)
{
    cr_assert_eq(take(follower), 0);
    cr_assert_eq(follower->rows, last - first + 1, "%d rows of %d", (int)follower->rows,
                 (int)(last - first + 1));
    for (uint64_t id = first; id <= last; id++)
        cr_assert_eq(follower->ids[id], 1, "trade %d", (int)id);
}

// ---- step by step ----

Test(store_follow, rows_come_once_they_are_known_to_be_durable)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    expect(follower, 1, 0);
    store_fixture_append(fixture, 10, true);
    expect(follower, 1, 0); // only the writer knows
    store_fixture_append(fixture, 10, true); // the same batch again, which says so
    expect(follower, 1, 10);
    store_fixture_append(fixture, 1000, true);
    expect(follower, 1, 20);
    store_fixture_mark(fixture, false);
    expect(follower, 1, 1020);
    store_fixture_append(fixture, 5, false);
    store_fixture_mark(fixture, false);
    expect(follower, 1, 1020);
    unfollow(follower);
    store_fixture_close(fixture);
}

Test(store_follow, only_what_is_new)
{
    struct store_fixture *fixture = store_fixture_open();
    store_fixture_append(fixture, 500, true);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true);
    store_fixture_append(fixture, 20, true);
    store_fixture_mark(fixture, false);
    store_fixture_append(fixture, 3, true);
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_NEW);
    cr_assert_eq(take(follower), 0);
    cr_assert_eq(follower->rows, 0);
    store_fixture_append(fixture, 7, true);
    store_fixture_mark(fixture, false);
    expect(follower, 521, 530); // the three were not known to be durable
    unfollow(follower);
    store_fixture_close(fixture);
}

Test(store_follow, sealing_and_merging_bring_nothing_twice)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    store_fixture_append(fixture, 300, true);
    expect(follower, 1, 0);
    store_fixture_append(fixture, 300, true);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 1, true); // read from the deleted file
    expect(follower, 1, 600);
    store_fixture_append(fixture, 300, true);
    store_fixture_end(fixture);
    expect(follower, 1, 900);
    store_fixture_seal(fixture, 2, 2, false);
    expect(follower, 1, 900);
    store_fixture_merge(fixture);
    expect(follower, 1, 900);
    unfollow(follower);
    store_fixture_close(fixture);
}

// Tapes that came and went unseen are in segments.
Test(store_follow, missed_tapes_are_taken_from_their_segments)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    for (uint32_t tape = 1; tape <= 3; tape++) {
        store_fixture_append(fixture, 400, true);
        store_fixture_end(fixture);
        store_fixture_seal(fixture, tape, tape, tape != 2);
    }
    expect(follower, 1, 1200);
    store_fixture_append(fixture, 100, true);
    store_fixture_end(fixture);
    expect(follower, 1, 1300);
    store_fixture_seal(fixture, 4, 4, true);
    store_fixture_merge(fixture);
    expect(follower, 1, 1300);
    unfollow(follower);
    store_fixture_close(fixture);
}

// As on a full disk, when sealed tapes go though somebody needs them. The one that was begun is
// still open; the others are read from their segments.
Test(store_follow, who_is_behind_goes_on_from_segments_when_tapes_go)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    store_fixture_append(fixture, 400, true);
    store_fixture_mark(fixture, false);
    expect(follower, 1, 400); // and no further for a while
    for (uint32_t tape = 1; tape <= 5; tape++) {
        store_fixture_append(fixture, 300, true);
        store_fixture_end(fixture);
        store_fixture_seal(fixture, tape, tape, false);
    }
    for (uint32_t tape = 1; tape <= 4; tape++) {
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_tape_path(tape, "tape", path);
        cr_assert_eq(unlink(store_fixture_path(fixture, path)), 0);
    }
    store_fixture_append(fixture, 100, true);
    store_fixture_mark(fixture, false);
    expect(follower, 1, 2000);
    expect(follower, 1, 2000);
    unfollow(follower);
    store_fixture_close(fixture);
}

Test(store_follow, missed_tapes_merged_with_seen_ones_are_an_error)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    store_fixture_append(fixture, 400, true);
    store_fixture_end(fixture);
    expect(follower, 1, 400);
    store_fixture_append(fixture, 400, true);
    store_fixture_end(fixture);
    store_fixture_seal(fixture, 1, 2, true);
    cr_assert_eq(take(follower), -ESTALE);
    cr_assert_eq(follower->rows, 400);
    unfollow(follower);
    store_fixture_close(fixture);
}

// A daemon killed while it prepares a tape leaves it without a mark; the next start removes it.
Test(store_follow, a_tape_that_was_only_prepared_goes_away)
{
    struct store_fixture *fixture = store_fixture_open();
    for (int all = 0; all < 2; all++) {
        store_fixture_append(fixture, 400, true);
        store_fixture_end(fixture);
        store_fixture_prepare(fixture);
        const uint32_t tape = fixture->number;
        struct follower *follower =
            follow(fixture->path, all == 0 ? STORE_FOLLOW_ALL : STORE_FOLLOW_NEW);
        const uint64_t first = all == 0 ? 1 : fixture->trades + 1;
        expect(follower, first, fixture->trades);
        store_fixture_discard(fixture);
        expect(follower, first, fixture->trades);
        store_fixture_append(fixture, 100, true);
        store_fixture_end(fixture);
        expect(follower, first, fixture->trades);
        store_fixture_seal(fixture, tape - 1, tape + 1, true); // it is no tape that was missed
        expect(follower, first, fixture->trades);
        unfollow(follower);
    }
    store_fixture_close(fixture);
}

// Its beginning was seen, and nothing of what came then.
Test(store_follow, a_prepared_tape_that_was_filled_unseen_is_taken_from_its_segment)
{
    static const enum store_follow modes[] = {STORE_FOLLOW_ALL, STORE_FOLLOW_NEW};
    for (int mode = 0; mode < 2; mode++) {
        struct store_fixture *fixture = store_fixture_open();
        store_fixture_prepare(fixture);
        struct follower *follower = follow(fixture->path, modes[mode]);
        expect(follower, 1, 0);
        expect(follower, 1, 0);
        store_fixture_append(fixture, 400, true);
        store_fixture_end(fixture);
        store_fixture_seal(fixture, 1, 1, true);
        expect(follower, 1, 400);
        store_fixture_append(fixture, 100, true);
        store_fixture_end(fixture);
        expect(follower, 1, 500);
        store_fixture_seal(fixture, 2, 2, true);
        store_fixture_merge(fixture);
        expect(follower, 1, 500);
        unfollow(follower);
        store_fixture_close(fixture);
    }
}

// On disk, but another tape brings them.
Test(store_follow, rows_of_a_failed_write_come_once)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    store_fixture_append(fixture, 50, true);
    store_fixture_append(fixture, 30, false);
    expect(follower, 1, 50);
    store_fixture_fail(fixture, 30);
    expect(follower, 1, 50);
    store_fixture_append(fixture, 80, true);
    store_fixture_mark(fixture, false);
    expect(follower, 1, 130);
    unfollow(follower);
    store_fixture_close(fixture);
}

// A crash left them whole but never acknowledged: recovery keeps them, so they come when sealed.
Test(store_follow, rows_without_acknowledgement_come_when_sealed)
{
    struct store_fixture *fixture = store_fixture_open();
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    store_fixture_append(fixture, 50, true);
    store_fixture_mark(fixture, false);
    store_fixture_append(fixture, 1000, false);
    expect(follower, 1, 50);
    fixture->number = 0; // killed
    store_fixture_append(fixture, 10, true);
    expect(follower, 1, 50);
    store_fixture_seal(fixture, 1, 1, true);
    expect(follower, 1, 1050);
    unfollow(follower);
    store_fixture_close(fixture);
}

// ---- a process of its own ----

struct noise {
    struct store_fixture *fixture;
    struct format_random random;
    volatile uint64_t *polls; // of the follower
    uint64_t polls_at_seal;
    uint32_t sealed; // tapes
};

// Tapes are merged when the follower has looked since the last one was sealed: what it says where
// it has not is tested above.
static void seal_some(struct noise *noise)
{
    struct store_fixture *fixture = noise->fixture;
    uint32_t last = 0; // the last tape that is not being written
    while (fixture->held[last + 1].first != 0 && last + 1 != fixture->number)
        last++;
    if (last > noise->sealed && random_below(&noise->random, 4) == 0) {
        noise->sealed++;
        store_fixture_seal(fixture, noise->sealed, noise->sealed,
                           random_below(&noise->random, 2) == 0);
        noise->polls_at_seal = *noise->polls;
    }
    uint32_t segments = fixture->catalogue.segment_count;
    if (segments > 5 && *noise->polls > noise->polls_at_seal + 1)
        store_fixture_merge(fixture);
}

static void step(struct noise *noise)
{
    struct store_fixture *fixture = noise->fixture;
    struct format_random *random = &noise->random;
    uint32_t count = 1 + random_below(random, random_below(random, 4) == 0 ? 900 : 30);
    uint32_t dice = random_below(random, 100);
    if (dice < 2 && fixture->number != 0) {
        store_fixture_append(fixture, count, false);
        store_fixture_fail(fixture, count);
    } else if (dice < 5) {
        store_fixture_end(fixture);
    } else if (dice < 10 && fixture->number != 0) {
        store_fixture_mark(fixture, false);
    } else {
        store_fixture_append(fixture, count, true);
    }
    seal_some(noise);
}

// Tells how many trades there are by its last words.
static void write_noise(struct store_fixture *fixture, uint64_t seed, volatile uint64_t *polls,
                        int tell)
{
    struct noise noise = {.fixture = fixture, .random = {seed}, .polls = polls};
    for (int i = 0; i < NOISE_STEPS; i++)
        step(&noise);
    store_fixture_end(fixture);
    uint64_t trades = fixture->trades;
    ensure(write(tell, &trades, sizeof trades) == sizeof trades);
}

static void follow_noise(uint64_t seed)
{
    struct store_fixture *fixture = store_fixture_open();
    int tell[2];
    uint64_t trades = 0;
    int status;
    (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    cr_assert_eq(pipe(tell), 0);
    volatile uint64_t *polls = mmap(NULL, sizeof *polls, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(polls != MAP_FAILED);
    struct follower *follower = follow(fixture->path, STORE_FOLLOW_ALL);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_noise(fixture, seed, polls, tell[1]);
        _exit(0);
    }
    (void)close(tell[1]);
    while (waitpid(child, &status, WNOHANG) == 0) {
        cr_assert_eq(take(follower), 0);
        ++*polls;
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_eq(read(tell[0], &trades, sizeof trades), (ssize_t)sizeof trades);
    uint64_t live = follower->rows;
    expect(follower, 1, trades);
    cr_assert_gt(*polls, 20);
    cr_assert_gt(live, trades / 2, "%d of %d rows while they were written", (int)live, (int)trades);
    unfollow(follower);
    store_fixture_close(fixture);
}

Test(store_follow, a_writer_in_another_process)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        follow_noise(seed);
}
