// SPDX-License-Identifier: GPL-3.0-or-later
//
// TLS in memory, client against server: whom a client trusts, every cut of the ciphertext,
// sessions, closing, limits, and what goes wrong by name.
#include "protocol/tls.h"

#include "protocol_random.h"
#include "tls_support.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define STEP_ALL 65536

TestSuite(tls, .init = certificates_make, .fini = certificates_remove);

// A skipped test does not come to its end.
static void skip(const char *reason)
{
    certificates_remove();
    cr_skip_test("%s", reason);
}

static void handshake(struct tls_pair *pair, const char *host, uint32_t step)
{
    tls_pair_start(pair, host);
    tls_pair_pump(pair, step);
    cr_assert(tls_established(pair->client), "%s", tls_failure(pair->client)->text);
    cr_assert(tls_established(pair->server), "%s", tls_failure(pair->server)->text);
}

Test(tls, a_verified_connection_carries_data_both_ways)
{
    static const char *const hosts[] = {"localhost", "LOCALHOST", "stream.exchange.test"};
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    for (size_t i = 0; i < COUNT(hosts); i++) {
        handshake(&pair, hosts[i], STEP_ALL);
        cr_assert_eq(strncmp(tls_cipher_text(pair.client), "TLSv1.3 ", 8), 0);
        cr_assert_eq(tls_write(pair.client, (const uint8_t *)"ping", 4), 4);
        tls_pair_pump(&pair, STEP_ALL);
        cr_assert_eq(tls_write(pair.server, (const uint8_t *)"pong!", 5), 5);
        tls_pair_pump(&pair, STEP_ALL);
        cr_assert(pair.server_plain_size == 4 && memcmp(pair.server_plain, "ping", 4) == 0);
        cr_assert(pair.client_plain_size == 5 && memcmp(pair.client_plain, "pong!", 5) == 0);
    }
    tls_pair_free(&pair);
}

Test(tls, an_address_is_verified_like_a_name)
{
    // The distribution's build does not look at addresses in certificates: it refuses them all.
    if (tls_library_kind() == TLS_LIBRARY_STOCK)
        skip("the stock library has no address names");
    static const char *const hosts[] = {"127.0.0.1"};
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    for (size_t i = 0; i < COUNT(hosts); i++)
        handshake(&pair, hosts[i], STEP_ALL);
    tls_pair_start(&pair, "127.0.0.2");
    tls_pair_pump(&pair, STEP_ALL);
    cr_assert_eq(pair.client_result, TLS_ERROR_CERTIFICATE_HOST);
    tls_pair_free(&pair);
}

Test(tls, a_chain_by_an_intermediate_is_verified)
{
    struct tls_pair pair = tls_pair_make("intermediate", false, false);
    handshake(&pair, "localhost", STEP_ALL);
    tls_pair_free(&pair);
}

Test(tls, whom_a_client_refuses)
{
    static const struct {
        const char *certificate;
        const char *host;
        enum tls_result result;
        const char *words;
    } table[] = {
        {"localhost", "evil.test", TLS_ERROR_CERTIFICATE_HOST, "host name in the url"},
        {"localhost", "a.b.exchange.test", TLS_ERROR_CERTIFICATE_HOST, "a.b.exchange.test"},
        {"localhost", "localhost.evil.test", TLS_ERROR_CERTIFICATE_HOST, "another host"},
        {"other", "localhost", TLS_ERROR_CERTIFICATE_HOST, "localhost"},
        {"expired", "localhost", TLS_ERROR_CERTIFICATE_EXPIRED, "clock"},
        {"future", "localhost", TLS_ERROR_CERTIFICATE_EXPIRED, "clock"},
        {"selfsigned", "localhost", TLS_ERROR_CERTIFICATE_UNTRUSTED, "ca_file"},
        {"untrusted", "localhost", TLS_ERROR_CERTIFICATE_UNTRUSTED, "ca_file"},
    };
    for (int version = 0; version < 2; version++)
        for (size_t i = 0; i < COUNT(table); i++) {
            struct tls_pair pair = tls_pair_make(table[i].certificate, version == 0, false);
            tls_pair_start(&pair, table[i].host);
            tls_pair_pump(&pair, STEP_ALL);
            const struct tls_failure *failure = tls_failure(pair.client);
            cr_assert_eq(pair.client_result, table[i].result, "%zu: %s", i, failure->text);
            cr_assert_eq(failure->result, table[i].result);
            cr_assert_not_null(strstr(failure->text, table[i].words), "%s", failure->text);
            cr_assert_not(tls_established(pair.client));
            cr_assert_not(tls_established(pair.server), "nobody speaks to an unverified peer");
            // Final: every further call says the same.
            uint8_t byte;
            cr_assert_eq(tls_read(pair.client, &byte, 1), table[i].result);
            cr_assert_eq(tls_write(pair.client, &byte, 1), table[i].result);
            cr_assert_eq(pair.server_result, TLS_ERROR_ALERT, "%s",
                         tls_failure(pair.server)->text);
            tls_pair_free(&pair);
        }
}

Test(tls, the_system_trust_does_not_know_the_tests_root)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    struct tls_failure failure = {0};
    struct tls_options options = {.role = TLS_CLIENT};
    struct tls_context *context = tls_context_create(&options, &failure);
    if (context == NULL) {
        cr_assert_not_null(strstr(failure.text, "ca-certificates"));
        tls_pair_free(&pair);
        skip("no system trust here");
    }
    tls_destroy(pair.client);
    tls_context_destroy(pair.client_context);
    pair.client_context = context;
    pair.client = tls_create(context, 65536);
    tls_pair_start(&pair, "localhost");
    tls_pair_pump(&pair, STEP_ALL);
    cr_assert_eq(pair.client_result, TLS_ERROR_CERTIFICATE_UNTRUSTED);
    tls_pair_free(&pair);
}

Test(tls, configuration_mistakes_are_told)
{
    const char *ca = certificates_path("ca.pem");
    const char *key = certificates_path("ca.key");
    const char *leaf = certificates_path("localhost.pem");
    const char *other_key = certificates_path("other.key");
    const struct {
        struct tls_options options;
        const char *words;
    } table[] = {
        {{.role = TLS_CLIENT, .ca_file = "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
        {{.role = TLS_CLIENT, .ca_file = key}, "trusted certificates"},
        {{.role = TLS_SERVER}, "no file named"},
        {{.role = TLS_SERVER, .certificate_file = leaf}, "no file named"},
        {{.role = TLS_SERVER, .certificate_file = leaf, .key_file = "/nonexistent/k"}, "/k"},
        {{.role = TLS_SERVER, .certificate_file = leaf, .key_file = other_key}, "belong together"},
        {{.role = TLS_SERVER, .certificate_file = ca, .key_file = leaf}, "PEM"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        // The distribution's build finds a foreign key only in the first handshake.
        if (table[i].options.key_file == other_key && tls_library_kind() == TLS_LIBRARY_STOCK)
            continue;
        struct tls_failure failure = {0};
        cr_assert_null(tls_context_create(&table[i].options, &failure), "%zu", i);
        cr_assert_eq(failure.result, TLS_ERROR_CONFIGURATION);
        cr_assert_not_null(strstr(failure.text, table[i].words), "%zu: %s", i, failure.text);
    }
}

Test(tls, versions_1_2_and_1_3_are_both_spoken)
{
    for (int i = 0; i < 4; i++) {
        struct tls_pair pair = tls_pair_make("localhost", i & 1, i & 2);
        handshake(&pair, "localhost", STEP_ALL);
        const char *expected = i == 0 ? "TLSv1.3" : "TLSv1.2";
        cr_assert_eq(strncmp(tls_cipher_text(pair.client), expected, 7), 0, "%s",
                     tls_cipher_text(pair.client));
        bool chacha = strstr(tls_cipher_text(pair.client), "CHACHA20") != NULL;
        cr_assert_eq(chacha, tls_library_kind() == TLS_LIBRARY_STOCK, "%s",
                     tls_cipher_text(pair.client));
        tls_pair_free(&pair);
    }
}

Test(tls, a_session_is_resumed_for_its_host_only)
{
    for (int version = 0; version < 2; version++) {
        struct tls_pair pair = tls_pair_make("localhost", version == 0, false);
        handshake(&pair, "localhost", STEP_ALL);
        cr_assert_not(tls_resumed(pair.client));
        for (int again = 0; again < 3; again++) {
            handshake(&pair, "localhost", 1000);
            cr_assert(tls_resumed(pair.client), "version %d, %d", version, again);
            cr_assert(tls_resumed(pair.server));
        }
        handshake(&pair, "a.exchange.test", STEP_ALL);
        cr_assert_not(tls_resumed(pair.client), "another host has no session");
        struct tls_statistics statistics;
        tls_context_statistics(pair.client_context, &statistics);
        cr_assert_eq(statistics.handshakes, 5);
        cr_assert_eq(statistics.resumed, 3);
        tls_pair_free(&pair);
    }
}

Test(tls, a_forgotten_session_gives_a_full_handshake)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    handshake(&pair, "localhost", STEP_ALL);
    // Another server with other ticket keys: the ticket is refused, not the connection.
    struct tls_pair second = tls_pair_make("localhost", false, false);
    struct tls *server = pair.server;
    pair.server = second.server;
    handshake(&pair, "localhost", STEP_ALL);
    cr_assert_not(tls_resumed(pair.client));
    pair.server = server;
    tls_pair_free(&pair);
    tls_pair_free(&second);
}

Test(tls, a_session_never_keeps_a_client_out)
{
    // The server falls back to 1.2 while the client holds a session of 1.3, and the reverse.
    for (int first_1_2 = 0; first_1_2 < 2; first_1_2++) {
        struct tls_pair pair = tls_pair_make("localhost", false, first_1_2 != 0);
        struct tls_pair second = tls_pair_make("localhost", false, first_1_2 == 0);
        handshake(&pair, "localhost", STEP_ALL);
        handshake(&pair, "localhost", STEP_ALL);
        cr_assert(tls_resumed(pair.client));
        struct tls *server = pair.server;
        pair.server = second.server;
        tls_pair_start(&pair, "localhost");
        tls_pair_pump(&pair, STEP_ALL);
        if (!tls_established(pair.client))
            handshake(&pair, "localhost", STEP_ALL);
        cr_assert_not(tls_resumed(pair.client));
        pair.server = server;
        tls_pair_free(&pair);
        tls_pair_free(&second);
    }
}

// All that `from` has to say, in one piece, read to the end; the last answer.
static int32_t carry_whole(struct tls *from, struct tls *to, uint8_t *plain, uint32_t *used)
{
    const uint8_t *data;
    uint32_t size;
    int32_t count;
    tls_output(from, &data, &size);
    tls_feed(to, data, size);
    while ((count = tls_read(to, plain + *used, 1024 - *used)) > 0)
        *used += (uint32_t)count;
    tls_output_taken(from, size);
    return count;
}

Test(tls, tickets_data_and_farewell_in_one_piece)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    uint8_t plain[1024];
    uint32_t used = 0;
    tls_pair_start(&pair, "localhost");
    cr_assert_eq(carry_whole(pair.client, pair.server, plain, &used), TLS_WANT_INPUT);
    cr_assert_eq(carry_whole(pair.server, pair.client, plain, &used), TLS_WANT_INPUT);
    cr_assert(tls_established(pair.client));
    cr_assert_eq(tls_write(pair.client, (const uint8_t *)"early", 5), 5);
    // The client's Finished and its first data together; then tickets, data and close_notify.
    cr_assert_eq(carry_whole(pair.client, pair.server, plain, &used), TLS_WANT_INPUT);
    cr_assert(used == 5 && memcmp(plain, "early", 5) == 0);
    cr_assert_eq(tls_write(pair.server, (const uint8_t *)"data", 4), 4);
    tls_close(pair.server);
    used = 0;
    cr_assert_eq(carry_whole(pair.server, pair.client, plain, &used), TLS_CLOSED);
    cr_assert(used == 4 && memcmp(plain, "data", 4) == 0);
    handshake(&pair, "localhost", STEP_ALL);
    cr_assert(tls_resumed(pair.client));
    tls_pair_free(&pair);
}

Test(tls, bytes_after_the_end_are_dropped)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    static const uint8_t garbage[4096] = {0x17, 0x03, 0x03, 0x00, 0x20};
    uint8_t plain[1024];
    uint8_t wire[8192];
    handshake(&pair, "localhost", STEP_ALL);
    tls_close(pair.server);
    const uint8_t *data;
    uint32_t size;
    tls_output(pair.server, &data, &size);
    memcpy(wire, data, size);
    memcpy(wire + size, garbage, sizeof garbage);
    tls_feed(pair.client, wire, size + sizeof garbage);
    cr_assert_eq(tls_read(pair.client, plain, sizeof plain), TLS_CLOSED);
    tls_feed(pair.client, garbage, sizeof garbage);
    cr_assert_eq(tls_read(pair.client, plain, sizeof plain), TLS_CLOSED);
    // After a failure, too.
    handshake(&pair, "localhost", STEP_ALL);
    for (int i = 0; i < 3; i++) {
        tls_feed(pair.client, garbage, sizeof garbage);
        cr_assert_eq(tls_read(pair.client, plain, sizeof plain), TLS_ERROR_RECORD);
    }
    tls_pair_free(&pair);
}

static void fill(struct protocol_random *random, uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_next(random);
}

Test(tls, records_of_all_sizes_arrive_whole_and_in_order)
{
    struct protocol_random random = random_start("tls/records");
    static uint8_t sent[200000];
    for (int version = 0; version < 2; version++) {
        struct tls_pair pair = tls_pair_make("localhost", version == 0, false);
        handshake(&pair, "localhost", STEP_ALL);
        fill(&random, sent, sizeof sent);
        uint32_t at = 0;
        while (at < 150000) {
            uint32_t size = random_below(&random, 4) == 0 ? TLS_RECORD_SIZE_MAX
                                                          : 1 + random_below(&random, 600);
            int32_t count = tls_write(pair.server, sent + at, size);
            cr_assert(count == (int32_t)size || count == TLS_WANT_OUTPUT);
            at += count > 0 ? size : 0;
            if (count < 0 || random_below(&random, 10) == 0)
                tls_pair_pump(&pair, 1 + random_below(&random, 20000));
        }
        tls_pair_pump(&pair, STEP_ALL);
        cr_assert_eq(pair.client_plain_size, at);
        cr_assert_eq(memcmp(pair.client_plain, sent, at), 0);
        tls_pair_free(&pair);
    }
}

Test(tls, byte_by_byte_and_any_step_give_the_same)
{
    static const uint32_t steps[] = {1, 2, 3, 5, 7, 11, 64, 100, 1000};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct tls_pair pair = tls_pair_make("localhost", i & 1, false);
        handshake(&pair, "localhost", steps[i]);
        cr_assert_eq(tls_write(pair.server, (const uint8_t *)"first", 5), 5);
        cr_assert_eq(tls_write(pair.server, (const uint8_t *)"second", 6), 6);
        tls_pair_pump(&pair, steps[i]);
        cr_assert_eq(pair.client_plain_size, 11);
        cr_assert_eq(memcmp(pair.client_plain, "firstsecond", 11), 0);
        tls_pair_free(&pair);
    }
}

// The server's ciphertext of two records.
static uint32_t two_records(struct tls_pair *pair, uint8_t *wire, uint32_t capacity)
{
    cr_assert_eq(tls_write(pair->server, (const uint8_t *)"first", 5), 5);
    cr_assert_eq(tls_write(pair->server, (const uint8_t *)"second", 6), 6);
    const uint8_t *data;
    uint32_t size;
    tls_output(pair->server, &data, &size);
    cr_assert(size > 0 && size <= capacity);
    memcpy(wire, data, size);
    tls_output_taken(pair->server, size);
    return size;
}

Test(tls, two_records_cut_at_every_byte)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    uint32_t size = 1;
    for (uint32_t cut = 0; cut <= size; cut++) {
        uint8_t wire[512];
        uint8_t plain[64];
        uint32_t used = 0;
        handshake(&pair, "localhost", STEP_ALL);
        size = two_records(&pair, wire, sizeof wire);
        for (int part = 0; part < 2; part++) {
            tls_feed(pair.client, part == 0 ? wire : wire + cut, part == 0 ? cut : size - cut);
            int32_t count;
            while ((count = tls_read(pair.client, plain + used, sizeof plain - used)) > 0)
                used += (uint32_t)count;
            cr_assert_eq(count, TLS_WANT_INPUT);
        }
        cr_assert(used == 11 && memcmp(plain, "firstsecond", 11) == 0, "cut %u", cut);
    }
    tls_pair_free(&pair);
}

Test(tls, every_flipped_byte_is_noticed_and_no_false_data_comes_out)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    uint32_t size = 1;
    for (uint32_t place = 0; place < size; place++) {
        uint8_t wire[512];
        uint8_t plain[64];
        uint32_t used = 0;
        handshake(&pair, "localhost", STEP_ALL);
        size = two_records(&pair, wire, sizeof wire);
        wire[place] ^= 0x41;
        tls_feed(pair.client, wire, size);
        int32_t count;
        while ((count = tls_read(pair.client, plain + used, sizeof plain - used)) > 0)
            used += (uint32_t)count;
        cr_assert(used == 0 || (used == 5 && memcmp(plain, "first", 5) == 0), "byte %u", place);
        // A length that grew only waits for more; the end of input then names it.
        if (count == TLS_WANT_INPUT)
            count = (int32_t)tls_end_of_input(pair.client);
        cr_assert(count == TLS_ERROR_RECORD || count == TLS_ERROR_TRUNCATED ||
                      count == TLS_ERROR_VERSION || count == TLS_ERROR_ALERT,
                  "byte %u: %d %s", place, count, tls_failure(pair.client)->text);
    }
    tls_pair_free(&pair);
}

Test(tls, a_peer_that_does_not_speak_tls_is_named)
{
    static const struct {
        const char *wire;
        size_t size;
        enum tls_result result;
    } table[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, TLS_ERROR_RECORD},
        {"SSH-2.0-OpenSSH_9.2\r\n", 21, TLS_ERROR_RECORD},
        {"\x15\x03\x03\x00\x02\x02\x46", 7, TLS_ERROR_VERSION},
        {"\x15\x03\x03\x00\x02\x02\x28", 7, TLS_ERROR_ALERT},
    };
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    for (size_t i = 0; i < COUNT(table); i++) {
        tls_pair_start(&pair, "localhost");
        tls_feed(pair.client, (const uint8_t *)table[i].wire, table[i].size);
        uint8_t plain[64];
        cr_assert_eq(tls_read(pair.client, plain, sizeof plain), table[i].result, "%zu: %s", i,
                     tls_failure(pair.client)->text);
    }
    cr_assert_not_null(strstr(tls_failure(pair.client)->text, "must offer AES-GCM or ChaCha20"));
    tls_pair_free(&pair);
}

Test(tls, a_proper_close_is_told_from_a_cut)
{
    for (int version = 0; version < 2; version++) {
        struct tls_pair pair = tls_pair_make("localhost", version == 0, false);
        handshake(&pair, "localhost", STEP_ALL);
        cr_assert_eq(tls_write(pair.server, (const uint8_t *)"last", 4), 4);
        tls_close(pair.server);
        tls_pair_pump(&pair, STEP_ALL);
        cr_assert_eq(pair.client_plain_size, 4);
        cr_assert_eq(pair.client_result, TLS_CLOSED);
        cr_assert_eq(tls_end_of_input(pair.client), TLS_CLOSED);
        handshake(&pair, "localhost", STEP_ALL);
        cr_assert_eq(tls_end_of_input(pair.client), TLS_ERROR_TRUNCATED);
        tls_pair_start(&pair, "localhost");
        cr_assert_eq(tls_end_of_input(pair.client), TLS_ERROR_TRUNCATED);
        cr_assert_not_null(strstr(tls_failure(pair.client)->text, "during the handshake"));
        tls_pair_free(&pair);
    }
}

Test(tls, a_full_output_refuses_whole_writes_and_takes_them_later)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    static uint8_t data[TLS_RECORD_SIZE_MAX];
    handshake(&pair, "localhost", STEP_ALL);
    uint32_t written = 0;
    while (tls_write(pair.server, data, sizeof data) == (int32_t)sizeof data)
        written++;
    cr_assert_eq(written, 3, "64 KB hold three records of 16 KB");
    cr_assert_eq(tls_write(pair.server, data, sizeof data), TLS_WANT_OUTPUT);
    tls_pair_pump(&pair, 3000);
    cr_assert_eq(tls_write(pair.server, data, sizeof data), (int32_t)sizeof data);
    tls_pair_pump(&pair, 3000);
    cr_assert_eq(pair.client_plain_size, 4 * sizeof data);
    tls_pair_free(&pair);
}

Test(tls, pass_through_moves_bytes_unchanged)
{
    struct tls *tls = tls_create(NULL, TLS_OUTPUT_SIZE_MIN);
    cr_assert_eq(tls_start(tls, NULL), TLS_WANT_INPUT);
    cr_assert(tls_established(tls));
    cr_assert_str_eq(tls_cipher_text(tls), "plain");
    uint8_t plain[4];
    tls_feed(tls, (const uint8_t *)"abcdef", 6);
    cr_assert_eq(tls_read(tls, plain, sizeof plain), 4);
    cr_assert_eq(tls_read(tls, plain, sizeof plain), 2);
    cr_assert_eq(tls_read(tls, plain, sizeof plain), TLS_WANT_INPUT);
    cr_assert_eq(tls_write(tls, (const uint8_t *)"xyz", 3), 3);
    const uint8_t *data;
    uint32_t size;
    tls_output(tls, &data, &size);
    cr_assert(size == 3 && memcmp(data, "xyz", 3) == 0);
    tls_output_taken(tls, 3);
    tls_close(tls);
    cr_assert_eq(tls_end_of_input(tls), TLS_CLOSED);
    tls_destroy(tls);
}

Test(tls, no_malloc_in_the_steady_state)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    static uint8_t data[TLS_RECORD_SIZE_MAX];
    struct tls_statistics before;
    struct tls_statistics after;
    handshake(&pair, "localhost", STEP_ALL);
    for (int round = 0; round < 300; round++) {
        if (round == 100)
            tls_context_statistics(pair.client_context, &before);
        uint32_t size = round % 3 == 0 ? TLS_RECORD_SIZE_MAX : (uint32_t)(round % 3) * 300;
        cr_assert_eq(tls_write(pair.server, data, size), (int32_t)size);
        tls_pair_pump(&pair, STEP_ALL);
        pair.client_plain_size = 0;
    }
    tls_context_statistics(pair.client_context, &after);
    cr_assert_geq(after.allocations - before.allocations, 200, "one block a record at least");
    cr_assert_eq(after.allocations_system, before.allocations_system);
    tls_pair_free(&pair);
}

// ---- hooks --------------------------------------------------------------------------------------

static int64_t clock_now;
static struct protocol_random seeded;

static int64_t fixed_clock(void)
{
    return clock_now;
}

static void seeded_random(void *target, size_t size)
{
    fill(&seeded, target, (uint32_t)size);
}

Test(tls, the_clock_hook_decides_what_is_expired)
{
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    handshake(&pair, "localhost", STEP_ALL);
    clock_now = 4102444800000000000; // 2100-01-01
    if (!tls_set_clock(fixed_clock)) {
        tls_pair_free(&pair);
        skip("the stock library has no hooks");
    }
    tls_pair_start(&pair, "localhost");
    tls_pair_pump(&pair, STEP_ALL);
    cr_assert_eq(pair.client_result, TLS_ERROR_CERTIFICATE_EXPIRED);
    cr_assert(tls_set_clock(NULL));
    handshake(&pair, "localhost", STEP_ALL);
    cr_assert_not(tls_resumed(pair.client), "the session's lifetime was over in 2100");
    tls_pair_free(&pair);
}

// A hash of the client's first flight.
static uint64_t first_flight(uint64_t seed)
{
    seeded = (struct protocol_random){seed};
    struct tls_pair pair = tls_pair_make("localhost", false, false);
    cr_assert_eq(tls_start(pair.client, "localhost"), TLS_WANT_INPUT);
    const uint8_t *data;
    uint32_t size;
    tls_output(pair.client, &data, &size);
    cr_assert_gt(size, 100);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    tls_pair_free(&pair);
    return hash;
}

Test(tls, the_same_seed_gives_the_same_bytes)
{
    if (!tls_set_random(seeded_random))
        skip("the stock library has no hooks");
    cr_assert_eq(first_flight(1), first_flight(1));
    cr_assert_neq(first_flight(1), first_flight(2));
    cr_assert(tls_set_random(NULL));
    cr_assert_neq(first_flight(1), first_flight(1));
}

Test(tls, every_result_has_a_text)
{
    for (int result = TLS_ERROR_PIN; result <= TLS_ERROR_CERTIFICATE_EXPIRED; result++)
        cr_assert_gt(strlen(tls_result_text((enum tls_result)result)), 5);
    cr_assert_not_null(strstr(tls_library_text(), "wolfSSL"));
}
