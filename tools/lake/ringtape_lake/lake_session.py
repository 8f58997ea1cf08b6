# SPDX-License-Identifier: Apache-2.0
"""The Spark session of all jobs, and writing Delta tables so that doing it twice does nothing."""

from __future__ import annotations

import re
from typing import Optional

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    DataType, DateType, DecimalType, DoubleType, LongType, StringType, StructType, TimestampType,
)  # fmt: skip

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # An overflow ends the job by name; nothing becomes null or is wrapped around.
    "spark.sql.ansi.enabled": "true",
    # State of any size on disk; alerts need it for their state of each symbol.
    "spark.sql.streaming.stateStore.providerClass":
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
}  # fmt: skip


_TYPES: dict[str, DataType] = {
    "STRING": StringType(), "LONG": LongType(), "DOUBLE": DoubleType(), "DATE": DateType(),
    "TIMESTAMP": TimestampType(),
}  # fmt: skip


def columns(text: str) -> StructType:
    """'NAME TYPE, ...' as a schema; unlike StructType.fromDDL() it needs no session."""
    schema = StructType()
    for name, kind in re.findall(r"(\w+)\s+(\w+(?:\([\d, ]+\))?)", text):
        digits = [int(digit) for digit in re.findall(r"\d+", kind)]
        schema.add(name, DecimalType(*digits) if digits else _TYPES[kind])
    return schema


def session(name: str) -> SparkSession:
    """What spark-submit was told wins, but for what exactness needs."""
    builder = SparkSession.builder.appName(name)
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark


def table(lake: str, name: str) -> str:
    return f"{lake.rstrip('/')}/{name}"


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a Delta table; works for every file system that Spark knows."""
    from delta.tables import DeltaTable

    return DeltaTable.isDeltaTable(spark, path)


def read(spark: SparkSession, path: str) -> Optional[DataFrame]:
    """The table; None where there is none."""
    return spark.read.format("delta").load(path) if exists(spark, path) else None


def ensure_table(spark: SparkSession, path: str, schema: StructType, partitions: list[str]) -> None:
    """Made before anything writes, so that several writers need not make it at once."""
    from delta.tables import DeltaTable

    builder = DeltaTable.createIfNotExists(spark).location(path).addColumns(schema)
    if partitions:
        builder = builder.partitionedBy(*partitions)
    builder.execute()


def insert_new(rows: DataFrame, path: str, keys: list[str], within: str) -> None:
    """Adds the rows whose keys are not there. `within` limits what is looked at to partitions."""
    from delta.tables import DeltaTable

    same = " and ".join(f"old.{key} = new.{key}" for key in keys)
    DeltaTable.forPath(rows.sparkSession, path).alias("old").merge(
        rows.alias("new"), f"{within} and {same}"
    ).whenNotMatchedInsertAll().execute()
