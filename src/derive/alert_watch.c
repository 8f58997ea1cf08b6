// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_watch: the rules: moves (surge, crash), volume bursts, spreads. Contract: one move, burst
// or blow-out is one alert: a rule that has fired is armed again when its cool-down is over and the
// measure is below half of the threshold.
#include "derive/alert_inside.h"

#include "format/ensure.h"
#include <math.h>
#include <string.h>

enum {
    WATCH_BASE_BUCKETS = 1024, // a power of two: 32 windows
    WATCH_FRACTION = 1 << 16,
    WATCH_SPREADS_A_BASE = 600,
    WATCH_SPREADS_WARM = 60,
    WATCH_UNITS_MIN = 2, // of the eighth decimal: from 21 to 22 is a tick, and 4.8 %
    WATCH_SQUARES_MAX = 9, // of a return, in variances
};
#define WATCH_ROOM_MAX ((wide)1 << 126) // no burst ends at any quantity
#define WATCH_SPREAD_NS 1000000000ll // between two values of a spread's baseline

struct watch_prices {
    wide low;
    wide high;
};

static wide watch_units(wide by)
{
    return by > WATCH_UNITS_MIN ? by : WATCH_UNITS_MIN;
}

// ---- windows ----

static inline int64_t window_length_ns(const struct alert_rule *rule)
{
    return rule->window_ns / ALERT_BUCKETS;
}

// How many buckets have ended; 0: the trade belongs to the current one; -1: it is too old.
static inline int64_t window_reach(struct alert_window *window, const struct alert_rule *rule,
                                   int64_t time_ns)
{
    const int64_t length_ns = window_length_ns(rule);
    const bool first = window->seen == 0;
    const int64_t since_ns = time_ns - window->begin_ns;
    if (!first && since_ns < length_ns) return since_ns < -rule->window_ns ? -1 : 0;
    const bool next = !first && since_ns < 2 * length_ns; // as nearly always
    const int64_t bucket = next ? window->bucket + 1 : time_ns / length_ns;
    const int64_t ended = first ? 1 : bucket - window->bucket;
    window->bucket = bucket;
    window->begin_ns = bucket * length_ns;
    window->seen += (uint64_t)ended;
    return ended;
}

static struct alert_span window_now(const struct alert_window *window,
                                    const struct alert_rule *rule)
{
    return (struct alert_span){window->begin_ns, window->begin_ns + window_length_ns(rule)};
}

static bool window_may_rearm(const struct alert_window *window, const struct alert_rule *rule)
{
    return window->fired_ns != 0 && window->begin_ns - window->fired_ns >= rule->cooldown_ns;
}

static bool window_is_warm(const struct alert_window *window)
{
    return window->seen > (uint64_t)ALERT_WARM_WINDOWS * ALERT_BUCKETS;
}

// How many buckets have left the window with the one whose place the i-th newest takes.
static int64_t window_left(const struct alert_window *window, int64_t i)
{
    return (int64_t)window->seen - i - ALERT_BUCKETS;
}

// ---- moves ----

static bool move_better(const struct alert_rule *rule, int64_t a, int64_t b)
{
    return b == 0 || (rule->kind == ALERT_SURGE ? a < b : a > b);
}

// The best of the buckets that have ended; of equal ones that of the lowest place.
static void move_extreme(struct alert_move *move, const struct alert_rule *rule)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < ALERT_BUCKETS; i++) {
        if (move->prices[i] != 0 && move_better(rule, move->prices[i], move->prices[best]))
            best = i;
    }
    move->extreme_place = best;
    move->extreme = (struct alert_point){move->prices[best], move->of[best].time_ns,
                                         move->of[best].id};
}

// The current bucket has ended: its best takes its place.
static void move_keep(struct alert_move *move, uint32_t place)
{
    move->prices[place] = move->now.price;
    move->of[place].time_ns = move->now.time_ns;
    move->of[place].id = move->now.id;
    if (move->now.price == move->extreme.price && place < move->extreme_place) {
        move->extreme = move->now;
        move->extreme_place = place;
    }
    move->now = (struct alert_point){0};
}

// A better price, or the first of a bucket.
static void move_take(struct alert_move *move, const struct alert_rule *rule,
                      const struct alert_point *point)
{
    if (!move_better(rule, point->price, move->now.price)) return;
    move->now = *point;
    if (!move_better(rule, point->price, move->extreme.price)) return;
    move->extreme = *point;
    move->extreme_place = (uint32_t)move->window.bucket & (ALERT_BUCKETS - 1);
}

// Away from the extreme by the threshold, or more.
static bool move_is_crossed(const struct alert_move *move, const struct alert_rule *rule,
                            int64_t price)
{
    const wide far = rule->kind == ALERT_SURGE ? (wide)price - move->extreme.price
                                               : (wide)move->extreme.price - price;
    return far >= WATCH_UNITS_MIN &&
           far * ALERT_ONE_PPM >= (wide)move->extreme.price * move->threshold_ppm;
}

static int64_t move_measure(const struct alert_move *move, int64_t at)
{
    const int64_t far = at - move->extreme.price;
    if (move->extreme.price == 0) return 0;
    return (int64_t)((wide)(far < 0 ? -far : far) * ALERT_ONE_PPM / move->extreme.price);
}

// What a return may add to the variance: no more than three usual ones, or three of those that make
// the scaled threshold what the fixed one is; while all is young, the latter. Else one jump,
// alerted or not, would hide another of its size for an hour.
static double move_square_max(const struct alert_move *move, const struct alert_rule *rule,
                              bool young)
{
    if (rule->scaled_ppm == 0) return HUGE_VAL; // nobody asks
    const double ratio = (double)rule->threshold_ppm / (double)rule->scaled_ppm;
    const double least = ratio * ratio / (double)ALERT_BUCKETS;
    return (double)WATCH_SQUARES_MAX * (young ? least : fmax(move->variance, least));
}

// The bucket at `place` leaves the window: now its return counts for what is usual. It is the
// count-th: the mean of them all, until the memory is full. The very first has no return.
static void move_leave(struct alert_move *move, const struct alert_rule *rule, uint32_t place,
                       int64_t count, double forget)
{
    const double gone = move->returns[place];
    if (count > 1) {
        const double plain = 1 / (double)(count - 1);
        const double square = fmin(gone * gone, move_square_max(move, rule, plain > forget));
        move->variance += fmax(plain, forget) * (square - move->variance);
    }
    move->returns[place] = 0;
    move->prices[place] = 0;
}

static void move_threshold(struct alert_move *move, const struct alert_rule *rule)
{
    move->threshold_ppm = rule->threshold_ppm;
    if (rule->scaled_ppm == 0 || !window_is_warm(&move->window)) return;
    // The deviation of a window's return.
    const double usual = sqrt(move->variance * (double)ALERT_BUCKETS);
    const double scaled = usual * (double)rule->scaled_ppm;
    if (scaled > (double)move->threshold_ppm && scaled < 1e12)
        move->threshold_ppm = (int64_t)scaled;
}

static void move_advance(struct alert_move *move, const struct alert_rule *rule, double forget,
                         int64_t ended)
{
    const uint32_t last = (uint32_t)((move->window.bucket - ended) & (ALERT_BUCKETS - 1));
    bool gone = false; // the extreme
    if (move->before != 0 && move->last != 0)
        move->returns[last] =
            (double)(move->last - move->before) / (double)move->before;
    move->before = move->last;
    move_keep(move, last);
    // After a pause of many windows all has left, and the variance has faded.
    const int64_t leaving = ended < 64 * ALERT_BUCKETS ? ended : 64 * ALERT_BUCKETS;
    for (int64_t i = leaving - 1; i >= 0; i--) {
        const uint32_t place = (uint32_t)((move->window.bucket - i) & (ALERT_BUCKETS - 1));
        gone |= place == move->extreme_place;
        move_leave(move, rule, place, window_left(&move->window, i), forget);
    }
    if (gone) move_extreme(move, rule);
    move_threshold(move, rule);
    if (window_may_rearm(&move->window, rule) &&
        move_measure(move, move->last) < move->threshold_ppm / 2)
        move->window.fired_ns = 0;
}

static void move_fire(struct alerts *alerts, const struct alert_rule *rule, uint32_t symbol,
                      const char *name, struct alert_move *move, const struct alert_trade *trade)
{
    move->window.fired_ns = trade->time_ns;
    alert_raise(alerts, &(struct alert_evidence){.rule = rule,
                                                 .symbol = symbol,
                                                 .name = name,
                                                 .from_ns = move->extreme.time_ns,
                                                 .to_ns = trade->time_ns,
                                                 .first_id = move->extreme.id,
                                                 .last_id = trade->id,
                                                 .has_ids = true,
                                                 .from_price = move->extreme.price,
                                                 .to_price = trade->price,
                                                 .measure_ppm = move_measure(move, trade->price),
                                                 .threshold_ppm = move->threshold_ppm});
}

static void move_trade(struct alerts *alerts, const struct alert_rule *rule, uint32_t symbol,
                       const char *name, struct alert_move *move, const struct alert_trade *trade)
{
    const int64_t ended = window_reach(&move->window, rule, trade->time_ns);
    if (ended < 0) return;
    if (ended > 0) move_advance(move, rule, alerts->forget, ended);
    move_take(move, rule, &(struct alert_point){trade->price, trade->time_ns, trade->id});
    move->last = trade->price;
    if (move->window.fired_ns == 0 && move_is_crossed(move, rule, trade->price))
        move_fire(alerts, rule, symbol, name, move, trade);
}

// What was noted since the last look.
static void move_noted(struct alert_move *move, const struct alert_rule *rule,
                       const struct alert_head *head)
{
    const struct alert_point *best = rule->kind == ALERT_SURGE ? &head->lowest : &head->highest;
    if (head->highest.price == 0) return;
    move_take(move, rule, best);
    move->last = head->last;
}

// Prices between which this rule has nothing to do, whatever comes first of them. They leave room
// for the extreme to go on by a quarter of the threshold, and a move is measured from there. The
// threshold is rounded down: 10^6 is less than 2^20.
static struct watch_prices move_quiet(const struct alert_move *move, const struct alert_rule *rule)
{
    const wide extreme = move->extreme.price;
    const wide by = extreme * move->threshold_ppm >> 20;
    if (move->window.fired_ns != 0) return (struct watch_prices){0, INT64_MAX}; // armed later
    if (rule->kind == ALERT_CRASH)
        return (struct watch_prices){extreme + by / 4 - watch_units(by) + 1, extreme + by / 4};
    const wide lowest = extreme - by / 4;
    return (struct watch_prices){lowest,
                                 lowest + watch_units(lowest * move->threshold_ppm >> 20) - 1};
}

// ---- bursts ----

// Nothing is learnt from the window before an alert to the window behind it: a burst is not usual.
// Of the bucket that leaves with the i-th newest.
static bool burst_is_usual(const struct alert_burst *burst, const struct alert_rule *rule,
                           int64_t i)
{
    const int64_t time_ns = burst->window.begin_ns - i * window_length_ns(rule);
    return window_left(&burst->window, i) > 0 &&
           (burst->window.fired_ns == 0 ||
            time_ns - burst->window.fired_ns > 2 * rule->window_ns);
}

static void burst_leave(struct alert_burst *burst, uint32_t place, bool learn)
{
    const wide gone = burst->buckets[place].sum;
    if (learn && burst->learnt < WATCH_BASE_BUCKETS) burst->learnt++;
    const wide step = gone * WATCH_FRACTION - burst->baseline;
    if (learn) // most of the time by a power of two
        burst->baseline += burst->learnt == WATCH_BASE_BUCKETS ? step / WATCH_BASE_BUCKETS
                                                               : step / burst->learnt;
    burst->sum -= gone;
    burst->trades -= burst->buckets[place].trades;
    burst->buckets[place] = (struct alert_bucket){0};
}

static wide burst_usual(const struct alert_burst *burst)
{
    return burst->baseline * ALERT_BUCKETS / WATCH_FRACTION;
}

// The sum that crosses the threshold, times 10^6; 0: none does.
static wide burst_trigger_ppm(const struct alert_burst *burst, const struct alert_rule *rule)
{
    return window_is_warm(&burst->window) ? burst_usual(burst) * rule->threshold_ppm : 0;
}

static bool burst_is_crossed(const struct alert_burst *burst, const struct alert_rule *rule)
{
    const wide trigger = burst_trigger_ppm(burst, rule) / ALERT_ONE_PPM;
    return trigger > 0 && burst->sum >= trigger && burst->trades >= rule->trades_min;
}

static void burst_advance(struct alert_burst *burst, const struct alert_rule *rule, int64_t ended)
{
    const int64_t most = (int64_t)ALERT_BUCKETS * ALERT_BASE_WINDOWS * 8;
    burst->buckets[(burst->window.bucket - ended) & (ALERT_BUCKETS - 1)] = burst->now;
    burst->now = (struct alert_bucket){0};
    for (int64_t i = (ended < most ? ended : most) - 1; i >= 0; i--)
        burst_leave(burst, (uint32_t)((burst->window.bucket - i) & (ALERT_BUCKETS - 1)),
                    burst_is_usual(burst, rule, i));
    if (window_may_rearm(&burst->window, rule) &&
        burst->sum < burst_trigger_ppm(burst, rule) / ALERT_ONE_PPM / 2)
        burst->window.fired_ns = 0;
}

static void burst_fire(struct alerts *alerts, const struct alert_rule *rule, uint32_t symbol,
                       const char *name, struct alert_burst *burst,
                       const struct alert_trade *trade)
{
    const wide usual = burst_usual(burst);
    struct alert_evidence evidence = {.rule = rule, .symbol = symbol, .name = name,
                                      .to_ns = trade->time_ns, .last_id = trade->id,
                                      .has_ids = true, .sum = burst->sum, .baseline = usual,
                                      .measure_ppm = (int64_t)(burst->sum * ALERT_ONE_PPM / usual),
                                      .threshold_ppm = rule->threshold_ppm};
    burst->window.fired_ns = trade->time_ns;
    burst->buckets[burst->window.bucket & (ALERT_BUCKETS - 1)] = burst->now; // for the search
    for (int64_t i = ALERT_BUCKETS - 1; i >= 0 && evidence.from_ns == 0; i--) { // oldest first
        const uint32_t place = (uint32_t)((burst->window.bucket - i) & (ALERT_BUCKETS - 1));
        evidence.from_ns = burst->buckets[place].first_time_ns;
        evidence.first_id = burst->buckets[place].first_id;
    }
    burst->buckets[burst->window.bucket & (ALERT_BUCKETS - 1)] = (struct alert_bucket){0};
    alert_raise(alerts, &evidence);
}

// Quantity that is not enough for a burst. The sum that is one is rounded down: 10^6 is less
// than 2^20.
static wide burst_room(const struct alert_burst *burst, const struct alert_rule *rule)
{
    const wide trigger_ppm = burst_trigger_ppm(burst, rule);
    if (trigger_ppm == 0 || burst->window.fired_ns != 0) return WATCH_ROOM_MAX;
    const wide room = (trigger_ppm >> 20) - burst->sum;
    return room > 0 ? room : 0;
}

static void burst_trade(struct alerts *alerts, const struct alert_rule *rule, uint32_t symbol,
                        const char *name, struct alert_burst *burst,
                        const struct alert_trade *trade)
{
    const int64_t ended = window_reach(&burst->window, rule, trade->time_ns);
    if (ended < 0) return;
    if (ended > 0) burst_advance(burst, rule, ended);
    if (burst->now.trades++ == 0) {
        burst->now.first_time_ns = trade->time_ns;
        burst->now.first_id = trade->id;
    }
    burst->now.sum += trade->quantity;
    burst->sum += trade->quantity;
    burst->trades++;
    if (burst->window.fired_ns == 0 && burst_room(burst, rule) == 0 &&
        burst_is_crossed(burst, rule))
        burst_fire(alerts, rule, symbol, name, burst, trade);
}

// What was noted since the last look.
static void burst_noted(struct alert_burst *burst, const struct alert_head *head)
{
    const wide sum = head->room_given - head->room;
    ensure(head->trades == 0 || burst->now.trades > 0);
    burst->now.sum += sum;
    burst->now.trades += head->trades;
    burst->sum += sum;
    burst->trades += head->trades;
}

// ---- looks ----

// One look, and what is quiet until the next.
struct watch_look {
    struct alerts *alerts;
    const struct alert_head *head;
    const struct alert_trade *trade;
    uint32_t symbol;
    struct alert_span moves;
    struct watch_prices prices;
    struct alert_span bursts;
    wide room;
};

static struct alert_span span_cut(struct alert_span a, struct alert_span b)
{
    return (struct alert_span){a.begin_ns > b.begin_ns ? a.begin_ns : b.begin_ns,
                               a.end_ns < b.end_ns ? a.end_ns : b.end_ns};
}

static void look_at_move(struct watch_look *look, const struct alert_rule *rule,
                         struct alert_move *move)
{
    move_noted(move, rule, look->head);
    move_trade(look->alerts, rule, look->symbol, look->head->name, move, look->trade);
    const struct watch_prices quiet = move_quiet(move, rule);
    if (quiet.low > look->prices.low) look->prices.low = quiet.low;
    if (quiet.high < look->prices.high) look->prices.high = quiet.high;
    look->moves = span_cut(look->moves, window_now(&move->window, rule));
}

static void look_at_burst(struct watch_look *look, const struct alert_rule *rule,
                          struct alert_burst *burst)
{
    burst_noted(burst, look->head);
    burst_trade(look->alerts, rule, look->symbol, look->head->name, burst, look->trade);
    const wide room = burst_room(burst, rule);
    if (room < look->room) look->room = room;
    look->bursts = span_cut(look->bursts, window_now(&burst->window, rule));
}

static void look_end_moves(const struct watch_look *look, struct alert_head *head)
{
    head->moves_quiet = look->moves;
    head->quiet_low = look->prices.low < INT64_MAX ? (int64_t)look->prices.low : INT64_MAX;
    head->quiet_high = look->prices.high > 0 ? (int64_t)look->prices.high : 0;
    head->lowest = (struct alert_point){.price = INT64_MAX};
    head->highest = (struct alert_point){0};
}

static void look_end_bursts(const struct watch_look *look, struct alert_head *head)
{
    head->bursts_quiet = look->bursts;
    head->room = look->room;
    head->room_given = look->room;
    head->trades = 0;
}

void alert_look(struct alerts *alerts, struct alert_head *head, union alert_state *states,
                uint32_t symbol, const struct alert_trade *trade)
{
    struct watch_look look = {alerts, head, trade, symbol, {INT64_MIN, INT64_MAX},
                              {0, INT64_MAX}, {INT64_MIN, INT64_MAX}, WATCH_ROOM_MAX};
    const bool moves = !alert_span_holds(&head->moves_quiet, trade->time_ns) ||
                       !alert_move_is_quiet(head, trade);
    const bool bursts = !alert_span_holds(&head->bursts_quiet, trade->time_ns) ||
                        !alert_burst_is_quiet(head, trade);
    uint32_t left = (moves ? head->moves : 0) | (bursts ? head->bursts : 0);
    if (!moves) alert_note_for_moves(alerts, head, trade);
    if (!bursts) alert_note_for_bursts(head, trade);
    for (; left != 0; left &= left - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(left);
        if ((head->bursts >> i & 1) != 0)
            look_at_burst(&look, &alerts->rules.at[i], &states[i].burst);
        else
            look_at_move(&look, &alerts->rules.at[i], &states[i].move);
    }
    if (moves) look_end_moves(&look, head);
    if (bursts) look_end_bursts(&look, head);
    head->quiet = span_cut(head->moves_quiet, head->bursts_quiet);
}

// ---- spreads ----

static int64_t spread_of(int64_t bid, int64_t ask)
{
    return (int64_t)((wide)(ask - bid) * 2 * ALERT_ONE_PPM / ((wide)ask + bid));
}

// Once a second: what is usual, and from it the threshold.
static void spread_learn(struct alert_spread *spread, const struct alert_rule *rule,
                         int64_t time_ns, int64_t bid, int64_t ask)
{
    const int64_t now = spread_of(bid, ask) * WATCH_FRACTION;
    spread->next_ns = time_ns + WATCH_SPREAD_NS;
    if (spread->seen++ == 0) spread->baseline = now;
    spread->baseline += (now - spread->baseline) / WATCH_SPREADS_A_BASE;
    spread->threshold_ppm = rule->threshold_ppm;
    if (rule->scaled_ppm == 0) return;
    const wide scaled =
        (wide)spread->baseline * rule->scaled_ppm / ALERT_ONE_PPM / WATCH_FRACTION;
    if (scaled > spread->threshold_ppm) spread->threshold_ppm = (int64_t)scaled;
}

static void spread_fire(struct alerts *alerts, const struct alert_rule *rule, uint32_t symbol,
                        const char *name, struct alert_spread *spread, int64_t time_ns,
                        int64_t id, int64_t bid, int64_t ask)
{
    spread->fired_ns = time_ns;
    alert_raise(alerts, &(struct alert_evidence){
                            .rule = rule, .symbol = symbol, .name = name,
                            .from_ns = spread->over_since_ns, .to_ns = time_ns,
                            .first_id = spread->over_id, .last_id = id, .has_ids = true,
                            .from_price = bid, .to_price = ask,
                            .measure_ppm = spread_of(bid, ask),
                            .threshold_ppm = spread->threshold_ppm,
                            .baseline_ppm = spread->baseline / WATCH_FRACTION});
}

void alert_spread_quote(struct alerts *alerts, uint32_t rule_number, uint32_t symbol,
                        const char *name, struct alert_spread *spread, const struct event *event)
{
    const struct alert_rule *rule = &alerts->rules.at[rule_number];
    const int64_t time_ns = event_time_ns(event);
    int64_t bid;
    int64_t ask;
    if (!alert_price(event->value[QUOTE_BID_PRICE], event->scale[QUOTE_BID_PRICE], &bid) ||
        !alert_price(event->value[QUOTE_ASK_PRICE], event->scale[QUOTE_ASK_PRICE], &ask))
        return; // one side is empty
    const bool over = spread->seen >= WATCH_SPREADS_WARM &&
                      (wide)(ask - bid) * 2 * ALERT_ONE_PPM >=
                          ((wide)ask + bid) * spread->threshold_ppm;
    if (!over) {
        spread->over_since_ns = 0;
        if (spread->fired_ns != 0 && time_ns - spread->fired_ns >= rule->cooldown_ns &&
            spread_of(bid, ask) < spread->threshold_ppm / 2)
            spread->fired_ns = 0;
    } else if (spread->over_since_ns == 0) {
        spread->over_since_ns = time_ns;
        spread->over_id = event->value[QUOTE_ID];
    } else if (spread->fired_ns == 0 && time_ns - spread->over_since_ns >= rule->window_ns) {
        spread_fire(alerts, rule, symbol, name, spread, time_ns, event->value[QUOTE_ID], bid, ask);
    }
    if (time_ns >= spread->next_ns && !over) spread_learn(spread, rule, time_ns, bid, ask);
}

// ---- what is usual ----

void alert_move_usual(const struct alert_move *move, struct alert_usual *usual)
{
    const int64_t left = window_left(&move->window, 0);
    usual->learnt = left > 1 ? (uint64_t)left - 1 : 0;
    usual->variance = move->variance;
    usual->deviation = sqrt(move->variance * (double)ALERT_BUCKETS);
    usual->threshold_ppm = move->threshold_ppm;
}

void alert_burst_usual(const struct alert_burst *burst, const struct alert_rule *rule,
                       struct alert_usual *usual)
{
    usual->learnt = (uint64_t)burst->learnt;
    usual->quantity = burst_usual(burst);
    usual->threshold_ppm = rule->threshold_ppm;
}

void alert_spread_usual(const struct alert_spread *spread, struct alert_usual *usual)
{
    usual->learnt = spread->seen;
    usual->spread_ppm = spread->baseline / WATCH_FRACTION;
    usual->threshold_ppm = spread->threshold_ppm;
}
