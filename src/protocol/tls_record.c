// SPDX-License-Identifier: GPL-3.0-or-later
//
// A record lies in the input where all of it has come, else in `partial`. Two numbers are kept:
// that of the peer's next record, and that which the library expects next; they part with the first
// data.
#include "protocol/tls_record.h"

#include "format/ensure.h"
#include "protocol/aes_gcm.h"
#include "protocol/tls_memory.h"
#include <stdlib.h>
#include <string.h>

enum { TYPE_APPLICATION_DATA = 23 };

#define RECORD_BYTES_MAX (TLS_RECORD_HEADER_BYTES + TLS_RECORD_BODY_MAX)

struct tls_records {
    struct aes_gcm *gcm;
    bool active; // it has a key
    struct tls_records_keys keys; // keys.sequence: what the library expects
    uint64_t sequence;            // the peer's
    const uint8_t *record;        // as cut; NULL: none
    uint32_t record_size;
    uint8_t *closed; // [RECORD_BYTES_MAX], or NULL: for the library
    uint32_t partial_size;
    uint8_t partial[RECORD_BYTES_MAX];
};

static void block_drop(uint8_t **block)
{
    if (*block != NULL) explicit_bzero(*block, RECORD_BYTES_MAX);
    tls_memory_give(*block);
    *block = NULL;
}

struct tls_records *tls_records_create(void)
{
    struct tls_records *records = calloc(1, sizeof *records);
    if (records == NULL) return NULL;
    records->gcm = aes_gcm_create();
    if (records->gcm != NULL) return records;
    free(records);
    return NULL;
}

void tls_records_destroy(struct tls_records *records)
{
    if (records == NULL) return;
    tls_records_end(records);
    aes_gcm_destroy(records->gcm);
    free(records);
}

static bool keys_set(struct tls_records *records, const struct tls_records_keys *keys)
{
    ensure(keys->key_bytes == 16 || keys->key_bytes == TLS_RECORD_KEY_BYTES_MAX);
    records->active = aes_gcm_begin(records->gcm, keys->key, keys->key_bytes);
    records->keys = *keys;
    records->sequence = keys->sequence;
    return records->active;
}

bool tls_records_begin(struct tls_records *records, const struct tls_records_keys *keys)
{
    tls_records_end(records);
    return keys_set(records, keys);
}

void tls_records_end(struct tls_records *records)
{
    struct aes_gcm *gcm = records->gcm;
    aes_gcm_end(gcm);
    block_drop(&records->closed);
    explicit_bzero(records, sizeof *records);
    records->gcm = gcm;
}

bool tls_records_active(const struct tls_records *records)
{
    return records->active;
}

bool tls_records_handed(struct tls_records *records, const struct tls_records_keys *keys)
{
    ensure(records->active);
    block_drop(&records->closed);
    const struct tls_records_keys *old = &records->keys;
    if (keys->key_bytes != old->key_bytes || memcmp(keys->key, old->key, old->key_bytes) != 0 ||
        memcmp(keys->iv, old->iv, sizeof old->iv) != 0)
        return keys_set(records, keys); // an update: both count from there
    // What the library has passed over (no record of the cipher) has no number.
    ensure(keys->sequence - old->sequence <= 1);
    records->sequence += keys->sequence - old->sequence;
    records->keys.sequence = keys->sequence;
    return true;
}

// ---- cutting ----

static uint32_t body_bytes(const uint8_t *header)
{
    return (uint32_t)header[3] << 8 | header[4];
}

// What a record whose header is there has in all.
static uint32_t record_bytes(const uint8_t *header)
{
    uint32_t body = body_bytes(header);
    return TLS_RECORD_HEADER_BYTES + (body <= TLS_RECORD_BODY_MAX ? body : 0);
}

// Moves input behind what has come until there are `wanted` bytes.
static bool partial_fill(struct tls_records *records, const uint8_t **input, size_t *left,
                         uint32_t wanted)
{
    ensure(wanted <= RECORD_BYTES_MAX);
    if (records->partial_size >= wanted) return true;
    size_t count = wanted - records->partial_size;
    if (count > *left) count = *left;
    memcpy(records->partial + records->partial_size, *input, count);
    *input += count;
    *left -= count;
    records->partial_size += (uint32_t)count;
    return records->partial_size == wanted;
}

static bool partial_cut(struct tls_records *records, const uint8_t **input, size_t *left)
{
    if (!partial_fill(records, input, left, TLS_RECORD_HEADER_BYTES) ||
        !partial_fill(records, input, left, record_bytes(records->partial)))
        return false;
    records->record = records->partial;
    records->record_size = records->partial_size;
    records->partial_size = 0;
    return true;
}

bool tls_records_cut(struct tls_records *records, const uint8_t **input, size_t *left)
{
    ensure(records->active);
    records->record = NULL;
    if (*left == 0) return false;
    if (records->partial_size > 0 || *left < TLS_RECORD_HEADER_BYTES ||
        *left < record_bytes(*input))
        return partial_cut(records, input, left);
    records->record = *input;
    records->record_size = record_bytes(*input);
    *input += records->record_size;
    *left -= records->record_size;
    return true;
}

// ---- opening ----

// Section 5.3.
static void nonce_of(const struct tls_records *records, uint64_t sequence,
                     uint8_t nonce[TLS_RECORD_IV_BYTES])
{
    uint64_t low;
    memcpy(nonce, records->keys.iv, TLS_RECORD_IV_BYTES);
    memcpy(&low, nonce + 4, sizeof low);
    low ^= __builtin_bswap64(sequence);
    memcpy(nonce + 4, &low, sizeof low);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the number is put in big-endian");

// Protected, and of a size that may be.
static bool is_protected(const struct tls_records *records)
{
    const uint8_t *header = records->record;
    return records->record_size > TLS_RECORD_HEADER_BYTES + TLS_RECORD_TAG_BYTES &&
           header[0] == TYPE_APPLICATION_DATA && header[1] == 3 && header[2] == 3;
}

static uint32_t inner_bytes(const struct tls_records *records)
{
    ensure(is_protected(records));
    return records->record_size - TLS_RECORD_HEADER_BYTES - TLS_RECORD_TAG_BYTES;
}

static bool decrypt(struct tls_records *records, uint8_t *inner)
{
    const uint32_t size = inner_bytes(records);
    const uint8_t *body = records->record + TLS_RECORD_HEADER_BYTES;
    uint8_t nonce[TLS_RECORD_IV_BYTES];
    nonce_of(records, records->sequence, nonce);
    const struct aes_gcm_record record = {nonce, records->record, TLS_RECORD_HEADER_BYTES, size};
    return aes_gcm_open(records->gcm, &record, body, inner);
}

uint32_t tls_records_open(struct tls_records *records, uint8_t *target, uint32_t target_size)
{
    ensure(records->record != NULL);
    if (!is_protected(records) || inner_bytes(records) > target_size ||
        inner_bytes(records) > TLS_RECORD_BODY_MAX - 255 || !decrypt(records, target))
        return 0;
    uint32_t at = inner_bytes(records) - 1;
    while (at > 0 && target[at] == 0) at--; // padding
    if (target[at] != TYPE_APPLICATION_DATA) return 0;
    if (at == 0) return 0; // no data in it: nothing to return, so the library passes over it
    records->sequence++;
    ensure(records->sequence != 0);
    records->record = NULL;
    return at;
}

// ---- for the library ----

static void encrypt(struct tls_records *records, uint64_t sequence, const uint8_t *inner,
                    uint32_t size, uint8_t *out)
{
    const uint32_t body = size + TLS_RECORD_TAG_BYTES;
    uint8_t nonce[TLS_RECORD_IV_BYTES];
    ensure(size > 0 && body <= TLS_RECORD_BODY_MAX);
    const uint8_t header[] = {TYPE_APPLICATION_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    memcpy(out, header, sizeof header);
    nonce_of(records, sequence, nonce);
    const struct aes_gcm_record record = {nonce, out, sizeof header, size};
    aes_gcm_close(records->gcm, &record, inner, out + sizeof header);
}

bool tls_records_hand(struct tls_records *records, const uint8_t **bytes, uint32_t *size)
{
    ensure(records->record != NULL);
    *bytes = records->record;
    *size = records->record_size;
    if (records->sequence == records->keys.sequence || !is_protected(records)) return true;
    uint8_t *inner = tls_memory_take(RECORD_BYTES_MAX);
    if (records->closed == NULL) records->closed = tls_memory_take(RECORD_BYTES_MAX);
    bool memory = inner != NULL && records->closed != NULL;
    if (memory && decrypt(records, inner)) {
        encrypt(records, records->keys.sequence, inner, inner_bytes(records), records->closed);
        *bytes = records->closed;
    } // else as it came, for the library to find that it is not true
    block_drop(&inner);
    return memory;
}

uint32_t tls_records_close(struct tls_records *records, uint64_t sequence, const uint8_t *inner,
                           uint32_t inner_size, uint8_t *out)
{
    ensure(records->active);
    encrypt(records, sequence, inner, inner_size, out);
    return TLS_RECORD_HEADER_BYTES + inner_size + TLS_RECORD_TAG_BYTES;
}
