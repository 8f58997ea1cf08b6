// SPDX-License-Identifier: GPL-3.0-or-later
//
// Programs started by the helper, and without one: what they get, how they end, what is refused.
#include "base/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool only_shell(const void *context, const char *program, char *const arguments[])
{
    cr_assert_str_eq(context, "context");
    return strcmp(program, "/bin/sh") == 0 && strcmp(arguments[0], "sh") == 0;
}

static void begin(bool helper)
{
    if (helper) cr_assert_eq(child_helper_start(only_shell, "context"), 0);
}

static pid_t shell(const char *words, int input)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s", words);
    char name[] = "sh", option[] = "-c";
    char *const arguments[] = {name, option, text, NULL};
    pid_t child = 0;
    cr_assert_eq(child_start("/bin/sh", arguments, input, &child), 0);
    cr_assert_gt(child, 0);
    return child;
}

static int end_of(pid_t child)
{
    int status = 0;
    // Of anybody's process, the helper's too.
    struct pollfd ends = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    cr_assert_geq(ends.fd, 0);
    cr_assert_eq(poll(&ends, 1, 10000), 1);
    (void)close(ends.fd);
    cr_assert(child_ended(child, &status));
    return status;
}

Test(child, status_and_standard_input_arrive)
{
    for (int helper = 0; helper < 2; helper++) {
        begin(helper != 0);
        const int input = memfd_create("input", MFD_CLOEXEC);
        cr_assert_eq(write(input, "seven\n", 6), 6);
        cr_assert_eq(lseek(input, 0, SEEK_SET), 0);
        int status = end_of(shell("read line && [ \"$line\" = seven ] && exit 7", input));
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%x", status);
        // Nothing to read, nothing left open, no signal blocked, a group of its own.
        status = end_of(shell("read line && exit 1; [ -e /proc/$$/fd/9 ] && exit 2; "
                              "grep -q '^SigBlk:.0*$' /proc/self/status || exit 3; "
                              "[ $(ps -o pgid= -p $$ 2>/dev/null || echo $$) -eq $$ ] || exit 4",
                              -1));
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
        (void)close(input);
        child_helper_stop();
    }
}

Test(child, a_group_is_killed)
{
    for (int helper = 0; helper < 2; helper++) {
        int status = 0;
        begin(helper != 0);
        const pid_t child = shell("sleep 100 & sleep 100", -1);
        cr_assert_not(child_ended(child, &status));
        child_kill(child);
        status = end_of(child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        child_helper_stop();
    }
}

Test(child, the_helper_starts_what_is_allowed_and_touches_nobody_else)
{
    char name[] = "true";
    char *const arguments[] = {name, NULL};
    pid_t child = 0;
    int status = 0;
    begin(true);
    cr_assert_eq(child_start("/bin/true", arguments, -1, &child), -EPERM);
    cr_assert_eq(child, 0);
    const pid_t other = fork();
    if (other == 0) {
        (void)pause();
        _exit(0);
    }
    child_kill(other); // not the helper's
    cr_assert(child_ended(other, &status));
    cr_assert_eq(waitpid(other, &status, WNOHANG), 0, "it lives");
    (void)kill(other, SIGKILL);
    cr_assert_eq(waitpid(other, &status, 0), other);
    child_helper_stop();
}

Test(child, bounds_are_kept)
{
    pid_t children[CHILD_RUNNING_MAX];
    char name[] = "sh", option[] = "-c", words[] = "true";
    char *const arguments[] = {name, option, words, NULL};
    pid_t child = 0;
    begin(true);
    for (int i = 0; i < CHILD_RUNNING_MAX; i++)
        children[i] = shell("sleep 100", -1);
    cr_assert_eq(child_start("/bin/sh", arguments, -1, &child), -EAGAIN);
    for (int i = 0; i < CHILD_RUNNING_MAX; i++) {
        child_kill(children[i]);
        (void)end_of(children[i]);
    }
    static char large[CHILD_TEXT_BYTES + 1];
    memset(large, 'x', sizeof large - 1);
    char *const too_large[] = {name, option, large, NULL};
    cr_assert_eq(child_start("/bin/sh", too_large, -1, &child), -E2BIG);
    cr_assert_eq(end_of(shell("exit 0", -1)), 0, "it still serves");
    child_helper_stop();
}
