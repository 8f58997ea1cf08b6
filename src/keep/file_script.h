// SPDX-License-Identifier: GPL-3.0-or-later
//
// file_script: a list of file operations, run one after the other over the io seam.
//
// What the sealer and the store do to files is always a short sequence that must happen in this
// order and stop at the first failure: create, write, sync, close, rename, sync the directory,
// delete. Computing the list is plain code; running it is this one state machine, so that a crash
// between any two operations can be simulated.
//
// Ownership: the script is embedded by its owner and copies paths; the bytes to write must live
// until `done`. Threading: core-local.
#ifndef RINGTAPE_KEEP_FILE_SCRIPT_H
#define RINGTAPE_KEEP_FILE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"

enum {
    FILE_SCRIPT_STEPS_MAX = 1024,
    FILE_SCRIPT_PATH_BYTES = 128 * 1024, // of all paths of one script
    FILE_SCRIPT_NOW_SECONDS = 120,
    FILE_SCRIPT_WRITE_BYTES_MAX = 8 << 20, // one write operation; larger ones are cut
};

enum file_step_kind {
    FILE_STEP_MKDIR,          // that it exists already is success
    FILE_STEP_CREATE,         // opens `path`, which does not exist, for writing
    FILE_STEP_OPEN,           // opens `path` for reading
    FILE_STEP_WRITE,          // `bytes` to the open file, behind what was written before
    FILE_STEP_READ,           // up to `size` bytes from its beginning; *read gets how many
    FILE_STEP_SYNC,
    FILE_STEP_CLOSE,
    FILE_STEP_RENAME,         // `path` to `path_to`
    FILE_STEP_UNLINK,         // that it is gone already is success
    FILE_STEP_SYNC_DIRECTORY, // open, fsync, close
};

struct file_step {
    enum file_step_kind kind;
    uint32_t path; // offsets in paths[]
    uint32_t path_to;
    void *bytes;
    uint32_t size;
    uint32_t *read;
};

struct file_script;
// result: 0, or the negative errno of the step that failed; `path` is the file it concerned.
typedef void file_script_done(void *context, int result, const char *path);

struct file_script {
    struct io *io;
    struct io_op op;
    uint32_t count;
    uint32_t position;
    uint32_t path_bytes;
    int handle;       // open file, -1: none
    int64_t offset;   // of the next write
    int failure;      // first error; the open file is still to be closed
    uint32_t part;    // bytes of the current step already done
    bool running;
    bool afresh;      // what is read comes from the device, not from the kernel's memory
    int now; // result of file_script_run_now(); 1: not yet
    file_script_done *done;
    void *context;
    struct file_step steps[FILE_SCRIPT_STEPS_MAX];
    char paths[FILE_SCRIPT_PATH_BYTES];
};

void file_script_begin(struct file_script *script);
// True while `steps` more steps with paths of ordinary length fit.
bool file_script_has_room(const struct file_script *script, uint32_t steps);
void file_script_mkdir(struct file_script *script, const char *path);
void file_script_unlink(struct file_script *script, const char *path);
void file_script_rename(struct file_script *script, const char *path, const char *path_to);
void file_script_sync_directory(struct file_script *script, const char *path);
// `path` removed, then created, written, synced, closed. Always a new file: one whose sync failed
// before must not be synced again, for its pages may count as clean and not be on disk.
void file_script_write(struct file_script *script, const char *path, const void *bytes,
                       uint32_t size);
// The same under "`path`.new", then renamed to `path`.
void file_script_replace(struct file_script *script, const char *path, const void *bytes,
                         uint32_t size);
// The first `size` bytes of `path`; *read gets their number.
void file_script_read(struct file_script *script, const char *path, void *bytes, uint32_t size,
                      uint32_t *read);
void file_script_run(struct file_script *script, struct io *io, file_script_done *done,
                     void *context);
// Runs it to the end inside (start-up only: nothing else is in flight). The result as in `done`, or
// -ETIMEDOUT when the disk did not answer for FILE_SCRIPT_NOW_SECONDS: the script is then still
// running and must not be freed before its loop is gone.
int file_script_run_now(struct file_script *script, struct io *io);
// Is this what was written? 0, or a negative errno; -EBADMSG: it may be another time.
typedef int file_script_check(void *context, const void *bytes, uint32_t size);
// Runs a script of its own that reads a file, as file_script_run_now(), until `check` does not say
// -EBADMSG, SOURCE_TRIES times: a device may give wrong bytes once. Without a check two reads must
// bring the same, else -EBADMSG. What reading said, or else the check.
int file_script_read_now(struct file_script *script, struct io *io, const char *path, void *bytes,
                         uint32_t room, uint32_t *size, file_script_check *check, void *context);
// The path a failed or current step concerns.
const char *file_script_path(const struct file_script *script);

#endif
