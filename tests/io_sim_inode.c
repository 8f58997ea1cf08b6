// SPDX-License-Identifier: GPL-3.0-or-later
//
// Inodes, sectors, names and their changes; what is durable and when is told in io_sim_disk.c.
#include "io_sim_disk.h"

#include <stdlib.h>

// ---- sectors ----

static void *sim_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    ensure(memory != NULL);
    return memory;
}

struct sim_inode *sim_inode_create(struct sim_disk *disk, bool directory)
{
    struct sim_inode *inode = sim_allocate(sizeof *inode);
    inode->directory = directory;
    inode->next = disk->inodes;
    disk->inodes = inode;
    return inode;
}

static void sim_inode_reach(struct sim_inode *inode, uint64_t sectors)
{
    if (sectors <= inode->sector_count)
        return;
    uint64_t room = sectors + sectors / 2;
    inode->sectors = realloc(inode->sectors, room * sizeof inode->sectors[0]);
    ensure(inode->sectors != NULL);
    memset(inode->sectors + inode->sector_count, 0,
           (room - inode->sector_count) * sizeof inode->sectors[0]);
    inode->sector_count = room;
}

static int sim_sector_allocate(struct sim_disk *disk, struct sim_sector *sector)
{
    if (sector->allocated)
        return 0;
    if (disk->sectors_used >= disk->sectors_max)
        return -ENOSPC;
    disk->sectors_used += 1;
    sector->allocated = true;
    return 0;
}

static uint8_t *sim_sector_dirty(struct sim_disk *disk, struct sim_sector *sector)
{
    if (sector->live == NULL) {
        sector->live = sim_allocate(SIM_SECTOR_BYTES);
        if (sector->durable != NULL)
            memcpy(sector->live, sector->durable, SIM_SECTOR_BYTES);
    }
    if (sector->dirty_since == 0)
        sector->dirty_since = disk->sequence;
    return sector->live;
}

static void sim_inode_clear(struct sim_disk *disk, struct sim_inode *inode)
{
    for (uint64_t i = 0; i < inode->sector_count; i++) {
        free(inode->sectors[i].live);
        free(inode->sectors[i].durable);
        disk->sectors_used -= inode->sectors[i].allocated;
    }
    free(inode->sectors);
    free(inode->live.entries);
    free(inode->durable.entries);
    inode->sectors = NULL;
    inode->sector_count = 0;
    inode->live = (struct sim_entries){0};
    inode->durable = (struct sim_entries){0};
}

static bool sim_inode_spoilt(const struct sim_inode *inode, int64_t offset, int64_t end)
{
    uint64_t last = (uint64_t)(end + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
    bool spoilt = false;
    for (uint64_t i = (uint64_t)offset / SIM_SECTOR_BYTES; i < last; i++)
        spoilt = spoilt || (i < inode->sector_count && inode->sectors[i].spoilt);
    return spoilt;
}

int64_t sim_inode_read(const struct sim_inode *inode, void *bytes, uint32_t size, int64_t offset)
{
    uint8_t *to = bytes;
    int64_t end = offset + size < inode->size_live ? offset + size : inode->size_live;
    if (sim_inode_spoilt(inode, offset, end))
        return -EIO;
    for (int64_t at = offset; at < end;) {
        uint64_t index = (uint64_t)at / SIM_SECTOR_BYTES;
        uint32_t within = (uint32_t)((uint64_t)at % SIM_SECTOR_BYTES);
        int64_t chunk = SIM_SECTOR_BYTES - within < end - at ? SIM_SECTOR_BYTES - within : end - at;
        const uint8_t *from = NULL;
        if (index < inode->sector_count) {
            const struct sim_sector *sector = &inode->sectors[index];
            from = sector->live != NULL ? sector->live : sector->durable;
        }
        if (from != NULL)
            memcpy(to, from + within, (size_t)chunk);
        else
            memset(to, 0, (size_t)chunk);
        to += chunk;
        at += chunk;
    }
    return end > offset ? end - offset : 0;
}

int sim_inode_write(struct sim_disk *disk, struct sim_inode *inode, const void *bytes,
                    uint32_t size, int64_t offset)
{
    const uint8_t *from = bytes;
    int64_t end = offset + size;
    sim_inode_reach(inode, (uint64_t)end / SIM_SECTOR_BYTES + 1);
    for (int64_t at = offset; at < end;) {
        struct sim_sector *sector = &inode->sectors[(uint64_t)at / SIM_SECTOR_BYTES];
        uint32_t within = (uint32_t)((uint64_t)at % SIM_SECTOR_BYTES);
        int64_t chunk = SIM_SECTOR_BYTES - within < end - at ? SIM_SECTOR_BYTES - within : end - at;
        if (sim_sector_allocate(disk, sector) != 0)
            return -ENOSPC;
        memcpy(sim_sector_dirty(disk, sector) + within, from, (size_t)chunk);
        from += chunk;
        at += chunk;
        if (at > inode->size_live)
            inode->size_live = at;
    }
    return 0;
}

int sim_inode_allocate(struct sim_disk *disk, struct sim_inode *inode, int64_t size)
{
    uint64_t sectors = ((uint64_t)size + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
    sim_inode_reach(inode, sectors);
    for (uint64_t i = 0; i < sectors; i++) {
        if (sim_sector_allocate(disk, &inode->sectors[i]) != 0)
            return -ENOSPC;
    }
    return 0;
}

// What is cut off reads as zeros if the file grows again.
void sim_inode_resize(struct sim_disk *disk, struct sim_inode *inode, int64_t size)
{
    ensure(size >= 0);
    for (uint64_t i = (uint64_t)size / SIM_SECTOR_BYTES; i < inode->sector_count; i++) {
        struct sim_sector *sector = &inode->sectors[i];
        int64_t begin = (int64_t)i * SIM_SECTOR_BYTES;
        if (begin >= inode->size_live || (sector->live == NULL && sector->durable == NULL))
            continue;
        uint32_t keep = size > begin ? (uint32_t)(size - begin) : 0;
        if (keep < SIM_SECTOR_BYTES && size < inode->size_live)
            memset(sim_sector_dirty(disk, sector) + keep, 0, SIM_SECTOR_BYTES - keep);
    }
    inode->size_live = size;
}

static void sim_sector_flush(struct sim_sector *sector)
{
    sector->dirty_since = 0;
    if (sector->live == NULL)
        return;
    free(sector->durable);
    sector->durable = sector->live;
    sector->live = NULL;
}

void sim_inode_flush(struct sim_inode *inode, uint64_t first, uint64_t last, uint64_t sequence)
{
    for (uint64_t i = first; i < inode->sector_count && i <= last; i++) {
        struct sim_sector *sector = &inode->sectors[i];
        if (sector->dirty_since != 0 && sector->dirty_since <= sequence)
            sim_sector_flush(sector);
    }
    // A size reached later than `sequence` is at most too early: never wrong.
    inode->size_durable = inode->size_live;
}

void sim_inode_settle(struct sim_inode *inode)
{
    inode->size_live = inode->size_durable;
    for (uint64_t i = 0; i < inode->sector_count; i++) {
        struct sim_sector *sector = &inode->sectors[i];
        ensure(sector->live == NULL);
        int64_t keep = inode->size_live - (int64_t)i * SIM_SECTOR_BYTES;
        if (sector->durable == NULL || keep >= SIM_SECTOR_BYTES)
            continue;
        // Behind its end a file is zeros, however it comes to grow again.
        memset(sector->durable + (keep > 0 ? keep : 0), 0,
               (size_t)(SIM_SECTOR_BYTES - (keep > 0 ? keep : 0)));
    }
}

// ---- names ----

static struct sim_entry *sim_entries_find(struct sim_entries *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].name, name) == 0)
            return &list->entries[i];
    }
    return NULL;
}

static void sim_entries_set(struct sim_entries *list, const char *name, struct sim_inode *inode)
{
    struct sim_entry *entry = sim_entries_find(list, name);
    if (entry == NULL && inode == NULL)
        return;
    if (entry == NULL) {
        if (list->count == list->room) {
            list->room = list->room * 2 + 8;
            list->entries = realloc(list->entries, list->room * sizeof list->entries[0]);
            ensure(list->entries != NULL);
        }
        entry = &list->entries[list->count++];
        ensure(strlen(name) < sizeof entry->name);
        (void)strcpy(entry->name, name);
    }
    entry->inode = inode;
    if (inode == NULL)
        *entry = list->entries[--list->count];
}

int sim_place_find(struct sim_disk *disk, const char *path, struct sim_place *place)
{
    *place = (struct sim_place){.folder = disk->root, .inode = disk->root};
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        ensure(size <= SIM_NAME_BYTES_MAX);
        if (size > 0 && !(size == 1 && path[0] == '.')) {
            if (place->inode == NULL)
                return -ENOENT;
            if (!place->inode->directory)
                return -ENOTDIR;
            place->folder = place->inode;
            memcpy(place->name, path, size);
            place->name[size] = '\0';
            struct sim_entry *entry = sim_entries_find(&place->folder->live, place->name);
            place->inode = entry != NULL ? entry->inode : NULL;
        }
        path += size + (path[size] == '/');
    }
    return 0;
}

struct sim_part sim_part(const struct sim_place *place, struct sim_inode *inode)
{
    ensure(place->name[0] != '\0'); // not the root
    struct sim_part part = {.folder = place->folder, .inode = inode};
    memcpy(part.name, place->name, sizeof part.name);
    return part;
}

static bool sim_inode_named(const struct sim_disk *disk, const struct sim_inode *inode)
{
    for (const struct sim_inode *each = disk->inodes; each != NULL; each = each->next) {
        for (uint32_t i = 0; i < each->live.count; i++) {
            if (each->live.entries[i].inode == inode)
                return true;
        }
        for (uint32_t i = 0; i < each->durable.count; i++) {
            if (each->durable.entries[i].inode == inode)
                return true;
        }
    }
    for (uint32_t i = 0; i < disk->change_count; i++) {
        const struct sim_change *change = &disk->changes[i];
        for (uint32_t part = 0; part < change->count; part++) {
            if (change->part[part].inode == inode)
                return true;
        }
    }
    return false;
}

void sim_inode_maybe_free(struct sim_disk *disk, struct sim_inode *inode)
{
    if (inode != disk->root && inode->handles == 0 && !sim_inode_named(disk, inode))
        sim_inode_clear(disk, inode);
}

void sim_change_apply(struct sim_disk *disk, const struct sim_change *change)
{
    if (disk->change_count == disk->change_room) {
        disk->change_room = disk->change_room * 2 + 16;
        disk->changes = realloc(disk->changes, disk->change_room * sizeof disk->changes[0]);
        ensure(disk->changes != NULL);
    }
    ensure(change->count == 1 || change->count == 2);
    struct sim_change *kept = &disk->changes[disk->change_count++];
    *kept = *change;
    kept->sequence = disk->sequence;
    for (uint32_t i = 0; i < change->count; i++)
        sim_entries_set(&change->part[i].folder->live, change->part[i].name, change->part[i].inode);
}

static void sim_change_commit(const struct sim_change *change)
{
    for (uint32_t i = 0; i < change->count; i++)
        sim_entries_set(&change->part[i].folder->durable, change->part[i].name,
                        change->part[i].inode);
}

void sim_changes_commit(struct sim_disk *disk, struct sim_inode *folder, uint64_t sequence)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        struct sim_change *change = &disk->changes[i];
        bool touches = change->part[0].folder == folder ||
                       (change->count == 2 && change->part[1].folder == folder);
        if (touches && change->sequence <= sequence)
            sim_change_commit(change);
        else
            disk->changes[kept++] = *change;
    }
    disk->change_count = kept;
    sim_disk_collect(disk);
}

static void sim_entries_copy(struct sim_entries *to, const struct sim_entries *from)
{
    free(to->entries);
    *to = *from;
    to->entries = sim_allocate((size_t)(from->room + 1) * sizeof to->entries[0]);
    if (from->count > 0)
        memcpy(to->entries, from->entries, from->count * sizeof to->entries[0]);
}

void sim_changes_crash(struct sim_world *world)
{
    struct sim_disk *disk = world->disk;
    bool ordered = sim_world_random(world, 2) == 0;
    uint64_t prefix = sim_world_random(world, disk->change_count + 1);
    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (ordered ? i < prefix : sim_world_random(world, 2) == 0)
            sim_change_commit(&disk->changes[i]);
    }
    disk->change_count = 0;
    for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next)
        sim_entries_copy(&inode->live, &inode->durable);
}

// ---- disk ----

struct sim_disk *sim_disk_create(void)
{
    struct sim_disk *disk = sim_allocate(sizeof *disk);
    disk->root = sim_inode_create(disk, true);
    disk->sequence = 1; // 0 means clean
    disk->sectors_max = (1 << 30) / SIM_SECTOR_BYTES;
    return disk;
}

static void sim_disk_mark(struct sim_inode *inode)
{
    if (inode->reached)
        return;
    inode->reached = true;
    for (uint32_t i = 0; i < inode->live.count; i++)
        sim_disk_mark(inode->live.entries[i].inode);
    for (uint32_t i = 0; i < inode->durable.count; i++)
        sim_disk_mark(inode->durable.entries[i].inode);
}

void sim_disk_collect(struct sim_disk *disk)
{
    for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next)
        inode->reached = false;
    sim_disk_mark(disk->root);
    for (uint32_t i = 0; i < disk->change_count; i++) {
        for (uint32_t part = 0; part < disk->changes[i].count; part++) {
            if (disk->changes[i].part[part].inode != NULL)
                sim_disk_mark(disk->changes[i].part[part].inode);
            sim_disk_mark(disk->changes[i].part[part].folder);
        }
    }
    for (struct sim_inode **link = &disk->inodes; *link != NULL;) {
        struct sim_inode *inode = *link;
        if (inode->reached || inode->handles > 0) {
            link = &inode->next;
            continue;
        }
        *link = inode->next;
        sim_inode_clear(disk, inode);
        free(inode);
    }
}

void sim_disk_destroy(struct sim_disk *disk)
{
    while (disk->inodes != NULL) {
        struct sim_inode *inode = disk->inodes;
        disk->inodes = inode->next;
        sim_inode_clear(disk, inode);
        free(inode);
    }
    free(disk->changes);
    free(disk);
}
