# SPDX-License-Identifier: Apache-2.0
"""Surges and crashes of the stream (moves.py) → Delta and Kafka, at once: no watermark holds them
up.

The state of a symbol is kept by Spark in the query's checkpoint. Trades of a symbol lie in one
partition of Kafka in the order of the tape, and are looked at in that order; rows that came by
repair, from an archive or as a snapshot raise no alert."""

from __future__ import annotations

import argparse
from decimal import Decimal
from typing import Any, Iterator, Optional

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle, StreamingQuery

from ringtape_lake import exact, kafka_rows, lake_session, moves, stream_life

TABLE = "alerts_stream"
TOPIC = "alerts_stream"
RAISED = lake_session.columns("""
    symbol STRING, time LONG, id LONG, kind STRING, rule STRING, window LONG, from_time LONG,
    to_time LONG, first_id LONG, last_id LONG, from_price DECIMAL(18,8), to_price DECIMAL(18,8),
    measure DECIMAL(38,16), threshold DECIMAL(38,16)""")
ALERT = lake_session.columns("""
    symbol STRING, ts TIMESTAMP, ts_ns LONG, id LONG, kind STRING, rule STRING, window_ns LONG,
    from_time_ns LONG, to_time_ns LONG, first_id LONG, last_id LONG, from_price DECIMAL(18,8),
    to_price DECIMAL(18,8), measure DECIMAL(38,16), threshold DECIMAL(38,16), exchange STRING,
    date DATE""")
KEYS = ["exchange", "date", "symbol", "id"]
TEXTS = ["from_price", "to_price", "measure", "threshold"]  # of a message: exact, as strings


def rules_of(texts: Optional[list[str]]) -> list[moves.Rule]:
    if texts is None:
        return moves.standard()
    return [moves.parse(text) for text in texts if text != "none"]


def _price(integer: int) -> Decimal:
    return exact.scaled(integer, exact.PRICE_DECIMALS)


def row_of(symbol: str, alert: moves.Alert) -> Row:
    return Row(
        symbol=symbol, time=alert.to_time, id=alert.id, kind=alert.kind, rule=alert.rule,
        window=alert.window, from_time=alert.from_time, to_time=alert.to_time,
        first_id=alert.first_id, last_id=alert.last_id, from_price=_price(alert.from_price),
        to_price=_price(alert.to_price), measure=exact.scaled(alert.measure_ppm, 6),
        threshold=exact.scaled(alert.threshold_ppm, 6),
    )  # fmt: skip


class Watch(StatefulProcessor):
    """One symbol's trades of a batch, behind those of the batches before."""

    def __init__(self, rules: list[moves.Rule]) -> None:
        self.rules = rules

    def init(self, handle: StatefulProcessorHandle) -> None:
        self.saved = handle.getValueState("symbol", lake_session.columns("json STRING"))

    def handleInputRows(self, key: Any, rows: Iterator[Row], timerValues: Any) -> Iterator[Row]:
        name = key[0]
        saved = self.saved.get() if self.saved.exists() else None
        symbol = moves.Symbol(name, self.rules, saved[0] if saved else None)
        for row in sorted(rows, key=lambda row: row.offset):
            for alert in symbol.trade(row.time_ns, row.id, row.price_integer):
                yield row_of(name, alert)
        self.saved.update((symbol.save(),))

    def close(self) -> None:
        pass


def raised(trades: DataFrame, rules: list[moves.Rule]) -> DataFrame:
    usual = trades.where((f.col("class") == kafka_rows.TRADE) & (f.col("flags") == 0))
    price = exact.price_integer(f.col("price")).cast("long")
    rows = usual.select("symbol", "time_ns", "id", "offset", price.alias("price_integer"))
    return rows.groupBy("symbol").transformWithState(
        statefulProcessor=Watch(rules), outputStructType=RAISED, outputMode="append",
        timeMode="None",
    )  # fmt: skip


# ---- out ----


def as_table(rows: DataFrame) -> DataFrame:
    name = f.split("symbol", ":", 2)
    made = {"symbol": name[1], "exchange": name[0], "ts": kafka_rows.micros("time"),
            "ts_ns": f.col("time"), "window_ns": f.col("window"),
            "from_time_ns": f.col("from_time"), "to_time_ns": f.col("to_time"),
            "date": f.to_date(kafka_rows.micros("time"))}  # fmt: skip
    return rows.select(*(made.get(c, f.col(c)).alias(c) for c in ALERT.fieldNames()))


def as_messages(rows: DataFrame) -> DataFrame:
    """As the mirror writes alerts (docs/kafka.md): key, JSON with decimals as strings, headers."""

    def text(name: str) -> Column:
        digits = f.regexp_replace(f.col(name).cast("string"), r"(\.\d*?)0+$", "$1")
        return f.regexp_replace(digits, r"\.$", "").alias(name)

    cells = [text(c) if c in TEXTS else f.col(c) for c in RAISED.fieldNames()]
    value = f.to_json(f.struct(*cells))
    headers = [f.struct(f.lit(key).alias("key"), made.cast("binary").alias("value"))
               for key, made in (("schema", f.lit("alert.json")), ("version", f.lit("1")),
                                 ("identity", f.col("id").cast("string")))]  # fmt: skip
    return rows.select(
        f.col("symbol").alias("key"), value.alias("value"), f.array(*headers).alias("headers")
    )


def write(rows: DataFrame, options: argparse.Namespace) -> None:
    """First Kafka, then Delta: a crash in between sends them again, under the same id. What Delta
    has is not sent again."""
    path = lake_session.table(options.lake, TABLE)
    found = as_table(rows).persist()
    days = [row.date for row in found.select("date").distinct().collect()]
    if not days:
        found.unpersist()
        return
    dates = ", ".join(f"date'{day}'" for day in days)
    known = rows.sparkSession.read.format("delta").load(path).where(f"date in ({dates})")
    known = known.select(f.concat_ws(":", "exchange", "symbol").alias("symbol"), "id")
    messages = as_messages(rows.join(known, ["symbol", "id"], "left_anti"))
    messages.write.format("kafka").option("kafka.bootstrap.servers", options.brokers).option(
        "topic", f"{options.prefix}.{TOPIC}"
    ).option("includeHeaders", "true").save()
    lake_session.insert_new(found, path, KEYS, f"old.date in ({dates})")
    found.unpersist()


def ensure_table(spark: SparkSession, lake: str) -> None:
    path = lake_session.table(lake, TABLE)
    lake_session.ensure_table(spark, path, ALERT, ["exchange", "date"])


def start(
    trades: DataFrame, rules: list[moves.Rule], options: argparse.Namespace
) -> StreamingQuery:
    def each(batch: DataFrame, _: int) -> None:
        rows = batch.persist()
        write(rows, options)
        rows.unpersist()

    writer = raised(trades, rules).writeStream.outputMode("append").foreachBatch(each)
    return stream_life.start(writer, options, "alerts")
