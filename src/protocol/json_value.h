// SPDX-License-Identifier: GPL-3.0-or-later
//
// What json.c and json_value.c share: the one decoder of escapes. Not for others.
#ifndef RINGTAPE_PROTOCOL_JSON_VALUE_H
#define RINGTAPE_PROTOCOL_JSON_VALUE_H

#include <stdint.h>

// UTF-8 bytes of one escape.
#define JSON_ESCAPE_SIZE_MAX 4

// Decodes the escape at *at (a backslash, at least one byte before `end` behind it), surrogate
// pairs included, and moves *at behind it. Returns the size of its UTF-8 form, or 0 if it is
// malformed.
uint32_t json_escape_decode(const char **at, const char *end, char utf8[JSON_ESCAPE_SIZE_MAX]);

#endif
