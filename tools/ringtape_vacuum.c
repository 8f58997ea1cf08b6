// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape vacuum: files that no version of a Delta table younger than asked refers to are deleted.
//
// Only what ringtape writes is looked at: ringtape-*.parquet below exchange=…/date=…, and leftovers
// of its own in the log's folder. A file that is removed from the table goes when that was long
// enough ago; one that the table does not know, when it was written long enough ago, and a day at
// least: it may be of an export that commits in a moment. With an age of less than an hour the
// folder is locked instead, so that no export runs.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/delta.h"
#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_delta.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_table.h"

#define SAFE_NS (3600ll * 1000000000)
#define COMMITTED_NS (24 * SAFE_NS) // what is of that age and not in the table, nobody writes
enum { NAME_BYTES = 1024 };

struct vacuum {
    const char *directory;
    const char *older_than; // "7d"
    struct ringtape_query query; // channels alone
    bool dry_run;
    bool json_wanted;
    int64_t before_ns;
    int64_t unknown_before_ns; // of files that the table does not know
    struct delta *table;
    const char *path; // of the table
    uint64_t files, bytes, kept;
    int failure; // errno
};

// ---- one file ----

// Was it superfluous already at that time?
static bool is_old(const struct vacuum *vacuum, const char *name, const struct stat *status)
{
    const struct delta_file *file = delta_file_at(vacuum->table, name);
    const int64_t written_ns =
        (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
    if (file == NULL) return written_ns < vacuum->unknown_before_ns;
    return !file->live && file->time_ms * 1000000 < vacuum->before_ns;
}

static void remove_file(struct vacuum *vacuum, const char *path, const char *name,
                        const struct stat *status)
{
    if (!vacuum->dry_run && unlink(path) != 0) {
        vacuum->failure = errno;
        (void)ringtape_fail("%s: %s", path, strerror(errno));
        return;
    }
    vacuum->files++;
    vacuum->bytes += (uint64_t)status->st_size;
    if (!vacuum->json_wanted)
        (void)printf("%s  %s/%s\n", vacuum->dry_run ? "would delete" : "deleted", vacuum->path,
                     name);
}

// `name` is below the table.
static void look_at_file(struct vacuum *vacuum, const char *name)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct stat status;
    const int size = snprintf(path, sizeof path, "%s/%s", vacuum->path, name);
    if (size < 0 || (size_t)size >= sizeof path || lstat(path, &status) != 0 ||
        !S_ISREG(status.st_mode))
        return;
    if (is_old(vacuum, name, &status))
        remove_file(vacuum, path, name, &status);
    else
        vacuum->kept++;
}

// ---- folders ----

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool is_ours(const char *name)
{
    const size_t size = strlen(name);
    static const char ending[] = ".parquet";
    return begins(name, "ringtape-") && size > sizeof ending &&
           strcmp(name + size - (sizeof ending - 1), ending) == 0;
}

// Entries of TABLE/`folder`; `depth` 0 is the table, 1 an exchange, 2 a date.
static void walk(struct vacuum *vacuum, const char *folder, int depth)
{
    static const char *const below[] = {"exchange=", "date="};
    char path[RINGTAPE_PATH_BYTES_MAX], name[NAME_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", vacuum->path, folder);
    DIR *directory = opendir(path);
    if (directory == NULL) return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const int size = snprintf(name, sizeof name, "%s%s%s", folder, *folder != 0 ? "/" : "",
                                  entry->d_name);
        if (size < 0 || (size_t)size >= sizeof name) continue;
        if (depth < 2 && begins(entry->d_name, below[depth])) walk(vacuum, name, depth + 1);
        if (depth == 2 && is_ours(entry->d_name)) look_at_file(vacuum, name);
        if (depth == 0 && strcmp(entry->d_name, "_delta_log") == 0) walk(vacuum, name, 3);
        if (depth == 3 && begins(entry->d_name, ".ringtape-")) look_at_file(vacuum, name);
    }
    (void)closedir(directory);
}

// ---- tables ----

static int vacuum_table(struct vacuum *vacuum, enum channel channel)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct delta_message message = {{0}};
    const char *name = channel_schema(channel)->name;
    const int size = snprintf(path, sizeof path, "%s/%s", vacuum->directory, name);
    if (size < 0 || (size_t)size >= sizeof path)
        return ringtape_fail("%s: %s", vacuum->directory, strerror(ENAMETOOLONG));
    vacuum->path = path;
    const int error = delta_open(&vacuum->table, &delta_disk_host, path, &message);
    if (error != 0)
        return ringtape_fail("%s", message.text[0] ? message.text : ringtape_error_text(error));
    const char *said = delta_configuration(vacuum->table, "ringtape.channel");
    int exit_code = RINGTAPE_EXIT_OK;
    if (delta_version(vacuum->table) >= 0 && (said == NULL || strcmp(said, name) != 0))
        exit_code = ringtape_fail("%s: a table that ringtape did not make; nothing was deleted "
                                  "there. Use the program that made it",
                                  path);
    else if (delta_version(vacuum->table) >= 0)
        walk(vacuum, "", 0);
    delta_close(vacuum->table);
    return exit_code == RINGTAPE_EXIT_OK && vacuum->failure != 0 ? RINGTAPE_EXIT_IO : exit_code;
}

static void vacuum_sum(const struct vacuum *vacuum)
{
    char count[2 * RINGTAPE_TABLE_NUMBER_BYTES], bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    struct ringtape_json json;
    if (!vacuum->json_wanted) {
        (void)printf("%s %s, %s\n", ringtape_table_count(count, vacuum->files, "file"),
                     vacuum->dry_run ? "would be deleted" : "deleted",
                     ringtape_table_bytes(bytes, vacuum->bytes));
        return;
    }
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_bool(&json, "dry_run", vacuum->dry_run);
    ringtape_json_count(&json, "files", vacuum->files);
    ringtape_json_count(&json, "bytes", vacuum->bytes);
    ringtape_json_count(&json, "files_kept", vacuum->kept);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

static int vacuum_run(struct vacuum *vacuum)
{
    struct ringtape_publish publish = {.lock = -1};
    int exit_code = RINGTAPE_EXIT_OK;
    struct stat status;
    if (stat(vacuum->directory, &status) != 0)
        return ringtape_fail("%s: %s", vacuum->directory, strerror(errno));
    const int64_t now_ns = ringtape_now_ns();
    const bool locks = now_ns - vacuum->before_ns < SAFE_NS;
    vacuum->unknown_before_ns = vacuum->before_ns;
    if (!locks && vacuum->unknown_before_ns > now_ns - COMMITTED_NS)
        vacuum->unknown_before_ns = now_ns - COMMITTED_NS;
    if (!vacuum->dry_run && locks) exit_code = ringtape_publish_open(&publish, vacuum->directory);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    for (int c = CHANNEL_NONE + 1; c < CHANNEL_COUNT; c++) {
        if (channel_schema((enum channel)c) == NULL ||
            !ringtape_query_has_channel(&vacuum->query, (enum channel)c))
            continue;
        const int result = vacuum_table(vacuum, (enum channel)c);
        if (result != RINGTAPE_EXIT_OK) exit_code = result;
    }
    ringtape_publish_close(&publish);
    vacuum_sum(vacuum);
    return exit_code;
}

// "7d" → the time so long ago.
static bool parse_age(struct vacuum *vacuum, int64_t now_ns)
{
    char text[64];
    const int size = snprintf(text, sizeof text, "-%s", vacuum->older_than);
    const bool digit = vacuum->older_than[0] >= '0' && vacuum->older_than[0] <= '9';
    if (digit && size > 0 && (size_t)size < sizeof text &&
        time_text_parse(text, now_ns, &vacuum->before_ns) && vacuum->before_ns <= now_ns)
        return true;
    (void)fprintf(stderr, "ringtape vacuum: --older-than '%s': write a time span: 7d, 12h, 90m\n",
                  vacuum->older_than);
    return false;
}

int ringtape_vacuum(int argc, char **argv)
{
    static struct vacuum vacuum;
    int exit_code = RINGTAPE_EXIT_OK;
    const int64_t now_ns = ringtape_now_ns();
    const struct ringtape_option options[] = {
        {.name = "older-than", .kind = RINGTAPE_OPTION_TEXT, .target = &vacuum.older_than,
         .value = "SPAN", .help = "what went so long ago: 7d (the default), 12h, 90m; readers of "
                                  "versions\nof that age fail afterwards"},
        {.name = "dry-run", .kind = RINGTAPE_OPTION_FLAG, .target = &vacuum.dry_run,
         .help = "only tell what would be deleted"},
        RINGTAPE_QUERY_CHANNEL(vacuum.query),
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &vacuum.json_wanted,
         .help = "one JSON object instead of lines"},
    };
    const struct ringtape_usage usage = {
        .command = "vacuum",
        .purpose = "Deletes files in the Delta tables of DIR that compaction replaced, or that an "
                   "export left\nwhen it was killed. An export may run meanwhile, unless SPAN is "
                   "less than an hour.",
        .argument = "DIR",
        .argument_target = &vacuum.directory,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    ringtape_query_init(&vacuum.query);
    vacuum.older_than = "7d";
    if (!ringtape_options_parse(&usage, argc, argv, now_ns, &exit_code)) return exit_code;
    if (!ringtape_query_check(&vacuum.query, "vacuum") || !parse_age(&vacuum, now_ns))
        return RINGTAPE_EXIT_USAGE;
    return ringtape_finish_output(vacuum_run(&vacuum));
}
