# SPDX-License-Identifier: GPL-3.0-or-later
"""Every query of docs/lake-queries.md, run by the engine it is for; the answers to a question are
equal."""

import re
import shutil
from decimal import Decimal
from fractions import Fraction

import pytest
import support
from ringtape_lake import aggregates

PAGE = (support.ROOT / "docs" / "lake-queries.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sql|python) (duckdb|spark|polars)\n(.*?)^```$", re.M | re.S)
QUESTIONS = {
    part.split("\n", 1)[0]: {engine: text for _, engine, text in BLOCK.findall(part)}
    for part in PAGE.split("\n## ")[1:]
}
NAMES = ["trade", "agg_trade", "quote", "status", "aggregates_daily", "aggregates_weekly"]


@pytest.fixture(scope="module")
def asked(spark, lake, tmp_path_factory):
    """The lake with aggregates, open in the three engines as the page says."""
    folder = tmp_path_factory.mktemp("asked") / "lake"
    shutil.copytree(lake, folder)
    aggregates.run(spark, str(folder), {"2025-01-01": 1, "2025-01-02": None}, False)
    opened = {"LAKE": str(folder), "names": NAMES, "spark": spark}
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S):
        exec(text, opened)
    return opened


def plain(value):
    return Fraction(value) if isinstance(value, (Decimal, int)) else value


def rows_of(names, rows):
    return [dict(zip(names, map(plain, row))) for row in rows]


def by_duckdb(asked, text):
    done = asked["connection"].execute(text)
    return rows_of([column[0] for column in done.description], done.fetchall())


def by_spark(asked, text):
    done = asked["spark"].sql(text)
    return rows_of(done.columns, done.collect())


def by_polars(asked, text):
    scope = dict(asked)
    exec(text, scope)
    done = scope["answer"].collect()
    return rows_of(done.columns, done.rows())


def test_there_are_questions():
    assert len(QUESTIONS) >= 6
    for question, blocks in QUESTIONS.items():
        assert sorted(blocks) == ["duckdb", "polars", "spark"], question


@pytest.mark.parametrize("question", QUESTIONS)
def test_all_engines_give_the_same_answer(asked, question):
    blocks = QUESTIONS[question]
    answer = by_duckdb(asked, blocks["duckdb"])
    assert len(answer) > 0
    assert by_spark(asked, blocks["spark"]) == answer
    assert by_polars(asked, blocks["polars"]) == answer
