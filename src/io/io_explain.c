// SPDX-License-Identifier: GPL-3.0-or-later
//
// Error number and facts of the machine to one sentence; nothing here depends on liburing.
#include "io/io_explain.h"

#include "format/ensure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static int io_explain_disabled(void)
{
    int file = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    char digit = 0;
    ssize_t size = read(file, &digit, 1);
    (void)close(file);
    return size == 1 && digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

void io_explain_facts(struct io_explain_facts *facts)
{
    struct utsname name;
    ensure(uname(&name) == 0);
    *facts = (struct io_explain_facts){.disabled = io_explain_disabled(), .memlock_bytes = -1};
    (void)snprintf(facts->kernel, sizeof facts->kernel, "%.60s", name.release);
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        facts->memlock_bytes = (int64_t)limit.rlim_cur;
}

static void io_explain_refused(struct io_message *message, const struct io_explain_facts *facts)
{
    if (facts->disabled > 0)
        (void)snprintf(message->text, sizeof message->text,
                       "io_uring is switched off on this machine (kernel.io_uring_disabled = %d): "
                       "run `sysctl -w kernel.io_uring_disabled=0`",
                       facts->disabled);
    else
        (void)snprintf(message->text, sizeof message->text,
                       "io_uring is forbidden here by a seccomp filter, as container runtimes do "
                       "by default: allow io_uring_setup, io_uring_enter and io_uring_register "
                       "(Docker: --security-opt seccomp=PROFILE)");
}

void io_explain(struct io_message *message, const struct io_explain_facts *facts, const char *step,
                int error)
{
    ensure(error < 0);
    switch (-error) {
    case EPERM:
    case EACCES:
        io_explain_refused(message, facts);
        break;
    case ENOSYS:
        (void)snprintf(message->text, sizeof message->text,
                       "%s is missing: Linux %s was built without io_uring, or a seccomp filter "
                       "hides it; use Linux 6.1 or newer and allow the io_uring system calls",
                       step, facts->kernel);
        break;
    case EINVAL:
        (void)snprintf(message->text, sizeof message->text,
                       "Linux %s is too old for %s: use Linux 6.1 or newer", facts->kernel, step);
        break;
    case ENOMEM:
        (void)snprintf(message->text, sizeof message->text,
                       "not enough locked memory for %s (limit %lld bytes): raise it, "
                       "`ulimit -l unlimited` or LimitMEMLOCK=infinity in the unit file",
                       step, (long long)facts->memlock_bytes);
        break;
    case EMFILE:
    case ENFILE:
        (void)snprintf(message->text, sizeof message->text,
                       "no file handle left for %s: raise the limit, `ulimit -n 65536` or "
                       "LimitNOFILE=65536 in the unit file",
                       step);
        break;
    default:
        (void)snprintf(message->text, sizeof message->text, "%s failed on Linux %s: %s", step,
                       facts->kernel, strerror(-error));
        break;
    }
}

void io_explain_list(char *list, size_t size, const char *name)
{
    const size_t used = strnlen(list, size);
    const size_t wanted = strlen(name) + (used > 0 ? 2 : 0);
    ensure(used < size);
    if (wanted < size - used)
        (void)snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

void io_explain_operation(struct io_message *message, const struct io_explain_facts *facts,
                          const char *operation)
{
    ensure(operation != NULL);
    (void)snprintf(message->text, sizeof message->text,
                   "Linux %s has io_uring without %s: use Linux 6.1 or newer", facts->kernel,
                   operation);
}
