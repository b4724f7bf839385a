/* SPDX-License-Identifier: Apache-2.0
 * A world for the queue in one process: a spool in memory and an SMTP server that does as a script says. For test_queue.c. */
#ifndef POSTERN_TESTS_QUEUE_WORLD_H
#define POSTERN_TESTS_QUEUE_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/client.h"

/* ---- a spool in memory */

struct record {
    uint64_t id;
    char *envelope, *text, *state;
    size_t envelope_n, text_n, state_n;
    bool done;
};
struct spool {
    struct event_base *base;
    struct record records[256];
    size_t n;
    bool fail_commits, no_content, damaged, closed;
    bool as_file; /* texts come as a descriptor */
    unsigned loads, saves, late;
};
struct spool_draft {
    struct spool *sp;
    struct buf text;
};
static struct spool disk;

struct later {
    struct record *r;
    struct spool_msg *msg;
    spool_commit_cb *commit;
    spool_load_cb *load;
    void *arg;
    struct event *ev;
};
struct spool_load {
    struct later l;
};

static struct record *record_of(uint64_t id)
{
    for (size_t i = 0; i < disk.n; i++)
        if (disk.records[i].id == id) return &disk.records[i];
    fail();
    return NULL;
}

static int file_of(struct record *r)
{
    FILE *f = tmpfile();
    assert_int_equal(fwrite(r->text, 1, r->text_n, f), r->text_n);
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    return fd;
}

static struct spool_content *content_of(struct record *r)
{
    struct spool_content *c = mem_new(struct spool_content);
    char *e = mem_alloc(r->envelope_n), *t = mem_alloc(r->text_n);
    if (r->envelope) memcpy(e, r->envelope, r->envelope_n);
    if (r->text) memcpy(t, r->text, r->text_n);
    c->envelope = slice_of(e, r->envelope_n);
    c->memory = r->envelope_n + r->text_n;
    c->text.n = r->text_n;
    c->text.fd = -1;
    if (disk.as_file) {
        free(t);
        c->text.fd = file_of(r);
        return c;
    }
    c->text.piece_n = 2; /* cut anywhere */
    c->text.pieces = mem_grow(NULL, 2, sizeof *c->text.pieces);
    c->text.pieces[0] = slice_of(t, r->text_n / 2);
    c->text.pieces[1] = slice_of(t + r->text_n / 2, r->text_n - r->text_n / 2);
    return c;
}

void spool_content_free(struct spool_content *c)
{
    if (!c) return;
    free((char *)c->envelope.p);
    if (c->text.pieces) free((char *)c->text.pieces[0].p);
    else if (c->text.fd >= 0) close(c->text.fd);
    free(c->text.pieces);
    free(c);
}

bool spool_content_share(struct spool_content *c, struct spool_share *out, struct err *err)
{
    if (c->text.fd < 0) return err_set(err, "made to fail");
    *out = (struct spool_share){ .fd = c->text.fd, .offset = c->text.offset, .size = c->text.n };
    return true;
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later l = *(struct later *)arg;
    struct err err = { .code = disk.damaged ? EBADMSG : EIO, .text = "made to fail" };
    event_free(l.ev);
    free(arg);
    if (disk.closed) return;
    if (l.load) l.load(l.arg, disk.damaged ? NULL : content_of(l.r), &err);
    else if (disk.fail_commits) l.commit(l.arg, false, NULL, &err);
    else l.commit(l.arg, true, disk.no_content ? NULL : content_of(l.r), &err);
}

static struct later *do_later(struct later l)
{
    struct later *p = mem_new(struct later);
    *p = l;
    p->ev = evtimer_new(disk.base, on_later, p);
    event_add(p->ev, &(struct timeval){ 0, disk.late * 1000 });
    return p;
}

struct spool_draft *spool_draft_new(struct spool *sp)
{
    struct spool_draft *d = mem_new(struct spool_draft);
    d->sp = sp;
    return d;
}
bool spool_draft_append(struct spool_draft *d, struct slice text, struct err *err)
{
    buf_add(&d->text, text);
    return true;
}
void spool_draft_free(struct spool_draft **d)
{
    if (*d) buf_deinit(&(*d)->text);
    free(*d);
    *d = NULL;
}
void spool_draft_commit(struct spool_draft *d, uint64_t id, struct slice envelope, struct spool_msg *msg, spool_commit_cb *cb,
                        void *arg)
{
    static struct record lost;
    struct record *r = disk.fail_commits ? &lost : &disk.records[disk.n++];
    assert_true(disk.n < countof(disk.records));
    if (r != &lost) {
        *r = (struct record){ .id = id, .envelope = mem_slicedup(envelope), .envelope_n = envelope.n,
                              .text = mem_slicedup(buf_slice(&d->text)), .text_n = d->text.n };
        msg->text_n = r->text_n;
        msg->meta_n = (uint32_t)envelope.n;
        msg->big = disk.as_file;
    }
    msg->id = id;
    do_later((struct later){ .r = r, .msg = msg, .commit = cb, .arg = arg });
    spool_draft_free(&d);
}
void spool_done(struct spool *sp, struct spool_msg *msg) { record_of(msg->id)->done = true; }
void spool_save_state(struct spool *sp, struct spool_msg *msg, struct slice state)
{
    struct record *r = record_of(msg->id);
    assert_true(state.n <= 65536);
    free(r->state);
    r->state = mem_slicedup(state);
    r->state_n = state.n;
    disk.saves++;
}
struct spool_load *spool_load_start(struct spool *sp, const struct spool_msg *msg, bool envelope_only, spool_load_cb *cb, void *arg)
{
    disk.loads++;
    return (struct spool_load *)do_later((struct later){ .r = record_of(msg->id), .load = cb, .arg = arg });
}
void spool_load_cancel(struct spool_load **l)
{
    event_free((*l)->l.ev);
    free(*l);
    *l = NULL;
}
bool spool_read_envelope(struct spool *sp, const struct spool_msg *msg, struct buf *out, struct err *err)
{
    struct record *r = record_of(msg->id);
    buf_add(out, slice_of(r->envelope, r->envelope_n));
    return true;
}
void spool_recover(struct spool *sp, const struct spool_recovery *how)
{
    size_t live = 0;
    for (size_t i = 0; i < sp->n; i++) {
        struct record *r = &sp->records[i];
        if (r->done) continue;
        struct spool_msg *msg = how->on_message(how->arg, r->id, slice_of(r->envelope, r->envelope_n), slice_of(r->state, r->state_n));
        msg->id = r->id;
        msg->text_n = r->text_n;
        live++;
    }
    how->on_done(how->arg, live, 0);
}
void spool_close(struct spool *sp) {}

/* ---- a server after a script */

struct rule {
    const char *at;      /* CONNECT EHLO HELO MAIL RCPT DATA TEXT RSET */
    int nth;             /* the nth time only, counted over all connections; 0: always */
    const char *reply;   /* NULL: none */
    bool close;
};
static struct peer {
    const struct rule *rules;
    size_t rule_n;
    const char *extensions;
    struct evconnlistener *listener;
    uint16_t port;
    unsigned seen[16], connections, open, most_open, most_in_one_read;
    unsigned messages;
    struct buf log, last_text;
    struct list sessions;
} peer;
struct session {
    struct list link;
    struct bufferevent *bev;
    bool in_text, closing, mail, mute; /* mute: a rule without a reply was met */
    unsigned rcpts;
};
static const char *const stages[] = { "CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "TEXT", "RSET", "QUIT", "STARTTLS" };

static unsigned stage_of(const char *name)
{
    for (unsigned i = 0; i < countof(stages); i++)
        if (strncasecmp(stages[i], name, strlen(stages[i])) == 0) return i;
    fail_msg("unknown command %s", name);
    return 0;
}

/* Sends what the rules or else common sense say; false when it closed. */
static bool answer(struct session *s, const char *at, const char *usual)
{
    unsigned stage = stage_of(at), n = ++peer.seen[stage];
    const char *reply = usual;
    bool end = false;
    for (size_t i = 0; i < peer.rule_n; i++)
        if (strcmp(peer.rules[i].at, stages[stage]) == 0 && (!peer.rules[i].nth || peer.rules[i].nth == (int)n)) {
            reply = peer.rules[i].reply;
            end = peer.rules[i].close;
        }
    if (!reply && !end) s->mute = true;
    if (s->mute) reply = NULL;
    if (reply) evbuffer_add_printf(bufferevent_get_output(s->bev), "%s\r\n", reply);
    if (reply && reply[0] == '3') s->in_text = true;
    if (reply && stage == 3) s->mail |= reply[0] == '2';
    if (stage == 6) s->mail = false;
    if (reply && reply[0] == '2' && !strcmp(stages[stage], "RCPT")) s->rcpts++;
    if (reply && reply[0] == '2' && !strcmp(stages[stage], "TEXT")) peer.messages++;
    s->closing = end;
    return !end;
}

static void session_free(struct session *s)
{
    bufferevent_free(s->bev);
    list_remove(&s->link);
    peer.open--;
    free(s);
}

static void session_hang_up(struct session *s)
{
    struct evbuffer *out = bufferevent_get_output(s->bev);
    bufferevent_disable(s->bev, EV_WRITE);
    evbuffer_unfreeze(out, 1);
    while (evbuffer_get_length(out) && evbuffer_write(out, bufferevent_getfd(s->bev)) > 0) {}
    session_free(s);
}

static bool command(struct session *s, char *line)
{
    unsigned stage = stage_of(line);
    if (stage == 3 || stage == 4) buf_addf(&peer.log, "%s\n", line);
    switch (stage) {
    case 1: return answer(s, "EHLO", peer.extensions);
    case 3: s->rcpts = 0; return answer(s, "MAIL", s->mail ? "503 5.5.1 nested MAIL" : "250 2.1.0 ok");
    case 4: return answer(s, "RCPT", s->mail ? "250 2.1.5 ok" : "503 5.5.1 no MAIL");
    case 7: s->mail = false; return answer(s, "RSET", "250 ok");
    case 5: return answer(s, "DATA", s->rcpts ? "354 go on" : "554 5.5.1 no recipients");
    case 8: answer(s, "QUIT", "221 bye"); return false;
    default: return answer(s, line, "250 2.0.0 ok");
    }
}

static void on_session_read(struct bufferevent *bev, void *arg)
{
    struct session *s = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    unsigned commands = 0;
    for (;;) {
        if (s->in_text) {
            struct evbuffer_ptr at = evbuffer_search(in, "\r\n.\r\n", 5, NULL), lone = evbuffer_search(in, ".\r\n", 3, NULL);
            size_t n = at.pos >= 0 ? (size_t)at.pos + 2 : 0, take = n + 3;
            if (lone.pos == 0) take = 3, n = 0;
            else if (at.pos < 0) break;
            buf_clear(&peer.last_text);
            char *to = buf_reserve(&peer.last_text, take);
            evbuffer_remove(in, to, take);
            peer.last_text.n = n;
            s->in_text = false;
            if (!answer(s, "TEXT", "250 2.0.0 taken")) goto end;
            continue;
        }
        char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);
        if (!line) break;
        commands++;
        bool on = command(s, line);
        free(line);
        if (!on) goto end;
    }
    if (commands > peer.most_in_one_read) peer.most_in_one_read = commands;
    return;
end: /* what was answered before still goes out */
    session_hang_up(s);
}

static void on_session_end(struct bufferevent *bev, short what, void *arg)
{
    session_free(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *arg)
{
    struct session *s = mem_new(struct session);
    s->bev = bufferevent_socket_new(disk.base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(s->bev, on_session_read, NULL, on_session_end, s);
    bufferevent_enable(s->bev, EV_READ | EV_WRITE);
    list_push_back(&peer.sessions, &s->link);
    peer.connections++;
    if (++peer.open > peer.most_open) peer.most_open = peer.open;
    if (answer(s, "CONNECT", "220 peer.example ESMTP")) return;
    session_hang_up(s);
}

static void peer_start(void)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sa;
    peer = (struct peer){ .extensions = "250-peer.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000" };
    list_init(&peer.sessions);
    peer.listener = evconnlistener_new_bind(disk.base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 64, (struct sockaddr *)&sa, sizeof sa);
    assert_non_null(peer.listener);
    getsockname(evconnlistener_get_fd(peer.listener), (struct sockaddr *)&sa, &n);
    peer.port = ntohs(sa.sin_port);
}

static void peer_stop(void)
{
    while (!list_empty(&peer.sessions)) session_free(list_entry(peer.sessions.next, struct session, link));
    evconnlistener_free(peer.listener);
    buf_deinit(&peer.log);
    buf_deinit(&peer.last_text);
}

#define PEER(...) \
    static const struct rule rules_[] = { __VA_ARGS__ }; \
    peer.rules = rules_; \
    peer.rule_n = countof(rules_)

#endif
