# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the recorder keep its promises in ten thousand lives with faults?

    tools/dev bench simulation [--smoke] [--seeds A-B] [--minutes N] [--workers N] [--notes FILE]

Whole recorders in simulated worlds (tests/simulation, docs/testing.md): 10,000 seeds, --smoke 24.
Every hundredth seed is run again and must leave the same trace. The whole run takes CPU hours: with
--notes FILE what is done is noted there, 500 seeds at a time, and a run that was interrupted goes
on behind it. Only notes of the same program count, and none of seeds that failed: those are run
again, and say what failed.

violations: seeds in which a promise was broken. virtual_hours: simulated. times_real_time: virtual
time by CPU time of all seeds, process starts and judging included; events_per_virtual_second says
at which load. events_least, crashes_least, faults_least, virtual_seconds_least: of one seed. hits:
how often each kind of fault struck. transitions: how often each arrow was taken that a state
machine's header comment draws. seeds_per_second: by the clock, on as many workers.
Exits with 1 where a promise was broken, and but for --smoke where a seed was too short (10 minutes,
20,000 events, 3 crashes, 20 faults), a kind of fault struck or an arrow was taken fewer than 100
times, or less than 1,000 times real time was reached."""

import argparse
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

from lib import contract

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "zig-out" / "test" / "simulation"
FULL, SMOKE = "1-10000", "1-24"
PORTION = 500  # seeds between two notes
LEAST = {"virtual_seconds": 600, "events": 20000, "crashes": 3, "faults": 20}
HITS_LEAST, SPEED_LEAST = 100, 1000

emit = functools.partial(contract.emit, "simulation")


def portion(options, first, last):
    """What the program counts of these seeds, with the seconds that it took."""
    command = [PROGRAM, "--seeds", f"{first}-{last}", "--workers", str(options.workers), "--twice",
               str(options.twice), "--json"]  # fmt: skip
    if options.minutes:
        command += ["--minutes", str(options.minutes)]
    begin = time.monotonic()
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=False)
    lines = done.stdout.splitlines()
    if not lines:
        sys.exit(f"{PROGRAM} ended with {done.returncode} and printed nothing")
    sums = json.loads(lines[-1])
    if sums["seeds"] != last - first + 1:
        sys.exit(f"{PROGRAM} ran {sums['seeds']} of seeds {first} to {last}")
    if done.returncode != (1 if sums["failed"] else 0):
        sys.exit(f"{PROGRAM} ended with {done.returncode}, {sums['failed']} seeds failed")
    return sums | {"seconds": time.monotonic() - begin}


def merged(one, other):
    """The sums of both: all add up but for the least of a seed."""
    both = {}
    for name, value in one.items():
        if isinstance(value, dict):
            both[name] = merged(value, other[name])
        elif "least" in name:
            both[name] = min(value, other[name])
        else:
            both[name] = value + other[name]
    return both


def key_of(options):
    """What a note must be of to count: this program, and what it is asked for."""
    program = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()
    return f"{program} minutes {options.minutes or 'whole'} twice {options.twice}"


def noted(path, key):
    """Sums by portion. A line that an interruption tore is none, the next begins behind it."""
    sums = {}
    path.touch()  # where nothing can be noted, it is known before hours have passed
    text = path.read_text(errors="replace")
    for line in text.splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue
        if note["key"] == key:
            sums[tuple(note["portion"])] = note["sums"]
    if text and not text.endswith("\n"):
        with path.open("a") as notes:
            notes.write("\n")
    return sums


def portion_noted(options, key, part):
    """The sums of a portion that was not noted yet; a good one is noted."""
    sums = portion(options, *part)
    if key_of(options) != key:
        sys.exit(f"{PROGRAM} was built anew while it ran: begin again")
    if options.notes is not None and sums["failed"] == 0:
        with options.notes.open("a") as notes:
            notes.write(json.dumps({"key": key, "portion": part, "sums": sums}) + "\n")
    return sums


def run(options):
    """The sums of all seeds."""
    first, last = (int(part) for part in options.seeds.split("-"))
    key = key_of(options)
    done = {} if options.notes is None else noted(options.notes, key)
    total = None
    for begin in range(first, last + 1, PORTION):
        part = (begin, min(begin + PORTION - 1, last))
        sums = done.get(part) or portion_noted(options, key, part)
        total = sums if total is None else merged(total, sums)
    return total


def figures(sums):
    """Name, value, unit of everything but the hits."""
    virtual_s, cpu_s = sums["virtual_s"], sums["cpu_ms"] / 1000
    yield "seeds", sums["seeds"], "1"
    yield "violations", sums["failed"], "1"
    yield "seeds_per_second", round(sums["seeds"] / sums["seconds"], 3), "1/s"
    yield "virtual_hours", round(virtual_s / 3600, 2), "h"
    yield "times_real_time", round(virtual_s / cpu_s, 1), "1"
    yield "events_per_virtual_second", round(sums["events"] / virtual_s, 1), "1/s"
    for name in ("events", "stored", "delivered", "listed", "crashes", "stops"):
        yield name, sums[name], "1"
    yield "faults", sums["episodes"], "1"
    yield "events_least", sums["events_least"], "1"
    yield "crashes_least", sums["crashes_least"], "1"
    yield "faults_least", sums["episodes_least"], "1"
    yield "virtual_seconds_least", sums["virtual_least_s"], "s"


def limits(values, sums):
    """What a whole run must reach: text, met."""
    for name, least in LEAST.items():
        yield f"{least} {name} or more in each seed", values[f"{name}_least"] >= least
    for counts, what in (("hits", "kind of fault"), ("arrows", "drawn transition")):
        rare = sorted(kind for kind, count in sums[counts].items() if count < HITS_LEAST)
        yield f"each {what} {HITS_LEAST} times ({', '.join(rare) or 'all'})", not rare
    yield f"{SPEED_LEAST} times real time", values["times_real_time"] >= SPEED_LEAST


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--seeds", metavar="A-B")
    parser.add_argument("--minutes", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--notes", metavar="FILE", type=pathlib.Path)
    options = parser.parse_args()
    options.seeds = options.seeds or (SMOKE if options.smoke else FULL)
    options.twice = 12 if options.smoke else 100
    sums = run(options)
    values = {}
    for name, value, unit in figures(sums):
        values[name] = value
        print(f"{name:26} {value:>16,}", file=sys.stderr)
        emit(name, value, "all", unit)
    for counts, metric in (("hits", "hits"), ("arrows", "transitions")):
        for kind, count in sums[counts].items():
            print(f"  {kind:32} {count:>8,}", file=sys.stderr)
            emit(metric, count, kind, "1")
    good = sums["failed"] == 0
    for text, met in limits(values, sums):
        print(f"limit: {text}: {'met' if met else 'MISSED'}", file=sys.stderr)
        good = good and (met or options.smoke)
    emit("ok", good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
