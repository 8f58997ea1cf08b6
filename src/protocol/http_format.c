// SPDX-License-Identifier: GPL-3.0-or-later
//
// Writing heads. Every member that a caller gives is checked for control characters, so that no
// configuration value can add a header line or a second request.
#include "protocol/http.h"

#include "format/ensure.h"
#include <stdio.h>
#include <string.h>

struct writer {
    char *target;
    uint32_t target_size;
    uint32_t size;
    bool failed; // did not fit, or a member was not clean
};

static void write_text(struct writer *writer, const char *text)
{
    ensure(writer->size <= writer->target_size);
    size_t size = strlen(text);
    if (size > writer->target_size - writer->size) {
        writer->failed = true;
        return;
    }
    memcpy(writer->target + writer->size, text, size);
    writer->size += (uint32_t)size;
}

// Text from outside: printable, and without spaces where they would end the member.
static void write_member(struct writer *writer, const char *text, bool spaces)
{
    ensure(text != NULL);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || (*at == ' ' && !spaces))
            writer->failed = true;
    if (*text == '\0')
        writer->failed = true;
    write_text(writer, text);
}

static void write_extra(struct writer *writer, const char *const *extra, uint32_t count)
{
    ensure(extra != NULL || count == 0);
    for (uint32_t i = 0; i < count; i++) {
        const char *colon = strchr(extra[i], ':');
        if (colon == NULL || colon == extra[i])
            writer->failed = true;
        write_member(writer, extra[i], true);
        write_text(writer, "\r\n");
    }
}

static uint32_t finish(struct writer *writer, bool close)
{
    if (close)
        write_text(writer, "Connection: close\r\n");
    write_text(writer, "\r\n");
    return writer->failed ? 0 : writer->size;
}

uint32_t http_request_format(const struct http_request *request, char *target,
                             uint32_t target_size)
{
    struct writer writer = {.target = target, .target_size = target_size};
    write_member(&writer, request->method, false);
    write_text(&writer, " ");
    if (request->target[0] != '/')
        writer.failed = true;
    write_member(&writer, request->target, false);
    write_text(&writer, " HTTP/1.1\r\nHost: ");
    write_member(&writer, request->host, false);
    write_text(&writer, "\r\nUser-Agent: ringtape\r\nAccept-Encoding: identity\r\n");
    write_extra(&writer, request->extra, request->extra_count);
    return finish(&writer, request->close);
}

static void write_length(struct writer *writer, const struct http_response *response)
{
    char line[64];
    if (response->chunked) {
        write_text(writer, "Transfer-Encoding: chunked\r\n");
        return;
    }
    (void)snprintf(line, sizeof line, "Content-Length: %llu\r\n",
                   (unsigned long long)response->content_length);
    write_text(writer, line);
}

uint32_t http_response_format(const struct http_response *response, char *target,
                              uint32_t target_size)
{
    ensure(response->status >= 100 && response->status <= 599);
    struct writer writer = {.target = target, .target_size = target_size};
    char line[64];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", response->status,
                   http_status_text(response->status));
    write_text(&writer, line);
    // RFC 9110 section 8.6: these have no body, and no length either.
    if (response->status >= 200 && response->status != 204)
        write_length(&writer, response);
    if (response->content_type != NULL) {
        write_text(&writer, "Content-Type: ");
        write_member(&writer, response->content_type, true);
        write_text(&writer, "\r\n");
    }
    write_extra(&writer, response->extra, response->extra_count);
    return finish(&writer, response->close);
}

const char *http_status_text(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } table[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {418, "I'm a teapot"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].text;
    return "";
}
