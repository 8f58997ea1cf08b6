// SPDX-License-Identifier: Apache-2.0
//
// column buffers → arena. All columns break pages at the same rows. What comes before anything is
// coded: a dictionary that cannot take the page's values ends the row group, or its own use.
#include "format/parquet_writer_inside.h"

#include "format/ensure.h"
#include "format/parquet_choice.h"
#include <errno.h>
#include <string.h>

// Puts the header before the payload that is in the arena behind room for it, and tells the page.
static void parquet_page_place(struct parquet_writer *w, const uint8_t *header, size_t size,
                               size_t payload_size, struct parquet_page *page)
{
    ensure(size <= PARQUET_PAGE_HEADER_BYTES_MAX);
    page->memory_offset = w->arena_size + PARQUET_PAGE_HEADER_BYTES_MAX - size;
    memcpy(w->arena + page->memory_offset, header, size);
    page->bytes = (uint32_t)(size + payload_size);
    w->arena_size = page->memory_offset + page->bytes;
}

static void parquet_page_encode(struct parquet_writer *w, uint32_t c, struct parquet_page *page)
{
    const struct parquet_buffer *buffer = &w->buffers[c];
    uint8_t *payload = w->arena + w->arena_size + PARQUET_PAGE_HEADER_BYTES_MAX;
    const size_t room = PARQUET_ARENA_BYTES - w->arena_size - PARQUET_PAGE_HEADER_BYTES_MAX;
    const size_t raw_size = parquet_buffer_encode(buffer, w->page_rows, page->mode, w->raw);
    ensure(room >= ZSTD_compressBound(raw_size));
    const size_t size = ZSTD_compress2(w->zstd, payload, room, w->raw, raw_size);
    if (ZSTD_isError(size)) {
        w->error = -ENOMEM; // with enough room, memory is all that can be missing
        return;
    }
    uint8_t header[PARQUET_PAGE_HEADER_BYTES_MAX];
    const size_t header_size =
        parquet_metadata_data_page(header, page->mode, w->page_rows, raw_size, size,
                                   parquet_crc_of(&w->crc, payload, size));
    parquet_page_place(w, header, header_size, size, page);
    page->bytes_uncompressed = (uint32_t)(header_size + raw_size);
}

// ---- columns with the same values ----

// In parallel, which memcmp() is not everywhere.
static bool parquet_page_equal(const int64_t *a, const int64_t *b, uint32_t count)
{
    enum { PART = 1024 }; // columns that differ do so soon
    for (uint32_t i = 0; i < count;) {
        const uint32_t end = count - i < PART ? count : i + PART;
        uint64_t different = 0;
        for (; i < end; i++) different |= (uint64_t)a[i] ^ (uint64_t)b[i];
        if (different != 0) return false;
    }
    return true;
}

static bool parquet_page_is_twin(const struct parquet_writer *w, uint32_t c, uint32_t other)
{
    const struct parquet_buffer *a = &w->buffers[other], *b = &w->buffers[c];
    if (!parquet_buffer_is_int64(a) || a->column->nullable) return false;
    const struct parquet_page *left = &a->pages[w->page_count], *right = &b->pages[w->page_count];
    return left->bounds.min == right->bounds.min && left->bounds.max == right->bounds.max &&
           parquet_page_equal(a->int64, b->int64, w->page_rows);
}

// An earlier column whose page has the same bytes (`time` is one of the channel's own times, as a
// rule); column_count: none. The values of a column stay in its buffer until the next page.
static uint32_t parquet_page_twin(const struct parquet_writer *w, uint32_t c)
{
    const struct parquet_buffer *buffer = &w->buffers[c];
    if (!parquet_buffer_is_int64(buffer) || buffer->column->nullable || w->page_rows == 0)
        return w->options.column_count;
    for (uint32_t other = 0; other < c; other++)
        if (parquet_page_is_twin(w, c, other)) return other;
    return w->options.column_count;
}

static void parquet_page_copy(struct parquet_writer *w, const struct parquet_page *from,
                              struct parquet_page *to)
{
    const uint8_t *bytes = w->arena + from->memory_offset;
    ensure(from->bytes <= PARQUET_ARENA_BYTES - w->arena_size);
    memcpy(w->arena + w->arena_size, bytes, from->bytes);
    to->memory_offset = w->arena_size;
    to->bytes = from->bytes;
    to->bytes_uncompressed = from->bytes_uncompressed;
    w->arena_size += from->bytes;
}

// ---- one column ----

static uint64_t parquet_page_rows_expected(const struct parquet_writer *w)
{
    const uint64_t rows = w->options.rows_expected; // of the file
    uint64_t left = rows > w->rows ? rows - w->rows + w->page_rows : w->page_rows;
    if (rows == 0 || left > PARQUET_GROUP_ROWS) left = PARQUET_GROUP_ROWS;
    return left < w->page_rows ? w->page_rows : left;
}

// How the row group has the column, if that is open yet. A twin has it as the other one.
static void parquet_page_choose(struct parquet_writer *w, uint32_t c, uint32_t twin)
{
    struct parquet_buffer *buffer = &w->buffers[c];
    const struct parquet_buffer *other = &w->buffers[twin < c ? twin : c];
    const struct parquet_bounds *bounds = &buffer->pages[w->page_count].bounds;
    const bool empty = parquet_buffer_dictionary_count(buffer) == 0; // of nulls alone, so far
    if (buffer->chosen && parquet_mode_has_dictionary(buffer->mode) && empty)
        buffer->chosen = false;
    if (buffer->chosen) return;
    if (twin < c && other->chosen && !parquet_mode_has_dictionary(other->mode)) {
        buffer->mode = buffer->mode_without = other->mode;
        parquet_buffer_keep_mode(buffer);
        return;
    }
    const struct parquet_choice choice = {.zstd = w->zstd,
                                          .raw = w->raw,
                                          .packed = w->packed,
                                          .packed_capacity = w->packed_capacity,
                                          .rows_expected = parquet_page_rows_expected(w)};
    const bool constant =
        bounds->any && parquet_buffer_is_number(buffer) && bounds->min == bounds->max;
    if (!parquet_choose(buffer, w->page_rows, constant, &choice)) w->error = -ENOMEM;
    if (!parquet_mode_has_dictionary(buffer->mode)) buffer->begun_without = true;
}

static void parquet_page_column(struct parquet_writer *w, uint32_t c)
{
    struct parquet_buffer *buffer = &w->buffers[c];
    struct parquet_page *page = &buffer->pages[w->page_count];
    parquet_buffer_bounds(buffer, w->page_number, &page->bounds);
    const uint32_t twin = parquet_page_twin(w, c);
    parquet_page_choose(w, c, twin);
    page->rows = w->page_rows;
    page->nulls = w->page_rows - buffer->count;
    page->mode = buffer->mode;
    if (w->error != 0) return;
    const struct parquet_page *same =
        twin < c ? &w->buffers[twin].pages[w->page_count] : NULL;
    if (same != NULL && same->mode == page->mode && !parquet_mode_has_dictionary(page->mode))
        parquet_page_copy(w, same, page);
    else
        parquet_page_encode(w, c, page);
    parquet_buffer_clear(buffer, w->page_rows);
}

// ---- dictionaries ----

// The page's values find their places. False: some dictionary is full, and the row group is better
// ended before this page; what the dictionaries took of it is taken back.
static bool parquet_page_places(struct parquet_writer *w)
{
    uint32_t known[PARQUET_COLUMNS_MAX];
    bool good = true;
    for (uint32_t c = 0; c < w->options.column_count && good; c++) {
        struct parquet_buffer *buffer = &w->buffers[c];
        known[c] = buffer->dictionary.count;
        if (buffer->column->type == PARQUET_CODE || !parquet_mode_has_dictionary(buffer->mode) ||
            !buffer->chosen || parquet_buffer_places(buffer, 0, buffer->count))
            continue;
        if (w->group_rows < PARQUET_GROUP_ROWS_MIN) {
            buffer->mode = buffer->mode_without;
            buffer->groups_left = 1;
        } else
            good = false;
        if (good) continue;
        // The tables are emptied with the group that ends here, so that counts are all to restore.
        for (uint32_t before = 0; before <= c; before++)
            w->buffers[before].dictionary.count = known[before];
    }
    return good;
}

// What the pages of the current rows may need in the arena at most.
static size_t parquet_page_bound(const struct parquet_writer *w)
{
    size_t bound = 0;
    for (uint32_t c = 0; c < w->options.column_count; c++)
        bound += PARQUET_PAGE_HEADER_BYTES_MAX +
                 ZSTD_compressBound(parquet_buffer_raw_bound(&w->buffers[c], w->page_rows));
    return bound;
}

// Ends the row group before the page's rows. Whether they are sorted is not known of either part
// alone, so neither claims too much.
static void parquet_page_split(struct parquet_writer *w)
{
    const bool sorted = w->group_sorted;
    parquet_group_end(w);
    w->group_sorted = sorted;
}

void parquet_page_end(struct parquet_writer *w)
{
    if (w->page_rows == 0 || w->error != 0) return;
    const size_t bound = parquet_page_bound(w);
    ensure(bound <= PARQUET_ARENA_BYTES);
    if (bound > PARQUET_ARENA_BYTES - w->arena_size) parquet_page_split(w);
    if (!parquet_page_places(w)) parquet_page_split(w);
    w->page_number++;
    for (uint32_t c = 0; c < w->options.column_count && w->error == 0; c++)
        parquet_page_column(w, c);
    w->group_rows += w->page_rows;
    w->page_count++;
    w->page_rows = 0;
    if (w->group_rows + PARQUET_PAGE_ROWS > PARQUET_GROUP_ROWS ||
        w->page_count == PARQUET_BUFFER_PAGES_MAX)
        parquet_group_end(w);
}
