# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what an exchange sends stored soon, whatever goes wrong?

    tools/dev bench availability [--smoke] [--seed N] [--seconds N] [--keep]

exchange-sim plays Binance and Upbit (TLS, their own REST budgets) and cuts links; ringtaped records
over two links each and mirrors to a real Kafka broker, its store on a small ext4, started again as
systemd would (tests/peers/supervised.py). One fault at a time by a seed
(tests/peers/soak_faults.py): SIGKILL, SIGSTOP, broker killed or stopped, disk full, frozen, slow.
What needs root is left out without it, with a line that says so. Whole for 30 minutes, --smoke for
half of one and what comes before and behind.

Events are trades, which REST can repair. Every trade of the exchange's truth counts, whoever was
there to receive it, from its due time. Stored is one when a stranger can read it: a program of
libringtape (docs/examples/follow.c, which gives only rows that are known to be durable) has printed
it and this program has read that line. A repaired row counts with the time of its repair; one that
never came counts as late.

stored_within_10s: share of trades. lost: trades neither stored nor listed, and ones listed as lost.
unlisted: trades by which what is listed and what is not stored differ. restart_p50_s,
restart_p99_s, restart_max_s: from the kill until a trade of each exchange sent after the restart's
beginning is stored, less RestartSec of the unit (restart_pause_s); with_pause_: the same with it.
Its parts: check_ (`--check` before the start), ready_ (to READY=1), connected_ (to a link to each
exchange), first_ (to those trades). Restarts while exchange-sim accepted nobody are not among them
(restarts_in_outage). Other channels cannot be repaired: NAME_missing of NAME_sent, of which
NAME_listed lie within what coverage lists and NAME_before before its first event of that symbol.
depth_wrong: as in bench completeness. mirror_missing: trades of the store that Kafka does not have
in the end. under_fault: share of the time of sending under one of the faults above or with an
exchange away. Exits with 1 where something is lost or unlisted or less than 99.99 % came in time,
and but for --smoke where a restart took over 1 s or there was none."""

import argparse
import contextlib
import json
import math
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import time

import completeness
from completeness import count
from lib.contract import emit, limit, load
from mirror import ROOT

import duckdb  # noqa: E402
import followed
import kafka_broker
import mirror_test
import small_disk
import soak_faults
import supervised
import support

FULL = {"seconds": 1800, "symbols": 20, "markets": 10, "rate": 1000, "scale": 1, "rounds": 30,
        "cuts": "fin=180,reset=240,cut=240,close=300,mute=900,deaf=900,outage=180"}  # fmt: skip
SMOKE = {"seconds": 30, "symbols": 10, "markets": 4, "rate": 500, "scale": 0.2, "rounds": 4,
         "cuts": "fin=40,reset=40,cut=40,close=40,outage=30",
         "without": ["broker_stop"]}  # fmt: skip
CHANNELS = {"binance": ["trade", "quote", "depth"], "upbit": ["trade", "book"]}
OF_DISK = ("disk_full", "disk_frozen", "disk_slow")
LIMIT_S, LIMIT_SHARE, LIMIT_RESTART_S = 10, 0.9999, 1
DISK_MB = 1024


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- recording ----


def simulator(size, seed, folder, certificates):
    streams = 3 * size["symbols"] + 2 * size["markets"]
    return support.Simulator(
        f"--symbols=binance:{size['symbols']}", f"--symbols=upbit:{size['markets']}",
        "--channels=trade,bookTicker,depth,orderbook", f"--rate={size['rate']}",
        f"--seconds={size['seconds']}", "--begin-after=2", f"--begin-streams={2 * streams}",
        f"--faults={size['cuts']},seed={seed}", f"--truth={folder}/truth",
        f"--books={folder}/books", f"--fault-log={folder}/faults", certificates=certificates,
    )  # fmt: skip


def place(stack, folder):
    """A disk of its own, or None; `store` leads there."""
    try:
        disk = stack.enter_context(small_disk.SmallDisk(folder, DISK_MB))
    except small_disk.Missing as missing:
        say(f"LEFT OUT: disk full, frozen, slow: no file system can be mounted (root?): {missing}")
        return None, [kind for kind in soak_faults.KINDS if kind not in OF_DISK]
    (disk.place / "store").mkdir()
    (folder / "store").symlink_to(disk.place / "store")
    kinds = list(soak_faults.KINDS)
    if disk.can_throttle():
        say(f"LEFT OUT: disk slow: {disk.can_throttle()}")
        kinds.remove("disk_slow")
    return disk, kinds


def top_of(broker):
    top = {"disk": {"reserve": "64MiB"}}
    if broker is None:
        return top
    mirror_test.make_topics(broker, "soak")
    return {**top, "kafka": mirror_test.kafka(broker, "soak")}


def print_schedule(faults):
    for fault in faults:
        say(f"  {fault.pause_s:5.1f} s after the last: {fault.kind} {fault.seconds:.1f} s")


def record(size, seed, folder, smoke):
    """Runs everything to its end: faults done, lives, the follower, Kafka's trades."""
    with contextlib.ExitStack() as stack:
        disk, kinds = place(stack, folder)
        broker = None
        if kafka_broker.MISSING is None:
            broker = stack.enter_context(kafka_broker.Broker(folder / "kafka"))
        else:
            say(f"LEFT OUT: the broker: {kafka_broker.MISSING}")
            kinds = [kind for kind in kinds if "broker" not in kind]
        certificates = support.make_certificates(folder / "certificates")
        exchange = stack.enter_context(simulator(size, seed, folder, certificates))
        feeds = [support.feed(exchange, name, channels, "all", redundancy=2)
                 for name, channels in CHANNELS.items()]  # fmt: skip
        arguments = (folder / "config.yaml", folder / "store", feeds)
        top = top_of(broker)
        daemon = stack.enter_context(supervised.Supervised(folder, *arguments, top=top))
        daemon.wait_ready()
        follower = stack.enter_context(followed.Followed(folder, folder / "store", "trade"))
        exchange.event("begun", 60)
        kinds = [kind for kind in kinds if kind not in size.get("without", ())]
        faults = soak_faults.schedule(seed, kinds, size["rounds"], size["scale"])
        say(f"seed {seed}; links: {size['cuts']}; one after the other:")
        print_schedule(faults)
        world = soak_faults.World(daemon, broker, disk)
        faults = soak_faults.play(faults, world, lambda: exchange.events("ended"), tell)
        exchange.event("ended", size["seconds"] + 60)
        settle(daemon, arguments, top, size, smoke, broker)
        follower.stop()
        assert exchange.terminate() == 0  # its files are whole then
        mirrored = None
        if broker is not None:
            # A broker on a busy machine may say nothing for seconds.
            read = kafka_broker.read_topic(broker.address, "soak.trades", 30, seconds=300)
            mirrored = {(m.key().decode(), dict(m.headers())["identity"].decode()) for m in read}
        judge_store(folder)
        return faults, daemon.lives, follower, mirrored


def tell(fault):
    say(f"{time.strftime('%H:%M:%S')} {fault.kind} {(fault.end_ns - fault.begin_ns) / 1e9:.1f} s")


def settle(daemon, arguments, top, size, smoke, broker):
    """Until everything is judged, repaired and mirrored; an audit comes soon after a start: sooner
    than the next minute."""
    ended = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    daemon.wait_ready()
    if not smoke:
        completeness.wait_proven(arguments[1], ended)
        completeness.wait_repaired(daemon.daemon, 0)
    else:
        assert daemon.terminate() == 0, daemon.daemon.errors[-5:]
    with contextlib.ExitStack() as stack:
        last = daemon.daemon
        if smoke:
            last = stack.enter_context(support.Ringtaped(*arguments, top=top))
            completeness.wait_repaired(last, size["markets"] + 1)
        if broker is not None:
            mirror_test.caught_up(last, 300)
        status = last.terminate() if smoke else daemon.terminate()
        assert status == 0, (status, last.errors[-5:])


def judge_store(folder):
    """While the disk is there: the rest is judged from what this leaves in the folder."""
    support.export(folder / "store", folder / "parquet")
    listed = support.ringtape_any("coverage", "--store", folder / "store", "--json")
    (folder / "coverage").write_text(listed)
    db = duckdb.connect(folder / "judge.db")
    completeness.load(db, folder)
    ids = completeness.judge_ids(db)
    upbit = completeness.judge_upbit(db, folder)
    depth = completeness.judge_depth(db, folder)
    lost = ids["missing"] + ids["lost"] + upbit["upbit_missing"]
    result = {
        "trades_sent": ids["truth"] + count(db, "SELECT DISTINCT symbol, id FROM upbit_truth"),
        "trades_stored": ids["stored"] + upbit["upbit_stored"],
        "lost": lost,
        "unlisted": ids["unlisted"] + upbit["upbit_missing"],
        "duplicated": ids["duplicated"] + upbit["upbit_duplicated"],
        "open_at_end": ids["open_at_end"] + upbit["upbit_open_at_end"],
        "depth_wrong": depth["depth_wrong"],
        "depth_compared": depth["depth_compared"],
    }
    (folder / "judged").write_text(json.dumps(result))
    db.close()


# ---- judging ----


def load_times(db, folder, follower):
    """due and seen of every trade of the truth; seen is null where nobody ever saw it. Upbit's
    snapshots stand in the truth, too: the first line of an id is the trade."""
    db.execute(
        "CREATE TABLE seen AS SELECT column0 AS symbol, column2 AS id, min(column3) AS seen"
        " FROM read_csv(?, header=false, auto_detect=false, delim=' ', columns={'column0':"
        " 'VARCHAR', 'column1': 'BIGINT', 'column2': 'BIGINT', 'column3': 'BIGINT'})"
        " GROUP BY ALL",
        [str(follower.path)],
    )
    db.execute(
        "CREATE TABLE trades AS SELECT exchange, due, seen, (seen - due) / 1e9 AS seconds FROM"
        " (SELECT 'binance' AS exchange, 'binance:' || symbol AS symbol, id, due FROM truth"
        "  UNION ALL SELECT 'upbit', 'upbit:' || symbol, id, min(due) FROM upbit_truth"
        "  GROUP BY ALL)"
        " LEFT JOIN seen USING (symbol, id)"
    )


def judge_times(db):
    total, within, never = db.execute(
        "SELECT count(*), count(*) FILTER (seconds <= ?), count(*) FILTER (seen IS NULL)"
        " FROM trades",
        [LIMIT_S],
    ).fetchone()
    spread = db.execute(
        "SELECT quantile_cont(seconds, [0.5, 0.99, 0.999]), max(seconds) FROM trades"
    ).fetchone()
    return {
        "stored_within_10s": within / total, "late": total - within, "never_seen": never,
        "stored_p50_s": round(spread[0][0], 4), "stored_p99_s": round(spread[0][1], 3),
        "stored_p999_s": round(spread[0][2], 3), "stored_max_s": round(spread[1], 3),
    }  # fmt: skip


def outages(folder):
    """When an exchange accepted nobody."""
    lines = map(json.loads, (folder / "faults").read_text().splitlines())
    return [(f["time_ns"], f["time_ns"] + int(float(f["seconds"]) * 1e9))
            for f in lines if f["fault"] == "outage" and f["exchange"] in CHANNELS]  # fmt: skip


def live_ns(db, life):
    """When a trade of each exchange sent after its start was stored."""
    times = db.execute(
        "SELECT min(seen) FROM trades WHERE due >= ? GROUP BY exchange", [life.started_ns]
    ).fetchall()
    return max((t for (t,) in times if t is not None), default=0) if len(times) == 2 else 0


def opened_ns(folder, after_ns):
    """When the first link of each exchange was open, the later of them."""
    times = {}
    for line in (folder / "faults").read_text().splitlines():
        fault = json.loads(line)
        if fault["fault"] == "open" and fault["time_ns"] > after_ns:
            times.setdefault(fault["exchange"], fault["time_ns"])
    return max(times.values(), default=0)


def judge_restarts(db, folder, lives, away):
    pause = supervised.restart_seconds()
    found, in_outage, parts = [], [], []
    for life in lives[1:]:
        live = live_ns(db, life)
        if live == 0:
            continue  # the end of sending came first
        seconds = (live - life.died_ns) / 1e9
        marks = [life.died_ns + int(pause * 1e9), life.started_ns, life.ready_ns,
                 opened_ns(folder, life.started_ns), live]  # fmt: skip
        parts.append([(b - a) / 1e9 for a, b in zip(marks, marks[1:])])
        overlapped = any(life.died_ns < end and begin < live for begin, end in away)
        (in_outage if overlapped else found).append(seconds)
    found.sort()
    result = {
        "restarts": len(found), "restarts_in_outage": len(in_outage),
        "restart_in_outage_max_s": round(max(in_outage, default=0), 3),
        "restart_pause_s": pause,
        **{f"{name}_{what}_s": round(take(part), 3)
           for name, part in zip(("check", "ready", "connected", "first"), zip(*parts))
           for what, take in (("p50", statistics.median), ("max", max))},
    }  # fmt: skip
    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1)) if found else ():
        seconds = found[math.ceil(part * len(found)) - 1]
        result[f"restart_{name}_s"] = round(seconds - pause, 3)
        result[f"with_pause_{name}_s"] = round(seconds, 3)
    return result


# Of channels without repair: the stream of the truth, the keys of an event there and in the store.
OTHERS = {
    ("binance", "quote"): ("bookTicker", "u", "id"),
    ("binance", "depth"): ("depth", "u", "last_id"),
    ("upbit", "book"): ("orderbook", "tms", "event_time_ns // 1000000"),
}


def judge_others(db, folder):
    """What is missing of each, how much of that lies within a hole that coverage lists."""
    result = {}
    coverage = json.loads((folder / "coverage").read_text())["coverage"]
    db.execute("CREATE TABLE holes_told (symbol VARCHAR, channel VARCHAR, f VARCHAR, t VARCHAR,"
               " first BIGINT, last BIGINT)")  # fmt: skip
    rows = [
        (key["symbol"], key["channel"], (h.get("from") or "1970-01-01T00:00:00Z").rstrip("Z"),
         (h.get("to") or "2200-01-01T00:00:00Z").rstrip("Z"), h.get("first"), h.get("last"))
        for key in coverage for h in key["holes"]
        if key["channel"] in ("quote", "depth", "book") and h["state"] != "repaired"
    ]  # fmt: skip
    completeness.fill(db, "holes_told", rows)
    db.execute("CREATE TABLE covered (symbol VARCHAR, channel VARCHAR, f VARCHAR)")
    completeness.fill(db, "covered", [(k["symbol"], k["channel"], k["from"].rstrip("Z"))
                                      for k in coverage if k["from"] is not None])  # fmt: skip
    for (exchange, channel), (stream, wire, column) in OTHERS.items():
        result.update(judge_other(db, folder, exchange, channel, (stream, wire, column)))
    return result


def judge_other(db, folder, exchange, channel, names):
    stream, wire, column = names
    rows = "DISTINCT symbol, tape, tape_row" if channel == "book" else "DISTINCT symbol"
    files = f"{folder}/parquet/exchange={exchange}/channel={channel}/**/*.parquet"
    db.execute(
        f"CREATE OR REPLACE TABLE have AS SELECT symbol, id FROM (SELECT {rows}, {column} AS id"
        f" FROM read_parquet('{files}', hive_partitioning=false))"
    )
    db.execute(
        "CREATE OR REPLACE TABLE sent AS SELECT column0::BIGINT AS due,"
        " regexp_extract(column2, '^[^@]*') AS s,"
        f""" regexp_extract(column3, '"{wire}":(\\d+)', 1)::BIGINT AS id"""
        " FROM read_csv(?, header=false, auto_detect=false, delim=' ', quote='',"
        " escape='', columns={'column0': 'VARCHAR', 'column1': 'VARCHAR', 'column2': 'VARCHAR',"
        " 'column3': 'VARCHAR'}, max_line_size=1000000)"
        f" WHERE column1 = '{exchange}' AND column2 LIKE '%@{stream}'"
        " AND NOT contains(column3, '\"SNAPSHOT\"')",
        [str(folder / "truth")],
    )
    db.execute("CREATE OR REPLACE TABLE gone AS SELECT upper(s) AS symbol, id FROM sent"
               " EXCEPT ALL FROM have")  # fmt: skip
    within = ("h.first IS NOT NULL AND g.id BETWEEN h.first AND coalesce(h.last, g.id)"
              " OR h.first IS NULL AND g.due BETWEEN epoch_ns(f::TIMESTAMP_NS)"
              " AND epoch_ns(t::TIMESTAMP_NS)")  # fmt: skip
    told = (f"FROM holes_told h WHERE channel = '{channel}' AND"
            f" h.symbol = '{exchange}:' || g.symbol AND ({within})")  # fmt: skip
    begun = (f"FROM covered c WHERE channel = '{channel}' AND"
             f" c.symbol = '{exchange}:' || g.symbol"
             " AND g.due < epoch_ns(f::TIMESTAMP_NS)")  # fmt: skip
    of_gone = ("FROM (SELECT symbol, id, due FROM gone JOIN (SELECT DISTINCT upper(s) AS symbol,"
               " id, min(due) AS due FROM sent GROUP BY ALL) USING (symbol, id)) g"
               f" WHERE {{}} EXISTS ({told})")  # fmt: skip
    gone = count(db, "FROM gone")
    listed = count(db, of_gone.format(""))
    before = count(db, of_gone.format("NOT") + f" AND EXISTS ({begun})")
    holes, longest = db.execute(
        "SELECT count(*), max(epoch_ns(t::TIMESTAMP_NS) - epoch_ns(f::TIMESTAMP_NS)) / 1e9"
        " FROM holes_told WHERE channel = ?",
        [channel],
    ).fetchone()
    return {f"{channel}_sent": count(db, "FROM sent"), f"{channel}_stored": count(db, "FROM have"),
            f"{channel}_missing": gone, f"{channel}_listed": listed,
            f"{channel}_before": before, f"{channel}_unlisted": gone - listed - before,
            f"{channel}_holes": holes}  # fmt: skip


def print_kinds(db, faults):
    """Of the trades due from the beginning of a fault to the next: the longest anyone took."""
    say(f"{'fault':<12} {'times':>5} {'seconds':>8} {'worst trade, s':>14} {'late':>6}")
    worst = {}
    for number, fault in enumerate(faults):
        next_ns = faults[number + 1].begin_ns if number + 1 < len(faults) else 1 << 62
        took, late = db.execute(
            "SELECT coalesce(max(seconds), 0), count(*) FILTER (seconds > ? OR seen IS NULL)"
            " FROM trades WHERE due >= ? AND due < ?",
            [LIMIT_S, fault.begin_ns - 10**9, next_ns - 10**9],
        ).fetchone()
        one = worst.setdefault(fault.kind, [0, 0, 0, 0])
        worst[fault.kind] = [one[0] + 1, one[1] + (fault.end_ns - fault.begin_ns) / 1e9,
                             max(one[2], took), one[3] + late]  # fmt: skip
        if late > 0:
            at = time.strftime("%H:%M:%S", time.gmtime(fault.begin_ns // 10**9))
            say(f"{late} late after {fault.kind} at {at} UTC, {took:.1f} s")
    for kind, (times, seconds, took, late) in worst.items():
        say(f"{kind:<12} {times:>5} {seconds:>8.1f} {took:>14.2f} {late:>6}")


def judge(folder, faults, lives, follower, mirrored):
    for error in follower.errors:
        say(f"the follower opened the store again: {error}")
    db = duckdb.connect(folder / "judge.db")
    load_times(db, folder, follower)
    away = outages(folder)
    begin, end = db.execute("SELECT min(due), max(due) FROM trades").fetchone()
    spans = [(max(b, begin), min(e, end)) for b, e in
             [(f.begin_ns, f.end_ns) for f in faults] + away]  # fmt: skip
    kinds = [json.loads(line)["fault"] for line in (folder / "faults").read_text().splitlines()]
    cuts = ("fin", "reset", "cut", "close", "mute", "deaf")
    result = {
        **judge_times(db), **json.loads((folder / "judged").read_text()),
        **judge_restarts(db, folder, lives, away), **judge_others(db, folder),
        "faults": len(faults), "link_cuts": sum(kinds.count(kind) for kind in cuts),
        "outages": len(away), "under_fault": round(
            soak_faults.union_seconds(s for s in spans if s[0] < s[1]) * 1e9 / (end - begin), 3),
        "follower_begun": follower.begun,
    }  # fmt: skip
    if mirrored is not None:
        stored = {(symbol, str(number)) for exchange, table in
                  (("binance", "stored"), ("upbit", "upbit_stored"))
                  for symbol, number in db.execute(
                      f"SELECT '{exchange}:' || symbol, id FROM {table}").fetchall()}  # fmt: skip
        result["mirror_missing"] = len(stored - mirrored)
    print_kinds(db, faults)
    return result


def report(result, smoke):
    for metric, value in result.items():
        unit = "s" if metric.endswith("_s") else "1"
        emit("availability", metric, value, "soak", unit, 0)
        say(f"{metric:<26} {value:>14}")
    none = ("lost", "unlisted", "duplicated", "open_at_end", "depth_wrong", "mirror_missing",
            *(f"{channel}_unlisted" for _, channel in OTHERS))  # fmt: skip
    whole = not any(result.get(metric, 0) for metric in none)
    soon = limit("availability", "stored within 10 s >= 99.99 %",
                 result["stored_within_10s"] >= LIMIT_SHARE,
                 f"{100 * result['stored_within_10s']:.4f} %")  # fmt: skip
    live = False
    if result["restarts"] > 0:
        live = limit("availability", "kill to live, less RestartSec, p99 <= 1 s",
                     result["restart_p99_s"] <= LIMIT_RESTART_S,
                     f"median {result['restart_p50_s']:.2f} s,"
                     f" worst {result['restart_max_s']:.2f} s")  # fmt: skip
    emit("availability", "ok", whole and soon)
    return whole and soon and (live or smoke)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench availability")
    parser.add_argument("--smoke", action="store_true", help="the same in a minute")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, help="of sending")
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    size = dict(SMOKE if options.smoke else FULL)
    size["seconds"] = options.seconds or size["seconds"]
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-availability-", dir=ROOT / "zig-out"))
    try:
        done = record(size, options.seed, folder, options.smoke)
        result = judge(folder, *done)
        say(f"load {load()}")
        good = report(result, options.smoke)
    finally:
        if options.keep:
            say(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
