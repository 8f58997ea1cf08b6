// SPDX-License-Identifier: GPL-3.0-or-later
//
// wolfSSL as tls.c (connections), tls_context.c (what they share) and tls_failure.c (its error
// codes) know it: the one place that includes its headers, in the order it asks for. Nobody else
// includes this file; tls.h speaks of wolfSSL in words alone.
#ifndef RINGTAPE_PROTOCOL_TLS_WOLFSSL_H
#define RINGTAPE_PROTOCOL_TLS_WOLFSSL_H

// How the library was built: before everything else of it.
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/wc_port.h>

#ifdef RINGTAPE_WOLFSSL_BUNDLED
#include <wolfssl_hooks.h>
#endif

#endif
