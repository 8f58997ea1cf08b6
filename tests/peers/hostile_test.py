# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile peers and stores: ringtaped does not crash, says what is wrong, loses no stored event,
and records again as soon as it can."""

import json
import os
import pathlib
import subprocess
import time

import duckdb
import pytest
import scripted
import support
from scripted import frame, trade

FEED = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT", "ETHUSDT"]}


def daemon_for(exchange, folder, **options):
    feed = support.feed(exchange, FEED["exchange"], FEED["channels"], FEED["symbols"])
    return support.Ringtaped(folder / "config.yaml", folder / "store", [feed], **options)


def rows_of(folder, channel, columns="*"):
    """Sealed rows of a channel, by DuckDB."""
    support.export(folder / "store", folder / "parquet")
    files = list(
        (folder / "parquet" / "exchange=binance" / f"channel={channel}").rglob("*.parquet")
    )
    if not files:
        return []
    names = [str(f) for f in files]
    return duckdb.sql(
        f"SELECT {columns} FROM read_parquet({names!r}, hive_partitioning=false) ORDER BY ALL"
    ).fetchall()


def ids(folder):
    return [row[0] for row in rows_of(folder, "trade", "id")]


def said(daemon, *words):
    """True where a line of the log has all words."""
    return any(all(word in line for word in words) for line in daemon.errors)


@pytest.mark.parametrize("leaf", ["other", "expired", "future", "selfsigned", "untrusted"])
def test_wrong_certificates(leaf, tmp_path, certificates):
    words = {"other": "another host", "expired": "dates", "future": "dates"}
    word = words.get(leaf, "issuer")
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates, leaf=leaf
    ) as simulator, daemon_for(simulator, tmp_path) as daemon:
        support.wait_for(lambda: said(daemon, word), 20, lambda: f"{word!r} in {daemon.errors}")
        assert daemon.alive()
        assert daemon.terminate() == 0
        assert simulator.terminate() == 0
        assert simulator.event("ended")["sent"] == 0, "no subscription reached the impostor"


def test_a_certificate_with_an_intermediate_is_good(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates, leaf="intermediate"
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed]) as daemon:
            daemon.wait_counters(lambda c: c["events"] > 10)
            assert daemon.terminate() == 0


HTTP_ERRORS = [
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"y" * 70000,
    b"\x00\x01\x02 no HTTP at all\r\n\r\n",
    b"",
]


@pytest.mark.parametrize("answer", HTTP_ERRORS, ids=range(len(HTTP_ERRORS)))
def test_no_upgrade(answer, tmp_path, certificates):
    def good(connection):
        connection.trades(1, 50)
        connection.wait_end()

    with scripted.ScriptedExchange(certificates, [answer, good]) as exchange:
        with daemon_for(exchange, tmp_path) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 50, 30, "trades after the refusal")
            assert daemon.terminate() == 0
        assert exchange.failures.empty(), exchange.failures.get()
    assert ids(tmp_path) == list(range(1, 51))


VIOLATIONS = {
    "oversized frame": lambda c: c.send(frame(b"", length=1 << 40)),
    "length above 2^63": lambda c: c.send(frame(b"", length=1 << 63)),
    "oversized fragments": lambda c: [
        c.send(frame(b"x" * (1 << 20), 1 if i == 0 else 0, final=False)) for i in range(64)
    ],
    "bad UTF-8": lambda c: c.send(frame(b'{"e":"\xc3\x28"}')),
    "masked": lambda c: c.send(frame(trade(999), mask=b"abcd")),
    "reserved bits": lambda c: c.send(frame(trade(999), reserved=4)),
    "unknown opcode": lambda c: c.send(frame(b"", opcode=5)),
    "fragmented ping": lambda c: c.send(frame(b"x", opcode=9, final=False)),
    "large ping": lambda c: c.send(frame(b"x" * 126, opcode=9)),
    "continuation of nothing": lambda c: c.send(frame(b"x", opcode=0)),
    "message inside a message": lambda c: c.send(
        frame(b"x", final=False), frame(trade(999))
    ),
    "close code 1005": lambda c: c.send(frame(b"\x03\xed", opcode=8)),
    "close of one byte": lambda c: c.send(frame(b"\x03", opcode=8)),
    "sudden end": lambda c: c.stream.close(),
    "half a frame": lambda c: (c.send(frame(trade(999))[:50]), c.stream.close()),
}  # fmt: skip


@pytest.mark.parametrize("breach", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_broken_protocol(breach, tmp_path, certificates):
    """A rule is broken after some good trades: these are kept, and so is what comes after the
    daemon has connected again."""

    def broken(connection):
        connection.trades(1, 10)
        breach(connection)
        connection.wait_end()

    def good(connection):
        connection.trades(11, 20)
        connection.wait_end()

    with scripted.ScriptedExchange(certificates, [broken, good]) as exchange:
        with daemon_for(exchange, tmp_path) as daemon:
            daemon.settle(20)
            assert daemon.counters()["rss_bytes"] < 256 << 20
            assert daemon.terminate() == 0
        assert exchange.failures.empty(), exchange.failures.get()
    assert ids(tmp_path) == list(range(1, 21))


NONSENSE = [
    ("not_json", "{"),
    ("not_json", '{"stream":"btcusdt@trade","data":{"e":"trade",}}'),
    ("not_json", "[" * 500),
    ("number_refused", trade(11, price="1e400")),
    ("number_refused", trade(12, quantity="1" * 40)),
    ("number_refused", trade(13, price="0." + "1" * 40)),
    ("unknown_symbol", trade(14, symbol="NOSUCHUSDT")),
    ("unknown_type", '{"stream":"btcusdt@gossip","data":{"e":"gossip","s":"BTCUSDT"}}'),
    ("missing_key", '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":15}}'),
    ("wrong_type", trade(16, price=5)),
]  # fmt: skip


def test_nonsense_goes_to_raw_and_nothing_else_suffers(tmp_path, certificates):
    def script(connection):
        connection.trades(1, 10)
        connection.send(*(frame(text) for _, text in NONSENSE))
        connection.send(frame(trade(17, extra_key="new")))
        connection.trades(21, 30)
        connection.wait_end()

    with scripted.ScriptedExchange(certificates, [script]) as exchange:
        with daemon_for(exchange, tmp_path) as daemon:
            daemon.settle(21 + len(NONSENSE))
            assert daemon.terminate() == 0
        assert exchange.failures.empty(), exchange.failures.get()
        assert exchange.upgrades == 1, "nonsense is no reason to hang up"
    assert ids(tmp_path) == [*range(1, 11), 17, *range(21, 31)]
    raw = support.ringtape("cat", "--store", tmp_path / "store", "--channel", "raw", "--json")
    rows = [json.loads(line) for line in raw.splitlines()]
    wanted = sorted([reason for reason, _ in NONSENSE] + ["unknown_key"])
    assert sorted(row["reason"] for row in rows) == wanted


# ---- the store ----


def test_a_store_in_use_is_refused(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "a.yaml", tmp_path / "store", [feed]) as first:
            first.wait_counters(lambda c: c["events"] > 0)
            with support.Ringtaped(tmp_path / "b.yaml", tmp_path / "store", [feed]) as second:
                assert second.finish(20) == 73
                assert said(second, "store")
            assert first.alive()
            assert first.terminate() == 0
    support.ringtape("verify", "--store", tmp_path / "store")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_store_is_refused(small_disk, tmp_path, certificates):
    (small_disk / "store").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "c.yaml", small_disk / "store", [feed]) as daemon:
            assert daemon.finish(20) == 73
            assert said(daemon, "store")


def test_a_full_disk_loses_nothing_that_was_stored(small_disk, tmp_path, certificates):
    """The disk fills while recording: the daemon lives on, counts what it refuses, and what it
    called durable is there afterwards; with room again, it records again."""
    filler = small_disk / "filler"
    with support.Simulator(
        "--symbols=binance:20", "--rate=20000", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade", "quote"], "all")
        top = {"seal_after": {"size": "8MiB", "time": "1h"}}
        with support.Ringtaped(
            tmp_path / "c.yaml", small_disk / "store", [feed], top=top
        ) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 20000)
            with open(filler, "wb") as file:
                try:
                    while True:
                        file.write(b"\0" * 65536)
                        file.flush()
                except OSError:
                    pass
            full = daemon.wait_counters(lambda c: c["refused"] > 0, 60, "refused rows")
            assert daemon.alive()
            filler.unlink()
            again = daemon.wait_counters(
                lambda c: c["durable"] > full["durable"] + 20000, 60, "recording again"
            )
            assert daemon.terminate() == 0
            end = daemon.counters()
    store = small_disk / "store"
    support.ringtape("verify", "--store", store)
    stored = {
        channel: support.ringtape(
            "cat", "--store", store, "--channel", channel, "--json"
        ).splitlines()
        for channel in ("trade", "quote", "candle", "alert", "instrument", "status", "raw")
    }
    assert sum(map(len, stored.values())) == end["durable"] >= again["durable"]
    lost = [
        row for row in map(json.loads, stored["status"])
        if row["kind"] == "hole_lost" and "store" in row["detail"]
    ]  # fmt: skip
    assert sum(row["count"] for row in lost) == end["refused"] > 0
    assert all(row["from_time"] <= row["to_time"] for row in lost)


def test_a_killed_daemon_keeps_what_was_durable(tmp_path, certificates):
    # The whole market: what was missed while nobody listened is fetched by REST.
    with support.Simulator(
        "--symbols=binance:20", "--rate=20000", f"--truth={tmp_path / 'truth'}", "--whole-market",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        durable = 0
        for round_number in range(3):
            with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed]) as daemon:
                daemon.wait_counters(lambda c: c["durable"] > 5000)
                time.sleep(0.05 * round_number)
                durable += daemon.counters()["durable"]
                daemon.kill()
        assert simulator.terminate() == 0
    support.ringtape("seal", "--store", tmp_path / "store")
    support.ringtape("verify", "--store", tmp_path / "store")
    trades = rows_of(tmp_path, "trade", "symbol, id")
    assert len(set(trades)) == len(trades)
    messages = [json.loads(line[3]) for line in support.read_truth(tmp_path / "truth")]
    sent = {(m["s"], m["t"]) for m in messages if m.get("e") == "trade"}
    assert set(trades) <= sent
    status = 3 * 60  # rows of other channels: status and instruments
    assert len(trades) >= durable - status


def test_wrong_command_lines_and_configurations(tmp_path):
    ringtaped = support.program("ringtaped")

    def run(*arguments):
        return subprocess.run([ringtaped, *map(str, arguments)], capture_output=True, text=True)

    assert run("--nonsense").returncode == 64
    path = pathlib.Path(tmp_path / "c.yaml")
    path.write_text("store: /tmp/x\nfeeds:\n  - exchange: nowhere\n")
    done = run("--config", path, "--check")
    assert done.returncode == 78 and "c.yaml:3" in done.stderr and "nowhere" in done.stderr
