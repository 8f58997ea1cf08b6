// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever a server answers to a ClientHello, in whatever pieces, a client ends up
// wanting more or in a named failure, never established, and its output stays within bounds. The
// first byte chooses the cut.
#include "format/ensure.h"
#include "protocol/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls *client(void)
{
    static struct tls *tls;
    if (tls != NULL)
        return tls;
    struct tls_failure failure = {0};
    struct tls_options options = {.role = TLS_CLIENT};
    struct tls_context *context = tls_context_create(&options, &failure);
    if (context == NULL) {
        (void)fprintf(stderr, "%s\n", failure.text);
        exit(1);
    }
    tls = tls_create(context, TLS_OUTPUT_SIZE_MIN);
    ensure(tls != NULL);
    return tls;
}

static int32_t read_to_the_end(struct tls *tls)
{
    uint8_t plain[512];
    int32_t count;
    while ((count = tls_read(tls, plain, sizeof plain)) > 0)
        ensure(count <= (int32_t)sizeof plain);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 16384)
        return 0;
    struct tls *tls = client();
    size_t step = 1 + (size_t)data[0] * 8;
    ensure(tls_start(tls, "localhost") == TLS_WANT_INPUT);
    for (size_t at = 1; at < size; at += step) {
        tls_feed(tls, data + at, size - at < step ? size - at : step);
        int32_t result = read_to_the_end(tls);
        ensure(strlen(tls_result_text((enum tls_result)result)) > 0);
        ensure(!tls_established(tls));
        if (result == TLS_WANT_INPUT)
            continue;
        ensure(result == TLS_CLOSED || (int32_t)tls_failure(tls)->result == result);
        const uint8_t *output;
        uint32_t output_size;
        tls_output(tls, &output, &output_size);
        ensure(output_size <= TLS_OUTPUT_SIZE_MIN);
    }
    enum tls_result last = tls_end_of_input(tls);
    ensure(last == TLS_CLOSED || last <= TLS_ERROR_CERTIFICATE_EXPIRED);
    return 0;
}
