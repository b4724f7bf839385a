/* SPDX-License-Identifier: Apache-2.0
 * DKIM (RFC 6376): which domains take responsibility for the message? Nothing is refused for it: a broken signature is as good as none. */
#include "policy/checks.h"
#include "policy/message_auth_parts.h"

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.dkim.enabled; }

/* "example.com pass (sel, rsa 2048), other.example fail (body hash did not verify)" */
static const char *describe(struct check_call *c, const struct dkim *d)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < d->n && b.n < 240; i++) {
        const struct dkim_signature *s = &d->signatures[i];
        buf_addf(&b, "%s%s %s (", i ? ", " : "", s->domain.n ? check_show(c, s->domain) : "nobody", dkim_result_name(s->result));
        if (s->result != DKIM_PASS) buf_addf(&b, "%s)", s->reason);
        else if (slice_istarts(s->algorithm, SLICE("ed25519"))) buf_addf(&b, "%s, ed25519)", check_show(c, s->selector));
        else buf_addf(&b, "%s, rsa %u)", check_show(c, s->selector), s->bits);
    }
    const char *text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static void go(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    struct auth_dns dns = auth_lookups_keys(m->lookups);
    struct dkim found;
    while (!dkim_verify(m->dkim_verifier, &dns, &found)) {
        if (!auth_lookups_open(m->lookups)) continue;
        auth_lookups_wait(m->lookups, c, go);
        return;
    }
    struct dkim *kept = arena_alloc(check_arena(c), sizeof *kept);
    *kept = found;
    m->dkim = kept;
    if (!found.n) check_skip(c, "no signature");
    else if (found.result == DKIM_PASS) check_pass(c, "%s", describe(c, kept));
    else check_skip(c, "%s", describe(c, kept));
}

static void run(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    if (!m || !m->dkim_verifier) {
        check_skip(c, "there is no message to look at");
        return;
    }
    auth_lookups_limit(m->lookups);
    go(c);
}

static void cancel(struct check_call *c) { auth_lookups_forget(c->run->text->lookups, c); }

const struct check check_dkim = { .name = "dkim", .stage = STAGE_CONTENT, .step = 0, .whom = FOR_STRANGERS, .wanted = wanted,
                                  .run = run, .cancel = cancel };
