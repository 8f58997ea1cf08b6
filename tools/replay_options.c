// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names are checked before anything is opened: what is mistyped must not look like an empty store.
#include "tools/replay_options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/message.h"
#include "tools/ringtape_command.h"

enum {
    PORT_DEFAULT = 9443,
    SPEED_MAX = 1000000,
    QUEUE_MIB_MAX = 4096,
    SYMBOL_BYTES_MAX = 255,
};

static const uint32_t streamed = 1u << CHANNEL_TRADE | 1u << CHANNEL_AGG_TRADE |
                                 1u << CHANNEL_QUOTE | 1u << CHANNEL_DEPTH | 1u << CHANNEL_BOOK |
                                 1u << CHANNEL_TICKER | 1u << CHANNEL_KLINE | 1u << CHANNEL_RAW;

// As they were written.
struct replay_words {
    struct ringtape_option_list exchanges;
    const char *speed, *listen;
};

static bool wrong(const char *what, const char *text, const char *remedy)
{
    (void)fprintf(stderr, "ringtape replay: %s '%s': %s\n", what, text, remedy);
    return false;
}

// "10", "0.25", "max"
static bool read_speed(struct replay_options *options, const char *text)
{
    static const char remedy[] = "a number above 0, in thousandths and at most 1000000, or max";
    int64_t value = 0, unit = 1000; // thousandths
    bool fraction = false;
    options->speed_thousandths = 0;
    if (strcmp(text, "max") == 0) return true;
    for (const char *c = text; *c != 0; c++) {
        const bool point = *c == '.' && !fraction && c > text;
        fraction = fraction || point;
        if (point) continue;
        if (*c < '0' || *c > '9' || value > SPEED_MAX * (int64_t)1000)
            return wrong("--speed", text, remedy);
        if (fraction) unit /= 10;
        value = fraction ? value + (*c - '0') * unit : value * 10 + (*c - '0') * 1000;
    }
    options->speed_thousandths = value;
    return (value > 0 && value <= SPEED_MAX * (int64_t)1000) || wrong("--speed", text, remedy);
}

static bool read_listen(struct replay_options *options, const char *text)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    const size_t size = colon == NULL ? strlen(text) : (size_t)(colon - text);
    if (colon != NULL) {
        char *end;
        const long port = strtol(colon + 1, &end, 10);
        if (end == colon + 1 || *end != 0 || port < 0 || port > UINT16_MAX)
            return wrong("--listen", text, "ADDRESS:PORT, as in 127.0.0.1:9443");
        options->port = (uint16_t)port;
    }
    if (size == 0) return true; // ":9443"
    if (size >= sizeof host) return wrong("--listen", text, "an IPv4 address is expected");
    memcpy(host, text, size);
    host[size] = 0;
    if (inet_pton(AF_INET, host, options->host) == 1) return true;
    return wrong("--listen", text, "an IPv4 address is expected, as in 127.0.0.1:9443");
}

static bool read_exchanges(struct replay_options *options, const struct ringtape_option_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const enum exchange_sim_exchange exchange =
            exchange_sim_exchange_by_name(list->text[i], (uint32_t)strlen(list->text[i]));
        if (exchange == EXCHANGE_SIM_EXCHANGES)
            return wrong("--exchange", list->text[i], "binance, binance-usdm or upbit");
        options->exchange[exchange] = true;
    }
    return true;
}

// "BTCUSDT" is of the one exchange that is named; exchanges alone are all their symbols.
static bool complete_symbols(struct replay_options *options,
                             const struct ringtape_option_list *exchanges)
{
    struct ringtape_option_list *symbols = &options->query.symbols;
    for (uint32_t i = 0; i < symbols->count; i++) {
        if (strchr(symbols->text[i], ':') != NULL || exchanges->count != 1) continue;
        char *full = malloc(SYMBOL_BYTES_MAX + 1);
        ensure(full != NULL);
        if (snprintf(full, SYMBOL_BYTES_MAX + 1, "%s:%s", exchanges->text[0], symbols->text[i]) >
            SYMBOL_BYTES_MAX)
            return wrong("--symbols", symbols->text[i], "too long");
        symbols->text[i] = full;
    }
    for (uint32_t i = 0; symbols->count < RINGTAPE_OPTIONS_LIST_MAX && i < exchanges->count &&
                         (i > 0 || symbols->count == 0); i++) {
        char *all = malloc(SYMBOL_BYTES_MAX + 1);
        ensure(all != NULL);
        (void)snprintf(all, SYMBOL_BYTES_MAX + 1, "%s:*", exchanges->text[i]);
        symbols->text[symbols->count++] = all;
    }
    return true;
}

static bool check_channels(const struct replay_options *options)
{
    const struct ringtape_option_list *channels = &options->query.channels;
    for (uint32_t i = 0; options->kafka == NULL && i < channels->count; i++)
        if ((streamed >> channel_by_name(channels->text[i]) & 1) == 0)
            return wrong("--channels", channels->text[i],
                         "no messages of it; trade, agg_trade, quote, depth, book, ticker, kline "
                         "or raw");
    return true;
}

static bool check(struct replay_options *options, const struct replay_words *words)
{
    const bool served = !options->frames && options->kafka == NULL;
    const bool certified = options->certificate_file != NULL && options->key_file != NULL;
    if (options->frames && options->kafka != NULL)
        return wrong("--frames", "", "not together with --kafka");
    if (options->queue_mib < 1 || options->queue_mib > QUEUE_MIB_MAX)
        return wrong("--queue", "", "1 to 4096 MiB");
    if (!served && options->loop) return wrong("--loop", "", "only as a server");
    if (served && options->plain == certified) {
        (void)fprintf(stderr, "ringtape replay: give --certificate and --key, or --plain\n");
        return false;
    }
    if (options->kafka != NULL &&
        (message_format_by_name(options->kafka_format) == MESSAGE_FORMATS ||
         message_format_by_name(options->kafka_format) == MESSAGE_BATCH))
        return wrong("--kafka-format", options->kafka_format, "json or avro");
    return (words->speed == NULL || read_speed(options, words->speed)) &&
           (words->listen == NULL || read_listen(options, words->listen)) &&
           read_exchanges(options, &words->exchanges) &&
           complete_symbols(options, &words->exchanges);
}

static bool parse(struct replay_options *o, struct replay_words *w, int argc, char **argv,
                  int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(o->query),
        {.name = "exchange", .kind = RINGTAPE_OPTION_LIST, .target = &w->exchanges, .value = "E",
         .help = "binance, binance-usdm, upbit; default all that the store has"},
        {.name = "symbols", .kind = RINGTAPE_OPTION_LIST, .target = &o->query.symbols,
         .value = "S", .help = "BTCUSDT,ETHUSDT with one --exchange, else binance:BTCUSDT;\n"
                               "default all"},
        {.name = "channels", .kind = RINGTAPE_OPTION_LIST, .target = &o->query.channels,
         .value = "C", .help = "trade, agg_trade, quote, depth, book, ticker, kline, raw;\n"
                               "default all"},
        RINGTAPE_QUERY_FROM(o->query),
        RINGTAPE_QUERY_TO(o->query),
        {.name = "speed", .kind = RINGTAPE_OPTION_TEXT, .target = &w->speed, .value = "N|max",
         .help = "so many times as fast as received (1), or as fast as clients read"},
        {.name = "listen", .kind = RINGTAPE_OPTION_TEXT, .target = &w->listen,
         .value = "ADDRESS:PORT", .help = "default 127.0.0.1:9443; each further exchange has the "
                                          "next port;\nport 0: any"},
        {.name = "certificate", .kind = RINGTAPE_OPTION_TEXT, .target = &o->certificate_file,
         .value = "FILE", .help = "PEM, the chain with the leaf first"},
        {.name = "key", .kind = RINGTAPE_OPTION_TEXT, .target = &o->key_file, .value = "FILE",
         .help = "its private key"},
        {.name = "plain", .kind = RINGTAPE_OPTION_FLAG, .target = &o->plain,
         .help = "no TLS: ws:// and http://"},
        {.name = "wait-clients", .kind = RINGTAPE_OPTION_COUNT, .target = &o->wait_clients,
         .value = "N", .help = "begin a second after N clients have subscribed (1)"},
        {.name = "queue", .kind = RINGTAPE_OPTION_COUNT, .target = &o->queue_mib, .value = "MIB",
         .help = "so much may wait for a client that reads slowly, then it is dropped (64)"},
        {.name = "hold", .kind = RINGTAPE_OPTION_FLAG, .target = &o->hold,
         .help = "stay at the end and answer REST, until Ctrl-C"},
        {.name = "loop", .kind = RINGTAPE_OPTION_FLAG, .target = &o->loop,
         .help = "begin again at the end"},
        {.name = "frames", .kind = RINGTAPE_OPTION_FLAG, .target = &o->frames,
         .help = "no server: one JSON line a message on standard output"},
        {.name = "kafka", .kind = RINGTAPE_OPTION_TEXT, .target = &o->kafka, .value = "BROKERS",
         .help = "no server: topics, keys and values as the mirror writes them"},
        {.name = "kafka-prefix", .kind = RINGTAPE_OPTION_TEXT, .target = &o->kafka_prefix,
         .value = "NAME", .help = "topics are NAME.trades, ...; default 'replay'"},
        {.name = "kafka-format", .kind = RINGTAPE_OPTION_TEXT, .target = &o->kafka_format,
         .value = "F", .help = "json (default) or avro"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &o->json,
         .help = "what happens as JSON lines on standard output"},
        {.name = "ports-file", .kind = RINGTAPE_OPTION_TEXT, .target = &o->ports_file,
         .value = "FILE", .help = "its first such line, once it listens"},
    };
    const struct ringtape_usage usage = {
        .command = "replay",
        .purpose = "Plays a store: as the exchange itself, a WebSocket and REST server that "
                   "clients\nof Binance or Upbit can use; or to Kafka; or to a pipe. Rows come in "
                   "the order\nand at the distances in which they were received.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code);
}

bool replay_options_read(struct replay_options *options, int argc, char **argv, int *exit_code)
{
    static struct replay_words words;
    *options = (struct replay_options){
        .speed_thousandths = 1000,
        .host = {127, 0, 0, 1},
        .port = PORT_DEFAULT,
        .wait_clients = 1,
        .queue_mib = 64,
        .kafka_prefix = "replay",
        .kafka_format = "json",
    };
    ringtape_query_init(&options->query);
    if (!parse(options, &words, argc, argv, exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    if (!check(options, &words) || !ringtape_query_check(&options->query, "replay") ||
        !check_channels(options))
        return false;
    // What the exchange never sent; Kafka has topics for it.
    if (options->kafka == NULL) options->query.channel_bits &= streamed;
    return true;
}
