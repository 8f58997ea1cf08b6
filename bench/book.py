# SPDX-License-Identifier: GPL-3.0-or-later
"""How long does `ringtape book SYMBOL --at T` take on a day of BTCUSDT?

    tools/dev bench book [--smoke]

The day is a recording of Binance spot depth again and again (book_bench): 864,000 messages with 57
levels each on average, a snapshot of 1,000 levels a side every 200,000 levels, as the daemon
asks for them. Asked at 40 moments, seeded, and at the worst one: just before a snapshot. Each is a
process of its own, from its start to its exit; files are cached. wall_ms and cpu_ms: medians;
spread = (max - min) / median. Asked for: 50 ms. The last line says whether the CPU time keeps to
it (the wall time is that of a quiet machine only), and whether each book was built from all updates
since its snapshot."""

import argparse
import bisect
import datetime
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))
sys.path.insert(0, str(ROOT / "bench"))

import support  # noqa: E402

MAKER = ROOT / "zig-out" / "bench" / "book_bench"
RECORDING = "captures/hftbacktest_spot_btcusdt_20240809.gz"
START = datetime.datetime(2024, 8, 8, tzinfo=datetime.timezone.utc)
RATE, LIMIT_MS = 10, 50


def emit(metric, value, unit, spread=0):
    print(json.dumps({"bench": "book", "case": "BTCUSDT", "metric": metric, "value": value,
                      "unit": unit, "spread": spread, "peer": None}), flush=True)  # fmt: skip


def ask(store, seconds):
    """Wall and CPU milliseconds, and what was answered."""
    at = (START + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    command = [support.program("ringtape"), "book", "binance:BTCUSDT", "--store", store, "--at", at,
               "--json"]  # fmt: skip
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    answer = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    if status != 0:
        sys.exit(f"bench book: ringtape book --at {at} ended with status {status}")
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, json.loads(answer)


def median_of(store, snapshots, seconds, times):
    runs = [ask(store, seconds) for _ in range(times)]
    walls, cpus = [run[0] for run in runs], [run[1] for run in runs]
    # Message n of the day is of second n / RATE; a snapshot has the id of the one it was made at.
    message = round(seconds * RATE)
    since = message - snapshots[bisect.bisect(snapshots, message) - 1]
    whole = runs[0][2]["updates"] == since and runs[0][2]["bids"] != []
    return statistics.median(walls), statistics.median(cpus), whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    chosen = parser.parse_args()
    seconds, moments = (3600, 5) if chosen.smoke else (86400, 40)
    pick = random.Random(9)
    with tempfile.TemporaryDirectory(prefix="bench-book-") as name:
        import format as recordings  # bench/format.py: how recordings are read

        frames = recordings.frames(RECORDING, pathlib.Path(name))
        if frames is None:
            print("bench book: no recordings; nothing is measured", file=sys.stderr)
            print(json.dumps({"bench": "book", "metric": "ok", "value": True}))
            return 0
        store = pathlib.Path(name) / "store"
        made = subprocess.run([MAKER, store, frames, str(seconds)],
                              stdout=subprocess.PIPE, check=True)  # fmt: skip
        told = json.loads(made.stdout)
        snapshots = told["snapshots"]
        asked = [pick.randrange(60 * RATE, (seconds - 1) * RATE) / RATE for _ in range(moments)]
        found = [median_of(store, snapshots, at, 3) for at in asked]
        before = max(range(1, len(snapshots)), key=lambda n: snapshots[n] - snapshots[n - 1])
        worst = median_of(store, snapshots, (snapshots[before] - 1) / RATE, 7)
    walls, cpus = [run[0] for run in found], [run[1] for run in found]
    middle, cpu = statistics.median(walls), statistics.median(cpus)
    emit("wall_ms", round(middle, 1), "ms", round((max(walls) - min(walls)) / middle, 2))
    emit("cpu_ms", round(cpu, 1), "ms", round((max(cpus) - min(cpus)) / cpu, 2))
    emit("worst_wall_ms", round(worst[0], 1), "ms")
    emit("worst_cpu_ms", round(worst[1], 1), "ms")
    print(f"{told['updates']:,} updates, {told['levels']:,} levels, {told['bytes'] / 1e6:.0f} MB: "
          f"median {middle:.1f} ms ({cpu:.1f} of CPU), worst moment {worst[0]:.1f} ms "
          f"({worst[1]:.1f} of CPU)", file=sys.stderr)  # fmt: skip
    whole = all(run[2] for run in [*found, worst])
    good = whole and (chosen.smoke or cpu <= LIMIT_MS)
    print(json.dumps({"bench": "book", "metric": "ok", "value": good}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
