// SPDX-License-Identifier: GPL-3.0-or-later
//
// simdjson On-Demand as a peer of parse_bench: fields in the exchange's order (find_field, its
// fastest way), prices as raw tokens, so that no double comes in; the parser is used again and
// again, and the message is padded where it lies.
#include "simdjson.h"

#include "bench/parse_peer.h"
#include "bench/peers/parse_numbers.h"

using namespace simdjson;

namespace {

void decimal(std::string_view token, event *into, int column)
{
    int64_t mantissa;
    uint8_t scale;
    const bool quoted = token[0] == '"';
    if (!numbers_decimal(token.data() + quoted, &mantissa, &scale))
        throw simdjson_error(NUMBER_ERROR);
    event_set_decimal(into, column, mantissa, scale);
}

void decimal(ondemand::object &of, std::string_view key, event *into, int column)
{
    decimal(std::string_view(of.find_field(key).raw_json_token()), into, column);
}

void number(std::string_view token, int64_t *mantissa, uint8_t *scale)
{
    if (!numbers_decimal(token.data() + (token[0] == '"'), mantissa, scale))
        throw simdjson_error(NUMBER_ERROR);
}

int64_t time_ns(ondemand::object &of, std::string_view key)
{
    return numbers_time_ns(of.find_field(key).get_uint64());
}

int64_t integer(ondemand::object &of, std::string_view key)
{
    return (int64_t)uint64_t(of.find_field(key).get_uint64());
}

uint32_t symbol(const parse_peer_context *context, ondemand::object &of, std::string_view key)
{
    const std::string_view name = of.find_field(key).get_string();
    return context->find(context->symbols, name.data(), (uint32_t)name.size());
}

// ---- Binance ----

void trade(const parse_peer_context *context, ondemand::object &data, event *into)
{
    event_clear(into, CHANNEL_TRADE, SYMBOL_NONE);
    event_set(into, TRADE_EVENT_TIME, time_ns(data, "E"));
    into->symbol = symbol(context, data, "s");
    event_set(into, TRADE_ID, integer(data, "t"));
    decimal(data, "p", into, TRADE_PRICE);
    decimal(data, "q", into, TRADE_QUANTITY);
    event_set(into, TRADE_TIME, time_ns(data, "T"));
    event_set(into, TRADE_SIDE, bool(data.find_field("m").get_bool()) ? SIDE_SELL : SIDE_BUY);
    event_set(into, TRADE_BEST_MATCH, bool(data.find_field("M").get_bool()));
}

void quote(const parse_peer_context *context, ondemand::object &data, event *into)
{
    event_clear(into, CHANNEL_QUOTE, SYMBOL_NONE);
    event_set(into, QUOTE_ID, integer(data, "u"));
    into->symbol = symbol(context, data, "s");
    decimal(data, "b", into, QUOTE_BID_PRICE);
    decimal(data, "B", into, QUOTE_BID_QUANTITY);
    decimal(data, "a", into, QUOTE_ASK_PRICE);
    decimal(data, "A", into, QUOTE_ASK_QUANTITY);
}

event_level *side_of(ondemand::object &data, std::string_view key, uint8_t side, event_level *at)
{
    for (ondemand::array each : data.find_field(key).get_array()) {
        auto cell = each.begin();
        number(std::string_view((*cell).raw_json_token()), &at->price, &at->price_scale);
        ++cell;
        number(std::string_view((*cell).raw_json_token()), &at->quantity, &at->quantity_scale);
        ++cell;
        at++->side = side;
    }
    return at;
}

void depth(const parse_peer_context *context, ondemand::object &data, event *into)
{
    event_clear(into, CHANNEL_DEPTH, SYMBOL_NONE);
    event_set(into, DEPTH_EVENT_TIME, time_ns(data, "E"));
    into->symbol = symbol(context, data, "s");
    event_set(into, DEPTH_FIRST_ID, integer(data, "U"));
    event_set(into, DEPTH_LAST_ID, integer(data, "u"));
    event_level *end = side_of(data, "b", 0, context->levels);
    end = side_of(data, "a", 1, end);
    into->levels = context->levels;
    into->level_count = (uint32_t)(end - context->levels);
}

bool binance(const parse_peer_context *context, ondemand::document &document, event *into)
{
    ondemand::object root = document.get_object();
    const std::string_view stream = root.find_field("stream").raw_json_token();
    const size_t at = stream.find('@');
    if (at == std::string_view::npos) return false;
    ondemand::object data = root.find_field("data").get_object();
    switch (stream[at + 1]) {
    case 't': trade(context, data, into); break;
    case 'b': quote(context, data, into); break;
    case 'd': depth(context, data, into); break;
    default: return false;
    }
    event_set(into, COLUMN_FLAGS, 0);
    return true;
}

// ---- Upbit ----

void upbit_trade(const parse_peer_context *context, ondemand::object &root, event *into)
{
    event_clear(into, CHANNEL_TRADE, SYMBOL_NONE);
    into->symbol = symbol(context, root, "cd");
    event_set(into, TRADE_EVENT_TIME, time_ns(root, "tms"));
    event_set(into, TRADE_TIME, time_ns(root, "ttms"));
    decimal(root, "tp", into, TRADE_PRICE);
    decimal(root, "tv", into, TRADE_QUANTITY);
    const std::string_view side = root.find_field("ab").raw_json_token();
    event_set(into, TRADE_SIDE, side[1] == 'A' ? SIDE_SELL : SIDE_BUY);
    decimal(root, "pcp", into, TRADE_PREVIOUS_CLOSE);
    event_set(into, TRADE_ID, integer(root, "sid"));
}

void upbit_units(const parse_peer_context *context, ondemand::object &root, event *into)
{
    event_level *at = context->levels;
    for (ondemand::object unit : root.find_field("obu").get_array()) {
        const auto cell = [&unit](std::string_view key, int64_t *mantissa, uint8_t *scale) {
            number(std::string_view(unit.find_field(key).raw_json_token()), mantissa, scale);
        };
        cell("ap", &at[0].price, &at[0].price_scale);
        cell("bp", &at[1].price, &at[1].price_scale);
        cell("as", &at[0].quantity, &at[0].quantity_scale);
        cell("bs", &at[1].quantity, &at[1].quantity_scale);
        at[0].side = 1;
        at[1].side = 0;
        at += 2;
    }
    into->levels = context->levels;
    into->level_count = (uint32_t)(at - context->levels);
}

void upbit_book(const parse_peer_context *context, ondemand::object &root, event *into)
{
    event_clear(into, CHANNEL_BOOK, SYMBOL_NONE);
    event_set(into, BOOK_SOURCE, BOOK_SOURCE_ORDERBOOK);
    into->symbol = symbol(context, root, "cd");
    event_set(into, BOOK_EVENT_TIME, time_ns(root, "tms"));
    decimal(root, "tas", into, BOOK_TOTAL_ASK_QUANTITY);
    decimal(root, "tbs", into, BOOK_TOTAL_BID_QUANTITY);
    upbit_units(context, root, into);
}

bool upbit(const parse_peer_context *context, ondemand::document &document, event *into)
{
    ondemand::object root = document.get_object();
    const std::string_view type = root.find_field("ty").raw_json_token();
    if (type[1] == 't') upbit_trade(context, root, into);
    else if (type[1] == 'o') upbit_book(context, root, into);
    else return false;
    const std::string_view stream = root.find_field("st").raw_json_token();
    event_set(into, COLUMN_FLAGS, stream[1] == 'S' ? EVENT_SNAPSHOT : 0);
    return true;
}

void *open_parser() { return new ondemand::parser; }
void close_parser(void *state) { delete static_cast<ondemand::parser *>(state); }

bool read(void *state, const parse_peer_context *context, const uint8_t *bytes, uint32_t size,
          event *into)
{
    try {
        auto *parser = static_cast<ondemand::parser *>(state);
        const padded_string_view text(bytes, size, size + SIMDJSON_PADDING);
        ondemand::document document = parser->iterate(text);
        return context->upbit ? upbit(context, document, into) : binance(context, document, into);
    } catch (const simdjson_error &) {
        return false;
    }
}

} // namespace

extern "C" {
extern const struct parse_peer parse_peer;
const struct parse_peer parse_peer = {"simdjson " SIMDJSON_VERSION, open_parser, close_parser,
                                      read};
}
