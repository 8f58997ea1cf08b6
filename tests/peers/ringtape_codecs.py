# SPDX-License-Identifier: GPL-3.0-or-later
"""Codecs of segment columns as docs/format.md says, in one table each. Part of ringtape_reader.py.

A codec of integers takes a Cursor over exactly its bytes, the number of values (at least one) and
the column in its block (see ringtape_segment.ColumnContext), and gives the list of values; the
caller checks that the bytes are used up. To add one, write it from its section in the document and
enter it in INTEGERS."""

from ringtape_bytes import Cursor, UnknownCodec, reject, signed, unzigzag, unzstd
from ringtape_modelled import modelled

VARINT_BYTES_MAX = 10


def constant(cursor, count, _):
    return [signed(cursor.zigzag())] * count


def plain(cursor, count, _):
    return [cursor.i64() for _ in range(count)]


def packed(cursor, count, _):
    base, step, width = cursor.zigzag(), cursor.varint(), cursor.u8()
    return [signed(base + step * bits) for bits in cursor.packed(count, checked(width))]


def delta_packed(cursor, count, _):
    value = cursor.zigzag()
    base, step, width = cursor.zigzag(), cursor.varint(), cursor.u8()
    deltas = cursor.packed(count - 1, checked(width))
    return summed(value, (base + step * bits for bits in deltas))


def varint_zstd(cursor, count, _):
    base, step = cursor.zigzag(), cursor.varint()
    return [signed(base + step * varint) for varint in varints(cursor, count)]


def delta_zstd(cursor, count, _):
    value, step = cursor.zigzag(), cursor.varint()
    return summed(value, (step * unzigzag(varint) for varint in varints(cursor, count - 1)))


def checked(width):
    reject(width > 64, "width above 64")
    return width


def summed(value, deltas):
    out = [signed(value)]
    for delta in deltas:
        out.append(signed(out[-1] + delta))
    return out


def varints(cursor, count):
    """All of one zstd frame."""
    inside = Cursor(unzstd(cursor.take(cursor.left()), count * VARINT_BYTES_MAX))
    out = [inside.varint() for _ in range(count)]
    inside.end("the varints of a frame")
    return out


INTEGERS = {
    0: ("constant", constant),
    1: ("plain", plain),
    2: ("packed", packed),
    3: ("delta packed", delta_packed),
    4: ("varint zstd", varint_zstd),
    5: ("delta zstd", delta_zstd),
    6: ("modelled", modelled),
}


def text_plain(data, size):
    return bytes(data)


TEXTS = {
    0: ("plain", text_plain),
    1: ("zstd", unzstd),
}


def integers(codec, data, count, context):
    if codec not in INTEGERS:
        raise UnknownCodec(f"codec {codec} of integers")
    cursor = Cursor(data)
    values = INTEGERS[codec][1](cursor, count, context)
    cursor.end("a column")
    return values


def text(codec, data, size):
    """`size` bytes of text."""
    if codec not in TEXTS:
        raise UnknownCodec(f"codec {codec} of texts")
    found = TEXTS[codec][1](data, size)
    reject(len(found) != size, "texts of another length")
    return found
