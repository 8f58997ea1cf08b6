# SPDX-License-Identifier: GPL-3.0-or-later
"""What exported rows must be, worked out from the messages by another way than ringtape's: json
and Decimal for the messages, pyarrow and DuckDB for the files."""

import ast
import gzip
import json
import pathlib
from collections import defaultdict
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Not a matter of the message: when and where it arrived.
OF_ARRIVAL = {"receive_time_ns", "link", "store", "tape", "tape_row"}
SNAPSHOT = 4  # bit of flags

# Wire key -> (column, kind) for values that stand in the row as they are.
SPOT_TICKER = {
    "p": "change", "P": "change_percent", "w": "weighted_average", "x": "previous_close",
    "c": "last_price", "Q": "last_quantity", "b": "bid_price", "B": "bid_quantity",
    "a": "ask_price", "A": "ask_quantity", "o": "open", "h": "high", "l": "low", "v": "volume",
    "q": "quote_volume", "F": "first_id", "L": "last_id", "n": "trades",
}  # fmt: skip
KLINE = {
    "f": "first_id", "L": "last_id", "o": "open", "c": "close", "h": "high", "l": "low",
    "v": "volume", "n": "trades", "q": "quote_volume", "V": "taker_buy_volume",
    "Q": "taker_buy_quote_volume", "x": "closed", "i": "interval",
}  # fmt: skip
UPBIT_TRADE = {
    "sid": "id", "tp": "price", "tv": "quantity", "pcp": "previous_close", "bap": "best_ask_price",
    "bas": "best_ask_quantity", "bbp": "best_bid_price", "bbs": "best_bid_quantity",
}  # fmt: skip
UPBIT_TICKER = {
    "op": "open", "hp": "high", "lp": "low", "tp": "last_price", "pcp": "previous_close",
    "scp": "change", "scr": "change_rate", "tv": "last_quantity", "atv": "day_volume",
    "atv24h": "volume", "atp": "day_quote_volume", "atp24h": "quote_volume",
    "aav": "day_ask_volume", "abv": "day_bid_volume", "h52wp": "high_52w",
    "h52wdt": "high_52w_date", "l52wp": "low_52w", "l52wdt": "low_52w_date", "ms": "market_state",
    "its": "suspended", "dd": "delisting_date", "mw": "market_warning",
}  # fmt: skip


def load(text):
    """A message whose numbers are Decimal and whole numbers int: nothing passes through a float."""
    return json.loads(text, parse_float=Decimal)


def nanoseconds(number):
    """Milliseconds or microseconds since 1970, told apart by their size."""
    return number * 1000 if number >= 10**14 else number * 1000000


def number(value):
    return Decimal(value) if isinstance(value, str) else value


def levels(message, bids, asks):
    for index, (price, quantity) in enumerate(message[bids]):
        yield index, "bid", Decimal(price), Decimal(quantity)
    for index, (price, quantity) in enumerate(message[asks], len(message[bids])):
        yield index, "ask", Decimal(price), Decimal(quantity)


def with_levels(row, found):
    """A row a level; a message without levels is one row."""
    names = ("level_index", "side", "price", "quantity")
    rows = [{**row, **dict(zip(names, level))} for level in found]
    return rows or [{**row, **dict.fromkeys(names)}]


def trade_like(m, columns):
    row = {
        "symbol": m["s"], "event_time_ns": nanoseconds(m["E"]),
        "trade_time_ns": nanoseconds(m["T"]), "ts_ns": nanoseconds(m["T"]),
        "price": Decimal(m["p"]), "quantity": Decimal(m["q"]),
        "side": "sell" if m["m"] else "buy", "best_match": m.get("M"),
    }  # fmt: skip
    return {**row, **{column: m.get(key) for key, column in columns.items()}}


def binance_quote(m):
    row = {
        "symbol": m["s"], "id": m["u"],
        "bid_price": Decimal(m["b"]), "bid_quantity": Decimal(m["B"]),
        "ask_price": Decimal(m["a"]), "ask_quantity": Decimal(m["A"]),
    }  # fmt: skip
    if "T" in m:
        row["transaction_time_ns"] = row["ts_ns"] = nanoseconds(m["T"])
        row["event_time_ns"] = nanoseconds(m["E"])
    return row


def binance_depth(m):
    row = {
        "symbol": m["s"], "event_time_ns": nanoseconds(m["E"]), "first_id": m["U"],
        "last_id": m["u"], "previous_id": m.get("pu"), "ts_ns": nanoseconds(m.get("T", m["E"])),
    }  # fmt: skip
    if "T" in m:
        row["transaction_time_ns"] = nanoseconds(m["T"])
    return with_levels(row, levels(m, "b", "a"))


def binance_kline(m):
    k = m["k"]
    row = {column: number(k[key]) if key not in "xi" else k[key] for key, column in KLINE.items()}
    row |= {
        "symbol": m["s"], "event_time_ns": nanoseconds(m["E"]), "ts_ns": nanoseconds(m["E"]),
        "open_time_ns": nanoseconds(k["t"]), "close_time_ns": nanoseconds(k["T"]),
        "ignored": None if k["B"] == "0" else k["B"],
    }  # fmt: skip
    return row


def binance_ticker(m):
    row = {column: number(m.get(key)) for key, column in SPOT_TICKER.items()}
    row |= {
        "symbol": m["s"], "event_time_ns": nanoseconds(m["E"]), "ts_ns": nanoseconds(m["E"]),
        "open_time_ns": nanoseconds(m["O"]), "close_time_ns": nanoseconds(m["C"]),
    }  # fmt: skip
    return row


def binance_rows(m):
    """(channel, rows) of one event, unwrapped."""
    kind = m.get("e", "bookTicker" if "B" in m else None)
    if kind == "trade":
        return "trade", [trade_like(m, {"t": "id", "X": "kind"})]
    if kind == "aggTrade":
        return "agg_trade", [
            trade_like(m, {"a": "id", "f": "first_id", "l": "last_id", "nq": "normal_quantity"})
        ]
    if kind == "bookTicker":
        return "quote", [binance_quote(m)]
    if kind == "depthUpdate":
        return "depth", binance_depth(m)
    if kind == "kline":
        return "kline", [binance_kline(m)]
    assert kind == "24hrTicker", f"no rule for {m}"
    return "ticker", [binance_ticker(m)]


def upbit_rows(m):
    """(channel, rows) of one event in the SIMPLE format."""
    flags = SNAPSHOT if m["st"] == "SNAPSHOT" else 0
    row = {"symbol": m["cd"], "event_time_ns": nanoseconds(m["tms"]), "flags": flags}
    side = {"ASK": "sell", "BID": "buy", None: None}[m.get("ab")]
    if m["ty"] == "orderbook":
        row |= {
            "source": "orderbook", "total_ask_quantity": m["tas"], "total_bid_quantity": m["tbs"],
            "grouping": m.get("lv"), "ts_ns": row["event_time_ns"],
        }  # fmt: skip
        found = []
        for index, unit in enumerate(m["obu"]):
            found.append((2 * index, "ask", unit["ap"], unit["as"]))
            found.append((2 * index + 1, "bid", unit["bp"], unit["bs"]))
        return "book", with_levels(row, found)
    row |= {"trade_time_ns": nanoseconds(m["ttms"]), "side": side}
    if m["ty"] == "trade":
        row["ts_ns"] = row["trade_time_ns"]
        return "trade", [{**row, **{column: m.get(key) for key, column in UPBIT_TRADE.items()}}]
    assert m["ty"] == "ticker", f"no rule for {m}"
    row["ts_ns"] = row["event_time_ns"]
    return "ticker", [{**row, **{column: m.get(key) for key, column in UPBIT_TICKER.items()}}]


def rows_of(exchange, message):
    channel, rows = (upbit_rows if exchange == "upbit" else binance_rows)(message)
    for row in rows:
        row.setdefault("flags", 0)
    return channel, rows


class Expected:
    """Rows by exchange and channel."""

    def __init__(self):
        self.rows = defaultdict(list)

    def add(self, exchange, message):
        channel, rows = rows_of(exchange, message)
        self.rows[exchange, channel].extend(rows)


def capture_messages(path):
    """The events of a recording, unwrapped, in order: (stream or None, message). Written apart from
    the simulator's reader."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            text = line.strip()
            if not text or text.startswith(("configuration:", "ws", "http")):
                continue
            if text[0] != "{":
                text = text.split(" ", 1)[1]
            if text.startswith("b'"):
                text = ast.literal_eval(text).decode()
            message = load(text)
            if "lastUpdateId" in message:
                continue
            yield message.get("stream"), message.get("data", message)


# ---- comparing ----


def folders(export):
    """{(exchange, channel): folder} of an export."""
    found = {}
    for exchange in pathlib.Path(export).glob("exchange=*"):
        for channel in exchange.glob("channel=*"):
            found[exchange.name.split("=", 1)[1], channel.name.split("=", 1)[1]] = channel
    return found


def read_files(folder):
    files = sorted(str(f) for f in folder.rglob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(f).read() for f in files]), files


def plain(table):
    """Without dictionaries, sorted by all that is not of arrival."""
    columns, names = [], [n for n in table.column_names if n not in OF_ARRIVAL and n != "ts"]
    for name in names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        columns.append(column)
    table = pa.table(columns, names=names).combine_chunks()
    return table.sort_by([(name, "ascending") for name in names])


def expected_table(rows, schema):
    names = [f.name for f in schema]
    for row in rows:
        unknown = set(row) - set(names)
        assert not {k for k in unknown if row[k] is not None}, f"no column for {unknown}"
    arrays = [pa.array([row.get(f.name) for row in rows], type=f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def difference(expected, stored):
    """The first rows that only one side has, for people."""
    left = expected.to_pylist()
    right = stored.to_pylist()
    text = [f"{len(left)} rows expected, {len(right)} stored"]
    for a, b in zip(left, right):
        if a != b:
            text += [f"{k}: expected {a[k]!r}, stored {b[k]!r}" for k in a if a[k] != b[k]]
            text.append(f"in {a}")
            break
    return "\n".join(text)


def same(expected, stored):
    if not expected.schema.equals(stored.schema):
        stored = stored.cast(expected.schema)
    assert expected.equals(stored), difference(expected, stored)


def compare(expected, export):
    """Every row and column, by pyarrow and by DuckDB. Returns the number of rows compared."""
    count = 0
    found = folders(export)
    missing = [key for key in expected.rows if key not in found]
    assert not missing, f"nothing was exported of {missing}"
    for (exchange, channel), folder in sorted(found.items()):
        if channel in ("status", "instrument"):
            continue
        rows = expected.rows.get((exchange, channel), [])
        table, files = read_files(folder)
        stored = plain(table)
        # The time of a row without any time of the exchange is that of its arrival.
        if rows and all("ts_ns" not in row for row in rows):
            assert table["ts_ns"].equals(table["receive_time_ns"])
            stored = stored.drop_columns("ts_ns")
        wanted = plain(expected_table(rows, stored.schema))
        same(wanted, stored)
        assert pc.all(
            pc.equal(pc.cast(pc.floor(pc.divide(table["ts_ns"], 1000)), pa.int64()),
                     pc.cast(pc.cast(table["ts"], pa.timestamp("us")), pa.int64()))
        ).as_py()  # fmt: skip
        columns = ", ".join(f'"{n}"' for n in stored.column_names)
        query = duckdb.sql(
            f"SELECT {columns} FROM read_parquet({files!r}, hive_partitioning=false)"
        )
        same(wanted, plain(query.to_arrow_table()))
        count += len(rows)
    return count
