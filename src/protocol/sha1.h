// SPDX-License-Identifier: GPL-3.0-or-later
//
// SHA-1 (FIPS 180-4) of short texts, for Sec-WebSocket-Accept only: not a security measure there,
// and not to be used as one anywhere else. Pure function, any thread.
#ifndef RINGTAPE_PROTOCOL_SHA1_H
#define RINGTAPE_PROTOCOL_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

void sha1(const uint8_t *data, size_t size, uint8_t digest[SHA1_SIZE]);

#endif
