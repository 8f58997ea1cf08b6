# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule holds for usual, computed here again from the stored rows by another way: returns as
exact fractions, the recursion with sixty decimals. The product's variance is a double: it has to be
within 1e-12 of that, relative, and what is an integer the same to the last digit."""

import json
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
import support
from candles_test import DATA, nanoseconds, real, record, rows

SECOND = 10**9
MINUTE = 60 * SECOND
BUCKETS, MEMORY = 32, 960  # of a window; by half forgotten within thirty windows
BURST_MEMORY, FRACTION = 1024, 65536
BOUND = Decimal("1e-12")
LEAST = (Decimal(4) / 100 / 8) ** 2 / BUCKETS  # variance at which eight times the usual is 4 %


def trades_of(store, channel):
    """(time, price, quantity) of the rows that count, in order of arrival."""
    found = rows(support.ringtape("cat", "--store", store, "--channel", channel))
    found.sort(key=lambda row: int(row["id"]))
    return [
        (nanoseconds(row["trade_time"]), Fraction(row["price"]), Fraction(row["quantity"]))
        for row in found
        if row.get("kind", "") in ("", "MARKET") and Fraction(row["price"]) != 0
    ]


def buckets(trades, window):
    """{bucket: (last price, quantity)} up to the one that is open, as trades arrive in order."""
    length, found = window // BUCKETS, {}
    newest = 0
    for time_ns, price, quantity in trades:
        bucket = time_ns // length
        if bucket < newest - BUCKETS:
            continue
        if bucket >= newest:
            newest = bucket
        last, total = found.get(bucket, (None, Fraction(0)))
        found[bucket] = (price, total + quantity)
        if bucket < newest:  # late: it is the window's newest price all the same
            found[newest] = (price, found[newest][1])
    return found


def variance(trades, window):
    """Of the returns of all buckets that have left the window."""
    found = buckets(trades, window)
    first, newest = min(found), max(found)
    with localcontext(prec=60):
        forget = 1 - Decimal(2) ** (Decimal(-1) / MEMORY)
        value, before, count = Decimal(0), found[first][0], 0
        for bucket in range(first + 1, newest - BUCKETS + 1):
            price = found[bucket][0] if bucket in found else before
            change = price / before - 1
            square = Decimal((change * change).numerator) / (change * change).denominator
            before, count = price, count + 1
            young = Decimal(1) / count > forget
            square = min(square, 9 * (LEAST if young else max(value, LEAST)))
            value += max(Decimal(1) / count, forget) * (square - value)
    return value, count


def baseline(trades, window):
    """Quantity of a window, in integers of twelve decimals, as it is defined."""
    found = buckets(trades, window)
    value, count = 0, 0
    for bucket in range(min(found), max(found) - BUCKETS + 1):
        gone = found[bucket][1] * 10**12 if bucket in found else 0
        count = min(count + 1, BURST_MEMORY)
        step = int(gone) * FRACTION - value
        divisor = count
        value += step // divisor if step >= 0 else -(-step // divisor)  # towards zero
    return value * BUCKETS // FRACTION, count


@real
@pytest.mark.parametrize("name, exchange, channel, symbol", [
    ("hftbacktest_spot_btcusdt_20240808.gz", "binance", "trade", "BTCUSDT"),
    ("hftbacktest_spot_btcusdt_20240809.gz", "binance", "trade", "BTCUSDT"),
    ("hftbacktest_spot_ethusdt_20240808.gz", "binance", "trade", "ETHUSDT"),
    ("hftbacktest_usdm_btcusdt_20240808.gz", "binance-usdm", "trade", "BTCUSDT"),
    ("hbtplayground_spot_nexousdt_20240724.dat.gz", "binance", "trade", "NEXOUSDT"),
    ("hbtplayground_spot_nexousdt_20240725.dat.gz", "binance", "trade", "NEXOUSDT"),
])  # fmt: skip
def test_the_usual_is_what_it_is_said_to_be(name, exchange, channel, symbol, tmp_path):
    store, _ = record(DATA / "captures" / name, exchange, [channel], [symbol], tmp_path)
    text = support.ringtape("alerts", "--replay", "--usual", "--store", store)
    told = {row["rule"]: row for row in map(json.loads, text.splitlines())}
    trades = trades_of(store, channel)
    wanted, count = variance(trades, MINUTE)
    for rule in ("surge", "crash"):
        found = Decimal(told[rule]["variance"])
        assert told[rule]["learnt"] == count
        error = abs(found / wanted - 1) if wanted != 0 else abs(found)
        print(f"{name} {rule}: variance {found:.6e}, error {error:.1e}, {count} buckets")
        assert error <= BOUND
        with localcontext(prec=60):
            deviation = (wanted * BUCKETS).sqrt()
            scaled = int(deviation * 8 * 10**6) if count > 5 * BUCKETS - 1 - BUCKETS else 0
        assert abs(Decimal(told[rule]["usual"]) / deviation - 1) <= BOUND
        threshold = Decimal(max(40000, scaled)).scaleb(-6)
        assert Decimal(told[rule]["threshold"]) == threshold
    quantity, count = baseline(trades, 10 * SECOND)
    assert told["volume_burst"]["learnt"] == count
    assert Decimal(told["volume_burst"]["usual"]) == Decimal(quantity).scaleb(-12)
