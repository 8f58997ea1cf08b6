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
#define WATCH_SPREAD_NS 1000000000ll // between two values of a spread's baseline

// ---- windows ----

// How many buckets have ended; 0: the trade belongs to the current one; -1: it is too old.
static inline int64_t window_reach(struct alert_window *window, int64_t time_ns,
                                   int64_t window_ns)
{
    if (time_ns < window->end_ns) return time_ns < window->begin_ns - window_ns ? -1 : 0;
    const int64_t length_ns = window_ns / ALERT_BUCKETS;
    const int64_t bucket = time_ns / length_ns;
    const int64_t ended = window->bucket == 0 ? 1 : bucket - window->bucket;
    window->bucket = bucket;
    window->begin_ns = bucket * length_ns;
    window->end_ns = window->begin_ns + length_ns;
    window->seen += (uint64_t)ended;
    return ended;
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

static void move_extreme(struct alert_move *move, const struct alert_rule *rule)
{
    move->extreme = (struct alert_point){0};
    for (uint32_t i = 0; i < ALERT_BUCKETS; i++) {
        const struct alert_point *point = &move->points[i];
        if (point->price != 0 && move_better(rule, point->price, move->extreme.price))
            move->extreme = *point;
    }
}

// The first price that is a move: away from the extreme by the threshold, or more.
static void move_trigger(struct alert_move *move, const struct alert_rule *rule)
{
    const wide away = (wide)move->extreme.price * move->threshold_ppm;
    const int64_t least = (int64_t)((away + ALERT_ONE_PPM - 1) / ALERT_ONE_PPM);
    const int64_t by = least > WATCH_UNITS_MIN ? least : WATCH_UNITS_MIN;
    move->trigger =
        rule->kind == ALERT_SURGE ? move->extreme.price + by : move->extreme.price - by;
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
    move->points[place] = (struct alert_point){0};
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
    if (move->before != 0 && move->last != 0)
        move->returns[last] =
            (double)(move->last - move->before) / (double)move->before;
    move->before = move->last;
    // After a pause of many windows all has left, and the variance has faded.
    const int64_t leaving = ended < 64 * ALERT_BUCKETS ? ended : 64 * ALERT_BUCKETS;
    for (int64_t i = leaving - 1; i >= 0; i--)
        move_leave(move, rule, (uint32_t)((move->window.bucket - i) & (ALERT_BUCKETS - 1)),
                   window_left(&move->window, i), forget);
    move_extreme(move, rule);
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

void alert_move_trade(struct alerts *alerts, uint32_t rule_number, uint32_t symbol,
                      const char *name, struct alert_move *move, const struct alert_trade *trade)
{
    const struct alert_rule *rule = &alerts->rules.at[rule_number];
    const int64_t ended = window_reach(&move->window, trade->time_ns, rule->window_ns);
    if (ended < 0) return;
    if (ended > 0) move_advance(move, rule, alerts->forget, ended);
    struct alert_point *point =
        &move->points[(uint32_t)move->window.bucket & (ALERT_BUCKETS - 1)];
    if (move_better(rule, trade->price, point->price))
        *point = (struct alert_point){trade->price, trade->time_ns, trade->id};
    move->now = point->price;
    if (ended > 0 || move_better(rule, trade->price, move->extreme.price)) {
        if (move_better(rule, trade->price, move->extreme.price)) move->extreme = *point;
        move_trigger(move, rule);
    }
    move->last = trade->price;
    const bool crossed = rule->kind == ALERT_SURGE ? trade->price >= move->trigger
                                                   : trade->price <= move->trigger;
    if (crossed && move->window.fired_ns == 0) move_fire(alerts, rule, symbol, name, move, trade);
}

// ---- bursts ----

// Nothing is learnt from the window before an alert to the window behind it: a burst is not usual.
// Of the bucket that leaves with the i-th newest.
static bool burst_is_usual(const struct alert_burst *burst, const struct alert_rule *rule,
                           int64_t i)
{
    const int64_t time_ns = burst->window.begin_ns - i * (rule->window_ns / ALERT_BUCKETS);
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

static void burst_advance(struct alert_burst *burst, const struct alert_rule *rule, int64_t ended)
{
    const int64_t most = (int64_t)ALERT_BUCKETS * ALERT_BASE_WINDOWS * 8;
    burst->buckets[(burst->window.bucket - ended) & (ALERT_BUCKETS - 1)] = burst->now;
    burst->now = (struct alert_bucket){0};
    for (int64_t i = (ended < most ? ended : most) - 1; i >= 0; i--)
        burst_leave(burst, (uint32_t)((burst->window.bucket - i) & (ALERT_BUCKETS - 1)),
                    burst_is_usual(burst, rule, i));
    burst->trigger = window_is_warm(&burst->window)
                         ? burst_usual(burst) * rule->threshold_ppm / ALERT_ONE_PPM
                         : 0;
    if (window_may_rearm(&burst->window, rule) && burst->sum < burst->trigger / 2)
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

void alert_burst_trade(struct alerts *alerts, uint32_t rule_number, uint32_t symbol,
                       const char *name, struct alert_burst *burst,
                       const struct alert_trade *trade)
{
    const struct alert_rule *rule = &alerts->rules.at[rule_number];
    const int64_t ended = window_reach(&burst->window, trade->time_ns, rule->window_ns);
    if (ended < 0) return;
    if (ended > 0) burst_advance(burst, rule, ended);
    if (burst->now.trades++ == 0) {
        burst->now.first_time_ns = trade->time_ns;
        burst->now.first_id = trade->id;
    }
    burst->now.sum += trade->quantity;
    burst->sum += trade->quantity;
    burst->trades++;
    if (burst->trigger > 0 && burst->sum >= burst->trigger && burst->trades >= rule->trades_min &&
        burst->window.fired_ns == 0)
        burst_fire(alerts, rule, symbol, name, burst, trade);
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
