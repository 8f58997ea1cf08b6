# SPDX-License-Identifier: GPL-3.0-or-later
"""ringtape recover: whatever is damaged, the store it makes is whole ('ringtape verify'), has no
row that was not there or twice, and what is missing was told.

Rows are compared as 'ringtape cat' gives them, numbers as numbers. RINGTAPE_SEED repeats one of the
random cases."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
from collections import Counter
from decimal import Decimal

import pytest

import support

MAKER = support.ROOT / "zig-out" / "test" / "sample_store"
CHANNELS = (
    "trade", "agg_trade", "quote", "depth", "book", "ticker", "kline", "status", "instrument",
    "raw", "candle", "alert",
)  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def run(*arguments):
    command = [support.program("ringtape"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300)


def number(value):
    """12.50 is 12.5: segments keep the number, not its spelling."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return format(Decimal(value).normalize(), "f")
    return value


def rows_of(store):
    """Every row with what is in it, and how often it is there."""
    found = Counter()
    for channel in CHANNELS:
        done = run("cat", "--store", store, "--channel", channel, "--json")
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            found[channel, *(str(number(v)) for v in json.loads(line).values())] += 1
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = tmp_path_factory.mktemp("recover") / "store"
    subprocess.run([MAKER, store], check=True)
    return store


@pytest.fixture(scope="module")
def rows(made):
    return rows_of(made)


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made, tmp_path / "store")


def recovered(store, *options):
    """The store recovered elsewhere, and what was told of it; checked to be whole."""
    target = store.with_name("good")
    done = run("recover", "--store", store, "--to", target, "--json", *options)
    assert done.returncode in (0, 1), (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["whole"] == (done.returncode == 0)
    check = run("verify", "--store", target)
    assert check.returncode == 0, check.stdout
    return target, told


def flip(path, offset, bit=0x10):
    content = bytearray(path.read_bytes())
    content[offset] ^= bit
    path.write_bytes(content)


def compare(before, store, told, known=True):
    """Nothing is there that was not, or twice; what is missing was told."""
    after = rows_of(store)
    assert not after - before
    missing = (before - after).total()
    assert told["rows"] == after.total()
    if known:
        assert told["rows_lost"] == missing, told
    assert told["whole"] == (missing == 0) or missing == 0
    return missing


def test_a_whole_store_is_copied(store, rows):
    target, told = recovered(store)
    assert compare(rows, target, told) == 0 and told["whole"] and told["rewritten"] == 0
    assert (target / "identity").read_text() == (store / "identity").read_text()


@pytest.mark.parametrize("lost", ["catalogue", "identity", "both"])
@pytest.mark.parametrize("how", ["gone", "empty", "flipped"])
def test_catalogue_and_identity_are_made_anew(store, rows, lost, how):
    identity = (store / "identity").read_text()
    for name in ("catalogue", "identity") if lost == "both" else (lost,):
        if how == "gone":
            (store / name).unlink()
        elif how == "empty":
            (store / name).write_bytes(b"")
        else:
            flip(store / name, 7, 0x01)
    target, told = recovered(store)
    assert compare(rows, target, told) == 0 and told["whole"]
    assert (target / "identity").read_text() == identity


def segments(store):
    return sorted((store / "segment").glob("*/*.segment"))


PLACES = {
    "header": lambda size: 70,
    "block": lambda size: size // 2,
    "block_header": lambda size: 700,
    "footer": lambda size: size - 100,
    "postscript": lambda size: size - 20,
}


@pytest.mark.parametrize("index", ["kept", "gone"])
@pytest.mark.parametrize("place", list(PLACES))
def test_a_flipped_bit_costs_one_block_at_most(store, rows, place, index):
    for path in segments(store):
        flip(path, PLACES[place](path.stat().st_size))
        if index == "gone":
            path.with_suffix(".index").unlink()
    target, told = recovered(store)
    missing = compare(rows, target, told)
    # Most segments are one block here, the largest three.
    assert missing < rows.total() * 4 // 5
    if place in ("header", "postscript"):
        assert missing == 0
    for loss in told["lost"]:
        assert loss["path"].startswith("segment/") and loss["channels"] and loss["bytes"] > 0


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_cut_segments_give_what_is_in_front(store, rows, part):
    for path in segments(store):
        os.truncate(path, int(path.stat().st_size * part))
    target, told = recovered(store)
    compare(rows, target, told)
    assert not told["whole"]


def test_missing_segments_are_told_with_their_rows(store, rows):
    for path in segments(store)[::2]:
        path.unlink()
    target, told = recovered(store)
    assert compare(rows, target, told) > 0


def test_indexes_are_made_anew(store, rows):
    paths = sorted((store / "segment").glob("*/*.index"))
    for path in paths[::2]:
        flip(path, 200)
    for path in paths[1::2]:
        path.unlink()
    target, told = recovered(store)
    assert compare(rows, target, told) == 0 and told["whole"]


@pytest.mark.parametrize("offset", [0, 100, 4096 + 10, 4096 + 300, 4096 + 2000])
@pytest.mark.parametrize("mark", ["kept", "gone", "flipped"])
def test_tapes(store, rows, offset, mark):
    for path in (store / "tape").glob("*.tape"):
        flip(path, offset)
        if mark == "gone":
            path.with_suffix(".mark").unlink()
        elif mark == "flipped":
            flip(path.with_suffix(".mark"), 4096 + 40)
    target, told = recovered(store)
    # Where the mark is gone nothing says that the last batch was ever acknowledged.
    missing = compare(rows, target, told, known=mark == "kept")
    assert offset >= 4096 or missing == 0


def test_in_place(store, rows):
    largest = max(segments(store), key=lambda path: path.stat().st_size)
    flip(largest, 100000)
    flip(next(path for path in segments(store) if path != largest), 30)
    flip(store / "catalogue", 60, 0x01)
    for path in (store / "tape").glob("*.tape"):
        flip(path, 0)
    done = run("recover", "--store", store, "--in-place", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert run("verify", "--store", store).returncode == 0
    compare(rows, store, told, known=False)
    assert len(list((store / "quarantine").glob("*.segment"))) == 2
    assert len(list((store / "quarantine").glob("*.tape"))) == 1
    again = run("recover", "--store", store, "--in-place", "--json")
    assert again.returncode == 0 and json.loads(again.stdout)["rewritten"] == 0
    # A daemon can use it, and gives the same rows.
    before = rows_of(store)
    assert run("seal", "--store", store).returncode == 0
    assert rows_of(store) == before


def sealed(store):
    """Sealed and merged, with all files put back that were deleted on the way, and the catalogue
    lost that would tell them apart."""
    before = store.with_name("before")
    shutil.copytree(store, before)
    done = run("seal", "--store", store)
    assert done.returncode == 0, done.stderr
    for path in before.rglob("*"):
        target = store / path.relative_to(before)
        if path.is_file() and not target.exists() and path.suffix != ".mark":
            shutil.copy(path, target)
    (store / "catalogue").unlink()
    return store


def test_leftovers_come_once_without_a_catalogue(store, rows):
    sealed(store)
    target, told = recovered(store)
    assert compare(rows, target, told) == 0
    assert told["whole"] and told["dropped"] > 0


def test_a_damaged_merge_is_completed_from_its_leftovers(store, rows):
    sealed(store)
    newest = max(segments(store), key=lambda path: path.stat().st_size)
    flip(newest, newest.stat().st_size // 2)
    target, told = recovered(store)
    compare(rows, target, told, known=False)


def test_files_that_are_not_of_the_store_are_left_out(store, rows, tmp_path):
    """Named like its own, and whole: rows of another store, or of another number."""
    other = shutil.copytree(store, tmp_path / "other")
    tape = next((store / "tape").glob("*.tape"))
    shutil.copy(tape, tape.with_name("00000008.tape"))
    first, second = segments(store)[:2]
    assert first.read_bytes() != second.read_bytes()
    shutil.copy(segments(other)[1], first)
    target, told = recovered(store)
    assert not rows_of(target) - rows
    assert any("another number" in loss["what"] for loss in told["lost"])


@pytest.mark.parametrize("seed", range(12))
def test_any_damage(store, rows, seed):
    seed = int(os.environ.get("RINGTAPE_SEED", seed))
    dice = random.Random(seed)
    if dice.random() < 0.3:
        sealed(store)
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    for _ in range(dice.randrange(1, 12)):
        path = dice.choice(files)
        size = path.stat().st_size
        if size == 0:
            continue
        kind = dice.randrange(4)
        if kind == 0:
            os.truncate(path, dice.randrange(size))
        elif kind == 1:
            at = dice.randrange(size)
            with path.open("r+b") as file:
                file.seek(at)
                file.write(dice.randbytes(min(dice.randrange(1, 9000), size - at)))
        else:
            flip(path, dice.randrange(size), 1 << dice.randrange(8))
    target, told = recovered(store)
    after = rows_of(target)
    assert not after - rows, f"seed {seed}"


def test_no_store_and_wrong_words(tmp_path, store):
    assert run("recover", "--store", tmp_path / "nothing", "--to", tmp_path / "x").returncode == 74
    assert run("recover", "--store", store).returncode == 64
    assert run("recover", "--store", store, "--to", tmp_path / "y", "--in-place").returncode == 64
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    done = run("recover", "--store", store, "--to", tmp_path / "full")
    assert done.returncode == 74 and b"not empty" in done.stderr
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("recover", "--store", store, "--in-place")
        assert done.returncode == 74 and b"in use" in done.stderr
    done = run("recover", "--store", store, "--to", store / "good")
    assert done.returncode == 74 and b"inside the damaged store" in done.stderr
    assert not (store / "good").exists()


def test_a_missing_tape_is_told_by_its_mark(store, rows):
    (store / "tape" / "00000003.tape").unlink()
    check = run("verify", "--store", store)
    assert check.returncode == 1 and b"51 rows lost" in check.stdout
    target, told = recovered(store)
    assert [(loss["path"], loss["rows"]) for loss in told["lost"]] == [("tape/00000003.tape", 51)]
    assert rows_of(target).total() == rows.total() - 51
    assert run("recover", "--store", store, "--in-place").returncode == 1
    assert run("verify", "--store", store).returncode == 0
