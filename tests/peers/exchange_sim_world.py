# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of exchange-sim's faults share: a simulator with its clients, truth and log, and a
client that sees bytes."""

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from collections import defaultdict
from decimal import Decimal

import support
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

LOCAL = {"compression": None, "max_size": None, "max_queue": None, "ping_interval": None}


def ask(simulator, exchange, path, headers=None):
    """Status, parsed body or text, headers: errors, too."""
    request = urllib.request.Request(simulator.rest_url(exchange, path), headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.load(reply), dict(reply.headers)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        try:
            return error.code, json.loads(text), dict(error.headers)
        except json.JSONDecodeError:
            return error.code, text, dict(error.headers)


def as_book(state):
    sides = {s: {Decimal(p): Decimal(q) for p, q in state[s]} for s in ("bids", "asks")}
    return state["lastUpdateId"], sides


def fold(state, depths):
    """Applies depth messages by Binance's rule, in place."""
    last, sides = as_book(state)
    for depth in depths:
        if depth["u"] <= last:
            continue
        assert depth.get("pu", depth["U"] - 1) <= last and depth["U"] <= last + 1, "a hole"
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, quantity in depth[key]:
                sides[side].pop(Decimal(price), None)
                if Decimal(quantity) != 0:
                    sides[side][Decimal(price)] = Decimal(quantity)
        last = depth["u"]
    state["lastUpdateId"] = last
    for side, levels in sides.items():
        state[side] = [[str(p), str(q)] for p, q in levels.items()]


class World:
    """A simulator with faults, its clients' messages, its truth and its log."""

    def __init__(self, folder, faults, *arguments, symbols=5, exchange="binance", seconds=4):
        self.folder, self.exchange, self.seconds = folder, exchange, seconds
        self.arguments = [
            f"--symbols={exchange}:{symbols}",
            "--rate=2000",
            f"--seconds={seconds}",
            "--at-end=close",
            f"--faults={faults}",
            f"--truth={folder / 'truth'}",
            f"--fault-log={folder / 'faults'}",
            f"--books={folder / 'books'}",
            *arguments,
        ]
        self.received = defaultdict(list)  # connection, from 1 -> messages
        self.ends = {}

    def run(self, client=None, links=2):
        with support.Simulator(*self.arguments) as simulator:
            self.simulator = simulator
            asyncio.run(asyncio.wait_for(self._links(client or self.listen, links), 60))
            assert simulator.terminate() == 0
            self.ended = simulator.event("ended")
        self.log = [json.loads(line) for line in open(self.folder / "faults", encoding="utf-8")]
        self.books = [json.loads(line) for line in open(self.folder / "books", encoding="utf-8")]
        self.truth = defaultdict(list)
        for due, _, stream, payload in support.read_truth(self.folder / "truth"):
            self.truth[stream].append((due, json.loads(payload)))
        return self

    async def _links(self, client, links):
        await asyncio.gather(*(client(number) for number in range(1, links + 1)))

    def path(self, channels=("trade", "depth", "aggTrade")):
        info = ask(self.simulator, self.exchange, self.prefix() + "/exchangeInfo")[1]
        names = [s["symbol"].lower() for s in info["symbols"]]
        streams = "/".join(f"{n}@{c}" for n in names for c in channels)
        return f"/stream?timeUnit=MICROSECOND&streams={streams}"

    def prefix(self):
        return "/api/v3" if self.exchange == "binance" else "/fapi/v1"

    async def listen(self, number, channels=("trade", "depth", "aggTrade")):
        # One after the other, so that they are numbered as they are here.
        await asyncio.sleep(0.1 * (number - 1))
        url = self.simulator.url(self.exchange, self.path(channels))
        async with connect(url, **LOCAL) as s:
            try:
                while True:
                    self.received[number].append((time.time(), json.loads(await s.recv())))
            except ConnectionClosed as closed:
                self.ends[number] = (time.time(), closed.rcvd.code if closed.rcvd else None)

    def told(self, *kinds, connection=None):
        return [
            f
            for f in self.log
            if f["fault"] in kinds and connection in (None, f.get("connection"))
        ]

    def got(self, connection, channel="trade", key="t"):
        """Stream -> ids in the order of arrival."""
        ids = defaultdict(list)
        for _, message in self.received[connection]:
            if message["stream"].endswith(f"@{channel}"):
                ids[message["stream"]].append(message["data"][key])
        return ids


class Raw:
    """A client that sees bytes: frames, and what is left of one at the end."""

    def __init__(self, simulator, path):
        port = simulator.ports["binance"]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.frames = []  # time, opcode, payload
        self.rest = b""
        self.end = None  # FIN, RST
        self.head = False  # the reply's is over

    def ping(self):
        """Masked with zeros."""
        self.socket.sendall(b"\x89\x84\0\0\0\0ping")

    def listen(self, until=None):
        while until is None or time.time() < until:
            try:
                self.socket.settimeout(0.3 if until else 10)
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionResetError:
                self.end = "RST"
                return self
            if not data:
                self.end = "FIN"
                return self
            self.rest += data
            if not self.head and b"\r\n\r\n" in self.rest:
                self.rest = self.rest.split(b"\r\n\r\n", 1)[1]
                self.head = True
            while self.head and self._frame():
                pass
        return self

    def _frame(self):
        if len(self.rest) < 2:
            return False
        size, at = self.rest[1], 2
        if size == 126:
            size, at = int.from_bytes(self.rest[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(self.rest[2:10], "big"), 10
        if len(self.rest) < at + size:
            return False
        self.frames.append((time.time(), self.rest[0] & 15, self.rest[at : at + size]))
        self.rest = self.rest[at + size :]
        return True


def raw_world(tmp_path, faults, *arguments, until=None, path="/ws/btcusdt@trade/btcusdt@depth"):
    world = World(tmp_path, faults, *arguments, symbols=2, seconds=20)
    with support.Simulator(*world.arguments) as simulator:
        raw = Raw(simulator, path)
        raw.listen(until and time.time() + until)
        simulator.terminate()
    world.log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    return raw, world
