// SPDX-License-Identifier: GPL-3.0-or-later
//
// zip → libzip: its compressed bytes as they are → ISA-L → bytes, with a running CRC.
#include "tools/ringtape_backfill_zip.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "format/ensure.h"

enum { IN_BYTES = 64 * 1024, HASH_BYTES = 128 * 1024, METHOD_STORED = 0, METHOD_DEFLATED = 8 };

struct backfill_zip {
    zip_t *archive;
    zip_file_t *file;
    struct inflate_state inflate;
    bool stored; // not compressed
    bool ended;
    uint64_t size, given; // of the file inside
    uint64_t taken;       // compressed bytes
    uint64_t compressed;
    uint32_t crc_told, crc;
    uint8_t in[IN_BYTES];
};

// ---- opening ----

// The one entry is the file that was asked for, in a form that can be read.
static bool judge(const zip_stat_t *entry, const char *name, char *message)
{
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                                ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((entry->valid & needed) != needed)
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES,
                       "its directory lacks name, size or CRC");
    else if (strcmp(entry->name, name) != 0)
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES,
                       "'%.60s' expected inside, found '%.60s': another market or day", name,
                       entry->name);
    else if (entry->encryption_method != ZIP_EM_NONE ||
             (entry->comp_method != METHOD_STORED && entry->comp_method != METHOD_DEFLATED))
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES,
                       "encrypted, or not compressed by deflate");
    else
        return true;
    return false;
}

static bool open_entry(struct backfill_zip *zip, const char *name, char *message)
{
    zip_stat_t entry;
    zip_stat_init(&entry);
    if (zip_get_num_entries(zip->archive, 0) != 1) {
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "one file expected inside, found %lld",
                       (long long)zip_get_num_entries(zip->archive, 0));
        return false;
    }
    if (zip_stat_index(zip->archive, 0, 0, &entry) != 0 || !judge(&entry, name, message)) {
        if (message[0] == 0) (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "damaged");
        return false;
    }
    zip->stored = entry.comp_method == METHOD_STORED;
    zip->size = entry.size;
    zip->compressed = entry.comp_size;
    zip->crc_told = entry.crc;
    zip->file = zip_fopen_index(zip->archive, 0, ZIP_FL_COMPRESSED);
    if (zip->file == NULL)
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "%.150s", zip_strerror(zip->archive));
    return zip->file != NULL;
}

struct backfill_zip *backfill_zip_open(const char *path, const char *name,
                                       char message[BACKFILL_ZIP_MESSAGE_BYTES])
{
    struct backfill_zip *zip = calloc(1, sizeof *zip);
    int code = 0;
    message[0] = 0;
    if (zip == NULL) {
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "out of memory");
        return NULL;
    }
    zip->archive = zip_open(path, ZIP_RDONLY, &code);
    if (zip->archive == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "not a whole zip: %.120s",
                       zip_error_strerror(&error));
        zip_error_fini(&error);
    }
    if (zip->archive == NULL || !open_entry(zip, name, message)) {
        backfill_zip_close(zip);
        return NULL;
    }
    isal_inflate_init(&zip->inflate);
    zip->inflate.crc_flag = ISAL_DEFLATE;
    return zip;
}

void backfill_zip_close(struct backfill_zip *zip)
{
    if (zip == NULL) return;
    if (zip->file != NULL) (void)zip_fclose(zip->file);
    if (zip->archive != NULL) zip_discard(zip->archive);
    free(zip);
}

// ---- reading ----

static int64_t fail(char *message, const char *what)
{
    (void)snprintf(message, BACKFILL_ZIP_MESSAGE_BYTES, "%s", what);
    return -1;
}

// More compressed bytes. False: message.
static bool refill(struct backfill_zip *zip, char *message)
{
    const zip_int64_t got = zip_fread(zip->file, zip->in, sizeof zip->in);
    if (got < 0) return fail(message, "it cannot be read") == 0;
    if (got == 0) return fail(message, "the compressed data is cut off") == 0;
    zip->inflate.next_in = zip->in;
    zip->inflate.avail_in = (uint32_t)got;
    zip->taken += (uint64_t)got;
    return true;
}

static bool inflate_some(struct backfill_zip *zip, void *out, size_t size, char *message)
{
    struct inflate_state *state = &zip->inflate;
    state->next_out = out;
    state->avail_out = (uint32_t)size;
    while (state->avail_out > 0 && state->block_state != ISAL_BLOCK_FINISH) {
        if (state->avail_in == 0 && zip->taken < zip->compressed && !refill(zip, message))
            return false;
        const uint32_t in = state->avail_in, room = state->avail_out;
        if (isal_inflate(state) != ISAL_DECOMP_OK)
            return fail(message, "the compressed data is damaged") == 0;
        if (in == state->avail_in && room == state->avail_out &&
            state->block_state != ISAL_BLOCK_FINISH)
            return fail(message, "the compressed data is cut off") == 0;
    }
    return true;
}

static bool copy_some(struct backfill_zip *zip, void *out, size_t size, size_t *got, char *message)
{
    const zip_int64_t done = zip_fread(zip->file, out, size);
    if (done < 0) return fail(message, "it cannot be read") == 0;
    *got = (size_t)done;
    zip->taken += *got;
    return true;
}

// At the end everything must be as its directory says.
static int64_t finish(const struct backfill_zip *zip, char *message)
{
    if (zip->given != zip->size) return fail(message, "the file inside has another size than told");
    if (zip->crc != zip->crc_told) return fail(message, "its CRC is wrong: damaged");
    return 0;
}

int64_t backfill_zip_read(struct backfill_zip *zip, void *out, size_t size,
                          char message[BACKFILL_ZIP_MESSAGE_BYTES])
{
    size_t got = 0;
    ensure(size > 0 && size <= UINT32_MAX);
    if (zip->stored) {
        if (!copy_some(zip, out, size, &got, message)) return -1;
    } else {
        if (!inflate_some(zip, out, size, message)) return -1;
        got = size - zip->inflate.avail_out;
    }
    if (got == 0) return finish(zip, message);
    zip->crc = crc32_gzip_refl(zip->crc, out, got);
    zip->given += got;
    if (zip->given > zip->size)
        return fail(message, "the file inside has another size than told");
    return (int64_t)got;
}

uint64_t backfill_zip_size(const struct backfill_zip *zip)
{
    return zip->size;
}

uint64_t backfill_zip_taken(const struct backfill_zip *zip)
{
    return zip->taken;
}

// ---- SHA-256 ----

static int hash_file(int file, EVP_MD_CTX *context, uint8_t *buffer)
{
    for (;;) {
        const ssize_t got = read(file, buffer, HASH_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return 0;
        ensure(EVP_DigestUpdate(context, buffer, (size_t)got) == 1);
    }
}

int backfill_sha256(const char *path, char out[BACKFILL_SHA256_TEXT_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *buffer = malloc(HASH_BYTES);
    int result = context != NULL && buffer != NULL ? 0 : -ENOMEM;
    if (result == 0) {
        ensure(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
        result = hash_file(file, context, buffer);
        ensure(EVP_DigestFinal_ex(context, digest, &size) == 1 && size == 32);
    }
    for (size_t i = 0; i < size; i++) (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(context);
    free(buffer);
    (void)close(file);
    return result;
}
