// SPDX-License-Identifier: GPL-3.0-or-later
//
// Pins of a server's public key as in RFC 7469, section 2.4: the SHA-256 of the DER of the
// certificate's SubjectPublicKeyInfo, written in base64. Pure; no allocation.
//
// Only the server's own certificate is compared, never one that it merely sends along: what else is
// in the chain a false server chooses as well. Whoever wants to pin an issuer names it alone in
// ca_file.
#ifndef RINGTAPE_PROTOCOL_TLS_PIN_H
#define RINGTAPE_PROTOCOL_TLS_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_PIN_BYTES 32
// Base64 of that, with its one "=".
#define TLS_PIN_TEXT_BYTES 44
// The key of today, the one of tomorrow, for each of an exchange's hosts.
#define TLS_PINS_MAX 8

struct tls_pins {
    uint32_t count;
    uint8_t hash[TLS_PINS_MAX][TLS_PIN_BYTES];
};

// False: no pin (44 characters of base64 that stand for 32 bytes), or there are TLS_PINS_MAX.
bool tls_pin_add(struct tls_pins *pins, const char *text);
bool tls_pin_known(const struct tls_pins *pins, const uint8_t hash[TLS_PIN_BYTES]);
bool tls_pins_equal(const struct tls_pins *a, const struct tls_pins *b);
void tls_pin_text(const uint8_t hash[TLS_PIN_BYTES], char text[TLS_PIN_TEXT_BYTES + 1]);

// The SubjectPublicKeyInfo within the DER of a certificate (RFC 5280, section 4.1). False: it is
// none; any bytes may be given.
bool tls_pin_key(const uint8_t *certificate, size_t size, const uint8_t **key, size_t *key_size);

#endif
