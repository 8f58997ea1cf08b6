# SPDX-License-Identifier: GPL-3.0-or-later
"""What does each stage of a shard cost alone, beside its share of the budget?

    tools/dev bench stages [--smoke]

The budget of a shard at 4 M messages a second, ns each: receive 45, TLS 60, frame and parse 80,
arbiter 20, candles and alerts 20, append 20. A message is a trade of Binance, 172 bytes with its
frame head. Each stage is measured by a program of its own that does nothing else, one after the
other, in several rounds; medians. In one process with the others a stage costs more: they take the
cache from each other. The sum beside `bench capture` tells how much.

single: one message a TLS record (22 bytes more on the wire); packed: records of 16 KB.
receive: the kernel's part, io_uring multishot over loopback. append: to columns, to a batch of
5,000 rows, and the write of 20,000 rows, 5 ms of them.
Whether the budget is met is said and decides nothing: it is of the machine."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]

MESSAGE, RECORD, RECORD_HEAD, COMMIT_ROWS = 172, 16384, 22, 20000
BUDGET = {"receive": 45, "tls": 60, "frame_parse": 80, "arbiter": 20, "derive": 20, "append": 20}
PROGRAMS = ("stages", "protocol", "dialect", "arbiter", "derive", "tape")


def figures(program, smoke, folder):
    """{(case, metric): value} of one program."""
    arguments = ["--smoke"] if smoke else []
    arguments += {"stages": [folder], "dialect": ["binance_trade"]}.get(program, [])
    done = subprocess.run(
        [ROOT / "zig-out" / "bench" / f"{program}_bench", *arguments], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"bench stages: {program}_bench failed:\n{done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(l["case"], l["metric"]): l["value"] for l in lines if "case" in l}


def stages(found, packed):
    """ns a message of each stage, of one round."""
    each = MESSAGE / RECORD if packed else 1  # records a message
    wire = MESSAGE + RECORD_HEAD * each
    record = "tls_read_16k" if packed else "tls_read_172"
    of_tape = [found["tape", "tape_5000", f"{part}_ns_per_row"] for part in ("append", "encode")]
    cost = {
        "receive": found["stages", "receive", "ns_per_megabyte"] * wire / (1 << 20),
        "tls": found["protocol", record, "ns_per_record"] * each,
        "frame": found["protocol", "websocket_text_trade", "ns_per_frame"],
        "parse": found["dialect", "binance_trade", "ns_per_message"],
        "arbiter": 1e9 / found["arbiter", "symbols_500", "events_per_second"],
        "derive": found["derive", "both_500", "ns_per_trade"]
        - found["derive", "made_up_trades_alone", "ns_per_trade"],
        "append": sum(of_tape) + found["stages", "commit_512k", "ns_per_commit"] / COMMIT_ROWS,
    }
    cost["frame_parse"] = cost["frame"] + cost["parse"]
    cost["sum"] = sum(cost[name] for name in BUDGET)
    return cost


def emit(case, metric, value, unit, spread):
    print(json.dumps({"bench": "stages", "case": case, "metric": metric, "value": round(value, 2),
                      "unit": unit, "spread": round(spread, 3), "peer": None}), flush=True)


def report(rounds, packed):
    shape = "packed" if packed else "single"
    budgets = {**BUDGET, "sum": sum(BUDGET.values())}
    print(f"\n{shape:12} {'ns':>8} {'spread':>7} {'budget':>7} {'share':>7}", file=sys.stderr)
    costs = [stages(found, packed) for found in rounds]
    for name in costs[0]:
        values = [cost[name] for cost in costs]
        median = statistics.median(values)
        spread = (max(values) - min(values)) / median
        # The stages' names are fixed for a message a record, the harder case.
        case = f"{name}_packed" if packed else name
        emit(case, "ns_per_message", median, "ns", spread)
        told = f"{name:12} {median:8.1f} {spread:7.2f}"
        if name in budgets:
            emit(case, "share_of_budget", median / budgets[name], "ratio", spread)
            told += f" {budgets[name]:7} {median / budgets[name]:7.2f}"
        print(told, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench stages")
    parser.add_argument("--smoke", action="store_true", help="the same in seconds on little data")
    smoke = parser.parse_args().smoke
    rounds = []
    with tempfile.TemporaryDirectory(prefix="stages-", dir=ROOT / "zig-out") as folder:
        for _ in range(1 if smoke else 3):
            found = {}
            for program in PROGRAMS:
                for (case, metric), value in figures(program, smoke, folder).items():
                    found[program, case, metric] = value
            rounds.append(found)
    for packed in (False, True):
        report(rounds, packed)
    print(json.dumps({"bench": "stages", "metric": "ok", "value": True}), flush=True)


if __name__ == "__main__":
    main()
