# SPDX-License-Identifier: GPL-3.0-or-later
"""Third-party WebSocket servers over TLS as the exchange: Python websockets, Node.js ws. They
fragment, ping, and close with various codes; everything they sent is stored."""

import asyncio
import http
import json
import os
import pathlib
import shutil
import ssl
import threading

import expected
import pytest
import scripted
import support
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

CAPTURE = support.REAL_DATA / "captures" / "cryptofeed_BINANCE-b38f7c.0.gz"
CHANNELS = {"aggTrade": "agg_trade", "bookTicker": "quote", "depth": "depth"}
CODES = [1000, 1001, 1011, 1012, 3000, None]


def messages():
    """Texts to send: a recording, or made-up trades where there is none."""
    if not CAPTURE.exists():
        return [scripted.trade(n) for n in range(1, 3001)]
    found = expected.capture_messages(CAPTURE)
    import gzip

    with gzip.open(CAPTURE, "rt") as file:
        texts = [l.split(": ", 1)[1].strip() for l in file if ': {"stream"' in l]
    assert len(texts) == sum(1 for _ in found)
    return texts


def feed_of(texts, exchange):
    streams = {json.loads(text)["stream"] for text in texts}
    symbols = sorted({s.split("@")[0].upper() for s in streams})
    known = {**CHANNELS, "trade": "trade"}
    channels = sorted({known[s.split("@")[1]] for s in streams})
    return support.feed(exchange, "binance", channels, symbols), len(symbols) * len(channels)


def record(texts, exchange, folder):
    feed, _ = feed_of(texts, exchange)
    rows = expected.Expected()
    for text in texts:
        rows.add("binance", expected.load(text)["data"])
    with support.Ringtaped(folder / "config.yaml", folder / "store", [feed]) as daemon:
        daemon.settle(len(texts), 120)
        counters = daemon.counters()
        assert daemon.terminate() == 0, daemon.errors
    support.export(folder / "store", folder / "parquet")
    assert expected.compare(rows, folder / "parquet") > 0
    return counters


class PythonServer:
    """websockets' server in a thread. Each connection sends a share, then closes with the next
    code."""

    def __init__(self, certificates, texts, streams):
        self.certificates, self.texts, self.streams = certificates, texts, streams
        self.share = len(texts) // len(CODES) + 1
        self.sent = self.connection = self.pongs = 0
        self.port = None
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    url = scripted.ScriptedExchange.url
    rest_url = scripted.ScriptedExchange.rest_url

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = self.certificates
        context.load_cert_chain(f"{folder}/localhost.pem", f"{folder}/localhost.key")
        self.stopping = asyncio.Event()
        async with serve(
            self._connection, "127.0.0.1", 0, ssl=context, process_request=self._request
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.stopping.wait()

    def _request(self, _connection, request):
        if request.path.startswith(("/stream", "/ws")):
            return None
        known = "exchangeInfo" in request.path  # of REST it knows nothing else
        body = json.dumps(scripted.INFO).encode() if known else b""
        status = http.HTTPStatus.OK if known else http.HTTPStatus.NOT_FOUND
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
        return Response(status, status.phrase, headers, body)

    async def _subscriptions(self, socket):
        count = 0
        while count < self.streams:
            request = json.loads(await socket.recv())
            count += len(request["params"])
            await socket.send(json.dumps({"result": None, "id": request["id"]}))

    async def _connection(self, socket):
        await self._subscriptions(socket)
        code = CODES[self.connection % len(CODES)]
        self.connection += 1
        share = self.texts[self.sent : self.sent + self.share]
        self.sent += len(share)
        for number, text in enumerate(share):
            if number % 7 == 0:  # in three fragments, cut anywhere
                cut = len(text) // 3
                await socket.send([text[:cut], text[cut : cut + 1], text[cut + 1 :]])
            else:
                await socket.send(text)
            if number % 500 == 0:
                waiter = await socket.ping(b"x" * 125)
                await waiter
                self.pongs += 1
        if self.sent >= len(self.texts):
            await self.stopping.wait()
        elif code is None:
            socket.transport.abort() if not share else await socket.close(1013)
        else:
            await socket.close(code, "as planned")

    def close(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(10)


def test_python_websockets(tmp_path, certificates):
    texts = messages()
    server = PythonServer(certificates, texts, feed_of(texts, scripted_nowhere())[1])
    try:
        counters = record(texts, server, tmp_path)
    finally:
        server.close()
    assert counters["connects"] >= len(CODES) and server.pongs > 0


def scripted_nowhere():
    """Stands where only the shape of a feed is asked for."""

    class Nowhere:
        certificates = None

        @staticmethod
        def url(_exchange, path=""):
            return f"ws://localhost:1{path}"

        rest_url = url

    return Nowhere


class NodeServer(support.Process):
    def __init__(self, certificates, texts_file, streams):
        script = pathlib.Path(__file__).parent / "ws_server.js"
        self.certificates = certificates
        super().__init__(["node", script, certificates, texts_file, streams])

        def port():
            assert self.alive(), f"node ended: {self.errors}"
            return self.lines and json.loads(self.lines[0])["port"]

        self.port = support.wait_for(port, 20, "the port of node")

    url = scripted.ScriptedExchange.url
    rest_url = scripted.ScriptedExchange.rest_url


def test_node_ws(tmp_path, certificates):
    if shutil.which("node") is None or "NODE_PATH" not in os.environ:
        pytest.skip("no Node.js with ws; tools/dev sets both up")
    texts = messages()
    path = tmp_path / "texts"
    path.write_text("\n".join(texts))
    with NodeServer(certificates, path, feed_of(texts, scripted_nowhere())[1]) as server:
        counters = record(texts, server, tmp_path)
    assert counters["connects"] >= 4
