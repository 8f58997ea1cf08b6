# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange-sim's REST side against its own truth file: what a careful client pages out of it is the
market, event by event, and its budgets are those of the exchanges."""

import asyncio
import json
import time
from collections import defaultdict
from decimal import Decimal

import pytest
import support
from exchange_sim_world import as_book, ask, fold
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

MICRO = {"X-MBX-TIME-UNIT": "MICROSECOND"}
PREFIX = {"binance": "/api/v3", "binance-usdm": "/fapi/v1"}


def pages(simulator, exchange, path, key, first):
    """All rows from an id on."""
    rows = []
    while True:
        page = ask(simulator, exchange, f"{path}&fromId={first}&limit=1000", MICRO)[1]
        if not page:
            return rows
        rows += page
        first = page[-1][key] + 1


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A market whose sending is over, its truth by exchange and stream, and its books."""
    folder = tmp_path_factory.mktemp("rest")
    with support.Simulator(
        "--symbols=binance:4",
        "--symbols=binance-usdm:3",
        "--symbols=upbit:4",
        "--rate=20000",
        "--messages=90000",
        "--whole-market",
        "--begin-streams=0",
        "--rest-budget=1000000",
        "--rest-budget=upbit:100000",
        f"--truth={folder / 'truth'}",
        f"--books={folder / 'books'}",
    ) as simulator:
        simulator.event("ended", 30)
        truth = defaultdict(list)
        for _, exchange, stream, payload in support.read_truth(folder / "truth"):
            truth[exchange, stream].append(json.loads(payload))
        books = [json.loads(line) for line in open(folder / "books", encoding="utf-8")]
        yield simulator, truth, books


def symbols(simulator, exchange):
    info = ask(simulator, exchange, f"{PREFIX[exchange]}/exchangeInfo")[1]
    return [s["symbol"] for s in info["symbols"]]


@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
def test_paged_trades_are_the_market(ended, exchange):
    simulator, truth, _ = ended
    for symbol in symbols(simulator, exchange):
        sent = truth[exchange, f"{symbol.lower()}@trade"]
        path = f"{PREFIX[exchange]}/historicalTrades?symbol={symbol}"
        rows = pages(simulator, exchange, path, "id", sent[0]["t"])
        assert [
            (r["id"], r["price"], r["qty"], r["time"], r["isBuyerMaker"]) for r in rows
        ] == [(t["t"], t["p"], t["q"], t["T"], t["m"]) for t in sent]
        for row in rows[:50]:
            assert Decimal(row["quoteQty"]) == Decimal(row["price"]) * Decimal(row["qty"])
        newest = ask(simulator, exchange, f"{PREFIX[exchange]}/trades?symbol={symbol}&limit=5")[1]
        assert [r["id"] for r in newest] == [t["t"] for t in sent[-5:]]
        assert newest[-1]["time"] < 10**13, "milliseconds unless asked otherwise"
        assert ("isBestMatch" in newest[0]) == (exchange == "binance")
        day = ask(simulator, exchange, f"{PREFIX[exchange]}/ticker/24hr?symbol={symbol}")[1]
        assert (day["firstId"], day["lastId"]) == (sent[0]["t"], sent[-1]["t"])
        assert day["count"] == len(sent)


@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
def test_paged_aggregate_trades_are_the_market(ended, exchange):
    simulator, truth, _ = ended
    keys = ["a", "p", "q", "f", "l", "T", "m"]
    for symbol in symbols(simulator, exchange):
        sent = truth[exchange, f"{symbol.lower()}@aggTrade"]
        path = f"{PREFIX[exchange]}/aggTrades?symbol={symbol}"
        cut = lambda rows: [[r[k] for k in keys] for r in rows]  # noqa: E731
        rows = pages(simulator, exchange, path, "a", sent[0]["a"])
        assert cut(rows) == cut(sent)
        unit = 1000 if exchange == "binance" else 1
        at = sent[len(sent) // 2]["T"] // unit
        inside = [a for a in sent if a["T"] // unit == at]
        found = ask(simulator, exchange, f"{path}&startTime={at}&endTime={at}&limit=1000", MICRO)
        assert cut(found[1]) == cut(inside)
        before = [a for a in sent if a["T"] // unit <= at]
        found = ask(simulator, exchange, f"{path}&endTime={at}&limit=7", MICRO)
        assert cut(found[1]) == cut(before[-7:])
        found = ask(simulator, exchange, f"{path}&fromId=1&startTime={at}")
        assert found[0] == 400 and found[1]["code"] == -1128


@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
def test_streams_of_one_market_agree(ended, exchange):
    """Trades without a hole, their aggregates and klines; depth makes the last book."""
    simulator, truth, books = ended
    for symbol in symbols(simulator, exchange):
        get = lambda channel: truth[exchange, f"{symbol.lower()}@{channel}"]  # noqa: E731,B023
        trades = {t["t"]: t for t in get("trade")}
        assert list(trades) == list(range(min(trades), max(trades) + 1))
        for agg in get("aggTrade"):
            parts = [trades[t] for t in range(agg["f"], agg["l"] + 1)]
            assert {p["p"] for p in parts} == {agg["p"]} and {p["T"] for p in parts} == {agg["T"]}
            assert sum(Decimal(p["q"]) for p in parts) == Decimal(agg["q"])
        ids = [a["a"] for a in get("aggTrade")]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        kline = get("kline_1m")[-1]["k"]
        parts = [trades[t] for t in range(kline["f"], kline["L"] + 1) if trades[t]["p"] != "0"]
        parts = [p for p in parts if Decimal(p["p"]) > 0]
        assert kline["n"] == len(parts)
        assert Decimal(kline["h"]) == max(Decimal(p["p"]) for p in parts)
        assert Decimal(kline["v"]) == sum(Decimal(p["q"]) for p in parts)
        assert Decimal(kline["q"]) == sum(Decimal(p["q"]) * Decimal(p["p"]) for p in parts)
        states = [b for b in books if (b["exchange"], b["symbol"]) == (exchange, symbol)]
        assert [b["at"] for b in states] == ["begin", "end"]
        fold(states[0], get("depth"))
        assert as_book(states[0]) == as_book(states[1])
        snapshot = ask(simulator, exchange, f"{PREFIX[exchange]}/depth?symbol={symbol}")[1]
        assert as_book(snapshot) == as_book(states[1])


def test_upbit_ticks_go_back_by_cursor(ended):
    simulator, truth, _ = ended
    for market in [m["market"] for m in ask(simulator, "upbit", "/v1/market/all")[1]]:
        sent = {t["sid"]: t for t in truth["upbit", f"{market}@trade"]}
        rows = ticks(simulator, market)
        assert [r["sequential_id"] for r in rows] == sorted(sent, reverse=True)
        for row in rows:
            trade = sent[row["sequential_id"]]
            assert (row["trade_price"], row["trade_volume"]) == (trade["tp"], trade["tv"])
            assert (row["timestamp"], row["ask_bid"]) == (trade["ttms"], trade["ab"])
            assert (row["trade_date_utc"], row["trade_time_utc"]) == (trade["td"], trade["ttm"])
        middle = rows[len(rows) // 2]
        if middle["trade_date_utc"] != time.strftime("%Y-%m-%d", time.gmtime()):
            continue
        to = middle["trade_time_utc"]
        page = ask(simulator, "upbit", f"/v1/trades/ticks?market={market}&count=500&to={to}")[1]
        compact = to.replace(":", "")
        again = ask(simulator, "upbit", f"/v1/trades/ticks?market={market}&count=500&to={compact}")
        assert page == again[1] and all(r["trade_time_utc"] < to for r in page)


def ticks(simulator, market):
    """The way back through the days: one of them may just have ended."""
    rows = []
    for days in ("", "&days_ago=1"):
        cursor = ""
        while True:
            path = f"/v1/trades/ticks?market={market}&count=500{cursor}{days}"
            page = ask(simulator, "upbit", path)[1]
            if not page:
                break
            rows += page
            cursor = f"&cursor={page[-1]['sequential_id']}"
    return rows


def test_upbit_books_tickers_and_errors(ended):
    simulator, _, _ = ended
    books = ask(simulator, "upbit", "/v1/orderbook?markets=KRW-BTC,KRW-ETH&count=5")[1]
    assert [b["market"] for b in books] == ["KRW-BTC", "KRW-ETH"]
    assert len(books[0]["orderbook_units"]) == 5
    ticker = ask(simulator, "upbit", "/v1/ticker?markets=KRW-BTC")[1][0]
    assert {"trade_price", "acc_trade_volume_24h", "change"} <= set(ticker)
    for path, status in (
        ("/v1/trades/ticks?market=KRW-NONE", 404),
        ("/v1/ticker?markets=KRW-NONE", 404),
        ("/v1/trades/ticks?market=KRW-BTC&count=501", 400),
        ("/v1/trades/ticks?market=KRW-BTC&days_ago=8", 400),
        ("/v1/trades/ticks?market=KRW-BTC&to=noon", 400),
    ):
        found, body, _ = ask(simulator, "upbit", path)
        assert found == status and body["error"]["name"] == status, path


def test_binance_errors_and_times(ended):
    simulator, _, _ = ended
    for path, code in (
        ("/api/v3/depth?symbol=NONE", -1121),
        ("/api/v3/depth", -1102),
        ("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x", -1100),
    ):
        status, body, _ = ask(simulator, "binance", path)
        assert status == 400 and body["code"] == code, path
    assert ask(simulator, "binance", "/api/v3/nothing")[0] == 404
    assert ask(simulator, "binance", "/api/v3/time", MICRO)[1]["serverTime"] > 10**15
    assert ask(simulator, "binance", "/api/v3/time")[1]["serverTime"] < 10**13


# ---- budgets ----


def test_weights_429_and_418():
    with support.Simulator(
        "--symbols=binance:2", "--symbols=binance-usdm:2", "--rest-budget=300", "--ban-seconds=7"
    ) as simulator:
        assert simulator.event("listening")["rest_budget"]["binance"] == 300
        used = 0
        for path, weight in (
            ("ping", 1),
            ("exchangeInfo", 20),
            ("depth?symbol=BTCUSDT&limit=100", 5),
            ("depth?symbol=BTCUSDT&limit=500", 25),
            ("depth?symbol=BTCUSDT&limit=1000", 50),
            ("ticker/24hr?symbol=BTCUSDT", 2),
            ("ticker/24hr", 80),
            ("historicalTrades?symbol=BTCUSDT", 25),
            ("aggTrades?symbol=BTCUSDT", 4),
        ):
            status, _, headers = ask(simulator, "binance", f"/api/v3/{path}")
            used = used + weight if int(headers["X-MBX-USED-WEIGHT-1M"]) > weight else weight
            assert status == 200 and int(headers["X-MBX-USED-WEIGHT-1M"]) == used, path
            assert headers["X-MBX-USED-WEIGHT"] == headers["X-MBX-USED-WEIGHT-1M"]
        info = ask(simulator, "binance", "/api/v3/exchangeInfo")[1]
        assert info["rateLimits"][0]["limit"] == 300
        for _ in range(5):
            status, body, headers = ask(simulator, "binance", "/api/v3/ticker/24hr")
            if status == 429:
                break
        assert status == 429 and body["code"] == -1003
        assert 1 <= int(headers["Retry-After"]) <= 60
        if int(headers["Retry-After"]) < 5:
            pytest.skip("the minute is about to end")
        statuses = [ask(simulator, "binance", "/api/v3/ping")[0] for _ in range(11)]
        assert statuses == [429] * 10 + [418], "who ignores it is banned"
        status, _, headers = ask(simulator, "binance", "/api/v3/ping")
        assert status == 418 and 1 <= int(headers["Retry-After"]) <= 7
        assert ask(simulator, "binance-usdm", "/fapi/v1/ping")[0] == 200, "its own budget"


def test_upbit_ten_a_second_and_group():
    with support.Simulator("--symbols=upbit:2") as simulator:
        replies = [ask(simulator, "upbit", "/v1/trades/ticks?market=KRW-BTC") for _ in range(14)]
        left = [r[2]["Remaining-Req"] for r in replies]
        assert all(text.startswith("group=crix-trades; min=600; sec=") for text in left)
        if time.time() % 1 > 0.2:  # all in one second, as a rule
            assert 429 in [r[0] for r in replies]
        limited = [r for r in replies if r[0] == 429]
        assert all(r[1]["error"]["name"] == 429 for r in limited)
        assert ask(simulator, "upbit", "/v1/ticker?markets=KRW-BTC")[0] == 200, "another group"
        time.sleep(1.1)
        assert ask(simulator, "upbit", "/v1/trades/ticks?market=KRW-BTC")[0] == 200


def test_limits_are_options():
    with support.Simulator(
        "--symbols=binance:2",
        "--limit=binance:connects=3",
        "--limit=binance:messages=2",
        "--limit=binance:streams=2",
    ) as simulator:

        async def talk():
            async with connect(simulator.url("binance", "/ws")) as s:
                params = ["a@trade", "b@trade", "c@trade"]
                await s.send(json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1}))
                assert json.loads(await s.recv())["code"] == 2
            async with connect(simulator.url("binance", "/ws")) as s:
                for _ in range(3):
                    await s.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 1}))
                with pytest.raises(ConnectionClosed):
                    while True:
                        await s.recv()
                assert s.close_code == 1008
            for _ in range(20):  # REST is another host: its connects do not count
                ask(simulator, "binance", "/api/v3/ping")
            async with connect(simulator.url("binance", "/ws")):
                pass
            with pytest.raises(InvalidStatus) as refused:
                async with connect(simulator.url("binance", "/ws")):
                    pass
            assert refused.value.response.status_code == 429

        asyncio.run(asyncio.wait_for(talk(), 30))


def test_history_is_bounded():
    """Never fewer than 512 of a symbol, never more than asked for of all."""
    with support.Simulator(
        "--symbols=binance:2",
        "--rate=20000",
        "--messages=60000",
        "--whole-market",
        "--channels=trade",
        "--begin-streams=0",
        "--history-trades=4000",
    ) as simulator:
        simulator.event("ended", 30)
        kept = 0
        for symbol in ("BTCUSDT", "ETHUSDT"):
            path = f"/api/v3/historicalTrades?symbol={symbol}"
            kept += (found := len(pages(simulator, "binance", path, "id", 0)))
            assert found >= 512
        assert 1024 <= kept <= 4000
