/* SPDX-License-Identifier: Apache-2.0
 * DMARC: the authors of a message, the policy of each, and whether SPF or DKIM speak for it (RFC 7489 §6.6, RFC 9989
 * §5.3). */
#include <libpsl.h>
#include "base/mem.h"
#include "mailauth/dmarc_record.h"
#include "message/mailbox.h"
#include "smtp/address.h"

#define AUTHORS_MAX 10
#define RECORD_SHOWN 2048

/* ---- the authors */

struct authors {
    struct arena *arena;
    struct slice domains[AUTHORS_MAX];
    size_t n;
    const char *wrong;           /* something cannot be judged; those that can are */
};

static void note_wrong(struct authors *a, const char *wrong)
{
    if (!a->wrong) a->wrong = wrong;
}

/* RFC 7489 §6.6.1, RFC 9989 §5.3.1: A-labels. */
static bool add_author(void *arg, struct slice address)
{
    struct authors *a = arg;
    char ascii[256];
    size_t at = address.n;
    while (at && address.p[at - 1] != '@') at--;
    if (!address_domain_ascii(slice_sub(address, at, address.n), ascii)) {
        note_wrong(a, "an address in From has no domain that DMARC could be asked for");
        return true;
    }
    for (size_t i = 0; i < a->n; i++)
        if (slice_eq(a->domains[i], slice_str(ascii))) return true;
    if (a->n == AUTHORS_MAX) {
        note_wrong(a, "From has too many domains");
        return false;
    }
    a->domains[a->n++] = arena_slice(a->arena, slice_str(ascii));
    return true;
}

static void read_authors(const struct auth_header *h, struct authors *a)
{
    size_t fields = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (!slice_ieq(h->fields[i].name, SLICE("From"))) continue;
        if (fields++) note_wrong(a, "there is more than one From field"); /* RFC 5322 §3.6 */
        if (mailbox_each(h->fields[i].value, add_author, a) == MAILBOX_MALFORMED) note_wrong(a, "From is malformed");
    }
    if (h->overflow) note_wrong(a, "the header is too large to be judged"); /* it may hold another From */
    if (!fields) note_wrong(a, "there is no From field");
    if (!a->n) note_wrong(a, "From names nobody");
}

/* ---- the policy of one author */

struct judged {
    const struct dmarc_input *in;
    const struct auth_dns *dns;
    struct arena *arena;
    struct dmarc *out;           /* author and organisation are set; the latter is empty where it is not known */
    struct dmarc_record record;
};

static struct slice printable(struct arena *arena, struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, RECORD_SHOWN);
    struct slice out = arena_slice(arena, buf_slice(&b));
    buf_deinit(&b);
    return out;
}

static void set_reason(struct judged *j, enum dmarc_result result, const char *reason)
{
    j->out->result = result;
    j->out->reason = slice_str(reason);
}

struct slice dmarc_organisation(const struct psl_ctx_st *psl, struct slice domain)
{
    char name[256];
    if (!domain.n || domain.n >= sizeof name) return domain;
    memcpy(name, domain.p, domain.n);
    name[domain.n] = 0;
    const char *own = psl_registrable_domain(psl, name); /* NULL: a public suffix itself */
    return own ? slice_sub(domain, (size_t)(own - name), domain.n) : domain;
}

/* RFC 7489 §6.6.3: the author's domain, then its organisation. Of the organisation is asked at once, to have both
 * answers after one. */
static bool find_by_list(struct judged *j, struct dmarc_node *node)
{
    struct dmarc *out = j->out;
    struct dmarc_node above = { .found = DMARC_FOUND_NONE };
    out->organisation = dmarc_organisation(j->in->psl, out->author);
    dmarc_look(j->dns, out->author, false, node);
    if (node->found != DMARC_FOUND && !slice_eq(out->organisation, out->author))
        dmarc_look(j->dns, out->organisation, false, &above);
    if (node->found == DMARC_FOUND_NONE) *node = above; /* step 3; of several there step 5 says: no DMARC */
    return node->found != DMARC_FOUND_WAIT;
}

/* RFC 9989 §4.10.1: the author's domain, its organisation, its public suffix. */
static bool find_by_tree(struct judged *j, struct dmarc_node *node)
{
    struct dmarc_walk walk;
    if (!dmarc_walk(j->dns, j->out->author, &walk)) return false;
    j->out->organisation = walk.organisation;
    *node = walk.nodes[0];
    if (node->found == DMARC_FOUND) return true;
    if (walk.temp) {
        node->found = DMARC_FOUND_TEMPFAIL;
        return true;
    }
    if (walk.psd) *node = *walk.psd;
    for (size_t i = 1; i < walk.n; i++) {
        const struct dmarc_node *above = &walk.nodes[i];
        if (above->found == DMARC_FOUND && slice_eq(above->domain, walk.organisation)) *node = *above;
    }
    return true;
}

/* Finds the record, or says in out what there is instead. */
static bool find_record(struct judged *j, bool *found)
{
    struct dmarc *out = j->out;
    struct dmarc_node node = { .found = DMARC_FOUND_NONE };
    *found = false;
    if (!(j->in->psl ? find_by_list(j, &node) : find_by_tree(j, &node))) return false;
    switch (node.found) {
    case DMARC_FOUND_TEMPFAIL: set_reason(j, DMARC_TEMPERROR, "the look-up of the policy failed"); return true;
    case DMARC_FOUND_SEVERAL: set_reason(j, DMARC_NONE, "there are several policies at one name"); return true;
    case DMARC_FOUND_NONE: set_reason(j, DMARC_NONE, "there is no policy"); return true;
    case DMARC_FOUND: break;
    case DMARC_FOUND_WAIT: return false;
    }
    out->record_domain = node.domain;
    out->record = printable(j->arena, node.text);
    j->record = node.record;
    *found = node.record.usable;
    if (!*found) set_reason(j, DMARC_NONE, "the policy is malformed");
    out->reports = printable(j->arena, node.record.rua);
    out->pct = node.record.pct;
    out->testing = node.record.testing;
    return true;
}

/* ---- does the author's domain exist? Only np= wants to know. */

enum existence { EXISTS, EXISTS_NOT, EXISTS_UNKNOWN, EXISTS_WAIT };

/* RFC 9989 §3.2.13: it does not where the answer is NXDOMAIN. RFC 9091 §2.7: where there is no A, no AAAA and no MX. */
static enum existence author_exists(const struct judged *j)
{
    static const enum auth_dns_type types[] = { AUTH_DNS_A, AUTH_DNS_AAAA, AUTH_DNS_MX };
    const struct auth_dns_answer *answers[countof(types)];
    size_t n = j->in->psl ? countof(types) : 1;
    enum existence e = EXISTS_NOT;
    for (size_t i = 0; i < n; i++) answers[i] = j->dns->get(j->dns->arg, types[i], j->out->author, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct auth_dns_answer *a = answers[i];
        if (a && (a->status == AUTH_DNS_OK || (a->status == AUTH_DNS_NODATA && n == 1))) return EXISTS;
        if (!a) e = EXISTS_WAIT;
        if (a && a->status == AUTH_DNS_NXDOMAIN && e != EXISTS_WAIT) return EXISTS_NOT; /* of all types (RFC 8020) */
        if (a && a->status == AUTH_DNS_TEMPFAIL && e == EXISTS_NOT) e = EXISTS_UNKNOWN;
    }
    return e;
}

/* p=, sp= or np= (RFC 7489 §6.3; RFC 9989 §4.10.1). */
static bool choose_policy(struct judged *j)
{
    const struct dmarc_record *r = &j->record;
    struct dmarc *out = j->out;
    bool own = slice_eq(out->record_domain, out->author);
    out->published = own ? r->p : r->sp;
    if (own || r->np == r->sp) return true;
    switch (author_exists(j)) {
    case EXISTS: return true;
    case EXISTS_NOT: out->published = r->np; return true;
    case EXISTS_UNKNOWN: out->published = r->np < r->sp ? r->np : r->sp; return true; /* in doubt what asks for less */
    case EXISTS_WAIT: break;
    }
    return false;
}

/* ---- alignment */

enum aligned { ALIGNED_NOT, ALIGNED, ALIGNED_UNKNOWN, ALIGNED_WAIT };

/* RFC 7489 §3.1, RFC 9989 §4.10.2. */
static enum aligned is_aligned(const struct judged *j, struct slice domain, bool strict)
{
    const struct dmarc *out = j->out;
    struct dmarc_walk walk;
    if (!domain.n) return ALIGNED_NOT;
    if (slice_eq(domain, out->author)) return ALIGNED;
    if (strict) return ALIGNED_NOT;
    if (j->in->psl) return slice_eq(dmarc_organisation(j->in->psl, domain), out->organisation) ? ALIGNED : ALIGNED_NOT;
    if (!out->organisation.n) return ALIGNED_UNKNOWN;
    if (!dmarc_within(domain, out->organisation)) return ALIGNED_NOT; /* then its own walk cannot end there */
    if (!dmarc_walk(j->dns, domain, &walk)) return ALIGNED_WAIT;
    if (!walk.organisation.n) return ALIGNED_UNKNOWN;
    return slice_eq(walk.organisation, out->organisation) ? ALIGNED : ALIGNED_NOT;
}

struct alignment {
    bool wait;
    bool temp;                   /* what failed or could not be compared might have been an aligned pass */
    struct slice spf_other, dkim_other; /* passed, but are somebody else */
};

/* One identifier. `temperror`: it did not pass, but might have. */
static void align(const struct judged *j, struct slice domain, bool strict, bool temperror, struct alignment *a,
                  bool *aligned, struct slice *other)
{
    switch (is_aligned(j, domain, strict)) {
    case ALIGNED:
        if (temperror)
            a->temp = true;
        else
            *aligned = true;
        break;
    case ALIGNED_UNKNOWN: a->temp = true; break;
    case ALIGNED_WAIT: a->wait = true; break;
    case ALIGNED_NOT:
        if (!temperror) *other = domain;
        break;
    }
}

static void align_all(struct judged *j, struct alignment *a)
{
    const struct spf *spf = j->in->spf;
    const struct dkim *dkim = j->in->dkim;
    if (spf && (spf->result == SPF_PASS || spf->result == SPF_TEMPERROR))
        align(j, spf->domain, j->record.aspf_strict, spf->result == SPF_TEMPERROR, a, &j->out->spf_aligned,
              &a->spf_other);
    for (size_t i = 0; dkim && i < dkim->n; i++) { /* d=, not i= (RFC 7489 §3.1.1) */
        const struct dkim_signature *s = &dkim->signatures[i];
        if (s->result == DKIM_PASS || s->result == DKIM_TEMPERROR)
            align(j, s->domain, j->record.adkim_strict, s->result == DKIM_TEMPERROR, a, &j->out->dkim_aligned,
                  &a->dkim_other);
    }
}

/* ---- the result of one author */

static void set_pass(struct judged *j)
{
    const struct dmarc *out = j->out;
    set_reason(j, DMARC_PASS, out->spf_aligned && out->dkim_aligned ? "SPF and DKIM are aligned"
                              : out->spf_aligned                   ? "SPF is aligned"
                                                                    : "DKIM is aligned");
}

static void set_fail(struct judged *j, const struct alignment *a)
{
    struct dmarc *out = j->out;
    struct buf b = { 0 };
    out->result = DMARC_FAIL;
    out->asked = out->published;
    /* RFC 7489 §6.6.4: the others get the next weaker policy; RFC 9989 §4.7 has the same for t=y. */
    if (out->asked != DMARC_ASK_NONE && (out->testing || j->in->sample >= out->pct)) {
        out->asked = out->asked == DMARC_ASK_REJECT ? DMARC_ASK_QUARANTINE : DMARC_ASK_NONE;
        out->sampled_out = true;
    }
    if (a->spf_other.n) {
        buf_add_str(&b, "SPF passed for ");
        buf_add_printable(&b, a->spf_other, 255);
    }
    if (a->dkim_other.n) {
        buf_add_str(&b, b.n ? " and DKIM for " : "DKIM passed for ");
        buf_add_printable(&b, a->dkim_other, 255);
    }
    buf_add_str(&b, b.n ? ", which is not aligned" : "neither SPF nor DKIM passed");
    out->reason = arena_slice(j->arena, buf_slice(&b));
    buf_deinit(&b);
}

static bool judge(const struct dmarc_input *in, const struct auth_dns *dns, struct arena *arena, struct slice author,
                  struct dmarc *out)
{
    struct judged j = { .in = in, .dns = dns, .arena = arena, .out = out };
    struct alignment a = { 0 };
    bool found;
    *out = (struct dmarc){ .author = author, .pct = 100 };
    if (!find_record(&j, &found)) return false;
    if (!found) return true;
    bool chosen = choose_policy(&j);
    align_all(&j, &a);
    if (a.wait || !chosen) return false;
    if (out->spf_aligned || out->dkim_aligned) {
        set_pass(&j);
    } else if (a.temp) { /* RFC 7489 §6.6.2, RFC 9989 §5.3.6: no policy can be applied */
        set_reason(&j, DMARC_TEMPERROR, "what might have been aligned failed for the time being");
    } else {
        set_fail(&j, &a);
    }
    return true;
}

/* ---- all of them */

/* Who wants to get round a policy adds authors that cannot be judged: what is asked for comes first. */
static int severity(const struct dmarc *d)
{
    switch (d->result) {
    case DMARC_FAIL: return d->asked == DMARC_ASK_REJECT ? 6 : d->asked == DMARC_ASK_QUARANTINE ? 5 : 2;
    case DMARC_PERMERROR: return 4;
    case DMARC_TEMPERROR: return 3;
    case DMARC_NONE: return 1;
    case DMARC_PASS: break;
    }
    return 0;
}

bool dmarc_check(const struct dmarc_input *in, const struct auth_dns *dns, struct arena *arena, struct dmarc *out)
{
    struct authors authors = { .arena = arena };
    bool complete = true;
    read_authors(in->header, &authors);
    *out = (struct dmarc){ .result = DMARC_PERMERROR, .pct = 100 };
    for (size_t i = 0; i < authors.n; i++) { /* RFC 7489 §6.6.1: the strictest of the policies that fail */
        struct dmarc one;
        if (!judge(in, dns, arena, authors.domains[i], &one)) {
            complete = false;
            continue;
        }
        if (i == 0 || severity(&one) > severity(out)) *out = one;
    }
    if (authors.wrong && severity(out) <= 4)
        *out = (struct dmarc){ .result = DMARC_PERMERROR, .pct = 100, .reason = slice_str(authors.wrong),
                               .author = authors.n ? out->author : SLICE("") };
    return complete;
}
