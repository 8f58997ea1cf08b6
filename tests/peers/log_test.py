# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a running daemon: every line is logfmt to the letter, levels by room change by reload,
and a reader that reads nothing stops nothing."""

import os
import re
import signal
import subprocess

import pytest

import support

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\\x00-\x1f\x7f]|\\["\\])*"|[^\s"=\x00-\x1f\x7f]*)(?: |$)')


def parsed(line):
    """Keys and values of a line that is logfmt from its first byte to its last."""
    found, at = {}, 0
    while at < len(line):
        match = PAIR.match(line, at)
        assert match, f"not logfmt from byte {at}: {line}"
        assert match[1] not in found, f"{match[1]} stands twice: {line}"
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2].strip('"'))
        at = match.end()
    return found


def settle(daemon, wanted):
    support.wait_for(
        lambda: any(wanted in line for line in daemon.errors), what=f"{wanted}: {daemon.errors}"
    )


def test_lines_are_logfmt_and_levels_are_by_room(tmp_path):
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    nobody = {"exchange": "upbit", "channels": ["trade"], "symbols": ["KRW-BTC"],
              "url": "ws://127.0.0.1:1/a", "rest_url": "http://127.0.0.1:1"}  # fmt: skip
    with support.Simulator("--symbols=binance:2", "--rate=100") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade"], "all"), nobody]
        top = {"log": {"level": "error", "link": "debug"}}
        with support.Ringtaped(config, store, feeds, top=top) as daemon:
            settle(daemon, "link up")
            settle(daemon, "link down")
            lines = [parsed(line) for line in daemon.errors]
            assert {line["room"] for line in lines} == {"link"}
            assert {"debug", "info", "warning"} <= {line["level"] for line in lines}
            before = len(daemon.errors)
            support.write_config(config, store, feeds, http="off", log={"link": "error"})
            daemon.child.send_signal(signal.SIGHUP)
            settle(daemon, "configuration read again")
            later = [parsed(line) for line in daemon.errors[before:]]
            assert daemon.terminate() == 0, daemon.errors
            lines += later + [parsed(line) for line in daemon.errors[before + len(later) :]]
    ends = lines[-1]
    assert (ends["msg"], ends["room"], ends["level"]) == ("ringtaped ends", "control", "info")
    for line in lines:
        assert ("remedy" in line) == (line["level"] in ("warning", "error")), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])


def test_under_systemd_the_journal_has_time_and_level(tmp_path):
    arguments = [support.program("ringtaped"), "--config"]
    config = support.write_config(
        tmp_path / "c.yaml", tmp_path / "no" / "where",
        [{"exchange": "upbit", "channels": ["trade"], "symbols": ["KRW-BTC"]}],
        security={"root": True},  # else the first line may be about that
    )  # fmt: skip
    def first_line(stream):
        """`stream`: what makes the variable of standard error, by device and inode."""
        reader, writer = os.pipe()
        status = os.fstat(writer)
        done = subprocess.run(
            [*arguments, config], stderr=writer,
            env={**os.environ, "JOURNAL_STREAM": stream(status.st_dev, status.st_ino)},
        )  # fmt: skip
        os.close(writer)
        with open(reader, encoding="utf-8") as lines:
            assert done.returncode == 73
            return lines.readline()

    line = first_line(lambda device, inode: f"{device}:{inode}")
    assert line.startswith("<3>")
    told = parsed(line[3:].rstrip("\n"))
    assert told["msg"] == "the store cannot be used" and told["remedy"] and "time" not in told
    # A terminal or a file in a session of systemd: the variable is there, its stream is not.
    for stream in (lambda device, inode: f"{device}:{inode + 1}", lambda *_: "", lambda *_: "x"):
        told = parsed(first_line(stream).rstrip("\n"))
        assert told["level"] == "error" and told["time"].endswith("Z")


def test_a_reader_that_reads_nothing_stops_nothing(tmp_path):
    """Standard error is a pipe that is full from the beginning, as of a log driver that hangs."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 4):
        pytest.skip("before Linux 6.4 a write to a pipe cannot be told not to wait")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    with support.Simulator("--symbols=binance:2", "--rate=500") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        support.write_config(config, store, feeds)
        command = [support.program("ringtaped"), "--config", config]
        child = subprocess.Popen(command, stderr=writer, preexec_fn=support.die_with_parent)
        os.close(writer)
        try:
            support.wait_for(lambda: rows(store) > 200, what="rows beside a log that hangs")
            assert set(os.read(reader, 1 << 20)) == {ord("x")}
            text = os.read(reader, 1 << 20)  # comes by itself now that there is room
            assert b"log lines were lost" in text
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
        finally:
            child.kill()
    while chunk := os.read(reader, 65536):
        text += chunk
    os.close(reader)
    lines = [parsed(line) for line in text.decode().splitlines()]
    lost = [line for line in lines if line["msg"] == "log lines were lost"]
    assert len(lost) == 1 and int(lost[0]["lines"]) >= 3, lines


def rows(store):
    done = subprocess.run(
        [support.program("ringtape"), "cat", "--store", store, "--channel", "trade", "--json"],
        capture_output=True,
    )
    return done.stdout.count(b"\n")
