// SPDX-License-Identifier: Apache-2.0
//
// library_inside: what the files behind the public header share. They only translate: names to
// numbers, errnos to errors with a message, rows to arrays. Everything else is store.h.
#ifndef RINGTAPE_FORMAT_LIBRARY_INSIDE_H
#define RINGTAPE_FORMAT_LIBRARY_INSIDE_H

#include "format/ringtape.h"
#include "format/store.h"

struct ringtape {
    struct store *store;
};

// Tells what went wrong: `what` or, NULL, what the errno says. Returns the public error.
int library_fail(struct ringtape_message *message, int error, const struct ringtape *store,
                 const char *what);

// NULL: no such channel.
const struct channel_schema *library_schema(const char *channel);
// Bits of the columns named; 0 names: all. False: there is no column *unknown.
bool library_columns(const struct channel_schema *schema, const char *const *names,
                     uint32_t count, uint64_t *columns, const char **unknown);
enum { LIBRARY_WHAT_BYTES = 900 };
// Says which column there is not, `where`, and which ones there are.
void library_no_column(const struct channel_schema *schema, const char *name, const char *where,
                       char what[LIBRARY_WHAT_BYTES]);

// Makes public chunks. Ownership: the arrays grow as needed.
struct library_chunk {
    struct rows *rows; // copied ones
    int64_t *time;
    uint32_t *tape;
    uint64_t *tape_row;
    uint32_t row_room;
    struct ringtape_text *symbols;
    uint32_t symbol_room;
};
void library_chunk_close(struct library_chunk *made);
// Rows [from, from + *count) of those that match in `chunk`; *count becomes smaller where their
// decimals share no scale. `columns`: those asked for. 0 or -ENOMEM.
int library_chunk_make(struct library_chunk *made, const struct store_chunk *chunk, uint32_t from,
                       uint32_t *count, uint64_t columns, struct ringtape_chunk *out);

// Damage of the store as public damage.
struct library_listener {
    ringtape_damage_callback *damage;
    void *context;
};
void library_damage(void *context, const struct store_damage *damage);

#endif
