# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs' arithmetic and alert rule without a Spark: against fractions, and against ringtape."""

import json
import random
from decimal import Decimal
from fractions import Fraction

import lake_truth
import lake_world
import pytest
import support
from ringtape_lake import aggregates, exact, moves


def test_a_half_goes_to_the_even_one():
    for numerator in range(-50, 51):
        for denominator in (1, 2, 3, 4, 7, 8, -2, -3):
            value = Fraction(numerator, denominator)
            assert exact.half_even(numerator, denominator) == round(value)


def test_ratios_are_those_of_fractions():
    dice = random.Random(7)
    for _ in range(3000):
        top = Decimal(dice.randrange(-(10**22), 10**22)).scaleb(-dice.randrange(17))
        below = Decimal(dice.randrange(1, 10 ** dice.randrange(1, 20))).scaleb(-dice.randrange(13))
        if abs(Fraction(top) / Fraction(below)) >= 10**25:
            continue
        have = exact.ratio(top, below)
        assert have == lake_truth.half_even(Fraction(top) / Fraction(below)), (top, below)
    assert exact.ratio(Decimal(1), Decimal(0)) is None
    assert exact.ratio(None, Decimal(1)) is None
    assert exact.ratio(Decimal("1e-12"), Decimal(2)) == 0, "a half, to the even one"
    assert exact.ratio(Decimal("3e-12"), Decimal(2)) == Decimal("2e-12")


def test_what_does_not_fit_has_a_name():
    with pytest.raises(OverflowError, match="more than 38 digits"):
        exact.ratio(Decimal(10**26), Decimal("1e-12"))
    with pytest.raises(OverflowError, match="more than 16 decimals"):
        exact.quote_volume(Decimal(0), Decimal(10**20 + 1))
    assert exact.quote_volume(Decimal(5), Decimal(10**4)) == Decimal("0.0000000500000001")


def test_days_and_weeks():
    assert aggregates.week_of("2026-11-27") == "2026-W48"
    assert aggregates.week_of("2027-01-01") == "2026-W53"
    assert aggregates.days_of_week("2026-W53") == [
        "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02",
        "2027-01-03",
    ]  # fmt: skip


@pytest.mark.parametrize("text, why", [
    ("boom", "surge or crash"), ("surge window=5", "a number and one of"),
    ("surge threshold=1.2345678%", "a number and one of"), ("crash size=3%", "window, threshold"),
    ("surge window=0.000001ms", None),
])  # fmt: skip
def test_rules_that_are_none(text, why):
    if why is None:
        assert moves.parse(text).window_ns == 1
        return
    with pytest.raises(ValueError, match=why):
        moves.parse(text)


RULES = ["surge window=1m threshold=0.4% scaled=0x cooldown=1m rule=up",
         "crash window=1m threshold=0.4% scaled=0x cooldown=1m rule=down",
         "surge window=30s threshold=0.3% scaled=3x cooldown=2m rule=fast",
         "crash window=2m threshold=0.3% scaled=2x cooldown=1m rule=slow"]  # fmt: skip


def replayed(store):
    rules = [part for rule in RULES for part in ("--rule", rule)]
    text = support.ringtape("alerts", "--replay", "--store", store, "--json", *rules)
    found = []
    for line in text.splitlines():
        row = json.loads(line)
        found.append((row["symbol"], int(row["id"]), row["rule"], Decimal(row["measure"])))
    return sorted(found)


def test_alerts_are_the_recorders_with_the_same_ids(tmp_path):
    """A wild market of an hour: every alert of `ringtape alerts --replay` and no other, the scaled
    thresholds with their floating-point variance included."""
    capture, names = lake_world.offline(tmp_path, "binance", 4, 40, 3600, ["trade"], seed=11)
    lake_world.play(tmp_path / "store", tmp_path, "binance", capture, names, ["trade"])
    want = replayed(tmp_path / "store")
    assert len(want) > 20 and {rule for _, _, rule, _ in want} >= {"up", "down", "slow"}
    rules = [moves.parse(rule) for rule in RULES]
    symbols, found = {}, []
    for row in lake_world.stored(tmp_path / "store", "trade"):
        symbol = symbols.get(row["symbol"]) or moves.Symbol(row["symbol"], rules)
        price = int(Decimal(row["price"]).scaleb(8))
        for _ in range(2):  # delivered twice
            for alert in symbol.trade(row["time"], row["id"], price):
                measure = Decimal(alert.measure_ppm).scaleb(-6)
                found.append((row["symbol"], alert.id, alert.rule, measure))
        # Its state goes through what a checkpoint holds now and then.
        if row["id"] % 97 == 0:
            symbol = moves.Symbol(row["symbol"], rules, symbol.save())
        symbols[row["symbol"]] = symbol
    assert sorted(found) == want
