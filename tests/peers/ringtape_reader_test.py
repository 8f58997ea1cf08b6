# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/format.md is enough to read a store: a reader written from it alone agrees with ringtape."""

import collections
import json
import shutil
import subprocess

import golden_maker
import pytest
import support
from ringtape_bytes import Damaged, Newer, xxh3
from ringtape_reader import Catalogue, Store, as_json
from ringtape_row import SECTOR
from ringtape_schema import CHANNELS
from ringtape_segment import Index, Segment
from ringtape_tape import Batch, Tape

GOLDEN = support.ROOT / "tests" / "golden"
MAKER = support.ROOT / "zig-out" / "test" / "sample_store"


def lines(rows):
    return collections.Counter(json.dumps(row, sort_keys=True) for row in rows)


def of_cat(store, channel):
    text = support.ringtape("cat", "--store", store, "--json", "--channel", channel)
    return lines(json.loads(line) for line in text.splitlines())


def of_reader(store, channel):
    reader = Store(store)
    found = lines(as_json(row) for row in reader.rows(channel))
    assert reader.losses == []
    return found


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "store"
    subprocess.run([MAKER, folder], check=True)
    return folder


@pytest.mark.parametrize("channel", [channel.name for channel in CHANNELS.values()])
def test_rows_of_a_store_are_those_of_cat(sample, channel):
    found = of_reader(sample, channel)
    assert found.total() >= 1500
    assert found == of_cat(sample, channel)


# ---- what a device wrote to another place ----


def both(store, channel, path):
    """Rows of a damaged store: the reader and cat agree on them, and that `path` is damaged."""
    reader = Store(store)
    found = lines(as_json(row) for row in reader.rows(channel))
    assert [str(loss[0]) for loss in reader.losses] == [path], reader.losses
    command = [support.program("ringtape"), "cat", "--store", store, "--json", "--channel", channel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and path in done.stderr, done.stderr
    assert found == lines(json.loads(line) for line in done.stdout.splitlines())
    return found


def with_header(data, salt, number):
    """Its header that of another tape."""
    header = bytearray(data[:SECTOR])
    header[32:40] = salt.to_bytes(8, "little")
    header[48:52] = number.to_bytes(4, "little")
    header[-8:] = xxh3(bytes(header[:-8])).to_bytes(8, "little")
    return bytes(header) + data[SECTOR:]


@pytest.mark.parametrize("channel", ["trade", "status"])
def test_a_header_of_another_tape_costs_no_rows(sample, tmp_path, channel):
    whole = of_reader(sample, channel)
    store = shutil.copytree(sample, tmp_path / "store")
    tape = store / "tape" / "00000003.tape"
    tape.write_bytes(with_header(tape.read_bytes(), 815, 2))
    assert Tape(tape.read_bytes()[:SECTOR], number=2).header.number == 2, "good by itself"
    assert both(store, channel, "tape/00000003.tape") == whole


def test_a_header_of_another_tape_on_an_unused_one_is_no_loss(sample, tmp_path):
    store = shutil.copytree(sample, tmp_path / "store")
    tape = (sample / "tape" / "00000003.tape").read_bytes()[:SECTOR]
    (store / "tape" / "00000004.tape").write_bytes(with_header(tape, 815, 2) + bytes(8 * SECTOR))
    assert of_reader(store, "trade") == of_cat(store, "trade") == of_reader(sample, "trade")


def test_another_tape_as_a_whole_is_left_out(sample, tmp_path):
    store = shutil.copytree(sample, tmp_path / "store")
    for ending in ("tape", "mark"):
        (store / "tape" / f"00000003.{ending}").rename(store / "tape" / f"00000002.{ending}")
    left = both(store, "trade", "tape/00000002.tape")
    assert of_reader(sample, "trade").total() - left.total() == 50


@pytest.mark.parametrize("other", ["trade-00000002", "depth-00000006"])
def test_another_segment_in_the_place_of_one_is_left_out(sample, tmp_path, other):
    store = shutil.copytree(sample, tmp_path / "store")
    day = store / "segment" / "2024-08-08"
    shutil.copy(day / f"{other}.segment", day / "trade-00000001.segment")
    whole = of_reader(sample, "trade")
    left = both(store, "trade", "segment/2024-08-08/trade-00000001.segment")
    assert not left - whole and max(left.values()) == 1
    assert whole.total() - left.total() == 12650


@pytest.mark.parametrize("field", ["number", "day"])
def test_a_segment_is_that_of_number_and_day(sample, tmp_path, field):
    store = shutil.copytree(sample, tmp_path / "store")
    path = "segment/2024-08-09/trade-00000003.segment"
    data = bytearray((store / path).read_bytes())
    size = int.from_bytes(data[10:12], "little")
    data[48 if field == "number" else 52] ^= 1
    data[size - 8 : size] = xxh3(bytes(data[: size - 8])).to_bytes(8, "little")
    (store / path).write_bytes(data)
    reader = Store(store)
    rows = sum(1 for _ in reader.rows("trade"))
    assert reader.losses == [(path, f"{field} is not the catalogue's")]
    assert rows == of_reader(sample, "trade").total() - 12650


def test_everything_in_a_store_verifies(sample):
    store = Store(sample)
    counts = store.verify()
    assert store.losses == [] and all(counts.values())


def test_columns_of_the_document_are_those_of_segments(sample):
    seen = set()
    for path in sample.glob("segment/*/*.segment"):
        segment = Segment(path.read_bytes())
        assert [column.listed() for column in segment.channel.columns] == segment.header.columns
        seen.add(segment.channel.name)
    assert seen == {channel.name for channel in CHANNELS.values()}


def test_golden_tape():
    data, mark = [(GOLDEN / f"1.0.{ending}").read_bytes() for ending in ("tape", "mark")]
    tape = Tape(data, mark, 7)
    rows = list(tape.rows())
    assert tape.losses == [] and len(rows) == 200 == tape.mark.rows
    assert [row.tape_row for row in rows] == list(range(200))


SEGMENTS = sorted(path for path in GOLDEN.glob("*.segment") if path.with_suffix(".index").exists())


@pytest.mark.parametrize("path", SEGMENTS, ids=lambda path: path.name)
def test_golden_segments_and_indexes(path):
    segment = Segment(path.read_bytes())
    segment.verify()
    assert segment.losses == [] and len(list(segment.rows())) >= 20
    Index(path.with_suffix(".index").read_bytes(), segment)


def judge(path):
    """Why the reader rejects the file; None: it does not."""
    data = path.read_bytes()
    try:
        if path.suffix == ".batch":
            Batch(data, 0).rows(1)
        elif path.suffix == ".catalogue":
            Catalogue(data)
        else:
            segment = Segment(data)
            list(segment.rows())
            if segment.losses:
                return segment.losses[0][1]
            segment.verify()
    except (Damaged, Newer) as bad:
        return str(bad)
    return None


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.made.*")), ids=lambda path: path.name)
def test_made_by_hand_is_good(path):
    assert judge(path) is None


def test_modelled_by_hand_has_the_values_told():
    rows = list(Segment((GOLDEN / "1.1.made.segment").read_bytes()).rows())
    for name, values in golden_maker.MODELLED_VALUES.items():
        assert [row.values[name] for row in rows] == values, name


def test_golden_files_made_by_hand_are_what_the_maker_makes(tmp_path):
    for version in golden_maker.GOOD:
        golden_maker.write(tmp_path / "bad", version)
    for path in tmp_path.rglob("1.*"):
        assert path.read_bytes() == (GOLDEN / path.relative_to(tmp_path)).read_bytes(), path.name


LISTS = sorted((GOLDEN / "bad").glob("*.list"))
BAD = [line for path in LISTS for line in path.read_text().splitlines()]


@pytest.mark.parametrize("line", BAD)
def test_bad_golden_files_are_rejected_for_their_reason(line):
    name, reason = line.split("|")
    assert reason in judge(GOLDEN / "bad" / name)


def test_golden_files_are_as_they_were():
    for line in (GOLDEN / "sums").read_text().splitlines():
        told, name = line.split(" ", 1)
        assert int(told, 16) == xxh3((GOLDEN / name).read_bytes()), f"{name} was changed"


def test_live_store(tmp_path, certificates):
    store, channels = tmp_path / "store", ["trade", "quote", "depth", "ticker"]
    with support.Simulator(  # a slow reader must not be given ever more to read
        "--symbols=binance:20", "--symbols=upbit:20", "--rate=1000", "--seconds=12",
        certificates=certificates,
    ) as simulator:
        feeds = [
            support.feed(simulator, "binance", channels, "all"),
            support.feed(simulator, "upbit", ["trade", "book", "ticker"], "all"),
        ]
        top = {"shards": 2, "seal_after": {"size": "1MiB", "time": "2s"}}
        with support.Ringtaped(tmp_path / "c.yaml", store, feeds, top=top) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 2000)
            wait_for_segments(store, 4)
            live = {channel: of_reader(store, channel) for channel in [*channels, "book"]}
            assert daemon.alive()
            daemon.terminate()
    for channel, rows in live.items():
        assert rows.total() > 100 and max(rows.values()) == 1, channel
        after = of_reader(store, channel)
        assert after == of_cat(store, channel)
        assert not rows - after, "rows read from the live store are there afterwards, too"


def wait_for_segments(store, count):
    support.wait_for(lambda: len(list(store.glob("segment/*/*.segment"))) >= count)
