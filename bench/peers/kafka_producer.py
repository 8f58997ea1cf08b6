# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages from a file (bench/mirror.py writes it) into a topic, by a client for Python.

    kafka_producer.py confluent_kafka|aiokafka BROKERS TOPIC FILE MESSAGES

Settings and headers are the mirror's. Reading the file is not counted. Prints one JSON line: CPU
and wall seconds until the last message was delivered."""

import asyncio
import json
import struct
import sys
import time


def read(path):
    messages = []
    with open(path, "rb") as file:
        while sizes := file.read(12):
            parts = [file.read(size) for size in struct.unpack("3I", sizes)]
            headers = [("schema", b"trade.json"), ("version", b"1"), ("identity", parts[2])]
            messages.append((parts[0], parts[1], headers))
    return messages


def send_confluent(brokers, topic, messages, count):
    from confluent_kafka import Producer

    delivered = 0

    def report(error, _):
        nonlocal delivered
        delivered += error is None

    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True,
                         "linger.ms": 10, "compression.type": "lz4",
                         "partitioner": "murmur2_random",
                         "queue.buffering.max.messages": 250000})  # fmt: skip
    producer.list_topics(topic, timeout=20)
    begin = time.process_time(), time.monotonic()
    for i in range(count):
        key, value, headers = messages[i % len(messages)]
        while True:
            try:
                producer.produce(topic, value, key, headers=headers, on_delivery=report)
                break
            except BufferError:
                producer.poll(0.01)
        if i % 1000 == 0:
            producer.poll(0)
    producer.flush(120)
    return begin, delivered


async def send_aiokafka(brokers, topic, messages, count):
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True, acks="all",
                                linger_ms=10, compression_type="lz4",
                                max_batch_size=1000000)  # fmt: skip
    await producer.start()
    await producer.partitions_for(topic)
    begin, delivered = (time.process_time(), time.monotonic()), 0
    for first in range(0, count, 10000):
        last = min(first + 10000, count)
        sent = []
        for i in range(first, last):
            key, value, headers = messages[i % len(messages)]
            sent.append(await producer.send(topic, value, key, headers=headers))
        delivered += sum(r is not None for r in await asyncio.gather(*sent))
    result = begin, delivered
    await producer.stop()
    return result


def main():
    name, brokers, topic, path, count = sys.argv[1:]
    messages, count = read(path), int(count)
    if name == "aiokafka":
        begin, delivered = asyncio.run(send_aiokafka(brokers, topic, messages, count))
    else:
        begin, delivered = send_confluent(brokers, topic, messages, count)
    assert delivered == count, (delivered, count)
    cpu, wall = time.process_time() - begin[0], time.monotonic() - begin[1]
    print(json.dumps({"messages": count, "cpu_s": cpu, "wall_s": wall}))


if __name__ == "__main__":
    main()
