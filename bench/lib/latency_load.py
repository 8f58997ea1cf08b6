# SPDX-License-Identifier: GPL-3.0-or-later
"""The first half of `tools/dev bench latency`: how late is a trade at 1,000 to 500,000 a second?

Each trade bears the time at which exchange-sim was to send it (event_time), whether or not it
could, and that is what its latency counts from: what waits behind a hiccup counts as waiting (no
coordinated omission).

Alone: exchange-sim and ringtaped. The way to the receipt of its last byte is the receive_time of
every stored row less its event_time. What follows is counted by ringtaped itself, in histograms
of eight buckets an octave: receipt -> decoded (the messages of one receive of 16), taken -> durable
(all rows, each as late as the oldest of its write: a stall counts by what it holds up). `decoded`
and `durable` are bounds from above: where all but 0.3 % of the one part are within A and all but
0.7 % of the other within B, 99 % of the sums are within A + B, however the two hang together; of
the splits tried the least bound counts. decode and commit are ringtaped's own part, by itself.

What the machine takes of that without any recorder: loopback, bench/loopback_bench.c at the same
rate, right behind.

With Kafka (profile latency): a broker, and a consumer in Python that takes messages by the
thousand. It looks into one message of so many, up to 4,000 a second, and counts all. alert: as in
the other half.

All of this shares the machine's cores: with two of them, rates that need more than both are told
as measured, queues and all. rate_hz is what exchange-sim got out in the time: where that is less
than the case's name, latencies are those of being behind."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import latency_page
import support
from capture import compare, stored_ids
from mirror import ROOT

PROGRAMS = ROOT / "zig-out" / "bench"
RATES = {"1k": 1000, "10k": 10000, "100k": 100000, "500k": 500000}
SYMBOLS = 128
GRAIN_S = 0.00002  # exchange-sim sleeps no less; its default of 0.2 ms would be most of a latency
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
LOOKS_A_SECOND = 4000


def simulator(rate, sizes, certificates, injected=()):
    return support.Simulator(
        f"--symbols=binance:{SYMBOLS}", "--channels=trade", f"--rate={rate}",
        f"--seconds={sizes['seconds']}", f"--begin-streams={SYMBOLS}", "--at-end=hold", "--streams",
        f"--grain={GRAIN_S:f}", *injected, certificates=certificates,
    )  # fmt: skip


def bare(rate, seconds):
    """Of two threads with a connection on loopback between them, the same rate and times."""
    command = [PROGRAMS / "loopback_bench", "--rate", str(rate), "--seconds", str(max(2, seconds))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {f"loopback_{each['metric']}": each["value"] for each in lines if "case" in each}


def cuts(share):
    """Shares that the first part may keep; what it leaves of 1 - share is the others'."""
    return [1 - (1 - share) * part / 10 for part in range(1, 10)]


def bound(share, first, *others):
    """The least sum of quantiles that `share` of the sums do not exceed. `first`: {share: value};
    the others: quantile(share), with equal parts of what is left."""
    sums = []
    for cut in cuts(share):
        left = 1 - (cut - share) / len(others)
        sums.append(first[cut] + sum(quantile(left) for quantile in others))
    return min(sums)


def wire_ns(parquet, warm_s):
    """Quantiles of receive_time - event_time of all rows behind the warming up, by share; max."""
    import duckdb

    folder = f"{parquet}/exchange=binance/channel=trade/**/*.parquet"
    shares = sorted({c for s in SHARES.values() for c in cuts(s)} | set(SHARES.values()))
    found = duckdb.sql(
        "WITH t AS (SELECT receive_time_ns - event_time_ns AS late, event_time_ns AS due"
        f" FROM read_parquet('{folder}', hive_partitioning=false))"
        f" SELECT quantile_disc(late, {shares}), max(late)"
        f" FROM t WHERE due >= (SELECT min(due) FROM t) + {int(warm_s * 10**9)}"
    ).fetchall()
    quantiles, most = found[0]
    return dict(zip(shares, quantiles)), most


def alone(rate, sizes, certificates):
    """{metric: value} of one run without Kafka, and whether nothing is missing."""
    os.sync()  # what the broker wrote in the run before: gigabytes that would be written meanwhile
    folder = pathlib.Path(tempfile.mkdtemp(prefix="latency-", dir=ROOT / "zig-out"))
    store = folder / "store"
    try:
        with simulator(rate, sizes, certificates) as sim:
            feed = support.feed(sim, "binance", ["trade"], "all")
            with support.Ringtaped(folder / "config.yaml", store, [feed], "500ms") as daemon:
                sim.event("begun", 60)
                time.sleep(sizes["warm"])
                early = latency_page.histograms(store)
                ended = sim.event("ended", sizes["seconds"] * 10 + 60)
                daemon.settle(ended["sent"], 120)
                time.sleep(1)  # the page is written twice a second
                late = latency_page.histograms(store)
                assert daemon.terminate() == 0, daemon.errors
        support.export(store, folder / "parquet")
        lost = compare(ended, stored_ids(folder / "parquet"))
        wire, most = wire_ns(folder / "parquet", sizes["warm"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if lost != (0, 0):
        print(f"{rate}/s: {lost[0]} lost, {lost[1]} duplicated", file=sys.stderr)
    found = {"rate_hz": ended["sent"] / sizes["seconds"], "wire_max_us": most / 1e3}
    decode, commit = (functools.partial(latency_page.quantile_ns, early[n], late[n])
                      for n in latency_page.NAMES)  # fmt: skip
    for name, share in SHARES.items():
        found[f"wire_{name}_us"] = wire[share] / 1e3
        found[f"decoded_{name}_us"] = bound(share, wire, decode) / 1e3
        found[f"durable_{name}_ms"] = bound(share, wire, decode, commit) / 1e6
        found[f"decode_{name}_us"] = decode(share) / 1e3
        found[f"commit_{name}_ms"] = commit(share) / 1e6
    return found | bare(rate, sizes["seconds"]), lost == (0, 0)


class Looker:
    """Both topics by the thousand; of trades one of so many is looked into."""

    def __init__(self, broker, prefix, rate):
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        self.trades, self.alerts = f"{prefix}.trades", f"{prefix}.alerts"
        self.every = max(1, rate // LOOKS_A_SECOND)
        self.count, self.looked, self.raised = 0, [], []
        self.consumer = Consumer(
            {"bootstrap.servers": broker.address, "group.id": "latency",
             "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        )  # fmt: skip
        self.consumer.assign(
            [TopicPartition(t, p, OFFSET_BEGINNING) for t in (self.trades, self.alerts)
             for p in range(3)]
        )  # fmt: skip

    def read(self, done, seconds):
        """Until `done` has said so and nothing has come for a second."""
        end, last = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            # What came is handed out at once; a thousand only where a thousand wait.
            messages = self.consumer.consume(1, 0.2)
            messages += self.consumer.consume(1000, 0) if messages else []
            now = time.time_ns()
            for message in messages:
                self.take(message, now)
            if messages:
                last = time.monotonic()
            elif done() and time.monotonic() - last > 1:
                return

    def take(self, message, now):
        if message.error() is not None:
            return
        if message.topic() == self.alerts:
            self.raised.append((now, message.value()))
            return
        self.count += 1
        if self.count % self.every == 0:
            self.looked.append((now, message.value()))


def with_kafka(rate, sizes, certificates, broker, prefix, injected):
    """(arrival ns, value) of trades looked into and of alerts; trades that came, and were sent."""
    topics = [f"{prefix}.trades", f"{prefix}.alerts"]
    broker.topics(*topics, retention_ms=-1)
    os.sync()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="latency-", dir=ROOT / "zig-out"))
    looker = Looker(broker, prefix, rate)
    try:
        with simulator(rate, sizes, certificates, injected) as sim:
            feed = support.feed(sim, "binance", ["trade"], "all")
            top = {"kafka": {"brokers": broker.address, "prefix": prefix, "profile": "latency",
                             "topics": ["trades", "alerts"]}}  # fmt: skip
            with support.Ringtaped(
                folder / "config.yaml", folder / "store", [feed], "1s", top=top
            ) as daemon:
                def done():
                    ended = sim.events("ended")
                    return ended and looker.count >= ended[-1]["sent"]

                looker.read(done, sizes["seconds"] * 4 + 60)
                sent = sim.event("ended")["sent"]
                daemon.terminate(60)
    finally:
        looker.consumer.close()
        shutil.rmtree(folder, ignore_errors=True)
    return looker, sent
