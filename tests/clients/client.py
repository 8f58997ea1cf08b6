# SPDX-License-Identifier: GPL-3.0-or-later
"""One client library, told where the exchange is and nothing else.

    client.py cryptofeed|python-binance|ccxt|ccxt-upbit TRADES

Prints a JSON line for each trade of BTCUSDT (KRW-BTC) and for each state of the book, until so many
trades have come. PORTS: the ports of the exchanges, as JSON."""

import asyncio
import json
import os
import sys

PORTS = json.loads(os.environ["PORTS"])
HOST = f"localhost:{PORTS['binance']}"


def tell(kind, **told):
    print(json.dumps({"kind": kind, **{key: str(value) for key, value in told.items()}}))


def cryptofeed(wanted):
    from cryptofeed import FeedHandler
    from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
    from cryptofeed.defines import L2_BOOK, TRADES
    from cryptofeed.exchanges import Binance

    Binance.websocket_endpoints = [WebsocketEndpoint(f"wss://{HOST}")]
    routes = Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")
    Binance.rest_endpoints = [RestEndpoint(f"https://{HOST}", routes=routes)]
    count = 0
    handler = FeedHandler(config={"log": {"filename": os.devnull, "level": "WARNING"}})

    async def trade(got, _receipt):
        nonlocal count
        tell("trade", id=got.id, price=got.price, quantity=got.amount, side=got.side)
        count += 1
        if count >= wanted:
            sys.stdout.flush()
            os._exit(0)

    async def book(got, _receipt):
        tell("book", bid=got.book.bids.index(0)[0], ask=got.book.asks.index(0)[0])

    handler.add_feed(Binance(symbols=["BTC-USDT"], channels=[TRADES, L2_BOOK],
                             callbacks={TRADES: trade, L2_BOOK: book}))  # fmt: skip
    handler.run()


async def python_binance(wanted):
    from binance import AsyncClient, BinanceSocketManager

    AsyncClient.API_URL = f"https://{HOST}/api"
    BinanceSocketManager.STREAM_URL = f"wss://{HOST}/"
    client = await AsyncClient.create()
    await client.get_exchange_info()
    sockets = BinanceSocketManager(client)
    count = 0
    async with sockets.multiplex_socket(["btcusdt@trade", "btcusdt@bookTicker"]) as stream:
        while count < wanted:
            data = (await stream.recv())["data"]
            if data.get("e") == "trade":
                side = "sell" if data["m"] else "buy"
                tell("trade", id=data["t"], price=data["p"], quantity=data["q"], side=side)
                count += 1
            else:
                tell("book", bid=data["b"], ask=data["a"])
    await client.close_connection()


async def ccxt_binance(wanted):
    import ccxt.pro

    exchange = ccxt.pro.binance({"options": {"fetchMarkets": {"types": ["spot"]},
                                             "watchTrades": {"name": "trade"}}})  # fmt: skip
    exchange.options["fetchMargins"] = False
    exchange.urls["api"]["public"] = f"https://{HOST}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"wss://{HOST}/ws"
    exchange.cafile = os.environ["SSL_CERT_FILE"]
    count = 0

    async def books():
        while True:
            book = await exchange.watch_order_book("BTC/USDT")
            tell("book", bid=book["bids"][0][0], ask=book["asks"][0][0])

    await exchange.load_markets()
    task = asyncio.ensure_future(books())
    seen = set()
    while count < wanted:
        for trade in await exchange.watch_trades("BTC/USDT"):
            if trade["id"] in seen:
                continue
            seen.add(trade["id"])
            count += 1
            tell("trade", id=trade["id"], price=trade["price"], quantity=trade["amount"],
                 side=trade["side"])  # fmt: skip
    task.cancel()
    await exchange.close()


async def ccxt_upbit(wanted):
    import ccxt.pro

    exchange = ccxt.pro.upbit()
    host = f"localhost:{PORTS['upbit']}"
    exchange.urls["api"]["public"] = f"https://{host}"
    exchange.urls["api"]["ws"] = f"wss://{host}/websocket/v1"
    exchange.cafile = os.environ["SSL_CERT_FILE"]
    seen = set()
    await exchange.load_markets()
    while len(seen) < wanted:
        for trade in await exchange.watch_trades("BTC/KRW"):
            if trade["id"] in seen:
                continue
            seen.add(trade["id"])
            tell("trade", id=trade["id"], price=trade["price"], quantity=trade["amount"],
                 side=trade["side"])  # fmt: skip
    await exchange.close()


if __name__ == "__main__":
    number = int(sys.argv[2])
    if sys.argv[1] == "cryptofeed":
        cryptofeed(number)
    else:
        asyncio.run({"python-binance": python_binance, "ccxt": ccxt_binance,
                     "ccxt-upbit": ccxt_upbit}[sys.argv[1]](number))  # fmt: skip
