// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_command: see alert_sink.h. The program runs once for each alert, without arguments and
// without a shell, in a process group of its own, its standard input a file in memory that holds
// the alert's JSON and a line end; it need not read it. Standard output goes nowhere, standard
// error where the daemon's goes. Exit status 0 is success; at its limit the group is killed.
//
// The child is looked at every COMMAND_LOOK_NS, on the sender's thread, which waits for nothing.
#include "publish/alert_sink.h"

#include "base/child.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND_LOOK_NS (20 * LIMIT_MILLISECOND_NS)

struct alert_command {
    struct producer producer;
    struct alert_delivery delivery;
    struct io_op look;
    pid_t child; // 0: none
    int64_t end_ns;
    bool killed;
    bool closing;
};

static struct alert_command *command_of(struct producer *producer)
{
    return (struct alert_command *)(void *)producer; // its first member
}

// A descriptor at the beginning of what is to be read; negative errno.
static int command_input(const struct alert_delivery *delivery)
{
    const int file = memfd_create("alert", MFD_CLOEXEC);
    if (file < 0) return -errno;
    if (write(file, delivery->bytes, delivery->size) == (ssize_t)delivery->size &&
        write(file, "\n", 1) == 1 && lseek(file, 0, SEEK_SET) == 0)
        return file;
    (void)close(file);
    return -EIO;
}

static void command_ended(struct alert_command *command, int status)
{
    char why[96];
    command->child = 0;
    if (command->killed)
        (void)snprintf(why, sizeof why, "it did not end in time and was killed");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(status));
    else
        (void)snprintf(why, sizeof why, "its exit status is %d", WEXITSTATUS(status));
    const bool good = !command->killed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    alert_delivery_end(&command->delivery, "command", good ? NULL : why);
}

static void command_look(struct io *io, struct io_op *op)
{
    struct alert_command *command = io_owner(op, struct alert_command, look);
    int status = 0;
    if (command->child == 0) return;
    if (child_ended(command->child, &status)) {
        command_ended(command, status);
        return;
    }
    if (!command->killed && (command->closing || io_monotonic_ns(io) >= command->end_ns)) {
        command->killed = true;
        child_kill(command->child);
    }
    io_timeout(io, &command->look, COMMAND_LOOK_NS, command_look);
}

static int command_produce(struct producer *producer, const struct producer_message *message,
                           const char **cause)
{
    struct alert_command *command = command_of(producer);
    struct alert_delivery *delivery = &command->delivery;
    struct io *io = delivery->sink->io;
    if (!io_idle(&command->look)) return -ENOBUFS;
    int error = alert_delivery_take(delivery, message, cause);
    if (error != 0) return error;
    const int input = command_input(delivery);
    char *const arguments[] = {delivery->settings.program, NULL};
    error = input < 0 ? input
                      : child_start(delivery->settings.program, arguments, input, &command->child);
    if (input >= 0) (void)close(input);
    if (error != 0) {
        alert_delivery_end(delivery, "command", strerror(-error));
        return 0; // reported as refused
    }
    command->killed = false;
    command->end_ns = io_monotonic_ns(io) + delivery->settings.limit_ns;
    io_timeout(io, &command->look, COMMAND_LOOK_NS, command_look);
    return 0;
}

static uint32_t command_collect(struct producer *producer, uint32_t max,
                                producer_report_callback *report, void *context)
{
    return alert_delivery_collect(&command_of(producer)->delivery, max, report, context);
}

static bool command_broken(struct producer *producer)
{
    struct alert_command *command = command_of(producer);
    return io_idle(&command->look) && alert_delivery_outdated(&command->delivery);
}

// What still runs is killed.
static void command_close(struct producer *producer)
{
    struct alert_command *command = command_of(producer);
    command->closing = true;
    while (!io_idle(&command->look))
        (void)io_run(command->delivery.sink->io, LIMIT_MILLISECOND_NS);
    free(command);
}

int alert_command_make(void *context, void (*wake)(void *wake_context), void *wake_context,
                       struct producer **producer, char *text, size_t text_size)
{
    struct alert_command *command = calloc(1, sizeof *command);
    ensure(text_size > 0);
    text[0] = '\0';
    if (command == NULL) return -ENOMEM;
    command->producer = (struct producer){command_produce, command_collect, command_broken,
                                          command_close};
    alert_delivery_init(&command->delivery, context, wake, wake_context);
    *producer = &command->producer;
    return 0;
}
