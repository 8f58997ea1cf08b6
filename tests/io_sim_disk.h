// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_sim_disk: inodes, sectors and directory entries of the simulated disk, below the operations.
#ifndef RINGTAPE_TESTS_IO_SIM_DISK_H
#define RINGTAPE_TESTS_IO_SIM_DISK_H

#include "io_sim_world.h"

enum { SIM_NAME_BYTES_MAX = 255 };

struct sim_sector {
    uint8_t *live;    // NULL: as durable
    uint8_t *durable; // NULL: zeros
    uint64_t dirty_since;
    bool allocated;
    bool spoilt; // cannot be read
};

struct sim_entry {
    char name[SIM_NAME_BYTES_MAX + 1];
    struct sim_inode *inode;
};

struct sim_entries {
    struct sim_entry *entries;
    uint32_t count;
    uint32_t room;
};

struct sim_inode {
    struct sim_inode *next;
    bool directory;
    bool reached; // by sim_disk_collect()
    uint32_t handles;
    struct io *lock;
    struct sim_sector *sectors;
    uint64_t sector_count;
    int64_t size_live;
    int64_t size_durable;
    struct sim_entries live;
    struct sim_entries durable;
};

// A name in a folder that exists, whether or not the name does.
struct sim_place {
    struct sim_inode *folder;
    struct sim_inode *inode; // NULL: there is none
    char name[SIM_NAME_BYTES_MAX + 1];
};

// One name of one folder becomes `inode`, or nothing.
struct sim_part {
    struct sim_inode *folder;
    struct sim_inode *inode;
    char name[SIM_NAME_BYTES_MAX + 1];
};

struct sim_change {
    struct sim_part part[2];
    uint32_t count;
    uint64_t sequence;
};

struct sim_disk {
    struct sim_inode *root;
    struct sim_inode *inodes;
    struct sim_change *changes; // seen, not durable; in order
    uint32_t change_count;
    uint32_t change_room;
    uint64_t sequence;
    int64_t sectors_max;
    int64_t sectors_used;
    uint32_t alignment; // 0: SIM_SECTOR_BYTES
};

struct sim_inode *sim_inode_create(struct sim_disk *disk, bool directory);
// Frees the content of a file that no name and no handle leads to.
void sim_inode_maybe_free(struct sim_disk *disk, struct sim_inode *inode);
int64_t sim_inode_read(const struct sim_inode *inode, void *bytes, uint32_t size, int64_t offset);
// 0, or -ENOSPC with a part written.
int sim_inode_write(struct sim_disk *disk, struct sim_inode *inode, const void *bytes,
                    uint32_t size, int64_t offset);
int sim_inode_allocate(struct sim_disk *disk, struct sim_inode *inode, int64_t size);
void sim_inode_resize(struct sim_disk *disk, struct sim_inode *inode, int64_t size);
// Makes durable what of the sectors [first, last] became dirty up to `sequence`, and the size.
void sim_inode_flush(struct sim_inode *inode, uint64_t first, uint64_t last, uint64_t sequence);
// After a crash: what is seen is what is durable.
void sim_inode_settle(struct sim_inode *inode);

// 0 and the place; -ENOENT or -ENOTDIR if its folder is not there.
int sim_place_find(struct sim_disk *disk, const char *path, struct sim_place *place);
struct sim_part sim_part(const struct sim_place *place, struct sim_inode *inode);
void sim_change_apply(struct sim_disk *disk, const struct sim_change *change);
void sim_changes_commit(struct sim_disk *disk, struct sim_inode *folder, uint64_t sequence);
// Each change in doubt happened or not: a prefix of them, or any subset.
void sim_changes_crash(struct sim_world *world);
// Frees what nothing leads to.
void sim_disk_collect(struct sim_disk *disk);

#endif
