# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape backfill --source rest`: trades from exchange-sim, which answers as the exchanges do
and counts weights; klines and candles from a small server here."""

import datetime
import http.server
import json
import re
import subprocess
import threading
import time
import urllib.parse

import archives
import pytest
import support
from backfill_test import coverage, rows, stored_trades, time_ns


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def backfill(store, exchange, symbol, url, channel="trade", first=None, last="now", *options):
    command = [
        support.program("ringtape"), "backfill", "--store", store, "--exchange", exchange,
        "--symbols", symbol, "--channel", channel, "--from", first or today(), "--to", last,
        "--source", "rest", "--base-url", url, "--json", *options,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def sent(path, exchange, symbol, channel):
    """{id: payload} of the simulator's truth."""
    found = {}
    for _, where, _, payload in support.read_truth(path):
        message = json.loads(payload)
        if where != exchange or symbol not in (message.get("s"), message.get("cd"),
                                               message.get("code")):  # fmt: skip
            continue
        kind = message.get("e") or message.get("ty") or message.get("type")
        if kind == {"trade": "trade", "agg_trade": "aggTrade"}[channel]:
            number = message.get("a", message.get("t", message.get("sid")))
            found[message.get("sequential_id", number)] = message
    return found


@pytest.mark.parametrize(
    "exchange, channel",
    [("binance", "trade"), ("binance", "agg_trade"), ("binance-usdm", "trade"), ("upbit", "trade")],
)
def test_trades_come_by_rest_and_come_once(tmp_path, exchange, channel):
    kind = "aggTrade" if channel == "agg_trade" else channel
    with support.Simulator(
        f"--symbols={exchange}:2", "--rate=2000", "--seconds=3", "--whole-market",
        f"--channels={kind}", f"--truth={tmp_path / 'truth'}", "--begin-streams=0",
        "--faults=rest_error=2,rest_limit=3,rest_short=2",
    ) as simulator:  # fmt: skip
        simulator.event("ended", 60)
        time.sleep(3.5)
        listed = {s for s in names(simulator, exchange)}
        symbol = sorted(listed)[0]
        url = simulator.rest_url(exchange)
        done = backfill(tmp_path / "store", exchange, symbol, url, channel)
        assert done.returncode == 0, done.stderr
        truth = sent(tmp_path / "truth", exchange, symbol, channel)
        found = rows(tmp_path / "store", channel)
        assert sorted(int(r["id"]) for r in found) == sorted(truth)
        assert {r["flags"] for r in found} == {"2"}
        # The day is not over: it is asked for again, and nothing comes twice.
        done = backfill(tmp_path / "store", exchange, symbol, url, channel)
        told = json.loads(done.stdout)
        assert (told["rows_stored"], told["rows_stored_before"]) == (0, len(truth))
        (key,) = coverage(tmp_path / "store").values()
        assert (key["holes"], key["percent"]) == ([], "100.000000")
        done = backfill(tmp_path / "store", exchange, "NOSUCH", url, channel)
        assert done.returncode == 1 and "does not know this symbol" in done.stderr + done.stdout


@pytest.mark.parametrize("exchange", ["binance", "upbit"])
def test_all_symbols_by_rest(tmp_path, exchange):
    with support.Simulator(
        f"--symbols={exchange}:3", "--rate=1000", "--seconds=1", "--whole-market",
        "--channels=trade", f"--truth={tmp_path / 'truth'}", "--begin-streams=0",
    ) as simulator:  # fmt: skip
        simulator.event("ended", 60)
        time.sleep(3.5)
        listed = names(simulator, exchange)
        done = backfill(tmp_path / "store", exchange, "all", simulator.rest_url(exchange))
        assert done.returncode == 0, done.stderr
        found = rows(tmp_path / "store")
        for symbol in listed:
            ids = [int(r["id"]) for r in found if r["symbol"] == f"{exchange}:{symbol}"]
            assert sorted(ids) == sorted(sent(tmp_path / "truth", exchange, symbol, "trade"))
        assert len(found) == len({(r["symbol"], r["id"]) for r in found}) > 900


def names(simulator, exchange):
    if exchange == "upbit":
        return [m["market"] for m in simulator.get("upbit", "/v1/market/all")[0]]
    path = "/api/v3/exchangeInfo" if exchange == "binance" else "/fapi/v1/exchangeInfo"
    return [s["symbol"] for s in simulator.get(exchange, path)[0]["symbols"]]


class Klines(http.server.BaseHTTPRequestHandler):
    """Klines of Binance and candles of Upbit, as documented, of a made-up market."""

    market = archives.Market("BTCUSDT", "2026-08-01", 2, 3000)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        answer = self.candles(url.path, asked) if "candles" in url.path else self.klines(asked)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-MBX-USED-WEIGHT-1M", "7")
        self.end_headers()
        self.wfile.write(body)

    def klines(self, asked):
        found = []
        for row in self.market.klines(self.market.first_day, 2):
            ms = row[0] // 1000
            if int(asked["startTime"]) <= ms <= int(asked["endTime"]):
                text = [archives.decimal8(v) for v in (*row[1:6], row[7], row[9], row[10])]
                found.append([row[0], *text[:5], row[6], text[5], row[8], text[6], text[7], "0"])
        return found[: int(asked["limit"])]

    def candles(self, path, asked):
        assert path == "/v1/candles/minutes/1"
        to = time_ns(asked["to"]) // 1000
        found = [r for r in self.market.klines(self.market.first_day, 2) if r[0] < to and r[8] > 0]
        return [
            {"market": asked["market"], "candle_date_time_utc": archives_clock(r[0]),
             "opening_price": r[1] / 1e8, "high_price": r[2] / 1e8, "low_price": r[3] / 1e8,
             "trade_price": r[4] / 1e8, "candle_acc_trade_volume": r[5] / 1e8,
             "candle_acc_trade_price": 1.5, "unit": 1}
            for r in reversed(found[-int(asked["count"]):])
        ]  # fmt: skip

    def log_message(self, *_):
        pass


def archives_clock(us):
    return datetime.datetime.fromtimestamp(us // 10**6, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S")  # fmt: skip


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Klines)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()


@pytest.mark.parametrize("exchange, symbol", [("binance", "BTCUSDT"), ("upbit", "KRW-BTC")])
def test_klines_by_rest(tmp_path, server, exchange, symbol):
    arguments = (tmp_path / "store", exchange, symbol, server, "kline", "2026-08-01", "2026-08-03")
    told = json.loads(backfill(*arguments, "--dry-run").stdout)
    assert told["requests"] == 2 * {"binance": 2, "upbit": 8}[exchange], "1,440 a day by pages"
    done = backfill(*arguments)
    assert done.returncode == 0, done.stderr
    market = Klines.market
    truth = [r for r in market.klines(market.first_day, 2) if exchange == "binance" or r[8] > 0]
    found = rows(tmp_path / "store", "kline")
    assert [time_ns(r["open_time"]) for r in found] == [t[0] * 1000 for t in truth]
    for row, kline in zip(found, truth):
        columns = ("open", "high", "low", "close", "volume")
        assert [row[n] for n in columns] == [archives.plain(v) for v in kline[1:6]]
        assert (row["interval"], row["closed"]) == ("1m", "true")
    told = json.loads(backfill(*arguments).stdout)
    assert {f["state"] for f in told["files"]} == {"there"}
    assert re.fullmatch(r"\d+", str(told["requests"]))


def test_upbit_has_seven_days(tmp_path, server):
    done = backfill(tmp_path / "store", "upbit", "KRW-BTC", server, "trade", "2026-01-01",
                    "2026-01-02")  # fmt: skip
    assert done.returncode == 1
    assert "trades of the last seven days only" in done.stderr + done.stdout
    assert stored_trades(rows(tmp_path / "store")) == []


class Disordered(Klines):
    """Answers whose first and last rows are right, and the one between is not."""

    ids = (5, 5, 7)

    def do_GET(self):
        self.asked_page = "fromId" in self.path
        super().do_GET()

    def klines(self, asked):
        first = self.market.first_day * 86_400_000
        if "startTime" in asked and "endTime" in asked:
            return [[first + 60_000 * n, *"1111", "2", first + 60_000 * n + 59_999, "2", 1, "1",
                     "1", "0"] for n in self.ids]  # fmt: skip
        ids = self.ids if self.asked_page else self.ids[:1]
        return [{"a": n, "p": "1.0", "q": "2.0", "f": n, "l": n, "T": first + 1000 * n, "m": True,
                 "M": True} for n in ids if n >= int(asked.get("fromId", 0))]  # fmt: skip


@pytest.mark.parametrize("channel", ["agg_trade", "kline"])
def test_answers_that_go_back_are_refused(tmp_path, channel):
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Disordered)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{made.server_port}"
    arguments = (tmp_path / "store", "binance", "BTCUSDT", url, channel, "2026-08-01", "2026-08-02")
    done = backfill(*arguments)
    assert done.returncode == 1, done.stderr
    assert "do not rise" in done.stdout or "not as documented" in done.stdout
    assert not rows(tmp_path / "store", channel)
    Disordered.ids = (5, 6, 7)
    try:
        done = backfill(*arguments)
        assert (done.returncode, len(rows(tmp_path / "store", channel))) == (0, 3), done.stdout
    finally:
        Disordered.ids = (5, 5, 7)
        made.shutdown()
