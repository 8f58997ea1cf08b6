# SPDX-License-Identifier: GPL-3.0-or-later
"""Is all that was stored in Kafka, in order, after a broker was killed again and again?

    tools/dev bench mirror_kills [--smoke]

ringtaped records trades and depth of exchange-sim and mirrors them to a broker of one node, which
is killed (SIGKILL) ten times under load, is away for 2 s and is started again. In the end a
consumer's messages are compared with the store, each row in all its columns, each key in its
order; of messages that came twice the first counts.

missing: rows of the store that no message has. extra: messages that the store does not have.
out_of_order: keys whose messages stand in another order than their rows. twice: messages that came
again. caught_up_p50_s, caught_up_max_s: from the broker's being up again until nothing is behind.
Exits with 1 unless the first three are 0."""

import argparse
import json
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import time

from lib.contract import emit
from mirror import ROOT

import kafka_broker
import mirror_test
import support

FULL = {"kills": 10, "rate": 10000, "away_s": 2, "between_s": 4}
SMOKE = {"kills": 1, "rate": 2000, "away_s": 0.5, "between_s": 1}
CHANNELS = ("trade", "depth")


def caught_up(daemon, before):
    """Seconds until nothing is behind, for a moment: trades go on."""
    begin = time.monotonic()
    daemon.wait_counters(
        lambda c: c["mirrored"] > before["mirrored"] and c["mirror_behind"] == 0, 120, "caught up"
    )
    return time.monotonic() - begin


def kill_often(broker, daemon, sizes):
    times = []
    for number in range(sizes["kills"]):
        time.sleep(sizes["between_s"])
        broker.kill()
        time.sleep(sizes["away_s"])
        before = daemon.counters()
        broker.start()
        times.append(caught_up(daemon, before))
        print(f"kill {number + 1}: caught up after {times[-1]:.2f} s", file=sys.stderr, flush=True)
    return times


def record(broker, folder, sizes):
    mirror_test.make_topics(broker, "kills")
    top = {"kafka": mirror_test.kafka(broker, "kills"), "shards": 2}
    with support.Simulator("--symbols=binance:100", "--channels=trade,depth",
                           f"--rate={sizes['rate']}", "--at-end=hold") as simulator:  # fmt: skip
        feeds = [support.feed(simulator, "binance", list(CHANNELS), "all")]
        with support.Ringtaped(folder / "c.yaml", folder / "store", feeds, top=top) as daemon:
            daemon.wait_counters(lambda c: c["mirrored"] > 1000, 60, "the first messages")
            times = kill_often(broker, daemon, sizes)
            simulator.terminate()
            time.sleep(0.5)
            mirror_test.caught_up(daemon)
            status = daemon.terminate()
            assert status == 0, (status, daemon.errors[-5:])
    return times


def compare(broker, store, channel):
    rows = mirror_test.stored(store, channel)
    messages, count = mirror_test.mirrored(broker, "kills", channel)
    want = mirror_test.by_key((row["symbol"], row) for row in rows)
    have = mirror_test.by_key((key, value) for key, _, value, _ in messages)
    result = {"rows": len(rows), "missing": 0, "extra": 0, "out_of_order": 0,
              "twice": count - len(messages)}  # fmt: skip
    for key in want.keys() | have.keys():
        wanted = [json.dumps(row, sort_keys=True) for row in want[key]]
        got = [json.dumps(row, sort_keys=True) for row in have[key]]
        result["missing"] += len(set(wanted) - set(got))
        result["extra"] += len(set(got) - set(wanted))
        result["out_of_order"] += wanted != got and sorted(wanted) == sorted(got)
    return result


def report(times, results):
    good = True
    for channel, result in results.items():
        for metric, value in result.items():
            emit("mirror_kills", metric, value, channel, "1", 0)
        print(f"{channel}: " + "  ".join(f"{k} {v:,}" for k, v in result.items()), file=sys.stderr)
        good = good and result["rows"] > 0
        good = good and not result["missing"] + result["extra"] + result["out_of_order"]
    emit("mirror_kills", "kills", len(times), "broker", "1", 0)
    emit("mirror_kills", "caught_up_p50_s", round(statistics.median(times), 2), "broker", "s", 0)
    emit("mirror_kills", "caught_up_max_s", round(max(times), 2), "broker", "s", 0)
    emit("mirror_kills", "ok", good)
    return good


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench mirror_kills")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if kafka_broker.MISSING is not None:
        print(f"bench mirror_kills: left out: {kafka_broker.MISSING}", file=sys.stderr)
        sys.exit(0)
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-kills-", dir=ROOT / "zig-out"))
    try:
        with kafka_broker.Broker(folder / "kafka") as broker:
            times = record(broker, folder, SMOKE if options.smoke else FULL)
            results = {c: compare(broker, folder / "store", c) for c in CHANNELS}
        good = report(times, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
