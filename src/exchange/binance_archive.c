// SPDX-License-Identifier: GPL-3.0-or-later
//
// Lines are looked at only up to the last line feed, so that a cell is always followed by something
// that ends it: no cell's parser needs a bound beyond the padding. A line that fails is walked
// again by binance_archive_fault.c, which knows the names of the columns.
#include "exchange/binance_archive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/binance_archive_cells.h"
#include "exchange/binance_archive_inside.h"
#include "format/ensure.h"
#include "format/time_text.h"
#include "protocol/decimal.h"

#define DIGITS_8 0x3030303030303030ull
#define MILLISECOND_NS 1000000
#define MICROSECOND_NS 1000
#define SPOT_MICROSECONDS_NS INT64_C(1735689600000000000) // 2025-01-01
enum { MILLISECOND_DIGITS = 13, MICROSECOND_DIGITS = 16, INTEGER_DIGITS_MAX = 18 };

_Static_assert((int)DECIMAL_PADDED_SIZE <= (int)BINANCE_ARCHIVE_PADDING, "decimals read ahead");

// ---- cells ----

static const uint64_t ten_to[9] = {1,      10,      100,      1000,     10000,
                                   100000, 1000000, 10000000, 100000000};

// Eight digits, the first in the lowest byte, as 0 … 9 each.
static inline uint64_t digits_value(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return ((digits & 0x000000ff000000ffull) * 0x000f424000000064ull +
            (digits >> 16 & 0x000000ff000000ffull) * 0x0000271000000001ull) >>
           32;
}

uint32_t binance_archive_integer(const char *at, int64_t *value)
{
    uint64_t sum = 0;
    uint32_t taken = 0;
    for (int words = 0; words < 3; words++) {
        uint64_t word;
        memcpy(&word, at + taken, sizeof word);
        word ^= DIGITS_8;
        // A carry can only reach bytes behind the first one that is no digit.
        uint64_t others = ((word + 0x0606060606060606ull) | word) & 0xf0f0f0f0f0f0f0f0ull;
        uint32_t count = others ? (uint32_t)__builtin_ctzll(others) / 8 : 8;
        if (count > 0)
            sum = sum * ten_to[count] + digits_value(word << (64 - 8 * count));
        taken += count;
        if (count < 8)
            break;
    }
    if (taken == 0 || taken > INTEGER_DIGITS_MAX || (*at == '0' && taken > 1))
        return 0;
    *value = (int64_t)sum;
    return taken;
}

// The rare forms: more than 18 digits with zeros at the end. No sign, no exponent.
__attribute__((noinline)) static uint32_t decimal_slowly(const char *at, int64_t *value,
                                                         uint8_t *scale)
{
    uint32_t size = 0;
    while ((at[size] >= '0' && at[size] <= '9') || at[size] == '.')
        size++;
    if (size == 0 || decimal_parse(at, size, value, scale) != DECIMAL_OK)
        return 0;
    return size;
}

uint32_t binance_archive_decimal(const char *at, int64_t *value, uint8_t *scale)
{
    if (*at == '-')
        return 0;
    uint32_t taken = decimal_take_padded(at, DECIMAL_PADDED_SIZE, value, scale);
    return taken > 0 ? taken : decimal_slowly(at, value, scale);
}

// "True" or "true", "False" or "false".
uint32_t binance_archive_boolean(const char *at, bool *value)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    word |= 0x20202020;
    *value = word == 0x65757274; // "true", little-endian
    if (*value)
        return 4;
    return word == 0x736c6166 && (at[4] | 0x20) == 'e' ? 5 : 0;
}

// ---- a row ----

struct row { // where one is written, and what of its line is still to be read
    struct binance_archive *archive;
    struct rows *rows;
    uint32_t index;
    const char *at;
};

static inline bool take_comma(struct row *row)
{
    return *row->at++ == ',';
}

static inline bool take_integer(struct row *row, int64_t *value)
{
    uint32_t taken = binance_archive_integer(row->at, value);
    row->at += taken;
    return taken > 0;
}

static inline bool take_decimal(struct row *row, int column)
{
    uint32_t taken = binance_archive_decimal(row->at, &row->rows->value[column][row->index],
                                             &row->rows->scale[column][row->index]);
    row->at += taken;
    return taken > 0 && take_comma(row);
}

static inline bool take_boolean(struct row *row, int column, int64_t if_false, int64_t if_true)
{
    bool value;
    uint32_t taken = binance_archive_boolean(row->at, &value);
    row->at += taken;
    row->rows->value[column][row->index] = value ? if_true : if_false;
    return taken > 0;
}

static inline bool take_end(struct row *row)
{
    row->at += *row->at == '\r';
    return *row->at++ == '\n';
}

static bool refuse_time(struct binance_archive *archive, int64_t time)
{
    char from[TIME_TEXT_BYTES_MAX];
    char to[TIME_TEXT_BYTES_MAX];
    time_text_format(from, archive->from_ns, 0);
    time_text_format(to, archive->to_ns, 0);
    (void)snprintf(archive->fault, sizeof archive->fault,
                   "time %" PRId64 " (%s) is not within this file's period, %s to %s", time,
                   archive->unit_ns == MICROSECOND_NS ? "us" : "ms", from, to);
    return false;
}

// Futures have ms; spot has us since 2025-01-01, before it either (files are issued again). Klines
// of both have the same columns and file names: the unit is what tells them apart.
static bool is_unit_of_market(struct binance_archive *archive)
{
    const bool wrong_ms = !archive->usdm && archive->from_ns >= SPOT_MICROSECONDS_NS &&
                          archive->unit_ns == MILLISECOND_NS;
    if (wrong_ms)
        (void)snprintf(archive->fault, sizeof archive->fault,
                       "a time in us expected, as spot has since 2025, found ms: an archive of "
                       "another market?");
    const bool wrong_us = archive->usdm && archive->unit_ns == MICROSECOND_NS;
    if (wrong_us)
        (void)snprintf(archive->fault, sizeof archive->fault,
                       "a time in ms expected, as futures have, found us: an archive of another "
                       "market?");
    return !wrong_ms && !wrong_us;
}

// The first time of a file decides on its unit.
static bool find_unit(struct binance_archive *archive, int64_t time, uint32_t digits)
{
    ensure(archive->unit_ns == 0);
    if (digits == MILLISECOND_DIGITS)
        archive->unit_ns = MILLISECOND_NS;
    else if (digits == MICROSECOND_DIGITS)
        archive->unit_ns = MICROSECOND_NS;
    else
        (void)snprintf(archive->fault, sizeof archive->fault,
                       "a time in ms (13 digits) or us (16) expected, found '%" PRId64 "'", time);
    return archive->unit_ns != 0 && is_unit_of_market(archive);
}

static inline bool take_time(struct row *row, int column, bool in_period)
{
    struct binance_archive *archive = row->archive;
    int64_t time, time_ns;
    uint32_t taken = binance_archive_integer(row->at, &time);
    row->at += taken;
    if (taken == 0 || (archive->unit_ns == 0 && !find_unit(archive, time, taken)))
        return false;
    if (__builtin_mul_overflow(time, archive->unit_ns, &time_ns) ||
        (in_period && (time_ns < archive->from_ns || time_ns >= archive->to_ns)))
        return refuse_time(archive, time);
    row->rows->value[column][row->index] = time_ns;
    return take_comma(row);
}

static inline bool rises(struct binance_archive *archive, int64_t value, const char *what)
{
    if (archive->has_last && value <= archive->last) {
        (void)snprintf(archive->fault, sizeof archive->fault,
                       "%s %" PRId64 " after %" PRId64 ": they must rise", what, value,
                       archive->last);
        return false;
    }
    archive->last = value;
    archive->has_last = true;
    return true;
}

static __int128 power_of_ten(uint32_t power)
{
    __int128 value = 1;
    for (; power >= 8; power -= 8)
        value *= 100000000;
    return value * (int64_t)ten_to[power];
}

// Is price x quantity the quote quantity, to a millionth or its last place? Exact is the rule.
static bool is_product(int64_t price, int64_t quantity, uint32_t scale, int64_t quote,
                       uint32_t quote_scale)
{
    uint32_t up = scale > quote_scale ? scale - quote_scale : 0;
    uint32_t up_product = quote_scale > scale ? quote_scale - scale : 0;
    __int128 product;
    // Beyond 128 bits nothing is said; no exchange has such digits.
    if (up > 18 || up_product > 18 ||
        __builtin_mul_overflow((__int128)price * quantity, power_of_ten(up_product), &product))
        return true;
    __int128 unit = power_of_ten(up);
    __int128 told = quote * unit;
    if (product == told)
        return true;
    __int128 apart = product > told ? product - told : told - product;
    return apart <= unit || apart <= product / 1000000;
}

static inline bool take_quote(struct row *row, int price, int quantity)
{
    const struct rows *rows = row->rows;
    int64_t quote;
    uint8_t scale;
    uint32_t taken = binance_archive_decimal(row->at, &quote, &scale);
    row->at += taken;
    if (taken == 0 || !take_comma(row))
        return false;
    uint32_t i = row->index;
    if (is_product(rows->value[price][i], rows->value[quantity][i],
                   (uint32_t)rows->scale[price][i] + rows->scale[quantity][i], quote, scale))
        return true;
    (void)snprintf(row->archive->fault, sizeof row->archive->fault,
                   "the quote quantity is not price times quantity: columns are shifted");
    return false;
}

static inline void put_text(struct row *row, int column, const char *text, uint32_t size)
{
    struct rows *rows = row->rows;
    int slot = rows->schema->columns[column].text;
    rows->text_offset[slot][row->index] = rows->text_size;
    rows->text_length[slot][row->index] = size;
    memcpy(rows->text + rows->text_size, text, size);
    rows->text_size += size;
}

// ---- a usual line of trades ----

#ifdef __AVX2__
enum { TRADE_READ_BYTES = 64 + 17 + 6 + 6 + 8 }; // from the beginning of a line, at most
_Static_assert((int)TRADE_READ_BYTES <= (int)BINANCE_ARCHIVE_PADDING, "usual lines read ahead");

static inline bool is_usual_product(int64_t price, int64_t quantity, uint32_t scale, int64_t quote,
                                    uint32_t quote_scale)
{
    uint32_t up = scale - quote_scale;
    return up <= 8 && (__int128)price * quantity == (__int128)quote * (int64_t)ten_to[up];
}

// Time and what follows it: all in the usual form, and of this file's period?
static inline bool take_usual_rest(struct row *row, const char *at)
{
    struct binance_archive *archive = row->archive;
    uint32_t digits = archive->unit_ns == MICROSECOND_NS ? MICROSECOND_DIGITS : MILLISECOND_DIGITS;
    int64_t time, time_ns;
    bool maker, best = true;
    unsigned bad = !cell_integer(at, digits, &time) | (at[digits] != ',');
    bad |= __builtin_mul_overflow(time, archive->unit_ns, &time_ns);
    bad |= (time_ns < archive->from_ns) | (time_ns >= archive->to_ns);
    at += digits + 1;
    at += cell_boolean(at, &maker, &bad);
    if (!archive->usdm) {
        bad |= *at++ != ',';
        at += cell_boolean(at, &best, &bad);
    }
    row->rows->value[TRADE_TIME][row->index] = time_ns;
    row->rows->value[TRADE_SIDE][row->index] = maker ? SIDE_SELL : SIDE_BUY;
    if (!archive->usdm)
        row->rows->value[TRADE_BEST_MATCH][row->index] = best;
    bad |= *at != '\n';
    row->at = at + 1;
    return bad == 0;
}

// False: not a usual line; nothing has been said about it, and row->at stands where it stood.
static inline bool take_usual_trade(struct row *row)
{
    struct binance_archive *archive = row->archive;
    struct rows *rows = row->rows;
    const char *line = row->at;
    const uint32_t i = row->index;
    uint64_t commas = cells_commas(line);
    if (__builtin_popcountll(commas) < 4 || archive->unit_ns == 0 || !archive->has_last)
        return false;
    uint32_t ends[4];
    for (int c = 0; c < 4; c++, commas &= commas - 1)
        ends[c] = (uint32_t)__builtin_ctzll(commas);
    int64_t *price = &rows->value[TRADE_PRICE][i], *quantity = &rows->value[TRADE_QUANTITY][i];
    uint8_t *price_scale = &rows->scale[TRADE_PRICE][i];
    uint8_t *quantity_scale = &rows->scale[TRADE_QUANTITY][i];
    int64_t id, quote;
    uint8_t quote_scale;
    unsigned good = cell_integer(line, ends[0], &id);
    good &= cell_decimal(line + ends[0] + 1, ends[1] - ends[0] - 1, price, price_scale);
    good &= cell_decimal(line + ends[1] + 1, ends[2] - ends[1] - 1, quantity, quantity_scale);
    good &= cell_decimal(line + ends[2] + 1, ends[3] - ends[2] - 1, &quote, &quote_scale);
    good &= is_usual_product(*price, *quantity, (uint32_t)*price_scale + *quantity_scale, quote,
                             quote_scale);
    good &= id > archive->last;
    good &= take_usual_rest(row, line + ends[3] + 1);
    if (!good) {
        row->at = line;
        return false;
    }
    rows->value[TRADE_ID][i] = archive->last = id;
    return true;
}
#else
static inline bool take_usual_trade(struct row *row)
{
    (void)row;
    return false;
}
#endif

// ---- the three kinds of files ----

static bool take_trade(struct row *row)
{
    int64_t id;
    if (take_usual_trade(row)) {
        if (row->archive->usdm)
            put_text(row, TRADE_KIND, "MARKET", 6);
        return true;
    }
    if (!take_integer(row, &id) || !take_comma(row) || !take_decimal(row, TRADE_PRICE) ||
        !take_decimal(row, TRADE_QUANTITY) || !take_quote(row, TRADE_PRICE, TRADE_QUANTITY) ||
        !take_time(row, TRADE_TIME, true) ||
        !take_boolean(row, TRADE_SIDE, SIDE_BUY, SIDE_SELL))
        return false;
    if (!row->archive->usdm && (!take_comma(row) || !take_boolean(row, TRADE_BEST_MATCH, 0, 1)))
        return false;
    if (row->archive->usdm)
        put_text(row, TRADE_KIND, "MARKET", 6);
    row->rows->value[TRADE_ID][row->index] = id;
    return take_end(row) && rises(row->archive, id, "id");
}

static bool take_agg_trade(struct row *row)
{
    int64_t *const *value = row->rows->value;
    uint32_t i = row->index;
    int64_t id;
    if (!take_integer(row, &id) || !take_comma(row) || !take_decimal(row, AGG_TRADE_PRICE) ||
        !take_decimal(row, AGG_TRADE_QUANTITY) ||
        !take_integer(row, &value[AGG_TRADE_FIRST_ID][i]) || !take_comma(row) ||
        !take_integer(row, &value[AGG_TRADE_LAST_ID][i]) || !take_comma(row) ||
        !take_time(row, AGG_TRADE_TIME, true) ||
        !take_boolean(row, AGG_TRADE_SIDE, SIDE_BUY, SIDE_SELL))
        return false;
    if (!row->archive->usdm &&
        (!take_comma(row) || !take_boolean(row, AGG_TRADE_BEST_MATCH, 0, 1)))
        return false;
    value[AGG_TRADE_ID][i] = id;
    if (value[AGG_TRADE_LAST_ID][i] < value[AGG_TRADE_FIRST_ID][i]) {
        (void)snprintf(row->archive->fault, sizeof row->archive->fault,
                       "the last trade id is below the first");
        return false;
    }
    return take_end(row) && rises(row->archive, id, "id");
}

// The cell up to the end of the line; "0" is what it always says.
static bool take_ignored(struct row *row, uint64_t *present)
{
    uint32_t size = 0;
    while (row->at[size] != ',' && row->at[size] != '\n')
        size++;
    size -= size > 0 && row->at[size - 1] == '\r';
    bool zero = size == 1 && *row->at == '0';
    if (size > BINANCE_ARCHIVE_IGNORED_BYTES_MAX)
        return false;
    if (!zero) {
        put_text(row, KLINE_IGNORED, row->at, size);
        *present |= 1ull << KLINE_IGNORED;
    } else {
        int slot = row->rows->schema->columns[KLINE_IGNORED].text;
        row->rows->text_offset[slot][row->index] = 0;
        row->rows->text_length[slot][row->index] = 0;
    }
    row->at += size;
    return true;
}

static bool below(const struct rows *rows, uint32_t i, int a, int b)
{
    uint8_t x = rows->scale[a][i], y = rows->scale[b][i];
    return rows->value[a][i] * power_of_ten(y > x ? (uint32_t)(y - x) : 0) <
           rows->value[b][i] * power_of_ten(x > y ? (uint32_t)(x - y) : 0);
}

static bool kline_holds(const struct row *row)
{
    const struct rows *rows = row->rows;
    uint32_t i = row->index;
    int64_t open = rows->value[KLINE_OPEN_TIME][i], close = rows->value[KLINE_CLOSE_TIME][i];
    int64_t length = binance_archive_interval_ns(row->archive->interval);
    const char *what = NULL;
    if (below(rows, i, KLINE_HIGH, KLINE_OPEN) || below(rows, i, KLINE_HIGH, KLINE_CLOSE) ||
        below(rows, i, KLINE_OPEN, KLINE_LOW) || below(rows, i, KLINE_CLOSE, KLINE_LOW))
        what = "open or close is outside of low and high: columns are shifted";
    else if (close <= open || (length > 0 && close >= open + length))
        what = "the close time does not belong to the open time: another interval?";
    if (what)
        (void)snprintf(row->archive->fault, sizeof row->archive->fault, "%s", what);
    return what == NULL;
}

static bool take_kline(struct row *row)
{
    struct rows *rows = row->rows;
    uint32_t i = row->index;
    if (!take_time(row, KLINE_OPEN_TIME, true) || !take_decimal(row, KLINE_OPEN) ||
        !take_decimal(row, KLINE_HIGH) || !take_decimal(row, KLINE_LOW) ||
        !take_decimal(row, KLINE_CLOSE) || !take_decimal(row, KLINE_VOLUME) ||
        !take_time(row, KLINE_CLOSE_TIME, false) || !take_decimal(row, KLINE_QUOTE_VOLUME) ||
        !take_integer(row, &rows->value[KLINE_TRADES][i]) || !take_comma(row) ||
        !take_decimal(row, KLINE_TAKER_BUY_VOLUME) ||
        !take_decimal(row, KLINE_TAKER_BUY_QUOTE_VOLUME) || !take_ignored(row, &rows->present[i]))
        return false;
    rows->value[KLINE_CLOSED][i] = 1;
    put_text(row, KLINE_INTERVAL, row->archive->interval,
             (uint32_t)strlen(row->archive->interval));
    return take_end(row) && kline_holds(row) &&
           rises(row->archive, rows->value[KLINE_OPEN_TIME][i], "open time");
}

// ---- lines ----

static uint64_t columns_of(const struct binance_archive *archive)
{
    const uint64_t flags = 1ull << COLUMN_FLAGS;
    switch (archive->channel) {
    case CHANNEL_TRADE:
        return flags | 1ull << TRADE_TIME | 1ull << TRADE_ID | 1ull << TRADE_PRICE |
               1ull << TRADE_QUANTITY | 1ull << TRADE_SIDE |
               (archive->usdm ? 1ull << TRADE_KIND : 1ull << TRADE_BEST_MATCH);
    case CHANNEL_AGG_TRADE:
        return flags | 1ull << AGG_TRADE_TIME | 1ull << AGG_TRADE_ID | 1ull << AGG_TRADE_PRICE |
               1ull << AGG_TRADE_QUANTITY | 1ull << AGG_TRADE_FIRST_ID |
               1ull << AGG_TRADE_LAST_ID | 1ull << AGG_TRADE_SIDE |
               (archive->usdm ? 0 : 1ull << AGG_TRADE_BEST_MATCH);
    default:
        return flags | 1ull << KLINE_OPEN_TIME | 1ull << KLINE_CLOSE_TIME | 1ull << KLINE_TRADES |
               1ull << KLINE_OPEN | 1ull << KLINE_HIGH | 1ull << KLINE_LOW | 1ull << KLINE_CLOSE |
               1ull << KLINE_VOLUME | 1ull << KLINE_QUOTE_VOLUME | 1ull << KLINE_TAKER_BUY_VOLUME |
               1ull << KLINE_TAKER_BUY_QUOTE_VOLUME | 1ull << KLINE_CLOSED | 1ull << KLINE_INTERVAL;
    }
}

// The line at `at`, which ends before `end`: the byte behind it, or NULL.
static inline const char *take_line(struct binance_archive *archive, const char *at,
                                    struct rows *rows, uint64_t columns)
{
    struct row row = {.archive = archive, .rows = rows, .index = rows->count, .at = at};
    rows->present[row.index] = columns;
    rows->symbol[row.index] = 0;
    rows->value[COLUMN_FLAGS][row.index] = EVENT_BACKFILLED;
    bool good = archive->channel == CHANNEL_TRADE       ? take_trade(&row)
                : archive->channel == CHANNEL_AGG_TRADE ? take_agg_trade(&row)
                                                        : take_kline(&row);
    if (!good)
        return NULL;
    rows->count++;
    return row.at;
}

static inline bool has_room(const struct rows *rows)
{
    return rows->count < rows->limits.rows &&
           rows->limits.text_bytes - rows->text_size >= BINANCE_ARCHIVE_ROW_TEXT_BYTES;
}

bool binance_archive_full(const struct rows *rows)
{
    return !has_room(rows);
}

// Whole lines up to `end`, which is behind a line feed. NULL: a fault.
static const char *take_lines(struct binance_archive *archive, const char *at, const char *end,
                              struct rows *rows)
{
    const uint64_t columns = columns_of(archive);
    if (!archive->begun && at < end) {
        archive->begun = true;
        if (*at < '0' || *at > '9') {
            archive->line++;
            at = binance_archive_header(archive, at);
        }
    }
    while (at && at < end && has_room(rows)) {
        archive->line++;
        const char *next = take_line(archive, at, rows, columns);
        if (!next)
            binance_archive_explain(archive, at);
        at = next;
    }
    return at;
}

static int64_t refuse_length(struct binance_archive *archive)
{
    archive->line++;
    archive->column = 0;
    (void)snprintf(archive->fault, sizeof archive->fault, "a line of more than %d bytes",
                   BINANCE_ARCHIVE_LINE_BYTES_MAX);
    return -EBADMSG;
}

int64_t binance_archive_scan(struct binance_archive *archive, const char *bytes, size_t size,
                             bool end, struct rows *rows)
{
    ensure(rows->schema->channel == archive->channel && has_room(rows));
    ensure(archive->from_ns < archive->to_ns);
    const char *feed = size > 0 ? memrchr(bytes, '\n', size) : NULL;
    size_t whole = feed ? (size_t)(feed + 1 - bytes) : 0;
    const char *at = take_lines(archive, bytes, bytes + whole, rows);
    if (!at)
        return -EBADMSG;
    size_t rest = size - (size_t)(at - bytes);
    if (at != bytes + whole || rest == 0)
        return at - bytes;
    if (rest > BINANCE_ARCHIVE_LINE_BYTES_MAX)
        return refuse_length(archive);
    if (!end || !has_room(rows))
        return at - bytes;
    char last[BINANCE_ARCHIVE_LINE_BYTES_MAX + 1 + BINANCE_ARCHIVE_PADDING];
    memcpy(last, at, rest);
    memset(last + rest, 0, BINANCE_ARCHIVE_PADDING);
    last[rest] = '\n';
    return take_lines(archive, last, last + rest + 1, rows) ? (int64_t)size : -EBADMSG;
}

// ---- what the caller wants to know ----

struct rows_limits binance_archive_limits(const struct binance_archive *archive, uint32_t count)
{
    ensure(count > 0);
    bool texts = archive->usdm || archive->channel == CHANNEL_KLINE;
    uint32_t each = archive->channel == CHANNEL_KLINE ? BINANCE_ARCHIVE_INTERVAL_BYTES_MAX : 6;
    return (struct rows_limits){
        .rows = count, .text_bytes = BINANCE_ARCHIVE_ROW_TEXT_BYTES + (texts ? count * each : 0)};
}

int64_t binance_archive_interval_ns(const char *interval)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    int64_t count;
    char padded[32] = {0};
    size_t size = strlen(interval);
    if (size < 2 || size > BINANCE_ARCHIVE_INTERVAL_BYTES_MAX)
        return 0;
    memcpy(padded, interval, size);
    uint32_t digits = binance_archive_integer(padded, &count);
    if (digits == 0 || digits > 3 || digits + 1 != size || count == 0)
        return 0;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        if (units[u].unit == interval[digits])
            return count * units[u].seconds * 1000000000;
    }
    return 0;
}
