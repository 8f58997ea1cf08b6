# SPDX-License-Identifier: Apache-2.0
"""trades_kafka_python BROKERS TOPIC [SECONDS]: prints each trade of a topic once, as it comes; ends
after so many SECONDS without one. No database: what was seen is remembered.

Trades come twice after a crash of ringtaped or of a broker, and then soon: at most what was under
way, 250,000 messages, and a second's worth. So many identities are enough; a program that may start
in the middle of them needs a place that lasts, as in trades_confluent.py.

    pip install kafka-python lz4
    python trades_kafka_python.py kafka-1:9092 ringtape.trades
"""

import collections
import json
import sys

from kafka import KafkaConsumer

REMEMBERED = 1_000_000


class Seen:
    """The latest identities, of all keys together."""

    def __init__(self):
        self.places = collections.OrderedDict()

    def is_new(self, place):
        if place in self.places:
            return False
        self.places[place] = None
        if len(self.places) > REMEMBERED:
            self.places.popitem(last=False)
        return True


def main(brokers, topic, seconds="1e6"):
    consumer = KafkaConsumer(topic, bootstrap_servers=brokers, group_id=None,
                             auto_offset_reset="earliest",
                             consumer_timeout_ms=int(1000 * float(seconds)))  # fmt: skip
    seen = Seen()
    for message in consumer:
        headers = dict(message.headers)
        if not seen.is_new((message.key, headers["identity"])):
            continue
        assert headers["schema"] == b"trade.json", headers
        trade = json.loads(message.value)
        print(trade["symbol"], trade["id"], trade["time"], trade["price"], trade["quantity"])


if __name__ == "__main__":
    main(*sys.argv[1:])
