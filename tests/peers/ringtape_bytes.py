# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a store: numbers, bits, hashes, zstd. Part of ringtape_reader.py, which see.

xxHash and zstd are those of the system; everything else is Python's standard library."""

import ctypes

U64 = (1 << 64) - 1


class Damaged(Exception):
    """Something that a reader must reject. The text is the reason."""


class Newer(Exception):
    """Written by a version that this reader does not know; no damage."""


class UnknownCodec(Exception):
    """The column's values are not known to this reader, which is not the same as absent."""


def reject(condition, reason):
    if condition:
        raise Damaged(reason)


def signed(value):
    """The low 64 bits as two's complement: all arithmetic on values is modulo 2^64."""
    value &= U64
    return value - (1 << 64) if value >> 63 else value


def unzigzag(value):
    return (value >> 1) ^ -(value & 1)


_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh3(data):
    return _xxhash.XXH3_64bits(bytes(data), len(data))


_zstd = ctypes.CDLL("libzstd.so.1")
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
_zstd.ZSTD_decompress.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
]  # fmt: skip
_zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]
_zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
_zstd.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def unzstd(data, most):
    """One frame, which must be all of `data`; its content, at most `most` bytes."""
    data = bytes(data)
    frame = _zstd.ZSTD_findFrameCompressedSize(data, len(data))
    reject(_zstd.ZSTD_isError(frame) or frame != len(data), "not exactly one zstd frame")
    out = ctypes.create_string_buffer(max(most, 1))
    size = _zstd.ZSTD_decompress(out, most, data, len(data))
    reject(_zstd.ZSTD_isError(size), "zstd frame damaged or too long")
    return out.raw[:size]


class Cursor:
    """Reads forward; every length is compared with what is there first."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        reject(size > self.left(), "runs over its end")
        self.at += size
        return self.data[self.at - size : self.at]

    def unsigned(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self.unsigned(1)

    def u16(self):
        return self.unsigned(2)

    def u32(self):
        return self.unsigned(4)

    def u64(self):
        return self.unsigned(8)

    def i32(self):
        return int.from_bytes(self.take(4), "little", signed=True)

    def i64(self):
        return int.from_bytes(self.take(8), "little", signed=True)

    def varint(self):
        value = 0
        for place in range(10):
            byte = self.u8()
            value |= (byte & 127) << 7 * place
            if not byte & 128:
                reject(value > U64, "varint beyond 64 bits")
                return value
        raise Damaged("varint of more than 10 bytes")

    def zigzag(self):
        return unzigzag(self.varint())

    def packed(self, count, width):
        """`count` numbers of `width` bits, lowest first; the rest of the last byte is zero."""
        bits = count * width
        data = self.take((bits + 7) // 8)
        reject(bits % 8 and data[-1] >> bits % 8, "bits behind the last value")
        mask = (1 << width) - 1
        out = []
        for at in range(0, bits, width) if width else ():
            part = int.from_bytes(data[at >> 3 : (at + width + 7) >> 3], "little")
            out.append(part >> (at & 7) & mask)
        return out if width else [0] * count

    def names(self, count):
        """Lengths, then the names themselves."""
        lengths = self.take(count)
        return [bytes(self.take(length)) for length in lengths]

    def end(self, what):
        reject(self.left() != 0, f"bytes behind {what}")
