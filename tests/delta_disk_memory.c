// SPDX-License-Identifier: GPL-3.0-or-later
#include "delta_disk_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

static char *copy(const void *bytes, size_t size)
{
    char *made = malloc(size + 1);
    ensure(made != NULL);
    if (size > 0) memcpy(made, bytes, size);
    made[size] = 0;
    return made;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct memory_name *name_of(struct memory_disk *disk, const char *path)
{
    for (uint32_t i = 0; i < disk->count; i++)
        if (strcmp(disk->names[i].path, path) == 0) return &disk->names[i];
    ensure(disk->count < MEMORY_NAMES_MAX);
    disk->names[disk->count] = (struct memory_name){.path = copy(path, strlen(path))};
    return &disk->names[disk->count++];
}

struct memory_name *memory_disk_find(struct memory_disk *disk, const char *path)
{
    struct memory_name *name = name_of(disk, path);
    return name->bytes != NULL ? name : NULL;
}

// Every operation that changes something is a step before which the world may end.
static int step(struct memory_disk *disk)
{
    if (disk->crash_at >= 0 && disk->operations == disk->crash_at) disk->crashed = true;
    if (disk->crashed) return -EIO;
    disk->operations++;
    return 0;
}

static void set(struct memory_name *name, const char *bytes, size_t size)
{
    free(name->bytes);
    name->bytes = bytes != NULL ? copy(bytes, size) : NULL;
    name->size = size;
}

static int memory_read(void *context, const char *path, char **bytes, size_t *size)
{
    struct memory_disk *disk = context;
    const struct memory_name *name = memory_disk_find(disk, path);
    if (disk->crashed) return -EIO;
    if (name == NULL) return -ENOENT;
    *bytes = copy(name->bytes, name->size);
    *size = name->size;
    return 0;
}

static int memory_write(void *context, const char *path, const void *bytes, size_t size)
{
    struct memory_disk *disk = context;
    const int error = step(disk);
    if (error == 0) set(name_of(disk, path), bytes, size);
    return error;
}

static int memory_link(void *context, const char *from, const char *to)
{
    struct memory_disk *disk = context;
    const int error = step(disk);
    if (error != 0) return error;
    const struct memory_name *source = memory_disk_find(disk, from);
    if (source == NULL) return -ENOENT;
    if (memory_disk_find(disk, to) != NULL) return -EEXIST;
    set(name_of(disk, to), source->bytes, source->size);
    return 0;
}

static int memory_rename(void *context, const char *from, const char *to)
{
    struct memory_disk *disk = context;
    const int error = step(disk);
    if (error != 0) return error;
    struct memory_name *source = memory_disk_find(disk, from);
    if (source == NULL) return -ENOENT;
    set(name_of(disk, to), source->bytes, source->size);
    set(memory_disk_find(disk, from), NULL, 0);
    return 0;
}

static int memory_unlink(void *context, const char *path)
{
    struct memory_disk *disk = context;
    const int error = step(disk);
    if (error == 0) set(name_of(disk, path), NULL, 0);
    return error;
}

static bool is_in(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/') size--;
    return strncmp(path, directory, size) == 0 && path[size] == '/' &&
           strchr(path + size + 1, '/') == NULL;
}

static void make_durable(struct memory_name *name)
{
    free(name->durable);
    name->durable = name->bytes != NULL ? copy(name->bytes, name->size) : NULL;
    name->durable_size = name->size;
}

static int memory_sync(void *context, const char *directory)
{
    struct memory_disk *disk = context;
    const int error = step(disk);
    for (uint32_t i = 0; i < disk->count && error == 0; i++)
        if (is_in(disk->names[i].path, directory)) make_durable(&disk->names[i]);
    return error;
}

static int memory_make(void *context, const char *directory)
{
    (void)directory; // folders are there
    struct memory_disk *disk = context;
    return disk->crashed ? -EIO : 0;
}

static int memory_list(void *context, const char *directory,
                       void (*each)(void *to, const char *name), void *to)
{
    struct memory_disk *disk = context;
    for (uint32_t i = 0; i < disk->count; i++)
        if (disk->names[i].bytes != NULL && is_in(disk->names[i].path, directory))
            each(to, strrchr(disk->names[i].path, '/') + 1);
    return disk->crashed ? -EIO : 0;
}

struct delta_disk memory_disk_of(struct memory_disk *disk)
{
    return (struct delta_disk){disk,          memory_read,   memory_write, memory_link,
                               memory_rename, memory_unlink, memory_sync,  memory_make,
                               memory_list};
}

void memory_disk_recover(struct memory_disk *disk)
{
    for (uint32_t i = 0; i < disk->count; i++) {
        struct memory_name *name = &disk->names[i];
        const bool kept = next_random(&disk->seed) & 1;
        if (!kept) set(name, name->durable, name->durable_size);
        make_durable(name);
    }
    disk->crashed = false;
    disk->crash_at = -1;
}

void memory_disk_free(struct memory_disk *disk)
{
    for (uint32_t i = 0; i < disk->count; i++) {
        free(disk->names[i].path);
        free(disk->names[i].bytes);
        free(disk->names[i].durable);
    }
    disk->count = 0;
}
