// SPDX-License-Identifier: GPL-3.0-or-later
//
// url: see url.h. Contract: what is accepted is clean enough to be put into an HTTP head as it is
// (no white space, no control characters), and the parts put together are the text again.
#include "base/url.h"

#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct url_scheme {
    const char *prefix;
    bool tls;
    bool websocket;
    uint16_t port;
};

static const struct url_scheme url_schemes[] = {
    {"wss://", true, true, 443},
    {"ws://", false, true, 80},
    {"https://", true, false, 443},
    {"http://", false, false, 80},
};

static const struct url_scheme *url_scheme(const char *text, bool websocket)
{
    for (size_t i = 0; i < sizeof url_schemes / sizeof *url_schemes; i++) {
        const struct url_scheme *scheme = &url_schemes[i];
        if (scheme->websocket == websocket &&
            strncmp(text, scheme->prefix, strlen(scheme->prefix)) == 0)
            return scheme;
    }
    return NULL;
}

static bool url_clean(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("\"<>\\^`{|}@", *c))
            return false;
    }
    return true;
}

static const char *url_port(const char *text, const char *end, struct url *url)
{
    if (text == end) return NULL; // no port: the scheme's
    if (*text != ':') return "expected ':' and a port after the host";
    char *stop = NULL;
    unsigned long port = strtoul(text + 1, &stop, 10);
    if (text + 1 == end || text[1] < '0' || text[1] > '9' || stop != end || port == 0 ||
        port > 65535)
        return "expected a port from 1 to 65535";
    url->port_default = port == url->port;
    url->port = (uint16_t)port;
    return NULL;
}

// [from, end) is host[:port].
static const char *url_authority(const char *from, const char *end, struct url *url)
{
    bool bracket = *from == '[';
    const char *host = bracket ? from + 1 : from;
    const char *host_end = host;
    while (host_end < end && *host_end != (bracket ? ']' : ':')) host_end++;
    size_t size = (size_t)(host_end - host);
    if (size == 0) return "expected a host name or address";
    if (size > URL_HOST_BYTES_MAX) return "the host name is too long";
    if (bracket && host_end == end) return "expected ']' after the IPv6 address";
    memcpy(url->host, host, size);
    url->host[size] = '\0';
    const char *wrong = url_port(host_end + bracket, end, url);
    if (wrong != NULL) return wrong;
    const char *form = bracket ? "[%s]" : "%s";
    int used = snprintf(url->authority, sizeof url->authority, form, url->host);
    if (!url->port_default)
        used += snprintf(url->authority + used, sizeof url->authority - (size_t)used, ":%u",
                         (unsigned)url->port);
    ensure((size_t)used < sizeof url->authority);
    return NULL;
}

const char *url_parse(const char *text, bool websocket, struct url *url)
{
    const struct url_scheme *scheme = url_scheme(text, websocket);
    if (scheme == NULL)
        return websocket ? "expected a URL beginning with wss:// or ws://"
                         : "expected a URL beginning with https:// or http://";
    if (!url_clean(text)) return "a URL may not hold spaces, '@' or special characters";
    if (strpbrk(text, "?#") != NULL) return "expected a URL without '?' and '#'";
    struct url parsed = {.tls = scheme->tls,
                         .websocket = websocket,
                         .port_default = true,
                         .port = scheme->port};
    const char *from = text + strlen(scheme->prefix);
    const char *end = from + strcspn(from, "/");
    const char *wrong = url_authority(from, end, &parsed);
    if (wrong != NULL) return wrong;
    size_t path_size = strlen(end);
    while (path_size > 0 && end[path_size - 1] == '/') path_size--;
    if (path_size > URL_PATH_BYTES_MAX) return "the path is too long";
    memcpy(parsed.path, end, path_size);
    parsed.path[path_size] = '\0';
    ensure(parsed.port != 0);
    *url = parsed;
    return NULL;
}
