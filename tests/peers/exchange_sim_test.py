# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange-sim, looked at by independent clients: does it speak as the exchanges do."""

import asyncio
import json
import time
from collections import defaultdict
from decimal import Decimal

import pytest
import support
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

LOCAL = {"compression": None, "max_size": None, "max_queue": None}


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def client(simulator, exchange, path, **options):
    if simulator.certificates is not None:
        options["ssl"] = support.trust(simulator.certificates)
    return connect(simulator.url(exchange, path), **LOCAL, **options)


async def ask(socket, request, until):
    await socket.send(json.dumps(request))
    while True:
        reply = json.loads(await socket.recv())
        if until(reply):
            return reply


async def control(socket, method, params=None, number=1):
    request = {"method": method, "id": number}
    if params is not None:
        request["params"] = params
    return await ask(socket, request, lambda r: r.get("id", "-") == number)


async def drain(socket, messages):
    try:
        while True:
            messages.append(await socket.recv())
    except ConnectionClosed:
        return socket.close_code


@pytest.fixture
def market():
    with support.Simulator(
        "--symbols=binance:20", "--symbols=upbit:20", "--symbols=binance-usdm:5", "--rate=2000"
    ) as simulator:
        yield simulator


def test_everything_sent_arrives_as_the_truth_says(tmp_path, certificates):
    truth = tmp_path / "truth"
    with support.Simulator(
        "--symbols=binance:30",
        "--symbols=upbit:20",
        "--rate=20000",
        "--messages=40000",
        "--begin-streams=180",
        "--at-end=exit",
        f"--truth={truth}",
        certificates=certificates,
    ) as simulator:
        names = [
            s["symbol"] for s in simulator.get("binance", "/api/v3/exchangeInfo")[0]["symbols"]
        ]
        codes = [m["market"] for m in simulator.get("upbit", "/v1/market/all")[0]]
        streams = [
            f"{n.lower()}@{c}"
            for n in names
            for c in ("trade", "bookTicker", "depth@100ms", "ticker")
        ]

        async def record():
            binance, upbit = [], []
            path = "/stream?streams=" + "/".join(streams) + "&timeUnit=MICROSECOND"
            async with client(simulator, "binance", path) as one, client(
                simulator, "upbit", "/websocket/v1"
            ) as two:
                types = [
                    {"type": t, "codes": codes, "is_only_realtime": True}
                    for t in ("trade", "orderbook", "ticker")
                ]
                await two.send(json.dumps([{"ticket": "t"}, *types, {"format": "SIMPLE"}]))
                await asyncio.gather(drain(one, binance), drain(two, upbit))
            return binance, upbit

        binance, upbit = run(record())
        assert simulator.finish() == 0
        ended = simulator.event("ended")
    expected = defaultdict(list)
    for _, exchange, stream, payload in support.read_truth(truth):
        expected[exchange].append((stream, payload))
    assert ended["sent"] == 40000 == sum(len(v) for v in expected.values())
    wrapped = [
        f'{{"stream":"{s.replace("@depth", "@depth@100ms")}","data":{p}}}'
        for s, p in expected["binance"]
    ]
    assert binance == wrapped
    assert all(isinstance(m, bytes) for m in upbit), "Upbit sends binary frames"
    assert [m.decode() for m in upbit] == [p for _, p in expected["upbit"]]


def test_the_market_is_consistent(tmp_path):
    """Ids without gaps; a book by Binance's rule equals a later snapshot."""
    with support.Simulator(
        "--symbols=binance:3", "--rate=5000", "--messages=20000", "--begin-streams=3"
    ) as simulator:

        async def record():
            messages = []
            async with client(
                simulator,
                "binance",
                "/stream?streams=btcusdt@depth/btcusdt@trade/btcusdt@bookTicker",
            ) as s:
                messages += [json.loads(await s.recv()) for _ in range(1000)]
                first = simulator.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000")[0]
                messages += [json.loads(await s.recv()) for _ in range(19000)]
                last = simulator.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000")[0]
            return messages, first, last

        messages, first, last = run(record())
    trades = [m["data"]["t"] for m in messages if m["stream"] == "btcusdt@trade"]
    assert trades == list(range(trades[0], trades[0] + len(trades)))
    depths = [m["data"] for m in messages if m["stream"] == "btcusdt@depth"]
    assert all(a["u"] + 1 == b["U"] for a, b in zip(depths, depths[1:]))
    book = {side: {Decimal(p): Decimal(q) for p, q in first[side]} for side in ("bids", "asks")}
    for depth in depths:
        if depth["u"] <= first["lastUpdateId"]:
            continue
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, quantity in depth[key]:
                book[side].pop(Decimal(price), None)
                if Decimal(quantity) != 0:
                    book[side][Decimal(price)] = Decimal(quantity)
        if depth["u"] >= last["lastUpdateId"]:
            break
    if depths[-1]["u"] == last["lastUpdateId"]:
        for side in ("bids", "asks"):
            assert book[side] == {Decimal(p): Decimal(q) for p, q in last[side]}


def test_statistics_are_those_of_the_recordings():
    with support.Simulator("--symbols=binance:5", "--rate=4000", "--messages=12000") as simulator:

        async def record():
            path = "/stream?streams=btcusdt@trade/btcusdt@bookTicker&timeUnit=MICROSECOND"
            async with client(simulator, "binance", path) as s:
                return [json.loads(await s.recv())["data"] for _ in range(12000)]

        messages = run(record())
    trades = [m for m in messages if "t" in m]
    quotes = [m for m in messages if "B" in m and "A" in m]
    shared = sum(a["T"] == b["T"] for a, b in zip(trades, trades[1:])) / len(trades)
    narrow = sum(Decimal(q["a"]) - Decimal(q["b"]) == Decimal("0.01") for q in quotes) / len(quotes)
    assert 0.62 <= shared <= 0.78
    assert narrow > 0.8
    assert 2 < len(quotes) / len(trades) < 5


def test_binance_control_requests(market):
    async def talk():
        async with client(market, "binance", "/ws?timeUnit=microsecond") as s:
            assert await control(s, "SUBSCRIBE", ["btcusdt@trade", "ethusdt@bookTicker"], 7) == {
                "result": None,
                "id": 7,
            }
            reply = await control(s, "LIST_SUBSCRIPTIONS", number="abc")
            assert reply == {"result": ["btcusdt@trade", "ethusdt@bookTicker"], "id": "abc"}
            assert (await control(s, "GET_PROPERTY", ["combined"], 8))["result"] is False
            message = json.loads(await s.recv())
            assert "stream" not in message
        async with client(market, "binance", "/ws/btcusdt@trade") as s:
            trade = json.loads(await s.recv())
            assert list(trade) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
            assert 10**12 < trade["E"] < 10**13, "milliseconds unless asked otherwise"
            assert await control(s, "SET_PROPERTY", ["combined", True], 9) == {
                "result": None,
                "id": 9,
            }
            assert json.loads(await s.recv())["stream"] == "btcusdt@trade"
            assert (await control(s, "SET_PROPERTY", ["combined", 5], 10))["code"] == 1
            assert (await control(s, "GET_PROPERTY", ["speed"], 11))["code"] == 0
        async with client(market, "binance", "/ws") as s:
            assert (await control(s, "DANCE", [], 12))["code"] == 2
            await s.send("{nonsense")
            assert json.loads(await s.recv())["code"] == 3
            await control(s, "SUBSCRIBE", ["BTCUSDT@trade"], 13)
            await control(s, "UNSUBSCRIBE", ["btcusdt@trade"], 14)
            assert (await control(s, "LIST_SUBSCRIPTIONS", number=15))["result"] == []

    run(talk())


def test_urls_may_be_encoded_and_unknown_paths_are_refused(market):
    async def talk():
        async with client(
            market, "binance", "/stream?streams=btcusdt%40trade%2Fethusdt%40trade"
        ) as s:
            assert json.loads(await s.recv())["stream"] in ("btcusdt@trade", "ethusdt@trade")
        with pytest.raises(InvalidStatus):
            async with client(market, "binance", "/nowhere"):
                pass

    run(talk())


def test_binance_limits(market):
    async def talk():
        async with client(market, "binance", "/ws") as s:
            for number in range(7):
                await s.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            assert await drain(s, []) == 1008
        async with client(market, "binance", "/ws") as s:
            many = [f"x{i}usdt@trade" for i in range(1025)]
            assert (await control(s, "SUBSCRIBE", many))["code"] == 2
            assert (await control(s, "SUBSCRIBE", many[:1024], 2))["result"] is None
            assert len((await control(s, "LIST_SUBSCRIPTIONS", number=3))["result"]) == 1024

    run(talk())


def test_binance_pings_and_wants_pongs():
    with support.Simulator(
        "--symbols=binance:2", "--rate=100", "--ping-seconds=0.3", "--pong-seconds=1"
    ) as simulator:

        async def silent():
            reader, writer = await asyncio.open_connection("localhost", simulator.ports["binance"])
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            started = time.monotonic()
            data = await reader.read()
            writer.close()
            return data, time.monotonic() - started

        async def answering():
            async with client(simulator, "binance", "/ws/btcusdt@trade", ping_interval=None) as s:
                end = time.monotonic() + 2.5
                while time.monotonic() < end:
                    await s.recv()

        data, seconds = run(silent())
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data
        assert data.count(b"\x89\x0d") >= 2, "pings with 13 digits of milliseconds"
        assert 0.9 < seconds < 3
        run(answering())
        assert simulator.terminate() == 0
        assert simulator.event("ended")["pongs"] >= 4


def test_server_shutdown_is_announced():
    with support.Simulator("--symbols=binance:2", "--rate=10", "--life-seconds=2") as simulator:

        async def talk():
            messages = []
            async with client(simulator, "binance", "/stream?streams=btcusdt@trade") as s:
                code = await drain(s, messages)
            return code, [json.loads(m) for m in messages]

        code, messages = run(talk())
    assert code == 1000
    told = [m for m in messages if m["stream"] == "!serverShutdown"]
    assert len(told) == 1 and told[0]["data"]["e"] == "serverShutdown"


def test_upbit_formats(market):
    async def first(format_name, kind="orderbook", code="KRW-BTC"):
        request = [{"ticket": "t"}, {"type": kind, "codes": [code], "isOnlyRealtime": True}]
        if format_name:
            request.append({"format": format_name})
        async with client(market, "upbit", "/websocket/v1") as s:
            await s.send(json.dumps(request))
            message = await s.recv()
            assert isinstance(message, bytes)
            return json.loads(message)

    async def talk():
        default = await first(None)
        assert default["type"] == "orderbook" and default["code"] == "KRW-BTC"
        assert set(default["orderbook_units"][0]) == {
            "ask_price",
            "bid_price",
            "ask_size",
            "bid_size",
        }
        assert len(default["orderbook_units"]) == 30
        simple = await first("SIMPLE", code="KRW-BTC.5")
        assert simple["ty"] == "orderbook" and len(simple["obu"]) == 5
        assert (await first("SIMPLE_LIST"))[0]["ty"] == "orderbook"
        await asyncio.sleep(1)
        assert (await first("JSON_LIST"))[0]["type"] == "orderbook"
        trade = await first("SIMPLE", "trade")
        assert list(trade) == [
            "ty",
            "cd",
            "tms",
            "td",
            "ttm",
            "ttms",
            "tp",
            "tv",
            "ab",
            "pcp",
            "c",
            "cp",
            "sid",
            "bap",
            "bas",
            "bbp",
            "bbs",
            "st",
        ]

    run(talk())


def test_upbit_snapshot_then_stream_and_replacement(market):
    async def talk():
        async with client(market, "upbit", "/websocket/v1") as s:
            await s.send(json.dumps([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC"]}]))
            assert json.loads(await s.recv())["stream_type"] == "SNAPSHOT"
            assert json.loads(await s.recv())["stream_type"] == "REALTIME"
            await s.send(
                json.dumps([{"ticket": "t"}, {"type": "trade", "codes": ["KRW-ETH", "KRW-BTC"]}])
            )
            listing = await ask(
                s, [{"ticket": "l"}, {"method": "LIST_SUBSCRIPTIONS"}], lambda r: "method" in r
            )
            assert listing == {
                "method": "LIST_SUBSCRIPTIONS",
                "ticket": "l",
                "result": [{"type": "trade", "codes": ["KRW-ETH", "KRW-BTC"]}],
            }
            await s.send("PING")
            while json.loads(await s.recv()) != {"status": "UP"}:
                pass

    run(talk())


def test_upbit_errors_and_limits(market):
    async def error(text):
        async with client(market, "upbit", "/websocket/v1") as s:
            await s.send(text)
            return json.loads(await s.recv())["error"]["name"]

    async def talk():
        assert await error("{") == "WRONG_FORMAT"
        assert await error('[{"type":"trade","codes":["KRW-BTC"]}]') == "NO_TICKET"
        assert await error('[{"ticket":"a"}]') == "NO_TYPE"
        assert await error('[{"ticket":"a"},{"type":"trade","codes":[]}]') == "NO_CODES"
        await asyncio.sleep(1)
        assert (
            await error('[{"ticket":"a"},{"type":"gossip","codes":["KRW-BTC"]}]') == "INVALID_PARAM"
        )
        async with client(market, "upbit", "/websocket/v1") as s:
            for _ in range(7):
                await s.send("PING")
            assert await drain(s, []) == 1008
        async with client(market, "upbit", "/websocket/v1", origin="http://a"):
            pass
        with pytest.raises(InvalidStatus) as refused:
            async with client(market, "upbit", "/websocket/v1", origin="http://a"):
                pass
        assert refused.value.response.status_code == 429

    run(talk())


def test_rest(market):
    info, headers = market.get("binance", "/api/v3/exchangeInfo")
    assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert [f["filterType"] for f in info["symbols"][0]["filters"]] == ["PRICE_FILTER", "LOT_SIZE"]
    depth, headers = market.get("binance", "/api/v3/depth?symbol=ETHUSDT&limit=1000")
    assert headers["X-MBX-USED-WEIGHT-1M"] == "70" and len(depth["bids"]) == 32
    assert market.get("binance-usdm", "/fapi/v1/depth?symbol=ETHUSDT")[0]["E"] > 10**12
    day = market.get("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT")[0]
    assert {"symbol", "firstId", "lastId", "count"} <= set(day)
    markets = market.get("upbit", "/v1/market/all?is_details=true")[0]
    assert markets[0]["market"] == "KRW-BTC" and "market_event" in markets[0]
    with pytest.raises(Exception, match="429"):
        for _ in range(100):
            market.get("binance", "/api/v3/ticker/24hr")
    for path, code in (("/api/v3/depth?symbol=NONE", "400"), ("/api/v3/nothing", "404")):
        with pytest.raises(Exception, match=code):
            market.get(
                "upbit" if code == "404" else "binance-usdm", path.replace("api/v3", "fapi/v1")
            )


def test_a_slow_client_delays_but_loses_nothing(tmp_path):
    with support.Simulator(
        "--symbols=binance:2", "--max", "--messages=200000", "--at-end=close", "--pack"
    ) as simulator:

        async def record():
            async with client(simulator, "binance", "/ws/btcusdt@trade") as s:
                await asyncio.sleep(1)
                messages = []
                await drain(s, messages)
                return messages

        ids = [json.loads(m)["t"] for m in run(record())]
        blocked = simulator.event("ended")["blocked"]
    assert ids == list(range(ids[0], ids[0] + 200000))
    assert blocked > 0


@pytest.mark.parametrize("pack", [False, True])
def test_recordings_are_sent_byte_for_byte(tmp_path, pack):
    if support.recordings() is None:
        pytest.skip("no recordings; set RINGTAPE_REAL_DATA")
    path = support.REAL_DATA / "captures" / "cryptofeed_BINANCE.ws.1.0.gz"
    import gzip

    lines = [l.split(": ", 1)[1].strip() for l in gzip.open(path, "rt") if ': {"stream"' in l]
    streams = sorted({json.loads(l)["stream"] for l in lines})
    with support.Simulator(
        f"--capture=binance:{path}",
        "--max",
        "--at-end=close",
        f"--begin-streams={len(streams)}",
        *(["--pack"] if pack else []),
    ) as simulator:

        async def record():
            messages = []
            async with client(simulator, "binance", "/stream?streams=" + "/".join(streams)) as s:
                await drain(s, messages)
            return messages

        assert run(record()) == lines


def test_laps_move_on_ids_and_times():
    if support.recordings() is None:
        pytest.skip("no recordings; set RINGTAPE_REAL_DATA")
    path = support.REAL_DATA / "captures" / "hftbacktest_spot_btcusdt_20240808.gz"
    with support.Simulator(
        f"--capture=binance:{path}", "--only=trade", "--laps=3", "--max", "--at-end=close"
    ) as simulator:

        async def record():
            messages = []
            async with client(simulator, "binance", "/ws/btcusdt@trade") as s:
                await drain(s, messages)
            return [json.loads(m) for m in messages]

        trades = run(record())
    assert [t["t"] for t in trades] == list(range(3735683259, 3735683259 + len(trades)))
    lap = len(trades) // 3
    assert trades[lap]["p"] == trades[0]["p"] and trades[lap]["T"] > trades[lap - 1]["T"]
    assert len({trades[i + lap]["E"] - trades[i]["E"] for i in range(2 * lap)}) == 1
