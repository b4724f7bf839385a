/* SPDX-License-Identifier: Apache-2.0
 * Has the message looked into by a scan process, once all that it is told of the message is known. What was found is the report, for the
 * checks behind this one; what could not be looked at is decided here: nothing is let through silently. */
#include "content/scan.h"
#include "base/clock.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/content_look.h"
#include "policy/message_auth_parts.h"
#include "route/expand.h"

#define UNSCANNED_MAX 600 /* bytes of names */
static const struct config_place nowhere = { 0 };

struct looking {
    struct check_call *call;
    struct scan_request *request;
};

static bool wanted(const struct config *c, const struct policy *p)
{
    return scan_is_needed(c);
}

/* ---- what the process is told */

static bool is_allowed(const struct check_call *c) { return check_allowed(c) & (ALLOW_CLIENT | ALLOW_MAIL); }

static enum config_direction direction_of(const struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct expander *x = check_lists(c)->expander;
    bool inner = false, outer = false;
    for (uint32_t i = 0; i < f->rcpt_n && !(inner && outer); i++) {
        if (expand_is_ours_address(x, f->rcpts[i])) inner = true;
        else outer = true;
    }
    if (!f->trusted) return inner ? CONFIG_DIRECTION_IN : CONFIG_DIRECTION_THROUGH;
    return outer ? CONFIG_DIRECTION_OUT : CONFIG_DIRECTION_THROUGH;
}

static struct slice passing_domains(const struct dkim *d, struct arena *arena)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < d->n; i++) {
        if (d->signatures[i].result != DKIM_PASS) continue;
        if (b.n) buf_add_char(&b, ' ');
        buf_add(&b, d->signatures[i].domain);
    }
    return buf_keep(&b, arena);
}

static void tell_results(struct check_call *c, struct scan_context *x)
{
    const struct message_auth *m = c->run->text;
    const struct check_facts *f = check_facts(c);
    if (f->spf) x->spf = slice_str(spf_result_name(f->spf->result));
    if (!m || !m->verified) return;
    if (m->dkim) x->dkim = slice_str(dkim_result_name(m->dkim->result));
    if (m->dkim) x->dkim_domains = passing_domains(m->dkim, check_arena(c));
    if (m->dmarc) x->dmarc = slice_str(dmarc_result_name(m->dmarc->result));
    if (m->arc) x->arc = slice_str(arc_result_name(m->arc->result));
}

static struct scan_context context_of(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    struct scan_context x = {
        .id = f->id, .arrival = clock_wall_ms(), .client = f->client.ip, .helo = f->helo, .account = f->account,
        .zone = slice_str(f->client.zone->name), .sender = f->sender, .rcpts = (struct slice *)f->rcpts, .rcpt_n = f->rcpt_n,
        .trusted = f->trusted, .allowed = is_allowed(c) || check_look(c)->training, .direction = direction_of(c),
        .dns_score = check_score_of(c, &check_dns_lists_client) + check_score_of(c, &check_dns_lists_helo) +
                     check_score_of(c, &check_dns_lists_sender),
        .reputation = (int8_t)((int)f->reputation - 1), .greylist_known = f->grey_known, .tls = f->tls,
    };
    if (f->reverse == REVERSE_CONFIRMED) x.client_name = f->reverse_name;
    tell_results(c, &x);
    return x;
}

/* ---- trouble */

struct trouble {
    bool defer, virus;           /* virus: a scanner for these is in it */
    struct buf names, why;       /* who did not look, and why */
};

/* Would it have been asked about this message? */
static bool concerns(const struct check_call *c, const struct config_scanner *s)
{
    const struct config_spam *spam = &check_engine(c)->config->spam;
    bool trusted = check_facts(c)->trusted;
    if (!s->enabled || (trusted && !s->trusted_mail)) return false;
    return !scanner_is_for_spam(s->type) || (spam->enabled && !is_allowed(c) && (!trusted || spam->trusted_mail));
}

static void add_trouble(struct trouble *t, const char *name, struct slice why, bool defer)
{
    if (t->names.n < UNSCANNED_MAX) {
        if (t->names.n) buf_add_str(&t->names, ", ");
        buf_add_printable(&t->names, slice_str(name), 100);
    }
    if (t->why.n) buf_add_str(&t->why, "; ");
    buf_addf(&t->why, "%s: ", name);
    buf_add_printable(&t->why, why, 120);
    t->defer |= defer;
}

static const struct report_scanner *find(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->scanner_n; i++)
        if (slice_eq(r->scanners[i].name, slice_str(name))) return &r->scanners[i];
    return NULL;
}

/* An engine for spam or a milter that was passed over, as the message is large or another one was sure, is in no trouble. */
static bool is_in_trouble(const struct check_call *c, const struct config_scanner *s, const struct report_scanner *found, const struct report *r)
{
    const struct config *config = check_engine(c)->config;
    uint64_t size = check_look((struct check_call *)c)->share.size;
    if (!found) return !scanner_is_for_spam(s->type) && s->type != CONFIG_SCANNER_MILTER && !r->virus_n;
    if (found->state == SCANNER_FINE) return false;
    if (scanner_is_for_spam(s->type) && size > config->spam.max_size && config->spam.max_size) size = config->spam.max_size;
    bool passes = scanner_is_for_spam(s->type) || s->type == CONFIG_SCANNER_MILTER;
    return !(passes && found->state == SCANNER_NOT_ASKED && s->max_size && size > s->max_size);
}

static void find_trouble(const struct check_call *c, const struct report *r, struct trouble *t)
{
    const struct config *config = check_engine(c)->config;
    for (size_t i = 0; i < config->scanner_n; i++) {
        const struct config_scanner *s = &config->scanners[i];
        if (!concerns(c, s)) continue;
        const struct report_scanner *found = find(r, s->name);
        if (!is_in_trouble(c, s, found, r)) continue;
        struct slice why = !found ? SLICE("it was not asked") : found->text.n ? found->text : slice_str(report_scanner_state_name(found->state));
        add_trouble(t, s->name, why, s->trouble == CONFIG_TROUBLE_DEFER);
        t->virus |= scanner_is_for_virus(s->type);
    }
}

/* Nobody could look. What blocks and the rules delay it, too: they were told to hold something back. The engine for spam does not. */
static void find_absence(const struct check_call *c, const char *error, struct trouble *t)
{
    const struct config *config = check_engine(c)->config;
    bool trusted = check_facts(c)->trusted, rules = config->header_check_n > 0;
    for (size_t i = 0; i < config->scanner_n; i++) {
        if (!concerns(c, &config->scanners[i])) continue;
        add_trouble(t, config->scanners[i].name, slice_str(error), config->scanners[i].trouble == CONFIG_TROUBLE_DEFER);
        t->virus |= scanner_is_for_virus(config->scanners[i].type);
    }
    for (size_t i = 0; i < config->rule_n; i++) rules |= config->rules[i].enabled;
    if (config->attachments.enabled && !is_allowed(c) && (!trusted || config->attachments.trusted_mail))
        add_trouble(t, "attachments", slice_str(error), true);
    if (rules) add_trouble(t, "rules", slice_str(error), true);
    if (config->spam.enabled && config->spam.builtin && !is_allowed(c) && (!trusted || config->spam.trusted_mail))
        add_trouble(t, "builtin", slice_str(error), false);
}

static void mark(struct check_call *c, struct trouble *t)
{
    struct buf b = { 0 };
    buf_addf(&b, "X-Postern-Unscanned: %s\r\n", buf_cstr(&t->names));
    (void)policy_outcome_add_prepend(c->run, buf_slice(&b));
    buf_deinit(&b);
    check_pass(c, "marked, as it was not looked at by all: %s", buf_cstr(&t->why));
}

/* A stranger learns nothing of what is inside. */
static void tell_trouble(struct check_call *c, struct trouble *t, bool found)
{
    if (t->defer && !found)
        check_refuse(c, 451, "4.7.1", nowhere,
                     t->virus ? "the message cannot be looked at for viruses at the moment, please try again later"
                              : "the message cannot be looked into at the moment, please try again later", "%s", buf_cstr(&t->why));
    else mark(c, t);
    buf_deinit(&t->names);
    buf_deinit(&t->why);
}

/* ---- the report */

static bool is_accepted(const struct report *r)
{
    for (size_t i = 0; i < r->action_n; i++)
        if (r->actions[i].action == CONFIG_DO_ACCEPT) return true;
    return false;
}

static void summarize(struct check_call *c, const struct report *r)
{
    size_t files = 0;
    for (size_t i = 0; i < r->part_n; i++) files += r->parts[i].is_file;
    size_t parts = r->part_n + r->parts_more;
    const char *all = arena_printf(check_arena(c), "%zu part%s, %zu file%s%s", parts, parts == 1 ? "" : "s", files,
                                   files == 1 ? "" : "s", r->parts_more ? " at least" : "");
    if (r->judged) check_pass(c, "%s, score %.2f", all, r->score / 100.0);
    else check_pass(c, "%s", all);
}

/* DMARC has put it aside already: who looks at it there wants to know what else was found. */
static bool is_put_aside(const struct check_call *c)
{
    const struct policy *p = run_policy(c->run);
    for (size_t i = p->from[STAGE_CONTENT]; i < p->from[STAGE_CONTENT + 1]; i++)
        if (c->run->slots[i].outcome == POLICY_QUARANTINE) return true;
    return false;
}

static void conclude(struct check_call *c, const struct report *r)
{
    struct trouble t = { 0 };
    struct content_look *l = check_look(c);
    l->report = r;
    if (r->subject.n) policy_outcome_set_subject(c->run, r->subject);
    if (r->crashed) {
        check_put_aside(c, QUARANTINE_CRASH, nowhere, "looking into it ended the scan process, twice");
        return;
    }
    if (is_put_aside(c)) check_tell_quarantine(c);
    l->accepted = is_accepted(r);
    find_trouble(c, r, &t);
    bool found = r->virus_n && check_engine(c)->config->virus.action != CONFIG_HANDLE_PASS; /* that is said by check_virus.c */
    if (t.names.n) tell_trouble(c, &t, found);
    else summarize(c, r);
}

static void fail(struct check_call *c, const char *error)
{
    struct trouble t = { 0 };
    find_absence(c, error, &t);
    if (t.names.n) tell_trouble(c, &t, false);
    else check_skip(c, "%s", error);
}

/* ---- its way */

static void on_report(void *arg, const struct report *r, const char *error)
{
    struct check_call *c = ((struct looking *)arg)->call;
    c->own = NULL;
    if (r) conclude(c, r);
    else fail(c, error);
}

static void start(struct check_call *c)
{
    struct looking *l = c->own;
    const struct policy_engine_options *e = check_engine(c);
    const struct spool_share *s = &check_look(c)->share;
    struct scan_context x = context_of(c);
    l->request = scan_start(e->scan, e->config, &x, s->fd, s->offset, s->size, check_arena(c), on_report, l);
}

static void on_shared(void *arg, const struct spool_share *share, const struct err *err)
{
    struct check_call *c = arg;
    if (share) {
        check_look(c)->share = *share;
        start(c);
        return;
    }
    c->own = NULL;
    fail(c, err->text);
}

static void go(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    struct looking *l = c->own = arena_alloc(check_arena(c), sizeof *l);
    struct err err;
    l->call = c;
    if (f->share) {
        check_look(c)->share = *f->share;
        start(c);
        return;
    }
    switch (spool_draft_share(f->text, &check_look(c)->share, on_shared, c, &err)) {
    case SPOOL_SHARED: start(c); break;
    case SPOOL_SHARE_WAITS: break;
    case SPOOL_SHARE_FAILED: on_shared(c, NULL, &err); break;
    }
}

static void cancel(struct check_call *c)
{
    struct looking *l = c->own;
    c->own = NULL;
    if (!l) return; /* it waits for another check */
    if (!l->request && check_facts(c)->text) spool_draft_share_cancel(check_facts(c)->text);
    scan_cancel(&l->request);
}

/* Recipients of a trusted client's mail that are addresses of the classifier. */
static uint32_t count_training(const struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->rcpt_n && f->trusted; i++) n += check_training(check_engine(c)->config, f->rcpts[i]) != NULL;
    return n;
}

static void run(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct policy_engine_options *e = check_engine(c);
    uint32_t training = count_training(c);
    check_look(c)->training = training && training == f->rcpt_n;
    if (!f->text && !f->share) check_skip(c, "there is no message to look into");
    else if (!e->scan) check_skip(c, "there is no scan process");
    else if (!scan_concerns(e->config, f->trusted) && !training) check_skip(c, "nothing looks into mail of trusted clients");
    else check_when_answered(c, "spf", go);
}

const struct check check_content_scan = { .name = "scan", .never_skipped = true, .stage = STAGE_CONTENT, .step = 2, .whom = FOR_ALL, .wanted = wanted, .run = run,
                                  .cancel = cancel };
