# SPDX-License-Identifier: GPL-3.0-or-later
"""Spark reads the Avro values of a real broker by the published schema, with the example of
docs/examples, in one go and as a stream. `tools/dev spark` runs this."""

import os
import pathlib
import subprocess

import avro_values
import kafka_broker
import mirrored_twice
import pytest
import support

SPARK = pathlib.Path(os.environ.get("RINGTAPE_SPARK", support.ROOT / ".deps" / "spark"))
EXAMPLE = support.ROOT / "docs" / "examples" / "trades_spark.py"
SCHEMA = avro_values.FOLDER / "trade.avsc"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with kafka_broker.Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def rows(broker, tmp_path_factory):
    return mirrored_twice.record(broker, "sp", tmp_path_factory.mktemp("sp"), "avro")


def submit(broker, folder, mode):
    """The last line that the example prints."""
    jars = ",".join(map(str, sorted((SPARK / "jars").glob("*.jar"))))
    python = SPARK / "venv" / "bin" / "python"
    command = [
        SPARK / "venv" / "bin" / "spark-submit", "--master", "local[2]", "--driver-memory", "1g",
        "--jars", jars, "--driver-java-options", "-XX:TieredStopAtLevel=1",
        "--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.ui.enabled=false",
        "--conf", "spark.sql.session.timeZone=UTC", EXAMPLE, broker.address, "sp.trades", SCHEMA,
        folder, mode,
    ]  # fmt: skip
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(python),
                   "PYSPARK_DRIVER_PYTHON": str(python)}  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300,
                          env=environment, preexec_fn=support.die_with_parent)  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def check(folder, rows):
    """The table that Spark wrote, read by another reader, equals the store column by column."""
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(folder, partitioning="hive").to_table().to_pylist()
    place = lambda row: (row["symbol"], row["id"])  # noqa: E731
    want = sorted((avro_values.of_json("trade", row) for row in rows), key=place)
    assert len(table) == len(want)
    for have, row in zip(sorted(table, key=place), want, strict=True):
        assert have["key"] == row["symbol"] and have["identity"] == str(row["id"])
        assert {name: have[name] for name in row} == row


def told(rows):
    fingerprint = next(f for f, (channel, _) in avro_values.SCHEMAS.items() if channel == "trade")
    return f"{len(rows)} trades under fingerprint {fingerprint.hex()}"


def test_in_one_go(broker, rows, tmp_path):
    assert submit(broker, tmp_path / "trades", "batch") == told(rows)
    check(tmp_path / "trades", rows)


def test_as_a_stream_that_starts_over(broker, rows, tmp_path):
    """The second run has lost its checkpoint and reads all again: nothing is added."""
    assert submit(broker, tmp_path / "trades", "stream") == told(rows)
    (tmp_path / "trades.checkpoint").rename(tmp_path / "lost")
    assert submit(broker, tmp_path / "trades", "stream") == told(rows)
    check(tmp_path / "trades", rows)
