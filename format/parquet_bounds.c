// SPDX-License-Identifier: Apache-2.0
//
// Order of types: numbers by value, texts by unsigned bytes, as TYPE_ORDER of Parquet says.
#include "format/parquet_bounds.h"

#include "format/ensure.h"
#include "format/parquet_encode.h"
#include <string.h>

static bool parquet_bounds_is_text(enum parquet_type type)
{
    return type == PARQUET_CODE || type == PARQUET_STRING || type == PARQUET_BINARY;
}

static int parquet_bounds_order_texts(const uint8_t *left, size_t left_size, const uint8_t *right,
                                      size_t right_size)
{
    const size_t common = left_size < right_size ? left_size : right_size;
    const int order = common > 0 ? memcmp(left, right, common) : 0;
    return order != 0 ? order : (left_size > right_size) - (left_size < right_size);
}

void parquet_bounds_clear(struct parquet_bounds *bounds)
{
    bounds->any = false;
    bounds->exact = true;
    bounds->min = bounds->max = 0;
    bounds->min_size = bounds->max_size = 0;
}

static void parquet_bounds_add_pair(struct parquet_bounds *bounds, __int128 least,
                                    __int128 greatest)
{
    ensure(least <= greatest);
    if (!bounds->any || least < bounds->min) bounds->min = least;
    if (!bounds->any || greatest > bounds->max) bounds->max = greatest;
    bounds->any = true;
}

void parquet_bounds_add_int64(struct parquet_bounds *bounds, const int64_t *values, uint32_t count)
{
    if (count == 0) return;
    int64_t least = values[0], greatest = values[0];
    for (uint32_t i = 1; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    parquet_bounds_add_pair(bounds, least, greatest);
}

void parquet_bounds_add_int128(struct parquet_bounds *bounds, const __int128 *values,
                               uint32_t count)
{
    if (count == 0) return;
    __int128 least = values[0], greatest = values[0];
    for (uint32_t i = 1; i < count; i++) {
        if (values[i] < least) least = values[i];
        if (values[i] > greatest) greatest = values[i];
    }
    parquet_bounds_add_pair(bounds, least, greatest);
}

void parquet_bounds_add_booleans(struct parquet_bounds *bounds, const uint8_t *values,
                                 uint32_t count)
{
    if (count == 0) return;
    const bool any_true = memchr(values, 1, count) != NULL;
    const bool any_false = memchr(values, 0, count) != NULL;
    parquet_bounds_add_pair(bounds, !any_false, any_true);
}

void parquet_bounds_add_text(struct parquet_bounds *bounds, const void *bytes, size_t size)
{
    if (size > PARQUET_BOUNDS_TEXT_MAX) bounds->exact = false;
    if (!bounds->exact) return;
    const bool first = !bounds->any;
    bounds->any = true;
    if (first ||
        parquet_bounds_order_texts(bytes, size, bounds->min_text, bounds->min_size) < 0) {
        if (size > 0) memcpy(bounds->min_text, bytes, size);
        bounds->min_size = (uint8_t)size;
    }
    if (first ||
        parquet_bounds_order_texts(bytes, size, bounds->max_text, bounds->max_size) > 0) {
        if (size > 0) memcpy(bounds->max_text, bytes, size);
        bounds->max_size = (uint8_t)size;
    }
}

void parquet_bounds_merge(struct parquet_bounds *bounds, const struct parquet_bounds *other,
                          enum parquet_type type)
{
    if (!other->exact) bounds->exact = false;
    if (!other->any) return;
    if (parquet_bounds_is_text(type)) {
        parquet_bounds_add_text(bounds, other->min_text, other->min_size);
        parquet_bounds_add_text(bounds, other->max_text, other->max_size);
    } else {
        parquet_bounds_add_pair(bounds, other->min, other->max);
    }
}

int parquet_bounds_compare_min(const struct parquet_bounds *left,
                               const struct parquet_bounds *right, enum parquet_type type)
{
    if (parquet_bounds_is_text(type))
        return parquet_bounds_order_texts(left->min_text, left->min_size, right->min_text,
                                          right->min_size);
    return (left->min > right->min) - (left->min < right->min);
}

int parquet_bounds_compare_max(const struct parquet_bounds *left,
                               const struct parquet_bounds *right, enum parquet_type type)
{
    if (parquet_bounds_is_text(type))
        return parquet_bounds_order_texts(left->max_text, left->max_size, right->max_text,
                                          right->max_size);
    return (left->max > right->max) - (left->max < right->max);
}

size_t parquet_bounds_spell(const struct parquet_bounds *bounds, enum parquet_type type,
                            bool greatest, uint8_t out[PARQUET_BOUNDS_TEXT_MAX])
{
    ensure(bounds->any && bounds->exact);
    if (parquet_bounds_is_text(type)) {
        const size_t size = greatest ? bounds->max_size : bounds->min_size;
        memcpy(out, greatest ? bounds->max_text : bounds->min_text, size);
        return size;
    }
    const __int128 value = greatest ? bounds->max : bounds->min;
    if (type == PARQUET_DECIMAL_38) return parquet_encode_decimals(&value, 1, out);
    const int64_t narrow = (int64_t)value;
    const size_t size = type == PARQUET_BOOLEAN ? 1 : 8;
    ensure(narrow == value);
    memcpy(out, &narrow, size);
    return size;
}
