# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange-sim's faults, one kind after another, as independent clients see them; and its truth and
log of faults: together they account for every event that arrived, arrived twice or not at all."""

import asyncio
import json
import subprocess
import time
from collections import Counter, defaultdict
from decimal import Decimal

import pytest
import support
from exchange_sim_world import LOCAL, Raw, World, as_book, ask, fold
from websockets.asyncio.client import connect


def of_streams(lines, channel="trade"):
    found = defaultdict(list)
    for line in lines:
        if line["stream"].endswith(f"@{channel}"):
            found[line["stream"]].append(line["last_id"])
    return found


def test_messages_are_lost_doubled_and_moved_as_the_log_says(tmp_path):
    world = World(
        tmp_path,
        "drop=0.05,gap=0.5,duplicate=0.05,reorder=0.05,late=0.1,stamp=0.02,channels=trade",
        "--begin-streams=30",
        "--channels=trade,aggTrade,depth",
    ).run()
    losses = {}
    for connection in (1, 2):
        gone = of_streams(world.told("drop", "gap", "undelivered", connection=connection))
        twice = of_streams(world.told("duplicate", connection=connection))
        losses[connection] = {(s, i) for s, ids in gone.items() for i in ids}
        assert sum(map(len, gone.values())) > 20 and sum(map(len, twice.values())) > 10
        got = world.got(connection)
        for stream, events in world.truth.items():
            ids = [e.get("t", e.get("a", e.get("u"))) for _, e in events]
            if not stream.endswith("@trade"):
                continue
            expected = Counter(ids) - Counter(gone[stream])
            surplus = Counter(got[stream]) - expected
            assert not expected - Counter(got[stream]), "all that is not told as lost arrives"
            assert not surplus - Counter(twice[stream]), "twice only what is told"
        moved = of_streams(world.told("late", "reorder", connection=connection))
        backward = sum(a > b for ids in got.values() for a, b in zip(ids, ids[1:]))
        assert 0 < backward <= sum(map(len, moved.values())) + sum(map(len, twice.values()))
        aggs = world.got(connection, "aggTrade", "a")
        for stream, ids in aggs.items():
            assert ids == [e["a"] for _, e in world.truth[stream]], "other channels are whole"
    assert losses[1] != losses[2], "links lose different events"
    stamped(world)


def stamped(world):
    """E differs between copies and from the truth by at most 3 ms, everything else not at all."""
    later = 0
    for connection in (1, 2):
        for _, message in world.received[connection]:
            if not message["stream"].endswith("@trade"):
                continue
            data = message["data"]
            truth = next(e for _, e in world.truth[message["stream"]] if e["t"] == data["t"])
            assert {**truth, "E": 0} == {**data, "E": 0}
            assert 0 <= data["E"] - truth["E"] <= 3000
            later += data["E"] != truth["E"]
    assert later >= len(world.told("stamp")) * 0.8


@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
def test_depth_windows_are_cut_differently_and_rebuild_the_book(tmp_path, exchange):
    world = World(
        tmp_path, "windows=on", "--begin-streams=6", symbols=3, exchange=exchange, seconds=3
    )
    world.run(lambda number: world.listen(number, ("depth",)))
    cuts = {}
    for connection in (1, 2):
        depths = defaultdict(list)
        for _, message in world.received[connection]:
            depths[message["stream"]].append(message["data"])
        cuts[connection] = {(s, d["U"], d["u"]) for s, ds in depths.items() for d in ds}
        for stream, sent in depths.items():
            true = [e for _, e in world.truth[stream]]
            borders = {e["u"] for e in true}
            assert all(d["u"] in borders for d in sent)
            assert any(d["u"] - d["U"] > max(e["u"] - e["U"] for e in true) for d in sent)
            name = stream.split("@")[0].upper()
            first, last = [b for b in world.books if b["symbol"] == name]
            tail = {"lastUpdateId": last["lastUpdateId"]}
            fold(first, sent)
            # What was in a window when the end came is told.
            missing = [f for f in world.told("undelivered", connection=connection)
                       if f["stream"] == stream]  # fmt: skip
            if missing:
                assert first["lastUpdateId"] == missing[0]["first_id"] - 1
                fold(first, [e for e in true if e["u"] > first["lastUpdateId"]])
            assert first["lastUpdateId"] == tail["lastUpdateId"]
            assert as_book(first) == as_book(last)
    assert cuts[1] != cuts[2]
    assert len(cuts[1] & cuts[2]) < len(cuts[1]) * 0.9


def test_lost_is_exactly_what_nobody_was_given(tmp_path):
    world = World(tmp_path, "drop_all=0.05,outage=1.5,drop=0.2", seconds=5)

    async def stubborn(number):
        while not world.simulator.events("ended"):
            try:
                await world.listen(number, ("trade", "aggTrade"))
            except Exception:
                await asyncio.sleep(0.1)

    world.run(stubborn)
    assert {"outage", "drop_all", "lost"} <= {f["fault"] for f in world.log}
    for channel, key in (("trade", "t"), ("aggTrade", "a")):
        arrived = {
            (stream, i)
            for connection in world.received
            for stream, ids in world.got(connection, channel, key).items()
            for i in ids
        }
        true = {
            (s, e[key]): due
            for s, events in world.truth.items()
            if s.endswith(f"@{channel}")
            for due, e in events
        }
        lost = set()
        for line in world.told("lost"):
            if not line["stream"].endswith(f"@{channel}"):
                continue
            ids = range(line["first_id"], line["last_id"] + 1)
            assert len(ids) == line["count"]
            assert line["time_ns"] == true[line["stream"], line["first_id"]]
            assert line["last_ns"] == true[line["stream"], line["last_id"]]
            if line["next_ns"] != 0:
                assert true[line["stream"], line["next_id"]] == line["next_ns"]
                assert line["next_id"] == line["last_id"] + 1
            lost |= {(line["stream"], i) for i in ids}
        held = {(f["stream"], f["last_id"]) for f in world.told("undelivered")}
        drops = {(f["stream"], f["last_id"]) for f in world.told("drop")}
        assert len(lost) > 10 and not lost & arrived
        withheld = {
            (f["stream"], f["last_id"])
            for f in world.told("drop_all")
            if f["stream"].endswith(f"@{channel}")
        }
        assert withheld and withheld <= lost
        # What was under way when the connections were cut may be gone, too.
        assert len(set(true) - arrived - lost - held - drops) <= 40


# ---- the market ----


def test_symbols_come_and_go(tmp_path):
    world = World(tmp_path, "list=0.3,delist=0.6", symbols=10, seconds=5)

    def states(simulator):
        found = ask(simulator, "binance", "/api/v3/exchangeInfo")[1]["symbols"]
        return {s["symbol"]: s["status"] for s in found}

    with support.Simulator(*world.arguments) as simulator:
        raw = Raw(simulator, "/ws/btcusdt@trade")
        before = states(simulator)
        seen = set()
        while not simulator.events("ended"):
            seen |= set(states(simulator).items())
            time.sleep(0.1)
        after = states(simulator)
        raw.socket.close()
        simulator.terminate()
    world.log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    listed = {f["symbol"] for f in world.told("list")}
    gone = {f["symbol"]: f["time_ns"] for f in world.told("delist")}
    assert listed and gone and not listed & set(before)
    assert listed <= {s for s, _ in seen}
    assert any((symbol, "BREAK") in seen for symbol in gone)
    early = [s for s, at in gone.items() if at < max(gone.values())]
    assert not set(early) & set(after)
    last = defaultdict(int)
    for due, _, stream, _ in support.read_truth(tmp_path / "truth"):
        last[stream.split("@")[0].upper()] = due
    for symbol, at in gone.items():
        assert last[symbol] < at + 1e9, "a delisted symbol trades no more"
    assert all(last[symbol] > 0 for symbol in listed)


def test_ids_begin_anew(tmp_path):
    world = World(
        tmp_path, "restart=0.4,restart_book=0.5", "--begin-streams=6", symbols=2, seconds=4
    ).run(links=1)
    assert world.told("restart") and world.told("restart_book")
    for line in world.told("restart"):
        stream = f"{line['symbol'].lower()}@trade"
        ids = [e["t"] for _, e in world.truth[stream]]
        assert line["next_id"] in ids and line["last_id"] in ids
        at = ids.index(line["next_id"])
        assert ids[at - 1] == line["last_id"] and line["next_id"] < min(ids[:at])
        assert len(set(ids)) == len(ids), "no id comes twice"
    for line in world.told("restart_book"):
        depths = [e for _, e in world.truth[f"{line['symbol'].lower()}@depth"]]
        assert any(d["U"] == line["next_id"] for d in depths)


# ---- REST ----


def rest_world(tmp_path, faults, seconds=4, path="/api/v3/ping", *arguments):
    """Statuses (0: hung up) with headers, and the log."""
    world = World(tmp_path, faults, "--begin-streams=0", "--rest-budget=1000000", *arguments,
                  symbols=2, seconds=seconds)  # fmt: skip
    replies = []
    with support.Simulator(*world.arguments) as simulator:
        simulator.event("begun")
        while not simulator.events("ended"):
            start = time.time()
            try:
                replies.append((*ask(simulator, "binance", path), time.time() - start))
            except OSError as error:
                print(repr(error))
                replies.append((0, None, {}, time.time() - start))
            time.sleep(0.01)
        simulator.terminate()
    world.log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    return replies, world


def test_rest_refuses_in_every_way(tmp_path):
    replies, world = rest_world(
        tmp_path, "rest_error=0.1,rest_hangup=0.2,rest_limit=0.2,rest_waf=0.2,rest_slow=1", 4
    )
    statuses = Counter(r[0] for r in replies)
    assert statuses[0] == len(world.told("rest_hangup")) > 0
    assert sum(statuses[s] for s in (500, 502, 503, 504)) == len(world.told("rest_error")) > 0
    assert statuses[429] == len(world.told("rest_limit")) > 0
    assert all(1 <= int(r[2]["Retry-After"]) <= 3 for r in replies if r[0] == 429)
    assert statuses[403] == len(world.told("rest_waf")) > 0
    assert all("<html>" in r[1] for r in replies if r[0] == 403)
    assert sum(r[3] > 0.45 for r in replies) >= len(world.told("rest_slow")) > 0


def test_rest_bans_and_is_down(tmp_path):
    replies, world = rest_world(tmp_path, "rest_ban=0.3", 2)
    banned = [r for r in replies if r[0] == 418]
    assert banned and 1 <= int(banned[0][2]["Retry-After"]) <= 15 and world.told("rest_ban")
    replies, world = rest_world(tmp_path, "rest_down=0.3", 2)
    assert {r[0] for r in replies} <= {200, 503, 0} and {503, 0} <= {r[0] for r in replies}
    replies, world = rest_world(tmp_path, "stamp=1000", 3, "/api/v3/ping", "--rest-down=1-2")
    statuses = [r[0] for r in replies]
    assert statuses[0] == statuses[-1] == 200 and 503 in statuses


def test_pages_are_short_or_overlap(tmp_path):
    for exchange, kind in (("binance", "rest_short"), ("binance", "rest_overlap"),
                           ("upbit", "rest_short"), ("upbit", "rest_overlap")):  # fmt: skip
        world = World(tmp_path, f"{kind}=0.05", "--begin-streams=0", "--rest-budget=1000000",
                      "--rest-budget=upbit:100000", symbols=1, seconds=2,
                      exchange=exchange)  # fmt: skip
        with support.Simulator(*world.arguments) as simulator:
            time.sleep(1)
            rows = careful_pages(simulator, exchange)
            simulator.terminate()
        ids = [r.get("id", r.get("sequential_id")) for r in rows]
        truth = [json.loads(p) for _, _, s, p in support.read_truth(tmp_path / "truth")
                 if s.endswith("@trade")]  # fmt: skip
        truth = [t.get("t", t.get("sid")) for t in truth]
        world.log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
        assert world.told(kind)
        low, high = min(ids), max(ids)
        # Late trades of Upbit come in behind a client that pages back while the market goes on.
        late = {i for i in truth if exchange == "upbit" and i % 10000 >= 5000}
        assert set(ids) | late >= {i for i in truth if low <= i <= high}, "paging has it all"
        assert set(ids) <= set(truth)
        if kind == "rest_overlap":
            assert len(ids) > len(set(ids))


def careful_pages(simulator, exchange):
    """Goes on until a page is empty, whatever its size is; takes rows it has seen."""
    rows = []
    position = 0 if exchange == "binance" else 10**18
    for _ in range(40):
        if exchange == "binance":
            path = f"/api/v3/historicalTrades?symbol=BTCUSDT&limit=60&fromId={position}"
        else:
            path = f"/v1/trades/ticks?market=KRW-BTC&count=60&cursor={position}"
        page = ask(simulator, exchange, path)[1]
        if not page:
            break
        rows += page
        seen = [r.get("id", r.get("sequential_id")) for r in page]
        position = max(max(seen) + 1, position) if exchange == "binance" else min(seen)
        time.sleep(0.01)
    return rows


# ---- the market goes on; slow clients ----


def test_the_market_goes_on_without_anybody(tmp_path):
    truth = tmp_path / "truth"
    with support.Simulator(
        "--symbols=binance:2",
        "--rate=2000",
        "--seconds=3",
        "--whole-market",
        "--channels=trade,depth",
        f"--truth={truth}",
        "--truth-channels=trade",
        f"--fault-log={tmp_path / 'faults'}",
    ) as simulator:

        async def short():
            async with connect(simulator.url("binance", "/ws/btcusdt@trade"), **LOCAL) as s:
                return [json.loads(await s.recv())["t"] for _ in range(100)]

        ids = asyncio.run(asyncio.wait_for(short(), 20))
        ended = simulator.event("ended", 20)
    assert ended["sent"] >= 5900
    lines = list(support.read_truth(truth))
    assert {s.split("@")[1] for _, _, s, _ in lines} == {"trade"}
    sent = [json.loads(p)["t"] for _, _, s, p in lines if s == "btcusdt@trade"]
    assert sent == list(range(sent[0], sent[0] + len(sent))) and len(sent) > 3 * len(ids)
    log = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    assert [f["by"] for f in log if f["fault"] == "closed"] == ["client"]
    lost = [f for f in log if f["fault"] == "lost" and f["stream"] == "btcusdt@trade"]
    assert lost[-1]["last_id"] == sent[-1] and lost[-1]["next_ns"] == 0


def test_the_same_seed_is_the_same_faults(tmp_path):
    """By time: what the clocks say does not depend on what is sent."""
    kinds = []
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        world = World(folder, "drop=0.1,duplicate=0.15,seed=9", symbols=1, seconds=2)
        world.run(links=1)
        begun = world.told("begun")[0]["time_ns"]
        opened = max(begun, world.told("open")[0]["time_ns"])
        kinds.append([(f["fault"], (f["time_ns"] - opened) / 1e9)
                      for f in world.told("drop", "duplicate")])  # fmt: skip
    count = min(map(len, kinds))
    assert count > 10
    assert [k for k, _ in kinds[0][: count - 2]] == [k for k, _ in kinds[1][: count - 2]]
    for (_, one), (_, two) in zip(*kinds):
        assert abs(one - two) < 0.25


def test_bad_specifications_are_refused():
    for spec in ("drip=1", "drop", "drop=x", "times=0", "seed=x", "channels=", ",", "drop=1.0001"):
        done = subprocess.run(
            [
                support.program("exchange-sim"),
                "--no-tls",
                "--symbols=binance:1",
                f"--faults={spec}",
            ],
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert done.returncode == 64 and "--faults" in done.stderr, spec


def test_books_are_decimal_text(tmp_path):
    world = World(tmp_path, "stamp=1000", symbols=1, seconds=1).run(links=1)
    begin, end = world.books
    assert begin["at"] == "begin" and end["at"] == "end"
    assert all(Decimal(q) > 0 for _, q in begin["bids"] + end["asks"])
