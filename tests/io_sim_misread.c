// SPDX-License-Identifier: GPL-3.0-or-later
//
// A simulated disk that gives other bytes than were written, without a word: a read that goes wrong
// on its way, or is of another place; and sectors that became something else for good.
#include "io_sim.h"
#include "io_sim_disk.h"
#include "io_sim_world.h"

#include <stdlib.h>

// A sector of any file as it is seen; zeros where nothing was ever written.
static const uint8_t *any_sector(struct sim_world *world)
{
    static const uint8_t zeros[SIM_SECTOR_BYTES];
    uint64_t count = 0;
    for (struct sim_inode *inode = world->disk->inodes; inode != NULL; inode = inode->next)
        count += inode->sector_count;
    if (count == 0) return zeros;
    uint64_t left = sim_world_random(world, count);
    const struct sim_inode *inode = world->disk->inodes;
    for (; left >= inode->sector_count; inode = inode->next) left -= inode->sector_count;
    const struct sim_sector *sector = &inode->sectors[left];
    const uint8_t *bytes = sector->live != NULL ? sector->live : sector->durable;
    return bytes != NULL ? bytes : zeros;
}

static void flip(struct sim_world *world, uint8_t *bytes, uint64_t size)
{
    bytes[sim_world_random(world, size)] ^= (uint8_t)(1 + sim_world_random(world, UINT8_MAX));
}

static void misplace(struct sim_world *world, uint8_t *bytes, int64_t got, int64_t offset)
{
    const int64_t first = offset / SIM_SECTOR_BYTES;
    const int64_t last = (offset + got - 1) / SIM_SECTOR_BYTES;
    const int64_t sector = sim_between(world, first, last) * SIM_SECTOR_BYTES;
    const int64_t from = sector > offset ? sector : offset;
    const int64_t end = sector + SIM_SECTOR_BYTES < offset + got ? sector + SIM_SECTOR_BYTES
                                                                 : offset + got;
    ensure(from < end);
    memcpy(bytes + (from - offset), any_sector(world) + (from - sector), (size_t)(end - from));
}

void sim_misread(struct sim_world *world, void *bytes, int64_t got, int64_t offset)
{
    if (got <= 0) return;
    if (sim_fault(world, &world->faults.read_flipped)) flip(world, bytes, (uint64_t)got);
    if (sim_fault(world, &world->faults.read_misplaced)) misplace(world, bytes, got, offset);
}

bool sim_disk_rot(struct sim_world *world, const char *path, int64_t offset, bool misplaced)
{
    static const uint8_t zeros[SIM_SECTOR_BYTES];
    struct sim_place place;
    ensure(sim_place_find(world->disk, path, &place) == 0 && place.inode != NULL);
    const uint64_t number = (uint64_t)offset / SIM_SECTOR_BYTES;
    ensure(offset % SIM_SECTOR_BYTES == 0 && number < place.inode->sector_count);
    struct sim_sector *sector = &place.inode->sectors[number];
    uint8_t *bytes = sector->live != NULL ? sector->live : sector->durable;
    if (bytes == NULL) return false;
    if (misplaced) {
        const uint8_t *other = any_sector(world);
        memmove(bytes, other != bytes ? other : zeros, SIM_SECTOR_BYTES);
    } else {
        flip(world, bytes, SIM_SECTOR_BYTES);
    }
    sector->dirty_since = 0; // what is durable of it, is this
    if (sector->live == NULL) return true;
    free(sector->durable);
    sector->durable = sector->live;
    sector->live = NULL;
    return true;
}
