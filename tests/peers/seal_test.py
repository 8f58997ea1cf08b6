# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealing and merging change where rows are kept and nothing else: every channel's rows, columns
and provenance are the same before and after, symbol by symbol in the order of arrival."""

import subprocess

import support

CHANNELS = ["trade", "quote", "depth", "ticker", "book", "status", "instrument", "raw"]


def rows(store, channel):
    """Lines of CSV by symbol, in the order of cat."""
    command = [support.program("ringtape"), "cat", "--store", store, "--channel", channel]
    text = subprocess.run(command + ["--no-header"], capture_output=True, check=True).stdout
    by_symbol = {}
    for line in text.splitlines():
        by_symbol.setdefault(line.split(b",", 1)[0], []).append(line)
    return by_symbol


def test_sealing_changes_no_row(tmp_path, certificates):
    store = tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:30", "--symbols=upbit:40", "--rate=3000", "--no-limits",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance", ["trade", "quote", "depth", "ticker"], "all"),
            support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all", keep_raw=True),
        ]
        for end in ("killed", "ended", "killed"):
            top = {"shards": 2, "seal_after": {"size": "32MiB", "time": "1h"}}
            with support.Ringtaped(tmp_path / "c.yaml", store, feeds, top=top) as daemon:
                daemon.wait_counters(lambda c: c["durable"] > 5000)
                daemon.kill() if end == "killed" else daemon.terminate()
    before = {channel: rows(store, channel) for channel in CHANNELS}
    assert all(before[channel] for channel in CHANNELS)
    support.ringtape("seal", "--store", store)
    support.ringtape("verify", "--store", store)
    assert not list((store / "tape").glob("*.tape"))
    for channel in CHANNELS:
        assert rows(store, channel) == before[channel], channel
