// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape reload: the running daemon reads its configuration again (SIGHUP). Its log says what
// changed, or which mistake kept everything as it was.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_options.h"

static int reload_ask(const char *store, pid_t daemon)
{
    ensure(daemon > 0);
    if (!ringtape_daemon_listens(daemon, SIGHUP))
        return ringtape_fail("%s: process %d holds it and does not listen to SIGHUP", store,
                             daemon);
    if (kill(daemon, SIGHUP) != 0)
        return ringtape_fail("process %d: %s; run this as the daemon's user", daemon,
                             strerror(errno));
    (void)printf("process %d reads its configuration again; its log tells what changed\n", daemon);
    return ringtape_finish_output(RINGTAPE_EXIT_OK);
}

int ringtape_reload(int argc, char **argv)
{
    const char *store = NULL;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &store, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
    };
    const struct ringtape_usage usage = {
        .command = "reload",
        .purpose = "Asks the running daemon to read its configuration again. Symbols come and go "
                   "on running\nlinks; a configuration with a mistake changes nothing.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    const pid_t daemon = ringtape_daemon_of(store);
    if (daemon == 0) return ringtape_fail("%s: no daemon runs", store);
    return reload_ask(store, daemon);
}
