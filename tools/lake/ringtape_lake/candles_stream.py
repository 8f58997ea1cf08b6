# SPDX-License-Identifier: Apache-2.0
"""Candles of 1, 5 and 15 minutes and alerts of surges and crashes, made from the mirror's trades.

    spark-submit ... candles_stream.py --brokers kafka-1:9092 --lake s3a://lake --checkpoints ...

A candle is what `ringtape candles --as-of first` makes: the trades of its window that had been
received when its grace was over; docs/candles.md has the rule. It is written once the watermark has
passed its window, into LAKE/candles_stream, each once, whatever is killed or delivered twice.
Alerts are written as soon as they are raised, into LAKE/alerts_stream and the topic
PREFIX.alerts_stream. LAKE/stream_late counts what came behind the watermark."""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Callable

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StreamingQuery

from ringtape_lake import exact, kafka_rows, lake_session, stream_alerts, stream_life

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
INTERVALS = {"1m": 1, "5m": 5, "15m": 15}
TABLE = "candles_stream"
PARTITIONS = ["interval", "exchange", "date"]
IDENTITY = ["interval", "exchange", "date", "symbol", "open_time_ns"]

CANDLE = lake_session.columns("""
    symbol STRING, open_time TIMESTAMP, open_time_ns LONG, close_time_ns LONG, trades LONG,
    open DECIMAL(18,8), high DECIMAL(18,8), low DECIMAL(18,8), close DECIMAL(18,8),
    volume DECIMAL(38,12), quote_volume DECIMAL(38,16), taker_buy_volume DECIMAL(38,12),
    vwap DECIMAL(38,12), first_id LONG, last_id LONG, late_trades LONG,
    interval STRING, exchange STRING, date DATE""")


# ---- candles ----


def grace_ns(grace_s: int | None) -> Column:
    """How long behind its close a candle takes trades: as configured, or by the exchange."""
    if grace_s is not None:
        return f.lit(grace_s * SECOND_NS)
    upbit = f.col("symbol").startswith("upbit:")
    return f.when(upbit, f.lit(3 * SECOND_NS)).otherwise(f.lit(2 * SECOND_NS))


def round_of(minutes: int, grace_s: int | None) -> Column:
    """Which revision a trade is first in: 0 for those received within the grace, for each later one
    the second of its arrival: a candle is issued again at the next whole second."""
    length_ns = minutes * MINUTE_NS
    close_ns = f.expr(f"(time_ns div {length_ns} + 1) * {length_ns}")
    in_time = f.col("receive_ns") < close_ns + grace_ns(grace_s)
    return f.when(in_time, f.lit(0)).otherwise(f.expr(f"receive_ns div {SECOND_NS} + 1"))


def rounds(rows: DataFrame, minutes: int, grace_s: int | None, delay: str) -> DataFrame:
    """What each round of each candle adds up to. A row that is delivered twice has the same
    identity and time: it counts once, or is behind the watermark both times."""
    high, low = exact.quote_sums(f.col("price"), f.col("quantity"))
    place = f.struct("time_ns", "id")
    bought = f.when(f.col("side") == "buy", f.col("quantity")).otherwise(f.lit(0))
    return (
        rows.withColumn("round", round_of(minutes, grace_s))
        .withWatermark("event", delay)
        .dropDuplicates(["class", "symbol", "id", "event"])
        .groupBy("class", "symbol", f.window("event", f"{minutes} minutes"), "round")
        .agg(
            f.count("*").alias("trades"),
            f.min_by("price", place).alias("open"), f.max("price").alias("high"),
            f.min("price").alias("low"), f.max_by("price", place).alias("close"),
            f.sum("quantity").alias("volume"), high.alias("quote_high"), low.alias("quote_low"),
            f.sum(bought.cast(exact.QUANTITY)).alias("taker_buy_volume"),
            f.min_by("id", place).alias("first_id"), f.max_by("id", place).alias("last_id"),
        )
    )  # fmt: skip


def candles(summed: DataFrame, interval: str) -> DataFrame:
    """The first round of each window is the candle; the others are the trades that were late."""
    window = ["class", "symbol", "window"]
    first = summed.groupBy(*window).agg(
        f.min_by(f.struct(*[c for c in summed.columns if c not in window]), "round").alias("c"),
        f.sum("trades").alias("all_trades"),
    )
    name = f.split("symbol", ":", 2)
    begin_ns = f.unix_micros("window.start") * 1000
    quote = exact.quote_volume_of("c.quote_high", "c.quote_low")
    rows = first.where(f.col("class") == kafka_rows.TRADE).select(
        name[1].alias("symbol"), f.col("window.start").alias("open_time"),
        begin_ns.alias("open_time_ns"),
        (begin_ns + INTERVALS[interval] * MINUTE_NS).alias("close_time_ns"), "c.trades", "c.open",
        "c.high", "c.low", "c.close", "c.volume", quote.alias("quote_volume"),
        "c.taker_buy_volume", "c.first_id", "c.last_id",
        (f.col("all_trades") - f.col("c.trades")).alias("late_trades"),
        f.lit(interval).alias("interval"), name[0].alias("exchange"),
        f.to_date("window.start").alias("date"),
    )  # fmt: skip
    rows = rows.withColumn("vwap", exact.ratio_of("quote_volume", "volume"))
    return rows.select(*CANDLE.fieldNames())


def write_candles(lake: str, interval: str) -> Callable[[DataFrame, int], None]:
    """A batch that is written again after a crash finds its rows there and adds nothing."""

    def write(batch: DataFrame, _: int) -> None:
        summed = batch.persist()
        stream_life.tell_unreadable(interval, summed)
        rows = candles(summed, interval).persist()
        days = [row.date for row in rows.select("date").distinct().collect()]
        if days:
            dates = ", ".join(f"date'{day}'" for day in days)
            within = f"old.interval = '{interval}' and old.date in ({dates})"
            path = lake_session.table(lake, TABLE)
            lake_session.insert_new(rows, path, IDENTITY, within)
        rows.unpersist()
        summed.unpersist()

    return write


def start_candles(
    spark: SparkSession, options: argparse.Namespace, interval: str
) -> StreamingQuery:
    mirror = mirror_of(options)
    rows = kafka_rows.trades(spark, mirror).unionByName(kafka_rows.heartbeats(spark, mirror))
    summed = rounds(rows, INTERVALS[interval], options.grace, options.watermark)
    writer = summed.writeStream.foreachBatch(write_candles(options.lake, interval))
    return stream_life.start(writer, options, f"candles_{interval}")


# ---- the job ----


def mirror_of(options: argparse.Namespace) -> kafka_rows.Mirror:
    return kafka_rows.Mirror(options.brokers, options.prefix, options.value, options.schemas,
                             options.starting)  # fmt: skip


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="candles_stream", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Candles and alerts of the trades in Kafka, into Delta tables.",
    )  # fmt: skip
    add = parser.add_argument
    add("--brokers", required=True, help="of Kafka: HOST:PORT,...")
    add("--prefix", default="ringtape", help="of the mirror's topics")
    add("--value", choices=["json", "avro"], default="json", help="as the mirror writes them")
    add("--schemas", type=pathlib.Path, help="folder of the Avro schemas: docs/schema")
    add("--lake", required=True, help="folder or address of the Delta tables")
    add("--checkpoints", help="folder of the queries' state; default LAKE/_checkpoints")
    add("--intervals", default="1m,5m,15m", help="which candles; empty: none")
    add("--watermark", default="30 seconds",
        help="how far a trade may be behind the newest one of all")  # fmt: skip
    add("--grace", type=int, metavar="SECONDS",
        help="of the recorder's candles, where it is not the exchange's")  # fmt: skip
    add("--alert", action="append", default=None, metavar="RULE", dest="rules",
        help="'surge window=1m threshold=4%%', repeatable; 'none': none; otherwise the recorder's "
        "defaults")  # fmt: skip
    add("--starting", choices=["earliest", "latest"], default="earliest",
        help="where a query without a checkpoint begins")  # fmt: skip
    add("--trigger", default="5 seconds", help="how often")
    add("--available-now", action="store_true", help="end when all that is there is read")
    add("--restarts", type=int, default=20,
        help="how often in a row a failed query, as without a broker, is begun anew")  # fmt: skip
    return parser


def starters(spark: SparkSession, options: argparse.Namespace) -> dict[str, stream_life.Starter]:
    found: dict[str, stream_life.Starter] = {}
    for interval in filter(None, options.intervals.split(",")):
        found[f"candles_{interval}"] = (
            lambda interval=interval: start_candles(spark, options, interval)
        )  # fmt: skip
    rules = stream_alerts.rules_of(options.rules)
    if rules:
        trades = lambda: kafka_rows.trades(spark, mirror_of(options))  # noqa: E731
        found["alerts"] = lambda: stream_alerts.start(trades(), rules, options)
    return found


def main(argv: list[str]) -> int:
    parser = arguments()
    options = parser.parse_args(argv)
    unknown = [i for i in filter(None, options.intervals.split(",")) if i not in INTERVALS]
    if unknown:
        parser.error(f"--intervals: {unknown[0]!r}: {', '.join(INTERVALS)} are expected")
    if options.value == "avro" and options.schemas is None:
        parser.error("--value avro needs --schemas, the folder docs/schema")
    try:
        stream_alerts.rules_of(options.rules)
    except ValueError as error:
        parser.error(f"--alert: {error}")
    options.checkpoints = options.checkpoints or lake_session.table(options.lake, "_checkpoints")
    spark = lake_session.session("candles_stream")
    lake_session.ensure_table(spark, lake_session.table(options.lake, TABLE), CANDLE, PARTITIONS)
    stream_alerts.ensure_table(spark, options.lake)
    listener = stream_life.count_late(spark, options.lake)
    return stream_life.run(spark, starters(spark, options), listener, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
