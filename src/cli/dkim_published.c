/* SPDX-License-Identifier: Apache-2.0
 * Is the key's record published, and is it that of the key? */
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

static void compare(const struct auth_dns_answer *a, const struct dkim_named_key *k, struct dkim_finding *f)
{
    struct buf text = { 0 };
    dkim_key_record(k->key, false, &text);
    f->state = dkim_published_is(a->texts, a->n, buf_slice(&text), &f->reason, &f->hint) ? DKIM_PUBLISHED : DKIM_DIFFERS;
    buf_deinit(&text);
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
