# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily cut: simulator, daemon and toolbox run with a clock that is shifted so that midnight
UTC comes in a few seconds. Nothing is missing at the cut, and the day closes as `ringtape day`
says."""

import json
import os
import subprocess
import time

import pytest
import support

DAY_S = 86400
@pytest.fixture
def shift(tmp_path):
    """The environment of programs whose clock is so many seconds ahead."""
    source, library = tmp_path / "shift.c", tmp_path / "shift.so"
    source.write_text(support.SHIFT)
    compiler = [str(support.ROOT / "tools" / "dev"), "zig", "cc"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return lambda seconds: {
        **os.environ, "LD_PRELOAD": str(library), "SHIFT_SECONDS": str(int(seconds))
    }  # fmt: skip


def day(store, date, environment, *options, status=0):
    command = [support.program("ringtape"), "day", "--store", store, "--json", *options, date]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["closed"] == (status == 0)
    return {channel["channel"]: channel for channel in told["channels"]}


def record(tmp_path, environment):
    """Over midnight, with losses all the time; returns the truth's ids of each symbol."""
    with support.Simulator(
        "--symbols=binance:5", "--rate=2000", "--seconds=12", "--channels=trade",
        "--begin-streams=5", "--begin-after=1", "--faults=drop_all=0.2,drop=0.5,gap=2,seed=7",
        f"--truth={tmp_path / 'truth'}", f"--fault-log={tmp_path / 'faults'}", env=environment,
    ) as simulator:  # fmt: skip
        info = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        names = [entry["symbol"] for entry in info["symbols"]]
        feed = support.feed(simulator, "binance", ["trade"], names, redundancy=2)
        arguments = (tmp_path / "config.yaml", tmp_path / "store", [feed])
        with support.Ringtaped(*arguments, env=environment) as daemon:
            simulator.event("ended", 60)
            assert daemon.terminate() == 0, daemon.errors
        # An audit comes soon after a start.
        with support.Ringtaped(*arguments, env=environment) as daemon:
            daemon.wait_counters(lambda c: c["audits"] > 0, 30, "an audit")
            time.sleep(4)  # judged 3 s later
            daemon.wait_counters(lambda c: c["holes_open"] == 0, 60, "no open hole")
            assert daemon.terminate() == 0, daemon.errors
    sent = {}
    for _, _, stream, payload in support.read_truth(tmp_path / "truth"):
        sent.setdefault(stream.split("@")[0].upper(), []).append(json.loads(payload)["t"])
    return sent


def losses_at(tmp_path, time_ns, seconds):
    faults = [json.loads(line) for line in open(tmp_path / "faults", encoding="utf-8")]
    lost = [fault["time_ns"] for fault in faults if fault["fault"] == "lost"]
    return [at for at in lost if abs(at - time_ns) < seconds * 1e9]


def check_whole(store, sent, midnight_ns):
    stored, sides = {}, set()
    text = support.ringtape("cat", "--store", store, "--channel", "trade", "--json")
    for line in text.splitlines():
        row = json.loads(line)
        stored.setdefault(row["symbol"].split(":")[1], []).append(row["id"])
        sides.add(row["time"][:10])
    assert len(sides) == 2, "trades of both days"
    for symbol, ids in sent.items():
        first = min(stored[symbol])
        assert sorted(stored[symbol]) == [i for i in ids if i >= first], symbol


def test_no_hole_at_the_daily_cut_and_the_day_closes(tmp_path, shift):
    store = tmp_path / "store"
    now = time.time()
    midnight = (now // DAY_S + 1) * DAY_S
    ahead = midnight - now - 9
    date = time.strftime("%Y-%m-%d", time.gmtime(midnight - 1))
    sent = record(tmp_path, shift(ahead))
    assert losses_at(tmp_path, midnight * 1e9, 1.5), "losses right at the cut"
    check_whole(store, sent, midnight * 1e9)

    support.ringtape("seal", "--store", store)
    assert "over" in day(store, date, shift(ahead), status=3)["trade"]["reason"]
    assert not (store / "day").exists()
    command = [support.program("ringtape"), "day", "--store", str(store), "--wait", date]
    until = ahead + midnight + 60 - (time.time() + ahead) - 3  # the minute is over in 3 s
    with support.Process(command, env=shift(until)) as waiting:
        time.sleep(1)
        assert waiting.alive(), waiting.errors
        assert waiting.finish(30) == 0, waiting.errors
        assert waiting.lines[0] == f"{date} is closed"
    trade = day(store, date, shift(ahead + 60), "--channel", "trade")["trade"]
    assert (trade["generation"], trade["open"], trade["lost"]) == (1, 0, 0)
    assert trade["rows"] > 0
    # Closed is closed, whatever the clock says.
    again = day(store, date, shift(ahead + 3600))
    assert again["trade"] == trade and again["status"]["closed"]
    path = store / "day" / f"{date}-trade"
    path.write_text(path.read_text().replace("rows", "sows"))
    command = [support.program("ringtape"), "day", "--store", str(store), date]
    done = subprocess.run(command, env=shift(ahead + 60), capture_output=True, text=True)
    assert done.returncode == 74 and "damaged" in done.stderr


def marker(store, date, generation):
    """The text of trade's marker once it has this generation."""
    path = store / "day" / f"{date}-trade"

    def found():
        text = path.read_text() if path.exists() else ""
        return text if f"\ngeneration {generation}\n" in text else None

    return support.wait_for(found, 60, f"generation {generation} of {path}")


def reported(store, date, generation):
    """The day's report, which the daemon makes by itself, once it is of this generation."""
    path = store / "reports" / f"{date}.json"

    def found():
        told = json.loads(path.read_text()) if path.exists() else None
        return told if told and told["days"][0]["generation"]["trade"] == generation else None

    told = support.wait_for(found, 60, f"generation {generation} in {path}")
    assert told["state"] == "closed" and path.with_suffix(".html").exists()
    return told


def test_the_daemon_closes_a_day_and_a_repair_raises_its_generation(tmp_path, shift):
    """Holes that cannot be repaired until the day is closed; then they can. Each daemon looks at
    days when it starts, so nobody has to wait for the minute to be over. The day's report follows
    by itself."""
    store, now = tmp_path / "store", time.time()
    midnight = (now // DAY_S + 1) * DAY_S
    before = midnight - now - 30  # everything is traded before midnight
    after = shift(before + 120)
    date = time.strftime("%Y-%m-%d", time.gmtime(midnight - 1))
    with support.Simulator(
        "--symbols=binance:3", "--rate=1000", "--seconds=4", "--channels=trade",
        "--begin-streams=3", "--begin-after=1", "--faults=drop=0.2,gap=2,seed=7",
        f"--truth={tmp_path / 'truth'}", env=shift(before),
    ) as simulator:  # fmt: skip
        with support.Door(simulator, "binance", refused="historicalTrades") as door:
            info = simulator.get("binance", "/api/v3/exchangeInfo")[0]
            names = [entry["symbol"] for entry in info["symbols"]]
            feed = support.feed(simulator, "binance", ["trade"], names, rest_url=door.url())
            arguments = (tmp_path / "config.yaml", store, [feed])
            with support.Ringtaped(*arguments, env=shift(before)) as daemon:
                simulator.event("ended", 60)
                daemon.wait_counters(lambda c: c["holes_open"] > 0, 10, "holes")
                assert daemon.terminate() == 0, daemon.errors
            with support.Ringtaped(*arguments, env=after) as daemon:
                daemon.wait_counters(lambda c: c["audits"] > 0, 30, "an audit")
                time.sleep(3)  # judged 2 s later
                assert daemon.terminate() == 0, daemon.errors
            with support.Ringtaped(*arguments, env=after) as daemon:
                first = marker(store, date, 1)
                assert "\nhole open binance:" in first
                told = day(store, date, after)["trade"]
                assert (told["generation"], told["lost"]) == (1, 0)
                assert told["open"] == first.count("\nhole open ") > 0
                page = reported(store, date, 1)
                assert sum(s["holes_open"] for s in page["symbols"]) == told["open"]
                door.refused = None
                daemon.wait_counters(lambda c: c["holes_open"] == 0, 60, "no open hole")
                assert daemon.terminate() == 0, daemon.errors
            with support.Ringtaped(*arguments, env=after) as daemon:
                second = marker(store, date, 2)
                daemon.wait_counters(lambda c: c["days_marked"] > 0)
                page = reported(store, date, 2)
                assert daemon.wait_counters(lambda c: c["reports"] > 0)["report_failures"] == 0
                assert daemon.terminate() == 0, daemon.errors

    assert "\nhole " not in second
    assert all(s["holes_open"] == 0 for s in page["symbols"])
    assert sum(s["holes_repaired"] for s in page["symbols"]) > 0
    closed = next(line for line in first.splitlines() if line.startswith("closed "))
    assert f"\n{closed}\n" in second
    # The command, which writes while no daemon runs, finds nothing to change.
    again = day(store, date, after)["trade"]
    assert (again["generation"], again["open"]) == (2, 0)
    trades = [json.loads(payload) for _, _, _, payload in support.read_truth(tmp_path / "truth")]
    stored = support.ringtape("cat", "--store", store, "--channel", "trade", "--json")
    assert again["rows"] == len(trades) == len(stored.splitlines()) > told["rows"]


def test_what_the_ledger_does_not_know_keeps_the_day_open(tmp_path, shift):
    """Killed before the ledger told of anything, then started again without REST: not proven."""
    with support.Simulator(
        "--symbols=binance:2", "--rate=500", "--seconds=8", "--channels=trade", "--begin-streams=2"
    ) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], ["BTCUSDT", "ETHUSDT"])
        del feed["rest_url"]
        ahead = shift(DAY_S + 60)
        date, reasons = time.strftime("%Y-%m-%d", time.gmtime()), []
        for end in ("killed", "ended"):
            with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed]) as daemon:
                daemon.wait_counters(lambda c: c["durable"] > 500)
                daemon.kill() if end == "killed" else daemon.terminate()
            if end == "killed":
                on_tape = day(tmp_path / "store", date, ahead, "--channel", "status", status=3)
                assert "sealed" in on_tape["status"]["reason"]
            support.ringtape("seal", "--store", tmp_path / "store")
            told = day(tmp_path / "store", date, ahead, status=3)
            reasons.append(told["trade"]["reason"])
    assert "ledger" in reasons[0] and "proven" in reasons[1], reasons
    assert not (tmp_path / "store" / "day" / f"{date}-trade").exists()
