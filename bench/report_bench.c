// SPDX-License-Identifier: GPL-3.0-or-later
//
// What bench/report.py reads: a store of one made-up day, written as fast as it can be.
//
//     report_bench FOLDER DATE SYMBOLS TRADES QUOTES
//     report_bench --smoke                  makes a small one and removes it
#include <ftw.h>

#include "tests/market_store.h"

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *place)
{
    (void)what;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    if (argc == 6) {
        market_day(argv[1], argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
                   strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
        return 0;
    }
    char folder[] = "/tmp/report-bench-XXXXXX";
    ensure(mkdtemp(folder) != NULL);
    market_day(folder, "2026-11-26", 20, 5000, 5000);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
