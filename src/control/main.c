// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtaped: records exchanges into a store until it is told to stop. Exit codes as in sysexits(3);
// see options_help().
#include "control/control.h"
#include "control/options.h"
#include "control/probe.h"
#include "control/sandbox.h"
#include "control/seal.h"
#include "format/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

// What jemalloc goes by (man 3 jemalloc). ringtaped takes its memory at the start; librdkafka takes
// and gives back six pieces a message, in bursts of thousands: with glibc's malloc() that is a
// third of the cost of mirroring. Pieces from 1 MiB on, the sealer's, go to the kernel at once.
extern __attribute__((visibility("default"))) const char *malloc_conf;
const char *malloc_conf = "narenas:4,oversize_threshold:1048576,dirty_decay_ms:2000,"
                          "muzzy_decay_ms:0";

static struct control control; // large; one a process
static struct config_mistakes mistakes;

static int main_mistakes(void)
{
    for (uint32_t i = 0; i < mistakes.count && i < LIMIT_CONFIG_MISTAKES; i++)
        (void)fprintf(stderr, "%s\n", mistakes.text[i]);
    if (mistakes.count > LIMIT_CONFIG_MISTAKES)
        (void)fprintf(stderr, "... and %u more\n", mistakes.count - LIMIT_CONFIG_MISTAKES);
    return EX_CONFIG;
}

// Everything is closed by now. What libraries would still do (GnuTLS and its modules, which
// libmicrohttpd brings along and which nobody used) can only go wrong: p11-kit waits there for ever
// under the thread sanitizer.
__attribute__((noreturn)) static void main_end(int code)
{
    (void)fflush(NULL);
    _exit(code);
}

static int main_configured(const struct options *options)
{
    char text[512];
    if (!config_read(&control.config, options->config, &mistakes)) return main_mistakes();
    if (!control_config_possible(&control.config, text, sizeof text)) {
        (void)fprintf(stderr, "%s: %s\n", options->config, text);
        config_free(&control.config);
        return EX_CONFIG;
    }
    if (options->action == OPTIONS_CHECK) {
        (void)printf("%s: good, %u feeds\n", options->config, control.config.feed_count);
        config_free(&control.config);
        return 0;
    }
    control.config_path = options->config;
    control.commit = RINGTAPE_COMMIT;
    control.counters_every_ns = options->counters_every_ns;
    signals_block();
    sandbox_private();
    int code = control_run(&control);
    config_free(&control.config);
    main_end(code);
}

int main(int count, char **arguments)
{
    struct options options;
    options_parse(&options, count, arguments);
    switch (options.action) {
    case OPTIONS_RUN:
    case OPTIONS_CHECK: return main_configured(&options);
    case OPTIONS_SEAL: return seal_store(options.seal);
    case OPTIONS_PROBE:
        return probe_print(&control.config, &mistakes, options.config, RINGTAPE_COMMIT);
    case OPTIONS_TAKE_IN: return seal_take_in(options.seal);
    case OPTIONS_VERSION:
        (void)printf("ringtaped %s (%s), %s\n", RINGTAPE_VERSION, RINGTAPE_COMMIT,
                     tls_library_text());
        return 0;
    case OPTIONS_HELP: options_help(stdout); return 0;
    case OPTIONS_HELP_CONFIG: config_reference(stdout); return 0;
    case OPTIONS_MISTAKE: break;
    }
    (void)fprintf(stderr, "ringtaped: %s; see ringtaped --help\n", options.mistake);
    return EX_USAGE;
}
