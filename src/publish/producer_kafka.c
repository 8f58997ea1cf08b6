// SPDX-License-Identifier: GPL-3.0-or-later
//
// producer_kafka: see producer_kafka.h.
//
// Refusals. A broker refuses a whole batch of messages for one that is too large or too old, and
// librdkafka then reports all of them with the error. `enable.gapless.guarantee` makes it stop
// there (a fatal error) instead of going on behind the gap, so the owner can send the batch again
// one by one, in order. What is refused for its topic (there is none, no right to write) concerns
// each message by itself.
#include "publish/producer_kafka.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "publish/message.h"
#include "publish/partition_start.h"

enum {
    KAFKA_TEXT_BYTES = 256,
    KAFKA_SCHEMA_BYTES = 48,
};

// The header `schema` of the channel's messages.
struct kafka_schema {
    char text[KAFKA_SCHEMA_BYTES];
    uint32_t size;   // 0: no message as yet
    uint16_t format; // of the latest message
};

struct kafka {
    struct producer producer; // first: what the owner has
    struct kafka_maker *maker;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[CHANNEL_COUNT];
    void (*wake)(void *context);
    void *wake_context;
    rd_kafka_event_t *event; // delivery reports, not all handed out yet
    bool broken;
    struct kafka_schema schema[CHANNEL_COUNT];
    struct partition_start start[CHANNEL_COUNT];
    uint32_t starting; // first messages under way, of all topics
    int64_t start_again_ns;
};

// ---- options ----

struct kafka_pair {
    const char *name;
    const char *value;
};

// The queue's bound in messages stands for what a message costs beside its bytes.
static const struct kafka_pair pairs_common[] = {
    {"enable.idempotence", "true"},
    {"enable.gapless.guarantee", "true"},
    {"message.timeout.ms", "0"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "2000"},
    {"queue.buffering.max.messages", "250000"},
    {"topic.metadata.refresh.interval.ms", "30000"},
    {"log.connection.close", "false"},
    {"log.queue", "true"},
    {NULL, NULL},
};
// docs/kafka.md shows what these trade for one another.
static const struct kafka_pair pairs_profile[][4] = {
    [KAFKA_THROUGHPUT] = {{"linger.ms", "10"}, {"compression.type", "lz4"}, {NULL, NULL}},
    [KAFKA_LATENCY] = {{"linger.ms", "0"}, {"compression.type", "none"}, {NULL, NULL}},
    [KAFKA_AT_ONCE] = {{"linger.ms", "0"}, {"compression.type", "none"}, {NULL, NULL}},
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *text, size_t size)
{
    char error[KAFKA_TEXT_BYTES];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK) return true;
    (void)snprintf(text, size, "%s: %s", name, error);
    return false;
}

static bool set_pairs(rd_kafka_conf_t *conf, const struct kafka_pair *pair, char *text, size_t size)
{
    for (; pair->name != NULL; pair++) {
        if (!set(conf, pair->name, pair->value, text, size)) return false;
    }
    return true;
}

static bool set_password(rd_kafka_conf_t *conf, const char *path, char *text, size_t size)
{
    char password[KAFKA_PROPERTY_VALUE_BYTES + 1];
    FILE *file = fopen(path, "re");
    size_t got = file != NULL ? fread(password, 1, sizeof password - 1, file) : 0;
    bool good = file != NULL && ferror(file) == 0 && got > 0;
    if (!good)
        (void)snprintf(text, size, "sasl.password_file: \"%.200s\" cannot be read: %s", path,
                       file != NULL && got == 0 ? "it is empty" : strerror(errno));
    if (file != NULL) (void)fclose(file);
    while (got > 0 && (password[got - 1] == '\n' || password[got - 1] == '\r')) got--;
    password[got] = '\0';
    good = good && set(conf, "sasl.password", password, text, size);
    explicit_bzero(password, sizeof password);
    return good;
}

static bool set_security(rd_kafka_conf_t *conf, const struct kafka_options *options, char *text,
                         size_t size)
{
    bool sasl = options->sasl_mechanism[0] != '\0';
    bool good = set(conf, "security.protocol",
                    options->tls ? (sasl ? "sasl_ssl" : "ssl")
                                 : (sasl ? "sasl_plaintext" : "plaintext"),
                    text, size);
    if (good && options->ca_file[0] != '\0')
        good = set(conf, "ssl.ca.location", options->ca_file, text, size);
    if (good && options->certificate_file[0] != '\0')
        good = set(conf, "ssl.certificate.location", options->certificate_file, text, size);
    if (good && options->key_file[0] != '\0')
        good = set(conf, "ssl.key.location", options->key_file, text, size);
    if (!good || !sasl) return good;
    return set(conf, "sasl.mechanisms", options->sasl_mechanism, text, size) &&
           set(conf, "sasl.username", options->sasl_user, text, size) &&
           set_password(conf, options->sasl_password_file, text, size);
}

static bool set_queue(rd_kafka_conf_t *conf, int64_t bytes, char *text, size_t size)
{
    char kbytes[24];
    (void)snprintf(kbytes, sizeof kbytes, "%lld", (long long)(bytes / 1024));
    return set(conf, "queue.buffering.max.kbytes", kbytes, text, size);
}

// What would break what the mirror promises.
static bool property_forbidden(const char *name)
{
    static const char *const names[] = {
        "bootstrap.servers", "metadata.broker.list", "enable.idempotence", "message.timeout.ms",
        "delivery.timeout.ms", "enable.gapless.guarantee", "acks", "request.required.acks",
        "transactional.id", "partitioner", NULL};
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

// What librdkafka's CONFIGURATION.md has for secrets: passwords of the login, of a key and of a
// keystore; keys as text; what a token is asked for with. By parts of names: later versions have
// more of them than 2.0 has.
static bool property_secret(const char *name)
{
    static const char *const parts[] = {"password", "passphrase", "secret", "key.pem",
                                        "sasl.oauthbearer.config", NULL};
    for (int i = 0; parts[i] != NULL; i++) {
        if (strstr(name, parts[i]) != NULL) return true;
    }
    return false;
}

// NULL: it may be set.
static const char *property_refusal(const char *name)
{
    if (property_forbidden(name))
        return "is ringtaped's to set; what may be set otherwise has a key of its own";
    if (property_secret(name))
        return "is a secret, and those come from files: sasl.password_file and key_file";
    return NULL;
}

static bool set_properties(rd_kafka_conf_t *conf, const struct kafka_options *options, char *text,
                           size_t size)
{
    for (uint32_t i = 0; i < options->property_count; i++) {
        const struct kafka_property *property = &options->properties[i];
        const char *refusal = property_refusal(property->name);
        if (refusal != NULL) {
            (void)snprintf(text, size, "properties.%s: %s", property->name, refusal);
            return false;
        }
        if (!set(conf, property->name, property->value, text, size)) return false;
    }
    return true;
}

static rd_kafka_conf_t *configure(const struct kafka_options *options, enum kafka_profile profile,
                                  char *text, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = set(conf, "bootstrap.servers", options->brokers, text, size) &&
                set(conf, "client.id", "ringtaped", text, size) &&
                set_pairs(conf, pairs_common, text, size) &&
                set_pairs(conf, pairs_profile[profile], text, size) &&
                set_queue(conf, options->queue_bytes, text, size) &&
                set_security(conf, options, text, size) &&
                set_properties(conf, options, text, size) &&
                // An alert waits for nobody, whatever the properties say.
                (profile != KAFKA_AT_ONCE || set(conf, "linger.ms", "0", text, size));
    if (good) return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

// A client that is never used finds what only making one finds: a certificate that is none.
bool kafka_options_possible(const struct kafka_options *options, char *text, size_t text_size)
{
    char cause[KAFKA_TEXT_BYTES];
    rd_kafka_conf_t *conf = configure(options, KAFKA_THROUGHPUT, text, text_size);
    if (conf == NULL) return false;
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, cause, sizeof cause);
    if (client != NULL) {
        rd_kafka_destroy(client);
        return true;
    }
    rd_kafka_conf_destroy(conf);
    (void)snprintf(text, text_size, "%s", cause);
    return false;
}

// ---- messages ----

static const struct kafka_schema *schema_of(struct kafka *kafka,
                                            const struct producer_message *message)
{
    struct kafka_schema *schema = &kafka->schema[message->channel];
    if (schema->size != 0 && schema->format == message->format) return schema;
    int size = snprintf(schema->text, sizeof schema->text, "%s.%s",
                        message_schema(message->channel),
                        message_format_name((enum message_format)message->format));
    ensure(size > 0 && size < KAFKA_SCHEMA_BYTES);
    schema->size = (uint32_t)size;
    schema->format = message->format;
    return schema;
}

// Made anew for each message: taking those of delivered ones instead was slower, they are far away
// in memory by then.
static rd_kafka_headers_t *headers_of(struct kafka *kafka, const struct producer_message *message)
{
    const struct kafka_schema *schema = schema_of(kafka, message);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    (void)rd_kafka_header_add(headers, "schema", 6, schema->text, (ssize_t)schema->size);
    (void)rd_kafka_header_add(headers, "version", 7, "1", 1);
    (void)rd_kafka_header_add(headers, "identity", 8, message->identity,
                              (ssize_t)message->identity_size);
    return headers;
}

// On any thread: librdkafka asks when it knows how many partitions there are.
static int32_t place(const rd_kafka_topic_t *topic, const void *key, size_t key_size,
                     int32_t partitions, void *start, void *message)
{
    atomic_store_explicit(&((struct partition_start *)start)->count, partitions,
                          memory_order_relaxed);
    return rd_kafka_msg_partitioner_murmur2_random(topic, key, key_size, partitions, NULL,
                                                   message);
}

static rd_kafka_topic_t *open_topic(struct kafka *kafka, enum channel channel)
{
    char name[KAFKA_PREFIX_BYTES + 32];
    (void)snprintf(name, sizeof name, "%s.%s", kafka->maker->options->prefix,
                   message_topic(channel));
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(kafka->client);
    rd_kafka_topic_conf_set_opaque(conf, &kafka->start[channel]);
    rd_kafka_topic_conf_set_partitioner_cb(conf, place);
    return rd_kafka_topic_new(kafka->client, name, conf); // which takes `conf`
}

// Where place() puts the message.
static int32_t partition_of(const struct kafka *kafka, const struct producer_message *message)
{
    int32_t count = atomic_load_explicit(&kafka->start[message->channel].count,
                                         memory_order_relaxed);
    if (count <= 0) return PARTITION_UNKNOWN;
    return rd_kafka_msg_partitioner_murmur2_random(kafka->topics[message->channel], message->key,
                                                   message->key_size, count, NULL, NULL);
}

static struct partition_start *start_of(struct kafka *kafka, enum channel channel)
{
    struct partition_start *start = &kafka->start[channel];
    uint32_t waiting = start->waiting;
    partition_start_look(start);
    kafka->starting -= waiting - start->waiting;
    return start;
}

static int kafka_produce(struct producer *producer, const struct producer_message *message,
                         const char **cause)
{
    struct kafka *kafka = (struct kafka *)producer;
    ensure(message->key != NULL); // librdkafka places a message without key anywhere
    rd_kafka_topic_t **topic = &kafka->topics[message->channel];
    if (*topic == NULL) *topic = open_topic(kafka, message->channel);
    if (*topic == NULL) return -ENOBUFS; // no memory
    struct partition_start *start = start_of(kafka, message->channel);
    bool starts = !partition_start_over(start);
    int32_t partition = starts ? partition_of(kafka, message) : PARTITION_UNKNOWN;
    if (starts && !partition_start_may(start, partition)) return -ENOBUFS;
    rd_kafka_headers_t *headers = headers_of(kafka, message);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka->client, RD_KAFKA_V_RKT(*topic),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(message->key, message->key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->value_size),
        RD_KAFKA_V_TIMESTAMP(message->time_ms), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)message->tag), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        uint32_t waiting = start->waiting;
        if (starts) partition_start_sent(start, partition);
        kafka->starting += start->waiting - waiting;
        return 0;
    }
    rd_kafka_headers_destroy(headers);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return -ENOBUFS;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        kafka->broken = true;
        return -ENOBUFS; // the owner asks for `broken` before it waits
    }
    *cause = rd_kafka_err2str(error);
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? -EMSGSIZE : -EINVAL;
}

static enum producer_verdict verdict_of(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return PRODUCER_DELIVERED;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return PRODUCER_REFUSED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE: return PRODUCER_SUSPECT;
    default: return PRODUCER_LOST;
    }
}

static enum channel channel_of(const struct kafka *kafka, const rd_kafka_topic_t *topic)
{
    int channel = 0;
    while (channel < CHANNEL_COUNT && kafka->topics[channel] != topic) channel++;
    ensure(channel < CHANNEL_COUNT);
    return (enum channel)channel;
}

static struct producer_message message_of(const struct kafka *kafka, const rd_kafka_message_t *m)
{
    struct producer_message message = {.channel = channel_of(kafka, m->rkt),
                                       .key = m->key,
                                       .value = m->payload,
                                       .key_size = (uint32_t)m->key_len,
                                       .value_size = (uint32_t)m->len,
                                       .tag = (uint64_t)(uintptr_t)m->_private};
    rd_kafka_headers_t *headers = NULL;
    size_t size = 0;
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "identity", &message.identity, &size) ==
            RD_KAFKA_RESP_ERR_NO_ERROR)
        message.identity_size = (uint32_t)size;
    return message;
}

// ---- reports ----

static void tell(struct kafka *kafka, enum log_message message, const char *cause)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (kafka->maker->log != NULL)
        log_write(kafka->maker->log, message, now.tv_sec * LIMIT_SECOND_NS + now.tv_nsec,
                  "cause=\"%s\"", cause);
}

static void told_log(struct kafka *kafka, rd_kafka_event_t *event)
{
    const char *facility = NULL;
    const char *text = NULL;
    int level = 7;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0 || level > 6) return;
    if (strcmp(facility, "CONFWARN") == 0) return; // our own choice of properties
    tell(kafka, level > 4 ? LOG_KAFKA_SAYS : LOG_KAFKA_WARNS, text);
}

static void told_error(struct kafka *kafka, rd_kafka_event_t *event)
{
    char cause[KAFKA_TEXT_BYTES];
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__FATAL) {
        tell(kafka, LOG_KAFKA_UNREACHED, rd_kafka_event_error_string(event));
        return;
    }
    kafka->broken = true;
    (void)rd_kafka_fatal_error(kafka->client, cause, sizeof cause);
    tell(kafka, LOG_PRODUCER_ANEW, cause);
}

static void start_reported(struct kafka *kafka, const rd_kafka_message_t *m)
{
    if (kafka->starting == 0) return;
    struct partition_start *start = start_of(kafka, channel_of(kafka, m->rkt));
    uint32_t waiting = start->waiting;
    partition_start_reported(start, m->partition, m->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    kafka->starting -= waiting - start->waiting;
}

// Of the current event. True: one more was given.
static bool report_next(struct kafka *kafka, producer_report_callback *report, void *context)
{
    const rd_kafka_message_t *m = rd_kafka_event_message_next(kafka->event);
    if (m == NULL) {
        rd_kafka_event_destroy(kafka->event);
        kafka->event = NULL;
        return false;
    }
    start_reported(kafka, m);
    struct producer_message message;
    struct producer_report one = {.verdict = verdict_of(m->err),
                                  .tag = (uint64_t)(uintptr_t)m->_private,
                                  .bytes = (uint32_t)(m->len + m->key_len)};
    if (one.verdict != PRODUCER_DELIVERED) {
        message = message_of(kafka, m);
        one.message = &message;
        one.cause = rd_kafka_err2str(m->err);
        if (one.verdict != PRODUCER_REFUSED && !kafka->broken)
            tell(kafka, LOG_PRODUCER_ANEW, one.cause);
        kafka->broken = kafka->broken || one.verdict != PRODUCER_REFUSED;
    }
    report(context, &one);
    return true;
}

// True: there may be more.
static bool take_event(struct kafka *kafka)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->queue, 0);
    if (event == NULL) return false;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        kafka->event = event;
        return true;
    }
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG) told_log(kafka, event);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) told_error(kafka, event);
    rd_kafka_event_destroy(event);
    return true;
}

static void start_again(struct kafka *kafka)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    int64_t now_ns = now.tv_sec * LIMIT_SECOND_NS + now.tv_nsec;
    if (now_ns < kafka->start_again_ns) return;
    kafka->start_again_ns = now_ns + PARTITION_START_AGAIN_NS;
    for (int c = 0; c < CHANNEL_COUNT; c++) partition_start_again(&kafka->start[c]);
}

static uint32_t kafka_collect(struct producer *producer, uint32_t max,
                              producer_report_callback *report, void *context)
{
    struct kafka *kafka = (struct kafka *)producer;
    uint32_t count = 0;
    start_again(kafka);
    while (count < max && (kafka->event != NULL || take_event(kafka))) {
        if (kafka->event != NULL && report_next(kafka, report, context)) count++;
    }
    return count;
}

static bool kafka_broken(struct producer *producer)
{
    return ((struct kafka *)producer)->broken;
}

// ---- life ----

static void kafka_close(struct producer *producer)
{
    struct kafka *kafka = (struct kafka *)producer;
    if (kafka->event != NULL) rd_kafka_event_destroy(kafka->event);
    if (kafka->queue != NULL) {
        rd_kafka_queue_cb_event_enable(kafka->queue, NULL, NULL);
        rd_kafka_queue_destroy(kafka->queue);
    }
    if (kafka->client != NULL)
        (void)rd_kafka_purge(kafka->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                                RD_KAFKA_PURGE_F_NON_BLOCKING);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (kafka->topics[c] != NULL) rd_kafka_topic_destroy(kafka->topics[c]);
    }
    if (kafka->client != NULL) rd_kafka_destroy(kafka->client);
    free(kafka);
}

static void kafka_woken(rd_kafka_t *client, void *context)
{
    struct kafka *kafka = context;
    (void)client;
    kafka->wake(kafka->wake_context);
}

// Those of rows, so that their first messages need not wait for it. That of whole batches is asked
// for when there is one: few have it.
static bool open_topics(struct kafka *kafka)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (c == MESSAGE_BATCHES || message_topic((enum channel)c) == NULL) continue;
        kafka->topics[c] = open_topic(kafka, (enum channel)c);
        if (kafka->topics[c] == NULL) return false;
    }
    return true;
}

int kafka_make(void *context, void (*wake)(void *wake_context), void *wake_context,
               struct producer **producer, char *text, size_t text_size)
{
    struct kafka_maker *maker = context;
    rd_kafka_conf_t *conf = configure(maker->options, maker->profile, text, text_size);
    if (conf == NULL) return -EINVAL;
    struct kafka *kafka = calloc(1, sizeof *kafka);
    ensure(kafka != NULL); // 60 KB
    *kafka = (struct kafka){.producer = {kafka_produce, kafka_collect, kafka_broken, kafka_close},
                            .maker = maker,
                            .wake = wake,
                            .wake_context = wake_context};
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    kafka->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, text_size);
    if (kafka->client == NULL) {
        rd_kafka_conf_destroy(conf);
        free(kafka);
        return -EINVAL;
    }
    kafka->queue = rd_kafka_queue_get_main(kafka->client);
    (void)rd_kafka_set_log_queue(kafka->client, kafka->queue);
    rd_kafka_queue_cb_event_enable(kafka->queue, kafka_woken, kafka);
    if (!open_topics(kafka)) {
        (void)snprintf(text, text_size, "%s", rd_kafka_err2str(rd_kafka_last_error()));
        kafka_close(&kafka->producer);
        return -EINVAL;
    }
    *producer = &kafka->producer;
    return 0;
}
