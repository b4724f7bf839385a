/* SPDX-License-Identifier: Apache-2.0
 * What the relay does to verify a message, with its answers from DNS at hand: ours WORLD WHAT HOW_LONG. */
#include <stdlib.h>
#include <time.h>
#include "base/public_suffix.h"
#include "ours.h"

struct ours {
    struct case_world w;
    uint64_t now;                       /* wall ms */
    const struct case_message *m;
    struct auth_dns_answer answers[64]; /* one of each record of the zone */
    struct slice texts[64];
    struct ip ips[64];
    struct lookups_calls calls;
    struct arena arena;                 /* of a message */
    const struct psl_ctx_st *psl;
    struct dkim_keys *keys;             /* of earlier messages */
    struct auth_header header;          /* dmarc alone: read once */
    struct spf spf;
    struct dkim dkim;
};

void ours_header(struct auth_header *h, const struct case_message *m)
{
    for (size_t i = 0; i < m->n; i++) auth_header_add(h, slice_of(m->fields[i].p, m->fields[i].n));
}

void ours_body(struct auth_body *b, const struct case_message *m)
{
    struct slice body = slice_of(m->body.p, m->body.n);
    for (size_t at = 0; at < body.n; at += CASE_PIECE) auth_body_push(b, slice_sub(body, at, at + CASE_PIECE));
    auth_body_end(b);
}

/* ---- DNS */

static void answer(void *arg, struct lookup *l)
{
    static const struct auth_dns_answer none = { .status = AUTH_DNS_NXDOMAIN };
    struct ours *o = arg;
    const char *type = l->type == AUTH_DNS_TXT ? "TXT" : l->type == AUTH_DNS_A ? "A" : "?";
    const struct case_record *r = case_find(&o->w, type, l->name, strlen(l->name));
    lookup_answer(l, r ? &o->answers[r - o->w.zone] : &none);
}

static void cancel(void *arg, struct lookup *l) { abort(); } /* nothing is ever open */

static void make_answers(struct ours *o)
{
    for (size_t i = 0; i < o->w.zone_n; i++) {
        const struct case_record *r = &o->w.zone[i];
        o->answers[i] = (struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 1, .texts = &o->texts[i], .ips = &o->ips[i] };
        if (*r->type == 'T') {
            o->texts[i] = slice_str(r->value);
            o->answers[i].ips = NULL;
        } else {
            case_must(ip_parse(slice_str(r->value), &o->ips[i]), "an address");
            o->answers[i].texts = NULL;
        }
    }
    o->calls = (struct lookups_calls){ .start = answer, .cancel = cancel, .arg = o };
}

/* ---- the parts */

static struct spf_input spf_input(const struct ours *o, enum spf_identity identity)
{
    struct spf_input in = { .helo = slice_str(o->w.helo), .sender = slice_str(o->w.sender), .identity = identity,
                            .receiver = SLICE("mx.receiver.example"), .now = o->now };
    case_must(ip_parse(slice_str(o->w.ip), &in.ip), "the client");
    return in;
}

static void spf(void *arg)
{
    struct ours *o = arg;
    struct lookups *set = lookups_new(&o->calls);
    struct auth_dns dns = lookups_dns(set);
    struct spf_input in = spf_input(o, SPF_MAILFROM);
    case_must(spf_check(&in, &dns, &o->arena, &o->spf) && o->spf.result == SPF_PASS, "spf");
    lookups_free(&set);
    arena_reset(&o->arena);
}

static void dmarc(void *arg)
{
    struct ours *o = arg;
    struct lookups *set = lookups_new(&o->calls);
    struct auth_dns dns = lookups_dns(set);
    struct dmarc_input in = { .header = &o->header, .spf = &o->spf, .dkim = &o->dkim, .psl = o->psl };
    struct dmarc out;
    case_must(dmarc_check(&in, &dns, &o->arena, &out) && out.result == DMARC_PASS, "dmarc");
    lookups_free(&set);
    arena_reset(&o->arena);
}

enum { DO_SPF = 1, DO_DKIM = 2, DO_ARC = 4, DO_DMARC = 8, KNOWN = 16 };

/* As src/policy/check_spf.c and message_auth.c. */
static void verify(struct ours *o, unsigned what)
{
    struct auth_header header = { .arena = &o->arena };
    struct lookups *early = what & DO_SPF ? lookups_new(&o->calls) : NULL, *set;
    struct spf sender = { 0 }, helo = { 0 };
    struct dkim dkim = { 0 };
    struct arc arc = { 0 };
    struct dmarc policy = { 0 }, nothing;
    if (what & DO_SPF) {
        struct auth_dns dns = lookups_dns(early);
        struct spf_input in = spf_input(o, SPF_MAILFROM);
        case_must(spf_check(&in, &dns, &o->arena, &sender) && sender.result == SPF_PASS, "spf");
        in.identity = SPF_HELO;
        case_must(spf_check(&in, &dns, &o->arena, &helo) && helo.result == SPF_PASS, "spf of EHLO");
        lookups_free(&early);
    }
    struct auth_body *body = auth_body_new();
    ours_header(&header, o->m);
    set = lookups_new(&o->calls);
    struct auth_dns dns = lookups_dns(set);
    struct dkim_keys *fresh = what & KNOWN ? NULL : dkim_keys_new(64); /* no message was there before */
    struct dkim_options options = { .now = o->now, .keys = fresh ? fresh : o->keys };
    struct dkim_verifier *d = what & DO_DKIM ? dkim_verify_begin(&options, &header, body, &o->arena) : NULL;
    struct arc_verifier *a = what & DO_ARC ? arc_verify_begin(&options, &header, body, &o->arena) : NULL;
    struct dmarc_input in = { .header = &header, .psl = o->psl };
    if (d) dkim_verify_ask(d, &dns);
    if (a) arc_verify_ask(a, &dns);
    if (what & DO_DMARC) dmarc_check(&in, &dns, &o->arena, &nothing);
    ours_body(body, o->m);
    if (d) case_must(dkim_verify(d, &dns, &dkim) && dkim.result == DKIM_PASS, "dkim");
    if (a) case_must(arc_verify(a, &dns, &arc) && arc.result == ARC_PASS && arc.n == 1, "arc");
    if (what & DO_DMARC) {
        struct buf out = { 0 };
        in.spf = &sender;
        in.dkim = &dkim;
        case_must(dmarc_check(&in, &dns, &o->arena, &policy) && policy.result == DMARC_PASS, "dmarc");
        struct auth_results r = { .authserv_id = SLICE("mx.receiver.example"), .spf_helo = &helo, .spf_mailfrom = &sender,
            .helo = slice_str(o->w.helo), .sender = slice_str(o->w.sender), .dkim = &dkim, .dmarc = &policy, .arc = a ? &arc : NULL };
        auth_results_format(&r, &out);
        case_must(out.n > 100, "Authentication-Results");
        buf_deinit(&out);
    }
    dkim_verify_deinit(d);
    arc_verify_deinit(a);
    dkim_keys_free(&fresh);
    lookups_free(&set);
    auth_body_free(&body);
    arena_reset(&o->arena);
}

static void dkim(void *arg) { verify(arg, DO_DKIM); }
static void arc(void *arg) { verify(arg, DO_ARC); }
static void message(void *arg) { verify(arg, DO_SPF | DO_DKIM | DO_DMARC); }
static void message_arc(void *arg) { verify(arg, DO_SPF | DO_DKIM | DO_DMARC | DO_ARC); }
static void message_known(void *arg) { verify(arg, DO_SPF | DO_DKIM | DO_DMARC | KNOWN); }
static void message_arc_known(void *arg) { verify(arg, DO_SPF | DO_DKIM | DO_DMARC | DO_ARC | KNOWN); }

static const struct {
    const char *name;
    void (*once)(void *arg);
    bool arc;
} measurements[] = { { "spf", spf, false }, { "dkim", dkim, false }, { "dmarc", dmarc, false }, { "arc", arc, true },
    { "message", message, false }, { "message-arc", message_arc, true },
    { "message-known", message_known, false }, { "message-arc-known", message_arc_known, true } };

int main(int argc, char **argv)
{
    static struct ours o;
    static struct dkim_signature passed = { .result = DKIM_PASS, .domain = { "example.com", 11 }, .reason = "" };
    static struct arena kept;
    case_must(argc == 4, "usage: ours WORLD WHAT HOW_LONG");
    case_load(&o.w, argv[1]);
    if (ours_sign(&o.w, argv[2], argv[3])) return 0;
    make_answers(&o);
    o.now = (uint64_t)time(NULL) * 1000;
    o.keys = dkim_keys_new(64);
    o.psl = public_suffix_psl(public_suffix_load());
    o.header.arena = &kept;
    ours_header(&o.header, &o.w.plain);
    o.spf = (struct spf){ .result = SPF_PASS, .domain = SLICE("bounces.example.com") };
    o.dkim = (struct dkim){ .result = DKIM_PASS, .signatures = &passed, .n = 1 };
    for (size_t i = 0; i < sizeof measurements / sizeof *measurements; i++) {
        if (strcmp(measurements[i].name, argv[2]) != 0) continue;
        o.m = measurements[i].arc ? &o.w.arc : &o.w.plain;
        case_measure("postern", argv[2], argv[3], measurements[i].once, &o);
        return 0;
    }
    case_must(false, "no such measurement");
}
