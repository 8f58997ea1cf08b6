# SPDX-License-Identifier: Apache-2.0
"""Airflow 3: a UTC day from the store into the lake and its report, once it is closed.

    close → export → aggregates → report → compact → vacuum

The logical date is the day that is done, so a backfill is a backfill of days:

    airflow backfill create --dag-id ringtape_daily --from-date 2026-11-01 --to-date 2026-11-07
    airflow dags test ringtape_daily 2026-11-27

Every task may run again: the day stays closed, an export knows what it has exported, aggregates are
merged and skipped where the day's generation is the same, the report is replaced as a whole. When a
repair raises the generation, clear the day's run (or backfill it with --reprocess-behavior
completed). Where things are is told by the environment of scheduler and workers:

    RINGTAPE_STORE    the store                        RINGTAPE_BIN      folder of `ringtape`
    RINGTAPE_LAKE     folder of the Delta tables       RINGTAPE_REPORTS  folder of the pages
    RINGTAPE_SUBMIT   what runs a job, by default tools/lake/submit beside this folder
"""

from __future__ import annotations

import datetime
import os
import pathlib

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

HERE = pathlib.Path(__file__).resolve().parent
STORE = os.environ.get("RINGTAPE_STORE", "/var/lib/ringtape")
LAKE = os.environ.get("RINGTAPE_LAKE", "/var/lib/ringtape-lake")
REPORTS = os.environ.get("RINGTAPE_REPORTS", f"{LAKE}/reports")
SUBMIT = os.environ.get("RINGTAPE_SUBMIT", str(HERE.parent / "submit"))
RINGTAPE = str(pathlib.Path(os.environ.get("RINGTAPE_BIN", "/usr/bin")) / "ringtape")
DAY = "{{ ds }}"
TOLD = f"{LAKE}/_days/{DAY}.json"

ENVIRONMENT = {"STORE": STORE, "LAKE": LAKE, "REPORTS": REPORTS, "SUBMIT": SUBMIT,
               "RINGTAPE": RINGTAPE, "DAY": DAY, "TOLD": TOLD}  # fmt: skip

# The day is told in a file of its own name, replaced as a whole.
CLOSE = """mkdir -p "$(dirname "$TOLD")"
"$RINGTAPE" day --store "$STORE" --wait --json "$DAY" >"$TOLD.new"
mv "$TOLD.new" "$TOLD"
cat "$TOLD"
"""
# All that is sealed and not in the tables yet: the day, and what else there is.
EXPORT = '"$RINGTAPE" export --store "$STORE" --delta "$LAKE"\n'
AGGREGATES = '"$SUBMIT" aggregates --lake "$LAKE" --days "$TOLD"\n'
REPORT = """mkdir -p "$REPORTS"
"$RINGTAPE" report --store "$STORE" --day "$DAY" --html "$REPORTS/$DAY.html"
"""
COMPACT = '"$RINGTAPE" compact --store "$STORE" "$LAKE"\n'
VACUUM = '"$RINGTAPE" vacuum "$LAKE"\n'


def task(name: str, command: str, **more: object) -> BashOperator:
    return BashOperator(
        task_id=name, bash_command="set -euo pipefail\n" + command, env=ENVIRONMENT,
        append_env=True, **more,
    )  # fmt: skip


with DAG(
    dag_id="ringtape_daily",
    description="A day of the store: closed, exported, summed up, reported.",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    # Days before it could not be backfilled.
    start_date=datetime.datetime(2017, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    max_active_runs=1,  # one committer a table
    default_args={
        "retries": int(os.environ.get("RINGTAPE_RETRIES", "3")),
        "retry_delay": datetime.timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "execution_timeout": datetime.timedelta(hours=6),
    },
    tags=["ringtape"],
) as dag:
    chain = [task("close", CLOSE), task("export", EXPORT), task("aggregates", AGGREGATES),
             task("report", REPORT), task("compact", COMPACT), task("vacuum", VACUUM)]  # fmt: skip
    for before, behind in zip(chain, chain[1:]):
        before >> behind
