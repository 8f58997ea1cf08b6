# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries of others against ws_echo, which is made of the daemon's own WebSocket modules: Python
websockets, picows, Node.js ws; as servers and as clients, plain and over TLS. What they send, of
every size and in any fragments, comes back; so do pings and every close code that may be sent."""

import asyncio
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess

import pytest
import support
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

WS_ECHO = support.ROOT / "zig-out" / "peers" / "ws_echo"
NODE_SCRIPT = pathlib.Path(__file__).parent / "ws_echo_peer.js"
SIZES = [0, 1, 125, 126, 127, 128, 4096, 65535, 65536, 70001, 1 << 20]
CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, 4000, 4999]
KOREAN = "비트코인 "


def text_of(size):
    """Of that many bytes, most of them in characters of three."""
    whole = KOREAN * (size // len(KOREAN.encode()))
    return whole + "x" * (size - len(whole.encode()))


class Echo(support.Process):
    """ws_echo as server; its first line says where it is."""

    def __init__(self, *arguments, certificates=None):
        tls = []
        if certificates is not None:
            leaf = certificates / "localhost"
            tls = ["--tls", "--certificate", f"{leaf}.pem", "--key", f"{leaf}.key"]
        super().__init__([WS_ECHO, "--listen", "0", *tls, *arguments])
        first = support.wait_for(lambda: self.lines and self.lines[0], 20, "the port of ws_echo")
        scheme = "ws" if certificates is None else "wss"
        self.port = json.loads(first)["port"]
        self.url = f"{scheme}://localhost:{self.port}/echo"

    def connection(self, number):
        """What it says of a connection once that is over."""
        line = support.wait_for(
            lambda: len(self.lines) > number and self.lines[number], 20, "the end of a connection"
        )
        return json.loads(line)


def context_of(certificates, server=False):
    if certificates is None:
        return None
    if not server:
        return ssl.create_default_context(cafile=certificates / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
    return context


def client_run(url, certificates, status=0):
    """ws_echo as client, to its end; what it said of its connection."""
    trusted = [] if certificates is None else ["--ca", certificates / "ca.pem"]
    done = subprocess.run(
        [WS_ECHO, "--connect", url, *trusted], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


async def exchange_all(peer):
    """The same for a client and a server of websockets."""
    for size in SIZES:
        text, data = text_of(size), os.urandom(size)
        for message in (text, data):
            await peer.send(message)
            assert await peer.recv() == message
        await peer.send([text[:7], "", text[7:8], text[8:]])
        assert await peer.recv() == text
        await peer.send([data[: size // 2], data[size // 2 :]])
        assert await peer.recv() == data
    for payload in (b"", b"\x00\xff", b"x" * 125):
        await asyncio.wait_for(await peer.ping(payload), 10)
    return 4 * len(SIZES)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_python_websockets_as_client(certificates, secure):
    ours = certificates if secure else None

    async def talk(url):
        async with connect(url, ssl=context_of(ours), max_size=1 << 24) as peer:
            assert peer.protocol.extensions == []  # offered, and nothing taken
            count = await exchange_all(peer)
            await peer.close(1001, "done")
            assert peer.close_code == 1001
            return count

    with Echo(certificates=ours) as echo:
        count = asyncio.run(talk(echo.url))
        said = echo.connection(1)
    assert said["messages"] == count and said["close_code"] == 1001 and said["failure"] is None


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_python_websockets_as_server(certificates, secure):
    ours = certificates if secure else None
    counts = []

    async def session(peer):
        counts.append(await exchange_all(peer))
        await peer.close(4321, "done")

    async def talk():
        server_side = context_of(ours, server=True)
        async with serve(session, "127.0.0.1", 0, ssl=server_side, max_size=1 << 24) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws{'s' if secure else ''}://localhost:{port}/a?b=c"
            return await asyncio.to_thread(client_run, url, ours)

    said = asyncio.run(talk())
    assert said["messages"] == counts[0] and said["close_code"] == 4321


def test_every_close_code_comes_back_from_both_roles():
    async def as_client(url):
        for code in CODES:
            async with connect(url) as peer:
                await peer.close(code, "reason")
                assert peer.close_code == code

    async def as_server():
        codes = iter(CODES)
        seen = []

        async def session(peer):
            code = next(codes)
            await peer.close(code, KOREAN)
            seen.append((peer.close_code, code))

        async with serve(session, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for code in CODES:
                said = await asyncio.to_thread(client_run, f"ws://127.0.0.1:{port}", None)
                assert said["close_code"] == code
        assert len(seen) == len(CODES) and all(ours == theirs for ours, theirs in seen)

    with Echo() as echo:
        asyncio.run(as_client(echo.url))
        assert [echo.connection(1 + n)["close_code"] for n in range(len(CODES))] == CODES
    asyncio.run(as_server())


def test_echoes_in_fragments_and_a_limit():
    async def talk(url):
        async with connect(url, max_size=None) as peer:
            await peer.send(text_of(10000))
            parts = [part async for part in peer.recv_streaming()]
            assert "".join(parts) == text_of(10000) and len(parts) == 100
            await peer.send(b"x" * 10001)
            with pytest.raises(ConnectionClosed):
                await peer.recv()
            assert peer.close_code == 1009

    with Echo("--fragment", "100", "--message-max", "10000") as echo:
        asyncio.run(talk(echo.url))
        assert "size limit" in echo.connection(1)["failure"]


def picows_session(done):
    """A listener for either end: sends all sizes whole and in fragments, takes them back."""
    from picows import WSListener, WSMsgType

    class Session(WSListener):
        def on_ws_connected(self, transport):
            self.left = [(size, pieces) for size in SIZES for pieces in (1, 3)]
            self.got = b""
            self.next(transport)

        def next(self, transport):
            if not self.left:
                transport.send_close(3456, b"done")
                return
            size, pieces = self.left[0]
            self.payload = os.urandom(size)
            step = size // pieces + 1
            for n in range(pieces):
                kind = WSMsgType.BINARY if n == 0 else WSMsgType.CONTINUATION
                part = self.payload[n * step : (n + 1) * step]
                transport.send(kind, part, fin=n + 1 == pieces)

        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.CLOSE:
                done.set_result((frame.get_close_code(), len(self.left)))
                transport.disconnect()
                return
            self.got += frame.get_payload_as_bytes()
            if not frame.fin:
                return
            assert self.got == self.payload
            self.got = b""
            self.left.pop(0)
            self.next(transport)

    return Session


def test_picows_in_both_roles():
    from picows import ws_connect, ws_create_server

    async def as_client(url):
        done = asyncio.get_running_loop().create_future()
        await ws_connect(picows_session(done), url)
        return await asyncio.wait_for(done, 30)

    async def as_server():
        done = asyncio.get_running_loop().create_future()
        session = picows_session(done)
        server = await ws_create_server(lambda _request: session(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(client_run, f"ws://127.0.0.1:{port}/", None)
        server.close()
        assert said["messages"] == 2 * len(SIZES) and said["close_code"] == 3456
        return await asyncio.wait_for(done, 30)

    with Echo() as echo:
        assert asyncio.run(as_client(echo.url)) == (3456, 0)
    assert asyncio.run(as_server()) == (3456, 0)


def test_node_ws_in_both_roles(certificates):
    if shutil.which("node") is None or "NODE_PATH" not in os.environ:
        pytest.skip("no Node.js with ws; tools/dev sets both up")
    with Echo(certificates=certificates) as echo:
        client = subprocess.run(
            ["node", NODE_SCRIPT, "client", echo.url, certificates],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert json.loads(client.stdout) == {"messages": 3 * len(SIZES), "code": 4001}, client.stderr
    with support.Process(["node", NODE_SCRIPT, "server", "0", certificates]) as server:
        port = support.wait_for(lambda: server.lines and server.lines[0], 20, "the port of node")
        said = client_run(f"wss://localhost:{json.loads(port)['port']}/", certificates)
        assert said["messages"] == 3 * len(SIZES) and said["close_code"] == 4001
        end = support.wait_for(lambda: len(server.lines) > 1 and server.lines[1], 20, "its end")
        assert json.loads(end) == {"messages": 3 * len(SIZES), "code": 4001}


def upgraded(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    peer.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += peer.recv(1)
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in reply  # RFC 6455, 1.3
    return peer


def test_what_is_forbidden_is_told_and_the_connection_ends():
    forbidden = {
        b"\x81\x02hi": 1002,  # not masked
        b"\xc1\x80\0\0\0\0": 1002,
        b"\x83\x80\0\0\0\0": 1002,
        b"\x81\x82\0\0\0\0\xc0\xaf": 1007,
        b"\x81\xfe\xff\xff\0\0\0\0ab\xff": 1007,  # long before the frame is whole
    }
    with Echo() as echo:
        for bytes_sent, code in forbidden.items():
            with upgraded(echo.port) as peer:
                peer.sendall(bytes_sent)
                answer = b""
                while part := peer.recv(4096):
                    answer += part
                assert answer[0] == 0x88 and int.from_bytes(answer[2:4]) == code
        with socket.create_connection(("127.0.0.1", echo.port), timeout=10) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert peer.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_usage_and_what_cannot_be_reached(certificates):
    def run(*arguments):
        return subprocess.run([WS_ECHO, *arguments], capture_output=True, text=True, timeout=20)

    assert run("--help").returncode == 0 and "--connect URL" in run("--help").stdout
    for wrong in ([], ["--listen", "70000"], ["--listen", "1", "--tls"], ["--connect", "http://a"]):
        assert run(*wrong).returncode == 64
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert run("--connect", f"ws://127.0.0.1:{nobody.getsockname()[1]}").returncode == 69
    with Echo(certificates=certificates) as echo:  # of an authority that it does not trust
        done = run("--connect", echo.url)
        assert done.returncode == 69 and "certificate" in done.stderr
