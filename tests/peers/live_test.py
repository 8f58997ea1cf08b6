# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbox beside a running daemon: what is durable is listed, read and verified while more is
being written; and 'ringtape seal' with a daemon and without one."""

import json
import subprocess

import pytest

import support
from cli_test import make, run

CAPTURE = support.REAL_DATA / "captures" / "hftbacktest_spot_btcusdt_20240808.gz"


@pytest.mark.skipif(not CAPTURE.exists(), reason="no recordings; set RINGTAPE_REAL_DATA")
def test_a_store_is_read_while_it_is_written(tmp_path, certificates):
    """Small tapes, sealed all the time: rows move from tapes to segments meanwhile."""
    store = tmp_path / "store"
    top = {"commit_interval": "1ms", "seal_after": {"size": "1MiB", "time": "1s"}}
    with support.Simulator(
        f"--capture=binance:{CAPTURE}", "--rate=20000", "--begin-streams=2",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade", "quote"], ["BTCUSDT"])
        with support.Ringtaped(tmp_path / "config.yaml", store, [feed], top=top) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 1000, 60, "durable rows")
            seen = [read_once(store, daemon) for _ in range(5)]
            simulator.event("ended", 120)
            daemon.settle(1000)
            last = read_once(store, daemon)
            assert daemon.terminate() == 0, daemon.errors
    assert seen == sorted(seen) and seen[-1] <= last
    ids = [row["id"] for row in trades(store)]
    assert len(ids) == len(set(ids)) == last


def trades(store):
    lines = support.ringtape("cat", "--store", store, "--channel", "trade", "--json").splitlines()
    return [json.loads(line) for line in lines]


def read_once(store, daemon):
    """Trades found now: each once, none of those before them missing; the store is whole."""
    durable = daemon.counters()["durable"]
    rows = trades(store)
    ids = sorted(row["id"] for row in rows)
    assert ids == list(range(ids[0], ids[0] + len(ids))), "consecutive, without a repetition"
    assert json.loads(support.ringtape("verify", "--store", store, "--json"))["whole"]
    listing = json.loads(support.ringtape("ls", "--store", store, "--json"))
    total = sum(entry["rows"] for entry in listing["segments"] + listing["tapes"])
    assert total >= durable, "whatever was durable before is there"
    return len(ids)


def test_seal_without_a_daemon(tmp_path):
    store = make(tmp_path / "store")
    done = run("seal", "--store", store)
    assert done.returncode == 0, done.stderr
    listing = json.loads(run("ls", "--store", store, "--json").stdout)
    assert listing["tapes"] == []
    assert sum(entry["rows"] for entry in listing["segments"]) == 54501
    assert run("verify", "--store", store).returncode == 0
    assert run("seal", "--store", store).returncode == 0, "nothing to do is good"


def test_seal_beside_a_daemon_that_does_not_listen(tmp_path):
    """It must not be killed by a signal it does not know."""
    store = make(tmp_path / "store")
    holder = subprocess.Popen(
        ["flock", store / "lock", "bash", "-c", "echo locked; read -r line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"locked\n"
    done = run("seal", "--store", store)
    holder.communicate(b"\n")
    assert holder.returncode in (0, 1)
    assert done.returncode == 74
    assert b"a daemon runs" in done.stderr and b"stop it and seal then" in done.stderr
