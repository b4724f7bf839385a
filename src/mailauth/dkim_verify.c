/* SPDX-License-Identifier: Apache-2.0
 * All signatures of a message (RFC 6376 §6.1). */
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define SIGNATURES_MAX 8
#define TOLD_MAX 20 /* those below them are not even read */

struct dkim_verifier {
    struct dkim_options o;
    const struct auth_header *header;
    struct auth_body *body;
    struct arena *arena;
    struct dkim_parts *list; /* the topmost first */
    size_t n;
    struct buf scratch;
};

static const struct slice field_name = { "DKIM-Signature", 14 };

static void begin_one(struct dkim_verifier *v, const struct auth_field *f)
{
    size_t most = v->o.signatures_max ? v->o.signatures_max : SIGNATURES_MAX;
    struct dkim_parts *p = &v->list[v->n++];
    if (!dkim_parts_read(DKIM_SIGNATURE_FIELD, f, &v->o, v->arena, p)) return;
    if (v->header->overflow) dkim_parts_set(p, DKIM_PERMERROR, "the header is too large to be judged");
    else if (v->n > most) /* RFC 6376 §6.1, §8.4 */
        dkim_parts_set(p, DKIM_POLICY, "there are more signatures than are judged");
    else dkim_parts_want(p, v->body);
}

struct dkim_verifier *dkim_verify_begin(const struct dkim_options *o, const struct auth_header *header,
                                        struct auth_body *body, struct arena *arena)
{
    struct dkim_verifier *v = arena_alloc(arena, sizeof *v);
    *v = (struct dkim_verifier){ .o = *o, .header = header, .body = body, .arena = arena };
    size_t n = auth_header_count(header, field_name);
    if (!n) return v;
    if (n > TOLD_MAX) n = TOLD_MAX;
    v->list = arena_alloc(arena, n * sizeof *v->list);
    uint32_t hash = auth_name_hash(field_name);
    for (size_t i = 0; i < header->n && v->n < n; i++)
        if (header->fields[i].hash == hash && slice_ieq(header->fields[i].name, field_name))
            begin_one(v, &header->fields[i]);
    return v;
}

void dkim_verify_ask(struct dkim_verifier *v, const struct auth_dns *dns)
{
    for (size_t i = 0; i < v->n; i++)
        if (!v->list[i].s.reason) dns->get(dns->arg, AUTH_DNS_TXT, v->list[i].query, NULL);
}

/* False: its key is not known yet. */
static bool verify_one(struct dkim_verifier *v, struct dkim_parts *p, const struct auth_dns *dns)
{
    uint8_t digest[AUTH_DIGEST_N];
    if (p->s.reason || !dkim_parts_body(p, v->body)) return true;
    const struct auth_dns_answer *a = dns->get(dns->arg, AUTH_DNS_TXT, p->query, NULL);
    if (!a) return false;
    dkim_parts_digest(p, v->header, v->body, &v->scratch, digest);
    dkim_parts_judge(p, &v->o, a, digest, v->arena);
    return true;
}

static enum dkim_result best(enum dkim_result a, enum dkim_result b)
{
    static const int says[] = { [DKIM_NONE] = 0, [DKIM_NEUTRAL] = 1, [DKIM_PERMERROR] = 2, [DKIM_TEMPERROR] = 3,
                                [DKIM_FAIL] = 4, [DKIM_POLICY] = 5,  [DKIM_PASS] = 6 };
    return says[b] > says[a] ? b : a;
}

bool dkim_verify(struct dkim_verifier *v, const struct auth_dns *dns, struct dkim *out)
{
    bool known = true;
    *out = (struct dkim){ .result = DKIM_NONE };
    for (size_t i = 0; i < v->n; i++) known = verify_one(v, &v->list[i], dns) && known; /* all are asked for at once */
    if (!known) return false;
    if (!v->n) return true;
    out->signatures = arena_alloc(v->arena, v->n * sizeof *out->signatures);
    for (size_t i = 0; i < v->n; i++) {
        out->signatures[i] = v->list[i].s;
        out->result = best(out->result, v->list[i].s.result);
    }
    out->n = v->n;
    return true;
}

void dkim_verify_deinit(struct dkim_verifier *v)
{
    if (v) buf_deinit(&v->scratch);
}
