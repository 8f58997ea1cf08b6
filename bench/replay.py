# SPDX-License-Identifier: GPL-3.0-or-later
"""How many messages a second of its CPU `ringtape replay` sends, and how exactly it keeps time.

    tools/dev bench replay [--smoke]

max: a made-up day of 50 symbols, trades and best prices, over loopback TLS at --speed max to one
client in another process that only counts. CPU is all of the server's process: reading the store
ahead, order, JSON, WebSocket, TLS, the kernel's part of sending. `memory`: the same on a store four
times as large; the most that was resident of both.

spacing: a recording of the simulator's market, about 2,000 messages a second, at speed 1. The
client (websockets) notes when each message came; the deviation is the distance of that from when
it was received by the recorder, both from their beginning on. `server` is what the replay itself
saw: how late it handed messages to the kernel."""

import argparse
import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import replay_world as world  # noqa: E402
import support  # noqa: E402
import websockets  # noqa: E402

FULL = {"repetitions": 3, "rows": 3000000, "spacing_messages": 40000}
SMOKE = {"repetitions": 1, "rows": 100000, "spacing_messages": 4000}
SYMBOLS = 50
DAY = "2026-11-20"


def market(folder, rows):
    command = [ROOT / "zig-out" / "test" / "market_store", folder, "day", DAY, SYMBOLS, rows, rows]
    subprocess.run([str(part) for part in command], check=True)
    return folder


def symbols_of(store):
    text = support.ringtape("ls", "--store", store, "--symbols", "--json")
    return sorted({entry["symbol"] for entry in support.entries(json.loads(text))
                   if entry.get("symbol")})  # fmt: skip


def resident_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def at_max(store, certificates):
    streams = []
    for symbol in symbols_of(store):
        name = symbol.split(":")[1].lower()
        streams += [f"{name}@trade", f"{name}@bookTicker"]
    with world.Replay(
        store, "--speed", "max", "--exchange", "binance", "--hold", certificates=certificates
    ) as replay:
        client = support.Process(
            [sys.executable, str(ROOT / "bench" / "peers" / "replay_client.py"),
             replay.ports["binance"], f"{certificates}/ca.pem", '{"stream":"', *streams]
        )  # fmt: skip
        with client:
            ended = replay.event("ended", 600)
            memory_kb = resident_kb(replay.child.pid)
            assert replay.terminate() == 0, replay.errors
            assert client.finish(60) == 0, client.errors
        received = json.loads(client.lines[-1])
    assert received["messages"] == ended["sent"] == ended["played"], (received, ended)
    return ended, memory_kb


def bench_max(size, folder, certificates):
    small = market(folder / "small", size["rows"])
    rates, most_kb = [], 0
    for _ in range(size["repetitions"]):
        ended, memory_kb = at_max(small, certificates)
        rates.append(ended["sent"] / ended["cpu_s"])
        most_kb = max(most_kb, memory_kb)
        print(json.dumps({"bench": "replay", "case": "max", "messages": ended["sent"],
                          "bytes": ended["bytes"], "cpu_s": ended["cpu_s"],
                          "elapsed_s": ended["elapsed_s"],
                          "messages_per_cpu_s": round(rates[-1]),
                          "resident_mib": round(memory_kb / 1024)}), flush=True)  # fmt: skip
    large = market(folder / "large", size["rows"] * 4)
    ended, memory_kb = at_max(large, certificates)
    print(json.dumps({"bench": "replay", "case": "memory", "rows": ended["played"],
                      "resident_mib": round(memory_kb / 1024),
                      "of_a_fourth_mib": round(most_kb / 1024)}), flush=True)  # fmt: skip
    return statistics.median(rates)


async def note(url, context, count, came):
    async with websockets.connect(url, ssl=context, max_size=None) as peer:
        while len(came) < count:
            message = await peer.recv()
            came.append((time.monotonic_ns(), message))


def received(store):
    """Receive times of all trades and quotes, in ns, in order."""
    found = []
    for channel in ("trade", "quote"):
        text = support.ringtape("cat", "--store", store, "--channel", channel, "--json")
        found += [json.loads(line)["receive_time"] for line in text.splitlines()]
    return sorted(found)


def ns_of(text):
    clock, fraction = text.rstrip("Z").split(".")
    return int(time.mktime(time.strptime(clock, "%Y-%m-%dT%H:%M:%S"))) * 10**9 + int(
        fraction.ljust(9, "0")
    )


def bench_spacing(size, folder, certificates):
    count = size["spacing_messages"]
    arguments = ["--symbols=binance:4", "--rate=2000", f"--messages={count}", "--begin-streams=8"]
    with support.Simulator(*arguments, certificates=certificates) as simulator:
        store = folder / "spacing"
        feed = support.feed(simulator, "binance", ["trade", "quote"], "all")
        with support.Ringtaped(folder / "spacing.yaml", store, [feed]) as daemon:
            daemon.settle(simulator.event("ended", 300)["sent"])
            assert daemon.terminate() == 0
    due = [ns_of(text) for text in received(store)]
    came = []
    with world.Replay(store, "--speed", "1", certificates=certificates) as replay:
        names = [symbol.split(":")[1].lower() for symbol in symbols_of(store)]
        streams = [f"{name}@{channel}" for name in names for channel in ("trade", "bookTicker")]
        url = replay.url("binance", "/stream?streams=" + "/".join(streams))
        asyncio.run(note(url, support.trust(certificates), len(due), came))
        ended = replay.event("ended", 60)
    offsets = [(came[i][0] - came[0][0]) - (due[i] - due[0]) for i in range(len(due))]
    middle = statistics.median(offsets)
    deviations = sorted(abs(offset - middle) for offset in offsets)
    print(json.dumps({"bench": "replay", "case": "spacing", "messages": len(due),
                      "p50_us": round(deviations[len(deviations) // 2] / 1000),
                      "p99_us": round(deviations[len(deviations) * 99 // 100] / 1000),
                      "max_us": round(deviations[-1] / 1000),
                      "server_p50_us": ended["late_p50_us"],
                      "server_p99_us": ended["late_p99_us"],
                      "server_max_us": ended["late_max_us"],
                      "load": os.getloadavg()[0]}), flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    size = SMOKE if parser.parse_args().smoke else FULL
    with tempfile.TemporaryDirectory(prefix="ringtape-bench-") as name:
        folder = pathlib.Path(name)
        certificates = support.make_certificates(folder / "certificates")
        rate = bench_max(size, folder, certificates)
        bench_spacing(size, folder, certificates)
        print(json.dumps({"bench": "replay", "messages_per_cpu_s": round(rate), "asked": 1000000}))


if __name__ == "__main__":
    main()
