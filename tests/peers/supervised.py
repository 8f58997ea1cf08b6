# SPDX-License-Identifier: GPL-3.0-or-later
"""ringtaped as systemd runs it by systemd/ringtaped.service: `--check` before each start, READY=1
taken from its socket, started again RestartSec after it ended."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import threading
import time

import support

UNIT = support.ROOT / "systemd" / "ringtaped.service"
UNITS = {"": 1, "s": 1, "ms": 0.001, "min": 60}


def restart_seconds():
    found = re.search(r"^RestartSec=([\d.]+)\s*(ms|s|min|)$", UNIT.read_text(), re.M)
    return float(found.group(1)) * UNITS[found.group(2)]


def final_statuses():
    found = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.M)
    return {int(each) for each in found.group(1).split()}


@dataclasses.dataclass
class Life:
    died_ns: int  # the one before; 0: none
    started_ns: int  # ExecStart
    ready_ns: int = 0
    status: int = None  # once it has ended
    counters: dict = None  # the last that it told


class Supervised:
    def __init__(self, folder, *arguments, **options):
        self.lives = []
        self.daemon = None
        self.failure = None
        self.ending = threading.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.config = arguments[0]
        self.make = lambda: support.Ringtaped(
            *arguments, env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}, **options
        )
        # The child is killed with the thread that made it, so one thread makes them all.
        self.threads = [threading.Thread(target=each, daemon=True)
                        for each in (self.listen, self.supervise)]  # fmt: skip

    def listen(self):
        while True:
            text = self.socket.recv(4096)
            if text == b"":
                return
            if b"READY=1" in text and self.lives:
                self.lives[-1].ready_ns = self.lives[-1].ready_ns or time.time_ns()

    def supervise(self):
        died = 0
        while not self.ending.is_set():
            if self.config.exists():
                subprocess.run([support.program("ringtaped"), "--check", "--config", self.config],
                               stdout=subprocess.DEVNULL)  # fmt: skip
            life = Life(died, time.time_ns())
            self.lives.append(life)
            self.daemon = self.make()
            self.daemon.child.wait()
            died = time.time_ns()
            life.status = self.daemon.child.returncode
            life.counters = self.daemon.counters()
            if life.status in final_statuses():
                self.failure = f"ended with {life.status}: {self.daemon.errors[-5:]}"
                return
            self.ending.wait(restart_seconds())

    def ready(self):
        assert self.failure is None, self.failure
        return self.lives and self.lives[-1].ready_ns > 0 and self.lives[-1].status is None

    def wait_ready(self, seconds=60):
        support.wait_for(self.ready, seconds, lambda: f"READY=1; {self.daemon.errors[-5:]}")

    def signal(self, number):
        self.daemon.child.send_signal(number)

    def kill(self):
        """And waits until the next one is ready."""
        lives = len(self.lives)
        self.signal(signal.SIGKILL)
        support.wait_for(lambda: len(self.lives) > lives, 60, "a restart")
        self.wait_ready()

    def terminate(self):
        """For good; the exit status."""
        self.ending.set()
        self.signal(signal.SIGTERM)
        self.threads[1].join(30)
        return self.lives[-1].status

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        if self.daemon is not None:
            self.daemon.kill()
        self.socket.shutdown(socket.SHUT_RDWR)
