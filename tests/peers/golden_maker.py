# SPDX-License-Identifier: GPL-3.0-or-later
"""Small stores' parts made by hand, byte by byte as docs/format.md says, good and bad.

    python3 golden_maker.py FOLDER [VERSION]    writes the bad golden files and their list;
                                                beside the folder the good ones

What is in tests/golden was written once and stays (see its README); this shows how, and makes
files of a new version."""

import pathlib
import struct
import sys

from ringtape_bytes import xxh3

DAY = 19944  # 2024-08-09
TIME = 1_723_161_600 * 10**9
SALT = 0x1122334455667788
STORE = b"golden store id\0"


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def zigzag(value):
    return varint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def hashed(data):
    return data + struct.pack("<Q", xxh3(data))


def magic(letters):
    return b"\xd2RT" + letters + b"\n"


# ---- batches ----


def constant(value):
    """A stream of one value for all."""
    return b"\0" + zigzag(value)


def scaled(value, scale=2):
    return bytes([0, scale]) + constant(value)


# Two trades of one symbol: columns as (number, form, bytes).
TRADES = [
    (0, 0, constant(TIME + 5)),
    (2, 0, constant(0)),
    (4, 0, b"\x01" + zigzag(TIME) + b"\x00\x02"),
    (5, 0, b"\x09" + zigzag(100) + b"\x02"),
    (6, 2, scaled(600123)),
    (7, 2, scaled(15, 4)),
    (8, 0, constant(1)),
    (10, 5, b"\x01" + constant(6) + b"\x01MARKET"),
]
# Two rows of depth with one level between them.
DEPTH = [
    (2, 0, constant(0)),
    (3, 0, constant(TIME + 1)),
    (5, 0, constant(7)),
    (6, 0, constant(8)),
]
LEVELS = b"\x01" + zigzag(0) + b"\x00\x01" + scaled(5) + scaled(6) + b"\x01"


def replaced(columns, number, form, data):
    return [(number, form, data) if column[0] == number else column for column in columns]


def section(channel=1, rows=2, columns=TRADES, symbols=constant(1), levels=0, text=6, tail=b"",
            flags=None, size=None):  # fmt: skip
    body = symbols + b"".join(bytes([n, form]) + data for n, form, data in columns) + tail
    flags = int(channel in (4, 5)) if flags is None else flags
    head = struct.pack("<BBBBIII", channel, len(columns), flags, 0, rows, levels, text)
    return head + struct.pack("<I", size or 20 + len(body)) + body


def depth(**more):
    more = {"columns": DEPTH, "levels": 1, "text": 0, "tail": LEVELS, **more}
    return section(channel=4, **more)


def batch(sections=None, order=b"", names=(b"binance:S",), payload=None, payload_hash=None, **h):
    """Header fields by name; the hashes are right unless given."""
    sections = [section()] if sections is None else sections
    if payload is None:
        payload = bytes(map(len, names)) + b"".join(names) + order + b"".join(sections)
    channels = 0
    for each in sections:
        channels |= 1 << each[0]
    f = {
        "magic": magic(b"BTCH"), "major": 1, "minor": 0, "size": 128, "required": 0, "optional": 0,
        "salt": SALT, "sequence": 1, "revision": 0, "rows": 2 * len(sections),
        "bytes": len(payload), "symbols": len(names), "durable": 0, "durable_revision": 0,
        "flags": 1, "channels": channels, "time": (TIME, TIME + 2),
        "receive": (TIME + 5, TIME + 5), "first": 0, "previous": 0, **h,
    }  # fmt: skip
    head = f["magic"] + struct.pack(
        "<BBHHHQQIIIIQIHHqqqqQQQ", f["major"], f["minor"], f["size"], f["required"], f["optional"],
        f["salt"], f["sequence"], f["revision"], f["rows"], f["bytes"], f["symbols"], f["durable"],
        f["durable_revision"], f["flags"], f["channels"], *f["time"], *f["receive"], f["first"],
        f["previous"], xxh3(payload) if payload_hash is None else payload_hash,
    )  # fmt: skip
    return hashed(head) + payload


# ---- segments ----


def packed(base, step, width, bits):
    return zigzag(base) + varint(step) + bytes([width]) + bits


# The same two trades: (id, codec, presence, scale, bytes).
COLUMNS = [
    (0, 0, 0, 0, zigzag(TIME + 5)),
    (2, 0, 0, 0, zigzag(0)),
    (4, 2, 0, 0, packed(TIME, 2, 1, b"\x02")),
    (5, 2, 0, 0, packed(100, 1, 1, b"\x02")),
    (6, 0, 0, 2, zigzag(600123)),
    (7, 0, 0, 4, zigzag(15)),
    (8, 0, 0, 0, zigzag(1)),
    (10, 0, 1, 0, b"\x01" + zigzag(6)),
    (106, 0, 0, 0, b"MARKET"),
]


def swapped(number, *entry):
    return [(number, *entry) if column[0] == number else column for column in COLUMNS]


def without(*numbers):
    return [column for column in COLUMNS if column[0] not in numbers]


def block(columns=COLUMNS, names=(b"binance:S",), payload_hash=None, **h):
    directory = b"".join(struct.pack("<BBBBI", *c[:4], len(c[4])) for c in columns)
    payload = bytes(map(len, names)) + b"".join(names) + directory + b"".join(
        c[4] for c in columns
    )
    f = {
        "magic": magic(b"BLCK"), "major": 1, "minor": 0, "size": 128, "required": 0, "optional": 0,
        "salt": SALT, "number": 0, "rows": 2, "levels": 0, "text": 6, "bytes": len(payload),
        "symbol": 0, "channel": 1, "columns": len(columns), "flags": 0, "scale": 2,
        "symbols": len(names), "time": (TIME, TIME + 2), "id": (100, 101),
        "price": (600123, 600123), "previous": 0, **h,
    }  # fmt: skip
    head = f["magic"] + struct.pack(
        "<BBHHHQIIIIIIBBBBIqqqqqqQQ", f["major"], f["minor"], f["size"], f["required"],
        f["optional"], f["salt"], f["number"], f["rows"], f["levels"], f["text"], f["bytes"],
        f["symbol"], f["channel"], f["columns"], f["flags"], f["scale"], f["symbols"], *f["time"],
        *f["id"], *f["price"], f["previous"],
        xxh3(payload) if payload_hash is None else payload_hash,
    )  # fmt: skip
    return hashed(head) + payload


def column_list():
    from ringtape_schema import CHANNELS

    listed = b""
    for column in CHANNELS[1].columns[:16]:
        number, kind, decimal, nullable, name = column.listed()
        listed += bytes([number, kind, decimal, nullable, len(name)]) + name.encode()
    return listed


def segment_header(**h):
    listed = column_list()
    size = (136 + len(listed) + 7) // 8 * 8 + 8
    f = {"magic": magic(b"SEGM"), "major": 1, "minor": 0, "required": 0, "salt": SALT,
         "channel": 1, "schema": xxh3(listed), **h}  # fmt: skip
    head = f["magic"] + struct.pack("<BBHHH", f["major"], f["minor"], size, f["required"], 0)
    head += STORE
    head += struct.pack("<QqIiBBHIQ", f["salt"], TIME, 1, DAY, f["channel"], 16, 0, 0, f["schema"])
    head += b"made by hand".ljust(64, b"\0") + listed
    return hashed(head.ljust(size - 8, b"\0"))


def footer(blocks, at, symbol=(b"binance:S", 2, TIME, 2, 0, 1), magic_=None, rows=2, **h):
    name, symbol_rows, time_min, span, first, count = symbol
    body = (magic_ or magic(b"FOOT")) + struct.pack("<II", 1, len(blocks))
    body += varint(symbol_rows) + zigzag(time_min) + varint(span) + varint(first) + varint(count)
    body += bytes([len(name)]) + name
    for each in blocks:
        body += struct.pack("<IIQ", len(each), rows, struct.unpack_from("<Q", each, 120)[0])
    return {"body": body, "at": at, "hash": xxh3(body), **h}


def segment(one=None, header=None, file_hash=None, minor=0, **h):
    header = header or segment_header()
    one = block(previous=struct.unpack("<Q", header[-8:])[0]) if one is None else one
    data = header + one
    foot = footer([one], len(data), **h)
    post = struct.pack("<QQQQQ", foot["at"], len(foot["body"]), foot["hash"],
                       xxh3(data) if file_hash is None else file_hash, SALT)  # fmt: skip
    post = hashed(post + struct.pack("<BBHHH", 1, minor, 64, 0, 0)) + magic(b"FOOT")
    return data + foot["body"] + post


def chained(**more):
    """A segment with a block changed so; everything around it agrees."""
    header = segment_header()
    return segment(block(previous=struct.unpack("<Q", header[-8:])[0], **more), header)


# ---- modelled columns, 1.1 ----

# Ten trades: what a reader must find, column by column.
MODELLED_VALUES = {
    "receive_time": [
        TIME + n for n in (1500, 1002, 1263, 1767, 1267, 1297, 1797, 1801, 1329, 1832)
    ],
    "flags": [0] * 10,
    "event_time": [TIME + n for n in (7, 3, 5, 266, 270, 270, 300, 300, 304, 332)],
    "trade_time": [TIME + n for n in (0, 2, 263, 267, 267, 297, 297, 301, 329, 332)],
    "id": [*range(100, 110)],
    "price": [(600000 + n, 2) for n in (123, 128, 135, 142, 149, 156, 163, 170, 177, 182)],
    "quantity": [(n, 4) for n in (1, 1, 1031, 5, 8, 1, 1001, 6, 1, 1)],
    "side": [1, 1, 1, 2, 2, 1, 1, 2, 1, 1],
    "kind": [b"LIMIT", None, None, b"LIMIT", *[None] * 6],
}

# Lists, most of them examples of the document.
SPARSE = bytes.fromhex("02 0e 02 02 02 00 0a")  # 7 5 7 7 7 7 7 7 7 5
PATCHED = bytes.fromhex("01 00 01 82 01 00 07 19 0c 02 04 01")  # 1 2 261 0 0 3
ONE_BIN = bytes.fromhex("03 00 01 01 00 78 8c 03")  # 5 8 6
TWO_BINS = bytes.fromhex("03 02 0a 02 04 33 c2 8f 5c 68 5b c5 00")  # 1 1 1031 1 1001 1 1
DICTIONARY = bytes.fromhex("04 02 01 d0 0f f4 03 01 02 01 00 01 01 c9 02")  # 1500 1000 1000 ...
RUN_NUMBERS = bytes.fromhex("01 02 01 01 0a")  # 1 2 1 2 1
RUN_LENGTHS = bytes.fromhex("01 02 01 02 16 01")  # 3 2 2 1 2
RUNS = b"\x05\x05" + RUN_NUMBERS + RUN_LENGTHS
TICKS = bytes.fromhex("06 0a 00 06 02 00 01 02 00 03")  # 30 28


def one(value):
    """A list of one number for all."""
    return b"\0" + zigzag(value)


def residuals(*counts):
    """Lists of so many 1, context by context."""
    return b"".join(varint(count) + (one(1) if count else b"") for count in counts)


LAST = b"\x04\0\0\x01"


def ids(predicates=LAST, head=b"\x41", lists=residuals(1, 9)):
    """Each one more than the one before; context: whether the residual before was 0."""
    return head + predicates + zigzag(99) + lists


def times(change=b"\x01\x08\0\0", patched=PATCHED):
    """Differences; context: where the side went."""
    return (b"\x41" + change + zigzag(TIME - 1) + b"\x06" + patched + b"\x02" + one(4)
            + b"\x02" + TICKS)  # fmt: skip


def quantities(two_bins=TWO_BINS):
    """As they are; context: the side's code, 0 ... 2."""
    return b"\x40\x02\x08\0\x02" + b"\0" + b"\x07" + two_bins + b"\x03" + ONE_BIN


MODELLED = [
    (0, 6, 0, 0, b"\x02\x04" + DICTIONARY),
    (2, 6, 0, 0, b"\x04" + zigzag(0) + one(0)),
    (3, 6, 0, 0, b"\x06\x04" + zigzag(TIME + 4) + one(3)),
    (4, 6, 0, 0, times()),
    (5, 6, 0, 0, ids()),
    (6, 6, 0, 2, b"\x01" + zigzag(600116) + SPARSE),
    (7, 6, 0, 4, quantities()),
    (8, 6, 0, 0, b"\0" + RUNS),
    (10, 6, 1, 0, b"\x09\0" + b"\0" + one(5)),
    (106, 0, 0, 0, b"LIMITLIMIT"),
]


def modelled(number=None, data=None):
    """A segment of 1.1 with one column's bytes changed so; everything around it agrees."""
    columns = [(*c[:4], data) if c[0] == number else c for c in MODELLED]
    header = segment_header(minor=1)
    last = TIME + 332
    return segment(
        block(
            columns, minor=1, rows=10, text=10, time=(TIME, last), id=(100, 109),
            price=(600123, 600182), previous=struct.unpack("<Q", header[-8:])[0],
        ), header, minor=1, rows=10, symbol=(b"binance:S", 10, TIME, last - TIME, 0, 1),
    )  # fmt: skip


def flipped(data, at):
    data = bytearray(data)
    data[at] ^= 0xFF
    return bytes(data)


# ---- catalogues ----

LINES = [
    "ringtape-catalogue 1 0",
    "store " + STORE.hex(),
    "generation 3",
    "next_tape 3",
    "next_segment 2",
    "tape 2 sealed",
    f"segment 1 channel trade day 2024-08-09 rows 2 bytes 900 time {TIME} {TIME + 2} tapes 1 2",
]


def catalogue(lines=LINES, end="\n"):
    body = ("\n".join(lines) + end).encode()
    return body + f"xxh3 {xxh3(body):016x}\n".encode()


def line(number, text):
    return catalogue([text if i == number else each for i, each in enumerate(LINES)])


# ---- bad ones: name, bytes, why a reader rejects it ----

TWO = {"sections": [section(), depth()], "time": (TIME, TIME + 2)}


def bad_batches():
    text = (10, 5, b"\x01" + constant(6) + b"\x01MARKET")
    yield "cut", batch()[:-1], "too short"
    yield "magic", batch(magic=magic(b"BTCX")), "no magic"
    yield "header_bytes", batch(size=120), "header_bytes impossible"
    yield "header_hash", flipped(batch(), 30), "header hash wrong"
    yield "major", batch(major=2), "version 2"
    yield "required", batch(required=1), "required features"
    yield "salt", batch(salt=0), "salt"
    yield "sequence", batch(sequence=0), "sequence 0"
    yield "rows_none", batch(rows=0), "rows out of range"
    yield "rows_many", batch(rows=3), "order and sections disagree"
    yield "symbols", batch(names=(b"a:A", b"a:B", b"a:C")), "more symbols than rows"
    yield "flags", batch(flags=3), "unknown flags"
    yield "slotted", batch(flags=0), "slotted by mistake"
    yield "durable", batch(durable=2), "durable before it was written"
    yield "channels_none", batch(channels=0), "no channel"
    yield "channels_other", batch(channels=4), "sections of other channels"
    yield "times_reversed", batch(time=(1, 0)), "time range"
    yield "times_other", batch(time=(TIME, TIME + 3)), "time range is not that of the rows"
    yield "receive_other", batch(receive=(TIME, TIME + 5)), "receive time range"
    yield "receive_none", batch(receive=(1, 0)), "receive time range"
    yield "payload_hash", batch(payload_hash=1), "payload hash wrong"
    yield "name_empty", batch(names=(b"",)), "symbol without name"
    yield "behind", batch(payload=b"\x09binance:S" + section() + b"\0"), "bytes behind"
    yield "order", batch(order=b"\x0e", **TWO), "order and sections disagree"
    yield "order_bits", batch(order=b"\x5a", **TWO), "bits behind the last value"
    yield "section_rows", batch([section(rows=0)]), "section's counts"
    yield "section_size", batch([section(size=19)]), "section shorter than its head"
    yield "section_flags", batch([section(flags=2)]), "section's head"
    yield "levels_flag", batch([section(flags=1)]), "levels by mistake"
    yield "columns_order", batch([section(columns=TRADES[::-1])]), "columns out of order"
    yield "form", batch([section(columns=replaced(TRADES, 8, 8, constant(1)))]), "form impossible"
    yield "form_type", batch([section(columns=replaced(TRADES, 8, 2, scaled(1)))]), "another type"
    yield "bitmap_empty", batch([section(columns=replaced(TRADES, 10, 5, b"\0" + text[2][1:]))],
                                ), "column without values"  # fmt: skip
    yield "bitmap_bits", batch([section(columns=replaced(TRADES, 10, 5, b"\x05" + text[2][1:]))],
                               ), "bits behind the last row"  # fmt: skip
    yield "stream_width", batch([section(symbols=b"\x0a\x02")]), "stream of an unknown kind"
    yield "stream_bits", batch([section(symbols=b"\x40\x02")]), "stream of an unknown kind"
    yield "symbol_number", batch([section(symbols=constant(2))]), "symbol without name"
    yield "scale", batch([section(columns=replaced(TRADES, 6, 2, scaled(1, 19)))]), "scale above 18"
    yield "scale_kind", batch([section(columns=replaced(TRADES, 6, 2, b"\x02\x02" + constant(1)))],
                              ), "scales of an unknown kind"  # fmt: skip
    yield "text_kind", batch(
        [section(columns=replaced(TRADES, 10, 5, text[2][:-7] + b"\x02MARKET"))]
    ), "texts of an unknown kind"
    yield "text_bytes", batch([section(text=7)]), "section's text bytes"
    yield "varint", batch([section(symbols=b"\0" + b"\xff" * 10)]), "varint"
    yield "level_sum", batch([depth(levels=2)], time=(TIME + 1, TIME + 1),
                             receive=(1, 0)), "section's levels"  # fmt: skip
    yield "side_bits", batch([depth(tail=LEVELS[:-1] + b"\x03")], time=(TIME + 1, TIME + 1),
                             receive=(1, 0)), "bits behind the last value"  # fmt: skip


def bad_segments():
    yield "magic", segment(header=segment_header(magic=magic(b"SEGX"))), "no magic"
    yield "header_hash", flipped(segment(), 20), "header hash wrong"
    yield "major", segment(header=segment_header(major=2)), "version 2"
    yield "required", segment(header=segment_header(required=4)), "required features"
    yield "salt", segment(header=segment_header(salt=0)), "salt is 0"
    yield "schema", segment(header=segment_header(schema=1)), "hash of the column list"
    yield "block_hash", flipped(segment(), len(segment_header()) + 40), "header hash wrong"
    yield "payload_hash", flipped(segment(), len(segment_header()) + 150), "payload hash wrong"
    yield "block_major", chained(major=2), "version 2"
    yield "block_salt", chained(salt=1), "salt of another segment"
    yield "block_number", chained(number=1), "not the footer's block"
    yield "block_chain", segment(block(previous=1)), "not chained"
    yield "block_rows", chained(rows=0), "rows out of range"
    yield "block_channel", chained(channel=2), "block of another channel"
    yield "block_flags", chained(flags=2), "unknown flags"
    yield "block_shared", chained(flags=1), "shared by mistake"
    yield "times_other", chained(time=(TIME, TIME + 3)), "time range is not that of the rows"
    yield "ids_other", chained(id=(99, 101)), "id range is not that of the rows"
    yield "prices_other", chained(price=(1, 600123)), "price range is not that of the rows"
    yield "text_bytes", chained(text=5), "text"
    yield "columns_order", chained(columns=COLUMNS[::-1]), "columns out of order"
    yield "presence", chained(columns=swapped(10, 0, 3, 0, b"\x01" + zigzag(6))), "directory entry"
    yield "bitmap_bits", chained(columns=swapped(10, 0, 1, 0, b"\x05" + zigzag(6))), "behind the"
    yield "bitmap_empty", chained(columns=swapped(10, 0, 1, 0, b"\x00" + zigzag(6))), "without"
    yield "scale", chained(columns=swapped(6, 0, 0, 19, zigzag(1))), "directory entry"
    yield "width", chained(columns=swapped(5, 2, 0, 0, packed(100, 1, 65, b"\x02"))), "width"
    yield "packed_bits", chained(columns=swapped(5, 2, 0, 0, packed(100, 1, 1, b"\x06"))), "bits"
    yield "packed_long", chained(
        columns=swapped(5, 2, 0, 0, packed(100, 1, 1, b"\x02\0"))
    ), "bytes behind"
    yield "zstd", chained(columns=swapped(5, 4, 0, 0, zigzag(0) + varint(1) + b"frame")), "zstd"
    yield "texts_missing", chained(columns=without(106)), "texts are missing"
    yield "text_long", chained(columns=swapped(10, 0, 1, 0, b"\x01" + zigzag(7))), "text"
    yield "provenance", chained(
        columns=COLUMNS[:8] + [(65, 0, 0, 0, zigzag(1))] + COLUMNS[8:]
    ), "provenance by mistake"
    yield "levels", chained(
        columns=COLUMNS[:8] + [(67, 0, 0, 0, zigzag(0))] + COLUMNS[8:]
    ), "levels by mistake"
    yield "symbol_column", chained(
        columns=COLUMNS[:8] + [(64, 0, 0, 0, zigzag(0))] + COLUMNS[8:]
    ), "symbols by mistake"
    yield "file_hash", segment(file_hash=1), "file hash wrong"
    yield "footer_hash", segment(hash=1), "footer hash wrong"
    yield "footer_magic", segment(magic_=magic(b"FOOX")), "no magic of the footer"
    yield "footer_symbol", segment(symbol=(b"binance:S", 3, TIME, 2, 0, 1)), "a symbol's rows"
    yield "footer_times", segment(symbol=(b"binance:S", 2, TIME, 3, 0, 1)), "a symbol's times"
    yield "postscript", flipped(segment(), -20), "postscript damaged"


def bad_catalogues():
    head, last = LINES[:6], LINES[6]
    yield "hash", flipped(catalogue(), 50), "hash wrong"
    yield "cut", catalogue()[:-1], "no hash at the end"
    yield "line_end", catalogue(end=""), "line without end"
    yield "major", line(0, "ringtape-catalogue 2 0"), "catalogue 2.0"
    yield "zeros", line(2, "generation 03"), "not 0"
    yield "words", line(2, "generation 3 4"), "more words"
    yield "spaces", line(2, "generation  3"), "not 0"
    yield "unknown", catalogue([*head, last, "shard 1"]), "unknown line"
    yield "twice", catalogue([*head, last, last]), "a segment twice"
    yield "order", catalogue([*LINES[:5], last, LINES[5]]), "tape behind segments"
    yield "future", line(4, "next_segment 1"), "number of the future"
    yield "future_tape", line(3, "next_tape 2"), "number of the future"
    yield "tape_order", catalogue([*LINES[:5], "tape 2 sealed", "tape 1 sealed", last]), "of order"


def bad_modelled():
    side_runs = b"\0\x05\x05"
    yield "predictor", modelled(2, b"\x08" + one(0)), "predictor"
    yield "lineage", modelled(2, b"\x20" + one(0)), "lineage"
    yield "list_kind", modelled(2, b"\0\x07" + zigzag(0)), "list of another kind"
    yield "list_inside", modelled(
        8, side_runs + b"\x02" + zigzag(1) + b"\x02\x0a" + one(2) + RUN_LENGTHS
    ), "list of another kind"
    yield "bins_weights", modelled(7, quantities(TWO_BINS.replace(b"\x68", b"\x69"))), "weights"
    yield "bins_states", modelled(7, quantities(TWO_BINS[:-2] + b"\xcd\0")), "states at the end"
    yield "bins_bits", modelled(7, quantities(TWO_BINS[:-1] + b"\x80")), "bits behind the last"
    yield "context_sizes", modelled(5, ids(lists=residuals(2, 8))), "fewer residuals than it has"
    yield "context_few", modelled(5, ids(lists=residuals(1, 8))), "fewer residuals than it has"
    yield "context_sum", modelled(5, ids(lists=residuals(1, 10))), "more residuals than values"
    yield "contexts", modelled(
        5, ids(b"\x02\x08\0\x3f" + LAST, b"\x81", residuals(0, 0, 1, 6, 0, 3, *[0] * 122))
    ), "contexts"
    yield "last_first", modelled(
        5, ids(LAST + b"\x01\x08\0\0", b"\x81", residuals(1, 0, 0, 5, 2, 2))
    ), "the last"
    yield "cap", modelled(
        5, ids(b"\x01\x08\0\0" + b"\x04\0\0\0", b"\x81", residuals(6, 2, 2))
    ), "cap"
    yield "predicate", modelled(5, ids(b"\x05\0\0\x01")), "predicate"
    yield "shift", modelled(4, times(b"\x01\x08\x01\0")), "shift of a predicate"
    yield "reference", modelled(0, b"\x02\x01" + DICTIONARY), "column that is not there"
    yield "reference_kind", modelled(0, b"\x02\x0a" + DICTIONARY), "reference to another kind"
    yield "reference_presence", modelled(
        10, b"\x09\0" + b"\x02\x08" + one(4)
    ), "reference from a column without all values"
    yield "circle", modelled(8, b"\x02\x04" + RUNS), "in a circle"
    yield "circle_of_one", modelled(8, b"\x02\x08" + RUNS), "in a circle"
    yield "patch_place", modelled(
        4, times(patched=PATCHED[:-3] + bytes.fromhex("06 04 01"))
    ), "patch"
    yield "dictionary_place", modelled(
        0, b"\x02\x04" + DICTIONARY[:-5] + bytes.fromhex("00 01 02 41 00 08")
    ), "place in a dictionary"
    yield "sparse_others", modelled(
        6, b"\x01" + zigzag(600116) + SPARSE[:2] + b"\x03" + SPARSE[3:]
    ), "others of a sparse list"
    yield "runs_long", modelled(
        8, side_runs + RUN_NUMBERS + RUN_LENGTHS[:-1] + b"\x02"
    ), "lengths of runs"
    yield "run_empty", modelled(
        8, b"\0\x05\x06" + RUN_NUMBERS + bytes.fromhex("01 00 01 02 6b 02")
    ), "length of a run"
    yield "behind", modelled(2, b"\x04" + zigzag(0) + one(0) + b"\0"), "bytes behind"


GOOD = {
    "1.0": {"batch": batch(), "two.batch": batch(order=b"\x0a", **TWO), "segment": segment(),
            "catalogue": catalogue()},
    "1.1": {"segment": modelled()},
}  # fmt: skip
BAD = {
    "1.0": {"batch": bad_batches, "segment": bad_segments, "catalogue": bad_catalogues},
    "1.1": {"segment": bad_modelled},
}


def write(folder, version):
    folder.mkdir(exist_ok=True)
    for name, data in GOOD[version].items():
        (folder.parent / f"{version}.made.{name}").write_bytes(data)
    listed = ""
    for kind, bad in BAD[version].items():
        for name, data, reason in bad():
            (folder / f"{version}.{name}.{kind}").write_bytes(data)
            listed += f"{version}.{name}.{kind}|{reason}\n"
    (folder / f"{version}.list").write_text(listed)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else max(GOOD))
