/* SPDX-License-Identifier: Apache-2.0
 * ARC (RFC 8617): does the chain of those who handled the message before hold? What a trusted one of them saw may excuse a failure
 * of DMARC (check_dmarc.c). */
#include "policy/checks.h"
#include "policy/message_auth_parts.h"

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.arc.enabled; }

static void tell(struct check_call *c, const struct arc *a)
{
    if (!a->n && a->result == ARC_NONE) check_skip(c, "no chain");
    else if (a->result == ARC_PASS)
        check_pass(c, "pass, %zu set%s, the newest sealed by %s", a->n, a->n == 1 ? "" : "s", check_show(c, a->sets[a->n - 1].seal_domain));
    else check_skip(c, "%s (%s)", arc_result_name(a->result), a->reason);
}

static void go(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    struct auth_dns dns = auth_lookups_keys(m->lookups);
    struct arc found;
    while (!arc_verify(m->arc_verifier, &dns, &found)) {
        if (!auth_lookups_open(m->lookups)) continue;
        auth_lookups_wait(m->lookups, c, go);
        return;
    }
    struct arc *kept = arena_alloc(check_arena(c), sizeof *kept);
    *kept = found;
    m->arc = kept;
    tell(c, kept);
}

static void run(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    if (!m || !m->arc_verifier) {
        check_skip(c, "there is no message to look at");
        return;
    }
    auth_lookups_limit(m->lookups);
    go(c);
}

static void cancel(struct check_call *c) { auth_lookups_forget(c->run->text->lookups, c); }

const struct check check_arc = { .name = "arc", .stage = STAGE_CONTENT, .step = 0, .whom = FOR_STRANGERS, .wanted = wanted,
                                 .run = run, .cancel = cancel };
