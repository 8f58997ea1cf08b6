# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up markets with surges, crashes, bursts and wide spreads at known times, recorded by the
daemon, and its alerts compared with what was injected. exchange-sim writes the whole market at once
(--offline); it is then played as a recording, so that minutes of market take seconds."""

import dataclasses
import json
import subprocess

import support
from candles_test import nanoseconds, rows

EXCHANGE = "binance-usdm"  # its quotes have a time of their own
CHANNELS = {"trade": "trade", "quote": "bookTicker"}
ALERTS = {"surge": "surge", "crash": "crash", "burst": "volume_burst", "spread": "spread"}
SECOND = 10**9
BEGIN = 1735689600 * SECOND  # of a market made offline


@dataclasses.dataclass
class Market:
    truth: object
    capture: object
    injected: list  # as the truth tells them
    trades: dict  # symbol: [(time ns, id, price as text)]
    symbols: list


def inject(kind, symbol, at, size, over):
    return f"kind={kind},symbol={EXCHANGE}:{symbol},at={at}s,size={size},over={over}s"


def make(folder, seed, symbols, rate, seconds, injects, calm=True):
    """The market as a recording. The truth has each event in order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, capture = folder / "truth", folder / "capture"
    channels = ",".join(CHANNELS.values())
    command = [
        support.program("exchange-sim"), "--offline", f"--symbols={EXCHANGE}:{symbols}",
        f"--seed={seed}", f"--rate={rate}", f"--seconds={seconds}", f"--truth={truth}",
        f"--channels={channels}", *(["--calm"] if calm else []),
        *(f"--inject={text}" for text in injects),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    market = Market(truth, capture, [], {}, [])
    with open(capture, "w", encoding="utf-8") as out:
        for due, _, stream, payload in support.read_truth(truth):
            if stream.endswith("@inject"):
                market.injected.append(json.loads(payload))
                continue
            out.write(f'{due} {{"stream":"{stream}","data":{payload}}}\n')
            if stream.endswith("@trade"):
                event = json.loads(payload)
                if event["X"] == "MARKET":
                    told = (event["T"] * 10**6, event["t"], event["p"])
                    market.trades.setdefault(event["s"], []).append(told)
    market.symbols = sorted(market.trades)
    return market


def record(market, folder, top=None):
    """The alerts that the daemon stored, as rows; a replay has to give the same."""
    streams = len(market.symbols) * len(CHANNELS)
    with support.Simulator(
        f"--capture={EXCHANGE}:{market.capture}", "--rate=150000", f"--begin-streams={streams}"
    ) as simulator:
        feed = support.feed(simulator, EXCHANGE, list(CHANNELS), market.symbols)
        store = folder / "store"
        with support.Ringtaped(folder / "config.yaml", store, [feed], top=top) as daemon:
            sent = simulator.event("ended", 300)["sent"]
            refused = daemon.settle(sent, 300)["refused"]
            assert refused == 0
            assert daemon.terminate() == 0, daemon.errors
    kept = rows(support.ringtape("cat", "--store", store, "--channel", "alert"))
    again = rows(support.ringtape("alerts", "--replay", "--store", store))
    assert sorted(r["id"] for r in kept) == sorted(r["id"] for r in again)
    return kept


def belongs(alert, injected):
    """Is the alert about that? A burst or a move may be told until it has left its window."""
    at = nanoseconds(alert["to_time"])
    window = 60 * SECOND if injected["inject"] in ("surge", "crash") else 10 * SECOND
    return (
        alert["symbol"] == f"{EXCHANGE}:{injected['symbol']}"
        and alert["kind"] == ALERTS[injected["inject"]]
        and injected["begin_ns"] // 10**6 * 10**6 <= at <= injected["end_ns"] + window
    )


def match(alerts, injected):
    """[(injected, its alerts)], and the alerts that belong to nothing."""
    pairs = [(what, [a for a in alerts if belongs(a, what)]) for what in injected]
    claimed = {a["id"] for _, found in pairs for a in found}
    return pairs, [a for a in alerts if a["id"] not in claimed]
