// SPDX-License-Identifier: GPL-3.0-or-later
//
// The exchange cuts the changes of a book into windows of its own on every connection: the same
// changes arrive with different U and u. Here one to four of the market's smallest windows become
// one, after at most WINDOW_MS. For each price the last quantity counts, noted when it came, so
// that a window says exactly what the book was at its u.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_faults.h"

enum {
    WINDOW_MS = 100,
    WINDOW_CHECK_MS = 10,
    WINDOW_JOINED_MAX = 4,
    WINDOW_CHANGES_FULL = EXCHANGE_SIM_WINDOW_CHANGES_MAX - MARKET_CHANGES_MAX,
};

struct exchange_sim_window {
    uint32_t stream;
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    const struct exchange_sim_market_symbol *symbol;
    bool open;
    int64_t opened_ns;
    uint32_t joined;
    uint32_t wanted;
    struct exchange_sim_market_event event; // first_id of the first, the rest of the last
    uint32_t change_count;
    struct exchange_sim_market_change changes[EXCHANGE_SIM_WINDOW_CHANGES_MAX];
};

// The slot of the stream, or the free one where it belongs.
static struct exchange_sim_window **window_slot(struct exchange_sim_fault_link *link,
                                                uint32_t stream)
{
    uint32_t slot = stream * 2654435761u % EXCHANGE_SIM_WINDOW_SLOTS;
    for (uint32_t i = 0; i < EXCHANGE_SIM_WINDOW_SLOTS; i++) {
        struct exchange_sim_window **at =
            &link->windows[(slot + i) % EXCHANGE_SIM_WINDOW_SLOTS];
        if (*at == NULL || (*at)->stream == stream)
            return at;
    }
    return NULL;
}

// NULL when out of memory.
static struct exchange_sim_window *window_of(struct exchange_sim_fault_link *link, uint32_t stream)
{
    if (link->windows == NULL)
        link->windows = calloc(EXCHANGE_SIM_WINDOW_SLOTS, sizeof(struct exchange_sim_window *));
    if (link->windows == NULL)
        return NULL;
    struct exchange_sim_window **slot = window_slot(link, stream);
    if (slot == NULL)
        return NULL;
    if (*slot == NULL && (*slot = calloc(1, sizeof **slot)) != NULL)
        (*slot)->stream = stream;
    return *slot;
}

static struct exchange_sim_delivery window_delivery(const struct exchange_sim_window *window)
{
    return (struct exchange_sim_delivery){
        .stream = window->stream,
        .name = window->name,
        .first_id = window->event.first_id,
        .last_id = window->event.id,
    };
}

static void window_send(struct exchange_sim_fault_link *link, struct exchange_sim_window *window)
{
    static char payload[MARKET_EVENT_SIZE_MAX];
    ensure(window->open && window->change_count > 0);
    window->open = false;
    link->windows_open--;
    struct exchange_sim_text text = exchange_sim_text(payload, sizeof payload);
    exchange_sim_market_render_window(window->symbol, &window->event, window->changes,
                                      window->change_count, link->connection->microseconds, &text);
    struct exchange_sim_delivery delivery = window_delivery(window);
    delivery.payload = (const uint8_t *)payload;
    delivery.size = exchange_sim_text_size(&text);
    (void)exchange_sim_fault_link_message(link, &delivery);
}

static void window_change(struct exchange_sim_window *window, int64_t price, bool ask)
{
    int64_t const quantity = exchange_sim_market_level(window->symbol, ask, price);
    for (uint32_t i = 0; i < window->change_count; i++)
        if (window->changes[i].price == price && window->changes[i].ask == ask) {
            window->changes[i].quantity = quantity;
            return;
        }
    ensure(window->change_count < EXCHANGE_SIM_WINDOW_CHANGES_MAX);
    window->changes[window->change_count++] =
        (struct exchange_sim_market_change){.price = price, .ask = ask, .quantity = quantity};
}

static void window_begin(struct exchange_sim_fault_link *link, struct exchange_sim_window *window,
                         const char *name, const struct exchange_sim_event *event)
{
    ensure(!window->open);
    (void)snprintf(window->name, sizeof window->name, "%s", name);
    window->symbol = event->symbol;
    window->open = true;
    window->opened_ns = link->faults->server->now_ns;
    window->joined = window->change_count = 0;
    window->wanted = (uint32_t)exchange_sim_fault_between(
        &link->clock, EXCHANGE_SIM_FAULT_WINDOWS, 1, WINDOW_JOINED_MAX);
    window->event = *event->market;
    link->windows_open++;
}

bool exchange_sim_window_add(struct exchange_sim_fault_link *link, const char *name,
                             const struct exchange_sim_event *event)
{
    ensure(event->market != NULL && event->market->kind == MARKET_DEPTH);
    struct exchange_sim_window *window = window_of(link, event->stream);
    if (window == NULL)
        return false;
    // One that was withheld between them: U and u must not cover it.
    if (window->open && window->event.id + 1 != event->first_id)
        window_send(link, window);
    if (!window->open)
        window_begin(link, window, name, event);
    int64_t const first_id = window->event.first_id;
    int64_t const previous_id = window->event.previous_id;
    window->event = *event->market;
    window->event.first_id = first_id;
    window->event.previous_id = previous_id;
    for (uint32_t i = 0; i < event->symbol->change_count; i++)
        window_change(window, event->symbol->changes[i].price, event->symbol->changes[i].ask);
    if (++window->joined >= window->wanted || window->change_count > WINDOW_CHANGES_FULL)
        window_send(link, window);
    return true;
}

void exchange_sim_window_release(struct exchange_sim_fault_link *link, int64_t now_ns)
{
    if (link->windows_open == 0 ||
        now_ns - link->windows_checked_ns < (int64_t)WINDOW_CHECK_MS * 1000000)
        return;
    link->windows_checked_ns = now_ns;
    for (uint32_t i = 0; i < EXCHANGE_SIM_WINDOW_SLOTS && link->windows_open > 0; i++) {
        struct exchange_sim_window *window = link->windows[i];
        if (window != NULL && window->open &&
            now_ns - window->opened_ns >= (int64_t)WINDOW_MS * 1000000)
            window_send(link, window);
    }
}

void exchange_sim_window_forget(struct exchange_sim_fault_link *link, uint32_t stream)
{
    if (link->windows == NULL)
        return;
    struct exchange_sim_window **slot = window_slot(link, stream);
    if (slot == NULL || *slot == NULL || !(*slot)->open)
        return;
    (*slot)->open = false;
    ensure(link->windows_open > 0);
    link->windows_open--;
}

void exchange_sim_window_close_all(struct exchange_sim_fault_link *link)
{
    for (uint32_t i = 0; link->windows != NULL && i < EXCHANGE_SIM_WINDOW_SLOTS; i++) {
        struct exchange_sim_window *window = link->windows[i];
        if (window != NULL && window->open) {
            struct exchange_sim_delivery const delivery = window_delivery(window);
            exchange_sim_faults_tell_ids(link, "undelivered", &delivery);
        }
        free(window);
    }
    free(link->windows);
    link->windows = NULL;
    link->windows_open = 0;
}
