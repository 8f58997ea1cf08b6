# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the daemon, with its default rules, find every surge, crash, burst and wide spread of a
market, once, and nothing else? And when?

    tools/dev bench alerts [--smoke] [--seeds N]

exchange-sim makes markets, calm but for events at known times (docs/exchange-sim.md, --inject):
for each seed one of each kind and size, of every kind those above the threshold, which have to be
found, and those below, which must not; and one market with none. The daemon records them as fast as
it can; its alerts are compared with the truth file.

recall: of the events that have to be found, those found. precision: of the alerts, those that
belong to an event and are its first. delay_ms: from the event's beginning to the alert, in the
market's time: a surge of 5 % within 5 s reaches 4 % after 4 s. delay_trades: trades between the
first one that is away from the window's extreme by the threshold, computed here, and the one the
alert names. twice, false, missed: counts."""

import argparse
import functools
import pathlib
import random
import shutil
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import injected  # noqa: E402
from alerts_injected_test import first_crossing  # noqa: E402
from candles_test import nanoseconds  # noqa: E402
from lib import contract  # noqa: E402

emit = functools.partial(contract.emit, "alerts")

RATE, SYMBOLS = 900, 6
NAMES = ["BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT", "DOGEUSDT"]  # one that is left alone, too
# Kind: [(size, seconds, has to be found)]. The market moves a little by itself, and a burst's sizes
# are random: nothing is asked of what lies within a tenth of a threshold.
EVENTS = {
    "surge": [("4.5%", 5, True), ("6%", 20, True), ("8%", 0, True), ("15%", 40, True),
              ("60%", 10, True), ("3%", 5, False), ("1%", 1, False)],
    "crash": [("4.5%", 5, True), ("6%", 20, True), ("8%", 0, True), ("15%", 40, True),
              ("50%", 10, True), ("3%", 5, False), ("1%", 1, False)],
    "burst": [("100x", 10, True), ("300x", 10, True), ("1000x", 8, True), ("10x", 10, False),
              ("25x", 10, False)],
    "spread": [("2.5%", 5, True), ("4%", 10, True), ("20%", 3, True), ("1%", 20, False),
               ("5%", 1, False)],
}  # fmt: skip
FIRST_S, EVERY_S = 90, 420  # beyond the cool-down
BURST_NAMES = 2  # the busiest: a burst is at least 200 trades in its window


def schedule(seed, events):
    """Texts for --inject, the kinds mixed over symbols by seed, and whether each has to be found.
    Every symbol has one event each EVERY_S."""
    todo = [(kind, *event) for kind in events for event in events[kind]]
    random.Random(seed).shuffle(todo)
    bursts = [event for event in todo if event[0] == "burst"]
    others = [event for event in todo if event[0] != "burst"]
    free = {name: 0 for name in NAMES}
    texts, wanted, last = [], {}, 10 * 60
    for kind, size, over, found in bursts + others:
        names = NAMES[:BURST_NAMES] if kind == "burst" else NAMES
        name = min(names, key=lambda n: free[n])
        at = FIRST_S + free[name] * EVERY_S + NAMES.index(name) * 7 + seed % 10
        free[name] += 1
        texts.append(injected.inject(kind, name, at, size, over))
        wanted[kind, name, at] = found
        last = max(last, at)
    return texts, wanted, last + 120


def run(seed, events):
    """Results of one seed: (kind, has to be found, its alerts, delay ns, delay in trades), and the
    alerts that belong to nothing."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alerts-", dir=ROOT / "zig-out"))
    try:
        texts, wanted, seconds = schedule(seed, events)
        market = injected.make(folder, seed, SYMBOLS, RATE, seconds, texts)
        alerts = injected.record(market, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pairs, false = injected.match(alerts, market.injected)
    results = []
    for what, found in pairs:
        at = (what["at_ns"] - injected.BEGIN) // injected.SECOND
        must = wanted[what["inject"], what["symbol"], at]
        if must != (len(found) == 1):
            print(f"seed {seed}: {what}: {found}", file=sys.stderr)
        delay = trades = None
        if found:
            delay = nanoseconds(found[0]["to_time"]) - what["begin_ns"]
        if found and what["inject"] in ("surge", "crash"):
            trades = later(market.trades[what["symbol"]], found[0])
        results.append((what["inject"], must, len(found), delay, trades))
    return results, len(false)


def later(trades, alert):
    """Trades between the one that crossed the threshold and the one that the alert names."""
    numbers = [number for _, number, _ in trades]
    first = first_crossing(trades, alert)
    return numbers.index(int(alert["last_id"])) - numbers.index(first)


def report(kind, results):
    must = [r for r in results if r[1]]
    found = sum(r[2] > 0 for r in must)
    alerts = sum(r[2] for r in results)
    emit("events_to_find", len(must), kind, "events")
    emit("recall", round(found / len(must), 6), kind, "ratio")
    emit("precision", round(found / alerts, 6) if alerts else 1.0, kind, "ratio")
    emit("missed", len(must) - found, kind, "events")
    emit("below_threshold_alerted", sum(r[2] > 0 for r in results if not r[1]), kind, "events")
    emit("twice", sum(max(r[2] - 1, 0) for r in results), kind, "alerts")
    delays = [r[3] / 1e6 for r in must if r[3] is not None]
    if delays:
        emit("delay_ms_p50", round(statistics.median(delays), 1), kind, "ms")
        emit("delay_ms_max", round(max(delays), 1), kind, "ms")
    trades = [r[4] for r in must if r[4] is not None]
    if trades:
        emit("delay_trades_max", max(trades), kind, "trades")
    good = found == len(must) and alerts == found
    return good and all(r[4] in (0, None) for r in results)


def smoke_events():
    """Of every kind the first and the last."""
    return {kind: [events[0], events[-1]] for kind, events in EVENTS.items()}


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench alerts")
    parser.add_argument("--smoke", action="store_true", help="one seed, few events")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    (ROOT / "zig-out").mkdir(exist_ok=True)
    seeds = 1 if options.smoke else options.seeds
    events = smoke_events() if options.smoke else EVENTS
    results, false, calm = [], 0, 0
    for seed in range(1, seeds + 1):
        more, wrong = run(seed, events)
        results += more
        false += wrong
        calm += run(1000 + seed, {})[1]
        print(f"seed {seed}: {len(more)} events, {wrong} false", file=sys.stderr, flush=True)
    good = all([report(kind, [r for r in results if r[0] == kind]) for kind in EVENTS])
    emit("false_alerts", false, "beside_events", "alerts")
    emit("false_alerts", calm, "calm_markets", "alerts")
    good = good and false == calm == 0
    print(
        f"limit: every event found once, by the trade that crosses, and no other alert: "
        f"{'met' if good else 'MISSED'}",
        file=sys.stderr,
    )  # fmt: skip
    emit("ok", good)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
