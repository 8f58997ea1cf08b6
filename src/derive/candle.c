// SPDX-License-Identifier: GPL-3.0-or-later
//
// candle: see candle.h. A symbol's memory is its head, with the newest minute, and elsewhere the
// ring of the minutes before and the marks of each interval (one a candle within the ring: its
// revision, and whether and when it is to be issued).
//
// A minute whose candles all wait is flagged, so that nearly every trade touches two cache lines of
// a head and nothing else; the heads lie side by side. Contract: before a trade received at R is
// added, what was due at R is issued.
#include "derive/candle.h"

#include "derive/candle_inside.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct candle_mark {
    int64_t due_ns;
    int32_t window; // minute of its open / minutes of the interval
    uint16_t revision; // of the next issue
    bool waits;
};

struct candle_head {
    _Alignas(64) int64_t due_ns; // none of its marks is due earlier
    uint32_t waiting;      // marks that wait
    bool pending;          // listed
    struct candle_sum now; // of the newest minute, whose place in the ring is void; minute 0: none
    int64_t grace_ns;
};

// A trade that came before the candles it belongs to are known.
struct candle_held {
    struct candle_trade trade;
    uint32_t symbol;
};

enum { CANDLE_ISSUE_ALL = INT32_MAX };

_Static_assert(offsetof(struct candle_head, now.first_time_ns) <= 128, "a trade takes two lines");
_Static_assert(sizeof(struct candle_sum) == 128, "two cache lines a minute");
_Static_assert(sizeof(struct candle_mark) == 16, "four marks a cache line");

bool candle_minutes_valid(uint32_t minutes)
{
    return minutes >= 1 && minutes <= CANDLE_MINUTES_MAX && 1440 % minutes == 0;
}

// Upbit's trades arrive up to a second late; the others' within 100 ms.
int64_t candle_grace_ns(const char *exchange)
{
    return (strcmp(exchange, "upbit") == 0 ? 3 : 2) * CANDLE_SECOND_NS;
}

static inline struct candle_head *candle_head(const struct candles *candles, uint32_t symbol)
{
    return (struct candle_head *)(void *)candles->memory + symbol;
}

static inline struct candle_sum *candle_ring(const struct candles *candles, uint32_t symbol)
{
    return (void *)(candles->memory + candles->options.symbols_max * sizeof(struct candle_head) +
                    (size_t)symbol * candles->stride);
}

// Where the sum of `minute` is, if there is one: it is another minute's otherwise.
static inline struct candle_sum *candle_minute(const struct candles *candles, uint32_t symbol,
                                               int32_t minute)
{
    struct candle_head *head = candle_head(candles, symbol);
    if (minute == head->now.minute) return &head->now;
    return &candle_ring(candles, symbol)[minute & candles->mask];
}

static inline struct candle_mark *candle_mark(const struct candles *candles, uint32_t symbol,
                                              uint32_t interval, int32_t window)
{
    struct candle_mark *marks = (void *)(candle_ring(candles, symbol) + candles->options.ring);
    return marks + candles->mark_first[interval] +
           (uint32_t)window % candles->mark_count[interval];
}

// ---- life ----

static size_t candles_layout(struct candles *candles)
{
    uint32_t marks = 0;
    for (uint32_t i = 0; i < candles->options.interval_count; i++) {
        ensure(candle_minutes_valid(candles->options.minutes[i]));
        candles->mark_first[i] = marks;
        candles->mark_count[i] = candles->options.ring / candles->options.minutes[i] + 1;
        marks += candles->mark_count[i];
    }
    const size_t bytes = candles->options.ring * sizeof(struct candle_sum) +
                         marks * sizeof(struct candle_mark);
    return (bytes + 127) / 128 * 128;
}

static void *candles_reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static void candles_release(struct candles *candles, struct candle_held *held)
{
    ensure(munmap(held, candles->options.held_max * sizeof *held) == 0);
}

int candles_open(struct candles *candles, const struct candles_options *options)
{
    ensure(options->interval_count <= CANDLE_INTERVALS_MAX && options->symbols_max > 0);
    memset(candles, 0, sizeof *candles);
    candles->options = *options;
    if (options->ring == 0) candles->options.ring = CANDLE_RING;
    ensure((candles->options.ring & (candles->options.ring - 1)) == 0);
    ensure(candles->options.ring >= CANDLE_RING && candles->options.ring <= CANDLE_RING_DAY);
    candles->mask = (int32_t)candles->options.ring - 1;
    candles->due_ns = INT64_MAX;
    candles->stride = candles_layout(candles);
    candles->pending = calloc(options->symbols_max, sizeof *candles->pending);
    candles->memory_bytes =
        options->symbols_max * (sizeof(struct candle_head) + candles->stride);
    candles->memory = candles_reserve(candles->memory_bytes);
    if (options->held_max > 0)
        candles->held = candles_reserve(options->held_max * sizeof *candles->held);
    const bool held = options->held_max == 0 || candles->held != NULL;
    if (options->held_max > 0) candles->options.issue = NULL; // candles_start()
    if (candles->memory != NULL && candles->pending != NULL && held) return 0;
    candles_close(candles);
    return -ENOMEM;
}

void candles_close(struct candles *candles)
{
    if (candles->memory != NULL) ensure(munmap(candles->memory, candles->memory_bytes) == 0);
    if (candles->held != NULL) candles_release(candles, candles->held);
    candles->held = NULL;
    free(candles->pending);
    candles->memory = NULL;
    candles->pending = NULL;
}

void candles_symbol(struct candles *candles, uint32_t symbol, int64_t grace_ns)
{
    ensure(symbol < candles->options.symbols_max && grace_ns >= 0);
    candle_head(candles, symbol)->grace_ns = grace_ns;
}

// ---- issuing ----

static int64_t candle_next_second(int64_t time_ns)
{
    return (time_ns / CANDLE_SECOND_NS + 1) * CANDLE_SECOND_NS;
}

static void candle_build(const struct candles *candles, uint32_t symbol, uint32_t interval,
                         const struct candle_mark *mark, struct candle *candle)
{
    const uint32_t minutes = candles->options.minutes[interval];
    const int32_t first = mark->window * (int32_t)minutes;
    memset(candle, 0, sizeof *candle);
    candle->symbol = symbol;
    candle->minutes = minutes;
    candle->revision = mark->revision;
    candle->open_time_ns = first * CANDLE_MINUTE_NS;
    candle->close_time_ns = (first + (int32_t)minutes) * CANDLE_MINUTE_NS;
    for (int32_t minute = first; minute < first + (int32_t)minutes; minute++) {
        const struct candle_sum *sum = candle_minute(candles, symbol, minute);
        if (sum->minute == minute) candle_sum_merge(&candle->sum, sum);
    }
}

// The next trade of these minutes has to mark their candles again.
static void candle_unmark(const struct candles *candles, uint32_t symbol, uint32_t interval,
                          const struct candle_mark *mark)
{
    const int32_t minutes = (int32_t)candles->options.minutes[interval];
    for (int32_t minute = mark->window * minutes; minute < (mark->window + 1) * minutes; minute++)
        candle_minute(candles, symbol, minute)->flags &= (uint8_t)~CANDLE_MARKED;
}

static void candle_settle(struct candles *candles, uint32_t symbol, uint32_t interval,
                          struct candle_mark *mark)
{
    ensure(mark->waits && candle_head(candles, symbol)->waiting > 0);
    mark->waits = false;
    candle_head(candles, symbol)->waiting--;
    candle_unmark(candles, symbol, interval, mark);
}

static bool candle_issue_one(struct candles *candles, uint32_t symbol, uint32_t interval,
                             struct candle_mark *mark)
{
    struct candle candle;
    candle_build(candles, symbol, interval, mark, &candle);
    if ((candle.sum.flags & CANDLE_OVERFLOW) != 0) {
        candles->counters.unfit++;
    } else if (!candles->options.issue(candles->options.context, &candle)) {
        candles->counters.refused++;
        return false;
    } else {
        candles->counters.issued++;
        candles->counters.revisions += mark->revision > 0;
        if (mark->revision < UINT16_MAX) mark->revision++;
    }
    candle_settle(candles, symbol, interval, mark);
    return true;
}

// The windows of an interval that lie whole in the ring.
struct candle_span {
    int32_t first;
    int32_t last;
};

static struct candle_span candle_span(const struct candles *candles, int32_t newest,
                                      uint32_t interval)
{
    const int32_t minutes = (int32_t)candles->options.minutes[interval];
    int32_t oldest = newest - (candles->mask + 1) + 1;
    if (oldest < candles->floor) oldest = candles->floor;
    if (oldest < 0) oldest = 0;
    return (struct candle_span){(oldest + minutes - 1) / minutes, newest / minutes};
}

// What is due at `now_ns` and begins before minute `before`; at most `rows`. Returns how many were
// tried.
static uint32_t candle_issue_symbol(struct candles *candles, uint32_t symbol, int64_t now_ns,
                                    int32_t before, uint32_t rows)
{
    struct candle_head *head = candle_head(candles, symbol);
    int64_t due_ns = INT64_MAX;
    uint32_t tried = 0;
    for (uint32_t i = 0; i < candles->options.interval_count && head->waiting > 0; i++) {
        const struct candle_span span = candle_span(candles, head->now.minute, i);
        for (int32_t window = span.first; window <= span.last; window++) {
            struct candle_mark *mark = candle_mark(candles, symbol, i, window);
            if (!mark->waits || mark->window != window) continue;
            const bool due = mark->due_ns <= now_ns &&
                             window * (int32_t)candles->options.minutes[i] < before;
            if (due && tried < rows) {
                tried++;
                if (candle_issue_one(candles, symbol, i, mark)) continue;
                mark->due_ns = now_ns == INT64_MAX ? now_ns : candle_next_second(now_ns);
            }
            if (mark->due_ns < due_ns) due_ns = mark->due_ns;
        }
    }
    head->due_ns = due_ns;
    return tried;
}

bool candles_advance(struct candles *candles, int64_t now_ns, uint32_t rows)
{
    if (now_ns < candles->due_ns) return true;
    int64_t due_ns = INT64_MAX;
    for (uint32_t i = 0; i < candles->pending_count;) {
        const uint32_t symbol = candles->pending[i];
        struct candle_head *head = candle_head(candles, symbol);
        if (head->due_ns <= now_ns && rows > 0)
            rows -= candle_issue_symbol(candles, symbol, now_ns, INT32_MAX, rows);
        if (head->waiting > 0) {
            if (head->due_ns < due_ns) due_ns = head->due_ns;
            i++;
        } else {
            head->pending = false;
            candles->pending[i] = candles->pending[--candles->pending_count];
        }
    }
    candles->due_ns = due_ns;
    return due_ns > now_ns;
}

void candles_finish(struct candles *candles)
{
    (void)candles_advance(candles, INT64_MAX - 1, UINT32_MAX);
}

// ---- minutes ----

static void candle_forget(struct candles *candles, uint32_t symbol, uint32_t interval,
                          struct candle_mark *mark)
{
    if (mark->waits && mark->window * (int32_t)candles->options.minutes[interval] <
                           candle_head(candles, symbol)->now.minute - (candles->mask + 1) + 1)
        candle_settle(candles, symbol, interval, mark);
}

// The ring ends at `minute` from now on: what loses its first minute is issued before. Nothing was
// added before the floor, so nothing that waits leaves the ring there: of a day read from a store,
// where this would walk two thousand marks for each minute, always so.
static void candle_reach(struct candles *candles, uint32_t symbol, int32_t minute)
{
    struct candle_head *head = candle_head(candles, symbol);
    const bool leaves = minute - (candles->mask + 1) >= candles->floor;
    ensure(minute > head->now.minute);
    if (leaves && head->waiting > 0 && candles->options.issue != NULL)
        (void)candle_issue_symbol(candles, symbol, INT64_MAX, minute - (candles->mask + 1) + 1,
                                  UINT32_MAX);
    candle_ring(candles, symbol)[head->now.minute & candles->mask] = head->now;
    head->now = (struct candle_sum){.minute = minute};
    for (uint32_t i = 0; leaves && i < candles->options.interval_count && head->waiting > 0; i++) {
        for (uint32_t m = 0; m < candles->mark_count[i]; m++)
            candle_forget(candles, symbol, i, candle_mark(candles, symbol, i, (int32_t)m));
    }
}

// Something of the symbol waits.
static void candle_list(struct candles *candles, uint32_t symbol)
{
    struct candle_head *head = candle_head(candles, symbol);
    if (!head->pending) {
        head->pending = true;
        candles->pending[candles->pending_count++] = symbol;
    }
    if (head->due_ns < candles->due_ns) candles->due_ns = head->due_ns;
}

static void candle_await(struct candles *candles, uint32_t symbol, uint32_t interval,
                         int32_t window, int64_t receive_ns)
{
    struct candle_head *head = candle_head(candles, symbol);
    struct candle_mark *mark = candle_mark(candles, symbol, interval, window);
    if (mark->window != window) {
        ensure(!mark->waits);
        *mark = (struct candle_mark){.window = window};
    }
    if (mark->waits) return;
    const int64_t close_ns =
        (int64_t)(window + 1) * candles->options.minutes[interval] * CANDLE_MINUTE_NS;
    mark->waits = true;
    mark->due_ns = candle_next_second(receive_ns);
    if (mark->due_ns < close_ns + head->grace_ns) mark->due_ns = close_ns + head->grace_ns;
    if (head->waiting++ == 0 || mark->due_ns < head->due_ns) head->due_ns = mark->due_ns;
    candle_list(candles, symbol);
}

// The candles of the minute wait to be issued.
static void candle_mark_all(struct candles *candles, uint32_t symbol, int32_t minute,
                            int64_t receive_ns)
{
    const int32_t newest = candle_head(candles, symbol)->now.minute;
    bool whole = true;
    for (uint32_t i = 0; i < candles->options.interval_count; i++) {
        const int32_t window = minute / (int32_t)candles->options.minutes[i];
        if (window >= candle_span(candles, newest, i).first)
            candle_await(candles, symbol, i, window, receive_ns);
        else
            whole = false;
    }
    candles->counters.beyond += !whole;
    candle_minute(candles, symbol, minute)->flags |= CANDLE_MARKED;
}

static inline bool candle_in_ring(const struct candles *candles, const struct candle_head *head,
                                  int32_t minute)
{
    return minute > head->now.minute - (candles->mask + 1) && minute >= candles->floor;
}

static inline void candle_prepare(struct candles *candles, uint32_t symbol, int64_t receive_ns)
{
    if (receive_ns >= candle_head(candles, symbol)->due_ns && candles->options.issue != NULL)
        (void)candle_issue_symbol(candles, symbol, receive_ns, INT32_MAX, UINT32_MAX);
}

void candles_prepare_due(struct candles *candles, const struct event *event)
{
    if (event->symbol != SYMBOL_NONE)
        candle_prepare(candles, event->symbol, event->value[COLUMN_RECEIVE_TIME]);
}

static void candles_add_trade(struct candles *candles, uint32_t symbol,
                              const struct candle_trade *trade)
{
    struct candle_head *head = candle_head(candles, symbol);
    const int32_t minute = (int32_t)(trade->time_ns / CANDLE_MINUTE_NS);
    if (minute > head->now.minute) {
        if (minute > trade->receive_ns / CANDLE_MINUTE_NS + CANDLE_AHEAD_MINUTES) {
            candles->counters.ahead++;
            return;
        }
        candle_reach(candles, symbol, minute);
    }
    if (!candle_in_ring(candles, head, minute)) {
        candles->counters.beyond++;
        return;
    }
    candle_prepare(candles, symbol, trade->receive_ns);
    if (candles->options.issue == NULL && trade->receive_ns > candles->received_ns)
        candles->received_ns = trade->receive_ns;
    struct candle_sum *sum = candle_minute(candles, symbol, minute);
    if (sum->minute != minute) *sum = (struct candle_sum){.minute = minute};
    if (candle_sum_trade(sum, trade) && (sum->flags & CANDLE_MARKED) == 0)
        candle_mark_all(candles, symbol, minute, trade->receive_ns);
}

// What finds no room belongs to candles that are not issued then: those of the store's next reader.
static void candle_hold(struct candles *candles, uint32_t symbol, const struct candle_trade *trade)
{
    if (candles->held_count < candles->options.held_max) {
        candles->held[candles->held_count++] = (struct candle_held){*trade, symbol};
        return;
    }
    const int32_t after = (int32_t)(trade->time_ns / CANDLE_MINUTE_NS) + 1;
    if (after > candles->floor) candles->floor = after;
    candles->counters.unheld++;
}

// Out of line, with a trade of its own, so that the quick way keeps its own in registers.
__attribute__((noinline)) static void candles_add(struct candles *candles,
                                                  const struct event *event)
{
    struct candle_trade trade;
    if (!candle_trade_of(event, &trade)) return;
    if (candles->held != NULL)
        candle_hold(candles, event->symbol, &trade);
    else
        candles_add_trade(candles, event->symbol, &trade);
}

// True: added, and there was nothing else to do, as is nearly always so: it is of the newest
// minute, whose candles all wait and none is due.
static inline bool candles_add_quickly(const struct candles *candles, const struct event *event)
{
    struct candle_trade trade;
    struct candle_head *head = candle_head(candles, event->symbol);
    struct candle_sum *sum = &head->now;
    if (!candle_trade_of(event, &trade)) return false;
    const int64_t since_ns = trade.time_ns - sum->minute * CANDLE_MINUTE_NS;
    if (since_ns < 0 || since_ns >= CANDLE_MINUTE_NS || trade.receive_ns >= head->due_ns ||
        sum->flags != CANDLE_MARKED || sum->source != trade.source ||
        sum->price_scale != trade.price_scale || sum->quantity_scale != trade.quantity_scale ||
        candles->options.issue == NULL)
        return false;
    candle_sum_add(sum, &trade);
    return true;
}

void candles_event(struct candles *candles, const struct event *event)
{
    if (event->symbol == SYMBOL_NONE || candles->options.interval_count == 0) return;
    ensure(event->symbol < candles->options.symbols_max);
    if (!candles_add_quickly(candles, event)) candles_add(candles, event);
}

// ---- empty ones ----

static bool candle_is_empty(const struct candles *candles, uint32_t symbol, int32_t first,
                            int32_t minutes)
{
    for (int32_t minute = first; minute < first + minutes; minute++) {
        const struct candle_sum *sum = candle_minute(candles, symbol, minute);
        if (sum->minute == minute && sum->trades > 0) return false;
    }
    return true;
}

static void candle_fill(struct candles *candles, uint32_t symbol, uint32_t interval,
                        int64_t close_ns)
{
    struct candle_head *head = candle_head(candles, symbol);
    const int32_t minutes = (int32_t)candles->options.minutes[interval];
    const int32_t first = (int32_t)(close_ns / CANDLE_MINUTE_NS) - minutes;
    if (head->now.minute == 0 || head->now.minute <= first - (candles->mask + 1)) return;
    if (!candle_is_empty(candles, symbol, first, minutes)) return;
    if (head->now.minute < first + minutes - 1) candle_reach(candles, symbol, first + minutes - 1);
    const struct candle_mark *mark = candle_mark(candles, symbol, interval, first / minutes);
    if (mark->window == first / minutes && mark->revision > 0) return; // it is there
    if (first / minutes >= candle_span(candles, head->now.minute, interval).first)
        candle_await(candles, symbol, interval, first / minutes, close_ns);
}

void candles_fill(struct candles *candles, uint32_t symbol, uint32_t minutes, int64_t close_ns)
{
    for (uint32_t i = 0; i < candles->options.interval_count; i++) {
        if (candles->options.minutes[i] == minutes) candle_fill(candles, symbol, i, close_ns);
    }
}

// ---- after a restart ----

// Trades have come since the candle was issued. What was due before the last row was received has
// been issued then: so this is due a second later at most.
static void candle_await_again(struct candles *candles, uint32_t symbol, uint32_t interval,
                               struct candle_mark *mark)
{
    candle_await(candles, symbol, interval, mark->window, candles->received_ns);
    mark->due_ns = candle_next_second(candles->received_ns);
}

void candles_known(struct candles *candles, uint32_t symbol, const struct event *row)
{
    const struct event_text text = event_text(row, CANDLE_INTERVAL);
    const uint32_t minutes = candle_interval_minutes((const char *)text.bytes, text.size);
    const struct candle_head *head = candle_head(candles, symbol);
    for (uint32_t i = 0; i < candles->options.interval_count; i++) {
        if (candles->options.minutes[i] != minutes || head->now.minute == 0) continue;
        const int32_t first = (int32_t)(row->value[CANDLE_OPEN_TIME] / CANDLE_MINUTE_NS);
        const int32_t window = first / (int32_t)minutes;
        const struct candle_span span = candle_span(candles, head->now.minute, i);
        struct candle_mark *mark = candle_mark(candles, symbol, i, window);
        if (window < span.first || window > span.last) return;
        if (mark->window != window) *mark = (struct candle_mark){.window = window};
        if (row->value[CANDLE_REVISION] < mark->revision) return;
        mark->revision = (uint16_t)(row->value[CANDLE_REVISION] + 1);
        struct candle candle;
        struct event made;
        char name[CANDLE_TEXT_BYTES];
        candle_build(candles, symbol, i, mark, &candle);
        const bool same = candle_row(&candle, name, &made) && candle_rows_equal(&made, row);
        if (same && mark->waits)
            candle_settle(candles, symbol, i, mark);
        else if (!same)
            candle_await_again(candles, symbol, i, mark);
    }
}

void candles_adopt(struct candles *candles, uint32_t symbol, const struct candles *other,
                   uint32_t from)
{
    ensure(candles->stride == other->stride);
    struct candle_head *head = candle_head(candles, symbol);
    if (head->now.minute != 0) return;
    const int64_t grace_ns = head->grace_ns;
    *head = *candle_head(other, from);
    memcpy(candle_ring(candles, symbol), candle_ring(other, from), candles->stride);
    head->grace_ns = grace_ns;
    head->pending = false;
    if (head->waiting > 0) candle_list(candles, symbol);
}

void candles_start(struct candles *candles, candle_issue *issue)
{
    struct candle_held *held = candles->held;
    ensure(held != NULL && candles->options.issue == NULL);
    candles->options.issue = issue;
    candles->held = NULL; // added from now on
    for (uint32_t i = 0; i < candles->held_count; i++)
        candles_add_trade(candles, held[i].symbol, &held[i].trade);
    candles_release(candles, held);
}
