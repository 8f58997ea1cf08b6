# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP changes the rules of alerts while the daemon runs: added, changed and removed rules take
effect, changed rules begin anew, the same ones keep their state, wrong ones change nothing."""

import contextlib
import json
import signal
import threading

import scripted
import support
from candles_test import rows


def rule(kind, threshold, **more):
    return {"kind": kind, "window": "1m", "threshold": threshold, "scaled": "0x",
            "cooldown": "0s", **more}  # fmt: skip


class Stage:
    """An exchange that sends one trade when it is told to, and the daemon that records it."""

    def __init__(self, folder, certificates, rules):
        self.ready, self.over = threading.Event(), threading.Event()
        self.connection, self.number, self.seconds = None, 0, 0
        self.exchange = scripted.ScriptedExchange(certificates, [self._serve])
        self.config, self.store = folder / "c.yaml", folder / "store"
        self.feed = support.feed(self.exchange, "binance", ["trade"], ["BTCUSDT"])
        self.daemon = support.Ringtaped(
            self.config, self.store, [self.feed], "100ms", top={"alerts": rules}
        )
        assert self.ready.wait(20), self.daemon.errors

    def _serve(self, connection):
        self.connection = connection
        self.ready.set()
        self.over.wait(120)

    def trade(self, price, after=1):
        """One trade, `after` seconds behind the one before; how many alerts there are then."""
        self.number += 1
        self.seconds += after
        message = scripted.trade(
            self.number, price=f"{price}.00", T=1723161255000000 + self.seconds * 1000000
        )
        self.connection.send(scripted.frame(message))
        self.daemon.wait_counters(
            lambda c: c["messages"] >= self.number + 1 and c["durable"] >= c["events"]
        )
        seen = len(self.daemon.lines)
        support.wait_for(lambda: len(self.daemon.lines) > seen + 1, what="further counters")
        return self.daemon.counters()["alerts"]

    def reload(self, rules, good=True, **top):
        before = len(self.daemon.errors)
        support.write_config(self.config, self.store, [self.feed], alerts=rules, **top)
        self.daemon.child.send_signal(signal.SIGHUP)
        wanted = "read again" if good else "is not used"
        support.wait_for(
            lambda: any(wanted in line for line in self.daemon.errors[before:]), what="the reload"
        )
        return self.daemon.errors[before:]

    def end(self):
        """What was raised: [(rule, from price, to price)]."""
        assert self.daemon.terminate() == 0, self.daemon.errors
        kept = rows(support.ringtape("cat", "--store", self.store, "--channel", "alert"))
        return [(r["rule"], float(r["from_price"]), float(r["to_price"])) for r in kept]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.daemon.kill()
        with contextlib.suppress(OSError):
            self.exchange.close()


def told(lines):
    return any("rules of alerts have changed" in line for line in lines)


def test_rules_are_added_changed_and_removed(tmp_path, certificates):
    with Stage(tmp_path, certificates, [rule("surge", "50%")]) as stage:
        assert [stage.trade(p) for p in (100, 110)] == [0, 0]
        # Changed: what was before is forgotten, so 110 is where it begins.
        assert told(stage.reload([rule("surge", "5%")]))
        assert [stage.trade(p) for p in (112, 117)] == [0, 0]
        assert stage.trade(118) == 1, "118 is 5 % above 112"
        # Added: another rule; the one there begins anew as well.
        assert told(stage.reload([rule("surge", "5%"), rule("crash", "4%", rule="fall")]))
        assert stage.trade(118) == 1
        assert stage.trade(113) == 2, "4 % below 118"
        # Another name and another match are changes, too.
        assert told(stage.reload([rule("crash", "4%", rule="drop", match="upbit:*")]))
        assert [stage.trade(p) for p in (113, 80)] == [2, 2], "for no symbol of these"
        assert told(stage.reload([rule("crash", "4%", rule="drop", match="binance:BTC*")]))
        assert [stage.trade(p) for p in (80, 70)] == [2, 3]
        # Removed.
        assert told(stage.reload([]))
        assert [stage.trade(p) for p in (70, 200, 10)] == [3, 3, 3]
        assert stage.end() == [("surge", 112, 118), ("fall", 118, 113), ("drop", 80, 70)]


def test_the_same_rules_keep_their_state(tmp_path, certificates):
    rules = [rule("surge", "5%", cooldown="1h")]
    with Stage(tmp_path, certificates, rules) as stage:
        assert stage.trade(100) == 0
        assert not told(stage.reload(rules, log={"level": "debug"}))
        assert stage.trade(105) == 1, "100 is not forgotten"
        assert not told(stage.reload(rules))
        assert [stage.trade(p) for p in (105, 150)] == [1, 1], "nor is the cool-down"
        # Other rules and back: it begins anew, cool-down and all.
        assert told(stage.reload([rule("surge", "6%", cooldown="1h")]))
        assert told(stage.reload(rules))
        assert [stage.trade(p) for p in (100, 106)] == [1, 2]
        assert len(stage.end()) == 2


def test_wrong_rules_change_nothing(tmp_path, certificates):
    rules = [rule("surge", "5%")]
    with Stage(tmp_path, certificates, rules) as stage:
        assert stage.trade(100) == 0
        for wrong, message in (
            ([rule("boom", "5%")], "alerts[0]: expected surge, crash, volume_burst, spread"),
            ([rule("surge", "5")], "alerts[0].threshold: expected a percentage like 3%"),
            ([{"kind": "surge", "window": "0s"}], "alerts[0].window: expected a duration"),
            ([rule("surge", "5%")] * 17, "alerts: expected 0 to 16 entries, found 17"),
        ):
            lines = stage.reload(wrong, good=False)
            assert any(message in line for line in lines), lines
            assert not told(lines)
        assert stage.trade(105) == 1, "the rule there was goes on, with its state"
        assert stage.end() == [("surge", 100, 105)]


def test_every_kind_by_reload(tmp_path, certificates):
    """All five kinds and all keys at once, as the daemon takes them; the replay by the same rules
    as text raises the same."""
    rules = [
        rule("surge", "5%"), rule("crash", "5%"),
        {"kind": "volume_burst", "window": "1s", "threshold": "20x", "trades": 1,
         "cooldown": "10s", "match": "binance:*"},
        {"kind": "spread", "window": "1s", "threshold": "2%", "scaled": "0x"},
        {"kind": "silence", "window": "1h", "rule": "quiet"},
    ]  # fmt: skip
    with Stage(tmp_path, certificates, [rule("surge", "50%")]) as stage:
        assert stage.trade(100) == 0
        assert told(stage.reload(rules))
        assert stage.trade(100) == 0
        assert stage.trade(106) == 1
        assert stage.trade(100) == 2
        assert stage.end() == [("surge", 100, 106), ("crash", 106, 100)]
        texts = [" ".join([r["kind"], *(f"{k}={v}" for k, v in r.items() if k != "kind")])
                 for r in rules]  # fmt: skip
        options = [part for text in texts for part in ("--rule", text)]
        again = support.ringtape("alerts", "--replay", "--json", "--store", stage.store, *options)
        assert [json.loads(line)["rule"] for line in again.splitlines()] == ["surge", "crash"]
