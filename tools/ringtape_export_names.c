// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names are compared as bytes: exchanges have no ':' in theirs, so those of one lie together.
#include "tools/ringtape_export_names.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int ringtape_export_name_compare(struct event_text a, struct event_text b)
{
    const uint32_t common = a.size < b.size ? a.size : b.size;
    const int order = common > 0 ? memcmp(a.bytes, b.bytes, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int ringtape_export_name_order(const void *left, const void *right)
{
    const struct ringtape_export_name *a = left, *b = right;
    const int order = ringtape_export_name_compare(a->text, b->text);
    return order != 0 ? order : (a->segment > b->segment) - (a->segment < b->segment);
}

static struct ringtape_export_name ringtape_export_name_of(const struct index *index,
                                                           uint32_t segment, uint32_t symbol)
{
    const struct event_text text = index_name(index, symbol);
    const uint8_t *colon = text.size > 0 ? memchr(text.bytes, ':', text.size) : NULL;
    ensure(text.size <= SEGMENT_SYMBOL_BYTES_MAX);
    return (struct ringtape_export_name){
        .text = text,
        .exchange_size = colon != NULL ? (uint32_t)(colon - text.bytes) : 0,
        .segment = segment,
        .symbol = text.size > 0 ? symbol : SYMBOL_NONE,
        .rows = index->symbols[symbol].rows,
    };
}

int ringtape_export_names_open(struct ringtape_export_names *names,
                               const struct ringtape_query *query,
                               const struct ringtape_segment *segments, uint32_t segment_count)
{
    size_t room = 0;
    for (uint32_t s = 0; s < segment_count; s++) {
        const struct index *index = ringtape_segment_index(&segments[s]);
        room += index != NULL ? index->symbol_count : 0;
    }
    names->count = 0;
    names->names = calloc(room + 1, sizeof names->names[0]);
    if (names->names == NULL) return -ENOMEM;
    for (uint32_t s = 0; s < segment_count; s++) {
        const struct index *index = ringtape_segment_index(&segments[s]);
        for (uint32_t i = 0; index != NULL && i < index->symbol_count; i++) {
            const struct event_text text = index_name(index, i);
            if (ringtape_query_has_symbol(query, text.bytes, text.size))
                names->names[names->count++] = ringtape_export_name_of(index, s, i);
        }
    }
    if (names->count > 0)
        qsort(names->names, names->count, sizeof names->names[0], ringtape_export_name_order);
    return 0;
}

void ringtape_export_names_close(struct ringtape_export_names *names)
{
    free(names->names);
    *names = (struct ringtape_export_names){.count = 0};
}

static bool ringtape_export_same_exchange(const struct ringtape_export_name *a,
                                          const struct ringtape_export_name *b)
{
    return a->exchange_size == b->exchange_size && (a->text.size == 0) == (b->text.size == 0) &&
           (a->exchange_size == 0 || memcmp(a->text.bytes, b->text.bytes, a->exchange_size) == 0);
}

size_t ringtape_export_names_exchange(const struct ringtape_export_names *names, size_t first)
{
    size_t end = first + 1;
    ensure(first < names->count);
    while (end < names->count &&
           ringtape_export_same_exchange(&names->names[first], &names->names[end]))
        end++;
    return end;
}

size_t ringtape_export_names_symbol(const struct ringtape_export_names *names, size_t first)
{
    size_t end = first + 1;
    ensure(first < names->count);
    while (end < names->count &&
           ringtape_export_name_compare(names->names[first].text, names->names[end].text) == 0)
        end++;
    return end;
}

const char **ringtape_export_names_texts(const struct ringtape_export_names *names, size_t first,
                                         size_t end, uint32_t *count)
{
    const size_t pointers = (end - first) * sizeof(char *);
    size_t bytes = 0;
    ensure(first < end && end <= names->count);
    for (size_t i = first; i < end; i++) bytes += names->names[i].text.size + 1;
    const char **texts = malloc(pointers + bytes);
    if (texts == NULL) return NULL;
    char *next = (char *)texts + pointers;
    *count = 0;
    for (size_t i = first; i < end; i = ringtape_export_names_symbol(names, i)) {
        const struct ringtape_export_name *name = &names->names[i];
        const uint32_t skipped = name->exchange_size > 0 ? name->exchange_size + 1 : 0;
        const uint32_t size = name->text.size - skipped;
        if (size > 0) memcpy(next, name->text.bytes + skipped, size);
        next[size] = 0;
        texts[(*count)++] = next;
        next += size + 1;
    }
    return texts;
}
