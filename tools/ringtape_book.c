// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape book: the order book of a symbol at a moment (ringtape_book_find.h), exact, as a table
// or one JSON object.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_book_find.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_query.h"
#include "tools/ringtape_table.h"

enum { LEVELS_DEFAULT = 20 };

struct ringtape_book {
    struct ringtape_query query;
    const char *symbol;
    int64_t at_ns;
    uint64_t levels; // to be shown a side
    bool json;
};

struct book_view { // both sides, best first
    const struct book_found *found;
    struct book_level *side[2];
    uint32_t count[2];
};

static const char *price_text(char out[DECIMAL_TEXT_BYTES_MAX], const struct book_view *view,
                              int64_t price)
{
    (void)decimal_text_format(out, price, view->found->levels.price_scale);
    return out;
}

static const char *edge_text(char out[DECIMAL_TEXT_BYTES_MAX], const struct book_view *view,
                             int side)
{
    (void)decimal_text_format(out, view->found->edge[side], view->found->edge_scale);
    return out;
}

static const char *quantity_text(char out[DECIMAL_TEXT_BYTES_MAX], const struct book_view *view,
                                 int64_t quantity)
{
    (void)decimal_text_format(out, quantity, view->found->levels.quantity_scale);
    return out;
}

static uint32_t shown(const struct ringtape_book *book, const struct book_view *view, int side)
{
    return view->count[side] < book->levels ? view->count[side] : (uint32_t)book->levels;
}

// ---- text ----

static void print_level(struct ringtape_table *table, const struct book_view *view, uint32_t at,
                        const uint32_t limit[2])
{
    char price[DECIMAL_TEXT_BYTES_MAX], quantity[DECIMAL_TEXT_BYTES_MAX];
    if (at < limit[0]) {
        const struct book_level *bid = &view->side[0][at];
        ringtape_table_cell(table, "%s", quantity_text(quantity, view, bid->quantity));
        ringtape_table_cell(table, "%s", price_text(price, view, bid->price));
    } else {
        ringtape_table_cell(table, "%s", "");
        ringtape_table_cell(table, "%s", "");
    }
    if (at < limit[1]) {
        const struct book_level *ask = &view->side[1][at];
        ringtape_table_cell(table, "%s", price_text(price, view, ask->price));
        ringtape_table_cell(table, "%s", quantity_text(quantity, view, ask->quantity));
    } else {
        ringtape_table_cell(table, "%s", "");
        ringtape_table_cell(table, "%s", "");
    }
}

static void print_origin(const struct ringtape_book *book, const struct book_found *found)
{
    char time[TIME_TEXT_BYTES_MAX], snapshot[TIME_TEXT_BYTES_MAX];
    time_text_format(time, found->time_ns, 9);
    (void)printf("%s as of %s", book->symbol, time);
    if (found->last_id != 0) (void)printf(", id %" PRId64, found->last_id);
    if (found->rebuilt) {
        time_text_format(snapshot, found->snapshot_ns, 9);
        (void)printf(": snapshot %" PRId64 " of %s and %" PRIu64 " updates", found->snapshot_id,
                     snapshot, found->updates);
    } else {
        (void)printf(": %s as the exchange sent it",
                     code_name(&channel_schema(CHANNEL_BOOK)->columns[BOOK_SOURCE],
                               found->source));
    }
    (void)putchar('\n');
}

static void print_edges(const struct book_view *view)
{
    static const char *const sides[] = {"bids below", "asks above"};
    char price[DECIMAL_TEXT_BYTES_MAX];
    for (int side = 0; side < 2; side++) {
        if (!view->found->cut[side]) continue;
        (void)printf("%s %s are known only as far as they were told\n", sides[side],
                     edge_text(price, view, side));
    }
}

static void print_text(const struct ringtape_book *book, const struct book_view *view)
{
    static const char *const headings[] = {">QUANTITY", ">BID", ">ASK", ">QUANTITY"};
    struct ringtape_table table;
    const uint32_t limit[2] = {shown(book, view, 0), shown(book, view, 1)};
    print_origin(book, view->found);
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    for (uint32_t i = 0; i < limit[0] || i < limit[1]; i++) print_level(&table, view, i, limit);
    ringtape_table_print(&table);
    ringtape_table_free(&table);
    (void)printf("%" PRIu32 " bids, %" PRIu32 " asks\n", view->count[0], view->count[1]);
    print_edges(view);
}

// ---- JSON ----

static void json_side(struct ringtape_json *json, const struct ringtape_book *book,
                      const struct book_view *view, int side)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    ringtape_json_array(json, side == 0 ? "bids" : "asks");
    for (uint32_t i = 0; i < shown(book, view, side); i++) {
        ringtape_json_array(json, NULL);
        ringtape_json_text(json, NULL, price_text(text, view, view->side[side][i].price));
        ringtape_json_text(json, NULL, quantity_text(text, view, view->side[side][i].quantity));
        ringtape_json_array_end(json);
    }
    ringtape_json_array_end(json);
}

static void json_edge(struct ringtape_json *json, const char *key, const struct book_view *view,
                      int side)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    if (view->found->cut[side])
        ringtape_json_text(json, key, edge_text(text, view, side));
    else
        ringtape_json_null(json, key);
}

static void print_json(const struct ringtape_book *book, const struct book_view *view)
{
    const struct book_found *found = view->found;
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_text(&json, "symbol", book->symbol);
    ringtape_json_time(&json, "time", found->time_ns);
    ringtape_json_text(&json, "source",
                       code_name(&channel_schema(CHANNEL_BOOK)->columns[BOOK_SOURCE],
                                 found->source));
    ringtape_json_bool(&json, "rebuilt", found->rebuilt);
    if (found->last_id != 0) ringtape_json_integer(&json, "last_id", found->last_id);
    if (found->rebuilt) {
        ringtape_json_integer(&json, "snapshot_id", found->snapshot_id);
        ringtape_json_time(&json, "snapshot_time", found->snapshot_ns);
        ringtape_json_count(&json, "updates", found->updates);
    }
    json_edge(&json, "bids_complete_to", view, 0);
    json_edge(&json, "asks_complete_to", view, 1);
    ringtape_json_count(&json, "bid_levels", view->count[0]);
    ringtape_json_count(&json, "ask_levels", view->count[1]);
    json_side(&json, book, view, 0);
    json_side(&json, book, view, 1);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

// ---- the command ----

static int show(const struct ringtape_book *book, const struct book_found *found)
{
    struct book_view view = {.found = found};
    int error = book_levels_sorted(&found->levels, 0, &view.side[0], &view.count[0]);
    if (error == 0) error = book_levels_sorted(&found->levels, 1, &view.side[1], &view.count[1]);
    if (error == 0 && book->json) print_json(book, &view);
    if (error == 0 && !book->json) print_text(book, &view);
    free(view.side[0]);
    free(view.side[1]);
    return error < 0 ? ringtape_fail("%s", ringtape_error_text(error)) : RINGTAPE_EXIT_OK;
}

static bool parse(struct ringtape_book *book, int argc, char **argv, int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(book->query),
        {.name = "at", .kind = RINGTAPE_OPTION_TIME, .target = &book->at_ns, .value = "TIME",
         .help = "the moment, by the exchange's clock; without: the last one stored"},
        {.name = "levels", .kind = RINGTAPE_OPTION_COUNT, .target = &book->levels, .value = "N",
         .help = "at most N levels a side are shown (20)"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &book->json,
         .help = "one JSON object"},
    };
    const struct ringtape_usage usage = {
        .command = "book",
        .purpose = "The order book of a symbol at a moment: the stored snapshot before it and the "
                   "updates\nsince, or where there is no depth the last book that the exchange "
                   "sent. Refused,\nwith exit code 1 and the reason, where something is missing "
                   "in between.",
        .argument = "EXCHANGE:NAME",
        .argument_target = &book->symbol,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    const char *colon = strchr(book->symbol, ':');
    if (colon != NULL && colon != book->symbol && colon[1] != 0 && colon[1] != '*') return true;
    (void)fprintf(stderr, "ringtape book: '%s': write EXCHANGE:NAME, as in binance:BTCUSDT\n",
                  book->symbol);
    return false;
}

int ringtape_book(int argc, char **argv)
{
    static struct ringtape_book book;
    struct book_found found;
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&book.query);
    book.at_ns = BOOK_NEWEST;
    book.levels = LEVELS_DEFAULT;
    if (!parse(&book, argc, argv, &exit_code)) return exit_code;
    exit_code = ringtape_store_open(&store, book.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    const int result = book_find(store, book.symbol, book.at_ns, &found);
    if (result == 1) {
        exit_code = show(&book, &found);
    } else if (result == 0) {
        (void)ringtape_fail("%s: %s", book.symbol, found.why);
        exit_code = RINGTAPE_EXIT_FOUND;
    } else {
        exit_code = ringtape_fail("%s: %s", book.query.store, ringtape_error_text(result));
    }
    book_found_free(&found);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
