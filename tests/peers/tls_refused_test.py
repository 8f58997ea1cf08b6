# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom ringtaped does not talk to, with OpenSSL and Python at the other end: old versions, weak
suites, other keys than the pinned ones, renegotiation, answers that are cut. Certificates are
hostile_test.py's, and tests/tls_test.c has the same in memory."""

import base64
import contextlib
import hashlib
import json
import re
import select
import socket
import subprocess
import time

import pytest
import scripted
import support
from scripted import frame, trade


def said(daemon, *words):
    return any(all(word in line for word in words) for line in daemon.errors)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Server:
    """openssl s_server; what it prints, and what it is to do with what is typed."""

    def __init__(self, certificates, *arguments, leaf="localhost"):
        self.port, self.certificates, self.seen = free_port(), certificates, b""
        self.child = subprocess.Popen(
            ["openssl", "s_server", "-accept", str(self.port), "-cert",
             f"{certificates}/{leaf}.pem", "-key", f"{certificates}/{leaf}.key", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=support.die_with_parent,
        )  # fmt: skip
        self.until(b"ACCEPT")

    def until(self, word, seconds=20):
        """What has come up to and with `word`."""
        end = time.monotonic() + seconds
        while word not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{word!r} is not in {self.seen!r}"
            if select.select([self.child.stdout], [], [], left)[0]:
                data = self.child.stdout.read1(65536)
                assert data, self.seen
                self.seen += data
        found, self.seen = self.seen.split(word, 1)
        return found + word

    def everything(self):
        """All that has come from clients that are gone: one more, who cannot be mistaken for them,
        is served behind them."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return self.until(b"http request")

    def type(self, data):
        """One read of the server's: its first byte may be a command."""
        self.child.stdin.write(data)
        self.child.stdin.flush()
        time.sleep(0.05)

    def url(self, _exchange, path=""):
        return f"wss://localhost:{self.port}{path}"

    def rest_url(self, _exchange, path=""):
        return f"https://localhost:{self.port}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def daemon_for(exchange, folder, symbols=("BTCUSDT",), **more):
    feed = support.feed(exchange, "binance", ["trade"], symbols, **more)
    return support.Ringtaped(folder / "config.yaml", folder / "store", [feed])


# ---- versions and suites ----

SERVER_HAS_TO = "the server must offer AES-GCM or ChaCha20-Poly1305 with ECDHE"
OLD = {
    "TLS 1.0": (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "localhost",
                ["no common protocol version", "the server must offer TLS 1.2 or 1.3"]),
    "TLS 1.1": (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "localhost",
                ["no common protocol version", "the server must offer TLS 1.2 or 1.3"]),
    "CBC": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256"],
            "localhost", [SERVER_HAS_TO]),
    "no encryption": (["-tls1_2", "-cipher", "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"], "localhost",
                      [SERVER_HAS_TO]),
    "no forward secrecy": (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "rsa", [SERVER_HAS_TO]),
    "finite fields": (["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], "rsa",
                      [SERVER_HAS_TO]),
    "nobody's name": (["-tls1_2", "-cipher", "AECDH-AES128-SHA:@SECLEVEL=0"], "localhost",
                      [SERVER_HAS_TO]),
}  # fmt: skip


@pytest.mark.parametrize("arguments,leaf,words", OLD.values(), ids=OLD.keys())
def test_old_and_weak(arguments, leaf, words, tmp_path, certificates):
    with Server(certificates, *arguments, leaf=leaf) as server:
        with daemon_for(server, tmp_path) as daemon:
            support.wait_for(lambda: said(daemon, *words), 20, lambda: f"{words} {daemon.errors}")
            assert daemon.terminate() == 0
        assert b"GET /" not in server.everything()


def test_a_strong_suite_of_tls_1_2_is_taken(tmp_path, certificates):
    arguments = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]
    with Server(certificates, *arguments, leaf="rsa") as server:
        with daemon_for(server, tmp_path):
            server.until(b"GET /")


# ---- pins ----


def pin(certificates, name):
    return (certificates / f"{name}.pin").read_text()


def test_a_pinned_key_is_recorded_from(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates
    ) as simulator:
        pins = [pin(certificates, "other"), pin(certificates, "localhost")]
        with daemon_for(simulator, tmp_path, "all", pin_sha256=pins) as daemon:
            daemon.wait_counters(lambda c: c["events"] > 10)
            assert daemon.terminate() == 0


@pytest.mark.parametrize("symbols", [["BTCUSDT"], "all"], ids=["WebSocket", "REST"])
def test_another_key_is_told_and_gets_nothing(symbols, tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates
    ) as simulator:
        pins = [pin(certificates, "other")]
        with daemon_for(simulator, tmp_path, symbols, pin_sha256=pins) as daemon:
            words = ["the server's key is not pinned", pin(certificates, "localhost"),
                     "add it to pin_sha256"]  # fmt: skip
            support.wait_for(lambda: said(daemon, *words), 20, lambda: str(daemon.errors))
            assert daemon.terminate() == 0
        assert simulator.terminate() == 0
        assert simulator.event("ended")["sent"] == 0


def test_pins_are_checked_before_the_start(tmp_path):
    def check(**feed):
        base = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"]}
        support.write_config(tmp_path / "c.yaml", tmp_path / "store", [{**base, **feed}])
        done = subprocess.run(
            [support.program("ringtaped"), "--config", tmp_path / "c.yaml", "--check"],
            capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stderr

    good = base64.b64encode(hashlib.sha256(b"key").digest()).decode()
    assert check(pin_sha256=[good])[0] == 0
    for bad in ("abc", good[:-1], "sha256/" + good, good.replace("=", "A")):
        code, words = check(pin_sha256=[bad])
        assert code == 78 and "pin_sha256: expected" in words and bad in words
    code, words = check(pin_sha256=[good] * 9)
    assert code == 78 and "expected 0 to 8 entries" in words
    code, words = check(pin_sha256=[good], url="ws://localhost:1")
    assert code == 78 and "pin_sha256 needs wss:// and https://" in words


# ---- REST ----


@pytest.mark.parametrize("leaf", ["other", "expired", "future", "selfsigned", "untrusted"])
def test_wrong_certificates_of_rest(leaf, tmp_path, certificates):
    words = {"other": "another host", "expired": "dates", "future": "dates"}
    word = words.get(leaf, "issuer")
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", certificates=certificates, leaf=leaf
    ) as simulator, daemon_for(simulator, tmp_path, "all") as daemon:
        support.wait_for(
            lambda: said(daemon, "instruments could not be had", word), 20,
            lambda: str(daemon.errors),
        )  # fmt: skip
        assert daemon.terminate() == 0


class Cut(scripted.ScriptedExchange):
    """Answers to REST end with the connection, with a goodbye or without."""

    def __init__(self, certificates, goodbye):
        self.goodbye = goodbye
        super().__init__(certificates, [lambda connection: connection.wait_end()])

    def _request(self, stream):
        head = stream.recv(65536)
        if b"exchangeInfo" not in head:
            return
        self.asked += 1
        body = json.dumps(scripted.INFO).encode()
        stream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        if self.goodbye:
            with contextlib.suppress(OSError):
                stream.unwrap()


@pytest.mark.parametrize("goodbye", [True, False], ids=["goodbye", "cut"])
def test_an_answer_without_an_end_is_no_answer(goodbye, tmp_path, certificates):
    with Cut(certificates, goodbye) as exchange:
        with daemon_for(exchange, tmp_path, "all") as daemon:
            word = "feed added" if goodbye else "no goodbye of TLS"
            support.wait_for(lambda: said(daemon, word), 20, lambda: str(daemon.errors))
            assert said(daemon, "feed added") == goodbye
            assert daemon.terminate() == 0


# ---- of a connection that stands ----


def test_a_cut_is_told_from_a_farewell(tmp_path, certificates):
    def cut(connection):
        connection.trades(1, 5)
        connection.stream.close()  # Python says no goodbye

    def farewell(connection):
        connection.trades(6, 10)
        with contextlib.suppress(OSError):
            connection.stream.unwrap()

    def good(connection):
        connection.trades(11, 15)
        connection.wait_end()

    with scripted.ScriptedExchange(certificates, [cut, farewell, good]) as exchange:
        with daemon_for(exchange, tmp_path) as daemon:
            daemon.settle(15)
            assert said(daemon, "link down", "no goodbye of TLS")
            assert said(daemon, "link down", "the exchange ended TLS"), daemon.errors
            assert daemon.terminate() == 0


def test_renegotiation_is_refused_and_recording_goes_on(tmp_path, certificates):
    """TLS 1.2, the server asks for a new handshake in the middle. It is told no (OpenSSL then hangs
    up, which is told in the log), and recording goes on, on a connection with a handshake of its
    own."""
    with Server(certificates, "-tls1_2") as server:

        def upgrade():
            head = server.until(b"\r\n\r\n")
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", head).group(1)
            magic = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key + magic).digest())
            server.type(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )

        with daemon_for(server, tmp_path, rest_url="https://127.0.0.1:1") as daemon:
            upgrade()
            server.type(b"".join(frame(trade(n)) for n in range(1, 6)))
            daemon.wait_counters(lambda c: c["messages"] >= 5)
            server.type(b"R\n")
            server.until(b"no renegotiation")
            support.wait_for(
                lambda: said(daemon, "link down", "state=live", "alert 40"), 20,
                lambda: str(daemon.errors),
            )  # fmt: skip
            upgrade()
            server.type(b"".join(frame(trade(n)) for n in range(6, 11)))
            daemon.wait_counters(lambda c: c["messages"] >= 10)
            assert daemon.terminate() == 0
    kept = support.ringtape("cat", "--store", tmp_path / "store", "--channel", "trade", "--json")
    assert [json.loads(line)["id"] for line in kept.splitlines()] == list(range(1, 11))
