# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what is stored what the exchange had, whatever goes wrong?

    tools/dev bench completeness [--smoke] [--case NAME]

exchange-sim plays Binance with faults on every connection every few seconds and keeps an exact
truth, whoever got what. ringtaped records trades over two redundant links. Afterwards every trade
id of the truth is looked for in the store (exported as Parquet) and in what `ringtape coverage`
lists.

    repaired              faults of links and of REST; everything has to be there in the end
    unrepaired            REST refuses everything: what is missing has to be listed to the id
    killed                kill -9 every 5 s under the exchange's real REST budget
    killed_raised_budget  the same with many symbols and a budget that is raised, and printed

missing: ids of the truth neither stored nor listed. duplicated: rows too many. unlisted: ids by
which what is listed and what is not stored differ. open_at_end: ids of open holes. found_p99_s:
from the due time of the event behind a lost one to the row that opens its hole. repaired_p99_s:
from that row to the one that closes it. budget_s: what the questions take of the REST budget, when
all holes came at once. Coverage of a symbol begins with its first row: earlier
ids of the truth do not count."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import duckdb  # noqa: E402
import support  # noqa: E402

CASES = ("repaired", "unrepaired", "killed", "killed_raised_budget")
FULL = {
    "repaired": {"symbols": 500, "rate": 20000, "seconds": 600},
    "unrepaired": {"symbols": 500, "rate": 20000, "seconds": 120},
    "killed": {"symbols": 20, "rate": 500, "seconds": 60},
    "killed_raised_budget": {"symbols": 500, "rate": 20000, "seconds": 60},
}
SMOKE = {
    "repaired": {"symbols": 30, "rate": 3000, "seconds": 12},
    "unrepaired": {"symbols": 30, "rate": 3000, "seconds": 10},
    "killed": {"symbols": 10, "rate": 300, "seconds": 12},
    "killed_raised_budget": {"symbols": 50, "rate": 2000, "seconds": 12},
}
RAISED = 10000000
KILL_EVERY_S = 5


def simulator(case, size, folder):
    more = []
    if case == "unrepaired":
        more.append("--rest-down=0")
    if case == "killed_raised_budget":
        more.append(f"--rest-budget=binance:{RAISED}")
    return support.Simulator(
        f"--symbols=binance:{size['symbols']}", f"--rate={size['rate']}",
        f"--seconds={size['seconds']}", "--channels=trade", "--truth-channels=trade",
        f"--begin-streams={size['symbols']}", "--begin-after=2", "--faults",
        f"--truth={folder}/truth", f"--fault-log={folder}/faults", *more,
    )  # fmt: skip


def record(case, size, folder, smoke):
    """Runs simulator and daemon to the end; returns the daemon's last counters."""
    with simulator(case, size, folder) as exchange:
        listing = exchange.get("binance", "/api/v3/exchangeInfo")[0]
        names = [entry["symbol"] for entry in listing["symbols"]]
        feed = support.feed(exchange, "binance", ["trade"], names, redundancy=2)
        if case == "killed_raised_budget":
            feed["rest_weight"] = RAISED
        arguments = (folder / "config.yaml", folder / "store", [feed])
        if case.startswith("killed"):
            kill_often(exchange, arguments)
        with support.Ringtaped(*arguments) as daemon:
            exchange.event("ended", size["seconds"] + 60)
            if not smoke or case == "unrepaired":
                return settle(daemon, case)
            counters = daemon.wait_counters(lambda c: c["links_live"] > 0)
            status = daemon.terminate()
            assert status == 0, (status, daemon.errors[-5:])
        # An audit comes soon after a start: sooner than the next minute.
        with support.Ringtaped(*arguments) as daemon:
            after = settle(daemon, case)
            return {name: counters[name] + after[name] for name in ("repaired", "rest_requests")}


def kill_often(exchange, arguments):
    while True:
        with support.Ringtaped(*arguments) as daemon:
            end = time.monotonic() + KILL_EVERY_S
            while time.monotonic() < end:
                if exchange.events("ended"):
                    daemon.kill()
                    return
                time.sleep(0.1)
            daemon.kill()


def settle(daemon, case):
    """Until an audit has proven everything, or, without REST, nothing comes any more."""
    if case == "unrepaired":
        time.sleep(3)
    else:
        audits = daemon.wait_counters(lambda c: True)["audits"]
        # One audit after the last trade, the time until it is judged, and what it found.
        daemon.wait_counters(lambda c: c["audits"] > audits, 300, "an audit")
        time.sleep(4)
        daemon.wait_counters(lambda c: c["holes_open"] == 0, 1800, "no open hole")
    counters = daemon.counters()
    assert daemon.terminate() == 0, daemon.errors[-5:]
    return counters


# ---- judging ----


def load(db, folder):
    """Tables truth (symbol, id, due), stored (symbol, id) and notes (what coverage lists)."""
    db.execute(
        "CREATE TABLE truth AS SELECT upper(split_part(column2, '@', 1)) AS symbol,"
        r" regexp_extract(column3, '\"t\":(\d+)', 1)::BIGINT AS id, column0::BIGINT AS due"
        " FROM read_csv(?, header=false, auto_detect=false, delim=' ', quote='', escape='',"
        " columns={'column0': 'VARCHAR', 'column1': 'VARCHAR', 'column2': 'VARCHAR',"
        " 'column3': 'VARCHAR'}, max_line_size=1000000) WHERE column2 LIKE '%@trade'",
        [f"{folder}/truth"],
    )
    files = f"{folder}/parquet/exchange=binance/channel=trade/**/*.parquet"
    db.execute(
        "CREATE TABLE stored AS SELECT symbol, id"
        f" FROM read_parquet('{files}', hive_partitioning=false)"
    )
    db.execute(
        "CREATE TABLE begins AS SELECT symbol, min(id) AS first FROM stored GROUP BY symbol"
    )
    db.execute("CREATE TABLE holes (symbol VARCHAR, first BIGINT, last BIGINT, state VARCHAR)")
    status = support.ringtape_any("coverage", "--store", f"{folder}/store", "--channel", "trade",
                                  "--json")  # fmt: skip
    rows = [
        (key["symbol"].split(":")[1], hole["first"], hole["last"], hole["state"])
        for key in json.loads(status)["coverage"]
        for hole in key["holes"]
        if hole["state"] != "repaired"
    ]
    if rows:
        db.executemany("INSERT INTO holes VALUES (?, ?, ?, ?)", rows)


def count(db, query):
    return db.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]


def judge_ids(db):
    db.execute(
        "CREATE TABLE listed AS SELECT DISTINCT symbol,"
        " unnest(range(first, last + 1)) AS id, state FROM holes"
    )
    absent = (
        "SELECT symbol, id FROM truth JOIN begins USING (symbol) WHERE id >= first"
        " EXCEPT SELECT symbol, id FROM stored"
    )
    listed = "SELECT symbol, id FROM listed"
    return {
        "truth": count(db, "FROM truth"),
        "stored": count(db, "FROM stored"),
        "missing": count(db, f"({absent}) EXCEPT ({listed})"),
        "duplicated": count(db, "FROM stored") - count(db, "SELECT DISTINCT * FROM stored"),
        "unlisted": count(
            db, f"(({absent}) EXCEPT ({listed})) UNION ALL (({listed}) EXCEPT ({absent}))"
        ),
        "open_at_end": count(db, "FROM listed WHERE state = 'open'"),
        "lost": count(db, "FROM listed WHERE state = 'lost'"),
    }


def load_status(db, folder):
    text = support.ringtape("cat", "--store", f"{folder}/store", "--channel", "status", "--json")
    rows = [json.loads(line) for line in text.splitlines()]
    db.execute(
        "CREATE TABLE status (told TIMESTAMP_NS, kind VARCHAR, symbol VARCHAR, first BIGINT,"
        " last BIGINT)"
    )
    data = [
        (r["receive_time"].rstrip("Z"), r["kind"], r["symbol"].split(":")[1], r["first_id"],
         r["last_id"])
        for r in rows
        if r["kind"] in ("hole_opened", "hole_repaired") and r.get("first_id") is not None
        and r.get("last_id") is not None
    ]  # fmt: skip
    if data:
        db.executemany("INSERT INTO status VALUES (?, ?, ?, ?, ?)", data)


def judge_times(db, folder):
    """How soon holes were found and repaired, p99 in seconds."""
    lost = []
    for line in pathlib.Path(f"{folder}/faults").read_text().splitlines():
        fault = json.loads(line)
        if fault["fault"] == "lost" and fault["next_ns"] > 0:
            symbol = fault["stream"].split("@")[0].upper()
            lost.append((symbol, fault["first_id"], fault["next_ns"]))
    load_status(db, folder)
    db.execute("CREATE TABLE lost (symbol VARCHAR, id BIGINT, seen BIGINT)")
    if lost:
        db.executemany("INSERT INTO lost VALUES (?, ?, ?)", lost)
    p99 = "quantile_cont(seconds, 0.99), count(*)"
    found = db.execute(
        f"SELECT {p99} FROM (SELECT (min(epoch_ns(told)) - any_value(seen)) / 1e9 AS seconds"
        " FROM lost JOIN status ON lost.symbol = status.symbol AND kind = 'hole_opened'"
        " AND id BETWEEN first AND last GROUP BY lost.symbol, id)"
    ).fetchone()
    repaired = db.execute(
        f"SELECT {p99} FROM (SELECT (min(epoch_ns(r.told)) - epoch_ns(o.told)) / 1e9 AS seconds"
        " FROM status o JOIN status r ON o.symbol = r.symbol AND o.kind = 'hole_opened'"
        " AND r.kind = 'hole_repaired' AND o.first BETWEEN r.first AND r.last AND r.told >= o.told"
        " GROUP BY o.symbol, o.first, o.told)"
    ).fetchone()
    return {"found_p99_s": found[0], "holes_timed": found[1], "repaired_p99_s": repaired[0]}


# ---- running ----


def run(case, size, folder, smoke):
    began = time.monotonic()
    counters = record(case, size, folder, smoke)
    support.export(folder / "store", folder / "parquet")
    db = duckdb.connect()
    load(db, folder)
    result = {**judge_ids(db), **judge_times(db, folder)}
    result["repaired_rows"] = counters["repaired"]
    result["rest_requests"] = counters["rest_requests"]
    if case != "killed_raised_budget":
        # A question for trades weighs 25 of the 4,800 a minute that ringtaped uses.
        result["budget_s"] = round(counters["rest_requests"] * 25 / 4800 * 60, 1)
    result["seconds"] = round(time.monotonic() - began, 1)
    if case == "killed_raised_budget":
        result["rest_budget_raised_to"] = RAISED
    return result


UNITS = {"budget_s": "s", "found_p99_s": "s", "repaired_p99_s": "s", "seconds": "s"}


def report(case, result):
    for metric, value in result.items():
        line = {"bench": "completeness", "case": case, "metric": metric, "value": value,
                "unit": UNITS.get(metric, "1"), "spread": 0, "peer": None}  # fmt: skip
        print(json.dumps(line), flush=True)
    table = "  ".join(f"{metric} {value}" for metric, value in result.items())
    print(f"{case:<21} {table}", file=sys.stderr, flush=True)


def good(case, result):
    whole = result["missing"] == result["duplicated"] == result["unlisted"] == 0
    return whole and (case == "unrepaired" or result["open_at_end"] == 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--seconds", type=int, help="of sending, instead of the case's own")
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    options = parser.parse_args()
    ok = True
    cases = [options.case] if options.case else CASES[:3] if options.smoke else CASES
    for case in cases:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="completeness-"))
        size = dict((SMOKE if options.smoke else FULL)[case])
        size["seconds"] = options.seconds or size["seconds"]
        result = run(case, size, folder, options.smoke)
        report(case, result)
        ok = good(case, result) and ok
        if options.keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder)
    print(json.dumps({"bench": "completeness", "metric": "ok", "value": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
