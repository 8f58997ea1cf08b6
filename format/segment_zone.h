// SPDX-License-Identifier: Apache-2.0
//
// segment_zone: which columns the zone maps (id and price ranges of a block) are made of.
#ifndef RINGTAPE_FORMAT_SEGMENT_ZONE_H
#define RINGTAPE_FORMAT_SEGMENT_ZONE_H

#include "format/event.h"

struct segment_zone { // column numbers, -1: none
    int id_low;
    int id_high;
    int price_low;
    int price_high;
};

struct segment_zone segment_zone_columns(const struct channel_schema *schema);

#endif
