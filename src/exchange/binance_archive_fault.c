// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a line of an archive should have looked like: the names of the columns, for headers and for
// faults. Runs once a file.
#include <stdio.h>
#include <string.h>

#include "exchange/binance_archive_inside.h"
#include "format/ensure.h"

enum cell { CELL_INTEGER, CELL_DECIMAL, CELL_BOOLEAN, CELL_ANY };
enum { CELLS_MAX = 12, FOUND_BYTES = 40 };

struct cell_rule {
    const char *name; // as in messages
    enum cell cell;
    const char *headers; // spellings, underscores left out, each behind a blank
};

static const struct cell_rule trades[] = {
    {"id", CELL_INTEGER, " id tradeid"},
    {"price", CELL_DECIMAL, " price"},
    {"quantity", CELL_DECIMAL, " qty quantity"},
    {"quote quantity", CELL_DECIMAL, " quoteqty quotequantity"},
    {"time", CELL_INTEGER, " time"},
    {"is_buyer_maker (true or false)", CELL_BOOLEAN, " isbuyermaker"},
    {"is_best_match (true or false)", CELL_BOOLEAN, " isbestmatch"},
};

static const struct cell_rule agg_trades[] = {
    {"id", CELL_INTEGER, " aggtradeid aggregatetradeid id"},
    {"price", CELL_DECIMAL, " price"},
    {"quantity", CELL_DECIMAL, " quantity qty"},
    {"first trade id", CELL_INTEGER, " firsttradeid firstid"},
    {"last trade id", CELL_INTEGER, " lasttradeid lastid"},
    {"time", CELL_INTEGER, " transacttime time timestamp"},
    {"is_buyer_maker (true or false)", CELL_BOOLEAN, " isbuyermaker"},
    {"is_best_match (true or false)", CELL_BOOLEAN, " isbestmatch"},
};

static const struct cell_rule klines[] = {
    {"open time", CELL_INTEGER, " opentime"},
    {"open", CELL_DECIMAL, " open"},
    {"high", CELL_DECIMAL, " high"},
    {"low", CELL_DECIMAL, " low"},
    {"close", CELL_DECIMAL, " close"},
    {"volume", CELL_DECIMAL, " volume"},
    {"close time", CELL_INTEGER, " closetime"},
    {"quote volume", CELL_DECIMAL, " quotevolume quoteassetvolume"},
    {"count of trades", CELL_INTEGER, " count numberoftrades trades"},
    {"taker buy volume", CELL_DECIMAL,
     " takerbuyvolume takerbuybasevolume takerbuybaseassetvolume"},
    {"taker buy quote volume", CELL_DECIMAL, " takerbuyquotevolume takerbuyquoteassetvolume"},
    {"ignore", CELL_ANY, " ignore unused"},
};

struct layout {
    const struct cell_rule *cells;
    uint32_t count;
};

static struct layout layout_of(const struct binance_archive *archive)
{
    switch (archive->channel) {
    case CHANNEL_TRADE: return (struct layout){trades, archive->usdm ? 6 : 7};
    case CHANNEL_AGG_TRADE: return (struct layout){agg_trades, archive->usdm ? 7 : 8};
    default: return (struct layout){klines, CELLS_MAX};
    }
}

struct slice {
    const char *at;
    uint32_t size;
};

// Splits a line, which ends with a line feed; returns how many cells it has, of which the first
// CELLS_MAX are filled.
static uint32_t split(const char *line, struct slice cells[CELLS_MAX])
{
    uint32_t count = 0;
    for (;;) {
        uint32_t size = 0;
        while (line[size] != ',' && line[size] != '\n')
            size++;
        bool last = line[size] == '\n';
        uint32_t bare = last && size > 0 && line[size - 1] == '\r' ? size - 1 : size;
        if (count < CELLS_MAX)
            cells[count] = (struct slice){line, bare};
        count++;
        if (last)
            return count;
        line += size + 1;
    }
}

// The bytes as text that fits in a line.
static void show(struct slice cell, char out[FOUND_BYTES])
{
    uint32_t size = cell.size < FOUND_BYTES - 4 ? cell.size : FOUND_BYTES - 4;
    for (uint32_t i = 0; i < size; i++)
        out[i] = cell.at[i] >= ' ' && cell.at[i] <= '~' ? cell.at[i] : '?';
    memcpy(out + size, cell.size > size ? "..." : "", cell.size > size ? 4 : 1);
}

static void refuse_cell(struct binance_archive *archive, const char *line, struct slice cell,
                        const char *expected)
{
    char found[FOUND_BYTES];
    show(cell, found);
    archive->column = (uint32_t)(cell.at - line) + 1;
    (void)snprintf(archive->fault, sizeof archive->fault, "%s expected, found '%s'", expected,
                   found);
}

static void refuse_count(struct binance_archive *archive, uint32_t expected, uint32_t found)
{
    archive->column = 0;
    (void)snprintf(archive->fault, sizeof archive->fault, "%u columns expected, found %u", expected,
                   found);
}

// ---- the header ----

// Does the cell spell one of the words, whatever its case and underscores?
static bool spells(struct slice cell, const char *words)
{
    char word[FOUND_BYTES];
    uint32_t size = 0;
    word[size++] = ' ';
    for (uint32_t i = 0; i < cell.size && size < FOUND_BYTES - 1; i++) {
        char c = cell.at[i];
        if (c <= ' ' || c > '~')
            return false;
        if (c != '_')
            word[size++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    word[size] = '\0';
    for (const char *at = words; size > 1 && (at = strstr(at, word)) != NULL; at++) {
        if (at[size] == ' ' || at[size] == '\0')
            return true;
    }
    return false;
}

const char *binance_archive_header(struct binance_archive *archive, const char *line)
{
    const struct layout layout = layout_of(archive);
    struct slice cells[CELLS_MAX];
    uint32_t count = split(line, cells);
    for (uint32_t i = 0; i < count && i < layout.count; i++) {
        if (!spells(cells[i], layout.cells[i].headers)) {
            char expected[FOUND_BYTES * 2];
            (void)snprintf(expected, sizeof expected, "a header or %s", layout.cells[i].name);
            refuse_cell(archive, line, cells[i], expected);
            return NULL;
        }
    }
    if (count != layout.count) {
        refuse_count(archive, layout.count, count);
        return NULL;
    }
    return (const char *)rawmemchr(line, '\n') + 1;
}

// ---- a row ----

static bool has_form(struct slice cell, enum cell form)
{
    int64_t value;
    uint8_t scale;
    bool truth;
    switch (form) {
    case CELL_INTEGER: return binance_archive_integer(cell.at, &value) == cell.size && cell.size;
    case CELL_DECIMAL:
        return binance_archive_decimal(cell.at, &value, &scale) == cell.size && cell.size;
    case CELL_BOOLEAN: return binance_archive_boolean(cell.at, &truth) == cell.size && cell.size;
    case CELL_ANY: return cell.size <= BINANCE_ARCHIVE_IGNORED_BYTES_MAX;
    }
    return false;
}

// Which comes first: a cell without its column's form tells more than their number.
void binance_archive_explain(struct binance_archive *archive, const char *line)
{
    const struct layout layout = layout_of(archive);
    struct slice cells[CELLS_MAX];
    uint32_t count = split(line, cells);
    uint32_t common = count < layout.count ? count : layout.count;
    ensure(common <= CELLS_MAX);
    for (uint32_t i = 0; i < common; i++) {
        if (!has_form(cells[i], layout.cells[i].cell)) {
            refuse_cell(archive, line, cells[i], layout.cells[i].name);
            return;
        }
    }
    if (count != layout.count)
        refuse_count(archive, layout.count, count);
    ensure(archive->fault[0] != '\0');
}
