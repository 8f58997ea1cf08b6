#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds of the fuzzers whose inputs are made up: `tests/fuzz/seeds.py` writes them anew into
tests/fuzz/corpus, the same bytes every time. What the fuzzers find from there on is minimised and
added by `tools/dev fuzz NAME --minimise`."""

import json
import pathlib
import random

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


if __name__ == "__main__":
    rest_seeds()
    message_seeds()
