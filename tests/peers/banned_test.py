# SPDX-License-Identifier: GPL-3.0-or-later
"""An exchange bans this address for a while (418, Retry-After). Who asks meanwhile is banned for
longer: so the list of instruments, which control asks for, and repair, which the shards do, have
to know of each other's bans, in the next life too. complete_life_test.c has repair alone."""

import signal
import time

import scripted
import support

BAN_S = 9  # longer than what passes before the first audit


class Banning(scripted.ScriptedExchange):
    """Bans who asks for a path with this word in it, once; notes all that is asked, and when."""

    def __init__(self, certificates, word):
        self.word, self.questions, self.until = word, [], 0
        super().__init__(certificates, [lambda connection: connection.wait_end()])

    def _answer(self, path):
        now = time.monotonic()
        self.questions.append((now, path))
        if self.word in path and self.until == 0:
            self.until = now + BAN_S
            return b"418 I'm a teapot\r\nRetry-After: %d" % BAN_S, b"{}"
        return super()._answer(path)

    def banned(self):
        support.wait_for(lambda: self.until > 0, 20, lambda: str(self.questions))

    def silent_to_the_end(self):
        """Nothing is asked before the ban is over; soon after it something is."""
        count = len(self.questions)
        support.wait_for(
            lambda: len(self.questions) > count, BAN_S + 20, lambda: str(self.questions)
        )
        early = [(at - self.until, path) for at, path in self.questions[count:] if at < self.until]
        assert not early, early


def said(daemon, *words):
    return any(all(word in line for word in words) for line in daemon.errors)


def daemon_for(exchange, folder, symbols):
    feed = support.feed(exchange, "binance", ["trade"], symbols)
    return support.Ringtaped(folder / "config.yaml", folder / "store", [feed])


def test_repair_waits_when_the_list_was_refused(tmp_path, certificates):
    with Banning(certificates, "exchangeInfo") as exchange:
        with daemon_for(exchange, tmp_path, ["BTCUSDT"]) as daemon:
            exchange.banned()
            support.wait_for(lambda: exchange.upgrades > 0, 20)  # its audit is due in 3 s
            exchange.silent_to_the_end()
            assert said(daemon, "instruments could not be had", "418")
            assert daemon.terminate() == 0


def test_the_list_waits_when_repair_was_refused(tmp_path, certificates):
    with Banning(certificates, "ticker/24hr") as exchange:
        with daemon_for(exchange, tmp_path, "all") as daemon:
            exchange.banned()
            daemon.child.send_signal(signal.SIGHUP)  # the list is due
            support.wait_for(
                lambda: said(daemon, "instruments could not be had", "wants no request for"), 20,
                lambda: str(daemon.errors),
            )  # fmt: skip
            exchange.silent_to_the_end()
            support.wait_for(lambda: exchange.asked > 1, 20, lambda: str(exchange.questions))
            assert daemon.terminate() == 0


def test_a_ban_outlives_the_daemon(tmp_path, certificates):
    with Banning(certificates, "exchangeInfo") as exchange:
        with daemon_for(exchange, tmp_path, "all") as daemon:
            exchange.banned()
            support.wait_for(lambda: said(daemon, "418"), 20, lambda: str(daemon.errors))
            assert daemon.terminate() == 0
        with daemon_for(exchange, tmp_path, "all") as daemon:
            exchange.silent_to_the_end()
            support.wait_for(lambda: said(daemon, "feed added"), 20, lambda: str(daemon.errors))
            assert daemon.terminate() == 0
