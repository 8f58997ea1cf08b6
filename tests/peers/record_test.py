# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of real exchanges, end to end: replayed over TLS, recorded, sealed, exported, and
compared row for row and column for column with the recording read in Python."""

import expected
import pytest
import support

CHANNELS = {
    "trade": "trade", "aggTrade": "agg_trade", "bookTicker": "quote", "depth": "depth",
    "kline_1m": "kline_1m", "orderbook": "book",
}  # fmt: skip
CAPTURES = support.recordings()
# Twice a busy day. As fast as TLS brings it (3 M/s) a disk that others use may fall behind by
# more than the tape's queue, and rows are refused: `bench capture` looks at that.
RATE = "--rate=50000"
SNAPSHOT_ONLY = "polysim_spot_depth_snapshot.json.gz"


def exchange_of(path):
    if "UPBIT" in path.name:
        return "upbit"
    return "binance-usdm" if "usdm" in path.name else "binance"


def contents(path):
    """Expected rows, symbols and channels of a recording."""
    exchange = exchange_of(path)
    rows, symbols, channels, count = expected.Expected(), {}, {}, 0
    for stream, message in expected.capture_messages(path):
        rows.add(exchange, message)
        count += 1
        if exchange == "upbit":
            symbols[message["cd"]] = channels[CHANNELS[message["ty"]]] = True
        else:
            symbols[stream.split("@")[0].upper()] = channels[CHANNELS[stream.split("@")[1]]] = True
    return exchange, rows, list(symbols), list(channels), count


def record(path, folder, certificates, *options, top=None, **feed_options):
    """Records a capture and exports it. Returns what was expected and the daemon's last
    counters."""
    exchange, rows, symbols, channels, count = contents(path)
    streams = len(symbols) * len(channels) * feed_options.get("redundancy", 1)
    with support.Simulator(
        f"--capture={exchange}:{path}", RATE, f"--begin-streams={streams}", *options,
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, exchange, channels, symbols, **feed_options)
        with support.Ringtaped(folder / "config.yaml", folder / "store", [feed], top=top) as daemon:
            ended = simulator.event("ended", 120)
            assert ended["sent"] == count, "the simulator sent all of the recording"
            counters = daemon.settle(count)
            assert daemon.terminate() == 0, daemon.errors
    support.export(folder / "store", folder / "parquet")
    return rows, counters


@pytest.mark.skipif(CAPTURES is None, reason="no recordings; set RINGTAPE_REAL_DATA")
@pytest.mark.parametrize(
    "path", [p for p in CAPTURES or [] if p.name != SNAPSHOT_ONLY], ids=lambda p: p.name[:40]
)
def test_a_recording_comes_out_as_it_went_in(path, tmp_path, certificates):
    rows, _ = record(path, tmp_path, certificates)
    assert expected.compare(rows, tmp_path / "parquet") > 0


@pytest.mark.skipif(CAPTURES is None, reason="no recordings; set RINGTAPE_REAL_DATA")
def test_many_frames_in_one_record_and_small_tapes(tmp_path, certificates):
    """Packed TLS records, tapes sealed while recording, short commits."""
    path = support.REAL_DATA / "captures" / "hftbacktest_spot_btcusdt_20240808.gz"
    top = {"commit_interval": "1ms", "seal_after": {"size": "1MiB", "time": "1s"}}
    rows, counters = record(path, tmp_path, certificates, "--pack", top=top)
    assert counters["tapes_sealed"] > 0
    assert expected.compare(rows, tmp_path / "parquet") > 0
    before = sorted(f.name for f in (tmp_path / "parquet").rglob("*.parquet"))
    support.ringtape("export", "--store", tmp_path / "store", "--parquet", tmp_path / "parquet")
    assert sorted(f.name for f in (tmp_path / "parquet").rglob("*.parquet")) == before
    assert expected.compare(rows, tmp_path / "parquet") > 0, "a second export doubles nothing"


@pytest.mark.parametrize("shards", [1, 2])
def test_1500_symbols(shards, tmp_path, certificates):
    """Three channels of 1,500 symbols take five links of 1,024 streams, six on two shards."""
    import truth

    with support.Simulator(
        "--symbols=binance:1500", "--rate=20000", "--messages=100000", "--begin-streams=4500",
        f"--truth={tmp_path / 'truth'}", certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade", "quote", "depth"], "all")
        with support.Ringtaped(
            tmp_path / "config.yaml", tmp_path / "store", [feed], top={"shards": shards}
        ) as daemon:
            assert simulator.event("ended", 60)["limit_closes"] == 0
            counters = daemon.settle(100000)
            assert counters["links"] == {1: 5, 2: 6}[shards]
            assert counters["rss_bytes"] < 256 << 20
            assert daemon.terminate() == 0, daemon.errors
    support.export(tmp_path / "store", tmp_path / "parquet")
    results = truth.compare(tmp_path / "truth", tmp_path / "parquet")
    assert sum(r.sent for r in results) == 100000
    assert [r for r in results if r.missing or r.duplicated or r.wrong or r.sent != r.stored] == []


def test_a_link_cut_by_the_exchange_is_renewed(tmp_path, certificates):
    """Lives of three seconds, announced: the daemon reconnects and goes on."""
    with support.Simulator(
        "--symbols=binance:5", "--rate=2000", "--seconds=8", "--life-seconds=3",
        certificates=certificates,
    ) as simulator:  # fmt: skip
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "config.yaml", tmp_path / "store", [feed]) as daemon:
            ended = simulator.event("ended", 60)
            daemon.wait_counters(lambda c: c["connects"] >= 3, 30, "reconnects")
            assert daemon.terminate() == 0, daemon.errors
    assert ended["sent"] > 8000
    support.ringtape("seal", "--store", tmp_path / "store")
    support.ringtape("verify", "--store", tmp_path / "store")
    rows = support.ringtape("cat", "--store", tmp_path / "store", "--channel", "status", "--json")
    assert "server_shutdown" in rows and "link_down" in rows and "link_up" in rows
