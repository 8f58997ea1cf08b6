# SPDX-License-Identifier: GPL-3.0-or-later
"""How far is `ringtape cat --follow` behind?

    tools/dev bench follow [--smoke]

exchange-sim, ringtaped over TLS with its durable tape, and `ringtape cat --follow --json`, at a
thin and a busy rate. The latency of a row is the time at which this program was given its line,
less its receive time: the way to durability (printed by `bench latency`) is in it, so how far the
printing is behind durability is less. Two rates, because a tape of a thin feed tells late what is
durable (docs/format.md, "Mark file"). Exits with 1 where a row is missing, comes twice or, but for
--smoke, where the 99th percentile is above 50 ms."""

import argparse
import collections
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from latency import percentiles
from lib.contract import emit, limit, load
from mirror import ROOT

import support

RATES = {"thin": 20, "busy": 5000}
SYMBOLS, LIMIT_MS = 64, 50


def nanoseconds(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


class Tail:
    """Its lines, each with the time at which it was read."""

    def __init__(self, store):
        command = [support.program("ringtape"), "cat", "--follow", "--json", "--store", store,
                   "--channel", "trade"]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.lines = []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        clock, keep = time.time_ns, self.lines.append
        for line in self.process.stdout:
            keep((clock(), line))

    def stop(self):
        self.process.send_signal(2)
        self.thread.join()
        return self.process.wait()


def run(rate, seconds):
    """[(arrival ns, row)] and how many trades were sent."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="follow-", dir=ROOT / "zig-out"))
    try:
        certificates = support.make_certificates(folder / "certificates")
        with support.Simulator(
            f"--symbols=binance:{SYMBOLS}", "--channels=trade", f"--rate={rate}",
            f"--seconds={seconds}", f"--begin-streams={SYMBOLS}", "--begin-after=3",
            "--at-end=hold", certificates=certificates,
        ) as sim:  # fmt: skip
            feed = support.feed(sim, "binance", ["trade"], "all")
            daemon = support.Ringtaped(folder / "config.yaml", folder / "store", [feed], "1s")
            with daemon:
                daemon.wait_counters(lambda _: True)
                tail = Tail(folder / "store")
                support.wait_for(lambda: sim.events("ended"), seconds + 60)
                time.sleep(2)
                assert tail.stop() == 0
                sent = sim.event("ended")["sent"]
                assert daemon.terminate() == 0, daemon.errors
            found = [(arrival, json.loads(line)) for arrival, line in tail.lines]
        return found, sent
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(name, seconds):
    rows, sent = run(RATES[name], seconds)
    times = collections.Counter((row["symbol"], row["id"]) for _, row in rows)
    twice = len(rows) - len(times)
    figures = percentiles([arrival - nanoseconds(row["receive_time"]) for arrival, row in rows])
    for part, value in figures.items():
        emit("follow", f"printed_{part}", value, name, "ms", 0)
    emit("follow", "rows", len(rows), name, "1", 0)
    emit("follow", "missing", sent - len(times), name, "1", 0)
    emit("follow", "twice", twice, name, "1", 0)
    good = limit("follow", f"{name}: p99 <= {LIMIT_MS} ms", figures["p99"] <= LIMIT_MS,
                 " ".join(f"{part} {value:.1f}" for part, value in figures.items())
                 + f" ms, load {load()}")  # fmt: skip
    return sent == len(times) and twice == 0, good


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench follow")
    parser.add_argument("--smoke", action="store_true", help="a few seconds")
    options = parser.parse_args()
    (ROOT / "zig-out").mkdir(exist_ok=True)
    whole, soon = zip(*(measure(name, 3 if options.smoke else 30) for name in RATES))
    emit("follow", "ok", all(whole) and (options.smoke or all(soon)))
    sys.exit(0 if all(whole) and (options.smoke or all(soon)) else 1)


if __name__ == "__main__":
    main()
