# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of others with a replayed store: picows, Node.js with ws. Libraries of the exchanges are
in tests/clients, Kafka in mirror_test.py."""

import asyncio
import json

import pytest
import replay_world as world
import support


@pytest.fixture(scope="module")
def first(tmp_path_factory, certificates):
    return world.shared(tmp_path_factory, certificates)


def ids(store, symbol):
    rows = [json.loads(row) for row in world.rows(store, "trade")]
    return sorted(row["id"] for row in rows if row["symbol"] == symbol)


def test_node_and_ws(certificates, first):
    replays = {
        "binance": json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}),
        "upbit": json.dumps([{"ticket": "t"}, {"type": "trade", "codes": ["KRW-BTC"]}]),
    }
    for exchange, request in replays.items():
        path = "/ws" if exchange == "binance" else "/websocket/v1"
        with world.Replay(
            first, "--speed", "max", "--exchange", exchange, certificates=certificates
        ) as replay:
            script = support.ROOT / "tests" / "peers" / "replay_client.js"
            command = ["node", script, f"{certificates}/ca.pem", replay.url(exchange, path)]
            with support.Process([*command, request]) as client:
                assert client.finish(60) == 0, client.errors
            assert replay.finish() == 0, replay.errors
        assert client.lines[-1] == "closed 1001"
        messages = [json.loads(line) for line in client.lines[:-1]]
        if exchange == "binance":
            assert messages.pop(0) == {"result": None, "id": 1}
            assert [message["t"] for message in messages] == ids(first, "binance:BTCUSDT")
        else:
            got = sorted(message["sequential_id"] for message in messages)
            assert got == ids(first, "upbit:KRW-BTC")
            assert {message["stream_type"] for message in messages} <= {"REALTIME", "SNAPSHOT"}


def test_picows(certificates, first):
    from picows import WSListener, WSMsgType, ws_connect

    with world.Replay(
        first, "--speed", "max", "--exchange", "binance", certificates=certificates
    ) as replay:
        got = []

        class Listener(WSListener):
            def on_ws_frame(self, transport, frame):
                if frame.msg_type == WSMsgType.TEXT:
                    got.append(json.loads(frame.get_payload_as_utf8_text()))
                elif frame.msg_type == WSMsgType.CLOSE:
                    transport.disconnect()

        async def run():
            url = replay.url("binance", "/stream?streams=btcusdt@trade&timeUnit=MICROSECOND")
            context = support.trust(certificates)
            transport, _ = await ws_connect(Listener, url, ssl_context=context)
            await transport.wait_disconnected()

        asyncio.run(asyncio.wait_for(run(), 60))
        assert replay.finish() == 0, replay.errors
    assert [message["data"]["t"] for message in got] == ids(first, "binance:BTCUSDT")
    assert all(message["data"]["T"] > 10**15 for message in got), "microseconds"
