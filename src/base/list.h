/* SPDX-License-Identifier: Apache-2.0
 * A doubly linked list whose links live in the elements. An unlinked node has next == NULL. */
#ifndef POSTERN_BASE_LIST_H
#define POSTERN_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"

struct list {
    struct list *prev, *next; /* of the head: last and first */
};

static inline void list_init(struct list *head) { head->prev = head->next = head; }
static inline bool list_empty(const struct list *head) { return head->next == head; }
static inline bool list_linked(const struct list *node) { return node->next != NULL; }

static inline void list_insert_before(struct list *at, struct list *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node) { list_insert_before(head, node); }
static inline void list_push_front(struct list *head, struct list *node) { list_insert_before(head->next, node); }

static inline void list_remove(struct list *node) /* fine on an unlinked node */
{
    if (!node->next) return;
    node->next->prev = node->prev;
    node->prev->next = node->next;
    node->prev = node->next = NULL;
}

static inline struct list *list_pop_front(struct list *head) /* NULL when empty */
{
    struct list *node = head->next;
    if (node == head) return NULL;
    list_remove(node);
    return node;
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* `it` may be removed or freed in the body. */
#define list_each_safe(it, head) \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
