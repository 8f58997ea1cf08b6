// SPDX-License-Identifier: GPL-3.0-or-later
//
// Strings of RFC 8259: quote, backslash and control characters escaped, the rest as it is.
#include "tools/ringtape_json.h"

#include "format/ensure.h"
#include "format/text_utf8.h"
#include "format/time_text.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

void ringtape_json_start(struct ringtape_json *json, FILE *out)
{
    *json = (struct ringtape_json){.out = out};
}

void ringtape_json_line(struct ringtape_json *json)
{
    ensure(json->depth == 0);
    (void)fputc('\n', json->out);
    json->filled[0] = false;
}

static void ringtape_json_quote(struct ringtape_json *json, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    (void)fputc('"', json->out);
    for (size_t i = 0; i < size; i++) {
        if (next[i] == '"' || next[i] == '\\')
            (void)fprintf(json->out, "\\%c", next[i]);
        else if (next[i] == '\n')
            (void)fputs("\\n", json->out);
        else if (next[i] < 0x20)
            (void)fprintf(json->out, "\\u%04x", next[i]);
        else
            (void)fputc(next[i], json->out);
    }
    (void)fputc('"', json->out);
}

static void ringtape_json_key(struct ringtape_json *json, const char *key, const char *ending)
{
    if (json->filled[json->depth]) (void)fputc(',', json->out);
    json->filled[json->depth] = true;
    if (key != NULL) (void)fprintf(json->out, "\"%s%s\":", key, ending);
}

static void ringtape_json_open(struct ringtape_json *json, const char *key, char bracket)
{
    ringtape_json_key(json, key, "");
    (void)fputc(bracket, json->out);
    json->depth++;
    ensure(json->depth < RINGTAPE_JSON_DEPTH_MAX);
    json->filled[json->depth] = false;
}

static void ringtape_json_shut(struct ringtape_json *json, char bracket)
{
    ensure(json->depth > 0);
    json->depth--;
    (void)fputc(bracket, json->out);
}

void ringtape_json_object(struct ringtape_json *json, const char *key)
{
    ringtape_json_open(json, key, '{');
}

void ringtape_json_object_end(struct ringtape_json *json)
{
    ringtape_json_shut(json, '}');
}

void ringtape_json_array(struct ringtape_json *json, const char *key)
{
    ringtape_json_open(json, key, '[');
}

void ringtape_json_array_end(struct ringtape_json *json)
{
    ringtape_json_shut(json, ']');
}

void ringtape_json_text(struct ringtape_json *json, const char *key, const char *text)
{
    ringtape_json_bytes(json, key, text, strlen(text));
}

void ringtape_json_bytes(struct ringtape_json *json, const char *key, const void *bytes,
                         size_t size)
{
    if (text_utf8_valid(bytes, size)) {
        ringtape_json_key(json, key, "");
        ringtape_json_quote(json, bytes, size);
        return;
    }
    ringtape_json_key(json, key, "_hex");
    (void)fputc('"', json->out);
    for (size_t i = 0; i < size; i++)
        (void)fprintf(json->out, "%02x", ((const uint8_t *)bytes)[i]);
    (void)fputc('"', json->out);
}

void ringtape_json_integer(struct ringtape_json *json, const char *key, int64_t value)
{
    ringtape_json_key(json, key, "");
    (void)fprintf(json->out, "%" PRId64, value);
}

void ringtape_json_count(struct ringtape_json *json, const char *key, uint64_t value)
{
    ringtape_json_key(json, key, "");
    (void)fprintf(json->out, "%" PRIu64, value);
}

void ringtape_json_double(struct ringtape_json *json, const char *key, double value)
{
    ensure(isfinite(value));
    ringtape_json_key(json, key, "");
    (void)fprintf(json->out, "%.17g", value);
}

void ringtape_json_bool(struct ringtape_json *json, const char *key, bool value)
{
    ringtape_json_key(json, key, "");
    (void)fputs(value ? "true" : "false", json->out);
}

void ringtape_json_null(struct ringtape_json *json, const char *key)
{
    ringtape_json_key(json, key, "");
    (void)fputs("null", json->out);
}

void ringtape_json_time(struct ringtape_json *json, const char *key, int64_t time_ns)
{
    char text[TIME_TEXT_BYTES_MAX];
    time_text_format(text, time_ns, 9);
    ringtape_json_key(json, key, "");
    (void)fprintf(json->out, "\"%s\"", text);
}
