/* SPDX-License-Identifier: Apache-2.0
 * Having a message looked into: the worker's side. */
#include "content/scan.h"
#include "base/json.h"
#include "base/link.h"
#include "base/mem.h"

#define GRACE_MS 10000      /* beyond what the process takes for two tries */
#define WAIT_MAX_MS 540000  /* RFC 5321 §4.5.3.2.6: the client waits 10 minutes for the reply to its "." */

struct scan_request {
    struct link_request request;
    struct arena *arena;
    uint64_t size;
    scan_cb *on_report;
    scan_learn_cb *on_learnt;
    scan_view_cb *on_view;
    void *arg;
};

/* ---- whether at all */

static bool spam_is_on(const struct config *c, bool trusted)
{
    bool any = c->spam.builtin;
    if (!c->spam.enabled || (trusted && !c->spam.trusted_mail)) return false;
    for (size_t i = 0; !any && i < c->scanner_n; i++)
        any = c->scanners[i].enabled && scanner_is_for_spam(c->scanners[i].type) && (!trusted || c->scanners[i].trusted_mail);
    return any;
}

static bool scanner_is_on(const struct config_scanner *s, bool trusted)
{
    return s->enabled && !scanner_is_for_spam(s->type) && (!trusted || s->trusted_mail);
}

bool scan_concerns(const struct config *c, bool trusted)
{
    if (spam_is_on(c, trusted) || c->header_check_n) return true;
    if (c->attachments.enabled && (!trusted || c->attachments.trusted_mail)) return true;
    for (size_t i = 0; i < c->scanner_n; i++)
        if (scanner_is_on(&c->scanners[i], trusted)) return true;
    for (size_t i = 0; i < c->rule_n; i++)
        if (c->rules[i].enabled) return true;
    return false;
}

/* The classifier may be trained, too. */
bool scan_is_needed(const struct config *c)
{
    bool trained = c->spam.bayes.enabled && (c->spam.bayes.spam_address || c->spam.bayes.ham_address);
    return trained || scan_concerns(c, false) || scan_concerns(c, true);
}

/* ---- asking */

/* Where there is no such process nobody waits for one. */
static unsigned wait_of(const struct config *c)
{
    if (!scan_is_needed(c)) return 0;
    uint64_t ms = 2 * c->scan.timeout + GRACE_MS;
    return (unsigned)(ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS);
}

static const char *error_of(const json_t *answer)
{
    const char *text = answer ? json_text(answer, "error").p : NULL;
    return !answer ? "the scan process did not answer in time" : text ? text : "the scan process answered what makes no sense";
}

static void give_report(struct scan_request *r, const json_t *answer)
{
    const json_t *j = json_object_get(answer, "report");
    struct report *report = arena_alloc(r->arena, sizeof *report);
    struct err err;
    if (!j) r->on_report(r->arg, NULL, error_of(answer));
    else if (report_decode(j, r->size, r->arena, report, &err)) r->on_report(r->arg, report, NULL);
    else r->on_report(r->arg, NULL, arena_strdup(r->arena, slice_str(err.text)));
}

/* It need not be done any more. */
static void tell_cancelled(const struct link_request *r)
{
    link_send(r->link, json_pack("{s:s, s:I}", "op", "cancel", "id", r->id));
}

static void on_answer(struct link_request *request, const json_t *answer)
{
    struct scan_request *r = container_of(request, struct scan_request, request);
    const json_t *view = json_object_get(answer, "view");
    if (!answer) tell_cancelled(request);
    link_end(request);
    request->link = NULL; /* ended: scan_cancel has nothing to do */
    if (r->on_report) give_report(r, answer);
    else if (r->on_learnt) r->on_learnt(r->arg, json_is_true(json_object_get(answer, "learnt")) ? NULL : error_of(answer));
    else r->on_view(r->arg, view, view ? NULL : error_of(answer));
}

static struct scan_request *ask(struct link *scan, const struct config *c, json_t *m, int fd, uint64_t offset, uint64_t size,
                                struct arena *arena)
{
    struct scan_request *r = arena_alloc(arena, sizeof *r);
    unsigned wait = wait_of(c);
    r->arena = arena;
    r->size = size;
    json_object_set_new(m, "offset", json_integer((json_int_t)offset));
    json_object_set_new(m, "size", json_integer((json_int_t)size));
    json_object_set_new(m, "wait", json_integer(wait));
    link_ask_with(scan, &r->request, m, fd, wait, on_answer);
    return r;
}

struct scan_request *scan_start(struct link *scan, const struct config *c, const struct scan_context *context, int fd, uint64_t offset,
                                uint64_t size, struct arena *arena, scan_cb *cb, void *arg)
{
    json_t *m = json_pack("{s:s, s:o}", "op", "scan", "context", scan_context_encode(context));
    struct scan_request *r = ask(scan, c, m, fd, offset, size, arena);
    r->on_report = cb;
    r->arg = arg;
    return r;
}

struct scan_request *scan_file_start(struct link *scan, const struct config *c, int fd, uint64_t size, struct arena *arena, scan_cb *cb, void *arg)
{
    json_t *m = json_pack("{s:s, s:b, s:o}", "op", "scan", "file", 1, "context", scan_context_encode(&scan_context_of_file));
    struct scan_request *r = ask(scan, c, m, fd, 0, size, arena);
    r->size = 2 * size; /* at the most, when its lines end in CRLF */
    r->on_report = cb;
    r->arg = arg;
    return r;
}

struct scan_request *scan_learn(struct link *scan, const struct config *c, const char *as, int fd, uint64_t offset, uint64_t size,
                                struct arena *arena, scan_learn_cb *cb, void *arg)
{
    struct scan_request *r = ask(scan, c, json_pack("{s:s, s:s}", "op", "learn", "as", as), fd, offset, size, arena);
    r->on_learnt = cb;
    r->arg = arg;
    return r;
}

static struct scan_request *view(struct scan_request *r, scan_view_cb *cb, void *arg)
{
    r->on_view = cb;
    r->arg = arg;
    return r;
}

struct scan_request *scan_view(struct link *scan, const struct config *c, int fd, uint64_t offset, uint64_t size, struct arena *arena,
                               scan_view_cb *cb, void *arg)
{
    return view(ask(scan, c, json_pack("{s:s}", "op", "view"), fd, offset, size, arena), cb, arg);
}

struct scan_request *scan_file_view(struct link *scan, const struct config *c, int fd, uint64_t size, struct arena *arena, scan_view_cb *cb, void *arg)
{
    return view(ask(scan, c, json_pack("{s:s, s:b}", "op", "view", "file", 1), fd, 0, size, arena), cb, arg);
}

void scan_cancel(struct scan_request **rp)
{
    struct scan_request *r = *rp;
    *rp = NULL;
    if (!r || !r->request.link) return;
    tell_cancelled(&r->request);
    link_end(&r->request);
    r->request.link = NULL;
}
