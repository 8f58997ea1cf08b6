# SPDX-License-Identifier: GPL-3.0-or-later
"""With the default rules every surge, crash, burst and wide spread that exchange-sim was told to
make is one alert, raised by the first row that could tell it; a calm market raises none."""

import collections
import json
import subprocess
from decimal import Decimal
from fractions import Fraction

import injected
import pytest
import support
from candles_test import nanoseconds

MINUTE, BUCKETS = 60 * injected.SECOND, 32

# Bursts go where there are twenty trades a second; a symbol's next is after the cool-down.
INJECTS = [
    injected.inject("surge", "BTCUSDT", 30, "5%", 5),
    injected.inject("crash", "ETHUSDT", 45, "6%", 20),
    injected.inject("spread", "XRPUSDT", 100, "3%", 5),
    injected.inject("surge", "DOGEUSDT", 130, "40%", 0),
    injected.inject("burst", "BTCUSDT", 200, "120x", 10),
    injected.inject("crash", "BTCUSDT", 400, "10%", 10),
    injected.inject("spread", "ETHUSDT", 420, "10%", 3),
    injected.inject("surge", "XRPUSDT", 440, "6%", 30),
]
# Below the thresholds, too slow, too short.
HARMLESS = [
    injected.inject("surge", "BTCUSDT", 30, "2%", 5),
    injected.inject("crash", "ETHUSDT", 60, "8%", 240),
    injected.inject("spread", "XRPUSDT", 100, "3%", 1),
    injected.inject("spread", "DOGEUSDT", 100, "1%", 30),
    injected.inject("burst", "BTCUSDT", 200, "20x", 10),
]


def first_crossing(trades, alert):
    """Id of the first trade from two windows before the alert on that is the threshold away from
    the extreme of the last 32 steps; exact."""
    step, sign = MINUTE // BUCKETS, 1 if alert["kind"] == "surge" else -1
    factor = 1 + sign * Decimal(alert["threshold"])
    end = nanoseconds(alert["to_time"])
    window = collections.deque()  # of the trades in it those that no later one makes useless
    for time_ns, number, text in trades:
        if not end - 2 * MINUTE <= time_ns <= end + MINUTE:
            continue
        price = sign * Decimal(text)
        while window and window[-1][1] >= price:
            window.pop()
        window.append((time_ns, price))
        while window[0][0] < (time_ns // step - BUCKETS + 1) * step:
            window.popleft()
        if price >= window[0][1] * factor:
            return number
    return None


@pytest.mark.parametrize("seed", [1, 2])
def test_every_injected_event_is_one_alert(seed, tmp_path):
    market = injected.make(tmp_path, seed, 5, 600, 560, INJECTS)
    assert len(market.injected) == len(INJECTS) and all(m["whole"] for m in market.injected)
    alerts = injected.record(market, tmp_path)
    pairs, false = injected.match(alerts, market.injected)
    assert false == []
    for what, found in pairs:
        assert len(found) == 1, what
    for what, (alert,) in pairs:
        if what["inject"] in ("surge", "crash"):
            assert int(alert["last_id"]) == first_crossing(market.trades[what["symbol"]], alert)


def test_a_calm_market_and_what_is_below_the_thresholds_raise_none(tmp_path):
    market = injected.make(tmp_path, 3, 5, 600, 400, HARMLESS)
    assert len(market.injected) == len(HARMLESS)
    assert injected.record(market, tmp_path) == []


def test_the_market_does_what_it_was_told(tmp_path):
    """Prices in the truth file, before, while and after; the book and the trades agree."""
    market = injected.make(tmp_path, 5, 3, 600, 60, [
        injected.inject("crash", "BTCUSDT", 20, "25%", 4),
        injected.inject("surge", "ETHUSDT", 30, "0.5%", 2),
        injected.inject("spread", "XRPUSDT", 40, "2.5%", 2),
    ])  # fmt: skip
    crash, surge, spread = market.injected
    for what, size in ((crash, Fraction(-1, 4)), (surge, Fraction(1, 200))):
        moved = Fraction(what["to_price"]) / Fraction(what["from_price"]) - 1
        assert abs(moved - size) < Fraction(1, 2000), "the market goes on by itself a little"
    apart = Fraction(spread["to_price"]) - Fraction(spread["from_price"])
    assert abs(apart / Fraction(spread["from_price"]) - Fraction(25, 1000)) < Fraction(1, 1000)
    assert spread["trades"] == 0
    before = [t for t in market.trades["BTCUSDT"] if t[0] < crash["begin_ns"] - 10**6]
    after = [t for t in market.trades["BTCUSDT"] if t[0] > crash["end_ns"]]
    low, high = Fraction(crash["to_price"]), Fraction(crash["from_price"])
    assert all(abs(Fraction(p) / high - 1) < Fraction(1, 100) for _, _, p in before)
    assert all(abs(Fraction(p) / low - 1) < Fraction(1, 100) for _, _, p in after)
    for what in (crash, surge, spread):
        assert 0 <= what["begin_ns"] - what["at_ns"] < 10**9
        assert what["begin_ns"] <= what["end_ns"]


def test_books_follow_what_is_injected(tmp_path):
    """The end's book is the begin's with all depth events of the truth applied."""
    truth, books = tmp_path / "truth", tmp_path / "books"
    injects = [f"--inject={text}".replace(injected.EXCHANGE, "binance") for text in INJECTS[:3]]
    subprocess.run(
        [support.program("exchange-sim"), "--offline", "--symbols=binance:4", "--rate=600",
         "--seconds=130", f"--truth={truth}", f"--books={books}", *injects],
        check=True, capture_output=True,
    )  # fmt: skip
    told = [json.loads(line) for line in books.read_text().splitlines()]
    sides = {
        (book["symbol"], side): dict(book[side])
        for book in told if book["at"] == "begin" for side in ("bids", "asks")
    }  # fmt: skip
    for _, _, stream, payload in support.read_truth(truth):
        if not stream.endswith("@depth"):
            continue
        event = json.loads(payload)
        for side, changes in (("bids", event["b"]), ("asks", event["a"])):
            book = sides[event["s"], side]
            for price, quantity in changes:
                book[price] = quantity
                if Decimal(quantity) == 0:
                    del book[price]
    for book in told:
        if book["at"] == "end":
            for side in ("bids", "asks"):
                assert dict(book[side]) == sides[book["symbol"], side]


def test_the_same_seed_makes_the_same_file(tmp_path):
    one = injected.make(tmp_path / "1", 9, 3, 500, 20, INJECTS[:1])
    two = injected.make(tmp_path / "2", 9, 3, 500, 20, INJECTS[:1])
    other = injected.make(tmp_path / "3", 10, 3, 500, 20, INJECTS[:1])
    assert one.truth.read_bytes() == two.truth.read_bytes() != other.truth.read_bytes()
    assert one.injected[0]["whole"] is False, "the end came before it"
    assert one.injected[0]["begin_ns"] == 0


@pytest.mark.parametrize("text, why", [
    ("kind=boom,symbol=binance:BTCUSDT,at=1s,size=5%", "kind=surge, crash, burst or spread"),
    ("kind=surge,at=1s,size=5%", "symbol=EXCHANGE:SYMBOL is expected"),
    ("kind=surge,symbol=nowhere:BTCUSDT,at=1s,size=5%", "symbol=EXCHANGE:SYMBOL is expected"),
    ("kind=surge,symbol=binance:BTCUSDT,size=5%", "at=0s to 1440m is expected"),
    ("kind=surge,symbol=binance:BTCUSDT,at=1s,size=5x", "size=0.0001% to 1000% is expected"),
    ("kind=crash,symbol=binance:BTCUSDT,at=1s,size=91%", "size=0.0001% to 90% is expected"),
    ("kind=burst,symbol=binance:BTCUSDT,at=1s,size=0.5x", "size=1x to 10000x is expected"),
    ("kind=spread,symbol=binance:BTCUSDT,at=1s,size=51%", "size=0.0001% to 50% is expected"),
    ("kind=surge,symbol=binance:BTCUSDT,at=1s,size=5%,over=61m", "over=0s to 60m is expected"),
    ("kind=surge,symbol=binance:BTCUSDT,at=1s,size=5%,when=2s", "at, size or over is expected"),
    ("kind=surge,kind=crash", "kind stands there twice"),
    ("kind", "KEY=VALUE is expected"),
    ("kind=surge,symbol=binance:BTCUSDT,at=3s,size=5%", "two at once of BTCUSDT"),
    ("@/nowhere", "No such file"),
])  # fmt: skip
def test_what_cannot_be_injected_is_refused(text, why):
    good = "kind=crash,symbol=binance:BTCUSDT,at=2s,size=5%,over=2s"
    done = subprocess.run(
        [support.program("exchange-sim"), "--symbols=binance:2", f"--inject={good}",
         f"--inject={text}"],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 64 and why in done.stderr, done.stderr


def test_a_file_of_them(tmp_path):
    path = tmp_path / "injects"
    path.write_text("# a remark\n" + INJECTS[0] + "  # and another\n\n" + INJECTS[1] + "\n")
    market = injected.make(tmp_path, 1, 2, 500, 70, ["@" + str(path)])
    assert [m["inject"] for m in market.injected] == ["surge", "crash"]
    done = subprocess.run(
        [support.program("exchange-sim"), "--no-tls", "--symbols=binance:2",
         "--inject=kind=surge,symbol=binance:NOSUCH,at=1s,size=5%"],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 1 and "binance has no NOSUCH" in done.stderr
