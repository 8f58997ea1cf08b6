# SPDX-License-Identifier: Apache-2.0
"""What the mirror put into Kafka (docs/kafka.md), as columns: trades and heartbeats.

A value that is not what its topic promises (another schema's fingerprint, no JSON, a number with
more decimals than its column) does not stop the stream and is not bent: it is a row of kind
`unreadable`, which is counted."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Optional

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.avro.functions import from_avro

from ringtape_lake import exact

AVRO_HEADER_BYTES = 10  # c3 01 and the fingerprint of the writer's schema
NS_PER_US = 1000

# What the jobs need of a message; times in ns. Everything may be absent in what others wrote.
TRADE_JSON = """symbol STRING, time LONG, receive_time LONG, flags LONG, id LONG, price STRING,
    quantity STRING, side STRING, kind STRING"""
STATUS_JSON = "symbol STRING, time LONG, kind STRING, about_channel STRING, detail STRING"

COLUMNS = ["class", "symbol", "event", "time_ns", "receive_ns", "flags", "id", "price", "quantity",
           "side", "partition", "offset"]  # fmt: skip
TRADE, CLOCK, UNREADABLE = "trade", "clock", "unreadable"


@dataclasses.dataclass(frozen=True)
class Mirror:
    """Where the mirror writes."""

    brokers: str
    prefix: str
    value: str = "json"  # or "avro"
    schemas: Optional[pathlib.Path] = None  # the folder docs/schema, for Avro
    starting: str = "earliest"


def _messages(spark: SparkSession, mirror: Mirror, topic: str) -> DataFrame:
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", mirror.brokers)
    reader = reader.option("subscribe", f"{mirror.prefix}.{topic}")
    reader = reader.option("startingOffsets", mirror.starting)
    # A broker that restarts is waited for; what takes longer ends the query, which is begun anew.
    # A batch takes all there is. A limit would let partitions and topics that were behind drift
    # apart by more than the watermark, which goes by the newest of them.
    return reader.option("fetchOffset.numRetries", 10).option(
        "fetchOffset.retryIntervalMs", 500
    ).load()


def _fingerprint(spark: SparkSession, schema: str) -> bytes:
    """Of the schema's Parsing Canonical Form, as it stands in messages."""
    avro = spark._jvm.org.apache.avro
    parsed = avro.Schema.Parser().parse(schema)
    return bytes(avro.SchemaNormalization.parsingFingerprint("CRC-64-AVRO", parsed))


def _decoded(spark: SparkSession, mirror: Mirror, channel: str, as_json: str) -> Column:
    """The value as a struct; null where it is not of the channel's schema."""
    if mirror.value == "json":
        return f.from_json(f.col("value").cast("string"), as_json)
    if mirror.schemas is None:
        raise ValueError("Avro values need the folder of their schemas (--schemas docs/schema)")
    schema = (mirror.schemas / f"{channel}.avsc").read_text(encoding="utf-8")
    header = b"\xc3\x01" + _fingerprint(spark, schema)
    ours = f.substring("value", 1, AVRO_HEADER_BYTES) == f.lit(bytearray(header))
    plain = f.expr(f"substring(value, {AVRO_HEADER_BYTES + 1})")
    return f.when(ours, from_avro(plain, schema))


def _decimal(value: Column, mirror: Mirror, kind: object, decimals: int) -> Column:
    """Text as DECIMAL: null where it has more digits than the type, instead of rounding them."""
    if mirror.value == "avro":
        return value
    fits = value.rlike(rf"^-?\d+(\.\d{{1,{decimals}}}0*)?$")
    return f.when(fits, value.try_cast(kind))


def micros(name: str) -> Column:
    """Of a column of times in ns: a timestamp, cut to microseconds."""
    return f.expr(f"timestamp_micros({name} div {NS_PER_US})")


def trades(spark: SparkSession, mirror: Mirror) -> DataFrame:
    """A row a message of PREFIX.trades: those that count for candles and alerts, and unreadable
    ones. Settlements of futures and rows without a price count for neither."""
    messages = _messages(spark, mirror, "trades").select(
        "timestamp", "partition", "offset",
        _decoded(spark, mirror, "trade", TRADE_JSON).alias("row"),
    )  # fmt: skip
    price = _decimal(f.col("row.price"), mirror, exact.PRICE, exact.PRICE_DECIMALS)
    quantity = _decimal(f.col("row.quantity"), mirror, exact.QUANTITY, exact.QUANTITY_DECIMALS)
    rows = messages.withColumn("price", price).withColumn("quantity", quantity)
    whole = f.lit(True)
    for name in ("row.symbol", "row.time", "row.id", "price", "quantity", "row.side"):
        whole = whole & f.col(name).isNotNull()
    market = f.coalesce(f.col("row.kind"), f.lit("MARKET")) == "MARKET"
    counts = market & (f.col("price") > 0) & (f.col("quantity") >= 0)
    return rows.where(~whole | counts).select(
        f.when(whole, f.lit(TRADE)).otherwise(f.lit(UNREADABLE)).alias("class"),
        f.col("row.symbol").alias("symbol"),
        f.when(whole, micros("row.time")).otherwise(f.col("timestamp")).alias("event"),
        f.col("row.time").alias("time_ns"),
        # A row of an archive has no arrival: as if it had come at its time.
        f.coalesce(f.col("row.receive_time"), f.col("row.time")).alias("receive_ns"),
        f.coalesce(f.col("row.flags"), f.lit(0)).alias("flags"),
        # An unreadable one is named by its place, so that none is taken for another.
        f.when(whole, f.col("row.id")).otherwise(f.expr("offset * 4096 + partition")).alias("id"),
        "price", "quantity", f.col("row.side").alias("side"), "partition", "offset",
    )  # fmt: skip


def heartbeats(spark: SparkSession, mirror: Mirror) -> DataFrame:
    """`interval_closed` of candles: an event without a trade, which tells that time has passed.
    Same columns as trades()."""
    messages = _messages(spark, mirror, "status").select(
        "partition", "offset", _decoded(spark, mirror, "status", STATUS_JSON).alias("row")
    )
    beats = messages.where("row.kind = 'interval_closed' and row.about_channel = 'candle'")
    nothing = {"symbol": "string", "receive_ns": "long", "id": "long", "price": exact.PRICE,
               "quantity": exact.QUANTITY, "side": "string"}  # fmt: skip
    absent = {name: f.lit(None).cast(kind) for name, kind in nothing.items()}
    known = {"class": f.lit(CLOCK), "event": micros("row.time"),
             "time_ns": f.col("row.time"), "flags": f.lit(0).cast("long"),
             "partition": f.col("partition"), "offset": f.col("offset")}  # fmt: skip
    cells = {**absent, **known}
    return beats.select(*(cells[name].alias(name) for name in COLUMNS))
