# SPDX-License-Identifier: GPL-3.0-or-later
"""ringtape doctor on this machine as it is, and with things taken from it: io_uring by a seccomp
filter, locked memory, files, room on another kind of disk; beside a daemon that runs."""

import ctypes
import json
import os
import pathlib
import resource
import struct
import subprocess

import pytest

import support

IO_URING_SETUP = 425  # of every architecture
NOBODY = 65534


def bar_io_uring():
    """In the child: io_uring_setup answers EPERM from now on, as container runtimes have it."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = (
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, IO_URING_SETUP),
        (0x06, 0, 0, 0x00050000 | 1),  # EPERM
        (0x06, 0, 0, 0x7FFF0000),  # allowed
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def doctor(*arguments, status=0, preexec_fn=None):
    """Findings by topic, several of one topic in a list; the process must end with `status`."""
    done = subprocess.run(
        [support.program("ringtape"), "doctor", "--json", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=preexec_fn,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr == ""
    parsed = json.loads(done.stdout)
    findings = {}
    for each in parsed["findings"]:
        findings.setdefault(each["topic"], []).append(each)
        assert each["remedy"] or each["level"] in ("ok", "note"), each
    return parsed, findings


def config_for(tmp_path, store, **top):
    feeds = [{"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"]}]
    return support.write_config(tmp_path / "c.yaml", store, feeds, **top)


def test_this_machine(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    config = config_for(tmp_path, store, shards=2, commit_interval="7ms")
    parsed, found = doctor("--config", config)
    assert parsed["level"] != "failure" and parsed["store"] == str(store)
    assert found["io_uring"][0]["level"] == "ok"
    assert found["io_uring"][0]["found"].startswith("5 loops")  # 2 shards and 3 of its own
    assert found["configuration"][0]["level"] == "ok"
    assert "commit_interval is 7000 us" in found["durable write"][0]["found"]
    assert 0 < parsed["write_p50_ns"] <= parsed["write_p99_ns"]
    assert list(store.iterdir()) == []  # what was tried is gone
    version = subprocess.run([support.program("ringtaped"), "--version"], capture_output=True)
    assert found["ringtaped"][0]["found"].encode() in version.stdout
    # As text, with --strict: whatever is worth a warning here decides.
    done = subprocess.run(
        [support.program("ringtape"), "doctor", "--config", config, "--strict"],
        capture_output=True,
        text=True,
    )
    warned = any(each["level"] == "warning" for each in parsed["findings"])
    assert done.returncode in ((1,) if warned else (0, 1)), done.stdout
    assert "\033" not in done.stdout and " ok, " in done.stdout.splitlines()[-1]


def test_io_uring_is_barred(tmp_path):
    parsed, found = doctor("--store", tmp_path, status=1, preexec_fn=bar_io_uring)
    assert parsed["level"] == "failure"
    assert "seccomp" in found["io_uring"][0]["found"]
    assert "SystemCallFilter=" in found["io_uring"][0]["remedy"]
    assert "a filter on this process, and io_uring is barred" == found["seccomp"][0]["found"]


def test_no_locked_memory(tmp_path):
    binary = pathlib.Path(support.program("ringtape"))
    if os.getuid() == 0 and any(not p.stat().st_mode & 1 for p in binary.resolve().parents):
        pytest.skip("root is not held by the limit, and others cannot run " + str(binary))

    def poor():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    store = tmp_path / "s"  # not nobody's to write: told, and no failure of its own
    store.mkdir()
    done = subprocess.run([binary, "doctor", "--store", store], preexec_fn=poor, text=True,
                          capture_output=True)
    lines = done.stdout.splitlines()
    memlock = next(line for line in lines if " memlock " in line)
    assert "64.0 KiB, too little for 4 loops" in memlock, done.stdout
    # Kernels that count the queues refuse the loops, others do not.
    assert done.returncode == (1 if memlock.startswith("failure") else 0)
    assert any("LimitMEMLOCK" in line for line in lines)


def test_few_files_and_a_store_that_cannot_be(tmp_path):
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    _, found = doctor("--store", tmp_path / "a" / "b", status=1, preexec_fn=few)
    assert found["open files"][0]["level"] == "warning"
    assert found["store"][0]["level"] == "failure"
    assert "durable write" not in found
    _, found = doctor("--store", tmp_path / "new")
    assert found["store"][0]["level"] == "note"
    (tmp_path / "file").write_text("")
    _, found = doctor("--store", tmp_path / "file", status=1)
    assert "Not a directory" in found["store"][0]["found"]


def test_whoever_owns_the_store_does_not_choose_where_root_writes(tmp_path):
    """Links under every name that the file of 400 KiB may get; and one of a doctor that was killed
    is in nobody's way."""
    store, victim = tmp_path / "store", tmp_path / "victim"
    store.mkdir()
    victim.write_text("as it was")

    def lay():
        (store / f"doctor-{os.getpid()}").symlink_to(victim)

    _, found = doctor("--store", store, preexec_fn=lay)
    assert victim.read_text() == "as it was"
    assert found["store"][0]["level"] == "ok" and "durable write" in found
    assert list(store.iterdir()) == []


def test_a_store_in_memory(tmp_path):
    folder = pathlib.Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        pytest.skip("no /dev/shm to write to")
    store = folder / f"doctor-{os.getpid()}"
    store.mkdir()
    try:
        _, found = doctor("--store", store)
        assert found["file system"][0]["level"] == "warning"
        assert "tmpfs" in found["file system"][0]["found"]
        # tmpfs has O_DIRECT since Linux 6.6.
        direct = found["O_DIRECT"][0]
        assert (direct["level"], "page cache" in direct["found"]) in (("ok", 0), ("warning", 1))
        assert list(store.iterdir()) == []
    finally:
        store.rmdir()


def test_a_configuration_that_is_wrong_or_cannot_be_read(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("shards: 0\nstor: /x\n")
    _, found = doctor("--config", config, "--store", tmp_path, status=1)
    told = [each["found"] for each in found["configuration"]]
    assert len(told) == 3 and any("shards: expected" in line for line in told), told
    assert all("ringtaped --check" in each["remedy"] for each in found["configuration"])
    _, found = doctor("--config", tmp_path / "none", "--store", tmp_path, status=1)
    assert "No such file" in found["configuration"][0]["found"]


def test_beside_a_daemon(tmp_path):
    store = tmp_path / "store"
    with support.Simulator("--symbols=binance:2", "--rate=200") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        with support.Ringtaped(tmp_path / "c.yaml", store, feeds) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 20)
            parsed, found = doctor("--config", tmp_path / "c.yaml")
            assert found["daemon"][0]["found"] == f"process {daemon.child.pid} has the store"
            assert len(found["seccomp"]) == 2
            assert "does not tell yet" in found["space"][0]["found"]
            assert daemon.terminate() == 0, daemon.errors
    assert parsed["level"] != "failure"
    support.ringtape("verify", "--store", store)


def test_another_machine(tmp_path):
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.15.0\n")
    _, found = doctor("--root", tmp_path, status=1)
    assert found["kernel"][0]["found"] == "Linux 5.15.0"
    assert found["swap"][0]["found"] == "cannot be seen here (/proc/swaps)"
    assert found["store"][0]["level"] == "note"
