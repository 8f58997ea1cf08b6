// SPDX-License-Identifier: Apache-2.0
//
// follow STORE CHANNEL [new]: symbol, time and provenance of every row of a channel, those there
// are and those that come, until standard input ends. Works beside a recording daemon, also while
// it seals and deletes.
//
//     cc follow.c $(pkg-config --cflags --libs ringtape) -o follow
#include <poll.h>
#include <ringtape/ringtape.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 50 };

static void print(const struct ringtape_chunk *chunk, int id)
{
    for (uint32_t r = 0; r < chunk->rows; r++) {
        struct ringtape_text name = {"-", 1};
        if (chunk->symbol[r] != RINGTAPE_NO_SYMBOL)
            name = chunk->symbols[chunk->symbol[r]];
        printf("%.*s %lld", (int)name.size, name.bytes, (long long)chunk->time[r]);
        if (id >= 0)
            printf(" %lld\n", (long long)chunk->column[id].value[r]);
        else
            printf(" %u:%llu\n", chunk->tape[r], (unsigned long long)chunk->tape_row[r]);
    }
}

// Standard input ended: give what there is, then end.
static bool ended(int wait_ms)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    if (poll(&input, 1, wait_ms) <= 0)
        return false;
    return fread(&byte, 1, 1, stdin) == 0;
}

static int follow(struct ringtape_scan *scan, int id, struct ringtape_message *message)
{
    struct ringtape_chunk chunk;
    bool last = false;
    for (;;) {
        int result = ringtape_scan_next(scan, &chunk, message);
        if (result < 0)
            return result;
        if (result > 0) {
            print(&chunk, id);
            continue;
        }
        (void)fflush(stdout);
        if (last)
            return 0;
        last = ended(WAIT_MS);
    }
}

int main(int argc, char **argv)
{
    struct ringtape *store;
    struct ringtape_scan *scan;
    struct ringtape_channel channel;
    struct ringtape_message message;
    if (argc < 3 || !ringtape_channel_find(argv[2], &channel)) {
        (void)fprintf(stderr, "usage: follow STORE CHANNEL [new]\n");
        return 64;
    }
    struct ringtape_query query = ringtape_query_of(argv[2]);
    query.follow = argc > 3 ? RINGTAPE_FOLLOW_NEW : RINGTAPE_FOLLOW_ALL;
    int id = channel.has_identity ? ringtape_column_find(argv[2], "id") : -1;
    int result = ringtape_open(&store, argv[1], &message);
    if (result < 0) {
        (void)fprintf(stderr, "follow: %s\n", message.text);
        return 1;
    }
    result = ringtape_scan_open(&scan, store, &query, &message);
    if (result == 0) {
        result = follow(scan, id, &message);
        ringtape_scan_close(scan);
    }
    if (result < 0)
        (void)fprintf(stderr, "follow: %s\n", message.text);
    ringtape_close(store);
    return result < 0;
}
