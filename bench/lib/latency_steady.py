# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools/dev bench latency --steady MINUTES`: does anything grow while ringtaped runs on?

exchange-sim and ringtaped alone, as in latency_load.py, at one rate for as long as is told. Each
minute by itself: wire -> decoded, wire -> durable (bounds from above, as there), resident memory.
Growth is the median of the last third of the minutes by that of the first."""

import functools
import shutil
import statistics
import tempfile
import time

import latency_page
import support
from capture import compare, stored_ids
from latency_load import bound, cuts, simulator
from mirror import ROOT

import pathlib

MINUTE_S = 60
SHARES = {"p50": 0.5, "p99": 0.99}


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def wire_by_minute(parquet, minutes, minute_s, warm_s):
    """[{share: ns}] of receive_time - event_time, by the minute that the trade was due in."""
    import duckdb

    folder = f"{parquet}/exchange=binance/channel=trade/**/*.parquet"
    shares = sorted({cut for share in SHARES.values() for cut in cuts(share)})
    found = duckdb.sql(
        "WITH t AS (SELECT receive_time_ns - event_time_ns AS late, event_time_ns AS due"
        f" FROM read_parquet('{folder}', hive_partitioning=false)),"
        f" m AS (SELECT late, (due - (SELECT min(due) FROM t) - {warm_s * 10**9})"
        f" // {minute_s * 10**9} AS minute, due FROM t"
        f" WHERE due >= (SELECT min(due) FROM t) + {warm_s * 10**9})"
        f" SELECT quantile_disc(late, {shares}) FROM m WHERE minute < {minutes}"
        " GROUP BY minute ORDER BY minute"
    ).fetchall()
    return [dict(zip(shares, row[0])) for row in found]


def watch(daemon, store, minutes, minute_s):
    """Pages and memory at each minute's end, the first page before them."""
    pages, resident = [latency_page.histograms(store)], []
    begin = time.monotonic()
    for number in range(minutes):
        time.sleep(max(0, begin + (number + 1) * minute_s - time.monotonic()))
        pages.append(latency_page.histograms(store))
        resident.append(resident_mb(daemon.child.pid))
    return pages, resident


def figures(wire, early, late):
    found = {}
    decode, commit = (functools.partial(latency_page.quantile_ns, early[n], late[n])
                      for n in latency_page.NAMES)  # fmt: skip
    for name, share in SHARES.items():
        found[f"decoded_{name}_us"] = bound(share, wire, decode) / 1e3
        found[f"durable_{name}_ms"] = bound(share, wire, decode, commit) / 1e6
    return found


def steady(rate, minutes, certificates, minute_s=MINUTE_S):
    """[{metric: value}] of each minute, and whether nothing is missing."""
    warm_s = minute_s // 4 + 1
    seconds = warm_s + minutes * minute_s + 5
    folder = pathlib.Path(tempfile.mkdtemp(prefix="latency-", dir=ROOT / "zig-out"))
    store = folder / "store"
    try:
        with simulator(rate, {"seconds": seconds}, certificates) as sim:
            feed = support.feed(sim, "binance", ["trade"], "all")
            with support.Ringtaped(folder / "config.yaml", store, [feed], "1s") as daemon:
                sim.event("begun", 60)
                time.sleep(warm_s)
                pages, resident = watch(daemon, store, minutes, minute_s)
                ended = sim.event("ended", seconds + 60)
                daemon.settle(ended["sent"], 120)
                assert daemon.terminate() == 0, daemon.errors
        support.export(store, folder / "parquet")
        lost = compare(ended, stored_ids(folder / "parquet"))
        wire = wire_by_minute(folder / "parquet", minutes, minute_s, warm_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = [
        figures(wire[n], pages[n], pages[n + 1]) | {"resident_mb": resident[n]}
        for n in range(minutes)
    ]
    return found, lost == (0, 0)


def growth(found):
    """{metric: last third by first third} of their medians."""
    third = max(1, len(found) // 3)
    return {
        metric: statistics.median(each[metric] for each in found[-third:])
        / statistics.median(each[metric] for each in found[:third])
        for metric in found[0]
    }
