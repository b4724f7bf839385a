/* SPDX-License-Identifier: Apache-2.0
 * The sets of a chain (RFC 8617 §4). */
#include "mailauth/arc_parts.h"

/* Blanks, folds and comments (RFC 5322 §3.2.2). */
static void skip_cfws(struct slice *s)
{
    size_t i = 0, depth = 0;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '(') depth++;
        else if (c == ')' && depth) depth--;
        else if (c == '\\' && depth) i++;
        else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n') break;
    }
    *s = slice_sub(*s, i, s->n);
}

static bool take(struct slice *s, char c)
{
    skip_cfws(s);
    if (!s->n || s->p[0] != c) return false;
    *s = slice_sub(*s, 1, s->n);
    return true;
}

/* §4.2.1: 1 to 50. */
static size_t to_instance(struct slice s)
{
    uint64_t i;
    return s.n <= 2 && slice_to_u64(s, ARC_SETS_MAX, &i) ? (size_t)i : 0;
}

/* §4.1.1: "i=N;" in front of the results. 0: it is not there. */
static size_t read_results(struct slice value, struct slice *payload)
{
    size_t n = 0;
    if (!take(&value, 'i') || !take(&value, '=')) return 0;
    skip_cfws(&value);
    while (n < value.n && value.p[n] >= '0' && value.p[n] <= '9') n++;
    size_t instance = to_instance(slice_sub(value, 0, n));
    value = slice_sub(value, n, value.n);
    if (!take(&value, ';')) return 0;
    *payload = slice_trim(value);
    return instance;
}

static size_t read_tagged(struct slice value)
{
    struct tags t;
    return tags_parse(value, &t) ? 0 : to_instance(tags_get(&t, "i"));
}

static void keep(struct arc_chain *c, const struct auth_field *f, size_t instance, size_t member)
{
    if (!instance) {
        c->wrong = "a field has no instance (i=) from 1 to 50";
        return;
    }
    struct arc_fields *set = &c->sets[instance - 1];
    const struct auth_field **at[] = { &set->results, &set->message, &set->seal };
    if (*at[member]) c->wrong = "an instance is there twice";
    *at[member] = f;
    if (instance > c->n) c->n = instance;
}

void arc_chain_read(const struct auth_header *header, struct arc_chain *out)
{
    *out = (struct arc_chain){ .n = 0 };
    for (size_t i = 0; i < header->n; i++) {
        const struct auth_field *f = &header->fields[i];
        struct slice payload = SLICE("");
        if (f->name.n < 8 || !slice_istarts(f->name, SLICE("ARC-"))) continue;
        if (slice_ieq(f->name, SLICE("ARC-Authentication-Results"))) {
            size_t instance = read_results(f->value, &payload);
            keep(out, f, instance, 0);
            if (instance) out->sets[instance - 1].payload = payload;
        } else if (slice_ieq(f->name, SLICE("ARC-Message-Signature"))) {
            keep(out, f, read_tagged(f->value), 1);
        } else if (slice_ieq(f->name, SLICE("ARC-Seal"))) {
            keep(out, f, read_tagged(f->value), 2);
        }
    }
    for (size_t i = 0; i < out->n && !out->wrong; i++) /* §5.2 step 3 */
        if (!out->sets[i].results || !out->sets[i].message || !out->sets[i].seal) out->wrong = "a set is not complete";
}

void arc_chain_scope(const struct arc_chain *c, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n && i < c->n; i++) {
        auth_canon_field(AUTH_RELAXED, c->sets[i].results->raw, out);
        auth_canon_field(AUTH_RELAXED, c->sets[i].message->raw, out);
        if (i + 1 < n) auth_canon_field(AUTH_RELAXED, c->sets[i].seal->raw, out);
    }
}
