/* SPDX-License-Identifier: Apache-2.0
 * Where DMARC records are: one name, or the walk up the tree that tells organisations apart (RFC 9989 §4.10). */
#include "mailauth/dmarc_record.h"

#define NAME_MAX_N 253

bool dmarc_within(struct slice domain, struct slice above)
{
    if (slice_eq(domain, above)) return true;
    if (!above.n || domain.n <= above.n + 1 || domain.p[domain.n - above.n - 1] != '.') return false;
    return slice_eq(slice_sub(domain, domain.n - above.n, domain.n), above);
}

void dmarc_look(const struct auth_dns *dns, struct slice domain, bool tree, struct dmarc_node *out)
{
    static const char prefix[] = "_dmarc.";
    char name[NAME_MAX_N];
    size_t prefix_n = sizeof prefix - 1;
    *out = (struct dmarc_node){ .found = DMARC_FOUND_NONE, .domain = domain };
    if (!domain.n || prefix_n + domain.n > sizeof name) return; /* no such name can be published */
    memcpy(name, prefix, prefix_n);
    memcpy(name + prefix_n, domain.p, domain.n);
    const struct auth_dns_answer *a = dns->get(dns->arg, AUTH_DNS_TXT, slice_of(name, prefix_n + domain.n), NULL);
    if (!a) out->found = DMARC_FOUND_WAIT;
    if (a && a->status == AUTH_DNS_TEMPFAIL) out->found = DMARC_FOUND_TEMPFAIL;
    if (!a || a->status != AUTH_DNS_OK) return;
    for (size_t i = 0; i < a->n; i++) { /* RFC 7489 §6.6.3 steps 2 and 4, RFC 9989 §4.10 steps 2 and 6 */
        if (!dmarc_record_is(a->texts[i])) continue;
        if (out->found == DMARC_FOUND) {
            out->found = DMARC_FOUND_SEVERAL;
            return;
        }
        out->found = DMARC_FOUND;
        out->text = a->texts[i];
    }
    if (out->found == DMARC_FOUND) dmarc_record_parse(out->text, tree, &out->record);
}

static size_t count_labels(struct slice domain)
{
    size_t n = 1;
    for (size_t i = 0; i < domain.n; i++) n += domain.p[i] == '.';
    return n;
}

/* The last n labels. */
static struct slice last_labels(struct slice domain, size_t n)
{
    size_t i = domain.n;
    while (i && !(domain.p[i - 1] == '.' && --n == 0)) i--;
    return slice_sub(domain, i, domain.n);
}

/* RFC 9989 §4.10.2. Where a look-up failed it might have been the one that decides. */
static void choose(struct dmarc_walk *w)
{
    struct slice domain = w->nodes[0].domain;
    if (w->temp) return;
    for (size_t i = 0; i < w->n; i++) {
        const struct dmarc_node *node = &w->nodes[i];
        if (node->found != DMARC_FOUND) continue;
        w->organisation = node->domain; /* unless one with fewer labels follows */
        if (node->record.psd == 'n') return;
        if (node->record.psd == 'y' && i > 0) { /* then it is the name one label below */
            w->psd = node;
            w->organisation = last_labels(domain, count_labels(node->domain) + 1);
        }
    }
    if (!w->organisation.n) w->organisation = domain;
}

bool dmarc_walk(const struct auth_dns *dns, struct slice domain, struct dmarc_walk *out)
{
    bool complete = true;
    size_t labels = count_labels(domain);
    struct slice at = domain;
    *out = (struct dmarc_walk){ .n = 0 };
    while (labels && out->n < DMARC_WALK_MAX) {
        struct dmarc_node *node = &out->nodes[out->n++];
        dmarc_look(dns, at, true, node); /* all at once: of names of the usual length that is two or three questions */
        if (node->found == DMARC_FOUND_WAIT) complete = false;
        if (node->found == DMARC_FOUND_TEMPFAIL) out->temp = true;
        if (node->found == DMARC_FOUND && node->record.psd != 'u') break; /* §4.10 steps 2 and 6 */
        labels = labels < 8 ? labels - 1 : 7; /* §4.10 step 4: never more than eight questions */
        at = last_labels(domain, labels);
    }
    if (complete) choose(out);
    return complete;
}
