// SPDX-License-Identifier: GPL-3.0-or-later
//
// Looking up header fields of a parsed head.
#include "protocol/http.h"

#include "base/limits.h"
#include "format/ensure.h"
#include <string.h>
#include <strings.h>

static bool name_equals(const struct http_parser *parser, const struct http_field *field,
                        const char *name)
{
    return strlen(name) == field->name_size &&
           strncasecmp(parser->head + field->name_offset, name, field->name_size) == 0;
}

static struct http_slice value_of(const struct http_parser *parser, const struct http_field *field)
{
    ensure((uint32_t)field->value_offset + field->value_size <= parser->head_size);
    return (struct http_slice){parser->head + field->value_offset, field->value_size};
}

bool http_field_find(const struct http_parser *parser, const char *name, struct http_slice *value)
{
    ensure(name != NULL && parser->fields_count <= HTTP_FIELDS_MAX);
    for (uint32_t i = 0; i < parser->fields_count; i++)
        if (name_equals(parser, &parser->fields[i], name)) {
            *value = value_of(parser, &parser->fields[i]);
            return true;
        }
    return false;
}

static struct http_slice trim(struct http_slice text)
{
    while (text.size > 0 && (*text.text == ' ' || *text.text == '\t'))
        text = (struct http_slice){text.text + 1, text.size - 1};
    while (text.size > 0 &&
           (text.text[text.size - 1] == ' ' || text.text[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static bool list_has_token(struct http_slice list, const char *token)
{
    size_t token_size = strlen(token);
    while (list.size > 0) {
        const char *comma = memchr(list.text, ',', list.size);
        uint32_t size = comma != NULL ? (uint32_t)(comma - list.text) : list.size;
        struct http_slice item = trim((struct http_slice){list.text, size});
        if (item.size == token_size && strncasecmp(item.text, token, token_size) == 0)
            return true;
        if (comma == NULL)
            return false;
        list = (struct http_slice){list.text + size + 1, list.size - size - 1};
    }
    return false;
}

bool http_field_has_token(const struct http_parser *parser, const char *name, const char *token)
{
    ensure(token != NULL && token[0] != '\0');
    for (uint32_t i = 0; i < parser->fields_count; i++)
        if (name_equals(parser, &parser->fields[i], name) &&
            list_has_token(value_of(parser, &parser->fields[i]), token))
            return true;
    return false;
}

// `count` digits at the beginning; -1 if there is another character.
static int64_t digits(const char *text, uint32_t count)
{
    int64_t value = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

// Days from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day
// is the last one: 306 days from March to the end of December, 153 in every five months from March
// on.
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    ensure(month >= 1 && month <= 12 && year > 0);
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t month_from_march = month <= 2 ? month + 9 : month - 3;
    int64_t days_before_year = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400;
    return days_before_year + (month_from_march * 153 + 2) / 5 + day - 1 - 719468;
}

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) in seconds since 1970; -1 if it is not.
static int64_t date_seconds(struct http_slice text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size != 29 || memcmp(text.text + 25, " GMT", 4) != 0)
        return -1;
    const char *at = text.text;
    int64_t month = 0;
    for (int64_t i = 0; i < 12; i++)
        if (memcmp(at + 8, months + 3 * i, 3) == 0)
            month = i + 1;
    int64_t day = digits(at + 5, 2);
    int64_t year = digits(at + 12, 4);
    int64_t hour = digits(at + 17, 2);
    int64_t minute = digits(at + 20, 2);
    int64_t second = digits(at + 23, 2);
    if (month == 0 || day < 1 || day > 31 || year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return -1;
    return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

bool http_retry_after(const struct http_parser *parser, uint32_t *seconds)
{
    struct http_slice value;
    if (!http_field_find(parser, "Retry-After", &value) || value.size == 0)
        return false;
    int64_t wait = value.size <= 9 ? digits(value.text, value.size) : -1;
    if (wait < 0) {
        struct http_slice date;
        int64_t until = date_seconds(value);
        int64_t now = http_field_find(parser, "Date", &date) ? date_seconds(date) : -1;
        if (until < 0 || now < 0)
            return false;
        wait = until > now ? until - now : 0;
    }
    *seconds = wait > LIMIT_BAN_S ? LIMIT_BAN_S : (uint32_t)wait;
    return true;
}
