# SPDX-License-Identifier: GPL-3.0-or-later
"""A replayed store: a second recorder ends with an equal one, and what can go wrong does so in
order. Clients of others are in replay_clients_test.py."""

import concurrent.futures
import functools
import json
import signal
import ssl
import subprocess
import threading
import time
import urllib.error

import pytest
import replay_world as world
import support
from websockets.exceptions import ConnectionClosed
from websockets.sync import client

CAPTURES = support.REAL_DATA / "captures"


@pytest.fixture(scope="module")
def first(tmp_path_factory, certificates):
    store = world.shared(tmp_path_factory, certificates)
    for channel in world.STORED:
        assert world.rows(store, channel), f"{channel}: nothing to compare"
    return store


def again(tmp_path, store, certificates, *options, **config):
    """The store of a second recorder."""
    with world.Replay(store, "--hold", *options, certificates=certificates) as replay:
        second = world.record(tmp_path, "second", replay, **config)
        assert replay.terminate() == 0, replay.errors
    return second


def at_once(*calls):
    """They wait more than they work."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_a_second_recorder_ends_with_an_equal_store(tmp_path, certificates, first):
    def recorded(speed):
        (tmp_path / speed).mkdir()
        return again(tmp_path / speed, first, certificates, "--speed", speed)

    for second in at_once(lambda: recorded("1"), lambda: recorded("max")):
        world.assert_equal(first, second)


def captured_twice(folder, certificates, exchange, capture, streams):
    """Recordings of years ago: what is received now happened then."""
    folder.mkdir()
    with support.Simulator(
        f"--capture={exchange}:{CAPTURES / capture}", "--max", "--messages=2000",
        f"--begin-streams={streams}", "--no-limits", certificates=certificates,
    ) as simulator:  # fmt: skip
        one = world.record(folder, "one", simulator, keep_raw=True)
    return one, again(folder, one, certificates, "--speed", "max", keep_raw=True)


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no recordings; set RINGTAPE_REAL_DATA")
def test_recordings_with_every_message_kept_come_back_byte_by_byte(tmp_path, certificates):
    captures = [
        ("binance", "hbtplayground_spot_nexousdt_20240724.dat.gz", 3, {"trade", "quote", "depth"}),
        ("upbit", "cryptofeed_UPBIT-d78752.0.gz", 20, {"trade", "book"}),
    ]
    calls = [
        functools.partial(captured_twice, tmp_path / exchange, certificates, exchange, *capture)
        for exchange, *capture, _ in captures
    ]
    for (*_, channels), (one, other) in zip(captures, at_once(*calls)):
        stored = [channel for channel in world.STORED if world.rows(one, channel)]
        assert channels <= set(stored)
        world.assert_equal(one, other, stored)
        kept, again_kept = (
            [row for row in world.rows(store, "raw") if '"kept"' in row and "result" not in row]
            for store in (one, other)
        )
        assert len(kept) > 1500 and kept == again_kept


def lost(store):
    text = support.ringtape_any("coverage", "--store", store, "--channel", "trade", "--json")
    return sorted(
        (key["symbol"], hole["first"], hole["last"])
        for key in json.loads(text)["coverage"]
        for hole in key["holes"]
        if hole["state"] != "repaired"
    )


def test_holes_stay_holes(tmp_path, certificates):
    """What the first recorder lost, the second one cannot get either, and says so."""
    with support.Simulator(
        "--symbols=binance:3", "--rate=4500", "--messages=3000", "--begin-streams=3",
        "--faults=drop_all=0.1,seed=5",
    ) as simulator, support.Door(simulator, "binance", refused="rades") as door:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all", rest_url=door.url())
        config = tmp_path / "one.yaml"
        with support.Ringtaped(config, tmp_path / "one", [feed], "100ms") as daemon:
            simulator.event("ended", 60)
            daemon.settle(500)
            assert daemon.terminate() == 0, daemon.errors
    missing = lost(tmp_path / "one")
    assert missing, "nothing was lost: nothing to see"
    with world.Replay(
        tmp_path / "one", "--speed", "max", "--hold", certificates=certificates
    ) as replay:
        feed = support.feed(replay, "binance", ["trade"], "all")
        config = tmp_path / "other.yaml"
        with support.Ringtaped(config, tmp_path / "other", [feed], "100ms") as daemon:
            world.all_of(daemon, replay.event("ended", 60))
            daemon.wait_counters(lambda c: c["holes_open"] == 0, 60, "no open hole")
            assert daemon.terminate() == 0, daemon.errors
    ids = [json.loads(row)["id"] for row in world.rows(tmp_path / "one", "trade")]
    inside = [hole for hole in missing if hole[2] < max(ids)]
    assert inside and set(inside) <= set(lost(tmp_path / "other"))
    world.assert_equal(tmp_path / "one", tmp_path / "other", ["trade"])


# ---- clients ----


def connect(url, certificates, **options):
    """TLS 1.2: this client reads and writes on two threads, and Python's ssl has no lock between
    them. A session ticket, which TLS 1.3 sends behind the handshake, now and then meets the
    request, and the client waits for ever: 5 connections of 600 with this server, 5 of 600 with
    OpenSSL's. ringtaped, Node.js and picows speak TLS 1.3 here."""
    context = support.trust(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    options = {"open_timeout": 10, "close_timeout": 2, **options}
    return client.connect(url, ssl=context, **options)


def taken(replay, certificates, path, messages):
    """Everything a client gets until it is told to go."""
    with connect(replay.url("binance", path), certificates) as peer:
        try:
            while True:
                messages.append(json.loads(peer.recv(timeout=30)))
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1001, closed


def test_each_client_has_its_own_subscription(tmp_path, certificates, first):
    one, other, nothing = [], [], []
    with world.Replay(
        first, "--speed", "max", "--wait-clients", "2", certificates=certificates
    ) as replay:
        threads = [
            threading.Thread(target=taken, args=(replay, certificates, path, messages))
            for path, messages in [
                ("/stream?streams=btcusdt@trade/nosuch@trade", one),
                ("/ws/btcusdt@depth@100ms/ethusdt@bookTicker", other),
                ("/ws", nothing),
            ]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert replay.finish() == 0, replay.errors
    stored = [json.loads(row) for row in world.rows(first, "trade")]
    ids = sorted(row["id"] for row in stored if row["symbol"] == "binance:BTCUSDT")
    assert [message["data"]["t"] for message in one] == ids
    assert {message["stream"] for message in one} == {"btcusdt@trade"}
    assert {message.get("e", "bookTicker") for message in other} == {"depthUpdate", "bookTicker"}
    assert nothing == []


def test_who_reads_slowly_is_dropped_and_nobody_waits(tmp_path, certificates):
    program = support.ROOT / "zig-out" / "test" / "market_store"
    store = tmp_path / "store"
    subprocess.run([program, store, "day", "2026-11-20", "4", "60000", "60000"], check=True)
    names = sorted(
        entry["symbol"].split(":")[1].lower()
        for entry in json.loads(support.ringtape("ls", "--store", store, "--symbols", "--json"))
        if entry["symbol"].startswith("binance:")
    )
    path = "/stream?streams=" + "/".join(f"{name}@{c}" for name in names
                                         for c in ("trade", "bookTicker"))  # fmt: skip
    with world.Replay(
        store, "--speed", "max", "--wait-clients", "2", "--queue", "1", "--exchange", "binance",
        certificates=certificates,
    ) as replay:  # fmt: skip
        with connect(replay.url("binance", path), certificates, max_queue=1) as idle:
            messages = []
            taken(replay, certificates, path, messages)
            assert replay.finish() == 0, replay.errors
            ended = replay.event("ended")
            assert ended["overruns"] == 1
            assert any("a client was dropped" in line for line in replay.errors)
            assert len(messages) == ended["played"]
            with pytest.raises(ConnectionClosed):
                while True:
                    idle.recv(timeout=10)


# ---- REST ----


def test_rest_knows_what_was_played_and_nothing_later(certificates, first):
    with world.Replay(
        first, "--speed", "max", "--exchange", "binance", "--hold", certificates=certificates
    ) as replay:
        info, _ = replay.get("binance", "/api/v3/exchangeInfo")
        assert {s["symbol"] for s in info["symbols"]} == {"BTCUSDT", "ETHUSDT", "XRPUSDT"}
        assert all(s["filters"] for s in info["symbols"]), "as it was recorded"
        page, _ = replay.get("binance", "/api/v3/historicalTrades?symbol=BTCUSDT&limit=10")
        assert page == [], "nothing was played yet"
        url = replay.url("binance", "/ws/btcusdt@trade/btcusdt@depth")
        with connect(url, certificates) as peer:
            messages = []
            waiting = True
            while waiting:
                try:
                    messages.append(json.loads(peer.recv(timeout=1)))
                except TimeoutError:
                    waiting = not replay.events("ended")
        trades = [message for message in messages if message["e"] == "trade"]
        middle = trades[len(trades) // 2]["t"]
        path = f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={middle}&limit=10"
        page, _ = replay.get("binance", path, {"X-MBX-TIME-UNIT": "microsecond"})
        assert [trade["id"] for trade in page] == list(range(middle, middle + 10))
        assert page[0]["price"] == trades[len(trades) // 2]["p"]
        recent, _ = replay.get("binance", "/api/v3/trades?symbol=BTCUSDT&limit=5")
        assert [trade["id"] for trade in recent] == [trade["t"] for trade in trades[-5:]]
        day, _ = replay.get("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT")
        assert day["lastId"] == trades[-1]["t"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            replay.get("binance", "/api/v3/trades?symbol=NOSUCH")
        assert json.loads(refused.value.read())["code"] == -1121
        book = followed(messages, replay)
        made, _ = replay.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000")
        assert made == book, "the book as of the clock, made of snapshot and messages"


def followed(messages, replay):
    """A client's own book: the recorded snapshot it is given once, and the messages behind."""
    snapshot, _ = replay.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000")
    sides = {"b": dict(map(tuple, snapshot["bids"])), "a": dict(map(tuple, snapshot["asks"]))}
    last = snapshot["lastUpdateId"]
    for message in messages:
        if message["e"] != "depthUpdate" or message["u"] <= last:
            continue
        assert message["U"] <= last + 1
        last = message["u"]
        for side, levels in sides.items():
            for price, quantity in message[side]:
                levels.pop(price, None)
                if float(quantity) != 0:
                    levels[price] = quantity
    assert last > snapshot["lastUpdateId"], "no message behind the snapshot: nothing to see"

    def sort(levels, down):
        return sorted(map(list, levels.items()), key=lambda pair: float(pair[0]), reverse=down)

    return {"lastUpdateId": last, "bids": sort(sides["b"], True), "asks": sort(sides["a"], False)}


# ---- edges ----


def test_lines_to_a_pipe_are_messages_in_order(first):
    text = support.ringtape("replay", "--store", first, "--frames", "--speed", "max")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["time_ns"] for line in lines] == sorted(line["time_ns"] for line in lines)
    streams = {line["stream"].split("@")[1] for line in lines}
    assert streams == {"trade", "aggTrade", "bookTicker", "depth", "ticker", "kline_1m",
                       "orderbook"}  # fmt: skip
    trades = [line for line in lines if line["stream"].endswith("@trade")]
    assert len(trades) == len(world.rows(first, "trade"))
    one = support.ringtape("replay", "--store", first, "--frames", "--speed", "max", "--exchange",
                           "binance", "--symbols", "ETHUSDT", "--channels", "trade")  # fmt: skip
    assert {json.loads(line)["stream"] for line in one.splitlines()} == {"ethusdt@trade"}


def test_a_range_without_data_is_said_and_no_mistake(certificates, first):
    with world.Replay(
        first, "--from", "2031-01-01", "--wait-clients", "0", "--exchange", "binance",
        certificates=certificates,
    ) as replay:  # fmt: skip
        assert replay.finish() == 0
    assert any("nothing of these channels" in line for line in replay.errors), replay.errors
    assert replay.event("ended")["played"] == 0


def test_ctrl_c_says_goodbye(certificates, first):
    with world.Replay(first, "--speed", "0.001", certificates=certificates) as replay:
        with connect(replay.url("binance", "/ws/btcusdt@bookTicker"), certificates) as peer:
            replay.event("begun")
            replay.child.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    peer.recv(timeout=20)
            assert closed.value.rcvd.code == 1001
        assert replay.finish() == 0, replay.errors


def test_damage_is_told_and_passed_over(tmp_path, first):
    store = tmp_path / "store"
    subprocess.run(["cp", "-r", first, store], check=True)
    (segment,) = store.glob("segment/*/quote-*.segment")
    with open(segment, "r+b") as file:
        file.seek(segment.stat().st_size // 3)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0x55]))
    command = [support.program("ringtape"), "replay", "--store", store, "--frames"]
    done = subprocess.run([*command, "--speed", "max"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "damaged: segment/" in done.stderr and "left out" in done.stderr
    assert done.stderr.count("left out") == 1, "once, though several slices meet it"
    assert 5000 < len(done.stdout.splitlines()) < 9000


def test_a_store_that_is_being_recorded(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:2", "--rate=500", "--seconds=60", "--begin-streams=2",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        store = tmp_path / "store"
        with support.Ringtaped(tmp_path / "config.yaml", store, [feed]) as daemon:
            durable = daemon.wait_counters(lambda c: c["durable"] >= 700)["durable"]
            text = support.ringtape("replay", "--store", store, "--frames", "--speed", "max")
            assert daemon.alive()
    ids = {}
    for line in map(json.loads, text.splitlines()):
        ids.setdefault(line["stream"], []).append(line["data"]["t"])
    assert sum(map(len, ids.values())) >= durable - 100, "but for status rows"
    for stream, found in ids.items():
        assert found == list(range(found[0], found[0] + len(found))), stream


def test_a_lap_follows_a_lap(certificates, first):
    lap = sum('"binance:BTCUSDT"' in row for row in world.rows(first, "trade"))
    with world.Replay(
        first, "--speed", "max", "--loop", "--exchange", "binance", certificates=certificates
    ) as replay:
        url = replay.url("binance", "/ws/btcusdt@trade")
        # It leaves with messages unread, behind which the server's farewell waits.
        with connect(url, certificates, close_timeout=0.1) as peer:
            ids = [json.loads(peer.recv(timeout=20))["t"] for _ in range(lap + 50)]
        assert replay.terminate() == 0
    assert ids[:lap] == list(range(ids[0], ids[0] + lap)) and ids[lap : lap + 50] == ids[:50]


def test_the_speed_is_that_of_the_recording(certificates, first):
    """Not faster than asked; slower is the machine's affair."""
    with world.Replay(
        first, "--speed", "1", "--exchange", "binance", certificates=certificates
    ) as replay:
        with connect(replay.url("binance", "/ws/btcusdt@bookTicker"), certificates) as peer:
            peer.recv(timeout=20)
            begin = time.monotonic()
            with pytest.raises(ConnectionClosed):
                while True:
                    peer.recv(timeout=20)
        assert time.monotonic() - begin > 0.8, "1 s of recording"


@pytest.mark.parametrize(
    "options, said",
    [
        (["--speed", "fast"], "--speed 'fast': a number above 0"),
        (["--speed", "0"], "--speed '0': a number above 0"),
        (["--listen", "nowhere"], "--listen 'nowhere': an IPv4 address is expected"),
        (["--exchange", "kraken"], "--exchange 'kraken': binance, binance-usdm or upbit"),
        (["--frames", "--kafka", "localhost:1"], "--frames '': not together with --kafka"),
        (["--channels", "trades"], "no such channel"),
        (["--channels", "candle"], "--channels 'candle': no messages of it"),
        (["--symbols", ""], "--symbols is empty"),
    ],
)
def test_mistakes_are_told_with_the_remedy(options, said):
    command = [support.program("ringtape"), "replay", "--store", "/nowhere", "--plain", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and said in done.stderr, done.stderr


@pytest.mark.parametrize("how", [["--frames"], ["--plain"], ["--kafka", "localhost:1"]])
def test_a_store_that_is_not_there_is_told(how):
    command = [support.program("ringtape"), "replay", "--store", "/nowhere", *how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 74 and "/nowhere/identity: no store here" in done.stderr, done


def test_what_is_not_there_to_be_played_is_told(first):
    def said(*options):
        command = [support.program("ringtape"), "replay", "--store", first, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    pipe = ("--frames", "--speed", "max")
    code, out, words = said(*pipe, "--symbols", "binance:btcusdt")
    assert (code, out) == (0, "") and "nothing of 'binance:btcusdt'" in words
    code, out, words = said(*pipe, "--from", "2031-01-01")
    assert (code, out) == (0, "") and "nothing of these channels, symbols and times" in words
    code, _, words = said("--plain", "--listen", "127.0.0.1:65535")
    assert code == 74 and "behind port 65535 there is none for" in words


def test_a_broker_that_does_not_answer_is_told(first):
    command = [support.program("ringtape"), "replay", "--store", first, "--kafka", "localhost:1"]
    with support.Process([*command, "--speed", "max"]) as child:
        support.wait_for(lambda: any("acknowledged nothing" in e for e in child.errors), 40)
        assert child.terminate() == 0


def test_without_tls_it_must_be_said():
    command = [support.program("ringtape"), "replay", "--store", "/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and "give --certificate and --key, or --plain" in done.stderr
