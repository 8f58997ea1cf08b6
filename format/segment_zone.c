// SPDX-License-Identifier: Apache-2.0
//
// Chosen by what is searched for: trades by id and price, quotes by update id and bid price.
#include "format/segment_zone.h"

struct segment_zone segment_zone_columns(const struct channel_schema *schema)
{
    struct segment_zone zone = {-1, -1, -1, -1};
    if (schema->identity_count != 0) {
        int low = schema->identity[0];
        int high = schema->identity[schema->identity_count - 1];
        if (schema->columns[low].type == COLUMN_INTEGER &&
            schema->columns[high].type == COLUMN_INTEGER) {
            zone.id_low = low;
            zone.id_high = high;
        }
    }
    // Two columns can only be compared where they have one scale, so one column serves both ends.
    switch (schema->channel) {
    case CHANNEL_TRADE:
        zone.price_low = zone.price_high = TRADE_PRICE;
        break;
    case CHANNEL_AGG_TRADE:
        zone.price_low = zone.price_high = AGG_TRADE_PRICE;
        break;
    case CHANNEL_QUOTE:
        zone.price_low = zone.price_high = QUOTE_BID_PRICE;
        break;
    case CHANNEL_KLINE:
        zone.price_low = zone.price_high = KLINE_CLOSE;
        break;
    case CHANNEL_TICKER:
        zone.price_low = zone.price_high = TICKER_LAST_PRICE;
        break;
    default:
        break;
    }
    return zone;
}
