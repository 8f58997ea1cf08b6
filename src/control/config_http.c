// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_http: see config_http.h. An address is a number: a name could mean another interface
// tomorrow.
#include "control/config_http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_value.h"
#include "format/ensure.h"

// "127.0.0.1:9464", "[::1]:9464"
static bool put_listen(struct config_http *http, const char *text)
{
    char host[CONFIG_HTTP_LISTEN_BYTES + 1];
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    if (colon == NULL || strlen(text) > CONFIG_HTTP_LISTEN_BYTES) return false;
    if (!config_value_integer(colon + 1, &port) || port < 1 || port > 65535) return false;
    struct io_address address = {.port = (uint16_t)port, .ipv6 = text[0] == '['};
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    const size_t size = strlen(host);
    if (address.ipv6 && (size < 2 || host[size - 1] != ']')) return false;
    if (address.ipv6) host[size - 1] = '\0';
    const int family = address.ipv6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, address.ipv6 ? host + 1 : host, address.bytes) != 1) return false;
    http->address = address;
    (void)snprintf(http->listen, sizeof http->listen, "%s", text);
    return true;
}

static bool put_symbol(struct config_http *http, const char *text)
{
    const char *colon = strchr(text, ':');
    if (http->symbols.count == STATISTICS_SYMBOLS_MAX || colon == NULL) return false;
    if (colon == text || colon[1] == '\0' || strlen(text) > SYMBOL_NAME_BYTES_MAX) return false;
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '\\') return false;
    }
    (void)snprintf(http->symbols.name[http->symbols.count++], SYMBOL_NAME_BYTES_MAX + 1, "%s",
                   text);
    return true;
}

bool config_http_put(const struct config_entry *entry, void *base, const char *text)
{
    struct config_http *http = &((struct config *)base)->http;
    ensure(entry->offset >= CONFIG_PUT_HTTP_OFF);
    switch (entry->offset) {
    case CONFIG_PUT_HTTP_OFF: http->off = strcmp(text, "off") == 0; return http->off;
    case CONFIG_PUT_HTTP_LISTEN: return put_listen(http, text);
    default: return put_symbol(http, text);
    }
}

const struct config_entry config_http_keys[] = {
    {"listen", CONFIG_CHOICE, CONFIG_PUT_HTTP_LISTEN, 0, 0, "127.0.0.1:9464",
     "an address and a port, like 127.0.0.1:9464 or [::1]:9464",
     "where to listen; anybody who reaches it may read", NULL},
    {"symbols", CONFIG_NAMES, CONFIG_PUT_HTTP_SYMBOL, 0, STATISTICS_SYMBOLS_MAX, "",
     "a list of at most 64 symbols with their exchange, like [binance:BTCUSDT]",
     "symbols with series of their own", NULL},
    {0},
};
