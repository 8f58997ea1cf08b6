# SPDX-License-Identifier: GPL-3.0-or-later
"""Does depth rebuild the true book wherever coverage claims it? For each symbol and each stretch
between holes: the newest stored snapshot at or before its first id, then the stored updates by
Binance's rule, compared after every one with the market's own book: the one of --books with the
truth's events applied."""

import json

import support


def plain(number):
    """The text of a decimal without trailing zeros: equal numbers, equal texts."""
    return number.rstrip("0").rstrip(".") if "." in number else number


class Book:
    def __init__(self, last, levels):
        self.last = last
        self.sides = {"bid": {}, "ask": {}}
        self.apply(last, levels)

    def apply(self, last, levels):
        for side, price, quantity in levels:
            if quantity == "0":
                self.sides[side].pop(price, None)
            else:
                self.sides[side][price] = quantity
        self.last = last


def pairs(bids, asks):
    for side, levels in (("bid", bids), ("ask", asks)):
        for price, quantity in levels:
            yield side, plain(price), plain(quantity)


def stored_levels(row):
    for level in row["levels"]:
        yield level["side"], plain(level["price"]), plain(level["quantity"])


def stretches(key):
    """[first, last] of what coverage claims, the holes left out."""
    holes = [
        (hole["first"], key["last"] if hole["last"] is None else hole["last"])
        for hole in key["holes"]
        if hole["state"] != "repaired"
    ]
    at = key["first"]
    for first, last in sorted(holes):
        if first > at:
            yield at, first - 1
        at = max(at, last + 1)
    if key["last"] >= at:
        yield at, key["last"]


class Result:
    def __init__(self):
        self.updates = 0  # stored
        self.compared = 0  # books
        self.claimed = 0  # ids
        self.wanted = 0  # ids from the first stored one to the last
        self.duplicated = 0
        self.unfounded = []  # (symbol, id, what): claimed, but not so


class Truth:
    """The market's book of one symbol, moved on update by update."""

    def __init__(self, begin, payloads):
        self.book = Book(begin["lastUpdateId"], pairs(begin["bids"], begin["asks"]))
        self.events = iter(payloads)
        self.next = None

    def at(self, last):
        """The book after update `last`; None where no update ends there."""
        while self.book.last < last:
            if self.next is None:
                text = next(self.events, None)
                if text is None:
                    return None
                self.next = json.loads(text)
            if self.next["u"] > last:
                return None
            self.book.apply(self.next["u"], pairs(self.next["b"], self.next["a"]))
            self.next = None
        return self.book if self.book.last == last else None


def judge_stretch(result, symbol, span, snapshots, rows, truth):
    """Rows sorted by last_id; the truth only moves forward."""
    first, last = span
    base = max((s for s in snapshots if s["last_id"] <= first), default=None,
               key=lambda s: s["last_id"])  # fmt: skip
    if base is None:
        result.unfounded.append((symbol, first, "no snapshot at or before it"))
        return
    book = Book(base["last_id"], stored_levels(base))
    result.claimed += last - first + 1
    for row in rows:
        if row["last_id"] <= book.last or row["last_id"] > last:
            continue
        before = row["previous_id"] if row["previous_id"] is not None else row["first_id"] - 1
        if before > book.last:
            result.unfounded.append((symbol, book.last + 1, "no update that follows"))
            return
        book.apply(row["last_id"], stored_levels(row))
        true = truth.at(book.last)
        result.compared += 1
        if true is None or true.sides != book.sides:
            result.unfounded.append((symbol, book.last, "another book than the true one"))
            return
    if book.last < last:
        result.unfounded.append((symbol, book.last + 1, "no update up to the last claimed id"))


def stored(store, channel, symbol):
    text = support.ringtape("cat", "--store", store, "--channel", channel, "--symbol", symbol,
                            "--json")  # fmt: skip
    return [json.loads(line) for line in text.splitlines()]


def judge(store, books, payloads):
    """`books`: the file of --books; `payloads`: symbol -> depth events of the truth, in order."""
    begins = {}
    for line in open(books, encoding="utf-8"):
        book = json.loads(line)
        if book["at"] in ("begin", "list"):
            begins.setdefault(f"{book['exchange']}:{book['symbol']}", book)
    listed = support.ringtape_any("coverage", "--store", store, "--channel", "depth", "--json")
    result = Result()
    for key in json.loads(listed)["coverage"]:
        symbol = key["symbol"]
        rows = stored(store, "depth", symbol)
        rows.sort(key=lambda row: (row["last_id"], row["first_id"]))
        result.updates += len(rows)
        result.duplicated += len(rows) - len({(r["first_id"], r["last_id"]) for r in rows})
        ids = [key["last"], *(r["last_id"] for r in rows)]
        result.wanted += max(ids) - min(ids) + 1
        if key["proven"] is None:  # nothing is claimed before the first snapshot
            continue
        snapshots = [s for s in stored(store, "book", symbol) if s["source"] == "rest"]
        truth = Truth(begins[symbol], payloads(symbol))
        for span in stretches(key):
            judge_stretch(result, symbol, span, snapshots, rows, truth)
    return result
