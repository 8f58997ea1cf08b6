# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that really fills up, and is freed: the daemon says so, pauses channels, goes on by
itself, and its data tells the hole. On a small file system of its own; skipped where none can be
mounted."""

import json
import subprocess

import pytest

import small_disk
import support
from small_disk import fill

MIB = 1 << 20


@pytest.fixture
def small(tmp_path):
    """A file system of 96 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    try:
        small_disk.mount_tmpfs(place, "96m")
    except small_disk.Missing as missing:
        pytest.skip(f"cannot mount a file system here (needs root): {missing}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def market(certificates):
    return support.Simulator("--symbols=binance:3", "--rate=600", certificates=certificates)


def rows(store, channel):
    lines = support.ringtape("cat", "--store", store, "--channel", channel, "--json").splitlines()
    return [json.loads(line) for line in lines]


def test_channels_pause_and_resume(small, tmp_path, certificates):
    store = small / "store"
    top = {"seal_after": {"size": "1MiB", "time": "1s"}, "disk": {"reserve": "32MiB"}}
    with market(certificates) as simulator:
        feed = support.feed(simulator, "binance", ["trade", "quote"], "all")
        with support.Ringtaped(tmp_path / "config.yaml", store, [feed], top=top) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 100, 30, "durable rows")
            fill(small, 8 * MIB)
            daemon.wait_counters(lambda c: c["paused"] > 50, 90, "rows of paused channels")
            (small / "others").unlink()
            support.wait_for(
                lambda: any("the disk has room again" in line for line in daemon.errors), 90
            )
            total = daemon.counters()["paused"]
            durable = daemon.counters()["durable"]
            daemon.wait_counters(lambda c: c["durable"] > durable + 100, 30, "rows again")
            assert daemon.terminate() == 0, daemon.errors
    assert json.loads(support.ringtape("verify", "--store", store, "--json"))["whole"]
    status = rows(store, "status")
    kinds = [row["kind"] for row in status]
    assert "disk_full" in kinds and "disk_freed" in kinds
    holes = [row for row in status if row["kind"] == "channel_resumed"]
    assert {row["about_channel"] for row in holes} >= {"depth", "quote"}
    assert sum(row["count"] for row in holes) == total
    for hole in holes:
        if hole["about_channel"] not in ("trade", "quote"):
            continue
        # Nothing of the channel within, something before and after.
        times = [row["receive_time"] for row in rows(store, hole["about_channel"])]
        assert not [t for t in times if hole["from_time"] < t < hole["to_time"]]
        assert min(times) < hole["from_time"] and max(times) > hole["to_time"]


def test_with_keep_the_oldest_goes_and_nothing_pauses(small, tmp_path, certificates):
    store = small / "store"
    top = {
        "seal_after": {"size": "1MiB", "time": "1s"},
        "disk": {"reserve": "32MiB"},
        "keep": {"age": "90d"},
    }
    with market(certificates) as simulator:
        feed = support.feed(simulator, "binance", ["trade"], "all")
        with support.Ringtaped(tmp_path / "config.yaml", store, [feed], top=top) as daemon:
            daemon.wait_counters(lambda c: c["segments"] > 2, 60, "segments")
            fill(small, 24 * MIB)
            daemon.wait_counters(lambda c: c["segments_deleted"] > 0, 60, "deletions")
            (small / "others").unlink()
            counters = daemon.wait_counters(lambda c: c["durable"] > 0, 30)
            assert counters["paused"] == 0
            assert daemon.terminate() == 0, daemon.errors
    assert json.loads(support.ringtape("verify", "--store", store, "--json"))["whole"]
    assert "data_deleted" in [row["kind"] for row in rows(store, "status")]
