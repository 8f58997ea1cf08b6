# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver of `tools/dev bench replay`: takes what comes over TLS and counts messages by a word
that each has once. Prints a JSON line at the end.

    replay_client.py PORT CA WORD STREAM..."""

import base64
import json
import os
import socket
import ssl
import struct
import sys
import time

CHUNK = 1 << 20
STREAMS_A_REQUEST = 400
PONG_SECONDS = 10


def masked(opcode, payload):
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def connect(port, ca):
    context = ssl.create_default_context(cafile=ca)
    plain = socket.create_connection(("localhost", port))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    peer = context.wrap_socket(plain, server_hostname="localhost")
    key = base64.b64encode(os.urandom(16)).decode()
    peer.sendall(
        f"GET /stream?timeUnit=MICROSECOND HTTP/1.1\r\nHost: localhost:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b" 101 " in peer.recv(4096)
    return peer


def main(port, ca, word, *streams):
    peer = connect(int(port), ca)
    for first in range(0, len(streams), STREAMS_A_REQUEST):
        some = streams[first : first + STREAMS_A_REQUEST]
        request = {"method": "SUBSCRIBE", "params": some, "id": first}
        peer.sendall(masked(1, json.dumps(request).encode()))
    word = word.encode()
    buffer = bytearray(CHUNK + len(word))
    view = memoryview(buffer)
    keep = count = size = 0
    pong = time.monotonic()
    while True:
        got = peer.recv_into(view[keep:], CHUNK)
        if got == 0:
            break
        size += got
        end = keep + got
        count += buffer.count(word, 0, end)
        # A word may lie across two pieces; one that ends a piece must not count twice.
        keep = min(len(word) - 1, end)
        buffer[:keep] = buffer[end - keep : end]
        if time.monotonic() - pong > PONG_SECONDS:
            pong = time.monotonic()
            peer.sendall(masked(10, b""))
        if b"Going away" in buffer[max(0, keep - 64) : keep]:
            break
    print(json.dumps({"messages": count, "bytes": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
