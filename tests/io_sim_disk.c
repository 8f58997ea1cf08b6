// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulated disk: files of sectors and directories, each with what is seen and what is durable.
//
//   sector     live == NULL: as durable. dirty_since != 0: an fsync owes it durability.
//              live != NULL and clean: a failed fsync dropped it; it is seen until the crash.
//   size       like a sector
//   directory  entries as seen; entries durable; changes in between in disk->changes, in order.
//              A change is atomic (a rename is one), durable when a directory it touches is synced.
//
// disk->sequence counts what happened; an fsync covers what was there when it was started.
#include "io_sim.h"
#include "io_sim_disk.h"
#include "io_sim_world.h"

#include <stdio.h>
#include <stdlib.h>

bool sim_disk_kind(enum io_kind kind)
{
    switch (kind) {
    case IO_READ:
    case IO_WRITE:
    case IO_FSYNC:
    case IO_FALLOCATE:
    case IO_OPEN:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR:
        return true;
    default:
        return false;
    }
}

// ---- operations ----

void sim_disk_start(struct sim_world *world, struct io_op *op)
{
    struct sim_faults *faults = &world->faults;
    int64_t after_ns = sim_between(world, faults->disk_ns_min, faults->disk_ns_max);
    if (sim_fault(world, &faults->slow_disk))
        after_ns *= 100;
    op->private_words[1] = world->disk->sequence;
    sim_schedule(world, op, after_ns);
}

static int64_t sim_disk_open(struct sim_world *world, struct io_op *op)
{
    struct sim_place place;
    uint32_t flags = op->flags;
    int error = sim_place_find(world->disk, op->buffer.path, &place);
    if (error != 0)
        return error;
    struct sim_inode *inode = place.inode;
    bool create = (flags & IO_OPEN_CREATE) != 0;
    if (inode != NULL && create && (flags & IO_OPEN_EXCLUSIVE) != 0)
        return -EEXIST;
    if (inode == NULL && !create)
        return -ENOENT;
    if (inode != NULL && (flags & IO_OPEN_DIRECTORY) != 0 && !inode->directory)
        return -ENOTDIR;
    if (inode != NULL && (flags & IO_OPEN_WRITE) != 0 && inode->directory)
        return -EISDIR;
    if (inode == NULL) {
        inode = sim_inode_create(world->disk, false);
        struct sim_change change = {.count = 1, .part[0] = sim_part(&place, inode)};
        sim_change_apply(world->disk, &change);
    }
    if ((flags & IO_OPEN_TRUNCATE) != 0)
        sim_inode_resize(world->disk, inode, 0);
    inode->handles += 1;
    int handle = sim_handle_open(sim_op_loop(op), inode, NULL);
    world->handles[handle].flags = flags;
    return handle;
}

static uint32_t sim_alignment(const struct sim_world *world)
{
    return world->disk->alignment != 0 ? world->disk->alignment : SIM_SECTOR_BYTES;
}

static bool sim_disk_misaligned(const struct sim_world *world, const struct sim_handle *handle,
                                const struct io_op *op)
{
    if ((handle->flags & IO_OPEN_DIRECT) == 0)
        return false;
    uint64_t all = (uint64_t)op->offset | op->size | (uintptr_t)op->buffer.read;
    return all % sim_alignment(world) != 0;
}

static int64_t sim_disk_do_read(struct sim_world *world, struct io_op *op)
{
    struct sim_handle *handle = sim_handle_of(sim_op_loop(op), op->handle);
    if ((handle->flags & IO_OPEN_READ) == 0)
        return -EBADF;
    if (sim_disk_misaligned(world, handle, op))
        return -EINVAL;
    if (sim_fault(world, &world->faults.read_error))
        return -EIO;
    int64_t got = sim_inode_read(handle->inode, op->buffer.read, op->size, op->offset);
    sim_misread(world, op->buffer.read, got, op->offset);
    return got;
}

// A failed write leaves any part of itself behind.
static int64_t sim_disk_write_fails(struct sim_world *world, struct sim_inode *inode,
                                    struct io_op *op, int error)
{
    uint32_t size = (uint32_t)sim_world_random(world, op->size + 1);
    if (sim_fault(world, &world->faults.failed_write_lands))
        size = op->size;
    if (size > 0)
        (void)sim_inode_write(world->disk, inode, op->buffer.write, size, op->offset);
    return error;
}

static int64_t sim_disk_do_write(struct sim_world *world, struct io_op *op, int scripted)
{
    struct sim_handle *handle = sim_handle_of(sim_op_loop(op), op->handle);
    if ((handle->flags & IO_OPEN_WRITE) == 0)
        return -EBADF;
    if (sim_disk_misaligned(world, handle, op))
        return -EINVAL;
    struct sim_inode *inode = handle->inode;
    if (scripted != 0)
        return sim_disk_write_fails(world, inode, op, scripted);
    if (sim_fault(world, &world->faults.write_error))
        return sim_disk_write_fails(world, inode, op, -EIO);
    if (sim_fault(world, &world->faults.no_space))
        return sim_disk_write_fails(world, inode, op, -ENOSPC);
    int error = sim_inode_write(world->disk, inode, op->buffer.write, op->size, op->offset);
    if (error != 0)
        return error;
    if ((op->flags & IO_WRITE_DURABLE) != 0) {
        uint64_t first = (uint64_t)op->offset / SIM_SECTOR_BYTES;
        uint64_t last = ((uint64_t)op->offset + op->size - 1) / SIM_SECTOR_BYTES;
        sim_inode_flush(inode, first, last, UINT64_MAX);
    }
    return op->size;
}

// As Linux does: the error is told once, some pages are not written, all count as clean.
static void sim_disk_drop(struct sim_world *world, struct sim_inode *inode)
{
    for (uint64_t i = 0; i < inode->sector_count; i++) {
        if (sim_world_random(world, 2) == 0)
            inode->sectors[i].dirty_since = 0;
    }
    sim_inode_flush(inode, 0, UINT64_MAX, UINT64_MAX);
}

static int64_t sim_disk_do_fsync(struct sim_world *world, struct io_op *op, int scripted)
{
    struct sim_inode *inode = sim_handle_of(sim_op_loop(op), op->handle)->inode;
    int error = scripted != 0 ? scripted : sim_fault(world, &world->faults.fsync_error) ? -EIO : 0;
    if (error != 0) {
        sim_disk_drop(world, inode);
        return error;
    }
    if (inode->directory)
        sim_changes_commit(world->disk, inode, op->private_words[1]);
    else
        sim_inode_flush(inode, 0, UINT64_MAX, op->private_words[1]);
    return 0;
}

static int64_t sim_disk_do_fallocate(struct sim_world *world, struct io_op *op)
{
    struct sim_inode *inode = sim_handle_of(sim_op_loop(op), op->handle)->inode;
    if (sim_fault(world, &world->faults.no_space)) {
        // Short: a part is allocated, the size stays.
        (void)sim_inode_allocate(world->disk, inode, op->offset / 2);
        return -ENOSPC;
    }
    int error = sim_inode_allocate(world->disk, inode, op->offset);
    if (error == 0 && inode->size_live < op->offset)
        sim_inode_resize(world->disk, inode, op->offset);
    return error;
}

static int64_t sim_disk_do_rename(struct sim_world *world, struct io_op *op)
{
    struct sim_place from;
    struct sim_place to;
    int error = sim_place_find(world->disk, op->buffer.path, &from);
    if (error == 0 && from.inode == NULL)
        error = -ENOENT;
    if (error == 0)
        error = sim_place_find(world->disk, op->path_to, &to);
    if (error == 0 && to.inode != NULL && to.inode->directory != from.inode->directory)
        error = to.inode->directory ? -EISDIR : -ENOTDIR;
    if (error != 0 || to.inode == from.inode)
        return error;
    struct sim_change change = {.count = 2};
    change.part[0] = sim_part(&from, NULL);
    change.part[1] = sim_part(&to, from.inode);
    sim_change_apply(world->disk, &change);
    return 0;
}

static int64_t sim_disk_do_unlink(struct sim_world *world, struct io_op *op)
{
    struct sim_place place;
    int error = sim_place_find(world->disk, op->buffer.path, &place);
    if (error == 0 && place.inode == NULL)
        error = -ENOENT;
    if (error == 0 && place.inode->directory)
        error = -EISDIR;
    if (error != 0)
        return error;
    struct sim_change change = {.count = 1, .part[0] = sim_part(&place, NULL)};
    sim_change_apply(world->disk, &change);
    return 0;
}

static int64_t sim_disk_do_mkdir(struct sim_world *world, struct io_op *op)
{
    struct sim_place place;
    int error = sim_place_find(world->disk, op->buffer.path, &place);
    if (error == 0 && place.inode != NULL)
        error = -EEXIST;
    if (error != 0)
        return error;
    struct sim_inode *inode = sim_inode_create(world->disk, true);
    struct sim_change change = {.count = 1, .part[0] = sim_part(&place, inode)};
    sim_change_apply(world->disk, &change);
    return 0;
}

int64_t sim_disk_effect(struct sim_world *world, struct io_op *op)
{
    int scripted = 0;
    world->disk->sequence += 1;
    if (sim_scripted(world, op->kind, &scripted) && op->kind != IO_WRITE && op->kind != IO_FSYNC)
        return scripted;
    switch (op->kind) {
    case IO_READ:
        return sim_disk_do_read(world, op);
    case IO_WRITE:
        return sim_disk_do_write(world, op, scripted);
    case IO_FSYNC:
        return sim_disk_do_fsync(world, op, scripted);
    case IO_FALLOCATE:
        return sim_disk_do_fallocate(world, op);
    case IO_OPEN:
        return sim_disk_open(world, op);
    case IO_RENAME:
        return sim_disk_do_rename(world, op);
    case IO_UNLINK:
        return sim_disk_do_unlink(world, op);
    default:
        ensure(op->kind == IO_MKDIR);
        return sim_disk_do_mkdir(world, op);
    }
}

void sim_disk_release(struct sim_world *world, struct sim_inode *inode)
{
    ensure(inode->handles > 0);
    inode->handles -= 1;
    sim_inode_maybe_free(world->disk, inode);
}

// ---- crash ----

// `sector` becomes what a power failure while writing `bytes` leaves of it.
static void sim_disk_tear(struct sim_world *world, uint8_t *sector, const uint8_t *bytes)
{
    for (uint32_t at = 0; at < SIM_SECTOR_BYTES; at += SIM_PART_BYTES) {
        if (sim_world_random(world, 2) == 0)
            memcpy(sector + at, bytes + at, SIM_PART_BYTES);
    }
}

static void sim_disk_crash_sector(struct sim_world *world, struct sim_sector *sector)
{
    static const uint8_t zeros[SIM_SECTOR_BYTES];
    if (sector->live == NULL)
        return;
    uint8_t *live = sector->live;
    sector->live = NULL;
    bool lost = sector->dirty_since == 0 || sim_world_random(world, 2) == 0;
    bool torn = sector->dirty_since != 0 && sim_fault(world, &world->faults.torn_sector);
    if (torn) {
        uint8_t mixed[SIM_SECTOR_BYTES];
        memcpy(mixed, sector->durable != NULL ? sector->durable : zeros, sizeof mixed);
        sim_disk_tear(world, mixed, live);
        memcpy(live, mixed, sizeof mixed);
        lost = false;
    }
    sector->dirty_since = 0;
    if (lost) {
        free(live);
    } else {
        free(sector->durable);
        sector->durable = live;
    }
}

// Of a write in flight any subset of its sectors has reached the disk, whatever its flags.
static void sim_disk_crash_parts(struct sim_world *world, struct sim_inode *inode,
                                 struct io_op *op)
{
    const uint8_t *bytes = op->buffer.write;
    int64_t offset = op->offset;
    int64_t end = op->offset + op->size;
    while (offset < end) {
        int64_t next = (offset / SIM_SECTOR_BYTES + 1) * SIM_SECTOR_BYTES;
        uint32_t size = (uint32_t)((next < end ? next : end) - offset);
        // Into the live content: whether it stays is decided with all other sectors in doubt.
        if (sim_world_random(world, 2) == 0)
            (void)sim_inode_write(world->disk, inode, bytes, size, offset);
        bytes += size;
        offset += size;
    }
}

void sim_disk_crash_write(struct sim_world *world, struct io_op *op, enum sim_crash kind)
{
    struct sim_handle *handle = sim_handle_of(sim_op_loop(op), op->handle);
    if (op->canceled || sim_disk_misaligned(world, handle, op))
        return;
    if ((handle->flags & IO_OPEN_WRITE) == 0)
        return;
    if (kind == SIM_CRASH_POWER) {
        sim_disk_crash_parts(world, handle->inode, op);
        return;
    }
    // The kernel finishes what it was given; what it was not, never happens.
    uint32_t size = sim_world_random(world, 2) == 0 ? op->size : 0;
    if (size > 0)
        (void)sim_inode_write(world->disk, handle->inode, op->buffer.write, size, op->offset);
}

void sim_disk_crash(struct sim_world *world, enum sim_crash kind)
{
    struct sim_disk *disk = world->disk;
    for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
        ensure(inode->handles == 0);
        inode->lock = NULL;
        if (kind == SIM_CRASH_KILL)
            continue;
        if (sim_world_random(world, 2) == 0)
            inode->size_durable = inode->size_live;
        for (uint64_t i = 0; i < inode->sector_count; i++)
            sim_disk_crash_sector(world, &inode->sectors[i]);
        sim_inode_settle(inode);
    }
    if (kind == SIM_CRASH_POWER)
        sim_changes_crash(world);
    sim_disk_collect(disk);
}

// ---- io.h: synchronous questions ----

static struct sim_inode *sim_disk_find(struct sim_world *world, const char *path)
{
    struct sim_place place;
    return sim_place_find(world->disk, path, &place) == 0 ? place.inode : NULL;
}

int64_t io_file_size(struct io *io, const char *path)
{
    return sim_disk_size(io->world, path);
}

int64_t io_read_now(struct io *io, int handle, void *bytes, size_t size, int64_t offset)
{
    struct sim_handle *open = sim_handle_of(io, handle);
    ensure((open->flags & IO_OPEN_READ) != 0 && size <= UINT32_MAX);
    struct sim_faults before;
    const bool single = sim_single_step(io->world, IO_READ);
    if (single)
        sim_single_begin(io->world, IO_READ, &before);
    int64_t got = -EIO;
    if (!sim_world_crashed(io->world) && !sim_fault(io->world, &io->world->faults.read_error))
        got = sim_inode_read(open->inode, bytes, (uint32_t)size, offset);
    sim_misread(io->world, bytes, got, offset);
    if (single)
        sim_single_end(io->world, &before);
    return got;
}

// There is no cache above the simulated disk: every read comes from it.
void io_read_afresh(struct io *io, int handle)
{
    ensure(sim_handle_of(io, handle)->inode != NULL);
}

int io_list(struct io *io, const char *path, void (*each)(void *context, const char *name),
            void *context)
{
    struct sim_inode *folder = sim_disk_find(io->world, path);
    if (folder == NULL || !folder->directory)
        return folder == NULL ? -ENOENT : -ENOTDIR;
    uint32_t count = folder->live.count;
    uint32_t first = count > 0 ? (uint32_t)sim_world_random(io->world, count) : 0;
    for (uint32_t i = 0; i < count && i < folder->live.count; i++)
        each(context, folder->live.entries[(first + i) % folder->live.count].name);
    return 0;
}

int64_t io_free_bytes(struct io *io, const char *path)
{
    struct sim_disk *disk = io->world->disk;
    if (sim_disk_find(io->world, path) == NULL)
        return -ENOENT;
    if (disk->sectors_max <= disk->sectors_used) // it was larger once
        return 0;
    return (disk->sectors_max - disk->sectors_used) * SIM_SECTOR_BYTES;
}

uint32_t io_alignment(struct io *io, int handle)
{
    ensure(sim_handle_of(io, handle)->inode != NULL);
    return sim_alignment(io->world);
}

int io_lock(struct io *io, const char *path)
{
    struct sim_disk *disk = io->world->disk;
    struct sim_place place;
    int error = sim_place_find(disk, path, &place);
    if (error != 0)
        return error;
    if (place.inode == NULL) {
        place.inode = sim_inode_create(disk, false);
        struct sim_change change = {.count = 1, .part[0] = sim_part(&place, place.inode)};
        sim_change_apply(disk, &change);
    }
    if (place.inode->lock != NULL)
        return -EWOULDBLOCK;
    place.inode->lock = io;
    return 0;
}

void sim_disk_unlock(struct sim_world *world, struct io *io)
{
    for (struct sim_inode *inode = world->disk->inodes; inode != NULL; inode = inode->next) {
        if (inode->lock == io)
            inode->lock = NULL;
    }
}

// ---- the test's own access ----

int64_t sim_disk_size(struct sim_world *world, const char *path)
{
    struct sim_place place;
    int error = sim_place_find(world->disk, path, &place);
    if (error != 0)
        return error;
    return place.inode != NULL ? place.inode->size_live : -ENOENT;
}

int64_t sim_disk_read(struct sim_world *world, const char *path, void *bytes, uint32_t size,
                      int64_t offset)
{
    struct sim_inode *inode = sim_disk_find(world, path);
    return inode != NULL ? sim_inode_read(inode, bytes, size, offset) : -ENOENT;
}

static struct sim_inode *sim_disk_make(struct sim_world *world, const char *path, bool directory)
{
    struct sim_place place;
    ensure(sim_place_find(world->disk, path, &place) == 0);
    if (place.inode == NULL) {
        place.inode = sim_inode_create(world->disk, directory);
        struct sim_change change = {.count = 1, .part[0] = sim_part(&place, place.inode)};
        sim_change_apply(world->disk, &change);
        sim_changes_commit(world->disk, place.folder, UINT64_MAX);
    }
    return place.inode;
}

void sim_disk_write(struct sim_world *world, const char *path, const void *bytes, uint32_t size,
                    int64_t offset)
{
    struct sim_inode *inode = sim_disk_make(world, path, false);
    ensure(sim_inode_write(world->disk, inode, bytes, size, offset) == 0);
    sim_inode_flush(inode, 0, UINT64_MAX, UINT64_MAX);
}

void sim_disk_alignment(struct sim_world *world, uint32_t bytes)
{
    ensure(bytes >= SIM_SECTOR_BYTES && (bytes & (bytes - 1)) == 0);
    world->disk->alignment = bytes;
}

void sim_disk_spoil(struct sim_world *world, const char *path, uint32_t sectors, int64_t offset)
{
    struct sim_inode *inode = sim_disk_find(world, path);
    uint64_t first = (uint64_t)offset / SIM_SECTOR_BYTES;
    ensure(inode != NULL && first + sectors <= inode->sector_count);
    for (uint64_t i = first; i < first + sectors; i++)
        inode->sectors[i].spoilt = true;
}

void sim_disk_truncate(struct sim_world *world, const char *path, int64_t size)
{
    struct sim_inode *inode = sim_disk_find(world, path);
    ensure(inode != NULL && size >= 0);
    sim_inode_resize(world->disk, inode, size);
    sim_inode_flush(inode, 0, UINT64_MAX, UINT64_MAX);
}

int sim_disk_mkdir(struct sim_world *world, const char *path)
{
    char part[IO_PATH_BYTES_MAX + 1];
    ensure(strlen(path) <= IO_PATH_BYTES_MAX && path[0] == '/');
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        memcpy(part, path, (size_t)(slash - path));
        part[slash - path] = '\0';
        (void)sim_disk_make(world, part, true);
    }
    return sim_disk_make(world, path, true)->directory ? 0 : -ENOTDIR;
}

void sim_disk_capacity(struct sim_world *world, int64_t bytes)
{
    world->disk->sectors_max = bytes / SIM_SECTOR_BYTES;
}
