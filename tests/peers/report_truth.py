# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily and weekly numbers once more, slowly and by their definitions (docs/lake.md), from the
rows that `ringtape cat --json` prints: Python's decimals, lists that are sorted as a whole."""

import calendar
import collections
import json
import time
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import support

MINUTE = 60 * 10**9
TWELFTH = Decimal("1e-12")
EXACT = Context(prec=80)


def nanoseconds(text):
    seconds, _, rest = text.rstrip("Z").partition(".")
    moment = calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S"))
    return moment * 10**9 + int(rest.ljust(9, "0"))


def rows(store, channel, begin, end):
    text = support.ringtape(
        "cat", "--store", store, "--channel", channel, "--json", "--from", begin, "--to", end
    )
    found = collections.defaultdict(list)
    for line in text.splitlines():
        row = json.loads(line)
        name = row["symbol"] if "symbol" in row else bytes.fromhex(row["symbol_hex"])
        row["ns"] = nanoseconds(row["time"])
        found[name].append(row)
    return found


def trades_of(trades, aggregates):
    """(time, first id, last id, count, price, quantity, bought) of what counts."""
    found = []
    for row in trades:
        if row["kind"] not in (None, "MARKET") or Decimal(row["price"]) <= 0:
            continue
        if Decimal(row["quantity"]) < 0:
            continue
        found.append((row["ns"], row["id"], row["id"], 1, row["price"], row["quantity"], row))
    minutes = {trade[0] // MINUTE for trade in found}
    for row in aggregates:
        if Decimal(row["price"]) <= 0 or row["ns"] // MINUTE in minutes:
            continue
        count = row["last_id"] - row["first_id"] + 1
        if not 0 < count < 2**63 or Decimal(row["quantity"]) < 0:
            continue
        found.append(
            (row["ns"], row["first_id"], row["last_id"], count, row["price"], row["quantity"], row)
        )
    return [
        (ns, first, last, count, Decimal(price), Decimal(quantity), row["side"] == "buy")
        for ns, first, last, count, price, quantity, row in found
    ]


def half_even(value):
    return value.quantize(TWELFTH, ROUND_HALF_EVEN)


def candles(trades, minutes):
    """(open time, open, close) of those that are not empty, by time."""
    groups = collections.defaultdict(list)
    for trade in trades:
        groups[trade[0] // (minutes * MINUTE)].append(trade)
    return [
        (at * minutes * MINUTE, min(group, key=lambda t: t[:2])[4],
         max(group, key=lambda t: (t[0], t[2]))[4])
        for at, group in sorted(groups.items())
    ]  # fmt: skip


def volatility(trades):
    closes = [close for _, _, close in candles(trades, 1)]
    total = sum(
        ((close / before).ln() ** 2 for before, close in zip(closes, closes[1:])), Decimal(0)
    )
    return total.sqrt()


def moves(trades):
    found = {}
    changes = [(half_even(close / opened - 1), at) for at, opened, close in candles(trades, 5)]
    for name, order in (("largest_rise_5m", -1), ("largest_fall_5m", 1)):
        best = min(changes, key=lambda c: (order * c[0], c[1])) if changes else (None, None)
        found[name], found[name + "_open_time_ns"] = best
    return found


def spreads(quotes):
    ordered = sorted(quotes, key=lambda q: (q["ns"], q["id"]))
    spread = [Decimal(q["ask_price"]) - Decimal(q["bid_price"]) for q in ordered]
    held = [after["ns"] - q["ns"] for q, after in zip(ordered, ordered[1:])]
    weighted = sum(s * ns for s, ns in zip(spread, held))
    return {
        "quotes": len(quotes),
        "spread_min": min(spread, default=None),
        "spread_max": max(spread, default=None),
        "spread_mean": half_even(sum(spread) / len(spread)) if spread else None,
        "spread_time_weighted": half_even(weighted / sum(held)) if sum(held) else None,
    }


def numbers(trades, quotes):
    first = min(trades, key=lambda t: t[:2]) if trades else None
    last = max(trades, key=lambda t: (t[0], t[2])) if trades else None
    volume = sum((t[5] for t in trades), Decimal(0))
    turnover = sum((t[4] * t[5] for t in trades), Decimal(0))
    bought = sum((t[5] for t in trades if t[6]), Decimal(0))
    return {
        "open": first[4] if trades else None,
        "high": max((t[4] for t in trades), default=None),
        "low": min((t[4] for t in trades), default=None),
        "close": last[4] if trades else None,
        "first_id": first[1] if trades else None,
        "last_id": last[2] if trades else None,
        "trades": sum(t[3] for t in trades),
        "volume": volume,
        "quote_volume": turnover,
        "taker_buy_volume": bought,
        "vwap": half_even(turnover / volume) if volume else None,
        "buy_ratio": half_even(bought / volume) if volume else None,
        "realised_volatility": volatility(trades),
        **moves(trades),
        **spreads(quotes),
    }


def truth(store, begin, end):
    """{name: numbers} of all symbols with trades or quotes in [begin, end)."""
    channels = [rows(store, name, begin, end) for name in ("trade", "agg_trade", "quote")]
    with localcontext(EXACT):
        found = {}
        for name in set().union(*channels):
            trades = trades_of(*(channel.get(name, []) for channel in channels[:2]))
            quotes = channels[2].get(name, [])
            if trades or quotes:
                found[name] = numbers(trades, quotes)
        return found
