// SPDX-License-Identifier: GPL-3.0-or-later
//
// Nothing here writes or locks: reading a store never disturbs the daemon that owns it.
#include "tools/ringtape_files.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int ringtape_map_open(struct ringtape_map *map, const char *path)
{
    struct stat status;
    *map = (struct ringtape_map){0};
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    int error = fstat(file, &status) == 0 ? 0 : -errno;
    if (error == 0 && S_ISDIR(status.st_mode)) error = -EISDIR;
    if (error == 0 && status.st_size > 0) {
        const size_t size = (size_t)status.st_size;
        void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED)
            error = -errno;
        else
            *map = (struct ringtape_map){.bytes = bytes, .size = size};
    }
    (void)close(file);
    return error;
}

void ringtape_map_close(struct ringtape_map *map)
{
    if (map->bytes != NULL) (void)munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (struct ringtape_map){0};
}

void ringtape_map_forget(const struct ringtape_map *map, uint64_t offset, uint64_t size)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t begin = offset / page * page;
    ensure(map->bytes != NULL);
    if (offset > map->size || size > map->size - offset) return; // an index that is wrong
    // Advice only: a page of the neighbour comes back from the cache when it is touched.
    (void)madvise((void *)(uintptr_t)(map->bytes + begin), offset + size - begin, MADV_DONTNEED);
}

static int ringtape_segment_map(struct ringtape_map *map, const struct store *store,
                                const struct catalogue_segment *entry, const char *ending)
{
    char name[CATALOGUE_PATH_BYTES_MAX], path[RINGTAPE_PATH_BYTES_MAX];
    catalogue_segment_path(entry, ending, name);
    const int size = snprintf(path, sizeof path, "%s/%s", store_path(store), name);
    ensure(size > 0 && (size_t)size < sizeof path);
    return ringtape_map_open(map, path);
}

// A good one that is not the entry's would be read in its place, and its rows come twice.
static enum segment_error ringtape_segment_read(struct ringtape_segment *opened,
                                                const struct catalogue_segment *entry)
{
    const enum segment_error result = segment_open(&opened->segment, &opened->source,
                                                   opened->index.bytes, opened->index.size);
    if (result != SEGMENT_GOOD) {
        opened->segment = NULL;
        return result;
    }
    const bool own = segment_is(opened->segment, entry->number, entry->day, entry->channel);
    return own ? SEGMENT_GOOD : SEGMENT_OTHER;
}

int ringtape_segment_open(struct ringtape_segment *opened, const struct store *store,
                          const struct catalogue_segment *entry)
{
    *opened = (struct ringtape_segment){.number = entry->number};
    const int error = ringtape_segment_map(&opened->file, store, entry, "segment");
    if (error != 0) return error;
    // Without its index a segment is read all the same.
    (void)ringtape_segment_map(&opened->index, store, entry, "index");
    opened->source = source_of_memory(opened->file.bytes, opened->file.size);
    const enum segment_error result = ringtape_segment_read(opened, entry);
    if (result == SEGMENT_GOOD) return 0;
    char name[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(entry, "segment", name);
    (void)ringtape_fail("%s/%s: %s", store_path(store), name, segment_error_text(result));
    ringtape_segment_close(opened);
    return result == SEGMENT_NO_MEMORY ? -ENOMEM : -EBADMSG;
}

void ringtape_segment_close(struct ringtape_segment *opened)
{
    if (opened->segment != NULL) segment_close(opened->segment);
    ringtape_map_close(&opened->index);
    ringtape_map_close(&opened->file);
    opened->segment = NULL;
    opened->view = (struct index){.header = NULL};
}

void ringtape_segment_slim(struct ringtape_segment *opened)
{
    ensure(opened->segment != NULL);
    if (segment_rebuilt(opened->segment)) return; // its index is in the segment's memory alone
    const bool good = index_open(&opened->view, opened->index.bytes, opened->index.size);
    ensure(good); // the segment uses it
    segment_close(opened->segment);
    opened->segment = NULL;
}

const struct index *ringtape_segment_index(const struct ringtape_segment *opened)
{
    if (opened->segment != NULL) return segment_index(opened->segment);
    return opened->view.header != NULL ? &opened->view : NULL;
}

int ringtape_store_open(struct store **store, const char *path)
{
    struct store_message message = {.text = ""};
    const int error = store_open(store, path, &message);
    if (error == 0) return RINGTAPE_EXIT_OK;
    if (message.text[0] != 0) return ringtape_fail("%s", message.text);
    if (error == -ENOENT)
        return ringtape_fail("%s: no store is there; give the directory of 'store:' in the "
                             "daemon's configuration",
                             path);
    return ringtape_fail("%s: %s", path, ringtape_error_text(error));
}
