# SPDX-License-Identifier: GPL-3.0-or-later
"""What bringing archives of trades into a store costs, beside DuckDB making Parquet of them.

    tools/dev bench backfill [--smoke] [--rows N] [--repetitions N]

The archives are zips of CSV as Binance publishes them, with checksums, made of the recordings
(REAL below): their trades again and again, ids and times moving on, so that prices, quantities and
spacing are those of a market. Without recordings they are made up (tests/peers/archives.py).

`ringtape backfill` runs as a process of its own into a fresh store, everything counted: CPU time of
user and system from start to exit and that of what it starts, SHA-256, inflating, scanning, dense
encoding, syncing. DuckDB does not read zips: in a process of its own on one thread the zips are
unpacked by Python's zipfile (zlib), then DuckDB reads the CSV, with the types given, and writes
one Parquet file a CSV with zstd at its own level. Both steps are counted; ratio_to_duckdb_unpacked
leaves the first one out. No checksum is looked at there. The two take turns; medians; spread =
(max - min) / median.

What decides over the exit code: every row is stored once, and (but for smoke runs) 256 MB of
resident memory, 2.5 M rows a second of CPU, three times DuckDB."""

import argparse
import csv
import gzip
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import archives  # noqa: E402
import support  # noqa: E402

REAL = [
    ("BTCUSDT", "captures/hftbacktest_spot_btcusdt_20240808.gz"),
    ("ETHUSDT", "captures/hftbacktest_spot_ethusdt_20240808.gz"),
    ("TRXUSDT", "tables/bdp_trade_stream_spot_trxusdt_2025-03-04.csv.gz"),
]
FIRST_DAY = "2026-05-01"
ROWS_WANTED, RATIO_WANTED, RSS_WANTED = 2.5e6, 3, 256 * 2**20


# ---- archives ----


def units(text):
    """A decimal as 1e-8."""
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int((rest + "0" * 8)[:8])


def captured(path):
    """(time us, price, quantity, maker) of the trades of a recording."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if "@trade" not in line:
                continue
            data = json.loads(line.split(" ", 1)[1])["data"]
            yield data["T"] * 1000, units(data["p"]), units(data["q"]), data["m"]


def tabled(path):
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            yield (int(row["TransactionTime"]), units(row["Price"]), units(row["Quantity"]),
                   row["IsBuyerMarketMaker"] == "1")  # fmt: skip


def recorded(path):
    rows = list(captured(path) if "captures" in str(path) else tabled(path))
    base = rows[0][0]
    return [(at - base, *rest) for at, *rest in rows]


def made_up(symbol):
    market = archives.Market(symbol, FIRST_DAY, 1, 10000)
    base = market.trades[0][1]
    return [(at - base, price, quantity, maker) for _, at, price, quantity, maker in market.trades]


def lines_of(trades, count, day):
    """`count` trades within the day: laps of `trades`, their spacing as it was or denser."""
    start = archives.day_number(FIRST_DAY) * archives.DAY_US + day * archives.DAY_US
    laps = -(-count // len(trades))
    span = max(trades[-1][0], 1)
    room = archives.DAY_US // laps
    number = 4_000_000_000 + day * count
    for at in range(count):
        lap, place = divmod(at, len(trades))
        offset, price, quantity, maker = trades[place]
        offset = offset if span < room else offset * (room - 1) // span
        quote = archives.decimal8(price * quantity // 10**8)
        yield (f"{number + at},{archives.decimal8(price)},{archives.decimal8(quantity)},{quote},"
               f"{start + lap * room + offset},{maker},True\n")  # fmt: skip


def make(folder, rows):
    """Archives of a day for each symbol."""
    sources = [(s, support.REAL_DATA / name) for s, name in REAL]
    real = all(path.exists() for _, path in sources)
    if not real:
        print("bench backfill: no recordings, trades are made up", file=sys.stderr)
    for symbol, path in sources:
        trades = recorded(path) if real else made_up(symbol)
        name = archives.name_of(symbol, "trades", archives.day_number(FIRST_DAY))
        text = "".join(lines_of(trades, rows // len(sources), 0))
        archives.write_zip(folder / "zips" / f"{name}.zip", name, text)
    return rows // len(sources) * len(sources)


# ---- runs ----


def run(folder):
    """CPU seconds, peak of resident memory, rows, bytes of one backfill."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    command = [support.program("ringtape"), "backfill", "--store", store, "--exchange", "binance",
               "--symbols", "all", "--channel", "trade", "--from", FIRST_DAY, "--to", "2026-05-02",
               "--source", folder / "zips", "--json"]  # fmt: skip
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    answer = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"bench backfill: it ended with {os.waitstatus_to_exitcode(status)}")
    size = sum(f.stat().st_size for f in store.glob("segment/2026-05-01/trade-*.segment"))
    return {"seconds": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024,
            "rows": answer["rows_stored"], "bytes": size,
            "wall": time.monotonic() - start}  # fmt: skip


def peer(folder):
    """In a process of its own: CPU seconds of unpacking and of DuckDB, and the bytes it wrote."""
    import zipfile

    import duckdb

    types = {
        "id": "BIGINT", "price": "DECIMAL(18,8)", "qty": "DECIMAL(18,8)",
        "quote": "DECIMAL(38,8)", "time": "BIGINT", "maker": "BOOLEAN", "best": "BOOLEAN",
    }  # fmt: skip
    folder = pathlib.Path(folder)
    base = duckdb.connect()
    base.execute("SET threads=1")
    start, size, rows = time.process_time(), 0, 0
    for path in sorted((folder / "zips").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "csv")
    unpacked = time.process_time()
    for path in sorted((folder / "csv").glob("*.csv")):
        out = folder / "peer.parquet"
        (count,) = base.execute(
            f"COPY (SELECT * FROM read_csv('{path}', header=false, auto_detect=false, "
            f"columns={types})) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchone()
        size += out.stat().st_size
        rows += count
    end = time.process_time()
    print(json.dumps({"seconds": end - start, "alone": end - unpacked, "bytes": size,
                      "rows": rows}))  # fmt: skip


def run_peer(folder):
    done = subprocess.run([sys.executable, __file__, "--peer", str(folder)], check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return json.loads(done.stdout)


# ---- report ----


def spread(values):
    return round((max(values) - min(values)) / statistics.median(values), 3)


def emit(metric, value, unit, spread_of=0, peer_name=None):
    line = {"bench": "backfill", "case": "trades", "metric": metric, "value": value,
            "unit": unit, "spread": spread_of, "peer": peer_name}  # fmt: skip
    print(json.dumps(line), flush=True)


def report(rows, own, peers):
    rates = [rows / r["seconds"] for r in own]
    peer_rates = [rows / r["seconds"] for r in peers]
    ratio = statistics.median(o / p for o, p in zip(rates, peer_rates))
    alone = statistics.median(o / (rows / p["alone"]) for o, p in zip(rates, peers))
    rate, rss = statistics.median(rates), max(r["rss"] for r in own)
    emit("rows_per_second", round(rate), "1/s", spread(rates))
    emit("rows_per_second", round(statistics.median(peer_rates)), "1/s", spread(peer_rates),
         "duckdb")  # fmt: skip
    emit("ratio_to_duckdb", round(ratio, 2), "ratio")
    emit("ratio_to_duckdb_unpacked", round(alone, 2), "ratio")
    emit("bytes_per_row", round(own[-1]["bytes"] / rows, 3), "byte")
    emit("bytes_per_row", round(peers[-1]["bytes"] / rows, 3), "byte", 0, "duckdb")
    emit("peak_rss_mb", round(rss / 2**20, 1), "MB")
    print(
        f"{rows:,} trades: {rate / 1e6:.2f} M rows/s of CPU, DuckDB "
        f"{statistics.median(peer_rates) / 1e6:.2f} (x{ratio:.1f}; x{alone:.1f} "
        f"without unpacking); {own[-1]['bytes'] / rows:.2f} "
        f"bytes a row, DuckDB's Parquet {peers[-1]['bytes'] / rows:.2f}; "
        f"peak {rss / 2**20:.0f} MB; wall {statistics.median(r['wall'] for r in own):.1f} s",
        file=sys.stderr,
    )
    return rate >= ROWS_WANTED and ratio >= RATIO_WANTED and rss <= RSS_WANTED


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args()
    rows = chosen.rows or (60000 if chosen.smoke else 6000000)
    with tempfile.TemporaryDirectory(prefix="bench-backfill-") as name:
        folder = pathlib.Path(name)
        # What a child's peak of memory is told to be includes its parent's size at the fork.
        maker = [sys.executable, __file__, "--make", name, str(rows)]
        rows = int(subprocess.run(maker, stdout=subprocess.PIPE, check=True).stdout)
        own, peers = [], []
        run(folder)  # warms the cache
        for _ in range(1 if chosen.smoke else chosen.repetitions):
            own.append(run(folder))
            peers.append(run_peer(folder))
        whole = all(r["rows"] == rows for r in own + peers)
        fast = report(rows, own, peers)
    good = whole and (fast or chosen.smoke)
    print(json.dumps({"bench": "backfill", "metric": "ok", "value": good}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2])
    elif sys.argv[1:2] == ["--make"]:
        print(make(pathlib.Path(sys.argv[2]), int(sys.argv[3])))
    else:
        sys.exit(main())
