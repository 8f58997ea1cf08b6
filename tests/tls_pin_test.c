// SPDX-License-Identifier: GPL-3.0-or-later
//
// Pins: text and DER, held against openssl's own figures, and whom a client with pins refuses.
#include "protocol/tls_pin.h"

#include "protocol_random.h"
#include "tls_support.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define STEP_ALL 65536

TestSuite(tls_pin, .init = certificates_make, .fini = certificates_remove);

// What openssl says of a certificate's key.
static const char *pin_of(const char *name)
{
    static char text[4][64];
    static int next;
    char file_name[64];
    char *pin = text[next++ % 4];
    (void)snprintf(file_name, sizeof file_name, "%s.pin", name);
    FILE *file = fopen(certificates_path(file_name), "re");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(pin, sizeof text[0], file));
    (void)fclose(file);
    cr_assert_eq(strlen(pin), TLS_PIN_TEXT_BYTES, "%s", pin);
    return pin;
}

static struct tls_pins pins_of(const char *first, const char *second)
{
    struct tls_pins pins = {0};
    cr_assert(tls_pin_add(&pins, first));
    if (second != NULL) cr_assert(tls_pin_add(&pins, second));
    return pins;
}

// Starts a connection and carries it to its end or to its stand.
static int32_t connect_pair(struct tls_pair *pair)
{
    tls_pair_start(pair, "localhost");
    tls_pair_pump(pair, STEP_ALL);
    return pair->client_result;
}

Test(tls_pin, text_goes_there_and_back)
{
    struct protocol_random random = random_start("tls_pin/text");
    for (int round = 0; round < 1000; round++) {
        uint8_t hash[TLS_PIN_BYTES];
        char text[TLS_PIN_TEXT_BYTES + 1];
        for (int i = 0; i < TLS_PIN_BYTES; i++)
            hash[i] = (uint8_t)random_next(&random);
        tls_pin_text(hash, text);
        const struct tls_pins pins = pins_of(text, NULL);
        cr_assert_eq(memcmp(pins.hash[0], hash, sizeof hash), 0, "%s", text);
        cr_assert(tls_pin_known(&pins, hash));
        hash[random_below(&random, TLS_PIN_BYTES)] ^= (uint8_t)(1u << random_below(&random, 8));
        cr_assert_not(tls_pin_known(&pins, hash));
    }
}

Test(tls_pin, what_is_no_pin_is_refused)
{
    static const char *const bad[] = {
        "", "=", "sha256/LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ",   // its end is missing
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ==", // one more
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCR=",  // bits that stand for nothing
        "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",  // base64url
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLm CQ=",
    };
    struct tls_pins pins = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(tls_pin_add(&pins, bad[i]), "%s", bad[i]);
    for (uint32_t i = 0; i < TLS_PINS_MAX; i++)
        cr_assert(tls_pin_add(&pins, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
    cr_assert_not(tls_pin_add(&pins, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
    cr_assert_eq(pins.count, TLS_PINS_MAX);
}

Test(tls_pin, a_pinned_key_is_taken_and_so_is_its_session)
{
    static const char *const leaves[] = {"localhost", "rsa"};
    for (size_t i = 0; i < 2; i++) {
        struct tls_pair pair = tls_pair_make(leaves[i], false, false);
        const struct tls_pins pins = pins_of(pin_of("other"), pin_of(leaves[i]));
        tls_pair_pin(&pair, &pins);
        for (int again = 0; again < 3; again++) {
            cr_assert_eq(connect_pair(&pair), TLS_WANT_INPUT, "%s",
                         tls_failure(pair.client)->text);
            cr_assert(tls_established(pair.client) && tls_established(pair.server));
            cr_assert_eq(tls_resumed(pair.client), again > 0);
        }
        tls_pair_free(&pair);
    }
}

Test(tls_pin, another_key_is_refused_with_its_pin_before_anything_is_sent)
{
    for (int version = 0; version < 2; version++) {
        struct tls_pair pair = tls_pair_make("localhost", false, version == 0);
        const struct tls_pins pins = pins_of(pin_of("other"), NULL);
        tls_pair_pin(&pair, &pins);
        for (int again = 0; again < 2; again++) {
            cr_assert_eq(connect_pair(&pair), TLS_ERROR_PIN, "%s", tls_failure(pair.client)->text);
            const char *text = tls_failure(pair.client)->text;
            cr_assert_not_null(strstr(text, pin_of("localhost")), "%s", text);
            cr_assert_not_null(strstr(text, "add it to pin_sha256"), "%s", text);
            cr_assert_not(tls_established(pair.client) || tls_established(pair.server));
            cr_assert_eq(pair.server_result, TLS_ERROR_ALERT, "%s",
                         tls_failure(pair.server)->text);
        }
        tls_pair_free(&pair);
    }
}

// The key of the issuer, which a false server could send along as well, is no pin of the server.
Test(tls_pin, a_certificate_that_is_only_sent_along_does_not_count)
{
    struct tls_pair pair = tls_pair_make("intermediate", false, false);
    FILE *file = fopen(certificates_path("intermediate.issuer.pin"), "re");
    char pin[64];
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(pin, sizeof pin, file));
    (void)fclose(file);
    const struct tls_pins pins = pins_of(pin, NULL);
    tls_pair_pin(&pair, &pins);
    cr_assert_eq(connect_pair(&pair), TLS_ERROR_PIN);
    tls_pair_free(&pair);
}

// A pin takes nothing off the other rules.
Test(tls_pin, a_pinned_key_with_a_bad_certificate_is_refused_for_that)
{
    struct tls_pair pair = tls_pair_make("other", false, false);
    const struct tls_pins pins = pins_of(pin_of("other"), NULL);
    tls_pair_pin(&pair, &pins);
    cr_assert_eq(connect_pair(&pair), TLS_ERROR_CERTIFICATE_HOST, "%s",
                 tls_failure(pair.client)->text);
    cr_assert_not(tls_established(pair.server));
    tls_pair_free(&pair);
}

Test(tls_pin, broken_certificates_have_no_key)
{
    // SEQUENCE { SEQUENCE { [0] {}, INTEGER 1, four times SEQUENCE {}, SEQUENCE { NULL } } }
    static const uint8_t good[] = {0x30, 0x13, 0x30, 0x11, 0xa0, 0x00, 0x02, 0x01, 0x01, 0x30, 0x00,
                                   0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x02, 0x05, 0x00};
    const uint8_t *key;
    size_t size;
    cr_assert(tls_pin_key(good, sizeof good, &key, &size));
    cr_assert(size == 4 && key == good + sizeof good - 4);
    for (size_t cut = 0; cut < sizeof good; cut++)
        cr_assert_not(tls_pin_key(good, cut, &key, &size), "%zu", cut);
    struct protocol_random random = random_start("tls_pin/der");
    for (int round = 0; round < 100000; round++) {
        uint8_t bytes[sizeof good];
        memcpy(bytes, good, sizeof bytes);
        for (int i = 0; i < 3; i++)
            bytes[random_below(&random, sizeof bytes)] = (uint8_t)random_next(&random);
        if (tls_pin_key(bytes, sizeof bytes, &key, &size))
            cr_assert(key >= bytes && size <= sizeof bytes &&
                      key + size <= bytes + sizeof bytes);
    }
}
