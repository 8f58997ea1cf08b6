// SPDX-License-Identifier: GPL-3.0-or-later
//
// The strict validator and the walkers over what it accepted.
//
// json_parse() passes once over the text with an explicit stack of one bit a level:
//     value  -> scalar | '[' | '{' key ':'          scan_begin
//     after a value: ',' (key ':')? value | closer   scan_continue
// A walker may rely on that pass: it only finds where a value ends, and treats anything that the
// validator would have refused as a bug of its caller.
#include "protocol/json.h"

#include "format/ensure.h"
#include "protocol/json_value.h"
#include "protocol/utf8.h"

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

_Static_assert(JSON_DEPTH_MAX <= 64, "one bit a level in a 64-bit word");

struct scanner {
    const char *at;
    const char *end;
    enum json_error error;
    uint32_t depth;
    uint64_t objects; // bit d: level d is an object
};

static bool scan_fail(struct scanner *scanner, enum json_error error)
{
    ensure(error != JSON_OK && scanner->error == JSON_OK);
    scanner->error = error;
    return false;
}

// A character was expected: it is missing or wrong.
static bool scan_unexpected(struct scanner *scanner)
{
    return scan_fail(scanner, scanner->at == scanner->end ? JSON_TRUNCATED : JSON_SYNTAX);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void scan_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end && is_space(*scanner->at))
        scanner->at++;
}

static bool scan_character(struct scanner *scanner, char c)
{
    if (scanner->at == scanner->end || *scanner->at != c)
        return scan_unexpected(scanner);
    scanner->at++;
    return true;
}

static bool scan_literal(struct scanner *scanner, const char *literal)
{
    for (; *literal != '\0'; literal++)
        if (!scan_character(scanner, *literal))
            return false;
    return true;
}

// ---- strings ------------------------------------------------------------------------------------

// Nonzero if one of eight bytes is a quote, a backslash, a control character or above 0x7f.
static bool word_special(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ (ONES * '"');
    uint64_t backslash = word ^ (ONES * '\\');
    uint64_t found =
        ((quote - ONES) | (backslash - ONES) | (word - ONES * 0x20) | word) & HIGHS;
    return found != 0;
}

// The next byte a string scan must look at.
static const char *string_special(const char *at, const char *end)
{
    while (end - at >= 8 && !word_special(at))
        at += 8;
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 &&
           (unsigned char)*at < 0x80)
        at++;
    return at;
}

static bool scan_escape(struct scanner *scanner)
{
    ensure(*scanner->at == '\\');
    char utf8[JSON_ESCAPE_SIZE_MAX];
    const char *at = scanner->at;
    if (scanner->end - at == 1) {
        scanner->at = scanner->end;
        return scan_fail(scanner, JSON_TRUNCATED);
    }
    if (json_escape_decode(&at, scanner->end, utf8) == 0)
        return scan_fail(scanner, JSON_ESCAPE);
    scanner->at = at;
    return true;
}

// A run of bytes above 0x7f; ASCII ends any character.
static bool scan_multibyte(struct scanner *scanner)
{
    const char *begin = scanner->at;
    const char *at = begin;
    while (at < scanner->end && (unsigned char)*at >= 0x80)
        at++;
    ensure(at > begin);
    if (!utf8_valid((const uint8_t *)begin, (size_t)(at - begin)))
        return scan_fail(scanner, JSON_UTF8);
    scanner->at = at;
    return true;
}

static bool scan_string(struct scanner *scanner)
{
    if (!scan_character(scanner, '"'))
        return false;
    for (;;) {
        scanner->at = string_special(scanner->at, scanner->end);
        if (scanner->at == scanner->end)
            return scan_fail(scanner, JSON_TRUNCATED);
        unsigned char c = (unsigned char)*scanner->at;
        if (c == '"') {
            scanner->at++;
            return true;
        }
        if (c < 0x20)
            return scan_fail(scanner, JSON_CONTROL);
        if (!(c == '\\' ? scan_escape(scanner) : scan_multibyte(scanner)))
            return false;
    }
}

// ---- the document -------------------------------------------------------------------------------

static bool scan_digits(struct scanner *scanner)
{
    const char *begin = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
        scanner->at++;
    return scanner->at > begin || scan_unexpected(scanner);
}

static bool at_any(const struct scanner *scanner, char a, char b)
{
    return scanner->at < scanner->end && (*scanner->at == a || *scanner->at == b);
}

static bool scan_number(struct scanner *scanner)
{
    if (at_any(scanner, '-', '-'))
        scanner->at++;
    bool zero = at_any(scanner, '0', '0');
    const char *begin = scanner->at;
    if (!scan_digits(scanner))
        return false;
    if (zero && scanner->at > begin + 1) {
        scanner->at = begin + 1;
        return scan_fail(scanner, JSON_SYNTAX);
    }
    if (at_any(scanner, '.', '.')) {
        scanner->at++;
        if (!scan_digits(scanner))
            return false;
    }
    if (!at_any(scanner, 'e', 'E'))
        return true;
    scanner->at++;
    if (at_any(scanner, '+', '-'))
        scanner->at++;
    return scan_digits(scanner);
}

static bool scan_key(struct scanner *scanner)
{
    scan_space(scanner);
    if (!scan_string(scanner))
        return false;
    scan_space(scanner);
    return scan_character(scanner, ':');
}

// Takes a scalar, or opens a container; *open tells that a value must follow.
static bool scan_begin(struct scanner *scanner, bool *open)
{
    scan_space(scanner);
    *open = false;
    if (scanner->at == scanner->end)
        return scan_fail(scanner, JSON_TRUNCATED);
    char c = *scanner->at;
    if (c == '"')
        return scan_string(scanner);
    if (c == 't')
        return scan_literal(scanner, "true");
    if (c == 'f')
        return scan_literal(scanner, "false");
    if (c == 'n')
        return scan_literal(scanner, "null");
    if (c != '{' && c != '[')
        return scan_number(scanner);
    if (scanner->depth == JSON_DEPTH_MAX)
        return scan_fail(scanner, JSON_TOO_DEEP);
    scanner->at++;
    scan_space(scanner);
    if (at_any(scanner, (char)(c + 2), (char)(c + 2))) { // '{' + 2 is '}', '[' + 2 is ']'
        scanner->at++;
        return true;
    }
    uint64_t bit = (uint64_t)1 << scanner->depth++;
    scanner->objects = c == '{' ? scanner->objects | bit : scanner->objects & ~bit;
    *open = true;
    return c == '[' || scan_key(scanner);
}

// After a value: closes what ends here; *open tells that another value must follow.
static bool scan_continue(struct scanner *scanner, bool *open)
{
    *open = false;
    while (scanner->depth > 0) {
        bool object = scanner->objects >> (scanner->depth - 1) & 1;
        scan_space(scanner);
        if (at_any(scanner, ',', ',')) {
            scanner->at++;
            *open = true;
            return !object || scan_key(scanner);
        }
        if (!scan_character(scanner, object ? '}' : ']'))
            return false;
        scanner->depth--;
    }
    return true;
}

// One value with all it contains.
static bool scan_value(struct scanner *scanner)
{
    bool open = true;
    while (open) {
        if (!scan_begin(scanner, &open))
            return false;
        if (!open && !scan_continue(scanner, &open))
            return false;
    }
    ensure(scanner->depth == 0 && scanner->at <= scanner->end);
    return true;
}

static struct json_value value_of(const char *text, const char *end)
{
    ensure(text < end);
    enum json_type type = JSON_NUMBER_TEXT;
    switch (*text) {
    case '{':
        type = JSON_OBJECT;
        break;
    case '[':
        type = JSON_ARRAY;
        break;
    case '"':
        type = JSON_STRING;
        break;
    case 't':
    case 'f':
        type = JSON_BOOLEAN;
        break;
    case 'n':
        type = JSON_NULL;
        break;
    default:
        break;
    }
    return (struct json_value){text, (uint32_t)(end - text), type};
}

enum json_error json_parse(const char *text, uint32_t size, struct json_value *root,
                           uint32_t *error_offset)
{
    struct scanner scanner = {.at = text, .end = text + size};
    scan_space(&scanner);
    const char *begin = scanner.at;
    if (begin == scanner.end) {
        (void)scan_fail(&scanner, JSON_EMPTY);
    } else if (scan_value(&scanner)) {
        const char *end = scanner.at;
        scan_space(&scanner);
        if (scanner.at == scanner.end) {
            *root = value_of(begin, end);
            return JSON_OK;
        }
        (void)scan_fail(&scanner, JSON_TRAILING);
    }
    if (error_offset != NULL)
        *error_offset = (uint32_t)(scanner.at - text);
    return scanner.error;
}

bool json_cursor_skip(struct json_cursor *cursor, struct json_slice *raw)
{
    ensure(cursor->at <= cursor->end);
    struct scanner scanner = {.at = cursor->at, .end = cursor->end};
    if (is_space(json_cursor_peek(cursor)) || !scan_value(&scanner))
        return false;
    if (raw != NULL)
        *raw = (struct json_slice){cursor->at, (uint32_t)(scanner.at - cursor->at)};
    cursor->at = scanner.at;
    return true;
}

// ---- walkers ------------------------------------------------------------------------------------

// Behind the string that begins at `at`.
static const char *string_end(const char *at, const char *end)
{
    ensure(at < end && *at == '"');
    at++;
    for (;;) {
        at = string_special(at, end);
        ensure(at < end);
        if (*at == '"')
            return at + 1;
        at += *at == '\\' ? 2 : 1;
    }
}

static const char *container_end(const char *at, const char *end)
{
    uint32_t depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = string_end(at, end);
            continue;
        }
        at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return at;
    }
    ensure(!"brackets balance in a document that was accepted");
    return end;
}

static const char *scalar_end(const char *at, const char *end)
{
    while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_space(*at))
        at++;
    return at;
}

// The value at `at`.
static struct json_value value_at(const char *at, const char *end)
{
    ensure(at < end);
    if (*at == '"')
        return value_of(at, string_end(at, end));
    if (*at == '{' || *at == '[')
        return value_of(at, container_end(at, end));
    return value_of(at, scalar_end(at, end));
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

static struct json_walk walk_inside(const struct json_value *container)
{
    ensure(container->size >= 2);
    const char *end = container->text + container->size - 1;
    return (struct json_walk){skip_space(container->text + 1, end), end};
}

enum json_error json_walk_object(const struct json_value *object, struct json_walk *walk)
{
    if (object->type != JSON_OBJECT)
        return JSON_WRONG_TYPE;
    *walk = walk_inside(object);
    return JSON_OK;
}

enum json_error json_walk_array(const struct json_value *array, struct json_walk *walk)
{
    if (array->type != JSON_ARRAY)
        return JSON_WRONG_TYPE;
    *walk = walk_inside(array);
    return JSON_OK;
}

bool json_walk_element(struct json_walk *walk, struct json_value *element)
{
    if (walk->at == walk->end)
        return false;
    *element = value_at(walk->at, walk->end);
    const char *at = skip_space(element->text + element->size, walk->end);
    if (at < walk->end) {
        ensure(*at == ',');
        at = skip_space(at + 1, walk->end);
    }
    walk->at = at;
    return true;
}

bool json_walk_member(struct json_walk *walk, struct json_value *key, struct json_value *value)
{
    if (walk->at == walk->end)
        return false;
    *key = value_at(walk->at, walk->end);
    ensure(key->type == JSON_STRING);
    const char *colon = skip_space(key->text + key->size, walk->end);
    ensure(colon < walk->end && *colon == ':');
    walk->at = skip_space(colon + 1, walk->end);
    return json_walk_element(walk, value);
}

enum json_error json_find(const struct json_value *object, const char *name,
                          struct json_value *value)
{
    struct json_walk walk;
    enum json_error error = json_walk_object(object, &walk);
    if (error != JSON_OK)
        return error;
    struct json_value key;
    struct json_value candidate;
    struct json_value found = {0};
    while (json_walk_member(&walk, &key, &candidate)) {
        if (!json_string_equals(&key, name))
            continue;
        if (found.text != NULL)
            return JSON_DUPLICATE;
        found = candidate;
    }
    if (found.text == NULL)
        return JSON_NOT_FOUND;
    *value = found;
    return JSON_OK;
}
