# SPDX-License-Identifier: GPL-3.0-or-later
"""The consumers of docs/examples are run: of messages that come twice each counts once."""

import sqlite3
import subprocess
import sys

import avro_values
import kafka_broker
import mirrored_twice
import pytest
import support

EXAMPLES = support.ROOT / "docs" / "examples"
SCHEMA = avro_values.FOLDER / "trade.avsc"

pytestmark = [
    pytest.mark.skipif(kafka_broker.MISSING is not None, reason=str(kafka_broker.MISSING)),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", params=["json", "avro"])
def topic(request, broker, tmp_path_factory):
    """(format, name, rows of the store)"""
    folder = tmp_path_factory.mktemp(request.param)
    rows = mirrored_twice.record(broker, request.param, folder, request.param)
    name = f"{request.param}.trades"
    assert len(kafka_broker.read_topic(broker.address, name)) >= 2 * len(rows)
    return request.param, name, rows


def run(*command):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True,
                          timeout=120, preexec_fn=support.die_with_parent)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(row):
    in_type = avro_values.of_json("trade", row)
    return in_type["price"], in_type["quantity"]


def test_confluent_kafka_into_a_table(broker, topic, tmp_path):
    """Run twice: the second time it goes on at the end, and nothing changes."""
    from decimal import Decimal

    _, name, rows = topic
    command = (EXAMPLES / "trades_confluent.py", broker.address, name, tmp_path / "t.db", SCHEMA,
               "--until-end")  # fmt: skip
    assert run(*command) == f"{len(rows)} trades\n"
    assert run(*command) == f"{len(rows)} trades\n"
    table = sqlite3.connect(tmp_path / "t.db").execute(
        "select key, identity, time, price, quantity, side from trade"
    )
    have = sorted((*row[:3], Decimal(row[3]), Decimal(row[4]), row[5]) for row in table)
    want = [(r["symbol"], str(r["id"]), r["time"], *numbers(r), r["side"]) for r in rows]
    assert have == sorted(want)


@pytest.mark.parametrize("topic", ["json"], indirect=True)
def test_kafka_python_as_they_come(broker, topic):
    _, name, rows = topic
    lines = run(EXAMPLES / "trades_kafka_python.py", broker.address, name, 3).splitlines()
    want = [f"{r['symbol']} {r['id']} {r['time']} {r['price']} {r['quantity']}" for r in rows]
    assert sorted(lines) == sorted(want)
