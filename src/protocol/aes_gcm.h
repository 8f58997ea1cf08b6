// SPDX-License-Identifier: GPL-3.0-or-later
//
// AES-GCM with one key (NIST SP 800-38D, RFC 5116) for records that come one after the other. On
// x86 by Intel's ipsec-mb, which derives what it needs of a key once; elsewhere by wolfCrypt, which
// does it for each record. A record of 191 bytes takes 35 ns the one way and 105 the other, one of
// 16 KiB 1.3 and 3.1 us (EPYC of Zen 4).
//
// Ownership: whoever creates it. Threading: one owner. Memory: 2 kB each, and what ipsec-mb keeps
// for the process (first creation, never given back). Only for tls_record.c, and for tests.
#ifndef RINGTAPE_PROTOCOL_AES_GCM_H
#define RINGTAPE_PROTOCOL_AES_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AES_GCM_NONCE_BYTES 12
#define AES_GCM_TAG_BYTES 16

struct aes_gcm;

// What goes along with the text of one record.
struct aes_gcm_record {
    const uint8_t *nonce;  // [AES_GCM_NONCE_BYTES]
    const uint8_t *header; // is not secret, but must be true
    uint32_t header_bytes;
    uint32_t bytes; // of the text
};

// NULL: out of memory. Without a key as yet.
struct aes_gcm *aes_gcm_create(void);
void aes_gcm_destroy(struct aes_gcm *gcm);
// 16 or 32 bytes. False: the cipher does not take it; there is none then.
bool aes_gcm_begin(struct aes_gcm *gcm, const uint8_t *key, uint32_t key_bytes);
// Forgets the key; nothing of it stays in memory.
void aes_gcm_end(struct aes_gcm *gcm);
// False: not true, and nothing in `text` counts. `closed` has the text and behind it the tag.
bool aes_gcm_open(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *closed,
                  uint8_t *text);
void aes_gcm_close(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *text,
                   uint8_t *closed);

#endif
