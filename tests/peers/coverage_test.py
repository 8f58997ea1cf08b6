# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage over restarts, end to end: what `ringtape coverage` says of a store against the
simulator's truth. A second daemon, the witness, subscribes all the time: the simulator's truth has
only what somebody was sent."""

import json
import time

import pytest
import support
import truth


def coverage(store, *options, status=0):
    return json.loads(support.ringtape("coverage", "--store", store, "--json", *options,
                                       status=status))["coverage"]  # fmt: skip


def compare(tmp_path):
    support.export(tmp_path / "store", tmp_path / "parquet")
    return truth.compare(tmp_path / "truth", tmp_path / "parquet")


def test_kill_and_restart_lose_no_trade(tmp_path):
    """Killed twice while trades come; what the exchange sent meanwhile is fetched by REST."""
    with support.Simulator(
        "--symbols=binance:10", "--rate=1000", "--seconds=25", "--begin-streams=10",
        f"--truth={tmp_path / 'truth'}",
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        arguments = (tmp_path / "config.yaml", tmp_path / "store", [feed])
        witness = support.Ringtaped(tmp_path / "witness.yaml", tmp_path / "witness", [feed])
        for _ in range(2):
            with support.Ringtaped(*arguments) as daemon:
                simulator.event("begun")
                before = daemon.wait_counters(lambda c: c["durable"] > 0)["durable"]
                daemon.wait_counters(lambda c: c["durable"] >= before + 2000)
                daemon.kill()
        with support.Ringtaped(*arguments) as daemon:
            simulator.event("ended", 60)
            daemon.wait_counters(lambda c: c["repaired"] > 0 and c["holes_open"] == 0)
            # Requests share connections, one for each of four that may be under way.
            counters = daemon.wait_counters(lambda c: c["rest_requests"] > 10, 90, "requests")
            assert 1 <= counters["rest_connections"] <= 4, counters
            assert daemon.terminate() == 0, daemon.errors
        witness.kill()
    listed = coverage(tmp_path / "store")
    assert len(listed) == 10
    assert sum(key["repaired"] for key in listed) > 0
    assert {key["percent"] for key in listed} == {"100.000000"}
    (result,) = compare(tmp_path)
    # Rows by REST have no event time, so they are not among those that equal a message.
    assert result.stored == sum(key["last"] - key["first"] + 1 for key in listed)
    assert result.duplicated == 0
    assert result.wrong == sum(key["repaired"] for key in listed)


def test_without_rest_the_hole_of_a_restart_is_listed(tmp_path):
    with support.Simulator(
        "--symbols=binance:3", "--rate=300", "--seconds=9", "--begin-streams=3",
        f"--truth={tmp_path / 'truth'}",
    ) as simulator:  # fmt: skip
        info, _ = simulator.get("binance", "/api/v3/exchangeInfo")
        symbols = [s["symbol"] for s in info["symbols"]]
        feed = support.feed(simulator, "binance", ["trade"], symbols)
        del feed["rest_url"]
        arguments = (tmp_path / "config.yaml", tmp_path / "store", [feed])
        witness = support.Ringtaped(tmp_path / "witness.yaml", tmp_path / "witness", [feed])
        for kill in (True, False):
            with support.Ringtaped(*arguments) as daemon:
                simulator.event("begun")
                daemon.wait_counters(lambda c: c["events"] >= 500)
                if not kill:
                    simulator.event("ended", 60)
                    daemon.settle(0)
                    assert daemon.terminate() == 0, daemon.errors
                daemon.kill()
            time.sleep(1)
        witness.kill()
    listed = coverage(tmp_path / "store", status=1)
    missing = {
        f"{key['symbol'].split(':')[1].lower()}@trade": set(range(hole["first"], hole["last"] + 1))
        for key in listed
        for hole in key["holes"]
        if hole["state"] == "open"
    }
    assert all(hole["cause"] for key in listed for hole in key["holes"])
    stored = {}
    for line in support.ringtape("cat", "--store", tmp_path / "store", "--channel", "trade",
                                 "--json").splitlines():  # fmt: skip
        row = json.loads(line)
        stored.setdefault(f"{row['symbol'].split(':')[1].lower()}@trade", set()).add(row["id"])
    sent = {}
    for _, _, stream, payload in support.read_truth(tmp_path / "truth"):
        sent.setdefault(stream, set()).add(json.loads(payload)["t"])
    for stream, ids in sent.items():
        # What the witness had before the daemon's first event is before coverage.
        ids = {i for i in ids if i >= min(stored[stream])}
        assert ids == stored[stream] | missing.get(stream, set()), stream
        assert not stored[stream] & missing.get(stream, set())
    assert sum(map(len, missing.values())) > 0


@pytest.mark.parametrize(
    "exchange, channel", [("binance", "agg_trade"), ("binance-usdm", "trade"), ("upbit", "trade")]
)
def test_what_a_kill_cost_is_fetched_by_rest(tmp_path, exchange, channel):
    """With faults of links and of REST: agg_trade and trades of futures by fromId, Upbit's
    by cursor."""
    stream = {"trade": "trade", "agg_trade": "aggTrade"}[channel]
    with support.Simulator(
        f"--symbols={exchange}:3", "--rate=300", "--seconds=12", f"--channels={stream}",
        "--begin-streams=3", f"--truth={tmp_path / 'truth'}",
        "--faults=drop=1,drop_all=1,rest_short=1,rest_overlap=1,rest_error=4",
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, exchange, [channel], "all", redundancy=2)
        arguments = (tmp_path / "config.yaml", tmp_path / "store", [feed])
        with support.Ringtaped(*arguments) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 1000)
            daemon.kill()
        time.sleep(1)
        with support.Ringtaped(*arguments) as daemon:
            simulator.event("ended", 60)
            daemon.wait_counters(lambda c: c["repaired"] > 0 and c["holes_open"] == 0)
            assert daemon.terminate() == 0, daemon.errors
        with support.Ringtaped(*arguments) as daemon:  # an audit comes soon after a start
            daemon.wait_counters(lambda c: c["audits"] >= (3 if exchange == "upbit" else 1))
            time.sleep(4)
            daemon.wait_counters(lambda c: c["holes_open"] == 0)
            assert daemon.terminate() == 0, daemon.errors
        assert simulator.terminate() == 0
    key = {"trade": "t", "agg_trade": "a"}[channel] if exchange != "upbit" else "sid"
    begins = {k["symbol"]: k["from"] for k in coverage_any(tmp_path / "store", channel)}
    stored = {}
    for line in support.ringtape("cat", "--store", tmp_path / "store", "--channel", channel,
                                 "--json").splitlines():  # fmt: skip
        row = json.loads(line)
        stored.setdefault(row["symbol"], []).append(row["id"])
    sent = {}
    for _, _, name, payload in support.read_truth(tmp_path / "truth"):
        symbol = f"{exchange}:{name.split('@')[0].upper()}"
        message = json.loads(payload)
        if message.get("st") != "SNAPSHOT" and begins[symbol] is not None:
            sent.setdefault(symbol, []).append(message[key])
    for symbol, ids in sent.items():
        assert len(stored[symbol]) == len(set(stored[symbol])), symbol
        first = next(n for n, i in enumerate(ids) if i in set(stored[symbol]))
        missing = set(ids[first:]) - set(stored[symbol])
        assert not missing, (symbol, len(missing), len(ids))


def coverage_any(store, channel):
    text = support.ringtape_any("coverage", "--store", store, "--channel", channel, "--json")
    return json.loads(text)["coverage"]


def test_shards_share_one_audit(tmp_path):
    """Three shards with links of their own: one asks for the newest ids, all are proven by it."""
    with support.Simulator(
        "--symbols=binance:12", "--rate=300", "--channels=trade", "--begin-streams=12"
    ) as simulator:
        with support.Door(simulator, "binance") as door:
            info, _ = simulator.get("binance", "/api/v3/exchangeInfo")
            names = [entry["symbol"] for entry in info["symbols"]]
            feed = support.feed(simulator, "binance", ["trade"], names, rest_url=door.url())
            arguments = (tmp_path / "config.yaml", tmp_path / "store", [feed])
            with support.Ringtaped(*arguments, top={"shards": 3}) as daemon:
                daemon.wait_counters(lambda c: c["links_live"] == 3)
                daemon.wait_counters(lambda c: c["audits"] >= 3, 30, "an answer in every shard")
                time.sleep(3)  # judged 2 s later
                assert daemon.terminate() == 0, daemon.errors
            audits = [path for path in door.asked if "ticker/24hr" in path]
    # Links that came up more than 3 s apart would make it two.
    assert len(audits) <= 2, audits
    listed = coverage(tmp_path / "store")
    assert len(listed) == 12
    assert all(key["proven"] for key in listed), listed
