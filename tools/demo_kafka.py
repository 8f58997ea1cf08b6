# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kafka of the demo: librdkafka's mock cluster, and a consumer of candles and alerts."""

import collections
import json
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

PREFIX = "demo"
CHANNELS = {"candles": "candle", "alerts": "alert"}
# What says that a message is the row of the store; numbers are strings on both sides.
FIELDS = {
    "candles": "symbol interval revision trades open high low close volume vwap".split(),
    "alerts": "symbol kind rule from_price to_price measure threshold".split(),
}


class Kafka:
    """Listens on loopback inside this process; its memory holds what is sent in the demo."""

    def __init__(self):
        self.cluster = Producer(
            {"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 2}
        )
        self.brokers = str(next(iter(self.cluster.list_topics(timeout=10).brokers.values())))
        self.address = self.brokers.split("/")[0]
        self.messages = {topic: [] for topic in CHANNELS}
        self.ended = False
        parts = []
        for topic in CHANNELS:
            name = f"{PREFIX}.{topic}"
            metadata = self.cluster.list_topics(name, timeout=10).topics[name]
            parts += [TopicPartition(name, part, 0) for part in metadata.partitions]
        self.consumer = Consumer({
            "bootstrap.servers": self.address, "group.id": "demo", "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        })  # fmt: skip
        self.consumer.assign(parts)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def configuration(self):
        return {"brokers": self.address, "prefix": PREFIX, "topics": list(CHANNELS)}

    def _read(self):
        while not self.ended:
            message = self.consumer.poll(0.1)
            if message is None or message.error():
                continue
            row = json.loads(message.value())
            row["late_ms"] = (time.time_ns() - row["time"]) / 1e6
            self.messages[message.topic().removeprefix(f"{PREFIX}.")].append(row)

    def close(self):
        self.ended = True
        self.thread.join()
        self.consumer.close()

    def compare(self, topic, rows):
        """How many rows of the store were not consumed, and how many that are not in it."""
        fields = FIELDS[topic]
        stored = collections.Counter(tuple(row.get(f) for f in fields) for row in rows)
        consumed = collections.Counter(
            {tuple(row.get(f) for f in fields): 1 for row in self.messages[topic]}
        )
        return sum((stored - consumed).values()), sum((consumed - stored).values())


def alert_line(row):
    """'surge binance:BTCUSDT 7713.43 -> 8030.46, 4.1 % ...'"""
    return (
        f"{row['kind']} of {row['symbol']}: {row['from_price']} to {row['to_price']}, "
        f"{float(row['measure']):.1%} (rule: {float(row['threshold']):.1%}), "
        f"at the consumer {row['late_ms']:.1f} ms after the trade"
    )
