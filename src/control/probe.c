// SPDX-License-Identifier: GPL-3.0-or-later
//
// probe: see probe.h. Contract: as many loops as the configuration needs are open at once, and each
// has run, so that what a limit allows is seen; all are closed again.
#include "control/probe.h"

#include "control/control.h"
#include "control/worker.h"
#include "format/ensure.h"
#include "format/event.h"
#include "format/version.h"
#include "io/io.h"
#include "protocol/tls.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum {
    PROBE_LOOPS_OWN = 3, // control, sealer, statistics
    PROBE_LOOPS_MAX = LIMIT_SHARDS + PROBE_LOOPS_OWN + 4,
};

static void probe_keep(const struct retention_rules *rules)
{
    (void)printf("reserve_bytes %" PRId64 "\nkeep_age_ns %" PRId64 "\nkeep_size_bytes %" PRId64
                 "\n",
                 rules->reserve_bytes, rules->all.age_ns, rules->all.size_bytes);
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct retention_limits *limits = &rules->channel[c];
        if (limits->age_ns != 0 || limits->size_bytes != 0)
            (void)printf("keep_channel %s %" PRId64 " %" PRId64 "\n",
                         channel_schema((enum channel)c)->name, limits->age_ns,
                         limits->size_bytes);
    }
}

static void probe_config(const struct config *config)
{
    (void)printf("store %s\nshards %u\ncommit_interval_ns %" PRId64 "\n", config->store,
                 config->shards, config->commit_interval_ns);
    probe_keep(&config->keep);
    (void)printf("kafka %s\nhttp %s\n", config->kafka.options.brokers,
                 config->http.off ? "off" : config->http.listen);
}

static uint32_t probe_wanted(const struct config *config)
{
    uint32_t wanted = config->shards + PROBE_LOOPS_OWN;
    if (config->kafka.options.brokers[0] != '\0') wanted += 2;
    if (config->sinks.url[0] != '\0') wanted++;
    if (config->sinks.program[0] != '\0') wanted++;
    ensure(wanted <= PROBE_LOOPS_MAX);
    return wanted;
}

static void probe_loops(uint32_t wanted)
{
    struct io *loops[PROBE_LOOPS_MAX];
    const struct io_options options = {.name = "probe"};
    struct io_message message = {{0}};
    uint32_t opened = 0;
    while (opened < wanted && io_open_loop(&loops[opened], &options, &message) == 0) {
        (void)io_run(loops[opened], 0);
        opened++;
    }
    (void)printf("loops_wanted %u\nloops_opened %u\n", wanted, opened);
    if (opened < wanted) (void)printf("loops_failed %s\n", message.text);
    while (opened > 0) io_close_loop(loops[--opened]);
}

static void probe_mistakes(const struct config_mistakes *mistakes)
{
    for (uint32_t i = 0; i < mistakes->count && i < LIMIT_CONFIG_MISTAKES; i++)
        (void)printf("mistake %s\n", mistakes->text[i]);
    if (mistakes->count > LIMIT_CONFIG_MISTAKES)
        (void)printf("mistake ... and %u more\n", mistakes->count - LIMIT_CONFIG_MISTAKES);
}

int probe_print(struct config *config, struct config_mistakes *mistakes, const char *path,
                const char *commit)
{
    uint32_t wanted = 1 + PROBE_LOOPS_OWN;
    uint32_t shards = 1;
    char text[512];
    (void)printf("version %s (%s)\ntls %s\ntls_kind %s\n", RINGTAPE_VERSION, commit,
                 tls_library_text(),
                 tls_library_kind() == TLS_LIBRARY_BUNDLED ? "bundled" : "stock");
    if (path != NULL && !config_read(config, path, mistakes)) {
        probe_mistakes(mistakes);
    } else if (path != NULL) {
        const bool possible = control_config_possible(config, text, sizeof text);
        if (possible) (void)printf("config good\n");
        else (void)printf("mistake %s: %s\n", path, text);
        probe_config(config);
        shards = config->shards;
        wanted = probe_wanted(config);
        config_free(config);
    }
    for (uint32_t i = 0; i < shards; i++)
        (void)printf("core %u %d\n", i, worker_core(i, shards));
    probe_loops(wanted);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
