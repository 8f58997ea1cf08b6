# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred gigabytes of JSON through one shard, until all of it is sealed: what does it take?

    tools/dev bench hundred [--bytes N] [--single] [--smoke]

Recorded Binance trades (BTCUSDT, ETHUSDT, of the same hours: a lap moves times on by its length,
and 2262 is the last year that nanoseconds reach) go out again and again, ids and times moving on,
as fast as the reader takes them; nobody keeps the JSON. N: bytes of JSON, `2G`, `100G` (the
default). Frames are packed into TLS records of 16 KB, with --single each has its own.

CPU of the shard: its thread's, as the kernel accounts it. Of the process: all threads, kernel
workers, ended ones, and the sealing of what was left when it ended. Memory: the highest that was
seen, four times a second. Bytes a trade: of the sealed segments, their index included. Every trade
must be in the store once: rows by the catalogue, no hole opened; `ringtape verify` reads all of it.
Limits: 5 minutes of shard CPU and 512 MB for 100 GB; for less, that share of the minutes. Exits
with 1 where a trade is missing, and but for --smoke where a limit is missed."""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import support  # noqa: E402
from capture import peak_bytes, process_s, seal_s, thread_ns  # noqa: E402

CAPTURES = ("hftbacktest_spot_btcusdt_20240808.gz", "hftbacktest_spot_ethusdt_20240808.gz")
UNITS = {"M": 10**6, "G": 10**9}
HUNDRED, SMOKE = 100 * 10**9, 20 * 10**6
SHARD_MINUTES, RSS_MB = 5, 512
TAPE_SIZE = "128MiB"  # one of 32 lasts 0.3 s at this pace, and its successor takes five flushes
TRADE_BYTES = 170  # about; how many were sent is counted


def size(text):
    factor = UNITS.get(text[-1:], 1)
    value = int(text.rstrip("MG")) * factor
    if value < 10**6:
        raise argparse.ArgumentTypeError(f"{text}: at least 1M")
    return value


def source():
    paths = [support.REAL_DATA / "captures" / name for name in CAPTURES]
    if all(path.exists() for path in paths):
        return [*(f"--capture=binance:{path}" for path in paths), "--only=trade", "--laps=0"]
    print("bench hundred: recordings are missing, trades are made up", file=sys.stderr)
    return ["--symbols=binance:2", "--channels=trade"]


class Watch:
    """What the daemon says of itself until everything that was sent is durable."""

    def __init__(self, daemon, sim, wanted):
        self.daemon, self.sim, self.wanted = daemon, sim, wanted
        self.rss = self.said = 0

    def counters(self):
        assert self.daemon.alive(), self.daemon.errors
        counters = self.daemon.counters() or {}
        self.rss = max(self.rss, counters.get("rss_bytes", 0))
        del self.daemon.lines[:-4]  # hours of them
        now = time.monotonic()
        if counters and now - self.said > 30:
            self.said = now
            print(f"{counters['bytes'] / 1e9:.2f} GB, {counters['durable']:,} durable,"
                  f" {counters['rows_sealed']:,} sealed, {self.rss >> 20} MB",
                  file=sys.stderr, flush=True)  # fmt: skip
        return counters

    def until_durable(self):
        """The last counters: all that was sent is durable."""
        while True:
            counters = self.counters()
            ended = self.sim.events("ended")
            if ended and counters.get("durable", 0) >= ended[-1]["sent"]:
                return counters, ended[-1]
            time.sleep(0.25)


def stored(store):
    """Rows and bytes of the sealed trades, by the catalogue."""
    rows = size = 0
    for line in support.ringtape("ls", "--store", store, "--json").splitlines():
        for each in support.entries(json.loads(line)):
            assert "tape" not in each or each["rows"] == 0, f"not sealed: {each}"
            if each.get("channel") == "trade":
                rows, size = rows + each["rows"], size + each["bytes"]
    return rows, size


def run(wanted, single, certificates, folder):
    messages = wanted // TRADE_BYTES
    pack = [] if single else ["--pack"]
    store = folder / "store"
    with support.Simulator(
        *source(), "--max", f"--messages={messages}", *pack, "--begin-streams=2",
        certificates=certificates,
    ) as sim:  # fmt: skip
        feed = support.feed(sim, "binance", ["trade"], "all")
        start = time.monotonic()
        top = {"seal_after": {"size": TAPE_SIZE}}
        with support.Ringtaped(folder / "config.yaml", store, [feed], "250ms", top) as daemon:
            sim.event("begun", 60)
            pid = daemon.child.pid
            shard, process = thread_ns(pid, "shard-"), process_s(pid)
            watch = Watch(daemon, sim, messages)
            counters, ended = watch.until_durable()
            most = peak_bytes(pid)
            shard = (thread_ns(pid, "shard-") - shard) / 1e9
            assert daemon.terminate(120) == 0, daemon.errors
        process = daemon.usage.ru_utime + daemon.usage.ru_stime - process
    process += seal_s(store)
    wall = time.monotonic() - start
    rows, disk = stored(store)
    support.ringtape("verify", "--store", store)
    return {
        "gigabytes": counters["bytes"] / 1e9,
        "trades": ended["sent"],
        "cpu_minutes": shard / 60,
        "process_cpu_minutes": process / 60,
        "wall_minutes": wall / 60,
        "rss_mb": most / (1 << 20),
        "bytes_per_trade": disk / rows if rows else 0.0,
        "lost": ended["sent"] - rows + counters["holes_opened"],
    }


def emit(case, found):
    units = {"gigabytes": "GB", "trades": "rows", "rss_mb": "MB", "bytes_per_trade": "byte",
             "lost": "rows"}  # fmt: skip
    for metric, value in found.items():
        print(json.dumps({"bench": "hundred", "case": case, "metric": metric,
                          "value": round(value, 4), "unit": units.get(metric, "min"),
                          "spread": 0.0, "peer": None}), flush=True)  # fmt: skip
        print(f"{metric:20} {value:12,.3f}", file=sys.stderr)


def judge(found):
    share = found["gigabytes"] / 100
    minutes = SHARD_MINUTES * share
    met = found["cpu_minutes"] <= minutes and found["rss_mb"] <= RSS_MB
    print(f"limit: {minutes:.2f} minutes of shard CPU, {RSS_MB} MB: {'met' if met else 'MISSED'}"
          f" ({found['cpu_minutes']:.2f}, {found['rss_mb']:.0f});"
          f" at 100 GB that would be {found['cpu_minutes'] / share:.2f} minutes",
          file=sys.stderr)  # fmt: skip
    return met


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench hundred")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    parser.add_argument("--bytes", type=size, default=HUNDRED, metavar="N", help="2G, 100G")
    parser.add_argument("--single", action="store_true", help="one message a TLS record")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = SMOKE if options.smoke else options.bytes
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hundred-", dir=ROOT / "zig-out"))
    try:
        certificates = support.make_certificates(folder / "certificates")
        found = run(wanted, options.single, certificates, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    case = "100gb" if wanted == HUNDRED else f"{wanted / 1e9:g}gb"
    emit(f"{case}_single" if options.single else case, found)
    good = found["lost"] == 0
    met = judge(found)
    print(json.dumps({"bench": "hundred", "metric": "ok", "value": good}), flush=True)
    sys.exit(0 if good and (met or options.smoke) else 1)


if __name__ == "__main__":
    main()
