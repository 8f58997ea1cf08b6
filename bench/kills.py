# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what was told to be durable still there after kill -9, a thousand times?

    tools/dev bench kills [--smoke] [--kills N] [--seed N] [--keep]

exchange-sim as Binance and Upbit, ringtaped on the real kernel and disk, killed at a moment of its
life that the seed draws (also before it is ready) and started again at once; beside it a follower
of libringtape, which gives only rows that are known to be durable. acknowledged: trades it gave.
acknowledged_lost: of them, those that the store does not have in the end. duplicated, unlisted: as
in bench completeness; holes still open are listed. kill_s: life before a kill, median. Exits with 1
where one of the three is not 0."""

import argparse
import contextlib
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time

import completeness
import duckdb
from lib.contract import emit, limit, load
from mirror import ROOT

import followed
import support

CHANNELS = {"binance": 8, "upbit": 4}
FULL = {"kills": 1000, "rate": 2000}
SMOKE = {"kills": 12, "rate": 500}


def say(text):
    print(text, file=sys.stderr, flush=True)


def kill_many(arguments, size, draw):
    """Lives of the daemon, each ended by SIGKILL; how long they were."""
    lives = []
    told = time.monotonic()
    for n in range(size["kills"]):
        life_s = draw.choice((0.05, 0.2, 0.4, 0.8)) * (0.5 + draw.random())
        began = time.monotonic()
        daemon = support.Ringtaped(*arguments)
        time.sleep(life_s)
        assert daemon.child.poll() is None, (daemon.child.returncode, daemon.errors[-5:])
        daemon.child.kill()
        daemon.child.wait()
        lives.append(time.monotonic() - began)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{n + 1} of {size['kills']} kills")
    return lives


def record(size, seed, folder):
    draw = random.Random(seed)
    with contextlib.ExitStack() as stack:
        certificates = support.make_certificates(folder / "certificates")
        streams = sum(CHANNELS.values())
        # Without a kind of fault the market does not wait where nobody is subscribed.
        exchange = stack.enter_context(support.Simulator(
            *(f"--symbols={name}:{count}" for name, count in CHANNELS.items()),
            "--channels=trade,bookTicker,depth,orderbook", f"--rate={size['rate']}",
            f"--seconds={int(0.8 * size['kills']) + 10}", f"--begin-streams={2 * streams}",
            "--at-end=hold", "--faults=close=86400", f"--truth={folder}/truth",
            f"--books={folder}/books", certificates=certificates,
        ))  # fmt: skip
        feeds = [support.feed(exchange, name, ["trade"], "all", redundancy=2) for name in CHANNELS]
        arguments = (folder / "config.yaml", folder / "store", feeds)
        with support.Ringtaped(*arguments) as first:  # until there is something to lose
            exchange.event("begun", 60)
            time.sleep(1)
            first.child.kill()
        follower = stack.enter_context(followed.Followed(folder, folder / "store", "trade"))
        lives = kill_many(arguments, size, draw)
        with support.Ringtaped(*arguments) as last:
            last.wait_counters(lambda c: c["links_live"] > 0, 400, "a link")
            exchange.event("ended", size["kills"] + 60)
            time.sleep(4)
            assert last.terminate() == 0, last.errors[-5:]
        follower.stop()
        assert exchange.terminate() == 0
    return lives, follower


def judge(folder, follower):
    support.export(folder / "store", folder / "parquet")
    (folder / "coverage").write_text(
        support.ringtape_any("coverage", "--store", folder / "store", "--json")
    )
    db = duckdb.connect(folder / "judge.db")
    completeness.load(db, folder)
    ids = completeness.judge_ids(db)
    upbit = completeness.judge_upbit(db, folder)
    db.execute(
        "CREATE TABLE seen AS SELECT DISTINCT column0 AS symbol, column2 AS id"
        " FROM read_csv(?, header=false, auto_detect=false, delim=' ', columns={'column0':"
        " 'VARCHAR', 'column1': 'BIGINT', 'column2': 'BIGINT', 'column3': 'BIGINT'})",
        [str(follower.path)],
    )
    db.execute("CREATE VIEW kept AS SELECT exchange || ':' || symbol AS symbol, id"
               f" FROM read_parquet('{folder}/parquet/*/channel=trade/**/*.parquet',"
               " hive_partitioning=true)")  # fmt: skip
    return {
        "trades_stored": ids["stored"] + upbit["upbit_stored"],
        "acknowledged": completeness.count(db, "FROM seen"),
        "acknowledged_lost": completeness.count(db, "FROM seen EXCEPT SELECT * FROM kept"),
        "duplicated": ids["duplicated"] + upbit["upbit_duplicated"],
        "unlisted": ids["unlisted"] + upbit["upbit_missing"],
    }


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench kills")
    parser.add_argument("--smoke", action="store_true", help="a dozen")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    options = parser.parse_args()
    size = dict(SMOKE if options.smoke else FULL)
    size["kills"] = options.kills or size["kills"]
    (ROOT / "zig-out").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-kills-", dir=ROOT / "zig-out"))
    try:
        lives, follower = record(size, options.seed, folder)
        result = {"kills": len(lives), "kill_s": round(statistics.median(lives), 3),
                  "follower_begun": follower.begun, **judge(folder, follower)}  # fmt: skip
    finally:
        if options.keep:
            say(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for metric, value in result.items():
        emit("kills", metric, value, "soak", "s" if metric.endswith("_s") else "1", 0)
        say(f"{metric:<20} {value:>12}")
    good = limit("kills", "acknowledged rows lost, rows twice, rows neither stored nor listed: 0",
                 result["acknowledged_lost"] == result["duplicated"] == result["unlisted"] == 0
                 and result["acknowledged"] > 0,
                 f"{result['acknowledged_lost']}, {result['duplicated']}, {result['unlisted']} of"
                 f" {result['acknowledged']} acknowledged, load {load()}")  # fmt: skip
    emit("kills", "ok", good)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
