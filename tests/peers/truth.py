# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported rows against exchange-sim's truth file, at millions of rows: DuckDB cuts the numbers out
of the payloads as text (its JSON functions would take them through a double) and compares decimals.
expected.py does the same for fewer rows and every column."""

import dataclasses
import pathlib
import re

import duckdb

PRICE, QUANTITY = "DECIMAL(18,8)", "DECIMAL(38,12)"
VOLUME = "DECIMAL(38,16)"

# Columns of the file = expression over the payload p; k() is a key as text.
# A time is in ns; Binance sends microseconds as the daemon asks for them, futures milliseconds.
RULES = {
    ("binance", "trade"): {
        "symbol": "k('s')", "id": "k('t')::BIGINT", "price": f"k('p')::{PRICE}",
        "quantity": f"k('q')::{QUANTITY}", "trade_time_ns": "ns(k('T'))",
        "event_time_ns": "ns(k('E'))", "side": "if(k('m') = 'true', 'sell', 'buy')",
    },
    ("binance", "quote"): {
        "symbol": "k('s')", "id": "k('u')::BIGINT", "bid_price": f"k('b')::{PRICE}",
        "bid_quantity": f"k('B')::{QUANTITY}", "ask_price": f"k('a')::{PRICE}",
        "ask_quantity": f"k('A')::{QUANTITY}",
    },
    ("binance", "depth"): {
        "symbol": "k('s')", "first_id": "k('U')::BIGINT", "last_id": "k('u')::BIGINT",
        "event_time_ns": "ns(k('E'))",
    },
    ("binance", "ticker"): {
        "symbol": "k('s')", "event_time_ns": "ns(k('E'))", "last_price": f"k('c')::{PRICE}",
        "last_quantity": f"k('Q')::{QUANTITY}", "open": f"k('o')::{PRICE}",
        "high": f"k('h')::{PRICE}", "low": f"k('l')::{PRICE}", "volume": f"k('v')::{QUANTITY}",
        "quote_volume": f"k('q')::{VOLUME}", "weighted_average": f"k('w')::{PRICE}",
        "first_id": "k('F')::BIGINT", "last_id": "k('L')::BIGINT", "trades": "k('n')::BIGINT",
    },
    ("upbit", "trade"): {
        "symbol": "k('cd')", "id": "k('sid')::BIGINT", "price": f"k('tp')::{PRICE}",
        "quantity": f"k('tv')::{QUANTITY}", "trade_time_ns": "ns(k('ttms'))",
        "event_time_ns": "ns(k('tms'))", "side": "if(k('ab') = 'ASK', 'sell', 'buy')",
        "previous_close": f"k('pcp')::{PRICE}", "best_ask_price": f"k('bap')::{PRICE}",
        "best_bid_quantity": f"k('bbs')::{QUANTITY}",
    },
    ("upbit", "book"): {
        "symbol": "k('cd')", "event_time_ns": "ns(k('tms'))",
        "total_ask_quantity": f"k('tas')::{QUANTITY}",
        "total_bid_quantity": f"k('tbs')::{QUANTITY}",
    },
    ("upbit", "ticker"): {
        "symbol": "k('cd')", "event_time_ns": "ns(k('tms'))", "trade_time_ns": "ns(k('ttms'))",
        "last_price": f"k('tp')::{PRICE}", "change": f"k('scp')::{PRICE}",
        "change_rate": f"k('scr')::{VOLUME}", "volume": f"k('atv24h')::{QUANTITY}",
        "quote_volume": f"k('atp24h')::{VOLUME}",
    },
}  # fmt: skip
STREAMS = {
    "trade": "trade", "bookTicker": "quote", "depth": "depth", "ticker": "ticker",
    "orderbook": "book",
}  # fmt: skip
# Levels in the order of the message, as lists of (side, price, quantity).
LEVELS = {
    ("binance", "depth"): [("bid", "b", None, None), ("ask", "a", None, None)],
    ("upbit", "book"): [("ask", "obu", "ap", "as"), ("bid", "obu", "bp", "bs")],
}


@dataclasses.dataclass
class Result:
    exchange: str
    channel: str
    sent: int  # messages
    stored: int
    missing: int  # sent, but not stored as sent
    duplicated: int  # stored more often than sent
    wrong: int  # stored, never sent


def level_lists(exchange, channel):
    """Expressions of the lists of prices and quantities of each side, in order."""
    for side, key, price, quantity in LEVELS.get((exchange, channel), []):
        if (
            price is None
        ):  # "b":[["price","quantity"],...]: strings, which JSON functions leave alone
            prices = f"json_extract_string(p, '$.{key}[*][0]')"
            quantities = f"json_extract_string(p, '$.{key}[*][1]')"
        else:
            prices = f"""regexp_extract_all(p, '"{price}":([^,}}]*)', 1)"""
            quantities = f"""regexp_extract_all(p, '"{quantity}":([^,}}]*)', 1)"""
        yield f"{side}_prices", f"{prices}::{PRICE}[]"
        yield f"{side}_quantities", f"{quantities}::{QUANTITY}[]"


def stored_levels(exchange, channel):
    for side, *_ in LEVELS.get((exchange, channel), []):
        for what in ("price", "quantity"):
            name = f"{side}_{'prices' if what == 'price' else 'quantities'}"
            yield name, (f"coalesce(list({what} ORDER BY level_index) "
                         f"FILTER (side = '{side}'), [])")  # fmt: skip


def load_truth(db, path):
    db.execute("CREATE MACRO ns(t) AS if(t::BIGINT >= 100000000000000, t::BIGINT * 1000, "
               "t::BIGINT * 1000000)")  # fmt: skip
    # One column a line: the separator is a byte that no line holds.
    db.execute(
        "CREATE TABLE lines AS SELECT column0 AS line FROM read_csv(?, header=false,"
        r" auto_detect=false, delim='\x01', quote='', escape='', columns={'column0': 'VARCHAR'},"
        " max_line_size=1000000)",
        [str(path)],
    )
    db.execute(
        "CREATE TABLE truth AS SELECT parts[2] AS exchange, parts[3] AS stream,"
        " line[length(parts[1]) + length(parts[2]) + length(parts[3]) + 4:] AS p"
        " FROM (SELECT line, string_split(line[:120], ' ') AS parts FROM lines)"
    )
    db.execute("DROP TABLE lines")


def truth_query(exchange, channel):
    rules = {**RULES[exchange, channel], **dict(level_lists(exchange, channel))}
    stream = next(s for s, c in STREAMS.items() if c == channel)
    columns = ", ".join(f"{e} AS {n}" for n, e in rules.items())
    columns = re.sub(r"k\('(\w+)'\)", r"""regexp_extract(p, '"\1":"?([^",}]*)', 1)""", columns)
    return (f"SELECT {columns} FROM truth WHERE exchange = '{exchange}' "
            f"AND stream LIKE '%@{stream}'")  # fmt: skip


def stored_query(exchange, channel, folder):
    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning=false)"
    names = list(RULES[exchange, channel])
    levels = dict(stored_levels(exchange, channel))
    if not levels:
        return f"SELECT {', '.join(names)} FROM {files}"
    key = "tape, tape_row, " if channel == "book" else ""
    group = f"{key}{', '.join(names)}"
    lists = ", ".join(f"{e} AS {n}" for n, e in levels.items())
    inner = f"SELECT {group}, {lists} FROM {files} GROUP BY {group}"
    return f"SELECT {', '.join(names + list(levels))} FROM ({inner})"


def compare_channel(db, exchange, channel, folder):
    db.execute(f"CREATE OR REPLACE TABLE sent AS {truth_query(exchange, channel)}")
    if folder.is_dir():
        db.execute(f"CREATE OR REPLACE TABLE stored AS {stored_query(exchange, channel, folder)}")
    else:
        db.execute("CREATE OR REPLACE TABLE stored AS FROM sent LIMIT 0")
    one = lambda q: db.execute(q).fetchone()[0]  # noqa: E731
    missing = one("SELECT count(*) FROM (FROM sent EXCEPT ALL FROM stored)")
    surplus = one("SELECT count(*) FROM (FROM stored EXCEPT ALL FROM sent)")
    wrong = one("SELECT count(*) FROM (FROM stored EXCEPT FROM sent)")
    return Result(exchange, channel, one("SELECT count(*) FROM sent"),
                  one("SELECT count(*) FROM stored"), missing, surplus - wrong, wrong)  # fmt: skip


def compare(path, export):
    """A Result for each exchange and channel that either side has."""
    db = duckdb.connect()
    load_truth(db, path)
    results = []
    for exchange, channel in RULES:
        folder = pathlib.Path(export) / f"exchange={exchange}" / f"channel={channel}"
        result = compare_channel(db, exchange, channel, folder)
        if result.sent or result.stored:
            results.append(result)
    return results
