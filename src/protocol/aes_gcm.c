// SPDX-License-Identifier: GPL-3.0-or-later
//
// aes_gcm: see aes_gcm.h.
#include "protocol/aes_gcm.h"

#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

#ifdef __x86_64__

#include <intel-ipsec-mb.h>
#include <pthread.h>

struct aes_gcm {
    struct gcm_key_data key;
    struct gcm_context_data work;
    uint32_t key_bytes; // 0: none
};

// Which functions this processor runs fastest: chosen once, only read since.
static IMB_MGR *functions;
static pthread_once_t functions_chosen = PTHREAD_ONCE_INIT; // the thread sanitizer sees it

static void functions_choose(void)
{
    functions = alloc_mb_mgr(0);
    if (functions == NULL) return;
    init_mb_mgr_auto(functions, NULL);
    ensure(imb_get_errno(functions) == 0);
}

struct aes_gcm *aes_gcm_create(void)
{
    const size_t size = (sizeof(struct aes_gcm) + 63) & ~(size_t)63;
    ensure(pthread_once(&functions_chosen, functions_choose) == 0);
    struct aes_gcm *gcm = functions != NULL ? aligned_alloc(64, size) : NULL;
    if (gcm != NULL) memset(gcm, 0, size);
    return gcm;
}

bool aes_gcm_begin(struct aes_gcm *gcm, const uint8_t *key, uint32_t key_bytes)
{
    ensure(key_bytes == 16 || key_bytes == 32);
    gcm->key_bytes = key_bytes;
    if (key_bytes == 16)
        IMB_AES128_GCM_PRE(functions, key, &gcm->key);
    else
        IMB_AES256_GCM_PRE(functions, key, &gcm->key);
    return true;
}

void aes_gcm_end(struct aes_gcm *gcm)
{
    explicit_bzero(gcm, sizeof *gcm);
}

// In a time that does not depend on where they differ.
static bool tags_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t difference = 0;
    for (int i = 0; i < AES_GCM_TAG_BYTES; i++) difference |= a[i] ^ b[i];
    return difference == 0;
}

bool aes_gcm_open(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *closed,
                  uint8_t *text)
{
    uint8_t tag[AES_GCM_TAG_BYTES];
    ensure(gcm->key_bytes != 0);
    if (gcm->key_bytes == 16)
        IMB_AES128_GCM_DEC(functions, &gcm->key, &gcm->work, text, closed, record->bytes,
                           record->nonce, record->header, record->header_bytes, tag, sizeof tag);
    else
        IMB_AES256_GCM_DEC(functions, &gcm->key, &gcm->work, text, closed, record->bytes,
                           record->nonce, record->header, record->header_bytes, tag, sizeof tag);
    return tags_equal(tag, closed + record->bytes);
}

void aes_gcm_close(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *text,
                   uint8_t *closed)
{
    uint8_t *tag = closed + record->bytes;
    ensure(gcm->key_bytes != 0);
    if (gcm->key_bytes == 16)
        IMB_AES128_GCM_ENC(functions, &gcm->key, &gcm->work, closed, text, record->bytes,
                           record->nonce, record->header, record->header_bytes, tag,
                           AES_GCM_TAG_BYTES);
    else
        IMB_AES256_GCM_ENC(functions, &gcm->key, &gcm->work, closed, text, record->bytes,
                           record->nonce, record->header, record->header_bytes, tag,
                           AES_GCM_TAG_BYTES);
}

#else

#include "protocol/tls_wolfssl.h"

struct aes_gcm {
    Aes aes;
    bool active;
};

struct aes_gcm *aes_gcm_create(void)
{
    return calloc(1, sizeof(struct aes_gcm));
}

bool aes_gcm_begin(struct aes_gcm *gcm, const uint8_t *key, uint32_t key_bytes)
{
    ensure(key_bytes == 16 || key_bytes == 32);
    aes_gcm_end(gcm);
    gcm->active = wc_AesInit(&gcm->aes, NULL, INVALID_DEVID) == 0 &&
                  wc_AesGcmSetKey(&gcm->aes, key, key_bytes) == 0;
    return gcm->active;
}

void aes_gcm_end(struct aes_gcm *gcm)
{
    if (gcm->active) wc_AesFree(&gcm->aes);
    explicit_bzero(gcm, sizeof *gcm);
}

bool aes_gcm_open(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *closed,
                  uint8_t *text)
{
    ensure(gcm->active);
    return wc_AesGcmDecrypt(&gcm->aes, text, closed, record->bytes, record->nonce,
                            AES_GCM_NONCE_BYTES, closed + record->bytes, AES_GCM_TAG_BYTES,
                            record->header, record->header_bytes) == 0;
}

void aes_gcm_close(struct aes_gcm *gcm, const struct aes_gcm_record *record, const uint8_t *text,
                   uint8_t *closed)
{
    ensure(gcm->active);
    ensure(wc_AesGcmEncrypt(&gcm->aes, closed, text, record->bytes, record->nonce,
                            AES_GCM_NONCE_BYTES, closed + record->bytes, AES_GCM_TAG_BYTES,
                            record->header, record->header_bytes) == 0);
}

#endif

void aes_gcm_destroy(struct aes_gcm *gcm)
{
    if (gcm == NULL) return;
    aes_gcm_end(gcm);
    free(gcm);
}
