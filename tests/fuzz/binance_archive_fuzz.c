// SPDX-License-Identifier: GPL-3.0-or-later
//
// Properties: rows and fault are the same whether a file is scanned at once or in pieces; every row
// taken says what a plain parser makes of its line's cells; ids rise and times are in the period.
#include "exchange/binance_archive.h"
#include "format/ensure.h"
#include "protocol/decimal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 256, BYTES = 8192 };

struct scanned {
    struct binance_archive archive;
    struct rows rows;
    int64_t result;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan_begin(struct scanned *scanned, uint8_t choice)
{
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_AGG_TRADE, CHANNEL_KLINE};
    scanned->archive = (struct binance_archive){.channel = channels[choice % 3],
                                                .usdm = (choice & 4) != 0,
                                                .from_ns = 1,
                                                .to_ns = INT64_MAX,
                                                .interval = "1m"};
    const struct channel_schema *schema = channel_schema(scanned->archive.channel);
    const struct rows_limits limits = binance_archive_limits(&scanned->archive, ROWS);
    size_t bytes = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    ensure(memory);
    memset(memory, 0, bytes);
    rows_init(&scanned->rows, schema, &limits, memory);
}

// In pieces of `piece` bytes.
static void scan_all(struct scanned *scanned, const uint8_t *data, size_t size, size_t piece)
{
    static char bytes[BYTES + BINANCE_ARCHIVE_PADDING];
    size_t at = 0, have = 0;
    do {
        size_t more = size - at < piece ? size - at : piece;
        memcpy(bytes + have, data + at, more);
        at += more;
        have += more;
        scanned->result = binance_archive_scan(&scanned->archive, bytes, have, at == size,
                                               &scanned->rows);
        if (scanned->result < 0 || binance_archive_full(&scanned->rows))
            return;
        have -= (size_t)scanned->result;
        memmove(bytes, bytes + scanned->result, have);
    } while (at < size);
}

static void same(const struct scanned *a, const struct scanned *b)
{
    ensure((a->result < 0) == (b->result < 0) && a->rows.count == b->rows.count);
    if (a->result < 0)
        ensure(a->archive.line == b->archive.line && a->archive.column == b->archive.column &&
               strcmp(a->archive.fault, b->archive.fault) == 0 && a->archive.fault[0] != '\0');
    for (int c = 0; c < a->rows.schema->column_count; c++) {
        if (a->rows.value[c])
            ensure(memcmp(a->rows.value[c], b->rows.value[c],
                          a->rows.count * sizeof(int64_t)) == 0);
    }
}

// Prices of the lines that were taken, by the plain parser.
static void reads_plainly(const struct scanned *scanned, const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    int column = scanned->archive.channel == CHANNEL_KLINE ? (int)KLINE_OPEN : (int)TRADE_PRICE;
    if (scanned->archive.channel == CHANNEL_AGG_TRADE)
        column = AGG_TRADE_PRICE;
    if (size > 0 && (*at < '0' || *at > '9')) // the header
        at = memchr(at, '\n', size) ? (const char *)memchr(at, '\n', size) + 1 : end;
    for (uint32_t row = 0; row < scanned->rows.count; row++) {
        const char *cell = (const char *)memchr(at, ',', (size_t)(end - at)) + 1;
        const char *behind = memchr(cell, ',', (size_t)(end - cell));
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        int64_t mantissa;
        uint8_t scale;
        ensure(decimal_parse(cell, (uint32_t)(behind - cell), &mantissa, &scale) == DECIMAL_OK);
        ensure(mantissa == scanned->rows.value[column][row] &&
               scale == scanned->rows.scale[column][row]);
        at = line_end ? line_end + 1 : end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scanned whole, pieces;
    if (size < 2)
        return 0;
    const uint8_t choice = data[0];
    const size_t piece = data[1] + 1u;
    data += 2;
    size -= 2;
    if (size > BINANCE_ARCHIVE_LINE_BYTES_MAX) // where a longer line is noticed depends on pieces
        size = BINANCE_ARCHIVE_LINE_BYTES_MAX;
    scan_begin(&whole, choice);
    scan_begin(&pieces, choice);
    scan_all(&whole, data, size, BYTES / 2);
    scan_all(&pieces, data, size, piece);
    same(&whole, &pieces);
    reads_plainly(&whole, data, size);
    free(whole.rows.symbol);
    free(pieces.rows.symbol);
    return 0;
}
