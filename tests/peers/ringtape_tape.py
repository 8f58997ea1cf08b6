# SPDX-License-Identifier: GPL-3.0-or-later
"""Tapes and marks. Part of ringtape_reader.py."""

from ringtape_bytes import Cursor, Damaged, Newer, reject, signed, xxh3
from ringtape_row import (
    LEVELS_MAX, MAJOR, SCALE_MAX, SECTOR, TEXT_MAX, Row, bitmap, magic, split_header, time_range,
)  # fmt: skip
from ringtape_schema import CHANNELS

BATCH_MAX = 64 << 20
ROWS_MAX = LEVELS_SUM_MAX = 262_144
SYMBOLS_MAX = 65_536
TEXT_SUM_MAX = 16 << 20
DIVISORS = (1, 10**3, 10**6, 10**9)


# ---- headers ----


class TapeHeader:
    def __init__(self, data):
        header, fields = split_header(data, 0, b"TAPE", SECTOR, SECTOR)
        self.store = fields.take(16)
        self.salt = fields.u64()
        self.created = fields.i64()
        self.number, self.shard = fields.u32(), fields.u32()
        self.writer = fields.take(64).rstrip(b"\0").decode()
        self.hash = int.from_bytes(header[-8:], "little")
        reject(self.salt == 0, "salt is 0")


class Mark:
    """The newer valid one of two slots; `sequence` 0 where there is none."""

    def __init__(self, data=b"", salt=None):
        self.counter = self.sequence = self.revision = self.rows = self.end = 0
        self.closed = False
        for slot in (0, 1):
            self._consider(data[slot * SECTOR : (slot + 1) * SECTOR], slot, salt)

    def _consider(self, sector, slot, salt):
        if len(sector) < SECTOR or sector[:8] != magic(b"MARK"):
            return
        fields = Cursor(sector, 8)
        major, _, size, flags = fields.u8(), fields.u8(), fields.u16(), fields.u32()
        counter, mine = fields.u64(), fields.u64()
        sequence, rows, end, revision = fields.u64(), fields.u64(), fields.u64(), fields.u32()
        good = xxh3(sector[:-8]) == int.from_bytes(sector[-8:], "little")
        if not good or major != MAJOR or size != SECTOR or mine != salt or counter % 2 != slot:
            return
        if counter > self.counter:
            self.counter, self.sequence, self.revision = counter, sequence, revision
            self.rows, self.end, self.closed = rows, end, bool(flags & 1)

    @property
    def position(self):
        return (self.sequence, self.revision)


class BatchHeader:
    def __init__(self, data, at, salt=None):
        header, f = split_header(data, at, b"BTCH", 128, SECTOR)
        self.bytes = len(header)
        self.salt, self.sequence = f.u64(), f.u64()
        self.revision, self.rows, self.payload_bytes, self.symbols = [f.u32() for _ in range(4)]
        self.durable = (f.u64(), f.u32())
        self.flags, self.channels = f.u16(), f.u16()
        self.time = (f.i64(), f.i64())
        self.receive_time = (f.i64(), f.i64())
        self.first_row, self.previous_hash, self.payload_hash = f.u64(), f.u64(), f.u64()
        self.hash = int.from_bytes(header[-8:], "little")
        self.slotted = bool(self.flags & 1)
        reject(self.salt == 0 or salt not in (None, self.salt), "salt of another tape")
        self._check()

    def _check(self):
        size = self.bytes + self.payload_bytes
        reject(self.sequence == 0, "sequence 0")
        reject(self.flags & ~1, "unknown flags")
        reject(self.slotted != (size <= SECTOR), "slotted by mistake")
        reject(self.revision and not self.slotted, "revision of what has none")
        reject(not 1 <= self.rows <= ROWS_MAX, "rows out of range")
        reject(size > BATCH_MAX, "larger than a batch may be")
        reject(self.symbols > min(self.rows, SYMBOLS_MAX), "more symbols than rows")
        reject(self.durable[0] > self.sequence, "durable before it was written")
        reject(self.channels == 0, "no channel")
        reject(self.time[0] > self.time[1], "time range")


# ---- one batch ----


def stream(cursor, count):
    kind = cursor.u8()
    width, divisor = kind & 15, DIVISORS[kind >> 4 & 3]
    reject(kind >> 6 or width > 9, "stream of an unknown kind")
    base = cursor.zigzag()
    if width == 9:
        data = cursor.packed(count, 1)
    else:
        data = [cursor.unsigned(width) if width else 0 for _ in range(count)]
    return [signed(base + each * divisor) for each in data]


def scales(cursor, count):
    each = cursor.u8()
    reject(each > 1, "scales of an unknown kind")
    found = list(cursor.take(count)) if each else [cursor.u8()] * count
    reject(any(scale > SCALE_MAX for scale in found), "scale above 18")
    return found


def decimals(cursor, count):
    places = scales(cursor, count)
    return list(zip(stream(cursor, count), places))


class Section:
    """Head and bytes of one channel's rows; `rows()` decodes them."""

    def __init__(self, cursor):
        start = cursor.at
        self.channel, self.columns, self.flags = cursor.u8(), cursor.u8(), cursor.u8()
        cursor.u8()
        self.count, self.levels, self.text_bytes, size = [cursor.u32() for _ in range(4)]
        reject(self.count == 0 or self.levels > LEVELS_SUM_MAX, "section's counts")
        reject(self.text_bytes > TEXT_SUM_MAX or self.flags & ~1, "section's head")
        reject(size < 20, "section shorter than its head")
        self.data = cursor.take(size - (cursor.at - start))
        self.text_found = 0

    def rows(self, symbols):
        channel = CHANNELS[self.channel]
        reject(channel.levels != bool(self.flags & 1), "levels by mistake")
        cursor = Cursor(self.data)
        numbers = stream(cursor, self.count)
        reject(any(not 0 <= number <= len(symbols) for number in numbers), "symbol without name")
        names = [None, *symbols]
        rows = [Row(channel, names[number]) for number in numbers]
        last = -1
        for _ in range(self.columns):
            last = self._column(cursor, channel, rows, last)
        if channel.levels:
            self._levels(cursor, rows)
        cursor.end("a section")
        reject(self.text_found != self.text_bytes, "section's text bytes")
        return rows

    def _column(self, cursor, channel, rows, last):
        number, form = cursor.u8(), cursor.u8()
        reject(number <= last, "columns out of order")
        reject(form & ~7 or form & 6 == 6, "form impossible")
        column = channel.column(number)
        if column:
            kind = 2 if column.type == "decimal" else 4 if column.type == "text" else 0
            reject(form & 6 != kind, "form of another type")
        if form & 1:
            present = bitmap(cursor.take((len(rows) + 7) // 8), len(rows))
            rows = [row for row, has in zip(rows, present) if has]
            reject(not rows, "column without values")
        values = self._values(cursor, form, len(rows))
        for row, value in zip(rows, values) if column else ():
            row.values[column.name] = value
        return number

    def _values(self, cursor, form, count):
        if form & 4:
            return self._texts(cursor, count)
        return decimals(cursor, count) if form & 2 else stream(cursor, count)

    def _texts(self, cursor, count):
        lengths = stream(cursor, count)
        reject(any(not 0 <= length <= TEXT_MAX for length in lengths), "text too long")
        self.text_found += sum(lengths)
        reject(self.text_found > self.text_bytes, "section's text bytes")
        same = cursor.u8()
        reject(same > 1, "texts of an unknown kind")
        if not same:
            return [bytes(cursor.take(length)) for length in lengths]
        reject(len(set(lengths)) != 1, "equal texts of different lengths")
        return [bytes(cursor.take(lengths[0]))] * count

    def _levels(self, cursor, rows):
        counts = stream(cursor, len(rows))
        reject(any(not 0 <= count <= LEVELS_MAX for count in counts), "levels of a row")
        reject(sum(counts) != self.levels, "section's levels")
        if not self.levels:
            return
        prices, quantities = decimals(cursor, self.levels), decimals(cursor, self.levels)
        levels = iter(list(zip(prices, quantities, cursor.packed(self.levels, 1))))
        for row, count in zip(rows, counts):
            row.levels = [next(levels) for _ in range(count)]


class Batch:
    """A batch whose hashes and outline are good."""

    def __init__(self, data, at, salt=None):
        self.header = header = BatchHeader(data, at, salt)
        payload = bytes(data[at + header.bytes : at + header.bytes + header.payload_bytes])
        reject(len(payload) != header.payload_bytes, "too short")
        reject(xxh3(payload) != header.payload_hash, "payload hash wrong")
        self.place = at - SECTOR * (header.revision % 2)
        self.size = header.bytes + len(payload)
        self._outline(Cursor(payload))

    def _outline(self, cursor):
        header = self.header
        self.symbols = cursor.names(header.symbols)
        reject(b"" in self.symbols, "symbol without name")
        channels = [channel for channel in range(16) if header.channels >> channel & 1]
        self.order = [0] * header.rows
        if len(channels) > 1:
            width = 1 if len(channels) == 2 else 2 if len(channels) <= 4 else 4
            self.order = cursor.packed(header.rows, width)
        self.sections = [Section(cursor) for _ in channels]
        cursor.end("the sections")
        reject([s.channel for s in self.sections] != channels, "sections of other channels")
        for index, section in enumerate(self.sections):
            reject(self.order.count(index) != section.count, "order and sections disagree")
        reject(sum(s.count for s in self.sections) != header.rows, "rows of the sections")

    def behind(self):
        """Where the next batch begins."""
        return self.place + (2 if self.header.slotted else -(-self.size // SECTOR)) * SECTOR

    def rows(self, tape_number=None):
        """In order of arrival; those of channels that the document does not list are left out."""
        decoded = [iter(s.rows(self.symbols)) if s.channel in CHANNELS else None
                   for s in self.sections]  # fmt: skip
        found = []
        for number, index in enumerate(self.order):
            if decoded[index] is None:
                continue
            row = next(decoded[index])
            row.tape, row.tape_row = tape_number, self.header.first_row + number
            found.append(row)
        self._ranges(found)
        return found

    def _ranges(self, rows):
        if len(rows) != self.header.rows:
            return
        reject(time_range(rows) != self.header.time, "time range is not that of the rows")
        times = [row.values["receive_time"] for row in rows]
        times = [time for time in times if time is not None]
        told = self.header.receive_time
        reject(bool(times) != (told[0] <= told[1]), "receive time range")
        reject(times and (min(times), max(times)) != told, "receive time range")


# ---- the tape ----


class Loss:
    """Rows that are not there. `acknowledged`: damage; else part of a write that was cut off."""

    def __init__(self, reason, at, rows=0, acknowledged=True, first=0, last=0):
        self.reason, self.at, self.rows, self.acknowledged = reason, at, rows, acknowledged
        self.first, self.last = first, last  # batches

    def __repr__(self):
        return f"{self.reason} at {self.at}: {self.rows} rows, batches {self.first}-{self.last}"


class Tape:
    """Reads a tape from its bytes and those of its mark file: `batches`, `losses`."""

    def __init__(self, data, mark=b"", number=None):
        self.data, self.batches, self.losses, self.header = data, [], [], None
        self.number = number
        expected = self._start()
        self.mark = Mark(mark, self.salt)
        if self.salt is not None:
            self._read(expected)
        elif any(data[SECTOR : 2 * SECTOR]) or has_rows(mark):
            raise Damaged(self.losses[0].reason)
        else:
            self.losses = []  # a crash cut off its creation

    def _start(self):
        """Salt and the hash that the first batch is chained to."""
        self.salt = None
        try:
            self.header = TapeHeader(self.data)
        except Damaged as bad:
            self.losses.append(Loss(f"file header: {bad}", 0))
        first = self._at(SECTOR, 1, any_salt=True)
        if self._misplaced(first):
            self.header = None
            self.losses.append(Loss("file header: of another tape", 0))
        if self.header:
            self.salt = self.header.salt
            return self.header.hash
        if first:
            self.salt = first.header.salt
        return first and first.header.previous_hash

    def _misplaced(self, first):
        """A good header of another tape, and not all of that one behind it."""
        if not self.header or self.number in (None, self.header.number):
            return False
        return not first or first.header.salt != self.header.salt

    def _batch(self, at, any_salt=False):
        try:
            return Batch(self.data, at, None if any_salt else self.salt)
        except Damaged:
            return None

    def _at(self, place, sequence, any_salt=False):
        """The highest revision of batch `sequence` at its place."""
        found = None
        for at in (place, place + SECTOR):
            batch = self._batch(at, any_salt)
            if batch and batch.place == place and batch.header.sequence == sequence:
                if not self._beyond(batch) and (not found or batch_newer(batch, found)):
                    found = batch
        return found

    def _beyond(self, batch):
        """Behind the end that a closing mark tells: a write that failed."""
        mark = getattr(self, "mark", None)
        position = (batch.header.sequence, batch.header.revision)
        return bool(mark) and mark.closed and position > mark.position

    def _later(self, place, sequence):
        """The first batch from `place` on that comes after `sequence`."""
        at = self.data.find(magic(b"BTCH"), place)
        while at >= 0:
            batch = self._batch(at) if at % SECTOR == 0 else None
            if batch and batch.header.sequence > sequence and batch.place >= place:
                if not self._beyond(batch):
                    return self._at(batch.place, batch.header.sequence)
            at = self.data.find(magic(b"BTCH"), at + 8)
        return None

    def _read(self, expected):
        place, sequence, rows = SECTOR, 0, 0
        while True:
            batch = self._at(place, sequence + 1) or self._later(place, sequence)
            if batch is None:
                break
            self._missing(batch, place, sequence, rows, expected)
            self.batches.append(batch)
            header = batch.header
            place, sequence, rows = batch.behind(), header.sequence, header.first_row + header.rows
            expected = header.hash
        self._missing_end(place, sequence, rows)
        durable = max([self.mark.position] + [batch.header.durable for batch in self.batches])
        for loss in self.losses[self.header is None :]:
            loss.acknowledged = loss.since <= durable

    def _lose(self, reason, at, rows, first, last, since):
        self.losses.append(Loss(reason, at, rows, True, first, last))
        self.losses[-1].since = since  # first position whose durability makes it damage

    def _missing(self, batch, place, sequence, rows, expected):
        header = batch.header
        if header.sequence > sequence + 1:
            self._lose("batches lost", place, header.first_row - rows, sequence + 1,
                       header.sequence - 1, (sequence + 1, 0))  # fmt: skip
        elif header.previous_hash != expected:
            last = self.batches[-1].header if self.batches else None
            since = (sequence, last.revision + 1) if last else (1, 0)
            self._lose("a revision lost", place, header.first_row - rows, sequence, sequence, since)

    def _missing_end(self, place, sequence, rows):
        last = self.batches[-1].header.revision if self.batches else 0
        if self.mark.position > (sequence, last):
            self._lose("the end is lost", place, self.mark.rows - rows, sequence + 1,
                       self.mark.sequence, (0, 0))  # fmt: skip

    def rows(self):
        """All rows in order of arrival. A batch whose content is impossible becomes a loss."""
        for batch in self.batches:
            try:
                yield from batch.rows(self.number)
            except (Damaged, Newer) as bad:
                header = batch.header
                self.losses.append(
                    Loss(str(bad), batch.place, header.rows, True, header.sequence, header.sequence)
                )


def batch_newer(batch, other):
    return batch.header.revision > other.header.revision


def has_rows(mark):
    """Whether any slot tells of rows, whatever its salt."""
    for slot in (0, 1):
        sector = mark[slot * SECTOR : (slot + 1) * SECTOR]
        salt = int.from_bytes(sector[24:32], "little")
        if Mark(bytes(slot * SECTOR) + sector, salt).rows or Mark(sector, salt).rows:
            return True
    return False
