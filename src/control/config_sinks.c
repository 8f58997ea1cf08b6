// SPDX-License-Identifier: GPL-3.0-or-later
//
// config_sinks: see config_sinks.h. Secrets come from files alone: a header like `Authorization`
// has one, so that the configuration may be shown.
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
    {"webhook", CONFIG_SECTION, 0, 0, 0, "", "a mapping with url, header_file, ca_file, timeout",
     "alerts to an HTTP server", config_webhook},
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

static bool sinks_header(const char *path, char *header, char *text, size_t text_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sinks_wrong(text, text_size, "webhook.header_file: %s: %s", path, strerror(errno));
    const size_t size = fread(header, 1, ALERT_SINK_HEADER_BYTES, file);
    const bool whole = size < ALERT_SINK_HEADER_BYTES && !ferror(file) &&
                       memchr(header, '\0', size) == NULL;
    (void)fclose(file);
    if (whole) {
        memset(header + size, 0, ALERT_SINK_HEADER_BYTES - size);
        const size_t line = strcspn(header, "\r\n");
        if (header[line + strspn(header + line, "\r\n")] == '\0')
            memset(header + line, 0, ALERT_SINK_HEADER_BYTES - line);
    }
    if (whole && header_is_clean(header)) return true;
    return sinks_wrong(text, text_size,
                       "webhook.header_file: %s: expected one line like \"Authorization: Bearer "
                       "...\" of at most 1023 bytes",
                       path);
}

bool config_sinks_webhook(const struct config_sinks *sinks, struct alert_sink_settings *settings,
                          char *text, size_t text_size)
{
    memset(settings, 0, sizeof *settings);
    if (sinks->url[0] == '\0') return true;
    const char *wrong = url_parse(sinks->url, false, &settings->url);
    if (wrong != NULL)
        return sinks_wrong(text, text_size, "webhook.url: %s, found \"%.80s\"", wrong, sinks->url);
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
