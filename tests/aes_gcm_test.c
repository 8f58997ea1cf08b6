// SPDX-License-Identifier: GPL-3.0-or-later
//
// aes_gcm: published vectors, wolfCrypt beside it at every length, and whatever is not true.
#include "protocol/aes_gcm.h"

#include <criterion/criterion.h>
#include <string.h>

#include "protocol/tls_wolfssl.h"
#include "tests/format_random.h"

enum { TEXT_BYTES_MAX = 16384 + 17, HEADER_BYTES = 5 };

static uint8_t nibble(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static uint32_t hex(const char *text, uint8_t *out)
{
    uint32_t count = 0;
    for (; text[0] != 0; text += 2)
        out[count++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
    return count;
}

struct vector {
    const char *key;
    const char *tag;
    const char *closed;
};

// Test cases 4 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B.
static const struct vector vectors[] = {
    {"feffe9928665731c6d6a8f9467308308", "5bc94fbc3221a5db94fae95ae7121a47",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "76fc6ece0f4e1768cddf8853bb2d551b",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"},
};

Test(aes_gcm, published_vectors)
{
    for (int v = 0; v < 2; v++) {
        uint8_t key[32], nonce[12], header[20], text[64], wanted[80], closed[80], opened[64];
        const uint32_t key_bytes = hex(vectors[v].key, key);
        hex("cafebabefacedbaddecaf888", nonce);
        const uint32_t header_bytes = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", header);
        const uint32_t bytes = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            text);
        cr_assert_eq(hex(vectors[v].closed, wanted), bytes);
        hex(vectors[v].tag, wanted + bytes);
        struct aes_gcm *gcm = aes_gcm_create();
        cr_assert(aes_gcm_begin(gcm, key, key_bytes));
        const struct aes_gcm_record record = {nonce, header, header_bytes, bytes};
        aes_gcm_close(gcm, &record, text, closed);
        cr_assert_arr_eq(closed, wanted, bytes + AES_GCM_TAG_BYTES);
        cr_assert(aes_gcm_open(gcm, &record, closed, opened));
        cr_assert_arr_eq(opened, text, bytes);
        aes_gcm_destroy(gcm);
    }
}

struct pair {
    struct aes_gcm *ours;
    Aes theirs;
    struct format_random random;
    uint8_t text[TEXT_BYTES_MAX];
    uint8_t closed[TEXT_BYTES_MAX + AES_GCM_TAG_BYTES];
    uint8_t opened[TEXT_BYTES_MAX];
    uint8_t header[HEADER_BYTES];
    uint8_t nonce[AES_GCM_NONCE_BYTES];
};

static void fill(struct pair *pair, void *out, size_t bytes)
{
    uint8_t *at = out;
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)random_below(&pair->random, 256);
}

static void key_anew(struct pair *pair, uint32_t key_bytes)
{
    uint8_t key[32];
    fill(pair, key, sizeof key);
    cr_assert(aes_gcm_begin(pair->ours, key, key_bytes));
    cr_assert_eq(wc_AesInit(&pair->theirs, NULL, INVALID_DEVID), 0);
    cr_assert_eq(wc_AesGcmSetKey(&pair->theirs, key, key_bytes), 0);
}

static struct aes_gcm_record closed_by_them(struct pair *pair, uint32_t bytes)
{
    fill(pair, pair->nonce, sizeof pair->nonce);
    fill(pair, pair->header, sizeof pair->header);
    fill(pair, pair->text, bytes);
    cr_assert_eq(wc_AesGcmEncrypt(&pair->theirs, pair->closed, pair->text, bytes, pair->nonce,
                                  AES_GCM_NONCE_BYTES, pair->closed + bytes, AES_GCM_TAG_BYTES,
                                  pair->header, HEADER_BYTES),
                 0);
    return (struct aes_gcm_record){pair->nonce, pair->header, HEADER_BYTES, bytes};
}

Test(aes_gcm, opens_what_wolfcrypt_closes_at_every_length)
{
    static struct pair pair = {.random = {7}};
    pair.ours = aes_gcm_create();
    for (uint32_t key_bytes = 16; key_bytes <= 32; key_bytes += 16) {
        key_anew(&pair, key_bytes);
        for (uint32_t bytes = 1; bytes <= TEXT_BYTES_MAX; bytes += bytes < 600 ? 1 : 977) {
            const struct aes_gcm_record record = closed_by_them(&pair, bytes);
            cr_assert(aes_gcm_open(pair.ours, &record, pair.closed, pair.opened), "%u", bytes);
            cr_assert_arr_eq(pair.opened, pair.text, bytes);
        }
        wc_AesFree(&pair.theirs);
    }
    aes_gcm_destroy(pair.ours);
}

Test(aes_gcm, one_wrong_bit_anywhere_is_refused)
{
    static struct pair pair = {.random = {9}};
    pair.ours = aes_gcm_create();
    key_anew(&pair, 16);
    const struct aes_gcm_record record = closed_by_them(&pair, 191);
    for (uint32_t bit = 0; bit < 8 * (191 + AES_GCM_TAG_BYTES); bit++) {
        pair.closed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(aes_gcm_open(pair.ours, &record, pair.closed, pair.opened), "bit %u", bit);
        pair.closed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (uint32_t bit = 0; bit < 8 * HEADER_BYTES; bit++) {
        pair.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(aes_gcm_open(pair.ours, &record, pair.closed, pair.opened));
        pair.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert(aes_gcm_open(pair.ours, &record, pair.closed, pair.opened));
    wc_AesFree(&pair.theirs);
    aes_gcm_destroy(pair.ours);
}
