# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what is stored what the exchange had, whatever goes wrong?

    tools/dev bench completeness [--smoke] [--case NAME]

exchange-sim plays Binance with faults on every connection every few seconds and keeps an exact
truth, whoever got what. ringtaped records over two redundant links. Afterwards every trade id of
the truth is looked for in the store (exported as Parquet) and in what `ringtape coverage` lists,
and the book is rebuilt from the stored depth wherever coverage claims it
(tests/peers/true_book.py).

    repaired              faults of links and of REST; everything has to be there in the end:
                          trades and depth of Binance, trades of Upbit
    unrepaired            REST refuses everything: what is missing has to be listed to the id,
                          and no book may be claimed; trades and depth
    killed                kill -9 every 5 s under the exchange's real REST budget; trades
    upbit_overload        more trades of Upbit than REST can give: what could not be compared has
                          to be within what is listed
    killed_raised_budget  the same with many symbols and a budget that is raised; trades and depth

missing: ids of the truth neither stored nor listed. duplicated: rows too many. unlisted: ids by
which what is listed and what is not stored differ; of Upbit, whose holes are intervals, the ids
within none. open_at_end: ids of open holes. found_p50_s, found_p99_s: from the due time of the
event behind a lost one to the row that opens its hole. repaired_p50_s, repaired_p99_s: from that
row to the one that closes it; answered_: the same of the holes (answered: how many) during which,
and 15 s before, REST refused nothing. pages: questions for trades; needed_of_budget: the weight of
all pages and snapshots as a share of what the budget gave while it ran.
lost_without_end: symbols that were delisted, of which nobody can tell what came behind the last
stored trade: listed from there on, without an end. The upbit_ ones count in missing, duplicated
and open_at_end, too. depth_wrong: stretches that coverage claims and that do not rebuild the true
book after each update; depth_compared: books that
were compared; depth_claimed: ids claimed, as a share of those from the first stored one on.
rest_budget: weight a minute; budget_s: what the questions take of it when all come at once (25 a
page of trades, 50 a snapshot, four fifths of the budget used). Coverage of a symbol begins with its
first row, of depth with its first snapshot: earlier ids of the truth do not count."""

import argparse
import contextlib
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
import true_book  # noqa: E402

CASES = ("repaired", "unrepaired", "killed", "killed_raised_budget", "upbit_overload")
BUDGET = 6000  # the exchange's own
RAISED = 10000000
TRADES, BOOKS = ["trade"], ["trade", "depth"]
FULL = {
    # An outage costs each symbol a page and a snapshot: 7.8 minutes of the exchange's own budget.
    "repaired": {"symbols": 500, "rate": 20000, "seconds": 600, "channels": BOOKS,
                 "markets": 100, "budget": 100 * BUDGET},
    "unrepaired": {"symbols": 500, "rate": 20000, "seconds": 120, "channels": BOOKS},
    "killed": {"symbols": 20, "rate": 500, "seconds": 60},
    "killed_raised_budget": {"symbols": 500, "rate": 20000, "seconds": 60, "channels": BOOKS,
                             "budget": RAISED},
    "upbit_overload": {"symbols": 10, "rate": 100, "seconds": 120, "markets": 100,
                       "upbit_rate": 9500},
}  # fmt: skip
SMOKE = {
    "repaired": {"symbols": 30, "rate": 3000, "seconds": 8, "channels": BOOKS, "markets": 5},
    "unrepaired": {"symbols": 30, "rate": 3000, "seconds": 9, "channels": BOOKS},
    "killed": {"symbols": 10, "rate": 300, "seconds": 11},
    "killed_raised_budget": {"symbols": 50, "rate": 2000, "seconds": 7, "channels": BOOKS,
                             "budget": RAISED},
    "upbit_overload": {"symbols": 5, "rate": 100, "seconds": 15, "markets": 5,
                       "upbit_rate": 5000},
}  # fmt: skip
SIZE = {"channels": TRADES, "markets": 0, "budget": BUDGET, "upbit_rate": 300}
KILL_EVERY_S = 5
REFUSALS = {"rest_error", "rest_hangup", "rest_limit", "rest_ban", "rest_waf", "rest_slow",
            "rest_down"}  # fmt: skip
REFUSAL_LASTS_NS = 15 * 10**9  # a 403 is obeyed for 10 s, what waited meanwhile is asked then


def simulator(case, size, folder):
    channels = ",".join(size["channels"])
    more = ["--rest-down=0"] if case == "unrepaired" else []
    return support.Simulator(
        f"--symbols=binance:{size['symbols']}", f"--rate={size['rate']}",
        f"--seconds={size['seconds']}", f"--channels={channels}",
        f"--truth-channels={channels}", "--begin-after=2",
        f"--begin-streams={size['symbols'] * len(size['channels'])}",
        "--faults", f"--truth={folder}/truth", f"--books={folder}/books",
        f"--fault-log={folder}/faults", f"--rest-budget=binance:{size['budget']}",
        f"--history-trades={max(4000000, size['rate'] * size['seconds'])}", *more,
    )  # fmt: skip


def upbit_simulator(size, folder):
    """Its REST budget is ten pages of 500 trades a second."""
    return support.Simulator(
        f"--symbols=upbit:{size['markets']}", f"--rate={size['upbit_rate']}",
        f"--seconds={size['seconds']}", "--channels=trade", "--truth-channels=trade",
        f"--begin-streams={size['markets']}", "--begin-after=2", "--faults",
        f"--truth={folder}/upbit-truth", f"--fault-log={folder}/upbit-faults",
    )  # fmt: skip


def feeds_of(exchange, upbit, size):
    listing = exchange.get("binance", "/api/v3/exchangeInfo")[0]
    names = [entry["symbol"] for entry in listing["symbols"]]
    feeds = [support.feed(exchange, "binance", size["channels"], names, redundancy=2)]
    if size["budget"] != BUDGET:
        feeds[0]["rest_weight"] = size["budget"]
    if upbit is not None:
        markets = [entry["market"] for entry in upbit.get("upbit", "/v1/market/all")[0]]
        feeds.append(support.feed(upbit, "upbit", TRADES, markets, redundancy=2))
    return feeds


COUNTED = ("repaired", "rest_requests", "snapshots", "audits")


def record(case, size, folder, smoke):
    """Runs simulators and daemon to the end; returns the daemon's last counters."""
    with contextlib.ExitStack() as stack:
        exchange = stack.enter_context(simulator(case, size, folder))
        exchanges = [exchange]
        if size["markets"]:
            exchanges.append(stack.enter_context(upbit_simulator(size, folder)))
        feeds = feeds_of(exchange, exchanges[1] if size["markets"] else None, size)
        arguments = (folder / "config.yaml", folder / "store", feeds)
        counters = record_lives(case, size, exchanges, arguments, smoke)
        for each in exchanges:
            assert each.terminate() == 0  # its files are whole then
        return counters


def summed(lives):
    return {name: sum(life[name] for life in lives) for name in COUNTED}


def record_lives(case, size, exchanges, arguments, smoke):
    lives = kill_often(exchanges[0], arguments) if case.startswith("killed") else []
    with support.Ringtaped(*arguments) as daemon:
        for each in exchanges:
            each.event("ended", size["seconds"] + 60)
        ended = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        if not smoke or case == "unrepaired":
            if size["markets"]:
                wait_proven(arguments[1], ended)
            return summed([*lives, settle(daemon, case, 0)])
        counters = daemon.wait_counters(lambda c: c["links_live"] > 0)
        status = daemon.terminate()
        assert status == 0, (status, daemon.errors[-5:])
    # An audit comes soon after a start: sooner than the next minute.
    with support.Ringtaped(*arguments) as daemon:
        after = settle(daemon, case, size["markets"] + 1)
        return summed([*lives, counters, after])


def kill_often(exchange, arguments):
    """The counters of each life, as they were told at most 0.2 s before its end."""
    lives = []
    while not exchange.events("ended"):
        with support.Ringtaped(*arguments) as daemon:
            end = time.monotonic() + KILL_EVERY_S
            while time.monotonic() < end and not exchange.events("ended"):
                time.sleep(0.1)
            daemon.kill()
            lives.append(daemon.counters() or dict.fromkeys(COUNTED, 0))
    return lives


def proven(store, ended):
    text = support.ringtape_any("coverage", "--store", store, "--channel", "trade",
                                "--symbol", "upbit:*", "--json")  # fmt: skip
    to = [key["proven_to"] for key in json.loads(text)["coverage"]]
    return to != [] and all(each is not None and each[:19] > ended for each in to)


def wait_proven(store, ended):
    """Until audits have come past the last trade of every market: behind what is proven nothing is
    promised. The ledger tells it once a minute."""
    end = time.monotonic() + 1200
    while not proven(store, ended):
        assert time.monotonic() < end, "waited 20 minutes for audits"
        time.sleep(5)


def wait_repaired(daemon, audits):
    if audits > 0:
        daemon.wait_counters(lambda c: c["audits"] >= audits, 300, "an audit")
    else:
        time.sleep(70)
    time.sleep(4)
    daemon.wait_counters(lambda c: c["holes_open"] == 0, 1800, "no open hole")


def settle(daemon, case, audits):
    """Until an audit of everything after the last event is judged and what it found is repaired,
    or, without REST, nothing comes any more. `audits`: soon after a start; 0: one a minute."""
    if case == "unrepaired":
        time.sleep(0.5)  # REST refuses only until the end of sending
    else:
        wait_repaired(daemon, audits)
    counters = daemon.counters()
    assert daemon.terminate() == 0, daemon.errors[-5:]
    return counters


# ---- judging ----


def load(db, folder):
    """Tables truth (symbol, id, due), stored (symbol, id), holes (what coverage lists); depth
    (symbol, n, payload) and, of Upbit, upbit_truth (symbol, n, id, time_ns, due)."""
    db.execute(
        "CREATE TABLE lines AS SELECT row_number() OVER () AS n, column0::BIGINT AS due,"
        " column1 AS exchange, upper(split_part(column2, '@', 1)) AS symbol,"
        " split_part(column2, '@', 2) AS channel, column3 AS payload"
        " FROM read_csv(?, header=false, auto_detect=false, delim=' ', quote='', escape='',"
        " columns={'column0': 'VARCHAR', 'column1': 'VARCHAR', 'column2': 'VARCHAR',"
        " 'column3': 'VARCHAR'}, max_line_size=1000000)",
        [[str(path) for path in sorted(folder.glob("*truth"))]],
    )
    db.execute(
        r"CREATE TABLE truth AS SELECT symbol, regexp_extract(payload, '\"t\":(\d+)', 1)::BIGINT"
        " AS id, due FROM lines WHERE exchange = 'binance' AND channel = 'trade'"
    )
    db.execute(
        r"CREATE TABLE upbit_truth AS SELECT symbol, n, regexp_extract(payload, '\"sid\":(\d+)',"
        r" 1)::BIGINT AS id, regexp_extract(payload, '\"ttms\":(\d+)', 1)::BIGINT * 1000000"
        " AS time_ns, due FROM lines WHERE exchange = 'upbit' AND channel = 'trade'"
    )
    db.execute(
        "CREATE TABLE depth AS SELECT symbol, n, payload FROM lines"
        " WHERE exchange = 'binance' AND channel = 'depth' ORDER BY symbol, n"
    )
    db.execute("DROP TABLE lines")
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
        if key["symbol"].startswith("binance:")
        for hole in key["holes"]
        if hole["state"] != "repaired"
    ]
    fill(db, "holes", rows)


def fill(db, table, rows):
    """All rows at once: one by one takes DuckDB a second for a hundred."""
    if rows:
        columns = ", ".join("unnest(?)" for _ in rows[0])
        db.execute(f"INSERT INTO {table} SELECT {columns}", [list(c) for c in zip(*rows)])


def count(db, query):
    return db.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]


def judge_ids(db):
    db.execute(
        "CREATE TABLE listed AS SELECT DISTINCT symbol,"
        " unnest(range(first, coalesce(last, newest) + 1)) AS id, state"
        " FROM holes JOIN (SELECT symbol, max(id) AS newest FROM truth GROUP BY symbol)"
        " USING (symbol)"
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
        "lost_without_end": count(db, "FROM holes WHERE last IS NULL AND state = 'lost'"),
        "lost": count(db, "FROM listed WHERE state = 'lost'"),
    }


def judge_upbit(db, folder):
    """Ids from the first stored one on, in the order of the market, and from coverage's first time
    on: a trade that comes late is older."""
    files = f"{folder}/parquet/exchange=upbit/channel=trade/**/*.parquet"
    db.execute(
        "CREATE TABLE upbit_stored AS SELECT symbol, id"
        f" FROM read_parquet('{files}', hive_partitioning=false)"
    )
    db.execute("CREATE TABLE intervals (symbol VARCHAR, from_ns BIGINT, to_ns BIGINT, open BOOL)")
    listed = support.ringtape_any("coverage", "--store", f"{folder}/store", "--channel", "trade",
                                  "--symbol", "upbit:*", "--json")  # fmt: skip
    db.execute("CREATE TABLE told (symbol VARCHAR, from_t VARCHAR, to_t VARCHAR, open BOOL)")
    coverage = json.loads(listed)["coverage"]
    db.execute("CREATE TABLE upbit_begins (symbol VARCHAR, from_t VARCHAR)")
    fill(db, "upbit_begins",
         [(key["symbol"].split(":")[1], key["from"].rstrip("Z")) for key in coverage])  # fmt: skip
    rows = [
        (key["symbol"].split(":")[1], hole["from"].rstrip("Z"),
         (hole["to"] or "2200-01-01T00:00:00Z").rstrip("Z"), hole["state"] == "open")
        for key in coverage
        for hole in key["holes"]
        if hole["state"] != "repaired"
    ]  # fmt: skip
    fill(db, "told", rows)
    db.execute(
        "INSERT INTO intervals SELECT symbol, epoch_ns(from_t::TIMESTAMP_NS),"
        " epoch_ns(to_t::TIMESTAMP_NS), open FROM told"
    )
    db.execute(
        "CREATE TABLE upbit_absent AS SELECT t.symbol, t.id, t.time_ns FROM upbit_truth t"
        " JOIN (SELECT symbol, min(n) AS n FROM upbit_truth JOIN upbit_stored USING (symbol, id)"
        "  GROUP BY symbol) b ON t.symbol = b.symbol AND t.n >= b.n"
        " JOIN upbit_begins f ON t.symbol = f.symbol"
        "  AND t.time_ns >= epoch_ns(from_t::TIMESTAMP_NS)"
        " WHERE NOT EXISTS (FROM upbit_stored s WHERE s.symbol = t.symbol AND s.id = t.id)"
    )
    within = "FROM intervals i WHERE i.symbol = a.symbol AND a.time_ns BETWEEN from_ns AND to_ns"
    return {
        "upbit_truth": count(db, "FROM upbit_truth"),
        "upbit_stored": count(db, "FROM upbit_stored"),
        "upbit_missing": count(db, f"FROM upbit_absent a WHERE NOT EXISTS ({within})"),
        "upbit_duplicated": count(db, "FROM upbit_stored")
        - count(db, "SELECT DISTINCT * FROM upbit_stored"),
        "upbit_open_at_end": count(db, f"FROM upbit_absent a WHERE EXISTS ({within} AND open)"),
    }


def judge_depth(db, folder):
    def payloads(symbol):
        rows = db.execute(
            "SELECT payload FROM depth WHERE symbol = ? ORDER BY n", [symbol.split(":")[1]]
        )
        return [payload for (payload,) in rows.fetchall()]

    result = true_book.judge(folder / "store", folder / "books", payloads)
    for symbol, number, what in result.unfounded[:10]:
        print(f"depth of {symbol} at {number}: {what}", file=sys.stderr)
    share = result.claimed / result.wanted if result.wanted else 0
    return {
        "depth_truth": count(db, "FROM depth"),
        "depth_stored": result.updates,
        "depth_compared": result.compared,
        "depth_wrong": len(result.unfounded),
        "depth_duplicated": result.duplicated,
        "depth_claimed": round(share, 6),
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
        if r["about_channel"] == "trade" and r["kind"] in ("hole_opened", "hole_repaired")
        and r.get("first_id") is not None and r.get("last_id") is not None
    ]  # fmt: skip
    fill(db, "status", data)


def judge_times(db, folder):
    """How soon holes were found and repaired, p99 in seconds."""
    lost = []
    for line in pathlib.Path(f"{folder}/faults").read_text().splitlines():
        fault = json.loads(line)
        if fault["fault"] == "lost" and fault["next_ns"] > 0:
            symbol = fault["stream"].split("@")[0].upper()
            lost.append((symbol, fault["first_id"], fault["next_ns"]))
    load_status(db, folder)
    refusals = load_refusals(db, folder)
    db.execute("CREATE TABLE lost (symbol VARCHAR, id BIGINT, seen BIGINT)")
    fill(db, "lost", lost)
    spread = "quantile_cont(seconds, 0.5), quantile_cont(seconds, 0.99), count(*)"
    found = db.execute(
        f"SELECT {spread} FROM (SELECT (min(epoch_ns(told)) - any_value(seen)) / 1e9 AS seconds"
        " FROM lost JOIN status ON lost.symbol = status.symbol AND kind = 'hole_opened'"
        " AND id BETWEEN first AND last GROUP BY lost.symbol, id)"
    ).fetchone()
    db.execute(
        "CREATE TABLE mended AS SELECT epoch_ns(o.told) AS opened, min(epoch_ns(r.told)) AS closed,"
        " (closed - opened) / 1e9 AS seconds"
        " FROM status o JOIN status r ON o.symbol = r.symbol AND o.kind = 'hole_opened'"
        " AND r.kind = 'hole_repaired' AND o.first BETWEEN r.first AND r.last AND r.told >= o.told"
        " GROUP BY o.symbol, o.first, o.told"
    )
    repaired = db.execute(f"SELECT {spread} FROM mended").fetchone()
    answered = db.execute(
        f"SELECT {spread} FROM mended WHERE NOT EXISTS (FROM refusals"
        f" WHERE at_ns BETWEEN opened - {REFUSAL_LASTS_NS} AND closed)"
    ).fetchone()
    return {"found_p50_s": found[0], "found_p99_s": found[1], "holes_timed": found[2],
            "repaired_p50_s": repaired[0], "repaired_p99_s": repaired[1],
            "answered": answered[2], "answered_p50_s": answered[0],
            "answered_p99_s": answered[1], **refusals}  # fmt: skip


def load_refusals(db, folder):
    """When REST of Binance did not answer as it should: each leaves the exchange alone for a
    while."""
    db.execute("CREATE TABLE refusals (at_ns BIGINT, kind VARCHAR)")
    rows = []
    for line in pathlib.Path(f"{folder}/faults").read_text().splitlines():
        fault = json.loads(line)
        if fault["fault"] in REFUSALS and fault.get("exchange") == "binance":
            rows.append((fault["time_ns"], fault["fault"]))
    fill(db, "refusals", rows)
    return {"refusals": len(rows)}


# ---- running ----


def run(case, size, folder, smoke):
    began = time.monotonic()
    counters = record(case, size, folder, smoke)
    support.export(folder / "store", folder / "parquet")
    db = duckdb.connect(folder / "judge.db")
    load(db, folder)
    result = {**judge_ids(db), **judge_times(db, folder)}
    if size["markets"]:
        upbit = judge_upbit(db, folder)
        for metric in ("missing", "duplicated", "open_at_end"):
            result[metric] += upbit[f"upbit_{metric}"]
        result["unlisted"] += upbit["upbit_missing"]
        result.update(upbit)
    if "depth" in size["channels"]:
        result.update(judge_depth(db, folder))
        result["duplicated"] += result["depth_duplicated"]
    pages = counters["rest_requests"] - counters["audits"] - counters["snapshots"]
    weight = pages * 25 + counters["snapshots"] * 50
    result["repaired_rows"] = counters["repaired"]
    result["rest_requests"] = counters["rest_requests"]
    result["rest_budget"] = size["budget"]
    result["pages"] = pages
    result["snapshots"] = counters["snapshots"]
    result["needed_of_budget"] = round(weight / (size["budget"] * 0.8 / 60 * size["seconds"]), 4)
    result["budget_s"] = round(weight / (size["budget"] * 0.8) * 60, 1)
    result["seconds"] = round(time.monotonic() - began, 1)
    return result




def report(case, result):
    for metric, value in result.items():
        unit = "s" if metric.endswith("_s") or metric == "seconds" else "1"
        line = {"bench": "completeness", "case": case, "metric": metric, "value": value,
                "unit": unit, "spread": 0, "peer": None}  # fmt: skip
        print(json.dumps(line), flush=True)
    table = "  ".join(f"{metric} {value}" for metric, value in result.items())
    print(f"{case:<21} {table}", file=sys.stderr, flush=True)


def good(case, result):
    whole = result["missing"] == result["duplicated"] == result["unlisted"] == 0
    whole = whole and result.get("depth_wrong", 0) == 0
    return whole and (case == "unrepaired" or result["open_at_end"] == 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--seconds", type=int, help="of sending, instead of the case's own")
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    options = parser.parse_args()
    ok = True
    cases = [options.case] if options.case else CASES
    for case in cases:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="completeness-"))
        size = {**SIZE, **(SMOKE if options.smoke else FULL)[case]}
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
