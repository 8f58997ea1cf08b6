// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_inside: what the mirror's files share. Nobody else includes it.
//
//     mirror.c          life, reports, the pump
//     mirror_lane.c     one topic: positions, messages, what is under way, cursors
//     mirror_tape.c     batches at a position, from memory or from the tapes
//     mirror_file.c     the tapes that are open
//     mirror_segments.c batches of a tape that is gone, from its segments
//     mirror_tapes.c    which tapes there are
//     mirror_notes.c    shards of the tapes not yet delivered
//     mirror_letters.c  messages refused for good, and their return
//     mirror_save.c     the state on disk
//     mirror_figures.c  what it tells of itself in the statistics page
#ifndef RINGTAPE_PUBLISH_MIRROR_INSIDE_H
#define RINGTAPE_PUBLISH_MIRROR_INSIDE_H

#include <stdatomic.h>

#include "base/limits.h"
#include "format/catalogue.h"
#include "format/mirror_letter.h"
#include "format/mirror_state.h"
#include "format/tape_reader.h"
#include "keep/file_script.h"
#include "publish/mirror.h"
#include "publish/mirror_lag.h"

enum {
    MIRROR_STREAMS = MIRROR_SHARDS_MAX + 1, // one a shard, and that of earlier tapes
    MIRROR_FILES = 4,            // tapes open at once
    MIRROR_TAPES_MAX = 65536,    // earlier ones, as the store's own bound
    MIRROR_FLIGHTS_MAX = 65536,  // batches of topics under way
    MIRROR_MARK_BYTES = 2 * LAYOUT_SECTOR,
    MIRROR_DONE_MAX = 1 << 20,   // tapes of one life whose end is remembered
    MIRROR_TURN_MESSAGES = 4096, // before the loop looks at anything else
    MIRROR_TAGS_MAX = 300000,    // letters on their way: no more messages are under way
    MIRROR_CAUSE_BYTES = 160,
};
#define MIRROR_DECODE_BYTES (1ull << 30)
#define MIRROR_SCRATCH_BYTES (64ull << 20) // one message
#define MIRROR_LETTER_ROOM (512ull << 20)
// Rows of a tape read from segments have numbers of their own, above all real ones, in the order of
// its segments: the second set when those changed, and so on.
#define MIRROR_REMADE_ROW MIRROR_STATE_REMADE_ROW
#define MIRROR_REMADE_SETS_MAX 255 // a message's tag holds rows below 1 << 48
#define MIRROR_STUCK_NS LIMIT_SECOND_NS    // others do not wait for a topic longer than this
#define MIRROR_LOOK_NS (20 * LIMIT_MILLISECOND_NS) // again, for a closing mark or a file
#define MIRROR_UNREADABLE_NS LIMIT_MINUTE_NS // a tape that cannot be opened is left then
#define MIRROR_HOLD_NS (10 * LIMIT_SECOND_NS) // a refused topic is not tried again before

struct mirror_position {
    uint32_t tape; // 0: before the first
    uint64_t row;  // the next one
};

// Messages of one topic from one batch, or a part of it, under way together; of several batches
// where the topic has many flights already.
struct mirror_flight {
    uint32_t next; // in its queue; 0: last. Flight 0 is nobody's
    uint32_t left; // messages not settled, and 1 while more are added
    uint32_t tape;
    uint64_t rows; // the cursor when all before it and it are delivered
    uint8_t channel;
    uint8_t shard;
    bool ends; // the topic is through with the tape
    bool sends; // has messages
    int64_t durable_ns; // monotonic: since when its batch is; 0: it was read from disk
};

struct mirror_queue { // flights in order
    uint32_t first;
    uint32_t last;
};

struct mirror_lane { // one topic
    enum channel channel;
    bool used;
    uint32_t leftover; // earlier tapes it is past, of `earlier`
    struct mirror_position position[MIRROR_STREAMS];
    struct mirror_queue queue[MIRROR_STREAMS]; // by shard; the last: of a shard that is not known
    // Through tapes whose shard is not known, of this life only: they have none in the state, but
    // a new producer must not begin them anew, or two refused messages in one never come to an end.
    struct mirror_cursor unknown;
    uint32_t flights;   // in its queues
    uint64_t in_flight; // messages
    int64_t in_flight_bytes;
    int64_t blocked_ns; // monotonic: since then it cannot go on; 0: it can
    bool behind;        // others do not wait for it
    // Careful: a batch was refused for one of its messages; until `careful` is passed, at most
    // `window` messages go together.
    uint32_t window;
    uint32_t window_used;
    uint64_t suspects;
    struct mirror_position careful[MIRROR_STREAMS];
    bool careful_set[MIRROR_STREAMS];
    int64_t hold_ns; // the topic was refused: until then its rows are letters at once
    char cause[MIRROR_CAUSE_BYTES];
};

enum mirror_file_state {
    FILE_FREE,
    FILE_OPENING,
    FILE_MARKING,
    FILE_READY,
    FILE_GONE,
    FILE_CLOSING,
};

struct mirror_file { // a tape being read
    struct mirror *mirror;
    enum mirror_file_state state;
    uint32_t tape;
    uint32_t shard; // MIRROR_SHARDS_MAX: not known
    int handle;
    int mark_handle;
    struct io_op op;
    struct io_op mark_op;
    bool reading;
    bool held;
    bool again; // FILE_GONE: not for good
    int64_t failed_ns;  // monotonic: when it could not be read last
    int64_t failing_ns; // since when it cannot be; 0: it can
    uint64_t used;
    struct tape_reader reader;
    struct tape_item item;
    struct mirror_remade *remade; // the tape's file is gone: read from segments
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char mark_path[KEEP_FILE_NAME_BYTES_MAX];
    uint8_t mark[MIRROR_MARK_BYTES];
};

// The batch at a position.
struct mirror_view {
    uint32_t tape;
    uint32_t shard;
    uint64_t first_row;
    uint64_t rows; // of the tape, with this batch
    uint64_t sequence;
    uint32_t revision;
    uint32_t channels;
    const uint8_t *bytes;
    uint32_t size;
    int64_t durable_ns; // monotonic; 0: not known, it is not from memory
    struct mirror_file *remade; // a block of its open segment; NULL: `bytes`
};

enum mirror_fetch {
    FETCH_BATCH,   // `view` is filled
    FETCH_NONE,    // nothing more as yet
    FETCH_WAIT,    // comes back by itself: a file is being opened, or looked at again soon
    FETCH_END,     // the tape ends here
    FETCH_SKIP,    // damage: the position moved
};

struct mirror_decoded {
    bool valid;
    bool good;
    uint32_t tape;
    uint32_t revision;
    uint64_t sequence;
    struct tape_batch batch;
    // Of a remade tape, where the channel has no identity; else NULL.
    const uint32_t *row_tape;
    const uint64_t *row_number;
};

struct mirror_tape { // of this store, by number
    uint32_t number;
    uint32_t shard; // MIRROR_SHARDS_MAX: not known
};

enum { TAPE_NOT_LOOKED = UINT32_MAX }; // its shard

enum mirror_retry {
    RETRY_NONE,
    RETRY_ASKED,
    RETRY_MOVING,
    RETRY_READING,
    RETRY_SENDING,
    RETRY_ENDING,
};

struct mirror_letters {
    uint8_t *room; // MIRROR_LETTER_ROOM
    size_t used;
    size_t writing; // bytes of it in the write under way
    uint64_t *tags; // flights (and rows) they belong to, in order
    uint32_t tag_count;
    uint32_t tags_writing;
    int handle; // -1: not open
    int64_t size; // of the file's good part
    bool busy;
    struct io_op op;
    struct file_script *script;
    bool failed; // the last write: not again before the next tick
    bool scanned; // `size` is known
    enum mirror_retry retry;
    uint8_t *retry_bytes; // the file, in memory
    uint32_t retry_size;
    size_t retry_at;
    uint32_t retry_flying;
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char retry_path[KEEP_FILE_NAME_BYTES_MAX];
    char ask_path[KEEP_FILE_NAME_BYTES_MAX];
};

struct mirror {
    struct io *io;
    struct mirror_options options;
    char store[MESSAGE_STORE_HEX_BYTES];
    struct producer *producer; // NULL: to be made
    int64_t make_after_ns;
    bool rewinding;
    struct message_coder coder;
    struct mirror_lane lanes[CHANNEL_COUNT];
    uint16_t lane_mask;
    struct mirror_flight *flights;
    uint32_t flight_free;
    uint32_t flights_each; // so many at most of one topic
    struct mirror_tape *tapes; // sorted; `earlier` of them are of earlier lives
    uint32_t tape_count;
    uint32_t earlier;
    uint32_t noted[MIRROR_SHARDS_MAX]; // the latest tape of each shard in `state.tapes`
    uint32_t tape_base; // lower numbers are of earlier lives
    struct mirror_file files[MIRROR_FILES];
    uint64_t uses;
    struct mirror_view view;
    struct mirror_decoded decoded;
    uint8_t *decode_bytes; // TAPE_BATCH_BYTES_MAX: the batch that `decoded` points into
    uint8_t *decode_memory;
    uint8_t *scratch; // MIRROR_SCRATCH_BYTES
    void *encoder_memory; // of tape_encoder_init(); where whole batches are mirrored
    uint64_t turn; // messages of this turn of the loop
    struct mirror_letters letters;
    // state
    struct mirror_state state;
    bool dirty;
    bool saving;
    struct file_script *save_script;
    char *save_text;
    char state_path[KEEP_FILE_NAME_BYTES_MAX];
    // loop
    struct io_op pump_op;
    struct io_op look_op;
    struct io_op tick_op;
    bool stopping;
    bool ending; // no timer is started any more
    bool saved_last;
    int64_t stop_ns;
    void (*stopped)(void *context);
    void *context;
    struct mirror_counters counters; // the loop's own
    _Atomic uint64_t published[sizeof(struct mirror_counters) / sizeof(uint64_t)];
    struct mirror_lag *lags; // [shards]
    struct statistics_mirror own; // what is published in the statistics page
    uint32_t done_first; // number of the tape of done[0]
    _Atomic uint16_t *done; // [MIRROR_DONE_MAX] bit c: topic c is through
};

// ---- mirror.c ----

// Does what can be done now.
void mirror_pump(struct mirror *mirror);
void mirror_say(struct mirror *mirror, enum log_message message, const char *cause);
// Looks again in MIRROR_LOOK_NS.
void mirror_look_soon(struct mirror *mirror);

// ---- mirror_tape.c ----

// The batch that holds the lane's next row of the stream.
enum mirror_fetch mirror_fetch(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream);
// The shard in whose queue flights of the lane's tape in that stream are, and by whose cursor it is
// found again: what was known when the lane came to the tape, whatever its file turns out to say.
uint32_t mirror_stream_shard(const struct mirror *mirror, const struct mirror_lane *lane,
                             uint32_t stream);
// The viewed batch, decoded; NULL: its content is damaged.
const struct tape_batch *mirror_decode(struct mirror *mirror);
// Goes to the next tape of the stream. False: there is none as yet.
bool mirror_next_tape(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream);
// Batches of the feed that no lane wants any more.
void mirror_feed_trim(struct mirror *mirror, uint32_t shard);

void mirror_tell_lost(struct mirror *mirror, uint32_t tape, const char *what, uint64_t rows);

// ---- mirror_file.c ----

// The tape's file when it is open, or gone for good; NULL: it is on its way. The one longest unused
// makes room.
struct mirror_file *mirror_file_of(struct mirror *mirror, uint32_t tape);
// Reads it from its beginning.
void mirror_file_begin(struct mirror_file *file);
// A tape of this life that is not live: is it known where it ends?
bool mirror_file_end_known(struct mirror_file *file);
void mirror_file_close(struct mirror_file *file);
// True once every file is closed.
bool mirror_files_close(struct mirror *mirror);

// ---- mirror_tapes.c ----

int mirror_tapes_open(struct mirror *mirror, struct io *start);
// Lists them anew behind the first `kept`, which stay: those of this life, or all where none is
// kept.
int mirror_tapes_list(struct mirror *mirror, struct io *io, uint32_t kept);

// ---- mirror_segments.c ----

enum { MIRROR_REMAKE_TRIES = 8 }; // segments may be merged while they are looked for

// Has a topic begun to read the tape from segments?
bool mirror_remade_before(const struct mirror *mirror, uint32_t tape);
// The file, whose handles may be open, becomes FILE_READY or FILE_GONE.
void mirror_remake(struct mirror_file *file);
enum mirror_fetch mirror_remade_fetch(struct mirror_file *file, enum channel channel,
                                      uint64_t row);
// The viewed block. False: damaged.
bool mirror_remade_decode(struct mirror_file *file, struct mirror_decoded *decoded);
// The viewed block as a batch of its own, the message's value. False: damaged.
bool mirror_remade_encode(struct mirror *mirror, struct producer_message *message);
void mirror_remade_free(struct mirror_file *file);

// ---- mirror_notes.c ----

// The shards' newest tapes, and those that they have in reserve.
void mirror_note_tapes(struct mirror *mirror);
// Those of the last life that have segments were begun. At the open.
void mirror_note_begun(struct mirror *mirror, const struct catalogue *catalogue);
// `shard`: MIRROR_SHARDS_MAX where it is not known.
void mirror_note(struct mirror *mirror, uint32_t tape, uint32_t shard);
// The shard that wrote the tape, by its header; MIRROR_SHARDS_MAX: not known. The script may still
// run afterwards, as of file_script_run_now().
uint32_t mirror_shard_read(struct file_script *script, struct io *start,
                           const struct keep_store *store, uint32_t tape);
// Those listed and not noted, with the shards that their headers tell. At the open. 0 or
// -ETIMEDOUT.
int mirror_note_listed(struct mirror *mirror, struct io *start);
// NULL: not noted.
struct mirror_state_tape *mirror_noted(struct mirror *mirror, uint32_t tape);
// The newest tape that the state tells of, but for those in reserve; 0: it tells of none.
uint32_t mirror_newest_told(const struct mirror_state *state);
// Tapes newer than that, by the catalogue; one with several segments comes as often. At the open.
void mirror_untold_tapes(uint32_t told, const struct catalogue *catalogue,
                         void (*found)(void *context, uint32_t tape), void *context);
// Forgets tapes that every topic is past.
void mirror_notes_trim(struct mirror *mirror);

// ---- mirror_lane.c ----

enum mirror_step { STEP_MOVED, STEP_IDLE, STEP_BLOCKED };

void mirror_lanes_open(struct mirror *mirror);
// As far as the cursors: what was not delivered is sent again.
void mirror_lanes_rewind(struct mirror *mirror);
enum mirror_step mirror_lane_step(struct mirror *mirror, struct mirror_lane *lane,
                                  uint32_t stream);
// The stream of earlier tapes until they are through, then those of the shards.
bool mirror_lane_in(const struct mirror *mirror, const struct mirror_lane *lane, uint32_t stream);
// One message of the flight is delivered, or its letter is durable.
void mirror_settle(struct mirror *mirror, uint64_t tag);
void mirror_report(void *mirror, const struct producer_report *report);

// ---- mirror_letters.c ----

enum { MIRROR_TAG_RETRY = 0 }; // flight 0: a letter that is sent again

int mirror_letters_open(struct mirror *mirror, struct io *start);
// Keeps the message; its tag is settled when it is on disk.
void mirror_letter_keep(struct mirror *mirror, const struct producer_message *message,
                        uint32_t tape, const char *cause);
// The same for a message that comes back with a report, which does not know its time and format.
void mirror_letter_return(struct mirror *mirror, const struct producer_report *report,
                          uint32_t tape);
// Writes what waits, goes on with a retry.
void mirror_letters_pump(struct mirror *mirror);
void mirror_retry_report(struct mirror *mirror, const struct producer_report *report);
bool mirror_letters_idle(const struct mirror *mirror);
// Has the user asked for a retry?
void mirror_letters_tick(struct mirror *mirror);
// The producer broke: what was being sent again is sent once more.
void mirror_retry_rewind(struct mirror *mirror);
// True once the file is closed.
bool mirror_letters_stop(struct mirror *mirror);
void mirror_letters_close(struct mirror *mirror);

// ---- mirror_save.c ----

// 0; -ENOENT: there is none; another negative errno with a message. `text`: room for
// MIRROR_STATE_BYTES_MAX bytes.
int mirror_state_read(struct file_script *script, struct io *start, const struct keep_store *store,
                      char *text, struct mirror_state *state, struct io_message *message);
int mirror_state_open(struct mirror *mirror, struct io *start, struct io_message *message);
// Writes the state if it changed and no write is under way.
void mirror_save(struct mirror *mirror);

// ---- mirror_figures.c ----

// How far each topic is, and what is counted. Once a second.
void mirror_figures_tick(struct mirror *mirror);

// Tags: the row, and the flight below it.
static inline uint64_t mirror_tag(uint32_t flight, uint64_t row)
{
    return row << 16 | flight;
}

#endif
