# SPDX-License-Identifier: GPL-3.0-or-later
"""A replayed store: a second recorder ends with an equal one, clients of the exchanges are content,
and what can go wrong does so in order."""

import replay_world as world
import support


def test_a_second_recorder_ends_with_an_equal_store(tmp_path, certificates):
    first = world.made_up(tmp_path, certificates, "--rate=3000", "--messages=9000")
    for channel in world.STORED:
        assert world.rows(first, channel), f"{channel}: nothing to compare"
    support.ringtape("seal", "--store", first)
    with world.Replay(first, "--speed", "2", "--hold", certificates=certificates) as replay:
        second = world.record(tmp_path, "second", replay)
        assert replay.terminate() == 0, replay.errors
    world.assert_equal(first, second)
