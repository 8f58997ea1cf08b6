# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts: the recordings of real markets raise none with the default rules; what the daemon raised,
`ringtape alerts --replay` raises again, whatever it was."""

import csv
import gzip
from decimal import Decimal

import pytest
import support
from candles_test import DATA, minute_trades, real, record, rows, upbit_line

# Thresholds so low that ordinary trading crosses them.
NERVOUS = [
    {"kind": "surge", "window": "10s", "threshold": "0.01%", "scaled": "0x", "cooldown": "5s"},
    {"kind": "crash", "window": "10s", "threshold": "0.02%", "scaled": "1x", "cooldown": "5s"},
    {"kind": "volume_burst", "window": "2s", "threshold": "2x", "trades": 5, "cooldown": "1s"},
    {"kind": "spread", "window": "1s", "threshold": "0.0001%", "scaled": "1x"},
]  # fmt: skip


def content(row):
    return {key: value for key, value in row.items() if key not in ("receive_time", "link")}


def by_id(text):
    found = {row["id"]: content(row) for row in rows(text)}
    assert len(found) == len(rows(text)), "no alert twice"
    return found


def both(store, *rules):
    kept = by_id(support.ringtape("cat", "--store", store, "--channel", "alert"))
    again = by_id(support.ringtape("alerts", "--replay", "--store", store, *rules))
    assert again == kept
    return list(kept.values())


UPBIT_MARKETS = ["BTC-BASIC", "BTC-CHZ", "BTC-FLOW", "KRW-ADA", "KRW-ANKR", "KRW-BAT",
                 "KRW-DAWN", "KRW-IQ", "KRW-STX"]  # fmt: skip
TEN_PAIRS = ["AXSBNB", "BTCAUD", "BTCSTUSDT", "DENTUSDT", "ETHBRL", "MANAUSDT", "NEOUSDC",
             "QTUMETH", "RENBTCETH", "ZILUSDT"]  # fmt: skip


@real
@pytest.mark.parametrize("name, exchange, channels, symbols", [
    ("hftbacktest_spot_btcusdt_20240808.gz", "binance", ["trade", "quote"], ["BTCUSDT"]),
    ("hftbacktest_spot_btcusdt_20240809.gz", "binance", ["trade", "quote"], ["BTCUSDT"]),
    ("hftbacktest_spot_ethusdt_20240808.gz", "binance", ["trade", "quote"], ["ETHUSDT"]),
    ("hftbacktest_usdm_btcusdt_20240808.gz", "binance-usdm", ["trade", "quote"], ["BTCUSDT"]),
    ("hbtplayground_spot_nexousdt_20240724.dat.gz", "binance", ["trade"], ["NEXOUSDT"]),
    ("hbtplayground_spot_nexousdt_20240725.dat.gz", "binance", ["trade"], ["NEXOUSDT"]),
    ("polysim_spot_aggTrade.jsonl.gz", "binance", ["agg_trade"], ["BTCUSDT"]),
    ("cryptofeed_BINANCE-b38f7c.0.gz", "binance", ["agg_trade", "quote"], TEN_PAIRS),
    ("cryptofeed_BINANCE.ws.1.0.gz", "binance", ["agg_trade", "quote"],
     ["BLZETH", "LRCBTC", "NKNUSDT", "RUNEEUR"]),
    ("cryptofeed_UPBIT-d78752.0.gz", "upbit", ["trade", "book"], UPBIT_MARKETS),
])  # fmt: skip
def test_no_false_alert_on_recordings(name, exchange, channels, symbols, tmp_path):
    store, counters = record(DATA / "captures" / name, exchange, channels, symbols, tmp_path)
    assert both(store) == [] and counters["alerts"] == 0


def table_lines(name, futures):
    """Rows of a table of trades as the exchange's messages."""
    with gzip.open(DATA / "tables" / name, "rt") as file:
        for row in csv.DictReader(file):
            kind = f',"X":"{row["XUnknownParameter"]}"' if futures else ""
            more = "" if futures else ',"M":true'
            maker = "true" if row["IsBuyerMarketMaker"] == "1" else "false"
            yield (
                f'{row["TimestampOfReceive"]} {{"stream":"trxusdt@trade","data":{{"e":"trade",'
                f'"E":{row["EventTime"]},"T":{row["TransactionTime"]},"s":"TRXUSDT",'
                f'"t":{row["TradeId"]},"p":"{row["Price"]}","q":"{row["Quantity"]}"{kind},'
                f'"m":{maker}{more}}}}}\n'
            )


@real
@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
def test_no_false_alert_on_tables_of_trades(exchange, tmp_path):
    futures = exchange == "binance-usdm"
    kind = "usdm" if futures else "spot"
    path = tmp_path / "trades.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.writelines(table_lines(f"bdp_trade_stream_{kind}_trxusdt_2025-03-04.csv.gz", futures))
    store, counters = record(path, exchange, ["trade"], ["TRXUSDT"], tmp_path)
    assert counters["durable"] >= 10000
    assert both(store) == [] and counters["alerts"] == 0


@real
def test_no_false_alert_in_a_month_of_minutes(tmp_path):
    """KRW-BTC: each minute as the four trades its candle tells."""
    with gzip.open(DATA / "tables" / "upbit_KRW-BTC_1m_2025-09.csv.gz", "rt") as file:
        minutes = [m for m in csv.DictReader(file) if Decimal(m["volume"]) > 0]
    path = tmp_path / "upbit.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.writelines(upbit_line(trade) for trade in minute_trades(minutes))
    store, counters = record(path, "upbit", ["trade"], ["KRW-BTC"], tmp_path)
    assert both(store) == [] and counters["alerts"] == 0


def as_text(rule):
    more = {key: value for key, value in rule.items() if key != "kind"}
    return " ".join([rule["kind"], *(f"{key}={value}" for key, value in more.items())])


@real
@pytest.mark.parametrize("sealed", [False, True])
def test_a_replay_raises_the_same(sealed, tmp_path):
    """Rules that ordinary trading breaks all the time."""
    store, counters = record(
        DATA / "captures" / "hftbacktest_spot_btcusdt_20240808.gz", "binance",
        ["trade", "quote"], ["BTCUSDT"], tmp_path, top={"alerts": NERVOUS},
    )  # fmt: skip
    if sealed:
        support.ringtape("seal", "--store", store)
    options = [part for rule in NERVOUS for part in ("--rule", as_text(rule))]
    found = both(store, *options)
    assert len(found) == counters["alerts"] > 20
    assert {row["kind"] for row in found} >= {"surge", "crash", "volume_burst"}


def test_silence_is_told_about_an_exchange(tmp_path):
    """No symbol is silent but all of them: a row without one, which is exported, too."""
    import duckdb

    rules = [{"kind": "silence", "window": "1s"}]
    with support.Simulator("--symbols=binance:3", "--channels=trade", "--rate=300",
                           "--seconds=1", "--at-end=hold") as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        top = {"alerts": rules}
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "store", [feed], top=top) as daemon:
            # Looked for when a minute closes.
            daemon.wait_counters(lambda c: c["alerts"] > 0, 90, "an alert")
            assert daemon.terminate() == 0, daemon.errors
    support.export(tmp_path / "store", tmp_path / "parquet")
    files = f"{tmp_path}/parquet/exchange=*/channel=alert/**/*.parquet"
    rows = duckdb.sql(
        f"SELECT symbol, kind, about_exchange FROM read_parquet('{files}')"
    ).fetchall()
    assert rows == [(None, "silence", "binance")]
