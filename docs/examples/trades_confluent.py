# SPDX-License-Identifier: Apache-2.0
"""trades_confluent BROKERS TOPIC DATABASE SCHEMA [--until-end]: a topic of trades into a table of
SQLite, each trade exactly once, whatever came twice and whenever this program was killed.

Two things do it. The identity of the messages is the table's key, so a trade that comes again is
ignored; and the place in the topic is kept in the same transaction as the trades, so the program
goes on where the table ends. Any database with transactions will do.

    pip install confluent-kafka fastavro
    python trades_confluent.py kafka-1:9092 ringtape.trades trades.db trade.avsc
"""

import io
import json
import sqlite3
import sys

import fastavro
from confluent_kafka import Consumer, TopicPartition

TABLES = """
create table if not exists trade (key text, identity text, time integer, price text,
    quantity text, side text, primary key (key, identity)) without rowid;
create table if not exists place (part integer primary key, next integer);
"""


def decoded(message, schema):
    """The value, be it JSON or Avro. Numbers stay exact: texts, or decimal.Decimal."""
    kind = dict(message.headers())["schema"]
    if kind == b"trade.json":
        return json.loads(message.value())
    assert kind == b"trade.avro", kind
    return fastavro.schemaless_reader(io.BytesIO(message.value()[10:]), schema)


def save(database, messages, schema):
    with database:  # one transaction
        for message in messages:
            row = decoded(message, schema)
            identity = dict(message.headers())["identity"].decode()
            values = (message.key().decode(), identity, row["time"], str(row["price"]),
                      str(row["quantity"]), row["side"])  # fmt: skip
            database.execute("insert or ignore into trade values (?, ?, ?, ?, ?, ?)", values)
            database.execute("insert or replace into place values (?, ?)",
                             (message.partition(), message.offset() + 1))  # fmt: skip


def main(brokers, topic, path, schema_path, until_end=""):
    schema = fastavro.parse_schema(json.load(open(schema_path)))
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    places = dict(database.execute("select part, next from place"))
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "none",
                         "enable.auto.commit": False, "enable.partition.eof": True})  # fmt: skip
    parts = consumer.list_topics(topic, 20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, part, places.get(part, 0)) for part in parts])
    ended = set()
    while not (until_end and ended == set(parts)):
        messages = consumer.consume(10000, 0.5)
        ended |= {m.partition() for m in messages if m.error()}  # only the end of a partition
        save(database, [m for m in messages if not m.error()], schema)
    consumer.close()
    print(*database.execute("select count(*) from trade").fetchone(), "trades")


if __name__ == "__main__":
    main(*sys.argv[1:])
