#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds of the fuzzers whose inputs are made up: `tests/fuzz/seeds.py` writes them anew into
tests/fuzz/corpus, the same bytes every time. What the fuzzers find from there on is minimised and
added by `tools/dev fuzz NAME --minimise`."""

import json
import pathlib
import random
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
NOW_MS = 1795759162304
EXCHANGES = {"binance": 0, "usdm": 1, "upbit": 2}
KINDS = {"trades": 0, "agg_trades": 1, "depth": 2, "last_ids": 3}


def write(fuzzer, name, content):
    path = CORPUS / fuzzer / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def question(exchange, kind):
    """The first byte of rest_fuzz: which exchange is asked for what."""
    return bytes([EXCHANGES[exchange] + 3 * KINDS[kind]])


def rest(exchange, kind, name, answer):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    write("rest", f"{exchange}_{kind}_{name}", question(exchange, kind) + body)


def binance_trade(number, unit):
    return {
        "id": 2234748348 + number,
        "price": "0.00008177",
        "qty": "100.5",
        "quoteQty": "0.008",
        "time": NOW_MS * unit + number,
        "isBuyerMaker": number % 2 == 0,
        "isBestMatch": True,
    }


def agg_trade(number, more):
    row = {
        "a": 26129 + number,
        "p": "0.01633102",
        "q": "4.70443515",
        "f": 27781,
        "l": 27781 + number,
        "T": NOW_MS * 1000,
        "m": True,
    }
    return {**row, **more}


def upbit_tick(number):
    return {
        "market": "KRW-BTC",
        "trade_date_utc": "2026-11-27",
        "trade_time_utc": "00:00:01",
        "timestamp": NOW_MS,
        "trade_price": 61837000.5,
        "trade_volume": 0.00012345,
        "prev_closing_price": 61000000,
        "change_price": 1.0,
        "ask_bid": "ASK" if number else "BID",
        "sequential_id": 17327591620001 + number,
    }


def rest_seeds():
    rest("binance", "trades", "two", [binance_trade(n, 1000) for n in range(2)])
    rest("usdm", "trades", "two", [binance_trade(n, 1) for n in range(2)])
    rest("upbit", "trades", "two", [upbit_tick(n) for n in range(2)])
    rest("upbit", "trades", "refused", {"error": {"name": 404, "message": "Code not found"}})
    rest("binance", "agg_trades", "two", [agg_trade(n, {"M": True}) for n in range(2)])
    rest("usdm", "agg_trades", "two", [agg_trade(n, {"nq": "1.5"}) for n in range(2)])
    rest("binance", "agg_trades", "refused", {"code": -1121, "msg": "Invalid symbol."})
    rest("binance", "agg_trades", "none", [])
    sides = {"bids": [["61837.63", "3.5"], ["61837.62", "0.1"]], "asks": [["61838.00", "1"]]}
    rest("binance", "depth", "book", {"lastUpdateId": 1027024, **sides})
    times = {"E": NOW_MS, "T": NOW_MS - 3}
    rest("usdm", "depth", "book", {"lastUpdateId": 1027024, **times, **sides})
    ids = [{"symbol": "BTCUSDT", "lastId": 76}, {"symbol": "HALTED", "lastId": -1}]
    rest("binance", "last_ids", "two", ids)
    rest("usdm", "last_ids", "none", [{"symbol": "BTCUSDT"}])
    rest("binance", "trades", "numbers", b'[{"id":1e3,"price":1E-8,"qty":"1e2","time":1}]')


def message_seeds():
    """A row of each channel, its cells at random; message_fuzz reads any bytes as one."""
    source = random.Random(10)
    for channel in range(12):
        head = bytes([6]) + b"s:BTCU" + bytes([2, 0, 9, 3, 1, 2, 3, channel])
        cells = bytes(source.choice([1, 2, 5, 9, 13, 65, 200]) for _ in range(300))
        write("message", f"channel_{channel + 1:02}", head + cells)


BYTES, REPLY, TIME, ENDS, ASK, CANCEL, CUT, HANG_UP = range(8)


def said(text):
    """The server says these bytes, 255 at a time."""
    pieces = [text[n : n + 255] for n in range(0, len(text), 255)]
    return b"".join(bytes([BYTES, len(piece)]) + piece for piece in pieces)


def rest_client(name, options, *commands):
    script = b"".join(c if isinstance(c, bytes) else bytes([c]) for c in commands)
    write("rest_client", name, bytes([options, 1]) + script)


def rest_client_seeds():
    keep, post, splits = 1, 2, 4
    length = said(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    chunks = said(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    close = said(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    limited = said(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    much = 9 << 3
    rest_client("length", splits, length, TIME, ASK, length)
    rest_client("kept", keep, REPLY | much, TIME, ASK, REPLY, TIME | 31 << 3, ASK, REPLY)
    rest_client("kept_ended", keep, REPLY | much, TIME, ASK, ENDS, TIME, REPLY | much, TIME)
    rest_client("chunked", splits | keep, chunks, TIME, ASK, chunks[:20], TIME, ENDS)
    rest_client("until_close", 0, close, ENDS, TIME | much, ASK, close, TIME | 31 << 3)
    rest_client("post", post, said(b"HTTP/1.1 204 No\r\n\r\n"), TIME, ASK, limited, TIME)
    rest_client("cut", keep, REPLY, TIME, ASK, CUT | 8, TIME, REPLY, TIME, HANG_UP, TIME, ASK)
    rest_client("cancelled", keep, CANCEL, TIME, ASK, said(b"HTTP/1.1 1"), CANCEL, TIME, ASK)
    rest_client("interim", 0, said(b"HTTP/1.1 100 C\r\n\r\n"), length, TIME)


TIMES = {
    "date": "2000-02-29",
    "minutes": "2024-08-08 12:00",
    "whole": "2024-02-29T00:00:00.123456789Z",
    "zone": "2024-08-08T08:30:00.5-03:30",
    "before_1970": "1969-12-31t23:59:59.999999999z",
    "first": "1677-09-21T00:12:43.145224192Z",
    "behind_the_last": "2262-04-11T23:47:16.854775808Z",
    "relative": "-1h30m",
    "units": "+1d2h3m4s5ms6us7ns",
    "overflow": "-9223372036854775807d",
    "no_leap_year": "1900-02-29",
}


def time_text_seeds():
    for name, text in TIMES.items():
        write("time_text", name, text.encode())


def statistics_seeds():
    """First byte: 1, the slots get right heads; 2, the file is whole, else the second byte counts
    its pieces of 512 bytes. From the second byte on it is what fills the file."""
    sealed, whole = 1, 2
    counts = struct.pack("<8Q", 1, 2, 3, 255, 65536, 1 << 32, 1 << 63, 0)
    write("statistics", "zeros", bytes([sealed | whole, 0]))
    write("statistics", "counts", bytes([sealed | whole]) + counts)
    write("statistics", "small_counts", bytes([sealed | whole]) + struct.pack("<4I", 1, 0, 2, 0))
    write("statistics", "ones", bytes([sealed | whole, 255]))
    write("statistics", "cut", bytes([sealed, 3]) + counts)
    version = struct.pack("<II", 99, 1)
    write("statistics", "another_version", bytes([whole]) + b"RTSTAT\r\n" + version + counts)


def tls_record_seeds():
    """First byte: the cut; then pairs of kind (of four: untrue, a message, data, padded data) and
    size."""
    untrue, message, data, padded = 20, 1, 2, 23
    tail = bytes([data, 7])

    def records(name, cut, *pairs, end=tail):
        write("tls_record", name, bytes([cut]) + b"".join(bytes(pair) for pair in pairs) + end)

    records("data", 255, (data, 100), (data, 1), (data, 255))
    records("bytewise", 0, (data, 40), (padded, 3))
    records("padded", 3, (padded, 20), (251, 0), (255, 200))
    records("messages", 2, (data, 5), (message, 40), (message, 0), (data, 5))
    records("nothing_in_it", 9, (data, 0), (padded, 0), (data, 9))
    records("untrue", 1, (data, 9), (untrue, 6), (3, 3), (0, 1), (data, 30))
    # A header that promises more than there is, and one more than may be.
    records("promises", 255, (untrue, 5), end=bytes([3, 1, 0]) + tail)
    records("too_large", 255, (untrue, 5), end=bytes([3, 255, 255]) + tail)


if __name__ == "__main__":
    rest_client_seeds()
    rest_seeds()
    message_seeds()
    statistics_seeds()
    time_text_seeds()
    tls_record_seeds()
