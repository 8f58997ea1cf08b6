// SPDX-License-Identifier: GPL-3.0-or-later
//
// What do the protocol modules cost per unit: a WebSocket frame, a decimal, a trade message, a TLS
// record, a handshake? Bounds: memory bandwidth for strict JSON and UTF-8, AES-GCM for TLS.
//
// Fixed inputs, 41 samples of some milliseconds of CPU time; the median is printed, and the
// minimum, which says more on a machine that others use. The last line says whether every result
// was right. --smoke: one short sample of everything.
#include "bench/times.h"
#include "format/ensure.h"
#include "protocol/decimal.h"
#include "protocol/json.h"
#include "protocol/tls.h"
#include "protocol/websocket.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES_MAX 41
#define STREAM_SIZE (256u << 10)

static uint32_t samples = SAMPLES_MAX;
static double scale = 1.0;
static bool all_good = true;

// CPU time of the thread: what others do on the machine matters less.
static void print(const char *name, const char *metric, const char *suffix, const char *unit,
                  double value, double spread)
{
    (void)printf("{\"bench\":\"protocol\",\"case\":\"%s\",\"metric\":\"%s%s\",\"value\":%.3f,"
                 "\"unit\":\"%s\",\"spread\":%.3f,\"peer\":null}\n",
                 name, metric, suffix, value, unit, spread);
}

// `values`: costs in ns; `unit_size`: what one of them is for, to print them as a speed, or 0.
static void report(const char *name, const char *metric, double *values, double unit_size)
{
    qsort(values, samples, sizeof values[0], times_compare);
    double least = values[0];
    double median = values[samples / 2];
    double spread = (values[samples - 1] - least) / median;
    print(name, metric, "", "ns", median, spread);
    print(name, metric, "_min", "ns", least, spread);
    (void)fprintf(stderr, "%-28s %-16s %10.1f min %10.1f ns", name, metric, median, least);
    if (unit_size > 0) {
        print(name, "gigabytes_per_second", "", "GB/s", unit_size / median, spread);
        print(name, "gigabytes_per_second", "_max", "GB/s", unit_size / least, spread);
        (void)fprintf(stderr, "  %7.2f max %7.2f GB/s", unit_size / median, unit_size / least);
    }
    (void)fprintf(stderr, "\n");
    (void)fflush(stdout);
}

static void check(bool good, const char *what)
{
    if (good)
        return;
    all_good = false;
    (void)fprintf(stderr, "wrong result: %s\n", what);
}

// A trade as Binance sends it on a raw stream with times in microseconds.
static const char trade[] =
    "{\"e\":\"trade\",\"E\":1723075200123456,\"s\":\"BTCUSDT\",\"t\":3718283042,\"p\":\""
    "61737.63000000\",\"q\":\"0.00345000\",\"T\":1723075200122345,\"m\":true,\"M\":true}";

// ---- websocket ----------------------------------------------------------------------------------

static uint32_t fill_stream(uint8_t *stream, const uint8_t *mask)
{
    uint32_t size = 0;
    uint32_t frame = websocket_frame_size(sizeof trade - 1, mask != NULL);
    for (; size + frame <= STREAM_SIZE; size += frame)
        ensure(websocket_encode(stream + size, frame, WEBSOCKET_TEXT, (const uint8_t *)trade,
                                sizeof trade - 1, mask) == frame);
    return size;
}

static uint32_t count_frames(struct websocket *websocket, uint8_t *stream, uint32_t size,
                             uint32_t step)
{
    uint32_t frames = 0;
    struct websocket_event event;
    for (uint32_t at = 0; at < size; at += step) {
        uint8_t *position = stream + at;
        uint8_t *end = stream + (size - at < step ? size : at + step);
        while (websocket_next(websocket, &position, end, &event) == WEBSOCKET_EVENT)
            frames++;
    }
    return frames;
}

static void bench_websocket(const char *name, const uint8_t *mask, uint32_t step)
{
    uint8_t *stream = malloc(STREAM_SIZE + WEBSOCKET_PADDING);
    uint8_t *message = malloc(65536 + WEBSOCKET_PADDING);
    ensure(stream != NULL && message != NULL);
    struct websocket websocket;
    websocket_init(&websocket, mask ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT, message, 65536);
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < samples; i++) {
        uint32_t size = fill_stream(stream, mask);
        uint32_t expected = size / websocket_frame_size(sizeof trade - 1, mask != NULL);
        double start = times_cpu_ns();
        uint32_t frames = count_frames(&websocket, stream, size, step);
        values[i] = (times_cpu_ns() - start) / frames;
        check(frames == expected, name);
    }
    report(name, "ns_per_frame", values, 0);
    free(stream);
    free(message);
}

// ---- decimals and JSON --------------------------------------------------------------------------

static const char *const decimals[] = {
    "61737.63000000", "0.00345000", "0.35130000", "127.0", "103460000.0", "12345678.12345678",
    "0.00000012", "46116.00000000",
};
#define DECIMALS (sizeof decimals / sizeof decimals[0])

static void bench_decimal(const char *name, bool fast)
{
    char texts[DECIMALS][DECIMAL_PADDED_SIZE + 32] = {{0}};
    uint32_t sizes[DECIMALS];
    int64_t expected = 0;
    for (size_t n = 0; n < DECIMALS; n++) {
        sizes[n] = (uint32_t)strlen(decimals[n]);
        memcpy(texts[n], decimals[n], sizes[n]);
        int64_t mantissa = 0;
        uint8_t places = 0;
        ensure(decimal_parse(decimals[n], sizes[n], &mantissa, &places) == DECIMAL_OK);
        expected += mantissa + places;
    }
    uint32_t rounds = (uint32_t)(20000 * scale);
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < samples; i++) {
        int64_t sum = 0;
        double start = times_cpu_ns();
        for (uint32_t round = 0; round < rounds; round++)
            for (size_t n = 0; n < DECIMALS; n++) {
                int64_t mantissa = 0;
                uint8_t places = 0;
                if (fast)
                    (void)decimal_parse_padded(texts[n], sizes[n], &mantissa, &places);
                else
                    (void)decimal_parse_reference(texts[n], sizes[n], &mantissa, &places);
                sum += mantissa + places;
            }
        values[i] = (times_cpu_ns() - start) / (rounds * (double)DECIMALS);
        check(sum == rounds * expected, name);
    }
    report(name, "ns_per_decimal", values, 0);
}

struct trade_values {
    int64_t numbers[3];
    int64_t mantissas[2];
    uint8_t scales[2];
    struct json_slice symbol;
    bool flags[2];
};

static bool scan_trade(struct json_cursor *cursor, struct trade_values *out)
{
    return JSON_EXPECT(cursor, "{\"e\":\"trade\",\"E\":") &&
           json_cursor_integer(cursor, &out->numbers[0]) && JSON_EXPECT(cursor, ",\"s\":") &&
           json_cursor_string(cursor, &out->symbol) && JSON_EXPECT(cursor, ",\"t\":") &&
           json_cursor_integer(cursor, &out->numbers[1]) && JSON_EXPECT(cursor, ",\"p\":") &&
           json_cursor_decimal_string(cursor, &out->mantissas[0], &out->scales[0]) &&
           JSON_EXPECT(cursor, ",\"q\":") &&
           json_cursor_decimal_string(cursor, &out->mantissas[1], &out->scales[1]) &&
           JSON_EXPECT(cursor, ",\"T\":") && json_cursor_integer(cursor, &out->numbers[2]) &&
           JSON_EXPECT(cursor, ",\"m\":") && json_cursor_boolean(cursor, &out->flags[0]) &&
           JSON_EXPECT(cursor, ",\"M\":") && json_cursor_boolean(cursor, &out->flags[1]) &&
           JSON_EXPECT(cursor, "}") && json_cursor_done(cursor);
}

static void bench_json_cursor(void)
{
    char text[sizeof trade + JSON_PADDING] = {0};
    memcpy(text, trade, sizeof trade);
    uint32_t rounds = (uint32_t)(20000 * scale);
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < samples; i++) {
        int64_t sum = 0;
        double start = times_cpu_ns();
        for (uint32_t round = 0; round < rounds; round++) {
            struct json_cursor cursor = json_cursor(text, sizeof trade - 1);
            struct trade_values out = {0};
            sum += scan_trade(&cursor, &out) ? out.mantissas[1] : 0;
        }
        values[i] = (times_cpu_ns() - start) / rounds;
        check(sum == (int64_t)rounds * 345000, "json cursor");
    }
    report("json_cursor_trade", "ns_per_message", values, 0);
}

static void bench_json_strict(void)
{
    uint32_t count = (uint32_t)(2000 * scale) + 1;
    uint32_t capacity = count * (uint32_t)sizeof trade + 2;
    char *text = malloc(capacity);
    ensure(text != NULL);
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        text[size++] = i == 0 ? '[' : ',';
        memcpy(text + size, trade, sizeof trade - 1);
        size += (uint32_t)sizeof trade - 1;
    }
    text[size++] = ']';
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < samples; i++) {
        struct json_value root;
        double start = times_cpu_ns();
        enum json_error error = json_parse(text, size, &root, NULL);
        values[i] = (times_cpu_ns() - start) / count;
        check(error == JSON_OK && root.size == size, "json strict");
    }
    report("json_strict", "ns_per_message", values, sizeof trade - 1);
    free(text);
}

// ---- tls ----------------------------------------------------------------------------------------

static char folder[] = "/tmp/ringtape-bench-XXXXXX";

static const char *path(const char *name)
{
    static char paths[4][128];
    static uint32_t next;
    char *target = paths[next++ % 4];
    (void)snprintf(target, sizeof paths[0], "%s/%s", folder, name);
    return target;
}

static bool run(const char *program, const char *first, const char *second)
{
    pid_t child = fork();
    ensure(child >= 0);
    if (child == 0) {
        (void)execlp(program, program, first, second, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0;
}

struct ends {
    struct tls_context *contexts[2];
    struct tls *client;
    struct tls *server;
};

static struct ends make_ends(uint32_t output_size)
{
    struct tls_failure failure = {0};
    struct tls_options client = {.role = TLS_CLIENT, .ca_file = path("ca.pem")};
    struct tls_options server = {.role = TLS_SERVER,
                                 .certificate_file = path("localhost.pem"),
                                 .key_file = path("localhost.key")};
    struct ends ends = {.contexts = {tls_context_create(&client, &failure),
                                     tls_context_create(&server, &failure)}};
    ensure(ends.contexts[0] != NULL && ends.contexts[1] != NULL);
    ends.client = tls_create(ends.contexts[0], output_size);
    ends.server = tls_create(ends.contexts[1], output_size);
    ensure(ends.client != NULL && ends.server != NULL);
    return ends;
}

static void free_ends(struct ends *ends)
{
    tls_destroy(ends->client);
    tls_destroy(ends->server);
    tls_context_destroy(ends->contexts[0]);
    tls_context_destroy(ends->contexts[1]);
}

// All that one end has to say, to the other; returns the plaintext's size.
static uint64_t carry(struct tls *from, struct tls *to)
{
    static uint8_t plain[65536];
    uint64_t total = 0;
    const uint8_t *data;
    uint32_t size;
    for (tls_output(from, &data, &size); size > 0; tls_output(from, &data, &size)) {
        tls_feed(to, data, size);
        int32_t count;
        while ((count = tls_read(to, plain, sizeof plain)) > 0)
            total += (uint64_t)count;
        check(count == TLS_WANT_INPUT, tls_failure(to)->text);
        if (count != TLS_WANT_INPUT)
            break;
        tls_output_taken(from, size);
    }
    return total;
}

static void shake_hands(struct ends *ends)
{
    ensure(tls_start(ends->server, NULL) == TLS_WANT_INPUT);
    ensure(tls_start(ends->client, "localhost") == TLS_WANT_INPUT);
    for (int i = 0; i < 4; i++) {
        (void)carry(ends->client, ends->server);
        (void)carry(ends->server, ends->client);
    }
    check(tls_established(ends->client) && tls_established(ends->server), "tls handshake");
}

static void bench_tls_read(const char *name, uint32_t record_size)
{
    static uint8_t data[TLS_RECORD_SIZE_MAX];
    uint32_t total = (uint32_t)(1.0 * (1 << 20) * scale);
    uint32_t count = total / record_size + 8;
    struct ends ends = make_ends(count * (record_size + 64) + TLS_OUTPUT_SIZE_MIN);
    shake_hands(&ends);
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < samples; i++) {
        for (uint32_t n = 0; n < count; n++)
            check(tls_write(ends.server, data, record_size) == (int32_t)record_size, "write");
        double start = times_cpu_ns();
        uint64_t got = carry(ends.server, ends.client);
        double elapsed = times_cpu_ns() - start;
        values[i] = elapsed / count;
        check(got == (uint64_t)count * record_size, name);
    }
    report(name, "ns_per_record", values, record_size);
    free_ends(&ends);
}

static void bench_handshake(const char *name, bool resume)
{
    struct ends ends = make_ends(65536);
    uint32_t rounds = (uint32_t)(4 * scale) + 1;
    double values[SAMPLES_MAX];
    shake_hands(&ends);
    for (uint32_t i = 0; i < samples; i++) {
        double elapsed = 0;
        for (uint32_t n = 0; n < rounds; n++) {
            // A fresh pair of contexts knows no session.
            struct ends fresh = resume ? ends : make_ends(65536);
            double start = times_cpu_ns();
            shake_hands(&fresh);
            elapsed += times_cpu_ns() - start;
            check(tls_resumed(fresh.client) == resume, name);
            if (!resume)
                free_ends(&fresh);
        }
        values[i] = elapsed / rounds;
    }
    report(name, "ns_both_sides", values, 0);
    free_ends(&ends);
}

static void bench_tls(void)
{
    ensure(mkdtemp(folder) != NULL);
    if (run("tests/certificates.sh", folder, NULL)) {
        (void)fprintf(stderr, "%s\n", tls_library_text());
        bench_tls_read("tls_read_172", 172); // a trade of Binance with its frame head
        bench_tls_read("tls_read_256", 256);
        bench_tls_read("tls_read_1k", 1024);
        bench_tls_read("tls_read_16k", TLS_RECORD_SIZE_MAX);
        bench_handshake("tls_handshake_full", false);
        bench_handshake("tls_handshake_resumed", true);
    } else {
        check(false, "tests/certificates.sh; run from the checkout root");
    }
    check(run("rm", "-rf", folder), "rm");
}

int main(int argc, char **argv)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    if (argc > 1 && strcmp(argv[1], "--smoke") == 0) {
        samples = 1;
        scale = 0.1;
    }
    bench_websocket("websocket_text_trade", NULL, STREAM_SIZE);
    bench_websocket("websocket_text_trade_split", NULL, 4096);
    bench_websocket("websocket_text_trade_masked", mask, STREAM_SIZE);
    bench_decimal("decimal_fast", true);
    bench_decimal("decimal_reference", false);
    bench_json_cursor();
    bench_json_strict();
    bench_tls();
    (void)printf("{\"bench\":\"protocol\",\"metric\":\"ok\",\"value\":%s}\n",
                 all_good ? "true" : "false");
    return all_good ? 0 : 1;
}
