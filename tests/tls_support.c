// SPDX-License-Identifier: GPL-3.0-or-later
//
// The carrier between two ends of TLS in memory.
#include "tls_support.h"

#include "format/ensure.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_CAPACITY (1u << 20)

static char folder[] = "/tmp/ringtape-certificates-XXXXXX";

static void run_script(void)
{
    pid_t child = fork();
    ensure(child >= 0);
    if (child == 0) {
        (void)execl("tests/certificates.sh", "certificates.sh", folder, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    ensure(waitpid(child, &status, 0) == child);
    if (status != 0)
        (void)fprintf(stderr, "tests/certificates.sh failed; run tests from the checkout root\n");
    ensure(status == 0);
}

void certificates_make(void)
{
    (void)memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ensure(mkdtemp(folder) != NULL);
    run_script();
}

void certificates_remove(void)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        if (entry->d_name[0] != '.')
            (void)unlink(certificates_path(entry->d_name));
    (void)closedir(directory);
    (void)rmdir(folder);
}

const char *certificates_path(const char *name)
{
    static char paths[8][512];
    static uint32_t next;
    char *path = paths[next++ % 8];
    ensure(snprintf(path, sizeof paths[0], "%s/%s", folder, name) < (int)sizeof paths[0]);
    return path;
}

static struct tls_context *make_context(const struct tls_options *options)
{
    struct tls_failure failure = {0};
    struct tls_context *context = tls_context_create(options, &failure);
    if (context == NULL)
        (void)fprintf(stderr, "%s\n", failure.text);
    ensure(context != NULL);
    return context;
}

struct tls_pair tls_pair_make(const char *certificate, bool client_1_2, bool server_1_2)
{
    char name[64];
    struct tls_options client = {.role = TLS_CLIENT, .version_1_2_only = client_1_2};
    struct tls_options server = {.role = TLS_SERVER, .version_1_2_only = server_1_2};
    client.ca_file = certificates_path("ca.pem");
    (void)snprintf(name, sizeof name, "%s.pem", certificate);
    server.certificate_file = certificates_path(name);
    (void)snprintf(name, sizeof name, "%s.key", certificate);
    server.key_file = certificates_path(name);
    struct tls_pair pair = {.client_context = make_context(&client),
                            .server_context = make_context(&server),
                            .plain_capacity = PLAIN_CAPACITY};
    pair.client = tls_create(pair.client_context, 65536);
    pair.server = tls_create(pair.server_context, 65536);
    pair.client_plain = malloc(PLAIN_CAPACITY);
    pair.server_plain = malloc(PLAIN_CAPACITY);
    ensure(pair.client != NULL && pair.server != NULL);
    ensure(pair.client_plain != NULL && pair.server_plain != NULL);
    return pair;
}

void tls_pair_pin(struct tls_pair *pair, const struct tls_pins *pins)
{
    const struct tls_options options = {
        .role = TLS_CLIENT, .ca_file = certificates_path("ca.pem"), .pins = pins};
    ensure(pins != NULL);
    tls_destroy(pair->client);
    tls_context_destroy(pair->client_context);
    pair->client_context = make_context(&options);
    pair->client = tls_create(pair->client_context, 65536);
    ensure(pair->client != NULL);
}

void tls_pair_free(struct tls_pair *pair)
{
    tls_destroy(pair->client);
    tls_destroy(pair->server);
    tls_context_destroy(pair->client_context);
    tls_context_destroy(pair->server_context);
    free(pair->client_plain);
    free(pair->server_plain);
}

void tls_pair_start(struct tls_pair *pair, const char *host)
{
    ensure(tls_start(pair->server, NULL) == TLS_WANT_INPUT);
    ensure(tls_start(pair->client, host) == TLS_WANT_INPUT);
    pair->client_plain_size = 0;
    pair->server_plain_size = 0;
    pair->client_result = TLS_WANT_INPUT;
    pair->server_result = TLS_WANT_INPUT;
}

// Reads all there is; returns the last answer.
static int32_t read_all(struct tls *tls, uint8_t *plain, uint32_t *plain_size, uint32_t capacity)
{
    for (;;) {
        ensure(*plain_size < capacity);
        int32_t count = tls_read(tls, plain + *plain_size, capacity - *plain_size);
        if (count <= 0)
            return count;
        *plain_size += (uint32_t)count;
    }
}

// One piece from one end to the other; false if there was none.
static bool carry(struct tls *from, struct tls *to, uint32_t step, int32_t *result, uint8_t *plain,
                  uint32_t *plain_size, uint32_t capacity)
{
    const uint8_t *data;
    uint32_t size;
    tls_output(from, &data, &size);
    if (size == 0)
        return false;
    if (size > step)
        size = step;
    // A copy of its own, so that reading too far or too late is noticed.
    uint8_t *copy = malloc(size);
    ensure(copy != NULL);
    memcpy(copy, data, size);
    tls_output_taken(from, size);
    if (*result == TLS_WANT_INPUT) {
        tls_feed(to, copy, size);
        *result = read_all(to, plain, plain_size, capacity);
    }
    free(copy);
    return true;
}

void tls_pair_pump(struct tls_pair *pair, uint32_t step)
{
    bool moved = true;
    while (moved) {
        moved = carry(pair->client, pair->server, step, &pair->server_result, pair->server_plain,
                      &pair->server_plain_size, pair->plain_capacity);
        moved |= carry(pair->server, pair->client, step, &pair->client_result, pair->client_plain,
                       &pair->client_plain_size, pair->plain_capacity);
    }
}
