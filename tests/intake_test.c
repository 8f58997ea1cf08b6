// SPDX-License-Identifier: GPL-3.0-or-later
//
// Intake: stamps, the bound on whole frames with unknown keys and its status rows, a sink that
// refuses, keep_raw, receive times that never go back.
#include "capture/intake.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW_NS 1767225600000000000ll

struct heap {
    uint64_t rows[CHANNEL_COUNT];
    int64_t counts[16]; // of STATUS_UNKNOWN_KEY rows, in order
    uint32_t count;
    int64_t receive_ns;
    int64_t link;
    bool refuse;
};

static struct heap heap;
static struct log quiet = {.file = -1};
static struct intake intake;
static struct symbols *symbols;
static struct dialect_context context;
static struct intake_source source;

static bool collect(void *to, const struct event *event)
{
    struct heap *into = to;
    if (into->refuse) return false;
    into->rows[event->channel]++;
    into->receive_ns = event->value[COLUMN_RECEIVE_TIME];
    into->link = event_has(event, COLUMN_LINK) ? event->value[COLUMN_LINK] : -1;
    if (event->channel == CHANNEL_STATUS && event->value[STATUS_KIND] == STATUS_UNKNOWN_KEY)
        into->counts[into->count++] = event->value[STATUS_COUNT];
    return true;
}

static void begin(void)
{
    memset(&heap, 0, sizeof heap);
    symbols = symbols_open(16);
    context = (struct dialect_context){.symbols = symbols,
                                       .exchange = symbols_exchange(symbols, "binance"),
                                       .raw_symbol = SYMBOL_NONE};
    (void)symbols_add(symbols, context.exchange, "BTCUSDT", 7);
    source = (struct intake_source){dialect_by_name("binance"), &context, 9, false, NULL};
    cr_assert_eq(intake_open(&intake, collect, &heap, &quiet), 0);
}

static void end(void)
{
    intake_close(&intake);
    symbols_close(symbols);
}

// A trade with `extra` before its end.
static const struct dialect_frame *give(const char *extra, int64_t now_ns)
{
    static char text[512 + DIALECT_FRAME_PADDING];
    int size = snprintf(text, 512,
                        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"s\":"
                        "\"BTCUSDT\",\"t\":1,\"p\":\"1.0\",\"q\":\"2\",\"T\":1,\"m\":true,\"M\":"
                        "true%s}}",
                        extra);
    return intake_message(&intake, &source, (const uint8_t *)text, (uint32_t)size, now_ns);
}

Test(intake, rows_are_stamped, .init = begin, .fini = end)
{
    cr_assert_eq(give("", NOW_NS)->kind, DIALECT_FRAME_EVENTS);
    cr_assert_eq(heap.rows[CHANNEL_TRADE], 1);
    cr_assert_eq(heap.receive_ns, NOW_NS);
    cr_assert_eq(heap.link, 9);
    (void)give("", NOW_NS - LIMIT_SECOND_NS);
    cr_assert_eq(heap.receive_ns, NOW_NS, "receive time went back");
    intake_status(&intake, NOW_NS + 5,
                  &(struct intake_status){.kind = STATUS_STOPPED,
                                          .link = INTAKE_NO_LINK,
                                          .symbol = SYMBOL_NONE,
                                          .count = INTAKE_NO_COUNT});
    cr_assert_eq(heap.receive_ns, NOW_NS + 5);
    cr_assert_eq(heap.link, -1);
    cr_assert_eq(intake.counters.events, 3);
    cr_assert_eq(intake.counters.messages, 2);
}

Test(intake, whole_frames_of_an_unknown_key_are_bounded_and_counted, .init = begin, .fini = end)
{
    for (int i = 0; i < 12345; i++) (void)give(",\"zz\":1", NOW_NS + i);
    cr_assert_eq(heap.rows[CHANNEL_TRADE], 12345, "the rows are all stored");
    cr_assert_eq(heap.rows[CHANNEL_RAW], LIMIT_UNKNOWN_KEY_FRAMES);
    cr_assert_eq(heap.count, 5);
    for (int64_t i = 0, power = 1; i < 5; i++, power *= 10) cr_assert_eq(heap.counts[i], power);
    // Another key has a budget of its own.
    (void)give(",\"yy\":1", NOW_NS + 20000);
    cr_assert_eq(heap.rows[CHANNEL_RAW], LIMIT_UNKNOWN_KEY_FRAMES + 1);
}

Test(intake, more_keys_than_the_table_has_share_a_budget, .init = begin, .fini = end)
{
    char extra[32];
    for (int i = 0; i < 3 * LIMIT_UNKNOWN_KEYS; i++) {
        heap.count = 0;
        (void)snprintf(extra, sizeof extra, ",\"k%d\":1", i);
        (void)give(extra, NOW_NS + i);
    }
    cr_assert_eq(intake.unknown_count, LIMIT_UNKNOWN_KEYS);
    cr_assert_eq(heap.rows[CHANNEL_TRADE], 3 * LIMIT_UNKNOWN_KEYS);
    uint64_t bound = LIMIT_UNKNOWN_KEYS + LIMIT_UNKNOWN_KEY_FRAMES;
    cr_assert_leq(heap.rows[CHANNEL_RAW], bound);
}

Test(intake, what_the_sink_refuses_is_counted, .init = begin, .fini = end)
{
    heap.refuse = true;
    (void)give("", NOW_NS);
    cr_assert_eq(intake.counters.refused, 1);
    cr_assert_eq(intake.counters.events, 0);
    heap.refuse = false;
    (void)give("", NOW_NS);
    cr_assert_eq(intake.counters.events, 1);
}

Test(intake, keep_raw_keeps_messages_without_rows_too, .init = begin, .fini = end)
{
    static const char reply[128] = "{\"result\":null,\"id\":1}";
    source.keep_raw = true;
    (void)give("", NOW_NS);
    cr_assert_eq(heap.rows[CHANNEL_RAW], 1);
    cr_assert_eq(heap.rows[CHANNEL_TRADE], 1);
    const struct dialect_frame *frame = intake_message(
        &intake, &source, (const uint8_t *)reply, (uint32_t)strlen(reply), NOW_NS);
    cr_assert_eq(frame->kind, DIALECT_FRAME_REPLY);
    cr_assert_eq(frame->reply_id, 1);
    cr_assert_eq(heap.rows[CHANNEL_RAW], 2);
}
