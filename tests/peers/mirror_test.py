# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror against a real Kafka broker: what consumers read is what the store holds, in the order
of the tape, through crashes of the broker and of the daemon."""

import collections
import json
import os
import signal
import time

import kafka_broker
import pytest
import replay_world
import support

TOPICS = {
    "trade": "trades", "agg_trade": "agg_trades", "quote": "quotes", "depth": "depth",
    "book": "books", "ticker": "tickers", "kline": "klines", "status": "status", "raw": "raw",
    "instrument": "instruments",
}  # fmt: skip
REST = ("candles", "alerts")

pytestmark = [
    pytest.mark.skipif(kafka_broker.MISSING is not None, reason=str(kafka_broker.MISSING)),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def make_topics(broker, prefix, but=()):
    names = (*TOPICS.values(), *REST)
    # Rows of a recording are older than what Kafka keeps by default: it goes by their time.
    broker.topics(*(f"{prefix}.{name}" for name in names if name not in but), retention_ms=-1)


def kafka(broker, prefix, **more):
    return {"brokers": broker.address, "prefix": prefix, **more}


def nanoseconds(text):
    from datetime import datetime, timezone

    base = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(base.timestamp()) * 10**9 + int(text[20:-1].ljust(9, "0"))


def stored(store, channel):
    """Rows of a channel as the messages' values should have them, in the order of the store."""
    rows = []
    for line in support.ringtape("cat", "--store", store, "--channel", channel,
                                 "--json").splitlines():  # fmt: skip
        row = json.loads(line)
        for key, value in row.items():
            if key == "time" or key.endswith("_time"):
                row[key] = None if value is None else nanoseconds(value)
        rows.append({k: v for k, v in row.items() if v is not None or k == "symbol"})
    return rows


def mirrored(broker, prefix, channel, at_least=0):
    """Messages of a topic as (key, identity, value), each identity once: the first."""
    seen, messages, count = set(), [], 0
    read = kafka_broker.read_topic(broker.address, f"{prefix}.{TOPICS[channel]}", at_least=at_least)
    for message in read:
        headers = dict(message.headers())
        key, identity = message.key().decode(), headers["identity"].decode()
        assert headers["schema"] == f"{channel}.json".encode() and headers["version"] == b"1"
        count += 1
        if (key, identity) in seen:
            continue
        seen.add((key, identity))
        messages.append((key, identity, json.loads(message.value()), message.timestamp()[1]))
    return messages, count


def by_key(pairs):
    found = collections.defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def compare(broker, prefix, store, channels):
    """What was read equals what is stored, and of each key in the same order."""
    counts = {}
    for channel in channels:
        rows = stored(store, channel)
        messages, counts[channel] = mirrored(broker, prefix, channel)
        for _, _, value, time_ms in messages:
            assert time_ms == value["time"] // 1_000_000
        want = by_key((row["symbol"] or "", row) for row in rows)
        have = by_key((key, value) for key, _, value, _ in messages)
        assert sorted(want) == sorted(have), channel
        for key in want:
            if key == "":  # rows of the daemon: of several shards, in no order between them
                for rows in (have[key], want[key]):
                    rows.sort(key=lambda row: (row["tape"], row["tape_row"]))
            assert have[key] == want[key], (channel, key)
    return counts


def caught_up(daemon, seconds=60):
    def done():
        c = daemon.counters()
        return c["mirror_behind"] == 0 and c["mirror_in_flight"] == 0 and c["mirrored"] > 0

    about = lambda: [e for e in daemon.errors if "afka" in e][-8:]  # noqa: E731
    support.wait_for(done, seconds, lambda: f"caught up: {daemon.counters()}; {about()}")


def test_every_channel_arrives(broker, tmp_path):
    """Two exchanges, all channels, two shards; read by two different clients."""
    make_topics(broker, "all")
    with support.Simulator("--symbols=binance:30", "--symbols=upbit:20", "--rate=4000",
                           "--seconds=4", "--at-end=hold") as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance",
                         ["trade", "agg_trade", "quote", "depth", "kline_1m", "ticker"], "all"),
            support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all"),
        ]  # fmt: skip
        top = {"kafka": kafka(broker, "all"), "shards": 2}
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", feeds, top=top) as daemon:
            simulator.event("ended", 60)
            time.sleep(0.5)
            caught_up(daemon)
            assert daemon.terminate() == 0, daemon.errors
    counts = compare(broker, "all", tmp_path / "store", TOPICS)
    for channel in ("trade", "quote", "depth", "book", "ticker", "status", "instrument"):
        assert counts[channel] > 0, channel

    from kafka import KafkaConsumer

    consumer = KafkaConsumer("all.trades", bootstrap_servers=broker.address, group_id=None,
                             auto_offset_reset="earliest", consumer_timeout_ms=3000)  # fmt: skip
    got = []
    for message in consumer:
        got.append(json.loads(message.value))
        if len(got) == counts["trade"]:
            break
    consumer.close()
    place = lambda row: (row["symbol"], row["id"])  # noqa: E731
    assert sorted(map(place, got)) == sorted(map(place, stored(tmp_path / "store", "trade")))


def test_nothing_is_lost_when_broker_and_daemon_are_killed(broker, tmp_path):
    """Under load: the broker dies, the daemon is killed, comes back with other shards, and is
    killed again while it catches up. Tapes are small, so that they are sealed meanwhile."""
    make_topics(broker, "kill")
    with support.Simulator("--symbols=binance:40", "--channels=trade,depth", "--rate=6000",
                           "--whole-market", "--at-end=hold") as simulator:  # fmt: skip
        feeds = [support.feed(simulator, "binance", ["trade", "depth"], "all")]
        top = {"kafka": kafka(broker, "kill"), "seal_after": {"size": "1MiB", "time": "1s"}}

        def daemon(shards):
            return support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", feeds,
                                     top={**top, "shards": shards})  # fmt: skip

        with daemon(3) as first:
            first.wait_counters(lambda c: c["mirrored"] > 2000, 30, "some mirrored")
            broker.kill()
            first.wait_counters(lambda c: c["tapes_sealed"] >= 3, 30, "sealed tapes")
            first.child.send_signal(signal.SIGKILL)
            first.child.wait()
        with daemon(1) as second:
            second.wait_counters(lambda c: c["durable"] > 6000, 30, "more rows")
            broker.start()
            second.wait_counters(lambda c: c["mirrored"] > 3000, 60, "some mirrored again")
            os.kill(second.child.pid, signal.SIGKILL)
            second.child.wait()
        with daemon(2) as third:
            third.wait_counters(lambda c: c["durable"] > 3000, 30, "more rows")
            simulator.terminate()
            time.sleep(0.5)
            caught_up(third)
            assert third.counters()["mirror_lost"] == 0
            assert third.terminate() == 0, third.errors
    support.ringtape("verify", "--store", tmp_path / "store")
    counts = compare(broker, "kill", tmp_path / "store", ["trade", "depth", "status"])
    assert counts["trade"] > 5000


def test_a_message_too_large_for_its_topic_is_kept_and_others_go_on(broker, tmp_path):
    """The broker refuses whole batches for one book; only the large ones are kept, and sent again
    once the topic takes them."""
    make_topics(broker, "large", but=("instruments",))
    broker.topics("large.instruments", max_message_bytes=100)
    from confluent_kafka.admin import (
        AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType,
    )  # fmt: skip

    admin = AdminClient({"bootstrap.servers": broker.address})

    def limit(size):
        entry = ConfigEntry("max.message.bytes", str(size),
                            incremental_operation=AlterConfigOpType.SET)  # fmt: skip
        resource = ConfigResource(ResourceType.TOPIC, "large.instruments",
                                  incremental_configs=[entry])  # fmt: skip
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(20)

    with support.Simulator("--symbols=binance:10", "--channels=trade", "--rate=500",
                           "--at-end=hold") as simulator:  # fmt: skip
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        top = {"kafka": kafka(broker, "large")}
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", feeds, top=top) as daemon:
            daemon.wait_counters(lambda c: c["mirror_refused"] >= 10, 60, "refused messages")
            before = daemon.counters()["mirrored"]
            daemon.wait_counters(lambda c: c["mirrored"] > before + 500, 30, "trades go on")
            state = json.loads(support.ringtape("mirror", "--store", tmp_path / "store", "--json"))
            assert state["letters"]["instruments"] == 10
            limit(1000000)
            support.ringtape("mirror", "retry", "--store", tmp_path / "store")
            support.wait_for(
                lambda: not json.loads(support.ringtape("mirror", "--store", tmp_path / "store",
                                                        "--json"))["letters"],
                30, "an empty list of refused messages")  # fmt: skip
            simulator.terminate()
            time.sleep(0.3)
            caught_up(daemon)
            assert daemon.terminate() == 0, daemon.errors
    compare(broker, "large", tmp_path / "store", ["trade", "instrument"])
    kinds = [row["kind"] for row in stored(tmp_path / "store", "status")]
    assert "message_refused" in kinds


def test_alerts_are_sent_when_they_are_raised(broker, tmp_path):
    """Rules that any market breaks: what the topic has is what the store has, none more than
    twice."""
    from alerts_test import NERVOUS

    make_topics(broker, "al")
    with support.Simulator("--symbols=binance:20", "--rate=3000", "--seconds=6",
                           "--at-end=hold") as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade", "quote"], "all")
        top = {"kafka": kafka(broker, "al", topics=["alerts"]), "alerts": NERVOUS}
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed], top=top) as daemon:
            simulator.event("ended", 60)
            time.sleep(0.5)
            caught_up(daemon)
            counters = daemon.counters()
            assert daemon.terminate() == 0, daemon.errors
    rows = {row["id"]: row for row in stored(tmp_path / "store", "alert")}
    assert len(rows) == counters["alerts"] > 20
    messages = list(kafka_broker.read_topic(broker.address, "al.alerts", at_least=len(rows)))
    values = [json.loads(message.value()) for message in messages]
    assert {value["id"] for value in values} == set(rows)
    for value in values:
        row = rows[value["id"]]
        assert all(row[k] == v for k, v in value.items() if k not in ("tape", "tape_row"))
    # Both ways know each alert: the mirror brings those that no broker had confirmed when they
    # became durable, 5 ms later, which these of the first second mostly are.
    assert len(values) <= 2 * len(rows)
    assert len(values) > counters["mirrored"], "some came past the mirror"


def test_a_replay_writes_as_the_mirror_does(broker, tmp_path, certificates):
    """The same topics, keys, values and identities, under a prefix of its own."""
    first = replay_world.made_up(tmp_path, certificates, "--rate=3000", "--messages=3000")
    support.ringtape("seal", "--store", first)
    make_topics(broker, "replayed")
    text = support.ringtape("replay", "--store", first, "--speed", "max", "--kafka",
                            broker.address, "--kafka-prefix", "replayed")  # fmt: skip
    ended = json.loads(text)
    assert ended["played"] == ended["delivered"] > 3000 and ended["refused"] == 0
    channels = ("trade", "agg_trade", "quote", "depth", "book", "ticker", "kline", "status")
    counts = compare(broker, "replayed", first, channels)
    assert all(counts[channel] == len(stored(first, channel)) for channel in channels)
