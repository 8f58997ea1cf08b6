// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a daemon that was taken over can no longer do: each attempt in a process of its own under
// the filter and the rules of files that ringtaped has. Nothing here needs privileges.
#include "control/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char folder[] = "/tmp/ringtape-sandbox-XXXXXX";
static char path[256];

static void folders_make(void)
{
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/store", folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/outside", folder);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs("as it was", file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void folders_remove(void)
{
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    (void)!system(command);
}

TestSuite(sandbox, .init = folders_make, .fini = folders_remove);

static const char *inside(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

// Exit status of a process that locks itself in and tries; -signal where it was ended by one.
static int outcome(int (*lock)(void), int (*attempt)(void))
{
    int status = 0;
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        if (lock() < 0) _exit(99);
        _exit(attempt());
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int lock_files(void)
{
    return sandbox_files(inside("store"));
}

// ---- system calls ----

static int call_result(long result)
{
    return result >= 0 ? 0 : errno;
}

#define ATTEMPT(name, call)                                                                        \
    static int name(void)                                                                          \
    {                                                                                              \
        return call_result(call);                                                                  \
    }

static char *const no_words[] = {NULL};
ATTEMPT(try_execve, execve("/bin/true", no_words, no_words))
ATTEMPT(try_execveat, syscall(SYS_execveat, AT_FDCWD, "/bin/true", no_words, no_words, 0))
ATTEMPT(try_fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
ATTEMPT(try_ptrace, syscall(SYS_ptrace, 0, 0, 0, 0))
ATTEMPT(try_read_memory, syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0))
ATTEMPT(try_mount, syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0))
ATTEMPT(try_namespace, syscall(SYS_unshare, CLONE_NEWUSER))
ATTEMPT(try_bpf, syscall(SYS_bpf, 0, 0, 0))
ATTEMPT(try_ring, syscall(SYS_io_uring_setup, 4, 0))
ATTEMPT(try_module, syscall(SYS_init_module, 0, 0, ""))
ATTEMPT(try_setuid, syscall(SYS_setuid, 0))
ATTEMPT(try_kill_parent, syscall(SYS_kill, getppid(), 0))
ATTEMPT(try_signal_parent, syscall(SYS_tgkill, getppid(), getppid(), 0))
ATTEMPT(try_keys, syscall(SYS_keyctl, 0, 0, 0, 0, 0))
ATTEMPT(try_packet, socket(AF_PACKET, SOCK_RAW, 0))
ATTEMPT(try_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
ATTEMPT(try_unknown, syscall(SYS_io_uring_register + 100000))
ATTEMPT(try_clone3, syscall(SYS_clone3, NULL, 0))
ATTEMPT(try_dumpable, prctl(PR_SET_DUMPABLE, 1))
ATTEMPT(try_limits, prlimit(getppid(), RLIMIT_NOFILE, NULL, &(struct rlimit){0, 0}))
ATTEMPT(try_chmod, syscall(SYS_fchmodat, AT_FDCWD, "/tmp", 0777))

static int try_code(void)
{
    void *both = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (both != MAP_FAILED || errno != EACCES) return 1;
    void *first = mmap(NULL, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (first == MAP_FAILED) return 2;
    return mprotect(first, 4096, PROT_EXEC) == 0 ? 3 : errno;
}

Test(sandbox, what_an_intruder_wants_ends_the_process)
{
    static int (*const attempts[])(void) = {
        try_execve, try_execveat,  try_fork,        try_ptrace, try_read_memory,   try_mount,
        try_bpf,    try_namespace, try_ring,        try_module, try_setuid,        try_keys,
        try_kill_parent,           try_signal_parent,
    };
    for (size_t i = 0; i < COUNT(attempts); i++)
        cr_expect_eq(outcome(sandbox_calls, attempts[i]), -SIGSYS, "attempt %zu: %d", i,
                     outcome(sandbox_calls, attempts[i]));
}

Test(sandbox, the_rest_fails_as_on_a_kernel_that_lacks_it)
{
    static const struct {
        int (*attempt)(void);
        int error;
    } table[] = {
        {try_packet, EAFNOSUPPORT}, {try_vsock, EAFNOSUPPORT}, {try_unknown, ENOSYS},
        {try_clone3, ENOSYS},       {try_dumpable, EINVAL},    {try_limits, EPERM},
        {try_chmod, ENOSYS},        {try_code, EACCES},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_eq(outcome(sandbox_calls, table[i].attempt), table[i].error, "attempt %zu: %d", i,
                     outcome(sandbox_calls, table[i].attempt));
}

static void *thread_end(void *argument)
{
    return argument;
}

static int try_thread(void)
{
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, thread_end, &thread) != 0) return 1;
    return pthread_join(thread, &result) == 0 && result == &thread ? 0 : 2;
}

static int try_abort(void)
{
    abort();
}

static pthread_barrier_t before, after;
static pthread_t older;

static void *thread_execs(void *argument)
{
    (void)pthread_barrier_wait(&before);
    (void)pthread_barrier_wait(&after);
    (void)try_execve();
    return argument;
}

// A thread that was there before the filter.
static int lock_beside_a_thread(void)
{
    if (pthread_barrier_init(&before, NULL, 2) != 0 || pthread_barrier_init(&after, NULL, 2) != 0)
        return -1;
    if (pthread_create(&older, NULL, thread_execs, NULL) != 0) return -1;
    (void)pthread_barrier_wait(&before);
    return sandbox_calls();
}

static int wait_for_the_thread(void)
{
    (void)pthread_barrier_wait(&after);
    return pthread_join(older, NULL);
}

Test(sandbox, threads_are_made_and_none_is_left_out)
{
    cr_assert_eq(outcome(sandbox_calls, try_thread), 0);
    cr_assert_eq(outcome(sandbox_calls, try_abort), -SIGABRT);
    cr_assert_eq(outcome(lock_beside_a_thread, wait_for_the_thread), -SIGSYS);
}

// ---- files ----

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

ATTEMPT(write_outside, open(inside("outside"), O_WRONLY | O_CLOEXEC))
ATTEMPT(truncate_outside, truncate(inside("outside"), 0))
ATTEMPT(make_outside, open(inside("new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644))
ATTEMPT(remove_outside, unlink(inside("outside")))
ATTEMPT(make_folder_outside, mkdir(inside("new"), 0755))
ATTEMPT(link_outside, symlink("/etc/shadow", inside("new")))
ATTEMPT(execute, execve("/bin/true", no_words, no_words))
ATTEMPT(kill_parent, kill(getppid(), 0))
ATTEMPT(read_outside, open(inside("outside"), O_RDONLY | O_CLOEXEC))
ATTEMPT(make_inside, open(inside("store/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644))
ATTEMPT(make_folder_inside, mkdir(inside("store/day"), 0755))

static int move_out(void)
{
    char to[300];
    (void)snprintf(to, sizeof to, "%s/moved", folder);
    if (make_inside() != 0) return 1;
    return rename(inside("store/new"), to) == 0 ? 0 : errno;
}

Test(sandbox, files_are_written_in_the_store_and_nowhere_else)
{
    static const struct {
        int (*attempt)(void);
        int error;
    } table[] = {
        {write_outside, EACCES},       {truncate_outside, EACCES}, {make_outside, EACCES},
        {remove_outside, EACCES},      {link_outside, EACCES},     {execute, EACCES},
        {make_folder_outside, EACCES}, {move_out, EACCES},          {read_outside, 0},
        {make_inside, 0},              {make_folder_inside, 0},    {kill_parent, EPERM},
    };
    if (!has_landlock()) cr_skip_test("this kernel has no Landlock");
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_eq(outcome(lock_files, table[i].attempt), table[i].error, "attempt %zu: %d", i,
                     outcome(lock_files, table[i].attempt));
}

// ---- memory ----

static int lock_private(void)
{
    sandbox_private();
    return 0;
}

static int is_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE);
}

Test(sandbox, memory_is_private)
{
    cr_assert_eq(outcome(lock_private, is_dumpable), 0);
}
