// SPDX-License-Identifier: Apache-2.0
//
// Reads the tape to its end and adds up what the reader says.
#include "format/recover.h"

#include <errno.h>

#include "format/ensure.h"

const char *recover_verdict_text(enum recover_verdict verdict)
{
    static const char *const texts[] = {
        [RECOVER_CLEAN] = "clean",
        [RECOVER_TORN] = "torn",
        [RECOVER_DAMAGED] = "damaged",
        [RECOVER_FOREIGN] = "foreign",
    };
    ensure((size_t)verdict < sizeof texts / sizeof texts[0]);
    return texts[verdict];
}

static void recover_item(struct recover_report *report, const struct tape_item *item)
{
    if (item->is_damage) {
        if (item->damage.acknowledged)
            report->verdict = RECOVER_DAMAGED;
        else if (report->verdict == RECOVER_CLEAN)
            report->verdict = RECOVER_TORN;
        if (report->damage_count < RECOVER_DAMAGES_MAX)
            report->damages[report->damage_count] = item->damage;
        report->damage_count++;
        return;
    }
    ensure(item->header.rows >= item->rows_before);
    report->batches += item->rows_before == 0;
    report->rows += item->header.rows - item->rows_before;
    if (item->header.time_min < report->time_min)
        report->time_min = item->header.time_min;
    if (item->header.time_max > report->time_max)
        report->time_max = item->header.time_max;
}

int recover_tape(const struct source *source, const void *mark_bytes, size_t mark_size,
                 struct recover_report *report)
{
    struct tape_reader reader;
    struct tape_item item;
    *report = (struct recover_report){.time_min = INT64_MAX, .time_max = INT64_MIN};
    int result = tape_reader_open(&reader, source, 0, mark_bytes, mark_size, &report->error);
    if (result == -EBADMSG) {
        report->verdict = RECOVER_FOREIGN;
        return 0;
    }
    if (result < 0)
        return result;
    report->header = reader.header;
    while ((result = tape_reader_next(&reader, &item)) == 1)
        recover_item(report, &item);
    if (report->verdict == RECOVER_CLEAN && reader.end == TAPE_END_TORN)
        report->verdict = RECOVER_TORN;
    report->error = reader.end == TAPE_END_TORN ? reader.end_error : TAPE_GOOD;
    report->end = reader.offset;
    report->rows_lost = reader.rows_lost;
    tape_reader_close(&reader);
    return result;
}
