// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: no bytes make the segment reader leave its memory. Even first bytes: the input is edits
// (offset, value) to a good segment, whose block hashes are then made right, as a hostile writer
// would; odd: the input is the file.
#include <xxhash.h>

#include "tests/segment_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SYMBOLS = 5 };

static struct segment_image good_segment(enum channel channel)
{
    struct segment_image image = {0};
    struct format_random random = {(uint64_t)channel};
    struct segment_writer *writer = image_begin(channel);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct rows *rows = random_rows_new(channel, (struct rows_limits){60, 2000, 1 << 16});
        random_rows(&random, rows, 40, 1);
        image_symbol(&image, writer, s, rows);
        free(rows);
    }
    image_end(&image, writer);
    return image;
}

static void forge_block(uint8_t *bytes, const struct layout_index_block *entry)
{
    struct layout_block header;
    memcpy(&header, bytes, sizeof header);
    header.header_bytes = LAYOUT_HEADER_BYTES;
    header.payload_bytes = entry->bytes - LAYOUT_HEADER_BYTES;
    header.payload_hash = XXH3_64bits(bytes + sizeof header, header.payload_bytes);
    header.hash = XXH3_64bits(&header, sizeof header - sizeof header.hash);
    memcpy(bytes, &header, sizeof header);
}

static void read_all(const uint8_t *bytes, size_t size)
{
    struct segment *segment;
    struct source source = source_of_memory(bytes, size);
    if (segment_open(&segment, &source, NULL, 0) != SEGMENT_GOOD)
        return;
    (void)segment_verify(segment, NULL, NULL);
    segment_close(segment);
}

static void read_edited(const struct segment_image *image, const uint8_t *data, size_t size)
{
    struct index index;
    uint8_t *bytes = malloc(image->size);
    ensure(bytes);
    memcpy(bytes, image->bytes, image->size);
    for (size_t i = 0; i + 3 <= size; i += 3)
        bytes[(size_t)(data[i] | data[i + 1] << 8) % image->size] = data[i + 2];
    ensure(index_open(&index, image->index, image->index_size));
    for (uint32_t b = 0; b < index.block_count; b++)
        forge_block(bytes + index.blocks[b].offset, &index.blocks[b]);
    bytes[image->size - 1] ^= 1; // no footer: the blocks are walked
    read_all(bytes, image->size);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct segment_image images[CHANNEL_COUNT];
    if (size == 0)
        return 0;
    if (data[0] % 2 == 1) {
        read_all(data + 1, size - 1);
        return 0;
    }
    enum channel channel = (enum channel)(data[0] / 2 % CHANNEL_COUNT);
    if (!channel_schema(channel))
        return 0;
    if (!images[channel].bytes)
        images[channel] = good_segment(channel);
    read_edited(&images[channel], data + 1, size - 1);
    return 0;
}
