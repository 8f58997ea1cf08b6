// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_screen: see ringtape_screen.h. The only file that names ncurses.
#include "tools/ringtape_screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/ensure.h"

enum { BAD_PAIR = 1, ESCAPE_MS = 25 };

static SCREEN *screen; // NULL: not open

void ringtape_screen_close(void)
{
    if (screen == NULL) return;
    (void)endwin();
    delscreen(screen);
    screen = NULL;
}

bool ringtape_screen_open(void)
{
    ensure(screen == NULL);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return false;
    (void)setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL) return false;
    (void)atexit(ringtape_screen_close);
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    (void)set_escdelay(ESCAPE_MS);
    if (has_colors() && start_color() == OK && use_default_colors() == OK)
        (void)init_pair(BAD_PAIR, COLOR_RED, -1);
    return true;
}

void ringtape_screen_size(int *lines, int *columns)
{
    getmaxyx(stdscr, *lines, *columns);
}

void ringtape_screen_clear(void)
{
    (void)erase();
}

void ringtape_screen_put(int line, int column, enum ringtape_screen_style style, const char *text)
{
    static const chtype plain[] = {[SCREEN_PLAIN] = A_NORMAL, [SCREEN_BOLD] = A_BOLD,
                                   [SCREEN_DIM] = A_DIM,      [SCREEN_BAD] = A_BOLD,
                                   [SCREEN_BAR] = A_REVERSE};
    int lines, columns;
    getmaxyx(stdscr, lines, columns);
    if (line < 0 || line >= lines || column >= columns) return;
    chtype attributes = plain[style];
    if (style == SCREEN_BAD && has_colors()) attributes |= COLOR_PAIR(BAD_PAIR);
    (void)attrset((int)attributes);
    (void)mvaddnstr(line, column, text, -1);
    (void)attrset(A_NORMAL);
}

void ringtape_screen_show(void)
{
    (void)refresh();
}

int ringtape_screen_key(int wait_ms)
{
    timeout(wait_ms);
    const int key = getch();
    if (key == KEY_RESIZE) return SCREEN_RESIZED;
    if (key == KEY_BACKSPACE || key == 127 || key == 8) return SCREEN_BACKSPACE;
    if (key == ERR && !isatty(STDIN_FILENO)) return SCREEN_ENDED;
    return key == ERR || key > 255 ? SCREEN_NONE : key;
}
