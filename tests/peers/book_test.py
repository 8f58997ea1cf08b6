# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape book --at` against the simulator's own books, and `ringtape cat --follow` against the
clock."""

import datetime
import json
import random
import signal
import statistics
import subprocess
import time

import pytest
import support
import true_book

LEVELS = ("--levels", "100000", "--json")


def rows(store, channel, symbol):
    text = support.ringtape("cat", "--store", store, "--channel", channel, "--symbol", symbol,
                            "--json")  # fmt: skip
    return [json.loads(line) for line in text.splitlines()]


def nanoseconds(text):
    """RFC 3339 in UTC."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.timezone.utc)
    return int(whole.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


def text_of(time_ns):
    whole = datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09}Z"


def book(store, symbol, *options, status=0):
    text = support.ringtape("book", symbol, "--store", store, *options, *LEVELS, status=status)
    return json.loads(text) if text else None


def refused(store, symbol, *options, status=1):
    command = [support.program("ringtape"), "book", symbol, "--store", str(store), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done
    assert done.stdout == ""
    return done.stderr


def sides(found):
    return {
        side: {true_book.plain(price): true_book.plain(quantity)
               for price, quantity in found[side + "s"]}
        for side in ("bid", "ask")
    }  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two lives of a daemon with a pause between them: depth has a hole."""
    folder = tmp_path_factory.mktemp("book")
    with support.Simulator(
        "--symbols=binance:2", "--symbols=upbit:1", "--rate=600", "--seconds=11",
        "--begin-streams=5",
        f"--truth={folder / 'truth'}", f"--books={folder / 'books'}",
    ) as simulator:  # fmt: skip
        feeds = [support.feed(simulator, "binance", ["trade", "depth"], "all"),
                 support.feed(simulator, "upbit", ["book"], "all")]  # fmt: skip
        arguments = (folder / "config.yaml", folder / "store", feeds)
        # The simulator's truth has only what somebody was sent.
        witness = support.Ringtaped(folder / "w.yaml", folder / "witness", feeds)
        with support.Ringtaped(*arguments) as daemon:
            simulator.event("begun")
            daemon.wait_counters(lambda c: c["snapshots"] >= 2 and c["durable"] > 1000)
            assert daemon.terminate() == 0, daemon.errors
        time.sleep(1.5)
        with support.Ringtaped(*arguments) as daemon:
            daemon.wait_counters(lambda c: c["snapshots"] >= 2)
            simulator.event("ended", 60)
            daemon.settle(0)
            assert daemon.terminate() == 0, daemon.errors
        witness.kill()
    support.ringtape("seal", "--store", folder / "store")
    return folder


def truth_books(folder, symbol):
    """The market's book after each update: (update, {side: {price: quantity}})."""
    begin = next(
        each for each in map(json.loads, open(folder / "books", encoding="utf-8"))
        if each["at"] == "begin" and f"{each['exchange']}:{each['symbol']}" == symbol
    )  # fmt: skip
    state = true_book.Book(begin["lastUpdateId"], true_book.pairs(begin["bids"], begin["asks"]))
    stream = symbol.split(":")[1].lower() + "@depth"
    for _, exchange, name, payload in support.read_truth(folder / "truth"):
        if exchange != "binance" or not name.startswith(stream):
            continue
        event = json.loads(payload)
        event = event.get("data", event)
        if event["u"] <= state.last:
            continue
        state.apply(event["u"], true_book.pairs(event["b"], event["a"]))
        yield event, state.sides


def symbols(folder, exchange):
    listed = support.ringtape("ls", "--store", folder / "store", "--symbols", "--json")
    found = {each["symbol"] for each in json.loads(listed) if each["symbol"] is not None}
    return sorted(name for name in found if name.startswith(exchange + ":"))


def holes(folder, symbol):
    listed = json.loads(support.ringtape_any("coverage", "--store", folder / "store", "--channel",
                                             "depth", "--symbol", symbol, "--json"))  # fmt: skip
    (key,) = listed["coverage"]
    return [(hole["first"], hole["last"]) for hole in key["holes"]], key


def test_books_are_the_markets_wherever_coverage_says_so(recorded):
    for symbol in symbols(recorded, "binance"):
        missing, key = holes(recorded, symbol)
        assert missing, "the pause left a hole"
        updates = {row["last_id"]: row["time"] for row in rows(recorded / "store", "depth", symbol)}
        checked = 0
        edges = {first - 1 for first, _ in missing}  # the last ones that are known before a hole
        assert edges & updates.keys(), (edges, max(updates))
        for event, true in truth_books(recorded, symbol):
            last = event["u"]
            covered = key["first"] < last < key["last"] and last in updates
            covered = covered and not any(first <= last <= end for first, end in missing)
            if not covered or (last not in edges and random.Random(last).random() > 0.2):
                continue
            found = book(recorded / "store", symbol, "--at", updates[last])
            assert found["last_id"] == last
            assert found["rebuilt"] and found["time"] == updates[last]
            assert sides(found) == true, last
            checked += 1
        assert checked > 10
        newest = book(recorded / "store", symbol)
        assert newest["last_id"] == max(updates)


def test_between_two_updates_the_book_is_that_of_the_first(recorded):
    symbol = symbols(recorded, "binance")[0]
    newest = rows(recorded / "store", "depth", symbol)[-1]
    before = text_of(nanoseconds(newest["time"]) - 1)
    found = book(recorded / "store", symbol, "--at", before)
    assert found["last_id"] == newest["first_id"] - 1


def test_what_is_missing_is_not_guessed(recorded):
    symbol = symbols(recorded, "binance")[0]
    (first, last), *_ = holes(recorded, symbol)[0]
    stored = rows(recorded / "store", "depth", symbol)
    behind = min((r for r in stored if r["first_id"] > first), key=lambda r: r["first_id"])
    inside = text_of(nanoseconds(behind["time"]) - 10**9 // 2)
    words = refused(recorded / "store", symbol, "--at", inside)
    assert f"updates {first} to " in words and "are missing" in words
    assert last >= first


def test_before_and_behind_what_is_stored(recorded):
    symbol = symbols(recorded, "binance")[0]
    stored = rows(recorded / "store", "depth", symbol)
    words = refused(recorded / "store", symbol, "--at", "2030-01-01")
    assert f"the last stored update is of {stored[-1]['time']}" in words
    words = refused(recorded / "store", symbol, "--at", "2001-01-01")
    assert "neither depth nor book" in words
    words = refused(recorded / "store", "binance:NOSUCHUSDT")
    assert "neither depth nor book" in words
    words = refused(recorded / "store", "BTCUSDT", status=64)
    assert "EXCHANGE:NAME" in words


def test_books_of_upbit_are_those_it_sent(recorded):
    (symbol,) = symbols(recorded, "upbit")
    sent = rows(recorded / "store", "book", symbol)
    pick = random.Random(1)
    for row in pick.sample(sent[: len(sent) // 3], 5):
        last = [r for r in sent if r["time"] == row["time"]][-1]
        found = book(recorded / "store", symbol, "--at", row["time"])
        assert not found["rebuilt"] and found["source"] == last["source"]
        levels = {"bid": {}, "ask": {}}
        for side, price, quantity in true_book.stored_levels(last):
            if quantity != "0":
                levels[side][price] = quantity
        assert sides(found) == levels
    pause = [(nanoseconds(a["time"]), nanoseconds(b["time"])) for a, b in zip(sent, sent[1:])]
    start, end = max(pause, key=lambda pair: pair[1] - pair[0])
    words = refused(recorded / "store", symbol, "--at", text_of((start + end) // 2))
    assert "no books came between" in words
    words = refused(recorded / "store", symbol, "--at", text_of(nanoseconds(sent[-1]["time"]) + 1))
    assert f"the last stored book is of {sent[-1]['time']}" in words
    assert book(recorded / "store", symbol, "--at", sent[-1]["time"])["time"] == sent[-1]["time"]
    assert book(recorded / "store", symbol)["time"] == sent[-1]["time"]


def test_a_table_for_people(recorded):
    symbol = symbols(recorded, "binance")[0]
    text = support.ringtape("book", symbol, "--store", recorded / "store", "--levels", 3)
    lines = text.splitlines()
    assert lines[0].startswith(f"{symbol} as of 20") and "snapshot" in lines[0]
    assert lines[1].split() == ["QUANTITY", "BID", "ASK", "QUANTITY"]
    assert len(lines) == 6 and lines[-1].endswith("asks")


class Tail(support.Process):
    def __init__(self, *arguments):
        super().__init__([support.program("ringtape"), "cat", "--follow", "--json", *arguments])


def test_rows_follow_as_they_become_durable(tmp_path):
    """A thin feed, whose tape alone would tell of a row up to two seconds later."""
    with support.Simulator(
        "--symbols=binance:1", "--rate=2", "--seconds=10", "--begin-streams=1",
        f"--truth={tmp_path / 'truth'}",
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed]) as daemon:
            simulator.event("begun")
            daemon.wait_counters(lambda c: c["durable"] > 0)
            late = Tail("--store", str(tmp_path / "store"), "--channel", "trade",
                        "--symbol", "binance:*")  # fmt: skip
            whole = Tail("--store", str(tmp_path / "store"), "--channel", "trade", "--from", "-1h")
            seen, delays = 0, []
            while not simulator.events("ended"):
                for line in late.lines[seen:]:
                    received = nanoseconds(json.loads(line)["receive_time"])
                    delays.append((time.time_ns() - received) / 1e6)
                    seen += 1
                time.sleep(0.002)
            daemon.settle(0)
            time.sleep(0.5)
            assert daemon.terminate() == 0, daemon.errors
        time.sleep(0.5)
        for tail in (late, whole):
            tail.child.send_signal(signal.SIGINT)
            assert tail.child.wait(10) == 0, tail.errors
    stored = support.ringtape("cat", "--store", tmp_path / "store", "--channel", "trade", "--json")
    ids = [json.loads(line)["id"] for line in stored.splitlines()]
    assert [json.loads(line)["id"] for line in whole.lines] == ids
    tail_ids = [json.loads(line)["id"] for line in late.lines]
    assert len(tail_ids) > 5 and tail_ids == ids[-len(tail_ids) :]
    print(f"{len(delays)} rows, {statistics.median(delays):.1f} ms after they were received")
    assert statistics.median(delays) < 350, "the next row alone would tell it later"


def test_a_limit_and_a_closed_pipe_end_it(recorded):
    store = str(recorded / "store")
    text = support.ringtape("cat", "--store", store, "--channel", "trade", "--follow", "--from",
                            "2001-01-01", "--limit", "5", "--json")  # fmt: skip
    assert len(text.splitlines()) == 5
    command = f"{support.program('ringtape')} cat --store {store} --channel trade --follow"
    done = subprocess.run(["bash", "-c", f"{command} --from 2001-01-01 | head -n 3"],
                          capture_output=True, text=True, timeout=30)  # fmt: skip
    assert len(done.stdout.splitlines()) == 3
    # What is over brings nothing more.
    text = support.ringtape("cat", "--store", store, "--channel", "trade", "--follow", "--from",
                            "2001-01-01", "--to", "2002-01-01", "--no-header")  # fmt: skip
    assert text == ""
