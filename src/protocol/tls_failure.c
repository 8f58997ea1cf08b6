// SPDX-License-Identifier: GPL-3.0-or-later
//
// One sentence a result, and its remedy.
#include "protocol/tls_failure.h"

#include "format/ensure.h"
#include "protocol/tls_wolfssl.h"
#include <stdarg.h>
#include <stdio.h>

enum tls_result tls_failure_set(struct tls_failure *failure, enum tls_result result,
                                int32_t library_code, const char *format, ...)
{
    ensure(result < TLS_CLOSED);
    va_list arguments;
    va_start(arguments, format);
    failure->result = result;
    failure->library_code = library_code;
    (void)vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return result;
}

const char *tls_result_text(enum tls_result result)
{
    switch (result) {
    case TLS_WANT_INPUT:
        return "tls: needs more input";
    case TLS_WANT_OUTPUT:
        return "tls: output is full";
    case TLS_CLOSED:
        return "tls: closed by the peer";
    case TLS_ERROR_CERTIFICATE_EXPIRED:
        return "tls: certificate is out of its dates";
    case TLS_ERROR_CERTIFICATE_HOST:
        return "tls: certificate is for another host";
    case TLS_ERROR_CERTIFICATE_UNTRUSTED:
        return "tls: certificate is self-signed or of an unknown issuer";
    case TLS_ERROR_CERTIFICATE_INVALID:
        return "tls: certificate is invalid";
    case TLS_ERROR_VERSION:
        return "tls: no common protocol version";
    case TLS_ERROR_CIPHER:
        return "tls: no common cipher suite";
    case TLS_ERROR_ALERT:
        return "tls: the peer sent a fatal alert";
    case TLS_ERROR_RECORD:
        return "tls: corrupt record, or not TLS";
    case TLS_ERROR_HANDSHAKE:
        return "tls: handshake failed";
    case TLS_ERROR_CONFIGURATION:
        return "tls: configuration";
    case TLS_ERROR_MEMORY:
        return "tls: out of memory";
    case TLS_ERROR_TRUNCATED:
        return "tls: connection closed without close_notify";
    case TLS_ERROR_PIN:
        return "tls: the server's key is not pinned";
    }
    ensure(!"a tls_result");
    return "";
}

const char *tls_failure_remedy(enum tls_result result)
{
    switch (result) {
    case TLS_ERROR_CERTIFICATE_EXPIRED:
        return "check this machine's clock; if it is right, the server must renew its certificate";
    case TLS_ERROR_CERTIFICATE_HOST:
        return "check the host name in the url; nothing was sent";
    case TLS_ERROR_CERTIFICATE_UNTRUSTED:
        return "name its issuer's certificate in ca_file, or install package ca-certificates";
    case TLS_ERROR_CERTIFICATE_INVALID:
        return "the server must replace its certificate; a proxy in between may be altering it";
    case TLS_ERROR_VERSION:
        return "the server must offer TLS 1.2 or 1.3";
    case TLS_ERROR_CIPHER:
        return "the server must offer AES-GCM or ChaCha20-Poly1305 with ECDHE";
    case TLS_ERROR_RECORD:
        return "check that host and port speak TLS; if it recurs, something in between alters data";
    case TLS_ERROR_TRUNCATED:
        return "the connection was cut; it will be made anew";
    case TLS_ERROR_PIN:
        return "if the exchange has a new key, add it to pin_sha256; if not, somebody is in "
               "between; nothing was sent";
    default:
        return "it will be tried again";
    }
}

enum tls_result tls_failure_result(int32_t code, bool established)
{
    static const struct {
        int code;
        enum tls_result result;
    } table[] = {
        {ASN_BEFORE_DATE_E, TLS_ERROR_CERTIFICATE_EXPIRED},
        {ASN_AFTER_DATE_E, TLS_ERROR_CERTIFICATE_EXPIRED},
        {DOMAIN_NAME_MISMATCH, TLS_ERROR_CERTIFICATE_HOST},
        {IPADDR_MISMATCH, TLS_ERROR_CERTIFICATE_HOST},
        {ASN_NO_SIGNER_E, TLS_ERROR_CERTIFICATE_UNTRUSTED},
        {ASN_SELF_SIGNED_E, TLS_ERROR_CERTIFICATE_UNTRUSTED},
        {VERIFY_CERT_ERROR, TLS_ERROR_CERTIFICATE_INVALID},
        {NO_PEER_CERT, TLS_ERROR_CERTIFICATE_INVALID},
        {NOT_CA_ERROR, TLS_ERROR_CERTIFICATE_INVALID},
        {MAX_CHAIN_ERROR, TLS_ERROR_CERTIFICATE_INVALID},
        {KEYUSE_SIGNATURE_E, TLS_ERROR_CERTIFICATE_INVALID},
        {KEYUSE_ENCIPHER_E, TLS_ERROR_CERTIFICATE_INVALID},
        {EXTKEYUSE_AUTH_E, TLS_ERROR_CERTIFICATE_INVALID},
        {ASN_NAME_INVALID_E, TLS_ERROR_CERTIFICATE_INVALID},
        {ASN_PATHLEN_SIZE_E, TLS_ERROR_CERTIFICATE_INVALID},
        {ASN_PATHLEN_INV_E, TLS_ERROR_CERTIFICATE_INVALID},
        {RSA_KEY_SIZE_E, TLS_ERROR_CERTIFICATE_INVALID},
        {ECC_KEY_SIZE_E, TLS_ERROR_CERTIFICATE_INVALID},
        {VERSION_ERROR, TLS_ERROR_VERSION},
        {UNSUPPORTED_PROTO_VERSION, TLS_ERROR_VERSION},
        {MATCH_SUITE_ERROR, TLS_ERROR_CIPHER},
        {UNSUPPORTED_SUITE, TLS_ERROR_CIPHER},
        {MEMORY_E, TLS_ERROR_MEMORY},
        {MEMORY_ERROR, TLS_ERROR_MEMORY},
        {FATAL_ERROR, TLS_ERROR_ALERT},
        {UNKNOWN_RECORD_TYPE, TLS_ERROR_RECORD},
        {PARSE_ERROR, TLS_ERROR_RECORD},
        {DECRYPT_ERROR, TLS_ERROR_RECORD},
        {VERIFY_MAC_ERROR, TLS_ERROR_RECORD},
        {AES_GCM_AUTH_E, TLS_ERROR_RECORD},
        {MAC_CMP_FAILED_E, TLS_ERROR_RECORD},
        {LENGTH_ERROR, TLS_ERROR_RECORD},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code)
            return table[i].result;
    // Everything else that can be wrong inside a certificate.
    if (code <= ASN_PARSE_E && code >= ASN_ALT_NAME_E)
        return TLS_ERROR_CERTIFICATE_INVALID;
    return established ? TLS_ERROR_RECORD : TLS_ERROR_HANDSHAKE;
}
