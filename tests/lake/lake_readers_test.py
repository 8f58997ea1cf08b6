# SPDX-License-Identifier: GPL-3.0-or-later
"""Spark (vectorised reader on and off) and fastparquet read what ringtape exported: the same rows
as the store has, exact sums, the same answer with and without push-down."""

import datetime
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


def test_spark_begins_with_our_checkpoint(spark, two_days, tmp_path):
    """The commits up to the newest checkpoint are gone, as they are after seven days."""
    table = tmp_path / "tables" / "candle"
    days = lake_world.stored(two_days, "candle")[0]["time"] // (86400 * 10**9)
    day = str(datetime.date(1970, 1, 1) + datetime.timedelta(days=days))
    for _ in range(11):
        support.ringtape("export", "--delta", table.parent, "--store", two_days, "--channel",
                         "candle", "--again", day)  # fmt: skip
    names = ["exchange", "symbol", "date", "ts_ns", "interval", "close", "volume"]
    wanted = sorted([row[name] for name in names] for row in lake_world.rows_of(table))
    log = table / "_delta_log"
    checkpoint = max(log.glob("*.checkpoint.parquet")).name[:20]
    gone = [path for path in log.glob("*.json") if path.name[:20] <= checkpoint]
    assert len(gone) >= 10
    for path in gone:
        path.unlink()
    rows = spark.read.format("delta").load(str(table))
    assert sorted(list(row) for row in rows.select(*names).collect()) == wanted


# ---- fastparquet ----


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def by_pyarrow(path):
    """(table, names of its columns without DELTA_BINARY_PACKED)."""
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    group = file.metadata.row_group(0)
    plainly = [group.column(at).path_in_schema for at in range(group.num_columns)
               if "DELTA_BINARY_PACKED" not in group.column(at).encodings]  # fmt: skip
    return file.read(), plainly


@pytest.mark.parametrize("channel", ["trade", "quote", "candle"])
def test_fastparquet_has_the_same_values(plain, channel):
    """Of every column that it can read (see below). It has no decimals: they become floats."""
    import fastparquet

    seen = set()
    for path in channel_files(plain, channel):
        table, names = by_pyarrow(path)
        names = [name for name in names if name != "ts"]
        frame = fastparquet.ParquetFile(path).to_pandas(columns=names)
        for name in names:
            have, want = list(frame[name]), table[name].to_pylist()
            if isinstance(next((v for v in want if v is not None), None), Decimal):
                pairs = [(h, float(w)) for h, w in zip(have, want, strict=True) if w is not None]
                near = pytest.approx([w for _, w in pairs], rel=1e-12)
                assert [h for h, _ in pairs] == near, name
            else:
                pairs = [(text(h), w) for h, w in zip(have, want, strict=True) if w is not None]
                assert [h for h, _ in pairs] == [w for _, w in pairs], name
            seen.add(name)
    assert len(seen) >= 3


def test_fastparquet_misreads_packed_integers_whoever_wrote_them(plain, tmp_path):
    """The reason for the exception above: DELTA_BINARY_PACKED with wide steps comes out wrong, and
    pyarrow's own file does too. Should this fail, fastparquet has been mended."""
    import fastparquet
    import pyarrow.parquet

    table = by_pyarrow(max(channel_files(plain, "trade")))[0].select(["ts_ns"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", use_dictionary=False,
                                column_encoding={"ts_ns": "DELTA_BINARY_PACKED"})  # fmt: skip
    frame = fastparquet.ParquetFile(str(tmp_path / "x.parquet")).to_pandas()
    assert list(frame["ts_ns"]) != table["ts_ns"].to_pylist()


def test_fastparquet_with_and_without_filters(plain, two_days):
    import fastparquet

    trades, found = lake_world.stored(two_days, "trade"), 0
    symbol = trades[0]["symbol"].split(":")[1]
    for path in channel_files(plain, "trade"):
        file = fastparquet.ParquetFile(path)
        of_symbol = file.to_pandas(columns=["symbol", "side"], row_filter=True,
                                   filters=[("symbol", "==", symbol)])  # fmt: skip
        everything = file.to_pandas(columns=["symbol", "side"])
        by_hand = everything[everything.symbol == symbol]
        assert list(of_symbol.side) == list(by_hand.side)
        found += len(of_symbol)
    assert found == sum(row["symbol"].endswith(f":{symbol}") for row in trades)
