// SPDX-License-Identifier: GPL-3.0-or-later
//
// The records of TLS 1.3 with AES-GCM that a client receives (RFC 8446, section 5.2), opened by the
// library's cipher without the rest of the library: no copy into its buffer and out of it, no block
// of memory and nothing wiped a record. A record of 170 bytes takes 120 ns so and 200 the other
// way.
//
//     received bytes → tls_records_cut() → tls_records_open() → data
//                                               └ anything else → tls_records_hand() → the library
//
// Only application data is opened here. Tickets, key updates, alerts, whatever is damaged or is no
// record at all goes to the library, which answers it as it would without this. What it is given
// must bear the number by which it counts, and it has not seen the data: a message that came true
// is therefore closed again under the library's number. Such bytes never leave the process.
//
// One owner, on one thread. Memory: 17 kB, for a part of a record until its rest comes; for what is
// handed over some from tls_memory.h. Only for tls.c, and for tests.
#ifndef RINGTAPE_PROTOCOL_TLS_RECORD_H
#define RINGTAPE_PROTOCOL_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER_BYTES 5
#define TLS_RECORD_TAG_BYTES 16
// Behind the header: 2^14 bytes, their type, padding and the tag (section 5.2).
#define TLS_RECORD_BODY_MAX (16384 + 256)
#define TLS_RECORD_KEY_BYTES_MAX 32
#define TLS_RECORD_IV_BYTES 12

struct tls_records;

struct tls_records_keys {
    uint8_t key[TLS_RECORD_KEY_BYTES_MAX];
    uint32_t key_bytes; // 16 or 32
    uint8_t iv[TLS_RECORD_IV_BYTES];
    uint64_t sequence; // of the next record, as the library counts
};

// NULL: out of memory. Without keys as yet.
struct tls_records *tls_records_create(void);
void tls_records_destroy(struct tls_records *records);
// False: the cipher does not take them; there are none then.
bool tls_records_begin(struct tls_records *records, const struct tls_records_keys *keys);
// Forgets keys and what has come of a record; nothing of it stays in memory.
void tls_records_end(struct tls_records *records);
bool tls_records_active(const struct tls_records *records);

// The library has been given what tls_records_hand() said and has these keys now. False as above.
bool tls_records_handed(struct tls_records *records, const struct tls_records_keys *keys);

// The next whole record of the input, which it is taken off, valid until the next cut; of one that
// can be none, because it is too long, its header. False: all of the input is used up.
bool tls_records_cut(struct tls_records *records, const uint8_t **input, size_t *left);
// Its data into `target`: how many bytes; 0: it is no data, not true, or there is no room for it
// (one byte more than its data, and its padding).
uint32_t tls_records_open(struct tls_records *records, uint8_t *target, uint32_t target_size);
// What the library is to be given instead of the record that was not opened. Valid until the next
// cut. False: out of memory.
bool tls_records_hand(struct tls_records *records, const uint8_t **bytes, uint32_t *size);

// One record as a server closes it: data or a message, its type and padding are `inner`. Returns
// its bytes; for tests.
uint32_t tls_records_close(struct tls_records *records, uint64_t sequence, const uint8_t *inner,
                           uint32_t inner_size, uint8_t *out);

#endif
