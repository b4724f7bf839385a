/* SPDX-License-Identifier: Apache-2.0
 * Style sheets within HTML, as far as they hide what has a class or an id: rules with simple selectors (".x", "p.x", "#x"). Those within
 * @media and the like hold for other screens, and are passed over. */
#include "content/message_internal.h"

/* "p.x": x. Of a selector that asks for more than an element and one class or id: empty. */
static struct slice selector_name(struct slice s, char *kind)
{
    s = slice_trim(s);
    size_t i = 0;
    while (i < s.n && s.p[i] != '.' && s.p[i] != '#') i++;
    struct slice element = slice_sub(s, 0, i), name = slice_sub(s, i + 1, s.n);
    for (size_t k = 0; k < s.n; k++)
        if (k != i && strchr(" \t\r\n>:[+~.#", s.p[k])) return SLICE("");
    *kind = i < s.n ? s.p[i] : 0;
    return element.n > 20 ? SLICE("") : name;
}

static void add_rule(struct message_sheet *sheet, struct slice selectors, struct slice css)
{
    struct message_style style = { .background = 0xFFFFFF };
    message_style_apply(&style, css);
    if (!message_style_hides(&style)) return;
    while (selectors.n && sheet->n < MESSAGE_RULES_MAX) {
        struct slice one;
        char kind = 0;
        slice_cut(&selectors, ',', &one);
        struct slice name = selector_name(one, &kind);
        if (name.n) sheet->rules[sheet->n++] = (struct message_rule){ .name = name, .css = css, .kind = kind };
    }
}

/* Behind the brace that closes the block whose first one is at s[0]. */
static size_t block_end(struct slice s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '{') depth++;
        if (s.p[i] == '}' && --depth == 0) return i + 1;
    }
    return s.n;
}

/* Behind blanks, comments and the marks that hide a sheet from old browsers. */
static struct slice skip(struct slice s)
{
    for (;;) {
        while (s.n && (unsigned char)s.p[0] <= ' ') s = slice_sub(s, 1, s.n);
        if (slice_starts(s, SLICE("<!--"))) s = slice_sub(s, 4, s.n);
        else if (slice_starts(s, SLICE("-->"))) s = slice_sub(s, 3, s.n);
        else if (slice_starts(s, SLICE("/*"))) {
            const char *end = memmem(s.p + 2, s.n - 2, "*/", 2);
            s = slice_sub(s, end ? (size_t)(end + 2 - s.p) : s.n, s.n);
        } else
            return s;
    }
}

void message_sheet_add(struct message_sheet *sheet, struct slice css)
{
    for (css = skip(css); css.n && sheet->n < MESSAGE_RULES_MAX; css = skip(css)) {
        ptrdiff_t brace = slice_find(css, '{'), semicolon = css.p[0] == '@' ? slice_find(css, ';') : -1;
        if (semicolon >= 0 && (brace < 0 || semicolon < brace)) { /* "@import ...;" */
            css = slice_sub(css, (size_t)semicolon + 1, css.n);
            continue;
        }
        if (brace < 0) return;
        struct slice block = slice_sub(css, (size_t)brace, css.n);
        size_t n = block_end(block);
        if (css.p[0] != '@') add_rule(sheet, slice_sub(css, 0, (size_t)brace), slice_sub(block, 1, n - 1));
        css = slice_sub(block, n, block.n);
    }
}

void message_sheet_apply(struct message_sheet *sheet, char kind, struct slice names, struct message_style *style)
{
    while (names.n && sheet->n) {
        struct slice name;
        slice_cut(&names, ' ', &name);
        for (size_t i = 0; i < sheet->n; i++) {
            const struct message_rule *r = &sheet->rules[i];
            if (r->kind != kind || !slice_eq(r->name, name) || r->css.n >= sheet->work) continue;
            sheet->work -= r->css.n + 1;
            message_style_apply(style, r->css);
        }
    }
}
