// SPDX-License-Identifier: GPL-3.0-or-later
//
// Options are read into one struct; what was not said follows from what was (options_complete()).
#include "tools/exchange_sim_options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

#define SECOND_NS ((int64_t)1000000000)

enum { USAGE_STATUS = 64 };

enum option_name {
    OPTION_LISTEN = 256,
    OPTION_HOST,
    OPTION_CERTIFICATE,
    OPTION_KEY,
    OPTION_NO_TLS,
    OPTION_PORTS_FILE,
    OPTION_CAPTURE,
    OPTION_ONLY,
    OPTION_LAPS,
    OPTION_SYMBOLS,
    OPTION_SEED,
    OPTION_SPEED,
    OPTION_RATE,
    OPTION_MAX,
    OPTION_BEGIN_STREAMS,
    OPTION_BEGIN_AFTER,
    OPTION_GRAIN,
    OPTION_MESSAGES,
    OPTION_SECONDS,
    OPTION_AT_END,
    OPTION_PACK,
    OPTION_NO_LIMITS,
    OPTION_PING_SECONDS,
    OPTION_PONG_SECONDS,
    OPTION_IDLE_SECONDS,
    OPTION_LIFE_SECONDS,
    OPTION_TRUTH,
    OPTION_STREAMS,
    OPTION_PROGRESS,
    OPTION_HELP,
    OPTION_WHOLE_MARKET,
    OPTION_CHANNELS,
    OPTION_HISTORY_TRADES,
    OPTION_HISTORY_SECONDS,
    OPTION_DAY_SECONDS,
    OPTION_BACKLOG,
    OPTION_LIMIT,
    OPTION_REST_BUDGET,
    OPTION_BAN_SECONDS,
    OPTION_FAULTS,
    OPTION_REST_DOWN,
    OPTION_FAULT_LOG,
    OPTION_TRUTH_CHANNELS,
    OPTION_BOOKS,
    OPTION_CALM,
    OPTION_INJECT,
    OPTION_OFFLINE,
    OPTION_ARCHIVE,
    OPTION_ARCHIVE_FAULTS,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"host", required_argument, NULL, OPTION_HOST},
    {"certificate", required_argument, NULL, OPTION_CERTIFICATE},
    {"key", required_argument, NULL, OPTION_KEY},
    {"no-tls", no_argument, NULL, OPTION_NO_TLS},
    {"ports-file", required_argument, NULL, OPTION_PORTS_FILE},
    {"capture", required_argument, NULL, OPTION_CAPTURE},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"laps", required_argument, NULL, OPTION_LAPS},
    {"symbols", required_argument, NULL, OPTION_SYMBOLS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"speed", required_argument, NULL, OPTION_SPEED},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"max", no_argument, NULL, OPTION_MAX},
    {"begin-streams", required_argument, NULL, OPTION_BEGIN_STREAMS},
    {"begin-after", required_argument, NULL, OPTION_BEGIN_AFTER},
    {"grain", required_argument, NULL, OPTION_GRAIN},
    {"messages", required_argument, NULL, OPTION_MESSAGES},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"at-end", required_argument, NULL, OPTION_AT_END},
    {"pack", no_argument, NULL, OPTION_PACK},
    {"no-limits", no_argument, NULL, OPTION_NO_LIMITS},
    {"ping-seconds", required_argument, NULL, OPTION_PING_SECONDS},
    {"pong-seconds", required_argument, NULL, OPTION_PONG_SECONDS},
    {"idle-seconds", required_argument, NULL, OPTION_IDLE_SECONDS},
    {"life-seconds", required_argument, NULL, OPTION_LIFE_SECONDS},
    {"truth", required_argument, NULL, OPTION_TRUTH},
    {"streams", no_argument, NULL, OPTION_STREAMS},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"whole-market", no_argument, NULL, OPTION_WHOLE_MARKET},
    {"channels", required_argument, NULL, OPTION_CHANNELS},
    {"history-trades", required_argument, NULL, OPTION_HISTORY_TRADES},
    {"history-seconds", required_argument, NULL, OPTION_HISTORY_SECONDS},
    {"day-seconds", required_argument, NULL, OPTION_DAY_SECONDS},
    {"backlog", required_argument, NULL, OPTION_BACKLOG},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"rest-budget", required_argument, NULL, OPTION_REST_BUDGET},
    {"ban-seconds", required_argument, NULL, OPTION_BAN_SECONDS},
    {"faults", optional_argument, NULL, OPTION_FAULTS},
    {"rest-down", required_argument, NULL, OPTION_REST_DOWN},
    {"fault-log", required_argument, NULL, OPTION_FAULT_LOG},
    {"truth-channels", required_argument, NULL, OPTION_TRUTH_CHANNELS},
    {"books", required_argument, NULL, OPTION_BOOKS},
    {"calm", no_argument, NULL, OPTION_CALM},
    {"inject", required_argument, NULL, OPTION_INJECT},
    {"offline", no_argument, NULL, OPTION_OFFLINE},
    {"archive", required_argument, NULL, OPTION_ARCHIVE},
    {"archive-faults", required_argument, NULL, OPTION_ARCHIVE_FAULTS},
    {NULL, 0, NULL, 0},
};

__attribute__((noreturn)) static void usage(const char *what, const char *value)
{
    (void)fprintf(stderr, "exchange-sim: %s%s%s; see --help\n", what, *value == '\0' ? "" : ": ",
                  value);
    exit(USAGE_STATUS);
}

static int64_t number(const char *text)
{
    int64_t const value = exchange_sim_text_number(text, -1);
    if (value < 0)
        usage("a whole number is expected", text);
    return value;
}

// Seconds or a factor with up to nine decimals, in units of 10^-9.
static int64_t fraction(const char *text)
{
    int64_t value = 0;
    int places = -1;
    if (*text == '\0')
        usage("a number is expected", text);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.' && places < 0) {
            places = 0;
            continue;
        }
        if (*c < '0' || *c > '9' || places == 9 || value > SECOND_NS)
            usage("a number is expected", text);
        value = value * 10 + (*c - '0');
        places += places >= 0;
    }
    for (int i = places < 0 ? 0 : places; i < 9; i++)
        value *= 10;
    return value;
}

// "EXCHANGE" or "EXCHANGE:REST"; *rest is NULL without a colon.
static enum exchange_sim_exchange exchange_of(const char *text, const char **rest)
{
    const char *colon = strchr(text, ':');
    size_t const size = colon == NULL ? strlen(text) : (size_t)(colon - text);
    *rest = colon == NULL ? NULL : colon + 1;
    enum exchange_sim_exchange const exchange = exchange_sim_exchange_by_name(text, (uint32_t)size);
    if (exchange == EXCHANGE_SIM_EXCHANGES)
        usage("binance, binance-usdm or upbit is expected", text);
    return exchange;
}

static void read_listen(struct exchange_sim_options *options, const char *text)
{
    const char *rest;
    enum exchange_sim_exchange const exchange = exchange_of(text, &rest);
    int64_t const port = rest == NULL ? 0 : number(rest);
    if (port > UINT16_MAX)
        usage("no port", text);
    options->listen[exchange] = true;
    options->port[exchange] = (uint16_t)port;
}

static void read_capture(struct exchange_sim_options *options, const char *text)
{
    const char *rest;
    enum exchange_sim_exchange const exchange = exchange_of(text, &rest);
    if (rest == NULL || options->capture_count == REEL_CAPTURES_MAX)
        usage(rest == NULL ? "EXCHANGE:FILE is expected" : "too many recordings", text);
    options->captures[options->capture_count++] =
        (struct exchange_sim_capture_option){.exchange = exchange, .path = rest};
}

static void read_symbols(struct exchange_sim_options *options, const char *text)
{
    const char *rest;
    enum exchange_sim_exchange const exchange = exchange_of(text, &rest);
    int64_t const count = rest == NULL ? 0 : number(rest);
    if (count < 1 || count > MARKET_SYMBOLS_MAX)
        usage("EXCHANGE:N with N from 1 to 4096 is expected", text);
    options->symbols[exchange] = (uint32_t)count;
}

static void read_host(struct exchange_sim_options *options, const char *text)
{
    if (inet_pton(AF_INET, text, options->host) != 1)
        usage("an IPv4 address is expected", text);
}

static void read_end(struct exchange_sim_options *options, const char *text)
{
    static const char *const names[] = {"hold", "close", "exit"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            options->end = (enum exchange_sim_end)i;
            return;
        }
    usage("hold, close or exit is expected", text);
}

// "EXCHANGE:NAME=N".
static void read_limit(struct exchange_sim_options *options, const char *text)
{
    const char *rest;
    struct exchange_sim_limits *limit = &options->server.limit[exchange_of(text, &rest)];
    const char *equals = rest == NULL ? NULL : strchr(rest, '=');
    if (equals == NULL)
        usage("EXCHANGE:NAME=N is expected", text);
    int64_t const value = number(equals + 1);
    size_t const size = (size_t)(equals - rest);
    if (size == 8 && memcmp(rest, "connects", size) == 0 && value < EXCHANGE_SIM_CONNECTS_MAX)
        limit->connects = (uint32_t)value;
    else if (size == 8 && memcmp(rest, "messages", size) == 0 && value < EXCHANGE_SIM_RATES_MAX)
        limit->messages = (uint32_t)value;
    else if (size == 7 && memcmp(rest, "streams", size) == 0 && value <= UINT32_MAX)
        limit->streams = (uint32_t)value;
    else
        usage("connects (below 512), messages (below 128) or streams are expected", text);
}

static void read_budget(struct exchange_sim_options *options, const char *text)
{
    const char *rest = text;
    bool const named = strchr(text, ':') != NULL;
    enum exchange_sim_exchange const exchange =
        named ? exchange_of(text, &rest) : EXCHANGE_SIM_BINANCE;
    int64_t const value = number(rest);
    if (value < 1 || value > INT32_MAX)
        usage("a budget above zero is expected", text);
    options->rest.budget[exchange] = (uint32_t)value;
    if (!named)
        options->rest.budget[EXCHANGE_SIM_USDM] = (uint32_t)value;
}

// "FROM" or "FROM-TO".
static void read_rest_down(struct exchange_sim_options *options, const char *text)
{
    char from[32];
    const char *dash = strchr(text, '-');
    size_t const size = dash == NULL ? strlen(text) : (size_t)(dash - text);
    if (size == 0 || size >= sizeof from)
        usage("FROM or FROM-TO in seconds is expected", text);
    memcpy(from, text, size);
    from[size] = '\0';
    options->faults.rest_down_from_ns = fraction(from);
    options->faults.rest_down_to_ns = dash == NULL ? INT64_MAX : fraction(dash + 1);
}

static void read_faults(struct exchange_sim_options *options, const char *text)
{
    char why[EXCHANGE_SIM_FAULT_WHY_SIZE];
    if (!exchange_sim_fault_spec_read(&options->faults.spec, text, why))
        usage("--faults", why);
    options->faults.any = true;
}

static void read_inject(struct exchange_sim_options *options, const char *text)
{
    char why[EXCHANGE_SIM_INJECT_WHY_SIZE];
    if (!exchange_sim_inject_read(&options->injects, text, why))
        usage("--inject", why);
    options->source.injected = options->injects.count > 0;
    options->calm = true;
}

// Options of the whole market and of faults. False where the option is none of them.
static bool read_faulty(struct exchange_sim_options *options, int option, const char *value)
{
    switch ((enum option_name)option) {
    case OPTION_WHOLE_MARKET:
        options->whole_market = true;
        return true;
    case OPTION_CHANNELS:
        options->source.channels = value;
        return true;
    case OPTION_HISTORY_TRADES:
        options->history_trades = number(value);
        return true;
    case OPTION_HISTORY_SECONDS:
        options->history_us = fraction(value) / 1000;
        return true;
    case OPTION_FAULTS:
        read_faults(options, value);
        return true;
    case OPTION_REST_DOWN:
        read_rest_down(options, value);
        return true;
    case OPTION_FAULT_LOG:
        options->fault_log_file = value;
        return true;
    case OPTION_TRUTH_CHANNELS:
        options->truth_channels = value;
        return true;
    case OPTION_ARCHIVE:
        options->rest.archive.folder = value;
        return true;
    case OPTION_ARCHIVE_FAULTS:
        if (!exchange_sim_archive_faults(&options->rest.archive, value))
            usage("KIND=N,... is expected", value);
        return true;
    case OPTION_BOOKS:
        options->books_file = value;
        return true;
    case OPTION_CALM:
        options->calm = true;
        return true;
    case OPTION_INJECT:
        read_inject(options, value);
        return true;
    case OPTION_OFFLINE:
        options->offline = true;
        return true;
    default:
        return false;
    }
}

// Options of what and when. False where the option is none of them.
static bool read_source(struct exchange_sim_options *options, int option, const char *value)
{
    struct exchange_sim_source_options *source = &options->source;
    switch ((enum option_name)option) {
    case OPTION_SPEED:
        source->pace = EXCHANGE_SIM_PACE_RECORDED;
        source->speed_thousandths = fraction(value) / 1000000;
        if (source->speed_thousandths == 0)
            usage("a speed of 0.001 or more is expected", value);
        return true;
    case OPTION_RATE:
        source->pace = EXCHANGE_SIM_PACE_RATE;
        source->rate = number(value);
        if (source->rate == 0)
            usage("a rate above zero is expected", value);
        return true;
    case OPTION_MAX:
        source->pace = EXCHANGE_SIM_PACE_CLIENT;
        return true;
    case OPTION_LAPS:
        source->laps = (uint32_t)number(value);
        return true;
    case OPTION_MESSAGES:
        source->messages_max = number(value);
        return true;
    case OPTION_SECONDS:
        source->duration_ns = fraction(value);
        return true;
    default:
        return false;
    }
}

// Options of how the server behaves. False where the option is none of them.
static bool read_server(struct exchange_sim_options *options, int option, const char *value)
{
    struct exchange_sim_server_options *server = &options->server;
    switch ((enum option_name)option) {
    case OPTION_PACK:
        server->packed = true;
        return true;
    case OPTION_NO_LIMITS:
        server->limits = false;
        return true;
    case OPTION_PING_SECONDS:
        server->ping_interval_ns = fraction(value);
        return true;
    case OPTION_PONG_SECONDS:
        server->pong_limit_ns = fraction(value);
        return true;
    case OPTION_IDLE_SECONDS:
        server->idle_limit_ns = fraction(value);
        return true;
    case OPTION_LIFE_SECONDS:
        server->life_ns = fraction(value);
        return true;
    case OPTION_DAY_SECONDS:
        server->day_ns = fraction(value);
        if (server->day_ns < SECOND_NS)
            usage("a day of a second or more is expected", value);
        return true;
    case OPTION_BACKLOG:
        server->backlog_bytes = (size_t)number(value);
        return true;
    case OPTION_LIMIT:
        read_limit(options, value);
        return true;
    case OPTION_REST_BUDGET:
        read_budget(options, value);
        return true;
    case OPTION_BAN_SECONDS:
        options->rest.ban_seconds = (uint32_t)number(value);
        return true;
    default:
        return false;
    }
}

// Options that are a name or a switch. False where the option is none of them.
static bool read_simple(struct exchange_sim_options *options, int option, const char *value)
{
    switch ((enum option_name)option) {
    case OPTION_CERTIFICATE:
        options->certificate_file = value;
        return true;
    case OPTION_KEY:
        options->key_file = value;
        return true;
    case OPTION_NO_TLS:
        options->plain = true;
        return true;
    case OPTION_PORTS_FILE:
        options->ports_file = value;
        return true;
    case OPTION_ONLY:
        options->only = value;
        return true;
    case OPTION_TRUTH:
        options->truth_file = value;
        return true;
    case OPTION_STREAMS:
        options->streams_in_summary = true;
        return true;
    case OPTION_PROGRESS:
        options->progress = true;
        return true;
    default:
        return false;
    }
}

static void read_option(struct exchange_sim_options *options, int option, const char *value)
{
    if (read_source(options, option, value) || read_server(options, option, value) ||
        read_simple(options, option, value) || read_faulty(options, option, value))
        return;
    switch ((enum option_name)option) {
    case OPTION_LISTEN:
        read_listen(options, value);
        break;
    case OPTION_HOST:
        read_host(options, value);
        break;
    case OPTION_CAPTURE:
        read_capture(options, value);
        break;
    case OPTION_SYMBOLS:
        read_symbols(options, value);
        break;
    case OPTION_SEED:
        options->seed = (uint64_t)number(value);
        break;
    case OPTION_BEGIN_STREAMS:
        options->begin_streams = (uint32_t)number(value);
        break;
    case OPTION_BEGIN_AFTER:
        options->begin_after_ns = fraction(value);
        break;
    case OPTION_GRAIN:
        options->grain_ns = fraction(value);
        break;
    case OPTION_AT_END:
        read_end(options, value);
        break;
    case OPTION_HELP:
        (void)fputs(exchange_sim_options_help, stdout);
        exit(0);
    default:
        usage("unknown option", "");
    }
}

static void options_complete_market(struct exchange_sim_options *options, bool market)
{
    const struct exchange_sim_source_options *source = &options->source;
    options->whole_market =
        options->whole_market || options->offline || (options->faults.any && market);
    if (options->whole_market && !market)
        usage("--whole-market and --offline are for --symbols", "");
    if (options->calm && !market)
        usage("--calm and --inject are for --symbols", "");
    if (options->offline && (options->truth_file == NULL || options->faults.any ||
                             source->pace != EXCHANGE_SIM_PACE_RATE ||
                             (source->duration_ns == 0 && source->messages_max == 0)))
        usage("--offline wants --truth, --seconds or --messages, and neither --faults nor --max",
              "");
}

// What was not said follows from what was.
static void options_complete(struct exchange_sim_options *options, bool paced)
{
    bool listens = false;
    bool market = false;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++) {
        listens = listens || options->listen[i];
        market = market || options->symbols[i] > 0;
    }
    if (market == (options->capture_count > 0))
        usage("either --symbols or --capture is needed", "");
    for (int i = 0; !listens && i < EXCHANGE_SIM_EXCHANGES; i++)
        options->listen[i] = options->symbols[i] > 0;
    for (uint32_t i = 0; !listens && i < options->capture_count; i++)
        options->listen[options->captures[i].exchange] = true;
    if (!paced && market)
        options->source.pace = EXCHANGE_SIM_PACE_RATE;
    if (market && options->source.pace == EXCHANGE_SIM_PACE_RECORDED)
        usage("--speed is for recordings", "");
    options_complete_market(options, market);
    if (!options->faults.spec.seeded)
        options->faults.spec.seed = options->seed;
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        if (options->faults.any && options->symbols[i] > 0)
            options->reserve[i] = options->symbols[i] / 10 + 1;
    if (!options->server.limits)
        memset(options->rest.budget, 0, sizeof options->rest.budget);
    if (!options->plain && !options->offline &&
        (options->certificate_file == NULL || options->key_file == NULL))
        usage("--certificate and --key, or --no-tls, are needed", "");
}

void exchange_sim_options_read(struct exchange_sim_options *options, int count, char **arguments)
{
    ensure(count > 0);
    bool paced = false;
    *options = (struct exchange_sim_options){
        .host = {127, 0, 0, 1},
        .seed = 1,
        .begin_streams = 1,
        .grain_ns = 200000,
        .source = {.speed_thousandths = 1000, .rate = 20000, .laps = 1},
        .rest = {.budget = {BUDGET_BINANCE_WEIGHT, BUDGET_USDM_WEIGHT, BUDGET_UPBIT_REQUESTS},
                 .ban_seconds = BUDGET_BAN_SECONDS},
        .faults = {.rest_down_from_ns = -1},
        .server = {.limits = true,
                   .limit = {{300, 300 * SECOND_NS, 5, 1024},
                             {300, 300 * SECOND_NS, 10, 1024},
                             {5, SECOND_NS, 5, 0}},
                   .backlog_bytes = EXCHANGE_SIM_BACKLOG_BYTES,
                   .day_ns = 86400 * SECOND_NS,
                   .ping_interval_ns = 20 * SECOND_NS,
                   .pong_limit_ns = 60 * SECOND_NS,
                   .idle_limit_ns = 120 * SECOND_NS},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", long_options, NULL)) != -1) {
        if (option == '?')
            exit(USAGE_STATUS);
        paced = paced || option == OPTION_SPEED || option == OPTION_RATE || option == OPTION_MAX;
        read_option(options, option, optarg);
    }
    if (optind < count)
        usage("unexpected argument", arguments[optind]);
    options_complete(options, paced);
}
