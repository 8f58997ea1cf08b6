// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape recover: a good store of everything that can be read of a damaged one. Every loss is a
// line; the exit code says whether there was any.
#include "format/recover_store.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_progress.h"
#include "tools/ringtape_table.h"
#include <inttypes.h>
#include <stdio.h>

struct ringtape_recover {
    const char *store, *to;
    bool in_place, json_wanted;
    struct ringtape_json json;
    struct ringtape_progress progress;
};

static void ringtape_recover_channels(char *out, size_t room, uint16_t channels)
{
    size_t used = 0;
    out[0] = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if ((channels >> c & 1) == 0 || schema == NULL) continue;
        const int size = snprintf(out + used, room - used, "%s%s", used > 0 ? "," : "",
                                  schema->name);
        if (size > 0 && used + (size_t)size < room) used += (size_t)size;
    }
}

// The time, or "?" where that end is not known.
static const char *ringtape_recover_time(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns)
{
    if (time_ns == INT64_MIN || time_ns == INT64_MAX) return "?";
    (void)time_text_format(out, time_ns, 9);
    return out;
}

static void ringtape_recover_line(const struct recover_loss *loss)
{
    char channels[128], from[TIME_TEXT_BYTES_MAX], to[TIME_TEXT_BYTES_MAX];
    (void)printf("lost  %s  byte %" PRIu64 ", %" PRIu64 " bytes", loss->path, loss->offset,
                 loss->bytes);
    if (loss->rows > 0) (void)printf(", %" PRIu64 " rows", loss->rows);
    ringtape_recover_channels(channels, sizeof channels, loss->channels);
    if (channels[0] != 0) (void)printf(", %s", channels);
    if (loss->symbol.size > 0)
        (void)printf(", %.*s", (int)loss->symbol.size, (const char *)loss->symbol.bytes);
    if (loss->time_min <= loss->time_max)
        (void)printf(", %s to %s", ringtape_recover_time(from, loss->time_min),
                     ringtape_recover_time(to, loss->time_max));
    (void)printf(": %s\n", loss->what);
}

static void ringtape_recover_bound(struct ringtape_json *json, const char *key, int64_t time_ns,
                                   bool known)
{
    if (known && time_ns != INT64_MIN && time_ns != INT64_MAX)
        ringtape_json_time(json, key, time_ns);
    else
        ringtape_json_null(json, key);
}

static void ringtape_recover_lost(void *context, const struct recover_loss *loss)
{
    struct ringtape_recover *recover = context;
    ringtape_progress_clear(&recover->progress);
    if (!recover->json_wanted) {
        ringtape_recover_line(loss);
        return;
    }
    struct ringtape_json *json = &recover->json;
    char channels[128];
    const bool timed = loss->time_min <= loss->time_max;
    ringtape_recover_channels(channels, sizeof channels, loss->channels);
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "path", loss->path);
    ringtape_json_text(json, "what", loss->what);
    ringtape_json_count(json, "offset", loss->offset);
    ringtape_json_count(json, "bytes", loss->bytes);
    ringtape_json_count(json, "rows", loss->rows);
    ringtape_json_text(json, "channels", channels);
    if (loss->symbol.size > 0)
        ringtape_json_bytes(json, "symbol", loss->symbol.bytes, loss->symbol.size);
    else
        ringtape_json_null(json, "symbol");
    ringtape_recover_bound(json, "time_min", loss->time_min, timed);
    ringtape_recover_bound(json, "time_max", loss->time_max, timed);
    ringtape_json_object_end(json);
}

static void ringtape_recover_note(void *context, const char *path, const char *what)
{
    struct ringtape_recover *recover = context;
    ringtape_progress_clear(&recover->progress);
    (void)fprintf(stderr, "ringtape: %s: %s\n", path, what);
}

static void ringtape_recover_progress(void *context, uint64_t done, uint64_t total)
{
    struct ringtape_recover *recover = context;
    ringtape_progress_show(&recover->progress, done, total);
}

static void ringtape_recover_json_end(struct ringtape_json *json,
                                      const struct recover_result *result)
{
    ringtape_json_array_end(json);
    ringtape_json_count(json, "files", result->files);
    ringtape_json_count(json, "kept", result->kept);
    ringtape_json_count(json, "rewritten", result->rewritten);
    ringtape_json_count(json, "dropped", result->dropped);
    ringtape_json_count(json, "rows", result->rows);
    ringtape_json_count(json, "rows_lost", result->rows_lost);
    ringtape_json_bool(json, "whole", result->losses == 0);
    ringtape_json_object_end(json);
    ringtape_json_line(json);
}

static void ringtape_recover_summary(const struct recover_result *result)
{
    char files[RINGTAPE_TABLE_NUMBER_BYTES * 2], rows[RINGTAPE_TABLE_NUMBER_BYTES * 2];
    char lost[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)printf("%s: %" PRIu64 " kept, %" PRIu64 " made anew, %" PRIu64 " left out; %s\n",
                 ringtape_table_count(files, result->files, "file"), result->kept,
                 result->rewritten, result->dropped,
                 ringtape_table_count(rows, result->rows, "row"));
    if (result->losses == 0)
        (void)puts("nothing is lost");
    else
        (void)printf("lost in %" PRIu64 " places: %s rows%s\n", result->losses,
                     ringtape_table_number(lost, result->rows_lost),
                     result->rows_lost == 0 ? " that are known of" : " at least");
}

static int ringtape_recover_run(struct ringtape_recover *recover)
{
    struct recover_result result;
    struct store_message message;
    const struct recover_options options = {.from = recover->store,
                                            .to = recover->to,
                                            .lost = ringtape_recover_lost,
                                            .note = ringtape_recover_note,
                                            .progress = ringtape_recover_progress,
                                            .context = recover};
    ringtape_progress_start(&recover->progress, "recovering");
    if (recover->json_wanted) {
        ringtape_json_start(&recover->json, stdout);
        ringtape_json_object(&recover->json, NULL);
        ringtape_json_array(&recover->json, "lost");
    }
    const int error = recover_store(&options, &result, &message);
    ringtape_progress_clear(&recover->progress);
    if (error < 0) return ringtape_fail("%s", message.text);
    if (recover->json_wanted)
        ringtape_recover_json_end(&recover->json, &result);
    else
        ringtape_recover_summary(&result);
    return result.losses == 0 ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

int ringtape_recover(int argc, char **argv)
{
    static struct ringtape_recover recover;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &recover.store, .value = "DIR",
         .help = "the damaged store; no daemon may have it", .required = true},
        {.name = "to", .kind = RINGTAPE_OPTION_TEXT, .target = &recover.to, .value = "DIR",
         .help = "where the good store is made: an empty folder, or one that is not\nthere yet. "
                 "The damaged one is only read"},
        {.name = "in-place", .kind = RINGTAPE_OPTION_FLAG, .target = &recover.in_place,
         .help = "instead: the store itself is put right; damaged files go to its\nquarantine/"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &recover.json_wanted,
         .help = "one JSON object instead of lines"},
    };
    const struct ringtape_usage usage = {
        .command = "recover",
        .purpose = "Makes a good store of everything that can be read of a damaged one: catalogue, "
                   "identity,\ntapes, marks, segments and indexes may each be damaged or missing. "
                   "What is lost is listed:\nfile, bytes, rows, channel, symbol and time as far "
                   "as they are known. Exit code 1 if\nanything is.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if ((recover.to != NULL) == recover.in_place) {
        (void)ringtape_fail("recover: give either --to DIR or --in-place "
                            "(see 'ringtape recover --help')");
        return RINGTAPE_EXIT_USAGE;
    }
    return ringtape_finish_output(ringtape_recover_run(&recover));
}
