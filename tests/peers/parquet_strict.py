# SPDX-License-Identifier: GPL-3.0-or-later
"""A Parquet file taken apart, strictly: written from the specification (apache/parquet-format:
parquet.thrift, Encodings.md, PageIndex.md) and the Thrift compact protocol, apart from the writer
and from any library. zstd alone is borrowed.

    check(path) -> the file's rows as {column: list of Python values}

Every byte must be accounted for, every number that is written down is worked out again from the
values: offsets, sizes, counts, CRC, statistics, page index, column orders, sorting, encodings. What
is allowed by the specification but unlike what docs/parquet.md promises fails as well."""

import struct
import zlib
from collections import Counter
from decimal import Decimal

import pyarrow

MAGIC = b"PAR1"
PLAIN, RLE, DELTA, DICTIONARY = 0, 3, 5, 8
DATA_PAGE, DICTIONARY_PAGE = 0, 2
BOOLEAN, INT64, BYTE_ARRAY, FIXED = 0, 2, 6, 7
ZSTD = 6
UTF8, DECIMAL, TIMESTAMP_MICROS = 0, 5, 10
BOUND_BYTES_MAX = 64  # docs/parquet.md: longer texts have no bounds
PAGE_ROWS_MAX, GROUP_ROWS_MAX = 20000, 1000000


# ---- Thrift compact protocol ----


class Thrift:
    """A struct as {field: value}; lists are lists. Types are checked by who asks."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                assert byte or shift == 0, "a varint is longer than it need be"
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def value(self, kind):
        if kind in (1, 2):  # in a struct the type is the value
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            value = self.zigzag()
            bits = {4: 16, 5: 32, 6: 64}[kind]
            assert -(1 << bits - 1) <= value < 1 << bits - 1
            return value
        if kind == 8:
            size = self.varint()
            self.at += size
            return bytes(self.data[self.at - size : self.at])
        if kind == 9:
            return self.list()
        assert kind == 12, f"Thrift type {kind} is not used by Parquet"
        return self.struct()

    def list(self):
        head = self.byte()
        count, kind = head >> 4, head & 15
        if count == 15:
            count = self.varint()
            assert count >= 15
        if kind in (1, 2):
            return [self.byte() == 1 for _ in range(count)]
        return [self.value(kind) for _ in range(count)]

    def struct(self):
        fields, number = {}, 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            assert number not in fields
            fields[number] = self.value(head & 15)
        return fields


def only(fields, *numbers, needed=()):
    """The struct has no other fields than these."""
    assert set(fields) <= set(numbers) | set(needed), f"unexpected fields in {sorted(fields)}"
    assert set(needed) <= set(fields), f"fields are missing in {sorted(fields)}"
    return fields


# ---- encodings ----


def hybrid(data, at, width, count):
    """RLE / bit-packing hybrid: `count` numbers, and where they end."""
    values = []
    while len(values) < count:
        reader = Thrift(data, at)
        head = reader.varint()
        at = reader.at
        if head & 1:
            size = (head >> 1) * width
            bits = int.from_bytes(data[at : at + size], "little")
            assert len(data) >= at + size
            mask = (1 << width) - 1
            values += [bits >> i * width & mask for i in range((head >> 1) * 8)]
            at += size
        else:
            size = (width + 7) // 8
            value = int.from_bytes(data[at : at + size], "little")
            assert head >> 1 > 0 and value < 1 << width
            values += [value] * (head >> 1)
            at += size
    padding = values[count:]
    assert len(padding) < 8 and not any(padding), "padding is zero and less than a group"
    return values[:count], at


def delta(data, at):
    """DELTA_BINARY_PACKED of int64, in blocks of 128 of four miniblocks."""
    reader = Thrift(data, at)
    assert (reader.varint(), reader.varint()) == (128, 4)
    count, value = reader.varint(), reader.zigzag()
    values, at = ([value] if count else []), reader.at
    while len(values) < count:
        reader = Thrift(data, at)
        least = reader.zigzag()
        widths = data[reader.at : reader.at + 4]
        at = reader.at + 4
        for width in widths:
            assert width <= 64
            bits = int.from_bytes(data[at : at + 4 * width], "little")
            at += 4 * width
            for i in range(min(32, count - len(values))):
                step = least + (bits >> i * width & (1 << width) - 1)
                value = (value + step + 2**63) % 2**64 - 2**63
                values.append(value)
    return values, at


def plain(data, at, count, kind):
    """Values as the bytes or number that statistics hold."""
    if kind == BOOLEAN:
        values = [data[at + i // 8] >> i % 8 & 1 == 1 for i in range(count)]
        size = (count + 7) // 8
        assert count % 8 == 0 or data[at + size - 1] >> count % 8 == 0
        return values, at + size
    if kind == INT64:
        return list(struct.unpack_from(f"<{count}q", data, at)), at + 8 * count
    if kind == FIXED:
        return [bytes(data[at + 16 * i : at + 16 * i + 16]) for i in range(count)], at + 16 * count
    values = []
    for _ in range(count):
        (size,) = struct.unpack_from("<I", data, at)
        values.append(bytes(data[at + 4 : at + 4 + size]))
        assert len(values[-1]) == size
        at += 4 + size
    return values, at


# ---- schema ----


class Column:
    def __init__(self, element):
        only(element, 2, 6, 7, 8, 10, needed=(1, 3, 4))
        self.kind, self.name = element[1], element[4].decode()
        self.nullable = {0: False, 1: True}[element[3]]
        self.converted, self.scale, logical = element.get(6), element.get(7), element.get(10)
        assert (self.kind == FIXED) == (2 in element) and element.get(2, 16) == 16
        if self.converted == DECIMAL:
            precision = {INT64: 18, FIXED: 38}[self.kind]
            assert element[8] == precision
            assert logical == {5: {1: self.scale, 2: precision}}
        elif self.converted == TIMESTAMP_MICROS:
            assert self.kind == INT64 and logical == {8: {1: True, 2: {2: {}}}}
        elif self.converted == UTF8:
            assert self.kind == BYTE_ARRAY and logical == {1: {}}
        else:
            assert self.converted is None and logical is None and self.kind != FIXED
        assert self.converted == DECIMAL or not {7, 8} & set(element)

    def number(self, value):
        """As it is ordered: two's complement numbers, unsigned bytes."""
        return int.from_bytes(value, "big", signed=True) if self.kind == FIXED else value

    def of_bound(self, data):
        """A bound in statistics: PLAIN without length."""
        if self.kind == BYTE_ARRAY:
            return data
        assert len(data) == {BOOLEAN: 1, INT64: 8, FIXED: 16}[self.kind]
        return self.number(plain(data, 0, 1, self.kind)[0][0])

    def shown(self, value):
        value = self.number(value)
        if self.converted == DECIMAL:
            return Decimal(value).scaleb(-self.scale)
        return value.decode("utf-8", "strict") if self.converted == UTF8 else value


# ---- the file ----


class File:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        data = self.data
        assert data[:4] == MAGIC and data[-4:] == MAGIC
        (size,) = struct.unpack_from("<I", data, len(data) - 8)
        self.footer_at = len(data) - 8 - size
        reader = Thrift(data, self.footer_at)
        self.meta = only(reader.struct(), 5, needed=(1, 2, 3, 4, 6, 7))
        assert reader.at == len(data) - 8, "the footer ends where its length says"
        self.end = 4  # of what has been accounted for
        self.codec = pyarrow.Codec("zstd")
        self.columns = self.schema()
        self.rows = {column.name: [] for column in self.columns}
        self.dictionary_values = Counter()

    def schema(self):
        root, *elements = self.meta[2]
        only(root, needed=(4, 5))
        assert root[5] == len(elements) > 0
        columns = [Column(element) for element in elements]
        assert len({column.name for column in columns}) == len(columns)
        return columns

    def footer(self):
        meta = self.meta
        assert meta[1] == 1 and meta[3] == sum(group[3] for group in meta[4])
        name, version, build = meta[6].decode().split(" ", 2)
        assert (name, version) == ("ringtape", "version") and build.endswith(")")
        assert " (build " in build
        assert meta[7] == [{1: {}}] * len(self.columns), "TYPE_ORDER for every column"
        for pair in meta.get(5, []):
            only(pair, needed=(1, 2))

    def page(self, at):
        """(header, uncompressed content, where the page ends) of the page at an offset."""
        reader = Thrift(self.data, at)
        header = only(reader.struct(), 5, 7, needed=(1, 2, 3, 4))
        body = self.data[reader.at : reader.at + header[3]]
        assert len(body) == header[3] and reader.at + header[3] <= self.footer_at
        assert zlib.crc32(body) == header[4] & 0xFFFFFFFF
        content = self.codec.decompress(body, header[2]).to_pybytes()
        assert len(content) == header[2]
        header["bytes"] = reader.at + header[3] - at
        header["uncompressed"] = reader.at + header[2] - at
        return header, content, reader.at + header[3]

    def check(self):
        self.footer()
        for ordinal, group in enumerate(self.meta[4]):
            Group(self, ordinal, group).check()
        self.indexes()
        assert self.end == self.footer_at, "no byte is left over"
        return {
            column.name: [None if v is None else column.shown(v) for v in self.rows[column.name]]
            for column in self.columns
        }

    def indexes(self):
        """Page indexes lie between the last page and the footer, in the order of the chunks."""
        for group in self.meta[4]:
            for chunk in group[1]:
                for offset, size in ((6, 7), (4, 5)):
                    if offset in chunk:
                        assert chunk[offset] == self.end
                        self.end += chunk[size]


class Group:
    def __init__(self, file, ordinal, group):
        self.file, self.ordinal = file, ordinal
        self.group = only(group, 4, needed=(1, 2, 3, 5, 6, 7))
        self.rows = group[3]

    def check(self):
        group, file = self.group, self.file
        assert 0 < self.rows <= GROUP_ROWS_MAX and group[7] == self.ordinal
        assert group[5] == file.end and len(group[1]) == len(file.columns)
        values = [
            Chunk(self, column, chunk).check() for column, chunk in zip(file.columns, group[1])
        ]
        metas = [chunk[3] for chunk in group[1]]
        assert group[2] == sum(meta[6] for meta in metas)
        assert group[6] == sum(meta[7] for meta in metas)
        self.sorting(values)
        for column, found in zip(file.columns, values):
            file.rows[column.name] += found

    def sorting(self, values):
        columns = [only(sort, needed=(1, 2, 3)) for sort in self.group.get(4, [])]
        assert all(sort[2] is False and sort[3] is False for sort in columns)
        keys = [
            [(v is None, v or b"") if self.file.columns[sort[1]].kind == BYTE_ARRAY else v
             for v in values[sort[1]]]
            for sort in columns
        ]  # fmt: skip
        rows = list(zip(*keys))
        assert rows == sorted(rows), "sorted as declared"


class Chunk:
    def __init__(self, group, column, chunk):
        self.group, self.file, self.column = group, group.file, column
        self.chunk = only(chunk, 6, 7, needed=(2, 3, 4, 5))
        self.meta = only(chunk[3], 11, needed=(1, 2, 3, 4, 5, 6, 7, 9, 12, 13))
        self.pages = []  # (offset, size, rows, values with None)
        self.encodings = Counter()  # (page type, encoding)
        self.dictionary = None

    def check(self):
        meta, file = self.meta, self.file
        assert self.chunk[2] == 0 and meta[1] == self.column.kind and meta[4] == ZSTD
        assert meta[3] == [self.column.name.encode()] and meta[5] == self.group.rows
        begin = file.end
        self.uncompressed = 0
        if 11 in meta:
            self.read_dictionary()
        assert meta[9] == file.end, "the first data page"
        while sum(rows for _, _, rows, _ in self.pages) < self.group.rows:
            self.read_page()
        assert meta[7] == file.end - begin and meta[6] == self.uncompressed
        values = [value for *_, values in self.pages for value in values]
        assert len(values) == self.group.rows
        self.check_encodings()
        self.check_statistics(values)
        self.check_offsets()
        self.check_index()
        return values

    def take(self, header):
        self.file.end += header["bytes"]
        self.uncompressed += header["uncompressed"]

    def read_dictionary(self):
        assert self.meta[11] == self.file.end, "first in the chunk"
        header, content, _ = self.file.page(self.file.end)
        assert header[1] == DICTIONARY_PAGE and 5 not in header
        page = only(header[7], needed=(1, 2))
        assert page[2] == PLAIN
        self.dictionary, end = plain(content, 0, page[1], self.column.kind)
        assert end == len(content)
        assert len(set(self.dictionary)) == len(self.dictionary), "each value once"
        self.encodings[DICTIONARY_PAGE, PLAIN] += 1
        self.take(header)

    def read_page(self):
        offset = self.file.end
        header, content, _ = self.file.page(offset)
        assert header[1] == DATA_PAGE and 7 not in header
        page = only(header[5], needed=(1, 2, 3, 4))
        assert page[3] == page[4] == RLE and 0 < page[1] <= PAGE_ROWS_MAX
        count, at, present = page[1], 0, None
        if self.column.nullable:
            (size,) = struct.unpack_from("<I", content, 0)
            present, at = hybrid(content, 4, 1, count)
            assert at == 4 + size
        found, end = self.values(content, at, sum(present) if present else count, page[2])
        assert end == len(content), "the page is used up"
        if present:
            each = iter(found)
            found = [next(each) if has else None for has in present]
        self.encodings[DATA_PAGE, page[2]] += 1
        self.pages.append((offset, header["bytes"], count, found))
        self.take(header)

    def values(self, content, at, count, encoding):
        if encoding == PLAIN:
            return plain(content, at, count, self.column.kind)
        if encoding == DELTA:
            assert self.column.kind == INT64
            values, end = delta(content, at)
            assert len(values) == count
            return values, end
        assert encoding == DICTIONARY and self.dictionary is not None
        width = content[at]
        assert 1 <= width <= 32, "never 0: some readers refuse it"
        places, end = hybrid(content, at + 1, width, count)
        return [self.dictionary[place] for place in places], end

    def check_encodings(self):
        used = {encoding for _, encoding in self.encodings}
        assert set(self.meta[2]) == used | ({RLE} if self.column.nullable else set())
        assert len(set(self.meta[2])) == len(self.meta[2])
        stats = {(only(s, needed=(1, 2, 3))[1], s[2]): s[3] for s in self.meta[13]}
        assert stats == dict(self.encodings)
        with_dictionary = [e == DICTIONARY for (t, e) in self.encodings if t == DATA_PAGE]
        assert any(with_dictionary) == (self.dictionary is not None)

    def bounds(self, values):
        """(least, greatest) of the values, or None where there are none, or none may be told."""
        found = [self.column.number(value) for value in values if value is not None]
        if not found or (self.column.kind == BYTE_ARRAY and len(max(found, key=len)) > 64):
            return None
        return min(found), max(found)

    def check_statistics(self, values):
        found = only(self.meta[12], 5, 6, 7, 8, needed=(3,))
        assert found[3] == sum(value is None for value in values)
        bounds = self.bounds(values)
        if bounds is None:
            assert set(found) == {3}
            return
        assert found[7] is True and found[8] is True, "exact"
        assert (self.column.of_bound(found[6]), self.column.of_bound(found[5])) == bounds

    def check_offsets(self):
        reader = Thrift(self.file.data, self.chunk[4])
        index = only(reader.struct(), needed=(1,))
        assert reader.at == self.chunk[4] + self.chunk[5]
        row = 0
        assert len(index[1]) == len(self.pages)
        for found, (offset, size, rows, _) in zip(index[1], self.pages):
            only(found, needed=(1, 2, 3))
            assert (found[1], found[2], found[3]) == (offset, size, row)
            row += rows

    def check_index(self):
        bounds = [self.bounds(values) for *_, values in self.pages]
        nulls = [sum(value is None for value in values) for *_, values in self.pages]
        empty = [count == len(page[3]) for count, page in zip(nulls, self.pages)]
        if any(b is None and not e for b, e in zip(bounds, empty)):
            assert not {6, 7} & set(self.chunk), "without bounds there is no column index"
            return
        reader = Thrift(self.file.data, self.chunk[6])
        index = only(reader.struct(), needed=(1, 2, 3, 4, 5))
        assert reader.at == self.chunk[6] + self.chunk[7]
        assert index[1] == empty and index[5] == nulls
        for field, which in ((2, 0), (3, 1)):
            for data, wanted in zip(index[field], bounds, strict=True):
                if wanted is None:
                    assert data == b""
                else:
                    assert self.column.of_bound(data) == wanted[which]
        self.check_order(index[4], [b for b in bounds if b is not None])

    @staticmethod
    def check_order(order, bounds):
        least, greatest = [b[0] for b in bounds], [b[1] for b in bounds]
        rises = least == sorted(least) and greatest == sorted(greatest)
        falls = least == sorted(least)[::-1] and greatest == sorted(greatest)[::-1]
        assert order == (1 if rises else 2 if falls else 0)


def check(path):
    return File(path).check()


def encodings(path):
    """{column: encodings of its data pages} of a file."""
    found = {}
    for group in File(path).meta[4]:
        for chunk in group[1]:
            name = chunk[3][3][0].decode()
            found.setdefault(name, set()).update(s[2] for s in chunk[3][13] if s[1] == DATA_PAGE)
    return found
