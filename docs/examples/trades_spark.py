# SPDX-License-Identifier: Apache-2.0
"""trades_spark BROKERS TOPIC SCHEMA FOLDER batch|stream: trades in Avro from Kafka, each once, into
a table of Parquet files by day; then what each symbol traded.

    spark-submit --packages \
        org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0,org.apache.spark:spark-avro_2.13:4.2.0 \
        trades_spark.py kafka-1:9092 ringtape.trades trade.avsc trades stream

`batch` reads what there is. `stream` goes on where the last run ended (its checkpoint lies beside
FOLDER) and ends when it has what there is; without the trigger it stays.
"""

import pathlib
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.avro.functions import from_avro

# Behind these ten bytes the value is plain Avro. They name the schema it was written with.
HEADER_BYTES = 10
NAME = ["key", "identity"]  # of a trade, for ever


def source(reader, brokers, topic):
    return reader.format("kafka").options(**{
        "kafka.bootstrap.servers": brokers, "subscribe": topic, "startingOffsets": "earliest",
        "includeHeaders": "true",
    }).load()  # fmt: skip


def header_of(spark, schema):
    """Spark brings the Avro library that computes fingerprints."""
    avro = spark._jvm.org.apache.avro
    parsed = avro.Schema.Parser().parse(schema)
    return b"\xc3\x01" + bytes(avro.SchemaNormalization.parsingFingerprint("CRC-64-AVRO", parsed))


def trades_of(messages, schema, header):
    """A row a message. Of another schema than this one there are none: ask for the fingerprint
    before an upgrade, and give from_avro the writer's schema and this one as `avroSchema`."""
    identity = f.expr("filter(headers, h -> h.key = 'identity')[0].value").cast("string")
    ours = f.substring("value", 1, HEADER_BYTES) == f.lit(bytearray(header))
    plain = f.expr(f"substring(value, {HEADER_BYTES + 1})")
    return (
        messages.where(ours)
        .select(f.col("key").cast("string"), identity.alias("identity"),
                f.to_date("timestamp").alias("day"), from_avro(plain, schema).alias("trade"))
        .select("key", "identity", "day", "trade.*")
    )  # fmt: skip


def append(folder):
    """Not dropDuplicatesWithinWatermark: it drops what is late, and a repaired trade is late. A
    trade that comes again has the same timestamp, so only the days of this batch are looked at.
    With Delta this is one MERGE."""

    def write(batch, _):
        new = batch.dropDuplicates(NAME)
        if pathlib.Path(folder).exists():
            days = [row.day for row in new.select("day").distinct().collect()]
            kept = batch.sparkSession.read.parquet(folder).where(f.col("day").isin(days))
            new = new.join(kept.select(*NAME), NAME, "left_anti")
        new.write.mode("append").partitionBy("day").parquet(folder)

    return write


def main(brokers, topic, schema_path, folder, mode):
    spark = SparkSession.builder.appName("trades").getOrCreate()
    schema = pathlib.Path(schema_path).read_text()
    header = header_of(spark, schema)
    if mode == "batch":
        trades = trades_of(source(spark.read, brokers, topic), schema, header)
        trades.dropDuplicates(NAME).write.mode("overwrite").partitionBy("day").parquet(folder)
    else:
        trades = trades_of(source(spark.readStream, brokers, topic), schema, header)
        trades.writeStream.foreachBatch(append(folder)).trigger(availableNow=True).option(
            "checkpointLocation", folder + ".checkpoint"
        ).start().awaitTermination()
    table = spark.read.parquet(folder)
    table.groupBy("symbol").agg(
        f.count("*").alias("trades"), f.min("price"), f.max("price"), f.sum("quantity")
    ).orderBy("symbol").show(5, truncate=False)
    print(f"{table.count()} trades under fingerprint {header[2:].hex()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
