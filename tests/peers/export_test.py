# SPDX-License-Identifier: GPL-3.0-or-later
"""What 'ringtape export' leaves: every file taken apart strictly (parquet_strict.py), read alike by
pyarrow, DuckDB and Polars, with and without predicates pushed down; and what it does with bad
input. That the rows are those of 'ringtape cat' is shown in cli_test.py."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import parquet_strict
import support

MAKER = support.ROOT / "zig-out" / "test" / "sample_store"
TRADES = "segment/2024-08-08/trade-00000001.segment"


def make(folder, *variant):
    assert MAKER.exists(), f"{MAKER} is missing: run 'tools/dev zig build stage-test'"
    subprocess.run([MAKER, folder, *variant], check=True)
    return pathlib.Path(folder)


def run(store, folder, *arguments, **options):
    command = [support.program("ringtape"), "export", "--store", store, "--parquet", folder]
    return subprocess.run(
        [*map(str, command), "--json", *map(str, arguments)], capture_output=True, timeout=300,
        **options,
    )  # fmt: skip


def export(store, folder, *arguments, status=0):
    done = run(store, folder, *arguments)
    assert done.returncode == status, done.stderr.decode()
    return json.loads(done.stdout)


def files(folder):
    return sorted(pathlib.Path(folder).rglob("*.parquet"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make(tmp_path_factory.mktemp("export") / "store")


@pytest.fixture(scope="module")
def exported(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "parquet"
    export(store, folder)
    return folder


@pytest.fixture(scope="module")
def strict(exported):
    """{path: rows by our own reader}; that they could be read is the first of the tests."""
    return {path: parquet_strict.check(path) for path in files(exported)}


def as_python(table):
    """A pyarrow table's columns in the values that the strict reader gives."""
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = pc.cast(column, pa.int64())
        columns[name] = column.to_pylist()
    return columns


# ---- files ----


def test_every_file_is_what_the_specification_says(strict):
    channels = {path.parts[-3] for path in strict}
    assert len(channels) == 12 and len(strict) == 41
    assert all(len(next(iter(rows.values()))) > 0 for rows in strict.values())


def test_pyarrow_reads_the_values_that_are_there(strict):
    for path, rows in strict.items():
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        assert as_python(table) == rows, path


def test_the_strict_check_finds_what_is_wrong(exported, tmp_path):
    """Each byte of a small file, changed: hardly any change is allowed to pass."""
    path = min(files(exported), key=lambda file: file.stat().st_size)
    content, missed = path.read_bytes(), []
    changed = tmp_path / "changed.parquet"
    wanted = parquet_strict.check(path)
    for at in range(0, len(content), 7):
        changed.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            if parquet_strict.check(changed) == wanted:
                missed.append(at)
        except Exception:  # noqa: BLE001 - any complaint will do
            pass
    # Names of columns, of the writer, and the metadata are free text.
    assert len(missed) < len(content) / 7 * 0.35, f"{len(missed)} of {len(content) // 7}"


def test_a_partition_is_split_near_the_size_asked_for(tmp_path):
    store, day = make(tmp_path / "store", "busy"), ("--channel", "trade", "--from", "2024-08-10")
    (whole,) = export(store, tmp_path / "whole", *day)["partitions"]
    (split,) = export(store, tmp_path / "split", *day, "--file-size", "1")["partitions"]
    assert whole["files"] == 1 and split["files"] == 3
    found = files(tmp_path / "split")
    parts = sorted(found, key=lambda file: int(file.name.split("-")[3].split("of")[0]))
    # A file ends with the page that reaches the size: of these rows a megabyte.
    assert all(1 <= part.stat().st_size / 2**20 < 2.1 for part in parts[:-1])
    assert len(parquet_strict.check(parts[-1])["ts_ns"]) == 20000
    times = [t for part in parts for t in pq.ParquetFile(part).read()["ts_ns"].to_pylist()]
    assert times == sorted(times) and len(times) == 100000
    (together,) = files(tmp_path / "whole")
    table = pa.concat_tables([pq.ParquetFile(part).read() for part in parts])
    assert table.equals(pq.ParquetFile(together).read())
    # Another size is another export: it replaces; the same one changes nothing.
    assert export(store, tmp_path / "split", *day, "--file-size", "1")["unchanged"] == 1
    assert export(store, tmp_path / "split", *day)["written"] == 1
    assert len(files(tmp_path / "split")) == 1


def test_a_size_that_is_none_is_refused(store, tmp_path):
    for size in ("0", "1048577"):
        done = run(store, tmp_path / "x", "--file-size", size)
        assert done.returncode == 64
        assert b"--file-size: give 1 to 1048576, megabytes a file" in done.stderr


# ---- readers ----

QUERIES = {  # what is asked of (exchange, channel), and the same in Python
    ("binance", "trade"): ("price", "quantity"),
    ("binance", "quote"): ("bid_price", "ask_quantity"),
    ("binance", "depth"): ("price", "quantity"),
    ("upbit", "book"): ("price", "quantity"),
    ("upbit", "ticker"): ("last_price", "quote_volume"),
    ("binance", "kline"): ("close", "quote_volume"),
    ("binance", "candle"): ("close", "volume"),
}


def rows_of(strict, exchange, channel):
    found = defaultdict(list)
    for path, rows in strict.items():
        if path.parts[-4:-2] == (f"exchange={exchange}", f"channel={channel}"):
            for name, values in rows.items():
                found[name] += values
    return found


def folder_of(exported, exchange, channel):
    return exported / f"exchange={exchange}" / f"channel={channel}"


def total(values):
    return sum((value for value in values if value is not None), Decimal(0))


@pytest.mark.parametrize("where", QUERIES, ids="-".join)
def test_sums_are_exact_in_every_reader(strict, exported, where):
    rows, folder = rows_of(strict, *where), folder_of(exported, *where)
    wanted = [len(rows["ts_ns"]), *(total(rows[column]) for column in QUERIES[where])]
    first, second = QUERIES[where]
    found = duckdb.sql(
        f"SELECT count(*), sum({first}), sum({second}) FROM read_parquet('{folder}/*/*.parquet')"
    ).fetchall()[0]
    assert list(found) == wanted
    table = pl.read_parquet(f"{folder}/*/*.parquet")
    assert [table.height, table[first].sum(), table[second].sum()] == wanted
    table = ds.dataset(folder, partitioning="hive").to_table()
    sums = [pc.sum(table[column]).as_py() for column in QUERIES[where]]
    assert [table.num_rows, *sums] == wanted


def filtered(rows, keep):
    names = ("symbol", "ts_ns")
    return sorted(zip(*(rows[name] for name in names), strict=True)) if keep is None else sorted(
        pair for pair, row in zip(
            zip(*(rows[name] for name in names), strict=True), range(len(rows["ts_ns"]))
        ) if keep(row)
    )  # fmt: skip


@pytest.mark.parametrize("column", ["symbol", "ts_ns", "price", "quantity", "id", "side"])
def test_predicates_find_the_same_rows_pushed_down_or_not(strict, exported, column):
    """Row groups, pages and dictionaries are skipped by what the file tells; never a row."""
    rows, folder = rows_of(strict, "binance", "trade"), folder_of(exported, "binance", "trade")
    present = sorted({value for value in rows[column] if value is not None})
    for value in (present[0], present[len(present) // 3], present[-1]):
        wanted = filtered(rows, lambda row, v=value: rows[column][row] == v)
        least = filtered(rows, lambda row, v=value: rows[column][row] >= v)
        check_duckdb(folder, column, value, wanted, least)
        check_polars(folder, column, value, wanted, least)
        check_pyarrow(folder, column, value, wanted, least)


def check_duckdb(folder, column, value, equal, least):
    kind = "" if isinstance(value, (str, int)) else "::DECIMAL(38,12)"
    for sign, wanted in (("=", equal), (">=", least)):
        for pushed in (True, False):
            connection = duckdb.connect()
            if not pushed:
                off = "filter_pushdown,statistics_propagation"
                connection.execute(f"SET disabled_optimizers = '{off}'")
            found = connection.execute(
                f"SELECT symbol, ts_ns FROM read_parquet('{folder}/*/*.parquet') "
                f"WHERE {column} {sign} ?{kind}", [value],
            ).fetchall()  # fmt: skip
            assert sorted(found) == wanted, (column, sign, value, pushed)


def check_polars(folder, column, value, equal, least):
    given, literal = pl.col(column), pl.lit(value)
    for predicate, wanted in ((given == literal, equal), (given >= literal, least)):
        for statistics in (True, False):
            scan = pl.scan_parquet(f"{folder}/*/*.parquet", use_statistics=statistics)
            found = scan.filter(predicate).select("symbol", "ts_ns").collect().rows()
            assert sorted(found) == wanted, (column, value, statistics)


def check_pyarrow(folder, column, value, equal, least):
    dataset = ds.dataset(folder, partitioning="hive")
    kind = dataset.schema.field(column).type
    scalar = pa.scalar(value, type=kind) if pa.types.is_decimal(kind) else value
    given = ds.field(column)
    for predicate, wanted in ((given == scalar, equal), (given >= scalar, least)):
        found = dataset.to_table(filter=predicate, columns=["symbol", "ts_ns"])
        pairs = zip(found["symbol"].to_pylist(), found["ts_ns"].to_pylist())
        assert sorted(pairs) == wanted, (column, value)


# ---- bad input ----


def names_of(folder, channel="trade"):
    names = {}
    for path in files(folder):
        if path.parts[-3] == f"channel={channel}":
            rows = parquet_strict.check(path)
            names[path.parts[-4]] = names.get(path.parts[-4], 0) + len(rows["ts_ns"])
    return names


def test_odd_symbols_are_exact(tmp_path):
    store = make(tmp_path / "store", "odd")
    export(store, tmp_path / "parquet", "--channel", "trade,depth")
    found = {}
    for path in files(tmp_path / "parquet"):
        rows = parquet_strict.check(path)
        found.setdefault(path.parts[-4], set()).update(rows["symbol"])
        assert pq.ParquetFile(path).read(["symbol"])["symbol"].to_pylist() == rows["symbol"]
    assert found == {
        "exchange=binance": {"币安人生USDT", "1000 \"Q\"/..%2F:'*"},
        "exchange=upbit": {"KRW-🚀"},
        "exchange=odd%2F%2E%2E%2Fexchange%3Dx": {"Ä"},
    }
    assert not list(tmp_path.glob("exchange=*")), "no exchange leaves the folder"
    folder = tmp_path / "parquet"
    count = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{folder}/*/channel=trade/*/*.parquet') "
        "WHERE symbol = '币安人生USDT'"
    ).fetchall()[0][0]
    assert count == 36000
    table = pl.scan_parquet(f"{folder}/*/channel=trade/*/*.parquet", hive_partitioning=False)
    assert table.filter(pl.col("symbol") == "KRW-🚀").collect().height == 600


def test_scales_that_change_from_row_to_row_keep_their_values(strict):
    """The sample's decimals have random scales; cli_test.py compares each with its text."""
    prices = rows_of(strict, "binance", "trade")["price"]
    digits = {max(0, -value.normalize().as_tuple().exponent) for value in prices}
    assert digits == set(range(9))


def test_a_quantity_that_does_not_fit_is_named(tmp_path):
    store = make(tmp_path / "store", "unfit_quantity")
    done = run(store, tmp_path / "parquet", "--channel", "trade")
    assert done.returncode == 1
    assert json.loads(done.stdout)["left_out"] == 1
    (line, *_) = [line for line in done.stderr.decode().splitlines() if "left out: trade" in line]
    assert line.endswith(
        "column quantity: the number does not fit its DECIMAL type exactly"
    ), line
    assert sum(names_of(tmp_path / "parquet").values()) == 37949


def test_a_symbol_that_is_no_text_is_named_and_left_out(tmp_path):
    store = make(tmp_path / "store", "not_text")
    done = run(store, tmp_path / "parquet", "--channel", "trade")
    assert done.returncode == 1
    assert json.loads(done.stdout)["left_out"] == 900  # of 300 in each of three segments
    lines = [line for line in done.stderr.splitlines() if b"column symbol" in line]
    assert len(lines) == 20 and all(line.endswith(b"the text is not UTF-8") for line in lines)
    assert sum(names_of(tmp_path / "parquet").values()) == 37950 - 900


def damage(path, at, size):
    content = bytearray(path.read_bytes())
    content[at : at + size] = os.urandom(size)
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["header", "missing", "empty", "cut"])
def test_a_segment_that_cannot_be_read_costs_its_rows_only(tmp_path, how):
    store = make(tmp_path / "store")
    whole = export(store, tmp_path / "before", "--channel", "trade")
    victim = store / TRADES
    if how == "header":
        damage(victim, 0, 4096)
    elif how == "missing":
        victim.unlink()
        victim.with_suffix(".index").unlink()
    else:
        os.truncate(victim, 0 if how == "empty" else 4096)
        victim.with_suffix(".index").unlink()
    done = run(store, tmp_path / "parquet")
    assert done.returncode == 1, done.stderr.decode()
    result = json.loads(done.stdout)
    assert result["damages"] >= 1 and "trade-00000001" in done.stderr.decode() + str(victim)
    # The day's other segment, the other day, and all other channels are there.
    assert sum(names_of(tmp_path / "parquet").values()) == 12650 * 2
    partial = [p for p in files(tmp_path / "parquet") if p.name.endswith("-partial.parquet")]
    assert len(partial) == 3 and {p.parts[-3] for p in partial} == {"channel=trade"}
    assert len(files(tmp_path / "parquet")) == 41
    # What was exported whole before the damage is not replaced by less.
    again = run(store, tmp_path / "before", "--channel", "trade")
    assert again.returncode == 1
    assert json.loads(again.stdout)["unchanged"] == len(whole["partitions"])


# A write that went astray: whole, and not the one of this name.
@pytest.mark.parametrize("other", ["depth-00000006", "trade-00000002", "trade-00000003"])
@pytest.mark.parametrize("index", ["kept", "copied"])
def test_another_segment_in_the_place_of_one_is_left_out(tmp_path, other, index):
    store = make(tmp_path / "store")
    source = next(store.glob(f"segment/*/{other}.segment"))
    shutil.copy(source, store / TRADES)
    if index == "copied":
        shutil.copy(source.with_suffix(".index"), (store / TRADES).with_suffix(".index"))
    done = run(store, tmp_path / "parquet")
    assert done.returncode == 1, done.stderr.decode()
    assert json.loads(done.stdout)["damages"] == 1
    said = f"ringtape: {store}/{TRADES}: another segment lies in its place\n"
    assert said.encode() in done.stderr
    # As without that file; nothing twice.
    assert sum(names_of(tmp_path / "parquet").values()) == 12650 * 2
    trades = [p for p in files(tmp_path / "parquet") if p.parts[-3] == "channel=trade"]
    ids = [i for p in trades for i in pq.ParquetFile(p).read(["id"])["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == 12650 * 2
    assert len(files(tmp_path / "parquet")) == 41
    listed = subprocess.run([support.program("ringtape"), "ls", "--store", store, "--json"],
                            capture_output=True)  # fmt: skip
    assert listed.returncode == 1 and b"another segment lies in its place" in listed.stderr
    entries = json.loads(listed.stdout)["segments"]
    assert len(entries) == 14 and [e["segment"] for e in entries if e["symbols"] == 0] == [1]


# A small process between: the peak told of a child includes its parent's size at the fork.
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def test_memory_is_bounded_whatever_the_day(tmp_path):
    """400 segments of trades that all overlap, frames of 7 MB a block, books of 5,000 levels."""
    store, folder = make(tmp_path / "store", "heavy"), tmp_path / "parquet"
    command = [support.program("ringtape"), "export", "--store", store, "--parquet", folder]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 <= 256 << 20
    (raw,) = folder.glob("exchange=binance/channel=raw/date=2024-08-10/*")
    assert {len(frame) for frame in parquet_strict.check(raw)["frame"]} == {180000}
    (book,) = folder.glob("exchange=binance/channel=book/date=2024-08-10/*")
    assert pq.ParquetFile(book).metadata.num_rows == 16 * 12 * 5000
    trades = folder.glob("exchange=binance/channel=trade/date=2024-08-10/*")
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in trades) == 400 * 40


def test_a_day_without_data_is_nothing_to_do(tmp_path):
    store = make(tmp_path / "store")
    result = export(store, tmp_path / "parquet", "--from", "2020-01-01", "--to", "2020-01-02")
    assert (result["written"], result["partitions"]) == (0, [])
    # Within a day that has data, a time that has none.
    result = export(store, tmp_path / "parquet", "--channel", "trade", "--from",
                    "2024-08-08T22:00:00Z", "--to", "2024-08-08T23:00:00Z")  # fmt: skip
    assert result["written"] == 0
    assert files(tmp_path / "parquet") == []


@pytest.fixture
def small(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("cannot mount a file system here (needs root): " + done.stderr.decode().strip())
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_leaves_whole_files_or_none(small, tmp_path):
    store = make(tmp_path / "store")
    done = run(store, small / "parquet")
    assert done.returncode == 74
    assert "No space left on device" in done.stderr.decode()
    assert not (small / "parquet" / ".ringtape-staging").exists()
    for path in files(small / "parquet"):
        parquet_strict.check(path)
    # With room it goes on where it stopped.
    shutil.copytree(small / "parquet", tmp_path / "larger")
    kept = len(files(tmp_path / "larger"))
    result = export(store, tmp_path / "larger")
    assert (result["unchanged"], result["written"]) == (kept, 41 - kept)
