// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchangeInfo of spot and USD-M futures: one instrument event a symbol, the symbol's object
// verbatim in its body. Steps are those of PRICE_FILTER and LOT_SIZE; where one is absent, so is
// its column.
//
// Source: binance-spot-api-docs rest-api.md and filters.md; developers.binance.com, USD-M futures,
// Exchange Information.
#include <errno.h>

#include "exchange/binance.h"

struct steps {
    struct json_value tick;
    struct json_value step;
};

static bool text_member(const struct json_value *object, const char *key, struct json_slice *text)
{
    struct json_value value;
    return json_find(object, key, &value) == JSON_OK && value.type == JSON_STRING &&
           json_string_raw(&value, text) == JSON_OK;
}

static void find_steps(const struct json_value *symbol, struct steps *steps)
{
    struct json_value filters, filter, kind;
    struct json_walk walk;
    steps->tick.text = NULL;
    steps->step.text = NULL;
    if (json_find(symbol, "filters", &filters) != JSON_OK ||
        json_walk_array(&filters, &walk) != JSON_OK)
        return;
    while (json_walk_element(&walk, &filter)) {
        if (filter.type != JSON_OBJECT || json_find(&filter, "filterType", &kind) != JSON_OK)
            continue;
        if (json_string_equals(&kind, "PRICE_FILTER"))
            (void)json_find(&filter, "tickSize", &steps->tick);
        else if (json_string_equals(&kind, "LOT_SIZE"))
            (void)json_find(&filter, "stepSize", &steps->step);
    }
}

static void set_text(struct event *event, int column, const struct json_value *object,
                     const char *key)
{
    struct json_slice text;
    if (text_member(object, key, &text))
        event_set_text(event, column, text.text, text.size);
}

static void set_decimal(struct event *event, int column, const struct json_value *value)
{
    int64_t mantissa;
    uint8_t scale;
    if (value->text != NULL && json_decimal(value, &mantissa, &scale, NULL) == JSON_OK)
        event_set_decimal(event, column, mantissa, scale);
}

// False where the object is no instrument.
static bool instrument(const struct json_value *symbol, dialect_instrument_callback *each,
                       void *context)
{
    struct event event;
    struct steps steps;
    struct json_slice name;
    struct json_value status;
    if (symbol->type != JSON_OBJECT || symbol->size > EVENT_TEXT_BYTES_MAX ||
        !text_member(symbol, "symbol", &name))
        return false;
    find_steps(symbol, &steps);
    event_clear(&event, CHANNEL_INSTRUMENT, SYMBOL_NONE);
    event_set(&event, COLUMN_FLAGS, 0);
    set_decimal(&event, INSTRUMENT_TICK, &steps.tick);
    set_decimal(&event, INSTRUMENT_STEP, &steps.step);
    set_text(&event, INSTRUMENT_STATE, symbol, "status");
    set_text(&event, INSTRUMENT_BASE, symbol, "baseAsset");
    set_text(&event, INSTRUMENT_QUOTE, symbol, "quoteAsset");
    event_set_text(&event, INSTRUMENT_BODY, symbol->text, symbol->size);
    const bool trading =
        json_find(symbol, "status", &status) == JSON_OK && json_string_equals(&status, "TRADING");
    each(context, &event, name.text, name.size, trading);
    return true;
}

int binance_instruments(const uint8_t *body, uint32_t size, dialect_instrument_callback *each,
                        void *context)
{
    struct json_value root, symbols, symbol;
    struct json_walk walk;
    if (json_parse((const char *)body, size, &root, NULL) != JSON_OK ||
        root.type != JSON_OBJECT || json_find(&root, "symbols", &symbols) != JSON_OK ||
        json_walk_array(&symbols, &walk) != JSON_OK)
        return -EINVAL;
    bool good = true;
    while (json_walk_element(&walk, &symbol))
        good = instrument(&symbol, each, context) && good;
    return good ? 0 : -EINVAL;
}
