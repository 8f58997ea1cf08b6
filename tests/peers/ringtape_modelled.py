# SPDX-License-Identifier: GPL-3.0-or-later
"""Codec 6 of segment columns, "Modelled columns" of docs/format.md. Part of ringtape_reader.py."""

from ringtape_bytes import U64, reject, signed, unzigzag

SIDES = 70
LIST_ANY, LIST_INSIDE, LIST_OF_RESTS = range(7), (0, 1, 3), (0, 1, 2, 3)
VECTOR, LANES = 1024, 16


def magnitude_bits(value, shift):
    return (abs(signed(value)) >> shift).bit_length()


class Bits:
    """Bits of the rest of a cursor, lowest first."""

    def __init__(self, cursor):
        self.cursor, self.at = cursor, 0
        self.value = int.from_bytes(cursor.data[cursor.at :], "little")
        self.size = cursor.left() * 8

    def take(self, width):
        reject(width > self.size - self.at, "runs over its end")
        self.at += width
        return self.value >> (self.at - width) & ((1 << width) - 1)

    def gamma(self):
        zeros = 0
        while self.take(1) == 0:
            zeros += 1
            reject(zeros > 64, "gamma code too long")
        return 1 << zeros | self.take(zeros)

    def change(self, before):
        """A number of 0 ... 64 as its difference to another."""
        found = before + unzigzag(self.gamma() - 1)
        reject(not 0 <= found <= 64, "width out of range")
        return found

    def like(self, width):
        """A number of about as many bits as `width` says."""
        size = self.change(width)
        return 1 << size - 1 | self.take(size - 1) if size else 0

    def end(self):
        """The rest of the last byte is zero; the cursor goes on behind it."""
        reject(self.take(-self.at % 8) != 0, "bits behind the last")
        self.cursor.take(self.at // 8)


# ---- lists ----


def read_list(cursor, count, kinds=LIST_ANY):
    kind = cursor.u8()
    reject(kind not in kinds, "list of another kind")
    return LISTS[kind](cursor, count)


def list_constant(cursor, count):
    return [signed(cursor.zigzag())] * count


def list_packed(cursor, count):
    base, step = cursor.zigzag(), cursor.varint()
    found = []
    for done in range(0, count, VECTOR):
        found += vector(cursor, min(VECTOR, count - done))
    return [signed(base + step * n) for n in found]


def vector(cursor, count):
    head = cursor.u8()
    width, patched = head & 127, head >> 7
    reject(width > 64, "width above 64")
    patches, high = 0, 0
    if patched:
        patches, high = cursor.u16(), cursor.u8()
        reject(not 1 <= patches <= count or high < 1 or width + high > 64, "patches")
    low = lanes(cursor, width) if count == VECTOR else cursor.packed(count, width)
    patch(cursor, low, patches, width, high)
    return low


def lanes(cursor, width):
    words = [cursor.u64() for _ in range(LANES * width)]
    mask = (1 << width) - 1
    found = [0] * VECTOR
    for lane in range(LANES):
        joined = 0
        for j in range(width):
            joined |= words[LANES * j + lane] << 64 * j
        for place in range(VECTOR // LANES):
            found[place * LANES + lane] = joined >> place * width & mask
    return found


def patch(cursor, low, patches, width, high):
    if not patches:
        return
    bits, last = Bits(cursor), -1
    for _ in range(patches):
        place, part = bits.take(10), bits.take(high)
        reject(place <= last or place >= len(low) or part == 0, "patch")
        low[place] += part << width
        last = place
    bits.end()


def list_sparse(cursor, count):
    common, others = signed(cursor.zigzag()), cursor.varint()
    reject(others == 0 or others > count, "others of a sparse list")
    where = cursor.packed(count, 1)
    reject(sum(where) != others, "others of a sparse list")
    rest = iter(read_list(cursor, others, LIST_INSIDE))
    return [next(rest) if other else common for other in where]


def list_dictionary(cursor, count):
    size = cursor.varint()
    reject(not 1 <= size <= 256, "size of a dictionary")
    entries = read_list(cursor, size, LIST_INSIDE)
    places = read_list(cursor, count, LIST_INSIDE)
    reject(any(not 0 <= place < size for place in places), "place in a dictionary")
    return [entries[place] for place in places]


def list_runs(cursor, count):
    runs = cursor.varint()
    reject(not 1 <= runs <= count, "runs")
    numbers, lengths = read_list(cursor, runs, LIST_INSIDE), read_list(cursor, runs, LIST_INSIDE)
    reject(any(not 1 <= length <= count for length in lengths), "length of a run")
    reject(sum(lengths) != count, "lengths of runs")
    return [number for number, length in zip(numbers, lengths) for _ in range(length)]


def list_ticks(cursor, count):
    unit, ticks = cursor.varint(), read_list(cursor, count, LIST_INSIDE)
    rests = read_list(cursor, count, LIST_OF_RESTS)
    return [signed(unit * tick + rest) for tick, rest in zip(ticks, rests)]


# ---- bins ----


def list_bins(cursor, count):
    base, step = cursor.zigzag(), cursor.varint()
    bins, log = cursor.u8(), cursor.u8()
    reject(bins == 0 or (log != 0 if bins == 1 else not 4 <= log <= 12), "bins")
    bits = Bits(cursor)
    lower, widths, weights = read_bins(bits, bins, log)
    symbols = read_symbols(bits, weights, log, count) if log else [0] * count
    numbers = [lower[symbol] + bits.take(widths[symbol]) for symbol in symbols]
    bits.end()
    return [signed(base + step * n) for n in numbers]


def read_bins(bits, count, log):
    least = end = width = 0
    weight = 1 << log // 2 - 1 if log else 1
    lower, widths, weights = [], [], []
    for _ in range(count):
        at = end if bits.take(1) else least + bits.like(width)
        reject(not least <= at <= U64, "lower end of a bin")
        width = bits.change(width)
        weight = bits.like(weight.bit_length()) if log else 1
        reject(weight == 0, "weight of a bin")
        lower.append(at)
        widths.append(width)
        weights.append(weight)
        least, end = at + 1, at + (1 << width)
    reject(log and sum(weights) != 1 << log, "weights")
    return lower, widths, weights


def read_symbols(bits, weights, log, count):
    states = 1 << log
    step = states // 2 + states // 8 + 3
    symbol_of, at = [0] * states, 0
    for symbol, weight in enumerate(weights):
        for _ in range(weight):
            symbol_of[at] = symbol
            at = (at + step) % states
    next_count = list(weights)
    table = []
    for symbol in symbol_of:
        c = next_count[symbol]
        next_count[symbol] += 1
        width = log + 1 - c.bit_length()
        table.append((symbol, width, (c << width) - states))
    state = [bits.take(log) for _ in range(4)]
    found = []
    for i in range(count):
        symbol, width, base = table[state[i % 4]]
        found.append(symbol)
        state[i % 4] = base + bits.take(width)
    reject(any(state), "states at the end of the symbols")
    return found


LISTS = [
    list_constant, list_packed, list_sparse, list_bins, list_dictionary, list_runs, list_ticks,
]  # fmt: skip


# ---- models ----


class Predicate:
    def __init__(self, cursor, context):
        self.kind, x, self.shift, self.cap = [cursor.u8() for _ in range(4)]
        reject(self.kind > 4 or self.shift > 63, "predicate")
        reject(not (1 <= self.cap <= 63 if self.kind in (0, 2, 4) else self.cap == 0), "cap")
        reject(self.shift != 0 and self.kind not in (0, 4), "shift of a predicate")
        reject(x != 0 and self.kind > 2, "column of a predicate that has none")
        self.x = context.column(x) if self.kind <= 2 else None
        self.values = {1: 3, 3: 2}.get(self.kind, self.cap + 1)

    def value(self, i, p, last, context):
        x = self.x
        if self.kind == 0:
            change = 0 if p is None else magnitude_bits(x[i] - x[p], self.shift)
            return min(self.cap, change)
        if self.kind == 1:
            return 0 if p is None or x[i] == x[p] else 1 if x[i] > x[p] else 2
        if self.kind == 2:
            return min(self.cap, x[i] & U64)
        if self.kind == 3:
            return int(p is None or context.row(p) != context.row(i))
        return min(self.cap, magnitude_bits(last, self.shift))


def predecessors(lineage, count, context):
    if lineage == 0:
        return [None, *range(count - 1)] if count else []
    reject(lineage > 2 or not context.is_level, "lineage")
    rows = [context.row(i) for i in range(count)]
    if lineage == 2:
        return ranks(rows)
    return lists_of_sides(rows, context.column(SIDES))


def ranks(rows):
    first, found = {}, []
    for i, row in enumerate(rows):
        first.setdefault(row, i)
        before = first.get(row - 1)
        p = None if before is None else before + i - first[row]
        found.append(p if p is not None and p < i and rows[p] == row - 1 else None)
    return found


def lists_of_sides(rows, sides):
    """A side's level before in the row; of its first one, the first one of an earlier row."""
    last, firsts, found = {}, {}, []
    for i, (row, side) in enumerate(zip(rows, sides)):
        if side in last and rows[last[side]] == row:
            found.append(last[side])
        else:
            found.append(firsts.get(side))
            firsts[side] = i
        last[side] = i
    return found


def predict(predictor, v, x, i, p, start):
    if predictor == 0:
        return 0
    if predictor == 2:
        return x[i]
    if p is None:
        return start + (x[i] if predictor == 3 else 0)
    if predictor in (1, 4):
        return v[p]
    if predictor == 3:
        return x[i] + v[p] - x[p]
    if predictor in (5, 7):
        return v[p] if x[i] == x[p] else x[i] if predictor == 7 else 0
    return x[p]


def modelled(cursor, count, context):
    """`context` is the column in its block: column(id), row(level), is_level."""
    head = cursor.u8()
    predictor, lineage, predicates = head & 15, head >> 4 & 3, head >> 6
    reject(predictor > 7, "predictor")
    x = context.column(cursor.u8()) if predictor in (2, 3, 5, 6, 7) else None
    rules = [Predicate(cursor, context) for _ in range(predicates)]
    reject(any(rule.kind == 4 for rule in rules[:-1]), "predicate that must be the last")
    contexts = 1
    for rule in rules:
        contexts *= rule.values
    reject(contexts > 64, "too many contexts")
    start = cursor.zigzag() if predictor in (1, 3, 4, 5, 6, 7) else 0
    sizes, lists = [], []
    for _ in range(contexts):
        sizes.append(cursor.varint() if rules else count)
        reject(sum(sizes) > count, "more residuals than values")
        lists.append(iter(read_list(cursor, sizes[-1]) if sizes[-1] else []))
    before = predecessors(lineage, count, context)
    return rebuild(count, predictor, x, rules, start, lists, before, context)


def rebuild(count, predictor, x, rules, start, lists, before, context):
    v, last = [], 0
    for i in range(count):
        number = 0
        for rule in rules:
            number = number * rule.values + rule.value(i, before[i], last, context)
        last = next(lists[number], None)
        reject(last is None, "a context with fewer residuals than it has values")
        guess = predict(predictor, v, x, i, before[i], start)
        v.append(signed(last ^ guess if predictor == 4 else last + guess))
    reject(any(next(rest, None) is not None for rest in lists), "residuals left over")
    return v
