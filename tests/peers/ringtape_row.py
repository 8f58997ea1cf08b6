# SPDX-License-Identifier: GPL-3.0-or-later
"""One row, and what headers have in common. Part of ringtape_reader.py."""

from ringtape_bytes import Cursor, Newer, reject, xxh3

MAJOR = 1
SCALE_MAX = 18
LEVELS_MAX = 10_000
TEXT_MAX = 1 << 20
SECTOR = 4096


class UnknownValue:
    """Of a column in a codec that this reader does not know."""

    def __repr__(self):
        return "unknown"


UNKNOWN = UnknownValue()


class Row:
    """`values` by column name: an int, (mantissa, scale), bytes, None (absent) or UNKNOWN.
    `levels`: (price, quantity, side), the first two (mantissa, scale); None without levels."""

    __slots__ = ("channel", "symbol", "values", "levels", "tape", "tape_row")

    def __init__(self, channel, symbol):
        self.channel, self.symbol = channel, symbol
        self.values = {column.name: None for column in channel.columns}
        self.levels = [] if channel.levels else None
        self.tape = self.tape_row = None

    @property
    def time(self):
        """None: one of its times is in an unknown codec."""
        for name in self.channel.times:
            if self.values[name] is UNKNOWN:
                return None
            if self.values[name] is not None:
                return self.values[name]
        return 0


def magic(letters):
    return b"\xd2RT" + letters + b"\n"


def split_header(data, at, letters, smallest, largest):
    """The header at `at`, its hash verified; and a cursor behind `optional`."""
    head = Cursor(data, at)
    reject(head.left() < smallest, "too short")
    reject(head.take(8) != magic(letters), "no magic")
    major, minor, size = head.u8(), head.u8(), head.u16()
    required = head.u16()
    head.u16()
    reject(not smallest <= size <= largest or size % 8, "header_bytes impossible")
    header = bytes(data[at : at + size])
    reject(len(header) < size, "too short")
    reject(xxh3(header[:-8]) != int.from_bytes(header[-8:], "little"), "header hash wrong")
    if major != MAJOR or required:
        raise Newer(f"version {major}.{minor}, required features {required:#x}")
    return header, Cursor(header, 16)


def time_range(rows):
    times = [row.time for row in rows]
    return None if None in times else (min(times), max(times))


def bitmap(data, count):
    reject(len(data) != (count + 7) // 8, "bitmap of another length")
    reject(count % 8 and data[-1] >> count % 8, "bits behind the last row")
    return [bool(data[row >> 3] >> (row & 7) & 1) for row in range(count)]
