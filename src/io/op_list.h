// SPDX-License-Identifier: GPL-3.0-or-later
//
// op_list: first-in first-out list of operations, linked through io_op.next and .previous.
//
// Private to the implementations of io.h. An operation is on at most one list.
#ifndef RINGTAPE_IO_OP_LIST_H
#define RINGTAPE_IO_OP_LIST_H

#include "format/ensure.h"
#include "io/io.h"

struct op_list {
    struct io_op *first;
    struct io_op *last;
    uint32_t count;
};

static inline void op_list_append(struct op_list *list, struct io_op *op)
{
    ensure(op->next == NULL && op->previous == NULL && list->first != op);
    op->previous = list->last;
    if (list->last != NULL)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
    list->count += 1;
}

static inline void op_list_remove(struct op_list *list, struct io_op *op)
{
    ensure(list->count > 0);
    if (op->previous != NULL)
        op->previous->next = op->next;
    else
        list->first = op->next;
    if (op->next != NULL)
        op->next->previous = op->previous;
    else
        list->last = op->previous;
    op->next = NULL;
    op->previous = NULL;
    list->count -= 1;
    ensure((list->count == 0) == (list->first == NULL));
}

static inline struct io_op *op_list_take(struct op_list *list)
{
    struct io_op *op = list->first;
    if (op != NULL)
        op_list_remove(list, op);
    return op;
}

#endif
