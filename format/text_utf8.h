// SPDX-License-Identifier: Apache-2.0
//
// text_utf8: is a text what it claims to be. For texts on their way out, to readers that refuse a
// whole file for one bad byte.
#ifndef RINGTAPE_FORMAT_TEXT_UTF8_H
#define RINGTAPE_FORMAT_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

// True if the bytes are UTF-8 of RFC 3629: shortest form, no surrogates, nothing beyond U+10FFFF.
bool text_utf8_valid(const void *bytes, size_t size);
// Copies `size` bytes, each byte that is not part of valid UTF-8 as U+FFFD. Returns the bytes
// written, or 0 if `room` does not suffice (3 * size always does).
size_t text_utf8_repair(const void *bytes, size_t size, void *out, size_t room);

#endif
