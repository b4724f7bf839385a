/* SPDX-License-Identifier: Apache-2.0
 * Is a template right? Whoever writes one learns what is wrong from `postern check`, not from the mail that it becomes. */
#include <stdio.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "notice/kinds.h"

#define PHRASES_MAX 64

struct checking {
    const struct kind *kind;
    const char *file;
    unsigned line;
    bool seen[PHRASES_MAX];
    struct err *err;
};

#define fault(c, ...) __extension__({ char why_[250]; snprintf(why_, sizeof why_, __VA_ARGS__); \
    err_set((c)->err, "%.120s:%u: %s", (c)->file, (c)->line, why_); })

static void quote(struct slice s, char out[64])
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, 30);
    snprintf(out, 64, "%.60s", b.n ? buf_cstr(&b) : "");
    buf_deinit(&b);
}

static bool text_ok(struct checking *c, struct slice line)
{
    uint32_t code = 0;
    for (size_t i = 0, n; i < line.n; i += n) {
        n = utf8_char(slice_sub(line, i, line.n), &code);
        if (!n) return fault(c, "byte %zu of the line is not UTF-8", i + 1);
        if (code == '\t') return fault(c, "a tab: write blanks");
        if (code < 0x20 || code == 0x7F || utf8_is_control(code)) return fault(c, "a control character (U+%04X)", (unsigned)code);
    }
    return true;
}

/* where: that the others are missed in; "": all of it. */
static bool placeholders_ok(struct checking *c, struct slice line, const char *known, const char *where)
{
    struct piece p;
    while (template_piece(&line, &p)) {
        char name[64];
        if (p.fault) return fault(c, "%s", p.fault);
        if (!p.is_name || placeholder_in(known, p.text)) continue;
        quote(p.text, name);
        return *known ? fault(c, "{%s} is not known here; %sthere are: %s", name, where, known) : fault(c, "{%s} is not known here: this text has no values", name);
    }
    return true;
}

static bool phrase_ok(struct checking *c, struct slice line)
{
    struct slice value = line, name;
    char shown[64];
    quote(line, shown);
    if (!slice_cut(&value, ':', &name))
        return fault(c, "\"%s\" is no \"name: text\"; the text of the message begins after an empty line", shown);
    quote(name, shown);
    for (size_t i = 0; i < c->kind->phrase_n; i++) {
        const struct phrase_kind *p = &c->kind->phrases[i];
        if (!slice_eq(name, slice_str(p->name))) continue;
        if (c->seen[i]) return fault(c, "\"%s\" is there already", shown);
        c->seen[i] = true;
        return slice_trim(value).n ? placeholders_ok(c, value, p->placeholders, strcmp(p->name, "Subject") != 0 ? "" : "in a Subject line ") : fault(c, "\"%s\" has no text", shown);
    }
    return fault(c, "\"%s\" is nothing that %s.txt has%s", shown, c->kind->name, template_kinds[TEMPLATE_FAILED].phrases == c->kind->phrases ? ": only Subject" : "");
}

/* Up to the empty line. */
static bool phrases_ok(struct checking *c, struct slice *rest)
{
    struct slice line;
    while (template_line(rest, &line)) {
        c->line++;
        if (!text_ok(c, line)) return false;
        if (!slice_trim(line).n) return line.n ? fault(c, "a line of blanks: make it empty") : true;
        if (line.p[0] != '#' && !phrase_ok(c, line)) return false;
    }
    return true;
}

bool template_check(enum template_kind k, struct slice text, const char *file, struct err *err)
{
    const struct kind *kind = &template_kinds[k];
    struct checking c = { .kind = kind, .file = file, .err = err };
    struct slice line;
    bool body = false;
    if (text.n > TEMPLATE_MAX) return err_set(err, "%.200s: larger than %d bytes", file, TEMPLATE_MAX);
    if (!phrases_ok(&c, &text)) return false;
    if (template_is_mail(k) && !c.seen[0]) {
        c.line = 1;
        return fault(&c, "there is no \"Subject: ...\" before the first empty line");
    }
    while (template_line(&text, &line)) {
        c.line++;
        if (!text_ok(&c, line)) return false;
        if (!slice_trim(line).n) continue;
        if (!kind->body) return fault(&c, "%s.txt has only lines \"name: text\", without an empty line between them", kind->name);
        if (!placeholders_ok(&c, line, kind->body, "")) return false;
        body = true;
    }
    return body || !kind->body || fault(&c, "there is no text after the first empty line");
}
