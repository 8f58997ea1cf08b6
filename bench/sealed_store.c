// SPDX-License-Identifier: GPL-3.0-or-later
//
// sealed_store: see sealed_store.h.
#include "bench/sealed_store.h"

#include <stdio.h>
#include <sys/stat.h>

static void store_file(const char *dir, const char *name, const void *bytes, size_t size)
{
    char path[512];
    ensure(snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path);
    for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    ensure(file && fwrite(bytes, 1, size, file) == size);
    ensure(fclose(file) == 0);
}

static void write_part(const char *dir, const struct sealed_part *part)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(&part->entry, "segment", name);
    store_file(dir, name, part->image->bytes, part->image->size);
    catalogue_segment_path(&part->entry, "index", name);
    store_file(dir, name, part->image->index, part->image->index_size);
}

static void write_identity(const char *dir, const uint8_t *identity)
{
    char text[2 * LAYOUT_STORE_ID_BYTES + 2];
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", identity[i]);
    text[2 * LAYOUT_STORE_ID_BYTES] = '\n';
    store_file(dir, "identity", text, 2 * LAYOUT_STORE_ID_BYTES + 1);
}

void sealed_store_write(const char *dir, const uint8_t *identity, const struct sealed_part *parts,
                        uint32_t count)
{
    static struct catalogue catalogue;
    char tapes[512];
    ensure(count > 0);
    (void)mkdir(dir, 0755);
    ensure(catalogue_init(&catalogue, identity) == 0);
    for (uint32_t i = 0; i < count; i++) {
        write_part(dir, &parts[i]);
        ensure(catalogue_add_segment(&catalogue, &parts[i].entry));
    }
    catalogue.next_segment = parts[count - 1].entry.number + 1;
    catalogue.next_tape = 1;
    const size_t room = catalogue_bytes_max(&catalogue);
    char *text = malloc(room);
    ensure(text);
    store_file(dir, "catalogue", text, catalogue_write(&catalogue, text, room));
    free(text);
    ensure(snprintf(tapes, sizeof tapes, "%s/tape", dir) < (int)sizeof tapes);
    (void)mkdir(tapes, 0755);
    write_identity(dir, identity);
}
