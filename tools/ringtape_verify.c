// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape verify: every checksum, chain, count and order of everything a store counts on. Damage
// is listed line by line; the exit code says whether there was any.
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_progress.h"
#include "tools/ringtape_table.h"
#include <inttypes.h>
#include <stdio.h>

struct ringtape_verify {
    const char *store;
    bool json_wanted;
    struct ringtape_json json;
    struct ringtape_progress progress;
};

static void ringtape_verify_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_verify *verify = context;
    ringtape_progress_clear(&verify->progress);
    if (!verify->json_wanted) {
        (void)printf("damaged  %s  byte %" PRIu64 ", %" PRIu64 " bytes", damage->path,
                     damage->offset, damage->bytes);
        if (damage->rows > 0) (void)printf(", %" PRIu64 " rows lost", damage->rows);
        (void)printf(": %s\n", damage->what);
        return;
    }
    struct ringtape_json *json = &verify->json;
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "path", damage->path);
    ringtape_json_text(json, "what", damage->what);
    ringtape_json_count(json, "offset", damage->offset);
    ringtape_json_count(json, "bytes", damage->bytes);
    ringtape_json_count(json, "rows", damage->rows);
    ringtape_json_count(json, "sequence_first", damage->sequence_first);
    ringtape_json_count(json, "sequence_last", damage->sequence_last);
    ringtape_json_object_end(json);
}

static void ringtape_verify_progress(void *context, uint64_t done, uint64_t total)
{
    struct ringtape_verify *verify = context;
    ringtape_progress_show(&verify->progress, done, total);
}

static void ringtape_verify_json_end(struct ringtape_json *json,
                                     const struct store_verify_result *result)
{
    ringtape_json_array_end(json);
    ringtape_json_count(json, "files", result->files);
    ringtape_json_count(json, "bytes", result->bytes);
    ringtape_json_count(json, "rows", result->rows);
    ringtape_json_count(json, "rows_lost", result->rows_lost);
    ringtape_json_count(json, "leftovers", result->leftovers);
    ringtape_json_count(json, "sealed_tapes", result->sealed_tapes);
    ringtape_json_bool(json, "whole", result->damages == 0);
    ringtape_json_object_end(json);
    ringtape_json_line(json);
}

static void ringtape_verify_text_end(const struct store_verify_result *result)
{
    char files[2 * RINGTAPE_TABLE_NUMBER_BYTES], rows[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)printf("%s  %s, %s, %s", result->damages == 0 ? "whole" : "DAMAGED",
                 ringtape_table_count(files, result->files, "file"),
                 ringtape_table_bytes(bytes, result->bytes),
                 ringtape_table_count(rows, result->rows, "row"));
    if (result->damages > 0)
        (void)printf("; damaged in %s, %s known lost",
                     ringtape_table_count(files, result->damages, "place"),
                     ringtape_table_count(rows, result->rows_lost, "row"));
    if (result->leftovers > 0)
        (void)printf("; %s, removed at the daemon's next start",
                     ringtape_table_count(files, result->leftovers, "leftover file"));
    if (result->sealed_tapes > 0)
        (void)printf("; %s still there, not looked at",
                     ringtape_table_count(files, result->sealed_tapes, "sealed tape"));
    (void)putchar('\n');
}

static int ringtape_verify_run(struct ringtape_verify *verify, struct store *store)
{
    struct store_verify_result result = {0};
    if (verify->json_wanted) {
        ringtape_json_start(&verify->json, stdout);
        ringtape_json_object(&verify->json, NULL);
        ringtape_json_array(&verify->json, "damages");
    }
    ringtape_progress_start(&verify->progress, "verifying");
    const int error = store_verify(store, ringtape_verify_damage, ringtape_verify_progress, verify,
                                   &result);
    ringtape_progress_clear(&verify->progress);
    if (error < 0) return ringtape_fail("%s: %s", verify->store, ringtape_error_text(error));
    if (verify->json_wanted)
        ringtape_verify_json_end(&verify->json, &result);
    else
        ringtape_verify_text_end(&result);
    return ringtape_finish_output(result.damages == 0 ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND);
}

int ringtape_verify(int argc, char **argv)
{
    struct ringtape_verify verify = {.store = NULL};
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &verify.store, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &verify.json_wanted,
         .help = "one JSON object instead of lines"},
    };
    const struct ringtape_usage usage = {
        .command = "verify",
        .purpose = "Reads everything a store holds and checks every checksum, chain, count and "
                   "order.\nExit code 1 and a list if anything is damaged. A running daemon is "
                   "not disturbed.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    exit_code = ringtape_store_open(&store, verify.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = ringtape_verify_run(&verify, store);
    store_close(store);
    return exit_code;
}
