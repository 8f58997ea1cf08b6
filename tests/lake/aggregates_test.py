# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily and weekly numbers: against the same made by another way from the store's rows, against
`ringtape candles` and `ringtape report`; done twice, done again for a day that changed."""

import csv
import datetime
import io
import json
import shutil
import subprocess
from decimal import Decimal
from fractions import Fraction

import lake_truth
import lake_world
import pytest
import support
from candles_test import nanoseconds
from ringtape_lake import aggregates

# The market's first trades are from just before it began.
DAYS = ["2024-12-31", "2025-01-01", "2025-01-02"]
FIRST, SECOND = DAYS[1:]
WEEK = "2025-W01"
NUMBERS = ["open", "high", "low", "close", "first_id", "last_id", "volume", "quote_volume",
           "taker_buy_volume", "trades", "vwap", "buy_ratio", "largest_rise_5m",
           "largest_rise_5m_open_time_ns", "largest_fall_5m", "largest_fall_5m_open_time_ns",
           "quotes", "spread_min", "spread_max", "spread_mean", "spread_time_weighted"]  # fmt: skip


def numbers_of(lake, table, period):
    found = {}
    for row in lake_world.rows_of(lake / table):
        key = f"{row['exchange']}:{row['symbol']}", str(row[period])
        assert key not in found, "twice"
        found[key] = row
    return found


def compare(have, want):
    """Exact, but for volatility, which is good to 1e-12 relative."""
    assert have.keys() == want.keys()
    for key, row in want.items():
        mine = {name: lake_truth.rounded(have[key][name]) for name in NUMBERS}
        assert mine == {name: lake_truth.rounded(row[name]) for name in NUMBERS}, key
        near = pytest.approx(row["realised_volatility"], rel=1e-12, abs=0)
        assert have[key]["realised_volatility"] == near, key


@pytest.fixture(scope="module")
def truth(two_days):
    """All rows of the store that count."""
    trades = map(lake_truth.trade_row, lake_world.stored(two_days, "trade"))
    more = map(lake_truth.aggregate_row, lake_world.stored(two_days, "agg_trade"))
    quotes = map(lake_truth.quote_row, lake_world.stored(two_days, "quote"))
    counted = [t for t in trades if lake_truth.counts(t)]
    return counted, [t for t in more if lake_truth.counts(t)], list(quotes)


@pytest.fixture(scope="module")
def done(spark, lake, tmp_path_factory):
    """The lake with its aggregates."""
    copied = tmp_path_factory.mktemp("aggregated") / "lake"
    shutil.copytree(lake, copied)
    assert aggregates.run(spark, str(copied), dict.fromkeys(DAYS), False) == DAYS
    return copied


def test_days_and_the_week_are_those_of_the_store(done, truth):
    days = lake_truth.summaries(*truth, lake_truth.day_of)
    assert {day for _, day in days} == set(DAYS) and len(days) >= 14 and len(truth[0]) > 50_000
    compare(numbers_of(done, "aggregates_daily", "date"), days)
    compare(numbers_of(done, "aggregates_weekly", "week"),
            lake_truth.summaries(*truth, lake_truth.week_of))  # fmt: skip


def test_they_are_the_sums_of_the_last_candles(done, two_days):
    """Of `ringtape candles --as-of last`, 24 an exchange's day."""
    text = support.ringtape("candles", "--store", two_days, "--interval", "1h", "--as-of", "last")
    hours = {}
    for row in csv.DictReader(io.StringIO(text)):
        day = lake_truth.day_of(nanoseconds(row["open_time"]))
        hours.setdefault((row["symbol"], day), []).append(row)
    daily = numbers_of(done, "aggregates_daily", "date")
    assert hours.keys() == {key for key, row in daily.items() if row["trades"]}
    for key, candles in hours.items():
        row = daily[key]

        def total(name, candles=candles):
            return sum(Fraction(candle[name] or 0) for candle in candles)

        assert Fraction(row["open"]) == Fraction(candles[0]["open"])
        assert Fraction(row["close"]) == Fraction(candles[-1]["close"])
        assert row["high"] == max(Decimal(c["high"]) for c in candles)
        assert row["low"] == min(Decimal(c["low"]) for c in candles)
        assert Fraction(row["volume"]) == total("volume")
        assert Fraction(row["quote_volume"]) == total("quote_volume") + total("quote_volume_rest")
        assert Fraction(row["taker_buy_volume"]) == total("taker_buy_volume")
        assert row["trades"] == total("trades")


def report(store, *period):
    done = subprocess.run([support.program("ringtape"), "report", "--store", str(store), "--json",
                           *period], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def has_report():
    told = subprocess.run([support.program("ringtape"), "--help"], capture_output=True, text=True)
    return " report" in told.stdout


def of_report(told):
    """{symbol: numbers} of a report."""
    found = {}
    for entry in support.entries(told):
        if "realised_volatility" not in entry or "symbol" not in entry:
            continue
        name = entry["symbol"]
        name = name if ":" in name else f"{entry['exchange']}:{name}"
        assert name not in found
        found[name] = entry
    return found


def number(value):
    return Fraction(value) if isinstance(value, (str, int)) else value


@pytest.mark.skipif(not has_report(), reason="this ringtape has no command report")
def test_they_are_those_of_ringtape_report(done, two_days):
    asked = [("aggregates_daily", "date", day, ("--day", day)) for day in DAYS]
    asked.append(("aggregates_weekly", "week", WEEK, ("--week", WEEK)))
    for table, period, value, option in asked:
        mine = {key[0]: row for key, row in numbers_of(done, table, period).items()
                if key[1] == value}  # fmt: skip
        theirs = of_report(report(two_days, *option))
        assert mine.keys() == theirs.keys()
        for name, row in mine.items():
            for column in NUMBERS + ["holes_open", "holes_repaired", "holes_lost"]:
                have, want = lake_truth.rounded(row[column]), number(theirs[name][column])
                assert have == want, (name, value, column)
            near = pytest.approx(float(theirs[name]["realised_volatility"]), rel=1e-12, abs=0)
            assert row["realised_volatility"] == near


# ---- again ----


def files(lake, table):
    """Names of the files that the table consists of."""
    import deltalake

    return sorted(deltalake.DeltaTable(str(lake / table)).file_uris())


def write_days(path, **generations):
    """A day's generations of trade, agg_trade and quote; one number: of trade alone."""
    lines = []
    for day, told in generations.items():
        channels = [
            {"channel": name, "closed": generation is not None, "generation": generation or 0}
            for name, generation in zip(
                aggregates.READ, told if isinstance(told, tuple) else (told,))
        ] + [{"channel": "ticker", "closed": False, "generation": 0}]
        lines.append(json.dumps({"day": day.replace("_", "-")[1:], "channels": channels}))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def append_trade(lake, like, **changes):
    """A trade that was repaired later: a small file of its own."""
    import deltalake
    import pyarrow

    table = deltalake.DeltaTable(str(lake / "trade"))
    rows = table.to_pyarrow_table(filters=[("date", "=", changes.pop("date"))])
    one = rows.slice(0, 1).to_pylist()[0] | changes
    deltalake.write_deltalake(str(lake / "trade"),
                              pyarrow.Table.from_pylist([one], schema=rows.schema), mode="append",
                              partition_by=["exchange", "date"])  # fmt: skip
    return one


def test_a_changed_generation_does_just_that_day_again(spark, done, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(done, lake)
    tables = ("aggregates_daily", "aggregates_weekly")
    before = [files(lake, table) for table in tables]
    aggregates.run(spark, str(lake), dict.fromkeys(DAYS), False)
    assert [files(lake, table) for table in tables] == before, "done again it is the same"

    told = write_days(tmp_path / "a", _2024_12_31=1, _2025_01_01=1, _2025_01_02=1)
    assert aggregates.run(spark, str(lake), aggregates.days_told(told), True) == DAYS
    assert aggregates.run(spark, str(lake), aggregates.days_told(told), True) == []
    first = numbers_of(lake, "aggregates_daily", "date")
    assert {row["generation"] for row in first.values()} == {1}
    kept = [f for f in files(lake, "aggregates_daily") if "date=2025-01-01" in f]

    late = append_trade(lake, None, date=datetime.date(2025, 1, 2), id=10**12,
                        quantity=Decimal("1000000.000000000001"))  # fmt: skip
    assert aggregates.run(spark, str(lake), aggregates.days_told(told), True) == []
    told = write_days(tmp_path / "b", _2025_01_01=1, _2025_01_02=2)
    assert aggregates.run(spark, str(lake), aggregates.days_told(told), True) == [SECOND]
    second = numbers_of(lake, "aggregates_daily", "date")
    place = f"{late['exchange']}:{late['symbol']}"
    assert second[place, SECOND]["volume"] == first[place, SECOND]["volume"] + late["quantity"]
    assert {row["generation"] for (_, day), row in second.items() if day == SECOND} == {2}
    assert [f for f in files(lake, "aggregates_daily") if "date=2025-01-01" in f] == kept
    week = numbers_of(lake, "aggregates_weekly", "week")[place, WEEK]
    volumes = [row["volume"] for (symbol, _), row in second.items() if symbol == place]
    assert week["volume"] == sum(volumes) and week["generation"] == 1 + 1 + 2


def test_a_repair_of_any_channel_counts(tmp_path):
    def told(*generations):
        return aggregates.days_told(write_days(tmp_path / "days", _2025_01_01=generations))[FIRST]

    assert told(1) == 1
    assert (told(1, 1, 1), told(1, 2, 1), told(1, 1, 7)) == (3, 4, 9)
    assert told(1, None, 1) is None, "numbers of it may still change"
    assert aggregates.days_told(write_days(tmp_path / "none", _2025_01_01=()))[FIRST] is None


def test_a_day_that_is_not_closed_is_always_done(spark, done, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(done, lake)
    told = write_days(tmp_path / "a", _2025_01_01=None)
    for _ in range(2):
        assert aggregates.run(spark, str(lake), aggregates.days_told(told), True) == [FIRST]
    empty = write_days(tmp_path / "b", _2025_03_01=1)
    assert aggregates.run(spark, str(lake), aggregates.days_told(empty), True) == ["2025-03-01"]
    assert numbers_of(lake, "aggregates_daily", "date").keys() == numbers_of(
        done, "aggregates_daily", "date").keys()  # fmt: skip


# ---- numbers at their limits ----


def tiny_lake(lake, trades, status=()):
    """Tables of a few rows by hand: (symbol, second, id, price, quantity)."""
    import deltalake
    import pyarrow

    day = datetime.date(2025, 1, 1)
    base = lake_world.OFFLINE_BEGIN_NS
    made = [
        {"symbol": symbol, "ts_ns": base + second * 10**9, "id": number, "price": Decimal(price),
         "quantity": Decimal(quantity), "side": "buy" if number % 2 else "sell", "kind": None,
         "exchange": "binance", "date": day}
        for symbol, second, number, price, quantity in trades
    ]  # fmt: skip
    schema = pyarrow.schema([
        ("symbol", pyarrow.string()), ("ts_ns", pyarrow.int64()), ("id", pyarrow.int64()),
        ("price", pyarrow.decimal128(18, 8)), ("quantity", pyarrow.decimal128(38, 12)),
        ("side", pyarrow.string()), ("kind", pyarrow.string()), ("exchange", pyarrow.string()),
        ("date", pyarrow.date32()),
    ])  # fmt: skip
    deltalake.write_deltalake(str(lake / "trade"), pyarrow.Table.from_pylist(made, schema=schema),
                              partition_by=["exchange", "date"])  # fmt: skip
    if status:
        rows = [
            {"symbol": symbol, "ts_ns": base, "kind": kind, "about_channel": channel,
             "exchange": "binance", "date": day} for symbol, kind, channel in status
        ]  # fmt: skip
        deltalake.write_deltalake(str(lake / "status"), pyarrow.Table.from_pylist(rows),
                                  partition_by=["exchange", "date"])  # fmt: skip
    return {"2025-01-01": None}


def test_the_largest_quantities_are_exact(spark, tmp_path):
    """Binance lists quantities of 46,116,860,414; Spark's own product would round them."""
    lake = tmp_path / "lake"
    trades = [("币安USDT", n, n, f"{999_999_999 - n}.12345679", f"{46_116_860_414 + n}.12345678")
              for n in range(50)]  # fmt: skip
    trades += [("DUSTUSDT", n, n, "0.00000001", "0.00000001") for n in range(3)]
    trades += [("HALFUSDT", 0, 1, "1", "2"), ("HALFUSDT", 1, 2, "1.00000001", "1999998"),
               ("ONEUSDT", 0, 7, "3", "0")]  # fmt: skip
    days = tiny_lake(lake, trades, status=[
        ("ONEUSDT", "hole_opened", "trade"), ("ONEUSDT", "hole_opened", "trade"),
        ("ONEUSDT", "hole_repaired", "trade"), ("DUSTUSDT", "hole_opened", "depth"),
        ("DUSTUSDT", "hole_lost", "agg_trade"),
    ])  # fmt: skip
    aggregates.run(spark, str(lake), days, False)
    rows = [{"symbol": f"binance:{s}", "time": lake_world.OFFLINE_BEGIN_NS + t * 10**9, "first": n,
             "last": n, "count": 1, "price": Decimal(p), "quantity": Decimal(q),
             "side": "buy" if n % 2 else "sell"} for s, t, n, p, q in trades]  # fmt: skip
    have = numbers_of(lake, "aggregates_daily", "date")
    compare(have, lake_truth.summaries(rows, [], [], lake_truth.day_of))
    holes = {key[0][8:]: tuple(row[f"holes_{state}"] for state in ("open", "repaired", "lost"))
             for key, row in have.items()}  # fmt: skip
    assert holes["ONEUSDT"] == (1, 1, 0) and holes["DUSTUSDT"] == (0, 0, 1)
    assert holes["HALFUSDT"] == (0, 0, 0)


@pytest.mark.parametrize("price, quantity, why", [
    ("0.00000001", "0.000000001", "more than 16 decimals"),
    ("9999999999", "9999999999999999999", "OVERFLOW|overflow|NUMERIC_VALUE_OUT_OF_RANGE|38 digits"),
])  # fmt: skip
def test_what_does_not_fit_stops_the_job(spark, tmp_path, price, quantity, why):
    days = tiny_lake(tmp_path / "lake", [("XUSDT", n, n, price, quantity) for n in range(1, 3)])
    with pytest.raises(Exception, match=why):
        aggregates.run(spark, str(tmp_path / "lake"), days, False)


def test_what_is_asked_wrongly():
    for arguments, why in (([], "either --date or --days"), (["--date", "2025-13-01"], "month"),
                           (["--days", "/nowhere"], "No such file")):  # fmt: skip
        job = lake_world.Job("aggregates", "--lake", "x", *arguments, log="usage")
        assert why in job.finish(status=2)
