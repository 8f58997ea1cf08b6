# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole batches in a topic of a real broker: the reader written from docs/format.md and the example
on libringtape both find every row of the store in them, each once, whatever came twice."""

import collections
import json
import shutil
import time

import kafka_broker
import library_peer_test
import pytest
import support
from mirror_test import caught_up, kafka
from ringtape_reader import as_json
from ringtape_reader_test import lines, of_cat
from ringtape_tape import Batch

CHANNELS = ("trade", "agg_trade", "quote", "depth", "book", "ticker", "kline", "status",
            "instrument", "raw")  # fmt: skip

pytestmark = [
    pytest.mark.skipif(kafka_broker.MISSING is not None, reason=str(kafka_broker.MISSING)),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def new_rows(messages, store_id):
    """As docs/kafka.md tells consumers: of each tape the rows from the next one on."""
    following = collections.defaultdict(int)
    for message in messages:
        headers = dict(message.headers())
        store, tape, first, end = headers["identity"].decode().split(":")
        assert store == message.key().decode() == store_id
        assert headers["schema"] == b"tape.batch" and headers["version"] == b"1"
        batch = Batch(message.value(), 0)
        assert batch.size == len(message.value())
        assert (batch.header.first_row, batch.header.first_row + batch.header.rows) == (
            int(first), int(end))  # fmt: skip
        assert message.timestamp()[1] == batch.header.time[1] // 1_000_000
        tape = int(tape)
        yield from (r for r in batch.rows(tape) if r.tape_row >= following[tape])
        following[tape] = max(following[tape], int(end))


def record(broker, folder):
    """Two lives of a daemon; before the second the mirror forgets how far it was."""
    broker.topics("ba.batches", max_message_bytes=1 << 26)
    broker.topics("ba.trades")
    top = {"kafka": kafka(broker, "ba", topics=["batches", "trades"]), "shards": 2}
    with support.Simulator("--symbols=binance:30", "--symbols=upbit:20", "--rate=3000",
                           "--seconds=4", "--at-end=hold") as simulator:  # fmt: skip
        channels = ["trade", "agg_trade", "quote", "depth", "kline_1m", "ticker"]
        feeds = [support.feed(simulator, "binance", channels, "all"),
                 support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all")]  # fmt: skip
        for life in range(2):
            with support.Ringtaped(folder / "c.yaml", folder / "store", feeds, top=top) as daemon:
                if life == 0:
                    simulator.event("ended", 60)
                daemon.wait_counters(lambda c: c["mirrored"] > 0, 30, "the first messages")
                time.sleep(0.5)
                caught_up(daemon)
                assert daemon.terminate() == 0, daemon.errors
            told = json.loads(support.ringtape("mirror", "--store", folder / "store", "--json"))
            assert told["delivered"]["batches"] > 100
            lagging = {lag["topic"] for lag in told["lag"]}
            assert not lagging & {"batches", "trades"}, told
            if life == 0:
                shutil.rmtree(folder / "store" / "mirror")


def test_every_row_is_in_them_once(broker, tmp_path):
    record(broker, tmp_path)
    messages = kafka_broker.read_topic(broker.address, "ba.batches")
    parts = {message.partition() for message in messages}
    assert len(parts) == 1, "one partition, so one order"
    found = collections.defaultdict(list)
    count = 0
    for row in new_rows(messages, messages[0].key().decode()):
        found[row.channel.name].append(as_json(row))
        count += 1
    assert sum(Batch(m.value(), 0).header.rows for m in messages) > 1.5 * count, "all twice"
    for channel in CHANNELS:
        assert lines(found[channel]) == of_cat(tmp_path / "store", channel), channel
    program = library_peer_test.compiled(tmp_path, "batches", "rdkafka")
    printed = library_peer_test.run(program, broker.address, "ba.batches", parts.pop())
    printed = collections.Counter(line.split()[0] for line in printed.splitlines())
    assert sum(printed.values()) == count
    for channel in CHANNELS:
        assert printed[channel] == len(found[channel]), channel
