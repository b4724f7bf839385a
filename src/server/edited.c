/* SPDX-License-Identifier: Apache-2.0
 * The text as the checks' edits make it. Its kept bytes stay as they are; what has to be known of the edited ones is found by reading
 * over the seams: nothing may be left there that another server reads differently. A message that is to be signed is hashed again as
 * far as the edits reach: in turns, so that a large one holds nobody up. */
#include <event2/event.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "policy/message_auth.h"
#include "policy/outcome.h"
#include "server/text.h"
#include "signer/signer.h"

#define CHUNK 65536
#define TURN_BYTES (1u << 20) /* hashed before others have their turn */

struct edited {
    struct session *s;
    struct envelope e;           /* the size of the text, and its edits */
    struct spool_share share;
    struct event *turn;
    bool waits;                  /* the client's input is held back meanwhile */
    uint64_t at;                 /* of the edited text */
    struct header_reader reader;
    struct auth_header header;
    struct auth_body *body;      /* hashed anew; NULL: it is as it was, or not there yet */
    char chunk[CHUNK];
};

void text_edit_cancel(struct session *s)
{
    struct edited *ed = s->tx.edited;
    s->tx.edited = NULL;
    if (!ed) return;
    if (s->tx.draft) spool_draft_share_cancel(s->tx.draft);
    if (ed->turn) event_free(ed->turn);
    header_reader_deinit(&ed->reader);
    auth_body_free(&ed->body);
    free(ed);
}

/* ---- its end */

static void go_on(struct edited *ed)
{
    struct session *s = ed->s;
    bool waited = ed->waits;
    if (waited) s->then = NULL;
    text_sign(s); /* a new body's hash is needed until the transaction is over */
    if (waited) session_resume(s);
}

static void refuse(struct edited *ed, const char *why, const struct err *err)
{
    struct session *s = ed->s;
    bool waited = ed->waits;
    log_event(LOG_ERROR, "not-edited", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_STR("reason", err ? err->text : why));
    if (waited) s->then = NULL;
    text_spoil(s, 451, "4.3.0", "the message cannot be processed at the moment, please try again later");
    text_give_up(s);
    if (waited) session_resume(s);
}

static size_t read_edited(const struct edited *ed, uint64_t at, char *to, size_t n)
{
    return envelope_read(&ed->e, ed->share.fd, ed->share.offset, at, to, n);
}

/* ---- seams */

/* Bytes of the edited text from `at` on: those at the ends have neighbours that are not looked at, unless the text begins or ends there. */
static bool lines_ok(const char *p, size_t n, bool begins, bool ends, bool *dots)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' && (i ? p[i - 1] != '\r' : begins)) return false;
        if (p[i] == '\r' && (i + 1 < n ? p[i + 1] != '\n' : ends)) return false;
        if (p[i] == '.' && (i ? p[i - 1] == '\n' : begins)) *dots = true;
    }
    return true;
}

/* What is put in for one edit, and two bytes at either side. */
static bool seam_ok(struct edited *ed, uint64_t at, size_t n, uint64_t size, bool *dots)
{
    uint64_t from = at > 2 ? at - 2 : 0, to = at + n + 2 < size ? at + n + 2 : size;
    size_t want = (size_t)(to - from);
    char *p = mem_alloc(want + 1);
    bool ok = read_edited(ed, from, p, want) == want && lines_ok(p, want, from == 0, to == size, dots);
    free(p);
    return ok;
}

static bool seams_ok(struct edited *ed)
{
    struct transaction *tx = &ed->s->tx;
    const struct envelope *e = &ed->e;
    uint64_t size = envelope_sent_size(e), put = 0, cut = 0;
    char last[2];
    for (uint32_t i = 0; i < e->cut_n; i++) {
        const struct envelope_cut *c = &e->cuts[i];
        if (!seam_ok(ed, c->at + put - cut, c->with.n, size, &tx->edits_dots)) return false;
        tx->edits_8bit |= !utf8_ascii(c->with);
        put += c->with.n;
        cut += c->n;
    }
    if (!size) return true;
    return size >= 2 && read_edited(ed, size - 2, last, 2) == 2 && last[0] == '\r' && last[1] == '\n';
}

/* ---- hashing */

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct edited *ed = arg;
    auth_header_add(&ed->header, slice_of(name.p, (size_t)(value.p + value.n - name.p)));
    ed->header.overflow |= truncated;
}

static void add_fields(struct edited *ed, struct slice fields)
{
    struct header_reader r = { 0 };
    header_reader_init(&r, on_field, ed);
    header_read(&r, fields);
    header_finish(&r);
    header_reader_deinit(&r);
}

/* The empty line belongs to neither, and an edit of it to both. */
static bool body_is_edited(const struct edited *ed)
{
    uint64_t header = ed->s->tx.header.size - 2; /* a header that is signed has an end */
    for (uint32_t i = 0; i < ed->e.cut_n; i++)
        if (ed->e.cuts[i].at + ed->e.cuts[i].n > header) return true;
    return false;
}

static struct signing *begin_signing(struct edited *ed, struct auth_body *body)
{
    struct session *s = ed->s;
    const struct server_options *o = &s->server->o;
    uint64_t now = clock_wall_ms();
    return policy_text_is_verified(s->run) ? signing_begin_arc(o->keys, &ed->header, body, now, &s->arena)
                                           : signing_begin_dkim(o->keys, &ed->header, body, now, &s->arena);
}

/* The header is read. False: its end was all that was needed, as the body is hashed already. */
static bool begin_body(struct edited *ed)
{
    struct session *s = ed->s;
    header_finish(&ed->reader);
    if (!policy_text_is_verified(s->run)) add_fields(ed, slice_str(text_missing(s)));
    ed->header.overflow |= ed->reader.malformed;
    signing_cancel(&s->tx.signing);
    if (!body_is_edited(ed)) s->tx.signing = begin_signing(ed, policy_text_hashes(s->run));
    if (s->tx.signing) return false;
    ed->body = auth_body_new();
    s->tx.signing = begin_signing(ed, ed->body);
    return s->tx.signing != NULL;
}

static void on_turn(evutil_socket_t fd, short what, void *arg);

static void wait(struct session *s, const struct policy_verdict *v) {}

static void hold_back(struct edited *ed)
{
    ed->waits = true;
    ed->s->then = wait;
}

static void go_on_later(struct edited *ed)
{
    hold_back(ed);
    if (!ed->turn) ed->turn = evtimer_new(ed->s->server->o.base, on_turn, ed);
    if (ed->turn) event_active(ed->turn, EV_TIMEOUT, 1);
}

/* Takes the next piece. False: that was all. */
static bool hash_piece(struct edited *ed, size_t n)
{
    size_t header = 0;
    struct slice text = slice_of(ed->chunk, n);
    ed->at += n;
    if (!ed->body) {
        header = header_read(&ed->reader, text);
        if (n && !ed->reader.ended) return true;
        if (!begin_body(ed)) return false;
    }
    if (n) auth_body_push(ed->body, slice_sub(text, header, n));
    else auth_body_end(ed->body);
    return n > 0;
}

static void hash(struct edited *ed)
{
    uint64_t end = ed->at + TURN_BYTES, size = envelope_sent_size(&ed->e);
    for (;;) {
        size_t want = size - ed->at < CHUNK ? (size_t)(size - ed->at) : CHUNK;
        if (read_edited(ed, ed->at, ed->chunk, want) != want) {
            refuse(ed, "the text cannot be read", NULL);
            return;
        }
        if (!hash_piece(ed, want)) break;
        if (ed->at >= end) {
            go_on_later(ed);
            return;
        }
    }
    go_on(ed);
}

static void on_turn(evutil_socket_t fd, short what, void *arg) { hash(arg); }

/* ---- its beginning */

static void look(struct edited *ed)
{
    struct session *s = ed->s;
    if (!seams_ok(ed)) {
        refuse(ed, "the edits do not fit the text", NULL);
        return;
    }
    if (!s->tx.signing) {
        go_on(ed);
        return;
    }
    ed->header.arena = &s->arena;
    header_reader_init(&ed->reader, on_field, ed);
    add_fields(ed, policy_outcome(s->run)->prepend);
    hash(ed);
}

static void on_shared(void *arg, const struct spool_share *share, const struct err *err)
{
    struct edited *ed = arg;
    if (!share) {
        refuse(ed, NULL, err);
        return;
    }
    ed->share = *share;
    look(ed);
}

/* Those of the checks among ours. False: there is no room for all, because of ours. */
static bool merge_cuts(struct session *s, const struct content_outcome *o)
{
    struct transaction *tx = &s->tx;
    if (o->cut_n > ENVELOPE_CUTS_MAX - tx->cut_n) return false;
    if (o->cut_n && !tx->cuts) tx->cuts = arena_alloc(&s->arena, ENVELOPE_CUTS_MAX * sizeof *tx->cuts);
    for (uint32_t i = 0; i < o->cut_n; i++) {
        struct envelope_cut c = o->cuts[i];
        if (c.with.n) c.with = arena_slice(&s->arena, c.with);
        (void)envelope_cuts_add(tx->cuts, &tx->cut_n, c); /* of a field that goes away nothing need be changed */
    }
    return true;
}

void text_edit(struct session *s)
{
    struct transaction *tx = &s->tx;
    const struct content_outcome *o = policy_outcome(s->run);
    struct edited *ed;
    struct err err;
    if (!merge_cuts(s, o)) {
        text_spoil(s, 550, "5.6.0", "too many Authentication-Results fields that claim to be of this host");
        text_give_up(s);
        return;
    }
    tx->edits_8bit = !utf8_ascii(o->prepend);
    if (!o->cut_n && !(tx->signing && o->prepend.n)) {
        text_sign(s);
        return;
    }
    tx->edited = ed = mem_new(struct edited);
    ed->s = s;
    ed->e = (struct envelope){ .text_size = spool_draft_size(tx->draft), .cuts = tx->cuts, .cut_n = tx->cut_n };
    switch (spool_draft_share(tx->draft, &ed->share, on_shared, ed, &err)) {
    case SPOOL_SHARED: look(ed); break;
    case SPOOL_SHARE_WAITS: hold_back(ed); break;
    case SPOOL_SHARE_FAILED: refuse(ed, NULL, &err); break;
    }
}
