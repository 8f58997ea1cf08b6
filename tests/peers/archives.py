# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as Binance publishes them, made from a seed: zips of CSV with their checksums, and what
is in them as Python knows it. Nothing here reads or writes ringtape's own files.

A market is a list of trades (id, time in us, price and quantity in 1e-8, buyer is maker). Archives
before 2025, and all of futures, have times in ms: the truth then has them in ms, too."""

import argparse
import datetime
import decimal
import hashlib
import pathlib
import random
import zipfile

DAY_US = 86_400_000_000
EPOCH = datetime.date(1970, 1, 1)
HEADERS = {
    "trades": "id,price,qty,quote_qty,time,is_buyer_maker",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker",
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
}


def day_number(text):
    return (datetime.date.fromisoformat(text) - EPOCH).days


def day_text(number):
    return (EPOCH + datetime.timedelta(days=number)).isoformat()


def decimal8(value):
    return f"{value // 10**8}.{value % 10**8:08d}"


def plain(value, places=8):
    """As ringtape prints a decimal: no zeros at the end."""
    text = f"{decimal.Decimal(value).scaleb(-places):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Market:
    """Trades of one symbol over some days."""

    def __init__(self, symbol, first_day, days, trades_a_day, seed=1, first_id=1000, usdm=False):
        self.symbol, self.usdm = symbol, usdm
        self.first_day, self.days = day_number(first_day), days
        # crc32 and the like of a name are the same in every process; hash() is not.
        chance = random.Random(f"{symbol} {seed}")
        price = chance.randrange(10**10, 10**12)
        tick = 10**6
        price -= price % tick
        self.trades = []
        number = first_id
        for day in range(self.first_day, self.first_day + days):
            times = sorted(chance.randrange(DAY_US) for _ in range(trades_a_day))
            for at in times:
                price += chance.choice((-tick, 0, 0, 0, 0, tick))
                quantity = chance.randrange(1, 10**5) * 10**3
                self.trades.append((number, day * DAY_US + at, price, quantity,
                                    chance.random() < 0.5))  # fmt: skip
                number += 1

    def unit_us(self, at_us):
        """Resolution of archives: ms for futures and before 2025."""
        return 1000 if self.usdm or at_us < day_number("2025-01-01") * DAY_US else 1

    def cell_time(self, at_us):
        return str(at_us // 1000) if self.unit_us(at_us) == 1000 else str(at_us)

    def of_days(self, first, count):
        low, high = first * DAY_US, (first + count) * DAY_US
        return [t for t in self.trades if low <= t[1] < high]

    # ---- lines ----

    def trade_lines(self, trades):
        for number, at, price, quantity, maker in trades:
            quote = decimal8(price * quantity // 10**8)
            flag = str(maker).lower() if self.usdm else str(maker)
            best = "" if self.usdm else ",True"
            yield (
                f"{number},{decimal8(price)},{decimal8(quantity)},{quote},"
                f"{self.cell_time(at)},{flag}{best}"
            )

    def aggregates(self, trades=None):
        """(id, time, price, quantity, first, last, maker): trades that follow one another at one
        price, side and time unit."""
        found = []
        for number, at, price, quantity, maker in self.trades:
            key = (at // self.unit_us(at), price, maker)
            if found and found[-1][0] == key:
                _, row = found[-1]
                row[3] += quantity
                row[5] = number
            else:
                found.append((key, [len(found) + 1, at, price, quantity, number, number, maker]))
        return [row for _, row in found if trades is None or trades[0] <= row[1] < trades[1]]

    def agg_lines(self, first, count):
        for number, at, price, quantity, low, high, maker in self.aggregates(
            (first * DAY_US, (first + count) * DAY_US)
        ):
            flag = str(maker).lower() if self.usdm else str(maker)
            best = "" if self.usdm else ",True"
            yield (
                f"{number},{decimal8(price)},{decimal8(quantity)},{low},{high},"
                f"{self.cell_time(at)},{flag}{best}"
            )

    def klines(self, first, count, minutes=1):
        """Every interval, also those without a trade: (open us, o, h, l, c, volume, close us, quote
        volume, count, taker buy volume, taker buy quote volume)."""
        step = minutes * 60_000_000
        trades, at = self.of_days(first, count), 0
        last = next((t[2] for t in reversed(self.trades) if t[1] < first * DAY_US), 10**10)
        for opened in range(first * DAY_US, (first + count) * DAY_US, step):
            inside = []
            while at < len(trades) and trades[at][1] < opened + step:
                inside.append(trades[at])
                at += 1
            prices = [t[2] for t in inside] or [last]
            last = prices[-1]
            bought = [t for t in inside if not t[4]]
            yield (
                opened, prices[0], max(prices), min(prices), last, sum(t[3] for t in inside),
                opened + step - self.unit_us(opened), sum(t[2] * t[3] for t in inside) // 10**8,
                len(inside), sum(t[3] for t in bought), sum(t[2] * t[3] for t in bought) // 10**8,
            )  # fmt: skip

    def kline_lines(self, first, count, minutes=1):
        for row in self.klines(first, count, minutes):
            opened, o, h, low, c, volume, closed, quote, number, taker, taker_quote = row
            yield (
                f"{self.cell_time(opened)},{decimal8(o)},{decimal8(h)},{decimal8(low)},"
                f"{decimal8(c)},{decimal8(volume)},{self.cell_time(closed)},{decimal8(quote)},"
                f"{number},{decimal8(taker)},{decimal8(taker_quote)},0"
            )

    def lines(self, kind, first, count):
        if kind == "trades":
            return self.trade_lines(self.of_days(first, count))
        make = self.agg_lines if kind == "aggTrades" else self.kline_lines
        return make(first, count)


def name_of(symbol, kind, day, monthly=False, interval="1m"):
    text = day_text(day)[: 7 if monthly else 10]
    return f"{symbol}-{interval if kind == 'klines' else kind}-{text}"


def path_of(symbol, kind, day, monthly=False, usdm=False, interval="1m"):
    market = "futures/um" if usdm else "spot"
    place = f"data/{market}/{'monthly' if monthly else 'daily'}/{kind}/{symbol}/"
    place += f"{interval}/" if kind == "klines" else ""
    return place + name_of(symbol, kind, day, monthly, interval) + ".zip"


def write_zip(path, name, text, level=6):
    """The zip and its checksum; returns the SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.csv", (2026, 1, 1, 0, 0, 0)), text,
                         zipfile.ZIP_DEFLATED, level)  # fmt: skip
    return write_checksum(path)


def write_checksum(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return digest


def write(root, market, kind, day, days=1, monthly=False, header=None, change=None, level=6):
    """One archive. `header`: None: as the market has it. `change`: lines → lines."""
    lines = list(market.lines(kind, day, days))
    lines = change(lines) if change else lines
    if market.usdm if header is None else header:
        lines.insert(0, HEADERS[kind])
    path = pathlib.Path(root) / path_of(market.symbol, kind, day, monthly, market.usdm)
    name = name_of(market.symbol, kind, day, monthly)
    write_zip(path, name, "".join(line + "\n" for line in lines), level)
    return path


def write_days(root, market, kind="trades", **options):
    return [
        write(root, market, kind, day, **options)
        for day in range(market.first_day, market.first_day + market.days)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--symbols", default="BTCUSDT")
    parser.add_argument("--kind", default="trades", choices=HEADERS)
    parser.add_argument("--from", dest="first", default="2026-08-01")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--trades-a-day", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--usdm", action="store_true")
    given = parser.parse_args()
    for symbol in given.symbols.split(","):
        market = Market(symbol, given.first, given.days, given.trades_a_day, given.seed,
                        usdm=given.usdm)  # fmt: skip
        for path in write_days(given.root, market, given.kind):
            print(path)


if __name__ == "__main__":
    main()
