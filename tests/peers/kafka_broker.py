# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Apache Kafka broker: one node, KRaft, from the jars that `tools/dev setup` fetched."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import support

JARS = pathlib.Path(support.ROOT) / ".deps" / "kafka" / "libs"
MISSING = (
    None
    if JARS.is_dir() and shutil.which("java")
    else "no Kafka broker: `tools/dev setup` fetches it (needs java and Maven)"
)

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
log.cleaner.io.buffer.size=65536
"""

LOG4J = """rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m%n
"""


def free_port():
    """Below those that the kernel gives to connections: a broker that comes back needs its own."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Broker:
    """Started on entering, gone with its data on leaving. kill() and start() in between."""

    def __init__(self, folder, heap_mb=192):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.heap_mb = heap_mb
        self.child = None
        values = {"port": self.port, "controller": controller, "folder": self.folder}
        (self.folder / "server.properties").write_text(PROPERTIES.format(**values))
        (self.folder / "log4j2.properties").write_text(LOG4J)
        # A cluster id is 16 bytes in URL-safe base64.
        self._java("kafka.tools.StorageTool", "format", "-t", "cmluZ3RhcGUtdGVzdHMhIQ",
                   "-c", self.folder / "server.properties").wait(60)  # fmt: skip

    def _java(self, main, *arguments):
        log = open(self.folder / "broker.log", "ab")
        return subprocess.Popen(
            ["java", f"-Xmx{self.heap_mb}m", f"-Xms{self.heap_mb}m", "-XX:+UseSerialGC",
             "-XX:TieredStopAtLevel=1",
             f"-Dlog4j2.configurationFile=file:{self.folder}/log4j2.properties",
             "-cp", f"{JARS}/*", main, *map(str, arguments)],
            stdout=log, stderr=log, preexec_fn=support.die_with_parent,
        )  # fmt: skip

    def start(self, seconds=90):
        self.launch()
        return self.wait_up(seconds)

    def launch(self):
        """In a thread that lives as long: the child is killed with it."""
        self.child = self._java("kafka.Kafka", self.folder / "server.properties")

    def wait_up(self, seconds=90):
        from confluent_kafka.admin import AdminClient

        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                AdminClient({"bootstrap.servers": self.address}).list_topics(timeout=5)
                return self
            except Exception:
                assert self.child.poll() is None, (self.folder / "broker.log").read_text()[-2000:]
                assert time.monotonic() < end, "the broker does not start"
                time.sleep(0.1)

    def kill(self):
        if self.child is not None and self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def stop(self, seconds=60):
        """An orderly end."""
        self.child.terminate()
        self.child.wait(seconds)

    def topics(self, *names, partitions=3, **config):
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.address})
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        wanted = [NewTopic(name, partitions, 1, config=config) for name in names]
        for future in admin.create_topics(wanted).values():
            future.result(30)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


def read_topic(address, topic, idle_seconds=1.5, at_least=0, seconds=60):
    """All messages of a topic by confluent-kafka, partition by partition in their order."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 50,
                         "enable.partition.eof": False})  # fmt: skip
    parts = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in parts]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=20)[1] for p in places}
    consumer.assign([TopicPartition(topic, p.partition, OFFSET_BEGINNING) for p in places])
    messages, last, end = [], time.monotonic(), time.monotonic() + seconds
    left = sum(ends.values())
    while time.monotonic() < end:
        got = consumer.consume(10000, timeout=0.2)
        messages += [m for m in got if m.error() is None]
        if got:
            last = time.monotonic()
        if len(messages) >= max(left, at_least):
            break
        if time.monotonic() - last > idle_seconds and len(messages) >= at_least:
            break
    consumer.close()
    return messages
