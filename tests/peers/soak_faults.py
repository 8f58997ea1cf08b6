# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule of faults by a seed, and what does them, one at a time: to the daemon, to the broker,
to the disk. A broker that is started again takes its time, which the next faults do not wait for.
Links are cut by exchange-sim itself meanwhile."""

import dataclasses
import random
import signal
import threading
import time

# How often in a round, and for how many seconds. A kill lasts until the next life is ready.
KINDS = {
    "kill": (3, 0, 0),  # SIGKILL of the daemon
    "stop": (1, 1, 4),  # SIGSTOP, SIGCONT
    "broker_kill": (1, 3, 12),  # SIGKILL, away so long, then started again
    "broker_stop": (1, 3, 12),  # SIGTERM, the same
    "disk_full": (1, 8, 20),  # to the last block, then freed
    "disk_frozen": (2, 1, 3),  # fsfreeze: no write ends
    "disk_slow": (1, 4, 8),  # 10 writes a second
}
SLOW_WRITES_PER_S = 10
PAUSE_S = (6, 14)  # between two


@dataclasses.dataclass
class Fault:
    kind: str
    pause_s: float  # from the end of the one before
    seconds: float
    begin_ns: int = 0
    end_ns: int = 0


def schedule(seed, kinds, rounds, scale):
    """Each round has all of `kinds` in an order of its own; durations and pauses times `scale`."""
    chance = random.Random(seed)
    found = []
    for _ in range(rounds):
        one = [kind for kind in kinds for _ in range(KINDS[kind][0])]
        chance.shuffle(one)
        for kind in one:
            _, least, most = KINDS[kind]
            pause, seconds = chance.uniform(*PAUSE_S), chance.uniform(least, most)
            found.append(Fault(kind, round(pause * scale, 1), round(seconds * scale, 1)))
    return found


class World:
    """What faults are done to: tests/peers/supervised.py, kafka_broker.py and small_disk.py."""

    def __init__(self, daemon, broker, disk):
        self.daemon, self.broker, self.disk = daemon, broker, disk
        self.starting = None

    def wait_broker(self):
        if self.starting is not None:
            self.starting.join()

    def start_broker(self, fault):
        def wait():
            self.broker.wait_up(300)
            fault.end_ns = time.time_ns()

        self.broker.launch()
        self.starting = threading.Thread(target=wait, daemon=True)
        self.starting.start()

    def kill(self, _):
        self.daemon.kill()

    def stop(self, fault):
        self.daemon.signal(signal.SIGSTOP)
        time.sleep(fault.seconds)
        self.daemon.signal(signal.SIGCONT)

    def broker_kill(self, fault):
        self.wait_broker()
        self.broker.kill()
        time.sleep(fault.seconds)
        self.start_broker(fault)

    def broker_stop(self, fault):
        self.wait_broker()
        self.broker.stop()
        time.sleep(fault.seconds)
        self.start_broker(fault)

    def disk_full(self, fault):
        self.disk.fill()
        time.sleep(fault.seconds)
        self.disk.empty()

    def disk_frozen(self, fault):
        self.disk.freeze(fault.seconds)

    def disk_slow(self, fault):
        pid = self.daemon.daemon.child.pid
        self.disk.throttle(pid, SLOW_WRITES_PER_S)
        time.sleep(fault.seconds)
        self.disk.unthrottle(pid)


def play(faults, world, ended, tell):
    """Until `ended()`; those that came to pass, with their times, when the broker is back."""
    done = []
    for fault in faults:
        until = time.monotonic() + fault.pause_s
        while time.monotonic() < until and not ended():
            time.sleep(0.05)
        if ended():
            break
        world.daemon.wait_ready()
        fault.begin_ns = time.time_ns()
        getattr(world, fault.kind)(fault)
        fault.end_ns = time.time_ns()
        done.append(fault)
        tell(fault)
    world.wait_broker()
    return done


def union_seconds(spans):
    """Of intervals in ns."""
    total, to = 0, 0
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, to))
        to = max(to, end)
    return total / 1e9
