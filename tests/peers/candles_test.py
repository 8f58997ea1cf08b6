# SPDX-License-Identifier: GPL-3.0-or-later
"""Candles: what the daemon stored equals what `ringtape candles` makes of the stored trades, and
what is made here by another way; the exchanges' own candles are reproduced to the last digit."""

import collections
import csv
import gzip
import io
import json
import time
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
import support

DATA = support.REAL_DATA
MINUTE = 60 * 10**9
INTERVALS = {"1m": 1, "5m": 5, "15m": 15}
NUMBERS = ["open", "high", "low", "close", "volume", "quote_volume", "quote_volume_rest",
           "taker_buy_volume", "vwap", "vwap_rest"]  # fmt: skip
real = pytest.mark.skipif(not DATA.is_dir(), reason="no recordings; set RINGTAPE_REAL_DATA")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def identity(row):
    return row["symbol"], row["interval"], row["open_time"], int(row["revision"])


def content(row):
    """All that a candle says, but for when and with what spelling it was written."""
    cells = {key: value for key, value in row.items() if key not in ("receive_time", "link")}
    for name in NUMBERS:
        cells[name] = Decimal(cells[name]) if cells[name] != "" else None
    return cells


def stored(store):
    return rows(support.ringtape("cat", "--store", store, "--channel", "candle"))


def computed(store, interval, as_of, *more):
    return rows(
        support.ringtape(
            "candles", "--store", store, "--interval", interval, "--as-of", as_of, *more
        )
    )


def compare(store):
    """Stored and computed candles are the same, revision by revision. How many there are."""
    kept = {identity(row): content(row) for row in stored(store)}
    assert len(kept) == len(stored(store)), "no revision twice"
    for interval in INTERVALS:
        mine = {key: row for key, row in kept.items() if key[1] == interval}
        assert {identity(r): content(r) for r in computed(store, interval, "all")} == mine
        first = {key: row for key, row in mine.items() if key[3] == 0}
        assert {identity(r): content(r) for r in computed(store, interval, "first")} == first
        last = {}
        for key in sorted(mine):
            last[key[:3]] = mine[key]
        found = {identity(r)[:3]: content(r) for r in computed(store, interval, "last")}
        assert found == last
    return len(kept)


def nanoseconds(text):
    """Of a time as ringtape prints it, without losing digits."""
    seconds, _, rest = text.rstrip("Z").partition(".")
    import calendar

    return (
        calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9
        + int(rest.ljust(9, "0"))
    )


def define(trades, minutes):
    """Candles by definition, with Python's decimals: {(symbol, open ns): candle}."""
    groups = collections.defaultdict(list)
    for trade in trades:
        opened = nanoseconds(trade["trade_time"]) // (minutes * MINUTE) * minutes * MINUTE
        groups[trade["symbol"], opened].append(trade)
    found = {}
    with localcontext(Context(prec=100)):
        for key, group in groups.items():
            group.sort(key=lambda t: (nanoseconds(t["trade_time"]), int(t["id"])))
            prices = [Decimal(t["price"]) for t in group]
            sizes = [Decimal(t["quantity"]) for t in group]
            quote = sum(p * q for p, q in zip(prices, sizes))
            found[key] = {
                "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1],
                "volume": sum(sizes), "quote_volume": quote, "trades": len(group),
                "taker_buy_volume": sum(q for q, t in zip(sizes, group) if t["side"] == "buy"),
                "vwap": (quote / sum(sizes)).quantize(Decimal("1e-12"), ROUND_HALF_EVEN),
                "first_id": int(group[0]["id"]), "last_id": int(group[-1]["id"]),
            }  # fmt: skip
    return found


def value(row):
    """A candle row as define() makes them."""
    found = {n: Decimal(row[n]) for n in ("open", "high", "low", "close", "volume")}
    found["taker_buy_volume"] = Decimal(row["taker_buy_volume"])
    for name in ("quote_volume", "vwap"):
        found[name] = Decimal(row[name]) + Decimal(row[name + "_rest"] or 0)
    return found | {n: int(row[n]) for n in ("trades", "first_id", "last_id")}


def opened(row):
    return row["symbol"], nanoseconds(row["open_time"])


def counts(trade):
    return trade["kind"] in ("", "MARKET") and Decimal(trade["price"]) != 0


def check_defined(store):
    trades = rows(support.ringtape("cat", "--store", store, "--channel", "trade"))
    trades = [t for t in trades if counts(t)]
    for interval, minutes in INTERVALS.items():
        found = {opened(r): value(r) for r in computed(store, interval, "last")}
        assert found == define(trades, minutes)


def record(path, exchange, channels, symbols, folder, top=None, settle=1, **options):
    """Records a capture with plain links and waits until all its candles are out."""
    with support.Simulator(
        f"--capture={exchange}:{path}", "--rate=50000",
        f"--begin-streams={len(channels) * len(symbols)}",
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, exchange, channels, symbols, **options)
        store = folder / "store"
        with support.Ringtaped(folder / "config.yaml", store, [feed], top=top) as daemon:
            count = simulator.event("ended", 120)["sent"]
            daemon.settle(count * settle)
            time.sleep(1.3)  # candles of late trades come at the next whole second
            counters = daemon.counters()
            assert daemon.terminate() == 0, daemon.errors
    return store, counters


# ---- stored and computed ----


@real
@pytest.mark.parametrize("name, exchange, symbol", [
    ("hftbacktest_spot_btcusdt_20240808.gz", "binance", "BTCUSDT"),
    ("hftbacktest_usdm_btcusdt_20240808.gz", "binance-usdm", "BTCUSDT"),
    ("hbtplayground_spot_nexousdt_20240724.dat.gz", "binance", "NEXOUSDT"),
])  # fmt: skip
def test_recordings(name, exchange, symbol, tmp_path):
    store, counters = record(DATA / "captures" / name, exchange, ["trade"], [symbol], tmp_path)
    assert compare(store) == counters["candles"] > 0
    check_defined(store)
    support.ringtape("seal", "--store", store)
    support.ringtape("verify", "--store", store)
    assert compare(store) == counters["candles"], "sealed they are the same"


def test_a_market_with_late_trades_killed_and_started_again(tmp_path):
    """Trades of now: candles are issued by the clock; some come seconds late, the daemon is killed
    twice while a minute is open, and what it missed is repaired."""
    top = {"candles": {"intervals": ["1m", "5m", "15m"], "grace": "1s"}}
    with support.Simulator(
        "--symbols=binance:20", "--symbols=upbit:10", "--rate=2000", "--seconds=75",
        "--whole-market", "--faults=late=0.5,drop=5,reorder=3", "--begin-streams=30",
    ) as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance", ["trade"], "all"),
            support.feed(simulator, "upbit", ["trade"], "all"),
        ]
        store, config = tmp_path / "store", tmp_path / "config.yaml"
        for seconds in (25, 25, 40):
            with support.Ringtaped(config, store, feeds, top=top) as daemon:
                daemon.wait_counters(lambda c: c["durable"] > 100)
                time.sleep(seconds)
                if seconds == 40:
                    daemon.wait_counters(lambda c: c["holes_open"] == 0, 60)
                    time.sleep(1.3)
                    due = time.time_ns() - 5 * 10**9
                    assert daemon.terminate() == 0, daemon.errors
                else:
                    daemon.kill()
    kept = {identity(row): content(row) for row in stored(store)}
    made = {identity(r): content(r) for r in computed(store, "1m", "all", "--grace", "1")}
    closed = {k for k in made if nanoseconds(made[k]["close_time"]) < due}
    mine = {key: row for key, row in kept.items() if key[1] == "1m"}
    assert len(mine) >= 30 and any(key[3] > 0 for key in mine), "there are revisions"
    # Of a minute that closed just before the stop either is right.
    assert mine == {key: made[key] for key in closed | (mine.keys() & made.keys())}
    beats = rows(support.ringtape("cat", "--store", store, "--channel", "status"))
    beats = [r for r in beats if r["kind"] == "interval_closed" and r["about_channel"] == "candle"]
    assert {r["detail"] for r in beats} >= {"binance 1m", "upbit 1m"}
    assert len({(r["detail"], r["to_time"]) for r in beats}) == len(beats), "each once"


# ---- the exchanges' own candles ----


@real
def test_the_closed_kline_of_a_recording(tmp_path):
    """The recording begins within a minute: the first kline message tells what came before."""
    folder = DATA / "captures"
    lines = gzip.open(folder / "polysim_spot_kline_1m_micros.jsonl.gz", "rt").read().splitlines()
    klines = [json.loads(line)["data"]["k"] for line in lines]
    begin, closed = klines[0], next(k for k in klines if k["x"])
    aggregates = folder / "polysim_spot_aggTrade.jsonl.gz"
    store, _ = record(aggregates, "binance", ["agg_trade"], ["BTCUSDT"], tmp_path)
    found = computed(store, "1m", "last")
    row = next(r for r in found if nanoseconds(r["open_time"]) == closed["t"] * 1000)
    ours = value(row)
    assert row["source"] == "agg_trade" and ours["first_id"] == begin["L"] + 1
    assert ours["last_id"] == closed["L"]
    assert begin["n"] + ours["trades"] == closed["n"]
    assert Decimal(begin["o"]) == Decimal(closed["o"])
    assert max(Decimal(begin["h"]), ours["high"]) == Decimal(closed["h"])
    assert min(Decimal(begin["l"]), ours["low"]) == Decimal(closed["l"])
    assert ours["close"] == Decimal(closed["c"])
    assert Decimal(begin["v"]) + ours["volume"] == Decimal(closed["v"])
    assert Decimal(begin["q"]) + ours["quote_volume"] == Decimal(closed["q"])
    assert Decimal(begin["V"]) + ours["taker_buy_volume"] == Decimal(closed["V"])
    compare(store)


def minute_trades(minutes):
    """Upbit trades that make these one-minute candles: four a minute, at its ends and between."""
    number = 17000000000000000
    for at, minute in enumerate(minutes):
        start = nanoseconds(minute["timestamp"].replace(" ", "T")) // 10**6
        part = (Decimal(minute["volume"]) / 4).quantize(Decimal("1e-8"))
        sizes = [part, part, part, Decimal(minute["volume"]) - 3 * part]
        moments = [0, 17000 + at % 900, 41000, 59999]
        for price, size, moment in zip(("open", "high", "low", "close"), sizes, moments):
            number += 1
            yield {
                "ty": "trade", "cd": "KRW-BTC", "tms": start + moment + 20,
                "td": "", "ttm": "", "ttms": start + moment, "tp": minute[price], "tv": str(size),
                "ab": "BID" if number % 3 else "ASK", "pcp": "1.0", "c": "RISE", "cp": "",
                "sid": number, "st": "REALTIME",
            }  # fmt: skip


def upbit_line(trade):
    """As the exchange spells it: numbers without quotes, the clock derived from the time."""
    moment = time.gmtime(trade["ttms"] // 1000)
    trade["td"] = time.strftime("%Y-%m-%d", moment)
    trade["ttm"] = time.strftime("%H:%M:%S", moment)
    trade["cp"] = str(abs(Decimal(trade["tp"]) - 1))
    text = json.dumps(trade, separators=(",", ":"))
    for key in ("tp", "tv", "pcp", "cp"):
        text = text.replace(f'"{key}":"{trade[key]}"', f'"{key}":{trade[key]}')
    return f"{trade['tms'] / 1000:.3f}: {text.encode()!r}\n"


@real
def test_minutes_of_upbit_add_up(tmp_path):
    with gzip.open(DATA / "tables" / "upbit_KRW-BTC_1m_2025-09.csv.gz", "rt") as file:
        minutes = [m for m in csv.DictReader(file) if Decimal(m["volume"]) > 0]
    path = tmp_path / "upbit.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.writelines(upbit_line(trade) for trade in minute_trades(minutes))
    store, counters = record(path, "upbit", ["trade"], ["KRW-BTC"], tmp_path)
    assert counters["candles_late"] == 0
    kept = collections.defaultdict(dict)
    for row in stored(store):
        kept[row["interval"]][nanoseconds(row["open_time"])] = value(row)  # the last revision
    for interval, length in INTERVALS.items():
        expected = {}
        for minute in minutes:
            at = nanoseconds(minute["timestamp"].replace(" ", "T"))
            at = at // (length * MINUTE) * length * MINUTE
            prices = {n: Decimal(minute[n]) for n in ("open", "high", "low", "close", "volume")}
            if at not in expected:
                expected[at] = prices
            else:
                known = expected[at]
                known["high"] = max(known["high"], prices["high"])
                known["low"] = min(known["low"], prices["low"])
                known["close"] = prices["close"]
                known["volume"] += prices["volume"]
        found = {at: {n: c[n] for n in prices} for at, c in kept[interval].items()}
        assert found == expected, interval
