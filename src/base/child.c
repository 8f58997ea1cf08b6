// SPDX-License-Identifier: GPL-3.0-or-later
//
// child: see child.h. A request is one packet, an answer is one packet; the helper serves one after
// the other and has no other duty:
//
//     child_start() → START → posix_spawn → pid, error
//     child_ended() → LOOK → waitpid, which does not wait → over, status
//     child_kill()  → KILL → kill of the group
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ensure.h"

enum child_verb { CHILD_START, CHILD_LOOK, CHILD_KILL };

struct child_request {
    enum child_verb verb;
    pid_t child;
    uint32_t arguments;
    uint32_t size; // of the text
    char text[CHILD_TEXT_BYTES]; // program and arguments, each with its NUL
};

struct child_answer {
    int error;
    pid_t child;
    bool over;
    int status;
};

static struct {
    int socket; // to the helper, or -1
    pid_t helper;
    pthread_mutex_t lock;
    pid_t running[CHILD_RUNNING_MAX]; // of this process; 0: free
    child_allowed *allowed;           // NULL: all
    const void *context;
} child = {.socket = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

// ---- of this process ----

static pid_t *running_of(pid_t pid)
{
    for (int i = 0; i < CHILD_RUNNING_MAX; i++)
        if (child.running[i] == pid) return &child.running[i];
    return NULL;
}

static int child_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0) error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                         POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETPGROUP);
    return error;
}

static int child_spawn(const char *program, char *const arguments[], int input, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
    int error = posix_spawnattr_init(&attributes);
    ensure(error == 0); // fails in no C library
    error = child_attributes(&attributes);
    if (error == 0 && input >= 0)
        error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (error == 0 && input < 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0) error = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void start_here(const struct child_request *request, int input, struct child_answer *answer)
{
    char *arguments[CHILD_ARGUMENTS_MAX + 1] = {NULL};
    const char *program = request->text;
    const char *at = program + strlen(program) + 1;
    pid_t *place = running_of(0);
    ensure(request->arguments <= CHILD_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < request->arguments; i++) {
        arguments[i] = (char *)(uintptr_t)at;
        at += strlen(at) + 1;
    }
    ensure(at == request->text + request->size);
    if (child.allowed != NULL && !child.allowed(child.context, program, arguments))
        answer->error = EPERM;
    else if (place == NULL)
        answer->error = EAGAIN;
    else
        answer->error = child_spawn(program, arguments, input, place);
    if (answer->error == 0)
        answer->child = *place;
    else if (place != NULL)
        *place = 0;
}

static void serve(const struct child_request *request, int input, struct child_answer *answer)
{
    pid_t *place = request->child > 0 ? running_of(request->child) : NULL;
    memset(answer, 0, sizeof *answer);
    if (request->verb == CHILD_START) {
        start_here(request, input, answer);
    } else if (place == NULL) { // never anybody else's process
        answer->over = true;
        answer->status = 255 << 8;
    } else if (request->verb == CHILD_KILL) {
        (void)kill(-*place, SIGKILL);
    } else {
        const pid_t ended = waitpid(*place, &answer->status, WNOHANG);
        answer->over = ended == *place || (ended < 0 && errno == ECHILD);
        if (answer->over) *place = 0;
    }
}

// ---- the helper ----

union child_control { // aligned as the kernel wants it
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

// The descriptor that came along, or -1.
static int passed(struct msghdr *message)
{
    int handle = -1;
    const struct cmsghdr *first = CMSG_FIRSTHDR(message);
    if (first != NULL && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS)
        memcpy(&handle, CMSG_DATA(first), sizeof handle);
    return handle;
}

// What is asked may come from a daemon that somebody else has taken over.
static bool request_is_whole(const struct child_request *request, ssize_t size)
{
    if (size != (ssize_t)sizeof *request || request->arguments > CHILD_ARGUMENTS_MAX) return false;
    if (request->verb != CHILD_START) return true;
    uint32_t texts = 0;
    if (request->size == 0 || request->size > CHILD_TEXT_BYTES) return false;
    for (uint32_t i = 0; i < request->size; i++)
        texts += request->text[i] == '\0';
    return texts == request->arguments + 1 && request->text[request->size - 1] == '\0';
}

__attribute__((noreturn)) static void helper_run(int handle)
{
    static struct child_request request;
    struct child_answer answer;
    (void)prctl(PR_SET_NAME, "ringtaped-child");
    for (;;) {
        union child_control control;
        struct iovec part = {&request, sizeof request};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof control};
        const ssize_t size = recvmsg(handle, &message, MSG_CMSG_CLOEXEC);
        if (size < 0 && errno == EINTR) continue;
        const int input = size > 0 ? passed(&message) : -1;
        if (!request_is_whole(&request, size)) _exit(size == 0 ? 0 : 1);
        serve(&request, input, &answer);
        if (input >= 0) (void)close(input);
        if (send(handle, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer) _exit(1);
    }
}

int child_helper_start(child_allowed *allowed, const void *context)
{
    int ends[2];
    ensure(child.socket < 0);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
    child.allowed = allowed;
    child.context = context;
    child.helper = fork();
    if (child.helper == 0) {
        (void)close(ends[0]);
        helper_run(ends[1]);
    }
    const int error = child.helper < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (error == 0)
        child.socket = ends[0];
    else
        (void)close(ends[0]);
    return error;
}

void child_helper_stop(void)
{
    if (child.socket < 0) return;
    (void)close(child.socket);
    child.socket = -1;
    // Under the filter it is init that takes it; without one it is waited for.
    (void)waitpid(child.helper, NULL, 0);
}

// ---- asking ----

static int exchange(const struct child_request *request, int input, struct child_answer *answer)
{
    union child_control control = {{0}};
    struct iovec part = {(void *)(uintptr_t)request, sizeof *request};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (input >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof input);
        memcpy(CMSG_DATA(first), &input, sizeof input);
    }
    if (sendmsg(child.socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof *request) return EPIPE;
    ssize_t size;
    do
        size = recv(child.socket, answer, sizeof *answer, 0);
    while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof *answer ? answer->error : EPIPE;
}

static int ask(const struct child_request *request, int input, struct child_answer *answer)
{
    int error;
    ensure(pthread_mutex_lock(&child.lock) == 0);
    if (child.socket >= 0) {
        error = exchange(request, input, answer);
    } else {
        serve(request, input, answer);
        error = answer->error;
    }
    ensure(pthread_mutex_unlock(&child.lock) == 0);
    return error;
}

static bool put_text(struct child_request *request, const char *text)
{
    const size_t size = strlen(text) + 1;
    if (size > sizeof request->text - request->size) return false;
    memcpy(request->text + request->size, text, size);
    request->size += (uint32_t)size;
    return true;
}

int child_start(const char *program, char *const arguments[], int input, pid_t *pid)
{
    struct child_request request = {.verb = CHILD_START};
    struct child_answer answer = {0};
    bool room = put_text(&request, program);
    for (uint32_t i = 0; arguments[i] != NULL; i++) {
        room = room && i < CHILD_ARGUMENTS_MAX && put_text(&request, arguments[i]);
        request.arguments++;
    }
    if (!room) return -E2BIG;
    const int error = ask(&request, input, &answer);
    ensure(error != 0 || answer.child > 0);
    *pid = error == 0 ? answer.child : 0;
    return -error;
}

bool child_ended(pid_t pid, int *status)
{
    const struct child_request request = {.verb = CHILD_LOOK, .child = pid};
    struct child_answer answer = {0};
    ensure(pid > 0);
    if (ask(&request, -1, &answer) != 0) answer = (struct child_answer){.over = true,
                                                                        .status = 255 << 8};
    *status = answer.status;
    return answer.over;
}

void child_kill(pid_t pid)
{
    const struct child_request request = {.verb = CHILD_KILL, .child = pid};
    struct child_answer answer;
    ensure(pid > 0);
    (void)ask(&request, -1, &answer);
}
