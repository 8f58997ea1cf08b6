// SPDX-License-Identifier: GPL-3.0-or-later
//
// Each block has a header of 16 bytes in front, which keeps what follows aligned as malloc's own:
// its size class while it is in use, the next free block while it is on a list. Classes are 64, 96,
// 128, 192, ...: powers of two and the middles between them, so at most a third is wasted.
#include "protocol/tls_memory.h"

#include "format/ensure.h"
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_SMALLEST 64u
#define CLASS_COUNT 22
// The header's mark of a block that no list takes.
#define CLASS_NONE CLASS_COUNT

struct header {
    alignas(16) struct header *next;
    uint32_t class_index;
    uint32_t size; // what the caller may use
};

_Static_assert(sizeof(struct header) == 16, "the header keeps malloc's alignment");

struct memory {
    struct header *free[CLASS_COUNT];
    uint64_t taken;
    uint64_t taken_from_system;
};

static _Thread_local struct memory memory;

static uint32_t class_size(uint32_t class_index)
{
    ensure(class_index < CLASS_COUNT);
    uint32_t power = CLASS_SMALLEST << (class_index / 2);
    return class_index % 2 ? power + power / 2 : power;
}

static uint32_t class_of(size_t size)
{
    if (size <= CLASS_SMALLEST)
        return 0;
    if (size > TLS_MEMORY_CLASS_SIZE_MAX)
        return CLASS_NONE;
    // The power of two at or below size - 1, counted from the smallest class.
    uint32_t bits = 31 - (uint32_t)__builtin_clz((uint32_t)(size - 1));
    uint32_t index = 2 * (bits - 6) + 1;
    if (size > class_size(index))
        index++;
    ensure(index < CLASS_COUNT && class_size(index) >= size);
    return index;
}

static struct header *header_of(void *block)
{
    struct header *header = (struct header *)block - 1;
    ensure(header->class_index <= CLASS_NONE);
    return header;
}

static void *allocate_from_system(size_t size, uint32_t class_index)
{
    size_t usable = class_index == CLASS_NONE ? size : class_size(class_index);
    if (usable > UINT32_MAX - sizeof(struct header))
        return NULL;
    struct header *header = malloc(sizeof *header + usable);
    if (header == NULL)
        return NULL;
    memory.taken_from_system++;
    *header = (struct header){.class_index = class_index, .size = (uint32_t)usable};
    return header + 1;
}

void *tls_memory_take(size_t size)
{
    uint32_t class_index = class_of(size);
    memory.taken++;
    if (class_index == CLASS_NONE || memory.free[class_index] == NULL)
        return allocate_from_system(size, class_index);
    struct header *header = memory.free[class_index];
    memory.free[class_index] = header->next;
    ensure(header->class_index == class_index);
    return header + 1;
}

void tls_memory_give(void *block)
{
    if (block == NULL)
        return;
    struct header *header = header_of(block);
    if (header->class_index == CLASS_NONE) {
        free(header);
        return;
    }
    header->next = memory.free[header->class_index];
    memory.free[header->class_index] = header;
}

void *tls_memory_resize(void *block, size_t size)
{
    if (block == NULL)
        return tls_memory_take(size);
    struct header *header = header_of(block);
    if (size <= header->size)
        return block;
    void *larger = tls_memory_take(size);
    if (larger == NULL)
        return NULL;
    memcpy(larger, block, header->size);
    tls_memory_give(block);
    return larger;
}

void tls_memory_trim(void)
{
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        while (memory.free[i] != NULL) {
            struct header *header = memory.free[i];
            ensure(header->class_index == i);
            memory.free[i] = header->next;
            free(header);
        }
}

uint64_t tls_memory_taken(void)
{
    return memory.taken;
}

uint64_t tls_memory_taken_from_system(void)
{
    return memory.taken_from_system;
}
