/* SPDX-License-Identifier: Apache-2.0
 * An automaton for many words at once (Aho and Corasick 1975), with a full table of transitions over the few classes of bytes that
 * occur in the words. */
#include "spam/prefilter.h"
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

#define OUTPUT 0x80000000u       /* in a transition: words end at the state it leads to */

struct word {
    struct slice text;
    uint32_t id, next;           /* next of the words that end in the same state, +1 */
};
struct prefilter {
    struct word *words; size_t n, cap;
    uint8_t class_of[256];
    uint32_t classes;
    uint32_t *go;                /* [state * classes + class] */
    uint32_t *first;             /* of a state: word + 1 */
    uint32_t *suffix;            /* nearest shorter state at which words end */
    size_t states;
};

struct prefilter *prefilter_new(void)
{
    return mem_new(struct prefilter);
}

void prefilter_free(struct prefilter *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        free((char *)p->words[i].text.p);
    free(p->words);
    free(p->go);
    free(p->first);
    free(p->suffix);
    free(p);
}

void prefilter_add(struct prefilter *p, struct slice word, uint32_t id)
{
    assert(word.n > 0 && !p->go);
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 256;
        p->words = mem_grow(p->words, p->cap, sizeof *p->words);
    }
    p->words[p->n++] = (struct word){ .text = { mem_slicedup(word), word.n }, .id = id };
}

static size_t make_classes(struct prefilter *p)
{
    size_t bytes = 1;
    memset(p->class_of, 0, sizeof p->class_of);
    p->classes = 1;              /* 0: bytes that are in no word */
    for (size_t i = 0; i < p->n; i++) {
        bytes += p->words[i].text.n;
        for (size_t k = 0; k < p->words[i].text.n; k++) {
            uint8_t c = (uint8_t)p->words[i].text.p[k];
            if (!p->class_of[c])
                p->class_of[c] = (uint8_t)p->classes++;
        }
    }
    for (int c = 'A'; c <= 'Z'; c++)
        p->class_of[c] = p->class_of[c | 0x20];
    return bytes;
}

static void make_trie(struct prefilter *p)
{
    p->states = 1;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t at = 0;
        for (size_t k = 0; k < p->words[i].text.n; k++) {
            uint32_t *next = &p->go[(size_t)at * p->classes + p->class_of[(uint8_t)p->words[i].text.p[k]]];
            if (!*next)
                *next = (uint32_t)p->states++;
            at = *next;
        }
        p->words[i].next = p->first[at];
        p->first[at] = (uint32_t)i + 1;
    }
}

void prefilter_finish(struct prefilter *p)
{
    size_t most = make_classes(p);
    p->go = mem_zalloc(most * p->classes * sizeof *p->go);
    p->first = mem_zalloc(most * sizeof *p->first);
    p->suffix = mem_zalloc(most * sizeof *p->suffix);
    make_trie(p);
    uint32_t *fail = mem_zalloc(p->states * sizeof *fail), *queue = mem_zalloc(p->states * sizeof *queue);
    size_t head = 0, tail = 0;
    for (uint32_t c = 0; c < p->classes; c++)
        if (p->go[c])
            queue[tail++] = p->go[c];
    while (head < tail) {
        uint32_t s = queue[head++], *row = &p->go[(size_t)s * p->classes], *back = &p->go[(size_t)fail[s] * p->classes];
        p->suffix[s] = p->first[fail[s]] ? fail[s] : p->suffix[fail[s]];
        for (uint32_t c = 0; c < p->classes; c++)
            if (row[c]) {
                fail[row[c]] = back[c];
                queue[tail++] = row[c];
            } else
                row[c] = back[c];
    }
    for (size_t i = 0; i < p->states * p->classes; i++)
        if (p->first[p->go[i]] || p->suffix[p->go[i]])
            p->go[i] |= OUTPUT;
    free(fail);
    free(queue);
}

static void tell(const struct prefilter *p, uint32_t state, bool *seen)
{
    for (uint32_t s = state; s; s = p->suffix[s])
        for (uint32_t w = p->first[s]; w; w = p->words[w - 1].next)
            seen[p->words[w - 1].id] = true;
}

void prefilter_run(const struct prefilter *p, struct slice text, bool *seen)
{
    uint32_t s = 0;
    for (size_t i = 0; i < text.n; i++) {
        s = p->go[(size_t)s * p->classes + p->class_of[(uint8_t)text.p[i]]];
        if (s & OUTPUT) {
            s &= ~OUTPUT;
            tell(p, s, seen);
        }
    }
}
