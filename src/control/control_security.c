// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_security: see control_security.h. Contract: what was asked for and cannot be had ends the
// start with a message; only Landlock, which many kernels lack, may be missing, and is then named.
#include "control/control_security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/child.h"
#include "control/control.h"
#include "control/sandbox.h"
#include "format/ensure.h"

static void security_log(const struct control *control, enum log_message message,
                         const char *cause)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); // there may be no loop to ask
    log_write(&control->log, message, now.tv_sec * LIMIT_SECOND_NS + now.tv_nsec, "cause=\"%s\"",
              cause);
}

// ---- what the helper may start ----

static bool same_arguments(char *const given[], char *const wanted[])
{
    uint32_t i = 0;
    while (given[i] != NULL && wanted[i] != NULL && strcmp(given[i], wanted[i]) == 0) i++;
    return given[i] == NULL && wanted[i] == NULL;
}

static bool is_report(const struct control *control, const char *program, char *const arguments[])
{
    char path[LIMIT_PATH_BYTES + 1];
    char store[LIMIT_PATH_BYTES + 1];
    char *wanted[CONTROL_REPORT_ARGUMENTS + 1];
    (void)snprintf(store, sizeof store, "%s", control->config.store);
    control_report_arguments(wanted, store);
    return control_report_program(path, sizeof path) && strcmp(path, program) == 0 &&
           same_arguments(arguments, wanted);
}

// The configuration's file is read again, for SIGHUP may have brought another program; it is not
// the daemon's to write.
static bool is_command(const struct control *control, const char *program,
                       char *const arguments[])
{
    static struct config_mistakes mistakes; // too large for a stack
    char *const wanted[] = {(char *)(uintptr_t)program, NULL};
    if (!same_arguments(arguments, wanted)) return false;
    if (strcmp(control->config.sinks.program, program) == 0) return true;
    if (strcmp(control->config_path, "-") == 0) return false;
    struct config *config = calloc(1, sizeof *config);
    bool good = config != NULL && config_read(config, control->config_path, &mistakes);
    if (good) {
        good = strcmp(config->sinks.program, program) == 0;
        config_free(config);
    }
    free(config);
    return good;
}

static bool security_allowed(const void *context, const char *program, char *const arguments[])
{
    const struct control *control = context;
    ensure(control != NULL && program != NULL);
    return is_report(control, program, arguments) || is_command(control, program, arguments);
}

// ---- in the order of the start ----

int control_security_begin(struct control *control)
{
    if (sandbox_is_root() && !control->config.security.root)
        security_log(control, LOG_ROOT, "its effective user is 0");
    const int error = child_helper_start(security_allowed, control);
    if (error == 0) return 0;
    security_log(control, LOG_SANDBOX_FAILED, strerror(-error));
    return EX_OSERR;
}

int control_security_files(struct control *control)
{
    if (!control->config.security.landlock) return 0;
    const int version = sandbox_files(control->config.store);
    ensure(!control->recalled && control->shard_count == 0);
    if (version > 0) return 0;
    security_log(control, version == 0 ? LOG_LANDLOCK_NONE : LOG_SANDBOX_FAILED,
                 version == 0 ? "landlock_create_ruleset: no version" : strerror(-version));
    return version == 0 ? 0 : EX_OSERR;
}

int control_security_calls(struct control *control)
{
    if (control->config.security.seccomp == SANDBOX_OFF) return 0;
    const int error = sandbox_calls();
    if (error == 0) return 0;
    security_log(control, LOG_SANDBOX_FAILED, strerror(-error));
    return EX_OSERR;
}
