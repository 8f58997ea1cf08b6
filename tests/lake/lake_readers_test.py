# SPDX-License-Identifier: GPL-3.0-or-later
"""Spark (vectorised reader on and off) and fastparquet read what ringtape exported: the same rows
as the store has, exact sums, the same answer with and without push-down."""

from decimal import Decimal
from fractions import Fraction

import lake_world
import pytest
import support

CHANNELS = ["trade", "agg_trade", "quote", "status", "candle"]


@pytest.fixture(scope="module")
def plain(two_days, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "files"
    support.ringtape("export", "--store", two_days, "--parquet", folder)
    return folder


def expected_trades(store):
    found = []
    for row in lake_world.stored(store, "trade"):
        exchange, symbol = row["symbol"].split(":", 1)
        found.append((exchange, symbol, row["time"], row["id"], Fraction(row["price"]),
                      Fraction(row["quantity"]), row["side"], row.get("kind")))  # fmt: skip
    return sorted(found, key=lambda row: row[:4])


def trades_of(rows):
    found = [
        (row["exchange"], row["symbol"], row["ts_ns"], row["id"], Fraction(row["price"]),
         Fraction(row["quantity"]), row["side"], row["kind"])
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda row: row[:4])


@pytest.fixture(params=["vectorised", "row by row"])
def reader(request, spark):
    """Spark with one of its two Parquet readers."""
    name = "spark.sql.parquet.enableVectorizedReader"
    before = spark.conf.get(name)
    spark.conf.set(name, str(request.param == "vectorised").lower())
    yield spark
    spark.conf.set(name, before)


def channel_files(plain, channel):
    return [str(p) for p in sorted(plain.glob(f"exchange=*/channel={channel}/date=*/*.parquet"))]


def open_plain(spark, plain, channel):
    paths = [str(p) for p in plain.glob(f"exchange=*/channel={channel}")]
    return spark.read.option("basePath", str(plain)).parquet(*paths)


def table_of(spark, kind, lake, plain, channel):
    if kind == "delta":
        return spark.read.format("delta").load(str(lake / channel))
    return open_plain(spark, plain, channel)


@pytest.mark.parametrize("kind", ["plain", "delta"])
def test_spark_has_the_rows_of_the_store(reader, lake, plain, two_days, kind):
    rows = table_of(reader, kind, lake, plain, "trade")
    names = ["exchange", "symbol", "ts_ns", "id", "price", "quantity", "side", "kind"]
    assert trades_of(r.asDict() for r in rows.select(*names).collect()) == expected_trades(
        two_days
    )
    for channel in CHANNELS:
        count = table_of(reader, kind, lake, plain, channel).count()
        assert count == len(lake_world.stored(two_days, channel)), channel


@pytest.mark.parametrize("kind", ["plain", "delta"])
def test_sums_are_exact(reader, lake, plain, two_days, kind):
    rows = table_of(reader, kind, lake, plain, "trade")
    found = rows.selectExpr("sum(quantity) q", "min(price) l", "max(price) h", "sum(ts_ns % 1000)",
                            "max(unix_micros(ts) - ts_ns div 1000)").collect()[0]  # fmt: skip
    trades = lake_world.stored(two_days, "trade")
    assert Fraction(found[0]) == sum(Fraction(t["quantity"]) for t in trades)
    assert found[1] == min(Decimal(t["price"]) for t in trades)
    assert found[2] == max(Decimal(t["price"]) for t in trades)
    assert found[3] == sum(t["time"] % 1000 for t in trades) and found[4] == 0


FILTERS = [
    "price > {middle}", "id between {first} and {last}", "symbol = '{symbol}'", "kind is null",
    "kind = 'MARKET'", "ts >= timestamp_micros({time} div 1000)", "ts_ns < {time}",
    "quantity <= 0.5", "side = 'buy' and not best_match", "symbol in ('{symbol}', 'NONE')",
    "price = {middle}", "symbol = 'NOSUCH'", "receive_time_ns > {time} and price < {middle}",
]  # fmt: skip


def counts(spark, kind, lake, plain, filters):
    rows = table_of(spark, kind, lake, plain, "trade")
    found = []
    for text in filters:
        one = rows.where(text).selectExpr("count(*)", "sum(quantity)", "max(id)").collect()[0]
        found.append(tuple(one))
    return found


@pytest.mark.parametrize("kind", ["plain", "delta"])
def test_push_down_changes_no_answer(spark, lake, plain, two_days, kind):
    """Statistics, page index and dictionaries are what push-down goes by; without it every row is
    looked at. The third answer is of rows in memory."""
    trades = sorted(lake_world.stored(two_days, "trade"), key=lambda row: row["time"])
    half = trades[len(trades) // 2]
    values = {"middle": half["price"], "first": half["id"] - 50, "last": half["id"] + 50,
              "symbol": half["symbol"].split(":")[1], "time": half["time"]}  # fmt: skip
    filters = [text.format(**values) for text in FILTERS]
    names = ["spark.sql.parquet.filterPushdown", "spark.sql.parquet.aggregatePushdown"]
    found = {}
    for on in ("true", "false"):
        for name in names:
            spark.conf.set(name, on)
        found[on] = counts(spark, kind, lake, plain, filters)
    for name in names:
        spark.conf.unset(name)
    assert found["true"] == found["false"]
    rows = table_of(spark, kind, lake, plain, "trade")
    loaded = spark.createDataFrame(rows.collect(), rows.schema).persist()
    assert loaded.count() == len(trades)
    plainly = [
        tuple(loaded.where(text).selectExpr("count(*)", "sum(quantity)", "max(id)").collect()[0])
        for text in filters
    ]
    assert plainly == found["true"]
    assert sum(one[0] > 0 for one in found["true"]) >= 10, "the filters find something"


def test_fastparquet_has_the_same_rows(plain, lake, two_days):
    """It knows no exact decimals: FIXED_LEN_BYTE_ARRAY and INT64 decimals become floats, so prices
    and quantities are near; everything else is the same."""
    import fastparquet

    found, names = [], ["symbol", "ts_ns", "id", "side", "price", "quantity"]
    for path in channel_files(plain, "trade"):
        frame = fastparquet.ParquetFile(path).to_pandas(columns=names)
        exchange = path.split("exchange=")[1].split("/")[0]
        for row in frame.itertuples(index=False):
            found.append((exchange, text(row.symbol), int(row.ts_ns), int(row.id), text(row.side),
                          float(row.price), float(row.quantity)))  # fmt: skip
    want = [(e, s, t, n, side, float(p), float(q))
            for e, s, t, n, p, q, side, _ in expected_trades(two_days)]  # fmt: skip
    found.sort()
    want.sort()
    assert [row[:5] for row in found] == [row[:5] for row in want]
    for have, row in zip(found, want, strict=True):
        assert have[5:] == pytest.approx(row[5:], rel=1e-12)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_fastparquet_with_and_without_filters(plain, two_days):
    import fastparquet

    paths = channel_files(plain, "trade")
    trades = lake_world.stored(two_days, "trade")
    middle = sorted(row["id"] for row in trades)[len(trades) // 2]
    rows = 0
    for path in paths:
        file = fastparquet.ParquetFile(path)
        by_filter = file.to_pandas(columns=["id"], filters=[("id", ">", middle)], row_filter=True)
        by_hand = file.to_pandas(columns=["id"]).query(f"id > {middle}")
        assert sorted(by_filter.id) == sorted(by_hand.id)
        rows += len(by_filter)
    assert rows == sum(row["id"] > middle for row in trades)
