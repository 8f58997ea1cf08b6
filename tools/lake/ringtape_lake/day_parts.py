# SPDX-License-Identifier: Apache-2.0
"""What a UTC day of a symbol adds up to, as integers, so that days add up to weeks without reading
their rows again: LAKE/aggregates_parts. Definitions: docs/lake.md, "Daily and weekly numbers"."""

from __future__ import annotations

from typing import Optional

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as f

from ringtape_lake import exact, lake_session

MINUTE_NS = 60 * 10**9
MOVE_MINUTES = 5  # of the candles that largest moves are taken from
KEY = ["exchange", "symbol", "date"]

# A place is (time, id). quote_high and quote_low: see exact.quote_sums().
MINUTE = """exchange STRING, symbol STRING, date DATE, minute LONG, trades LONG,
    first STRUCT<time_ns: LONG, id: LONG>, last STRUCT<time_ns: LONG, id: LONG>,
    open DECIMAL(18,8), high DECIMAL(18,8), low DECIMAL(18,8), close DECIMAL(18,8),
    volume DECIMAL(38,12), taker_buy_volume DECIMAL(38,12),
    quote_high DECIMAL(38,0), quote_low DECIMAL(38,0)"""
PART = lake_session.columns("""
    symbol STRING, trades LONG, open DECIMAL(18,8), high DECIMAL(18,8), low DECIMAL(18,8),
    close DECIMAL(18,8), first_id LONG, last_id LONG, volume DECIMAL(38,12),
    taker_buy_volume DECIMAL(38,12), quote_high DECIMAL(38,0), quote_low DECIMAL(38,0),
    first_minute_close DECIMAL(18,8), squares DOUBLE,
    rise DECIMAL(38,12), rise_open_time_ns LONG, fall DECIMAL(38,12), fall_open_time_ns LONG,
    quotes LONG, spread_min DECIMAL(18,8), spread_max DECIMAL(18,8), spread_sum DECIMAL(38,8),
    spread_time_sum DECIMAL(38,0), first_quote_ns LONG, last_quote_ns LONG,
    last_spread DECIMAL(18,8), holes_open LONG, holes_repaired LONG, holes_lost LONG,
    exchange STRING, date DATE""")
# What is 0 where there was nothing.
COUNTED = {"trades", "quotes", "holes_open", "holes_repaired", "holes_lost", "volume",
           "taker_buy_volume", "quote_high", "quote_low", "squares"}  # fmt: skip


def log_return(now: Column, before: Column) -> Column:
    """ln(now / before). The difference is exact before it becomes a double, so that small returns
    lose no digits."""
    change = (exact.price_integer(now) - exact.price_integer(before)).cast("double")
    return f.log1p(change / exact.price_integer(before).cast("double"))


def sum_of_doubles(name: str) -> Column:
    """Smallest first, so the same numbers have the same sum, to the last bit, in any order."""
    values = f.array_sort(f.collect_list(name))
    return f.aggregate(values, f.lit(0.0), lambda total, value: total + value)


# ---- minutes ----


def _rows(spark: SparkSession, lake: str, channel: str, days: list[str]) -> Optional[DataFrame]:
    table = lake_session.read(spark, lake_session.table(lake, channel))
    if table is None:
        return None
    dates = [f.lit(day).cast("date") for day in days]
    return table.where(f.col("date").isin(*dates))


def _sums(rows: DataFrame, first_id: str, last_id: str, trades: Column, source: int) -> DataFrame:
    """One-minute candles of the rows that count: those with a price."""
    first, last = f.struct("time_ns", first_id), f.struct("time_ns", last_id)
    high, low = exact.quote_sums(f.col("price"), f.col("quantity"))
    bought = f.when(f.col("side") == "buy", f.col("quantity")).otherwise(f.lit(0))
    place = "STRUCT<time_ns: LONG, id: LONG>"
    return (
        rows.withColumn("time_ns", f.col("ts_ns"))
        .where((f.col("price") > 0) & (f.col("quantity") >= 0))
        .groupBy(*KEY, f.expr(f"ts_ns div {MINUTE_NS}").alias("minute"))
        .agg(
            f.sum(trades).alias("trades"), f.min(first).cast(place).alias("first"),
            f.max(last).cast(place).alias("last"), f.min_by("price", first).alias("open"),
            f.max("price").alias("high"), f.min("price").alias("low"),
            f.max_by("price", last).alias("close"), f.sum("quantity").alias("volume"),
            f.sum(bought.cast(exact.QUANTITY)).alias("taker_buy_volume"),
            high.alias("quote_high"), low.alias("quote_low"),
        )
        .withColumn("source", f.lit(source))
    )  # fmt: skip


def minutes(spark: SparkSession, lake: str, days: list[str]) -> DataFrame:
    """Of trade; where a minute has no row of it, of agg_trade. The rule of docs/candles.md."""
    found = spark.createDataFrame([], MINUTE + ", source INT")
    rows = _rows(spark, lake, "trade", days)
    if rows is not None:
        market = f.coalesce(f.col("kind"), f.lit("MARKET")) == "MARKET"
        found = found.unionByName(_sums(rows.where(market), "id", "id", f.lit(1), 0))
    rows = _rows(spark, lake, "agg_trade", days)
    if rows is not None:
        count = f.col("last_id") - f.col("first_id") + 1
        rows = rows.where(count > 0)
        found = found.unionByName(_sums(rows, "first_id", "last_id", count, 1))
    place = Window.partitionBy(*KEY, "minute").orderBy("source")
    return found.withColumn("n", f.row_number().over(place)).where("n = 1").drop("n", "source")


# ---- days ----


def _moves(of_minutes: DataFrame) -> DataFrame:
    """The largest rise and fall of a candle of five minutes; the earliest of equal ones."""
    candles = of_minutes.groupBy(
        *KEY, f.expr(f"minute div {MOVE_MINUTES} * {MOVE_MINUTES * MINUTE_NS}").alias("open_ns")
    ).agg(f.min_by("open", "first").alias("open"), f.max_by("close", "last").alias("close"))
    move = exact.ratio_of(f.col("close") - f.col("open"), f.col("open"))
    moves = candles.withColumn("move", move)
    early = f.struct(f.col("move"), -f.col("open_ns"))  # of equal moves the earliest is the largest
    late = f.struct(f.col("move"), f.col("open_ns"))
    return moves.groupBy(*KEY).agg(
        f.max("move").alias("rise"), f.max_by("open_ns", early).alias("rise_open_time_ns"),
        f.min("move").alias("fall"), f.min_by("open_ns", late).alias("fall_open_time_ns"),
    )  # fmt: skip


def _trades(of_minutes: DataFrame) -> DataFrame:
    before = f.lag("close").over(Window.partitionBy(*KEY).orderBy("minute"))
    step = log_return(f.col("close"), before)
    return of_minutes.withColumn("square", step * step).groupBy(*KEY).agg(
        f.sum("trades").alias("trades"), f.min_by("open", "first").alias("open"),
        f.max("high").alias("high"), f.min("low").alias("low"),
        f.max_by("close", "last").alias("close"), f.min("first").getField("id").alias("first_id"),
        f.max("last").getField("id").alias("last_id"), f.sum("volume").alias("volume"),
        f.sum("taker_buy_volume").alias("taker_buy_volume"),
        f.sum("quote_high").alias("quote_high"), f.sum("quote_low").alias("quote_low"),
        f.min_by("close", "minute").alias("first_minute_close"),
        sum_of_doubles("square").alias("squares"),
    )  # fmt: skip


def _quotes(rows: DataFrame) -> DataFrame:
    """A spread holds until the next quote of the symbol; the day's last one holds no time here."""
    place = Window.partitionBy(*KEY).orderBy("ts_ns", "id")
    spread = (f.col("ask_price") - f.col("bid_price")).cast(exact.PRICE)
    held = f.coalesce(f.lead("ts_ns").over(place) - f.col("ts_ns"), f.lit(0))
    last = f.struct("ts_ns", "id")
    return rows.withColumn("spread", spread).withColumn("held", held).groupBy(*KEY).agg(
        f.count("*").alias("quotes"), f.min("spread").alias("spread_min"),
        f.max("spread").alias("spread_max"),
        f.sum("spread").cast("decimal(38,8)").alias("spread_sum"),
        f.sum(exact.price_integer(f.col("spread")) * f.col("held").cast("decimal(19,0)"))
        .cast(exact.INTEGER).alias("spread_time_sum"),
        f.min("ts_ns").alias("first_quote_ns"), f.max("ts_ns").alias("last_quote_ns"),
        f.max_by("spread", last).alias("last_spread"),
    )  # fmt: skip


def _holes(rows: DataFrame) -> DataFrame:
    """Rows of status of the day: what was opened in it and is neither repaired nor lost in it is
    open."""
    about = rows.where("about_channel in ('trade', 'agg_trade') and symbol is not null")
    of = {kind: f.count_if(f.col("kind") == kind) for kind in
          ("hole_opened", "hole_repaired", "hole_lost")}  # fmt: skip
    still = of["hole_opened"] - of["hole_repaired"] - of["hole_lost"]
    return (
        about.where("kind like 'hole_%'").groupBy(*KEY)
        .agg(f.greatest(still, f.lit(0)).alias("holes_open"),
             of["hole_repaired"].alias("holes_repaired"), of["hole_lost"].alias("holes_lost"))
    )  # fmt: skip


def parts(spark: SparkSession, lake: str, days: list[str]) -> DataFrame:
    """A row a symbol and day that has trades, quotes or holes."""
    of_minutes = minutes(spark, lake, days).persist()
    found = _trades(of_minutes).join(_moves(of_minutes), KEY, "left")
    for channel, reduce in (("quote", _quotes), ("status", _holes)):
        rows = _rows(spark, lake, channel, days)
        if rows is not None:
            found = found.join(reduce(rows), KEY, "full")
    cells = []
    for column in PART.fields:
        cell = f.col(column.name) if column.name in found.columns else f.lit(None)
        cell = cell.cast(column.dataType)
        if column.name in COUNTED:
            cell = f.coalesce(cell, f.lit(0).cast(column.dataType))
        cells.append(cell.alias(column.name))
    return found.select(*cells)
