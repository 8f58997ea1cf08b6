// SPDX-License-Identifier: GPL-3.0-or-later
//
// control: start, tick, reload, stop; see control.h. Contract: whatever could be opened is closed
// again in reverse order; a reload that is not possible changes nothing; the process ends within 3
// s of the signal.
#include "control/control.h"

#include "base/child.h"
#include "control/control_permits.h"
#include "control/control_security.h"
#include "format/ensure.h"
#include "format/version.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void control_tick_done(struct io *io, struct io_op *op);

static void control_log(struct control *control, enum log_message message, const char *cause)
{
    log_write(&control->log, message, io_utc_ns(control->io), "cause=\"%s\"", cause);
}

// ---- start ----

static int control_open_store(struct control *control)
{
    struct io_message message = {{0}};
    int error = keep_store_open(&control->store, control->io, control->config.store, &message);
    if (error == 0) {
        keep_store_set_log(control->store, &control->log);
        keep_store_set_rules(control->store, &control->config.keep);
        return 0;
    }
    log_write(&control->log, LOG_STORE_UNUSABLE, io_utc_ns(control->io),
              "store=\"%s\" error=%d cause=\"%s\"", control->config.store, error, message.text);
    return error == -EIO || error == -EBADMSG ? EX_IOERR : EX_CANTCREAT;
}

static int control_open_loop(struct control *control, struct io **io, struct io_options options)
{
    struct io_message message = {{0}};
    int error = io_open_loop(io, &options, &message);
    if (error == 0) return 0;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); // there may be no loop to ask
    log_write(&control->log, LOG_KERNEL_LACKS, now.tv_sec * LIMIT_SECOND_NS + now.tv_nsec,
              "error=%d cause=\"%s\"", error, message.text);
    return EX_UNAVAILABLE;
}

static void control_shard_main(void *context)
{
    shard_run(((struct control_shard *)context)->shard);
}

static void control_shard_close(void *context)
{
    struct control_shard *place = context;
    (void)shard_stopped(place->shard, &place->durable);
    shard_close(place->shard);
    io_close_loop(place->io);
}

static struct shard_derive_options control_derive(const struct config *config)
{
    struct shard_derive_options options = {.interval_count = config->candles.interval_count,
                                           .grace_ns = config->candles.grace_ns,
                                           .empty = config->candles.empty};
    memcpy(options.minutes, config->candles.minutes, sizeof options.minutes);
    options.alerts = config->alerts;
    return options;
}

static int control_recall(struct control *control)
{
    const struct config_candles *config = &control->config.candles;
    struct candles_options candles = {.symbols_max = LIMIT_SHARD_SYMBOLS,
                                      .interval_count = config->interval_count};
    memcpy(candles.minutes, config->minutes, sizeof candles.minutes);
    if (recall_open(&control->recall, control->io, control->store, control->config.shards,
                    &control->log) != 0)
        return EX_IOERR;
    control->recalled = true;
    recall_begin_candles(&control->recall, &candles, config->grace_ns, io_utc_ns(control->io));
    return 0;
}

static int control_open_shard(struct control *control, uint32_t index)
{
    struct control_shard *place = &control->shards[index];
    char name[16];
    ensure(index < LIMIT_SHARDS);
    (void)snprintf(name, sizeof name, "shard-%u", index % LIMIT_SHARDS);
    int error = control_open_loop(
        control, &place->io,
        (struct io_options){.name = name,
                            .receive_buffers = LIMIT_SHARD_RECEIVE_BUFFERS,
                            .receive_buffer_bytes = LIMIT_SHARD_RECEIVE_BUFFER_BYTES});
    if (error != 0) return error;
    struct shard_derive_options derive = control_derive(&control->config);
    control_kafka_alerts(&control->kafka, &derive);
    control_sinks_alerts(&control->sinks, &derive);
    const struct shard_options options = {.index = index,
                                          .log = &control->log,
                                          .permits = &control->permits,
                                          .board = &control->board,
                                          .store = control->store,
                                          .recall = &control->recall,
                                          .commit_interval_ns = control->config.commit_interval_ns,
                                          .tape_bytes = control->config.seal_size_bytes,
                                          .tape_age_ns = control->config.seal_time_ns,
                                          .derive = derive,
                                          .statistics = &control->statistics.live->shards[index],
                                          .symbols = &control->config.http.symbols,
                                          .feed = control_kafka_feed(&control->kafka, index)};
    error = shard_open(&place->shard, place->io, &options);
    if (error == 0) {
        control->shard_count++;
        error = worker_start(&place->worker, name, worker_core(index, control->config.shards),
                             control->io, control_shard_main, control_shard_close, place);
    }
    if (error == 0) return 0;
    control_log(control, LOG_SHARD_UNSTARTED, strerror(-error));
    return EX_OSERR;
}

static void control_sealer_publish(struct control_sealer *place)
{
    struct sealer_counters now = sealer_counters(place->sealer);
    _Static_assert(sizeof now % sizeof(uint64_t) == 0, "published word by word");
    uint64_t words[sizeof now / sizeof(uint64_t)];
    memcpy(words, &now, sizeof now);
    uint64_t *to = (uint64_t *)(void *)&place->published;
    for (size_t i = 0; i < sizeof now / sizeof *to; i++)
        __atomic_store_n(&to[i], words[i], __ATOMIC_RELAXED);
}

static void control_sealer_stopped(void *context)
{
    ((struct control_sealer *)context)->stopped = true;
}

// Shards record meanwhile. What cannot be read is tried again, as long as candles wait for it.
static void control_sealer_candles(struct control_sealer *place)
{
    while (!atomic_load(&place->stop) &&
           recall_load_candles(place->recall, place->candles_io, place->store, place->log,
                               &place->stop) != 0)
        (void)io_run(place->candles_io, LIMIT_SECOND_NS);
    io_close_loop(place->candles_io);
}

static void control_sealer_main(void *context)
{
    struct control_sealer *place = context;
    control_sealer_candles(place);
    while (!place->stopped) {
        (void)io_run(place->io, -1);
        control_sealer_publish(place);
        if (!atomic_load(&place->stop) || place->stopping) continue;
        place->stopping = true;
        sealer_stop(place->sealer, control_sealer_stopped, place);
    }
}

static void control_sealer_close(void *context)
{
    struct control_sealer *place = context;
    sealer_close(place->sealer);
    io_close_loop(place->io);
}

static int control_open_sealer(struct control *control)
{
    struct control_sealer *place = &control->sealer;
    int error = control_open_loop(control, &place->io, (struct io_options){.name = "sealer"});
    if (error == 0)
        error = control_open_loop(control, &place->candles_io,
                                  (struct io_options){.name = "candles"});
    if (error != 0) return error;
    keep_store_want_news(control->store,
                         control->config.commit_interval_ns + CONTROL_NEWS_NS);
    place->recall = &control->recall;
    place->store = control->store;
    place->log = &control->log;
    error = sealer_open(&place->sealer, place->io, control->store);
    if (error == 0)
        sealer_watch(place->sealer);
    if (error == 0)
        error = worker_start(&place->worker, "sealer", -1, control->io, control_sealer_main,
                             control_sealer_close, place);
    if (error == 0) return 0;
    control_log(control, LOG_SEALER_UNSTARTED, strerror(-error));
    return EX_OSERR;
}

static int control_open_kafka(struct control *control)
{
    struct io_message message = {{0}};
    int error = control_kafka_open(&control->kafka, &control->config, control->store, control->io,
                                   &control->log, &message);
    if (error == 0) return 0;
    control_log(control, LOG_MIRROR_UNSTARTED,
                message.text[0] != '\0' ? message.text : strerror(-error));
    return EX_IOERR;
}

static int control_statistics_failed(struct control *control, int error,
                                     const struct io_message *message)
{
    if (error == 0) return 0;
    control_log(control, LOG_STATISTICS_UNSTARTED,
                message->text[0] != '\0' ? message->text : strerror(-error));
    return EX_OSERR;
}

static int control_open_statistics(struct control *control)
{
    struct io_message message = {{0}};
    struct statistics_page **live = &control->statistics.live;
    control->statistics.commit = control->commit;
    const int error =
        control_statistics_open(&control->statistics, &control->config, control->store,
                                &control->sealer.published, &control->log, &message);
    if (error == 0) {
        control->kafka.statistics = &(*live)->mirror;
        control->kafka.alert_statistics = &(*live)->sinks[STATISTICS_SINK_KAFKA];
        control->sinks.webhook.statistics = &(*live)->sinks[STATISTICS_SINK_WEBHOOK];
        control->sinks.command.statistics = &(*live)->sinks[STATISTICS_SINK_COMMAND];
    }
    return control_statistics_failed(control, error, &message);
}

static int control_start_statistics(struct control *control)
{
    struct io_message message = {{0}};
    const int error = control_statistics_start(&control->statistics, &control->config, control->io,
                                               &message);
    return control_statistics_failed(control, error, &message);
}

// The first shard writes what concerns the daemon as a whole.
static void control_status(struct control *control, enum status_kind kind, const char *detail)
{
    struct shard_command command = {.kind = SHARD_STATUS, .status = kind};
    (void)snprintf(command.detail, sizeof command.detail, "%s", detail);
    (void)shard_post(control->shards[0].shard, &command);
}

static void control_status_configured(struct control *control, uint64_t hash)
{
    char detail[32];
    (void)snprintf(detail, sizeof detail, "%016llx", (unsigned long long)hash);
    control_status(control, STATUS_CONFIGURED, detail);
}

// At start and by SIGHUP.
static int control_apply_sinks(struct control *control, const struct config *config)
{
    char text[512];
    const int error =
        control_sinks_apply(&control->sinks, &config->sinks, text, sizeof text);
    if (error == 0) return 0;
    control_log(control, LOG_SINKS_UNSTARTED, text);
    return EX_OSERR;
}

static int control_open(struct control *control)
{
    worker_stay_off(control->config.shards);
    audit_board_init(&control->board);
    int code = control_security_begin(control);
    if (code == 0)
        code = control_open_loop(control, &control->io, (struct io_options){.name = "control"});
    if (code == 0) code = control_open_store(control);
    if (code == 0) code = control_security_files(control);
    if (code != 0) return code;
    control_permits_load(&control->permits, control->config.store, io_utc_ns(control->io));
    control_export_open(&control->export, control->store, &control->log, io_utc_ns(control->io));
    code = control_recall(control);
    control_sinks_init(&control->sinks, control->config.shards, control->io, &control->log);
    if (code == 0) code = control_open_statistics(control);
    if (code == 0) code = control_open_kafka(control);
    if (code == 0) code = control_apply_sinks(control, &control->config);
    for (uint32_t i = 0; i < control->config.shards && code == 0; i++)
        code = control_open_shard(control, i);
    if (code == 0) code = control_open_sealer(control);
    if (code == 0 && control_kafka_run(&control->kafka, control->io) != 0) code = EX_OSERR;
    if (code == 0) code = control_start_statistics(control);
    if (code != 0) return code;
    int error = signals_start(&control->signals, control->io);
    if (error == 0) return control_security_calls(control);
    control_log(control, LOG_SIGNALS_UNSTARTED, strerror(-error));
    return EX_OSERR;
}

// ---- running ----

// SIGUSR1, as `ringtape seal` sends it.
static void control_roll(struct control *control)
{
    for (uint32_t i = 0; i < control->shard_count; i++)
        (void)shard_post(control->shards[i].shard, &(struct shard_command){.kind = SHARD_ROLL});
    control_log(control, LOG_TAPES_END, "asked by SIGUSR1");
}

// Rules that stay the same keep their state.
static void control_alerts(struct control *control, const struct alert_rules *rules)
{
    if (memcmp(rules, &control->config.alerts, sizeof *rules) == 0) return;
    control->config.alerts = *rules;
    for (uint32_t i = 0; i < control->shard_count; i++) {
        struct alert_rules *given = malloc(sizeof *given);
        if (given == NULL) continue;
        *given = *rules;
        const struct shard_command command = {.kind = SHARD_ALERTS, .alerts = given};
        if (!shard_post(control->shards[i].shard, &command)) free(given);
    }
    control_log(control, LOG_RULES_CHANGED, "SIGHUP");
}

static void control_reload(struct control *control)
{
    static struct config_mistakes mistakes; // too large for a stack
    struct config *config = calloc(1, sizeof *config);
    char text[512];
    if (config == NULL) return;
    struct control_statistics_facts *facts = &control->statistics.facts;
    atomic_fetch_add(&facts->reloads_failed, 1); // until it is good
    notify_manager("RELOADING=1");
    if (!config_read(config, control->config_path, &mistakes)) {
        for (uint32_t i = 0; i < mistakes.count && i < LIMIT_CONFIG_MISTAKES; i++)
            control_log(control, LOG_CONFIG_REFUSED, mistakes.text[i]);
    } else if (!control_config_possible(config, text, sizeof text)) {
        control_log(control, LOG_CONFIG_REFUSED, text);
    } else {
        if (config->shards != control->config.shards ||
            strcmp(config->store, control->config.store) != 0 ||
            config->commit_interval_ns != control->config.commit_interval_ns ||
            config->seal_size_bytes != control->config.seal_size_bytes ||
            config->seal_time_ns != control->config.seal_time_ns ||
            memcmp(&config->candles, &control->config.candles, sizeof config->candles) != 0 ||
            memcmp(&config->kafka, &control->config.kafka, sizeof config->kafka) != 0 ||
            memcmp(&config->http, &control->config.http, sizeof config->http) != 0 ||
            memcmp(&config->security, &control->config.security, sizeof config->security) != 0)
            control_log(control, LOG_CONFIG_RESTART,
                        "store, shards, commit_interval, seal_after, candles, kafka, http, "
                        "security");
        control_alerts(control, &config->alerts);
        (void)control_apply_sinks(control, config);
        log_set_levels(&control->log, &config->log);
        keep_store_set_rules(control->store, &config->keep);
        control->config.keep = config->keep;
        atomic_fetch_sub(&facts->reloads_failed, 1);
        atomic_fetch_add(&facts->reloads, 1);
        atomic_store(&facts->config_hash, config->hash);
        atomic_store(&facts->feeds, config->feed_count);
        control->config.list_interval_ns = config->list_interval_ns;
        control->config.report = config->report;
        control_status_configured(control, config->hash);
        control_feeds_apply(control, config);
        control_log(control, LOG_CONFIG_READ, "SIGHUP");
    }
    config_free(config);
    free(config);
    notify_manager("READY=1");
}

// A daemon of which a shard hangs is ended and started again: what was acknowledged is durable, and
// what comes meanwhile is repaired.
static void control_watchdog(struct control *control)
{
    const bool moves = control_statistics_moving(&control->statistics);
    switch (notify_watchdog(&control->watchdog, moves, io_monotonic_ns(control->io))) {
    case NOTIFY_MOVES:
    case NOTIFY_STOOD: return;
    case NOTIFY_STANDS:
        control_log(control, LOG_SHARD_STILL, "its heartbeat on the statistics page stands still");
        return;
    case NOTIFY_HANGS: break;
    }
    control_log(control, LOG_SHARD_HANGS, "WATCHDOG_USEC without NOTIFY_SOCKET");
    abort();
}

static void control_tick_done(struct io *io, struct io_op *op)
{
    struct control *control = io_owner(op, struct control, tick);
    if (atomic_load(&control->signals.stop)) return; // the tick ends with the loop
    io_timeout(io, &control->tick, CONTROL_TICK_NS, control_tick_done);
    control_watchdog(control);
    if (atomic_exchange(&control->signals.reload, false)) control_reload(control);
    if (atomic_exchange(&control->signals.roll, false)) control_roll(control);
    control_feeds_tick(control);
    log_flush(&control->log, io_utc_ns(io), false);
    shard_post_news(control->shards[0].shard, control->store);
    control_permits_save(&control->permits, control->config.store, &control->permits_saved);
    control_export_look(&control->export, io_utc_ns(io));
    control_report_tick(&control->report, control->config.report,
                        __atomic_load_n(&control->sealer.published.days, __ATOMIC_RELAXED));
    atomic_store(&control->statistics.facts.feeds_waiting, control_feeds_waiting(control));
    atomic_store(&control->statistics.facts.feeds_failed, control->feeds_failed);
    int64_t now_ns = io_monotonic_ns(io);
    if (control->counters_every_ns == 0 || now_ns < control->counters_after_ns) return;
    control->counters_after_ns = now_ns + control->counters_every_ns;
    control_print(control);
}

static void control_woken(void *context)
{
    struct control *control = context;
    if (atomic_load(&control->signals.stop)) io_cancel(control->io, &control->tick);
}

static void control_serve(struct control *control)
{
    io_on_wake(control->io, control_woken, control);
    char started[96];
    (void)snprintf(started, sizeof started, "ringtaped %s %s", RINGTAPE_VERSION, control->commit);
    control_status(control, STATUS_STARTED, started);
    control_status_configured(control, control->config.hash);
    control_feeds_apply(control, &control->config);
    control_report_init(&control->report, control->io, &control->log, control->config.store);
    control->counters_after_ns = io_monotonic_ns(control->io) + control->counters_every_ns;
    io_timeout(control->io, &control->tick, 0, control_tick_done);
    atomic_store(&control->statistics.facts.state, STATISTICS_RUNNING);
    notify_watchdog_init(&control->watchdog, io_monotonic_ns(control->io));
    notify_manager("READY=1");
    log_write(&control->log, LOG_RUNS, io_utc_ns(control->io),
              "version=%s store=\"%s\" shards=%u http=%s tls=\"%s\"", RINGTAPE_VERSION,
              control->config.store, control->shard_count,
              control->config.http.off ? "off" : control->config.http.listen, tls_library_text());
    while (!atomic_load(&control->signals.stop) || !io_idle(&control->tick))
        (void)io_run(control->io, -1);
}

// ---- stop ----

static bool control_shards_ended(struct control *control)
{
    bool ended = true;
    for (uint32_t i = 0; i < control->shard_count; i++) {
        struct worker *worker = &control->shards[i].worker;
        ended = ended && (!worker->started || atomic_load(&worker->ended));
    }
    return ended;
}

static bool control_workers_ended(struct control *control)
{
    struct worker *sealer = &control->sealer.worker;
    return control_shards_ended(control) && (!sealer->started || atomic_load(&sealer->ended));
}

// What a person needs to know about an end that takes too long.
static void control_tell_late(struct control *control)
{
    for (uint32_t i = 0; i < control->shard_count; i++) {
        struct worker *worker = &control->shards[i].worker;
        if (worker->started && !atomic_load(&worker->ended))
            log_write(&control->log, LOG_SHARD_LATE, io_utc_ns(control->io), "shard=%u", i);
    }
    struct worker *sealer = &control->sealer.worker;
    if (sealer->started && !atomic_load(&sealer->ended))
        control_log(control, LOG_SEALER_LATE, "its step takes too long");
    if (control_shards_ended(control) && !control_kafka_stop(&control->kafka))
        control_log(control, LOG_MIRROR_LATE, "messages are still under way");
}

// True: in time.
static bool control_stop_workers(struct control *control)
{
    for (uint32_t i = 0; i < control->shard_count; i++)
        (void)shard_post(control->shards[i].shard, &(struct shard_command){.kind = SHARD_STOP});
    atomic_store(&control->sealer.stop, true);
    if (control->sealer.io != NULL) io_wake(control->sealer.io);
    int64_t end_ns = io_monotonic_ns(control->io) + CONTROL_STOP_NS;
    for (;;) {
        bool asked = !control_feeds_stop(control);
        bool mirrored = control_shards_ended(control) && control_kafka_stop(&control->kafka);
        mirrored = mirrored && control_sinks_stop(&control->sinks);
        if (!asked && mirrored && control_workers_ended(control) &&
            control_statistics_stop(&control->statistics))
            return true;
        int64_t left_ns = end_ns - io_monotonic_ns(control->io);
        if (left_ns <= 0) return false;
        // A worker that ends wakes the loop; the bound is for one that ended just before.
        (void)io_run(control->io, left_ns < CONTROL_TICK_NS ? left_ns : CONTROL_TICK_NS);
    }
}

// A worker that never ran is ended and closed here.
static void control_close_worker(struct worker *worker, void (*run)(void *context),
                                 void (*close)(void *context), void *context)
{
    if (worker->started) {
        worker_join(worker);
    } else {
        run(context);
        close(context);
    }
}

static bool control_close_workers(struct control *control)
{
    bool durable = true;
    for (uint32_t i = 0; i < control->shard_count; i++) {
        struct control_shard *place = &control->shards[i];
        control_close_worker(&place->worker, control_shard_main, control_shard_close, place);
        durable = durable && place->durable;
    }
    struct control_sealer *sealer = &control->sealer;
    if (sealer->sealer != NULL)
        control_close_worker(&sealer->worker, control_sealer_main, control_sealer_close, sealer);
    control_kafka_close(&control->kafka);
    control_sinks_close(&control->sinks);
    control_statistics_close(&control->statistics);
    return durable;
}

// The exit code; `code` is that of the start.
static int control_close(struct control *control, int code)
{
    if (control->io == NULL) return code;
    notify_manager("STOPPING=1");
    control_report_close(&control->report);
    atomic_store(&control->statistics.facts.state, STATISTICS_STOPPING);
    if (!control_stop_workers(control)) {
        control_tell_late(control);
        _exit(control_shards_ended(control) ? code : EX_IOERR);
    }
    if (control->counters_every_ns != 0 && control->shard_count > 0) control_print(control);
    bool durable = control_close_workers(control);
    if (control->store != NULL) {
        control_permits_save(&control->permits, control->config.store, &control->permits_saved);
        if (control->recalled) recall_close(&control->recall);
        keep_store_close(control->store);
    }
    control_feeds_free(control);
    audit_board_free(&control->board);
    if (code == 0)
        control_log(control, durable ? LOG_ENDS : LOG_ENDS_SHORT, "signal");
    log_flush(&control->log, io_utc_ns(control->io), true);
    signals_stop(&control->signals);
    io_close_loop(control->io);
    child_helper_stop();
    return code != 0 ? code : durable ? 0 : EX_IOERR;
}

int control_run(struct control *control)
{
    log_init(&control->log, STDERR_FILENO, control->config.log.all, &control->log_limiter);
    log_set_levels(&control->log, &control->config.log);
    int code = control_open(control);
    if (code == 0) control_serve(control);
    return control_close(control, code);
}
