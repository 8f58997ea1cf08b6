// SPDX-License-Identifier: GPL-3.0-or-later
//
// Base64 of one length, and as much of DER as leads to a certificate's key.
#include "protocol/tls_pin.h"

#include "format/ensure.h"
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// ---- text ----

bool tls_pin_add(struct tls_pins *pins, const char *text)
{
    uint8_t *hash = pins->hash[pins->count % TLS_PINS_MAX];
    uint32_t bits = 0;
    size_t done = 0;
    if (pins->count >= TLS_PINS_MAX || strlen(text) != TLS_PIN_TEXT_BYTES) return false;
    if (text[TLS_PIN_TEXT_BYTES - 1] != '=') return false;
    for (size_t i = 0; i < TLS_PIN_TEXT_BYTES - 1; i++) {
        const char *digit = strchr(digits, text[i]);
        if (digit == NULL) return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        // 6, 12, 18, 24 bits of each group: a byte is whole at all but the first of them.
        if (i % 4 != 0) hash[done++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    ensure(done == TLS_PIN_BYTES);
    if ((bits & 3) != 0) return false; // two spellings of one pin
    pins->count++;
    return true;
}

bool tls_pin_known(const struct tls_pins *pins, const uint8_t hash[TLS_PIN_BYTES])
{
    ensure(pins->count <= TLS_PINS_MAX);
    for (uint32_t i = 0; i < pins->count; i++)
        if (memcmp(pins->hash[i], hash, TLS_PIN_BYTES) == 0) return true;
    return false;
}

bool tls_pins_equal(const struct tls_pins *a, const struct tls_pins *b)
{
    ensure(a->count <= TLS_PINS_MAX && b->count <= TLS_PINS_MAX);
    return a->count == b->count && memcmp(a->hash, b->hash, a->count * sizeof a->hash[0]) == 0;
}

void tls_pin_text(const uint8_t hash[TLS_PIN_BYTES], char text[TLS_PIN_TEXT_BYTES + 1])
{
    for (size_t i = 0; i < TLS_PIN_TEXT_BYTES; i++) {
        const size_t bit = i * 6;
        uint32_t two = (uint32_t)(bit / 8 < TLS_PIN_BYTES ? hash[bit / 8] : 0) << 8;
        if (bit / 8 + 1 < TLS_PIN_BYTES) two |= hash[bit / 8 + 1];
        text[i] = digits[two >> (10 - bit % 8) & 63];
    }
    text[TLS_PIN_TEXT_BYTES - 1] = '=';
    text[TLS_PIN_TEXT_BYTES] = '\0';
}

// ---- DER (X.690, section 8.1) ----

enum { DER_INTEGER = 0x02, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

struct der {
    const uint8_t *at;
    const uint8_t *end;
};

// The next element's content; `from` then stands behind it. False: none of that kind.
static bool der_next(struct der *from, uint8_t kind, struct der *content)
{
    size_t left = (size_t)(from->end - from->at);
    if (left < 2 || from->at[0] != kind) return false;
    const uint8_t *at = from->at + 2;
    size_t size = from->at[1];
    if (size >= 0x80) {
        const size_t count = size & 0x7f;
        if (count == 0 || count > 3 || left < 2 + count) return false;
        size = 0;
        for (size_t i = 0; i < count; i++)
            size = size << 8 | *at++;
    }
    if (size > (size_t)(from->end - at)) return false;
    *content = (struct der){at, at + size};
    from->at = at + size;
    ensure(from->at <= from->end);
    return true;
}

bool tls_pin_key(const uint8_t *certificate, size_t size, const uint8_t **key, size_t *key_size)
{
    // After version and serial: signature algorithm, issuer, validity, subject.
    enum { BEFORE_KEY = 4 };
    struct der all = {certificate, certificate + size};
    struct der outer;
    struct der inner;
    struct der skipped;
    if (!der_next(&all, DER_SEQUENCE, &outer) || !der_next(&outer, DER_SEQUENCE, &inner))
        return false;
    (void)der_next(&inner, DER_VERSION, &skipped); // version 1 has none
    if (!der_next(&inner, DER_INTEGER, &skipped)) return false;
    for (int i = 0; i < BEFORE_KEY; i++)
        if (!der_next(&inner, DER_SEQUENCE, &skipped)) return false;
    *key = inner.at;
    if (!der_next(&inner, DER_SEQUENCE, &skipped)) return false;
    *key_size = (size_t)(inner.at - *key);
    ensure(*key_size >= 2);
    return true;
}
