# SPDX-License-Identifier: GPL-3.0-or-later
"""Delta tables: delta-rs, Polars and DuckDB read the rows that plain Parquet and 'ringtape cat'
have, each once, whatever is sealed, merged, repaired, killed or compacted in between."""

import json
import os
import shutil
import subprocess
import time
from decimal import Decimal

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

import support
from cli_test import CHANNELS, make, run

COMMIT_MS = 50
DATES = {"2024-08-08", "2024-08-09"}


def export(store, tables, *options, status=0):
    done = run("export", "--delta", tables, "--store", store, "--json", *options)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status < 2 else done.stderr.decode()


def by_all(frame):
    return frame.sort(sorted(frame.columns), nulls_last=True)


def plain(store, folder, channel):
    """Rows of the channel as plain Parquet has them, with the columns of the table."""
    folder = folder / channel
    run("export", "--parquet", folder, "--store", store, "--channel", channel)
    keys = pa.schema([("exchange", pa.string()), ("channel", pa.string()), ("date", pa.date32())])
    files = ds.dataset(folder, partitioning=ds.partitioning(keys, flavor="hive"), format="parquet")
    table = files.to_table(filter=ds.field("channel") == channel)
    return by_all(pl.from_arrow(table.drop_columns(["channel"])))


def delta_rs(tables, channel):
    table = deltalake.DeltaTable(tables / channel)
    return by_all(pl.from_arrow(table.to_pyarrow_table()))


def same_rows(store, tables, folder, channels=CHANNELS):
    for channel in channels:
        wanted = plain(store, folder, channel)
        assert wanted.height > 0, channel
        assert_frame_equal(delta_rs(tables, channel), wanted, check_column_order=False)


def live(tables, channel="trade"):
    return deltalake.DeltaTable(tables / channel).file_uris()


@pytest.fixture
def store(tmp_path):
    return make(tmp_path / "store")


# ---- readers ----


def test_every_reader_finds_the_same_rows(store, tmp_path):
    tables = tmp_path / "lake"
    told = export(store, tables)
    assert {commit["result"] for commit in told["commits"]} == {"appended"}
    same_rows(store, tables, tmp_path / "plain")
    for channel in CHANNELS:
        frame = pl.read_delta(str(tables / channel))
        assert_frame_equal(by_all(frame), delta_rs(tables, channel), check_column_order=False)


def test_sums_are_exact_and_filters_find_everything(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables)
    rows = deltalake.DeltaTable(tables / "trade").to_pyarrow_dataset()
    found = duckdb.sql("SELECT sum(price), sum(quantity), min(ts_ns), max(ts_ns) FROM rows")
    whole = pl.from_arrow(rows.to_table())
    low, high = whole["ts_ns"].min(), whole["ts_ns"].max()
    assert found.fetchall()[0] == (
        sum(whole["price"].to_list(), Decimal(0)), sum(whole["quantity"].to_list(), Decimal(0)),
        low, high,
    )  # fmt: skip
    middle = whole["ts_ns"].sort()[whole.height // 3]
    price = whole["price"].sort()[whole.height // 2]
    for condition, wanted in (
        (f"ts_ns >= {middle}", (whole["ts_ns"] >= middle).sum()),
        (f"price <= {price}", (whole["price"] <= price).sum()),
        ("symbol = 'BTCUSDT'", (whole["symbol"] == "BTCUSDT").sum()),
        ("exchange = 'upbit'", (whole["exchange"] == "upbit").sum()),
        (f"ts <= make_timestamp({middle // 1000})", None),
    ):
        if wanted is None:
            wanted = (whole["ts"].dt.timestamp("us") <= middle // 1000).sum()
            condition = condition.replace("ts <=", "ts::TIMESTAMP <=")
        assert duckdb.sql(f"SELECT count(*) FROM rows WHERE {condition}").fetchall()[0][0] == wanted
    lazy = pl.scan_delta(str(tables / "trade"))
    assert lazy.filter(pl.col("ts_ns") >= middle).collect().height == (
        whole["ts_ns"] >= middle
    ).sum()
    least = lazy.filter(pl.col("price") <= price).select(pl.len()).collect().item()
    assert least == (whole["price"] <= price).sum()


def test_the_log_is_as_the_protocol_says(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables)
    log = tables / "trade" / "_delta_log"
    lines = [json.loads(line) for line in open(log / f"{0:020}.json", encoding="utf-8")]
    assert [list(line) for line in lines if "add" not in line] == [
        ["commitInfo"], ["protocol"], ["metaData"], ["txn"], ["txn"],
    ]  # fmt: skip
    table = deltalake.DeltaTable(tables / "trade")
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    assert table.metadata().partition_columns == ["exchange", "date"]
    names = [field.name for field in table.schema().fields]
    assert names[:3] == ["symbol", "ts", "ts_ns"] and names[-2:] == ["exchange", "date"]
    adds = [line["add"] for line in lines if "add" in line]
    assert {tuple(sorted(json.loads(add["stats"])["nullCount"])) for add in adds} == {
        tuple(sorted(names[:-2]))
    }
    for add in adds:
        path = tables / "trade" / add["path"]
        assert path.stat().st_size == add["size"]
        stats = json.loads(add["stats"])
        frame = pl.read_parquet(path, hive_partitioning=False)
        assert stats["numRecords"] == frame.height
        assert stats["minValues"]["ts_ns"] == frame["ts_ns"].min()
        assert Decimal(str(stats["maxValues"]["price"])) >= frame["price"].max()
        assert stats["minValues"]["symbol"] == frame["symbol"].min()
    assert not list(log.glob(".ringtape*"))


# ---- once ----


def test_a_second_run_does_nothing_and_late_rows_are_small_files(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables)
    before = set(live(tables))
    assert export(store, tables)["commits"] == []
    run("seal", "--store", store)
    told = export(store, tables)
    assert {commit["result"] for commit in told["commits"]} == {"appended"}, "not merged before"
    assert before <= set(live(tables)), "no file was touched"
    late = set(live(tables)) - before
    assert late and {uri.split("date=")[1][:10] for uri in late} <= DATES
    same_rows(store, tables, tmp_path / "plain")
    assert export(store, tables)["commits"] == []


def test_rows_merged_with_exported_ones_bring_the_day_again(store, tmp_path):
    """The daemon did not know of the export: old and new rows are in one segment."""
    tables = tmp_path / "lake"
    export(store, tables)
    shutil.rmtree(store / "export")
    run("seal", "--store", store)
    told = export(store, tables)
    assert "replaced" in {commit["result"] for commit in told["commits"]}
    same_rows(store, tables, tmp_path / "plain")
    assert export(store, tables)["commits"] == []


def test_two_exports_at_once_are_refused(store, tmp_path):
    tables = tmp_path / "lake"
    tables.mkdir()
    holder = subprocess.Popen(
        ["flock", tables, "bash", "-c", "echo locked; read -r line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"locked\n"
    assert "another export writes there" in export(store, tables, status=74)
    holder.communicate(b"\n")
    assert not (tables / "trade").exists()
    export(store, tables)


def test_what_somebody_else_wrote_is_refused(store, tmp_path):
    tables = tmp_path / "lake"
    other = pa.table({"id": [1, 2]})
    deltalake.write_deltalake(tables / "trade", other)
    assert "that ringtape did not make" in export(store, tables, "--channel", "trade", status=74)
    assert deltalake.DeltaTable(tables / "trade").to_pyarrow_table().equals(other)
    done = run("vacuum", tables, "--older-than", "0s")
    assert done.returncode == 74 and b"that ringtape did not make" in done.stderr
    export(store, tables, "--channel", "quote")
    deltalake.DeltaTable(tables / "quote").alter.add_feature(
        deltalake.TableFeatures.DeletionVectors, allow_protocol_versions_increase=True
    )
    run("seal", "--store", store)
    error = export(store, tables, "--channel", "quote", status=74)
    assert "export into another folder" in error


def test_new_columns_are_added_to_the_schema(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables, "--channel", "trade")
    first = tables / "trade" / "_delta_log" / f"{0:020}.json"
    lines = first.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        action = json.loads(line)
        if "metaData" in action:
            schema = json.loads(action["metaData"]["schemaString"])
            schema["fields"] = [f for f in schema["fields"] if f["name"] != "best_match"]
            action["metaData"]["schemaString"] = json.dumps(schema)
            lines[number] = json.dumps(action)
    first.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert "best_match" not in delta_rs(tables, "trade").columns
    run("seal", "--store", store)
    export(store, tables, "--channel", "trade")
    table = deltalake.DeltaTable(tables / "trade")
    assert table.schema().fields[-1].name == "best_match"
    same_rows(store, tables, tmp_path / "plain", ["trade"])


def test_damage_is_told_and_the_rest_is_there(store, tmp_path):
    segment = next((store / "segment").glob("*/trade-*.segment"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0x10
    segment.write_bytes(content)
    tables = tmp_path / "lake"
    told = export(store, tables, status=1)
    assert told["damages"] > 0
    assert delta_rs(tables, "quote").height > 0


def test_a_day_is_written_again_when_asked(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables, "--channel", "trade")
    rows = delta_rs(tables, "trade")
    date = str(rows["date"].min())
    told = export(store, tables, "--channel", "trade", "--again", date)
    assert [(c["date"], c["result"]) for c in told["commits"]] == [(date, "replaced")]
    assert_frame_equal(delta_rs(tables, "trade"), rows)
    assert b"write a date" in run(
        "export", "--delta", tables, "--store", store, "--again", "today"
    ).stderr


# ---- killed ----

KILLER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int step(void)
{
    static long done;
    const int full = getenv("FULL") != NULL;
    if (++done == atol(getenv("KILL_AT")) && !full) _exit(137);
    return full && done >= atol(getenv("KILL_AT"));
}
#define WRAP(name, result, declared, given)                                                       \\
    result name declared                                                                          \\
    {                                                                                             \\
        static result(*real) declared;                                                            \\
        if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name);                              \\
        if (step() && FILES) {                                                                    \\
            errno = ENOSPC;                                                                       \\
            return -1;                                                                            \\
        }                                                                                         \\
        return real given;                                                                        \\
    }
#define FILES 1
WRAP(fsync, int, (int file), (file))
WRAP(rename, int, (const char *from, const char *to), (from, to))
WRAP(link, int, (const char *from, const char *to), (from, to))
WRAP(mkdir, int, (const char *path, mode_t mode), (path, mode))
#undef FILES
#define FILES 0
WRAP(unlink, int, (const char *path), (path))
#undef FILES
#define FILES (file > 2)
WRAP(write, ssize_t, (int file, const void *bytes, size_t size), (file, bytes, size))
"""


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killer")
    (folder / "killer.c").write_text(KILLER)
    compiler = [str(support.ROOT / "tools" / "dev"), "zig", "cc"]
    library = folder / "killer.so"
    command = [*compiler, "-shared", "-fPIC", "-o", library, folder / "killer.c"]
    subprocess.run(command, check=True)
    return library


def killed(killer, at, *arguments, full=False):
    """True: it was killed before its step number `at`, or (`full`) from then on found no room."""
    environment = {**os.environ, "LD_PRELOAD": str(killer), "KILL_AT": str(at)}
    if full:
        environment["FULL"] = "1"
    done = run(*arguments, env=environment)
    assert done.returncode in (0, 74 if full else 137), done.stderr
    assert not full or done.returncode == 0 or b"No space left" in done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk_full"])
def test_whatever_ends_a_run_the_next_completes_the_table(store, tmp_path, killer, full):
    """Killed before every odd step, and without room from every even one on."""
    wanted = plain(store, tmp_path / "plain", "instrument")
    at, alive = 2 if full else 1, True
    while alive:
        tables = tmp_path / f"lake{at}"
        arguments = ("export", "--delta", tables, "--store", store, "--channel", "instrument")
        alive = killed(killer, at, *arguments, full=full)
        if (tables / "instrument" / "_delta_log" / f"{0:020}.json").exists():
            delta_rs(tables, "instrument")  # whatever is there can be read
        run(*arguments)
        assert_frame_equal(delta_rs(tables, "instrument"), wanted, check_column_order=False)
        if at % 10 < 2:
            assert export(store, tables, "--channel", "instrument")["commits"] == []
        shutil.rmtree(tables)
        at += 2
    assert at > 20


# ---- a store that grows ----


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store of a dozen tapes, exported after each."""
    folder = tmp_path_factory.mktemp("grown")
    store, tables = folder / "store", folder / "lake"
    times = []
    with support.Simulator("--symbols=binance:20", "--rate=4000", "--no-limits") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade", "quote"], "all")]
        # A daemon looks at its start for exports that it may merge nothing away from, and then
        # once a second: a new export could lose that race.
        with support.Ringtaped(folder / "c.yaml", store, feeds) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 100)
            assert daemon.terminate() == 0
        support.ringtape("seal", "--store", store)
        times += [c["commit_ns"] for c in export(store, tables)["commits"]]
        with support.Ringtaped(folder / "c.yaml", store, feeds) as daemon:
            for round_number in range(12):
                rows = 1500 * (round_number + 1)
                daemon.wait_counters(lambda c, rows=rows: c["durable"] >= rows)
                support.ringtape("seal", "--store", store)
                times += [c["commit_ns"] for c in export(store, tables)["commits"]]
            assert daemon.terminate() == 0
    support.ringtape("seal", "--store", store)
    times += [c["commit_ns"] for c in export(store, tables)["commits"]]
    return store, tables, times


@pytest.fixture
def copied(grown, tmp_path):
    store, tables = tmp_path / "store", tmp_path / "lake"
    shutil.copytree(grown[0], store)
    shutil.copytree(grown[1], tables)
    return store, tables


def test_a_table_that_grows_is_appended_to(grown, tmp_path):
    store, tables, times = grown
    same_rows(store, tables, tmp_path / "plain", ["trade", "quote"])
    ids = delta_rs(tables, "trade").select("symbol", "id")
    assert ids.n_unique() == ids.height
    infos = deltalake.DeltaTable(tables / "trade").history()
    assert {info["operation"] for info in infos} == {"WRITE"}
    assert all(info["operationParameters"]["mode"] == "Append" for info in infos)
    times.sort()
    middle, slowest = times[len(times) // 2] / 1e6, times[-1] / 1e6
    print(f"{len(times)} commits: median {middle:.1f} ms, slowest {slowest:.1f} ms")
    assert middle < COMMIT_MS


def actions(log, upto, kind):
    """Of the commits up to a version."""
    for version in range(upto + 1):
        for line in open(log / f"{version:020}.json", encoding="utf-8"):
            action = json.loads(line)
            if kind in action:
                yield action[kind]


def test_a_checkpoint_says_what_the_commits_said(copied):
    log = copied[1] / "trade" / "_delta_log"
    newest = sorted(log.glob("*.checkpoint.parquet"))[-1]
    version = int(newest.name[:20])
    rows = pq.ParquetFile(newest, page_checksum_verification=True).read().to_pylist()
    assert all(sum(value is not None for value in row.values()) == 1 for row in rows)
    found = {kind: [row[kind] for row in rows if row[kind] is not None] for kind in rows[0]}
    for add in found["add"]:
        add["partitionValues"], add["tags"] = dict(add["partitionValues"]), dict(add["tags"])
    wanted = [{**add, "dataChange": False} for add in actions(log, version, "add")]
    assert found["add"] == wanted
    txns = {txn["appId"]: txn for txn in actions(log, version, "txn")}
    assert found["txn"] == list(txns.values())
    (metadata,) = actions(log, version, "metaData")
    (said,) = found["metaData"]
    assert said.pop("format") == {"provider": "parquet", "options": []}
    said["configuration"] = dict(said["configuration"])
    assert {key: value for key, value in said.items() if value is not None} == {
        key: value for key, value in metadata.items() if key != "format"
    }
    assert found["protocol"] == [{"minReaderVersion": 1, "minWriterVersion": 2}]
    assert found["remove"] == []


def test_checkpoints_stand_for_the_commits_before_them(copied, tmp_path):
    store, tables = copied
    for channel in ("trade", "quote"):
        log = tables / channel / "_delta_log"
        checkpoints = sorted(log.glob("*.checkpoint.parquet"))
        assert checkpoints
        version = int(checkpoints[-1].name[:20])
        assert json.loads((log / "_last_checkpoint").read_text())["version"] == version
        for old in log.glob("*.json"):
            if int(old.name[:20]) <= version:
                old.unlink()
        rows = pl.read_parquet(checkpoints[-1])
        assert rows["txn"].struct.field("appId").drop_nulls().len() >= 2
        assert set(rows.columns) == {"txn", "add", "remove", "metaData", "protocol"}
    same_rows(store, tables, tmp_path / "plain", ["trade", "quote"])
    assert export(store, tables)["commits"] == [], "txn is in the checkpoint"
    # What delta-rs makes of it goes on, too.
    table = deltalake.DeltaTable(tables / "trade")
    table.create_checkpoint()
    same_rows(store, tables, tmp_path / "plain", ["trade", "quote"])


def test_compaction_and_vacuum_change_no_row(copied, tmp_path):
    store, tables = copied
    before = {folder.name: live(tables, folder.name) for folder in tables.iterdir()}
    rows = {channel: delta_rs(tables, channel) for channel in before}
    assert len(before["trade"]) > 5
    done = run("compact", tables, "--store", store)
    assert done.returncode == 0, done.stderr
    for channel, frame in rows.items():
        after = live(tables, channel)
        exchanges = frame.select("exchange", "date").n_unique()
        assert len(after) == exchanges, "one file a partition"
        assert_frame_equal(delta_rs(tables, channel), frame)
        newest = deltalake.DeltaTable(tables / channel).history(1)[0]
        assert newest["operation"] == "OPTIMIZE" or len(before[channel]) == exchanges
    text = (tables / "trade" / "_delta_log").glob("*.json")
    last = sorted(text)[-1].read_text()
    changes = [json.loads(line) for line in last.splitlines()]
    assert not any(c.get("add", c.get("remove", {})).get("dataChange") for c in changes)
    assert run("compact", tables, "--store", store).stdout.startswith(b"0 commits")
    assert export(store, tables)["commits"] == []
    # Nothing is old enough; then everything is.
    assert b"0 files deleted" in run("vacuum", tables).stdout
    dry = json.loads(run("vacuum", tables, "--older-than", "0s", "--dry-run", "--json").stdout)
    done = json.loads(run("vacuum", tables, "--older-than", "0s", "--json").stdout)
    gone = sum(len(set(files) - set(live(tables, name))) for name, files in before.items())
    assert dry["files"] == done["files"] == gone
    files = sum(1 for _ in (tables / "trade").rglob("*.parquet"))
    assert files == len(live(tables)) + len(list((tables / "trade").rglob("*.checkpoint.parquet")))
    same_rows(store, tables, tmp_path / "plain", ["trade", "quote"])


def test_a_compaction_killed_at_any_step_changes_no_row(copied, tmp_path, killer):
    store, tables = copied
    wanted = delta_rs(tables, "trade")
    at, alive = 1, True
    while alive:
        alive = killed(killer, at, "compact", tables, "--store", store, "--channel", "trade")
        assert_frame_equal(delta_rs(tables, "trade"), wanted)
        at += 3
    assert_frame_equal(delta_rs(tables, "trade"), wanted)
    run("vacuum", tables, "--older-than", "0s")
    assert_frame_equal(delta_rs(tables, "trade"), wanted)


def test_a_damaged_day_keeps_no_other_from_being_compacted(copied):
    store, tables = copied
    before = len(live(tables, "quote"))
    assert before > 1
    for segment in (store / "segment").glob("*/trade-*.segment"):
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 0x10
        segment.write_bytes(content)
    done = run("compact", tables, "--store", store)
    assert done.returncode == 1 and b"stays as it is" in done.stderr, done.stderr
    assert len(live(tables, "quote")) < before


def test_vacuum_leaves_what_an_export_may_still_commit(store, tmp_path):
    tables = tmp_path / "lake"
    export(store, tables, "--channel", "trade")
    unknown = tables / "trade" / "exchange=upbit" / "date=2024-08-08" / "ringtape-x.parquet"
    unknown.touch()
    for hours, age, gone in ((2, "1h", False), (25, "1h", True), (2, "59m", True)):
        unknown.touch()
        written = time.time() - 3600 * hours
        os.utime(unknown, (written, written))
        done = run("vacuum", tables, "--older-than", age)
        assert done.returncode == 0 and unknown.exists() != gone, (hours, age, done)


# ---- following ----


def test_a_folder_that_is_moved_away_is_told(store, tmp_path):
    tables = tmp_path / "lake"
    command = [support.program("ringtape"), "export", "--delta", tables, "--store", store,
               "--follow", "--every", "100ms", "--channel", "trade"]  # fmt: skip
    with support.Process(command) as follow:
        support.wait_for(lambda: newest_ns(tables) > 0, 30, "a first commit")
        rows = delta_rs(tables, "trade").height
        tables.rename(tmp_path / "moved")
        tables.mkdir()
        run("seal", "--store", store)
        assert follow.finish(60) == 74
    assert all("was moved, removed or replaced" in line for line in follow.errors), follow.errors
    assert list(tables.iterdir()) == []
    export(store, tmp_path / "moved", "--channel", "trade")
    assert delta_rs(tmp_path / "moved", "trade").height > rows


def test_the_daemon_warns_of_an_export_that_was_given_up(store, tmp_path):
    (tmp_path / "shift.c").write_text(support.SHIFT)
    library = tmp_path / "shift.so"
    compiler = [support.ROOT / "tools" / "dev", "zig", "cc"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, tmp_path / "shift.c"], check=True)
    for days, tables in ((1, tmp_path / "new"), (3, tmp_path / "old")):
        shift = {"LD_PRELOAD": str(library), "SHIFT_SECONDS": str(-86400 * days)}
        run("export", "--delta", tables, "--store", store, env={**os.environ, **shift})
    with support.Simulator("--symbols=binance:2", "--rate=10") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        with support.Ringtaped(tmp_path / "c.yaml", store, feeds) as daemon:
            told = "an export has not run for days"
            support.wait_for(lambda: any(told in line for line in daemon.errors))
            time.sleep(2.5)  # it looks once a second
            (line,) = [line for line in daemon.errors if told in line]
    assert f'tables="{tmp_path}/old"' in line and f'file="{store}/export/' in line



def newest_ns(tables):
    if not (tables / "trade" / "_delta_log" / f"{0:020}.json").exists():
        return 0
    dataset = deltalake.DeltaTable(tables / "trade").to_pyarrow_dataset()
    return duckdb.sql("SELECT max(receive_time_ns) FROM dataset").fetchall()[0][0]


def test_a_follower_keeps_a_table_current(tmp_path):
    """Trades are lost on all links meanwhile, and repaired over REST."""
    store, tables = tmp_path / "store", tmp_path / "lake"
    faults = "--faults=drop_all=0.3,gap=2,seed=7"
    with support.Simulator(
        "--symbols=binance:20", "--rate=4000", "--no-limits", faults
    ) as simulator:
        feeds = [support.feed(simulator, "binance", ["trade", "quote"], "all")]
        with support.Ringtaped(tmp_path / "c.yaml", store, feeds) as daemon:
            daemon.wait_counters(lambda c: c["durable"] >= 1000)
            follow = support.Process(
                [support.program("ringtape"), "export", "--delta", tables, "--store", store,
                 "--follow", "--every", "500ms", "--compact-files", "4", "--json"]
            )  # fmt: skip
            with follow:
                lag_ns = 10**18
                end = time.monotonic() + 8
                while time.monotonic() < end:
                    support.wait_for(lambda: newest_ns(tables) > 0, 30, "a first commit")
                    lag_ns = min(lag_ns, time.time_ns() - newest_ns(tables))
                    time.sleep(0.2)
                assert daemon.alive() and follow.alive(), follow.errors
                assert follow.terminate() == 0, follow.errors
            print(f"the newest row of the table was {lag_ns / 1e9:.1f} s old at best")
            assert lag_ns < 20e9
            daemon.wait_counters(lambda c: c["repaired"] > 0)
            assert daemon.terminate() == 0
    told = [json.loads(line) for line in follow.lines]
    assert "compacted" in {line["result"] for line in told}
    assert "replaced" not in {line["result"] for line in told}, "merges wait for the export"
    assert len(live(tables)) <= 8
    support.ringtape("seal", "--store", store)
    export(store, tables)
    same_rows(store, tables, tmp_path / "plain", ["trade", "quote", "status"])
    trades = delta_rs(tables, "trade")
    assert trades.select("symbol", "id").is_duplicated().sum() == 0
    assert (trades["flags"] & 1).sum() > 0, "repaired ones are there, too"
