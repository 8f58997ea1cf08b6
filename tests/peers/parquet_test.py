# SPDX-License-Identifier: GPL-3.0-or-later
"""What other readers make of the Parquet writer's files: pyarrow (checksums on), DuckDB and Polars
give the same rows and exact sums; statistics and page index lead no filter astray."""

import datetime
import functools
import json
import os
import subprocess
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import parquet_strict
import support

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
FILES = {"empty": 0, "one": 1, "page": 20000, "pages": 70001, "groups": 1050000}
UNIT_TEST = support.ROOT / "zig-out" / "test" / "unit_test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of tests/parquet_test.c, and the same rows as JSON lines."""
    made = tmp_path_factory.mktemp("parquet")
    assert UNIT_TEST.exists(), f"{UNIT_TEST} is missing: run 'tools/dev zig build stage-test'"
    subprocess.run(
        [UNIT_TEST, "--filter", "@(parquet|parquet_dictionary)/leaves_files_*"],
        env={**os.environ, "RINGTAPE_PARQUET_OUT": str(made)},
        check=True,
        capture_output=True,
    )
    return made


@functools.cache
def expected(folder, name):
    with open(folder / f"{name}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def row_of(line):
    """A line of the C test as pyarrow gives the row."""
    return {
        "ts": EPOCH + datetime.timedelta(microseconds=line["ts"]),
        "id": line.get("id"),
        "price": Decimal(line["price"]),
        "quantity": Decimal(line["quantity"]) if "quantity" in line else None,
        "side": line.get("side"),
        "symbol": line["symbol"],
        "flag": line.get("flag"),
        "kind": line.get("kind"),
        "frame": bytes.fromhex(line["frame"]),
        "nothing": None,
    }


@functools.cache
def sums(folder, name):
    lines = expected(folder, name)
    return (
        len(lines),
        sum(Decimal(line["price"]) for line in lines),
        sum(Decimal(line.get("quantity", 0)) for line in lines),
        sum(line.get("id", 0) for line in lines),
        len({line["symbol"] for line in lines}),
        sum("kind" in line for line in lines),
        sum(len(line["frame"]) // 2 for line in lines),
    )


@pytest.mark.parametrize("name", ["empty", "one", "page", "pages"])
def test_pyarrow_reads_every_row(folder, name):
    file = pq.ParquetFile(folder / f"{name}.parquet", page_checksum_verification=True)
    assert file.read().to_pylist() == [row_of(line) for line in expected(folder, name)]


@pytest.mark.parametrize("name", ["page", "pages", "groups"])
def test_duckdb_sums_are_exact(folder, name):
    file = folder / f"{name}.parquet"
    found = duckdb.sql(
        "SELECT count(*), sum(price), sum(quantity), sum(id), count(DISTINCT symbol), count(kind), "
        f"sum(octet_length(frame)) FROM '{file}'"
    ).fetchall()[0]
    assert found == sums(folder, name)


@pytest.mark.parametrize("name", ["page", "pages", "groups"])
def test_polars_sums_are_exact(folder, name):
    table = pl.read_parquet(folder / f"{name}.parquet")
    lines = expected(folder, name)
    wanted = sums(folder, name)
    assert table.height == wanted[0]
    assert (table["price"].sum(), table["quantity"].sum()) == wanted[1:3]
    assert table["symbol"].n_unique() == wanted[4]
    assert table["kind"].count() == wanted[5]
    assert table["frame"].to_list() == [bytes.fromhex(line["frame"]) for line in lines]


@pytest.mark.parametrize("name", list(FILES))
def test_the_footer_is_what_readers_rely_on(folder, name):
    file = pq.ParquetFile(folder / f"{name}.parquet")
    meta = file.metadata
    assert meta.num_rows == FILES[name]
    assert meta.created_by == "ringtape version 0.0.0 (build test)"
    assert meta.metadata[b"ringtape.source"] == b"synthetic"
    kinds = [(c.name, c.physical_type, c.max_definition_level) for c in meta.schema]
    assert kinds == [
        ("ts", "INT64", 0), ("id", "INT64", 1), ("price", "INT64", 0),
        ("quantity", "FIXED_LEN_BYTE_ARRAY", 1), ("side", "BYTE_ARRAY", 1),
        ("symbol", "BYTE_ARRAY", 0), ("flag", "BOOLEAN", 1), ("kind", "BYTE_ARRAY", 1),
        ("frame", "BYTE_ARRAY", 0), ("nothing", "FIXED_LEN_BYTE_ARRAY", 1),
    ]  # fmt: skip
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        assert 0 < group.num_rows <= 1000000
        assert [s.column_index for s in group.sorting_columns] == [0]
        for c in range(group.num_columns):
            chunk = group.column(c)
            assert chunk.compression == "ZSTD"
            assert chunk.has_offset_index and chunk.has_column_index
            assert chunk.statistics.has_null_count


@pytest.mark.parametrize("name", ["pages", "groups"])
def test_statistics_are_the_bounds_of_the_rows(folder, name):
    file = pq.ParquetFile(folder / f"{name}.parquet")
    for g in range(file.num_row_groups):
        group, table = file.metadata.row_group(g), file.read_row_group(g)
        for c, column in enumerate(table.column_names):
            found, values = group.column(c).statistics, table[column]
            assert found.null_count == values.null_count, column
            if values.null_count == len(values):
                assert not found.has_min_max
                continue
            bounds = pc.min_max(values)
            assert (found.min, found.max) == (bounds["min"].as_py(), bounds["max"].as_py()), column


def test_filters_find_the_same_rows_with_and_without_statistics(folder):
    file = folder / "groups.parquet"
    lines = expected(folder, "groups")
    middle = sorted(line["ts"] for line in lines)[len(lines) // 3]
    price = Decimal("5000000000")
    wanted = sum(line["ts"] == middle for line in lines)
    above = sum(Decimal(line["price"]) > price for line in lines)
    moment = EPOCH + datetime.timedelta(microseconds=middle)
    assert duckdb.execute(f"SELECT count(*) FROM '{file}' WHERE ts = ?", [moment]).fetchall() == [
        (wanted,)
    ]
    assert pl.scan_parquet(file).filter(pl.col("ts") == moment).collect().height == wanted
    assert pq.read_table(file, filters=[("ts", "=", moment)]).num_rows == wanted
    assert duckdb.sql(f"SELECT count(*) FROM '{file}' WHERE price > 5000000000").fetchall() == [
        (above,)
    ]
    assert pq.read_table(file, filters=[("price", ">", price)]).num_rows == above
    assert pl.scan_parquet(file).filter(pl.col("price") > price).collect().height == above


def test_a_flipped_bit_is_noticed(folder, tmp_path):
    """The CRC of each page: a reader that checks it refuses the page."""
    damaged = tmp_path / "damaged.parquet"
    bytes_ = bytearray((folder / "pages.parquet").read_bytes())
    chunk = pq.ParquetFile(folder / "pages.parquet").metadata.row_group(0).column(3)
    bytes_[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x10
    damaged.write_bytes(bytes_)
    with pytest.raises(OSError):
        pq.ParquetFile(damaged, page_checksum_verification=True).read()


# ---- dictionaries that fill up ----

MANY = {"fallback": (200000, 100000), "split": (330000, 250000)}  # rows, where new values begin


@functools.cache
def many(name):
    """What tests/parquet_dictionary_test.c wrote: (id, price, quantity, kind)."""
    rows, turn = MANY[name]
    found = []
    for row in range(rows):
        i = (row * 2654435761 % 2**32 >> 8) % (10000 if row < turn else 1000000)
        price, quantity = Decimal(i * i * 1003), Decimal(i * 10**12 + 17)
        kind = f"K{i}" if row % 3 else None
        found.append((row, price.scaleb(-8), quantity.scaleb(-12), kind))
    return found


@pytest.mark.parametrize("name", list(MANY))
def test_dictionaries_that_fill_up_lose_nothing(folder, name):
    wanted = [list(column) for column in zip(*many(name))]
    file = folder / f"{name}.parquet"
    assert list(parquet_strict.check(file).values()) == wanted
    table = pq.ParquetFile(file, page_checksum_verification=True).read()
    assert [column.to_pylist() for column in table.columns] == wanted
    assert [column.to_list() for column in pl.read_parquet(file)] == wanted
    found = duckdb.sql(f"SELECT sum(id), sum(price), sum(quantity), count(kind) FROM '{file}'")
    assert found.fetchall() == [
        (*map(sum, wanted[:3]), sum(kind is not None for kind in wanted[3]))
    ]


def test_a_full_dictionary_ends_the_row_group_or_its_own_use(folder):
    plain, dictionary = 0, 8
    found = parquet_strict.encodings(folder / "fallback.parquet")
    assert found["quantity"] == {plain, dictionary}
    assert pq.ParquetFile(folder / "fallback.parquet").num_row_groups == 1
    split = pq.ParquetFile(folder / "split.parquet").metadata
    assert split.num_row_groups == 2 and split.row_group(0).num_rows in range(200000, 330000)
    first = split.row_group(0).column(2)
    assert first.path_in_schema == "quantity" and "RLE_DICTIONARY" in first.encodings
