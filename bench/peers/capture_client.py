# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recorder in Python does before it stores anything: frames over TLS to numbers in a row.

    capture_client.py picows|websockets URL CA MESSAGES

picows on uvloop: the frame's bytes to orjson, price and quantity to Decimal. websockets on asyncio:
its text to json, price and quantity as they come (text). Rows go into a list that is thrown away by
the thousand. The first twentieth warms up. Prints one JSON line: messages behind that, their CPU
seconds, wall seconds."""

import asyncio
import json
import ssl
import sys
import time
from decimal import Decimal


class Meter:
    def __init__(self, wanted):
        self.wanted = wanted
        self.count = 0
        self.warm = wanted // 20
        self.last_id = None
        self.gaps = 0
        self.rows = []

    def row(self, *row):
        if self.count == self.warm:
            self.cpu, self.wall = time.process_time(), time.monotonic()
        self.count += 1
        if self.last_id is not None and row[1] != self.last_id + 1:
            self.gaps += 1
        self.last_id = row[1]
        self.rows.append(row)
        if len(self.rows) == 1000:
            self.rows.clear()
        return self.count == self.wanted

    def report(self):
        cpu, wall = time.process_time() - self.cpu, time.monotonic() - self.wall
        messages = self.count - self.warm
        print(json.dumps({"messages": messages, "cpu_s": cpu, "wall_s": wall, "gaps": self.gaps}))


async def picows_client(url, context, meter):
    import orjson
    from picows import WSListener, WSMsgType, ws_connect

    done = asyncio.get_running_loop().create_future()
    loads = orjson.loads

    class Listener(WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type != WSMsgType.TEXT or done.done():
                return
            d = loads(frame.get_payload_as_memoryview())["data"]
            if meter.row(d["s"], d["t"], Decimal(d["p"]), Decimal(d["q"]), d["T"], d["E"], d["m"]):
                meter.report()
                done.set_result(None)

        def on_ws_disconnected(self, transport):
            if not done.done():
                done.set_exception(RuntimeError(f"disconnected after {meter.count} messages"))

    transport, _ = await ws_connect(Listener, url, ssl_context=context)
    await done
    transport.disconnect(graceful=False)


async def websockets_client(url, context, meter):
    from websockets.asyncio.client import connect

    async with connect(url, ssl=context, compression=None) as socket:
        async for text in socket:
            d = json.loads(text)["data"]
            if meter.row(d["s"], d["t"], d["p"], d["q"], d["T"], d["E"], d["m"]):
                meter.report()
                sys.stdout.flush()
                break
        socket.transport.abort()


def main():
    name, url, ca, messages = sys.argv[1:5]
    context = ssl.create_default_context(cafile=ca)
    ciphers = {c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.3"}
    assert ciphers == {"TLS_AES_128_GCM_SHA256"}, ciphers  # as ringtaped's
    if name == "picows":
        import uvloop

        uvloop.run(picows_client(url, context, Meter(int(messages))))
    else:
        asyncio.run(websockets_client(url, context, Meter(int(messages))))


if __name__ == "__main__":
    main()
