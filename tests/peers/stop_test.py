# SPDX-License-Identifier: GPL-3.0-or-later
"""A stop is polite, in time and loses nothing: streams are taken back within the exchange's limits
before the connection is closed."""

import json
import queue
import time

import pytest
import scripted
import support

STOP_SECONDS = 3


def stop_seconds(daemon):
    begun = time.monotonic()
    assert daemon.terminate() == 0, daemon.errors
    return time.monotonic() - begun


def test_every_stream_is_taken_back_within_the_limits(tmp_path, certificates):
    """Two links, one of them full. exchange-sim ends a connection with a sixth message a second."""
    with support.Simulator(
        "--symbols=binance:600", "--rate=5000", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade", "quote"], "all")
        config, store = tmp_path / "c.yaml", tmp_path / "store"
        with support.Ringtaped(config, store, [feed]) as daemon:
            daemon.wait_counters(lambda c: c["links_live"] == 2)
            assert stop_seconds(daemon) < STOP_SECONDS
        assert simulator.terminate() == 0
        ended = simulator.event("ended")
    assert ended["unsubscribed"] == 1200
    assert ended["limit_closes"] == 0 and ended["failed"] == 0
    support.ringtape("verify", "--store", store)


def test_upbit_is_just_closed(tmp_path, certificates):
    """It has no such request."""
    with support.Simulator(
        "--symbols=upbit:20", "--rate=2000", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "upbit", ["trade"], "all")
        config, store = tmp_path / "c.yaml", tmp_path / "store"
        with support.Ringtaped(config, store, [feed]) as daemon:
            daemon.wait_counters(lambda c: c["links_live"] == 1 and c["durable"] > 100)
            assert stop_seconds(daemon) < STOP_SECONDS
        assert simulator.terminate() == 0
        ended = simulator.event("ended")
    assert ended["limit_closes"] == 0 and ended["failed"] == 0


@pytest.mark.parametrize("answers", [True, False])
def test_unsubscribe_then_close_and_what_comes_between_is_kept(answers, tmp_path, certificates):
    """Seen frame by frame. A peer that answers nothing does not hold up the stop."""
    seen = queue.Queue()

    def script(connection):
        connection.trades(1, 50)
        opcode, payload = connection.read_frame()
        seen.put((opcode, payload))
        if answers:
            request = json.loads(payload)
            # On their way before the exchange read the request.
            connection.trades(51, 60)
            connection.send(scripted.frame(json.dumps({"result": None, "id": request["id"]})))
        opcode, payload = connection.read_frame()
        seen.put((opcode, payload))
        if answers:
            connection.send(scripted.frame(payload[:2], opcode=8))
        connection.wait_end()

    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with scripted.ScriptedExchange(certificates, [script]) as exchange:
        feed = support.feed(exchange, "binance", ["trade"], ["BTCUSDT", "ETHUSDT"])
        with support.Ringtaped(config, store, [feed]) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 50)
            assert stop_seconds(daemon) < STOP_SECONDS
        assert exchange.failures.empty(), exchange.failures.get()
    opcode, payload = seen.get_nowait()
    request = json.loads(payload)
    assert opcode == 1 and request["method"] == "UNSUBSCRIBE"
    assert sorted(request["params"]) == ["btcusdt@trade", "ethusdt@trade"]
    opcode, payload = seen.get_nowait()
    assert opcode == 8 and payload[:2] == b"\x03\xe8", "a close frame with code 1000"
    rows = support.ringtape("cat", "--store", store, "--channel", "trade", "--json").splitlines()
    assert sorted(json.loads(row)["id"] for row in rows) == list(range(1, 61 if answers else 51))
