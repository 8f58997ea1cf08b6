# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels and columns: the tables of docs/format.md itself. Part of ringtape_reader.py."""

import pathlib
import re

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "format.md"
DECIMALS = {"price": 1, "quantity": 2, "volume": 3}
TYPES = {"integer": 0, "time": 1, "decimal": 2, "code": 3, "text": 4}


class Column:
    def __init__(self, number, name, kind, nullable):
        self.number, self.name, self.nullable = number, name, nullable
        self.codes = kind[5:-1] if kind.startswith("code(") else None
        self.decimal = DECIMALS.get(kind, 0)
        self.type = "decimal" if self.decimal else "code" if self.codes else kind

    def listed(self):
        """As in the column list of a segment's header."""
        return (self.number, TYPES[self.type], self.decimal, int(self.nullable), self.name)


class Channel:
    def __init__(self, name, number, levels, times, identity):
        self.name, self.number, self.levels = name, number, levels
        self.times = times  # names of columns
        self.identity = identity
        self.columns = []

    def column(self, number):
        """None: newer than the document."""
        return self.columns[number] if number < len(self.columns) else None

    def numbers(self, names):
        return [column.number for name in names for column in self.columns if column.name == name]


def words(cell):
    return [word.strip() for word in cell.split(",") if word.strip() not in ("", "none")]


def read_channels(text):
    channels = {}
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (yes|) ?\| (.*?) \| (.*?) \|$", text, re.M)
    for name, number, levels, times, identity in rows:
        found = Channel(name, int(number), levels == "yes", words(times), words(identity))
        channels[found.number] = found
    return channels


def read_columns(text, channels):
    block = re.search(r"^## Columns by number\n.*?^```\n(.*?)^```", text, re.M | re.S).group(1)
    by_name = {channel.name: channel for channel in channels.values()}
    for name, entries in re.findall(r"^(\w+)\n((?:    .*\n)+)", block, re.M):
        for entry in entries.replace("\n", " ").split(","):
            number, column, kind = entry.split()
            made = Column(int(number), column, kind.rstrip("?"), kind.endswith("?"))
            assert made.number == len(by_name[name].columns), f"{name}.{column}"
            by_name[name].columns.append(made)


def read_codes(text):
    codes = {}
    for name, values in re.findall(r"^\| (\w+) \| (0 \w+, 1 .*?) \|$", text, re.M):
        codes[name] = {int(value.split()[0]): value.split()[1] for value in values.split(", ")}
    return codes


_text = DOCUMENT.read_text(encoding="utf-8")
CHANNELS = read_channels(_text)
read_columns(_text, CHANNELS)
CODES = read_codes(_text)
