# SPDX-License-Identifier: GPL-3.0-or-later
"""A topic of trades that all came twice, for those who have to tell them apart."""

import shutil
import time

import support
from mirror_test import caught_up, kafka, make_topics, stored


def record(broker, prefix, folder, value):
    """A simulated market, mirrored; the mirror forgets how far it was, and sends all again. What
    the store has of trades, in the form of JSON values."""
    make_topics(broker, prefix)
    top = {"kafka": kafka(broker, prefix, value=value), "shards": 2}
    with support.Simulator("--symbols=binance:20", "--channels=trade", "--rate=3000", "--seconds=3",
                           "--at-end=hold") as simulator:  # fmt: skip
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        for life in range(2):
            with support.Ringtaped(folder / "c.yaml", folder / "store", feeds, top=top) as daemon:
                if life == 0:
                    simulator.event("ended", 60)
                daemon.wait_counters(lambda c: c["mirrored"] > 0, 30, "the first messages")
                time.sleep(0.5)
                caught_up(daemon)
                assert daemon.terminate() == 0, daemon.errors
            shutil.rmtree(folder / "store" / "mirror")
    rows = stored(folder / "store", "trade")
    assert len(rows) > 5000
    return rows
