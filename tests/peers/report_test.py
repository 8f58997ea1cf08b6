# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape report`: every number equals what Python makes of the stored rows by definition; the
page is well-formed and complete in itself; bad input is told, and the rest is reported."""

import ctypes
import datetime
import html.parser
import json
import re
import resource
import shutil
import signal
import subprocess
import time
from decimal import Decimal

import pytest
import report_truth
import support

MAKER = support.ROOT / "zig-out" / "test"
MONDAY = "2024-08-05"
WEEK = "2024-W32"
DAYS = ["2024-08-05", "2024-08-06", "2024-08-08", "2024-08-11"]
DECIMALS = ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "vwap",
            "buy_ratio", "largest_rise_5m", "largest_fall_5m", "spread_min", "spread_max",
            "spread_mean", "spread_time_weighted"]  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A week in which everything is that rarely is (tests/market_store.h)."""
    store = tmp_path_factory.mktemp("odd") / "store"
    subprocess.run([MAKER / "market_store", store, "odd", MONDAY], check=True)
    return store


def report(store, *arguments, status=0):
    text = support.ringtape("report", "--store", store, "--json", *arguments, status=status)
    return json.loads(text)


def page(store, tmp_path, *arguments, status=0):
    path = tmp_path / "page.html"
    support.ringtape("report", "--store", store, "--html", path, *arguments, status=status)
    return path.read_text(encoding="utf-8")


def name_of(symbol):
    if "symbol_hex" in symbol:
        return symbol["exchange"].encode() + b":" + bytes.fromhex(symbol["symbol_hex"])
    return symbol["exchange"] + ":" + symbol["symbol"]


def values(symbol):
    """As report_truth makes them; a decimal's text is canonical."""
    found = {}
    for key, value in symbol.items():
        if key in DECIMALS and value is not None:
            assert value == "0" or not re.search(r"^[+]|e|\.\d*0$|\.$", value), (key, value)
            value = Decimal(value)
        found[key] = value
    return found


def check(told, truth):
    """Every symbol and number; the volatility within 1e-12."""
    symbols = {name_of(symbol): values(symbol) for symbol in told["symbols"]}
    assert symbols.keys() == truth.keys()
    for name, expected in truth.items():
        found = symbols[name]
        exact = expected["realised_volatility"]
        error = abs(Decimal(found["realised_volatility"]) - exact)
        assert error <= exact * Decimal("1e-12"), (name, found["realised_volatility"], exact)
        for key in expected.keys() - {"realised_volatility"}:
            assert found[key] == expected[key], (name, key)
    return symbols


# ---- numbers ----


@pytest.mark.parametrize("day", DAYS)
def test_numbers_of_a_day(odd, day):
    after = f"{day[:8]}{int(day[8:]) + 1:02}"
    told = report(odd, "--day", day)
    assert (told["state"], told["day"]) == ("preliminary", day)
    symbols = check(told, report_truth.truth(odd, day, after))
    assert symbols["binance:AGGUSDT"]["source"] == "agg_trade"
    assert symbols["binance:AGGUSDT"]["trades"] > 500
    assert symbols["upbit:KRW-BTC"]["source"] == "trade"
    assert symbols["binance:BTCUSDT"]["trades"] == 6000
    half = symbols["binance:\u202eRIGHTUSDT"]
    assert half["source"] == "agg_trade" and half["trades"] > 1500, "of minutes without trades"
    assert symbols["binance:ONLYQUOTESUSDT"]["open"] is None
    assert symbols["binance:ONLYQUOTESUSDT"]["largest_rise_5m_open_time_ns"] is None
    assert symbols["binance:ONLYQUOTESUSDT"]["quotes"] == 4040
    assert symbols["binance-usdm:BTCUSDT_261225"]["high"] < 90000, "insurance does not count"
    assert all(symbol["generation"] is None for symbol in symbols.values())
    assert told["coverage"] is None, "there is no ledger"


def test_numbers_of_a_week(odd):
    """Volatility and weighted spreads go on over midnights, and over the Wednesday without rows."""
    told = report(odd, "--week", WEEK)
    assert [day["day"] for day in told["days"]] == [f"2024-08-{d:02}" for d in range(5, 12)]
    assert [day["state"] for day in told["days"]].count("empty") == 3
    symbols = check(told, report_truth.truth(odd, "2024-08-05", "2024-08-12"))
    assert symbols["binance:BTCUSDT"]["trades"] == 24000


def test_numbers_of_random_rows(tmp_path):
    """Prices of any scale, below zero too; ids up to 63 bits; rows on a tape."""
    store = tmp_path / "store"
    subprocess.run([MAKER / "sample_store", store], check=True)
    check(report(store, "--day", "2024-08-09"),
          report_truth.truth(store, "2024-08-09", "2024-08-10"))  # fmt: skip
    # agg_trade of random ids: more trades than can be counted. Those candles are left out.
    told = report(store, "--day", "2024-08-08", status=1)
    assert told["damage"]["sums_that_do_not_fit"] > 0 == told["damage"]["count"]
    truth = report_truth.truth(store, "2024-08-08", "2024-08-09")
    for symbol in told["symbols"]:
        found, expected = values(symbol), truth[name_of(symbol)]
        for key in expected.keys() & {"quotes", *(key for key in expected if "spread" in key)}:
            assert found[key] == expected[key], (name_of(symbol), key)


def test_many_groups_of_symbols_give_the_same(tmp_path):
    """More symbols than have their candles in memory together."""
    store = tmp_path / "store"
    arguments = ["day", "2024-08-08", "1500", "60000", "3000"]
    subprocess.run([MAKER / "market_store", store, *arguments], check=True)
    told = report(store, "--day", "2024-08-08")
    check(told, report_truth.truth(store, "2024-08-08", "2024-08-09"))
    some = report(store, "--day", "2024-08-08", "--symbols", "binance:BTCUSDT,upbit:*")
    assert {s["exchange"] for s in some["symbols"]} == {"binance", "upbit"}
    everything = {name_of(symbol): symbol for symbol in told["symbols"]}
    assert all(everything[name_of(symbol)] == symbol for symbol in some["symbols"])
    totals = {e["exchange"]: e for e in told["exchanges"]}
    for name, total in totals.items():
        mine = [s for s in told["symbols"] if s["exchange"] == name]
        assert total["trades"] == sum(s["trades"] for s in mine) > 1000
        assert total["quotes"] == sum(s["quotes"] for s in mine) > 0
    krw = [s for s in told["symbols"] if s["exchange"] == "upbit"]
    assert totals["upbit"]["turnover"] == [{
        "asset": "KRW", "symbols": len(krw), "trades": sum(s["trades"] for s in krw),
        "quote_volume": f"{sum(Decimal(s['quote_volume']) for s in krw).normalize():f}",
    }]  # fmt: skip


def test_latency_of_the_stored_columns(odd):
    told = report(odd, "--day", MONDAY)
    found = report_truth.rows(odd, "trade", "2024-08-05", "2024-08-06")
    delays = sorted(
        report_truth.nanoseconds(row["receive_time"]) - report_truth.nanoseconds(row["event_time"])
        for name, rows in found.items() if not isinstance(name, bytes) and
        name.startswith("upbit:") for row in rows
    )  # fmt: skip
    latency = next(e for e in told["exchanges"] if e["exchange"] == "upbit")["latency"]
    assert (latency["rows"], latency["early"]) == (len(delays), 0)
    assert (latency["least_ns"], latency["most_ns"]) == (delays[0], delays[-1])
    for key, rank in (("p50_ns", 0.5), ("p99_ns", 0.99)):
        exact = delays[-(-len(delays) * int(rank * 1000) // 1000) - 1]
        assert abs(latency[key] - exact) <= 0.01 * exact, key


# ---- the page ----


class Page(html.parser.HTMLParser):
    """Nesting, ids, links and everything that would be fetched or run."""

    VOID = {"meta", "br", "path", "link", "img"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.tags = [], [], [], set()
        self.outside, self.text = [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes, closed=False):
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name == "href":
                self.links.append(value)
            if name in ("src", "srcset", "action", "data", "xlink:href") or name[:2] == "on":
                self.outside.append((tag, name, value))
        if tag not in self.VOID and not closed:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes, closed=True)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def check_page(text):
    assert text.startswith("<!DOCTYPE html>")
    found = Page(text)
    assert not found.outside and not found.tags & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import|https?:|//[a-z]", text.replace("<!DOCTYPE html>", ""))
    assert len(set(found.ids)) == len(found.ids)
    assert all(link[0] == "#" and link[1:] in found.ids for link in found.links), found.links
    assert all(path.strip() for path in re.findall(r'<path class="grid" d="([^"]*)"', text))
    return found


@pytest.mark.parametrize("arguments", [("--day", MONDAY), ("--week", WEEK),
                                       ("--day", "2024-08-07")])  # fmt: skip
def test_page_is_complete_in_itself(odd, tmp_path, arguments):
    text = page(odd, tmp_path, *arguments)
    found = check_page(text)
    assert {"alerts", "coverage", "latency", "storage"} <= set(found.ids)
    words = " ".join(found.text)
    if arguments[1] == "2024-08-07":
        assert "No data." in words and "exchange-1" not in found.ids
        return
    assert "Preliminary." in words and "svg" in found.tags
    assert "<b>&\"'</style>USDT" in words, "names are text, not markup"
    assert "\u5e01\u5b89\u4eba\u751fUSDT" in words
    assert "\u202e" not in text and "NOTUTF8\ufffdUSDT" in words


def test_no_data_is_told(odd, tmp_path):
    told = report(odd, "--day", "2024-08-07")
    assert (told["state"], told["symbols"], told["exchanges"]) == ("empty", [], [])
    assert "no data" in support.ringtape("report", "--store", odd, "--day", "2024-08-07")
    week = report(odd, "--week", "2024-W31")
    assert week["state"] == "empty", "before the store begins"


def test_table_for_people(odd):
    text = support.ringtape("report", "--store", odd, "--day", MONDAY)
    assert "Day 2024-08-05, preliminary" in text and "most turnover in USDT" in text
    assert "BTCUSDT" in text and "NOTUTF8?USDT" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


# ---- files ----


def test_files_are_there_whole_or_not_at_all(odd, tmp_path):
    folder = tmp_path / "reports"
    support.ringtape("report", "--store", odd, "--day", MONDAY, "--into", folder)
    assert sorted(p.name for p in folder.iterdir()) == [f"{MONDAY}.html", f"{MONDAY}.json"]
    told = json.loads((folder / f"{MONDAY}.json").read_text())
    assert told["symbols"] == report(odd, "--day", MONDAY)["symbols"]
    before = (folder / f"{MONDAY}.html").read_bytes()
    check_page(before.decode())
    with support.limited(resource.RLIMIT_FSIZE, 20000):
        done = subprocess.run(
            [support.program("ringtape"), "report", "--store", odd, "--day", MONDAY, "--into",
             folder], capture_output=True, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
        )  # fmt: skip
    assert done.returncode == 74 and "what was there stays" in done.stderr
    assert (folder / f"{MONDAY}.html").read_bytes() == before
    assert len(list(folder.iterdir())) == 2, "nothing is left beside"


LISTED = ("trade", "agg_trade", "quote")


def marker(store, day, channel, generation):
    """As a daemon writes it (format/day.h)."""
    hashed = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    hashed.argtypes, hashed.restype = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_uint64
    head = (
        f"ringtape-day 1 0\ngeneration {generation}\nclosed 1722988861000000000\n"
        "changed 1722988861000000000\nrows 1\n"
    ).encode()
    (store / "day").mkdir(exist_ok=True)
    path = store / "day" / f"{day}-{channel}"
    path.write_bytes(head + f"xxh3 {hashed(head, len(head)):016x}\n".encode())


def test_generations_of_closed_days(odd, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(odd, store)
    marker(store, MONDAY, "trade", 3)
    marker(store, MONDAY, "agg_trade", 4)
    assert report(store, "--day", MONDAY)["state"] == "preliminary", "a channel is not closed"
    marker(store, MONDAY, "quote", 1)
    told = report(store, "--day", MONDAY)
    assert told["state"] == "closed"
    assert told["days"][0]["generation"] == {"trade": 3, "agg_trade": 4, "quote": 1}
    assert {s["generation"] for s in told["symbols"]} == {3 + 4 + 1}, "of all that it is made of"
    week = report(store, "--week", WEEK)
    assert week["state"] == "preliminary"
    assert all(symbol["generation"] is None for symbol in week["symbols"])
    for day in DAYS[1:]:
        for channel in ("trade", "agg_trade", "quote"):
            marker(store, day, channel, 2)
    week = report(store, "--week", WEEK)
    assert week["state"] == "closed"
    pairs = [g for day in week["days"] for c, g in day["generation"].items() if c in LISTED]
    assert len(pairs) > 6 and {s["generation"] for s in week["symbols"]} == {sum(pairs)}
    path = store / "day" / f"{MONDAY}-trade"
    path.write_text(path.read_text().replace("rows", "sows"))
    broken = report(store, "--day", MONDAY, status=1)
    assert broken["state"] == "preliminary"
    assert broken["damage"]["listed"][0]["path"] == f"day/{MONDAY}-trade"


def test_refresh_makes_what_is_missing_or_has_changed(tmp_path):
    store = tmp_path / "store"
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    subprocess.run([MAKER / "market_store", store, "day", day, "5", "500", "0"], check=True)
    refresh = ["report", "--store", store, "--refresh"]
    assert support.ringtape(*refresh) == "", "nothing is closed"
    assert not (store / "reports").exists()
    marker(store, day, "trade", 1)
    path = store / "reports" / f"{day}.html"
    assert support.ringtape(*refresh) == f"{path}\n"
    check_page(path.read_text(encoding="utf-8"))
    told = json.loads(path.with_suffix(".json").read_text())
    assert (told["state"], told["symbols"][0]["generation"]) == ("closed", 1)
    made = path.stat().st_mtime_ns
    assert support.ringtape(*refresh) == "" and path.stat().st_mtime_ns == made
    marker(store, day, "trade", 2)
    assert support.ringtape(*refresh) == f"{path}\n"
    assert json.loads(path.with_suffix(".json").read_text())["symbols"][0]["generation"] == 2
    path.unlink()
    assert support.ringtape(*refresh) == f"{path}\n", "the page alone was lost"
    elsewhere = tmp_path / "elsewhere"
    assert support.ringtape(*refresh, "--into", elsewhere) == f"{elsewhere / path.name}\n"


# ---- bad input ----


def test_damage_is_named_and_the_rest_reported(odd, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(odd, store)
    segment = sorted((store / "segment" / MONDAY).glob("trade-*.segment"))[0]
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    done = subprocess.run(
        [support.program("ringtape"), "report", "--store", store, "--day", MONDAY, "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and segment.name in done.stderr
    told = json.loads(done.stdout)
    assert told["damage"]["count"] == 1
    assert told["damage"]["listed"][0]["path"].endswith(segment.name)
    whole = report(odd, "--day", MONDAY)
    same = [s for s in told["symbols"] if s in whole["symbols"]]
    assert len(whole["symbols"]) - 2 <= len(same) < len(whole["symbols"])
    check_page(page(store, tmp_path, "--day", MONDAY, status=1))


def test_another_segment_and_its_index_in_the_place_of_one_are_named(odd, tmp_path):
    """As if nothing could be read there: no symbol and no row of the other one."""
    told = {}
    for how in ("unreadable", "other"):
        store = shutil.copytree(odd, tmp_path / how)
        first = sorted((store / "segment" / MONDAY).glob("trade-*.segment"))[0]
        other = sorted((store / "segment" / DAYS[2]).glob("trade-*.segment"))[0]
        for ending in (".segment", ".index"):
            if how == "other":
                shutil.copy(other.with_suffix(ending), first.with_suffix(ending))
            else:
                first.with_suffix(ending).write_bytes(b"nothing")
        told[how] = report(store, "--day", MONDAY, status=1)
        (damage,) = told[how]["damage"]["listed"]
        assert damage["path"].endswith(first.name)
    assert told["other"]["symbols"] == told["unreadable"]["symbols"]
    assert told["other"]["symbols"] != report(odd, "--day", MONDAY)["symbols"]


def test_a_damaged_ledger_leaves_the_numbers(odd, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(odd, store)
    (store / "ledger").mkdir()
    (store / "ledger" / "base").write_text("ringtape-ledger 1 0\nnonsense\n")
    told = report(store, "--day", MONDAY, status=1)
    assert told["coverage"] is None
    assert [place["path"] for place in told["damage"]["listed"]] == ["ledger"]
    assert told["symbols"] == report(odd, "--day", MONDAY)["symbols"]


@pytest.mark.parametrize("arguments, said", [
    (["--day", "2024-02-30"], "--day"),
    (["--day", "9999-01-01"], "--day"),
    (["--week", "2024-W53"], "--week"),
    (["--week", "2024-W00"], "--week"),
    (["--week", "2024-32"], "--week"),
    ([], "--day"),
    (["--day", MONDAY, "--week", WEEK], "one of"),
    (["--refresh", "--json"], "--refresh"),
    (["--day", MONDAY, "--symbol", "BTCUSDT"], "EXCHANGE:NAME"),
])  # fmt: skip
def test_mistakes_on_the_command_line(odd, arguments, said):
    done = subprocess.run(
        [support.program("ringtape"), "report", "--store", odd, *arguments],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 64 and said in done.stderr, done.stderr


def test_weeks_are_those_of_iso_8601(odd):
    for year in (1999, 2004, 2015, 2020, 2024, 2026, 2027):
        last = datetime.date(year, 12, 28).isocalendar()[1]
        for week in (1, last):
            told = report(odd, "--week", f"{year}-W{week:02}")
            monday = datetime.date.fromisocalendar(year, week, 1)
            assert told["days"][0]["day"] == monday.isoformat()
