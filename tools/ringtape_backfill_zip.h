// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_zip: the one CSV file inside a zip, as a stream of bytes in bounded memory; and
// SHA-256 of a file.
//
// libzip reads the directory of the zip; ISA-L inflates, twice as fast as zlib and, other than
// libdeflate, piece by piece. CRC and size are checked at the end of the stream: who reads
// must not use anything of it before that.
//
// Threading: one owner. Errors come as text, without the file's name in front.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_ZIP_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_ZIP_H

#include <stddef.h>
#include <stdint.h>

enum {
    BACKFILL_SHA256_TEXT_BYTES = 65, // with the end
    BACKFILL_ZIP_MESSAGE_BYTES = 192,
};

struct backfill_zip;
// `name`: the file that must be inside, alone ("BTCUSDT-trades-2026-08-01.csv"). NULL: message.
struct backfill_zip *backfill_zip_open(const char *path, const char *name,
                                       char message[BACKFILL_ZIP_MESSAGE_BYTES]);
void backfill_zip_close(struct backfill_zip *zip);
// Fills up to `size` bytes; returns how many, 0: the end, and everything is as its directory says;
// -1: message.
int64_t backfill_zip_read(struct backfill_zip *zip, void *out, size_t size,
                          char message[BACKFILL_ZIP_MESSAGE_BYTES]);
// Bytes of the file inside, and (for progress) of the zip read so far.
uint64_t backfill_zip_size(const struct backfill_zip *zip);
uint64_t backfill_zip_taken(const struct backfill_zip *zip);

// In hexadecimal digits. 0 or negative errno.
int backfill_sha256(const char *path, char out[BACKFILL_SHA256_TEXT_BYTES]);

#endif
