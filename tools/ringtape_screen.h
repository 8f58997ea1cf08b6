// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_screen: the terminal of `ringtape top`: lines of text, some bold, some dim, and keys.
// The terminal is as it was before once ringtape_screen_close() was called, which is also done when
// the process ends by exit().
//
// Threading: main thread; one at a time.
#ifndef RINGTAPE_TOOLS_RINGTAPE_SCREEN_H
#define RINGTAPE_TOOLS_RINGTAPE_SCREEN_H

#include <stdbool.h>

enum ringtape_screen_style { SCREEN_PLAIN, SCREEN_BOLD, SCREEN_DIM, SCREEN_BAD, SCREEN_BAR };
enum { SCREEN_NONE = -1, SCREEN_RESIZED = -2, SCREEN_BACKSPACE = -3, SCREEN_ENDED = -4 };

// False: standard input or output is no terminal that can be used.
bool ringtape_screen_open(void);
void ringtape_screen_close(void);
void ringtape_screen_size(int *lines, int *columns);
void ringtape_screen_clear(void);
// UTF-8; cut at the edge. Beyond the last line: nothing.
void ringtape_screen_put(int line, int column, enum ringtape_screen_style style, const char *text);
void ringtape_screen_show(void);
// A key, or one of the above, after at most `wait_ms`.
int ringtape_screen_key(int wait_ms);

#endif
