# SPDX-License-Identifier: GPL-3.0-or-later
"""`ringtape backfill` over HTTPS from exchange-sim, which serves archives as data.binance.vision
does, and badly: what is not as it should be is fetched again or refused, never stored."""

import re
import resource
import signal
import subprocess
import time

import archives
import support
from backfill_test import DAY, coverage, expected_trades, rows, stored_trades


class World:
    """Archives of a market, a simulator that serves them, a store."""

    def __init__(self, folder, certificates, faults="", days=6, trades=400, listed=1):
        self.store, self.source = folder / "store", folder / "a"
        self.market = archives.Market("BTCUSDT", DAY, days, trades)
        archives.write_days(self.source, self.market)
        self.certificates = certificates
        options = [f"--archive={self.source}"] + ([f"--archive-faults={faults}"] if faults else [])
        self.simulator = support.Simulator(
            f"--symbols=binance:{listed}", *options, certificates=certificates
        )

    def command(self, *options, symbols="BTCUSDT"):
        last = archives.day_text(self.market.first_day + self.market.days)
        return [
            support.program("ringtape"), "backfill", "--store", self.store, "--exchange", "binance",
            "--symbols", symbols, "--channel", "trade", "--from", DAY, "--to", last,
            "--base-url", self.simulator.rest_url("binance"), "--ca-file",
            self.certificates / "ca.pem", *options,
        ]  # fmt: skip

    def run(self, *options, **more):
        return subprocess.run(self.command(*options, **more), capture_output=True, text=True,
                              timeout=120, check=False)  # fmt: skip

    def whole(self):
        return sorted(stored_trades(rows(self.store))) == list(expected_trades(self.market))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.simulator.kill()


def test_downloads_are_stored_and_not_asked_for_again(tmp_path, certificates):
    with World(tmp_path, certificates) as world:
        dry = world.run("--dry-run")
        assert dry.returncode == 0, dry.stderr
        size = sum(p.stat().st_size for p in world.source.rglob("*.zip"))
        assert re.search(rf"6 files, {size} bytes, 12 requests", dry.stdout), dry.stdout
        assert not world.store.exists() or not rows(world.store)
        done = world.run()
        assert (done.returncode, done.stdout) == (0, "6 files, 2400 rows stored\n"), done.stderr
        assert world.whole()
        assert "6 files there already" in world.run().stdout
        assert not list((world.store / "incoming").glob("download*"))


def test_slow_limited_cut_and_failing_answers_cost_only_time(tmp_path, certificates):
    with World(tmp_path, certificates, "limit=5,error=7,cut=3,slow=4") as world:
        done = world.run()
        assert (done.returncode, done.stdout) == (0, "6 files, 2400 rows stored\n"), done.stderr
        assert world.whole()


def test_a_truncated_zip_is_fetched_again(tmp_path, certificates):
    with World(tmp_path, certificates, "truncated=4") as world:
        done = world.run()
        assert (done.returncode, done.stdout) == (0, "6 files, 2400 rows stored\n"), done.stderr
        assert world.whole()


def test_a_wrong_checksum_refuses_the_file_and_another_run_has_it(tmp_path, certificates):
    with World(tmp_path, certificates, "checksum=4") as world:
        done = world.run()
        assert done.returncode == 1
        assert len(re.findall(r"SHA-256 \w{16}\.\.\. expected, found", done.stderr)) == 1
        assert done.stdout == "5 files, 2000 rows stored; 1 files refused\n"
        # Files come side by side: which one it is depends on who asked first.
        (day,) = re.findall(r"-2026-08-(\d\d)\.zip: SHA-256", done.stderr)
        first = 1000 + 400 * (int(day) - 1)
        holes = coverage(world.store)[("binance:BTCUSDT", "trade")]["holes"]
        if day in ("01", "06"):  # at either end: it only begins later or ends sooner
            assert not holes
        else:
            assert [(hole["first"], hole["last"], hole["cause"]) for hole in holes] == [
                (first, first + 399, "not backfilled")
            ]
        world.run()  # other checksums are wrong now
        assert world.whole()
        assert not coverage(world.store)[("binance:BTCUSDT", "trade")]["holes"]


def test_missing_days_are_listed(tmp_path, certificates):
    with World(tmp_path, certificates) as world:
        for path in world.source.rglob("*2026-08-0[34].zip*"):
            path.unlink()
        done = world.run()
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            "missing binance:BTCUSDT trade 2026-08-03 to 2026-08-04, 2 days",
            "4 files, 1600 rows stored",
        ]
        (hole,) = coverage(world.store)[("binance:BTCUSDT", "trade")]["holes"]
        assert (hole["first"], hole["last"], hole["cause"]) == (1800, 2599, "not backfilled")


def test_all_symbols_are_those_that_the_exchange_lists(tmp_path, certificates):
    """Also what it lists and has no archives of; not what has archives and is listed no more."""
    with World(tmp_path, certificates, "limit=3", days=2, listed=3) as world:
        markets = [archives.Market(name, DAY, 2, 300) for name in ("ETHUSDT", "GONEUSDT")]
        for market in markets:
            archives.write_days(world.source, market)
        info, _ = world.simulator.get("binance", "/api/v3/exchangeInfo")
        names = [entry["symbol"] for entry in info["symbols"]]
        assert names[:2] == ["BTCUSDT", "ETHUSDT"] and len(names) == 3
        done = world.run(symbols="all")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"missing binance:{names[2]} trade 2026-08-01 to 2026-08-02, 2 days",
            "4 files, 1400 rows stored",
        ]
        found = rows(world.store)
        for market in (world.market, markets[0]):
            of_it = [row for row in found if row["symbol"] == f"binance:{market.symbol}"]
            assert sorted(stored_trades(of_it)) == list(expected_trades(market))
        both = world.run(symbols="BTCUSDT,all")
        assert both.returncode == 64 and "--symbols: alone, or not at all: 'all'" in both.stderr
        again = world.run(symbols="all")
        assert "4 files there already" in again.stdout, again.stdout


def test_a_list_of_symbols_that_cannot_be_had(tmp_path, certificates):
    """Archives alone: nothing that would list symbols."""
    with World(tmp_path, certificates) as world:
        command = world.command(symbols="all")
        command[command.index("--exchange") + 1] = "binance-usdm"
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 74
        assert "binance-usdm list of symbols: HTTP 404" in done.stderr, done.stderr


def test_broken_off_a_download_goes_on(tmp_path, certificates):
    with World(tmp_path, certificates, "slow=1", days=8) as world:
        for how in (signal.SIGINT, signal.SIGKILL):
            child = subprocess.Popen(world.command(), stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)  # fmt: skip
            time.sleep(1.5)
            child.send_signal(how)
            child.communicate(timeout=60)
            assert child.returncode in (0, 130, -how)
        assert world.run().returncode == 0
        assert world.whole()


def test_a_host_that_is_not_there(tmp_path, certificates):
    with World(tmp_path, certificates) as world:
        command = world.command()
        command[command.index("--base-url") + 1] = "https://localhost:1"
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1.5)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
        assert child.returncode == 130 and time.monotonic() - start < 10
        assert said == "0 files, 0 rows stored; stopped: the same command goes on from here\n"


def test_what_will_not_mend_is_told_at_once(tmp_path, certificates):
    """A certificate that nobody trusts; a symbol that is not there."""
    with World(tmp_path, certificates) as world:
        command = world.command()
        at = command.index("--ca-file")
        del command[at : at + 2]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 74 and time.monotonic() - start < 20
        assert "certificate" in done.stderr, done.stderr
        done = world.run(symbols="BTCUSDT,BTCUSD")
        assert done.returncode == 1
        assert "nothing of binance:BTCUSD in these days" in done.stderr
        assert world.whole()


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_disk_that_fills_up_while_downloading(tmp_path, certificates):
    with World(tmp_path, certificates) as world:
        done = subprocess.run(world.command(), capture_output=True, text=True, timeout=60,
                              check=False, preexec_fn=small_files)  # fmt: skip
        assert done.returncode == 74
        assert "incoming/download: File too large" in done.stderr, done.stderr
        assert world.run().returncode == 0
        assert world.whole()
