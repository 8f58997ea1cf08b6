# SPDX-License-Identifier: GPL-3.0-or-later
"""Does history become one whole with what is recorded, and does it come back when it is replayed?

    tools/dev bench history [--smoke] [--trades-a-day N]

Archives as Binance publishes them, made from a seed (tests/peers/archives.py): ten symbols from
2024-12-01 to 2025-03-01, times in ms before 2025 and in us since, each month of each symbol either
one file or one a day. Their last ids are those with which a live market begins: exchange-sim and
ringtaped run with a clock put back to just before midnight of 2025-02-28 UTC, and the archives of
that day and the next hold a part of what is recorded. The recorder comes late, is killed and comes
back after a second. Then

    backfill   half of the symbols from a folder, half over HTTPS from exchange-sim, while the
               daemon runs (a smoke run: the latter half behind its end)
    merged     every trade of the market is stored once: `ringtape coverage` lists nothing,
               `ringtape verify` finds no damage, and the exported Parquet holds the truth's rows,
               by its ids as pyarrow and by all values as DuckDB reads them
    replay     `ringtape replay --speed max` over TLS into a second ringtaped: its exported rows
               equal the first one's, but for times of receipt, links, and what only a message has
               (docs/replay.md, "Equal stores")

missing, duplicated, differing, more: rows; holes: listed by coverage and not repaired. Rates of
backfill and export are per second of CPU, user and system, of the process and what it starts;
rows_refused: by the second recorder, whose disk did not keep up, rows_repaired: what it asked for
then. Exit status 0: all of the former are 0."""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import archives  # noqa: E402
import duckdb  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as compute  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402
import replay_world as world  # noqa: E402
import support  # noqa: E402

# `midnight`: which the live market runs over; `by_day`: of so many whole months one is a file;
# `beside`: of the two ways of backfill so many while the daemon runs.
FULL = {"symbols": 10, "first": "2024-12-01", "midnight": "2025-03-01", "a_day": 10000,
        "by_day": 2, "beside": 2, "rate": 2000, "live_s": (10, 20)}  # fmt: skip
SMOKE = {"symbols": 2, "first": "2024-12-31", "midnight": "2025-02-01", "a_day": 100,
         "by_day": 1, "beside": 1, "rate": 500, "live_s": (1, 0.5)}  # fmt: skip
BEFORE_MIDNIGHT_S, LATE_S, AWAY_S = 3, 0.5, 0.5
# What only a message or a recorder has. Event time and flags count where both had a message.
OWN = {"receive_time_ns", "link", "flags", "event_time_ns"}
BEGIN = time.monotonic()
FROM_ELSEWHERE = 3  # bits of `flags`: repaired, backfilled


def emit(case, metric, value, unit):
    print(json.dumps({"bench": "history", "case": case, "metric": metric, "value": value,
                      "unit": unit, "spread": 0, "peer": None}), flush=True)  # fmt: skip


def say(text):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {text}", file=sys.stderr, flush=True)


# ---- the market ----


def shifted(folder, midnight):
    """The environment of programs whose clock is just before that midnight."""
    source, library = folder / "shift.c", folder / "shift.so"
    source.write_text(support.SHIFT)
    compiler = [str(ROOT / "tools" / "dev"), "zig", "cc"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    start = archives.day_number(midnight) * 86400 - BEFORE_MIDNIGHT_S
    return {**os.environ, "LD_PRELOAD": str(library),
            "SHIFT_SECONDS": str(start - int(time.time()))}  # fmt: skip


def live_trades(path):
    """{symbol: [(id, time us, price, quantity, maker)]} of the simulator's truth."""
    found = {}
    for *_, payload in support.read_truth(path):
        data = json.loads(payload)
        at = data["T"] if data["T"] > 10**14 else data["T"] * 1000
        trade = (data["t"], at, units(data["p"]), units(data["q"]), data["m"])
        found.setdefault(data["s"], {})[data["t"]] = trade
    return {symbol: [by_id[t] for t in sorted(by_id)] for symbol, by_id in found.items()}


def units(text):
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int((rest + "0" * 8)[:8])


def record(folder, size, environment, stack):
    """The live market, recorded with an absence: the daemon, which runs on, and the truth."""
    truth = folder / "live"
    simulator = stack.enter_context(support.Simulator(
        f"--symbols=binance:{size['symbols']}", f"--rate={size['rate']}", "--whole-market",
        "--channels=trade", f"--begin-streams={size['symbols']}", f"--truth={truth}",
        "--truth-channels=trade", env=environment,
    ))  # fmt: skip
    listed, _ = simulator.get("binance", "/api/v3/exchangeInfo")
    feed = support.feed(simulator, "binance", ["trade"], [s["symbol"] for s in listed["symbols"]])
    arguments = (folder / "config.yaml", folder / "store", [feed])
    witness = (folder / "witness.yaml", folder / "witness", [feed])
    with support.Ringtaped(*witness, env=environment):  # the market begins when somebody listens
        simulator.event("begun")
    time.sleep(LATE_S)
    with support.Ringtaped(*arguments, "100ms", env=environment) as daemon:
        daemon.wait_counters(lambda c: c["durable"] > size["symbols"])
        time.sleep(size["live_s"][0])
        daemon.kill()
    time.sleep(AWAY_S)
    daemon = stack.enter_context(support.Ringtaped(*arguments, "100ms", env=environment))
    daemon.wait_counters(lambda c: c["repaired"] > 0 and c["holes_open"] == 0, 60, "a repair")
    time.sleep(size["live_s"][1])
    assert simulator.terminate() == 0
    trades = live_trades(truth)
    days = {t[1] // archives.DAY_US for each in trades.values() for t in each}
    assert len(days) == 2, "the market did not run over midnight"
    return daemon, trades


# ---- archives ----


def make_symbol(folder, symbol, place, size, live):
    """Writes its archives and, as Parquet, what is true of it. Returns rows in archives."""
    days = archives.day_number(size["midnight"]) - archives.day_number(size["first"])
    market = archives.Market(symbol, size["first"], days, size["a_day"],
                             first_id=live[0][0] - days * size["a_day"])  # fmt: skip
    begun = live[0][1]  # what came before is in archives alone
    market.trades = [(t[0], min(t[1], begun - 1), *t[2:]) for t in market.trades]
    of_archives = len(market.trades) + len(live) * 2 // 3  # of what is behind, a recording alone
    market.trades = market.trades + live
    true = market.trades
    market.trades, market.days = true[:of_archives], days + 1
    write_months(folder / ("folder" if place % 2 == 0 else "served"), market, place, size["by_day"])
    columns = list(zip(*((t[0], t[1] - t[1] % market.unit_us(t[1]), *t[2:]) for t in true)))
    table = {"id": columns[0], "time_us": columns[1], "price": columns[2], "quantity": columns[3],
             "sell": columns[4]}  # fmt: skip
    parquet.write_table(pa.table(table), folder / "truth" / f"{symbol}.parquet")
    return of_archives


def write_months(root, market, place, by_day):
    """Of `by_day` whole months one is a file, symbols taking turns; of the rest each day."""
    day, end = market.first_day, market.first_day + market.days
    while day < end:
        year, month, of_month = map(int, archives.day_text(day).split("-"))
        behind = archives.day_number(f"{year + month // 12}-{month % 12 + 1:02d}-01")
        whole = of_month == 1 and behind <= end and (month + place) % by_day == 0
        days = behind - day if whole else 1
        archives.write(root, market, "trades", day, days, monthly=whole)
        day += days


def make(folder, size):
    """Of all symbols; in a process of its own, which gives its memory back."""
    live = json.loads((folder / "live.json").read_text())
    (folder / "truth").mkdir()
    return sum(make_symbol(folder, symbol, place, size, [tuple(t) for t in trades])
               for place, (symbol, trades) in enumerate(sorted(live.items())))  # fmt: skip


# ---- backfill ----


def fill(folder, size, symbols, *source):
    """What it told, its CPU seconds and wall seconds."""
    to = archives.day_text(archives.day_number(size["midnight"]) + 1)
    command = [support.program("ringtape"), "backfill", "--store", folder / "store", "--exchange",
               "binance", "--symbols", ",".join(symbols), "--channel", "trade", "--from",
               size["first"], "--to", to, "--json", *source]  # fmt: skip
    begin = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    told = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, told
    return told, usage.ru_utime + usage.ru_stime, time.monotonic() - begin


def stop(daemon):
    status = daemon.terminate()
    assert status == 0, daemon.errors


def bench_backfill(folder, size, daemon, symbols, rows, certificates):
    """Both ways, and both again: then there is nothing left to do."""
    done = []
    with support.Simulator(
        "--symbols=binance:1", f"--archive={folder / 'served'}", certificates=certificates
    ) as simulator:
        served = ("--base-url", simulator.rest_url("binance"), "--ca-file",
                  certificates / "ca.pem")  # fmt: skip
        ways = [(symbols[::2], ("--source", folder / "folder")), (symbols[1::2], served)]
        for names, source in ways:
            if len(done) == size["beside"]:
                stop(daemon)
            done.append(fill(folder, size, names, *source))
        again = [fill(folder, size, names, *source)[0] for names, source in ways]
    stored = sum(told["rows_stored"] for told, *_ in done)
    before = sum(told["rows_stored_before"] for told, *_ in done)
    left = sum(told["rows_left_to_daemon"] for told, *_ in done)
    for way, (told, cpu, wall) in zip(("folder", "https"), done):
        emit(f"backfill_{way}", "rows_per_second", round(told["rows_stored"] / cpu), "1/s")
        emit(f"backfill_{way}", "wall_s", round(wall, 2), "s")
        emit(f"backfill_{way}", "files", len(told["files"]), "files")
    emit("backfill", "rows", stored, "rows")
    emit("backfill", "rows_there_before", before, "rows")
    say(f"backfill: {stored:,} rows stored, {before:,} were there, {left} left to the daemon")
    return {"left": left, "unaccounted": rows - stored - before - left,
            "stored_again": sum(told["rows_stored"] for told in again)}  # fmt: skip


# ---- judging ----


def exported(store, folder):
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    support.export(store, folder)  # seals and verifies, too
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    return f"{folder}/exchange=binance/channel=trade/*/*.parquet", cpu


def holes(store):
    """Of trades: what is listed and not repaired, and keys that are not covered to the end."""
    text = support.ringtape_any("coverage", "--store", store, "--channel", "trade", "--json")
    keys = json.loads(text)["coverage"]
    assert keys, "nothing is covered"
    return sum(
        (key["percent"] != "100.000000")
        + sum(hole["state"] != "repaired" for hole in key["holes"]) for key in keys
    )  # fmt: skip


def by_ids(files, folder):
    """Missing and duplicated, as pyarrow reads it: nothing but ids and names."""
    stored = parquet.ParquetDataset(
        sorted(map(str, pathlib.Path(files.split("*")[0]).glob("*/*.parquet"))), partitioning=None
    ).read(columns=["symbol", "id"])
    missing = duplicated = 0
    for path in sorted((folder / "truth").glob("*.parquet")):
        true = parquet.read_table(path, columns=["id"])["id"].to_pylist()
        mask = compute.equal(stored["symbol"].cast("string"), path.stem)
        ids = stored["id"].filter(mask).to_pylist()
        missing += len(set(true).difference(ids))
        duplicated += len(ids) - len(set(ids))
    return missing, duplicated, stored.num_rows


def by_values(db, files, folder):
    """Rows that only one of both has, every value told; a symbol at a time."""
    differing = 0
    for path in sorted((folder / "truth").glob("*.parquet")):
        stored = (
            "SELECT id, trade_time_ns, price::DECIMAL(38,8) AS price, quantity::DECIMAL(38,12) AS"
            f" quantity, side FROM read_parquet('{files}') WHERE symbol = '{path.stem}'"
        )
        true = (
            "SELECT id, time_us * 1000 AS trade_time_ns,"
            " (price::DECIMAL(28,0) * 0.00000001::DECIMAL(9,8))::DECIMAL(38,8) AS price,"
            " (quantity::DECIMAL(28,0) * 0.00000001::DECIMAL(9,8))::DECIMAL(38,12) AS quantity,"
            f" CASE WHEN sell THEN 'sell' ELSE 'buy' END AS side FROM read_parquet('{path}')"
        )
        (count,) = db.execute(
            f"SELECT (SELECT count(*) FROM ({true} EXCEPT ALL {stored}))"
            f" + (SELECT count(*) FROM ({stored} EXCEPT ALL {true}))"
        ).fetchone()
        differing += count
    return differing


def unequal(db, first, second):
    """Rows of the first store that the second has not, or more, or otherwise."""
    names = [row[0] for row in db.execute(
        f"DESCRIBE SELECT * FROM read_parquet('{first}', hive_partitioning=false)").fetchall()]
    same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}"
                        for name in names if name not in OWN)  # fmt: skip
    return db.execute(
        f"SELECT count(*) FILTER (b.id IS NULL), count(*) FILTER (a.id IS NULL),"
        f" count(*) FILTER (a.id IS NOT NULL AND b.id IS NOT NULL AND NOT ({same} AND"
        f" ((a.flags | b.flags) & {FROM_ELSEWHERE} <> 0 OR (a.flags IS NOT DISTINCT FROM"
        f" b.flags AND a.event_time_ns IS NOT DISTINCT FROM b.event_time_ns))))"
        f" FROM read_parquet('{first}', hive_partitioning=false) a"
        f" FULL JOIN read_parquet('{second}', hive_partitioning=false) b"
        f" ON a.symbol = b.symbol AND a.id = b.id"
    ).fetchone()


def bench_merged(folder, db):
    files, cpu = exported(folder / "store", folder / "parquet")
    missing, duplicated, rows = by_ids(files, folder)
    differing = by_values(db, files, folder)
    counts = {"missing": missing, "duplicated": duplicated, "differing": differing,
              "holes": holes(folder / "store")}  # fmt: skip
    size = sum(f.stat().st_size for f in (folder / "store").glob("segment/*/trade-*.segment"))
    for name, count in counts.items():
        emit("merged", name, count, "rows")
    emit("merged", "rows", rows, "rows")
    emit("merged", "bytes_per_row", round(size / rows, 2), "byte")
    emit("export", "rows_per_second", round(rows / cpu), "1/s")
    say(f"merged: {rows:,} rows, {counts}; {size / rows:.2f} bytes a row")
    return files, rows, counts


def replayed(folder, certificates):
    """The second recorder's store. At most speed its disk may not keep up: what it refuses then it
    asks for afterwards, as an exchange's; the replay has no limits of REST."""
    store = folder / "second"
    with world.Replay(
        folder / "store", "--speed", "max", "--channels", "trade", "--hold",
        certificates=certificates,
    ) as replay:  # fmt: skip
        feed = support.feed(replay, "binance", ["trade"], "all", rest_weight=10000000)
        with support.Ringtaped(folder / "second.yaml", store, [feed], "100ms") as daemon:
            ended = replay.event("ended", 3600)
            world.all_of(daemon, ended)
            daemon.wait_counters(lambda c: c["holes_open"] == 0, 1800, "no open hole")
            counters = daemon.settle(0)
            assert daemon.terminate() == 0, daemon.errors
            recorder = daemon.usage
        assert replay.terminate() == 0, replay.errors
    emit("replay", "messages_per_second", round(ended["sent"] / ended["elapsed_s"]), "1/s of wall")
    emit("replay", "messages_per_cpu_second", round(ended["sent"] / ended["cpu_s"]), "1/s")
    emit("replay", "recorder_messages_per_cpu_second",
         round(ended["sent"] / (recorder.ru_utime + recorder.ru_stime)), "1/s")  # fmt: skip
    emit("replay", "rows_refused", counters["refused"], "rows")
    emit("replay", "rows_repaired", counters["repaired"], "rows")
    return store


def bench_replay(folder, certificates, db, first, rows):
    store = replayed(folder, certificates)
    second, _ = exported(store, folder / "parquet2")
    _, duplicated, stored = by_ids(second, folder)
    missing, more, differing = unequal(db, first, second)
    counts = {"missing": missing, "more": more, "differing": differing, "duplicated": duplicated,
              "holes": holes(store)}  # fmt: skip
    for name, count in counts.items():
        emit("replay", name, count, "rows")
    say(f"replay: {stored:,} of {rows:,} rows in the second store, {counts}")
    return counts


def run(folder, size):
    certificates = support.make_certificates(folder / "certificates")
    environment = shifted(folder, size["midnight"])
    db = duckdb.connect(config={"threads": 1, "memory_limit": "2GB"})
    with contextlib.ExitStack() as stack:
        daemon, live = record(folder, size, environment, stack)
        (folder / "live.json").write_text(json.dumps(live))
        say(f"live: {sum(map(len, live.values())):,} trades of {len(live)} symbols")
        maker = [sys.executable, __file__, "--make", folder, json.dumps(size)]
        rows = int(subprocess.run(maker, stdout=subprocess.PIPE, check=True).stdout)
        size_mb = sum(f.stat().st_size for f in folder.glob("*/data/**/*.zip")) / 2**20
        say(f"archives: {rows:,} rows, {size_mb:.1f} MB")
        counts = bench_backfill(folder, size, daemon, sorted(live), rows, certificates)
        stop(daemon)
    first, rows, merged = bench_merged(folder, db)
    counts |= {f"merged_{name}": count for name, count in merged.items()}
    found = bench_replay(folder, certificates, db, first, rows)
    return counts | {f"replay_{name}": count for name, count in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--trades-a-day", type=int, help="of each symbol")
    chosen = parser.parse_args()
    size = dict(SMOKE if chosen.smoke else FULL)
    size["a_day"] = chosen.trades_a_day or size["a_day"]
    with tempfile.TemporaryDirectory(prefix="bench-history-") as name:
        counts = run(pathlib.Path(name), size)
    emit("all", "wall_s", round(time.monotonic() - BEGIN, 1), "s")
    good = not any(counts.values())
    if not good:
        say(f"not as it should be: { {name: n for name, n in counts.items() if n} }")
    print(json.dumps({"bench": "history", "metric": "ok", "value": good}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        print(make(pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])))
    else:
        sys.exit(main())
