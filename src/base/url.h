// SPDX-License-Identifier: GPL-3.0-or-later
//
// url: the few URLs a configuration holds, taken apart: ws, wss, http, https; host name, IPv4 or
// [IPv6]; port; path. No user information, query or fragment: the dialects add paths of their own.
//
// Pure; owns its text. Source: RFC 3986, the part used here.
#ifndef RINGTAPE_BASE_URL_H
#define RINGTAPE_BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    URL_HOST_BYTES_MAX = 253,
    URL_PATH_BYTES_MAX = 127,
    URL_AUTHORITY_BYTES_MAX = URL_HOST_BYTES_MAX + 8, // with brackets and port
};

struct url {
    bool tls;       // wss, https
    bool websocket; // ws, wss
    bool port_default;
    uint16_t port;
    char host[URL_HOST_BYTES_MAX + 1]; // without brackets
    char path[URL_PATH_BYTES_MAX + 1]; // "" or "/...", without a slash at its end
    char authority[URL_AUTHORITY_BYTES_MAX + 1]; // for the Host field; a default port is left out
};

// NULL, or what is wrong ("expected wss:// or ws://"); `url` is then untouched.
const char *url_parse(const char *text, bool websocket, struct url *url);

#endif
