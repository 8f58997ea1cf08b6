// SPDX-License-Identifier: GPL-3.0-or-later
//
// The file lies unpacked in memory; lines are cut at newlines and classified by their first bytes.
// Python byte literals are decoded in place, once: the decoded form is never longer.
#include "tools/exchange_sim_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ensure.h"

enum {
    CAPTURE_PADDING = 64,
    CAPTURE_READ_BYTES = 1 << 20,
    CAPTURE_BYTES_MAX = 1 << 30,
    LITERAL_DECODED = 1, // stands where the opening quote of a decoded literal was
};

struct exchange_sim_capture {
    char *text;
    size_t size;
    size_t capacity;
    size_t at;
    uint32_t line;
};

static bool capture_grow(struct exchange_sim_capture *capture)
{
    if (capture->capacity - capture->size >= CAPTURE_READ_BYTES + CAPTURE_PADDING)
        return true;
    size_t const capacity = capture->capacity * 2 + 2 * CAPTURE_READ_BYTES;
    if (capacity > CAPTURE_BYTES_MAX) {
        errno = EFBIG;
        return false;
    }
    char *text = realloc(capture->text, capacity);
    if (text == NULL)
        return false;
    capture->text = text;
    capture->capacity = capacity;
    return true;
}

static bool capture_read_all(struct exchange_sim_capture *capture, int handle)
{
    for (;;) {
        if (!capture_grow(capture))
            return false;
        ssize_t const size = read(handle, capture->text + capture->size, CAPTURE_READ_BYTES);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        if (size == 0)
            break;
        capture->size += (size_t)size;
    }
    memset(capture->text + capture->size, 0, CAPTURE_PADDING);
    return true;
}

// The reading end of `gzip -dc PATH`.
static int capture_gzip_start(const char *path, pid_t *child)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    *child = fork();
    if (*child == 0) {
        if (dup2(ends[1], STDOUT_FILENO) >= 0)
            (void)execlp("gzip", "gzip", "-dc", "--", path, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    if (*child > 0)
        return ends[0];
    (void)close(ends[0]);
    return -1;
}

static bool capture_gzip_end(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    errno = EINVAL;
    return false;
}

static bool capture_load(struct exchange_sim_capture *capture, const char *path)
{
    size_t const length = strlen(path);
    bool const packed = length > 3 && strcmp(path + length - 3, ".gz") == 0;
    if (access(path, R_OK) != 0)
        return false;
    pid_t child = 0;
    int const handle = packed ? capture_gzip_start(path, &child) : open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return false;
    bool const complete = capture_read_all(capture, handle);
    (void)close(handle);
    if (packed && !capture_gzip_end(child))
        return false;
    return complete;
}

struct exchange_sim_capture *exchange_sim_capture_open(const char *path)
{
    ensure(path != NULL);
    struct exchange_sim_capture *capture = calloc(1, sizeof *capture);
    if (capture == NULL)
        return NULL;
    if (capture_load(capture, path))
        return capture;
    int const failure = errno;
    exchange_sim_capture_close(capture);
    errno = failure;
    return NULL;
}

void exchange_sim_capture_close(struct exchange_sim_capture *capture)
{
    if (capture == NULL)
        return;
    free(capture->text);
    free(capture);
}

void exchange_sim_capture_rewind(struct exchange_sim_capture *capture)
{
    capture->at = 0;
    capture->line = 0;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

// Decimal digits, with a fraction for seconds; ns since 1970. The unit of a whole number follows
// from its digits: 10 s, 13 ms, 16 us, 19 ns (years 2001 to 2286). NULL where no time stands there.
static const char *capture_time(const char *at, const char *end, int64_t *ns)
{
    int64_t value = 0;
    int digits = 0;
    for (; at < end && digit(*at) && digits < 19; at++, digits++)
        value = value * 10 + (*at - '0');
    bool const fraction = at < end && *at == '.';
    if (digits < 10 || (fraction && digits != 10))
        return NULL;
    if (fraction)
        for (at++; at < end && digit(*at); at++)
            if (digits < 19) {
                value = value * 10 + (*at - '0');
                digits++;
            }
    for (; digits < 19; digits++)
        value *= 10;
    *ns = value;
    return at;
}

static int hex_value(char c)
{
    if (digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

// One escape of a Python bytes literal, as repr() writes them; advances *at past it.
static char literal_escape(const char **at, const char *end)
{
    char const kind = *(*at)++;
    if (kind == 'x' && end - *at >= 2 && hex_value((*at)[0]) >= 0 && hex_value((*at)[1]) >= 0) {
        int const value = hex_value((*at)[0]) * 16 + hex_value((*at)[1]);
        *at += 2;
        return (char)value;
    }
    return kind == 'n' ? '\n' : kind == 'r' ? '\r' : kind == 't' ? '\t' : kind;
}

// b'...' or b"..." at `text`: decoded in place, to text + 2. The opening quote and whatever the
// decoded form leaves over become marks, from which a second pass has the size.
static uint32_t literal_decode(char *text, char *end)
{
    if (text[1] == LITERAL_DECODED) {
        uint32_t size = 0;
        for (const char *c = end - 1; c > text + 1 && *c == LITERAL_DECODED; c--)
            size++;
        return (uint32_t)(end - text) - 2 - size;
    }
    char *target = text + 2;
    const char *at = text + 2;
    const char *const last = end - 1;
    while (at < last) {
        char const c = *at++;
        *target++ = c == '\\' && at < last ? literal_escape(&at, last) : c;
    }
    uint32_t const size = (uint32_t)(target - (text + 2));
    memset(target, LITERAL_DECODED, (size_t)(end - target));
    text[1] = LITERAL_DECODED;
    return size;
}

static bool capture_literal(const char *text, const char *end)
{
    return end - text >= 3 && text[0] == 'b' &&
           (text[1] == '\'' || text[1] == '"' || text[1] == LITERAL_DECODED) &&
           (end[-1] == text[1] || end[-1] == LITERAL_DECODED);
}

static bool starts(const char *text, const char *end, const char *with)
{
    size_t const size = strlen(with);
    return (size_t)(end - text) >= size && memcmp(text, with, size) == 0;
}

static void capture_payload(struct exchange_sim_capture_line *line, char *text, char *end)
{
    line->text = (const uint8_t *)text;
    line->size = (uint32_t)(end - text);
    if (capture_literal(text, end)) {
        line->binary = true;
        line->text = (const uint8_t *)text + 2;
        line->size = literal_decode(text, end);
    }
}

// "<URL> <-> <time>", "<URL> <- <time>: <text>", "<URL> -> <time>: <text>".
static bool capture_url_line(struct exchange_sim_capture_line *line, char *text, char *end)
{
    char *space = memchr(text, ' ', (size_t)(end - text));
    if (space == NULL)
        return false;
    line->url = text;
    line->url_size = (uint32_t)(space - text);
    bool const connected = starts(space, end, " <-> ");
    bool const request = starts(space, end, " <- ");
    if (!connected && !request && !starts(space, end, " -> "))
        return false;
    const char *at = capture_time(space + (connected ? 5 : 4), end, &line->receive_ns);
    if (at == NULL)
        return false;
    line->kind = connected ? EXCHANGE_SIM_CAPTURE_CONNECTED
                 : request ? EXCHANGE_SIM_CAPTURE_REQUEST
                           : EXCHANGE_SIM_CAPTURE_REST;
    if (!connected && starts(at, end, ": "))
        capture_payload(line, text + (at + 2 - text), end);
    return true;
}

static bool capture_timed_line(struct exchange_sim_capture_line *line, char *text, char *end)
{
    const char *at = capture_time(text, end, &line->receive_ns);
    if (at == NULL)
        return false;
    if (starts(at, end, ": "))
        at += 2;
    else if (starts(at, end, " "))
        at += 1;
    else
        return false;
    capture_payload(line, text + (at - text), end);
    return true;
}

static void capture_classify(struct exchange_sim_capture_line *line, char *text, char *end)
{
    line->kind = EXCHANGE_SIM_CAPTURE_MESSAGE;
    bool known = true;
    if (starts(text, end, "ws") || starts(text, end, "http"))
        known = capture_url_line(line, text, end);
    else if (*text == '{' || *text == '[')
        capture_payload(line, text, end);
    else
        known = capture_timed_line(line, text, end);
    if (!known) {
        line->kind = EXCHANGE_SIM_CAPTURE_MALFORMED;
        line->text = (const uint8_t *)text;
        line->size = (uint32_t)(end - text);
    }
    const char *payload = (const char *)line->text;
    if (line->kind == EXCHANGE_SIM_CAPTURE_MESSAGE &&
        starts(payload, payload + line->size, "{\"lastUpdateId\""))
        line->kind = EXCHANGE_SIM_CAPTURE_REST;
}

bool exchange_sim_capture_next(struct exchange_sim_capture *capture,
                               struct exchange_sim_capture_line *line)
{
    ensure(capture->at <= capture->size);
    while (capture->at < capture->size) {
        char *text = capture->text + capture->at;
        char *end = memchr(text, '\n', capture->size - capture->at);
        if (end == NULL)
            end = capture->text + capture->size;
        capture->at = (size_t)(end - capture->text) + 1;
        if (capture->at > capture->size)
            capture->at = capture->size;
        capture->line++;
        if (end > text && end[-1] == '\r')
            end--;
        if (end == text || starts(text, end, "configuration:"))
            continue;
        static const uint8_t nothing[CAPTURE_PADDING];
        *line = (struct exchange_sim_capture_line){
            .number = capture->line, .text = nothing, .url = (const char *)nothing};
        capture_classify(line, text, end);
        return true;
    }
    return false;
}

bool exchange_sim_capture_unwrap(const uint8_t *text, uint32_t size, const char **stream,
                                 uint32_t *stream_size, const uint8_t **payload,
                                 uint32_t *payload_size)
{
    static const char head[] = "{\"stream\":\"";
    static const char middle[] = "\",\"data\":";
    const char *at = (const char *)text;
    const char *const end = at + size;
    if (!starts(at, end, head) || end[-1] != '}')
        return false;
    at += sizeof head - 1;
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (quote == NULL || !starts(quote, end, middle))
        return false;
    *stream = at;
    *stream_size = (uint32_t)(quote - at);
    *payload = (const uint8_t *)quote + sizeof middle - 1;
    *payload_size = (uint32_t)(end - 1 - (quote + sizeof middle - 1));
    return true;
}
