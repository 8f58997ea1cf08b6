// SPDX-License-Identifier: GPL-3.0-or-later
//
// A store that cannot be opened says which file, why and what to do about it, changes nothing, and
// is opened once that is done.
#include "keep/keep_store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "io_sim.h"

#define STORE "/data/store"

struct rig {
    struct sim_world *world;
    struct io *io;
    struct keep_store *store;
    struct io_message message;
};

static void rig_begin(struct rig *rig)
{
    *rig = (struct rig){.world = sim_world_create(1)};
    sim_world_use(rig->world);
    cr_assert_eq(sim_disk_mkdir(rig->world, "/data"), 0);
}

static void rig_end(struct rig *rig)
{
    if (rig->io != NULL) io_close_loop(rig->io);
    sim_world_destroy(rig->world);
}

// As another process would: the lock goes with the loop.
static int rig_open(struct rig *rig)
{
    if (rig->io != NULL) io_close_loop(rig->io);
    cr_assert_eq(io_open_loop(&rig->io, &(struct io_options){.name = "store"}, &rig->message), 0);
    return keep_store_open(&rig->store, rig->io, STORE, &rig->message);
}

static void opens(struct rig *rig)
{
    cr_assert_eq(rig_open(rig), 0, "%s", rig->message.text);
    keep_store_close(rig->store);
}

static void is_refused(struct rig *rig, int code, const char *text)
{
    cr_assert_eq(rig_open(rig), code, "%s", rig->message.text);
    cr_assert_null(rig->store);
    cr_assert_str_eq(rig->message.text, text);
}

// ---- what the system refuses ----

static const struct failure {
    enum io_kind kind;
    uint32_t skip;
    int error;
    const char *text;
} failures[] = {
    {IO_MKDIR, 0, -EACCES,
     "store /data/store: cannot be created (Permission denied): let the user of ringtaped write "
     "there, or set another `store`"},
    {IO_MKDIR, 1, -EROFS,
     "store /data/store/tape: cannot be created (Read-only file system): the file system is "
     "mounted read-only; remount it or set another `store`"},
    {IO_MKDIR, 0, -ENOENT,
     "store /data/store: cannot be created (No such file or directory): create the parent "
     "directory or set another `store`"},
    {IO_WRITE, 0, -ENOSPC,
     "store /data/store/identity: cannot be written (No space left on device): free space there or "
     "set another `store`"},
    {IO_WRITE, 1, -EDQUOT,
     "store /data/store/catalogue: cannot be written (Disk quota exceeded): free space there or "
     "set another `store`"},
    {IO_FSYNC, 0, -EIO,
     "store /data/store: cannot be created (Input/output error): see the kernel log for the "
     "device"},
};

Test(keep_store_open, what_cannot_be_made_is_told_with_a_remedy)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct rig rig;
        rig_begin(&rig);
        sim_world_fail(rig.world, failures[i].kind, failures[i].skip, failures[i].error);
        is_refused(&rig, failures[i].error, failures[i].text);
        opens(&rig);
        rig_end(&rig);
    }
}

// Of the second start: identity and catalogue are read.
Test(keep_store_open, what_cannot_be_read_is_told_and_not_made_anew)
{
    static const char *const text[] = {
        "store /data/store/identity: cannot be read (Input/output error): see the kernel log for "
        "the device",
        "store /data/store/catalogue: cannot be read (Input/output error): see the kernel log for "
        "the device"};
    for (uint32_t i = 0; i < 2; i++) {
        struct rig rig;
        uint8_t identity[16];
        rig_begin(&rig);
        cr_assert_eq(rig_open(&rig), 0);
        memcpy(identity, keep_store_identity(rig.store), sizeof identity);
        keep_store_close(rig.store);
        sim_world_fail(rig.world, IO_READ, 4 * i, -EIO); // the identity is read twice, to its end
        is_refused(&rig, -EIO, text[i]);
        cr_assert_eq(rig_open(&rig), 0);
        cr_assert_arr_eq(keep_store_identity(rig.store), identity, sizeof identity);
        keep_store_close(rig.store);
        rig_end(&rig);
    }
}

Test(keep_store_open, one_daemon_at_a_time)
{
    struct rig rig;
    struct keep_store *second;
    rig_begin(&rig);
    cr_assert_eq(rig_open(&rig), 0);
    cr_assert_eq(keep_store_open(&second, rig.io, STORE, &rig.message), -EWOULDBLOCK);
    cr_assert_str_eq(rig.message.text,
                     "store /data/store: in use by another ringtaped (Resource temporarily "
                     "unavailable): stop that one first, or set another `store`");
    keep_store_close(rig.store);
    rig_end(&rig);
}

Test(keep_store_open, a_path_has_its_bounds)
{
    char path[1024];
    struct rig rig;
    rig_begin(&rig);
    cr_assert_eq(io_open_loop(&rig.io, &(struct io_options){.name = "store"}, &rig.message), 0);
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    cr_assert_eq(keep_store_open(&rig.store, rig.io, path, &rig.message), -ENAMETOOLONG);
    cr_assert_eq(keep_store_open(&rig.store, rig.io, "", &rig.message), -ENAMETOOLONG);
    cr_assert_str_eq(rig.message.text,
                     "store : path is empty or too long (File name too long): set a `store` of 1 "
                     "to 900 bytes");
    cr_assert_eq(keep_store_open(&rig.store, rig.io, "/data/a//", &rig.message), 0);
    keep_store_close(rig.store);
    rig_end(&rig);
}

// ---- what lies in the files ----

static const struct content {
    const char *path;
    const char *bytes; // a line that tells their hash is put behind those of a catalogue
    int code;
    const char *text;
} contents[] = {
    {STORE "/identity", "0123456789abcdef0123456789abcdeX\n", -EINVAL,
     "store /data/store/identity: is not 32 hexadecimal digits (Invalid argument): run `ringtape "
     "recover --store DIR --in-place`"},
    {STORE "/identity", "0123456789abcdef0123456789abcdef\n\n", -EINVAL,
     "store /data/store/identity: is not 32 hexadecimal digits (Invalid argument): run `ringtape "
     "recover --store DIR --in-place`"},
    {STORE "/identity", "00000000000000000000000000000000\n", -EINVAL,
     "store /data/store/catalogue: belongs to another store (Invalid argument): restore the files "
     "of one store"},
    {STORE "/catalogue", "ringtape-catalogue 99 0\n", -EPROTONOSUPPORT,
     "store /data/store/catalogue: is of a newer version (Protocol not supported): use a newer "
     "ringtaped"},
    {STORE "/catalogue", "ringtape-catalogue 1 0\n", -EBADMSG,
     "store /data/store/catalogue: is damaged (Bad message): run `ringtape recover --store DIR "
     "--in-place`"},
};

static uint32_t content_write(struct rig *rig, const struct content *content)
{
    char text[256];
    int size = snprintf(text, sizeof text, "%s", content->bytes);
    if (strcmp(content->path, STORE "/catalogue") == 0)
        size += snprintf(text + size, sizeof text - (size_t)size, "xxh3 %016llx\n",
                         (unsigned long long)XXH3_64bits(text, (size_t)size));
    sim_disk_truncate(rig->world, content->path, 0);
    sim_disk_write(rig->world, content->path, text, (uint32_t)size, 0);
    return (uint32_t)size;
}

Test(keep_store_open, what_is_wrong_in_a_file_is_told_and_left_as_it_is)
{
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        char before[8192];
        struct rig rig;
        rig_begin(&rig);
        opens(&rig);
        int64_t size = sim_disk_read(rig.world, contents[i].path, before, sizeof before, 0);
        cr_assert(size > 0 && size < (int64_t)sizeof before);
        const uint32_t wrong = content_write(&rig, &contents[i]);
        is_refused(&rig, contents[i].code, contents[i].text);
        cr_assert_eq(sim_disk_size(rig.world, contents[i].path), wrong);
        sim_disk_truncate(rig.world, contents[i].path, 0);
        sim_disk_write(rig.world, contents[i].path, before, (uint32_t)size, 0);
        opens(&rig);
        rig_end(&rig);
    }
}

// A catalogue that is new calls every segment a leftover, and leftovers are removed.
Test(keep_store_open, segments_without_a_catalogue_are_not_given_away)
{
    struct rig rig;
    rig_begin(&rig);
    cr_assert_eq(sim_disk_mkdir(rig.world, STORE "/segment/2026-01-01"), 0);
    is_refused(&rig, -EBADMSG,
               "store /data/store/catalogue: is missing, but there are segments (Bad message): run "
               "`ringtape recover --store DIR --in-place`");
    rig_end(&rig);
    rig_begin(&rig);
    cr_assert_eq(sim_disk_mkdir(rig.world, STORE), 0);
    sim_disk_write(rig.world, STORE "/segment", "no folder", 9, 0);
    is_refused(&rig, -ENOTDIR,
               "store /data/store/segment: cannot be listed (Not a directory): create the parent "
               "directory or set another `store`");
    cr_assert_lt(sim_disk_size(rig.world, STORE "/catalogue"), 0, "none is made");
    rig_end(&rig);
}
