/* SPDX-License-Identifier: Apache-2.0
 * Our Authentication-Results field (RFC 8601 §2.2, §2.7): what was found out, method by method. */
#include "mailauth/results.h"
#include "mailauth/results_write.h"

#define SIGNATURES_SHOWN 20
#define B_MIN 8                  /* RFC 6008 §3 */
#define B_MAX 64

static struct results_line begin(struct buf *out, const char *method, const char *result)
{
    struct results_line l = { out, 1 };
    struct buf b = { 0 };
    buf_add_str(out, ";\r\n\t");
    buf_addf(&b, "%s=%s", method, result);
    results_word(&l, buf_slice(&b));
    buf_deinit(&b);
    return l;
}

/* ---- SPF (RFC 8601 §2.7.2) */

static void add_spf(const struct spf *spf, struct slice helo, struct slice sender, bool mailfrom, struct buf *out)
{
    struct results_line l = begin(out, "spf", spf_result_name(spf->result));
    results_comment(&l, spf->reason);
    if (mailfrom && sender.n)
        results_address(&l, "smtp.mailfrom", sender);
    else
        results_address(&l, "smtp.helo", helo); /* of a null sender too (RFC 7208 §2.4) */
}

/* ---- DKIM (RFC 8601 §2.7.1) */

/* So much of the signature that no other of the message begins with it (RFC 6008 §3). */
static struct slice shown_b(const struct dkim *dkim, size_t of)
{
    struct slice b = dkim->signatures[of].b;
    size_t n = B_MIN;
    for (size_t i = 0; i < dkim->n && i < SIGNATURES_SHOWN; i++) {
        struct slice other = dkim->signatures[i].b;
        if (i == of || slice_eq(b, other)) continue;
        while (n < b.n && n < B_MAX && slice_eq(slice_sub(b, 0, n), slice_sub(other, 0, n))) n++;
    }
    return slice_sub(b, 0, n);
}

static void add_signature(const struct dkim *dkim, size_t i, struct buf *out)
{
    const struct dkim_signature *s = &dkim->signatures[i];
    struct results_line l = begin(out, "dkim", dkim_result_name(s->result));
    struct buf comment = { 0 };
    if (s->bits) buf_addf(&comment, "%u-bit key, ", s->bits);
    if (s->testing) buf_add_str(&comment, "test mode, ");
    buf_add_str(&comment, s->reason ? s->reason : "");
    results_comment(&l, buf_slice(&comment));
    buf_deinit(&comment);
    results_property(&l, "header.d", s->domain);
    if (s->identity.n) results_address(&l, "header.i", s->identity);
    results_property(&l, "header.s", s->selector);
    results_property(&l, "header.a", s->algorithm);
    results_property(&l, "header.b", shown_b(dkim, i));
}

static void add_dkim(const struct dkim *dkim, struct buf *out)
{
    if (!dkim->n) begin(out, "dkim", dkim_result_name(dkim->result));
    for (size_t i = 0; i < dkim->n && i < SIGNATURES_SHOWN; i++) add_signature(dkim, i, out);
}

/* ---- DMARC (RFC 7489 §11.1, RFC 9989 §9.1) */

static void add_dmarc(const struct dmarc *d, const char *override, struct buf *out)
{
    struct results_line l = begin(out, "dmarc", dmarc_result_name(d->result));
    struct buf comment = { 0 };
    buf_add_printable(&comment, d->reason, 120);
    if (d->result == DMARC_FAIL)
        buf_addf(&comment, "%spolicy %s", comment.n ? ", " : "", dmarc_policy_name(d->published));
    if (d->sampled_out) buf_add_str(&comment, d->testing ? ", under test" : ", spared by its sampling rate");
    results_comment(&l, buf_slice(&comment));
    buf_deinit(&comment);
    results_comment(&l, slice_str(override));
    results_property(&l, "header.from", d->author);
    enum dmarc_policy policy = d->result == DMARC_FAIL ? d->asked : d->published;
    if (d->result == DMARC_PASS || d->result == DMARC_FAIL)
        results_property(&l, "policy.dmarc", slice_str(dmarc_policy_name(policy)));
}

/* ---- ARC (RFC 8617 §4.1.1, §10.1) */

static void add_arc(const struct arc *arc, const struct ip *client, struct buf *out)
{
    struct results_line l = begin(out, "arc", arc_result_name(arc->result));
    struct buf b = { 0 };
    if (arc->n) buf_addf(&b, "%zu set%s, ", arc->n, arc->n == 1 ? "" : "s");
    buf_add_str(&b, arc->reason ? arc->reason : "");
    results_comment(&l, buf_slice(&b));
    buf_clear(&b);
    if (client->family) {
        ip_add(&b, client);
        results_property(&l, "smtp.remote-ip", buf_slice(&b));
        buf_clear(&b);
    }
    if (arc->result == ARC_PASS) {
        buf_add_u64(&b, arc->oldest_pass);
        results_property(&l, "header.oldest-pass", buf_slice(&b));
    }
    buf_deinit(&b);
}

void auth_results_format(const struct auth_results *r, struct buf *out)
{
    size_t before;
    results_value(out, slice_sub(r->authserv_id, 0, 255));
    before = out->n;
    /* Of a null sender both identities are the same, and one result says it. */
    if (r->spf_helo && !(r->spf_mailfrom && !r->sender.n)) add_spf(r->spf_helo, r->helo, r->sender, false, out);
    if (r->spf_mailfrom) add_spf(r->spf_mailfrom, r->helo, r->sender, true, out);
    if (r->dkim) add_dkim(r->dkim, out);
    if (r->dmarc) add_dmarc(r->dmarc, r->dmarc_override, out);
    if (r->arc) add_arc(r->arc, &r->client, out);
    if (out->n == before) buf_add_str(out, "; none"); /* no-result of §2.2 */
}
