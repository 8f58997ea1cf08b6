// SPDX-License-Identifier: GPL-3.0-or-later
//
// The library and what connections share: hooks, cipher order, trust, identity, sessions.
#include "protocol/tls_context.h"

#include "format/ensure.h"
#include "protocol/tls_failure.h"
#include "protocol/tls_memory.h"
#include "protocol/tls_wolfssl.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

// ---- library ------------------------------------------------------------------------------------

enum tls_library tls_library_kind(void)
{
#ifdef RINGTAPE_WOLFSSL_BUNDLED
    return TLS_LIBRARY_BUNDLED;
#else
    return TLS_LIBRARY_STOCK;
#endif
}

const char *tls_library_text(void)
{
#ifdef RINGTAPE_WOLFSSL_BUNDLED
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING " (bundled, AES-NI)";
#else
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING " (the system's, without AES-NI: slow)";
#endif
}

// Without AES instructions ChaCha20 is the faster one by far.
#define AES_13 "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384"
#define AES_12                                                                                     \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define CHACHA_13 "TLS13-CHACHA20-POLY1305-SHA256"
#define CHACHA_12 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static const char *cipher_order(void)
{
    if (tls_library_kind() == TLS_LIBRARY_BUNDLED)
        return AES_13 ":" CHACHA_13 ":" AES_12 ":" CHACHA_12;
    return CHACHA_13 ":" AES_13 ":" CHACHA_12 ":" AES_12;
}

static void library_start_once(void)
{
    ensure(wolfSSL_SetAllocators(tls_memory_take, tls_memory_give, tls_memory_resize) == 0);
    ensure(wolfSSL_Init() == WOLFSSL_SUCCESS);
}

static void library_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ensure(pthread_once(&once, library_start_once) == 0);
}

#ifdef RINGTAPE_WOLFSSL_BUNDLED
static tls_clock_function clock_hook;
static tls_random_function random_hook;

static time_t clock_seconds(time_t *target)
{
    time_t now = (time_t)(clock_hook() / 1000000000);
    if (target != NULL)
        *target = now;
    return now;
}

static long long clock_milliseconds(void)
{
    return clock_hook() / 1000000;
}

static int random_seed(unsigned char *target, unsigned int size)
{
    random_hook(target, size);
    return 0;
}

bool tls_set_clock(tls_clock_function clock)
{
    clock_hook = clock;
    ensure(wc_SetTimeCb(clock != NULL ? clock_seconds : NULL) == 0);
    wolfssl_hook_time_set(clock != NULL ? clock_milliseconds : NULL);
    return true;
}

bool tls_set_random(tls_random_function random)
{
    random_hook = random;
    wolfssl_hook_seed_set(random != NULL ? random_seed : NULL);
    return true;
}
#else
bool tls_set_clock(tls_clock_function clock)
{
    return clock == NULL;
}

bool tls_set_random(tls_random_function random)
{
    return random == NULL;
}
#endif

// ---- context ------------------------------------------------------------------------------------

// Where Debian, Fedora, Alpine and SUSE keep the bundle. One file is read in 5 ms; walking the
// folder of single files takes 30 ms (measured on an EPYC 7003).
static const char *system_trust(void)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (access(files[i], R_OK) == 0)
            return files[i];
    return NULL;
}

static bool load_trust(struct tls_context *context, const struct tls_options *options,
                       struct tls_failure *failure)
{
    const char *file = options->ca_file != NULL ? options->ca_file : system_trust();
    if (file == NULL) {
        (void)tls_failure_set(failure, TLS_ERROR_CONFIGURATION, 0,
                          "tls: no bundle of trusted certificates; install package "
                          "ca-certificates, or name one in ca_file");
        return false;
    }
    // One unreadable root among the system's must not take the others away; in an own file it is a
    // mistake to be told.
    unsigned int flags = options->ca_file != NULL ? 0 : WOLFSSL_LOAD_FLAG_IGNORE_ERR;
    int code = wolfSSL_CTX_load_verify_locations_ex(context->library, file, NULL, flags);
    if (code == WOLFSSL_SUCCESS)
        return true;
    (void)tls_failure_set(failure, TLS_ERROR_CONFIGURATION, code,
                      "tls: cannot load trusted certificates from %s: %s; it must be a readable "
                      "PEM file",
                      file, wolfSSL_ERR_reason_error_string((unsigned long)(long)code));
    return false;
}

static bool load_identity(struct tls_context *context, const struct tls_options *options,
                          struct tls_failure *failure)
{
    const char *file = options->certificate_file;
    int code = -1;
    if (file != NULL)
        code = wolfSSL_CTX_use_certificate_chain_file(context->library, file);
    if (code == WOLFSSL_SUCCESS) {
        file = options->key_file;
        code = -1;
        if (file != NULL)
            code = wolfSSL_CTX_use_PrivateKey_file(context->library, file, WOLFSSL_FILETYPE_PEM);
        if (code == WOLFSSL_SUCCESS)
            code = wolfSSL_CTX_check_private_key(context->library);
    }
    if (code == WOLFSSL_SUCCESS)
        return true;
    (void)tls_failure_set(failure, TLS_ERROR_CONFIGURATION, code,
                      "tls: cannot use %s as the server's certificate or key; both must be "
                      "readable PEM files and belong together",
                      file != NULL ? file : "(no file named)");
    return false;
}

static bool context_configure(struct tls_context *context, const struct tls_options *options,
                              struct tls_failure *failure)
{
    WOLFSSL_CTX *library = context->library;
    wolfSSL_CTX_SetIORecv(library, tls_receive);
    wolfSSL_CTX_SetIOSend(library, tls_transmit);
    wolfSSL_CTX_sess_set_new_cb(library, tls_session_new);
    bool good = wolfSSL_CTX_SetMinVersion(library, WOLFSSL_TLSV1_2) == WOLFSSL_SUCCESS &&
                wolfSSL_CTX_set_cipher_list(library, cipher_order()) == WOLFSSL_SUCCESS;
    if (context->role == TLS_CLIENT) {
        wolfSSL_CTX_set_verify(library, WOLFSSL_VERIFY_PEER, NULL);
        good = good && wolfSSL_CTX_UseSessionTicket(library) == WOLFSSL_SUCCESS;
    } else {
        // The client knows better which cipher its machine is fast at.
        wolfSSL_CTX_set_verify(library, WOLFSSL_VERIFY_NONE, NULL);
        good = good && wolfSSL_CTX_UseClientSuites(library) == 0;
    }
    if (!good) {
        (void)tls_failure_set(failure, TLS_ERROR_CONFIGURATION, 0,
                          "tls: %s lacks TLS 1.2, 1.3, tickets or ciphers; run set-up, which "
                          "builds one that has them",
                          tls_library_text());
        return false;
    }
    return context->role == TLS_CLIENT ? load_trust(context, options, failure)
                                       : load_identity(context, options, failure);
}

static void session_release(void *session)
{
    ensure(session != NULL);
    wolfSSL_SESSION_free(session);
}

static WOLFSSL_METHOD *protocol_method(const struct tls_options *options)
{
    if (options->role == TLS_CLIENT)
        return options->version_1_2_only ? wolfTLSv1_2_client_method()
                                         : wolfSSLv23_client_method();
    return options->version_1_2_only ? wolfTLSv1_2_server_method() : wolfSSLv23_server_method();
}

struct tls_context *tls_context_create(const struct tls_options *options,
                                       struct tls_failure *failure)
{
    ensure(options != NULL && failure != NULL);
    library_start();
    struct tls_context *context = calloc(1, sizeof *context);
    if (context != NULL)
        context->library = wolfSSL_CTX_new(protocol_method(options));
    if (context == NULL || context->library == NULL) {
        free(context);
        (void)tls_failure_set(failure, TLS_ERROR_MEMORY, 0, "tls: out of memory for a context");
        return NULL;
    }
    context->role = options->role;
    if (options->pins != NULL && options->role == TLS_CLIENT)
        context->pins = *options->pins;
    context->sessions.release = session_release;
    if (context_configure(context, options, failure))
        return context;
    tls_context_destroy(context);
    return NULL;
}

void tls_context_destroy(struct tls_context *context)
{
    if (context == NULL)
        return;
    ensure(context->connections == 0);
    tls_session_drop(&context->sessions, NULL);
    wolfSSL_CTX_free(context->library);
    free(context);
    tls_memory_trim();
}

void tls_context_statistics(const struct tls_context *context, struct tls_statistics *statistics)
{
    *statistics = (struct tls_statistics){
        .handshakes = context->handshakes,
        .resumed = context->resumed,
        .allocations = tls_memory_taken(),
        .allocations_system = tls_memory_taken_from_system(),
    };
    ensure(statistics->resumed <= statistics->handshakes);
}
