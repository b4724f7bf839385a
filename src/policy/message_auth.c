/* SPDX-License-Identifier: Apache-2.0
 * The text of a message on its way to the checks that judge it: fields are kept, the body is hashed, and look-ups begin with the end of
 * the header. */
#include "policy/message_auth.h"
#include <stdlib.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/public_suffix.h"
#include "policy/message_auth_parts.h"

static const struct config_checks *options(const struct policy_run *run) { return &run->engine->o.config->checks; }

/* ---- life */

static void text_free(struct message_auth **mp)
{
    struct message_auth *m = *mp;
    *mp = NULL;
    dkim_verify_deinit(m->dkim_verifier);
    arc_verify_deinit(m->arc_verifier);
    auth_body_free(&m->body);
    auth_lookups_free(&m->lookups);
    free(m);
}

/* A stranger: neither a user, nor from a zone that may relay, nor at a port for users. */
static bool is_verified(const struct policy_run *run)
{
    const struct config_checks *k = options(run);
    return !run->facts.trusted && !run->facts.client.submission &&
           (k->spf.enabled || k->dkim.enabled || k->arc.enabled || k->dmarc.enabled);
}

static bool is_signed(const struct policy_run *run)
{
    const struct config *c = run->engine->o.config;
    return run->facts.trusted ? c->dkim.key_n > 0 : c->arc.seal && is_verified(run);
}

bool policy_text_begin(struct policy_run *run)
{
    const struct config_checks *k = options(run);
    bool verified = is_verified(run), is_to_sign = is_signed(run);
    if (run->text) run->text_free(&run->text);
    if (!verified && !is_to_sign) return false;
    struct message_auth *m = mem_new(struct message_auth);
    m->run = run;
    m->verified = verified;
    m->kept = is_to_sign || k->dkim.enabled || k->arc.enabled || k->dmarc.enabled;
    m->header.arena = &run->arenas[SCOPE_TRANSACTION];
    if (is_to_sign || k->dkim.enabled || k->arc.enabled) m->body = auth_body_new();
    run->text = m;
    run->text_free = text_free;
    return true;
}

/* ---- the text */

void policy_text_field(struct policy_run *run, struct slice raw, bool truncated)
{
    struct message_auth *m = run->text;
    if (!m->kept) return;
    auth_header_add(&m->header, raw);
    m->header.overflow |= truncated;
}

struct dmarc_input message_auth_input(const struct message_auth *m)
{
    struct dmarc_input in = { .header = &m->header, .sample = m->sample };
    if (options(m->run)->dmarc.organization == CONFIG_ORGANIZATION_LIST) in.psl = public_suffix_psl(run_policy(m->run)->lists.suffixes);
    return in;
}

/* The record of the policy is asked for while the body is coming. What comes of it, with nothing proved, is nobody's business. */
static void ask_for_policy(struct message_auth *m, const struct auth_dns *dns)
{
    struct dmarc nothing;
    struct dmarc_input in = message_auth_input(m);
    dmarc_check(&in, dns, m->header.arena, &nothing);
}

static unsigned throw_dice(void)
{
    uint32_t v;
    if (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v) v = (uint32_t)clock_mono_us();
    return v % 100;
}

void policy_text_header_end(struct policy_run *run, bool malformed)
{
    struct message_auth *m = run->text;
    const struct config_checks *k = options(run);
    m->header.overflow |= malformed;
    if (!m->verified || !m->kept) return;
    struct dkim_options o = { .now = clock_wall_ms(), .trust_length = k->dkim.trust_length,
                              .keys = run->engine->parts.dkim_keys };
    m->lookups = auth_lookups_new(&run->engine->o);
    m->sample = throw_dice();
    struct auth_dns dns = auth_lookups_dns(m->lookups);
    if (k->dkim.enabled) m->dkim_verifier = dkim_verify_begin(&o, &m->header, m->body, m->header.arena);
    if (k->arc.enabled) m->arc_verifier = arc_verify_begin(&o, &m->header, m->body, m->header.arena);
    if (m->dkim_verifier) dkim_verify_ask(m->dkim_verifier, &dns);
    if (m->arc_verifier) arc_verify_ask(m->arc_verifier, &dns);
    if (k->dmarc.enabled) ask_for_policy(m, &dns);
}

void policy_text_body(struct policy_run *run, struct slice text)
{
    if (run->text->body) auth_body_push(run->text->body, text);
}

void policy_text_end(struct policy_run *run)
{
    if (run->text->body) auth_body_end(run->text->body);
}

/* ---- Authentication-Results (RFC 8601) */

/* §5. One that was cut in reading may be anything. */
bool policy_text_is_forged(const struct policy_run *run, struct slice name, struct slice value, bool truncated)
{
    return run->text->verified && slice_ieq(name, SLICE("Authentication-Results")) &&
           (truncated || auth_results_is_from(value, slice_str(run->engine->o.config->hostname)));
}

static struct auth_results results_of(const struct policy_run *run)
{
    const struct message_auth *m = run->text;
    const struct check_facts *f = &run->facts;
    return (struct auth_results){
        .authserv_id = slice_str(run->engine->o.config->hostname), .client = f->client.ip, .spf_helo = f->spf_helo,
        .spf_mailfrom = f->spf, .helo = f->helo, .sender = f->sender, .dkim = m->dkim, .dmarc = m->dmarc, .arc = m->arc,
        .dmarc_override = m->dmarc_override,
    };
}

void policy_text_result_value(const struct policy_run *run, struct buf *out)
{
    if (!run->text || !run->text->verified) return;
    struct auth_results r = results_of(run);
    auth_results_format(&r, out);
}

void policy_text_results(const struct policy_run *run, struct buf *out)
{
    if (!run->text || !run->text->verified) return;
    buf_add_str(out, "Authentication-Results: ");
    policy_text_result_value(run, out);
    buf_add_str(out, "\r\n");
}

/* ---- for signing */

bool policy_text_is_verified(const struct policy_run *run) { return run->text->verified; }

const struct auth_header *policy_text_header(const struct policy_run *run)
{
    return run->text && run->text->kept ? &run->text->header : NULL;
}

struct auth_body *policy_text_hashes(struct policy_run *run) { return run->text ? run->text->body : NULL; }
const struct arc *policy_text_chain(const struct policy_run *run) { return run->text ? run->text->arc : NULL; }

/* ---- the sender */

bool policy_sender_is_forged(const struct policy_run *run)
{
    const struct check_facts *f = &run->facts;
    const struct dmarc *d = run->text ? run->text->dmarc : NULL;
    struct arc_excuse excuse;
    bool his = d && f->sender_domain.n && slice_ieq(d->author, f->sender_domain); /* both as A-labels */
    if (f->trusted || f->client.submission || !f->spf) return false;
    if (f->spf->result == SPF_FAIL) return !(his && d->result == DMARC_PASS); /* forwarded, and signed by its author's domain */
    return his && d->result == DMARC_FAIL && d->published != DMARC_ASK_NONE && f->spf->result != SPF_PASS &&
           !(run->text->arc && arc_excuses(run->engine->o.config, run->text->arc, d, &excuse));
}
