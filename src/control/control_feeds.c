// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_feeds: from configured feeds to shares on shards, and instruments from the exchanges.
//
// Contract: a feed is given to the shards whole, once its symbols are known; one that replaces
// another names it, and the shards end the old one when the new one is live. Where instruments
// cannot be had the request is repeated with growing pauses; a feed that ran before goes on as it
// was.
#include "control/control.h"

#include "capture/plan.h"
#include "exchange/history.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_ASK_PAUSE_MIN_NS LIMIT_SECOND_NS
#define CONTROL_ASK_PAUSE_MAX_NS (5 * LIMIT_MINUTE_NS)

static void control_say(struct control *control, enum log_message message,
                        const struct control_feed *feed, const char *cause)
{
    log_write(&control->log, message, io_utc_ns(control->io),
              "exchange=%s url=%s cause=\"%s\"", feed->config.dialect->name, feed->config.url_text,
              cause);
}

// ---- giving feeds to the shards ----

static struct plan_input control_plan(const struct config_feed *feed,
                                      const struct plan_symbol *symbols, uint32_t symbol_count,
                                      uint32_t shards)
{
    return (struct plan_input){.dialect = feed->dialect,
                               .channels = feed->channels,
                               .channel_count = feed->channel_count,
                               .symbols = symbols,
                               .symbol_count = symbol_count,
                               .redundancy = feed->redundancy,
                               .shard_count = shards};
}

static bool control_send(struct control *control, uint32_t shard,
                         const struct shard_command *command)
{
    if (shard_post(control->shards[shard].shard, command)) return true;
    log_write(&control->log, LOG_SHARD_DEAF, io_utc_ns(control->io), "shard=%u", shard);
    return false;
}

static void control_remove(struct control *control, uint32_t shard, uint32_t id)
{
    if (id == 0) return;
    (void)control_send(control, shard,
                       &(struct shard_command){.kind = SHARD_FEED_REMOVE, .feed_id = id});
}

// A feed with an address of its own is no reason to ask the real exchange.
static bool control_wants_rest(const struct config_feed *config)
{
    return config->symbols_all || strcmp(config->url_text, config->dialect->url) == 0 ||
           strcmp(config->rest_url_text, config->dialect->rest_url) != 0;
}

static struct tls_context *control_trust_of(const struct config_feed *config,
                                            struct tls_failure *failure)
{
    const struct tls_options options = {
        .role = TLS_CLIENT,
        .ca_file = config->ca_file[0] == '\0' ? NULL : config->ca_file,
        .pins = &config->pins};
    ensure(config->pins.count <= TLS_PINS_MAX);
    return tls_context_create(&options, failure);
}

// Trust is loaded here, as it takes its time, and once for each shard, as threads share nothing.
static struct tls_context *control_trust(struct control *control, const struct control_feed *feed)
{
    struct tls_failure failure = {0};
    struct tls_context *tls = control_trust_of(&feed->config, &failure);
    if (tls == NULL)
        control_say(control, LOG_FEED_FAILED, feed, failure.text);
    return tls;
}

// Takes `share` and `*spare`, if any, over. NULL: no memory or no trust; both are freed.
static struct shard_feed *control_share_create(struct control *control,
                                               const struct control_feed *feed, uint32_t id,
                                               struct plan_share *share, struct tls_context **spare)
{
    struct shard_feed *given = calloc(1, sizeof *given);
    if (given == NULL) {
        plan_free(share);
        return NULL;
    }
    given->id = id;
    given->replaces = feed->old_id;
    given->same_links = feed->same_links;
    given->share = share;
    given->url = feed->config.url;
    given->rest_weight = feed->config.rest_weight;
    if (control_wants_rest(&feed->config)) {
        given->rest_url = feed->config.rest_url;
        if (given->rest_url.tls) given->rest_tls = control_trust(control, feed);
    }
    given->keep_raw = feed->config.keep_raw;
    given->tls = *spare;
    *spare = NULL;
    if (!given->url.tls || given->tls != NULL) return given;
    given->tls = control_trust(control, feed);
    if (given->tls != NULL) return given;
    shard_feed_destroy(given);
    return NULL;
}

static void control_give_shard(struct control *control, struct control_feed *feed, uint32_t id,
                               uint32_t shard, struct tls_context **spare)
{
    struct plan_input input = control_plan(&feed->config, feed->symbols, feed->symbol_count,
                                           control->shard_count);
    struct plan_share *share = plan_share_create(&input, shard);
    if (share == NULL && errno == 0) { // none of its symbols lives there (any more)
        control_remove(control, shard, feed->old_id);
        return;
    }
    struct shard_feed *given =
        share == NULL ? NULL : control_share_create(control, feed, id, share, spare);
    const struct shard_command command = {.kind = SHARD_FEED_ADD, .feed = given};
    if (given != NULL && control_send(control, shard, &command)) return;
    control_say(control, LOG_FEED_FAILED, feed, "no memory or room");
    control->feeds_failed++;
    shard_feed_destroy(given);
}

static void control_give(struct control *control, struct control_feed *feed)
{
    struct plan_input input = control_plan(&feed->config, feed->symbols, feed->symbol_count,
                                           control->shard_count);
    uint32_t links = plan_link_count(&input);
    if (feed->config.links_max != 0 && links > feed->config.links_max) {
        char cause[96];
        (void)snprintf(cause, sizeof cause, "needs %u links, max_links is %u", links,
                       feed->config.links_max);
        control_say(control, LOG_FEED_FAILED, feed, cause);
        control->feeds_failed++; // one that ran before goes on as it was
        return;
    }
    struct tls_context *tls = feed->config.url.tls ? control_trust(control, feed) : NULL;
    if (tls == NULL && feed->config.url.tls) {
        control->feeds_failed++;
        return;
    }
    uint32_t id = ++control->feed_id;
    for (uint32_t shard = 0; shard < control->shard_count; shard++)
        control_give_shard(control, feed, id, shard, &tls);
    tls_context_destroy(tls);
    ensure(id != 0 && feed->symbol_count > 0);
    feed->id = id;
    feed->old_id = 0;
    feed->same_links = false;
}

static bool control_listed_start(struct control_feed *feed)
{
    free(feed->symbols);
    feed->symbol_count = feed->config.symbol_count;
    feed->symbols = calloc(feed->symbol_count, sizeof *feed->symbols);
    if (feed->symbols == NULL) return false;
    for (uint32_t i = 0; i < feed->symbol_count; i++)
        memcpy(feed->symbols[i].text, feed->config.symbols[i].text, sizeof feed->symbols[i].text);
    return true;
}

static void control_feed_start(struct control *control, struct control_feed *feed)
{
    feed->asking = control_wants_rest(&feed->config);
    feed->ask_after_ns = 0;
    feed->ask_failures = 0;
    if (feed->config.symbols_all) return; // given when they are known
    if (control_listed_start(feed))
        control_give(control, feed);
    else
        control_say(control, LOG_FEED_FAILED, feed, "out of memory");
}

// ---- applying a configuration ----

static void control_feed_forget(struct control_feed *feed)
{
    free(feed->config.symbols);
    free(feed->symbols);
    memset(feed, 0, sizeof *feed);
}

// A request under way still needs it.
static void control_feed_end(struct control *control, struct control_feed *feed)
{
    if (control->asked != feed) {
        control_feed_forget(feed);
        return;
    }
    feed->dropped = true;
    rest_cancel(&control->rest);
}

static struct control_feed *control_free_place(struct control *control)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        if (!control->feeds[i].used) return &control->feeds[i];
    }
    return NULL;
}

// The running feed that `config` continues: the same, or of the same exchange and address.
static uint32_t control_match(const struct control *control, const struct config_feed *config,
                              const bool *taken, bool exactly)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        const struct control_feed *feed = &control->feeds[i];
        if (!feed->used || feed->dropped || taken[i]) continue;
        bool same = exactly ? config_feed_equal(&feed->config, config)
                            : feed->config.dialect == config->dialect &&
                                  strcmp(feed->config.url_text, config->url_text) == 0;
        if (same) return i;
    }
    return LIMIT_FEEDS;
}

static void control_keep_equal(struct control *control, struct config *config, bool *taken,
                               bool *done)
{
    for (uint32_t i = 0; i < config->feed_count; i++) {
        uint32_t at = control_match(control, &config->feeds[i], taken, true);
        if (at == LIMIT_FEEDS) continue;
        taken[at] = true;
        done[i] = true;
        // Instruments may have changed; `all` follows them.
        struct control_feed *feed = &control->feeds[at];
        feed->asking = control_wants_rest(&config->feeds[i]);
        feed->ask_after_ns = 0;
        free(config->feeds[i].symbols);
        config->feeds[i].symbols = NULL;
        // What could not be given may be by now.
        if (feed->id == 0 && !feed->config.symbols_all) control_feed_start(control, feed);
    }
}

static void control_take(struct control *control, struct config_feed *config, bool *taken)
{
    uint32_t old_id = 0;
    bool same_links = false;
    uint32_t at = control_match(control, config, taken, false);
    if (at != LIMIT_FEEDS) {
        struct control_feed *old = &control->feeds[at];
        old_id = old->id != 0 ? old->id : old->old_id;
        same_links = old->id != 0 && config_feed_links_equal(&old->config, config);
        control_feed_end(control, old);
        taken[at] = true;
    }
    struct control_feed *feed = control_free_place(control);
    if (feed == NULL) {
        log_write(&control->log, LOG_FEED_FAILED, io_utc_ns(control->io),
                  "exchange=%s cause=\"too many feeds at once; reload later\"",
                  config->dialect->name);
        free(config->symbols);
        config->symbols = NULL;
        return;
    }
    feed->used = true;
    feed->config = *config;
    config->symbols = NULL; // owned by the feed now
    feed->old_id = old_id;
    feed->same_links = same_links;
    taken[feed - control->feeds] = true;
    control_feed_start(control, feed);
}

static void control_drop_rest(struct control *control, const bool *taken)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        struct control_feed *feed = &control->feeds[i];
        if (!feed->used || feed->dropped || taken[i]) continue;
        for (uint32_t shard = 0; shard < control->shard_count; shard++) {
            control_remove(control, shard, feed->id);
            control_remove(control, shard, feed->old_id);
        }
        control_feed_end(control, feed);
    }
}

void control_feeds_apply(struct control *control, struct config *config)
{
    bool taken[LIMIT_FEEDS] = {false};
    bool done[LIMIT_FEEDS] = {false};
    control_keep_equal(control, config, taken, done);
    for (uint32_t i = 0; i < config->feed_count; i++) {
        if (!done[i]) control_take(control, &config->feeds[i], taken);
    }
    control_drop_rest(control, taken);
    config->feed_count = 0;
}

// ---- instruments ----

struct control_listing {
    struct plan_symbol *symbols;
    uint32_t count;
};

static void control_instrument(void *context, const struct event *event, const char *symbol,
                               uint32_t symbol_size, bool trading)
{
    (void)event; // the shards write the rows
    struct control_listing *listing = context;
    if (!trading || symbol_size > SYMBOL_NAME_BYTES_MAX || listing->count == LIMIT_FEED_SYMBOLS)
        return;
    struct plan_symbol *place = &listing->symbols[listing->count++];
    memset(place, 0, sizeof *place);
    memcpy(place->text, symbol, symbol_size);
}

static int control_symbol_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct plan_symbol));
}

// Sorted, each once, whatever the exchange lists.
static void control_listing_sort(struct control_listing *listing)
{
    struct plan_symbol *symbols = listing->symbols;
    uint32_t kept = 0;
    qsort(symbols, listing->count, sizeof *symbols, control_symbol_compare);
    for (uint32_t i = 0; i < listing->count; i++) {
        if (kept == 0 || control_symbol_compare(&symbols[kept - 1], &symbols[i]) != 0)
            symbols[kept++] = symbols[i];
    }
    listing->count = kept;
}

// The symbols of an `all` feed are these from now on; the list is taken over or freed.
static void control_listed(struct control *control, struct control_feed *feed,
                           struct control_listing *listing)
{
    control_listing_sort(listing);
    bool given = feed->id != 0 && feed->old_id == 0; // else the last attempt failed
    bool same = given && listing->count == feed->symbol_count &&
                memcmp(listing->symbols, feed->symbols,
                       listing->count * sizeof *listing->symbols) == 0;
    if (same || listing->count == 0) {
        if (listing->count == 0)
            control_say(control, LOG_LIST_EMPTY, feed, "0 symbols");
        free(listing->symbols);
        return;
    }
    free(feed->symbols);
    feed->symbols = listing->symbols;
    feed->symbol_count = listing->count;
    if (feed->id != 0) {
        feed->old_id = feed->id;
        feed->same_links = true;
    }
    control_give(control, feed);
}

static void control_send_instruments(struct control *control, const struct control_feed *feed)
{
    for (uint32_t shard = 0; shard < control->shard_count; shard++) {
        uint8_t *body = malloc(control->rest.body_size + 1u);
        if (body == NULL) return; // the rows come with the next reload
        memcpy(body, control->rest.body, control->rest.body_size);
        const struct shard_command command = {.kind = SHARD_INSTRUMENTS,
                                              .dialect = feed->config.dialect,
                                              .body = body,
                                              .body_size = control->rest.body_size};
        if (!control_send(control, shard, &command)) free(body);
    }
}

// The budget that repair asks the same exchange from. False: there is none.
static bool control_budget(struct control *control, const struct control_feed *feed,
                           uint32_t *budget)
{
    const struct dialect_history *history = feed->config.dialect->history;
    if (history != NULL) *budget = permits_budget_find(&control->permits, history->budget);
    return history != NULL;
}

// It has told somebody, this thread or a shard, to stop: each request would make a ban longer.
static bool control_paused(struct control *control, struct control_feed *feed)
{
    uint32_t budget;
    char cause[80];
    if (!control_budget(control, feed, &budget)) return false;
    int64_t left_ns = permits_paused(&control->permits, budget, io_utc_ns(control->io));
    if (left_ns == 0) return false;
    feed->ask_after_ns = io_monotonic_ns(control->io) + left_ns;
    (void)snprintf(cause, sizeof cause, "the exchange wants no request for another %lld s",
                   (long long)(left_ns / LIMIT_SECOND_NS));
    if (left_ns > LIMIT_SECOND_NS) control_say(control, LOG_LIST_FAILED, feed, cause);
    return true;
}

static void control_ask_again(struct control *control, struct control_feed *feed,
                              const char *cause)
{
    uint32_t shift = feed->ask_failures < 8 ? feed->ask_failures++ : 8;
    int64_t pause_ns = CONTROL_ASK_PAUSE_MIN_NS << shift;
    int64_t asked_ns = control->rest.retry_after_s * LIMIT_SECOND_NS;
    if (pause_ns > CONTROL_ASK_PAUSE_MAX_NS) pause_ns = CONTROL_ASK_PAUSE_MAX_NS;
    if (pause_ns < asked_ns) pause_ns = asked_ns;
    feed->ask_after_ns = io_monotonic_ns(control->io) + pause_ns;
    feed->asking = true;
    control_say(control, LOG_LIST_FAILED, feed, cause);
}

static void control_answered(struct control *control, struct control_feed *feed)
{
    struct control_listing listing = {.symbols = calloc(LIMIT_FEED_SYMBOLS,
                                                        sizeof *listing.symbols)};
    if (listing.symbols == NULL) {
        control_ask_again(control, feed, "out of memory");
        return;
    }
    int error = feed->config.dialect->instruments(control->rest.body, control->rest.body_size,
                                                  control_instrument, &listing);
    if (error != 0) {
        free(listing.symbols);
        control_ask_again(control, feed, "the answer is not what the exchange documents");
        return;
    }
    feed->ask_failures = 0;
    if (feed->config.symbols_all) { // what is listed later joins by itself
        feed->asking = true;
        feed->ask_after_ns = io_monotonic_ns(control->io) + control->config.list_interval_ns;
        control_listed(control, feed, &listing);
    } else {
        free(listing.symbols);
    }
    control_send_instruments(control, feed);
}

static void control_asked_done(void *context, struct rest *rest)
{
    struct control *control = context;
    struct control_feed *feed = control->asked;
    uint32_t budget;
    ensure(feed != NULL && feed->used);
    if (!rest->ok && rest->retry_after_s > 0 && control_budget(control, feed, &budget))
        permits_pause(&control->permits, budget,
                      io_utc_ns(control->io) + rest->retry_after_s * LIMIT_SECOND_NS);
    if (feed->dropped)
        control_feed_forget(feed);
    else if (rest->ok)
        control_answered(control, feed);
    else if (!control->asking_stopped)
        control_ask_again(control, feed, rest->failure);
    control->asked = NULL;
    rest_close(rest);
    if (control->rest_tls != NULL) tls_context_destroy(control->rest_tls);
    control->rest_tls = NULL;
}

static void control_ask(struct control *control, struct control_feed *feed)
{
    const struct config_feed *config = &feed->config;
    struct tls_failure failure = {0};
    control->rest.retry_after_s = 0; // what the last answer asked for concerns this one no more
    if (config->rest_url.tls) {
        control->rest_tls = control_trust_of(config, &failure);
        if (control->rest_tls == NULL) {
            control_ask_again(control, feed, failure.text);
            return;
        }
    }
    if (rest_open(&control->rest, control->io, control->rest_tls) != 0) {
        if (control->rest_tls != NULL) tls_context_destroy(control->rest_tls);
        control->rest_tls = NULL;
        control_ask_again(control, feed, "out of memory");
        return;
    }
    feed->asking = false;
    control->asked = feed;
    rest_get(&control->rest, &config->rest_url, config->dialect->instruments_path,
             control_asked_done, control);
}

void control_feeds_tick(struct control *control)
{
    if (control->asked != NULL || control->asking_stopped) return;
    int64_t now_ns = io_monotonic_ns(control->io);
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        struct control_feed *feed = &control->feeds[i];
        if (!feed->used || feed->dropped || !feed->asking || now_ns < feed->ask_after_ns) continue;
        if (control_paused(control, feed)) continue;
        control_ask(control, feed);
        return;
    }
}

uint32_t control_feeds_waiting(const struct control *control)
{
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        const struct control_feed *feed = &control->feeds[i];
        waiting += feed->used && !feed->dropped && feed->id == 0;
    }
    return waiting;
}

bool control_feeds_stop(struct control *control)
{
    control->asking_stopped = true;
    if (control->asked != NULL) rest_cancel(&control->rest);
    return control->asked == NULL;
}

void control_feeds_free(struct control *control)
{
    ensure(control->asked == NULL);
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        if (control->feeds[i].used) control_feed_forget(&control->feeds[i]);
    }
}

// ---- what cannot work ----

static bool control_feed_possible(const struct config_feed *feed, uint32_t shards, char *text,
                                  size_t text_size)
{
    if (feed->ca_file[0] != '\0' && access(feed->ca_file, R_OK) != 0) {
        (void)snprintf(text, text_size, "line %d: ca_file: %s cannot be read: %s", feed->line,
                       feed->ca_file, strerror(errno));
        return false;
    }
    if (feed->pins.count > 0 && (!feed->url.tls || !feed->rest_url.tls)) {
        (void)snprintf(text, text_size,
                       "line %d: pin_sha256 needs wss:// and https:// in url and rest_url",
                       feed->line);
        return false;
    }
    if (feed->links_max == 0 || feed->symbols_all) return true;
    const struct plan_symbol *symbols = (const struct plan_symbol *)feed->symbols;
    _Static_assert(sizeof(struct plan_symbol) == sizeof(struct config_symbol), "same layout");
    struct plan_input input = control_plan(feed, symbols, feed->symbol_count, shards);
    uint32_t links = plan_link_count(&input);
    if (links <= feed->links_max) return true;
    (void)snprintf(text, text_size,
                   "line %d: max_links: expected at least %u for these symbols, channels, "
                   "redundancy and shards, found %u",
                   feed->line, links, feed->links_max);
    return false;
}

bool control_config_possible(const struct config *config, char *text, size_t text_size)
{
    ensure(config->shards > 0);
    for (uint32_t i = 0; i < config->feed_count; i++) {
        if (!control_feed_possible(&config->feeds[i], config->shards, text, text_size))
            return false;
    }
    struct alert_sink_settings settings;
    const bool possible = config_kafka_possible(&config->kafka, text, text_size) &&
                          config_sinks_webhook(&config->sinks, &settings, text, text_size) &&
                          config_sinks_command(&config->sinks, &settings, text, text_size);
    explicit_bzero(&settings, sizeof settings); // the stack is kept, and the helper's copy of it
    return possible;
}
