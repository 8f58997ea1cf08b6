// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape-replay: what `ringtape replay` runs. A program of its own, because it links TLS, the
// kernel's rings and Kafka, which nothing else of the toolbox needs.
#include <signal.h>

#include "format/ensure.h"
#include "tools/replay_options.h"

volatile int replay_stop;

static void on_signal(int number)
{
    (void)number;
    replay_stop = 1;
}

int main(int argc, char **argv)
{
    static struct replay_options options;
    int exit_code = 0;
    if (!replay_options_read(&options, argc - 1, argv + 1, &exit_code)) return exit_code;
    const struct sigaction action = {.sa_handler = on_signal};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    ensure(sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
    ensure(sigaction(SIGPIPE, &ignore, NULL) == 0);
    if (options.frames) return replay_frames(&options);
    return options.kafka != NULL ? replay_kafka(&options) : replay_serve(&options);
}
