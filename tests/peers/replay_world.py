# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of `ringtape replay` share: the program, recordings made for them, and what makes
two stores equal."""

import fcntl
import functools
import json
import os

import support

# Told by the recorder, not by the exchange.
OWN = ("receive_time", "link", "tape", "tape_row")
BINANCE = ("trade", "agg_trade", "quote", "depth", "ticker", "kline_1m")
UPBIT = ("trade", "book", "ticker")
STORED = ("trade", "agg_trade", "quote", "depth", "book", "ticker", "kline")


class Replay(support.Simulator):
    """`ringtape replay`, with the interface of the simulator."""

    def __init__(self, store, *arguments, certificates=None, **options):
        command = [support.program("ringtape"), "replay", "--store", store, "--json"]
        command += ["--listen", "127.0.0.1:0", *arguments]
        self.certificates = certificates
        if certificates is None:
            command.append("--plain")
        else:
            command += ["--certificate", f"{certificates}/localhost.pem"]
            command += ["--key", f"{certificates}/localhost.key"]
        support.Process.__init__(self, command, **options)
        self.ports = self.event("listening")["ports"]


def feeds(simulator, **more):
    found = []
    for exchange in simulator.ports:
        channels = UPBIT if exchange == "upbit" else BINANCE
        found.append(support.feed(simulator, exchange, channels, "all", **more))
    return found


def all_of(daemon, ended):
    """Until all messages have come, and what they made the recorder ask for."""
    daemon.wait_counters(lambda c: c["messages"] >= ended["sent"], 120, "all messages")
    daemon.settle(0)


def record(tmp_path, name, simulator, **more):
    """A store of everything that the simulator or the replay sends."""
    store = tmp_path / name
    config = tmp_path / f"{name}.yaml"
    with support.Ringtaped(config, store, feeds(simulator, **more), "100ms") as daemon:
        simulator.event("begun", 60)
        sent = simulator.event("ended", 120)
        all_of(daemon, sent)
        assert daemon.terminate() == 0, daemon.errors
    return store


def made_up(tmp_path, certificates, *options, name="first"):
    """A store of a made-up market of three exchanges."""
    arguments = ["--symbols=binance:3", "--symbols=binance-usdm:2", "--symbols=upbit:3"]
    arguments += ["--begin-streams=39", "--no-limits", *options]
    with support.Simulator(*arguments, certificates=certificates) as simulator:
        return record(tmp_path, name, simulator)


def shared(tmp_path_factory, certificates):
    """A sealed store of all channels of three exchanges, a second long: one for all tests, whatever
    process they run in."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "replayed"
    with open(base / "replayed.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir()
            store = made_up(folder, certificates, "--rate=9000", "--messages=9000")
            support.ringtape("seal", "--store", store)
            (folder / "made").touch()
    return folder / "first"


@functools.lru_cache(maxsize=64)  # of stores that nobody writes to any more
def rows(store, channel):
    """All rows of a channel as the exchange told them, sorted."""
    text = support.ringtape("cat", "--store", store, "--channel", channel, "--json")
    found = []
    for line in text.splitlines():
        row = json.loads(line)
        told = {key: value for key, value in row.items() if key not in OWN}
        # Without a time of the exchange it is the receive time.
        if told.get("event_time") is None and told.get("trade_time") is None:
            told.pop("time", None)
        found.append(json.dumps(told, sort_keys=True))
    return sorted(found)


def assert_equal(first, second, channels=STORED):
    for channel in channels:
        one, other = rows(first, channel), rows(second, channel)
        missing = sorted(set(one) - set(other))
        more = sorted(set(other) - set(one))
        assert not missing and not more, (
            f"{channel}: {len(one)} and {len(other)} rows; "
            f"missing {len(missing)} {missing[:2]}; more {len(more)} {more[:2]}"
        )
        assert len(one) == len(other), f"{channel}: {len(one)} and {len(other)} rows"
