/* SPDX-License-Identifier: Apache-2.0
 * Is the key's record published, and is it that of the key? */
#include <openssl/evp.h>
#include <stdio.h>
#include "base/mem.h"
#include "cli/dkim.h"

struct question {
    char name[640];
    const struct auth_dns_answer *answer;
};

static bool look_up(void *arg, const struct auth_dns *dns)
{
    struct question *q = arg;
    q->answer = dns->get(dns->arg, AUTH_DNS_TXT, slice_str(q->name), NULL);
    return q->answer != NULL;
}

static void ask(struct auth_world *w, struct question *q, const char *selector, const char *domain, const char *behind)
{
    int n = snprintf(q->name, sizeof q->name, "%s._domainkey.%s%s%s", selector, domain, *behind ? "." : "", behind);
    static const struct auth_dns_answer none = { .status = AUTH_DNS_NXDOMAIN };
    q->answer = &none;
    if (n > 0 && n <= 253) auth_world_run(w, look_up, q);
}

/* Differs, with the reason and what to do. */
static void differs(struct dkim_finding *f, const char *reason, const char *hint)
{
    f->state = DKIM_DIFFERS;
    buf_add_str(&f->reason, reason);
    buf_add_str(&f->hint, hint);
}

static void compare_records(const struct dkim_record *theirs, const struct dkim_record *ours, struct dkim_finding *f)
{
    static const char again[] = "publish the value that `postern dkim show` prints";
    if (theirs->revoked) differs(f, "the published key is revoked: its p= is empty", "publish the key, or take another selector");
    else if (theirs->type != ours->type) differs(f, "the published key is of another type", again);
    else if (EVP_PKEY_eq(theirs->key, ours->key) != 1) differs(f, "another key is published under this selector", again);
    else if (!theirs->sha256) differs(f, "its h= does not allow sha256", "remove h= from the record");
    else if (!theirs->email) differs(f, "its s= does not allow email", "remove s= from the record");
    else if (theirs->testing) buf_add_str(&f->hint, "t=y in the record tells receivers that this is a test: remove it when all is well");
}

static void compare(const struct auth_dns_answer *a, const struct dkim_named_key *k, struct dkim_finding *f)
{
    struct arena arena = { 0 };
    struct buf text = { 0 };
    struct dkim_record theirs = { 0 }, ours = { 0 };
    dkim_key_record(k->key, false, &text);
    const char *bug = dkim_record_parse(buf_slice(&text), &arena, &ours);
    const char *wrong = bug ? bug : dkim_record_parse(a->texts[0], &arena, &theirs);
    f->state = DKIM_PUBLISHED;
    if (a->n > 1) /* RFC 6376 §3.6.2.2: which of them counts is not defined */
        differs(f, "several TXT records are published where one must be", "remove all but one");
    else if (wrong) {
        f->state = DKIM_DIFFERS;
        buf_addf(&f->reason, "the published record cannot be read: %s", wrong);
        buf_add_str(&f->hint, "publish the value that `postern dkim show` prints, its strings joined without blanks");
    } else
        compare_records(&theirs, &ours, f);
    if (f->state == DKIM_PUBLISHED) buf_add_str(&f->reason, "published, and it matches the key");
    dkim_record_deinit(&theirs);
    dkim_record_deinit(&ours);
    buf_deinit(&text);
    arena_deinit(&arena);
}

void dkim_published_check(struct auth_world *w, const char *domain, const struct dkim_named_key *k, struct dkim_finding *out)
{
    struct question q = { 0 };
    *out = (struct dkim_finding){ 0 };
    ask(w, &q, k->selector, domain, "");
    if (q.answer->status == AUTH_DNS_OK) {
        compare(q.answer, k, out);
        return;
    }
    if (q.answer->status == AUTH_DNS_TEMPFAIL) {
        out->state = DKIM_UNANSWERED;
        buf_addf(&out->reason, "no answer for %s", q.name);
        buf_add_str(&out->hint, "the domain's name servers, or the resolver, do not answer: try again, or name another with --dns");
        return;
    }
    out->state = DKIM_MISSING;
    buf_addf(&out->reason, "there is no TXT record at %s", q.name);
    ask(w, &q, k->selector, domain, domain); /* a common slip */
    if (q.answer->status == AUTH_DNS_OK)
        buf_addf(&out->hint, "it is at %s: the zone's name was added to the host once more, so leave %s out of it, or end it in a dot",
                 q.name, domain);
    else
        buf_add_str(&out->hint,
                    "publish it (`postern dkim show` prints it); one just published may be seen only when an older answer has expired");
}

void dkim_finding_deinit(struct dkim_finding *f)
{
    buf_deinit(&f->reason);
    buf_deinit(&f->hint);
}

const char *dkim_published_name(enum dkim_published p)
{
    static const char *const names[] = { "published", "differs", "missing", "unanswered" };
    return names[p];
}
