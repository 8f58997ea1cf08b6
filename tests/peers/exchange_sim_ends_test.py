# SPDX-License-Identifier: GPL-3.0-or-later
"""How exchange-sim's connections end, fall silent or slow down where faults are asked for."""

import asyncio
import json
import time

import pytest
import support
from exchange_sim_world import LOCAL, Raw, World, ask, raw_world
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def test_fin_comes_without_a_close_frame(tmp_path):
    raw, world = raw_world(tmp_path, "fin=0.5")
    assert raw.end == "FIN" and 8 not in [f[1] for f in raw.frames]
    assert world.told("fin")[0]["streams"] == 2
    assert world.told("closed")[0]["by"] == "fault"


def test_reset(tmp_path):
    raw, world = raw_world(tmp_path, "reset=0.5")
    assert raw.end == "RST" and 8 not in [f[1] for f in raw.frames]
    assert world.told("reset") and world.told("closed")[0]["by"] == "fault"


def test_close_is_proper(tmp_path):
    raw, _ = raw_world(tmp_path, "close=0.5")
    assert raw.end == "FIN" and raw.rest == b""
    assert raw.frames[-1][1] == 8 and raw.frames[-1][2][:2] == (1001).to_bytes(2, "big")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cut_is_in_the_middle(tmp_path, seed):
    raw, world = raw_world(tmp_path, f"cut=0.5,seed={seed}")
    assert raw.end in ("FIN", "RST") and raw.rest != b"", "a frame has begun"
    assert world.told("cut")


def test_cut_of_a_tls_record(tmp_path, certificates):
    world = World(tmp_path, "cut=0.5", symbols=2, seconds=20)
    with support.Simulator(*world.arguments, certificates=certificates) as simulator:

        async def talk():
            url = simulator.url("binance", "/ws/btcusdt@trade")
            async with connect(url, **LOCAL, ssl=support.trust(certificates)) as s:
                with pytest.raises(ConnectionClosed):
                    while True:
                        await s.recv()
                return s.close_code

        assert asyncio.run(asyncio.wait_for(talk(), 30)) == 1006


def silent(tmp_path, kind):
    """When it began, frames until then and behind it; the client pings, too."""
    world = World(tmp_path, f"{kind}=0.5", "--ping-seconds=0.2", symbols=2, seconds=20)
    with support.Simulator(*world.arguments) as simulator:
        raw = Raw(simulator, "/ws/btcusdt@trade/btcusdt@depth")
        raw.listen(time.time() + 2.5)
        raw.ping()
        raw.listen(time.time() + 1)
        simulator.terminate()
    world.log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    assert raw.end is None, "the connection stays open"
    begun = world.told(kind)[0]["time_ns"] / 1e9
    behind = [f[1] for f in raw.frames if f[0] > begun + 0.3]
    return world, behind, [f[1] for f in raw.frames if f[0] <= begun + 0.3]


def test_mute_says_nothing_at_all(tmp_path):
    _, behind, before = silent(tmp_path, "mute")
    assert 1 in before and behind == []


def test_deaf_goes_on_pinging(tmp_path):
    world, behind, before = silent(tmp_path, "deaf")
    assert 1 in before and set(behind) == {9, 10} and behind.count(9) >= 5
    lost = [f for f in world.told("lost") if f["stream"] == "btcusdt@trade"]
    assert lost[-1]["next_ns"] == 0 and lost[-1]["count"] > 100


def test_slow_loses_nothing(tmp_path):
    world = World(tmp_path, "slow=0.8", "--rate=8000", symbols=2, seconds=6)
    world.run(lambda number: world.listen(number, ("trade", "depth", "bookTicker")), links=1)
    assert world.told("slow")
    for stream, ids in world.got(1).items():
        assert ids == [e["t"] for _, e in world.truth[stream]]
    late = [
        at - m["data"]["E"] / 1e6 for at, m in world.received[1] if m["stream"].endswith("@trade")
    ]
    assert max(late) > 0.3, "some came late"


def test_server_shutdown_and_the_day(tmp_path):
    raw, _ = raw_world(tmp_path, "shutdown=0.5")
    told = [f for f in raw.frames if b"serverShutdown" in f[2]]
    assert len(told) == 1 and raw.frames[-1][1] == 8
    assert raw.frames[-1][0] - told[0][0] <= 10.5
    start = time.time()
    raw, world = raw_world(tmp_path, "stamp=1000", "--day-seconds=3")
    assert 2.6 < time.time() - start < 4.5
    assert raw.frames[-1][1] == 8 and world.told("closed")[0]["by"] == "life"


def test_an_outage_cuts_everybody_and_lets_nobody_in(tmp_path):
    world = World(tmp_path, "outage=1,seed=5", symbols=2, seconds=8)
    with support.Simulator(*world.arguments) as simulator:
        raws = [Raw(simulator, "/ws/btcusdt@trade") for _ in range(2)]
        ends = [raw.listen().end for raw in raws]
        refused = 0
        end = time.time() + 6
        while time.time() < end:
            try:
                if ask(simulator, "binance", "/api/v3/ping")[0] == 200 and refused:
                    break
            except OSError:
                refused += 1
            time.sleep(0.02)
        simulator.terminate()
    assert set(ends) <= {"FIN", "RST"} and refused > 0


@pytest.mark.parametrize("pace", ["--rate=30000", "--max"])
def test_a_paused_client_is_dropped_alone(pace):
    with support.Simulator(
        "--symbols=binance:2",
        pace,
        "--messages=200000",
        "--at-end=close",
        "--begin-streams=2",
        "--backlog=2000000",
        "--pack",
    ) as simulator:

        async def record():
            url = simulator.url("binance", "/ws/btcusdt@trade")
            sleeper = Raw(simulator, "/ws/btcusdt@trade")
            async with connect(url, **LOCAL) as s:
                ids = []
                try:
                    while True:
                        ids.append(json.loads(await s.recv())["t"])
                except ConnectionClosed:
                    pass
            sleeper.socket.close()
            return ids

        ids = asyncio.run(asyncio.wait_for(record(), 60))
        ended = simulator.event("ended")
    assert ids == list(range(ids[0], ids[0] + 200000)), "the other one gets everything"
    assert ended["overruns"] == 1
    if pace == "--max":
        return
    assert ended["late_us_max"] < 1000000 and ended["blocked"] == 0
