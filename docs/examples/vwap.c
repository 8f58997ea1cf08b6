// SPDX-License-Identifier: Apache-2.0
//
// vwap STORE SYMBOL YYYY-MM-DD: the volume-weighted average price of each minute of a UTC day,
// exact to the last digit printed (12 decimals, half to even), with volume and number of trades.
//
//     cc vwap.c $(pkg-config --cflags --libs ringtape) -o vwap
#include <ringtape/ringtape.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTES = 24 * 60, SCALE = 8, PLACES = 12 };

static const int64_t minute_ns = INT64_C(60000000000);

// Prices and quantities at SCALE decimals, their products at twice as many.
struct minute {
    __int128 turnover;
    __int128 volume;
    uint64_t trades;
};

// Days since 1970-01-01 of a proleptic Gregorian date; -1: not a date.
static int64_t day_of(const char *text)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    char *end;
    long year = strtol(text, &end, 10);
    long month = *end == '-' ? strtol(end + 1, &end, 10) : 0;
    long day = *end == '-' ? strtol(end + 1, &end, 10) : 0;
    if (*end || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return -1;
    long leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) && month > 2;
    long past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162 + before[month - 1] + leap +
           day - 1;
}

// False: a value needs more than SCALE decimals.
static bool add(struct minute *minutes, const struct ringtape_chunk *chunk, int64_t from)
{
    const struct ringtape_values *price = &chunk->column[ringtape_column_find("trade", "price")];
    const struct ringtape_values *quantity =
        &chunk->column[ringtape_column_find("trade", "quantity")];
    int kind = ringtape_column_find("trade", "kind");
    for (uint32_t r = 0; r < chunk->rows; r++) {
        const struct ringtape_values *text = &chunk->column[kind];
        int64_t p;
        int64_t q;
        // Futures also report what was not traded on the market, and prices of 0.
        if (ringtape_has(chunk, kind, r) &&
            (text->text_length[r] != 6 ||
             memcmp(chunk->text + text->text_offset[r], "MARKET", 6) != 0))
            continue;
        if (price->value[r] == 0)
            continue;
        if (!ringtape_rescale(price->value[r], price->scale, SCALE, &p) ||
            !ringtape_rescale(quantity->value[r], quantity->scale, SCALE, &q))
            return false;
        struct minute *minute = &minutes[(chunk->time[r] - from) / minute_ns];
        minute->turnover += (__int128)p * q;
        minute->volume += q;
        minute->trades++;
    }
    return true;
}

// turnover / volume with PLACES decimals; both have a factor of 10^SCALE, turnover one more.
static __int128 divide(const struct minute *minute)
{
    __int128 quotient = minute->turnover / minute->volume;
    __int128 rest = minute->turnover % minute->volume;
    for (int i = 0; i < PLACES - SCALE; i++) {
        quotient = quotient * 10 + rest * 10 / minute->volume;
        rest = rest * 10 % minute->volume;
    }
    if (2 * rest > minute->volume || (2 * rest == minute->volume && quotient % 2 != 0))
        quotient++;
    return quotient;
}

static void print_decimal(__int128 value, int places)
{
    __int128 unit = 1;
    for (int i = 0; i < places; i++)
        unit *= 10;
    printf(" %s%lld.%0*lld", value < 0 ? "-" : "",
           (long long)((value < 0 ? -value : value) / unit), places,
           (long long)((value < 0 ? -value : value) % unit));
}

static int print(const struct minute *minutes)
{
    for (int m = 0; m < MINUTES; m++) {
        if (minutes[m].volume <= 0)
            continue;
        printf("%02d:%02d", m / 60, m % 60);
        print_decimal(divide(&minutes[m]), PLACES);
        print_decimal(minutes[m].volume, SCALE);
        printf(" %llu\n", (unsigned long long)minutes[m].trades);
    }
    return 0;
}

static int fail(const char *text)
{
    (void)fprintf(stderr, "vwap: %s\n", text);
    return 1;
}

static int vwap(struct ringtape *store, const char *symbol, int64_t from)
{
    static struct minute minutes[MINUTES];
    static struct ringtape_message message;
    const char *columns[] = {"price", "quantity", "kind"};
    struct ringtape_query query = ringtape_query_of("trade");
    struct ringtape_scan *scan;
    struct ringtape_chunk chunk;
    query.symbols = &symbol;
    query.symbol_count = 1;
    query.columns = columns;
    query.column_count = 3;
    query.time_from = from;
    query.time_to = from + MINUTES * minute_ns;
    if (ringtape_scan_open(&scan, store, &query, &message) < 0)
        return fail(message.text);
    int result;
    bool exact = true;
    while (exact && (result = ringtape_scan_next(scan, &chunk, &message)) > 0)
        exact = add(minutes, &chunk, from);
    ringtape_scan_close(scan);
    if (!exact)
        return fail("a price or quantity has more than 8 decimals");
    return result < 0 ? fail(message.text) : print(minutes);
}

int main(int argc, char **argv)
{
    struct ringtape *store;
    struct ringtape_message message;
    int64_t day = argc == 4 ? day_of(argv[3]) : -1;
    if (day < 0)
        return fail("usage: vwap STORE SYMBOL YYYY-MM-DD");
    if (ringtape_open(&store, argv[1], &message) < 0)
        return fail(message.text);
    int status = vwap(store, argv[2], day * MINUTES * minute_ns);
    ringtape_close(store);
    return status;
}
