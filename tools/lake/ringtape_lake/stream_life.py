# SPDX-License-Identifier: Apache-2.0
"""How the queries of a stream live: started, begun anew when they fail, stopped on SIGTERM; and
what is counted: trades behind the watermark, messages that cannot be read."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from typing import Any, Callable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import DataStreamWriter, StreamingQuery
from pyspark.sql.streaming.listener import StreamingQueryListener

from ringtape_lake import kafka_rows, lake_session

Starter = Callable[[], StreamingQuery]
LATE_TABLE = "stream_late"
LATE = lake_session.columns(
    "query STRING, query_id STRING, batch_id LONG, late_rows LONG, told TIMESTAMP"
)
PAUSE_S, PAUSE_MAX_S = 1.0, 15.0
COUNTS_WAIT_S = 20.0


def tell(what: str, **more: Any) -> None:
    """One JSON line on standard error."""
    sys.stderr.write(json.dumps({"stream": what, **more}) + "\n")
    sys.stderr.flush()


def start(writer: DataStreamWriter, options: argparse.Namespace, name: str) -> StreamingQuery:
    """Under this name and with a checkpoint of this name, as the options say when."""
    writer = writer.queryName(name).option("checkpointLocation", f"{options.checkpoints}/{name}")
    if options.available_now:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=options.trigger).start()


# ---- what is counted ----


def tell_unreadable(name: str, summed: DataFrame) -> None:
    unreadable = summed.where(f"class = '{kafka_rows.UNREADABLE}'").groupBy().sum("trades")
    count = unreadable.collect()[0][0]
    if count:
        tell("unreadable", query=name, messages=count)


class _Late(StreamingQueryListener):
    """Rows that the first operator with state dropped: it sees each message once, before anything
    is added up. Whoever dropped some says so in the log and in LAKE/stream_late."""

    def __init__(self, spark: SparkSession, lake: str) -> None:
        self.spark, self.path = spark, lake_session.table(lake, LATE_TABLE)
        self.seen: dict[str, int] = {}  # the last batch of each query

    def onQueryStarted(self, event: Any) -> None:
        tell("started", query=event.name)

    def onQueryProgress(self, event: Any) -> None:
        progress = event.progress
        late = sum(operator.numRowsDroppedByWatermark for operator in progress.stateOperators)
        tell("batch", query=progress.name, batch=progress.batchId, rows=progress.numInputRows,
             late=late, watermark=progress.eventTime.get("watermark"))  # fmt: skip
        if late > 0:
            row = (progress.name, str(progress.id), progress.batchId, late, progress.timestamp)
            found = self.spark.createDataFrame([row], LATE.fieldNames())
            found = found.withColumn("told", found.told.cast("timestamp"))
            lake_session.insert_new(found, self.path, ["query_id", "batch_id"], "true")
        self.seen[progress.name] = progress.batchId

    def onQueryIdle(self, event: Any) -> None:
        pass

    def onQueryTerminated(self, event: Any) -> None:
        tell("ended", query=str(event.id), failed=event.exception is not None)


def count_late(spark: SparkSession, lake: str) -> _Late:
    lake_session.ensure_table(spark, lake_session.table(lake, LATE_TABLE), LATE, [])
    listener = _Late(spark, lake)
    spark.streams.addListener(listener)
    return listener


# ---- life ----


class _Life:
    """One query: begun anew when it fails, after a pause that doubles, until it has failed
    `restarts` times without a batch in between."""

    def __init__(self, name: str, starter: Starter, restarts: int) -> None:
        self.name, self.starter, self.restarts = name, starter, restarts
        self.failures, self.batch = 0, -1
        self.next_s = 0.0
        self.query: StreamingQuery | None = None
        self.done, self.failed = False, False

    def _note(self, error: Exception) -> None:
        self.query = None
        self.failures += 1
        pause = min(PAUSE_S * 2 ** (self.failures - 1), PAUSE_MAX_S)
        self.next_s = time.monotonic() + pause
        self.failed = self.done = self.failures > self.restarts
        tell("failed", query=self.name, again_s=None if self.done else pause,
             error=str(error).strip().split("\n")[0][:300])  # fmt: skip

    def look(self) -> None:
        try:
            if self.query is None:
                if time.monotonic() >= self.next_s:
                    self.query = self.starter()
                return
            progress = self.query.lastProgress
            if progress is not None and progress.batchId != self.batch:
                self.failures, self.batch = 0, progress.batchId
            if not self.query.isActive:
                error = self.query.exception()
                if error is not None:
                    raise error
                self.done = True
        except Exception as error:  # whatever it is, only this query is begun anew
            self._note(error)


def _wait_for_counts(listener: _Late, lives: list[_Life]) -> None:
    """What a query tells of its last batch comes behind it."""
    end = time.monotonic() + COUNTS_WAIT_S
    while time.monotonic() < end:
        if all(listener.seen.get(life.name, -1) >= life.batch for life in lives):
            return
        time.sleep(0.1)


def run(
    spark: SparkSession, starters: dict[str, Starter], listener: _Late, options: argparse.Namespace
) -> int:
    """Until all have ended (--available-now), or SIGTERM or SIGINT. 1: a query gave up."""
    lives = [_Life(name, starter, options.restarts) for name, starter in starters.items()]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set() and not all(life.done for life in lives):
        for life in lives:
            if not life.done:
                life.look()
        stop.wait(0.2)
    for life in lives:
        if life.query is not None and life.query.isActive:
            life.query.stop()
    _wait_for_counts(listener, lives)
    failed = any(life.failed for life in lives)
    spark.stop()
    return 1 if failed else 0
