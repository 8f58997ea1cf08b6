# SPDX-License-Identifier: GPL-3.0-or-later
"""When a stranger sees each trade: docs/examples/follow.c beside the daemon, which gives rows that
are known to be durable, and the clock when its line has come out of the pipe. A line of the file:
exchange:symbol, time of the row, id, time seen (both ns UTC)."""

import os
import subprocess
import threading
import time

import library_peer_test
import support


class Followed:
    def __init__(self, folder, store, channel):
        self.program = library_peer_test.compiled(folder, "follow")
        self.command = [self.program, store, channel]
        self.path = folder / f"seen-{channel}"
        self.begun = 0  # more than once where it had to open the store again
        self.errors = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.child = None

    def run(self):
        with self.path.open("wb", buffering=1 << 20) as file:
            while not self.ending.is_set():
                self.child = subprocess.Popen(
                    self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, preexec_fn=support.die_with_parent,
                )  # fmt: skip
                self.begun += 1
                while data := os.read(self.child.stdout.fileno(), 1 << 20):
                    # A line that comes in two parts is complete with the second.
                    file.write(data.replace(b"\n", b" %d\n" % time.time_ns()))
                self.child.wait()
                error = self.child.stderr.read().decode().strip()
                if error:
                    self.errors.append(error)
                self.ending.wait(0.05)

    def stop(self):
        """After a last look."""
        self.ending.set()
        self.child.stdin.close()
        self.thread.join(60)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
