# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP: the running daemon takes on another configuration, or says why not and goes on."""

import copy
import json
import os
import signal
import time

import scripted
import support


def status_rows(store):
    text = support.ringtape("cat", "--store", store, "--channel", "status", "--json")
    return [json.loads(line) for line in text.splitlines()]


def kinds(store, kind):
    return [row for row in status_rows(store) if row["kind"] == kind]


def reload(daemon, path, store, feeds):
    support.write_config(path, store, feeds)
    before = len(daemon.errors)
    daemon.child.send_signal(signal.SIGHUP)
    support.wait_for(
        lambda: any("configuration read again" in line for line in daemon.errors[before:]),
        what="the configuration to be read again",
    )


def refusals(daemon):
    return [line for line in daemon.errors if "is not used" in line and "c.yaml" in line]


def trades(store, symbol):
    return len(
        support.ringtape(
            "cat", "--store", store, "--channel", "trade", "--symbol", f"binance:{symbol}", "--json"
        ).splitlines()
    )


def test_feeds_come_and_go(tmp_path, certificates):
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:3", "--symbols=upbit:2", "--rate=500", certificates=certificates
    ) as simulator:
        listing = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        names = sorted(entry["symbol"] for entry in listing["symbols"])
        first = support.feed(simulator, "binance", ["trade"], names[:2])
        other = support.feed(simulator, "binance", ["trade"], names[1:])
        upbit = support.feed(simulator, "upbit", ["trade"], "all")
        with support.Ringtaped(config, store, [first]) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 100 and c["links_live"] == 1)
            reload(daemon, config, store, [other, upbit])
            durable = daemon.wait_counters(lambda c: c["links_live"] >= 2)["durable"]
            daemon.wait_counters(lambda c: c["durable"] > durable + 300)
            gone = trades(store, names[0])
            assert trades(store, names[2]) > 0
            reload(daemon, config, store, [upbit])
            durable = daemon.wait_counters(lambda c: c["links_live"] == 1)["durable"]
            daemon.wait_counters(lambda c: c["durable"] > durable + 50)
            assert daemon.terminate() == 0
        assert trades(store, names[0]) <= gone + 100
    support.ringtape("verify", "--store", store)
    assert len(kinds(store, "configured")) >= 3
    assert {row["symbol"] for row in kinds(store, "symbol_removed")} >= {f"binance:{names[0]}"}


def test_symbols_come_and_go_without_a_hole_in_the_others(tmp_path, certificates):
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:6", "--rate=1000", certificates=certificates
    ) as simulator:
        listing = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        names = sorted(entry["symbol"] for entry in listing["symbols"])
        feeds = [support.feed(simulator, "binance", ["trade", "depth"], names[i:j])
                 for i, j in ((0, 3), (0, 5), (1, 6), (1, 2))]  # fmt: skip
        with support.Ringtaped(config, store, [feeds[0]]) as daemon:
            for feed in feeds[1:]:
                durable = daemon.wait_counters(lambda c: c["links_live"] == 1)["durable"]
                daemon.wait_counters(lambda c: c["durable"] > durable + 500)
                support.write_config(config, store, [feed])
                before = len(daemon.errors)
                support.ringtape("reload", "--store", store)
                support.wait_for(
                    lambda: any("feed changed" in line for line in daemon.errors[before:]),
                    what="the feed to change",
                )
            durable = daemon.counters()["durable"]
            daemon.wait_counters(lambda c: c["durable"] > durable + 200)
            counters = daemon.counters()
            assert counters["connects"] == 1, "on the running link"
            assert counters["downs"] == counters["holes_opened"] == 0
            assert daemon.terminate() == 0
    added = {row["symbol"] for row in kinds(store, "symbol_added")}
    assert added == {f"binance:{name}" for name in names}
    removed = {row["symbol"] for row in kinds(store, "symbol_removed")}
    assert removed == {f"binance:{name}" for name in names if name != names[1]}


def test_a_broken_configuration_changes_nothing(tmp_path, certificates):
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:2", "--rate=500", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(config, store, [feed]) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 50)
            for broken in ("store: [\n", "store: /tmp\nfeeds:\n  - exchange: nowhere\n", ""):
                config.write_text(broken)
                told = len(refusals(daemon))
                daemon.child.send_signal(signal.SIGHUP)
                support.wait_for(lambda: len(refusals(daemon)) > told, what="the refusal")
                durable = daemon.counters()["durable"]
                daemon.wait_counters(lambda c: c["durable"] > durable + 50)
                assert daemon.counters()["links_live"] == 1
            assert daemon.terminate() == 0
    assert not kinds(store, "symbol_removed")


def test_many_reloads_in_a_row_and_a_stop_amid_them(tmp_path, certificates):
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:4", "--rate=500", "--no-limits", certificates=certificates
    ) as simulator:
        feeds = [
            support.feed(simulator, "binance", channels, "all")
            for channels in (["trade"], ["trade", "quote"], ["depth"])
        ]
        with support.Ringtaped(config, store, [feeds[0]]) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 50)
            for i in range(30):
                support.write_config(config, store, [feeds[i % 3]])
                daemon.child.send_signal(signal.SIGHUP)
                time.sleep(0.02 * (i % 4))
            assert daemon.alive(), daemon.errors
            assert daemon.terminate() == 0
    support.ringtape("verify", "--store", store)


def test_seal_asks_the_running_daemon(tmp_path, certificates):
    """`ringtape seal` returns when every tape of that moment is sealed; recording goes on."""
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:3", "--rate=500", certificates=certificates
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(config, store, [feed]) as daemon:
            for _ in range(2):
                durable = daemon.wait_counters(lambda c: c["links_live"] == 1)["durable"]
                daemon.wait_counters(lambda c: c["durable"] > durable + 200)
                support.ringtape("seal", "--store", store)
                listing = json.loads(support.ringtape("ls", "--store", store, "--json"))
                assert sum(entry["rows"] for entry in listing["segments"]) >= durable + 200
            assert daemon.alive()
    support.ringtape("verify", "--store", store)


def instruments(store):
    text = support.ringtape("cat", "--store", store, "--channel", "instrument", "--json")
    return [json.loads(line) for line in text.splitlines()]


def test_instrument_rows_are_changes(tmp_path, certificates, monkeypatch):
    """Whoever reloads without a change writes nothing."""
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    quiet = lambda connection: connection.wait_end()  # noqa: E731
    with scripted.ScriptedExchange(certificates, [quiet]) as exchange:
        feed = support.feed(exchange, "binance", ["trade"], ["BTCUSDT", "ETHUSDT"])
        with support.Ringtaped(config, store, [feed]) as daemon:

            def reloaded():
                asked = exchange.asked
                reload(daemon, config, store, [feed])
                support.wait_for(lambda: exchange.asked > asked, what="exchangeInfo asked for")

            daemon.wait_counters(lambda c: c["links_live"] == 1)
            support.wait_for(lambda: len(instruments(store)) == 2, what="the first rows")
            for _ in range(3):
                reloaded()
            time.sleep(1)  # the answer was asked for, not yet given: it must not have the change
            changed = copy.deepcopy(scripted.INFO)
            changed["symbols"][1]["status"] = "BREAK"
            monkeypatch.setattr(scripted, "INFO", changed)
            reloaded()
            support.wait_for(lambda: len(instruments(store)) > 2, what="the row of the change")
            reloaded()
            assert daemon.terminate() == 0
    rows = instruments(store)
    assert [(row["symbol"], row["state"]) for row in rows][2:] == [("binance:ETHUSDT", "BREAK")]


def test_a_feed_whose_trust_cannot_be_loaded_comes_with_a_later_reload(tmp_path, certificates):
    config, store, own = tmp_path / "c.yaml", tmp_path / "store", tmp_path / "ca.pem"
    with support.Simulator(
        "--symbols=binance:2", "--rate=500", certificates=certificates
    ) as simulator:
        listing = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        for symbols in ("all", sorted(entry["symbol"] for entry in listing["symbols"])):
            own.write_text("no certificate\n")
            feed = support.feed(simulator, "binance", ["trade"], symbols, ca_file=str(own))
            with support.Ringtaped(config, store, [feed]) as daemon:
                support.wait_for(
                    lambda: any("cannot load trusted certificates" in e for e in daemon.errors)
                )
                os.replace(own, tmp_path / "old.pem")
                own.write_bytes((certificates / "ca.pem").read_bytes())
                reload(daemon, config, store, [feed])
                daemon.wait_counters(lambda c: c["links_live"] == 1 and c["durable"] > 20)
                assert daemon.terminate() == 0


def test_a_newly_listed_symbol_joins_by_itself(tmp_path, certificates):
    """It trades soon after it is listed; the others, on the same link, have no hole."""
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:8", "--rate=1000", "--seconds=14", "--channels=trade", "--whole-market",
        "--begin-streams=8", "--faults=list=4,seed=3", f"--truth={tmp_path / 'truth'}",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        listing = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        before = {entry["symbol"] for entry in listing["symbols"]}
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(config, store, [feed], top={"list_interval": "1s"}) as daemon:
            simulator.event("ended", 60)
            after = simulator.get("binance", "/api/v3/exchangeInfo")[0]
            joined = {entry["symbol"] for entry in after["symbols"]} - before
            assert joined, "nothing was listed"
            counters = daemon.settle(1000)
            assert counters["connects"] == 1, "on the running link"
            assert counters["downs"] == counters["holes_opened"] == 0
            assert counters["symbols"] == len(before) + len(joined)
            assert daemon.terminate() == 0
    added = {row["symbol"].split(":")[1] for row in kinds(store, "symbol_added")}
    assert added == before | joined
    sent, stored = {}, {}
    for _, _, stream, payload in support.read_truth(tmp_path / "truth"):
        sent.setdefault(stream.split("@")[0].upper(), []).append(json.loads(payload)["t"])
    text = support.ringtape("cat", "--store", store, "--channel", "trade", "--json")
    for line in text.splitlines():
        row = json.loads(line)
        stored.setdefault(row["symbol"].split(":")[1], []).append(row["id"])
    assert set(stored) == before | joined
    for symbol, ids in stored.items():
        assert sorted(ids) == [t for t in sent[symbol] if t >= min(ids)], symbol
        if symbol in before:
            assert min(ids) == sent[symbol][0], "from the beginning on"
