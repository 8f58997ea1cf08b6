// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: a Delta log is refused or read; one that is read takes another commit, and a checkpoint
// of it, if it can be written, gives the same table.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delta_disk_memory.h"
#include "format/delta.h"
#include "format/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char table[] = "t";

struct summary {
    int64_t version, txn, live, bytes;
};

static struct summary sum_up(const struct delta *delta)
{
    uint32_t count;
    const struct delta_file *files = delta_files(delta, &count);
    struct summary sum = {delta_version(delta), delta_txn(delta, "fuzz"), 0, 0};
    for (uint32_t i = 0; i < count; i++) {
        sum.live += files[i].live;
        sum.bytes += files[i].live ? files[i].bytes % 1000 : 0;
    }
    return sum;
}

static bool grow(struct delta *delta)
{
    for (int i = 0; i < DELTA_CHECKPOINT_EVERY; i++) {
        struct delta_commit commit = {0};
        delta_put_txn(&commit, "fuzz", delta_version(delta), 1);
        ensure(delta_commit(delta, &commit, NULL) == 0);
        delta_commit_free(&commit);
    }
    return delta_checkpoint(delta, 0, 0, "fuzz version 1.0.0 (build 0)", NULL) == 0;
}

static void look_again(struct memory_disk *memory, const struct delta_disk *disk,
                       const struct summary *before)
{
    struct delta *delta;
    struct memory_name *first = memory_disk_find(memory, "t/_delta_log/00000000000000000000.json");
    ensure(first != NULL);
    free(first->bytes); // so that only the checkpoint has it
    first->bytes = NULL;
    const int error = delta_open(&delta, disk, table, NULL);
    ensure(error == 0);
    const struct summary after = sum_up(delta);
    ensure(memcmp(before, &after, sizeof after) == 0);
    delta_close(delta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_disk memory;
    struct delta *delta;
    struct delta_message message;
    memory = (struct memory_disk){.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    (void)disk.write(&memory, "t/_delta_log/00000000000000000000.json", data, size);
    if (delta_open(&delta, &disk, table, &message) == 0) {
        const bool checkpoint = grow(delta);
        const struct summary sum = sum_up(delta);
        delta_close(delta);
        if (checkpoint) look_again(&memory, &disk, &sum);
    }
    memory_disk_free(&memory);
    return 0;
}
