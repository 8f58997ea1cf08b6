# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape backfill` from a folder of archives that Python made: every row once and exact,
merged with what a daemon recorded, whole files or nothing, everything wrong named and refused."""

import csv
import datetime
import io
import json
import resource
import shutil
import signal
import subprocess
import time

import archives
import pytest
import support

DAY = "2026-08-01"
BACKFILLED = "2"


def backfill(store, source, *options, status=0, exchange="binance", symbols="BTCUSDT",
             channel="trade", first=DAY, last="2026-08-03"):  # fmt: skip
    return support.ringtape(
        "backfill", "--store", store, "--exchange", exchange, "--symbols", symbols, "--channel",
        channel, "--from", first, "--to", last, "--source", source, *options, status=status,
    )  # fmt: skip


def attempt(store, source, symbols="BTCUSDT", last="2026-08-03", **options):
    """The same, whatever comes of it."""
    return subprocess.run(command(store, source, symbols, last), capture_output=True, text=True,
                          check=False, timeout=120, **options)  # fmt: skip


def command(store, source, symbols, last):
    return [
        support.program("ringtape"), "backfill", "--store", store, "--exchange", "binance",
        "--symbols", symbols, "--channel", "trade", "--from", DAY, "--to", last, "--source", source,
    ]  # fmt: skip


def rows(store, channel="trade", *options):
    text = support.ringtape("cat", "--store", store, "--channel", channel, *options)
    return list(csv.DictReader(io.StringIO(text)))


def time_ns(text):
    """Of RFC 3339 with nanoseconds."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return archives.day_number(whole[:10]) * 86_400 * 10**9 + sum(
        int(part) * unit for part, unit in zip(whole[11:].split(":"), (3600, 60, 1))
    ) * 10**9 + int(rest.ljust(9, "0") or 0)  # fmt: skip


def expected_trades(market):
    for number, at, price, quantity, maker in market.trades:
        at -= at % market.unit_us(at)
        yield (number, at * 1000, archives.plain(price), archives.plain(quantity),
               "sell" if maker else "buy")  # fmt: skip


def stored_trades(found):
    return [
        (int(r["id"]), time_ns(r["trade_time"]), r["price"], r["quantity"], r["side"])
        for r in found
    ]


def coverage(store, status=0):
    text = support.ringtape("coverage", "--store", store, "--json", status=status)
    return {(k["symbol"], k["channel"]): k for k in json.loads(text)["coverage"]}


def test_rows_are_those_of_the_archive(tmp_path):
    """Spot in us, without header; one day whole, rows and columns as Python has them."""
    market = archives.Market("BTCUSDT", DAY, 2, 5000)
    archives.write_days(tmp_path / "a", market)
    said = backfill(tmp_path / "store", tmp_path / "a")
    assert said == "2 files, 10000 rows stored\n"
    found = rows(tmp_path / "store")
    assert stored_trades(found) == list(expected_trades(market))
    assert {r["flags"] for r in found} == {BACKFILLED}
    assert {(r["event_time"], r["receive_time"], r["link"]) for r in found} == {("", "", "")}
    assert {r["best_match"] for r in found} == {"true"}
    support.ringtape("verify", "--store", tmp_path / "store")
    key = coverage(tmp_path / "store")[("binance:BTCUSDT", "trade")]
    assert (key["first"], key["last"], key["percent"]) == (1000, 10999, "100.000000")
    # A second time there is nothing to do; no row comes twice.
    assert "2 files there already" in backfill(tmp_path / "store", tmp_path / "a")
    assert len(rows(tmp_path / "store")) == 10000


def test_futures_months_aggregates_and_klines(tmp_path):
    """ms and headers, a monthly file, the other channels."""
    market = archives.Market("ETHUSDT", "2026-02-01", 28, 300, usdm=True)
    month = archives.write(tmp_path / "a", market, "trades", market.first_day, 28, monthly=True)
    assert month.name == "ETHUSDT-trades-2026-02.zip"
    for kind in ("aggTrades", "klines"):
        archives.write(tmp_path / "a", market, kind, market.first_day)
    options = {"exchange": "binance-usdm", "symbols": "all", "first": "2026-02-01"}
    store = tmp_path / "store"
    backfill(store, tmp_path / "a", last="2026-03-01", **options)
    assert stored_trades(rows(store)) == list(expected_trades(market))
    said = backfill(store, tmp_path / "a", channel="agg_trade", last="2026-02-03", **options)
    assert "missing binance-usdm:ETHUSDT agg_trade 2026-02-02, 1 days" in said
    found = rows(store, "agg_trade")
    truth = market.aggregates((market.first_day * archives.DAY_US,
                               (market.first_day + 1) * archives.DAY_US))  # fmt: skip
    names = ("id", "first_id", "last_id", "quantity")
    assert [[r[n] for n in names] for r in found] == [
        [str(t[0]), str(t[4]), str(t[5]), archives.plain(t[3])] for t in truth
    ]
    backfill(store, tmp_path / "a", channel="kline", last="2026-02-02", **options)
    found = rows(store, "kline")
    assert len(found) == 1440
    for row, kline in zip(found, market.klines(market.first_day, 1)):
        assert time_ns(row["open_time"]) == kline[0] * 1000
        assert time_ns(row["close_time"]) == kline[6] * 1000
        names = ("open", "high", "low", "close", "volume")
        assert [row[n] for n in names] == [archives.plain(v) for v in kline[1:6]]
        assert (row["trades"], row["interval"], row["closed"]) == (str(kline[8]), "1m", "true")
    support.ringtape("verify", "--store", store)


def test_holes_are_listed_and_close_when_the_file_is_issued_again(tmp_path):
    market = archives.Market("BTCUSDT", DAY, 3, 1000)
    archives.write_days(tmp_path / "a", market)
    gap = archives.write(tmp_path / "a", market, "trades", market.first_day + 1,
                         change=lambda lines: lines[:300] + lines[350:])  # fmt: skip
    store = tmp_path / "store"
    said = backfill(store, tmp_path / "a", last="2026-08-04")
    assert said == "3 files, 2950 rows stored, 1 gaps\n"
    key = coverage(store)[("binance:BTCUSDT", "trade")]
    (hole,) = key["holes"]
    assert (hole["state"], hole["first"], hole["last"]) == ("lost", 2300, 2349)
    assert hole["cause"] == "not in BTCUSDT-trades-2026-08-02.zip"
    archives.write(tmp_path / "a", market, "trades", market.first_day + 1)
    said = backfill(store, tmp_path / "a", last="2026-08-04")
    assert said == "1 files, 50 rows stored, 950 stored before; 2 files there already\n"
    key = coverage(store)[("binance:BTCUSDT", "trade")]
    assert (key["holes"], key["percent"]) == ([], "100.000000")
    found = sorted(stored_trades(rows(store)))
    assert found == list(expected_trades(market))
    # Days that nobody filled in.
    later = archives.Market("BTCUSDT", "2026-08-06", 1, 100, first_id=9000)
    archives.write_days(tmp_path / "b", later)
    backfill(store, tmp_path / "b", first="2026-08-06", last="2026-08-07")
    (hole,) = coverage(store)[("binance:BTCUSDT", "trade")]["holes"]
    assert (hole["first"], hole["last"], hole["cause"]) == (4000, 8999, "not backfilled")
    assert gap.exists()


def test_files_that_overlap_give_each_row_once(tmp_path):
    """A month beside its days, and a day that repeats rows of another one's name."""
    market = archives.Market("BTCUSDT", "2026-06-01", 30, 100)
    archives.write(tmp_path / "a", market, "trades", market.first_day, 30, monthly=True)
    archives.write_days(tmp_path / "b", market)
    options = {"first": "2026-06-01", "last": "2026-07-01"}
    assert backfill(tmp_path / "s", tmp_path / "b", first="2026-06-03", last="2026-06-05")
    said = backfill(tmp_path / "s", tmp_path / "a", **options)
    assert said == "1 files, 2800 rows stored, 200 stored before\n"
    said = backfill(tmp_path / "s", tmp_path / "b", **options)
    assert said == "28 files, 0 rows stored, 2800 stored before; 2 files there already\n"
    assert sorted(stored_trades(rows(tmp_path / "s"))) == list(expected_trades(market))
    support.ringtape("seal", "--store", tmp_path / "s")
    support.ringtape("verify", "--store", tmp_path / "s")
    assert sorted(stored_trades(rows(tmp_path / "s"))) == list(expected_trades(market))


# ---- what is wrong ----

WRONG = {
    "a shifted column": (
        lambda lines: lines[:9] + [lines[9].replace(",", ",0,", 1)] + lines[10:],
        "time expected, found",
    ),
    "a thousand separator": (
        lambda lines: lines[:4] + ['1,"1,234.5",2,2469,1785542400000000,True,True'] + lines[4:],
        "csv:5:3: price expected, found '\"1'",
    ),
    "ids going back": (
        lambda lines: lines[:7] + [lines[3]] + lines[7:],
        "csv:8: id 1003 after 1006: they must rise",
    ),
    "another day": (
        lambda lines: [lines[0].replace(",17855", ",17862")] + lines[1:],
        "is not within this file's period, 2026-08-01T00:00:00Z to 2026-08-02T00:00:00Z",
    ),
    "price and quantity of another file": (
        lambda lines: lines[:2] + [f"5000,7,8,9,{lines[2].split(',')[4]},True,True"],
        "csv:3: the quote quantity is not price times quantity",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_line_refuses_its_file_and_nothing_else(tmp_path, what):
    change, message = WRONG[what]
    market = archives.Market("BTCUSDT", DAY, 2, 50)
    archives.write_days(tmp_path / "a", market)
    archives.write(tmp_path / "a", market, "trades", market.first_day, change=change)
    store = tmp_path / "store"
    done = attempt(store, tmp_path / "a")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == "1 files, 50 rows stored; 1 files refused\n"
    assert [r["id"] for r in rows(store)] == [str(t[0]) for t in market.of_days(
        market.first_day + 1, 1)]  # fmt: skip
    assert not list((store / "incoming").glob("*.segment"))
    archives.write(tmp_path / "a", market, "trades", market.first_day)
    backfill(store, tmp_path / "a")
    assert sorted(stored_trades(rows(store))) == list(expected_trades(market))


def spoil(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        data[len(data) // 2] ^= 8
        path.write_bytes(data)
    elif how == "no checksum":
        path.with_name(path.name + ".CHECKSUM").unlink()
    elif how == "another market":
        other = path.with_name("ETHUSDT-trades-2026-08-01.zip")
        shutil.copy(other, path)
    if how not in ("no checksum", "bad checksum"):
        archives.write_checksum(path)
    if how == "bad checksum":
        path.with_name(path.name + ".CHECKSUM").write_text(f"{'0' * 64}  {path.name}\n")


@pytest.mark.parametrize(
    "how, message",
    [
        ("cut", "not a whole zip"),
        ("flipped", "damaged"),
        ("no checksum", "no BTCUSDT-trades-2026-08-01.zip.CHECKSUM beside it"),
        ("bad checksum", "SHA-256 0000000000000000... expected, found"),
        ("another market", "'BTCUSDT-trades-2026-08-01.csv' expected inside, found 'ETHUSDT"),
    ],
)
def test_a_wrong_zip_is_refused(tmp_path, how, message):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        (path,) = archives.write_days(tmp_path, archives.Market(symbol, DAY, 1, 500))
        flat = tmp_path / "a" / path.name
        flat.parent.mkdir(exist_ok=True)
        shutil.copy(path, flat)
        archives.write_checksum(flat)
    spoil(tmp_path / "a" / "BTCUSDT-trades-2026-08-01.zip", how)
    done = attempt(tmp_path / "store", tmp_path / "a", "BTCUSDT,ETHUSDT", "2026-08-02")
    assert done.returncode == 1
    assert message in done.stderr, done.stderr
    assert done.stdout == "1 files, 500 rows stored; 1 files refused\n"
    assert {r["symbol"] for r in rows(tmp_path / "store")} == {"binance:ETHUSDT"}


@pytest.mark.parametrize("usdm", [True, False])
def test_klines_of_another_market_are_told_by_their_times(tmp_path, usdm):
    """Spot's and futures' have one name and the same columns; only the unit differs."""
    market = archives.Market("BTCUSDT", DAY, 1, 100, usdm=usdm)
    path = archives.write(tmp_path, market, "klines", market.first_day, header=False)
    (tmp_path / "a").mkdir()
    for name in (path.name, path.name + ".CHECKSUM"):
        shutil.copy(path.with_name(name), tmp_path / "a")
    options = {"channel": "kline", "last": "2026-08-02"}
    right, wrong = ("binance-usdm", "binance") if usdm else ("binance", "binance-usdm")
    said = backfill(tmp_path / "wrong", tmp_path / "a", exchange=wrong, status=1, **options)
    assert said == "0 files, 0 rows stored; 1 files refused\n"
    assert not rows(tmp_path / "wrong", "kline")
    said = backfill(tmp_path / "right", tmp_path / "a", exchange=right, **options)
    assert said == "1 files, 1440 rows stored\n"


def test_a_day_that_is_not_over_has_nothing_of_the_future(tmp_path):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    market = archives.Market("BTCUSDT", str(today - datetime.timedelta(1)), 2, 500)
    market.trades[-1] = (market.trades[-1][0], int((time.time() + 600) * 1e6),
                         *market.trades[-1][2:])  # fmt: skip
    for day in (market.first_day, market.first_day + 1):
        archives.write(tmp_path / "a", market, "trades", day)
    done = attempt(tmp_path / "s", tmp_path / "a", last="now")
    assert done.returncode == 1
    assert "is not within this file's period" in done.stderr, done.stderr


def test_nothing_at_all_of_a_named_symbol_is_a_mistake(tmp_path):
    archives.write_days(tmp_path / "a", archives.Market("BTCUSDT", "2026-07-01", 1, 10))
    done = attempt(tmp_path / "store", tmp_path / "a")
    assert done.returncode == 1
    assert "nothing of binance:BTCUSDT in these days" in done.stderr
    assert done.stdout.startswith("missing binance:BTCUSDT trade 2026-08-01 to 2026-08-02, 2 days")


def test_what_is_asked_for_is_checked_first(tmp_path):
    archives.write_days(tmp_path / "a", archives.Market("BTCUSDT", DAY, 1, 10))
    for options, message in (
        ({"symbols": "BTCUSD"}, "the folder has no file of 'BTCUSD'"),
        ({"symbols": "binance:BTCUSDT"}, "the exchange's spelling expected, BTCUSDT, found"),
        ({"symbols": ""}, "--symbols is empty"),
        ({"last": "2226-08-03"}, "--to lies in the future; --to now is the latest"),
        ({"first": "2226-08-02", "last": "2226-08-03"}, "--from lies in the future"),
        ({"first": "2026-08-04"}, "--to must be later"),
        ({"source": "https://data.binance.vision"}, "--base-url names another host"),
        ({"channel": "depth"}, "trade, agg_trade or kline expected, found 'depth'"),
        ({"exchange": "kraken"}, "found 'kraken'"),
    ):
        given = {"exchange": "binance", "symbols": "BTCUSDT", "channel": "trade", "first": DAY,
                 "last": "2026-08-03", "source": tmp_path / "a", **options}  # fmt: skip
        done = subprocess.run(
            [support.program("ringtape"), "backfill", "--store", tmp_path / "store", "--exchange",
             given["exchange"], "--symbols", given["symbols"], "--channel", given["channel"],
             "--from", given["first"], "--to", given["last"], "--source", given["source"]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 64, (options, done.stderr)
        assert message in done.stderr
        assert not (tmp_path / "store").exists(), options


def test_dry_run_and_json(tmp_path):
    paths = archives.write_days(tmp_path / "a", archives.Market("BTCUSDT", DAY, 2, 100))
    store = tmp_path / "store"
    backfill(store, tmp_path / "a", last="2026-08-02")
    said = backfill(store, tmp_path / "a", "--dry-run")
    size = paths[1].stat().st_size
    assert said.splitlines()[0] == (
        f"{size:12} data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-08-02.zip"
    )
    assert f"1 files, {size} bytes, 0 requests" in said and "1 there already" in said
    assert len(rows(store)) == 100
    told = json.loads(backfill(store, tmp_path / "a", "--json"))
    assert told["rows_stored"] == 100
    assert [f["state"] for f in told["files"]] == ["there", "stored"]


# ---- broken off ----


def start(store, source, last):
    return subprocess.Popen(command(store, source, "BTCUSDT", last), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_broken_off_it_goes_on(tmp_path, how):
    """At any moment whole files are there or nothing of them; in the end everything, once."""
    market = archives.Market("BTCUSDT", DAY, 12, 3000)
    archives.write_days(tmp_path / "a", market)
    store, last = tmp_path / "store", "2026-08-13"
    for delay in (0.02, 0.1, 0.3, 0.6):
        child = start(store, tmp_path / "a", last)
        time.sleep(delay)
        child.send_signal(how)
        said, errors = child.communicate(timeout=60)
        # Before the program has looked at its command line, Ctrl-C just ends it.
        assert child.returncode in (0, 130, -how), errors
        assert child.returncode != 130 or "goes on from here" in said
        if (store / "catalogue").exists():
            found = rows(store)
            assert len(found) % 3000 == 0
            assert len({r["id"] for r in found}) == len(found)
    backfill(store, tmp_path / "a", last=last)
    assert sorted(stored_trades(rows(store))) == list(expected_trades(market))
    support.ringtape("verify", "--store", store)


def test_a_full_disk_leaves_nothing_half_stored(tmp_path):
    market = archives.Market("BTCUSDT", DAY, 2, 20000)
    archives.write_days(tmp_path / "a", market)
    store = tmp_path / "store"
    backfill(store, tmp_path / "a", last="2026-08-02")

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    done = attempt(store, tmp_path / "a", preexec_fn=small_files)
    assert done.returncode == 74, done.stderr
    assert "File too large" in done.stderr
    assert not list((store / "incoming").glob("*.segment"))
    assert len(rows(store)) == 20000
    backfill(store, tmp_path / "a")
    assert sorted(stored_trades(rows(store))) == list(expected_trades(market))
