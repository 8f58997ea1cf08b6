#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of format/ and src/ the tests reach, from a tracefile of llvm-cov.

    line_coverage.py TRACEFILE [--root FOLDER] [--limit PERCENT] [--least N] [--json FILE]
    line_coverage.py TRACEFILE --file src/keep/sealer.c     the lines of it that no test reaches

A source file that the tracefile does not know would make the figure better than it is: an error.
Exit code 0: the limit is reached; 1: it is not; 2: the tracefile is not whole.
"""

import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("format", "src")


def read(tracefile, root):
    """By file, as a path below the root: line number -> how often it was reached."""
    counts, lines = {}, {}
    for text in pathlib.Path(tracefile).read_text().splitlines():
        kind, _, value = text.partition(":")
        if kind == "SF":
            path = pathlib.PurePath(value)
            name = str(path.relative_to(root)) if path.is_relative_to(root) else value
            lines = counts.setdefault(name, {})
        elif kind == "DA":
            number, count = map(int, value.split(",")[:2])
            lines[number] = max(lines.get(number, 0), count)
    return {name: lines for name, lines in counts.items() if name.split("/")[0] in FOLDERS}


def sources(root):
    """All that have a function: a table alone has no lines to reach."""
    for folder in FOLDERS:
        for path in sorted((pathlib.Path(root) / folder).rglob("*.c")):
            if re.search(r"^\{", path.read_text(), re.M):
                yield str(path.relative_to(root))


def missed(lines):
    """Runs of lines that were not reached, as (first, last); lines without code part none."""
    runs, follows = [], False
    for number in sorted(lines):
        if lines[number] == 0:
            runs.append((runs.pop()[0] if follows else number, number))
        follows = lines[number] == 0
    return runs


class Sum:
    def __init__(self, files):
        self.lines = sum(len(lines) for lines in files)
        self.reached = sum(sum(count > 0 for count in lines.values()) for lines in files)
        self.percent = 100 * self.reached / self.lines if self.lines else 100.0

    def as_json(self):
        return {"lines": self.lines, "reached": self.reached, "percent": round(self.percent, 2)}

    def __str__(self):
        return f"{self.percent:6.2f} %  {self.reached:6} of {self.lines:6}"


def folders(counts):
    names = sorted({str(pathlib.PurePath(name).parent) for name in counts})
    return {
        folder: Sum([lines for name, lines in counts.items()
                     if str(pathlib.PurePath(name).parent) == folder])
        for folder in names
    }  # fmt: skip


def spelled(runs):
    return " ".join(f"{first}-{last}" if first != last else f"{first}" for first, last in runs)


def show(counts, total, least):
    for folder, part in folders(counts).items():
        print(f"{part}  {folder}")
    each = {name: Sum([lines]) for name, lines in counts.items()}
    print(f"the {least} files with the most lines that are not reached:")
    worst = sorted(each, key=lambda name: (each[name].reached - each[name].lines, name))
    for name in worst[:least]:
        print(f"{each[name]}  {name}: {spelled(missed(counts[name]))[:120]}")
    print(f"{total}  lines of format and src")


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("tracefile")
    options.add_argument("--root", default=ROOT)
    options.add_argument("--limit", type=float, default=90)
    options.add_argument("--least", type=int, default=15)
    options.add_argument("--json")
    options.add_argument("--file")
    given = options.parse_args()
    counts = read(given.tracefile, given.root)
    if given.file:
        for first, last in missed(counts[given.file]):
            text = (pathlib.Path(given.root) / given.file).read_text().splitlines()
            for number in range(first, last + 1):
                print(f"{number:5} {text[number - 1]}")
            print("    -")
        return 0
    absent = [name for name in sources(given.root) if name not in counts]
    if absent or not counts:
        print(f"line_coverage: {given.tracefile} lacks {len(absent)} files: {' '.join(absent[:5])};"
              " remove zig-out/coverage and run again", file=sys.stderr)  # fmt: skip
        return 2
    total = Sum(counts.values())
    show(counts, total, given.least)
    if given.json:
        report = {
            "total": total.as_json(),
            "limit_percent": given.limit,
            "folders": {name: part.as_json() for name, part in folders(counts).items()},
            "files": {name: Sum([lines]).as_json() | {"missed": missed(lines)}
                      for name, lines in sorted(counts.items())},
        }  # fmt: skip
        pathlib.Path(given.json).write_text(json.dumps(report, indent=1) + "\n")
    return 0 if total.percent >= given.limit else 1


if __name__ == "__main__":
    sys.exit(main())
