# SPDX-License-Identifier: GPL-3.0-or-later
"""What every benchmark prints: a figure is a line of JSON on standard output, a limit one more for
people."""

import json
import os
import sys


def emit(bench, metric, value, case=None, unit=None, spread=None, peer=None):
    line = {"bench": bench}
    if case is not None:
        line |= {"case": case}
    line |= {"metric": metric, "value": value}
    if case is not None:
        line |= {"unit": unit, "spread": spread, "peer": peer}
    print(json.dumps(line), flush=True)


def limit(bench, what, met, figure):
    """One limit, for people and as a line."""
    print(f"limit: {what}: {'met' if met else 'MISSED'} ({figure})", file=sys.stderr, flush=True)
    emit(bench, "limit", met, what, "met")
    return met


def load():
    return round(os.getloadavg()[0], 2)
