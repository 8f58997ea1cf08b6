// SPDX-License-Identifier: GPL-3.0-or-later
//
// history: members of REST rows, the same for all exchanges; see history.h.
#include "exchange/history.h"

#include <errno.h>

#include "exchange/strict.h"

bool history_integer(const struct json_value *row, const char *key, int64_t *value)
{
    struct json_value member;
    return json_find(row, key, &member) == JSON_OK && json_integer(&member, value) == JSON_OK;
}

bool history_time(const struct json_value *row, const char *key, struct event *event, int column)
{
    int64_t number, time_ns;
    if (!history_integer(row, key, &number) || !strict_time_ns(number, &time_ns))
        return false;
    event_set(event, column, time_ns);
    return true;
}

bool history_decimal(const struct json_value *row, const char *key, struct event *event,
                     int column)
{
    struct json_value member;
    int64_t mantissa;
    uint8_t scale;
    if (json_find(row, key, &member) != JSON_OK ||
        json_decimal(&member, &mantissa, &scale, NULL) != JSON_OK)
        return false;
    event_set_decimal(event, column, mantissa, scale);
    return true;
}

bool history_boolean(const struct json_value *row, const char *key, bool *value)
{
    struct json_value member;
    return json_find(row, key, &member) == JSON_OK && json_boolean(&member, value) == JSON_OK;
}

int history_rows(const uint8_t *body, uint32_t size,
                 bool (*each)(const struct json_value *row, void *context), void *context)
{
    struct json_value root, row;
    struct json_walk walk;
    if (json_parse((const char *)body, size, &root, NULL) != JSON_OK ||
        json_walk_array(&root, &walk) != JSON_OK)
        return -EINVAL;
    while (json_walk_element(&walk, &row))
        if (row.type != JSON_OBJECT || !each(&row, context))
            return -EINVAL;
    return 0;
}
