# SPDX-License-Identifier: Apache-2.0
"""Surges and crashes: the rule of docs/alerts.md for one symbol, trade by trade. The same trades in
the same order give the same alerts with the same ids as ringtaped and `ringtape alerts --replay`.

Prices are integers of the eighth decimal, ratios of the sixth; the variance alone is floating
point, in the order of operations of the recorder's own."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import struct
from typing import Any, Optional

import xxhash

BUCKETS = 32  # of a window
BASE_WINDOWS = 30  # what is usual forgets within so many windows
WARM_WINDOWS = 5  # before it is known at all
UNITS_MIN = 2  # of the eighth decimal: from 21 to 22 is a tick, and 4.8 %
SQUARES_MAX = 9  # of a return, in variances
LEAVING_MAX = 64 * BUCKETS  # after a pause of many windows all has left
ONE_PPM = 1_000_000
FORGET = 1 - math.exp2(-1.0 / (BUCKETS * BASE_WINDOWS))
KINDS = {"surge": 0, "crash": 1}  # as they are numbered on disk

_DURATION = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_RATIO = {"%": 10_000, "x": ONE_PPM}


# ---- rules ----


@dataclasses.dataclass(frozen=True)
class Rule:
    kind: str
    name: str
    match: str = "*"
    window_ns: int = 60 * 10**9
    threshold_ppm: int = 40_000
    scaled_ppm: int = 8 * ONE_PPM  # times the usual deviation of a window; 0: not scaled
    cooldown_ns: int = 300 * 10**9


def standard() -> list[Rule]:
    """The recorder's defaults."""
    return [Rule(kind, kind) for kind in KINDS]


def _number(text: str, units: dict[str, int]) -> int:
    """'0.25%': at most six decimals and a unit; exact."""
    found = re.fullmatch(r"(\d+)(?:\.(\d{1,6}))?([a-z%]+)", text)
    if found is None or found[3] not in units:
        raise ValueError(f"{text!r}: a number and one of {', '.join(units)} are expected")
    decimals = found[2] or ""
    value, rest = divmod(int(found[1] + decimals) * units[found[3]], 10 ** len(decimals))
    if rest != 0:
        raise ValueError(f"{text!r}: too many decimals")
    return value


def parse(text: str) -> Rule:
    """'surge window=5m threshold=1.5% scaled=6x cooldown=10m rule=NAME match=binance:*'."""
    kind, *settings = text.split()
    if kind not in KINDS:
        raise ValueError(f"{kind!r}: surge or crash is expected")
    values: dict[str, Any] = {"name": kind}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key in ("window", "cooldown"):
            values[key + "_ns"] = _number(value, _DURATION)
        elif key in ("threshold", "scaled"):
            values[key + "_ppm"] = _number(value, _RATIO)
        elif key in ("rule", "match"):
            values["name" if key == "rule" else key] = value
        else:
            raise ValueError(f"{key!r}: window, threshold, scaled, cooldown, rule, match")
    return Rule(kind, **values)


def matches(rule: Rule, symbol: str) -> bool:
    """The pattern ends in '*' or is the symbol."""
    if rule.match.endswith("*"):
        return symbol.startswith(rule.match[:-1])
    return symbol == rule.match


# ---- state ----


@dataclasses.dataclass
class State:
    """Of one rule and symbol. A point is [price, time ns, id]; price 0: none."""

    bucket: int = 0  # the current one; 0: none yet
    begin_ns: int = 0
    end_ns: int = 0
    fired_ns: int = 0  # 0: armed
    seen: int = 0  # buckets since the first
    trigger: int = 0
    last: int = 0
    extreme: list[int] = dataclasses.field(default_factory=lambda: [0, 0, 0])
    threshold_ppm: int = 0
    before: int = 0  # price at the end of the bucket before
    variance: float = 0.0
    points: list[list[int]] = dataclasses.field(
        default_factory=lambda: [[0, 0, 0] for _ in range(BUCKETS)]
    )
    returns: list[float] = dataclasses.field(default_factory=lambda: [0.0] * BUCKETS)


@dataclasses.dataclass(frozen=True)
class Alert:
    id: int
    kind: str
    rule: str
    window: int
    from_time: int
    to_time: int
    first_id: int
    last_id: int
    from_price: int
    to_price: int
    measure_ppm: int
    threshold_ppm: int


# ---- the rule ----


def _better(rule: Rule, a: int, b: int) -> bool:
    return b == 0 or (a < b if rule.kind == "surge" else a > b)


def _reach(state: State, rule: Rule, time_ns: int) -> int:
    """How many buckets have ended; -1: the trade is too old."""
    if time_ns < state.end_ns:
        return -1 if time_ns < state.begin_ns - rule.window_ns else 0
    length_ns = rule.window_ns // BUCKETS
    bucket = time_ns // length_ns
    ended = 1 if state.bucket == 0 else bucket - state.bucket
    state.bucket = bucket
    state.begin_ns = bucket * length_ns
    state.end_ns = state.begin_ns + length_ns
    state.seen += ended
    return ended


def _measure(state: State, price: int) -> int:
    far = abs(price - state.extreme[0])
    return 0 if state.extreme[0] == 0 else far * ONE_PPM // state.extreme[0]


def _square_max(state: State, rule: Rule, young: bool) -> float:
    if rule.scaled_ppm == 0:
        return math.inf
    share = rule.threshold_ppm / rule.scaled_ppm
    least = share * share / BUCKETS
    return SQUARES_MAX * (least if young else max(state.variance, least))


def _leave(state: State, rule: Rule, place: int, count: int) -> None:
    """The bucket leaves the window: now its return counts for what is usual."""
    gone = state.returns[place]
    if count > 1:
        plain = 1 / (count - 1)
        square = min(gone * gone, _square_max(state, rule, plain > FORGET))
        state.variance += max(plain, FORGET) * (square - state.variance)
    state.returns[place] = 0.0
    state.points[place] = [0, 0, 0]


def _set_threshold(state: State, rule: Rule) -> None:
    state.threshold_ppm = rule.threshold_ppm
    if rule.scaled_ppm == 0 or state.seen <= WARM_WINDOWS * BUCKETS:
        return
    scaled = math.sqrt(state.variance * BUCKETS) * rule.scaled_ppm
    if state.threshold_ppm < scaled < 1e12:
        state.threshold_ppm = int(scaled)


def _advance(state: State, rule: Rule, ended: int) -> None:
    last = (state.bucket - ended) % BUCKETS
    if state.before != 0 and state.last != 0:
        state.returns[last] = (state.last - state.before) / state.before
    state.before = state.last
    for i in range(min(ended, LEAVING_MAX) - 1, -1, -1):
        _leave(state, rule, (state.bucket - i) % BUCKETS, state.seen - i - BUCKETS)
    state.extreme = [0, 0, 0]
    for point in state.points:
        if point[0] != 0 and _better(rule, point[0], state.extreme[0]):
            state.extreme = list(point)
    _set_threshold(state, rule)
    cooled = state.fired_ns != 0 and state.begin_ns - state.fired_ns >= rule.cooldown_ns
    if cooled and _measure(state, state.last) < state.threshold_ppm // 2:
        state.fired_ns = 0


def _set_trigger(state: State, rule: Rule) -> None:
    """The first price that is a move: away from the extreme by the threshold, or more."""
    away = max(-(-state.extreme[0] * state.threshold_ppm // ONE_PPM), UNITS_MIN)
    state.trigger = state.extreme[0] + (away if rule.kind == "surge" else -away)


def identity(alert: Alert, symbol: str) -> int:
    """The id of an alert: a hash of rule, symbol and evidence."""
    numbers = (KINDS[alert.kind], alert.window, alert.from_time, alert.to_time, alert.first_id,
               alert.last_id, alert.from_price, alert.to_price, alert.measure_ppm,
               alert.threshold_ppm)  # fmt: skip
    value = xxhash.xxh3_64_intdigest(alert.rule.encode())
    value = xxhash.xxh3_64_intdigest(symbol.encode(), seed=value)
    return xxhash.xxh3_64_intdigest(struct.pack("<10q", *numbers), seed=value) >> 1


def _fire(state: State, rule: Rule, symbol: str, time_ns: int, number: int, price: int) -> Alert:
    state.fired_ns = time_ns
    extreme = state.extreme
    alert = Alert(
        id=0, kind=rule.kind, rule=rule.name, window=rule.window_ns, from_time=extreme[1],
        to_time=time_ns, first_id=extreme[2], last_id=number, from_price=extreme[0],
        to_price=price, measure_ppm=_measure(state, price), threshold_ppm=state.threshold_ppm,
    )  # fmt: skip
    return dataclasses.replace(alert, id=identity(alert, symbol))


def trade(
    state: State, rule: Rule, symbol: str, time_ns: int, number: int, price: int
) -> Optional[Alert]:
    """The next trade of the symbol in the order of the tape; the alert that it raises."""
    ended = _reach(state, rule, time_ns)
    if ended < 0:
        return None
    if ended > 0:
        _advance(state, rule, ended)
    place = state.bucket % BUCKETS
    if _better(rule, price, state.points[place][0]):
        state.points[place] = [price, time_ns, number]
    if ended > 0 or _better(rule, price, state.extreme[0]):
        if _better(rule, price, state.extreme[0]):
            state.extreme = list(state.points[place])
        _set_trigger(state, rule)
    state.last = price
    crossed = price >= state.trigger if rule.kind == "surge" else price <= state.trigger
    if crossed and state.fired_ns == 0:
        return _fire(state, rule, symbol, time_ns, number, price)
    return None


# ---- a symbol ----


class Symbol:
    """All rules of a symbol, and the ids of a window: a trade that Kafka delivers again is passed
    over, and one that is older than the window would be anyway."""

    def __init__(self, name: str, rules: list[Rule], saved: Optional[str] = None) -> None:
        self.name = name
        self.rules = [rule for rule in rules if matches(rule, name)]
        kept = json.loads(saved) if saved else {"states": {}, "ids": []}
        # A rule that was changed begins anew, as it does in the recorder.
        self.states = {repr(r): State(**kept["states"].get(repr(r), {})) for r in self.rules}
        self.ids: dict[int, int] = {number: time_ns for number, time_ns in kept["ids"]}
        self.newest_ns = max(self.ids.values(), default=0)

    def save(self) -> str:
        oldest_ns = self.newest_ns - 2 * max((rule.window_ns for rule in self.rules), default=0)
        ids = [(number, time_ns) for number, time_ns in self.ids.items() if time_ns >= oldest_ns]
        states = {name: dataclasses.asdict(state) for name, state in self.states.items()}
        return json.dumps({"states": states, "ids": ids})

    def trade(self, time_ns: int, number: int, price: int) -> list[Alert]:
        if number in self.ids:
            return []
        self.ids[number] = time_ns
        self.newest_ns = max(self.newest_ns, time_ns)
        found = (trade(self.states[repr(rule)], rule, self.name, time_ns, number, price)
                 for rule in self.rules)  # fmt: skip
        return [alert for alert in found if alert is not None]
