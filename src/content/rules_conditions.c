/* SPDX-License-Identifier: Apache-2.0
 * Conditions of rules: all that are given must hold. */
#include <fnmatch.h>
#include "base/mem.h"
#include "content/rules_int.h"
#include "smtp/address.h"

#define NAME_MAX_N 1000      /* longer names fit no pattern */

/* ---- lists */

static bool client_is(const struct scan_context *c, const struct list_match *l)
{
    struct list_found found = { 0 };
    if (c->client.family) list_find_ip(l, &c->client, &found);
    if (!found.kind && c->client_name.n) list_find_host(l, c->client_name, &found);
    return found.kind != LIST_NONE;
}

static bool address_is(const struct scan_context *c, struct slice address, bool sender, const struct list_match *l)
{
    struct list_found found = { 0 };
    struct slice local = address;
    char domain[256] = "";
    const char *at = address.n ? memrchr(address.p, '@', address.n) : NULL;
    if (at) local = slice_of(address.p, (size_t)(at - address.p));
    if (at && !address_domain_ascii(slice_of(at + 1, address.n - local.n - 1), domain)) return false;
    if (sender) list_find_sender(l, local, slice_str(domain), slice_eq(c->spf, SLICE("pass")), &found);
    else list_find_address(l, local, slice_str(domain), &found);
    return found.kind != LIST_NONE;
}

static bool a_recipient_is(const struct scan_context *c, const struct list_match *l)
{
    for (uint32_t i = 0; i < c->rcpt_n; i++)
        if (address_is(c, c->rcpts[i], false, l)) return true;
    return false;
}

static bool zone_is(const struct scan_context *c, const struct config_rule *r)
{
    for (size_t i = 0; i < r->when.zone_n; i++)
        if (slice_eq(c->zone, slice_str(r->when.zones[i]))) return true;
    return !r->when.zone_n;
}

/* ---- results */

static bool result_is(struct slice word, uint32_t wanted)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } words[] = {
        { "none", CONFIG_RESULT_NONE }, { "neutral", CONFIG_RESULT_NEUTRAL },     { "pass", CONFIG_RESULT_PASS },
        { "fail", CONFIG_RESULT_FAIL }, { "softfail", CONFIG_RESULT_SOFTFAIL },   { "temperror", CONFIG_RESULT_TEMPERROR },
        { "policy", CONFIG_RESULT_POLICY }, { "permerror", CONFIG_RESULT_PERMERROR },
    };
    for (size_t i = 0; i < countof(words); i++)
        if (slice_eq(word, slice_str(words[i].word))) return wanted & words[i].bit;
    return !wanted;
}

/* ---- the header */

static bool a_field_is(struct rules_run *run, const struct rule *rule)
{
    const struct content_message *m = run->message;
    const struct config_rule *c = rule->config;
    for (size_t i = 0; i < c->when.header_n; i++)
        for (size_t k = 0; k < m->field_n; k++)
            if (slice_ieq(m->fields[k].name, slice_str(c->when.headers[i].name)) && rules_match(run, &rule->headers[i], m->fields[k].value))
                return true;
    return !c->when.header_n;
}

/* ---- attachments */

static bool fits(const char *pattern, struct slice s)
{
    char text[NAME_MAX_N + 1];
    if (s.n > NAME_MAX_N) return false;
    if (s.n) memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return fnmatch(pattern, text, FNM_CASEFOLD | FNM_NOESCAPE) == 0;
}

static bool is_kind(const struct content_part *p, uint32_t kinds)
{
    static const struct {
        uint32_t kind;
        unsigned finding;
    } all[] = {
        { CONFIG_KIND_EXECUTABLE, CONTENT_EXECUTABLE }, { CONFIG_KIND_SCRIPT, CONTENT_SCRIPT },
        { CONFIG_KIND_ARCHIVE, CONTENT_ARCHIVE },       { CONFIG_KIND_DOCUMENT, CONTENT_DOCUMENT },
        { CONFIG_KIND_MACRO, CONTENT_MACRO | CONTENT_MACRO_AUTO }, { CONFIG_KIND_ENCRYPTED, CONTENT_ENCRYPTED },
        { CONFIG_KIND_IMAGE, CONTENT_IMAGE },           { CONFIG_KIND_AUDIO, CONTENT_AUDIO },
        { CONFIG_KIND_VIDEO, CONTENT_VIDEO },           { CONFIG_KIND_MESSAGE, CONTENT_MESSAGE },
    };
    for (size_t i = 0; i < countof(all); i++)
        if ((kinds & all[i].kind) && (p->findings & all[i].finding)) return true;
    return (!kinds || (kinds & CONFIG_KIND_ANY)) && p->is_file;
}

static bool has_name(const struct content_part *p, const char *pattern)
{
    for (size_t i = 0; i < p->name_n; i++)
        if (fits(pattern, p->names[i])) return true;
    return false;
}

static bool attachment_is(const struct content_part *p, const struct config_rule *c)
{
    for (size_t i = 0; i < c->when.attachment_n; i++) {
        const struct config_rule_attachment *a = &c->when.attachments[i];
        if (is_kind(p, a->kinds) && (!a->name || has_name(p, a->name)) && (!a->type || (p->type.n && fits(a->type, p->type))) &&
            (!a->larger || p->size > a->larger))
            return true;
    }
    return !c->when.attachment_n && p->is_file;
}

static bool is_told(const struct content_part *p, const struct report_part *r)
{
    return p->is_file == r->is_file && p->is_mime == r->is_mime && p->depth == r->depth && p->size == r->size && p->findings == r->findings &&
           (!p->is_mime || (p->at == r->at && p->n == r->n)) && p->type.p == r->type.p && (p->name_n ? p->names[0].p : NULL) == (r->name.n ? r->name.p : NULL);
}

/* Numbers in the report of all parts: they stand in the same order there, and some may be left out. */
static uint32_t *told_as(struct rules_run *run)
{
    const struct content_message *m = run->message;
    const struct report *r = run->report;
    uint32_t *numbers = arena_alloc(run->arena, m->part_n * sizeof *numbers);
    size_t k = 0;
    for (size_t i = 0; i < m->part_n; i++) {
        bool told = k < r->part_n && (m->part_n - i == r->part_n - k || is_told(&m->parts[i], &r->parts[k]));
        numbers[i] = told ? (uint32_t)k++ : UINT32_MAX;
    }
    return numbers;
}

/* A part that is not in the report goes with what it is in. */
static void add_part(const struct rules_run *run, const uint32_t *numbers, size_t part, struct rule_parts *out)
{
    const struct content_message *m = run->message;
    while (numbers[part] == UINT32_MAX && part && m->parts[part].parent < part) part = m->parts[part].parent;
    if (!part && numbers[part] == UINT32_MAX) out->lost = true;
    else if (!out->n || out->numbers[out->n - 1] != numbers[part]) out->numbers[out->n++] = numbers[part];
}

static bool attachments_are(struct rules_run *run, const struct config_rule *c, struct rule_parts *out)
{
    const struct content_message *m = run->message;
    const uint32_t *numbers = NULL;
    bool any = false;
    for (size_t i = 0; i < m->part_n; i++) {
        if (!attachment_is(&m->parts[i], c)) continue;
        any = true;
        if (!numbers) {
            numbers = told_as(run);
            out->numbers = arena_alloc(run->arena, m->part_n * sizeof *out->numbers);
        }
        add_part(run, numbers, i, out);
    }
    return any || !c->when.attachment_n;
}

bool rule_holds(struct rules_run *run, const struct rule *rule, struct rule_parts *parts)
{
    const struct config_rule *c = rule->config;
    const struct scan_context *x = run->context;
    const struct report *r = run->report;
    const uint64_t size = run->message->bytes.n;
    *parts = (struct rule_parts){ 0 };
    if (c->when.directions && !(c->when.directions & x->direction)) return false;
    if ((c->when.larger && size <= c->when.larger) || (c->when.smaller && size >= c->when.smaller)) return false;
    if ((c->when.virus && !r->virus_n) || (c->when.spam && !(r->judged && (c->when.spam & r->class)))) return false;
    if ((c->when.spf && !result_is(x->spf, c->when.spf)) || (c->when.dkim && !result_is(x->dkim, c->when.dkim))) return false;
    if ((c->when.dmarc && !result_is(x->dmarc, c->when.dmarc)) || (c->when.arc && !result_is(x->arc, c->when.arc))) return false;
    if (!zone_is(x, c) || (rule->clients && !client_is(x, rule->clients))) return false;
    if (rule->senders && !address_is(x, x->sender, true, rule->senders)) return false;
    if (rule->recipients && !a_recipient_is(x, rule->recipients)) return false;
    return a_field_is(run, rule) && attachments_are(run, c, parts);
}
