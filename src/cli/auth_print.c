/* SPDX-License-Identifier: Apache-2.0
 * Results in words: the result first, then why. What strangers wrote is made printable. */
#include <stdio.h>
#include "base/buf.h"
#include "cli/auth.h"

#define TEXT_MAX 4096

static void add(struct buf *b, struct slice s) { buf_add_printable(b, s, TEXT_MAX); }

static void print_line(struct buf *b)
{
    puts(buf_cstr(b));
    buf_clear(b);
}

/* "pass example.com: reason" */
static void add_result(struct buf *b, const char *result, struct slice domain, struct slice reason)
{
    buf_add_str(b, result);
    if (domain.n) {
        buf_add_char(b, ' ');
        add(b, domain);
    }
    if (!reason.n) return;
    buf_add_str(b, domain.n ? ": " : " ");
    add(b, reason);
}

void auth_print_spf(const struct spf *r)
{
    struct buf b = { 0 };
    add_result(&b, spf_result_name(r->result), r->domain, r->reason);
    print_line(&b);
    if (r->explanation.n) {
        add(&b, r->explanation);
        print_line(&b);
    }
    buf_deinit(&b);
}

const char *auth_dkim_word(enum dkim_result r) { return dkim_result_name(r == DKIM_POLICY ? DKIM_FAIL : r); }

/* The signature that says why the best result is what it is; NULL: there is none. */
static const struct dkim_signature *best_of(const struct dkim *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->signatures[i].result == r->result) return &r->signatures[i];
    return NULL;
}

static void add_dkim(struct buf *b, const struct dkim *r)
{
    const struct dkim_signature *s = best_of(r);
    add_result(b, auth_dkim_word(r->result), s ? s->domain : (struct slice){ 0 },
               s ? slice_str(s->reason) : SLICE("the message is not signed"));
}

static void add_signature(struct buf *b, const struct dkim_signature *s)
{
    buf_add_str(b, auth_dkim_word(s->result));
    buf_add_str(b, " d=");
    add(b, s->domain);
    buf_add_str(b, " s=");
    add(b, s->selector);
    if (s->identity.n) {
        buf_add_str(b, " i=");
        add(b, s->identity);
    }
    buf_add_str(b, " a=");
    add(b, s->algorithm);
    if (s->bits) buf_addf(b, " (%u bits)", s->bits);
    if (s->length != UINT64_MAX) buf_addf(b, " l=%llu of %llu", (unsigned long long)s->length, (unsigned long long)s->body);
    if (s->testing) buf_add_str(b, " testing");
    buf_add_str(b, ": ");
    add(b, slice_str(s->reason));
}

void auth_print_dkim(const struct dkim *r)
{
    struct buf b = { 0 };
    add_dkim(&b, r);
    print_line(&b);
    for (size_t i = 0; i < r->n; i++) {
        add_signature(&b, &r->signatures[i]);
        print_line(&b);
    }
    buf_deinit(&b);
}

void auth_print_arc(const struct arc *r)
{
    struct buf b = { 0 };
    add_result(&b, arc_result_name(r->result), (struct slice){ 0 }, slice_str(r->reason));
    print_line(&b);
    for (size_t i = r->n; i-- > 0;) {
        const struct arc_set *s = &r->sets[i];
        buf_addf(&b, "i=%zu cv=%s d=", i + 1, arc_result_name(s->seen));
        add(&b, s->seal_domain);
        buf_add_str(&b, " s=");
        add(&b, s->seal_selector);
        buf_add_str(&b, ":");
        if (s->results.n) buf_add_char(&b, ' ');
        struct slice rest = s->results; /* folds in it are one blank here */
        while (rest.n) {
            struct slice line;
            bool more = slice_cut(&rest, '\n', &line);
            add(&b, slice_trim(line));
            if (more) buf_add_char(&b, ' ');
        }
        print_line(&b);
    }
    buf_deinit(&b);
}

void auth_print_dmarc(const struct dmarc *r, const struct spf *spf, const struct dkim *dkim)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s ", dmarc_result_name(r->result));
    add_result(&b, dmarc_policy_name(r->asked), r->author, r->reason);
    print_line(&b);
    if (r->record.n) {
        buf_add_str(&b, "policy at _dmarc.");
        add(&b, r->record_domain);
        buf_add_str(&b, ": ");
        add(&b, r->record);
        print_line(&b);
    }
    buf_addf(&b, "spf %s: ", r->spf_aligned ? "aligned" : "not aligned");
    add_result(&b, spf_result_name(spf->result), spf->domain, spf->reason);
    print_line(&b);
    buf_addf(&b, "dkim %s: ", r->dkim_aligned ? "aligned" : "not aligned");
    add_dkim(&b, dkim);
    print_line(&b);
    buf_deinit(&b);
}
