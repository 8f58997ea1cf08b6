// SPDX-License-Identifier: Apache-2.0
//
// Which blocks of a segment are read is decided by its index alone; a block's rows are then matched
// one condition after the other.
#include <errno.h>

#include "format/ensure.h"
#include "format/store_scan_inside.h"

static int damaged_segment(struct store_scan *scan, const struct scan_entry *entry,
                           const char *what, uint64_t rows)
{
    struct store_damage damage = {
        .path = entry->path, .what = what, .bytes = entry->file.size, .rows = rows};
    return scan_report(scan, &damage);
}

static int damaged_block(struct store_scan *scan, const struct scan_entry *entry, const char *what)
{
    const struct layout_index_block *block = &segment_index(scan->segment)->blocks[scan->block];
    struct store_damage damage = {.path = entry->path,
                                  .what = what,
                                  .offset = block->offset,
                                  .bytes = block->bytes,
                                  .rows = block->rows,
                                  .sequence_first = scan->block,
                                  .sequence_last = scan->block};
    return scan_report(scan, &damage);
}

// Blocks whose headers are damaged, too, are not even in the index of a segment without footer.
static int report_walked(struct store_scan *scan, const struct scan_entry *entry)
{
    if (segment_footer_error(scan->segment) == SEGMENT_GOOD || !segment_rebuilt(scan->segment))
        return 0;
    uint64_t rows = segment_index(scan->segment)->header->rows;
    if (rows >= entry->rows)
        return 0;
    return damaged_segment(scan, entry, segment_error_text(SEGMENT_BAD_FOOTER), entry->rows - rows);
}

int scan_enter_segment(struct store_scan *scan, struct scan_entry *entry)
{
    int error = store_file_map(&entry->file);
    if (error < 0)
        return error;
    if (store_file_open(&scan->index_file, scan->store, entry->other_path) < 0 ||
        store_file_map(&scan->index_file) < 0)
        store_file_close(&scan->index_file); // it is only a cache
    struct source source = store_file_source(&entry->file);
    enum segment_error bad = segment_open(&scan->segment, &source, scan->index_file.map,
                                          scan->index_file.size);
    scan->block = 0;
    scan->counts.segments_read++;
    if (bad != SEGMENT_GOOD) {
        scan->segment = NULL;
        return damaged_segment(scan, entry, segment_error_text(bad), entry->rows);
    }
    if (!store_owns_segment(scan->store, scan->segment, entry->number, scan->query.channel)) {
        scan_leave_segment(scan);
        return damaged_segment(scan, entry, "not the segment that the catalogue lists",
                               entry->rows);
    }
    error = report_walked(scan, entry);
    return error < 0 ? error : match_segment(&scan->match, segment_index(scan->segment));
}

void scan_leave_segment(struct store_scan *scan)
{
    if (scan->segment)
        segment_close(scan->segment);
    scan->segment = NULL;
    store_file_close(&scan->index_file);
}

// Rows that match in the decoded block: how many, or a negative errno.
static int64_t match_decoded(struct store_scan *scan, const struct scan_entry *entry)
{
    // Absent and unknown are not the same: what is decided by must be known.
    if (scan->decoded.unknown_columns & scan->match.columns)
        return damaged_block(scan, entry, "a column that decides is coded by a newer version");
    return match_rows(&scan->match, scan->decoded.rows, NULL, 0);
}

static void chunk_of_block(struct store_scan *scan, const struct scan_entry *entry,
                           uint32_t count, struct store_chunk *chunk)
{
    *chunk = (struct store_chunk){.rows = scan->decoded.rows,
                                  .index = scan->match.index,
                                  .count = count,
                                  .symbols = scan->match.names,
                                  .symbol_count = segment_index(scan->segment)->symbol_count,
                                  .tape = scan->decoded.tape,
                                  .tape_row = scan->decoded.row,
                                  .segment = entry->number,
                                  .unknown_columns = scan->decoded.unknown_columns,
                                  .unknown_levels = scan->decoded.unknown_levels};
}

int scan_next_of_segment(struct store_scan *scan, struct scan_entry *entry,
                         struct store_chunk *chunk)
{
    if (!scan->segment)
        return 0;
    const struct index *index = segment_index(scan->segment);
    for (; scan->block < index->block_count; scan->block++) {
        if (!match_block(&scan->match, index, scan->block)) {
            scan->counts.blocks_skipped++;
            continue;
        }
        scan->counts.blocks_read++;
        store_file_release(&entry->file, index->blocks[scan->block].offset);
        enum segment_error bad =
            segment_read(scan->segment, scan->block, scan_columns(scan), &scan->decoded);
        int64_t count = bad != SEGMENT_GOOD ? damaged_block(scan, entry, segment_error_text(bad))
                                            : match_decoded(scan, entry);
        if (count < 0)
            return (int)count;
        if (count == 0)
            continue;
        chunk_of_block(scan, entry, (uint32_t)count, chunk);
        scan->block++;
        return 1;
    }
    return 0;
}
