// SPDX-License-Identifier: GPL-3.0-or-later
//
// log_text: the pairs of a log line, from a printf format and its arguments. What stands in the
// format is trusted and says where quotes open and close; what comes from arguments is made
// harmless (log.h). A cut falls within a value: an open quote is closed, UTF-8 stays whole.
//
// Conversions: d i u x X c s with flags, width, precision and lengths h hh l ll j z; %%.
// Pure; any thread.
#ifndef RINGTAPE_BASE_LOG_TEXT_H
#define RINGTAPE_BASE_LOG_TEXT_H

#include <stdarg.h>
#include <stddef.h>

// Bytes written to `out`, at most `room`; no terminating zero.
size_t log_text_pairs(char *out, size_t room, const char *format, va_list arguments);

#endif
