# SPDX-License-Identifier: GPL-3.0-or-later
"""How many messages a shard takes in per second of its CPU: TLS, WebSocket, parsing, durable tape,
all on.

    tools/dev bench capture [--smoke]

Frames are Binance trades recorded in 2024, played by exchange-sim as fast as the reader takes
them, ids and times moving on from lap to lap; without the recordings, trades of its made-up
market. Cases: one TLS record a frame (single), many (packed). In each repetition ringtaped, picows
+ orjson + Decimal and websockets + json read the same frames one after the other. The CPU time of
ringtaped's shard is its thread's, as the kernel accounts it; the process's includes kernel
workers, the sealer and sealing what was left at the end. bench/peers/capture_client.py says what
the peers do; they store nothing. All speak TLS 1.3 with AES-128-GCM. lost and duplicated are ids
of the store against those sent; wrong are rows whose price, quantity, side or delay to the event
time are not those of the recording, read by Python (made-up trades: tests/peers/record_test.py)."""

import argparse
import functools
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import duckdb  # noqa: E402
import expected  # noqa: E402
import pyarrow  # noqa: E402
import support  # noqa: E402
from lib import contract  # noqa: E402

emit = functools.partial(contract.emit, "capture")

FULL = {"repetitions": 3, "ringtape": 12000000, "picows": 600000, "websockets": 150000}
SMOKE = {"repetitions": 1, "ringtape": 150000, "picows": 20000, "websockets": 5000}
CAPTURE = "hftbacktest_spot_btcusdt_20240808.gz"


def source():
    """Options of exchange-sim, and the symbol."""
    path = support.REAL_DATA / "captures" / CAPTURE
    if path.exists():
        return [f"--capture=binance:{path}", "--only=trade", "--laps=0"]
    print(f"bench capture: {path} is missing, trades are made up", file=sys.stderr)
    return ["--symbols=binance:1"]


def simulator(case, messages, certificates):
    pack = ["--pack"] if case == "packed" else []
    return support.Simulator(
        *source(),
        "--max",
        f"--messages={messages}",
        "--streams",
        *pack,
        certificates=certificates,
    )


def thread_ns(pid, prefix):
    """CPU time of the threads of that name."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().startswith(prefix):
                total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    return total


def process_s(pid):
    """User and system time of a living process, ended threads included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    """The most memory that a living process ever had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def stored_ids(parquet):
    """Per symbol: rows, different ids, first and last."""
    folder = expected.folders(parquet).get(("binance", "trade"))
    if folder is None:
        return {}
    rows = duckdb.sql(
        "SELECT symbol, count(*), count(DISTINCT id), min(id), max(id), sum(id)::HUGEINT"
        f" FROM read_parquet('{folder}/**/*.parquet', hive_partitioning=false) GROUP BY symbol"
    ).fetchall()
    return {symbol: numbers for symbol, *numbers in rows}


def compare(ended, stored):
    """Lost and duplicated rows, by the simulator's counts of each stream."""
    lost = duplicated = 0
    for name, sent in ended["streams"].items():
        symbol = name.split(" ")[1].split("@")[0].upper()
        rows, ids, first, last, total = stored.get(symbol, (0, 0, 0, 0, 0))
        lost += max(sent["sent"] - ids, 0)
        duplicated += rows - ids
        whole = (first, last, total % 2**64) == (
            sent["first_id"], sent["last_id"], int(sent["id_sum"])
        )  # fmt: skip
        if sent["sent"] == rows == ids and not whole:
            lost += 1  # other rows than those sent
    return lost, duplicated


@functools.cache
def recorded_trades():
    """What stands in the recording, in order, as DuckDB is to find it in every lap."""
    if not (support.REAL_DATA / "captures" / CAPTURE).exists():
        return None
    rows = [
        expected.binance_rows(message)[1][0]
        for stream, message in expected.capture_messages(support.REAL_DATA / "captures" / CAPTURE)
        if stream.endswith("@trade")
    ]
    return pyarrow.table({
        "place": range(len(rows)),
        "price": pyarrow.array([r["price"] for r in rows], pyarrow.decimal128(38, 18)),
        "quantity": pyarrow.array([r["quantity"] for r in rows], pyarrow.decimal128(38, 18)),
        "side": [r["side"] for r in rows],
        "delay_ns": [r["event_time_ns"] - r["trade_time_ns"] for r in rows],
    })  # fmt: skip


def wrong_values(parquet, messages):
    """Rows that differ from the recording at their place of a lap; None: there is no recording."""
    trades = recorded_trades()
    if trades is None:
        return None
    folder = expected.folders(parquet)["binance", "trade"]
    right = duckdb.sql(
        f"""SELECT count(*) FROM trades JOIN (
            SELECT *, (id - min(id) OVER ()) % {len(trades)} AS place
            FROM read_parquet('{folder}/**/*.parquet', hive_partitioning=false)) s
        USING (place) WHERE s.price = trades.price AND s.quantity = trades.quantity AND
            s.side = trades.side AND s.event_time_ns - s.trade_time_ns = trades.delay_ns"""
    ).fetchall()[0][0]
    return messages - right


def seal_s(store):
    """CPU seconds of sealing what the daemon left."""
    before = os.times()
    support.ringtape("seal", "--store", store)
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def measure_ringtape(case, messages, certificates, folder):
    with simulator(case, messages, certificates) as sim:
        feed = support.feed(sim, "binance", ["trade"], "all")
        daemon = support.Ringtaped(folder / "config.yaml", folder / "store", [feed], "100ms")
        with daemon:
            sim.event("begun", 60)
            shard, process = thread_ns(daemon.child.pid, "shard-"), process_s(daemon.child.pid)
            daemon.settle(messages, 600)
            shard = (thread_ns(daemon.child.pid, "shard-") - shard) / 1e9
            ended = sim.event("ended")
            most = peak_bytes(daemon.child.pid)
            assert daemon.terminate() == 0, daemon.errors
        process = daemon.usage.ru_utime + daemon.usage.ru_stime - process
    process += seal_s(folder / "store")
    support.ringtape("verify", "--store", folder / "store")
    support.ringtape("export", "--store", folder / "store", "--parquet", folder / "parquet")
    lost, duplicated = compare(ended, stored_ids(folder / "parquet"))
    return {
        "shard": messages / shard,
        "process": messages / process,
        "rss_mb": most / (1 << 20),
        "lost": lost,
        "duplicated": duplicated,
        "wrong": wrong_values(folder / "parquet", messages),
    }


def cipher_choice(folder):
    """Python's ssl can't choose among those of TLS 1.3, and takes AES-256 by itself."""
    path = pathlib.Path(folder) / "openssl.cnf"
    path.write_text("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = first\n"
                    "[first]\nCiphersuites = TLS_AES_128_GCM_SHA256\n")  # fmt: skip
    return path


def measure_peer(name, case, messages, certificates):
    # More than it reads: the peer ends first, so that its reading never waits for the simulator.
    with simulator(case, messages * 2, certificates) as sim:
        url = sim.url("binance", "/stream?streams=btcusdt@trade&timeUnit=MICROSECOND")
        client = ROOT / "bench" / "peers" / "capture_client.py"
        done = subprocess.run(
            [sys.executable, client, name, url, f"{certificates}/ca.pem", str(messages)],
            capture_output=True, text=True, timeout=600,
            env={**os.environ, "OPENSSL_CONF": str(cipher_choice(certificates))},
        )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"bench capture: {name} failed:\n{done.stderr}")
    result = json.loads(done.stdout)
    if result["gaps"]:
        sys.exit(f"bench capture: {name} saw {result['gaps']} gaps in the ids")
    return result["messages"] / result["cpu_s"]


def middle(values):
    """Median and spread."""
    median = statistics.median(values)
    return median, round((max(values) - min(values)) / median, 3) if median else 0.0


def run_case(case, sizes, certificates):
    runs = {"ringtape": [], "picows": [], "websockets": []}
    for repetition in range(sizes["repetitions"]):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="capture-", dir=ROOT / "zig-out"))
        try:
            runs["ringtape"].append(measure_ringtape(case, sizes["ringtape"], certificates, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for peer in ("picows", "websockets"):
            runs[peer].append(measure_peer(peer, case, sizes[peer], certificates))
        own = runs["ringtape"][-1]
        print(
            f"{case} {repetition + 1}: shard {own['shard']:,.0f}, process {own['process']:,.0f}/s,"
            f" picows {runs['picows'][-1]:,.0f}/s, websockets {runs['websockets'][-1]:,.0f}/s",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return runs


def report(case, runs):
    own = runs["ringtape"]
    shard, spread = middle([r["shard"] for r in own])
    emit("messages_per_cpu_second", round(shard), case, "1/s", spread)
    for peer in ("picows", "websockets"):
        value, peer_spread = middle(runs[peer])
        emit("messages_per_cpu_second", round(value), case, "1/s", peer_spread, peer)
    value, spread = middle([r["process"] for r in own])
    emit("process_messages_per_cpu_second", round(value), case, "1/s", spread)
    for peer in ("picows", "websockets"):
        for of, prefix in (("shard", ""), ("process", "process_")):
            ratio, spread = middle([r[of] / p for r, p in zip(own, runs[peer])])
            emit(f"{prefix}ratio_to_{peer}", round(ratio, 2), case, "ratio", spread)
    judged = ["lost", "duplicated"] + ["wrong"] * (recorded_trades() is not None)
    for metric in judged:
        emit(metric, sum(r[metric] for r in own), case, "rows", 0.0)
    value, spread = middle([r["rss_mb"] for r in own])
    emit("rss_mb", round(value, 1), case, "MB", spread)
    return all(r[metric] == 0 for r in own for metric in judged)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench capture")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    parser.add_argument("--case", choices=["single", "packed"], action="append")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sizes = SMOKE if options.smoke else FULL
    (ROOT / "zig-out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="capture-certificates-") as folder:
        certificates = support.make_certificates(folder)
        good = True
        for case in options.case or ["single", "packed"]:
            good = report(case, run_case(case, sizes, certificates)) and good
    emit("ok", good)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
