// SPDX-License-Identifier: GPL-3.0-or-later
//
// Records opened without the library: the vector of RFC 8448, padding, cuts at every byte, changes
// at every byte, and what is handed over; then connections whose keys change and whose records have
// no room.
#include <criterion/criterion.h>
#include <string.h>

#include "protocol/tls_record.h"
#include "tests/protocol_random.h"
#include "tests/tls_support.h"

enum { DATA = 23, HANDSHAKE = 22 };

// RFC 8448, section 3: the server's application keys, and its data after one ticket.
static const struct tls_records_keys vector_keys = {
    .key = {0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef, 0xc2, 0x6b, 0xb9, 0xf2, 0xac, 0x92,
            0xe3, 0x56},
    .key_bytes = 16,
    .iv = {0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84},
    .sequence = 1,
};
static const uint8_t vector_record[] = {
    0x17, 0x03, 0x03, 0x00, 0x43, 0x2e, 0x93, 0x7e, 0x11, 0xef, 0x4a, 0xc7, 0x40, 0xe5, 0x38,
    0xad, 0x36, 0x00, 0x5f, 0xc4, 0xa4, 0x69, 0x32, 0xfc, 0x32, 0x25, 0xd0, 0x5f, 0x82, 0xaa,
    0x1b, 0x36, 0xe3, 0x0e, 0xfa, 0xf9, 0x7d, 0x90, 0xe6, 0xdf, 0xfc, 0x60, 0x2d, 0xcb, 0x50,
    0x1a, 0x59, 0xa8, 0xfc, 0xc4, 0x9c, 0x4b, 0xf2, 0xe5, 0xf0, 0xa2, 0x1c, 0x00, 0x47, 0xc2,
    0xab, 0xf3, 0x32, 0x54, 0x0d, 0xd0, 0x32, 0xe1, 0x67, 0xc2, 0x95, 0x5d};

static struct tls_records *begun(uint64_t sequence)
{
    struct tls_records_keys keys = vector_keys;
    struct tls_records *records = tls_records_create();
    keys.sequence = sequence;
    cr_assert(tls_records_begin(records, &keys));
    return records;
}

static bool cut(struct tls_records *records, const uint8_t *bytes, size_t size)
{
    bool whole = tls_records_cut(records, &bytes, &size);
    cr_assert_eq(size, 0);
    return whole;
}

Test(tls_record, the_vector_of_the_rfc_is_opened)
{
    struct tls_records *records = begun(1);
    uint8_t plain[64];
    cr_assert(cut(records, vector_record, sizeof vector_record));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 50);
    for (int i = 0; i < 50; i++) cr_assert_eq(plain[i], i);
    cr_assert(cut(records, vector_record, sizeof vector_record));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 0, "not a second time");
    tls_records_destroy(records);
}

Test(tls_record, pieces_of_any_size_and_changes_of_any_byte)
{
    uint8_t plain[64];
    for (size_t at = 0; at <= sizeof vector_record; at++) {
        struct tls_records *records = begun(1);
        bool early = at > 0 && cut(records, vector_record, at);
        cr_assert_eq(early, at == sizeof vector_record);
        cr_assert(early || cut(records, vector_record + at, sizeof vector_record - at));
        cr_assert_eq(tls_records_open(records, plain, sizeof plain), 50, "cut at %zu", at);
        tls_records_destroy(records);
    }
    for (size_t bit = 0; bit < 8 * sizeof vector_record; bit++) {
        struct tls_records *records = begun(1);
        uint8_t changed[sizeof vector_record];
        const uint8_t *at = changed;
        size_t left = sizeof changed;
        memcpy(changed, vector_record, sizeof changed);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (tls_records_cut(records, &at, &left))
            cr_assert_eq(tls_records_open(records, plain, sizeof plain), 0, "bit %zu", bit);
        tls_records_destroy(records);
    }
}

// One record of `size` bytes of `data`, its type, `padding` zeros.
static uint32_t closed(struct tls_records *records, uint64_t sequence, uint8_t type, uint32_t size,
                       uint32_t padding, uint8_t *out)
{
    static uint8_t inner[TLS_RECORD_BODY_MAX];
    memset(inner, 'x', size);
    inner[size] = type;
    memset(inner + size + 1, 0, padding);
    return tls_records_close(records, sequence, inner, size + 1 + padding, out);
}

Test(tls_record, padding_is_taken_off_and_sizes_are_bounded)
{
    static const struct {
        uint32_t size, padding, opened;
    } cases[] = {{1, 0, 1},      {1, 300, 1},   {170, 1, 170},        {16384, 0, 16384},
                 {0, 0, 0},      {0, 100, 0},   {100, 16284, 100},    {16383, 1, 16383},
                 {16384, 1, 0},  {16500, 0, 0}, {16384, 239, 0}};
    static uint8_t wire[TLS_RECORD_HEADER_BYTES + TLS_RECORD_BODY_MAX];
    static uint8_t plain[TLS_RECORD_BODY_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_records *records = begun(9);
        uint32_t size = closed(records, 9, DATA, cases[i].size, cases[i].padding, wire);
        cr_assert(cut(records, wire, size));
        cr_assert_eq(tls_records_open(records, plain, sizeof plain), cases[i].opened, "%zu", i);
        tls_records_destroy(records);
    }
}

Test(tls_record, numbers_count_to_the_last_byte)
{
    uint8_t wire[64], plain[64];
    const uint64_t from[] = {0, 255, 65535, 0xffffffff, 0xffffffffffffff, UINT64_MAX - 2};
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        struct tls_records *records = begun(from[i]);
        for (uint64_t n = 0; n < 2; n++) {
            uint32_t size = closed(records, from[i] + n, DATA, 3, 0, wire);
            cr_assert(cut(records, wire, size));
            cr_assert_eq(tls_records_open(records, plain, sizeof plain), 3);
        }
        tls_records_destroy(records);
    }
}

// A message behind two records of data, which the library has not seen.
Test(tls_record, messages_are_handed_over_under_the_librarys_number)
{
    uint8_t wire[64], plain[64];
    struct tls_records *records = begun(5), *library = begun(5);
    const uint8_t *bytes;
    uint32_t size;
    for (uint64_t n = 5; n < 7; n++) {
        cr_assert(cut(records, wire, closed(records, n, DATA, 4, 0, wire)));
        cr_assert_eq(tls_records_open(records, plain, sizeof plain), 4);
    }
    uint32_t wire_size = closed(records, 7, HANDSHAKE, 6, 2, wire);
    cr_assert(cut(records, wire, wire_size));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 0);
    cr_assert(tls_records_hand(records, &bytes, &size));
    cr_assert_eq(size, wire_size);
    uint8_t expected[64];
    cr_assert_eq(closed(library, 5, HANDSHAKE, 6, 2, expected), size);
    cr_assert_eq(memcmp(bytes, expected, size), 0);
    struct tls_records_keys keys = vector_keys;
    keys.sequence = 6; // the library has counted it
    cr_assert(tls_records_handed(records, &keys));
    cr_assert(cut(records, wire, closed(records, 8, DATA, 4, 0, wire)));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 4);
    // What is not true comes to it as it is.
    wire_size = closed(records, 9, HANDSHAKE, 6, 2, wire);
    wire[20] ^= 1;
    cr_assert(cut(records, wire, wire_size));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 0);
    cr_assert(tls_records_hand(records, &bytes, &size));
    cr_assert(size == wire_size && memcmp(bytes, wire, size) == 0);
    tls_records_destroy(records);
    tls_records_destroy(library);
}

Test(tls_record, new_keys_count_anew)
{
    uint8_t wire[64], plain[64];
    struct tls_records *records = begun(0), *next = tls_records_create();
    struct tls_records_keys keys = vector_keys;
    keys.key[0] ^= 1;
    keys.sequence = 0;
    cr_assert(tls_records_begin(next, &keys));
    cr_assert(cut(records, wire, closed(records, 0, HANDSHAKE, 6, 0, wire)));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 0);
    cr_assert(tls_records_handed(records, &keys));
    cr_assert(cut(records, wire, closed(next, 0, DATA, 5, 0, wire)));
    cr_assert_eq(tls_records_open(records, plain, sizeof plain), 5);
    tls_records_destroy(records);
    tls_records_destroy(next);
}

// ---- connections ----

TestSuite(tls_record_connection, .init = certificates_make, .fini = certificates_remove);

static struct tls_pair opened(void)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    tls_pair_start(&pair, "localhost");
    tls_pair_pump(&pair, UINT32_MAX);
    cr_assert(tls_established(pair.client) && tls_established(pair.server));
    return pair;
}

static void say(struct tls *from, const char *text)
{
    uint32_t size = (uint32_t)strlen(text);
    cr_assert_eq(tls_write(from, (const uint8_t *)text, size), (int32_t)size);
}

// Everything of the server to the client, `step` bytes at a time; the last answer.
static int32_t carry(struct tls_pair *pair, uint32_t step, uint8_t *plain, uint32_t *used,
                     uint32_t most)
{
    const uint8_t *data;
    uint32_t size;
    int32_t count = TLS_WANT_INPUT;
    tls_output(pair->server, &data, &size);
    for (uint32_t at = 0; at < size && count == TLS_WANT_INPUT; at += step) {
        tls_feed(pair->client, data + at, size - at < step ? size - at : step);
        while ((count = tls_read(pair->client, plain + *used, most)) > 0) *used += (uint32_t)count;
    }
    tls_output_taken(pair->server, size);
    return count;
}

Test(tls_record_connection, keys_change_between_any_records)
{
    for (uint32_t step = 1; step < 400; step = step * 3 + 1) {
        struct tls_pair pair = opened();
        uint8_t plain[256];
        uint32_t used = 0;
        say(pair.server, "one ");
        cr_assert(tls_update_keys(pair.server));
        say(pair.server, "two ");
        say(pair.server, "three ");
        cr_assert(tls_update_keys(pair.server));
        cr_assert(tls_update_keys(pair.server));
        say(pair.server, "four");
        cr_assert_eq(carry(&pair, step, plain, &used, 64), TLS_WANT_INPUT);
        cr_assert(used == 18 && memcmp(plain, "one two three four", 18) == 0, "step %u", step);
        // The client's own keys have changed where it was asked to.
        say(pair.client, "answer");
        tls_pair_pump(&pair, UINT32_MAX);
        cr_assert_eq(pair.server_plain_size, 6);
        tls_close(pair.server);
        cr_assert_eq(carry(&pair, step, plain, &used, 64), TLS_CLOSED);
        tls_pair_free(&pair);
    }
}

Test(tls_record_connection, data_without_room_comes_in_parts)
{
    struct tls_pair pair = opened();
    uint8_t plain[256];
    for (uint32_t most = 1; most < 12; most++) {
        uint32_t used = 0;
        say(pair.server, "0123456789");
        say(pair.server, "abc");
        cr_assert_eq(carry(&pair, UINT32_MAX, plain, &used, most), TLS_WANT_INPUT);
        cr_assert(used == 13 && memcmp(plain, "0123456789abc", 13) == 0, "room %u", most);
    }
    tls_pair_free(&pair);
}

Test(tls_record_connection, damage_behind_data_is_told_to_the_peer)
{
    struct tls_pair pair = opened();
    const uint8_t *data;
    uint32_t size;
    uint8_t plain[64], wire[256];
    say(pair.server, "good");
    say(pair.server, "bad");
    tls_output(pair.server, &data, &size);
    memcpy(wire, data, size);
    wire[size - 1] ^= 1;
    tls_feed(pair.client, wire, size);
    cr_assert_eq(tls_read(pair.client, plain, sizeof plain), 4);
    cr_assert_eq(tls_read(pair.client, plain, sizeof plain), TLS_ERROR_RECORD);
    tls_output_taken(pair.server, size);
    tls_pair_pump(&pair, UINT32_MAX);
    cr_assert_eq(pair.server_result, TLS_ERROR_ALERT, "%d", pair.server_result);
    tls_pair_free(&pair);
}
