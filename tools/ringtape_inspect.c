// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape inspect: one file of a store from the inside: header, size by column and codec, and with
// --blocks every block with its zones or every batch. Works on a file alone, without its store.
#include "tools/ringtape_inspect.h"

#include "format/index.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_options.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t ringtape_inspect_magic(const char *path, int *error)
{
    uint64_t magic = 0;
    struct ringtape_map map;
    *error = ringtape_map_open(&map, path);
    if (*error == 0 && map.size >= sizeof magic) memcpy(&magic, map.bytes, sizeof magic);
    if (*error == 0) ringtape_map_close(&map);
    return magic;
}

void ringtape_inspect_identity(char out[RINGTAPE_INSPECT_IDENTITY_BYTES], const uint8_t *identity)
{
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", identity[i]);
}

const char *ringtape_inspect_time(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns)
{
    time_text_format(out, time_ns, 9);
    return out;
}

int ringtape_inspect(int argc, char **argv)
{
    struct ringtape_inspect inspect = {.path = NULL};
    int exit_code = RINGTAPE_EXIT_OK, error;
    const struct ringtape_option options[] = {
        {.name = "blocks", .kind = RINGTAPE_OPTION_FLAG, .target = &inspect.blocks,
         .help = "also every block of a segment, every batch of a tape"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &inspect.json_wanted,
         .help = "one JSON object instead of text"},
    };
    const struct ringtape_usage usage = {
        .command = "inspect",
        .purpose = "One .segment, .tape or .index file: its header, columns with codecs and "
                   "sizes, and\nwith --blocks each block with its ranges of time, id and price.",
        .argument = "FILE",
        .argument_target = &inspect.path,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    const uint64_t magic = ringtape_inspect_magic(inspect.path, &error);
    if (error < 0) return ringtape_fail("%s: %s", inspect.path, ringtape_error_text(error));
    ringtape_json_start(&inspect.json, stdout);
    if (magic == LAYOUT_SEGMENT_MAGIC)
        exit_code = ringtape_inspect_segment(&inspect);
    else if (magic == LAYOUT_TAPE_MAGIC)
        exit_code = ringtape_inspect_tape(&inspect);
    else if (magic == LAYOUT_INDEX_MAGIC)
        exit_code = ringtape_inspect_index(&inspect);
    else
        return ringtape_fail("%s: neither a segment, a tape nor an index", inspect.path);
    return ringtape_finish_output(exit_code);
}
