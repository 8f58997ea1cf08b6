# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of docs/appliance.md, taken from the page and run: a backup of a store that is being
written, restoring it, moving a store, two appliances that stand in for each other."""

import json
import os
import re
import shutil
import subprocess

import duckdb
import pytest

import support

PAGE = (support.ROOT / "docs" / "appliance.md").read_text()


def block(language, beginning):
    """The code block of the page that begins so."""
    found = re.search(rf"```{language}\n({re.escape(beginning)}.*?)```", PAGE, re.S)
    assert found, f"docs/appliance.md has no block that begins with {beginning!r}"
    return found.group(1)


def recipe(name, *arguments, first=""):
    """`first`: a folder whose programs come before all others."""
    if shutil.which("rsync") is None:
        pytest.fail("rsync is missing: run 'tools/dev setup'")
    path = f"{first}:{support.BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", block("bash", f"# {name} "), name, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def trades(store):
    lines = support.ringtape("cat", "--store", store, "--channel", "trade", "--json").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({(row["symbol"], row["id"]) for row in rows}) == len(rows)
    return {(row["symbol"], row["id"]) for row in rows}


def gaps(ids):
    """Ids missing between the first and the last of each symbol."""
    by_symbol = {}
    for symbol, number in ids:
        by_symbol.setdefault(symbol, []).append(int(number))
    return sum(max(n) - min(n) + 1 - len(n) for n in by_symbol.values())


def restless_rsync(folder, store, times):
    """An rsync that has the store sealed before it copies, the first few times: what a recipe
    copied before is out of date then."""
    folder.mkdir()
    (folder / "left").write_text(f"{times}\n")
    script = f"""#!/bin/sh
left=$(cat {folder}/left)
[ "$left" = 0 ] || ringtape seal --store {store} && echo $((left > 0 ? left - 1 : 0)) >{folder}/left
exec {shutil.which("rsync")} "$@"
"""
    (folder / "rsync").write_text(script)
    (folder / "rsync").chmod(0o755)
    return folder


SEAL = {"seal_after": {"size": "1MiB", "time": "1s"}, "shards": 2}


def test_backup_of_a_live_store_and_its_restoration(tmp_path):
    config, store, backup, restored = (tmp_path / n for n in ("c.yaml", "s", "backup", "restored"))
    with support.Simulator("--symbols=binance:12", "--rate=4000", "--whole-market") as simulator:
        feeds = [support.feed(simulator, "binance", ["trade", "depth"], "all")]
        with support.Ringtaped(config, store, feeds, top=SEAL) as daemon:
            sealed = daemon.wait_counters(lambda c: c["tapes_sealed"] >= 2)["tapes_sealed"]
            restless = restless_rsync(tmp_path / "bin", store, 6)
            for first in (restless, ""):  # anew, then what is new
                before = trades(store)
                recipe("backup.sh", store, backup, first=first)
                copied = trades(backup)
                assert before <= copied
                daemon.wait_counters(lambda c: c["tapes_sealed"] >= sealed + 2)
                sealed = daemon.counters()["tapes_sealed"]
            assert daemon.terminate() == 0, daemon.errors
        assert copied <= trades(store)
        assert not (backup / "lock").exists() and not (backup / "run").exists()

        recipe("restore.sh", backup, restored)
        with support.Ringtaped(config, restored, feeds, top=SEAL) as daemon:
            live = daemon.wait_counters(lambda c: c["links_live"] > 0)
            daemon.wait_counters(
                lambda c: c["durable"] > live["durable"] + 2000 and c["holes_open"] == 0
            )
            assert daemon.terminate() == 0, daemon.errors
        support.ringtape("verify", "--store", restored)
        after = trades(restored)
        assert copied < after and gaps(after) == 0  # the hole since is repaired


def test_a_store_moves(tmp_path):
    config, old, new = tmp_path / "c.yaml", tmp_path / "old", tmp_path / "new"
    with support.Simulator(
        "--symbols=binance:4", "--rate=2000", "--channels=trade", "--whole-market"
    ) as simulator:
        feeds = [support.feed(simulator, "binance", ["trade"], "all")]
        with support.Ringtaped(config, old, feeds, top=SEAL) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 500)
            recipe("move.sh", old, new)
            daemon.wait_counters(lambda c: c["tapes_sealed"] >= 2)
            assert daemon.terminate() == 0, daemon.errors
        recipe("move.sh", old, new)
        was = trades(old)
        assert trades(new) == was
        shutil.rmtree(old)
        with support.Ringtaped(config, new, feeds, top=SEAL) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 500 and c["holes_open"] == 0)
            assert daemon.terminate() == 0, daemon.errors
    support.ringtape("verify", "--store", new)
    assert was < trades(new) and gaps(trades(new)) == 0


def test_two_appliances_stand_in_for_each_other(tmp_path):
    """Nothing is repaired by REST here: what one misses only the other has."""
    stores = [tmp_path / "a", tmp_path / "b"]
    with support.Simulator(
        "--symbols=binance:4", "--rate=2000", "--channels=trade", "--whole-market"
    ) as simulator:
        with support.Door(simulator, "binance", refused="Trades") as door:
            feed = {**support.feed(simulator, "binance", ["trade"], "all"), "rest_url": door.url()}
            files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
            start = lambda i: support.Ringtaped(files[i], stores[i], [feed], top=SEAL)
            recording = lambda c: c["links_live"] > 0 and c["durable"] > 300
            with start(0) as a, start(1) as b:
                a.wait_counters(recording)
                b.wait_counters(recording)
                a.kill()  # as a machine that fails
                seen = b.counters()["durable"]
                b.wait_counters(lambda c: c["durable"] > seen + 500)
                with start(0) as again:
                    again.wait_counters(recording)
                    assert b.terminate() == 0, b.errors
                    seen = again.counters()["durable"]
                    again.wait_counters(lambda c: c["durable"] > seen + 500)
                    assert again.terminate() == 0, again.errors
    each = [trades(store) for store in stores]
    assert gaps(each[0]) > 0 and max(map(len, each)) < len(each[0] | each[1])
    assert gaps(each[0] | each[1]) == 0
    # The page's question to DuckDB.
    for store, name in zip(stores, ("pa", "pb")):
        support.export(store, tmp_path / name)
    query = block("sql", "SELECT")
    for name in "ab":
        query = query.replace(f"'{name}/", f"'{tmp_path}/p{name}/")
    rows = duckdb.sql(f"SELECT symbol, id FROM ({query})").fetchall()
    assert len(rows) == len(each[0] | each[1])
