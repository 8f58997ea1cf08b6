# SPDX-License-Identifier: GPL-3.0-or-later
"""Latencies that a running ringtaped counts itself, from STORE/run/statistics (docs/metrics.md,
"The page"; format/statistics_page.h has the fields): histograms whole, so that two readings can be
subtracted."""

import struct

SHARDS_AT, SHARD_BYTES = 11544, 75840
SEQUENCE_AT, SLOT_BYTES_AT = 32, 16
BUCKETS, FIRST_BITS = 242, 8
DECODE_AT = 64 * 8  # behind the words of a shard
HISTOGRAM_BYTES = (BUCKETS + 2) * 8
NAMES = ("decode", "commit")


def newest(path):
    """The slot with the higher sequence; both are whole while the writer lives and is not within
    one, so it is read again until two readings agree."""
    while True:
        raw = path.read_bytes()
        if raw == path.read_bytes() and len(raw) > SHARDS_AT:
            break
    size = struct.unpack_from("<Q", raw, SLOT_BYTES_AT)[0]
    slots = [raw[at : at + size] for at in (0, size) if len(raw) >= at + size]
    return max(slots, key=lambda slot: struct.unpack_from("<Q", slot, SEQUENCE_AT)[0])


def histograms(store):
    """{name: [buckets]} of all shards together."""
    slot = newest(store / "run" / "statistics")
    sums = {name: [0] * BUCKETS for name in NAMES}
    for shard in range(struct.unpack_from("<I", slot, 12)[0]):
        for n, name in enumerate(NAMES):
            at = SHARDS_AT + shard * SHARD_BYTES + DECODE_AT + n * HISTOGRAM_BYTES
            found = struct.unpack_from(f"<{BUCKETS}Q", slot, at)
            sums[name] = [a + b for a, b in zip(sums[name], found)]
    return sums


def bound_ns(bucket):
    """The least value above the bucket: eight to an octave from 256 ns on."""
    octave, step = divmod(bucket, 8)
    return (8 + step) << (octave + FIRST_BITS - 3)


def quantile_ns(early, late, share):
    """Of what came between two readings: the upper end of the bucket. None: nothing came."""
    counts = [b - a for a, b in zip(early, late)]
    total, seen = sum(counts), 0
    for bucket, count in enumerate(counts):
        seen += count
        if total > 0 and seen >= share * total:
            return bound_ns(bucket)
    return None
