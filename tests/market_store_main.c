// SPDX-License-Identifier: GPL-3.0-or-later
//
// market_store FOLDER odd MONDAY
// market_store FOLDER day DATE SYMBOLS TRADES QUOTES
//
// A store of market_store.h, for tests of the toolbox. Without arguments: makes one and removes it.
#include "tests/market_store.h"

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[2], "odd") == 0) {
        market_odd(argv[1], argv[3]);
        return 0;
    }
    if (argc == 7 && strcmp(argv[2], "day") == 0) {
        market_day(argv[1], argv[3], (uint32_t)strtoul(argv[4], NULL, 10),
                   strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10));
        return 0;
    }
    char folder[] = "/tmp/market-store-XXXXXX", command[128];
    ensure(mkdtemp(folder) != NULL);
    market_odd(folder, "2024-08-05");
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
