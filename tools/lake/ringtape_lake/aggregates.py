# SPDX-License-Identifier: Apache-2.0
"""Daily and weekly numbers of every symbol: Delta → Delta.

    spark-submit ... aggregates.py --lake s3a://lake --date 2026-11-27
    ringtape day --json --store DIR 2026-11-27 >days.json
    spark-submit ... aggregates.py --lake s3a://lake --days days.json

Reads LAKE/trade, agg_trade, quote and status; writes LAKE/aggregates_parts, aggregates_daily and
aggregates_weekly. Running it again changes nothing. With --days a day whose generation is the one
that is there already is left alone; one that is not closed has none and is always done.

docs/lake.md, "Daily and weekly numbers", defines each number; `ringtape report --json` has the same
ones.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from typing import Optional

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as f

from ringtape_lake import day_parts, exact, lake_session

NUMBERS = """symbol STRING, open DECIMAL(18,8), high DECIMAL(18,8), low DECIMAL(18,8),
    close DECIMAL(18,8), first_id LONG, last_id LONG, volume DECIMAL(38,12),
    quote_volume DECIMAL(38,16), taker_buy_volume DECIMAL(38,12), trades LONG,
    vwap DECIMAL(38,12), buy_ratio DECIMAL(38,12), realised_volatility DOUBLE,
    largest_rise_5m DECIMAL(38,12), largest_rise_5m_open_time_ns LONG,
    largest_fall_5m DECIMAL(38,12), largest_fall_5m_open_time_ns LONG,
    quotes LONG, spread_min DECIMAL(18,8), spread_max DECIMAL(18,8), spread_mean DECIMAL(38,12),
    spread_time_weighted DECIMAL(38,12), holes_open LONG, holes_repaired LONG, holes_lost LONG,
    generation LONG, exchange STRING"""
DAILY = lake_session.columns(NUMBERS + ", date DATE")
WEEKLY = lake_session.columns(NUMBERS + ", week STRING")
ISO_WEEK = "format_string('%d-W%02d', extract(YEAROFWEEK from date), extract(WEEK from date))"
READ = ("trade", "agg_trade", "quote")
PARTS_TABLE, DAILY_TABLE, WEEKLY_TABLE = "aggregates_parts", "aggregates_daily", "aggregates_weekly"


def week_of(day: str) -> str:
    """The ISO week, as 2026-W48."""
    year, week, _ = datetime.date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02d}"


def days_of_week(week: str) -> list[str]:
    monday = datetime.date.fromisoformat(f"{week}-1")
    return [str(monday + datetime.timedelta(days=n)) for n in range(7)]


# ---- from parts to numbers ----


def _links(parts: DataFrame, key: list[str]) -> DataFrame:
    """What lies between two days that follow one another: a return, and how long a spread held."""
    order = Window.partitionBy(*key).orderBy("date")
    traded = parts.where("trades > 0").withColumn("before", f.lag("close").over(order))
    step = day_parts.log_return(f.col("first_minute_close"), f.col("before"))
    traded = traded.withColumn("link_square", step * step)
    quoted = parts.where("quotes > 0").withColumn("next", f.lead("first_quote_ns").over(order))
    held = f.coalesce(f.col("next") - f.col("last_quote_ns"), f.lit(0)).cast("decimal(19,0)")
    quoted = quoted.withColumn("held", held).withColumn(
        "link_time_sum", exact.price_integer(f.col("last_spread")) * f.col("held")
    )
    day = [*key, "date"]
    return parts.join(traded.select(*day, "link_square"), day, "left").join(
        quoted.select(*day, "link_time_sum"), day, "left"
    )


def _summed(parts: DataFrame, key: list[str]) -> DataFrame:
    """Parts are of days: what is first or last goes by the date."""
    total = lambda name: f.sum(name).alias(name)  # noqa: E731
    rise = f.struct(f.col("rise"), -f.col("rise_open_time_ns"))
    fall = f.struct(f.col("fall"), f.col("fall_open_time_ns"))
    traded = _links(parts, key)
    for name in ("open", "first_id", "close", "last_id"):
        # A day without trades must not hide one with them.
        traded = traded.withColumn(f"{name}_date", f.when(f.col(name).isNotNull(), f.col("date")))
    return traded.groupBy(*key).agg(
        f.min_by("open", "open_date").alias("open"), f.max("high").alias("high"),
        f.min("low").alias("low"), f.max_by("close", "close_date").alias("close"),
        f.min_by("first_id", "first_id_date").alias("first_id"),
        f.max_by("last_id", "last_id_date").alias("last_id"),
        *map(total, ("trades", "volume", "taker_buy_volume", "quote_high", "quote_low", "quotes",
                     "spread_sum", "spread_time_sum", "holes_open", "holes_repaired",
                     "holes_lost")),
        (day_parts.sum_of_doubles("squares") + day_parts.sum_of_doubles("link_square"))
        .alias("all_squares"),
        f.sum("link_time_sum").alias("all_link_time_sum"),
        f.max("rise").alias("largest_rise_5m"),
        f.max_by("rise_open_time_ns", f.when(f.col("rise").isNotNull(), rise))
        .alias("largest_rise_5m_open_time_ns"),
        f.min("fall").alias("largest_fall_5m"),
        f.min_by("fall_open_time_ns", f.when(f.col("fall").isNotNull(), fall))
        .alias("largest_fall_5m_open_time_ns"),
        f.min("spread_min").alias("spread_min"), f.max("spread_max").alias("spread_max"),
        (f.max("last_quote_ns") - f.min("first_quote_ns")).alias("spread_ns"),
    )  # fmt: skip


def numbers(parts: DataFrame, period: str, generations: dict[str, Optional[int]]) -> DataFrame:
    """A row a symbol and `period` (a column of parts: date or week)."""
    summed = _summed(parts, ["exchange", "symbol", period]).where("trades > 0 or quotes > 0")
    traded = f.col("trades") > 0
    quote = exact.quote_volume_of("quote_high", "quote_low")
    spread_time = f.col("spread_time_sum") + f.coalesce(f.col("all_link_time_sum"), f.lit(0))
    # Of 10^-8 and ns: over ns and 10^8 it is a price.
    over = f.col("spread_ns").cast("decimal(19,0)") * f.lit(10**8).cast("decimal(9,0)")
    finished = summed.withColumns({
        "quote_volume": quote,
        "buy_ratio": f.when(traded, exact.ratio_of("taker_buy_volume", "volume")),
        "realised_volatility": f.sqrt("all_squares"),
        "spread_mean": exact.ratio_of("spread_sum", f.col("quotes").cast(exact.INTEGER)),
        "spread_time_weighted": exact.ratio_of(spread_time.cast(exact.INTEGER), over),
        "generation": _generation(f.col(period).cast("string"), generations),
    }).withColumn("vwap", f.when(traded, exact.ratio_of("quote_volume", "volume")))  # fmt: skip
    schema = DAILY if period == "date" else WEEKLY
    return finished.select(*(f.col(c.name).cast(c.dataType).alias(c.name) for c in schema.fields))


def _generation(period: Column, known: dict[str, Optional[int]]) -> Column:
    found = f.lit(None).cast("long")
    for name, generation in known.items():
        found = f.when(period == name, f.lit(generation).cast("long")).otherwise(found)
    return found


# ---- tables ----


def _merge(rows: DataFrame, path: str, period: str, values: list[str]) -> None:
    """The table's rows of these days or weeks become exactly these; equal ones are not touched."""
    from delta.tables import DeltaTable

    spark, key, cells = rows.sparkSession, ["exchange", period, "symbol"], rows.columns
    fresh = rows.persist()
    there = spark.read.format("delta").load(path).where(f.col(period).cast("string").isin(values))
    changed = fresh.exceptAll(there.select(*cells)).withColumn("gone", f.lit(False))
    gone = there.select(*cells).join(fresh, key, "left_anti").withColumn("gone", f.lit(True))
    news = changed.unionByName(gone).persist()
    if not news.isEmpty():
        same = " and ".join(f"old.{name} = new.{name}" for name in key)
        quoted = ", ".join(f"'{value}'" for value in values)
        assigned = {name: f"new.{name}" for name in cells}
        DeltaTable.forPath(spark, path).alias("old").merge(
            news.alias("new"), f"cast(old.{period} as string) in ({quoted}) and {same}"
        ).whenMatchedDelete("new.gone").whenMatchedUpdate(set=assigned).whenNotMatchedInsert(
            values=assigned
        ).execute()
    news.unpersist()
    fresh.unpersist()


def _write_parts(spark: SparkSession, lake: str, days: list[str]) -> None:
    path = lake_session.table(lake, PARTS_TABLE)
    found = day_parts.parts(spark, lake, days)
    dates = ", ".join(f"date'{day}'" for day in days)
    found.write.format("delta").mode("overwrite").option(
        "replaceWhere", f"date in ({dates})"
    ).save(path)


def known_generations(spark: SparkSession, lake: str, days: list[str]) -> dict[str, int]:
    """Of the days that aggregates_daily has, all of one generation."""
    table = lake_session.read(spark, lake_session.table(lake, DAILY_TABLE))
    if table is None or not days:
        return {}
    dates = [f.lit(day).cast("date") for day in days]
    rows = table.where(f.col("date").isin(*dates)).groupBy("date").agg(
        f.min("generation").alias("least"), f.max("generation").alias("most"),
        f.count_if(f.col("generation").isNull()).alias("without"),
    )  # fmt: skip
    return {str(r.date): r.most for r in rows.collect() if r.without == 0 and r.least == r.most}


def _week_generation(
    spark: SparkSession, lake: str, week: str, fresh: dict[str, Optional[int]]
) -> Optional[int]:
    """The sum of its days', once all that have rows are closed: it rises whenever one of theirs
    does."""
    days = days_of_week(week)
    found = {**known_generations(spark, lake, days), **fresh}
    parts = spark.read.format("delta").load(lake_session.table(lake, PARTS_TABLE))
    dates = [f.lit(day).cast("date") for day in days]
    there = parts.where(f.col("date").isin(*dates)).select("date").distinct().collect()
    of_days = [found.get(str(row.date)) for row in there]
    return None if None in of_days else sum(g for g in of_days if g is not None)


def run(
    spark: SparkSession, lake: str, days: dict[str, Optional[int]], only_changed: bool
) -> list[str]:
    """Aggregates the days (with their generations) and the weeks they are in. Those done. The
    daily table is written last: what it says is done, is done everywhere."""
    if only_changed:
        known = known_generations(spark, lake, list(days))
        days = {day: g for day, g in days.items() if g is None or known.get(day) != g}
    if not days:
        return []
    done = sorted(days)
    names = ((PARTS_TABLE, day_parts.PART, ["date"]), (DAILY_TABLE, DAILY, ["exchange", "date"]),
             (WEEKLY_TABLE, WEEKLY, ["exchange", "week"]))  # fmt: skip
    for name, schema, partitions in names:
        lake_session.ensure_table(spark, lake_session.table(lake, name), schema, partitions)
    _write_parts(spark, lake, done)
    parts = spark.read.format("delta").load(lake_session.table(lake, PARTS_TABLE))
    weeks = sorted({week_of(day) for day in done})
    spans = [f.lit(day).cast("date") for week in weeks for day in days_of_week(week)]
    of_weeks = parts.where(f.col("date").isin(*spans)).withColumn("week", f.expr(ISO_WEEK))
    generations = {week: _week_generation(spark, lake, week, days) for week in weeks}
    weekly = numbers(of_weeks, "week", generations)
    _merge(weekly, lake_session.table(lake, WEEKLY_TABLE), "week", weeks)
    of_days = parts.where(f.col("date").isin(*[f.lit(day).cast("date") for day in done]))
    _merge(numbers(of_days, "date", days), lake_session.table(lake, DAILY_TABLE), "date", done)
    return done


# ---- the job ----


def days_told(path: str) -> dict[str, Optional[int]]:
    """Lines of `ringtape day --json`: {day: generation, None while it is not closed}. It is the sum
    of those of all channels that the numbers are made of: a repair of any of them raises it."""
    found: dict[str, Optional[int]] = {}
    with open(path, encoding="utf-8") as file:
        for line in filter(str.strip, file):
            told = json.loads(line)
            read = [channel for channel in told["channels"]
                    if channel["channel"] in READ and channel.get("rows", 1) > 0]  # fmt: skip
            closed = bool(read) and all(channel["closed"] for channel in read)
            found[told["day"]] = sum(each["generation"] for each in read) if closed else None
    return found


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aggregates", description="Daily and weekly numbers of every symbol, Delta to Delta."
    )
    add = parser.add_argument
    add("--lake", required=True, help="folder or address of the Delta tables")
    add("--date", action="append", default=[], help="a UTC day, YYYY-MM-DD; repeatable")
    add("--days", help="file with lines of 'ringtape day --json': those whose generation changed")
    return parser


def main(argv: list[str]) -> int:
    parser = arguments()
    options = parser.parse_args(argv)
    if bool(options.date) == bool(options.days):
        parser.error("either --date or --days is expected")
    try:
        days = {str(datetime.date.fromisoformat(day)): None for day in options.date}
        days = days_told(options.days) if options.days else days
    except (ValueError, OSError, KeyError) as error:
        parser.error(f"{error}")
    spark = lake_session.session("aggregates")
    done = run(spark, options.lake, days, only_changed=bool(options.days))
    print(json.dumps({"aggregated": done, "unchanged": sorted(set(days) - set(done))}))
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
