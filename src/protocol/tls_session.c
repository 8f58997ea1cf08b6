// SPDX-License-Identifier: GPL-3.0-or-later
//
// A table of a few dozen entries, looked up once a connection: a linear search is enough.
#include "protocol/tls_session.h"

#include "format/ensure.h"
#include <string.h>

static struct tls_session_slot *find(struct tls_session_table *table, const char *host)
{
    for (uint32_t i = 0; i < TLS_SESSIONS_MAX; i++)
        if (table->slots[i].session != NULL && strcmp(table->slots[i].host, host) == 0)
            return &table->slots[i];
    return NULL;
}

static struct tls_session_slot *find_free(struct tls_session_table *table)
{
    struct tls_session_slot *oldest = &table->slots[0];
    for (uint32_t i = 0; i < TLS_SESSIONS_MAX; i++) {
        if (table->slots[i].session == NULL)
            return &table->slots[i];
        if (table->slots[i].used < oldest->used)
            oldest = &table->slots[i];
    }
    return oldest;
}

static void slot_release(struct tls_session_table *table, struct tls_session_slot *slot)
{
    ensure(table->release != NULL);
    if (slot->session != NULL)
        table->release(slot->session);
    slot->session = NULL;
}

void tls_session_put(struct tls_session_table *table, const char *host, void *session)
{
    size_t size = strlen(host);
    ensure(session != NULL && size > 0 && size <= TLS_HOST_SIZE_MAX);
    struct tls_session_slot *slot = find(table, host);
    if (slot == NULL)
        slot = find_free(table);
    slot_release(table, slot);
    memcpy(slot->host, host, size + 1);
    slot->session = session;
    slot->used = ++table->uses;
}

void *tls_session_get(struct tls_session_table *table, const char *host)
{
    struct tls_session_slot *slot = find(table, host);
    if (slot == NULL)
        return NULL;
    slot->used = ++table->uses;
    ensure(slot->session != NULL);
    return slot->session;
}

void tls_session_drop(struct tls_session_table *table, const char *host)
{
    for (uint32_t i = 0; i < TLS_SESSIONS_MAX; i++)
        if (host == NULL || strcmp(table->slots[i].host, host) == 0)
            slot_release(table, &table->slots[i]);
}
