// SPDX-License-Identifier: GPL-3.0-or-later
//
// The parts under TLS: the ring of bytes to send, the table of sessions, the free lists.
#include "protocol/tls_memory.h"
#include "protocol/tls_ring.h"
#include "protocol/tls_session.h"

#include "protocol_random.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(tls_parts, a_ring_keeps_order_and_never_moves_bytes)
{
    struct protocol_random random = random_start("tls_parts/ring");
    uint8_t memory[97];
    struct tls_ring ring = {.data = memory, .capacity = sizeof memory};
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    for (int i = 0; i < 100000; i++) {
        uint8_t piece[128];
        uint32_t size = random_below(&random, sizeof piece);
        for (uint32_t n = 0; n < size; n++)
            piece[n] = (uint8_t)(next_in + n);
        uint32_t space = tls_ring_space(&ring);
        uint32_t count = tls_ring_append(&ring, piece, size);
        cr_assert_eq(count, size < space ? size : space);
        next_in = (uint8_t)(next_in + count);
        const uint8_t *data;
        tls_ring_peek(&ring, &data, &size);
        cr_assert_eq(size == 0, ring.size == 0);
        uint32_t taken = random_below(&random, size + 1);
        for (uint32_t n = 0; n < taken; n++)
            cr_assert_eq(data[n], next_out++);
        tls_ring_take(&ring, taken);
    }
    tls_ring_clear(&ring);
    cr_assert_eq(tls_ring_space(&ring), sizeof memory);
}

static uint32_t released;

static void release(void *session)
{
    released += *(uint32_t *)session;
}

Test(tls_parts, a_session_table_replaces_the_longest_unused)
{
    static struct tls_session_table table = {.release = release};
    static uint32_t sessions[TLS_SESSIONS_MAX + 2];
    char host[32];
    for (uint32_t i = 0; i < TLS_SESSIONS_MAX; i++) {
        sessions[i] = 1;
        (void)snprintf(host, sizeof host, "host%u.test", i);
        tls_session_put(&table, host, &sessions[i]);
    }
    cr_assert_eq(tls_session_get(&table, "host0.test"), &sessions[0], "now lately used");
    sessions[TLS_SESSIONS_MAX] = 1;
    tls_session_put(&table, "new.test", &sessions[TLS_SESSIONS_MAX]);
    cr_assert_eq(released, 1);
    cr_assert_null(tls_session_get(&table, "host1.test"));
    cr_assert_not_null(tls_session_get(&table, "host0.test"));
    // The newest of a host replaces the one before.
    tls_session_put(&table, "new.test", &sessions[TLS_SESSIONS_MAX + 1]);
    cr_assert_eq(released, 2);
    cr_assert_eq(tls_session_get(&table, "new.test"), &sessions[TLS_SESSIONS_MAX + 1]);
    tls_session_drop(&table, "host0.test");
    cr_assert_null(tls_session_get(&table, "host0.test"));
    tls_session_drop(&table, NULL);
    cr_assert_eq(released, 1 + 1 + 1 + (TLS_SESSIONS_MAX - 2));
}

Test(tls_parts, memory_comes_back_from_its_list)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 96, 97, 16405, 17000, 98304, 98305, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = tls_memory_take(sizes[i]);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % 16, 0);
        memset(block, 0xa5, sizes[i]);
        tls_memory_give(block);
        uint64_t before = tls_memory_taken_from_system();
        uint8_t *second = tls_memory_take(sizes[i]);
        bool listed = sizes[i] <= TLS_MEMORY_CLASS_SIZE_MAX;
        cr_assert_eq(tls_memory_taken_from_system() - before, listed ? 0 : 1, "%zu", sizes[i]);
        tls_memory_give(second);
    }
    tls_memory_give(NULL);
    tls_memory_trim();
}

Test(tls_parts, memory_keeps_its_content_when_it_grows)
{
    uint8_t *block = tls_memory_resize(NULL, 10);
    memset(block, 7, 10);
    for (size_t size = 20; size < 400000; size *= 2) {
        block = tls_memory_resize(block, size);
        for (size_t i = 0; i < size / 2; i++)
            cr_assert_eq(block[i], 7);
        memset(block, 7, size);
    }
    tls_memory_give(block);
    tls_memory_trim();
}
