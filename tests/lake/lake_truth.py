# SPDX-License-Identifier: GPL-3.0-or-later
"""The same numbers by another way: Python's integers and fractions over lists of rows, by the
definitions of docs/candles.md and docs/lake.md."""

import collections
import datetime
import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 1440 * MINUTE_NS


def half_even(value, decimals=12):
    """Of a fraction, as a decimal."""
    with localcontext(Context(prec=120)):
        scaled = Fraction(value) * 10**decimals
        whole = scaled.numerator // scaled.denominator
        rest = scaled - whole
        if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1):
            whole += 1
        return Decimal(whole).scaleb(-decimals)


def counts(trade):
    return trade.get("kind") in (None, "MARKET") and trade["price"] > 0 and trade["quantity"] >= 0


# ---- candles ----


def candle(trades):
    """Of trades with time, first, last (ids), count, price, quantity, side."""
    first = min(trades, key=lambda t: (t["time"], t["first"]))
    last = max(trades, key=lambda t: (t["time"], t["last"]))
    volume = sum(Fraction(t["quantity"]) for t in trades)
    quote = sum(Fraction(t["price"]) * Fraction(t["quantity"]) for t in trades)
    return {
        "open": first["price"], "high": max(t["price"] for t in trades),
        "low": min(t["price"] for t in trades), "close": last["price"],
        "volume": volume, "quote_volume": quote,
        "taker_buy_volume": sum(Fraction(t["quantity"]) for t in trades if t["side"] == "buy"),
        "trades": sum(t["count"] for t in trades),
        "vwap": half_even(quote / volume) if volume else None,
        "first_id": first["first"], "last_id": last["last"],
    }  # fmt: skip


def at_first(trades, minutes, grace_s):
    """Revision 0 of each candle: what had been received before X."""
    groups = collections.defaultdict(list)
    for trade in trades:
        opened = trade["time"] // (minutes * MINUTE_NS) * minutes * MINUTE_NS
        groups[trade["symbol"], opened].append(trade)
    found = {}
    for (symbol, opened), group in groups.items():
        due = opened + minutes * MINUTE_NS + grace_s(symbol) * SECOND_NS
        earliest = min(t["receive"] for t in group)
        due = max(due, (earliest // SECOND_NS + 1) * SECOND_NS)
        held = [t for t in group if t["receive"] < due]
        found[symbol, opened] = candle(held) | {"late_trades": len(group) - len(held)}
    return found


# ---- days and weeks ----


def minute_rows(trades, aggregates):
    """Rows by (symbol, minute): of trade, and of agg_trade where a minute has none of trade."""
    found = collections.defaultdict(list)
    for row in trades:
        found[row["symbol"], row["time"] // MINUTE_NS].append(row)
    extra = collections.defaultdict(list)
    for row in aggregates:
        place = row["symbol"], row["time"] // MINUTE_NS
        if place not in found:
            extra[place].append(row)
    found.update(extra)
    return found


def move(of_candle):
    return half_even(Fraction(of_candle["close"]) / Fraction(of_candle["open"]) - 1)


def volatility(closes):
    squares = [
        math.log1p(float((Fraction(b) - Fraction(a)) / Fraction(a))) ** 2
        for a, b in zip(closes, closes[1:])
    ]
    return math.sqrt(math.fsum(squares))


def spreads(quotes):
    """Of rows with time, id, spread."""
    if not quotes:
        return {"quotes": 0, "spread_min": None, "spread_max": None, "spread_mean": None,
                "spread_time_weighted": None}  # fmt: skip
    quotes = sorted(quotes, key=lambda q: (q["time"], q["id"]))
    held = [b["time"] - a["time"] for a, b in zip(quotes, quotes[1:])]
    weighed = sum(Fraction(q["spread"]) * h for q, h in zip(quotes, held))
    total = sum(Fraction(q["spread"]) for q in quotes)
    return {
        "quotes": len(quotes), "spread_min": min(q["spread"] for q in quotes),
        "spread_max": max(q["spread"] for q in quotes),
        "spread_mean": half_even(total / len(quotes)),
        "spread_time_weighted": half_even(weighed / sum(held)) if sum(held) else None,
    }  # fmt: skip


def numbers(minutes, quotes):
    """Of one symbol and period: {minute: rows} and its quotes."""
    rows = [row for group in minutes.values() for row in group]
    if rows:
        found = candle(rows)
        found["buy_ratio"] = (
            half_even(found["taker_buy_volume"] / found["volume"]) if found["volume"] else None
        )
    else:
        names = ["open", "high", "low", "close", "vwap", "first_id", "last_id", "buy_ratio"]
        found = dict.fromkeys(names) | dict.fromkeys(
            ["volume", "quote_volume", "taker_buy_volume", "trades"], 0
        )
    closes = [candle(minutes[minute])["close"] for minute in sorted(minutes)]
    found["realised_volatility"] = volatility(closes)
    fives = collections.defaultdict(list)
    for minute, group in minutes.items():
        fives[minute // 5 * 5 * MINUTE_NS].extend(group)
    moves = {opened: move(candle(group)) for opened, group in fives.items()}
    for name, best in (("rise", max), ("fall", min)):
        size = best(moves.values()) if moves else None
        found[f"largest_{name}_5m"] = size
        found[f"largest_{name}_5m_open_time_ns"] = (
            min(opened for opened, m in moves.items() if m == size) if moves else None
        )
    return found | spreads(quotes)


def day_of(time_ns):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=time_ns // DAY_NS)).isoformat()


def week_of(time_ns):
    year, week, _ = datetime.date.fromisoformat(day_of(time_ns)).isocalendar()
    return f"{year}-W{week:02d}"


def summaries(trades, aggregates, quotes, period):
    """{(symbol, period): numbers} of all rows that count."""
    minutes, of_quotes = collections.defaultdict(dict), collections.defaultdict(list)
    for (symbol, minute), group in minute_rows(trades, aggregates).items():
        minutes[symbol, period(minute * MINUTE_NS)][minute] = group
    for quote in quotes:
        of_quotes[quote["symbol"], period(quote["time"])].append(quote)
    keys = minutes.keys() | of_quotes.keys()
    return {key: numbers(minutes.get(key, {}), of_quotes.get(key, [])) for key in keys}


def rounded(value):
    """For comparing: decimals and integers as fractions."""
    return Fraction(value) if isinstance(value, (Decimal, int)) else value


def trade_row(row):
    """Of `ringtape cat`, times in ns."""
    return {
        "symbol": row["symbol"], "time": row["time"],
        "receive": row.get("receive_time", row["time"]), "first": row["id"], "last": row["id"],
        "count": 1, "price": Decimal(row["price"]), "quantity": Decimal(row["quantity"]),
        "side": row["side"], "kind": row.get("kind"),
    }  # fmt: skip


def aggregate_row(row):
    count = row["last_id"] - row["first_id"] + 1
    return trade_row(row) | {"first": row["first_id"], "last": row["last_id"], "count": count}


def quote_row(row):
    spread = Decimal(row["ask_price"]) - Decimal(row["bid_price"])
    return {"symbol": row["symbol"], "time": row["time"], "id": row["id"], "spread": spread}


