# SPDX-License-Identifier: GPL-3.0-or-later
"""What being watched costs at 20,000 messages a second.

    tools/dev bench metrics [--smoke]

exchange-sim with two exchanges over TLS, ringtaped with two copies of one of them, a scrape of
/metrics every five seconds. The processor time of each thread is what the kernel says, read from
the metrics themselves: `http` answers scrapes, `statistics` puts the page together and writes it
twice a second. Prints one JSON line; exits with 1 where both together take more than half a
per cent of a core (not with --smoke, whose machine may be busy with other tests)."""

import argparse
import json
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import support  # noqa: E402

RATE, EVERY_S, LIMIT_PERCENT = 20000, 5, 0.5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return reply.read().decode()


def threads(text):
    """Seconds of processor time by thread."""
    found = re.findall(r'^ringtape_thread_cpu_seconds_total\{thread="(.+)"\} (\S+)$', text, re.M)
    return {name: float(value) for name, value in found}


def value(text, name):
    return sum(float(v) for v in re.findall(rf"^ringtape_{name}(?:\{{.*\}})? (\S+)$", text, re.M))


def watch(port, seconds):
    """First and last scrape, and how long each took, ms."""
    first, took = scrape(port), []
    begin = time.monotonic()
    text = first
    while time.monotonic() - begin < seconds:
        time.sleep(min(EVERY_S, seconds))
        start = time.monotonic()
        text = scrape(port)
        took.append((time.monotonic() - start) * 1000)
    time.sleep(1.2)  # threads are looked at once a second
    return first, text, scrape(port), time.monotonic() - begin, took


def measure(folder, seconds):
    certificates, port = support.make_certificates(folder / "certificates"), free_port()
    with support.Simulator(
        "--symbols=binance:120", "--symbols=upbit:80", f"--rate={RATE}", "--calm",
        f"--seconds={seconds + 30}", certificates=certificates,
    ) as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance", ["trade", "quote", "depth"], "all", redundancy=2),
            support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all"),
        ]
        http = {"listen": f"127.0.0.1:{port}"}
        with support.Ringtaped(
            folder / "config.yaml", folder / "store", feeds, top={"http": http}
        ) as daemon:
            daemon.wait_counters(lambda c: c["messages"] > RATE)
            first, _, last, elapsed, took = watch(port, seconds)
            assert daemon.terminate() == 0, daemon.errors
    before, after = threads(first), threads(last)
    percent = {
        name: round((after[name] - before.get(name, 0)) / elapsed * 100, 3) for name in after
    }
    return {
        "bench": "metrics",
        "messages_per_s": round(
            (value(last, "messages_total") - value(first, "messages_total")) / elapsed
        ),
        "series": sum(1 for line in last.splitlines() if not line.startswith("#")),
        "bytes": len(last),
        "scrape_ms": round(max(took), 2),
        "cpu_percent_of_a_core": percent,
        "watching_percent": round(percent.get("http", 0) + percent.get("statistics", 0), 3),
        "limit_percent": LIMIT_PERCENT,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args().smoke
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ringtape-metrics-"))
    try:
        found = measure(folder, 6 if smoke else 60)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found))
    return 0 if smoke or found["watching_percent"] <= LIMIT_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
