// SPDX-License-Identifier: Apache-2.0
//
// Choosing bins: the numbers are sorted and cut into some hundred pieces of equal count, a number
// that fills a piece being one by itself; the cheapest grouping of neighbouring pieces is found by
// dynamic programming. Costs are integers in 1/64 bit, so that every machine chooses alike.
#include "format/column_bins.h"

#include <stdlib.h>

#include "format/ensure.h"

enum {
    BINS_PIECES = 300,  // aimed at; each can bring one more for a number that comes often
    BINS_COST = 64,    // unit of a cost: 1/64 bit
    BINS_HEAD_BITS = 16, // a bin's description, as measured
    BINS_WIDTHS = 40,  // of bins that the search is cut short for
    BINS_LOGS = 8193,  // numbers whose logarithm is looked up, a block's rows
    BINS_LOG = 10,     // weights of 2^10: 2^12 gains 0.1 % and costs cache
};

static const uint8_t log_fraction[64] = {
    0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 19,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 47, 48, 49, 50, 51,
    52, 52, 53, 54, 55, 56, 56, 57, 58, 59, 60, 60, 61, 62, 63, 63,
};

// log2(number) in BINS_COST; number > 0.
static inline uint32_t cost_log(uint32_t number)
{
    unsigned whole = 31 - (unsigned)__builtin_clz(number);
    uint32_t fraction = (uint32_t)((uint64_t)number << 6 >> whole) & 63;
    return whole * BINS_COST + log_fraction[fraction];
}

struct bins_pieces {
    unsigned count;
    uint32_t start[BINS_PIECES_MAX + 1]; // start[count]: behind the last
    uint64_t low[BINS_PIECES_MAX];       // its least number
    uint64_t high[BINS_PIECES_MAX];      // its greatest
    uint64_t cost[BINS_PIECES_MAX + 1];  // of all before piece k, at best
    uint16_t from[BINS_PIECES_MAX + 1];  // where the last bin of that begins
    // Row k, column b: the least of cost[j] - b bits * (numbers before piece j), j <= k: what no
    // grouping can be below whose last bin begins at k or before and takes b bits a number.
    int64_t least[BINS_PIECES_MAX][BINS_WIDTHS];
};

struct bins_room {
    uint32_t count_max;
    uint64_t choices; // of bins_choose() so far: what was sorted last belongs to this one
    struct sort_room sort;
    struct bins_pieces pieces;
    uint16_t logs[BINS_LOGS]; // cost_log() of each number but 0
    uint8_t *symbols;
    uint64_t *steps;
    struct entropy_table table;
};

struct bins_room *bins_room_open(uint32_t count_max)
{
    struct bins_room *room = calloc(1, sizeof *room);
    if (!room)
        return NULL;
    ensure(count_max > 0);
    room->count_max = count_max;
    for (uint32_t n = 1; n < BINS_LOGS; n++)
        room->logs[n] = (uint16_t)cost_log(n);
    room->symbols = malloc((size_t)count_max + ENTROPY_STATES);
    room->steps = malloc(entropy_steps(count_max) * sizeof *room->steps);
    if (sort_room_open(&room->sort, count_max) && room->symbols && room->steps)
        return room;
    bins_room_close(room);
    return NULL;
}

void bins_room_close(struct bins_room *room)
{
    if (!room)
        return;
    sort_room_close(&room->sort);
    free(room->symbols);
    free(room->steps);
    free(room);
}

// ---- choosing ----

static bool same_number(const struct sort_room *sort, uint32_t at, uint32_t other)
{
    return (sort->sorted[at] ^ sort->sorted[other]) >> sort->place_bits == 0;
}

// Ends of pieces lie between different numbers.
static void bins_cut(const struct sort_room *sort, uint32_t count, struct bins_pieces *pieces)
{
    uint32_t step = count / BINS_PIECES + 1;
    ensure(sort_number(sort, 0) <= sort_number(sort, count - 1));
    pieces->count = 0;
    pieces->start[0] = 0;
    for (uint32_t at = 0; at < count;) {
        uint32_t end = count - at <= step ? count : at + step;
        uint32_t run = end - 1; // where the run that crosses the end begins
        while (end < count && same_number(sort, end, end - 1))
            end++;
        while (run > at && same_number(sort, run - 1, run))
            run--;
        if (run > at && end - run >= step)
            pieces->start[++pieces->count] = run;
        pieces->start[++pieces->count] = end;
        ensure(pieces->count <= BINS_PIECES_MAX);
        at = end;
    }
    ensure(pieces->start[pieces->count] == count);
    for (unsigned k = 0; k < pieces->count; k++) {
        pieces->low[k] = sort_number(sort, pieces->start[k]);
        pieces->high[k] = sort_number(sort, pieces->start[k + 1] - 1);
    }
}

// The row of pieces->least for piece k, whose cost is known.
static void bins_least(struct bins_pieces *pieces, unsigned k)
{
    int64_t cost = (int64_t)pieces->cost[k];
    const int64_t width = (int64_t)pieces->start[k] * BINS_COST;
    const int64_t *before = pieces->least[k == 0 ? 0 : k - 1];
    ensure(k < BINS_PIECES_MAX);
    for (unsigned b = 0; b < BINS_WIDTHS; b++) {
        pieces->least[k][b] = k == 0 || cost < before[b] ? cost : before[b];
        cost -= width;
    }
}

// What all before `stop` costs at least, but for the head of the last bin, if that begins with
// piece `from` or before it and takes `bits` a number.
static inline int64_t bins_floor(const struct bins_pieces *pieces, unsigned from, uint32_t stop,
                                 unsigned bits)
{
    const unsigned b = bits < BINS_WIDTHS ? bits : BINS_WIDTHS - 1;
    return pieces->least[from][b] + (int64_t)stop * b * BINS_COST;
}

// The best last bin of the pieces before `end`.
static inline __attribute__((always_inline)) void
bins_best(uint32_t count, struct bins_pieces *pieces, uint64_t head, unsigned end,
          const uint16_t *logs)
{
    int64_t best = INT64_MAX; // without the head of the last bin
    unsigned best_from = end - 1;
    uint64_t reach = UINT64_MAX; // least number that `each` is right for
    uint64_t each = 0;           // what a number takes, but for log2(numbers in the bin)
    unsigned bits = 0;
    const uint64_t high = pieces->high[end - 1];
    const uint32_t stop = pieces->start[end];
    const uint32_t whole = cost_log(count);
    const unsigned code = (whole - cost_log(stop)) / BINS_COST; // bits of any bin's symbol at least
    ensure(end > 0 && end <= pieces->count);
    for (unsigned from = end; from-- > 0;) {
        const bool wider = pieces->low[from] < reach;
        if (wider) {
            bits = bits_length(high - pieces->low[from]);
            reach = high > bits_mask(bits) ? high - bits_mask(bits) : 0;
            each = (uint64_t)bits * BINS_COST + whole;
        }
        if ((wider || from % 8 == 0) && bins_floor(pieces, from, stop, bits + code) >= best)
            break; // no bin that begins before can be better
        const uint32_t inside = stop - pieces->start[from];
        const uint32_t log = logs ? logs[inside] : cost_log(inside);
        const int64_t cost = (int64_t)(pieces->cost[from] + inside * (each - log));
        best_from = cost < best ? from : best_from;
        best = cost < best ? cost : best;
    }
    ensure(best != INT64_MAX);
    pieces->cost[end] = (uint64_t)best + head;
    pieces->from[end] = (uint16_t)best_from;
}

// The cheapest grouping, where each bin costs `head`.
static void bins_group(const uint16_t logs[BINS_LOGS], uint32_t count, struct bins_pieces *pieces,
                       uint64_t head)
{
    pieces->cost[0] = 0;
    for (unsigned end = 1; end <= pieces->count; end++) {
        bins_least(pieces, end - 1);
        if (count < BINS_LOGS)
            bins_best(count, pieces, head, end, logs);
        else
            bins_best(count, pieces, head, end, NULL);
    }
}

// False: more bins than there can be.
static bool bins_take(const struct bins_pieces *pieces, struct bins_plan *plan)
{
    unsigned b = 0;
    for (unsigned end = pieces->count; end > 0; end = pieces->from[end])
        b++;
    if (b > BINS_MAX)
        return false;
    plan->count = b;
    for (unsigned end = pieces->count; end > 0; end = pieces->from[end]) {
        unsigned from = pieces->from[end];
        b--;
        plan->lower[b] = pieces->low[from];
        plan->counts[b] = pieces->start[end] - pieces->start[from];
        plan->bits[b] = (uint8_t)bits_length(pieces->high[end - 1] - pieces->low[from]);
    }
    ensure(b == 0);
    return true;
}

// A bin that begins where the one before ends takes some ten bits less to describe. A width is a
// power of two, so there is room to shift a bin: it may begin anywhere behind the numbers of the
// one before as long as it holds its own.
static void bins_join(const struct sort_room *sort, uint32_t count, struct bins_plan *plan)
{
    uint32_t at = 0;
    uint64_t least = 0; // where it may begin
    uint64_t end = 0;   // of the bin before
    for (unsigned b = 0; b < plan->count; b++) {
        uint64_t low = sort_number(sort, at);
        at += plan->counts[b];
        uint64_t high = sort_number(sort, at - 1);
        uint64_t reach = bits_mask(plan->bits[b]); // width - 1
        uint64_t first = high > reach && high - reach > least ? high - reach : least;
        uint64_t next = at < count ? sort_number(sort, at) : 0;
        bool joins = b > 0 && end >= first && end <= low;
        // As near to the next bin as it can end, so that that one may join.
        uint64_t near = next > reach + 1 && reach != UINT64_MAX ? next - reach - 1 : low;
        near = near < first ? first : near > low ? low : near;
        plan->lower[b] = joins ? end : near;
        end = plan->lower[b] + reach + 1;
        least = high + 1;
    }
    ensure(at == count);
}

static unsigned bins_log(const struct bins_plan *plan, uint32_t count)
{
    if (plan->count == 1)
        return 0;
    unsigned log = bits_length(count);
    unsigned least = bits_length(plan->count) + 1;
    ensure(count >= plan->count && least <= ENTROPY_LOG_MAX);
    log = log > BINS_LOG ? BINS_LOG : log;
    log = log < least ? least : log;
    return log < ENTROPY_LOG_MIN ? ENTROPY_LOG_MIN : log;
}

size_t bins_choose(struct bins_room *room, const uint64_t *numbers, uint32_t count,
                   struct bins_plan *plan)
{
    struct bins_pieces *pieces = &room->pieces;
    ensure(count > 0 && count <= room->count_max);
    sort_numbers(&room->sort, numbers, count);
    bins_cut(&room->sort, count, pieces);
    // The price of a bin rises until there are few enough; the first is nearly always right.
    uint64_t head = BINS_HEAD_BITS * BINS_COST;
    for (;; head *= 2) {
        bins_group(room->logs, count, pieces, head);
        if (bins_take(pieces, plan))
            break;
    }
    bins_join(&room->sort, count, plan);
    plan->choice = ++room->choices;
    plan->log = bins_log(plan, count);
    if (plan->log != 0)
        entropy_weigh(plan->counts, plan->count, plan->log, plan->weights);
    uint64_t cost = pieces->cost[pieces->count] - plan->count * (head - BINS_HEAD_BITS * BINS_COST);
    return (size_t)(cost / (8ull * BINS_COST)) + 4 + plan->log / 2;
}

size_t bins_packed_least(const struct bins_plan *plan)
{
    uint64_t bits = 0;
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    for (unsigned b = 0; b < plan->count; b++)
        bits += (uint64_t)plan->counts[b] * bits_length(plan->lower[b]);
    return (size_t)(bits / 8);
}

size_t bins_choose_lengths(const uint32_t lengths[65], uint32_t count, struct bins_plan *plan)
{
    uint64_t cost = 0;
    uint32_t sum = 0;
    plan->count = 0;
    plan->choice = 0;
    for (unsigned length = 0; length <= 64; length++) {
        if (lengths[length] == 0)
            continue;
        unsigned b = plan->count++;
        plan->bits[b] = (uint8_t)(length == 0 ? 0 : length - 1);
        plan->lower[b] = length == 0 ? 0 : 1ull << plan->bits[b];
        plan->counts[b] = lengths[length];
        sum += lengths[length];
        cost += BINS_HEAD_BITS * BINS_COST +
                (uint64_t)lengths[length] * (plan->bits[b] * BINS_COST + cost_log(count) -
                                             cost_log(lengths[length]));
    }
    ensure(plan->count > 0 && sum == count);
    plan->log = bins_log(plan, count);
    if (plan->log != 0)
        entropy_weigh(plan->counts, plan->count, plan->log, plan->weights);
    return (size_t)(cost / (8ull * BINS_COST)) + 4 + plan->log / 2;
}

// ---- description ----

// Elias gamma: as many zeros as bits follow the highest one, then the number, from its lowest bit.
static void put_gamma(struct bits_writer *writer, uint64_t number)
{
    ensure(number > 0 && writer->used < 8);
    unsigned more = bits_length(number) - 1;
    bits_put(writer, 0, more);
    bits_put(writer, 1, 1);
    bits_put(writer, number & bits_mask(more), more);
}

static uint64_t get_gamma(struct bits_reader *reader)
{
    unsigned more = 0;
    while (more < 64 && bits_get(reader, 1) == 0)
        more++;
    return more == 64 ? 0 : 1ull << more | bits_get(reader, more);
}

// A number of about `like` bits: the difference of the lengths, then all bits but the highest.
static void put_like(struct bits_writer *writer, uint64_t number, unsigned like)
{
    unsigned length = bits_length(number);
    put_gamma(writer, wire_zigzag((int64_t)length - (int64_t)like) + 1);
    if (length > 1)
        bits_put(writer, number & bits_mask(length - 1), length - 1);
}

static bool get_length(struct bits_reader *reader, unsigned like, unsigned *length)
{
    uint64_t coded = get_gamma(reader);
    int64_t difference = wire_unzigzag(coded - 1);
    if (coded == 0 || difference < -(int64_t)like || difference > 64 - (int64_t)like)
        return false;
    *length = (unsigned)((int64_t)like + difference);
    return true;
}

static bool get_like(struct bits_reader *reader, unsigned like, uint64_t *number)
{
    unsigned length;
    if (!get_length(reader, like, &length))
        return false;
    *number = length == 0 ? 0 : 1ull << (length - 1) | bits_get(reader, length - 1);
    return true;
}

// A width is told by its difference from the one before, a weight by that of its length.
static void put_description(const struct bins_plan *plan, struct bits_writer *writer)
{
    uint64_t least = 0; // that the lower end can be
    uint64_t end = 0;   // of the bin before
    unsigned bits = 0;
    unsigned weight_bits = plan->log / 2;
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    for (unsigned b = 0; b < plan->count; b++) {
        ensure(plan->lower[b] >= least && plan->bits[b] <= 64);
        bool joins = plan->lower[b] == end;
        bits_put(writer, joins, 1);
        if (!joins)
            put_like(writer, plan->lower[b] - least, bits);
        put_gamma(writer, wire_zigzag((int64_t)plan->bits[b] - (int64_t)bits) + 1);
        if (plan->log != 0)
            put_like(writer, plan->weights[b], weight_bits);
        bits = plan->bits[b];
        least = plan->lower[b] + 1;
        end = plan->lower[b] + bits_mask(bits) + 1;
        weight_bits = bits_length(plan->weights[b]);
    }
}

static bool get_bin(struct bits_reader *reader, uint64_t least, uint64_t end, unsigned like,
                    uint64_t *lower, unsigned *bits)
{
    uint64_t gap = 0;
    bool joins = bits_get(reader, 1) != 0;
    if (!joins && !get_like(reader, like, &gap))
        return false;
    *lower = joins ? end : least + gap;
    return *lower >= least && get_length(reader, like, bits);
}

static bool get_description(struct bits_reader *reader, struct bins_plan *plan)
{
    uint64_t least = 0;
    uint64_t end = 0;
    uint64_t sum = 0;
    unsigned bits = 0;
    unsigned weight_bits = plan->log / 2;
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    ensure(plan->log <= ENTROPY_LOG_MAX);
    for (unsigned b = 0; b < plan->count; b++) {
        uint64_t weight = 1;
        if ((b > 0 && least == 0) || // nothing lies behind the greatest number
            !get_bin(reader, least, end, bits, &plan->lower[b], &bits) ||
            (plan->log != 0 && !get_like(reader, weight_bits, &weight)) || weight == 0 ||
            weight > 1u << plan->log)
            return false;
        plan->bits[b] = (uint8_t)bits;
        plan->weights[b] = (uint16_t)weight;
        sum += weight;
        weight_bits = bits_length(weight);
        least = plan->lower[b] + 1;
        end = plan->lower[b] + bits_mask(bits) + 1;
    }
    return sum == 1u << plan->log && reader->at <= (uint64_t)reader->size * 8;
}

// ---- the list ----

// The bin of each number: the last one whose lower end is not above it.
static void find_bins(const struct bins_plan *plan, const uint64_t *numbers, uint32_t count,
                      uint8_t *symbols)
{
    uint64_t lower[256];
    memset(lower, 0xff, sizeof lower);
    memcpy(lower, plan->lower, plan->count * sizeof *lower);
    unsigned half = 1;
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    while (half < plan->count)
        half *= 2;
    for (uint32_t i = 0; i < count; i++) {
        unsigned at = 0;
        for (unsigned step = half / 2; step > 0; step /= 2)
            at += step * (lower[at + step] <= numbers[i]); // no branch to be guessed wrong
        symbols[i] = (uint8_t)(at < plan->count ? at : plan->count - 1);
    }
}

struct bin_place {
    uint64_t lower;
    uint64_t outside; // bits that no place in it has
    uint64_t bits;
};

struct bin_places { // of a list
    struct bin_place bins[BINS_MAX];
    unsigned widest;
};

static void places_of(const struct bins_plan *plan, struct bin_places *places)
{
    places->widest = 0;
    for (unsigned b = 0; b < plan->count; b++) {
        unsigned bits = plan->bits[b];
        places->bins[b] = (struct bin_place){plan->lower[b], ~bits_mask(bits), bits};
        places->widest = bits > places->widest ? bits : places->widest;
    }
}

// Places of `together` numbers at a time, which together take at most 56 bits.
static inline __attribute__((always_inline)) uint32_t
put_places(const struct bin_place *bins, unsigned together, const uint8_t *symbols,
           const uint64_t *numbers, uint32_t count, struct bits_writer *out)
{
    struct bits_writer writer = *out; // in registers
    uint64_t outside = 0;
    uint32_t i = 0;
    for (; i + together <= count; i += together) {
        uint64_t word = 0;
        uint64_t used = 0;
        for (unsigned n = 0; n < together; n++) {
            const struct bin_place *bin = &bins[symbols[i + n]];
            uint64_t place = numbers[i + n] - bin->lower;
            outside |= place & bin->outside;
            word |= place << used;
            used += bin->bits;
        }
        if (together == 1)
            bits_put(&writer, word, (unsigned)used);
        else
            bits_put_short(&writer, word, (unsigned)used);
    }
    ensure(outside == 0);
    *out = writer;
    return i;
}

static void put_all_places(const struct bins_plan *plan, const uint8_t *symbols,
                           const uint64_t *numbers, uint32_t count, struct bits_writer *writer)
{
    struct bin_places places;
    uint32_t done = 0;
    places_of(plan, &places);
    if (places.widest <= 56 / 4)
        done = put_places(places.bins, 4, symbols, numbers, count, writer);
    else if (places.widest <= 56 / 2)
        done = put_places(places.bins, 2, symbols, numbers, count, writer);
    (void)put_places(places.bins, 1, symbols + done, numbers + done, count - done, writer);
}

uint8_t *bins_encode(struct bins_room *room, const struct bins_plan *plan, const uint64_t *numbers,
                     uint32_t count, uint8_t *out)
{
    ensure(count > 0 && count <= room->count_max);
    ensure((plan->log == 0) == (plan->count == 1));
    *out++ = (uint8_t)plan->count;
    *out++ = (uint8_t)plan->log;
    struct bits_writer writer = {.out = out};
    put_description(plan, &writer);
    if (plan->choice == 0 || plan->choice != room->choices ||
        !sort_ranges(&room->sort, numbers, count, plan->counts, plan->count, room->symbols))
        find_bins(plan, numbers, count, room->symbols);
    if (plan->log != 0) {
        entropy_table_encoder(&room->table, plan->weights, plan->count, plan->log);
        entropy_encode(&room->table, room->symbols, count, room->steps, &writer);
    }
    put_all_places(plan, room->symbols, numbers, count, &writer);
    return bits_finish(&writer);
}

struct bin_reader {
    uint64_t lower; // base + step * the bin's lower end
    uint64_t mask;
    uint64_t bits;
};

// Places in the bins: a sum of widths says where each begins. As long as a whole word can be read
// and holds any place, without a look at the end.
static uint64_t get_places(const struct bins_plan *plan, const uint8_t *symbols, uint32_t count,
                           const struct bits_reader *reader, uint64_t base, uint64_t step,
                           uint64_t *out)
{
    struct bin_reader bins[256];
    uint64_t at = reader->at;
    unsigned widest = 0;
    uint32_t i = 0;
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    for (unsigned b = 0; b < plan->count; b++) {
        unsigned bits = plan->bits[b];
        widest = bits > widest ? bits : widest;
        bins[b] = (struct bin_reader){base + step * plan->lower[b], bits_mask(bits), bits};
    }
    for (; widest <= 56 && i < count && at / 8 + sizeof(uint64_t) <= reader->size; i++) {
        const struct bin_reader *bin = &bins[symbols[i]];
        uint64_t word;
        memcpy(&word, reader->bytes + at / 8, sizeof word);
        out[i] = bin->lower + step * (word >> (at % 8) & bin->mask);
        at += bin->bits;
    }
    for (; i < count; i++) {
        const struct bin_reader *bin = &bins[symbols[i]];
        uint64_t place = bits_at(reader->bytes, reader->size, at, (unsigned)bin->bits);
        out[i] = bin->lower + step * place;
        at += bin->bits;
    }
    return at;
}

// Bits of places that nobody asked for. Four sums, for one waits for the number before.
static uint64_t places_bits(const struct bins_plan *plan, const uint8_t *symbols, uint32_t count)
{
    uint8_t bits[256] = {0};
    uint64_t sums[4] = {0};
    ensure(plan->count > 0 && plan->count <= BINS_MAX);
    memcpy(bits, plan->bits, plan->count);
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (unsigned s = 0; s < 4; s++)
            sums[s] += bits[symbols[i + s]];
    }
    for (; i < count; i++)
        sums[0] += bits[symbols[i]];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

bool bins_decode(struct bins_room *room, struct wire_reader *in, uint32_t count, uint32_t needed,
                 uint64_t base, uint64_t step, uint64_t *out)
{
    struct bins_plan plan;
    ensure(count > 0 && count <= room->count_max);
    ensure(needed <= count);
    plan.count = wire_get_u8(in);
    plan.log = wire_get_u8(in);
    if (in->failed || plan.count == 0 || (plan.log == 0) != (plan.count == 1) ||
        (plan.log != 0 && (plan.log < ENTROPY_LOG_MIN || plan.log > ENTROPY_LOG_MAX)))
        return false;
    struct bits_reader reader = {.bytes = in->at, .size = wire_left(in)};
    if (!get_description(&reader, &plan))
        return false;
    if (plan.log == 0) {
        memset(room->symbols, 0, count);
    } else {
        entropy_table_decoder(&room->table, plan.weights, plan.count, plan.log);
        if (!entropy_decode(&room->table, &reader, room->symbols, count))
            return false;
    }
    uint64_t end = get_places(&plan, room->symbols, needed, &reader, base, step, out);
    end += places_bits(&plan, room->symbols + needed, count - needed);
    // Unused bits of the last byte are 0, and the list ends with it.
    unsigned rest = (unsigned)(8 - end % 8) % 8;
    return end <= (uint64_t)reader.size * 8 &&
           bits_at(reader.bytes, reader.size, end, rest) == 0 && wire_get(in, bits_bytes(end));
}
