# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in Avro: the published schemas are those of the messages, and what fastavro reads is what
JSON says, for the golden messages and for what a real broker has."""

import copy
import gzip
import json
import re
import time
from decimal import Decimal

import avro_values
import fastavro
import kafka_broker
import pytest
import support
from alerts_test import NERVOUS
from avro_values import SCHEMAS, decode, of_json
from candles_test import minute_trades, record, upbit_line
from mirror_test import TOPICS, caught_up, kafka, make_topics, stored

GOLDEN = support.ROOT / "tests" / "golden" / "messages"
CHANNELS = sorted(channel for channel, _ in SCHEMAS.values())
TOPIC_OF = {**TOPICS, "candle": "candles", "alert": "alerts"}


def golden(name):
    json_value = json.loads((GOLDEN / f"{name}.json").read_text())
    return (GOLDEN / f"{name}.avro").read_bytes(), json_value


def test_there_is_a_schema_for_every_channel():
    assert len(SCHEMAS) == len(CHANNELS)
    assert set(CHANNELS) == set(TOPIC_OF)
    assert {path.stem for path in GOLDEN.glob("*.avro") if "_least" not in path.stem} == set(
        CHANNELS
    )


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("which", ["", "_least"])
def test_golden_messages_say_in_avro_what_they_say_in_json(channel, which):
    """Every column once, and every nullable one absent."""
    value, row = golden(channel + which)
    assert decode(value) == (channel, of_json(channel, row))


def test_the_readme_names_the_fingerprints():
    text = (avro_values.FOLDER / "README.md").read_text()
    told = dict(re.findall(r"^\| \[(\w+)\.avsc\]\(\w+\.avsc\) \| `([0-9a-f]{16})` \|", text, re.M))
    assert told == {channel: print_.hex() for print_, (channel, _) in SCHEMAS.items()}


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_absent_at_the_exchange_is_null_by_default(channel):
    """So a reader with a newer schema reads older rows."""
    for field in json.loads(avro_values.text_of(channel))["fields"]:
        nullable = isinstance(field["type"], list)
        assert not nullable or (field["type"][0] == "null" and field["default"] is None), field
        assert nullable or "default" not in field, field


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_column_more_breaks_no_consumer(channel):
    """The evolution that docs/kafka.md allows: a nullable field among the others."""
    value, row = golden(channel)
    schema = json.loads(avro_values.text_of(channel))
    newer = copy.deepcopy(schema)
    place = len(newer["fields"]) - 1
    newer["fields"].insert(place, {"name": "later", "type": ["null", "long"], "default": None})
    assert avro_values.fingerprint(newer) not in SCHEMAS
    as_newer = fastavro.parse_schema(copy.deepcopy(newer))
    _, read = decode(value, as_newer)
    assert read == {**of_json(channel, row), "later": None}
    from io import BytesIO

    later = BytesIO()
    fastavro.schemaless_writer(later, as_newer, {**of_json(channel, row), "later": 5})
    later.seek(0)
    as_ours = next(s for name, s in SCHEMAS.values() if name == channel)
    assert fastavro.schemaless_reader(later, as_newer, as_ours) == of_json(channel, row)


# ---- over a broker -------------------------------------------------------------------------------

needs_broker = pytest.mark.skipif(
    kafka_broker.MISSING is not None, reason=str(kafka_broker.MISSING)
)


def by_identity(messages):
    """(key, identity) -> value; what comes twice says the same."""
    found = {}
    for message in messages:
        headers = dict(message.headers())
        place = (message.key().decode(), headers["identity"].decode())
        assert headers["version"] == b"1"
        assert found.setdefault(place, message.value()) == message.value(), place
    return found


def mirrored_avro(broker, prefix, channel):
    messages = kafka_broker.read_topic(broker.address, f"{prefix}.{TOPIC_OF[channel]}")
    for message in messages:
        assert dict(message.headers())["schema"] == f"{channel}.avro".encode()
        _, row = decode(message.value())
        assert message.timestamp()[1] == row["time"] // 1_000_000
    rows = []
    for value in by_identity(messages).values():
        name, row = decode(value)
        assert name == channel
        rows.append(row)
    return rows


def order(rows):
    def spelled(value):  # 57.7 and 57.70000000 are equal, and so must be their places
        return str(value.normalize() if isinstance(value, Decimal) else value)

    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=spelled))


def compare(broker, prefix, store, channels):
    """What was decoded is what `ringtape cat --json` says, as JSON messages do; how many rows."""
    counts = {}
    for channel in channels:
        want = [of_json(channel, row) for row in stored(store, channel)]
        have = mirrored_avro(broker, prefix, channel)
        assert order(have) == order(want), channel
        counts[channel] = len(have)
    return counts


@needs_broker
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_broker_has_in_avro_is_what_json_says(broker, tmp_path):
    """Two exchanges, every channel that a market makes in seconds, all kinds of alerts."""
    make_topics(broker, "av")
    with support.Simulator("--symbols=binance:30", "--symbols=upbit:20", "--rate=3000",
                           "--seconds=4", "--at-end=hold") as simulator:  # fmt: skip
        channels = ["trade", "agg_trade", "quote", "depth", "kline_1m", "ticker"]
        feeds = [support.feed(simulator, "binance", channels, "all"),
                 support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all")]  # fmt: skip
        top = {"kafka": kafka(broker, "av", value="avro"), "alerts": NERVOUS, "shards": 2}
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", feeds, top=top) as daemon:
            simulator.event("ended", 60)
            time.sleep(0.5)
            caught_up(daemon)
            assert daemon.counters()["mirror_refused"] == 0
            assert daemon.terminate() == 0, daemon.errors
    counts = compare(broker, "av", tmp_path / "store", CHANNELS)
    assert all(counts[channel] > 0 for channel in set(CHANNELS) - {"candle", "raw"}), counts


@needs_broker
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_candles_and_raw_messages_of_an_old_hour(broker, tmp_path):
    """A made recording: minutes that are over, and a message with a key that nobody knows."""
    prices = {"open": "100.5", "high": "200.25", "low": "99", "close": "150"}
    minutes = [{"timestamp": f"2025-09-01 10:{at:02}:00", "volume": "0.12345678", **prices}
               for at in range(40)]  # fmt: skip
    lines = [upbit_line(trade) for trade in minute_trades(minutes)]
    lines[9] = lines[9].replace('"st":', '"new":"\\\\u00fc","st":')
    with gzip.open(tmp_path / "made.gz", "wt") as file:
        file.writelines(lines)
    make_topics(broker, "old")
    top = {"kafka": kafka(broker, "old", value="avro")}
    store, _ = record(tmp_path / "made.gz", "upbit", ["trade"], ["KRW-BTC"], tmp_path, top=top)
    counts = compare(broker, "old", store, ["trade", "candle", "raw", "status"])
    assert counts["trade"] == 160 and counts["candle"] >= 40 and counts["raw"] == 1, counts
