# SPDX-License-Identifier: GPL-3.0-or-later
"""max_links: too few is a mistake that names the number needed, before the start where it can be
known then; with enough, streams are spread over links and shards within it."""

import json
import subprocess

import support

STREAMS_MAX = 1024  # of a connection; exchange-sim refuses more


def names(simulator, exchange="binance"):
    listing = simulator.get(exchange, "/api/v3/exchangeInfo")[0]
    return sorted(entry["symbol"] for entry in listing["symbols"])


def run(*arguments):
    return subprocess.run(
        [support.program("ringtaped"), *arguments], capture_output=True, text=True, timeout=20
    )


def check(config):
    return run("--config", config, "--check")


def test_too_few_for_listed_symbols_is_a_mistake_of_the_configuration(tmp_path):
    config = tmp_path / "c.yaml"
    feed = {
        "exchange": "binance",
        "channels": ["trade", "quote"],
        "symbols": [f"S{n}USDT" for n in range(600)],
        "redundancy": 2,
    }
    support.write_config(config, tmp_path / "store", [{**feed, "max_links": 3}])
    done = check(config)
    assert done.returncode == 78
    assert "max_links: expected at least 4" in done.stderr and "found 3" in done.stderr
    started = run("--config", config)
    assert started.returncode == 78 and started.stderr == done.stderr
    support.write_config(config, tmp_path / "store", [{**feed, "max_links": 4}])
    assert check(config).returncode == 0
    # Each shard needs links of its own.
    support.write_config(config, tmp_path / "store", [{**feed, "max_links": 4}], shards=3)
    assert "expected at least 6" in check(config).stderr


def test_enough_are_spread_over_shards_and_used(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:1100", "--rate=3000", "--begin-streams=2200", certificates=certificates
    ) as simulator:
        feed = support.feed(
            simulator, "binance", ["trade", "quote"], names(simulator), max_links=4
        )
        config, store = tmp_path / "c.yaml", tmp_path / "store"
        with support.Ringtaped(config, store, [feed], top={"shards": 2}) as daemon:
            daemon.wait_counters(lambda c: c["links_live"] == 4 and c["durable"] > 1000)
            assert daemon.counters()["links"] == 4
            assert daemon.terminate() == 0
        assert simulator.terminate() == 0
        ended = simulator.event("ended")
        assert ended["limit_closes"] == 0 and ended["failed"] == 0
    rows = support.ringtape("cat", "--store", store, "--channel", "status", "--json").splitlines()
    rows = [json.loads(row) for row in rows]
    streams = [row["count"] for row in rows if row["kind"] == "link_up"]
    assert sum(streams) == 2200 and max(streams) <= STREAMS_MAX
    # The number of a link says its shard.
    assert len({row["link"] >> 16 for row in rows if row["kind"] == "link_up"}) == 2


def test_too_few_for_all_is_told_when_the_symbols_are_known(tmp_path, certificates):
    with support.Simulator(
        "--symbols=binance:1100", "--symbols=upbit:5", "--rate=3000", certificates=certificates
    ) as simulator:
        config, store = tmp_path / "c.yaml", tmp_path / "store"
        few = support.feed(simulator, "binance", ["trade"], "all", max_links=1)
        other = support.feed(simulator, "upbit", ["trade"], "all")
        with support.Ringtaped(config, store, [few, other]) as daemon:
            words = "needs 2 links, max_links is 1"
            support.wait_for(lambda: any(words in line for line in daemon.errors), what=words)
            counters = daemon.wait_counters(lambda c: c["durable"] > 50 and c["feeds_failed"] > 0)
            assert counters["links"] == 1, "the other feed is recorded"
            support.write_config(config, store, [{**few, "max_links": 2}, other])
            daemon.child.send_signal(support.signal.SIGHUP)
            daemon.wait_counters(lambda c: c["links_live"] == 3 and c["symbols"] == 1105)
            assert daemon.terminate() == 0
