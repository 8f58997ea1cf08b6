# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts: the recordings of real markets raise none with the default rules; what the daemon raised,
`ringtape alerts --replay` raises again, whatever it was."""

import pytest
import support
from candles_test import DATA, real, record, rows

# Thresholds so low that ordinary trading crosses them.
NERVOUS = [
    {"kind": "surge", "window": "10s", "threshold": "0.01%", "scaled": "0x", "cooldown": "5s"},
    {"kind": "crash", "window": "10s", "threshold": "0.02%", "scaled": "1x", "cooldown": "5s"},
    {"kind": "volume_burst", "window": "2s", "threshold": "2x", "trades": 5, "cooldown": "1s"},
    {"kind": "spread", "window": "1s", "threshold": "0.0001%", "scaled": "1x"},
]  # fmt: skip


def content(row):
    return {key: value for key, value in row.items() if key not in ("receive_time", "link")}


def by_id(text):
    found = {row["id"]: content(row) for row in rows(text)}
    assert len(found) == len(rows(text)), "no alert twice"
    return found


def both(store, *rules):
    kept = by_id(support.ringtape("cat", "--store", store, "--channel", "alert"))
    again = by_id(support.ringtape("alerts", "--replay", "--store", store, *rules))
    assert again == kept
    return list(kept.values())


@real
@pytest.mark.parametrize("name, exchange, channels, symbols", [
    ("hftbacktest_spot_btcusdt_20240808.gz", "binance", ["trade", "quote"], ["BTCUSDT"]),
    ("hftbacktest_spot_btcusdt_20240809.gz", "binance", ["trade", "quote"], ["BTCUSDT"]),
    ("hftbacktest_spot_ethusdt_20240808.gz", "binance", ["trade", "quote"], ["ETHUSDT"]),
    ("hftbacktest_usdm_btcusdt_20240808.gz", "binance-usdm", ["trade", "quote"], ["BTCUSDT"]),
    ("hbtplayground_spot_nexousdt_20240724.dat.gz", "binance", ["trade"], ["NEXOUSDT"]),
    ("hbtplayground_spot_nexousdt_20240725.dat.gz", "binance", ["trade"], ["NEXOUSDT"]),
    ("polysim_spot_aggTrade.jsonl.gz", "binance", ["agg_trade"], ["BTCUSDT"]),
])  # fmt: skip
def test_no_false_alert_on_recordings(name, exchange, channels, symbols, tmp_path):
    store, counters = record(DATA / "captures" / name, exchange, channels, symbols, tmp_path)
    assert both(store) == [] and counters["alerts"] == 0


def as_text(rule):
    more = {key: value for key, value in rule.items() if key != "kind"}
    return " ".join([rule["kind"], *(f"{key}={value}" for key, value in more.items())])


@real
@pytest.mark.parametrize("sealed", [False, True])
def test_a_replay_raises_the_same(sealed, tmp_path):
    """Rules that ordinary trading breaks all the time."""
    store, counters = record(
        DATA / "captures" / "hftbacktest_spot_btcusdt_20240808.gz", "binance",
        ["trade", "quote"], ["BTCUSDT"], tmp_path, top={"alerts": NERVOUS},
    )  # fmt: skip
    if sealed:
        support.ringtape("seal", "--store", store)
    options = [part for rule in NERVOUS for part in ("--rule", as_text(rule))]
    found = both(store, *options)
    assert len(found) == counters["alerts"] > 20
    assert {row["kind"] for row in found} >= {"surge", "crash", "volume_burst"}
