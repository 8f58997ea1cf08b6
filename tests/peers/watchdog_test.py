# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager hears by the protocol of sd_notify(3), and that it hears nothing once a
shard hangs; files of the configuration that are credentials of the unit."""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess

import pytest
import support

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
CONFIG = """\
store: {store}
http: off
feeds:
  - exchange: binance
    channels: [trade]
    symbols: [BTCUSDT]
    url: ws://127.0.0.1:1
    rest_url: http://127.0.0.1:1
"""


def watched(tmp_path, **environment):
    """A daemon with a watchdog of 2 s."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(store=tmp_path / "store"))
    return subprocess.Popen(
        [support.program("ringtaped"), "--config", tmp_path / "config.yaml"],
        env={**os.environ, "WATCHDOG_USEC": "2000000", **environment},
        stderr=open(tmp_path / "log", "w"), preexec_fn=support.die_with_parent,
    )  # fmt: skip


@pytest.fixture
def manager(tmp_path):
    """A socket as systemd's, and the daemon that tells it."""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(30)
    process = watched(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"))
    yield heard, process, tmp_path / "log"
    process.kill()
    process.wait()
    heard.close()


def shard(process):
    for each in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        if (each / "comm").read_text().strip() == "shard-0":
            return int(each.name)
    return None


def hold(process):
    """Its shard stands still until it is let go."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    task = shard(process)
    assert libc.ptrace(PTRACE_SEIZE, task, None, None) == 0, os.strerror(ctypes.get_errno())
    assert libc.ptrace(PTRACE_INTERRUPT, task, None, None) == 0
    os.waitpid(task, WALL)
    return task, lambda: libc.ptrace(PTRACE_DETACH, task, None, None)


def test_a_service_manager_hears_while_every_shard_moves(manager):
    heard, process, log = manager
    assert heard.recv(100) == b"READY=1"
    assert heard.recv(100) == b"WATCHDOG=1"
    assert heard.recv(100) == b"WATCHDOG=1"

    _, let_go = hold(process)
    support.wait_for(lambda: "a shard does not move" in log.read_text(), 30)
    # What was on its way; from then on nothing for longer than the manager waits.
    heard.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            assert heard.recv(100) == b"WATCHDOG=1"
    heard.settimeout(3)
    with pytest.raises(TimeoutError):
        heard.recv(100)
    assert let_go() == 0
    heard.settimeout(30)
    assert heard.recv(100) == b"WATCHDOG=1"


def test_where_nobody_listens_it_ends_itself(tmp_path):
    process = watched(tmp_path)
    support.wait_for(lambda: "version=" in (tmp_path / "log").read_text(), 30)
    task, _ = hold(process)
    os.waitpid(task, WALL)  # a traced thread is ours to bury
    assert process.wait(timeout=30) == -signal.SIGABRT
    log = (tmp_path / "log").read_text()
    assert log.index("a shard does not move") < log.index("a shard hangs: ringtaped ends")


def check(tmp_path, **environment):
    text = CONFIG.format(store=tmp_path / "store") + (
        'alert_sinks:\n  webhook:\n    url: http://127.0.0.1:1/\n    header_file: "%d/header"\n'
    )
    (tmp_path / "config.yaml").write_text(text)
    without = {key: value for key, value in os.environ.items() if key != "CREDENTIALS_DIRECTORY"}
    return subprocess.run(
        [support.program("ringtaped"), "--check", "--config", tmp_path / "config.yaml"],
        capture_output=True, text=True, env={**without, **environment},
    )  # fmt: skip


def test_a_file_may_be_a_credential_of_the_unit(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 78
    assert "or %d/NAME for a credential of the unit" in done.stderr
    folder = tmp_path / "credentials"
    folder.mkdir()
    done = check(tmp_path, CREDENTIALS_DIRECTORY=str(folder))
    assert done.returncode == 78 and f"{folder}/header: No such file" in done.stderr
    (folder / "header").write_text("Authorization: Bearer x\n")
    done = check(tmp_path, CREDENTIALS_DIRECTORY=str(folder))
    assert done.returncode == 0, done.stderr
