// SPDX-License-Identifier: Apache-2.0
//
// What is there: the files by their names, the identity by vote where its file is damaged, and the
// catalogue.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "format/ensure.h"
#include "format/recover_inside.h"
#include "format/segment_header.h"

enum { VOTES_MAX = 64 };

// ---- names ----

static bool parse_number(const char *text, size_t digits_min, const char **end, uint32_t *number)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && value <= UINT32_MAX; digits++)
        value = value * 10 + (uint64_t)(text[digits] - '0');
    *number = (uint32_t)value;
    *end = text + digits;
    return digits >= digits_min && value > 0 && value < UINT32_MAX;
}

static bool parse_tape(const char *name, uint32_t *number)
{
    const char *end;
    return parse_number(name, 8, &end, number) && strcmp(end, ".tape") == 0;
}

// "trade-00000098.segment"
static bool parse_segment(const char *name, const char *ending, enum channel *channel,
                          uint32_t *number)
{
    char text[32];
    const char *dash = strrchr(name, '-');
    const char *end;
    size_t size = dash ? (size_t)(dash - name) : 0;
    if (size == 0 || size >= sizeof text)
        return false;
    memcpy(text, name, size);
    text[size] = 0;
    *channel = channel_by_name(text);
    return *channel != CHANNEL_NONE && parse_number(dash + 1, 8, &end, number) &&
           *end == '.' && strcmp(end + 1, ending) == 0;
}

// ---- lists of files ----

// A file where a folder of the store should be: what was in that is not there.
static int not_a_folder(struct recover *recover, const char *relative)
{
    struct recover_loss loss = {.path = relative,
                                .what = "not a folder; what was in it is gone",
                                .time_min = INT64_MAX,
                                .time_max = INT64_MIN};
    recover_lost(recover, &loss);
    return recover->in_place && strchr(relative, '/') ? recover_put_aside_later(recover, relative)
                                                      : 0;
}

// 0: there is none, which was told where it is damage.
static int cannot_list(struct recover *recover, int error, const char *relative)
{
    ensure(error < 0);
    if (error == -ENOTDIR)
        return not_a_folder(recover, relative);
    return error == -ENOENT ? 0 : recover_complain(recover, error, relative, NULL);
}

static int add_tape(struct recover *recover, uint32_t number)
{
    if (recover->tape_count == recover->tape_room) {
        uint32_t room = recover->tape_room ? 2 * recover->tape_room : 64;
        struct recover_tape_input *tapes = realloc(recover->tapes, room * sizeof *tapes);
        if (!tapes)
            return -ENOMEM;
        recover->tapes = tapes;
        recover->tape_room = room;
    }
    recover->tapes[recover->tape_count++] = (struct recover_tape_input){.number = number};
    return 0;
}

static int add_segment(struct recover *recover, const struct catalogue_segment *listed, bool sure)
{
    if (recover->segment_count == recover->segment_room) {
        uint32_t room = recover->segment_room ? 2 * recover->segment_room : 256;
        struct recover_segment *segments = realloc(recover->segments, room * sizeof *segments);
        if (!segments)
            return -ENOMEM;
        recover->segments = segments;
        recover->segment_room = room;
    }
    recover->segments[recover->segment_count++] =
        (struct recover_segment){.listed = *listed, .sure = sure, .unsure = !sure};
    return 0;
}

static uint64_t size_of(const struct recover *recover, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%.1000s/%.150s", recover->options->from, relative);
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static DIR *open_folder(const struct recover *recover, const char *relative)
{
    char path[RECOVER_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.1000s/%.150s", recover->options->from, relative);
    return opendir(path);
}

static int find_tapes(struct recover *recover)
{
    DIR *folder = open_folder(recover, "tape");
    int error = 0;
    if (!folder)
        return cannot_list(recover, -errno, "tape");
    for (struct dirent *entry = readdir(folder); entry && error == 0; entry = readdir(folder)) {
        uint32_t number;
        char path[CATALOGUE_PATH_BYTES_MAX];
        if (!parse_tape(entry->d_name, &number))
            continue;
        if (number >= recover->made.next_tape)
            recover->made.next_tape = number + 1;
        if (catalogue_tape_sealed(&recover->old, number))
            continue; // waits for its deletion
        catalogue_tape_path(number, "tape", path);
        recover->bytes_total += size_of(recover, path);
        recover->result->files++;
        error = add_tape(recover, number);
    }
    (void)closedir(folder);
    return error;
}

static bool has_tape(const struct recover *recover, uint32_t number)
{
    for (uint32_t t = 0; t < recover->tape_count; t++) {
        if (recover->tapes[t].number == number)
            return true;
    }
    return catalogue_tape_sealed(&recover->old, number);
}

// A mark tells of the rows of a tape that is gone.
static int find_lone_mark(struct recover *recover, const char *name)
{
    uint32_t number;
    const char *end;
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct layout_mark mark;
    void *bytes = NULL;
    size_t size;
    if (!parse_number(name, 8, &end, &number) || strcmp(end, ".mark") != 0 ||
        has_tape(recover, number))
        return 0;
    catalogue_tape_path(number, "mark", path);
    bool rows = recover_file_load(recover->options->from, path, &bytes, &size) == 0 &&
                tape_mark_alone(bytes, size, &mark) == TAPE_GOOD && mark.rows > 0;
    free(bytes);
    if (!rows)
        return 0;
    if (number >= recover->made.next_tape)
        recover->made.next_tape = number + 1;
    int error = recover->in_place ? recover_put_aside_later(recover, path) : 0;
    catalogue_tape_path(number, "tape", path);
    struct recover_loss loss = {.path = path,
                                .what = strerror(ENOENT),
                                .rows = mark.rows,
                                .time_min = INT64_MAX,
                                .time_max = INT64_MIN};
    recover_lost(recover, &loss);
    return error;
}

static int find_lone_marks(struct recover *recover)
{
    DIR *folder = open_folder(recover, "tape");
    int error = 0;
    if (!folder)
        return 0; // said already, where it is there
    for (struct dirent *entry = readdir(folder); entry && error == 0; entry = readdir(folder))
        error = find_lone_mark(recover, entry->d_name);
    (void)closedir(folder);
    return error;
}

static bool is_listed(const struct recover *recover, uint32_t number)
{
    for (uint32_t i = 0; i < recover->old.segment_count; i++) {
        if (recover->old.segments[i].number == number)
            return true;
    }
    return false;
}

// A file that the catalogue does not list counts only where the catalogue is lost, or may be older
// than the file.
static int found_segment(struct recover *recover, int32_t day, const char *name)
{
    struct catalogue_segment segment = {
        .day = day, .time_min = INT64_MAX, .time_max = INT64_MIN};
    bool index = parse_segment(name, "index", &segment.channel, &segment.number);
    if (!index && !parse_segment(name, "segment", &segment.channel, &segment.number))
        return 0;
    if (segment.number >= recover->made.next_segment)
        recover->made.next_segment = segment.number + 1;
    bool counts = !recover->old_good || segment.number >= recover->old.next_segment;
    if (!counts || is_listed(recover, segment.number))
        return 0;
    if (index)
        return recover_lone_index(recover, &segment);
    recover->result->files++;
    return add_segment(recover, &segment, false);
}

static int find_segments_of(struct recover *recover, const char *name, int32_t day)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    int error = 0;
    (void)snprintf(path, sizeof path, "segment/%.20s", name);
    DIR *folder = open_folder(recover, path);
    if (!folder)
        return cannot_list(recover, -errno, path);
    for (struct dirent *entry = readdir(folder); entry && error == 0; entry = readdir(folder))
        error = found_segment(recover, day, entry->d_name);
    (void)closedir(folder);
    return error;
}

static int find_segments(struct recover *recover)
{
    int error = 0;
    for (uint32_t i = 0; i < recover->old.segment_count && error == 0; i++) {
        error = add_segment(recover, &recover->old.segments[i], true);
        recover->result->files++;
    }
    DIR *folder = open_folder(recover, "segment");
    if (!folder && error == 0)
        error = cannot_list(recover, -errno, "segment");
    if (!folder)
        return error;
    for (struct dirent *entry = readdir(folder); entry && error == 0; entry = readdir(folder)) {
        int32_t day;
        if (catalogue_day_parse(entry->d_name, strlen(entry->d_name), &day))
            error = find_segments_of(recover, entry->d_name, day);
    }
    (void)closedir(folder);
    for (uint32_t i = 0; i < recover->segment_count; i++) {
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_segment_path(&recover->segments[i].listed, "segment", path);
        recover->segments[i].bytes = size_of(recover, path);
        recover->bytes_total += recover->segments[i].bytes;
    }
    return error;
}

// Numbers that were used by tapes put aside earlier.
static void find_quarantine(struct recover *recover)
{
    DIR *folder = open_folder(recover, "quarantine");
    if (!folder)
        return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        uint32_t number;
        enum channel channel;
        if (parse_tape(entry->d_name, &number) && number >= recover->made.next_tape)
            recover->made.next_tape = number + 1;
        if (parse_segment(entry->d_name, "segment", &channel, &number) &&
            number >= recover->made.next_segment)
            recover->made.next_segment = number + 1;
    }
    (void)closedir(folder);
}

// ---- identity ----

struct votes {
    uint8_t identity[VOTES_MAX][LAYOUT_STORE_ID_BYTES];
    uint32_t count[VOTES_MAX];
    uint32_t candidates;
};

static void vote(struct votes *votes, const uint8_t *identity)
{
    uint32_t i = 0;
    while (i < votes->candidates && memcmp(votes->identity[i], identity, 16) != 0)
        i++;
    if (i == VOTES_MAX)
        return;
    memcpy(votes->identity[i], identity, 16);
    votes->count[i]++;
    if (i == votes->candidates)
        votes->candidates++;
}

static void vote_by_file(const struct recover *recover, const char *path, struct votes *votes)
{
    uint8_t room[SEGMENT_HEADER_BYTES_MAX];
    struct recover_file file;
    struct layout_tape tape;
    struct layout_segment segment;
    uint64_t hash;
    int64_t got;
    if (recover_file_open(&file, recover->options->from, path) < 0)
        return;
    struct source source = recover_file_source(&file);
    const uint8_t *bytes = source_get(&source, 0, sizeof room, room, &got);
    if (bytes && tape_header_decode(bytes, (size_t)got, &tape) == TAPE_GOOD)
        vote(votes, tape.store);
    else if (bytes &&
             segment_header_read(bytes, (size_t)got, &segment, &hash) == SEGMENT_GOOD)
        vote(votes, segment.store);
    recover_file_close(&file);
}

static void identity_by_vote(struct recover *recover, bool well_formed)
{
    static struct votes votes;
    char path[CATALOGUE_PATH_BYTES_MAX];
    memset(&votes, 0, sizeof votes);
    if (recover->old_good)
        vote(&votes, recover->old.store);
    if (well_formed)
        vote(&votes, recover->identity);
    for (uint32_t i = 0; i < recover->tape_count; i++) {
        catalogue_tape_path(recover->tapes[i].number, "tape", path);
        vote_by_file(recover, path, &votes);
    }
    for (uint32_t i = 0; i < recover->segment_count; i++) {
        catalogue_segment_path(&recover->segments[i].listed, "segment", path);
        vote_by_file(recover, path, &votes);
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < votes.candidates; i++)
        best = votes.count[i] > votes.count[best] ? i : best;
    if (votes.candidates > 0) {
        if (well_formed && memcmp(recover->identity, votes.identity[best], 16) == 0)
            return;
        memcpy(recover->identity, votes.identity[best], sizeof recover->identity);
        recover_note(recover, "identity", "damaged or missing; taken from the other files");
    } else {
        ensure(getrandom(recover->identity, sizeof recover->identity, 0) ==
               (ssize_t)sizeof recover->identity);
        recover_note(recover, "identity", "damaged or missing and told by no file; a new one");
    }
}

static bool hex_digit(char c, uint8_t *value)
{
    *value = (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool read_identity(struct recover *recover)
{
    void *bytes;
    size_t size;
    if (recover_file_load(recover->options->from, "identity", &bytes, &size) < 0)
        return false;
    const char *text = bytes;
    bool good = size == 33 && text[32] == '\n';
    for (size_t i = 0; good && i < 16; i++) {
        uint8_t high;
        uint8_t low;
        good = hex_digit(text[2 * i], &high) && hex_digit(text[2 * i + 1], &low);
        recover->identity[i] = (uint8_t)(good ? high << 4 | low : 0);
    }
    free(bytes);
    return good;
}

// ---- catalogue ----

static int read_catalogue(struct recover *recover)
{
    void *bytes;
    size_t size;
    int error = catalogue_init(&recover->old, recover->identity);
    if (error < 0)
        return error;
    error = recover_file_load(recover->options->from, "catalogue", &bytes, &size);
    bool missing = error == -ENOENT;
    if (error == 0)
        error = catalogue_parse(&recover->old, bytes, size);
    free(bytes);
    if (error == -EPROTONOSUPPORT || error == -ENOMEM)
        return recover_complain(recover, error, "catalogue", NULL);
    recover->old_good = error == 0;
    if (!recover->old_good) {
        recover->old.generation = 0;
        recover->old.next_tape = recover->old.next_segment = 1;
        recover_note(recover, "catalogue",
                     missing ? "missing; made anew from the files"
                             : "damaged; made anew from the files");
    }
    recover->made.generation = recover->old.generation + 1;
    recover->made.next_tape = recover->old.next_tape;
    recover->made.next_segment = recover->old.next_segment;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct recover_tape_input *)a)->number;
    uint32_t y = ((const struct recover_tape_input *)b)->number;
    return (x > y) - (x < y);
}

static int by_group(const void *a, const void *b)
{
    const struct catalogue_segment *x = &((const struct recover_segment *)a)->listed;
    const struct catalogue_segment *y = &((const struct recover_segment *)b)->listed;
    if (x->channel != y->channel)
        return x->channel < y->channel ? -1 : 1;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

int recover_find(struct recover *recover)
{
    bool identity = read_identity(recover);
    int error = catalogue_init(&recover->made, recover->identity);
    if (error == 0)
        error = read_catalogue(recover);
    if (error == 0)
        error = find_tapes(recover);
    if (error == 0)
        error = find_lone_marks(recover);
    if (error == 0)
        error = find_segments(recover);
    if (error < 0)
        return error;
    if (!identity && recover->tape_count + recover->segment_count == 0 && !recover->old_good)
        return recover_complain(recover, -ENOENT, "", "no store here, and nothing of one");
    find_quarantine(recover);
    // A file that is well-formed but says another identity than the others was changed.
    if (!identity || !recover->old_good ||
        memcmp(recover->identity, recover->old.store, sizeof recover->identity) != 0)
        identity_by_vote(recover, identity);
    memcpy(recover->made.store, recover->identity, sizeof recover->identity);
    if (recover->tape_count > 0)
        qsort(recover->tapes, recover->tape_count, sizeof *recover->tapes, by_number);
    if (recover->segment_count > 0)
        qsort(recover->segments, recover->segment_count, sizeof *recover->segments, by_group);
    return 0;
}
