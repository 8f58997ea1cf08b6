// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_statistics: see control_statistics.h. Contract: whoever takes a page gets sections that
// were published as a whole each; a section that is being written all the time stays as it was in
// the page that is given.
#include "control/control_statistics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/metrics_text.h"
#include "control/process.h"
#include "format/ensure.h"
#include "format/version.h"
#include "keep/disk_watch.h"
#include "protocol/tls.h"

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    const int failed = clock_gettime(clock, &time);
    ensure(failed == 0);
    return time.tv_sec * LIMIT_SECOND_NS + time.tv_nsec;
}

void control_statistics_take(const struct control_statistics *statistics,
                             struct statistics_page *page)
{
    const struct statistics_page *live = statistics->live;
    const uint32_t shards = live->head.shards;
    (void)statistics_take(&page->daemon, &live->daemon, sizeof page->daemon);
    for (int i = 0; i < STATISTICS_SINKS; i++)
        (void)statistics_take(&page->sinks[i], &live->sinks[i], sizeof page->sinks[i]);
    (void)statistics_take(&page->mirror, &live->mirror, sizeof page->mirror);
    for (uint32_t s = 0; s < shards; s++)
        (void)statistics_take(&page->shards[s], &live->shards[s], sizeof page->shards[s]);
    page->head.shards = shards;
    page->head.time_ns = clock_ns(CLOCK_REALTIME);
    page->head.monotonic_ns = clock_ns(CLOCK_MONOTONIC);
}

// ---- what concerns the daemon as a whole ----

static void gather_sealer(struct control_statistics *statistics, int64_t now_ns)
{
    struct statistics_daemon *own = &statistics->own;
    struct sealer_counters sealed;
    uint64_t words[sizeof sealed / sizeof(uint64_t)];
    const uint64_t *from = (const uint64_t *)(const void *)statistics->sealed;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    memcpy(&sealed, words, sizeof sealed);
    own->tapes_waiting = keep_store_waiting(statistics->store);
    own->tapes_sealed = sealed.tapes;
    own->tapes_damaged = sealed.tapes_damaged;
    own->tapes_kept = sealed.tapes_kept;
    own->rows_sealed = sealed.rows;
    own->segments = sealed.segments;
    own->segments_light = sealed.segments_light;
    own->segments_deleted = sealed.deleted;
    own->merges = sealed.merges;
    own->tape_bytes_sealed = sealed.bytes_in;
    own->segment_bytes = sealed.bytes_out;
    own->days_marked = sealed.days;
    own->seal_failures = sealed.failures;
    if (own->tapes_waiting == 0 || sealed.tapes != statistics->tapes_sealed)
        statistics->sealed_ns = now_ns;
    statistics->tapes_sealed = sealed.tapes;
    own->seal_waiting_ns = (uint64_t)(now_ns - statistics->sealed_ns);
}

static void gather_slow(struct control_statistics *statistics, int64_t now_ns)
{
    struct statistics_daemon *own = &statistics->own;
    if (now_ns < statistics->slow_ns) return;
    statistics->slow_ns = now_ns + LIMIT_SECOND_NS;
    own->rss_bytes = process_rss_bytes();
    own->thread_count = process_threads(own->threads);
    process_disk(keep_store_path(statistics->store), &own->disk_total_bytes,
                 &own->disk_free_bytes);
    struct retention_rules rules;
    keep_store_rules(statistics->store, &rules);
    if (rules.reserve_bytes > 0) own->disk_reserve_bytes = (uint64_t)rules.reserve_bytes;
    own->disk_low = own->disk_total_bytes > 0 && own->disk_free_bytes < own->disk_reserve_bytes;
}

static void gather(struct control_statistics *statistics)
{
    struct statistics_daemon *own = &statistics->own;
    const struct control_statistics_facts *facts = &statistics->facts;
    const int64_t now_ns = io_monotonic_ns(statistics->io);
    own->state = atomic_load_explicit(&facts->state, memory_order_relaxed);
    own->config_hash = atomic_load_explicit(&facts->config_hash, memory_order_relaxed);
    own->reloads = atomic_load_explicit(&facts->reloads, memory_order_relaxed);
    own->reloads_failed = atomic_load_explicit(&facts->reloads_failed, memory_order_relaxed);
    own->feeds = atomic_load_explicit(&facts->feeds, memory_order_relaxed);
    own->feeds_waiting = atomic_load_explicit(&facts->feeds_waiting, memory_order_relaxed);
    own->feeds_failed = atomic_load_explicit(&facts->feeds_failed, memory_order_relaxed);
    own->paused = keep_store_paused(statistics->store);
    own->http_requests = atomic_load_explicit(&statistics->requests, memory_order_relaxed);
    gather_sealer(statistics, now_ns);
    gather_slow(statistics, now_ns);
    statistics_publish(&statistics->live->daemon, own, sizeof *own);
}

static void gather_first(struct control_statistics *statistics, const struct config *config)
{
    struct statistics_daemon *own = &statistics->own;
    struct disk_watch watch;
    own->pid = (uint64_t)getpid();
    own->pid_namespace = process_pid_namespace();
    own->start_ns = clock_ns(CLOCK_REALTIME);
    process_disk(config->store, &own->disk_total_bytes, &own->disk_free_bytes);
    disk_watch_begin(&watch, config->keep.reserve_bytes, (int64_t)own->disk_free_bytes);
    own->disk_reserve_bytes = (uint64_t)watch.reserve_bytes;
    (void)snprintf(own->version, sizeof own->version, "%s", RINGTAPE_VERSION);
    (void)snprintf(own->commit, sizeof own->commit, "%.31s", statistics->commit);
    (void)snprintf(own->tls, sizeof own->tls, "%.63s", tls_library_text());
    atomic_store(&statistics->facts.config_hash, config->hash);
    atomic_store(&statistics->facts.feeds, config->feed_count);
    statistics->sealed_ns = io_monotonic_ns(statistics->io);
}

// ---- the thread ----

static void tick_done(struct io *io, struct io_op *op)
{
    struct control_statistics *statistics = io_owner(op, struct control_statistics, tick);
    if (atomic_load(&statistics->stop)) return;
    io_timeout(io, op, CONTROL_STATISTICS_NS, tick_done);
    gather(statistics);
    control_statistics_take(statistics, statistics->whole);
    (void)statistics_file_write(&statistics->file, statistics->whole);
}

static void end_step(struct control_statistics *statistics)
{
    io_cancel(statistics->io, &statistics->tick);
    if (!statistics->last) {
        atomic_store(&statistics->facts.state, STATISTICS_ENDED);
        gather(statistics);
        control_statistics_take(statistics, statistics->whole);
        // While the one before is on its way, or where there is no file: not again.
        statistics->last = statistics_file_write(&statistics->file, statistics->whole) ||
                           statistics->file.state == STATISTICS_FILE_NONE;
        if (!statistics->last) return;
    }
    statistics->ended = statistics_file_stop(&statistics->file) && io_idle(&statistics->tick);
}

static void statistics_main(void *context)
{
    struct control_statistics *statistics = context;
    io_timeout(statistics->io, &statistics->tick, 0, tick_done);
    while (!statistics->ended) {
        (void)io_run(statistics->io, atomic_load(&statistics->stop) ? LIMIT_MILLISECOND_NS : -1);
        if (atomic_load(&statistics->stop)) end_step(statistics);
    }
}

static void statistics_end(void *context)
{
    struct control_statistics *statistics = context;
    statistics_file_close(&statistics->file);
    io_close_loop(statistics->io);
}

// ---- HTTP ----

// Lines of a text that is being put together.
__attribute__((format(printf, 3, 4))) static void say(char *text, size_t text_size,
                                                      const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    if (used < text_size) (void)vsnprintf(text + used, text_size - used, format, arguments);
    va_end(arguments);
}

bool control_statistics_healthy(const struct statistics_page *page, char *text, size_t text_size)
{
    bool good = true;
    text[0] = '\0';
    for (uint32_t s = 0; s < page->head.shards; s++) {
        const int64_t age_ns = page->head.monotonic_ns - page->shards[s].heartbeat_ns;
        if (age_ns < CONTROL_STATISTICS_STALL_NS) continue;
        good = false;
        say(text, text_size, "shard %u has not moved for %lld s\n", s,
            (long long)(age_ns / LIMIT_SECOND_NS));
    }
    if (good) say(text, text_size, "ok\n");
    return good;
}

bool control_statistics_moving(const struct control_statistics *statistics)
{
    const struct statistics_page *live = statistics->live;
    const int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    bool moving = true;
    ensure(live != NULL && live->head.shards > 0);
    for (uint32_t s = 0; s < live->head.shards; s++) {
        // Published word by word, so one word of it is always whole.
        const int64_t beat_ns = __atomic_load_n(&live->shards[s].heartbeat_ns, __ATOMIC_RELAXED);
        moving = moving && now_ns - beat_ns < CONTROL_STATISTICS_STALL_NS;
    }
    return moving;
}

static bool shard_ready(const struct statistics_shard *shard, uint32_t number, char *text,
                        size_t text_size)
{
    bool good = true;
    if (shard->streams_dark > 0) {
        good = false;
        say(text, text_size, "shard %u: %llu of %llu sets of links are not live\n", number,
            (unsigned long long)shard->streams_dark, (unsigned long long)shard->streams_wanted);
    }
    if (!shard->tape_ready || shard->tape_lag_ns >= CONTROL_STATISTICS_TAPE_NS) {
        good = false;
        say(text, text_size, "shard %u: its tape cannot be written\n", number);
    }
    return good;
}

bool control_statistics_ready(const struct statistics_page *page, char *text, size_t text_size)
{
    uint64_t sets = 0;
    bool good = control_statistics_healthy(page, text, text_size);
    if (good) text[0] = '\0';
    for (uint32_t s = 0; s < page->head.shards; s++) {
        sets += page->shards[s].streams_wanted;
        good = shard_ready(&page->shards[s], s, text, text_size) && good;
    }
    if (page->daemon.state != STATISTICS_RUNNING)
        say(text, text_size, "the daemon is not running yet, or not any more\n");
    if (page->daemon.feeds_waiting > 0)
        say(text, text_size, "%llu feeds wait for their symbols\n",
            (unsigned long long)page->daemon.feeds_waiting);
    if (sets == 0) say(text, text_size, "there are no links yet\n");
    good = good && sets > 0 && page->daemon.state == STATISTICS_RUNNING &&
           page->daemon.feeds_waiting == 0;
    if (good) say(text, text_size, "ok\n");
    return good;
}

static bool answer_text(struct http_server_answer *answer, unsigned status, const char *text)
{
    answer->text = strdup(text);
    answer->size = answer->text != NULL ? strlen(answer->text) : 0;
    answer->status = status;
    return answer->text != NULL;
}

static bool answer_metrics(const struct statistics_page *page, struct http_server_answer *answer)
{
    struct metrics_text made;
    if (!metrics_text_make(page, &made)) return false;
    answer->status = 200;
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    answer->text = made.text;
    answer->size = made.size;
    return true;
}

static bool statistics_answer(void *context, const char *path, struct http_server_answer *answer)
{
    struct control_statistics *statistics = context;
    struct statistics_page *page = statistics->asked;
    char text[4096] = "";
    bool good = true;
    atomic_fetch_add_explicit(&statistics->requests, 1, memory_order_relaxed);
    if (strcmp(path, "/") == 0)
        return answer_text(answer, 200, "ringtaped: /metrics /healthz /readyz\n");
    control_statistics_take(statistics, page);
    if (strcmp(path, "/metrics") == 0) return answer_metrics(page, answer);
    if (strcmp(path, "/healthz") == 0) good = control_statistics_healthy(page, text, sizeof text);
    else if (strcmp(path, "/readyz") == 0)
        good = control_statistics_ready(page, text, sizeof text);
    else
        return answer_text(answer, 404, "there are /metrics, /healthz and /readyz\n");
    return answer_text(answer, good ? 200 : 503, text);
}

static int open_http(struct control_statistics *statistics, const struct config *config,
                     struct io_message *message)
{
    char text[256];
    if (config->http.off) return 0;
    const int error = http_server_open(&statistics->http, &config->http.address, statistics_answer,
                                       statistics, text, sizeof text);
    if (error != 0)
        (void)snprintf(message->text, sizeof message->text,
                       "http.listen: %s: %s%s", config->http.listen, text,
                       error == -EADDRINUSE
                           ? "; give this ringtaped another port there, or http: off"
                           : "; choose an address of this machine, or http: off");
    return error;
}

// ---- life ----

int control_statistics_open(struct control_statistics *statistics, const struct config *config,
                            struct keep_store *store, const struct sealer_counters *sealed,
                            const struct log *log, struct io_message *message)
{
    const size_t bytes = statistics_page_bytes(config->shards);
    // No sockets here, and one file.
    const struct io_options options = {
        .name = "statistics", .entries = 8, .receive_buffers = 2, .receive_buffer_bytes = 4096};
    statistics->store = store;
    statistics->sealed = sealed;
    statistics->log = log;
    int error = io_open_loop(&statistics->io, &options, message);
    if (error == 0)
        error = statistics_file_open(&statistics->file, statistics->io, config->store,
                                     config->shards, log);
    if (error != 0) return error;
    statistics->whole = calloc(1, bytes);
    statistics->asked = calloc(1, bytes);
    struct statistics_page *live = calloc(1, bytes);
    if (statistics->whole == NULL || statistics->asked == NULL || live == NULL) {
        free(live);
        return -ENOMEM;
    }
    live->head.shards = config->shards;
    statistics->live = live;
    gather_first(statistics, config);
    return 0;
}

int control_statistics_start(struct control_statistics *statistics, const struct config *config,
                             struct io *control, struct io_message *message)
{
    ensure(statistics->live != NULL && !statistics->worker.started);
    const int error = open_http(statistics, config, message);
    if (error != 0) return error;
    return worker_start(&statistics->worker, "statistics", -1, control, statistics_main,
                        statistics_end, statistics);
}

bool control_statistics_stop(struct control_statistics *statistics)
{
    http_server_close(statistics->http);
    statistics->http = NULL;
    if (!statistics->worker.started) return true;
    if (!atomic_exchange(&statistics->stop, true)) io_wake(statistics->io);
    return atomic_load(&statistics->worker.ended);
}

void control_statistics_close(struct control_statistics *statistics)
{
    if (statistics->worker.started) {
        worker_join(&statistics->worker);
    } else if (statistics->io != NULL) {
        statistics_end(statistics);
    }
    free(statistics->live);
    free(statistics->whole);
    free(statistics->asked);
    statistics->live = NULL;
}
