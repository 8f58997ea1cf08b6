# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast is what is stored mirrored to Kafka, and how near is that to what librdkafka can do?

    tools/dev bench mirror [--smoke] [--curve]

A store of trades is recorded from exchange-sim's market while there is no broker, and its tapes are
sealed. Then, for each form of the values, ringtaped mirrors it from the tapes to a broker of one
node on the same machine. In each repetition the peers send the same messages (those that the mirror
sent, keys and headers included) with the same settings (linger 10 ms, lz4, idempotent, murmur2):
bench/producer_bench.c, a plain loop over librdkafka, with the mirror's three headers (also with
jemalloc, which ringtaped has) and with none, as rdkafka_performance has it;
confluent-kafka-python and aiokafka (bench/peers/kafka_producer.py).

CPU time: of the mirror's thread and librdkafka's threads as the kernel accounts it, from their
start until the last message is delivered; of a peer, of its process while it sends. Rows a second
of time are lower than both as long as the broker has to share the cores.
--curve: instead, linger, batch size and compression against each other, in JSON. Exits with 1 where
a message is missing, and but for --smoke where a limit is missed."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import kafka_broker  # noqa: E402
import support  # noqa: E402
from capture import middle, thread_ns  # noqa: E402
from lib.contract import emit, limit, load  # noqa: E402

FULL = {"repetitions": 4, "trades": 1000000, "producer": 1000000, "python": 100000}
SMOKE = {"repetitions": 1, "trades": 50000, "producer": 50000, "python": 3000}
SYMBOLS, PARTITIONS, SAMPLE = 50, 3, 50000
LIMIT_RATE, LIMIT_RATIO = 500000, 0.9
# librdkafka's properties beside those of a profile: linger.ms, batch.size, compression.type
CURVE = [
    (0, 16384, "none"), (10, 16384, "none"), (10, 16384, "lz4"), (0, 1000000, "none"),
    (5, 1000000, "lz4"), (10, 1000000, "none"), (10, 1000000, "lz4"), (10, 1000000, "zstd"),
    (50, 1000000, "lz4"),
]  # fmt: skip
SAME, PLAIN = "librdkafka, 3 headers", "librdkafka, no headers"
PRODUCERS = {
    SAME: (["--headers=3"], {}),
    "librdkafka, 3 headers, jemalloc": (["--headers=3"], {"LD_PRELOAD": "libjemalloc.so.2"}),
    PLAIN: (["--headers=0"], {}),
}
NOBODY = "127.0.0.1:1"  # no broker is there


# ---- the store ----


def record(folder, trades):
    """A store whose tapes are kept for a mirror that reached nobody, and are sealed."""
    top = {
        "kafka": {"brokers": NOBODY, "topics": ["trades"]},
        "seal_after": {"size": "8MiB", "time": "1s"},
    }
    market = [f"--symbols=binance:{SYMBOLS}", "--channels=trade", "--max",
              f"--messages={trades}", f"--begin-streams={SYMBOLS}"]  # fmt: skip
    with support.Simulator(*market) as sim:
        feed = support.feed(sim, "binance", ["trade"], "all")
        daemon = support.Ringtaped(folder / "config.yaml", folder / "store", [feed], top=top)
        with daemon:
            daemon.settle(trades, 300)
            time.sleep(1.2)
            daemon.wait_counters(lambda c: c["tapes_waiting"] == 0, 120, "sealed tapes")
            assert daemon.terminate() == 0, daemon.errors
    return folder / "store"


# ---- the mirror ----


def kafka_options(broker, prefix, value, properties):
    topic = "batches" if value == "batch" else "trades"
    return {"brokers": broker.address, "prefix": prefix, "topics": [topic], "value": value,
            "properties": properties}  # fmt: skip


def topic_of(prefix, value):
    return f"{prefix}.{'batches' if value == 'batch' else 'trades'}"


def watch(daemon, wanted):
    """Until all is delivered: seconds between the first and the last report of progress, and the
    part of the messages delivered between them."""
    first = None
    while True:
        counters = daemon.counters()
        assert daemon.alive(), daemon.errors
        if counters is not None and counters["mirrored"] > 0:
            now = (time.monotonic(), counters["mirrored"])
            first = first or now
            if counters["mirrored"] >= wanted and not counters["mirror_behind"] + counters[
                "mirror_in_flight"
            ]:
                return now[0] - first[0], now[1] - first[1], now[1]
        time.sleep(0.002)


def measure_mirror(broker, store, prefix, value, trades, properties=None):
    """Trades a second of time and of CPU time."""
    topic = topic_of(prefix, value)
    broker.topics(topic, partitions=PARTITIONS, retention_ms=-1, max_message_bytes=64 << 20)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mirror-", dir=ROOT / "zig-out"))
    try:
        shutil.copytree(store, folder / "store")
        # A feed that reaches nobody: nothing is captured meanwhile.
        feed = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"],
                "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}  # fmt: skip
        more = {"message.max.bytes": "67108864"} if value == "batch" else {}
        kafka = kafka_options(broker, prefix, value, {**more, **(properties or {})})
        daemon = support.Ringtaped(
            folder / "config.yaml", folder / "store", [feed], "100ms", top={"kafka": kafka}
        )
        with daemon:
            seconds, between, sent = watch(daemon, 1 if value == "batch" else trades)
            pid = daemon.child.pid
            own, library = thread_ns(pid, "mirror") / 1e9, thread_ns(pid, "rdk:") / 1e9
            daemon.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = sum(f.stat().st_size for f in broker.folder.glob(f"data/{topic}-*/*.log"))
    return {
        "cpu": trades / (own + library),
        "own": trades / own,
        "wall": trades * between / sent / seconds if between > 0 else 0.0,
        "messages": sent,
        "size": size / trades,
    }


# ---- peers ----


def sample(broker, topic, path):
    """What was sent, for those who send it again: three sizes, key, value, identity."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "sample"})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    count = 0
    with open(path, "wb") as file:
        while count < SAMPLE:
            got = [m for m in consumer.consume(1000, timeout=3) if m.error() is None]
            if not got:
                break
            for message in got:
                parts = (message.key(), message.value(), dict(message.headers())["identity"])
                file.write(struct.pack("3I", *map(len, parts)) + b"".join(parts))
            count += len(got)
    consumer.close()
    assert count > 0
    return path


def measure_producer(broker, path, topic, given, messages):
    broker.topics(topic, partitions=PARTITIONS, retention_ms=-1)
    program = ROOT / "zig-out" / "bench" / "producer_bench"
    options, environment = given
    done = subprocess.run(
        [program, f"--brokers={broker.address}", f"--topic={topic}", f"--input={path}",
         f"--messages={messages}", *options],
        capture_output=True, text=True, timeout=600, env=os.environ | environment,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"bench mirror: {program} failed:\n{done.stdout}{done.stderr}")
    found = {line["metric"]: line["value"] for line in map(json.loads, done.stdout.splitlines())}
    return {"cpu": found["messages_per_cpu_second"], "wall": found["messages_per_second"]}


def measure_python(broker, path, topic, name, messages):
    broker.topics(topic, partitions=PARTITIONS, retention_ms=-1)
    client = ROOT / "bench" / "peers" / "kafka_producer.py"
    done = subprocess.run(
        [sys.executable, client, name, broker.address, topic, path, str(messages)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"bench mirror: {name} failed:\n{done.stderr}")
    result = json.loads(done.stdout)
    return {"cpu": messages / result["cpu_s"], "wall": messages / result["wall_s"]}


def forget(broker, topic):
    """The broker's disk has room for what is measured next."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.delete_topics([topic]).values():
        future.result(30)


# ---- cases ----


def run_once(broker, store, sizes, number, runs, path):
    def keep(name, result, topic):
        runs.setdefault(name, []).append(result)
        forget(broker, topic)

    for value in ("json", "avro", "batch"):
        prefix = f"{value}{number}"
        result = measure_mirror(broker, store, prefix, value, sizes["trades"])
        if value == "json" and not path.exists():
            sample(broker, topic_of(prefix, value), path)
        keep(value, result, topic_of(prefix, value))
    for place, (name, given) in enumerate(PRODUCERS.items()):
        topic = f"producer{place}.{number}"
        keep(name, measure_producer(broker, path, topic, given, sizes["producer"]), topic)
    for name in ("confluent_kafka", "aiokafka"):
        topic = f"{name}.{number}"
        keep(name, measure_python(broker, path, topic, name, sizes["python"]), topic)
    told = ", ".join(f"{name} {results[-1]['cpu']:,.0f}" for name, results in runs.items())
    print(f"{number + 1}: trades a CPU second: {told}; load {load()}", file=sys.stderr, flush=True)


def report(runs, trades):
    for name, results in runs.items():
        case, peer = (name, None) if name in ("json", "avro", "batch") else ("json", name)
        for key, metric in (("cpu", "messages_per_cpu_second"), ("wall", "messages_per_second")):
            value, spread = middle([r[key] for r in results])
            emit("mirror", metric, round(value), case, "1/s", spread, peer)
        if peer is None:
            value, spread = middle([r["own"] for r in results])
            emit("mirror", "messages_per_cpu_second_own_thread", round(value), case, "1/s", spread)
            value, spread = middle([r["size"] for r in results])
            emit("mirror", "broker_bytes_per_trade", round(value, 1), case, "bytes", spread)
    rate, best = middle([r["cpu"] for r in runs["json"]])[0], max(r["cpu"] for r in runs["json"])
    ratios = {}
    for name in PRODUCERS:
        pairs = zip(runs["json"], runs[name])
        ratios[name], spread = middle([own["cpu"] / peer["cpu"] for own, peer in pairs])
        emit("mirror", "ratio", round(ratios[name], 3), "json", "ratio", spread, name)
    whole = all(r["messages"] >= trades for n in ("json", "avro") for r in runs[n])
    met = [
        limit("mirror", f"JSON trades a CPU second >= {LIMIT_RATE:,}", rate >= LIMIT_RATE,
              f"median {rate:,.0f}, best {best:,.0f}"),
        limit("mirror", f"JSON >= {LIMIT_RATIO:.0%} of {SAME}", ratios[SAME] >= LIMIT_RATIO,
              f"{ratios[SAME]:.0%}; of {PLAIN} {ratios[PLAIN]:.0%}"),
    ]  # fmt: skip
    return whole, all(met)


def curve(broker, store, sizes):
    """Medians for each point: what a trade costs in CPU time and on the broker's disk."""
    for linger_ms, batch, compression in CURVE:
        properties = {"linger.ms": str(linger_ms), "batch.size": str(batch),
                      "compression.type": compression}  # fmt: skip
        case, results = f"linger {linger_ms} ms, batch {batch}, {compression}", []
        for number in range(sizes["repetitions"]):
            prefix = f"curve{linger_ms}.{batch}.{compression}.{number}"
            results.append(
                measure_mirror(broker, store, prefix, "json", sizes["trades"], properties)
            )
            forget(broker, topic_of(prefix, "json"))
        for key, metric in (("cpu", "messages_per_cpu_second"), ("wall", "messages_per_second")):
            value, spread = middle([r[key] for r in results])
            emit("mirror", metric, round(value), case, "1/s", spread)
        size = statistics.median(r["size"] for r in results)
        emit("mirror", "broker_bytes_per_trade", round(size, 1), case, "bytes")
        print(f"{case}: load {load()}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench mirror")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--repetitions", type=int)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if kafka_broker.MISSING is not None:
        print(f"bench mirror: left out: {kafka_broker.MISSING}", file=sys.stderr)
        sys.exit(0)
    sizes = dict(SMOKE if options.smoke else FULL)
    sizes["repetitions"] = options.repetitions or sizes["repetitions"]
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-mirror-", dir=ROOT / "zig-out"))
    whole = met = True
    try:
        store = record(folder, sizes["trades"])
        with kafka_broker.Broker(folder / "kafka") as broker:
            if options.curve:
                curve(broker, store, sizes)
            else:
                runs = {}
                for number in range(sizes["repetitions"]):
                    run_once(broker, store, sizes, number, runs, folder / "sample")
                whole, met = report(runs, sizes["trades"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    emit("mirror", "ok", whole)
    sys.exit(0 if whole and (met or options.smoke) else 1)


if __name__ == "__main__":
    main()
