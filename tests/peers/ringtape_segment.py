# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments and their indexes. Part of ringtape_reader.py."""

import ringtape_codecs as codecs
from ringtape_bytes import U64, Cursor, Damaged, Newer, UnknownCodec, reject, unzstd, xxh3
from ringtape_row import (
    LEVELS_MAX, MAJOR, SCALE_MAX, TEXT_MAX, UNKNOWN, Row, bitmap, magic, split_header, time_range,
)  # fmt: skip
from ringtape_schema import CHANNELS

ROWS_MAX, LEVELS_SUM_MAX, TEXT_SUM_MAX = 8192, 131_072, 8 << 20
PAYLOAD_MAX, DIRECTORY_MAX, HEADER_MAX = (32 << 20) - 4096, 80, 4096
SYMBOL, TAPE, TAPE_ROW, LEVEL_COUNT, PRICES, QUANTITIES, SIDES = range(64, 71)
PRICE_SCALES, QUANTITY_SCALES, TEXTS = 71, 72, 96
PRICE_OF = {"trade": "price", "agg_trade": "price", "quote": "bid_price", "kline": "close",
            "ticker": "last_price"}  # fmt: skip
NONE = (None, None)


class SegmentHeader:
    def __init__(self, data):
        header, f = split_header(data, 0, b"SEGM", 144, 8192)
        self.bytes, self.hash = len(header), int.from_bytes(header[-8:], "little")
        self.store, self.salt, self.created = f.take(16), f.u64(), f.i64()
        self.number, self.day = f.u32(), f.i32()
        self.channel, count = f.u8(), f.u8()
        f.take(6)
        schema_hash = f.u64()
        self.writer = f.take(64).rstrip(b"\0").decode()
        start = f.at
        self.columns = []
        for _ in range(count):
            number, kind, decimal, flags, length = [f.u8() for _ in range(5)]
            name = bytes(f.take(length)).decode()
            self.columns.append((number, kind, decimal, flags & 1, name))
        reject(f.at > len(header) - 8, "column list over the header's end")
        reject(xxh3(header[start : f.at]) != schema_hash, "hash of the column list")
        reject(self.salt == 0, "salt is 0")
        self._known()

    def _known(self):
        channel = CHANNELS.get(self.channel)
        for listed in self.columns if channel else ():
            column = channel.column(listed[0])
            reject(column and column.listed()[:3] != listed[:3], "column of another type")


class BlockHeader:
    def __init__(self, data, at, salt):
        header, f = split_header(data, at, b"BLCK", 128, HEADER_MAX)
        self.bytes, self.hash = len(header), int.from_bytes(header[-8:], "little")
        reject(f.u64() != salt, "salt of another segment")
        self.number, self.rows, self.levels, self.text_bytes = [f.u32() for _ in range(4)]
        self.payload_bytes, self.symbol = f.u32(), f.u32()
        self.channel, self.columns, self.flags, self.price_scale = [f.u8() for _ in range(4)]
        self.symbols = f.u32()
        self.time, self.id, self.price = [(f.i64(), f.i64()) for _ in range(3)]
        self.previous_hash, self.payload_hash = f.u64(), f.u64()
        self.shared = bool(self.flags & 1)
        self.size = self.bytes + self.payload_bytes
        self._check()

    def _check(self):
        reject(not 1 <= self.rows <= ROWS_MAX, "rows out of range")
        reject(self.levels > LEVELS_SUM_MAX or self.text_bytes > TEXT_SUM_MAX, "too large")
        reject(self.payload_bytes > PAYLOAD_MAX, "payload too large")
        reject(self.columns > DIRECTORY_MAX, "directory too long")
        reject(self.flags & ~1, "unknown flags")
        reject(not 1 <= self.symbols <= self.rows, "symbols out of range")
        reject(self.shared != (self.symbols > 1), "shared by mistake")
        reject(self.time[0] > self.time[1], "time range")


class Entry:
    """Of a block's column directory, with the column's bytes."""

    def __init__(self, cursor):
        self.id, self.codec, self.presence, self.scale = [cursor.u8() for _ in range(4)]
        self.size = cursor.u32()
        reject(self.scale > SCALE_MAX or self.presence > 2, "directory entry")
        reject(self.presence and self.id > 63, "presence of what is always there")


class ColumnContext:
    """A column in its block, for codecs that need others: whatever they may refer to."""

    def __init__(self, block, number):
        self.block, self.number = block, number
        self.is_level = PRICES <= number <= QUANTITY_SCALES

    def column(self, number):
        """Values of another column, one a row (resp. a level)."""
        block = self.block
        entry = block.by_id.get(number)
        reject(block.by_id[self.number].presence, "reference from a column without all values")
        reject(entry is None, "reference to a column that is not there")
        if self.is_level:
            reject(number not in (PRICES, QUANTITIES, SIDES), "reference to another kind")
            return block.special(number, block.header.levels)
        column = block.channel.column(number) if number < 64 else None
        known = number == SYMBOL or (column and column.type != "text")
        reject(not known or entry.presence != 0, "reference to another kind")
        return block.special(number, block.header.rows)

    def row(self, level):
        """Number of the level's row."""
        return self.block.level_rows()[level]


class Block:
    def __init__(self, data, at, salt, channel):
        self.header = header = BlockHeader(data, at, salt)
        self.at, self.channel = at, channel
        payload = bytes(data[at + header.bytes : at + header.size])
        reject(len(payload) != header.payload_bytes, "too short")
        reject(xxh3(payload) != header.payload_hash, "payload hash wrong")
        reject(header.channel != channel.number, "block of another channel")
        cursor = Cursor(payload)
        self.names = cursor.names(header.symbols)
        self.entries = [Entry(cursor) for _ in range(header.columns)]
        ids = [entry.id for entry in self.entries]
        reject(ids != sorted(set(ids)), "columns out of order")
        for entry in self.entries:
            entry.data = cursor.take(entry.size)
        cursor.end("the columns")
        self.by_id = {entry.id: entry for entry in self.entries}
        self.decoded, self.rows_of_levels = {}, None

    # -- columns --

    def special(self, number, count):
        """Values of a column that has one for each of `count`; decoded once."""
        entry = self.by_id.get(number)
        reject(entry is None, f"column {number} is missing")
        if number not in self.decoded:
            self.decoded[number] = None
            self.decoded[number] = self._integers(entry, entry.data, count)
        reject(self.decoded[number] is None, "columns refer to each other in a circle")
        return self.decoded[number]

    def _integers(self, entry, data, count):
        return codecs.integers(entry.codec, data, count, ColumnContext(self, entry.id))

    def level_rows(self):
        if self.rows_of_levels is None:
            counts = self._level_counts()
            self.rows_of_levels = [row for row, n in enumerate(counts) for _ in range(n)]
        return self.rows_of_levels

    def _level_counts(self):
        counts = self.special(LEVEL_COUNT, self.header.rows)
        reject(any(not 0 <= count <= LEVELS_MAX for count in counts), "levels of a row")
        reject(sum(counts) != self.header.levels, "levels of the block")
        return counts

    def _present(self, entry):
        """Which rows have a value; and the bytes of the values."""
        rows, cursor = self.header.rows, Cursor(entry.data)
        size = (rows + 7) // 8
        if entry.presence == 0:
            return [True] * rows, entry.data
        packed = cursor.take(size) if entry.presence == 1 else unzstd(
            cursor.take(cursor.varint()), size
        )  # fmt: skip
        present = bitmap(packed, rows)
        reject(not any(present), "column without values")
        return present, entry.data[cursor.at :]

    def _column(self, entry, column, rows):
        present, data = self._present(entry)
        rows = [row for row, has in zip(rows, present) if has]
        try:
            whole = entry.presence == 0
            values = (
                self.special(entry.id, len(rows)) if whole
                else self._integers(entry, data, len(rows))
            )  # fmt: skip
            if column.type == "text":
                values = self._texts(column, values)
        except UnknownCodec:
            values = [UNKNOWN] * len(rows)
        if column.type == "decimal":
            values = [v if v is UNKNOWN else (v, entry.scale) for v in values]
        for row, value in zip(rows, values):
            row.values[column.name] = value

    def _texts(self, column, lengths):
        reject(any(not 0 <= length <= TEXT_MAX for length in lengths), "text too long")
        total = sum(lengths)
        self.text_found += total
        reject(self.text_found > self.header.text_bytes, "more text than the header tells")
        entry = self.by_id.get(TEXTS + column.number)
        reject(entry is None and total, "texts are missing")
        cursor = Cursor(codecs.text(entry.codec, entry.data, total) if entry else b"")
        return [cursor.take(length) for length in lengths]

    def _levels(self, rows):
        header = self.header
        try:
            counts = self._level_counts()
            levels = iter(self._level_list() if header.levels else [])
        except UnknownCodec:
            for row in rows:
                row.levels = UNKNOWN
            return
        for row, count in zip(rows, counts):
            row.levels = [next(levels) for _ in range(count)]

    def _level_list(self):
        count = self.header.levels
        sides = self.special(SIDES, count)
        reject(any(side not in (0, 1) for side in sides), "side of a level")
        return list(zip(self._level_decimals(PRICES, PRICE_SCALES),
                        self._level_decimals(QUANTITIES, QUANTITY_SCALES), sides))  # fmt: skip

    def _level_decimals(self, values, scales):
        count = self.header.levels
        found = self.special(values, count)
        places = [self.by_id[values].scale] * count
        if scales in self.by_id:
            places = self.special(scales, count)
            reject(any(not 0 <= place <= SCALE_MAX for place in places), "scale above 18")
        return list(zip(found, places))

    # -- rows --

    def rows(self):
        """In their order. An unknown codec of what the rows hang on makes the block Newer."""
        try:
            return self._rows()
        except UnknownCodec as unknown:
            raise Newer(str(unknown)) from unknown

    def _rows(self):
        channel, header = self.channel, self.header
        self.text_found = 0
        rows = [Row(channel, self.names[number] or None) for number in self._symbols()]
        self._provenance(rows)
        for column in channel.columns:
            if column.number in self.by_id:
                self._column(self.by_id[column.number], column, rows)
        reject(channel.levels != (LEVEL_COUNT in self.by_id), "levels by mistake")
        if channel.levels:
            self._levels(rows)
        reject(not channel.levels and header.levels, "levels by mistake")
        self._ranges(rows)
        return rows

    def _symbols(self):
        header = self.header
        reject(header.shared != (SYMBOL in self.by_id), "symbols by mistake")
        if not header.shared:
            return [0] * header.rows
        numbers = self.special(SYMBOL, header.rows)
        reject(any(not 0 <= number < header.symbols for number in numbers), "symbol without name")
        reject(numbers != sorted(numbers), "symbols out of order")
        return numbers

    def _provenance(self, rows):
        wanted = not self.channel.identity
        for number in (TAPE, TAPE_ROW):
            reject(wanted != (number in self.by_id), "provenance by mistake")
        if not wanted:
            return
        tapes, numbers = self.special(TAPE, len(rows)), self.special(TAPE_ROW, len(rows))
        for row, tape, number in zip(rows, tapes, numbers):
            reject(not 0 <= tape < 1 << 32, "tape number")
            row.tape, row.tape_row = tape, number & U64

    def _ranges(self, rows):
        header, known = self.header, all(n != UNKNOWN for row in rows for n in row.values.values())
        times = time_range(rows)
        reject(times and times != header.time, "time range is not that of the rows")
        if known:
            told = header.id if header.id[0] <= header.id[1] else NONE
            reject(told != self._ids(rows), "id range is not that of the rows")
            told = header.price if header.price[0] <= header.price[1] else NONE
            reject(told != self._prices(rows), "price range is not that of the rows")
            reject(self.text_found != header.text_bytes, "text bytes")

    def _ids(self, rows):
        names = self.channel.identity
        types = {column.name: column.type for column in self.channel.columns}
        if not names or any(types[name] != "integer" for name in (names[0], names[-1])):
            return NONE
        ids = [(r.values[names[0]], r.values[names[-1]]) for r in rows]
        ids = [pair for pair in ids if None not in pair]
        return (min(i[0] for i in ids), max(i[1] for i in ids)) if ids else NONE

    def _prices(self, rows):
        name = PRICE_OF.get(self.channel.name)
        values = [row.values[name] for row in rows if name and row.values[name] is not None]
        scale = self.header.price_scale
        reject(any(value[1] != scale for value in values), "price scale is not that of the rows")
        return (min(v[0] for v in values), max(v[0] for v in values)) if values else NONE


class Footer:
    def __init__(self, data, salt):
        tail = Cursor(bytes(data[-64:]))
        reject(tail.left() < 64, "too short")
        offset, size, footer_hash, self.file_hash, mine = [tail.u64() for _ in range(5)]
        major, _, length, required = tail.u8(), tail.u8(), tail.u16(), tail.u16()
        tail.u16()
        reject(tail.u64() != xxh3(tail.data[:48]) or length != 64, "postscript damaged")
        reject(bytes(tail.take(8)) != magic(b"FOOT"), "postscript damaged")
        if major != MAJOR or required:
            raise Newer("footer")
        reject(mine != salt, "postscript of another segment")
        reject(offset + size + 64 != len(data), "footer is not in front of the postscript")
        footer = bytes(data[offset : offset + size])
        reject(xxh3(footer) != footer_hash, "footer hash wrong")
        self.offset, self.size, self.hash = offset, size, footer_hash
        self._read(Cursor(footer))

    def _read(self, cursor):
        reject(cursor.take(8) != magic(b"FOOT"), "no magic of the footer")
        symbols, blocks = cursor.u32(), cursor.u32()
        self.symbols = [self._symbol(cursor) for _ in range(symbols)]
        self.blocks = [(cursor.u32(), cursor.u32(), cursor.u64()) for _ in range(blocks)]
        cursor.end("the footer")

    @staticmethod
    def _symbol(cursor):
        rows, time, blocks = cursor.varint(), None, (0, 0)
        if rows:
            first = cursor.zigzag()
            time = (first, first + cursor.varint())
            blocks = (cursor.varint(), cursor.varint())
        return bytes(cursor.take(cursor.u8())), rows, time, blocks


class Segment:
    """`blocks` that are good and `losses` as (offset, reason); `footer` None where damaged."""

    def __init__(self, data):
        self.data = data
        self.header = SegmentHeader(data)
        if self.header.channel not in CHANNELS:
            raise Newer(f"channel {self.header.channel}")
        self.channel = CHANNELS[self.header.channel]
        self.blocks, self.losses, self.footer = [], [], None
        try:
            self.footer = Footer(data, self.header.salt)
        except Damaged as bad:
            self.losses.append((None, f"footer: {bad}"))
        self._listed() if self.footer else self._walk()

    def _block(self, at):
        return Block(self.data, at, self.header.salt, self.channel)

    def _listed(self):
        at, previous = self.header.bytes, self.header.hash
        for number, (size, rows, told) in enumerate(self.footer.blocks):
            try:
                block = self._block(at)
                header = block.header
                reject(header.hash != told or header.size != size, "not the block of the footer")
                reject(header.rows != rows or header.number != number, "not the footer's block")
                reject(header.previous_hash != previous, "not chained to the block before")
                self.blocks.append(block)
            except (Damaged, Newer) as bad:
                self.losses.append((at, str(bad)))
            at, previous = at + size, told
        reject(at != self.footer.offset, "the footer is not behind the last block")

    def _walk(self):
        at, end = self.header.bytes, len(self.data)
        while at < end:
            try:
                self.blocks.append(self._block(at))
                at += self.blocks[-1].header.size
            except (Damaged, Newer) as bad:
                following = self._next_header(at + 1)
                if following is None:
                    break  # The footer; or nothing that can be read.
                self.losses.append((at, str(bad)))
                at = following

    def _next_header(self, at):
        while (at := self.data.find(magic(b"BLCK"), at)) >= 0:
            try:
                BlockHeader(self.data, at, self.header.salt)
                return at
            except (Damaged, Newer):
                at += 1
        return None

    def rows(self):
        for block in self.blocks:
            try:
                yield from block.rows()
            except (Damaged, Newer) as bad:
                self.losses.append((block.at, str(bad)))

    def verify(self):
        """What reading alone does not need: the hash of the file, the footer's symbols."""
        reject(self.footer is None, "footer damaged")
        reject(xxh3(self.data[: self.footer.offset]) != self.footer.file_hash, "file hash wrong")
        found = {}
        for number, block in enumerate(self.blocks):
            for row in block.rows():
                found.setdefault(row.symbol or b"", []).append((row.time, number))
        listed = [symbol for symbol in self.footer.symbols if symbol[1]]
        reject([s[0] for s in listed] != list(found), "symbols of the footer")
        for name, rows, time, blocks in listed:
            times, numbers = zip(*found[name])
            reject(rows != len(times), "a symbol's rows")
            reject((min(times), max(times)) != time, "a symbol's times")
            reject((numbers[0], numbers[-1] - numbers[0] + 1) != blocks, "a symbol's blocks")


class Index:
    """Checked against the segment it is of; Damaged: it has to be made anew."""

    def __init__(self, data, segment):
        header, f = split_header(data, 0, b"INDX", 128, 128)
        self.salt, self.file_bytes, self.footer_hash = f.u64(), f.u64(), f.u64()
        self.number, self.day, self.channel = f.u32(), f.i32(), f.u32()
        blocks, symbols, name_bytes = f.u32(), f.u32(), f.u32()
        self.rows, self.time, body_bytes, body_hash = f.u64(), (f.i64(), f.i64()), f.u64(), f.u64()
        body = Cursor(bytes(data[128:]))
        size = blocks * 128 + symbols * 64 + (name_bytes + 7) // 8 * 8
        reject(body_bytes != size or len(body.data) != size, "size of the index")
        reject(xxh3(body.data) != body_hash, "hash of the index")
        self.blocks = [self._block(body) for _ in range(blocks)]
        self.zones = [self._zone(body) for _ in range(blocks)]
        symbols = [self._symbol(body) for _ in range(symbols)]
        names = body.take(name_bytes)
        self.symbols = [(names[at : at + n], *rest) for *rest, at, n in symbols]
        self._fits(segment)

    @staticmethod
    def _block(b):
        return (b.u64(), b.u32(), b.u32(), b.u32(), b.u32(), (b.i64(), b.i64()),
                (b.i64(), b.i64()), b.u64())  # fmt: skip

    @staticmethod
    def _zone(b):
        zone = (b.i64(), b.i64()), b.u8(), b.take(3), b.u32(), b.take(40)
        return zone[0], zone[1], zone[3]

    @staticmethod
    def _symbol(b):
        entry = b.u64(), (b.i64(), b.i64()), (b.u32(), b.u32()), b.u32(), b.u32()
        b.take(24)
        return entry

    def _fits(self, segment):
        footer = segment.footer
        told = (self.salt, self.file_bytes, self.footer_hash)
        reject(told != (segment.header.salt, len(segment.data), footer.hash if footer else 0),
               "index of another segment")  # fmt: skip
        for block, entry, zone in zip(segment.blocks, self.blocks, self.zones):
            h = block.header
            symbol = 0xFFFFFFFE if h.shared else h.symbol
            reject(entry != (block.at, h.size, h.rows, symbol, h.levels, h.time, h.id, h.hash),
                   "entry of a block")  # fmt: skip
            reject(zone != (h.price, h.price_scale, h.text_bytes), "zone of a block")
        for entry, symbol in zip(self.symbols, footer.symbols if footer else ()):
            reject(entry[:2] != symbol[:2] or entry[3] != symbol[3], "entry of a symbol")
