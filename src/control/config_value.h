// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_value: the texts of single configuration values: durations, sizes, numbers, truth values.
//
// Each returns true and sets the value, or false and leaves it. Pure.
#ifndef RINGTAPE_CONTROL_CONFIG_VALUE_H
#define RINGTAPE_CONTROL_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

// A whole number and a unit without space: ns us ms s m h d ("5ms").
bool config_value_duration(const char *text, int64_t *ns);
// A whole number and a unit: B KiB MiB GiB TiB ("32MiB").
bool config_value_size(const char *text, int64_t *bytes);
// "3%", "0.25%", "20x": in ppm.
bool config_value_ratio(const char *text, int64_t *ppm);
// A whole number without unit.
bool config_value_integer(const char *text, int64_t *value);
// true or false, on or off.
bool config_value_boolean(const char *text, bool *value);

#endif
