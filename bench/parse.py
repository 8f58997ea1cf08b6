# SPDX-License-Identifier: GPL-3.0-or-later
"""What does reading a message cost, beside simdjson On-Demand and yyjson?

    tools/dev bench parse [--smoke]

Real frames: Binance spot as recorded (BTCUSDT twice, ETHUSDT: trades, best prices, depth in their
own mix) and Upbit (trades, order books); then each kind alone. Each reader makes the same events
of them, exact integers and symbol numbers, which are compared first. The peers look at the fields
that become columns and nothing else, in the exchange's order; ringtape also judges every other key.
They are compiled for this very CPU (bench/peers/parse_peers.sh), ringtape as it is shipped
(x86-64-v3). bench/parse_bench.c measures. Without the recordings frames come from exchange-sim.
Exits with 1 where events differ, and but for --smoke where a limit is missed."""

import argparse
import ast
import gzip
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import support  # noqa: E402

BINANCE = ["hftbacktest_spot_btcusdt_20240808.gz", "hftbacktest_spot_btcusdt_20240809.gz",
           "hftbacktest_spot_ethusdt_20240808.gz"]  # fmt: skip
UPBIT = ["cryptofeed_UPBIT-d78752.0.gz"]
KINDS = {"binance": ("trade", "quote", "depth"), "upbit": ("trade", "book")}
WORDS = {"trade": (b'@trade"', b'"ty":"trade"'), "quote": (b'@bookTicker"',),
         "depth": (b'@depth',), "book": (b'"ty":"orderbook"',)}  # fmt: skip
LIMITS = {"ratio_to_simdjson": 2, "ratio_to_yyjson": 4}
SMOKE_MESSAGES = 1500


def recorded(name):
    with gzip.open(support.REAL_DATA / "captures" / name, "rt") as file:
        for line in file:
            head, _, message = line.rstrip("\n").partition(" ")
            if message.startswith("b'"):  # cryptofeed keeps Python's spelling
                yield ast.literal_eval(message)
            elif head.isdigit() and message.startswith('{"stream"'):
                yield message.encode()


def made_up(dialect):
    """The same kinds from the market of exchange-sim."""
    with tempfile.NamedTemporaryFile(suffix=".truth") as truth:
        subprocess.run(
            [support.program("exchange-sim"), "--offline", f"--symbols={dialect}:20",
             "--messages=40000", f"--truth={truth.name}"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for _, _, stream, payload in support.read_truth(truth.name):
            if dialect == "upbit":
                yield payload.encode()
            elif "@aggTrade" not in stream and "@kline" not in stream and "@ticker" not in stream:
                yield f'{{"stream":"{stream}","data":{payload}}}'.encode()


def messages(dialect):
    names = BINANCE if dialect == "binance" else UPBIT
    if all((support.REAL_DATA / "captures" / name).exists() for name in names):
        return [each for name in names for each in recorded(name)]
    print(f"bench parse: recordings of {dialect} are missing, messages are made up",
          file=sys.stderr)  # fmt: skip
    return list(made_up(dialect))


def symbols(frames):
    found = {re.search(rb'"(?:s|cd)":"([^"]+)"', each) for each in frames}
    return sorted({match.group(1).decode() for match in found if match})


def measure(case, dialect, frames, peers, smoke):
    """Lines of parse_bench; None where events differ."""
    frames = frames[:SMOKE_MESSAGES] if smoke else frames
    with tempfile.NamedTemporaryFile(prefix="parse-") as file:
        for each in frames:
            file.write(struct.pack("<qI", 0, len(each)) + each)
        file.flush()
        done = subprocess.run(
            [ROOT / "zig-out" / "bench" / "parse_bench", *(["--smoke"] if smoke else []), case,
             dialect, file.name, ",".join(symbols(frames)), *peers],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    return [json.loads(l) for l in done.stdout.splitlines()] if done.returncode == 0 else None


def table(case, lines):
    ns = [(l["peer"] or "ringtape", l) for l in lines if l["metric"] == "ns_per_message"]
    ratios = {l["metric"]: l for l in lines if l["metric"].startswith("ratio")}
    told = ", ".join(f"{name} {l['value']:.0f} ns (spread {l['spread']:.2f})" for name, l in ns)
    told += "".join(f"; {name[9:]} {l['value']:.2f} times" for name, l in ratios.items())
    print(f"{case:15} {told}", file=sys.stderr, flush=True)
    return {name: l["value"] for name, l in ratios.items()}


def judge(case, ratios):
    met = True
    for name, least in LIMITS.items():
        good = ratios[name] >= least
        print(f"limit: {case} {name} >= {least}: {'met' if good else 'MISSED'} ({ratios[name]})",
              file=sys.stderr)  # fmt: skip
        met = met and good
    return met


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench parse")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    smoke = parser.parse_args().smoke
    made = subprocess.run(["bash", ROOT / "bench" / "peers" / "parse_peers.sh"], check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    peers = made.stdout.split()
    good = met = True
    for dialect, kinds in KINDS.items():
        every = messages(dialect)
        for kind in (None, *kinds):
            case = dialect if kind is None else f"{dialect}_{kind}"
            words = sum((WORDS[k] for k in kinds), ()) if kind is None else WORDS[kind]
            frames = [each for each in every if any(word in each for word in words)]
            lines = measure(case, dialect, frames, peers, smoke)
            good = good and lines is not None
            if lines is not None:
                ratios = table(case, lines)
                met = (kind is not None or judge(case, ratios)) and met
    print(json.dumps({"bench": "parse", "metric": "ok", "value": good}), flush=True)
    sys.exit(0 if good and (met or smoke) else 1)


if __name__ == "__main__":
    main()
