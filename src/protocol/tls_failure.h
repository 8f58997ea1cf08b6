// SPDX-License-Identifier: GPL-3.0-or-later
//
// The words of TLS failures: what happened, what to do. Only for tls.c.
#ifndef RINGTAPE_PROTOCOL_TLS_FAILURE_H
#define RINGTAPE_PROTOCOL_TLS_FAILURE_H

#include "protocol/tls.h"

// Fills `failure` (text cut at its size) and returns `result`, an error.
__attribute__((format(printf, 4, 5))) enum tls_result
tls_failure_set(struct tls_failure *failure, enum tls_result result, int32_t library_code,
                const char *format, ...);

// What wolfSSL's error code means; `established`: the handshake was over.
enum tls_result tls_failure_result(int32_t code, bool established);

// What the reader of the log can do about an error.
const char *tls_failure_remedy(enum tls_result result);

#endif
