// SPDX-License-Identifier: Apache-2.0
//
// Text ↔ catalogue. The grammar is fixed: one space between words, decimal numbers without sign
// (times with), one line feed a line, the trailer last. Whatever deviates is damage.
#include "format/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { DAY_MAX = 106751 }; // the last whole day of an int64 of nanoseconds

int catalogue_init(struct catalogue *catalogue, const uint8_t store[LAYOUT_STORE_ID_BYTES])
{
    *catalogue = (struct catalogue){.next_tape = 1, .next_segment = 1};
    memcpy(catalogue->store, store, LAYOUT_STORE_ID_BYTES);
    catalogue->tapes = malloc(CATALOGUE_TAPES_MAX * sizeof *catalogue->tapes);
    catalogue->segments = malloc(CATALOGUE_SEGMENTS_MAX * sizeof *catalogue->segments);
    if (catalogue->tapes && catalogue->segments)
        return 0;
    catalogue_free(catalogue);
    return -ENOMEM;
}

void catalogue_free(struct catalogue *catalogue)
{
    free(catalogue->tapes);
    free(catalogue->segments);
    catalogue->tapes = NULL;
    catalogue->segments = NULL;
}

// ---- segments and tapes ----

static int segment_compare(const struct catalogue_segment *a, const struct catalogue_segment *b)
{
    if (a->channel != b->channel)
        return a->channel < b->channel ? -1 : 1;
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    if (a->tape_first != b->tape_first)
        return a->tape_first < b->tape_first ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

bool catalogue_add_segment(struct catalogue *catalogue, const struct catalogue_segment *segment)
{
    ensure(channel_schema(segment->channel));
    ensure(segment->number > 0);
    if (catalogue->segment_count == CATALOGUE_SEGMENTS_MAX)
        return false;
    uint32_t at = catalogue->segment_count;
    for (uint32_t s = 0; s < catalogue->segment_count; s++)
        ensure(catalogue->segments[s].number != segment->number);
    while (at > 0 && segment_compare(&catalogue->segments[at - 1], segment) > 0)
        at--;
    memmove(&catalogue->segments[at + 1], &catalogue->segments[at],
            (catalogue->segment_count - at) * sizeof *segment);
    catalogue->segments[at] = *segment;
    catalogue->segment_count++;
    if (segment->number >= catalogue->next_segment)
        catalogue->next_segment = segment->number + 1;
    return true;
}

bool catalogue_remove_segment(struct catalogue *catalogue, uint32_t number)
{
    for (uint32_t s = 0; s < catalogue->segment_count; s++) {
        if (catalogue->segments[s].number != number)
            continue;
        memmove(&catalogue->segments[s], &catalogue->segments[s + 1],
                (catalogue->segment_count - s - 1) * sizeof *catalogue->segments);
        catalogue->segment_count--;
        return true;
    }
    return false;
}

// Index of the first sealed tape with this number or a higher one.
static uint32_t tape_index(const struct catalogue *catalogue, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = catalogue->tape_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (catalogue->tapes[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool catalogue_tape_sealed(const struct catalogue *catalogue, uint32_t number)
{
    uint32_t at = tape_index(catalogue, number);
    return at < catalogue->tape_count && catalogue->tapes[at] == number;
}

bool catalogue_seal_tape(struct catalogue *catalogue, uint32_t number)
{
    ensure(number > 0);
    if (catalogue_tape_sealed(catalogue, number))
        return true;
    if (catalogue->tape_count == CATALOGUE_TAPES_MAX)
        return false;
    uint32_t at = tape_index(catalogue, number);
    memmove(&catalogue->tapes[at + 1], &catalogue->tapes[at],
            (catalogue->tape_count - at) * sizeof *catalogue->tapes);
    catalogue->tapes[at] = number;
    catalogue->tape_count++;
    if (number >= catalogue->next_tape)
        catalogue->next_tape = number + 1;
    return true;
}

bool catalogue_forget_tape(struct catalogue *catalogue, uint32_t number)
{
    uint32_t at = tape_index(catalogue, number);
    if (at == catalogue->tape_count || catalogue->tapes[at] != number)
        return false;
    memmove(&catalogue->tapes[at], &catalogue->tapes[at + 1],
            (catalogue->tape_count - at - 1) * sizeof *catalogue->tapes);
    catalogue->tape_count--;
    return true;
}

// ---- writing ----

size_t catalogue_bytes_max(const struct catalogue *catalogue)
{
    return ((size_t)catalogue->tape_count + catalogue->segment_count + 8) *
           CATALOGUE_LINE_BYTES_MAX;
}

struct catalogue_writer {
    char *out;
    size_t size;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void catalogue_print(struct catalogue_writer *writer,
                                                                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(writer->out + writer->used, writer->size - writer->used, format,
                          arguments);
    va_end(arguments);
    ensure(bytes > 0 && bytes < CATALOGUE_LINE_BYTES_MAX);
    writer->used += (size_t)bytes;
    ensure(writer->used < writer->size);
}

static void catalogue_print_segment(struct catalogue_writer *writer,
                                    const struct catalogue_segment *segment)
{
    char day[11];
    catalogue_day_text(segment->day, day);
    catalogue_print(writer,
                    "segment %" PRIu32 " channel %s day %s rows %" PRIu64 " bytes %" PRIu64
                    " time %" PRId64 " %" PRId64 " tapes %" PRIu32 " %" PRIu32 "\n",
                    segment->number, channel_schema(segment->channel)->name, day, segment->rows,
                    segment->bytes, segment->time_min, segment->time_max, segment->tape_first,
                    segment->tape_last);
}

size_t catalogue_write(const struct catalogue *catalogue, char *out, size_t size)
{
    ensure(size >= catalogue_bytes_max(catalogue));
    struct catalogue_writer writer = {.out = out, .size = size};
    catalogue_print(&writer, "ringtape-catalogue %d %d\nstore ", LAYOUT_MAJOR, LAYOUT_MINOR);
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        catalogue_print(&writer, "%02x", catalogue->store[i]);
    catalogue_print(&writer, "\ngeneration %" PRIu64 "\n", catalogue->generation);
    catalogue_print(&writer, "next_tape %" PRIu32 "\n", catalogue->next_tape);
    catalogue_print(&writer, "next_segment %" PRIu32 "\n", catalogue->next_segment);
    for (uint32_t t = 0; t < catalogue->tape_count; t++)
        catalogue_print(&writer, "tape %" PRIu32 " sealed\n", catalogue->tapes[t]);
    for (uint32_t s = 0; s < catalogue->segment_count; s++)
        catalogue_print_segment(&writer, &catalogue->segments[s]);
    catalogue_print(&writer, "xxh3 %016" PRIx64 "\n",
                    (uint64_t)XXH3_64bits(writer.out, writer.used));
    return writer.used;
}

// ---- parsing ----

struct catalogue_parser {
    const char *at;
    const char *end;
    bool failed;
    int minor;
};

// The next word; ends before a space or line feed.
static size_t parse_word(struct catalogue_parser *parser, const char **word)
{
    *word = parser->at;
    while (parser->at < parser->end && *parser->at != ' ' && *parser->at != '\n')
        parser->at++;
    size_t size = (size_t)(parser->at - *word);
    parser->failed = parser->failed || size == 0;
    return size;
}

static void parse_character(struct catalogue_parser *parser, char character)
{
    if (parser->at == parser->end || *parser->at != character)
        parser->failed = true;
    else
        parser->at++;
}

static bool parse_is(const char *word, size_t size, const char *expected)
{
    return size == strlen(expected) && memcmp(word, expected, size) == 0;
}

static void parse_expect(struct catalogue_parser *parser, const char *expected)
{
    const char *word;
    size_t size = parse_word(parser, &word);
    parser->failed = parser->failed || !parse_is(word, size, expected);
    parse_character(parser, ' ');
}

static uint64_t parse_number(struct catalogue_parser *parser, uint64_t max)
{
    const char *word;
    size_t size = parse_word(parser, &word);
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)(uint8_t)word[i] - '0';
        if (digit > 9 || value > (max - digit) / 10 || (i == 1 && word[0] == '0')) {
            parser->failed = true;
            return 0;
        }
        value = value * 10 + digit;
    }
    return value;
}

static int64_t parse_signed(struct catalogue_parser *parser)
{
    bool negative = parser->at < parser->end && *parser->at == '-';
    if (!negative)
        return (int64_t)parse_number(parser, INT64_MAX);
    parser->at++;
    uint64_t magnitude = parse_number(parser, (uint64_t)INT64_MAX + 1);
    parser->failed = parser->failed || magnitude == 0; // "-0" has another spelling
    return (int64_t)(0 - magnitude);
}

static bool parse_hex(struct catalogue_parser *parser, uint8_t *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    const char *word;
    size_t size = parse_word(parser, &word);
    if (size != 2 * bytes) {
        parser->failed = true;
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        const char *digit = memchr(digits, word[i], 16);
        if (!digit) {
            parser->failed = true;
            return false;
        }
        unsigned value = (unsigned)(digit - digits);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return true;
}

// The end of a line; a newer minor may have put more words there.
static void parse_line_end(struct catalogue_parser *parser)
{
    if (parser->minor > LAYOUT_MINOR) {
        while (parser->at < parser->end && *parser->at != '\n')
            parser->at++;
    }
    parse_character(parser, '\n');
}

static void parse_tape(struct catalogue_parser *parser, struct catalogue *catalogue)
{
    uint32_t number = (uint32_t)parse_number(parser, UINT32_MAX);
    parse_character(parser, ' ');
    const char *word;
    size_t size = parse_word(parser, &word);
    bool sealed = parse_is(word, size, "sealed");
    parse_line_end(parser);
    if (!sealed && parser->minor > LAYOUT_MINOR)
        return;
    uint32_t count = catalogue->tape_count;
    if (parser->failed || !sealed || number == 0 || count == CATALOGUE_TAPES_MAX ||
        number >= catalogue->next_tape ||
        (count != 0 && catalogue->tapes[count - 1] >= number)) {
        parser->failed = true;
        return;
    }
    catalogue->tapes[catalogue->tape_count++] = number;
}

static void parse_segment_fields(struct catalogue_parser *parser,
                                 struct catalogue_segment *segment, char *channel)
{
    const char *word;
    segment->number = (uint32_t)parse_number(parser, UINT32_MAX);
    parse_character(parser, ' ');
    parse_expect(parser, "channel");
    size_t size = parse_word(parser, &word);
    if (size < 32)
        memcpy(channel, word, size);
    parse_character(parser, ' ');
    parse_expect(parser, "day");
    size = parse_word(parser, &word);
    if (!catalogue_day_parse(word, size, &segment->day))
        parser->failed = true;
    parse_character(parser, ' ');
    parse_expect(parser, "rows");
    segment->rows = parse_number(parser, UINT64_MAX);
    parse_character(parser, ' ');
    parse_expect(parser, "bytes");
    segment->bytes = parse_number(parser, INT64_MAX);
    parse_character(parser, ' ');
    parse_expect(parser, "time");
    segment->time_min = parse_signed(parser);
    parse_character(parser, ' ');
    segment->time_max = parse_signed(parser);
    parse_character(parser, ' ');
    parse_expect(parser, "tapes");
    segment->tape_first = (uint32_t)parse_number(parser, UINT32_MAX);
    parse_character(parser, ' ');
    segment->tape_last = (uint32_t)parse_number(parser, UINT32_MAX);
}

static void parse_segment(struct catalogue_parser *parser, struct catalogue *catalogue)
{
    struct catalogue_segment segment = {0};
    char channel[32] = {0};
    parse_segment_fields(parser, &segment, channel);
    parse_line_end(parser);
    segment.channel = channel_by_name(channel);
    if (segment.channel == CHANNEL_NONE && parser->minor > LAYOUT_MINOR)
        return;
    uint32_t count = catalogue->segment_count;
    if (parser->failed || !channel_schema(segment.channel) || segment.number == 0 ||
        segment.number >= catalogue->next_segment || segment.tape_first > segment.tape_last ||
        segment.time_min > segment.time_max || count == CATALOGUE_SEGMENTS_MAX ||
        (count != 0 && segment_compare(&catalogue->segments[count - 1], &segment) >= 0)) {
        parser->failed = true;
        return;
    }
    catalogue->segments[catalogue->segment_count++] = segment;
}

static void parse_line(struct catalogue_parser *parser, struct catalogue *catalogue)
{
    const char *word;
    size_t size = parse_word(parser, &word);
    parse_character(parser, ' ');
    if (parse_is(word, size, "tape")) {
        if (catalogue->segment_count != 0 && parser->minor <= LAYOUT_MINOR)
            parser->failed = true; // tapes come first
        parse_tape(parser, catalogue);
    } else if (parse_is(word, size, "segment")) {
        parse_segment(parser, catalogue);
    } else if (parser->minor > LAYOUT_MINOR) {
        parse_line_end(parser);
    } else {
        parser->failed = true;
    }
}

static void parse_head(struct catalogue_parser *parser, struct catalogue *catalogue)
{
    parse_line_end(parser);
    parse_expect(parser, "store");
    (void)parse_hex(parser, catalogue->store, LAYOUT_STORE_ID_BYTES);
    parse_line_end(parser);
    parse_expect(parser, "generation");
    catalogue->generation = parse_number(parser, UINT64_MAX);
    parse_line_end(parser);
    parse_expect(parser, "next_tape");
    catalogue->next_tape = (uint32_t)parse_number(parser, UINT32_MAX);
    parse_line_end(parser);
    parse_expect(parser, "next_segment");
    catalogue->next_segment = (uint32_t)parse_number(parser, UINT32_MAX);
    parse_line_end(parser);
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// No number twice: two entries of one file would give its rows twice. 0, -EBADMSG or -ENOMEM.
static int parse_check_numbers(const struct catalogue *catalogue)
{
    uint32_t count = catalogue->segment_count;
    uint32_t *numbers = malloc((count + 1) * sizeof *numbers);
    if (!numbers)
        return -ENOMEM;
    for (uint32_t s = 0; s < count; s++)
        numbers[s] = catalogue->segments[s].number;
    qsort(numbers, count, sizeof *numbers, number_compare);
    int result = 0;
    for (uint32_t s = 1; s < count; s++) {
        if (numbers[s - 1] == numbers[s])
            result = -EBADMSG;
    }
    free(numbers);
    return result;
}

// Checks the trailer; the text before it is what `parser` then sees.
static bool parse_trailer(struct catalogue_parser *parser)
{
    enum { TRAILER_BYTES = 5 + 16 + 1 };
    uint8_t stored[8] = {0};
    size_t size = (size_t)(parser->end - parser->at);
    if (size < TRAILER_BYTES)
        return false;
    struct catalogue_parser trailer = {.at = parser->end - TRAILER_BYTES, .end = parser->end};
    parse_expect(&trailer, "xxh3");
    (void)parse_hex(&trailer, stored, sizeof stored);
    parse_character(&trailer, '\n');
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof stored; i++)
        hash = hash << 8 | stored[i];
    parser->end -= TRAILER_BYTES;
    return !trailer.failed && hash == XXH3_64bits(parser->at, size - TRAILER_BYTES);
}

static int parse_text(struct catalogue_parser *parser, struct catalogue *catalogue)
{
    if (!parse_trailer(parser))
        return -EBADMSG;
    parse_expect(parser, "ringtape-catalogue");
    uint64_t major = parse_number(parser, INT32_MAX);
    parse_character(parser, ' ');
    if (!parser->failed && major != LAYOUT_MAJOR)
        return -EPROTONOSUPPORT;
    parser->minor = (int)parse_number(parser, INT32_MAX);
    parse_head(parser, catalogue);
    while (!parser->failed && parser->at < parser->end)
        parse_line(parser, catalogue);
    return parser->failed ? -EBADMSG : parse_check_numbers(catalogue);
}

int catalogue_parse(struct catalogue *catalogue, const void *text, size_t size)
{
    ensure(catalogue->tapes && catalogue->segments);
    const char *at = text;
    struct catalogue_parser parser = {.at = at, .end = at + size};
    catalogue->tape_count = 0;
    catalogue->segment_count = 0;
    int result = parse_text(&parser, catalogue);
    if (result != 0) {
        catalogue->tape_count = 0;
        catalogue->segment_count = 0;
    }
    return result;
}

// ---- names and days ----

void catalogue_tape_path(uint32_t number, const char *ending, char *out)
{
    int bytes = snprintf(out, CATALOGUE_PATH_BYTES_MAX, "tape/%08" PRIu32 ".%s", number, ending);
    ensure(bytes > 0 && bytes < CATALOGUE_PATH_BYTES_MAX);
}

void catalogue_segment_path(const struct catalogue_segment *segment, const char *ending, char *out)
{
    char day[11];
    catalogue_day_text(segment->day, day);
    int bytes = snprintf(out, CATALOGUE_PATH_BYTES_MAX, "segment/%s/%s-%08" PRIu32 ".%s", day,
                         channel_schema(segment->channel)->name, segment->number, ending);
    ensure(bytes > 0 && bytes < CATALOGUE_PATH_BYTES_MAX);
}

int32_t catalogue_day_of(int64_t time_ns)
{
    const int64_t day_ns = 86400ll * 1000000000;
    int64_t day = time_ns / day_ns;
    return (int32_t)(day - (time_ns % day_ns < 0));
}

// Proleptic Gregorian calendar; years are counted from March so that the leap day is last.
void catalogue_day_text(int32_t day, char out[11])
{
    ensure(day >= -DAY_MAX - 1 && day <= DAY_MAX);
    int64_t shifted = (int64_t)day + 719468; // days since 0000-03-01
    int64_t era = shifted / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153;
    int64_t day_of_month = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    ensure(year >= 1 && year <= 9999);
    char text[32];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02d", (int)year, (int)month, (int)day_of_month);
    memcpy(out, text, 11);
}

static int64_t day_of_date(int64_t year, int64_t month, int64_t day_of_month)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day_of_month - 1;
    int64_t of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

bool catalogue_day_parse(const char *text, size_t size, int32_t *day)
{
    if (size != 10 || text[4] != '-' || text[7] != '-')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9'))
            return false;
    }
    int year = (text[0] - '0') * 1000 + (text[1] - '0') * 100;
    year += (text[2] - '0') * 10 + text[3] - '0';
    int month = (text[5] - '0') * 10 + text[6] - '0';
    int day_of_month = (text[8] - '0') * 10 + text[9] - '0';
    if (year < 1 || month < 1 || month > 12 || day_of_month < 1 || day_of_month > 31)
        return false;
    int64_t found = day_of_date(year, month, day_of_month);
    if (found < -DAY_MAX - 1 || found > DAY_MAX)
        return false;
    char back[11]; // 2023-02-30 comes back as another day
    catalogue_day_text((int32_t)found, back);
    if (memcmp(back, text, 10) != 0)
        return false;
    *day = (int32_t)found;
    return true;
}
