// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_sinks: see config_sinks.h. Secrets come from files alone, so that the configuration may be
// shown: a header like `Authorization` has one, and a URL may have one, for in those of chats and
// pagers the path is the key. What such a file holds is in no message.
#include "control/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_SINK(member) offsetof(struct config, sinks.member)

static const struct config_entry config_webhook[] = {
    {"url", CONFIG_TEXT, CONFIG_SINK(url), 1, LIMIT_URL_BYTES, NULL,
     "a URL of at most 255 bytes, https:// or http://", "each alert is POSTed there as JSON", NULL},
    {"url_file", CONFIG_FILE, CONFIG_SINK(url_file), 1, LIMIT_PATH_BYTES, "", CONFIG_FILE_EXPECTED,
     "file of the URL and nothing else, instead of url: where the URL is a secret", NULL},
    {"header_file", CONFIG_FILE, CONFIG_SINK(header_file), 0, LIMIT_PATH_BYTES, "",
     CONFIG_FILE_EXPECTED, "file of one header line, like Authorization: Bearer ...", NULL},
    {"ca_file", CONFIG_FILE, CONFIG_SINK(ca_file), 0, LIMIT_PATH_BYTES, "", CONFIG_FILE_EXPECTED,
     "PEM file of the certificates to trust; default: the system's", NULL},
    {"timeout", CONFIG_DURATION, CONFIG_SINK(webhook_limit_ns), 100 * LIMIT_MILLISECOND_NS,
     LIMIT_MINUTE_NS, "5s", "a duration from 100ms to 1m", "for the whole of one POST", NULL},
    {0},
};

static const struct config_entry config_command[] = {
    {"program", CONFIG_TEXT, CONFIG_SINK(program), 1, LIMIT_PATH_BYTES, NULL,
     "the path of a program", "runs once for each alert, its JSON on standard input", NULL},
    {"timeout", CONFIG_DURATION, CONFIG_SINK(command_limit_ns), 100 * LIMIT_MILLISECOND_NS,
     LIMIT_HOUR_NS, "10s", "a duration from 100ms to 1h", "then it is killed", NULL},
    {0},
};

const struct config_entry config_sinks_keys[] = {
    {"webhook", CONFIG_SECTION, 0, 0, 0, "",
     "a mapping with url or url_file, header_file, ca_file, timeout", "alerts to an HTTP server",
     config_webhook},
    {"command", CONFIG_SECTION, 0, 0, 0, "", "a mapping with program and timeout",
     "alerts to a program", config_command},
    {0},
};

__attribute__((format(printf, 3, 4))) static bool sinks_wrong(char *text, size_t text_size,
                                                              const char *format, ...)
{
    va_list arguments;
    const size_t used = (size_t)snprintf(text, text_size, "alert_sinks.");
    va_start(arguments, format);
    if (used < text_size) (void)vsnprintf(text + used, text_size - used, format, arguments);
    va_end(arguments);
    return false;
}

// One line "Name: value" of visible characters and spaces, with or without its line end.
static bool header_is_clean(const char *header)
{
    const char *colon = strchr(header, ':');
    bool clean = colon != NULL && colon != header;
    for (const char *c = header; *c != '\0'; c++)
        clean = clean && *c >= 0x20 && *c < 0x7f && (*c != ' ' || c > colon);
    return clean;
}

// The one line of a file, with or without its line end; the rest of `line` is zero. False: it is
// not one line of at most `size` - 1 bytes.
static bool sinks_line(FILE *file, char *line, size_t size)
{
    // Unbuffered: no copy of a secret stays in memory that is given back.
    (void)setvbuf(file, NULL, _IONBF, 0);
    const size_t got = fread(line, 1, size, file);
    if (got >= size || ferror(file) || memchr(line, '\0', got) != NULL) return false;
    memset(line + got, 0, size - got);
    const size_t end = strcspn(line, "\r\n");
    if (line[end + strspn(line + end, "\r\n")] != '\0') return false;
    memset(line + end, 0, size - end);
    return true;
}

static bool sinks_file(const char *key, const char *path, char *line, size_t size,
                       const char *expected, char *text, size_t text_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sinks_wrong(text, text_size, "webhook.%s: %s: %s", key, path, strerror(errno));
    const bool good = sinks_line(file, line, size);
    (void)fclose(file);
    return good || sinks_wrong(text, text_size, "webhook.%s: %s: expected %s", key, path, expected);
}

static bool sinks_header(const char *path, char *header, char *text, size_t text_size)
{
    static const char expected[] =
        "one line like \"Authorization: Bearer ...\" of at most 1023 bytes";
    if (!sinks_file("header_file", path, header, ALERT_SINK_HEADER_BYTES, expected, text,
                    text_size))
        return false;
    return header_is_clean(header) ||
           sinks_wrong(text, text_size, "webhook.header_file: %s: expected %s", path, expected);
}

static bool sinks_url(const struct config_sinks *sinks, struct url *url, char *text,
                      size_t text_size)
{
    char line[LIMIT_URL_BYTES + 2];
    if (sinks->url_file[0] == '\0') {
        const char *wrong = url_parse(sinks->url, false, url);
        return wrong == NULL || sinks_wrong(text, text_size, "webhook.url: %s, found \"%.80s\"",
                                            wrong, sinks->url);
    }
    if (sinks->url[0] != '\0')
        return sinks_wrong(text, text_size, "webhook: expected url or url_file, found both");
    if (!sinks_file("url_file", sinks->url_file, line, sizeof line,
                    "one line, a URL of at most 255 bytes", text, text_size))
        return false;
    const char *wrong = url_parse(line, false, url);
    explicit_bzero(line, sizeof line);
    return wrong == NULL || sinks_wrong(text, text_size, "webhook.url_file: %s: %s",
                                        sinks->url_file, wrong);
}

bool config_sinks_webhook(const struct config_sinks *sinks, struct alert_sink_settings *settings,
                          char *text, size_t text_size)
{
    memset(settings, 0, sizeof *settings);
    if (sinks->url[0] == '\0' && sinks->url_file[0] == '\0') return true;
    if (!sinks_url(sinks, &settings->url, text, text_size)) return false;
    if (sinks->ca_file[0] != '\0' && !settings->url.tls)
        return sinks_wrong(text, text_size, "webhook.ca_file needs an https:// URL");
    if (sinks->ca_file[0] != '\0' && access(sinks->ca_file, R_OK) != 0)
        return sinks_wrong(text, text_size, "webhook.ca_file: %s: %s", sinks->ca_file,
                           strerror(errno));
    if (sinks->header_file[0] != '\0' &&
        !sinks_header(sinks->header_file, settings->header, text, text_size))
        return false;
    memcpy(settings->ca_file, sinks->ca_file, sizeof settings->ca_file);
    settings->limit_ns = sinks->webhook_limit_ns;
    settings->on = true;
    return true;
}

bool config_sinks_command(const struct config_sinks *sinks, struct alert_sink_settings *settings,
                          char *text, size_t text_size)
{
    struct stat status;
    memset(settings, 0, sizeof *settings);
    if (sinks->program[0] == '\0') return true;
    if (sinks->program[0] != '/')
        return sinks_wrong(text, text_size, "command.program: expected a path from /, found \"%s\"",
                           sinks->program);
    if (stat(sinks->program, &status) != 0)
        return sinks_wrong(text, text_size, "command.program: %s: %s", sinks->program,
                           strerror(errno));
    if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
        return sinks_wrong(text, text_size, "command.program: %s: expected a program",
                           sinks->program);
    memcpy(settings->program, sinks->program, sizeof settings->program);
    settings->limit_ns = sinks->command_limit_ns;
    settings->on = true;
    return true;
}
