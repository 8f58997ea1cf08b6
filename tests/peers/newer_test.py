# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns coded by a newer version: what cannot be read is told, and never passed on as absent."""

import json
import subprocess

import pytest
import support
from golden_maker import LINES, STORE, catalogue, chained, swapped

UNKNOWN = 99


def run(*arguments):
    command = [support.program("ringtape"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300)


@pytest.fixture
def store(tmp_path):
    """Two trades, the prices of which only a newer version can read."""
    made = tmp_path / "store"
    (made / "tape").mkdir(parents=True)
    day = made / "segment" / "2024-08-09"
    day.mkdir(parents=True)
    (made / "identity").write_text(STORE.hex() + "\n")
    segment = chained(columns=swapped(6, UNKNOWN, 0, 2, b"\x01"))
    (day / "trade-00000001.segment").write_bytes(segment)
    lines = [line.replace("bytes 900", f"bytes {len(segment)}") for line in LINES]
    (made / "catalogue").write_bytes(catalogue(lines))
    return made


def test_cat_gives_the_rest_and_says_so(store):
    done = run("cat", "--store", store, "--channel", "trade", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["price"], row["quantity"]) for row in rows] == [
        (100, None, "0.0015"), (101, None, "0.0015"),
    ]  # fmt: skip
    assert done.returncode == 1
    assert b"column price of 2 rows is coded by a newer version" in done.stderr


def test_export_leaves_the_rows_out(store, tmp_path):
    done = run("export", "--store", store, "--parquet", tmp_path / "parquet")
    assert done.returncode == 1 and b"newer version" in done.stderr
    assert not list((tmp_path / "parquet").rglob("*.parquet"))


def test_recover_wants_the_newer_version(store, tmp_path):
    done = run("recover", "--store", store, "--to", tmp_path / "good")
    assert done.returncode == 74
    assert b"written by a newer version of ringtape: recover with that" in done.stderr
    assert (store / "segment" / "2024-08-09" / "trade-00000001.segment").exists()
