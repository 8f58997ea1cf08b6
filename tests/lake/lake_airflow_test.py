# SPDX-License-Identifier: GPL-3.0-or-later
"""The DAG by Airflow itself, on a day that is closed: once, again, and a day that fails."""

import json
import os
import pathlib
import re
import subprocess
import time

import lake_world
import pytest
import support
from ringtape_lake import aggregates

DAG = "ringtape_daily"
TASKS = ["close", "export", "aggregates", "report", "compact", "vacuum"]


def commands():
    told = subprocess.run([support.program("ringtape"), "--help"], capture_output=True, text=True)
    return told.stdout


def missing():
    """Commands of the DAG that this ringtape does not have."""
    told = commands()
    found = [name for name in ("report", "compact", "vacuum") if f" {name}" not in told]
    return found + ([] if lake_world.exports_delta() else ["export --delta"])


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory):
    return lake_world.record_yesterday(tmp_path_factory.mktemp("yesterday"))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Runs `airflow` with a home of its own."""
    home = tmp_path_factory.mktemp("airflow")
    places = {
        "AIRFLOW_HOME": home, "AIRFLOW__CORE__DAGS_FOLDER": lake_world.LAKE / "dags",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": home / "logs",
        "PATH": f"{lake_world.AIRFLOW}/venv/bin:{os.environ['PATH']}",
    }  # fmt: skip
    environment = {**os.environ, **{key: str(value) for key, value in places.items()}}
    environment.pop("PYTHONPATH", None)

    def run(*arguments, seconds=600, **more):
        with open(lake_world.logs("airflow"), "a", encoding="utf-8") as log:
            done = subprocess.run(
                ["airflow", *map(str, arguments)], env={**environment, **more}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                preexec_fn=support.die_with_parent,
            )  # fmt: skip
            log.write(done.stdout)
        return done

    assert run("db", "migrate").returncode == 0
    return run


def settings(folder, store, lake):
    return {"RINGTAPE_STORE": str(store), "RINGTAPE_LAKE": str(lake),
            "RINGTAPE_BIN": str(pathlib.Path(support.program("ringtape")).parent),
            "RINGTAPE_REPORTS": str(folder / "reports"),
            "RINGTAPE_SPARK": str(lake_world.SPARK), "RINGTAPE_RETRIES": "0"}  # fmt: skip


def test_the_dag_is_one(airflow):
    done = airflow("dags", "reserialize")
    assert done.returncode == 0, done.stdout[-2000:]
    done = airflow("dags", "list-import-errors")
    assert "ringtape_daily" not in done.stdout, done.stdout[-2000:]
    done = airflow("tasks", "list", DAG)
    assert [line for line in done.stdout.splitlines() if line in TASKS] == sorted(TASKS)


@pytest.mark.skipif(bool(missing()), reason=f"this ringtape lacks {missing()}")
def test_a_closed_day_goes_all_the_way_and_again(airflow, yesterday, tmp_path):
    store, day = yesterday
    lake = tmp_path / "lake"
    for turn in range(2):
        done = airflow("dags", "test", DAG, day, **settings(tmp_path, store, lake))
        assert done.returncode == 0, done.stdout[-6000:]
        told = json.loads((lake / "_days" / f"{day}.json").read_text())
        assert told["closed"] and told["day"] == day
        rows = lake_world.rows_of(lake / "aggregates_daily")
        assert {str(row["date"]) for row in rows} == {day}
        closed = [c["generation"] for c in told["channels"] if c["channel"] in aggregates.READ]
        assert {row["generation"] for row in rows} == {sum(closed)}
        trades = len(lake_world.stored(store, "trade"))
        assert sum(row["trades"] for row in rows) == trades > 1000
        assert len(lake_world.rows_of(lake / "trade")) == trades, "each once"
        page = (tmp_path / "reports" / f"{day}.html").read_text()
        assert "<svg" in page and day in page
        told = re.findall(r'\{"aggregated": \[(.*?)\], "unchanged": \[(.*?)\]\}', done.stdout)
        assert told == [("" if turn else f'"{day}"', f'"{day}"' if turn else "")]


def test_a_task_that_fails_fails_the_run(airflow, tmp_path):
    """No store: nothing behind the first task is begun."""
    done = airflow("dags", "test", DAG, "2025-01-01",
                   **settings(tmp_path, tmp_path / "nothing", tmp_path / "lake"))  # fmt: skip
    assert done.returncode != 0
    assert not (tmp_path / "lake" / "trade").exists()
    assert not (tmp_path / "lake" / "_days" / "2025-01-01.json").exists()


def test_a_day_of_the_future_is_not_closed(yesterday):
    """What the DAG's first task waits for: `ringtape day` says 3 until the day is closed."""
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + lake_world.DAY_S))
    support.ringtape("day", "--store", yesterday[0], tomorrow, status=3)
    support.ringtape("day", "--store", yesterday[0], yesterday[1], status=0)
