# SPDX-License-Identifier: GPL-3.0-or-later
"""Client libraries of Binance and Upbit against a replayed store, unchanged but for the URL:
cryptofeed, python-binance, ccxt. Each runs in a process of its own (they patch the event loop) and
prints what it got as JSON lines; that must be what is stored. By `tools/dev clients-test`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import replay_world as world  # noqa: E402
import support  # noqa: E402

CLIENTS = ROOT / "tests" / "clients" / "client.py"
PYTHON = os.environ["RINGTAPE_CLIENTS_PYTHON"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return support.make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def store(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("store")
    made = world.made_up(folder, certificates, "--rate=2000", "--messages=16000")
    support.ringtape("seal", "--store", made)
    return made


def stored(store, channel, symbol):
    return [row for row in map(json.loads, world.rows(store, channel)) if row["symbol"] == symbol]


def run(replay, certificates, library, wanted):
    """What the library printed, a line a message."""
    environment = {
        **os.environ,
        "SSL_CERT_FILE": f"{certificates}/ca.pem",
        "REQUESTS_CA_BUNDLE": f"{certificates}/ca.pem",
        "PORTS": json.dumps(replay.ports),
    }
    command = [PYTHON, str(CLIENTS), library, str(wanted)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("library", ["cryptofeed", "python-binance", "ccxt"])
def test_a_library_is_content_with_binance(store, certificates, library):
    channel = "agg_trade" if library == "cryptofeed" else "trade"
    rows = {row["id"]: row for row in stored(store, channel, "binance:BTCUSDT")}
    wanted = len(rows) * 2 // 3
    with world.Replay(store, "--speed", "1", "--hold", certificates=certificates) as replay:
        got = run(replay, certificates, library, wanted)
    trades = [line for line in got if line["kind"] == "trade"]
    assert len(trades) >= wanted
    for trade in trades:
        row = rows[int(trade["id"])]
        assert float(row["price"]) == float(trade["price"]), trade
        assert float(row["quantity"]) == float(trade["quantity"]), trade
        assert row["side"] == trade["side"], trade
    books = [line for line in got if line["kind"] == "book"]
    assert len(books) > 10
    assert all(float(book["bid"]) < float(book["ask"]) for book in books)


def test_ccxt_is_content_with_upbit(store, certificates):
    rows = {row["id"]: row for row in stored(store, "trade", "upbit:KRW-BTC")}
    wanted = len(rows) // 2
    with world.Replay(store, "--speed", "1", "--hold", certificates=certificates) as replay:
        got = run(replay, certificates, "ccxt-upbit", wanted)
    assert len(got) >= wanted
    for trade in got:
        row = rows[int(trade["id"])]
        assert float(row["price"]) == float(trade["price"]), trade
        assert float(row["quantity"]) == float(trade["quantity"]), trade
        assert row["side"] == trade["side"], trade
