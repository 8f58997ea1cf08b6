#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/dev demo: both exchanges on loopback, recorded, exported, and compared with what was sent.

    tools/dev demo [--seconds N] [--rate N] [--folder DIR]

Exit status 1 on any difference. Leaves no process behind."""

import argparse
import atexit
import json
import math
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import demo_kafka  # noqa: E402
import support  # noqa: E402
import truth  # noqa: E402

SYMBOLS = {"binance": 120, "upbit": 80}
CHANNELS = {
    "binance": ["trade", "quote", "depth", "ticker"],
    "upbit": ["trade", "book", "ticker"],
}
# Rises by a twelfth, falls by as much: what alerts are for.
HAPPENS = (
    "kind=surge,symbol=binance:BTCUSDT,at=4s,size=8%,over=2s",
    "kind=crash,symbol=upbit:KRW-ETH,at=6s,size=8%,over=2s",
)
CLOSED_S = 4  # behind a minute's end its candles are out
RSS_LIMIT = 256 << 20
# Capturing takes the same memory all the time; sealing takes some more for a second, and gives it
# back. So the peak is bounded, and the level between, the median, must stay: from the second third
# on, since what is reserved at the start is touched one after the other (a symbol's first minute,
# the first seal).
RSS_GROWTH = 8 << 20  # of the last third of the run over the second, beside a seventh
running = []


def leave_nothing():
    for process in running:
        process.kill()


def fail(text):
    print(f"demo: {text}", file=sys.stderr)
    sys.exit(1)


def megabytes(size):
    return f"{size / (1 << 20):.1f} MB"


def run(arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, arguments))}: exit status {done.returncode}\n"
             f"{done.stdout}{done.stderr}")  # fmt: skip
    return done.stdout


def seconds_of(options):
    """Long enough for a minute to end in it, so that candles are seen."""
    return max(options.seconds, math.ceil(60 - time.time() % 60) + CLOSED_S)


def start(folder, kafka, options):
    certificates = support.make_certificates(folder / "certificates")
    streams = sum(SYMBOLS[e] * len(CHANNELS[e]) for e in SYMBOLS)
    simulator = support.Simulator(
        *(f"--symbols={exchange}:{count}" for exchange, count in SYMBOLS.items()),
        f"--rate={options.rate}",
        f"--seconds={options.seconds}",
        f"--begin-streams={streams}",
        "--begin-after=0.5",
        f"--seed={options.seed}",
        f"--truth={folder / 'sent.truth'}",
        "--progress",
        *(f"--inject={what}" for what in HAPPENS),
        certificates=certificates,
    )
    running.append(simulator)
    feeds = [
        support.feed(simulator, exchange, channels, "all")
        for exchange, channels in CHANNELS.items()
    ]
    daemon = support.Ringtaped(
        folder / "ringtaped.yaml", folder / "store", feeds, counters="1s",
        top={"kafka": kafka.configuration()},
    )  # fmt: skip
    running.append(daemon)
    return simulator, daemon


def show_live(kafka, shown):
    """What the consumer has got since: every alert, the first candles and their number."""
    alerts, candles = kafka.messages["alerts"], kafka.messages["candles"]
    for row in alerts[shown["alerts"] :]:
        print(f"       Kafka: {demo_kafka.alert_line(row)}")
    if len(candles) > shown["candles"]:
        row = candles[shown["candles"]]
        print(f"       Kafka: {len(candles) - shown['candles']} candles, {row['symbol']} from "
              f"{row['open']} to {row['close']}, volume {row['volume']}", flush=True)  # fmt: skip
    shown.update(alerts=len(alerts), candles=len(candles))


def show(simulator, daemon, kafka, options):
    """A line a second until all is sent and stored."""
    print(f"recording {sum(SYMBOLS.values())} symbols of {len(SYMBOLS)} exchanges over TLS, "
          f"{options.rate:,} messages/s, {options.seconds} s")  # fmt: skip
    heading = ("second", "sent", "stored", "stored/s", "links", "memory")
    widths = (6, 12, 12, 10, 6, 10)
    print(" ".join(h.rjust(w) for h, w in zip(heading, widths)), flush=True)
    memory, before, started, settled = [], 0, time.monotonic(), 0
    shown = {"alerts": 0, "candles": 0}
    while settled < 2:
        time.sleep(1)
        if not simulator.alive() or not daemon.alive():
            fail("a program ended:\n" + "\n".join(simulator.errors + daemon.errors))
        sent = (simulator.events("ended") or simulator.events("progress") or [{"sent": 0}])[-1]
        counters = daemon.counters() or {"events": 0, "durable": 0, "links_live": 0, "rss_bytes": 0}
        memory.append(counters["rss_bytes"])
        stored = counters["durable"]
        row = (
            f"{time.monotonic() - started:.0f}", f"{sent['sent']:,}", f"{stored:,}",
            f"{stored - before:,}", f"{counters['links_live']}", megabytes(memory[-1]),
        )  # fmt: skip
        print(" ".join(c.rjust(w) for c, w in zip(row, widths)), flush=True)
        show_live(kafka, shown)
        settled = settled + 1 if simulator.events("ended") and stored == before else 0
        before = stored
        if time.monotonic() - started > options.seconds + 60:
            fail("the recording does not come to an end")
    return memory


def check_memory(memory):
    used = [m for m in memory if m > 0]
    if not used:
        fail("the daemon tells no memory")
    third = max(1, len(used) // 3)
    early, late = (statistics.median(part) for part in (used[third : 2 * third], used[-third:]))
    problems = []
    if max(used) > RSS_LIMIT:
        problems.append(f"memory: {megabytes(max(used))}, at most {megabytes(RSS_LIMIT)}")
    if late > early * 8 / 7 + RSS_GROWTH:
        problems.append(f"memory grew from {megabytes(early)} to {megabytes(late)}")
    return max(used), problems


def report(folder, rows, simulator_sum):
    """What was sent, stored, missing, wrong; True where nothing is."""
    print()
    heading = ("exchange", "channel", "sent", "stored", "missing", "duplicated", "wrong")
    print("{:14} {:8} {:>11} {:>11} {:>9} {:>11} {:>7}".format(*heading))
    for r in rows:
        print(f"{r.exchange:14} {r.channel:8} {r.sent:11,} {r.stored:11,} {r.missing:9,} "
              f"{r.duplicated:11,} {r.wrong:7,}")  # fmt: skip
    total = sum(r.sent for r in rows)
    told = simulator_sum["sent"] + simulator_sum["snapshots"]
    if total != told:
        fail(f"the truth file has {total:,} messages, {told:,} were sent")
    return all(r.missing == r.duplicated == r.wrong == 0 and r.sent == r.stored for r in rows)


def report_kafka(kafka, folder):
    """What came back from Kafka against the store; True where it is the same."""
    print()
    good = True
    for topic, channel in demo_kafka.CHANNELS.items():
        told = run([support.program("ringtape"), "cat", "--store", folder / "store",
                    "--channel", channel, "--json"])  # fmt: skip
        rows = [json.loads(line) for line in told.splitlines()]
        missing, strange = kafka.compare(topic, rows)
        print(f"{topic}: {len(rows):,} stored, {missing} missing in Kafka, {strange} only there")
        good = good and rows and missing == strange == 0
    return good


def timed(name, arguments):
    started = time.monotonic()
    print(f"ringtape {name} ...", end=" ", flush=True)
    run([support.program("ringtape"), *arguments])
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def report_lake(folder, rows):
    """Delta tables as delta-rs reads them against what is stored; True where both have as much."""
    import deltalake

    print()
    good = True
    for channel in ("trade", "quote", "ticker"):
        table = deltalake.DeltaTable(str(folder / "lake" / channel))
        found = table.to_pyarrow_dataset().count_rows()
        stored = sum(r.stored for r in rows if r.channel == channel)
        print(f"Delta table {channel}: version {table.version()}, {found:,} rows by delta-rs, "
              f"{stored:,} stored")  # fmt: skip
        good = good and found == stored
    return good


def bytes_a_trade(folder):
    """Sealed bytes by trade, out of 'ringtape ls'."""
    listing = json.loads(
        run([support.program("ringtape"), "ls", "--store", folder / "store", "--json"])
    )
    size = rows = 0
    for entry in support.entries(listing):
        if entry.get("channel") == "trade" and entry.get("bytes") and entry.get("rows"):
            size += entry["bytes"]
            rows += entry["rows"]
    return size / rows if rows else None


def query_command(parquet):
    files = f"{parquet}/exchange=binance/channel=trade/**/*.parquet"
    query = (
        "SELECT symbol, count(*) AS trades, sum(quantity) AS volume, max(price) AS high"
        f" FROM '{files}' GROUP BY symbol ORDER BY trades DESC LIMIT 5"
    )
    return f'{sys.executable} -c "import duckdb; duckdb.sql(\\"{query}\\").show()"'


def main():
    parser = argparse.ArgumentParser(prog="tools/dev demo", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "zig-out" / "demo")
    options = parser.parse_args()
    folder = options.folder.resolve()
    marker = folder / "ringtape-demo"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        fail(f"{folder} is not empty and not of a demo before")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
    atexit.register(leave_nothing)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    kafka = demo_kafka.Kafka()
    options.seconds = seconds_of(options)
    simulator, daemon = start(folder, kafka, options)
    memory = show(simulator, daemon, kafka, options)
    if daemon.terminate() != 0:
        fail("ringtaped:\n" + "\n".join(daemon.errors))
    if simulator.terminate() != 0:
        fail("exchange-sim:\n" + "\n".join(simulator.errors))

    store, parquet, page = folder / "store", folder / "parquet", folder / "report.html"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    for command in (["seal"], ["verify"], ["export", "--parquet", parquet],
                    ["export", "--delta", folder / "lake"],
                    ["report", "--day", day, "--html", page]):  # fmt: skip
        name = " ".join(str(part) for part in command[:2])
        timed(name, [command[0], "--store", store, *command[1:]])
    rows = truth.compare(folder / "sent.truth", parquet)
    good = report(folder, rows, simulator.event("ended"))
    same = report_kafka(kafka, folder)
    kafka.close()
    tables = report_lake(folder, rows)
    most, problems = check_memory(memory)
    size = bytes_a_trade(folder)
    print(f"\nmemory at most {megabytes(most)}"
          + (f"; {size:.2f} bytes a trade on disk" if size else ""))  # fmt: skip
    print(f"a page about the day is {page}, Delta tables are in {folder / 'lake'}")
    print(f"the store is in {store}, the Parquet files are in {parquet}; to query them:\n")
    print(f"  {query_command(parquet)}\n")
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    if not good:
        print("demo: what is stored differs from what was sent", file=sys.stderr)
    if not same:
        print("demo: what came from Kafka differs from what is stored", file=sys.stderr)
    if not tables:
        print("demo: the Delta tables differ from what is stored", file=sys.stderr)
    if problems or not good or not same or not tables:
        sys.exit(1)
    print("everything that was sent is stored, once and exactly; Kafka has its candles and alerts")


if __name__ == "__main__":
    main()
