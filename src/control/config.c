// SPDX-License-Identifier: GPL-3.0-or-later
//
// config: the walk of a YAML document along the table of keys.
//
// libyaml gives the document as nodes with line numbers; the walk looks every key of a mapping up
// in the table of its level (config_schema.h). What a key cannot judge alone is checked where its
// feed is complete (config_feed()).
//
// libyaml and not libcyaml on top of it: libcyaml reports most mistakes without line and key.
#include "control/config.h"

#include "control/config_schema.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <yaml.h>

enum { CONFIG_PATH_BYTES = 96 };

struct config_walk {
    const char *name;
    yaml_document_t *document;
    struct config *config;
    struct config_mistakes *mistakes;
};

// ---- mistakes ----

__attribute__((format(printf, 4, 5))) static void config_mistake(struct config_walk *walk,
                                                                 int line, const char *path,
                                                                 const char *format, ...)
{
    uint32_t index = walk->mistakes->count++;
    if (index >= LIMIT_CONFIG_MISTAKES) return;
    char *text = walk->mistakes->text[index];
    int used = line > 0 ? snprintf(text, CONFIG_MISTAKE_BYTES, "%.200s:%d: ", walk->name, line)
                        : snprintf(text, CONFIG_MISTAKE_BYTES, "%.200s: ", walk->name);
    if (path[0] != '\0')
        used += snprintf(text + used, (size_t)(CONFIG_MISTAKE_BYTES - used), "%s: ", path);
    ensure(used > 0 && used < CONFIG_MISTAKE_BYTES);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, (size_t)(CONFIG_MISTAKE_BYTES + 1 - used), format, arguments);
    va_end(arguments);
    // What is quoted from the file must not steer the reader's terminal.
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
    }
}

static int config_line(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

static const char *config_text(const yaml_node_t *node)
{
    ensure(node->type == YAML_SCALAR_NODE);
    return (const char *)node->data.scalar.value;
}

// What stands there, for "found ...".
static const char *config_found(const yaml_node_t *node)
{
    if (node->type == YAML_SEQUENCE_NODE) return "a list";
    if (node->type == YAML_MAPPING_NODE) return "a mapping";
    return node->data.scalar.length == 0 ? "nothing" : config_text(node);
}

static void config_unexpected(struct config_walk *walk, const yaml_node_t *node, const char *path,
                              const char *expected)
{
    bool quoted = node->type == YAML_SCALAR_NODE && node->data.scalar.length > 0;
    const char *quote = quoted ? "\"" : "";
    config_mistake(walk, config_line(node), path, "expected %s, found %s%.60s%s", expected, quote,
                   config_found(node), quote);
}

// A zero byte would hide what follows it.
static bool config_whole(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && strlen(config_text(node)) == node->data.scalar.length;
}

// ---- lists ----

// "binance has trade, agg_trade, ..." is more use than "unknown channel".
static void config_channel_names(const struct dialect *dialect, char *out, size_t out_size)
{
    static const char *const names[] = {"trade",  "agg_trade", "quote", "depth",  "book5",
                                        "book10", "book20",    "book",  "ticker", "kline_1m"};
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        enum channel channel;
        if (!dialect->channel_known(names[i], &channel)) continue;
        int size = snprintf(out + used, out_size - used, "%s%s", used == 0 ? "" : ", ", names[i]);
        ensure(size > 0 && used + (size_t)size < out_size);
        used += (size_t)size;
    }
}

static void config_channel(struct config_walk *walk, const yaml_node_t *node, const char *path,
                           struct config_feed *feed)
{
    enum channel channel;
    if (!config_whole(node) || node->data.scalar.length > DIALECT_CHANNEL_BYTES_MAX ||
        !feed->dialect->channel_known(config_text(node), &channel)) {
        char known[160];
        char expected[256];
        config_channel_names(feed->dialect, known, sizeof known);
        (void)snprintf(expected, sizeof expected, "a channel of %s (%s)", feed->dialect->name,
                       known);
        config_unexpected(walk, node, path, expected);
        return;
    }
    const char *text = config_text(node);
    for (uint32_t i = 0; i < feed->channel_count; i++) {
        if (strcmp(feed->channels[i].text, text) != 0) continue;
        config_mistake(walk, config_line(node), path, "\"%s\" stands there twice", text);
        return;
    }
    ensure(feed->channel_count < LIMIT_FEED_CHANNELS);
    memcpy(feed->channels[feed->channel_count++].text, text, node->data.scalar.length + 1);
}

static bool config_symbol_clean(const struct dialect *dialect, const yaml_node_t *node)
{
    if (!config_whole(node) || node->data.scalar.length == 0) return false;
    if (node->data.scalar.length + strlen(dialect->name) + 1 > SYMBOL_NAME_BYTES_MAX) return false;
    for (const unsigned char *c = node->data.scalar.value; *c != '\0'; c++) {
        if (*c <= 0x20 || *c == 0x7f || strchr("\"\\,:/@", *c) != NULL) return false;
    }
    return true;
}

static void config_symbol(struct config_walk *walk, const yaml_node_t *node, const char *path,
                          struct config_feed *feed)
{
    if (!config_symbol_clean(feed->dialect, node)) {
        config_unexpected(walk, node, path, "a symbol as the exchange spells it, like BTCUSDT");
        return;
    }
    ensure(feed->symbol_count < LIMIT_FEED_SYMBOLS);
    struct config_symbol *symbol = &feed->symbols[feed->symbol_count++];
    memcpy(symbol->text, config_text(node), node->data.scalar.length + 1);
    for (char *c = symbol->text; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    }
}

typedef void config_item(struct config_walk *walk, const yaml_node_t *node, const char *path,
                         struct config_feed *feed);

static bool config_list_sized(struct config_walk *walk, const struct config_entry *entry,
                              const yaml_node_t *node, const char *path)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        config_unexpected(walk, node, path, entry->expected);
        return false;
    }
    int64_t count = node->data.sequence.items.top - node->data.sequence.items.start;
    if (config_in(entry, count)) return true;
    config_mistake(walk, config_line(node), path, "expected %lld to %lld entries, found %lld",
                   (long long)entry->min, (long long)entry->max, (long long)count);
    return false;
}

static void config_list(struct config_walk *walk, const struct config_entry *entry,
                        const yaml_node_t *node, const char *path, struct config_feed *feed,
                        config_item *item)
{
    if (!config_list_sized(walk, entry, node, path)) return;
    const yaml_node_item_t *first = node->data.sequence.items.start;
    for (const yaml_node_item_t *at = first; at < node->data.sequence.items.top; at++) {
        char item_path[CONFIG_PATH_BYTES];
        (void)snprintf(item_path, sizeof item_path, "%.70s[%td]", path, at - first);
        item(walk, yaml_document_get_node(walk->document, *at), item_path, feed);
    }
}

static void config_symbols(struct config_walk *walk, const struct config_entry *entry,
                           const yaml_node_t *node, const char *path, struct config_feed *feed)
{
    if (config_whole(node) && strcmp(config_text(node), "all") == 0) {
        feed->symbols_all = true;
        return;
    }
    if (!config_list_sized(walk, entry, node, path)) return;
    feed->symbols = calloc(LIMIT_FEED_SYMBOLS, sizeof *feed->symbols);
    if (feed->symbols == NULL)
        config_mistake(walk, config_line(node), path, "out of memory");
    else
        config_list(walk, entry, node, path, feed, config_symbol);
}

// ---- feeds ----

static void config_mapping(struct config_walk *walk, const struct config_entry *keys,
                           const yaml_node_t *node, const char *path, void *base);

static int config_symbol_compare(const void *a, const void *b)
{
    return strcmp(((const struct config_symbol *)a)->text, ((const struct config_symbol *)b)->text);
}

// Sorted, so that equal sets are equal feeds and doubles stand beside each other.
static void config_feed_sort(struct config_walk *walk, const char *path, struct config_feed *feed)
{
    if (feed->symbols == NULL) return;
    qsort(feed->symbols, feed->symbol_count, sizeof *feed->symbols, config_symbol_compare);
    for (uint32_t i = 1; i < feed->symbol_count; i++) {
        if (config_symbol_compare(&feed->symbols[i - 1], &feed->symbols[i]) == 0)
            config_mistake(walk, feed->line, path, "symbol \"%s\" stands there twice",
                           feed->symbols[i].text);
    }
}

static const yaml_node_t *config_child(struct config_walk *walk, const yaml_node_t *node,
                                       const char *name)
{
    if (node->type != YAML_MAPPING_NODE) return NULL;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
        if (key->type == YAML_SCALAR_NODE && strcmp(config_text(key), name) == 0)
            return yaml_document_get_node(walk->document, pair->value);
    }
    return NULL;
}

static void config_feed_url(struct config_walk *walk, const char *path, const yaml_node_t *node,
                            const char *key, const char *standard, char *text, struct url *url)
{
    if (text[0] == '\0') (void)snprintf(text, LIMIT_URL_BYTES + 1, "%s", standard);
    const yaml_node_t *value = config_child(walk, node, key);
    const char *wrong = url_parse(text, strcmp(key, "url") == 0, url);
    if (wrong == NULL) return;
    config_mistake(walk, config_line(value != NULL ? value : node), path, "%s: %s, found \"%.80s\"",
                   key, wrong, text);
}

// The exchange first, wherever it stands: channels and symbols are read with it.
static void config_feed(struct config_walk *walk, const yaml_node_t *node, const char *path,
                        struct config_feed *unused)
{
    ensure(unused == NULL && walk->config->feed_count < LIMIT_FEEDS);
    struct config_feed *feed = &walk->config->feeds[walk->config->feed_count++];
    config_defaults(config_feed_keys, feed);
    feed->line = config_line(node);
    const yaml_node_t *exchange = config_child(walk, node, "exchange");
    if (exchange != NULL && config_whole(exchange))
        feed->dialect = dialect_by_name(config_text(exchange));
    config_mapping(walk, config_feed_keys, node, path, feed);
    if (feed->dialect == NULL) return;
    config_feed_sort(walk, path, feed);
    config_feed_url(walk, path, node, "url", feed->dialect->url, feed->url_text, &feed->url);
    config_feed_url(walk, path, node, "rest_url", feed->dialect->rest_url, feed->rest_url_text,
                    &feed->rest_url);
}

// ---- candles ----

static void config_intervals(struct config_walk *walk, const struct config_entry *entry,
                             const yaml_node_t *node, const char *path, void *base)
{
    struct config_candles *candles = (void *)((char *)base + entry->offset);
    if (!config_list_sized(walk, entry, node, path)) return;
    candles->interval_count = 0; // the default's
    for (const yaml_node_item_t *at = node->data.sequence.items.start;
         at < node->data.sequence.items.top; at++) {
        const yaml_node_t *item = yaml_document_get_node(walk->document, *at);
        const int error = !config_whole(item) ? -EINVAL
                                              : config_put_interval(candles, config_text(item),
                                                                    strlen(config_text(item)));
        if (error == -EEXIST)
            config_mistake(walk, config_line(item), path, "\"%s\" stands there twice",
                           config_text(item));
        else if (error != 0)
            config_unexpected(walk, item, path, "an interval like 1m, 5m, 15m or 1h");
    }
}

// ---- alerts ----

// The kind first: it decides the defaults of the others.
static void config_alert(struct config_walk *walk, const yaml_node_t *node, const char *path,
                         struct config_feed *unused)
{
    (void)unused;
    struct alert_rule *rule = &walk->config->alerts.at[walk->config->alerts.count++];
    const yaml_node_t *kind_node = config_child(walk, node, "kind");
    const int kind = kind_node != NULL && config_whole(kind_node)
                         ? alert_kind_of(config_text(kind_node))
                         : -1;
    memset(rule, 0, sizeof *rule);
    if (kind >= 0) alert_rule_standard((enum alert_kind)kind, rule);
    config_defaults(config_alert_keys, rule);
    config_mapping(walk, config_alert_keys, node, path, rule);
    if (kind < 0 && kind_node != NULL)
        config_unexpected(walk, kind_node, path, config_alert_keys[0].expected);
    const yaml_node_t *name = config_child(walk, node, "rule");
    const yaml_node_t *text = name != NULL ? name : kind_node;
    if (text != NULL && config_whole(text)) // both have this place, in whatever order they stand
        (void)snprintf(rule->name, sizeof rule->name, "%s", config_text(text));
}

// ---- the walk ----

static void config_exchange_unknown(struct config_walk *walk, const yaml_node_t *node,
                                    const char *path)
{
    char expected[160];
    size_t used = (size_t)snprintf(expected, sizeof expected, "one of");
    for (const struct dialect *const *dialect = dialects; *dialect != NULL; dialect++) {
        int size = snprintf(expected + used, sizeof expected - used, "%s %s",
                            dialect == dialects ? "" : ",", (*dialect)->name);
        ensure(size > 0 && used + (size_t)size < sizeof expected);
        used += (size_t)size;
    }
    config_unexpected(walk, node, path, expected);
}

static void config_scalar(struct config_walk *walk, const struct config_entry *entry,
                          const yaml_node_t *node, const char *path, void *base)
{
    if (config_whole(node) && config_put(entry, config_text(node), base)) return;
    if (entry->kind == CONFIG_EXCHANGE)
        config_exchange_unknown(walk, node, path);
    else
        config_unexpected(walk, node, path, entry->expected);
}

// { CHANNEL: { age: ..., size: ... }, ... }
static void config_keep(struct config_walk *walk, const struct config_entry *entry,
                        const yaml_node_t *node, const char *path, void *base)
{
    if (node->type != YAML_MAPPING_NODE) {
        config_unexpected(walk, node, path, entry->expected);
        return;
    }
    struct retention_limits *limits = (void *)((char *)base + entry->offset);
    uint64_t seen = 0;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
        enum channel channel = CHANNEL_NONE;
        if (config_whole(key)) channel = channel_by_name(config_text(key));
        if (channel_schema(channel) == NULL) {
            config_unexpected(walk, key, path, "a channel, like trade, depth or book");
            continue;
        }
        char key_path[CONFIG_PATH_BYTES];
        (void)snprintf(key_path, sizeof key_path, "%.60s.%.30s", path, config_text(key));
        if (seen >> channel & 1) {
            config_mistake(walk, config_line(key), key_path, "the key stands there twice");
            continue;
        }
        seen |= 1ull << channel;
        config_mapping(walk, entry->keys, yaml_document_get_node(walk->document, pair->value),
                       key_path, &limits[channel]);
    }
}

static void config_names(struct config_walk *walk, const struct config_entry *entry,
                         const yaml_node_t *node, const char *path, void *base)
{
    if (!config_list_sized(walk, entry, node, path)) return;
    for (const yaml_node_item_t *at = node->data.sequence.items.start;
         at < node->data.sequence.items.top; at++) {
        const yaml_node_t *item = yaml_document_get_node(walk->document, *at);
        if (!config_whole(item) || !config_put_special(entry, base, NULL, config_text(item)))
            config_unexpected(walk, item, path, entry->expected);
    }
}

static void config_pairs(struct config_walk *walk, const struct config_entry *entry,
                         const yaml_node_t *node, const char *path, void *base)
{
    if (node->type != YAML_MAPPING_NODE) {
        config_unexpected(walk, node, path, entry->expected);
        return;
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
        if (!config_whole(key) || !config_whole(value) ||
            !config_put_special(entry, base, config_text(key), config_text(value)))
            config_unexpected(walk, key, path, entry->expected);
    }
}

static void config_value(struct config_walk *walk, const struct config_entry *entry,
                         const yaml_node_t *node, const char *path, void *base)
{
    struct config_feed *feed = base; // of the feed's keys only
    if (config_is_scalar(entry) || (entry->kind == CONFIG_SWITCH && config_whole(node))) {
        config_scalar(walk, entry, node, path, base);
    } else if (entry->kind == CONFIG_SECTION || entry->kind == CONFIG_SWITCH) {
        config_mapping(walk, entry->keys, node, path, base);
    } else if (entry->kind == CONFIG_NAMES) {
        config_names(walk, entry, node, path, base);
    } else if (entry->kind == CONFIG_PAIRS) {
        config_pairs(walk, entry, node, path, base);
    } else if (entry->kind == CONFIG_KEEP) {
        config_keep(walk, entry, node, path, base);
    } else if (entry->kind == CONFIG_INTERVALS) {
        config_intervals(walk, entry, node, path, base);
    } else if (entry->kind == CONFIG_ALERTS) {
        walk->config->alerts.count = 0; // the default's
        config_list(walk, entry, node, path, NULL, config_alert);
    } else if (entry->kind == CONFIG_FEEDS) {
        config_list(walk, entry, node, path, NULL, config_feed);
    } else if (feed->dialect == NULL) {
        return; // the exchange is wrong or missing, which is said already
    } else if (entry->kind == CONFIG_CHANNELS) {
        config_list(walk, entry, node, path, feed, config_channel);
    } else {
        config_symbols(walk, entry, node, path, feed);
    }
}

static const struct config_entry *config_find(const struct config_entry *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) return keys;
    }
    return NULL;
}

static void config_unknown(struct config_walk *walk, const struct config_entry *keys,
                           const yaml_node_t *key, const char *path)
{
    char known[200];
    size_t used = 0;
    for (; keys->name != NULL; keys++) {
        int size = snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ",
                            keys->name);
        ensure(size > 0 && used + (size_t)size < sizeof known);
        used += (size_t)size;
    }
    config_mistake(walk, config_line(key), path, "unknown key \"%.60s\"; there are %s",
                   config_found(key), known);
}

static void config_pair(struct config_walk *walk, const struct config_entry *keys, uint64_t *seen,
                        const yaml_node_pair_t *pair, const char *path, void *base)
{
    const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
    const char *name = config_whole(key) ? config_text(key) : "";
    const struct config_entry *entry = config_find(keys, name);
    if (entry == NULL) {
        config_unknown(walk, keys, key, path);
        return;
    }
    char key_path[CONFIG_PATH_BYTES];
    (void)snprintf(key_path, sizeof key_path, "%.60s%s%.30s", path, path[0] == '\0' ? "" : ".",
                   entry->name);
    uint64_t bit = 1ull << (entry - keys);
    if (*seen & bit) {
        config_mistake(walk, config_line(key), key_path, "the key stands there twice");
        return;
    }
    *seen |= bit;
    config_value(walk, entry, yaml_document_get_node(walk->document, pair->value), key_path, base);
}

static void config_mapping(struct config_walk *walk, const struct config_entry *keys,
                           const yaml_node_t *node, const char *path, void *base)
{
    if (node->type != YAML_MAPPING_NODE) {
        config_unexpected(walk, node, path, "a mapping of keys and values");
        return;
    }
    uint64_t seen = 0;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        config_pair(walk, keys, &seen, pair, path, base);
    for (const struct config_entry *entry = keys; entry->name != NULL; entry++) {
        if (entry->standard != NULL || (seen & config_either(entry) << (entry - keys))) continue;
        config_mistake(walk, config_line(node), path, "the key \"%s\" is missing: expected %s",
                       entry->name, entry->expected);
    }
}

// ---- whole documents ----

static void config_syntax(struct config_walk *walk, const yaml_parser_t *parser)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    const char *context = parser->context != NULL ? parser->context : "";
    config_mistake(walk, (int)parser->problem_mark.line + 1, "", "%s %s", problem, context);
}

static void config_document(struct config_walk *walk)
{
    const yaml_node_t *root = yaml_document_get_root_node(walk->document);
    if (root == NULL)
        config_mistake(walk, 1, "", "the file is empty: expected at least the key \"feeds\"");
    else
        config_mapping(walk, config_top, root, "", walk->config);
}

bool config_parse(struct config *config, const char *name, const char *bytes, size_t size,
                  struct config_mistakes *mistakes)
{
    memset(config, 0, sizeof *config);
    mistakes->count = 0;
    config_defaults(config_top, config);
    alert_rules_standard(&config->alerts);
    config->hash = XXH3_64bits(bytes, size);
    yaml_document_t document;
    yaml_parser_t parser;
    struct config_walk walk = {name, &document, config, mistakes};
    int ready = yaml_parser_initialize(&parser);
    ensure(ready == 1); // fails without memory only
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
    if (yaml_parser_load(&parser, &document) == 1) {
        config_document(&walk);
        yaml_document_delete(&document);
    } else {
        config_syntax(&walk, &parser);
    }
    yaml_parser_delete(&parser);
    config_kafka_commit_interval(&config->kafka, &config->commit_interval_ns);
    if (mistakes->count == 0) return true;
    config_free(config);
    return false;
}

bool config_read(struct config *config, const char *path, struct config_mistakes *mistakes)
{
    struct config_walk walk = {path, NULL, config, mistakes};
    mistakes->count = 0;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    char *bytes = malloc(LIMIT_CONFIG_BYTES + 1);
    bool good = false;
    if (file == NULL || bytes == NULL) {
        config_mistake(&walk, 0, "", "cannot be opened: %s", strerror(errno));
        goto out;
    }
    size_t size = fread(bytes, 1, LIMIT_CONFIG_BYTES + 1, file);
    if (ferror(file))
        config_mistake(&walk, 0, "", "cannot be read: %s", strerror(errno));
    else if (size > LIMIT_CONFIG_BYTES)
        config_mistake(&walk, 0, "", "is larger than 4 MiB");
    else
        good = config_parse(config, path, bytes, size, mistakes);
out:
    free(bytes);
    if (file != NULL && file != stdin) (void)fclose(file);
    return good;
}

void config_free(struct config *config)
{
    ensure(config->feed_count <= LIMIT_FEEDS);
    for (uint32_t i = 0; i < config->feed_count; i++) {
        free(config->feeds[i].symbols);
        config->feeds[i].symbols = NULL;
        config->feeds[i].symbol_count = 0;
    }
    config->feed_count = 0;
}

static bool config_feed_channels_equal(const struct config_feed *a, const struct config_feed *b)
{
    if (a->channel_count != b->channel_count) return false;
    for (uint32_t i = 0; i < a->channel_count; i++) {
        if (strcmp(a->channels[i].text, b->channels[i].text) != 0) return false;
    }
    return true;
}

static bool config_feed_symbols_equal(const struct config_feed *a, const struct config_feed *b)
{
    if (a->symbols_all != b->symbols_all || a->symbol_count != b->symbol_count) return false;
    for (uint32_t i = 0; i < a->symbol_count; i++)
        if (config_symbol_compare(&a->symbols[i], &b->symbols[i]) != 0) return false;
    return true;
}

bool config_feed_links_equal(const struct config_feed *a, const struct config_feed *b)
{
    return a->dialect == b->dialect && a->redundancy == b->redundancy &&
           a->keep_raw == b->keep_raw && strcmp(a->url_text, b->url_text) == 0 &&
           strcmp(a->ca_file, b->ca_file) == 0 && config_feed_channels_equal(a, b) &&
           tls_pins_equal(&a->pins, &b->pins);
}

bool config_feed_equal(const struct config_feed *a, const struct config_feed *b)
{
    return config_feed_links_equal(a, b) && a->links_max == b->links_max &&
           a->rest_weight == b->rest_weight &&
           strcmp(a->rest_url_text, b->rest_url_text) == 0 && config_feed_symbols_equal(a, b);
}
