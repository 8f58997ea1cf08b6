# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbox on a store made for it: exact output of every command, good and bad, and an export
that agrees with 'ringtape cat' row for row, is repeatable, and replaces instead of doubling.

RINGTAPE_GOLDEN_WRITE=1 writes tests/golden/cli anew; the difference is then to be read."""

import json
import os
import pathlib
import re
import shutil
import subprocess
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest

import support

GOLDEN = support.ROOT / "tests" / "golden" / "cli"
MAKER = support.ROOT / "zig-out" / "test" / "sample_store"
CHANNELS = (
    "trade", "agg_trade", "quote", "depth", "book", "ticker", "kline", "status", "instrument",
    "raw", "candle", "alert",
)  # fmt: skip
SEGMENT = "segment/2024-08-08/trade-00000001.segment"


def make(folder, *variant):
    assert MAKER.exists(), f"{MAKER} is missing: run 'tools/dev zig build stage-test'"
    subprocess.run([MAKER, folder, *variant], check=True)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make(tmp_path_factory.mktemp("cli") / "store")


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The same with a flipped bit in a block and one in the tape."""
    made = make(tmp_path_factory.mktemp("cli") / "store")
    flip(made / SEGMENT, 100000)
    flip(made / "tape" / "00000003.tape", 5000)
    return made


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def run(*arguments, **options):
    command = [support.program("ringtape"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300, **options)


# ---- exact output ----

CASES = {
    "help": "--help",
    "nothing": "",
    "unknown_command": "lss",
    **{
        f"{name}_help": f"{name} --help"
        for name in (
            "ls inspect cat verify coverage day report mirror recover seal reload export compact "
            "backfill "
            "vacuum"
        ).split()
    },
    "option_unknown": "ls --stor X",
    "option_short": "ls -x",
    "option_twice": "ls --store X --store Y",
    "option_without_value": "ls --store",
    "option_flag_with_value": "ls --store X --json=1",
    "option_missing": "export --parquet X",
    "export_nowhere": "export --store X",
    "export_twice": "export --store X --parquet A --delta B",
    "export_part_of_a_table": "export --store X --delta A --symbol binance:BTCUSDT",
    "export_every_without_follow": "export --store X --delta A --every 5s",
    "vacuum_span": "vacuum A --older-than yesterday",
    "argument_missing": "inspect",
    "argument_unexpected": "ls --store X Y",
    "argument_twice": "inspect X Y",
    "time_wrong": "cat --store X --channel trade --from yesterday",
    "times_reversed": "cat --store X --channel trade --from 2024-08-09 --to 2024-08-08",
    "count_wrong": "cat --store X --channel trade --limit many",
    "channel_wrong": "cat --store X --channel trades",
    "channels_many": "cat --store X --channel trade,quote",
    "symbol_wrong": "cat --store X --channel trade --symbol BTCUSDT",
    "no_store": "ls --store STORE/nothing-here",
    "coverage_no_ledger": "coverage --store STORE",
    "mirror_nothing": "mirror --store STORE",
    "mirror_retry_help": "mirror retry --help",
    "reload_nobody": "reload --store STORE",
    "day_wrong": "day 2024-13-01 --store STORE",
    "inspect_no_file": "inspect STORE/nothing-here",
    "inspect_other_file": "inspect STORE/catalogue",
    "ls": "ls --store STORE",
    "ls_channel": "ls --store STORE --channel trade,raw",
    "ls_json": "ls --store STORE --json",
    "ls_symbols": "ls --store STORE --symbols --symbol binance:* --symbol upbit:KRW-BTC",
    "ls_symbols_json": "ls --store STORE --symbols --channel status --json",
    "inspect_segment": f"inspect STORE/{SEGMENT} --blocks",
    "inspect_segment_json": f"inspect STORE/{SEGMENT} --blocks --json",
    "inspect_tape": "inspect STORE/tape/00000003.tape --blocks",
    "inspect_tape_json": "inspect STORE/tape/00000003.tape --blocks --json",
    "inspect_index": f"inspect STORE/{SEGMENT.replace('.segment', '.index')} --blocks",
    **{f"cat_{c}": f"cat --store STORE --channel {c} --limit 8" for c in CHANNELS},
    **{f"cat_{c}_json": f"cat --store STORE --channel {c} --limit 8 --json" for c in CHANNELS},
    "cat_tape": "cat --store STORE --channel trade --from 2024-08-09T00:30:00Z --limit 4",
    "cat_times": "cat --store STORE --channel trade --symbol binance:BTCUSDT --no-header "
    "--from 2024-08-08T00:00:01Z --to 2024-08-08T00:00:01.03Z",
    "cat_none": "cat --store STORE --channel trade --symbol binance:NOTHING",
    "verify": "verify --store STORE",
    "verify_json": "verify --store STORE --json",
    "verify_broken": "verify --store BROKEN",
    "verify_broken_json": "verify --store BROKEN --json",
    "ls_broken": "ls --store BROKEN --channel trade",
    "inspect_broken_segment": f"inspect BROKEN/{SEGMENT}",
    "inspect_broken_tape": "inspect BROKEN/tape/00000003.tape",
    "cat_broken": "cat --store BROKEN --channel trade --no-header "
    "--from 2024-08-08T00:00:01Z --to 2024-08-08T00:00:01.03Z",
}


# Sizes, offsets and codecs follow from the compressor's version: masked in what shows them.
SIZED = ("ls", "inspect_segment", "inspect_index", "inspect_broken_segment", "verify")
NUMBER = r"(?<!\S)\(?[\d,]+(?:\.\d+)?(?: [KM]?i?B\b)?(?!\S)"
CODECS = r"\b(?:(?:plain|constant|packed|delta|varint|zstd|sequence|dictionary|modelled)[ +]*)+"


def masked(text):
    """Without free-standing numbers and codecs, and without the widths that follow from them."""
    text = re.sub(r'"(bytes|offset|codecs)":("[^"]*"|\d+)', r'"\1":N', re.sub(NUMBER, "N", text))
    return re.sub(r" +", " ", re.sub(CODECS, "CODECS ", text))


def told(case, paths):
    """Command, exit code, standard output and error, with the folders' names taken out."""
    words = CASES[case]
    for name, path in paths.items():
        words = words.replace(name, str(path))
    done = run(*words.split())
    head, text = f"$ ringtape {CASES[case]}\n{done.returncode}\n", ""
    for title, stream in (("stdout", done.stdout), ("stderr", done.stderr)):
        lines = stream.decode("utf-8", "backslashreplace")
        for name, path in paths.items():
            lines = lines.replace(str(path), name)
        text += f"--- {title}\n{lines}"
    sized = case.startswith(SIZED) and not case.startswith("ls_symbols") and "help" not in case
    return head + (masked(text) if sized else text)


@pytest.mark.parametrize("case", list(CASES))
def test_output_is_exact(case, store, broken):
    found = told(case, {"STORE": store, "BROKEN": broken})
    golden = GOLDEN / f"{case}.txt"
    if os.environ.get("RINGTAPE_GOLDEN_WRITE"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


def test_the_version_names_release_and_commit():
    text = run("--version").stdout.decode()
    assert re.fullmatch(r"ringtape \d+\.\d+\.\d+ \([0-9a-z-]+\)\n", text)


def test_ls_tells_what_is_there(store):
    listing = json.loads(run("ls", "--store", store, "--json").stdout)
    trades = [entry for entry in listing["segments"] if entry["channel"] == "trade"]
    assert listing["store"] == "00112233445566778899aabbccddeeff"
    assert [(e["segment"], e["day"], e["symbols"], e["rows"]) for e in trades] == [
        (1, "2024-08-08", 4, 12650), (2, "2024-08-08", 4, 12650), (3, "2024-08-09", 4, 12650)
    ]  # fmt: skip
    assert trades[0]["bytes"] == (store / SEGMENT).stat().st_size
    assert trades[0]["first"] == "2024-08-08T00:00:00.000000000Z"
    assert len(listing["segments"]) == 14
    tape = listing["tapes"][0]
    assert (tape["tape"], tape["rows"], tape["state"]) == (3, 51, "closed")


def test_a_reader_that_has_seen_enough_is_no_error(store):
    command = f"'{support.program('ringtape')}' cat --store '{store}' --channel trade | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True)
    assert done.stderr == b""


def test_output_that_cannot_be_written_is_an_error(store):
    with open("/dev/full", "wb") as full:
        command = [support.program("ringtape"), "ls", "--store", store]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 74
    assert done.stderr == b"ringtape: standard output: No space left on device\n"


# ---- export ----


def export(store, folder, *arguments, status=0):
    done = run("export", "--store", store, "--parquet", folder, "--json", *arguments)
    assert done.returncode == status, done.stderr.decode()
    return json.loads(done.stdout)


def files(folder):
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def cat(store, channel):
    """Rows of 'ringtape cat' as Parquet shows them: a row a level, sealed rows only."""
    lines = run("cat", "--store", store, "--channel", channel, "--json").stdout.decode()
    for line in lines.splitlines():
        row = json.loads(line)
        if row.get("tape") == 3 or row["time"] >= "2024-08-09T00:30":
            continue
        levels = row.pop("levels", None)
        for index, level in enumerate(levels or [{}]):
            yield {**row, **level, "level_index": index if levels else None}


def comparable(row, columns):
    """A row of `cat` in the types of the Parquet file."""
    exchange, _, symbol = (row["symbol"] or "ringtape:").partition(":")
    found = {"exchange": exchange, "symbol": symbol or None, "ts_ns": row["time"]}
    for name, kind in columns.items():
        value = row.get(name, row.get(f"{name}_hex", row.get(name.removesuffix("_ns"))))
        if value is not None and kind.startswith("decimal"):
            value = Decimal(value)
        elif value is not None and kind == "binary":
            value = bytes.fromhex(value) if f"{name}_hex" in row else value.encode()
        found.setdefault(name, value)
    return found


def of_files(folder, channel):
    """All rows of the channel, times with nanoseconds as text; and the columns' types."""
    rows, columns = [], None
    for path in sorted(folder.glob(f"*/channel={channel}/*/*.parquet")):
        table = pq.ParquetFile(path, page_checksum_verification=True).read().drop_columns(["ts"])
        columns = {field.name: str(field.type) for field in table.schema}
        exchange = path.parts[-4].removeprefix("exchange=")
        for row in table.to_pylist():
            row = {"exchange": exchange, **row}
            for name in row:
                if name.endswith("_ns") and row[name] is not None:
                    row[name] = text_of(row[name])
            row.pop("store", None)
            rows.append(row)
    columns.pop("store", None)
    return rows, columns


def text_of(time_ns):
    seconds, fraction = divmod(time_ns, 10**9)
    minutes, second = divmod(seconds, 60)
    days, minute = divmod(minutes, 1440)
    date = duckdb_date(days)
    return f"{date}T{minute // 60:02}:{minute % 60:02}:{second:02}.{fraction:09}Z"


def duckdb_date(days, known={}):  # noqa: B006 - a cache
    if days not in known:
        known[days] = duckdb.sql(f"SELECT (DATE '1970-01-01' + {days})::VARCHAR").fetchall()[0][0]
    return known[days]


def key(row):
    """For sorting: equal decimals of different spelling are equal."""
    plain = (v.normalize() if isinstance(v, Decimal) else v for _, v in sorted(row.items()))
    return [(value is not None, str(value)) for value in plain]


@pytest.fixture(scope="module")
def exported(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    export(store, folder)
    return folder


@pytest.mark.parametrize("channel", CHANNELS)
def test_export_and_cat_agree_row_for_row(store, exported, channel):
    found, columns = of_files(exported, channel)
    wanted = [comparable(row, columns) for row in cat(store, channel)]
    assert len(found) == len(wanted)
    assert sorted(found, key=key) == sorted(wanted, key=key)


def test_rows_are_sorted_by_symbol_and_time(exported):
    for path in exported.rglob("*.parquet"):
        file = pq.ParquetFile(path)
        table = file.read(["symbol", "ts_ns"])
        rows = list(zip(table["symbol"].to_pylist(), table["ts_ns"].to_pylist()))
        assert rows == sorted(rows, key=lambda row: (row[0] or "", row[1]))
        assert [s.column_index for s in file.metadata.row_group(0).sorting_columns] == [0, 2]


def test_readers_find_the_partitions(exported):
    count = duckdb.sql(
        "SELECT exchange, channel, date::VARCHAR, count(*) FROM read_parquet("
        f"'{exported}/*/channel=trade/*/*.parquet', hive_partitioning = true) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert count == [
        ("binance", "trade", "2024-08-08", 24600), ("binance", "trade", "2024-08-09", 12300),
        ("binance-usdm", "trade", "2024-08-08", 300), ("binance-usdm", "trade", "2024-08-09", 150),
        ("upbit", "trade", "2024-08-08", 400), ("upbit", "trade", "2024-08-09", 200),
    ]  # fmt: skip
    part = exported / "exchange=binance" / "channel=trade"
    assert pq.read_table(part).num_rows == 36900


def test_a_second_run_changes_nothing(store, exported):
    before = files(exported)
    stamps = {path: path.stat().st_mtime_ns for path in exported.rglob("*.parquet")}
    told_again = export(store, exported)
    assert (told_again["written"], told_again["unchanged"]) == (0, 41)
    assert files(exported) == before
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*.parquet")} == stamps


def test_merged_segments_replace_and_never_double(store, tmp_path):
    """After a merge the same rows come from another segment: other files, the same rows."""
    merged = make(tmp_path / "merged", "merged")
    folder = tmp_path / "parquet"
    export(store, folder, "--channel", "trade")
    first, names = of_files(folder, "trade")[0], set(files(folder))
    result = export(merged, folder, "--channel", "trade")
    assert (result["written"], result["unchanged"]) == (3, 3)
    assert of_files(folder, "trade")[0] == first
    assert len(files(folder)) == len(names) == 6
    assert len(set(files(folder)) & names) == 3


def test_what_a_crash_leaves_is_completed(store, tmp_path):
    folder = tmp_path / "parquet"
    export(store, folder, "--channel", "trade")
    whole = files(folder)
    victim = next(folder.rglob("*.parquet"))
    victim.rename(victim.with_name(victim.name.replace("-1of1", "-1of2")))
    (folder / ".ringtape-staging").mkdir()
    (folder / ".ringtape-staging" / "half-written").write_bytes(b"x")
    (victim.parent / "of-somebody-else.txt").write_text("stays")
    result = export(store, folder, "--channel", "trade")
    assert (result["written"], result["unchanged"]) == (1, 5)
    (victim.parent / "of-somebody-else.txt").unlink()
    assert files(folder) == whole
    assert not (folder / ".ringtape-staging").exists()


def test_times_and_symbols_choose_rows(store, tmp_path):
    result = export(
        store, tmp_path / "parquet", "--symbol", "binance:ETHUSDT", "--channel", "trade",
        "--from", "2024-08-08T00:01:00Z", "--to", "2024-08-08T00:02:00Z",
    )  # fmt: skip
    rows = of_files(tmp_path / "parquet", "trade")[0]
    assert result["written"] == 1 and result["messages"] == len(rows) > 0
    assert {row["symbol"] for row in rows} == {"ETHUSDT"}
    times = {row["ts_ns"] for row in rows}
    assert "2024-08-08T00:01:00" <= min(times) and max(times) < "2024-08-08T00:02:00"
    assert len(rows) == 150 + 50


def test_a_row_that_does_not_fit_is_named_and_the_rest_exported(tmp_path):
    unfit = make(tmp_path / "unfit", "unfit")
    folder = tmp_path / "parquet"
    for _ in range(2):  # never taken for complete
        result = export(unfit, folder, "--channel", "trade", status=1)
        assert result["left_out"] == 1
        partial = [path.name for path in folder.rglob("*-partial.parquet")]
        assert len(partial) == 1
    assert len(list(folder.rglob("*.parquet"))) == 6
    assert len(of_files(folder, "trade")[0]) == 37949
    done = run("export", "--store", unfit, "--parquet", folder, "--channel", "trade")
    assert re.search(
        rb"left out: trade of binance:BTCUSDT at 2024-08-08T00:00:\d\d\.\d{9}Z, column price: "
        rb"the number does not fit its DECIMAL type exactly\n",
        done.stderr,
    )


def test_more_overlap_than_a_merge_holds_loses_order_but_no_row(tmp_path):
    overlap = make(tmp_path / "overlap", "overlap")
    folder = tmp_path / "parquet"
    export(overlap, folder, "--channel", "trade", "--from", "2024-08-10", "--to", "2024-08-11")
    (path,) = folder.rglob("*.parquet")
    file = pq.ParquetFile(path)
    ids = file.read(["id"])["id"].to_pylist()
    assert len(ids) == len(set(ids)) == 3600
    assert not file.metadata.row_group(0).sorting_columns


def test_a_damaged_block_is_told_and_its_rows_only_are_missing(broken, tmp_path):
    folder = tmp_path / "parquet"
    result = export(broken, folder, "--channel", "trade", status=1)
    assert result["damages"] == 1
    assert len(of_files(folder, "trade")[0]) == 37950 - 8192
    assert [p.parts[-4] for p in folder.rglob("*-partial.parquet")] == ["exchange=binance"]


# ---- tapes whose place another one took ----


def listed(store, status):
    done = run("ls", "--store", store, "--json")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)["tapes"], done.stderr.decode()


def misplaced(store, folder):
    """The store with another tape's header over that of tape 3."""
    from ringtape_reader_test import with_header

    copied = shutil.copytree(store, folder)
    tape = copied / "tape" / "00000003.tape"
    tape.write_bytes(with_header(tape.read_bytes(), 815, 2))
    return copied


def test_ls_tells_a_header_of_another_tape_and_shows_the_rows(store, tmp_path):
    ((whole,), _) = listed(store, 0)
    ((tape,), _) = listed(misplaced(store, tmp_path / "store"), 0)
    assert whole["rows"] == 51 and tape == {**whole, "state": "damaged", "shard": None}
    # Which of the two is right, a file by itself does not tell.
    done = run("inspect", tmp_path / "store" / "tape" / "00000003.tape", "--json")
    assert json.loads(done.stdout)["tape"] == 2


def test_ls_tells_another_tape_in_the_place_of_one(store, tmp_path):
    copied = shutil.copytree(store, tmp_path / "store")
    path = copied / "tape" / "00000002.tape"
    shutil.copy(copied / "tape" / "00000003.tape", path)
    ((tape,), said) = listed(copied, 1)
    assert tape["tape"] == 3 and said == f"ringtape: {path}: belongs to another file\n"


def test_mirror_tells_damage_and_counts_what_waits_in_spite_of_it(store, tmp_path):
    from ringtape_bytes import xxh3

    body = b"ringtape-mirror 1 2\ntime 1723075200000000000\nmirrored trade\n"
    body += b"cursor trade 0 3 20\ntape 3 0 0000000000000000\n"
    whole, damaged = shutil.copytree(store, tmp_path / "whole"), misplaced(store, tmp_path / "bad")
    told = []
    for status, copied in enumerate((whole, damaged)):
        (copied / "mirror").mkdir()
        (copied / "mirror" / "state").write_bytes(body + b"xxh3 %016x\n" % xxh3(body))
        done = run("mirror", "--store", copied, "--json")
        assert done.returncode == status, done.stderr
        (lag,) = [lag for lag in json.loads(done.stdout)["lag"] if lag["topic"] == "trades"]
        told.append((lag["cursor"], lag["rows"], done.stderr.decode()))
    said = "damaged; 'ringtape verify' lists all damage"
    assert told[0] == (20, 30, "")
    assert told[1] == (20, 30, f"ringtape: {damaged}/tape/00000003.tape: {said}\n")


def test_two_exports_do_not_meet(store, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    lock = subprocess.Popen(
        ["flock", folder, "bash", "-c", "echo locked; read -r line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert lock.stdout.readline() == b"locked\n"
    done = run("export", "--store", store, "--parquet", folder)
    lock.communicate(b"\n")
    assert done.returncode == 74
    assert done.stderr.decode() == (
        f"ringtape: {folder}: another export writes there; wait for it, or end it "
        "if it follows\n"
    )


def test_a_folder_that_cannot_be_made_is_an_error(store, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("export", "--store", store, "--parquet", tmp_path / "file" / "parquet")
    assert done.returncode == 74
    assert done.stderr.decode() == f"ringtape: {tmp_path}/file/parquet: Not a directory\n"


def test_a_full_disk_leaves_what_was_there(store, tmp_path):
    """A limit on the size of files stands for the disk: the write fails, nothing is replaced."""
    folder = tmp_path / "parquet"
    export(store, folder, "--channel", "trade", "--symbol", "upbit:*")
    before = files(folder)
    command = f"ulimit -f 4; trap '' XFSZ; exec '{support.program('ringtape')}' export"
    done = subprocess.run(
        ["bash", "-c", f"{command} --store '{store}' --parquet '{folder}' --channel trade"],
        capture_output=True,
    )
    assert done.returncode == 74
    assert b"File too large" in done.stderr
    assert files(folder) == before
    assert not pathlib.Path(folder / ".ringtape-staging").exists()


def test_a_store_by_another_path_is_the_same(store, exported, tmp_path):
    other = shutil.copytree(store, tmp_path / "moved")
    assert export(other, exported)["written"] == 0
