// SPDX-License-Identifier: Apache-2.0
//
// statistics_page: see statistics_page.h. Contract: a page that is handed out is whole, of this
// layout, and as large as its number of shards says.
#include "format/statistics_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { LOAD_TRIES = 20, PATH_BYTES = 1024 };

size_t statistics_page_bytes(uint32_t shards)
{
    ensure(shards >= 1 && shards <= STATISTICS_SHARDS_MAX);
    return sizeof(struct statistics_page) + shards * sizeof(struct statistics_shard);
}

static uint64_t page_hash(const struct statistics_page *page)
{
    const size_t behind = offsetof(struct statistics_head, hash) + sizeof page->head.hash;
    return XXH3_64bits((const char *)page + behind, page->head.bytes - behind);
}

void statistics_page_seal(struct statistics_page *page, uint32_t shards, uint64_t sequence)
{
    ensure(sequence > 0);
    memcpy(page->head.magic, STATISTICS_MAGIC, sizeof page->head.magic);
    page->head.version = STATISTICS_VERSION;
    page->head.shards = shards;
    page->head.bytes = statistics_page_bytes(shards);
    page->head.sequence = sequence;
    page->head.hash = page_hash(page);
}

static bool head_good(const struct statistics_head *head)
{
    return memcmp(head->magic, STATISTICS_MAGIC, sizeof head->magic) == 0 &&
           head->version == STATISTICS_VERSION && head->shards >= 1 &&
           head->shards <= STATISTICS_SHARDS_MAX &&
           head->bytes == statistics_page_bytes(head->shards);
}

static void read_head(const void *slot, struct statistics_head *head)
{
    memcpy(head, slot, sizeof *head);
}

static bool counts_good(const struct statistics_page *page)
{
    bool good = page->daemon.thread_count <= STATISTICS_THREADS_MAX;
    for (uint32_t s = 0; s < page->head.shards && good; s++) {
        const struct statistics_shard *shard = &page->shards[s];
        good = shard->link_count <= STATISTICS_LINKS_MAX &&
               shard->symbol_count <= STATISTICS_SYMBOLS_MAX;
    }
    return good;
}

bool statistics_page_good(const void *slot, size_t bytes)
{
    struct statistics_head head;
    if (bytes < sizeof head) return false;
    read_head(slot, &head);
    if (!head_good(&head) || head.bytes > bytes) return false;
    return head.hash == page_hash(slot) && counts_good(slot);
}

// The first bytes of a slot never change once they are there, so they can be judged alone.
static enum statistics_found judge(const void *bytes, size_t size, uint32_t *version)
{
    struct statistics_head head;
    if (size < sizeof head) return STATISTICS_TORN; // just created
    read_head(bytes, &head);
    *version = head.version;
    if (head_good(&head)) return STATISTICS_GOOD;
    const char zero[sizeof head.magic] = {0};
    if (memcmp(head.magic, zero, sizeof zero) == 0) return STATISTICS_TORN;
    if (memcmp(head.magic, STATISTICS_MAGIC, sizeof head.magic) != 0) *version = 0;
    return STATISTICS_FOREIGN;
}

enum statistics_found statistics_page_choose(const void *bytes, size_t size, uint32_t *slot,
                                             uint32_t *version)
{
    const enum statistics_found judged = judge(bytes, size, version);
    if (judged != STATISTICS_GOOD) return judged;
    struct statistics_head heads[2];
    read_head(bytes, &heads[0]);
    const size_t each = heads[0].bytes;
    bool good[2] = {statistics_page_good(bytes, size), false};
    if (size >= 2 * each) {
        const char *second = (const char *)bytes + each;
        read_head(second, &heads[1]);
        good[1] = heads[1].bytes == each && statistics_page_good(second, each);
    }
    if (!good[0] && !good[1]) return STATISTICS_TORN;
    *slot = !good[0] || (good[1] && heads[1].sequence > heads[0].sequence);
    return STATISTICS_GOOD;
}

// The whole file, to be freed; NULL with errno.
static void *read_file(const char *path, size_t *size)
{
    struct stat status;
    void *bytes = NULL;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    const size_t most = 2 * statistics_page_bytes(STATISTICS_SHARDS_MAX);
    if (fstat(file, &status) == 0) {
        *size = (size_t)status.st_size < most ? (size_t)status.st_size : most;
        bytes = malloc(*size + 1);
    }
    size_t done = 0;
    while (bytes != NULL && done < *size) {
        const ssize_t got = pread(file, (char *)bytes + done, *size - done, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    *size = done;
    const int error = errno;
    (void)close(file);
    errno = error;
    return bytes;
}

static enum statistics_found load_once(const char *path, struct statistics_page **page,
                                       uint32_t *version)
{
    uint32_t slot = 0;
    size_t size = 0;
    char *bytes = read_file(path, &size);
    if (bytes == NULL) return errno == ENOENT ? STATISTICS_ABSENT : STATISTICS_ERROR;
    const enum statistics_found found = statistics_page_choose(bytes, size, &slot, version);
    if (found != STATISTICS_GOOD) {
        free(bytes);
        return found;
    }
    const size_t each = size >= sizeof(struct statistics_head)
                            ? ((const struct statistics_page *)(const void *)bytes)->head.bytes
                            : 0;
    if (slot == 1) memmove(bytes, bytes + each, each);
    *page = (void *)bytes;
    return STATISTICS_GOOD;
}

enum statistics_found statistics_page_load(const char *store, struct statistics_page **page,
                                           uint32_t *version)
{
    char path[PATH_BYTES];
    enum statistics_found found = STATISTICS_TORN;
    const int size = snprintf(path, sizeof path, "%s/run/statistics", store);
    errno = ENAMETOOLONG;
    if (size < 0 || (size_t)size >= sizeof path) return STATISTICS_ERROR;
    *version = 0;
    // One slot is whole at any time, but a slow reader may meet both while they are written.
    for (int i = 0; i < LOAD_TRIES && found == STATISTICS_TORN; i++)
        found = load_once(path, page, version);
    return found;
}

const char *statistics_link_state(uint8_t state)
{
    static const char *const names[] = {"idle",      "resolving",     "connecting", "handshaking",
                                        "upgrading", "subscribing",   "live",       "unsubscribing",
                                        "draining",  "backoff"};
    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}
