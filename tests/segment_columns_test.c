// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: columns that refer to each other come back, in whatever order they stand, wanted or not;
// references that cannot be are refused; what a newer writer does costs the columns it concerns and
// never gives a wrong row. Method: blocks put together by hand.
#include <criterion/criterion.h>
#include <xxhash.h>

#include "format/segment_decode.h"
#include "tests/format_random.h"

enum { ROWS = 4, COLUMNS_MAX = 12 };

struct block {
    struct layout_block header;
    struct segment_directory entries[COLUMNS_MAX];
    uint8_t data[1024];
    uint32_t size;
    struct segment_decoder decoder;
};

static void block_begin(struct block *block, enum channel channel, uint32_t levels,
                        uint32_t symbols)
{
    *block = (struct block){.header = {.header_bytes = LAYOUT_HEADER_BYTES,
                                       .rows = ROWS,
                                       .levels = levels,
                                       .symbol = 5,
                                       .symbols = symbols,
                                       .flags = symbols > 1 ? LAYOUT_BLOCK_SHARED : 0,
                                       .channel = (uint8_t)channel}};
    ensure(segment_decoder_open(&block->decoder, channel_schema(channel)) == 0);
}

static void block_end(struct block *block)
{
    segment_decoder_close(&block->decoder);
}

static void block_put(struct block *block, uint8_t id, uint8_t codec, uint8_t presence,
                      const uint8_t *bytes, uint32_t size)
{
    ensure(block->header.columns < COLUMNS_MAX && block->size + size <= sizeof block->data);
    block->entries[block->header.columns++] =
        (struct segment_directory){.id = id, .codec = codec, .presence = presence, .bytes = size};
    memcpy(block->data + block->size, bytes, size);
    block->size += size;
}

#define PUT_AS(block, id, codec, presence, ...)                                                    \
    block_put(block, id, codec, presence, (const uint8_t[]){__VA_ARGS__},                          \
              sizeof((const uint8_t[]){__VA_ARGS__}))
// Codec 2: 10, 12, 11, 13; codec 6 as given.
#define PUT_PLAIN(block, id) PUT_AS(block, id, COLUMN_CODEC_PACKED, 0, 20, 1, 2, 0xd8)
#define PUT_MODEL(block, id, ...) PUT_AS(block, id, COLUMN_CODEC_MODELLED, 0, __VA_ARGS__)
#define PUT_UNKNOWN(block, id) PUT_AS(block, id, 99, 0, 1, 2, 3)
#define LIST(value) 0, 2 * (value)

static enum segment_error block_decode(struct block *block, uint64_t wanted)
{
    static uint8_t bytes[4096];
    struct layout_block *header = &block->header;
    uint8_t *out = bytes + LAYOUT_HEADER_BYTES;
    memset(out, 3, header->symbols); // names of three letters
    memset(out + header->symbols, 'a', 3ul * header->symbols);
    out += 4ul * header->symbols;
    memcpy(out, block->entries, header->columns * sizeof *block->entries);
    out += header->columns * sizeof *block->entries;
    memcpy(out, block->data, block->size);
    out += block->size;
    header->payload_bytes = (uint32_t)(out - bytes) - LAYOUT_HEADER_BYTES;
    header->payload_hash = XXH3_64bits(bytes + LAYOUT_HEADER_BYTES, header->payload_bytes);
    return segment_decode(&block->decoder, bytes, (size_t)(out - bytes), header, wanted);
}

static void expect_column(const struct block *block, unsigned id, int64_t a, int64_t b, int64_t c,
                          int64_t d)
{
    const int64_t expected[ROWS] = {a, b, c, d};
    for (uint32_t r = 0; r < ROWS; r++) {
        cr_assert(block->decoder.rows.present[r] >> id & 1, "column %u, row %u", id, r);
        cr_assert_eq(block->decoder.rows.value[id][r], expected[r], "column %u, row %u: %ld", id,
                     r, (long)block->decoder.rows.value[id][r]);
    }
}

static void expect_absent(const struct block *block, unsigned id)
{
    for (uint32_t r = 0; r < ROWS; r++)
        cr_assert(!(block->decoder.rows.present[r] >> id & 1) &&
                  block->decoder.rows.value[id][r] == 0);
}

// ---- what comes back ----

// 0 tells of 3, 3 of 4, 4 of 5.
static void put_chain(struct block *block)
{
    PUT_MODEL(block, 0, MODEL_OFFSET, 3, LIST(1));
    PUT_MODEL(block, 3, MODEL_OFFSET, 4, LIST(2));
    PUT_MODEL(block, 4, MODEL_OFFSET, 5, LIST(3));
    PUT_PLAIN(block, 5);
}

Test(segment_columns, references_are_followed_against_the_order_of_the_directory)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    put_chain(&block);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    expect_column(&block, 5, 10, 12, 11, 13);
    expect_column(&block, 4, 13, 15, 14, 16);
    expect_column(&block, 3, 15, 17, 16, 18);
    expect_column(&block, 0, 16, 18, 17, 19);
    block_end(&block);
}

Test(segment_columns, what_is_read_for_another_is_not_given)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    put_chain(&block);
    cr_assert_eq(block_decode(&block, 1ull << 3), SEGMENT_GOOD);
    expect_column(&block, 3, 15, 17, 16, 18);
    expect_absent(&block, 0);
    expect_absent(&block, 4);
    expect_absent(&block, 5);
    block_end(&block);
}

Test(segment_columns, rows_of_several_symbols_can_tell_of_them)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 2);
    // Symbols 0, 0, 1, 1; column 4 is 7 where the symbol stays, 9 where it changes.
    PUT_MODEL(&block, 4, 0x40, MODEL_CHANGE, 64, 0, 1, 3, LIST(7), 1, LIST(9));
    PUT_AS(&block, 64, COLUMN_CODEC_PACKED, 0, 0, 1, 1, 0x0c);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    expect_column(&block, 4, 7, 7, 9, 7);
    cr_assert(block.decoder.rows.symbol[1] == 5 && block.decoder.rows.symbol[2] == 6);
    block_end(&block);
}

Test(segment_columns, a_partly_present_column_has_values_of_its_own)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    PUT_AS(&block, 4, COLUMN_CODEC_MODELLED, SEGMENT_PRESENCE_BITMAP, 0x0a, MODEL_DELTA, 20,
           LIST(1));
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    cr_assert(block.decoder.rows.value[4][1] == 11 && block.decoder.rows.value[4][3] == 12);
    cr_assert_eq(block.decoder.rows.present[0], 0);
    cr_assert_eq(block.decoder.rows.present[3], 1u << 4);
    block_end(&block);
}

// ---- levels ----

// Rows of 2, 0, 1, 1 levels: bid ask | | ask | bid.
static void levels_begin(struct block *block)
{
    block_begin(block, CHANNEL_DEPTH, 4, 1);
    PUT_AS(block, 67, COLUMN_CODEC_PACKED, 0, 0, 1, 2, 0x52);
}

static void put_sides(struct block *block)
{
    PUT_AS(block, 70, COLUMN_CODEC_PACKED, 0, 0, 1, 1, 0x06);
}

Test(segment_columns, levels_refer_to_levels)
{
    struct block block;
    levels_begin(&block);
    PUT_MODEL(&block, 68, 0x11, 20, LIST(1)); // delta by the lists of the sides
    PUT_MODEL(&block, 69, MODEL_OFFSET, 68, LIST(5));
    put_sides(&block);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    const int64_t *price = block.decoder.rows.level_price;
    const int64_t *quantity = block.decoder.rows.level_quantity;
    cr_assert(price[0] == 11 && price[1] == 11 && price[2] == 12 && price[3] == 12);
    for (int l = 0; l < 4; l++)
        cr_assert_eq(quantity[l], price[l] + 5);
    block_end(&block);
}

struct wrong {
    const char *name;
    enum channel channel;
    uint8_t id;
    uint8_t bytes[12];
    uint8_t size;
};

// Column 9 is partly there, 10 is a text, 5 has 10, 12, 11, 13.
static const struct wrong wrong_rows[] = {
    {"not there", CHANNEL_TRADE, 4, {MODEL_OFFSET, 6, LIST(0)}, 4},
    {"itself", CHANNEL_TRADE, 4, {MODEL_OFFSET, 4, LIST(0)}, 4},
    {"itself, by a predicate", CHANNEL_TRADE, 4, {0x40, MODEL_CODE, 4, 0, 1, 4, LIST(0), 0}, 9},
    {"partly present", CHANNEL_TRADE, 4, {MODEL_OFFSET, 9, LIST(0)}, 4},
    {"a text", CHANNEL_TRADE, 4, {MODEL_OFFSET, 10, LIST(0)}, 4},
    {"symbols where there is one", CHANNEL_TRADE, 4, {MODEL_OFFSET, 64, LIST(0)}, 4},
    {"a lineage of levels", CHANNEL_TRADE, 4, {0x21, 0, LIST(0)}, 4},
    {"the first of a row", CHANNEL_TRADE, 4, {0x40, MODEL_FIRST, 0, 0, 0, 4, LIST(0), 0}, 9},
    {"no list", CHANNEL_TRADE, 4, {MODEL_OFFSET, 5}, 2},
    {"a byte more", CHANNEL_TRADE, 4, {MODEL_OFFSET, 5, LIST(0), 0}, 5},
    {"no model", CHANNEL_TRADE, 4, {MODEL_PREDICTOR_COUNT, LIST(0)}, 3},
};

static void put_wrong_row(struct block *block, const struct wrong *wrong)
{
    block_begin(block, CHANNEL_TRADE, 0, 1);
    block_put(block, wrong->id, COLUMN_CODEC_MODELLED, 0, wrong->bytes, wrong->size);
    PUT_PLAIN(block, 5);
    PUT_AS(block, 9, COLUMN_CODEC_CONSTANT, SEGMENT_PRESENCE_BITMAP, 0x0a, 2);
    PUT_AS(block, 10, COLUMN_CODEC_CONSTANT, 0, 0);
}

Test(segment_columns, references_that_cannot_be_are_refused)
{
    struct block block;
    cr_assert(channel_schema(CHANNEL_TRADE)->columns[10].type == COLUMN_TEXT);
    for (size_t w = 0; w < sizeof wrong_rows / sizeof *wrong_rows; w++) {
        put_wrong_row(&block, &wrong_rows[w]);
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "%s",
                     wrong_rows[w].name);
        cr_assert_eq(block_decode(&block, 1ull << 5), SEGMENT_GOOD, "%s, not wanted",
                     wrong_rows[w].name);
        block_end(&block);
    }
    struct wrong good = {"5", CHANNEL_TRADE, 4, {MODEL_OFFSET, 5, LIST(0)}, 4};
    put_wrong_row(&block, &good);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    block_end(&block);
}

Test(segment_columns, a_partly_present_column_cannot_refer)
{
    static const struct wrong wrong[] = {
        {"offset", 0, 4, {0x0f, MODEL_OFFSET, 5, LIST(0)}, 5},
        {"a predicate", 0, 4, {0x0f, 0x40, MODEL_CODE, 5, 0, 1, 0, 4, LIST(0)}, 10},
        {"a lineage", 0, 4, {0x0f, 0x11, 0, LIST(0)}, 5},
        {"no model", 0, 4, {0x0f, 0x30, LIST(0)}, 4},
        {"no row at all", 0, 4, {0x00, MODEL_VALUE, LIST(0)}, 4},
        {"unused bits", 0, 4, {0x1f, MODEL_VALUE, LIST(0)}, 4},
    };
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        struct block block;
        block_begin(&block, CHANNEL_TRADE, 0, 1);
        block_put(&block, 4, COLUMN_CODEC_MODELLED, SEGMENT_PRESENCE_BITMAP, wrong[w].bytes,
                  wrong[w].size);
        PUT_PLAIN(&block, 5);
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "%s", wrong[w].name);
        block_end(&block);
    }
}

Test(segment_columns, circles_are_refused_however_long)
{
    for (unsigned length = 2; length <= 6; length++) {
        struct block block;
        block_begin(&block, CHANNEL_TRADE, 0, 1);
        for (unsigned c = 0; c < length; c++)
            PUT_MODEL(&block, (uint8_t)(3 + c), MODEL_OFFSET, (uint8_t)(3 + (c + 1) % length),
                      LIST(0));
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "%u", length);
        cr_assert_eq(block_decode(&block, 16), SEGMENT_BAD_CONTENT, "%u", length);
        block_end(&block);
    }
}

Test(segment_columns, kinds_of_columns_are_not_mixed)
{
    struct block block;
    levels_begin(&block); // four rows and four levels
    PUT_MODEL(&block, 68, MODEL_OFFSET, 4, LIST(0));
    PUT_PLAIN(&block, 69);
    put_sides(&block);
    memmove(block.entries + 1, block.entries, 4 * sizeof *block.entries);
    block.entries[0] = (struct segment_directory){.id = 4, .bytes = 1};
    memmove(block.data + 1, block.data, block.size++);
    block.header.columns++;
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "a level of a row");
    block_end(&block);

    block_begin(&block, CHANNEL_DEPTH, 4, 1);
    PUT_MODEL(&block, 4, MODEL_OFFSET, 68, LIST(0));
    PUT_AS(&block, 67, COLUMN_CODEC_PACKED, 0, 0, 1, 2, 0x52);
    PUT_PLAIN(&block, 68);
    PUT_PLAIN(&block, 69);
    put_sides(&block);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "a row of a level");
    block_end(&block);
}

// 67 itself, a level by the number of levels, side by a price that goes by sides.
Test(segment_columns, levels_cannot_refer_to_what_is_not_there)
{
    static const struct wrong wrong[] = {
        {"the number of levels", 0, 68, {MODEL_OFFSET, 67, LIST(0)}, 4},
        {"scales", 0, 68, {MODEL_OFFSET, 71, LIST(0)}, 4},
        {"itself", 0, 68, {MODEL_OFFSET, 68, LIST(0)}, 4},
        {"a later lineage", 0, 68, {0x30, LIST(0)}, 3},
    };
    struct block block;
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        levels_begin(&block);
        block_put(&block, 68, COLUMN_CODEC_MODELLED, 0, wrong[w].bytes, wrong[w].size);
        PUT_PLAIN(&block, 69);
        put_sides(&block);
        PUT_AS(&block, 71, COLUMN_CODEC_CONSTANT, 0, 0);
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "%s", wrong[w].name);
        block_end(&block);
    }
    levels_begin(&block);
    PUT_MODEL(&block, 68, 0x11, 20, LIST(1));
    PUT_PLAIN(&block, 69);
    PUT_MODEL(&block, 70, MODEL_OFFSET, 68, LIST(0));
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "sides by prices by sides");
    block_end(&block);

    block_begin(&block, CHANNEL_DEPTH, 4, 1);
    PUT_MODEL(&block, 67, 0x40, MODEL_FIRST, 0, 0, 0, 4, LIST(1), 0);
    PUT_PLAIN(&block, 68);
    PUT_PLAIN(&block, 69);
    put_sides(&block);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "numbers of levels");
    block_end(&block);
}

// ---- what columns hold ----

struct part {
    uint8_t id, codec, presence, size;
    uint8_t bytes[8];
};

struct made {
    const char *name;
    enum channel channel;
    uint32_t levels, symbols, text_bytes;
    struct part parts[4];
    enum segment_error expected;
};

#define PART(id, codec, presence, ...)                                                             \
    {id, codec, presence, sizeof((const uint8_t[]){__VA_ARGS__}), {__VA_ARGS__}}
#define LENGTHS(each) PART(10, COLUMN_CODEC_CONSTANT, 0, 2 * (each))
#define SYMBOLS(bits) PART(64, COLUMN_CODEC_PACKED, 0, 0, 1, 2, bits)
#define COUNTS(bits) PART(67, COLUMN_CODEC_PACKED, 0, 0, 1, 2, bits)
#define PRICES PART(68, COLUMN_CODEC_CONSTANT, 0, 2), PART(69, COLUMN_CODEC_CONSTANT, 0, 2)
#define SIDES(code) PART(70, COLUMN_CODEC_CONSTANT, 0, 2 * (code))
#define GOOD SEGMENT_GOOD
#define BAD SEGMENT_BAD_CONTENT

static const struct made made[] = {
    {"texts", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(1), PART(106, 0, 0, 'a', 'b', 'c', 'd')}, GOOD},
    {"texts of nothing", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(0)}, GOOD},
    {"texts of nothing, with bytes", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(0), PART(106, 0, 0, 1)}, BAD},
    {"texts without bytes", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(1)}, BAD},
    {"a byte less", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(1), PART(106, 0, 0, 'a', 'b', 'c')}, BAD},
    {"a text as long as no text is", CHANNEL_TRADE, 0, 1, 8,
     {PART(10, COLUMN_CODEC_CONSTANT, 0, 0x82, 0x80, 0x80, 1)}, BAD},
    {"the same, partly present", CHANNEL_TRADE, 0, 1, 8,
     {PART(10, COLUMN_CODEC_CONSTANT, SEGMENT_PRESENCE_BITMAP, 1, 0x82, 0x80, 0x80, 1)}, BAD},
    {"longer than the header says", CHANNEL_TRADE, 0, 1, 3,
     {LENGTHS(1), PART(106, 0, 0, 'a', 'b', 'c', 'd')}, BAD},
    {"bytes of what is no text", CHANNEL_TRADE, 0, 1, 8, {PART(100, 0, 0, 1)}, BAD},
    {"texts that not every row has", CHANNEL_TRADE, 0, 1, 8,
     {LENGTHS(1), PART(106, 0, SEGMENT_PRESENCE_BITMAP, 'a', 'b', 'c', 'd')}, BAD},
    {"bytes of no frame", CHANNEL_TRADE, 0, 1, 8, {LENGTHS(1), PART(106, 1, 0, 1, 2)}, BAD},
    {"a column that nobody knows", CHANNEL_TRADE, 0, 1, 0, {PART(90, 7, 0, 1)}, GOOD},
    {"a presence that is cut off", CHANNEL_TRADE, 0, 1, 0,
     {PART(4, COLUMN_CODEC_CONSTANT, SEGMENT_PRESENCE_ZSTD, 9, 1)}, BAD},
    {"a presence of no frame", CHANNEL_TRADE, 0, 1, 0,
     {PART(4, COLUMN_CODEC_CONSTANT, SEGMENT_PRESENCE_ZSTD, 1, 1, 0)}, BAD},
    {"symbols", CHANNEL_TRADE, 0, 3, 0, {SYMBOLS(0x94)}, GOOD},      // 0, 1, 1, 2
    {"a symbol too many", CHANNEL_TRADE, 0, 2, 0, {SYMBOLS(0x94)}, BAD},
    {"symbols that fall", CHANNEL_TRADE, 0, 3, 0, {SYMBOLS(0x64)}, BAD}, // 0, 1, 2, 1
    {"symbols not everywhere", CHANNEL_TRADE, 0, 2, 0,
     {PART(64, COLUMN_CODEC_CONSTANT, SEGMENT_PRESENCE_BITMAP, 7, 0)}, BAD},
    {"levels", CHANNEL_DEPTH, 4, 1, 0, {COUNTS(0x52), PRICES, SIDES(1)}, GOOD},
    {"a level less", CHANNEL_DEPTH, 5, 1, 0, {COUNTS(0x52), PRICES, SIDES(1)}, BAD},
    {"a level more", CHANNEL_DEPTH, 3, 1, 0, {COUNTS(0x52), PRICES, SIDES(1)}, BAD},
    {"a side that is none", CHANNEL_DEPTH, 4, 1, 0, {COUNTS(0x52), PRICES, SIDES(2)}, BAD},
    {"more levels than a row has", CHANNEL_DEPTH, 40004, 1, 0,
     {PART(67, COLUMN_CODEC_CONSTANT, 0, 0xa2, 0x9c, 1), PRICES, SIDES(1)}, BAD},
    {"levels of trades", CHANNEL_TRADE, 0, 1, 0, {PART(71, 0, 0, 1)}, BAD},
    {"where a row was", CHANNEL_RAW, 0, 1, 0, {PART(65, 0, 0, 2), PART(66, 0, 0, 2)}, GOOD},
    {"a tape that cannot be", CHANNEL_RAW, 0, 1, 0, {PART(65, 0, 0, 1), PART(66, 0, 0, 2)}, BAD},
    {"a tape that cannot be known", CHANNEL_RAW, 0, 1, 0,
     {PART(65, 99, 0, 1), PART(66, 0, 0, 2)}, SEGMENT_NEWER},
};

Test(segment_columns, content_that_cannot_be_is_refused)
{
    for (size_t m = 0; m < sizeof made / sizeof *made; m++) {
        struct block block;
        block_begin(&block, made[m].channel, made[m].levels, made[m].symbols);
        block.header.text_bytes = made[m].text_bytes;
        for (const struct part *part = made[m].parts; part < made[m].parts + 4; part++)
            if (part->size != 0)
                block_put(&block, part->id, part->codec, part->presence, part->bytes, part->size);
        cr_assert_eq(block_decode(&block, UINT64_MAX), made[m].expected, "%s", made[m].name);
        block_end(&block);
    }
}

// ---- a newer writer ----

Test(segment_columns, texts_of_an_unknown_codec_cost_their_column)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    block.header.text_bytes = 8;
    PUT_PLAIN(&block, 5);
    PUT_AS(&block, 10, COLUMN_CODEC_CONSTANT, 0, 2);
    PUT_AS(&block, 106, 7, 0, 1, 2, 3);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    cr_assert_eq(block.decoder.unknown_columns, 1u << 10);
    cr_assert_eq(block.decoder.rows.present[2], 1u << 5);
    cr_assert_eq(block.decoder.rows.text_size, 0);
    block_end(&block);
}

Test(segment_columns, what_refers_to_an_unknown_codec_is_unknown)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    PUT_MODEL(&block, 0, MODEL_OFFSET, 3, LIST(1));
    PUT_MODEL(&block, 3, MODEL_OFFSET, 4, LIST(2));
    PUT_UNKNOWN(&block, 4);
    PUT_PLAIN(&block, 5);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD);
    cr_assert_eq(block.decoder.unknown_columns, 1u << 0 | 1u << 3 | 1u << 4);
    expect_absent(&block, 0);
    expect_absent(&block, 3);
    expect_absent(&block, 4);
    expect_column(&block, 5, 10, 12, 11, 13);
    block_end(&block);
}

Test(segment_columns, what_refers_to_an_unknown_column_is_unknown)
{
    struct block block;
    block_begin(&block, CHANNEL_TRADE, 0, 1);
    PUT_MODEL(&block, 3, MODEL_OFFSET, 50, LIST(2));
    PUT_MODEL(&block, 4, MODEL_OFFSET, 51, LIST(2));
    PUT_PLAIN(&block, 5);
    PUT_PLAIN(&block, 50);
    cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_BAD_CONTENT, "51 is not there");
    cr_assert_eq(block_decode(&block, 1u << 3 | 1u << 5), SEGMENT_GOOD);
    cr_assert_eq(block.decoder.unknown_columns, 1u << 3);
    expect_absent(&block, 3);
    expect_column(&block, 5, 10, 12, 11, 13);
    block_end(&block);
}

Test(segment_columns, unknown_levels_cost_the_levels)
{
    for (uint8_t unknown = 67; unknown <= 70; unknown++) {
        struct block block;
        block_begin(&block, CHANNEL_DEPTH, 4, 1);
        PUT_PLAIN(&block, 5);
        PUT_AS(&block, 67, unknown == 67 ? 99 : COLUMN_CODEC_PACKED, 0, 0, 1, 2, 0x52);
        PUT_AS(&block, 68, unknown == 68 ? 99 : COLUMN_CODEC_MODELLED, 0, 0x11, 20, LIST(1));
        PUT_AS(&block, 69, unknown == 69 ? 99 : COLUMN_CODEC_MODELLED, 0, MODEL_OFFSET, 68,
               LIST(5));
        PUT_AS(&block, 70, unknown == 70 ? 99 : COLUMN_CODEC_PACKED, 0, 0, 1, 1, 0x06);
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_GOOD, "%d", unknown);
        cr_assert(block.decoder.unknown_levels && block.decoder.rows.level_count == 0 &&
                  block.decoder.rows.level_first[ROWS] == 0);
        expect_column(&block, 5, 10, 12, 11, 13);
        block_end(&block);
    }
}

// The rows hang on their symbols: without them there is no block, whoever asked for them first.
Test(segment_columns, unknown_symbols_cost_the_block)
{
    for (unsigned referring = 0; referring < 3; referring++) {
        struct block block;
        block_begin(&block, CHANNEL_TRADE, 0, 2);
        for (unsigned c = 0; c < referring; c++)
            PUT_MODEL(&block, (uint8_t)(4 + c), 0x40, MODEL_CHANGE, 64, 0, 1, 3, LIST(7), 1,
                      LIST(9));
        PUT_PLAIN(&block, 8);
        PUT_UNKNOWN(&block, 64);
        cr_assert_eq(block_decode(&block, UINT64_MAX), SEGMENT_NEWER, "%u", referring);
        block_end(&block);
    }
}
