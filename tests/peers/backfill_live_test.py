# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape backfill` beside a daemon that records: what was traded before it came, and while it
was away, is filled in from an archive of the same market; no trade twice, none missing."""

import datetime
import json
import os
import signal
import subprocess
import time

import archives
import scripted
import support
from backfill_test import coverage, rows, stored_trades, time_ns

MICROSECOND = 1000


def trades_of(path, first_us):
    """{symbol: [(id, time us, price, quantity, maker)]} of the simulator's truth."""
    found = {}
    for *_, payload in support.read_truth(path):
        data = json.loads(payload)
        if data.get("e") != "trade":
            continue
        at = data["T"] if data["T"] > 10**14 else data["T"] * 1000
        assert at >= first_us
        found.setdefault(data["s"], {})[data["t"]] = (
            data["t"], at, units(data["p"]), units(data["q"]), data["m"],
        )  # fmt: skip
    return {symbol: [by_id[t] for t in sorted(by_id)] for symbol, by_id in found.items()}


def units(text):
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int((rest + "0" * 8)[:8])


def write_today(root, symbol, trades):
    """The archive of each day that the trades are of."""
    market = archives.Market(symbol, "2026-01-01", 1, 0)
    market.trades = trades
    first, last = trades[0][1] // archives.DAY_US, trades[-1][1] // archives.DAY_US
    for day in range(first, last + 1):
        archives.write(root, market, "trades", day)
    return first


def record(tmp_path, feed):
    return support.Ringtaped(tmp_path / "config.yaml", tmp_path / "store", [feed])


def test_history_joins_what_is_recorded(tmp_path):
    begun = int(time.time() * 1e6) - 10**9
    with support.Simulator(
        "--symbols=binance:3", "--rate=400", "--begin-streams=3", "--whole-market",
        f"--truth={tmp_path / 'truth'}", "--truth-channels=trade",
    ) as simulator:  # fmt: skip
        info, _ = simulator.get("binance", "/api/v3/exchangeInfo")
        symbols = [s["symbol"] for s in info["symbols"]]
        feed = support.feed(simulator, "binance", ["trade"], symbols)
        del feed["rest_url"]
        witness = support.Ringtaped(tmp_path / "witness.yaml", tmp_path / "witness", [feed])
        simulator.event("begun")
        time.sleep(1.5)  # before the first start
        with record(tmp_path, feed) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 300)
            assert daemon.terminate() == 0
        time.sleep(1)  # a hole
        with record(tmp_path, feed) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 100 and c["holes_open"] == 3, 60)
            simulator.terminate()
            witness.kill()
            truth = trades_of(tmp_path / "truth", begun)
            first = min(write_today(tmp_path / "a", s, t) for s, t in truth.items())
            told = json.loads(fill(tmp_path, symbols, first))
            # Holes are the daemon's to repair as long as it runs, and what came last is, too.
            assert told["rows_stored"] > 0 and told["rows_stored_before"] > 0
            assert told["rows_left_to_daemon"] > 0
            holes = [h for k in coverage(tmp_path / "store", 1).values() for h in k["holes"]]
            missing = sum(h["last"] - h["first"] + 1 for h in holes if h["state"] == "open")
            assert 0 < missing <= told["rows_left_to_daemon"]
            again = json.loads(fill(tmp_path, symbols, first))
            assert (again["rows_stored"], again["rows_left_to_daemon"]) == (
                0, told["rows_left_to_daemon"])  # fmt: skip
            assert daemon.terminate() == 0, daemon.errors
        assert json.loads(fill(tmp_path, symbols, first))["rows_stored"] == told[
            "rows_left_to_daemon"]  # fmt: skip
        check(tmp_path / "store", truth)
        assert {f["state"] for f in json.loads(fill(tmp_path, symbols, first))["files"]} <= {
            "there", "missing"}  # fmt: skip
        # A life that begins with what was filled in misses nothing.
        with record(tmp_path, feed) as daemon:
            counters = daemon.wait_counters(lambda c: c["symbols"] == 3)
            assert counters["holes_open"] == 0
            assert daemon.terminate() == 0
        check(tmp_path / "store", truth)
    support.ringtape("seal", "--store", tmp_path / "store")
    support.ringtape("verify", "--store", tmp_path / "store")
    check(tmp_path / "store", truth)


def fill(tmp_path, symbols, first):
    to = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return support.ringtape(
        "backfill", "--store", tmp_path / "store", "--exchange", "binance", "--symbols",
        ",".join(symbols), "--channel", "trade", "--from", archives.day_text(first), "--to", to,
        "--source", tmp_path / "a", "--json",
    )  # fmt: skip


def check(store, truth):
    """Every trade of the market once, equal to the last digit."""
    found = {}
    for row in rows(store):
        found.setdefault(row["symbol"].split(":")[1], []).append(row)
    for symbol, trades in truth.items():
        stored = sorted(stored_trades(found[symbol]))
        assert [r[0] for r in stored] == [t[0] for t in trades], symbol
        assert stored == [
            (number, at * MICROSECOND, archives.plain(price), archives.plain(quantity),
             "sell" if maker else "buy")
            for number, at, price, quantity, maker in trades
        ]  # fmt: skip
    for (symbol, _), key in coverage(store).items():
        listed = [h for h in key["holes"] if h["state"] != "repaired"]
        assert (symbol, listed, key["percent"]) == (symbol, [], "100.000000")
    assert time_ns("1970-01-01T00:00:00.000000001Z") == 1


def day_marker(store, channel):
    told = json.loads(support.ringtape("day", "2026-08-01", "--store", store, "--channel", channel,
                                       "--json"))  # fmt: skip
    (found,) = [c for c in told["channels"] if c["channel"] == channel]
    return found


def test_generations_of_days_rise(tmp_path):
    """A day that history made whole is closed; more history raises its generation."""
    with support.Simulator("--symbols=binance:1", "--rate=200", "--seconds=2") as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with record(tmp_path, feed) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 20)
            assert daemon.terminate() == 0
    store = tmp_path / "store"
    for generation, symbol in enumerate(("BTCUSDT", "ETHUSDT"), 1):
        market = archives.Market(symbol, "2026-08-01", 1, 200)
        archives.write_days(tmp_path / "b", market)
        support.ringtape(
            "backfill", "--store", store, "--exchange", "binance", "--symbols", symbol,
            "--channel", "trade", "--from", "2026-08-01", "--to", "2026-08-02", "--source",
            tmp_path / "b",
        )  # fmt: skip
        marker = day_marker(store, "trade")
        assert (marker["generation"], marker["rows"]) == (generation, 200 * generation), marker
    # Nothing new: nothing changes.
    assert day_marker(store, "trade")["generation"] == 2


def kline_frame(minute, row, closed):
    """What a stream says of the kline of a minute: when it is over 5 ms later, else within it."""
    opened, o, h, low, c, volume, ended, quote, number, taker, taker_quote = row
    texts = [archives.decimal8(v) for v in (o, c, h, low, volume, quote, taker, taker_quote)]
    kline = dict(zip("ochlvqVQ", texts), t=opened, T=ended, s="BTCUSDT", i="1m", f=-1, L=-1,
                 n=number, x=closed, B="0")  # fmt: skip
    at = ended + 5000 if closed else opened + 30_000_000
    data = {"e": "kline", "E": at, "s": "BTCUSDT", "k": kline}
    return scripted.frame(json.dumps({"stream": "btcusdt@kline_1m", "data": data}))


def test_a_kline_that_a_stream_told_is_not_stored_again(tmp_path, certificates):
    """The last minute of a day is told behind midnight; one that was cut off is filled in."""
    market = archives.Market("BTCUSDT", "2026-08-01", 2, 20000)
    minutes = list(market.klines(market.first_day, 2))
    told = [100, 101, 1439, 1440]

    def script(connection):
        for minute in told:
            connection.send(kline_frame(minute, minutes[minute], False),
                            kline_frame(minute, minutes[minute], True))  # fmt: skip
        connection.send(kline_frame(1441, minutes[1441], False))
        connection.wait_end()

    with scripted.ScriptedExchange(certificates, [script]) as exchange:
        feed = support.feed(exchange, "binance", ["kline_1m"], ["BTCUSDT"], ca_file=str(
            certificates / "ca.pem"))  # fmt: skip
        with record(tmp_path, feed) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 9)
            archives.write_days(tmp_path / "a", market, "klines")
            said = fill_klines(tmp_path)
            assert said == "2 files, 2876 rows stored, 4 stored before\n"
            assert daemon.terminate() == 0, daemon.errors
    closed = [r["open_time"] for r in rows(tmp_path / "store", "kline") if r["closed"] == "true"]
    assert len(closed) == len(set(closed)) == 2880


def fill_klines(tmp_path):
    return support.ringtape(
        "backfill", "--store", tmp_path / "store", "--exchange", "binance", "--symbols", "BTCUSDT",
        "--channel", "kline", "--from", "2026-08-01", "--to", "2026-08-03", "--source",
        tmp_path / "a",
    )  # fmt: skip


def test_ctrl_c_does_not_wait_for_a_daemon_that_stands_still(tmp_path):
    with support.Simulator("--symbols=binance:1", "--rate=100", "--seconds=60") as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with record(tmp_path, feed) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 20)
            market = archives.Market("XRPUSDT", "2026-08-01", 1, 200)
            archives.write_days(tmp_path / "a", market)
            daemon.child.send_signal(signal.SIGSTOP)
            command = [
                support.program("ringtape"), "backfill", "--store", tmp_path / "store",
                "--exchange", "binance", "--symbols", "XRPUSDT", "--channel", "trade", "--from",
                "2026-08-01", "--to", "2026-08-02", "--source", tmp_path / "a",
            ]  # fmt: skip
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            support.wait_for(lambda: (tmp_path / "store/incoming/numbers.wanted").exists())
            child.send_signal(signal.SIGINT)
            assert child.wait(20) == 130
            daemon.child.send_signal(signal.SIGCONT)
            assert subprocess.run(command, timeout=60, check=False).returncode == 0
            assert daemon.terminate() == 0, daemon.errors
    assert len([r for r in rows(tmp_path / "store") if r["symbol"] == "binance:XRPUSDT"]) == 200


# The whole case: RINGTAPE_BACKFILL_DAYS=92 RINGTAPE_BACKFILL_SYMBOLS=10.
DAYS = int(os.environ.get("RINGTAPE_BACKFILL_DAYS", "3"))
SYMBOLS = int(os.environ.get("RINGTAPE_BACKFILL_SYMBOLS", "3"))


def test_months_of_archives_before_a_recording(tmp_path):
    """Archives that end where a recording begins, by months where those are over, while the daemon
    runs: together every id once, no hole, and the export has every row."""
    a_day = 500
    begun = int(time.time() * 1e6) - 10**9
    with support.Simulator(
        f"--symbols=binance:{SYMBOLS}", "--rate=500", "--seconds=4", f"--begin-streams={SYMBOLS}",
        f"--truth={tmp_path / 'truth'}", "--truth-channels=trade",
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with record(tmp_path, feed) as daemon:
            simulator.event("ended", 60)
            live = trades_of(tmp_path / "truth", begun)
            daemon.settle(sum(map(len, live.values())))
            today = int(time.time()) // 86400
            truth = {}
            for symbol, trades in live.items():
                market = archives.Market(
                    symbol, archives.day_text(today - DAYS), DAYS, a_day,
                    first_id=trades[0][0] - DAYS * a_day,
                )  # fmt: skip
                write_months(tmp_path / "a", market)
                truth[symbol] = market.trades + trades
            told = json.loads(fill(tmp_path, list(live), today - DAYS))
            assert told["rows_stored"] == DAYS * a_day * len(live)
            check(tmp_path / "store", truth)
            assert daemon.terminate() == 0, daemon.errors
    support.export(tmp_path / "store", tmp_path / "parquet")
    found = exported(tmp_path / "parquet")
    assert len(found) == len(set(found)) == sum(map(len, truth.values()))


def write_months(root, market):
    """Calendar months that lie in the market's days as one file, the other days one by one."""
    day, end = market.first_day, market.first_day + market.days
    while day < end:
        first = datetime.date.fromisoformat(archives.day_text(day)).replace(day=1)
        after = (first + datetime.timedelta(days=32)).replace(day=1)
        behind = archives.day_number(after.isoformat())
        whole = archives.day_number(first.isoformat()) == day and behind <= end
        days = behind - day if whole else 1
        archives.write(root, market, "trades", day, days, monthly=whole)
        day += days


def exported(folder):
    import duckdb

    return duckdb.sql(
        f"SELECT symbol, id FROM read_parquet('{folder}/*/channel=trade/**/*.parquet')"
    ).fetchall()
