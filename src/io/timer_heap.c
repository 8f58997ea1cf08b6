// SPDX-License-Identifier: GPL-3.0-or-later
//
// Layout: op->child is the first child, op->next the next sibling, op->previous the sibling before,
// or the parent for a first child, or NULL for the root. A parent is never later than its children.
#include "io/timer_heap.h"

#include "format/ensure.h"

static bool timer_heap_before(const struct io_op *a, const struct io_op *b)
{
    ensure(a != b);
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

// Makes the later of two roots the first child of the sooner; either may be NULL.
static struct io_op *timer_heap_meld(struct io_op *a, struct io_op *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    struct io_op *parent = timer_heap_before(a, b) ? a : b;
    struct io_op *child = parent == a ? b : a;
    child->next = parent->child;
    if (child->next != NULL)
        child->next->previous = child;
    child->previous = parent;
    parent->child = child;
    parent->next = NULL;
    parent->previous = NULL;
    return parent;
}

// The two passes of a pairing heap, without recursion: meld neighbours from the left while
// stacking the pairs through `previous`, then meld the stack from the right.
static struct io_op *timer_heap_meld_siblings(struct io_op *first)
{
    struct io_op *stack = NULL;
    while (first != NULL) {
        struct io_op *a = first;
        struct io_op *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL)
            b->next = NULL;
        struct io_op *pair = timer_heap_meld(a, b);
        pair->previous = stack;
        stack = pair;
    }
    struct io_op *root = NULL;
    while (stack != NULL) {
        struct io_op *pair = stack;
        stack = pair->previous;
        pair->previous = NULL;
        root = timer_heap_meld(root, pair);
    }
    return root;
}

void timer_heap_add(struct timer_heap *heap, struct io_op *op)
{
    ensure(op->next == NULL && op->previous == NULL);
    op->child = NULL;
    heap->root = timer_heap_meld(heap->root, op);
    heap->count += 1;
    ensure(heap->root->previous == NULL && heap->root->next == NULL);
}

void timer_heap_remove(struct timer_heap *heap, struct io_op *op)
{
    ensure(heap->count > 0);
    struct io_op *orphans = timer_heap_meld_siblings(op->child);
    if (op == heap->root) {
        heap->root = orphans;
    } else {
        ensure(op->previous != NULL);
        if (op->previous->child == op)
            op->previous->child = op->next;
        else
            op->previous->next = op->next;
        if (op->next != NULL)
            op->next->previous = op->previous;
        heap->root = timer_heap_meld(heap->root, orphans);
    }
    op->child = NULL;
    op->next = NULL;
    op->previous = NULL;
    heap->count -= 1;
    ensure((heap->count == 0) == (heap->root == NULL));
}
