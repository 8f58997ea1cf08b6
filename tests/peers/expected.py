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
LEVEL = ("level_index", "side", "price", "quantity")

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


def with_levels(row, sides, prices, quantities):
    """A message with levels: its own values, and a row a level. Without levels it is one row."""
    if not prices:
        return row, dict.fromkeys(LEVEL, [None])
    return row, dict(zip(LEVEL, (range(len(prices)), sides, prices, quantities)))


def binance_levels(row, bids, asks):
    both = bids + asks
    return with_levels(
        row,
        ["bid"] * len(bids) + ["ask"] * len(asks),
        [Decimal(price) for price, _ in both],
        [Decimal(quantity) for _, quantity in both],
    )


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
    return binance_levels(row, m["b"], m["a"])


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
    """(channel, (values, values by level)) of one event, unwrapped."""
    kind = m.get("e", "bookTicker" if "B" in m else None)
    if kind == "trade":
        return "trade", (trade_like(m, {"t": "id", "X": "kind"}), {})
    if kind == "aggTrade":
        keys = {"a": "id", "f": "first_id", "l": "last_id", "nq": "normal_quantity"}
        return "agg_trade", (trade_like(m, keys), {})
    if kind == "bookTicker":
        return "quote", (binance_quote(m), {})
    if kind == "depthUpdate":
        return "depth", binance_depth(m)
    if kind == "kline":
        return "kline", (binance_kline(m), {})
    assert kind == "24hrTicker", f"no rule for {m}"
    return "ticker", (binance_ticker(m), {})


def upbit_rows(m):
    """The same of one event in the SIMPLE format."""
    flags = SNAPSHOT if m["st"] == "SNAPSHOT" else 0
    row = {"symbol": m["cd"], "event_time_ns": nanoseconds(m["tms"]), "flags": flags}
    side = {"ASK": "sell", "BID": "buy", None: None}[m.get("ab")]
    if m["ty"] == "orderbook":
        row |= {
            "source": "orderbook", "total_ask_quantity": m["tas"], "total_bid_quantity": m["tbs"],
            "grouping": m.get("lv"), "ts_ns": row["event_time_ns"],
        }  # fmt: skip
        units = m["obu"]
        prices = [unit[key] for unit in units for key in ("ap", "bp")]
        quantities = [unit[key] for unit in units for key in ("as", "bs")]
        return "book", with_levels(row, ["ask", "bid"] * len(units), prices, quantities)
    row |= {"trade_time_ns": nanoseconds(m["ttms"]), "side": side}
    if m["ty"] == "trade":
        row["ts_ns"] = row["trade_time_ns"]
        return "trade", ({**row, **{c: m.get(key) for key, c in UPBIT_TRADE.items()}}, {})
    assert m["ty"] == "ticker", f"no rule for {m}"
    row["ts_ns"] = row["event_time_ns"]
    return "ticker", ({**row, **{c: m.get(key) for key, c in UPBIT_TICKER.items()}}, {})


def rows_of(exchange, message):
    channel, (row, each) = (upbit_rows if exchange == "upbit" else binance_rows)(message)
    row.setdefault("flags", 0)
    return channel, (row, each)


class Expected:
    """Rows by exchange and channel, kept as columns: {name: values}."""

    def __init__(self):
        self.columns = defaultdict(dict)
        self.counts = defaultdict(int)

    def add(self, exchange, message):
        channel, rows = rows_of(exchange, message)
        columns, count = self.columns[exchange, channel], self.counts[exchange, channel]
        row, each = rows
        length = len(next(iter(each.values()))) if each else 1
        for name, value in row.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [None] * count
            column.extend([value] * length)
        for name, values in each.items():
            columns.setdefault(name, []).extend(values)
        self.counts[exchange, channel] = count + length
        for column in columns.values():
            if len(column) < count + length:
                column.extend([None] * (count + length - len(column)))


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


FIRST_KEYS = ("symbol", "id", "last_id", "event_time_ns", "level_index")


def plain(table):
    """Without dictionaries, sorted by all that is not of arrival; what tells most comes first."""
    columns, names = [], [n for n in table.column_names if n not in OF_ARRIVAL and n != "ts"]
    for name in names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        columns.append(column)
    table = pa.table(columns, names=names).combine_chunks()
    keys = [n for n in FIRST_KEYS if n in names]
    keys += [n for n in names if n not in keys]
    return table.sort_by([(name, "ascending") for name in keys])


def expected_table(columns, count, schema):
    names = [f.name for f in schema]
    for name in set(columns) - set(names):
        assert not any(v is not None for v in columns[name]), f"no column for {name}"
    nothing = [None] * count
    arrays = [pa.array(columns.get(f.name, nothing), type=f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def difference(expected, stored):
    """The first rows that only one side has, for people."""
    text = [f"{expected.num_rows} rows expected, {stored.num_rows} stored"]
    for start in range(0, expected.num_rows, 10000):
        left, right = expected.slice(start, 10000), stored.slice(start, 10000)
        if left.equals(right):
            continue
        for a, b in zip(left.to_pylist(), right.to_pylist()):
            if a != b:
                text += [f"{k}: expected {a[k]!r}, stored {b[k]!r}" for k in a if a[k] != b[k]]
                return "\n".join([*text, f"in {a}"])
    return "\n".join(text)


def same(expected, stored):
    if not expected.schema.equals(stored.schema):
        stored = stored.cast(expected.schema)
    assert expected.equals(stored), difference(expected, stored)


def compare(expected, export):
    """Every row and column, by pyarrow and by DuckDB. Returns the number of rows compared."""
    total = 0
    found = folders(export)
    missing = [key for key in expected.columns if key not in found]
    assert not missing, f"nothing was exported of {missing}"
    for key, folder in sorted(found.items()):
        if key[1] in ("status", "instrument", "candle", "alert"):
            continue
        columns, count = expected.columns.get(key, {}), expected.counts.get(key, 0)
        table, files = read_files(folder)
        if key[1] == "book" and key not in expected.columns:
            # Snapshots that ringtaped asked for by REST, to know where depth begins.
            assert set(pc.cast(table["source"], pa.string()).to_pylist()) == {"rest"}
            continue
        stored = plain(table)
        assert pc.all(pc.equal(microseconds(table), pc.cast(table["ts"], pa.int64()))).as_py()
        # The time of a row without any time of the exchange is that of its arrival.
        if count > 0 and "ts_ns" not in columns:
            assert table["ts_ns"].equals(table["receive_time_ns"])
            stored = stored.drop_columns("ts_ns")
        wanted = plain(expected_table(columns, count, stored.schema))
        same(wanted, stored)
        names = ", ".join(f'"{n}"' for n in stored.column_names)
        query = duckdb.sql(f"SELECT {names} FROM read_parquet({files!r}, hive_partitioning=false)")
        same(wanted, plain(query.to_arrow_table()))
        total += count
    return total


def microseconds(table):
    return pc.divide(pc.cast(table["ts_ns"], pa.int64()), 1000)
