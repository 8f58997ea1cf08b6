# SPDX-License-Identifier: GPL-3.0-or-later
"""From the exchange to decoded, durable, a consumer of Kafka, an alert: how long?

    tools/dev bench latency [--smoke] [--only load|profiles] [--curve] [--picture]
                            [--steady MINUTES]

load: 1,000 to 500,000 trades a second, with and without Kafka; bench/lib/latency_load.py says how
it is measured, and drawn in zig-out/latency.svg; with --picture in docs/images too.

profiles: at 10,000 trades a second to a consumer of Kafka, by the mirror's profile.
exchange-sim, ringtaped (TLS, durable tape, mirror in JSON), a broker of one node (1 GB of heap, as
its own script starts it) and a consumer (confluent-kafka-python) on one machine and by one clock.
Each trade has the time at which exchange-sim was to send it, whether or not it could
(docs/exchange-sim.md), so that what waits counts as waiting. Its latency is the time at which the
consumer was handed the message, less that.
wire: from there on. received: of it, from the receive time (the last byte in ringtaped) on.

alert: prices jump by 8 %, at known times, one symbol at a time; the latency of an alert is counted
from the trade that it names as its end (to_time). The rules are the defaults.

--steady: 10,000 a second for so long instead, each minute by itself (bench/lib/latency_steady.py);
asked is that nothing grows by more than a fifth from the first third of them to the last.

The broker's log lies in memory where there is room: a broker is elsewhere, as a rule, and what it
writes is no burden to the disk of the recorder.

Seconds of warming up (the broker's code is compiled meanwhile) are left out. --curve: wire for
linger, batch size and compression of bench/mirror.py instead. Exits with 1 where a trade or an
alert is missing, and but for --smoke where a limit is missed."""

import argparse
import json
import math
import os
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import time

import mirror
from lib.contract import emit, limit, load
from mirror import ROOT

sys.path.insert(0, str(ROOT / "bench" / "lib"))

import kafka_broker  # noqa: E402
import latency_load  # noqa: E402
import latency_picture  # noqa: E402
import latency_steady  # noqa: E402
import support  # noqa: E402

FULL = {"repetitions": 3, "seconds": 35, "warm": 10, "jumps": 100}
SMOKE = {"repetitions": 1, "seconds": 5, "warm": 2, "jumps": 8}
LOAD = {"repetitions": 3, "seconds": 20, "warm": 5, "jumps": 60, "cases": latency_load.RATES}
LOAD_SMOKE = {"repetitions": 1, "seconds": 3, "warm": 1, "jumps": 4, "cases": ("10k",)}
LIMITED = ("10k", "100k")
DECODED_US, DURABLE_MS = 100, 15
GROWTH = 1.2
KEPT = 0.98  # of the trades that were due
CURVE = {"repetitions": 1, "seconds": 14, "warm": 4, "jumps": 20}
RATE, SYMBOLS = 10000, 128
PROFILES = {"throughput": 25, "latency": 10}  # limits of p99, ms
ALERT_MS = 10


def names(certificates):
    """The made-up market's symbols."""
    with support.Simulator(f"--symbols=binance:{SYMBOLS}", certificates=certificates) as sim:
        listed = sim.get("binance", "/api/v3/exchangeInfo")[0]["symbols"]
    return [each["symbol"] for each in listed]


def jumps(symbols, sizes):
    """Options of exchange-sim: one symbol each, spread over the time. The rarest first: a jump
    begins with its symbol's next trade."""
    first, last = sizes["warm"] + 0.5, sizes["seconds"] - 1
    step = (last - first) / sizes["jumps"]
    return [
        f"--inject=kind={'surge' if n % 2 else 'crash'},symbol=binance:{symbol},"
        f"at={first + n * step:.3f}s,size=8%,over=0s"
        for n, symbol in enumerate(reversed(symbols[: sizes["jumps"]]))
    ]


class Reader:
    """Messages of both topics as they come, with the time at which each was handed over."""

    def __init__(self, broker, topics):
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        self.messages = []
        self.consumer = Consumer(
            {"bootstrap.servers": broker.address, "group.id": "latency",
             "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        )  # fmt: skip
        self.consumer.assign(
            [TopicPartition(t, p, OFFSET_BEGINNING) for t in topics for p in range(3)]
        )

    def read(self, done, seconds):
        """Until `done` has said so and nothing has come for a second."""
        poll, clock, keep = self.consumer.poll, time.time_ns, self.messages.append
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = poll(1.0)
            if message is None:
                if done():
                    return
            elif message.error() is None:
                keep((clock(), message.topic(), message.value()))

    def close(self):
        self.consumer.close()


def run(broker, prefix, kafka, certificates, symbols, sizes):
    """[(arrival ns, value)] of trades and of alerts, and how many trades were sent."""
    topics = [f"{prefix}.trades", f"{prefix}.alerts"]
    broker.topics(*topics, retention_ms=-1)
    os.sync()  # what the broker wrote in the run before
    folder = pathlib.Path(tempfile.mkdtemp(prefix="latency-", dir=ROOT / "zig-out"))
    reader = Reader(broker, topics)
    try:
        with support.Simulator(
            f"--symbols=binance:{SYMBOLS}", "--channels=trade", f"--rate={RATE}",
            f"--seconds={sizes['seconds']}", f"--begin-streams={SYMBOLS}", "--at-end=hold",
            *jumps(symbols, sizes), certificates=certificates,
        ) as sim:  # fmt: skip
            feed = support.feed(sim, "binance", ["trade"], "all")
            top = {"kafka": {"brokers": broker.address, "prefix": prefix,
                             "topics": ["trades", "alerts"], **kafka}}  # fmt: skip
            daemon = support.Ringtaped(
                folder / "config.yaml", folder / "store", [feed], "1s", top=top
            )
            with daemon:
                reader.read(lambda: sim.events("ended"), sizes["seconds"] + 60)
                sent = sim.event("ended")["sent"]
                assert daemon.terminate() == 0, daemon.errors
    finally:
        reader.close()
        shutil.rmtree(folder, ignore_errors=True)
    found = [[], []]
    for arrival, topic, value in reader.messages:
        found[topics.index(topic)].append((arrival, json.loads(value)))
    return *found, sent


def percentiles(values):
    """p50, p99, p99.9 (nearest rank) and the highest, in ms."""
    values = sorted(values)
    at = lambda part: values[math.ceil(part * len(values)) - 1] / 1e6  # noqa: E731
    return {"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": values[-1] / 1e6}


def measure(broker, prefix, kafka, certificates, symbols, sizes):
    """Percentiles of each part, and whether nothing was missing."""
    trades, alerts, sent = run(broker, prefix, kafka, certificates, symbols, sizes)
    begin = min(value["event_time"] for _, value in trades) + sizes["warm"] * 10**9
    warm = [(a, v) for a, v in trades if v["event_time"] >= begin]
    parts = {
        "wire": percentiles([a - v["event_time"] for a, v in warm]),
        "received": percentiles([a - v["receive_time"] for a, v in warm]),
    }
    moved = {}
    for arrival, value in alerts:
        if value["kind"] in ("surge", "crash"):
            moved.setdefault(value["id"], arrival - value["to_time"])
    if moved:
        parts["alert"] = percentiles(list(moved.values()))
    ids = {(v["symbol"], v["id"]) for _, v in trades}
    whole = len(ids) == sent and len(moved) == sizes["jumps"]
    if not whole:
        print(f"{len(ids)} of {sent} trades, {len(moved)} of {sizes['jumps']} alerts",
              file=sys.stderr)  # fmt: skip
    return parts, whole


def repeat(broker, case, kafka, certificates, symbols, sizes):
    """Emits medians over the repetitions; those of p99, and whether nothing was missing."""
    runs, good = [], True
    for number in range(sizes["repetitions"]):
        prefix = f"{case.replace(' ', '').replace(',', '.')}.{number}"
        parts, whole = measure(broker, prefix, kafka, certificates, symbols, sizes)
        runs.append(parts)
        good = good and whole
        told = ", ".join(f"{part} p99 {found['p99']:.2f} ms" for part, found in parts.items())
        print(f"{case} {number + 1}: {told}; load {load()}", file=sys.stderr, flush=True)
    p99 = {}
    for part in ("wire", "received", "alert"):
        found = [parts[part] for parts in runs if part in parts]
        for name in found[0] if found else ():
            values = [each[name] for each in found]
            median = statistics.median(values)
            spread = round((max(values) - min(values)) / median, 3)
            emit("latency", f"{part}_ms_{name}", round(median, 3), case, "ms", spread)
            if name == "p99":
                p99[part] = (median, min(values), max(values))
    return p99, good


def report(found):
    def one(what, most, value):
        median, least, highest = value
        return limit("latency", f"{what} p99 <= {most} ms", median <= most,
                     f"median {median:.2f}, {least:.2f} to {highest:.2f} ms")  # fmt: skip

    met = [
        one(f"wire to consumer, profile {name}", most, found[name]["wire"])
        for name, most in PROFILES.items()
    ]
    met += [
        one(f"trade to alert in the consumer, profile {name}", ALERT_MS, found[name]["alert"])
        for name in PROFILES
    ]
    return all(met)


# ---- load ----


def parts_of(name, found):
    return {f"{name}_{share.replace('.', '')}_ms": value for share, value in found.items()}


def load_once(case, broker, number, certificates, symbols, sizes):
    """{metric: value} of one case, and whether nothing is missing."""
    rate = latency_load.RATES[case]
    found, good = latency_load.alone(rate, sizes, certificates)
    if broker is not None:
        looker, sent = latency_load.with_kafka(
            rate, sizes, certificates, broker, f"load{case}.{number}", jumps(symbols, sizes)
        )
        looked = [(a, json.loads(v)["event_time"]) for a, v in looker.looked]
        begin = min(due for _, due in looked) + sizes["warm"] * 10**9
        came = percentiles([a - due for a, due in looked if due >= begin])
        found |= parts_of("consumer", came)
        raised = [(a, json.loads(v)) for a, v in looker.raised]
        moved = {v["id"]: a - v["to_time"] for a, v in reversed(raised)
                 if v["kind"] in ("surge", "crash")}  # fmt: skip
        if moved:
            found |= parts_of("alert", percentiles(list(moved.values())))
        # A market that is behind its schedule at the end has not come to its last jumps.
        kept = sent >= KEPT * rate * sizes["seconds"]
        if looker.count != sent or (kept and len(moved) != sizes["jumps"]):
            print(f"{case}: {looker.count} of {sent} trades, {len(moved)} of {sizes['jumps']}"
                  " alerts came", file=sys.stderr)  # fmt: skip
            good = False
    return found, good


def loads(broker, certificates, symbols, sizes):
    """{rate: {metric: median}}; whether nothing was missing, and whether the limits are met."""
    figures, good, met = {}, True, True
    for case in sizes["cases"]:
        runs = []
        for number in range(sizes["repetitions"]):
            found, whole = load_once(case, broker, number, certificates, symbols, sizes)
            runs.append(found)
            good = good and whole
            told = ", ".join(f"{n} {v:.4g}" for n, v in found.items() if "p99_" in n)
            print(f"{case} {number + 1}: {told}; load {load()}{'' if whole else '; NOT WHOLE'}",
                  file=sys.stderr, flush=True)  # fmt: skip
        figures[latency_load.RATES[case]] = medians = {}
        for metric in runs[0]:
            values = [run[metric] for run in runs if metric in run]
            medians[metric] = statistics.median(values)
            spread = round((max(values) - min(values)) / medians[metric], 3)
            unit = metric.rsplit("_", 1)[1]
            emit("latency", metric, round(medians[metric], 3), case, unit, spread)
        if case in LIMITED:
            bare_us = medians["loopback_p99_us"]
            for metric, most in (("decoded_p99_us", DECODED_US), ("durable_p99_ms", DURABLE_MS)):
                met = limit(
                    "latency", f"{case} {metric} <= {most}", medians[metric] <= most,
                    f"{medians[metric]:.4g}; loopback without a recorder {bare_us:.4g} us",
                ) and met  # fmt: skip
    return figures, good, met


def draw(figures, picture):
    text = latency_picture.picture(
        figures, f"two cores for exchange, ringtaped, broker, consumer; load {load():.0f}"
    )
    (ROOT / "zig-out" / "latency.svg").write_text(text)
    if picture:
        (ROOT / "docs" / "images" / "latency.svg").write_text(text)


def curve(broker, certificates, symbols, sizes):
    good = True
    for linger_ms, batch, compression in mirror.CURVE:
        properties = {"linger.ms": str(linger_ms), "batch.size": str(batch),
                      "compression.type": compression}  # fmt: skip
        case = f"linger {linger_ms} ms, batch {batch}, {compression}"
        kafka = {"properties": properties}
        good = repeat(broker, case, kafka, certificates, symbols, sizes)[1] and good
    return good


def profiles(broker, certificates, symbols, sizes):
    found, good = {}, True
    for name in PROFILES:
        found[name], whole = repeat(
            broker, name, {"profile": name}, certificates, symbols, sizes
        )
        good = good and whole
    return good, report(found)


def steady(options, certificates):
    """Whether nothing was missing, and whether nothing grew."""
    minute_s = 1 if options.smoke else latency_steady.MINUTE_S
    found, good = latency_steady.steady(RATE, options.steady or 2, certificates, minute_s)
    for number, each in enumerate(found):
        told = ", ".join(f"{metric} {value:.4g}" for metric, value in each.items())
        print(f"minute {number + 1}: {told}", file=sys.stderr)
    met = True
    for metric, ratio in latency_steady.growth(found).items():
        values = [each[metric] for each in found]
        median = statistics.median(values)
        spread = round((max(values) - min(values)) / median, 3)
        emit("latency", metric, round(median, 3), "steady", metric.rsplit("_", 1)[1], spread)
        emit("latency", f"{metric}_growth", round(ratio, 3), "steady", "ratio", 0)
        if not metric.endswith("p50_us"):
            met = limit("latency", f"{metric} of the last third <= {GROWTH} of the first",
                        ratio <= GROWTH, f"{ratio:.3f}") and met  # fmt: skip
    return good, met


def parts(options, broker, certificates):
    """Whether nothing was missing, and whether the limits are met."""
    symbols, good, met = names(certificates), True, True
    if options.smoke and options.only is None:
        good = steady(options, certificates)[0]
    if options.curve:
        return curve(broker, certificates, symbols, sized(CURVE, options)), True
    if options.only != "profiles":
        sizes = sized(LOAD_SMOKE if options.smoke else LOAD, options)
        figures, whole, met = loads(broker, certificates, symbols, sizes)
        good = good and whole
        draw(figures, options.picture)
    if options.only != "load" and broker is not None:
        sizes = sized(SMOKE if options.smoke else FULL, options)
        whole, fast = profiles(broker, certificates, symbols, sizes)
        good, met = good and whole, met and fast
    return good, met


def sized(sizes, options):
    sizes = {**sizes, "repetitions": options.repetitions or sizes["repetitions"]}
    if options.case and "cases" in sizes:
        sizes["cases"] = options.case
    return sizes


def broker_folder(parent):
    """Of what the broker stores; the whole load is 6 GB."""
    memory = pathlib.Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 12 << 30:
        return pathlib.Path(tempfile.mkdtemp(prefix="bench-latency-", dir=memory))
    return parent / "kafka"


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench latency")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    parser.add_argument("--only", choices=["load", "profiles"])
    parser.add_argument("--case", choices=list(latency_load.RATES), action="append")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--picture", action="store_true", help="draws docs/images/latency.svg")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--steady", type=int, metavar="MINUTES", help="does anything grow?")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-latency-", dir=ROOT / "zig-out"))
    log = broker_folder(folder)
    try:
        certificates = support.make_certificates(folder / "certificates")
        if options.steady:
            good, met = steady(options, certificates)
        elif kafka_broker.MISSING is not None:
            print(f"bench latency: without Kafka: {kafka_broker.MISSING}", file=sys.stderr)
            good, met = parts(options, None, certificates)
        else:
            with kafka_broker.Broker(log, heap_mb=1024) as broker:
                good, met = parts(options, broker, certificates)
    finally:
        for each in (log, folder):
            shutil.rmtree(each, ignore_errors=True)
    emit("latency", "ok", good)
    sys.exit(0 if good and (met or options.smoke) else 1)


if __name__ == "__main__":
    main()
