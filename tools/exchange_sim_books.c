// SPDX-License-Identifier: GPL-3.0-or-later
//
// A book is written as REST would answer it, all levels.
#include "tools/exchange_sim_books.h"

#include <inttypes.h>

#include "format/ensure.h"

bool exchange_sim_books_open(struct exchange_sim_books *books, const char *path)
{
    *books = (struct exchange_sim_books){0};
    if (path == NULL)
        return true;
    books->file = fopen(path, "we");
    return books->file != NULL;
}

bool exchange_sim_books_close(struct exchange_sim_books *books)
{
    if (books->file == NULL)
        return true;
    bool const written = ferror(books->file) == 0;
    return fclose(books->file) == 0 && written;
}

void exchange_sim_books_symbol(struct exchange_sim_books *books,
                               const struct exchange_sim_market *market, uint32_t number,
                               const char *at, int64_t utc_ns)
{
    static char levels[MARKET_EVENT_SIZE_MAX];
    const struct exchange_sim_market_symbol *symbol = exchange_sim_market_symbol(market, number);
    if (books == NULL || books->file == NULL || symbol->exchange == EXCHANGE_SIM_UPBIT)
        return;
    struct exchange_sim_text text = exchange_sim_text(levels, sizeof levels);
    exchange_sim_market_render_levels(symbol, MARKET_LEVELS, &text);
    ensure(!text.full);
    (void)fprintf(books->file,
                  "{\"at\":\"%s\",\"time_ns\":%" PRId64 ",\"exchange\":\"%s\",\"symbol\":\"%s\","
                  "\"lastUpdateId\":%" PRId64 ",%.*s}\n",
                  at, utc_ns, exchange_sim_exchange_name(symbol->exchange), symbol->name,
                  symbol->book_id, (int)exchange_sim_text_size(&text), levels);
}

void exchange_sim_books_all(struct exchange_sim_books *books,
                            const struct exchange_sim_market *market, const char *at,
                            int64_t utc_ns)
{
    ensure(at != NULL);
    for (uint32_t i = 0; i < exchange_sim_market_count(market); i++)
        if (!exchange_sim_market_symbol(market, i)->reserve)
            exchange_sim_books_symbol(books, market, i, at, utc_ns);
    if (books != NULL && books->file != NULL)
        (void)fflush(books->file);
}
