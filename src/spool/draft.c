/* SPDX-License-Identifier: Apache-2.0
 * Drafts: the text of a message as it comes in, in chunks that are written to the log from where they lie and
 * are then handed to the delivery. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/crc32c.h"

#define BIG_OUTSTANDING_MAX (1u << 20)

void chunks_free(struct chunk *c)
{
    for (struct chunk *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

/* Works for drafts, too, as their content is their beginning. */
void spool_content_free(struct spool_content *pub)
{
    if (!pub) return;
    struct content *c = container_of(pub, struct content, pub);
    chunks_free(c->chunks);
    free(c->record);
    if (c->pieces != c->few) free(c->pieces);
    if (c->pub.text.fd >= 0) close(c->pub.text.fd);
    if (c->share_fd >= 0) close(c->share_fd);
    free(c);
}

void content_init(struct content *c)
{
    c->pub.text.fd = c->share_fd = -1;
    c->pieces = c->few;
}

struct spool_draft *spool_draft_new(struct spool *sp)
{
    struct spool_draft *d = mem_new(struct spool_draft);
    d->sp = sp;
    content_init(&d->content);
    sp->drafts++;
    return d;
}

void draft_fail(struct spool_draft *d, int error, const char *what)
{
    if (d->failed) return;
    d->failed = true;
    d->error = error;
    d->error_what = what;
    spool_lack_of_space(d->sp, error);
}

char *spool_draft_room(struct spool_draft *d, size_t *room)
{
    struct chunk *c = d->last;
    if (d->failed) return NULL;
    if (!c || c->n == c->cap) {
        uint32_t cap = d->n ? CHUNK_NEXT : CHUNK_FIRST;
        c = mem_alloc(sizeof *c + cap + PAD_ROOM);
        c->next = NULL;
        c->n = 0;
        c->cap = cap;
        if (d->last)
            d->last->next = c;
        else
            d->content.chunks = c;
        d->last = c;
    }
    *room = c->cap - c->n;
    return c->bytes + c->n;
}

bool spool_draft_added(struct spool_draft *d, size_t n, struct err *err)
{
    struct chunk *c = d->last;
    if (d->failed) return err_sys(err, d->error, "%s", d->error_what);
    if (!n) return true;
    assert(c && n <= c->cap - c->n && !d->shared_n);
    if (!d->n) crash_point("draft-first");
    d->crc = crc32c(d->crc, c->bytes + c->n, n);
    c->n += (uint32_t)n;
    d->n += n;
    d->sp->came_since += n;
    if (d->big)
        big_add(d);
    else if (d->n > d->sp->o.inline_size)
        big_start(d);
    return true;
}

bool spool_draft_append(struct spool_draft *d, struct slice text, struct err *err)
{
    while (text.n) {
        size_t room = 0;
        char *to = spool_draft_room(d, &room);
        if (room > text.n) room = text.n;
        if (to) memcpy(to, text.p, room);
        if (!spool_draft_added(d, to ? room : 0, err)) return false;
        text = slice_sub(text, room, text.n);
    }
    return true;
}

uint64_t spool_draft_size(const struct spool_draft *d)
{
    return d->n;
}

/* ---- waiting for the disk */

static bool is_congested(const struct spool_draft *d, unsigned half)
{
    uint64_t limit = d->sp->o.pending_max >> half;
    if (d->failed) return false; /* it should come and hear of it */
    return d->sp->pending > limit || (d->big && big_outstanding(d->big) > BIG_OUTSTANDING_MAX >> half);
}

bool spool_draft_congested(struct spool_draft *d, void (*on_relief)(void *arg), void *arg)
{
    if (!is_congested(d, 0)) return false;
    d->on_relief = on_relief;
    d->relief_arg = arg;
    if (!list_linked(&d->relief)) list_push_back(&d->sp->relief, &d->relief);
    return true;
}

/* Those told may free drafts, also ones that wait: so from a list of those to be told, one at a time. */
void draft_relieve(struct spool *sp)
{
    list_each_safe(node, &sp->relief) {
        struct spool_draft *d = list_entry(node, struct spool_draft, relief);
        if (is_congested(d, 1)) continue;
        list_remove(node);
        list_push_back(&sp->relieved, node);
    }
    for (struct list *node; !sp->closed && (node = list_pop_front(&sp->relieved));) {
        struct spool_draft *d = list_entry(node, struct spool_draft, relief);
        if (!sp->closing) d->on_relief(d->relief_arg);
    }
}

/* ---- commit */

static void put_pieces(struct spool_draft *d)
{
    struct content *c = &d->content;
    size_t n = 0;
    for (struct chunk *k = c->chunks; k; k = k->next) n++;
    if (n > countof(c->few)) c->pieces = mem_alloc(n * sizeof *c->pieces);
    n = 0;
    c->pub.memory = sizeof *d + RECORD_HEAD + d->item.meta_n;
    for (struct chunk *k = c->chunks; k; k = k->next) {
        c->pieces[n++] = slice_of(k->bytes, k->n);
        c->pub.memory += sizeof *k + k->cap;
    }
    c->pub.envelope = slice_of(c->record + RECORD_HEAD, d->item.meta_n);
    c->pub.text = (struct spool_text){ .pieces = c->pieces, .piece_n = n, .fd = -1, .n = d->n };
    d->item.pieces = c->pieces;
    d->item.piece_n = (uint32_t)n;
}

static uint64_t handed_bytes(const struct spool_draft *d)
{
    return RECORD_HEAD + d->item.meta_n + (d->big ? 0 : d->n);
}

static void fill_msg(struct spool_draft *d, const struct item *it)
{
    struct spool *sp = d->sp;
    *d->msg = (struct spool_msg){
        .id = it->id, .segment = segment_index(sp, it->sequence), .offset = it->offset, .meta_n = it->meta_n,
        .text_n = d->n, .big = d->big != NULL,
    };
    segment_place(sp, it, message_cost(d->msg));
    segment_live(sp, d->msg->segment, message_cost(d->msg), 1);
    htable_add(&sp->messages, d->msg);
    if (d->big) sp->big_bytes += d->n;
}

static void draft_delete(struct spool_draft *d)
{
    list_remove(&d->relief);
    d->sp->drafts--;
    if (d->big) big_abandon(d);
    spool_content_free(&d->content.pub);
}

static void draft_done(struct spool *sp, struct item *it)
{
    struct spool_draft *d = container_of(it, struct spool_draft, item);
    spool_commit_cb *cb = d->cb;
    void *arg = d->arg;
    if (it->error && d->big && big_discard(d)) { /* before the caller hears of it, who may use the id again */
        it->handed = false;
        return;
    }
    sp->pending -= handed_bytes(d);
    if (it->error) draft_fail(d, it->error, "cannot write to the spool");
    if (it->error || d->failed) {
        struct err err;
        err_sys(&err, d->error, "%s", d->error_what);
        draft_delete(d);
        if (!sp->closing) cb(arg, false, NULL, &err);
        return;
    }
    fill_msg(d, it);
    crash_point("commit-callback");
    struct spool_content *content = d->big ? NULL : &d->content.pub;
    if (!content || sp->closing)
        draft_delete(d);
    else {
        list_remove(&d->relief);
        sp->drafts--;
    }
    if (!sp->closing) cb(arg, true, content, NULL);
}

void draft_refuse(struct spool_draft *d)
{
    struct list one;
    list_init(&one);
    if (!d->item.error) d->item.error = d->error;
    list_push_back(&one, &d->item.link);
    outbox_put_items(d->sp, &one);
}

void draft_queue(struct spool_draft *d)
{
    if (d->big) d->item.flags = RECORD_BIG;
    list_push_back(&d->sp->commits, &d->item.link);
    handover_soon(d->sp);
}

void spool_draft_commit(struct spool_draft *d, uint64_t id, struct slice envelope, struct spool_msg *msg,
                        spool_commit_cb *cb, void *arg)
{
    assert(!d->committing);
    struct item *it = &d->item;
    d->committing = true;
    d->msg = msg;
    d->cb = cb;
    d->arg = arg;
    list_remove(&d->relief);
    draft_unshare(d);
    it->kind = ITEM_MESSAGE;
    it->id = id;
    it->text_n = d->n;
    it->text_crc = d->crc;
    it->done = draft_done;
    if (envelope.n > RECORD_META_MAX) draft_fail(d, EMSGSIZE, "the envelope is too large for the spool");
    it->meta_n = d->failed ? 0 : (uint32_t)envelope.n;
    d->content.record = mem_alloc(RECORD_HEAD + it->meta_n + PAD_ROOM);
    if (it->meta_n) memcpy(d->content.record + RECORD_HEAD, envelope.p, it->meta_n);
    it->record = d->content.record;
    d->sp->pending += handed_bytes(d);
    crash_point("commit-queued");
    if (d->failed) {
        draft_refuse(d);
        return;
    }
    if (d->big) {
        big_commit(d);
        return;
    }
    put_pieces(d);
    draft_queue(d);
}

void spool_draft_free(struct spool_draft **d)
{
    if (!*d) return;
    assert(!(*d)->committing);
    draft_delete(*d);
    *d = NULL;
}
