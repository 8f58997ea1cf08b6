// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor: will ringtaped run well here? Findings, each with what was found and a remedy
// that can be copied.
//
// A probe is one function: it looks at the world it is given and adds its findings. Files of /proc
// and /sys are read under `root`, and what takes a system call is in a struct of facts that is
// filled before (ringtape_doctor_facts.c), so that a test shows it any machine. What a container
// hides is a note that it cannot be seen, never a failure.
//
// Threading: main thread. Bounds: the enums below.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DOCTOR_H
#define RINGTAPE_TOOLS_RINGTAPE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "format/catalogue.h"

enum {
    DOCTOR_FINDINGS_MAX = 96,
    DOCTOR_TEXT_BYTES = 640,
    DOCTOR_LINE_BYTES = 512,
    DOCTOR_FILE_BYTES = 256 * 1024, // /proc/cpuinfo and /proc/interrupts of a large machine
    DOCTOR_CPUS_MAX = 1024,
    DOCTOR_SHARDS_MAX = 64,
    DOCTOR_MISTAKES_MAX = 16,
    DOCTOR_WRITES = 100, // of 4,096 bytes, to learn what a durable one takes
};

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_FAILURE, DOCTOR_LEVELS };

struct doctor_finding {
    enum doctor_level level;
    const char *topic;
    char found[DOCTOR_TEXT_BYTES];
    char remedy[DOCTOR_TEXT_BYTES]; // "": nothing has to be done
};

struct doctor_report {
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    uint32_t count;
};

// What `ringtaped --probe` said.
struct doctor_daemon {
    bool asked; // it was there and answered
    char failure[DOCTOR_LINE_BYTES]; // why not
    char version[DOCTOR_LINE_BYTES];
    char tls[DOCTOR_LINE_BYTES];
    bool tls_bundled;
    bool config_good;
    char mistakes[DOCTOR_MISTAKES_MAX][DOCTOR_LINE_BYTES];
    uint32_t mistake_count;
    char store[DOCTOR_LINE_BYTES]; // "": no configuration, or none that can be read
    uint32_t shards;
    int64_t commit_interval_ns;
    int64_t reserve_bytes;
    int64_t keep_age_ns;
    int64_t keep_size_bytes;
    int64_t channel_age_ns[CHANNEL_COUNT];
    int64_t channel_size_bytes[CHANNEL_COUNT];
    int core[DOCTOR_SHARDS_MAX]; // CPU of each shard, -1: not pinned
    uint32_t core_count;
    uint32_t loops_wanted;
    uint32_t loops_opened;
    char loops_failure[DOCTOR_LINE_BYTES];
};

// What adjtimex(2) says.
struct doctor_clock {
    bool known;
    bool synchronised;
    int64_t offset_us;
    int64_t error_max_us;
};

// What was tried in the folder of the store.
struct doctor_disk {
    bool exists;
    bool parent; // it does not, but the folder that ringtaped would make it in
    bool writable;
    int error;               // errno of what was refused
    uint64_t file_system;    // f_type of statfs(2)
    uint64_t free_bytes;     // for this user
    uint64_t total_bytes;
    bool direct;             // O_DIRECT is possible
    uint32_t writes;         // that were measured; 0: none
    int64_t write_p50_ns;
    int64_t write_p99_ns;
};

// What the segments of the store tell.
struct doctor_segments {
    bool known;
    uint64_t bytes;
    uint32_t days;
    int64_t span_ns;    // from its first row to its last
    uint64_t day_bytes; // of the fullest of the last eight days
    uint64_t channel_day_bytes[CHANNEL_COUNT]; // each of its own fullest day
    char failure[DOCTOR_LINE_BYTES];
};

struct doctor_world {
    const char *root;   // "": this machine
    const char *config; // NULL: none
    const char *store;
    pid_t process; // of the daemon that has the store, 0: none
    struct doctor_daemon daemon;
    struct doctor_clock clock;
    struct doctor_disk disk;
    struct doctor_segments segments;
};

// ---- findings ----

// `remedy` may be "".
__attribute__((format(printf, 5, 6))) void doctor_say(struct doctor_report *report,
                                                      enum doctor_level level, const char *topic,
                                                      const char *remedy, const char *format, ...);
// "cannot be seen here (PATH)": a note.
void doctor_unseen(struct doctor_report *report, const char *topic, const char *path);
const char *doctor_level_name(enum doctor_level level);
// The gravest level; OK without findings.
enum doctor_level doctor_worst(const struct doctor_report *report);

// ---- reading under the root ----

// The file's text without its last line feed; false: it cannot be read, or `out` is too small.
bool doctor_read(const struct doctor_world *world, const char *path, char *out, size_t size);
// The text behind "KEY" and blanks or a colon at the beginning of a line of `text`; false: none.
bool doctor_field(const char *text, const char *key, char *out, size_t size);

struct doctor_cpus {
    bool has[DOCTOR_CPUS_MAX];
};
// "0-3,8": a list as the kernel writes it. False: it is none, or one too high.
bool doctor_cpus_parse(const char *text, struct doctor_cpus *cpus);
uint32_t doctor_cpus_count(const struct doctor_cpus *cpus);

// ---- facts of this machine ----

// Runs `ringtaped --probe`, beside this program or by PATH.
void doctor_ask_daemon(struct doctor_daemon *daemon, const char *config);
// One line of its answer.
void doctor_daemon_line(struct doctor_daemon *daemon, const char *line);
void doctor_look_at_clock(struct doctor_clock *clock);
// Writes and removes one file in `store`.
void doctor_try_disk(struct doctor_disk *disk, const char *store);
void doctor_read_segments(struct doctor_segments *segments, const char *store);

// ---- probes ----

typedef void doctor_probe(const struct doctor_world *world, struct doctor_report *report);

doctor_probe doctor_kernel, doctor_io_uring, doctor_seccomp, doctor_memlock, doctor_open_files;
doctor_probe doctor_clock_source, doctor_clock_offset;
doctor_probe doctor_config, doctor_running, doctor_tls;
doctor_probe doctor_store, doctor_file_system, doctor_direct, doctor_write_latency, doctor_space;
doctor_probe doctor_cores, doctor_isolation, doctor_governor, doctor_interrupts, doctor_memory;
doctor_probe doctor_swap;

#endif
