/* SPDX-License-Identifier: Apache-2.0
 * Names of what rules may look at, and the taking of it all from one message. */
#include "spam/facts.h"
#include "base/mem.h"

static const char *const facts[] = {
#define X(id, name, about) name,
    SPAM_FACTS(X)
#undef X
};
static const char *const looks[] = {
#define X(id, name, about) name,
    SPAM_LOOKS(X)
#undef X
};

const char *fact_name(enum fact f)
{
    return facts[f];
}

bool fact_find(struct slice name, enum fact *out)
{
    for (size_t i = 0; i < FACT_COUNT; i++)
        if (slice_eq(slice_str(facts[i]), name)) {
            *out = (enum fact)i;
            return true;
        }
    return false;
}

bool look_find(struct slice name, enum look *out)
{
    for (size_t i = 0; i < LOOK_COUNT; i++)
        if (slice_eq(slice_str(looks[i]), name)) {
            *out = (enum look)i;
            return true;
        }
    return false;
}

enum fact_leg fact_leg(enum fact f)
{
    static const char *const header[] = { "subject.", "to.", "from.", "reply.", "sender.", "msgid.", "date.", "client.", "helo.",
        "greylist.", "reputation", "received", "fields", "trusted", "size" };
    if (f == FACT_DNS_SCORE || f == FACT_LISTED)
        return LEG_DNS;
    for (size_t i = 0; i < countof(header); i++)
        if (slice_starts(slice_str(facts[f]), slice_str(header[i])))
            return LEG_HEADER;
    return LEG_BODY;
}

enum fact_leg look_leg(enum look l)
{
    return l == LOOK_SUBJECT || l >= LOOK_FROM ? LEG_HEADER : LEG_BODY;
}

void facts_set_text(struct facts *f, enum look look, struct slice s, struct arena *arena)
{
    struct slice *v = arena_alloc(arena, sizeof *v);
    *v = s;
    f->texts[look] = (struct fact_texts){ v, s.n > 0 };
}

static void take_words(struct facts *f, const struct content_message *m, struct arena *arena)
{
    struct slice *v = arena_alloc(arena, 2 * sizeof *v);
    size_t n = 0;
    if (m->subject.n)
        v[n++] = m->subject;
    if (m->text.n)
        v[n++] = m->text;
    f->texts[LOOK_WORDS] = (struct fact_texts){ v, n };
}

static void take_fields(struct facts *f, const struct content_message *m, const struct slice *names, size_t n, struct arena *arena)
{
    f->fields = arena_alloc(arena, (n + 1) * sizeof *f->fields);
    f->raw = arena_alloc(arena, (n + 1) * sizeof *f->raw);
    for (size_t i = 0; i < m->field_n; i++)
        for (size_t k = 0; k < n; k++) {
            const struct content_field *field = &m->fields[i];
            if (names[k].n != field->name.n || !slice_ieq(names[k], field->name))
                continue;
            struct fact_texts *t = &f->fields[k], *raw = &f->raw[k];
            if ((t->n & (t->n - 1)) == 0) { /* room for 1, 2, 4 ... */
                struct slice *v = arena_alloc(arena, (t->n ? t->n * 2 : 1) * sizeof *v);
                struct slice *w = arena_alloc(arena, (t->n ? t->n * 2 : 1) * sizeof *w);
                if (t->n) {
                    memcpy(v, t->v, t->n * sizeof *v);
                    memcpy(w, raw->v, t->n * sizeof *w);
                }
                t->v = v;
                raw->v = w;
            }
            t->v[t->n++] = field->value;
            raw->v[raw->n++] = field->raw;
        }
}

static void take_parts(struct facts *f, const struct content_message *m, struct arena *arena)
{
    size_t names = 0, types = 0;
    for (size_t i = 0; i < m->part_n; i++)
        names += m->parts[i].name_n;
    struct slice *name = arena_alloc(arena, (names + 1) * sizeof *name), *type = arena_alloc(arena, (m->part_n + 1) * sizeof *type);
    names = 0;
    bool plain = false, html = false;
    for (size_t i = 0; i < m->part_n; i++) {
        const struct content_part *p = &m->parts[i];
        plain |= p->is_mime && !p->is_file && slice_eq(p->declared, SLICE("text/plain")) && slice_trim(p->data).n > 0;
        html |= p->is_mime && !p->is_file && slice_eq(p->declared, SLICE("text/html"));
        for (size_t k = 0; k < p->name_n; k++)
            name[names++] = p->names[k];
        if (p->is_mime && p->declared.n)
            type[types++] = p->declared;
        f->n[FACT_PARTS] += p->is_mime;
        f->n[FACT_FILES] += p->is_file;
        f->n[FACT_IMAGES] += p->is_mime && slice_starts(p->declared, SLICE("image/"));
        f->n[FACT_EXECUTABLES] += (p->findings & (CONTENT_EXECUTABLE | CONTENT_SCRIPT)) != 0;
        f->n[FACT_ARCHIVES] += (p->findings & CONTENT_ARCHIVE) != 0;
        f->n[FACT_ENCRYPTED] += (p->findings & CONTENT_ENCRYPTED) != 0;
        f->n[FACT_MACROS] += (p->findings & CONTENT_MACRO) != 0;
    }
    f->n[FACT_HTML_ONLY] = html && !plain;
    f->n[FACT_MIME_BROKEN] = (m->findings & CONTENT_MIME_BROKEN) != 0;
    f->texts[LOOK_NAME] = (struct fact_texts){ name, names };
    f->texts[LOOK_TYPE] = (struct fact_texts){ type, types };
}

/* The text parts that are in base64: whether there are any that plain ASCII would have done for. */
static void take_base64(struct facts *f, const struct content_message *m)
{
    for (size_t i = 0; i < m->part_n; i++) {
        const struct content_part *p = &m->parts[i];
        if (!p->is_mime || p->is_file || !slice_starts(p->declared, SLICE("text/")) || !p->data.n)
            continue;
        const struct content_field *fields = p->depth == 0 ? m->fields : p->fields;
        size_t n = p->depth == 0 ? m->field_n : p->field_n, ascii = 0;
        for (size_t k = 0; k < n; k++)
            if (slice_ieq(fields[k].name, SLICE("Content-Transfer-Encoding")) && slice_ieq(fields[k].value, SLICE("base64"))) {
                for (size_t b = 0; b < p->data.n; b++)
                    ascii += (uint8_t)p->data.p[b] < 128;
                f->n[FACT_TEXT_BASE64] += ascii == p->data.n;
                break;
            }
    }
}

static void take_context(struct facts *f, const struct scan_context *c, struct arena *arena)
{
    f->n[FACT_REPUTATION] = -1;
    f->n[FACT_TO_HAS_CLIENT_RCPT] = -1;
    if (!c)
        return;
    f->n[FACT_CLIENT_KNOWN] = c->client.family != 0;
    f->n[FACT_CLIENT_TLS] = c->tls;
    f->n[FACT_GREYLIST_KNOWN] = c->greylist_known;
    f->n[FACT_REPUTATION] = (int32_t)c->reputation; // NOLINT(bugprone-signed-char-misuse,cert-str34-c): -1 means unknown there, too
    f->n[FACT_DNS_SCORE] = c->dns_score;
    f->n[FACT_TRUSTED] = c->trusted;
    facts_set_text(f, LOOK_SENDER, c->sender, arena);
    if (c->spf.n || c->dkim.n || c->dmarc.n || c->arc.n) {
        struct slice spf = c->spf.n ? c->spf : SLICE("none"), dkim = c->dkim.n ? c->dkim : SLICE("none");
        struct slice dmarc = c->dmarc.n ? c->dmarc : SLICE("none"), arc = c->arc.n ? c->arc : SLICE("none");
        facts_set_text(f, LOOK_AUTH, slice_str(arena_printf(arena, "spf=%.*s dkim=%.*s dmarc=%.*s arc=%.*s", SLICE_ARG(spf),
            SLICE_ARG(dkim), SLICE_ARG(dmarc), SLICE_ARG(arc))), arena);
    }
}

void facts_take(struct facts *f, const struct content_message *m, const struct scan_context *c, const struct slice *fields,
                size_t field_n, const struct public_suffix *suffixes, struct arena *arena)
{
    *f = (struct facts){ 0 };
    f->n[FACT_SIZE] = m->bytes.n < INT32_MAX ? (int32_t)m->bytes.n : INT32_MAX;
    f->n[FACT_HIDDEN_BYTES] = (int32_t)m->hidden.n;
    facts_set_text(f, LOOK_SUBJECT, m->subject, arena);
    facts_set_text(f, LOOK_TEXT, m->text, arena);
    take_words(f, m, arena);
    facts_set_text(f, LOOK_HTML, m->html, arena);
    facts_set_text(f, LOOK_HIDDEN, m->hidden, arena);
    take_context(f, c, arena);
    take_fields(f, m, fields, field_n, arena);
    take_parts(f, m, arena);
    take_base64(f, m);
    facts_take_header(f, m, c, suffixes, arena);
    facts_take_client(f, m, c, suffixes, arena);
    facts_take_text(f, m);
    facts_take_html(f, m->html, m->text.n);
    facts_take_links(f, m, arena);
}
