# SPDX-License-Identifier: GPL-3.0-or-later
"""An exchange whose every byte a test decides: TLS, the upgrade by hand, frames as told."""

import base64
import contextlib
import hashlib
import json
import queue
import socket
import ssl
import struct
import threading

INFO = {
    "symbols": [
        {
            "symbol": name,
            "status": "TRADING",
            "baseAsset": name[:-4],
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
            ],
        }
        for name in ("BTCUSDT", "ETHUSDT")
    ]
}


def frame(payload, opcode=1, final=True, mask=None, reserved=0, length=None):
    """Any frame, valid or not."""
    payload = payload.encode() if isinstance(payload, str) else payload
    size = len(payload) if length is None else length
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    masked = 0x80 if mask else 0
    if size < 126:
        head += bytes([masked | size])
    elif size < 1 << 16:
        head += bytes([masked | 126]) + struct.pack(">H", size)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", size)
    if mask:
        head += mask
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return head + payload


def trade(number, symbol="BTCUSDT", price="61837.63000000", quantity="0.02000000", **more):
    """A combined-stream trade."""
    data = {
        "e": "trade", "E": 1723161255343000 + number, "s": symbol, "t": number, "p": price,
        "q": quantity, "T": 1723161255342000 + number, "m": True, "M": True, **more,
    }  # fmt: skip
    wrapped = {"stream": f"{symbol.lower()}@trade", "data": data}
    return json.dumps(wrapped, separators=(",", ":"))


class Connection:
    """One WebSocket connection of the client, upgraded and subscribed."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = b""

    def send(self, *parts):
        self.stream.sendall(b"".join(parts))

    def trades(self, first, last):
        self.send(*(frame(trade(n)) for n in range(first, last + 1)))

    def read(self, size):
        while len(self.buffer) < size:
            data = self.stream.recv(65536)
            if not data:
                raise ConnectionError
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_frame(self):
        """(opcode, payload) of the next frame; clients must mask."""
        first, second = self.read(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.read(8))[0]
        assert second & 0x80, "a client masks its frames"
        mask = self.read(4)
        return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(self.read(size)))

    def wait_end(self):
        """Reads until the client is gone; returns the codes of its close frames."""
        codes = []
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                opcode, payload = self.read_frame()
                if opcode == 8:
                    codes.append(struct.unpack(">H", payload[:2])[0] if payload else 1005)
        return codes


class ScriptedExchange:
    """Runs scripts[i](connection) for the i-th upgrade, the last one for all further ones; a
    script that is bytes is sent instead of the upgrade's answer. Plays Binance spot."""

    def __init__(self, certificates, scripts):
        self.scripts = list(scripts)
        self.upgrades = self.asked = 0
        self.failures = queue.Queue()
        self.certificates = certificates
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(
            f"{certificates}/localhost.pem", f"{certificates}/localhost.key"
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, _exchange, path=""):
        return f"wss://localhost:{self.port}{path}"

    def rest_url(self, _exchange, path=""):
        return f"https://localhost:{self.port}{path}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True) as stream:
                self.open.add(stream)
                self._request(stream)
        except (OSError, ConnectionError):
            pass
        except Exception as failure:  # seen by the test, not lost in a thread
            self.failures.put(failure)

    def _answer(self, path):
        """To a question by REST: status, with further lines behind it, and body."""
        known = "exchangeInfo" in path  # it knows nothing else
        self.asked += known
        return (b"200 OK", json.dumps(INFO).encode()) if known else (b"404 Not Found", b"")

    def _request(self, stream):
        connection = Connection(stream)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.read(1)
        path = head.split(b" ")[1].decode()
        if not path.startswith(("/stream", "/ws")):
            status, body = self._answer(path)
            connection.send(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (status, len(body)),
                body,
            )
            return
        script = self.scripts[min(self.upgrades, len(self.scripts) - 1)]
        self.upgrades += 1
        if isinstance(script, bytes):
            connection.send(script)
            return
        fields = dict(l.split(": ", 1) for l in head.decode().split("\r\n")[1:] if ": " in l)
        assert "Origin" not in fields and "Sec-WebSocket-Extensions" not in fields
        key = fields["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        request = json.loads(connection.read_frame()[1])
        connection.send(frame(json.dumps({"result": None, "id": request["id"]})))
        script(connection)

    def close(self):
        self.listener.close()
        for stream in self.open:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
