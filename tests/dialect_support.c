// SPDX-License-Identifier: GPL-3.0-or-later
#include "dialect_support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/ensure.h"
#include "protocol/decimal.h"

enum {
    GUARD_BYTES = 1 << 16, // a multiple of any page size
    GUARDED_BYTES = DIALECT_SUPPORT_FRAME_BYTES_MAX + GUARD_BYTES,
};

// Memory whose end must not be passed: what lies behind cannot be read.
static uint8_t *open_guarded(void)
{
    uint8_t *bytes = mmap(NULL, GUARDED_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ensure(bytes != MAP_FAILED);
    ensure(mprotect(bytes + GUARDED_BYTES, GUARD_BYTES, PROT_NONE) == 0);
    return bytes;
}

void dialect_support_open(struct dialect_support *support, const char *dialect, const char *symbols)
{
    memset(support, 0, sizeof *support);
    support->dialect = dialect_by_name(dialect);
    ensure(support->dialect != NULL);
    support->symbols = symbols_open(1024);
    for (int i = 0; i < 2; i++)
        support->levels[i] = calloc(EVENT_LEVELS_MAX, sizeof *support->levels[i]);
    support->bytes = open_guarded();
    support->text = malloc(DIALECT_SUPPORT_TEXT_BYTES_MAX);
    ensure(support->symbols != NULL && support->bytes != NULL && support->text != NULL);
    support->context = (struct dialect_context){
        .symbols = support->symbols,
        .exchange = symbols_exchange(support->symbols, dialect),
        .raw_symbol = SYMBOL_NONE,
    };
    while (*symbols != '\0') {
        const uint32_t size = (uint32_t)strcspn(symbols, " ");
        ensure(symbols_add(support->symbols, support->context.exchange, symbols, size) !=
               SYMBOL_NONE);
        symbols += size;
        symbols += strspn(symbols, " ");
    }
}

void dialect_support_close(struct dialect_support *support)
{
    symbols_close(support->symbols);
    free(support->levels[0]);
    free(support->levels[1]);
    ensure(munmap(support->bytes, GUARDED_BYTES + GUARD_BYTES) == 0);
    free(support->text);
}

void dialect_support_begin(struct dialect_support *support, const void *bytes, uint32_t size,
                           uint8_t padding)
{
    ensure(size <= DIALECT_SUPPORT_FRAME_BYTES_MAX);
    uint8_t *at = support->bytes + GUARDED_BYTES - DIALECT_FRAME_PADDING - size;
    if (size > 0)
        memcpy(at, bytes, size);
    memset(at + size, padding, DIALECT_FRAME_PADDING);
    dialect_frame_begin(support->dialect, &support->frame, &support->context, at, size,
                        support->levels[0]);
}

// ---- text ----

struct writer {
    char *at;
    char *end;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(writer->at, (size_t)(writer->end - writer->at), format, arguments);
    va_end(arguments);
    ensure(size >= 0 && size < writer->end - writer->at);
    writer->at += size;
}

static void put_decimal(struct writer *writer, int64_t mantissa, uint8_t scale)
{
    char text[DECIMAL_FORMAT_SIZE_MAX];
    const uint32_t size = decimal_format(mantissa, scale, text);
    put(writer, "%.*s", (int)size, text);
}

static void put_cell(struct writer *writer, const struct event *event, int column,
                     const struct column *entry)
{
    put(writer, " %s=", entry->name);
    switch (entry->type) {
    case COLUMN_DECIMAL: put_decimal(writer, event->value[column], event->scale[column]); break;
    case COLUMN_CODE: put(writer, "%s", code_name(entry, event->value[column])); break;
    case COLUMN_TEXT: {
        const struct event_text text = event_text(event, column);
        put(writer, "'%.*s'", (int)text.size, (const char *)text.bytes);
        break;
    }
    default: put(writer, "%" PRId64, event->value[column]); break;
    }
}

void dialect_support_print(const struct dialect_support *support, const struct event *event,
                           char *out, uint32_t out_size)
{
    struct writer writer = {out, out + out_size};
    const struct channel_schema *schema = channel_schema(event->channel);
    put(&writer, "%s %s", schema->name,
        event->symbol == SYMBOL_NONE ? "-" : symbols_name(support->symbols, event->symbol)->text);
    for (int c = COLUMN_FLAGS; c < schema->column_count; c++)
        if (event_has(event, c) && (c != COLUMN_FLAGS || event->value[c] != 0))
            put_cell(&writer, event, c, &schema->columns[c]);
    for (uint32_t i = 0; i < event->level_count; i++) {
        const struct event_level *level = &event->levels[i];
        put(&writer, " %c ", level->side == 0 ? 'b' : 'a');
        put_decimal(&writer, level->price, level->price_scale);
        put(&writer, " x ");
        put_decimal(&writer, level->quantity, level->quantity_scale);
    }
    put(&writer, "\n");
}

const char *dialect_support_read(struct dialect_support *support, const char *frame, bool strict)
{
    struct event event;
    uint32_t size = 0;
    dialect_support_begin(support, frame, (uint32_t)strlen(frame), '7');
    support->text[0] = '\0';
    while (strict ? support->dialect->next_strict(&support->frame, &event)
                  : support->dialect->next(&support->frame, &event)) {
        dialect_support_print(support, &event, support->text + size,
                              DIALECT_SUPPORT_TEXT_BYTES_MAX - size);
        size += (uint32_t)strlen(support->text + size);
    }
    return support->text;
}

// ---- comparison ----

static bool levels_equal(const struct event *a, const struct event *b)
{
    if (a->level_count != b->level_count)
        return false;
    for (uint32_t i = 0; i < a->level_count; i++) {
        const struct event_level *x = &a->levels[i], *y = &b->levels[i];
        if (x->price != y->price || x->quantity != y->quantity ||
            x->price_scale != y->price_scale || x->quantity_scale != y->quantity_scale ||
            x->side != y->side)
            return false;
    }
    return true;
}

bool dialect_support_equal(const struct event *a, const struct event *b)
{
    if (a->channel != b->channel || a->symbol != b->symbol || a->present != b->present)
        return false;
    const struct channel_schema *schema = channel_schema(a->channel);
    for (int c = 0; c < schema->column_count; c++) {
        if (!event_has(a, c))
            continue;
        if (schema->columns[c].type == COLUMN_TEXT) {
            const struct event_text x = event_text(a, c), y = event_text(b, c);
            if (x.size != y.size || memcmp(x.bytes, y.bytes, x.size) != 0)
                return false;
        } else if (a->value[c] != b->value[c] ||
                   (schema->columns[c].type == COLUMN_DECIMAL && a->scale[c] != b->scale[c])) {
            return false;
        }
    }
    return levels_equal(a, b);
}

static void differ(const struct dialect_support *support, const struct event *fast,
                   const struct event *strict)
{
    (void)fprintf(stderr, "the two scanners differ on:\n%.*s\n", (int)support->frame.size,
                  (const char *)support->frame.bytes);
    for (int i = 0; i < 2; i++) {
        const struct event *event = i == 0 ? fast : strict;
        support->text[0] = '\0';
        if (event != NULL)
            dialect_support_print(support, event, support->text, DIALECT_SUPPORT_TEXT_BYTES_MAX);
        (void)fprintf(stderr, "%s: %s\n", i == 0 ? "fast" : "strict", support->text);
    }
    abort();
}

static uint32_t compare(struct dialect_support *support, const void *bytes, uint32_t size,
                        uint8_t padding, uint32_t *raw_count)
{
    static struct dialect_frame strict_frame;
    static struct event fast, strict;
    uint32_t rows = 0, steps = 0;
    dialect_support_begin(support, bytes, size, padding);
    dialect_frame_begin(support->dialect, &strict_frame, &support->context, support->frame.bytes,
                        size, support->levels[1]);
    for (;;) {
        const bool more = support->dialect->next(&support->frame, &fast);
        const bool more_strict = support->dialect->next_strict(&strict_frame, &strict);
        if (more != more_strict || (more && !dialect_support_equal(&fast, &strict)))
            differ(support, more ? &fast : NULL, more_strict ? &strict : NULL);
        if (!more)
            return rows;
        ensure(steps++ <= (uint64_t)size * (DIALECT_PENDING_MAX + 1) + DIALECT_PENDING_MAX);
        if (fast.channel != CHANNEL_RAW)
            rows++;
        else
            (*raw_count)++;
    }
}

uint32_t dialect_support_compare(struct dialect_support *support, const void *bytes, uint32_t size,
                                 uint32_t *raw_count)
{
    uint32_t raws[2] = {0, 0};
    // Digits behind a number, a quote and brackets behind the rest, are what might be read as more.
    const uint32_t rows = compare(support, bytes, size, '7', &raws[0]);
    ensure(compare(support, bytes, size, '}', &raws[1]) == rows);
    ensure(raws[0] == raws[1]);
    if (raw_count != NULL)
        *raw_count += raws[0];
    return rows;
}

const char *dialect_support_recording(const char *name)
{
    static char path[4096];
    const char *folder = getenv("RINGTAPE_REAL_DATA");
    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "../shared/data", name);
    if (access(path, R_OK) == 0)
        return path;
    (void)fprintf(stderr, "SKIPPED: no recording %s (see RINGTAPE_REAL_DATA)\n", path);
    return NULL;
}
