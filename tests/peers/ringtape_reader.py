# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of ringtape stores, written from docs/format.md alone: nothing in it was taken from the
C code, so that whatever both agree on is in the document.

    for row in Store("/var/lib/ringtape").rows("trade"):
        row.symbol, row.time, row.values["price"]      # (mantissa, scale)

    python3 ringtape_reader.py STORE CHANNEL           # rows as JSON lines

Made for tests: it holds files in memory and values as Python's numbers. ringtape_bytes, _schema,
_row, _codecs, _tape and _segment are its parts."""

import json
import pathlib
import re
import sys
import time

from ringtape_bytes import Damaged, Newer, reject, xxh3
from ringtape_row import UNKNOWN
from ringtape_schema import CHANNELS, CODES
from ringtape_segment import Index, Segment
from ringtape_tape import Tape

TRIES = 64


class Line:
    """Words of one line of the catalogue, taken from the left."""

    def __init__(self, text, strict):
        self.words, self.strict = text.split(" "), strict

    def expect(self, *words):
        reject(tuple(self.words[: len(words)]) != words, f"expected {' '.join(words)}")
        self.words = self.words[len(words) :]

    def match(self, pattern):
        reject(not self.words or not re.fullmatch(pattern, self.words[0]), f"not {pattern}")
        return self.words.pop(0)

    def number(self):
        return int(self.match(r"0|[1-9][0-9]*"))

    def signed(self):
        return int(self.match(r"0|-?[1-9][0-9]*"))

    def end(self):
        reject(self.words and self.strict, "more words")


class Listed:
    """A segment of the catalogue."""

    def __init__(self, line):
        self.number = line.number()
        line.expect("channel")
        self.channel = line.match(r"[a-z_]+")
        line.expect("day")
        self.day = line.match(r"\d{4}-\d\d-\d\d")
        line.expect("rows")
        self.rows = line.number()
        line.expect("bytes")
        self.bytes = line.number()
        line.expect("time")
        self.time = (line.signed(), line.signed())
        line.expect("tapes")
        self.tapes = (line.number(), line.number())
        line.end()

    @property
    def path(self):
        return f"segment/{self.day}/{self.channel}-{self.number:08}.segment"

    def key(self):
        numbers = {channel.name: channel.number for channel in CHANNELS.values()}
        return (numbers.get(self.channel, 1 << 16), self.day, self.tapes[0], self.number)


class Catalogue:
    def __init__(self, data):
        body, tail = data[:-22], data[-22:]
        reject(not re.fullmatch(rb"xxh3 [0-9a-f]{16}\n", tail), "no hash at the end")
        reject(int(tail[5:21], 16) != xxh3(body), "hash wrong")
        reject(not body.endswith(b"\n"), "line without end")
        lines = body.decode("ascii").split("\n")[:-1]
        self._head(lines)
        self.sealed, self.segments = [], []
        for line in [Line(text, self.strict) for text in lines[5:]]:
            self._entry(line)
        self._check()

    def _head(self, lines):
        reject(len(lines) < 5, "cut")
        first = Line(lines[0], False)
        first.expect("ringtape-catalogue")
        major, minor = first.number(), first.number()
        if major != 1:
            raise Newer(f"catalogue {major}.{minor}")
        self.strict = minor == 0
        store, generation, tape, segment = [Line(text, self.strict) for text in lines[1:5]]
        store.expect("store")
        self.store = bytes.fromhex(store.match("[0-9a-f]{32}"))
        self.generation = self._named(generation, "generation")
        self.next_tape = self._named(tape, "next_tape")
        self.next_segment = self._named(segment, "next_segment")

    @staticmethod
    def _named(line, name):
        line.expect(name)
        value = line.number()
        line.end()
        return value

    def _entry(self, line):
        kind = line.words.pop(0)
        if kind == "tape":
            reject(bool(self.segments), "tape behind segments")
            self.sealed.append(line.number())
            line.expect("sealed")
            line.end()
        elif kind == "segment":
            self.segments.append(Listed(line))
        else:
            reject(self.strict, f"unknown line {kind}")

    def _check(self):
        reject(self.sealed != sorted(set(self.sealed)), "tapes out of order")
        keys = [segment.key() for segment in self.segments]
        reject(keys != sorted(keys), "segments out of order")
        numbers = [segment.number for segment in self.segments]
        reject(len(set(numbers)) != len(numbers), "a segment twice")
        reject(any(n == 0 or n >= self.next_segment for n in numbers), "number of the future")
        reject(any(n == 0 or n >= self.next_tape for n in self.sealed), "number of the future")


class Store:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        identity = (self.path / "identity").read_bytes()
        reject(not re.fullmatch(rb"[0-9a-f]{32}\n", identity), "identity damaged")
        self.identity = bytes.fromhex(identity.decode())
        self.losses = []  # (path, what)

    def catalogue(self):
        found = Catalogue((self.path / "catalogue").read_bytes())
        reject(found.store != self.identity, "catalogue of another store")
        return found

    def snapshot(self):
        """Files of one generation, open: [(listed, file)], [(number, file, mark's bytes)]."""
        for _ in range(TRIES):
            catalogue = self.catalogue()
            try:
                segments = [(s, (self.path / s.path).open("rb")) for s in catalogue.segments]
                tapes = list(self._tapes(catalogue))
            except FileNotFoundError:
                time.sleep(0.01)
                continue
            if self.catalogue().generation == catalogue.generation:
                return segments, tapes
        raise OSError("the catalogue changes faster than it can be read")

    def _tapes(self, catalogue):
        for path in sorted((self.path / "tape").glob("*.tape")):
            number = int(path.stem)
            if re.fullmatch(r"\d{8}", path.stem) and number not in catalogue.sealed:
                mark = path.with_suffix(".mark")
                yield number, path.open("rb"), mark.read_bytes() if mark.exists() else b""

    def rows(self, channel):
        """All that was durable when this was called, each row once: segments, then tapes."""
        segments, tapes = self.snapshot()
        for listed, file in segments:
            with file:
                if listed.channel == channel:
                    yield from self._segment(listed, file)
        for number, file, mark in tapes:
            with file:
                yield from self._tape(number, file, mark, channel)

    def _segment(self, listed, file):
        data = file.read()
        try:
            segment = Segment(data)
            self._owned(listed, segment)
            yield from segment.rows()
            self.losses += [(listed.path, loss) for loss in segment.losses]
        except (Damaged, Newer) as bad:
            self.losses.append((listed.path, str(bad)))

    def _owned(self, listed, segment):
        header = segment.header
        reject(header.store != self.identity, "of another store")
        reject(header.number != listed.number, "number is not the catalogue's")
        reject(segment.channel.name != listed.channel, "channel is not the catalogue's")
        day = time.strftime("%Y-%m-%d", time.gmtime(header.day * 86_400))
        reject(day != listed.day, "day is not the catalogue's")

    def _tape(self, number, file, mark, channel):
        path = f"tape/{number:08}.tape"
        try:
            tape = Tape(file.read(), mark, number)
            if tape.losses:  # Perhaps a write in progress: look once more.
                file.seek(0)
                tape = Tape(file.read(), mark, number)
            reject(tape.header and tape.header.store != self.identity, "of another store")
            reject(tape.header and tape.header.number != number, "number is not the file's")
            yield from (row for row in tape.rows() if row.channel.name == channel)
            self.losses += [(path, loss) for loss in tape.losses if loss.acknowledged]
        except (Damaged, Newer) as bad:
            self.losses.append((path, str(bad)))

    def verify(self):
        """Rows by channel; whatever is not as it should be is in `losses`."""
        counts = {channel.name: 0 for channel in CHANNELS.values()}
        for name in counts:
            counts[name] = sum(1 for _ in self.rows(name))
        for listed, file in self.snapshot()[0]:
            with file:
                self._verify(listed, file.read())
        return counts

    def _verify(self, listed, data):
        try:
            segment = Segment(data)
            self._owned(listed, segment)
            segment.verify()
            header, blocks = segment.header, segment.blocks
            told = (sum(b.header.rows for b in blocks), len(data))
            reject(told != (listed.rows, listed.bytes), "not what the catalogue tells")
            day = header.day * 86_400 * 10**9
            reject(not day <= listed.time[0] <= listed.time[1] < day + 86_400 * 10**9, "day")
            index = (self.path / listed.path).with_suffix(".index")
            Index(index.read_bytes(), segment)
        except (Damaged, Newer, FileNotFoundError) as bad:
            self.losses.append((listed.path, str(bad)))


# ---- as 'ringtape cat --json' prints it ----


def time_text(ns):
    seconds, rest = divmod(ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09}Z"


def decimal_text(mantissa, scale):
    """The shortest text of the exact value."""
    sign, digits = "-" if mantissa < 0 else "", str(abs(mantissa)).rjust(scale + 1, "0")
    whole, part = digits[: len(digits) - scale], digits[len(digits) - scale :].rstrip("0")
    return sign + whole + ("." + part if part else "")


def text_entry(name, data):
    try:
        return name, data.decode("utf-8")
    except UnicodeDecodeError:
        return name + "_hex", data.hex()


def value_entry(column, value):
    name = column.name
    if value is None or value is UNKNOWN:
        return name, None
    if column.type == "text":
        return text_entry(name, value)
    if column.type == "decimal":
        return name, decimal_text(*value)
    if column.type == "time":
        return name, time_text(value)
    if column.codes == "bool" and value in (0, 1):
        return name, bool(value)
    return name, CODES[column.codes].get(value, value) if column.codes else value


def as_json(row):
    found = {"symbol": row.symbol and row.symbol.decode(), "time": time_text(row.time)}
    found.update(value_entry(c, row.values[c.name]) for c in row.channel.columns)
    if row.channel.levels:
        found["levels"] = [
            {"side": "ask" if side else "bid", "price": decimal_text(*price),
             "quantity": decimal_text(*quantity)}
            for price, quantity, side in row.levels
        ]  # fmt: skip
    if not row.channel.identity:
        found["tape"], found["tape_row"] = row.tape, row.tape_row
    return found


if __name__ == "__main__":
    store = Store(sys.argv[1])
    for each in store.rows(sys.argv[2]):
        print(json.dumps(as_json(each), ensure_ascii=False))
    for loss in store.losses:
        print(*loss, file=sys.stderr)
