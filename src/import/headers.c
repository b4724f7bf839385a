/* SPDX-License-Identifier: Apache-2.0
 * header_checks: ours are in the same form. What one line says that ours cannot is left out, the rest becomes a file of its own. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/config.h"
#include "content/rules.h"
#include "import/parts.h"

/* Would it be taken? Alone, as ifs are counted elsewhere. */
static bool is_fine(struct import *im, struct slice line, struct err *err)
{
    struct config_header_check check = { .line = import_str(im, line) };
    struct config config = { .header_checks = &check, .header_check_n = 1, .scan.timeout = 1000 };
    struct config_place place;
    return rules_check(&config, NULL, &place, err);
}

static void add_file(struct import *im, struct slice path, const struct import_from *from)
{
    struct import_text *t = import_open(im, import_str(im, path), from);
    struct slice line;
    struct import_from at;
    struct buf out = { 0 };
    struct err err = { .text = "" };
    size_t open = 0, n = 0;
    while (t && import_next(im, t, &line, &at)) {
        bool begins = slice_istarts(line, SLICE("if ")) || slice_istarts(line, SLICE("if\t")) || slice_istarts(line, SLICE("if!")) || slice_istarts(line, SLICE("if/")),
             ends = slice_istarts(line, SLICE("endif"));
        open += begins;
        if (ends && open) open--;
        else if (!begins && !is_fine(im, line, &err)) {
            left_out(im, &at, "see the manual's page on header checks", "%s", err.text);
            continue;
        }
        buf_add(&out, line);
        buf_add_char(&out, '\n');
        n += !begins && !ends;
        if (!im->beside && !open && !begins && !ends) import_put(im, PUT_HEADER_CHECKS, &at, "%s", import_scalar(im, line));
        else if (!im->beside) left_out(im, &at, "write them by hand, or import with -o FILE", "lines with if and endif need a file of their own");
    }
    struct slice base = path;
    for (size_t i = path.n; i-- > 0 && path.p[i] != '/';) base = slice_sub(path, i, path.n);
    const char *name = n && !open ? import_keep(im, "lists", base, buf_slice(&out), false) : NULL;
    if (name) {
        import_put(im, PUT_HEADER_CHECKS, from, "{file: %s}", import_scalar(im, slice_str(name)));
        im->taken += n - 1;
    } else if (n && open) left_out(im, from, "add endif", "an if without endif in %s", import_show(im, path));
    buf_deinit(&out);
}

static void add_maps(struct import *im, const char *param)
{
    struct import_from from;
    struct slice list = import_get(im, param, &from), word, type;
    while (import_word(&list, &word)) {
        struct slice path = word;
        bool has = slice_cut(&path, ':', &type);
        if (has && (slice_eq(type, SLICE("pcre")) || slice_eq(type, SLICE("regexp")))) add_file(im, path, &from);
        else left_out(im, &from, "write expressions", "header checks are expressions: %s", import_show(im, word));
    }
}

static void leave_out(struct import *im, const char *param, const char *why)
{
    struct import_from from, at;
    struct slice list = import_get(im, param, &from), word, type, line;
    while (import_word(&list, &word)) {
        struct slice path = word;
        struct import_text *t = slice_cut(&path, ':', &type) ? import_open(im, import_str(im, path), &from) : NULL;
        while (t && import_next(im, t, &line, &at)) left_out(im, &at, "see the manual's page on rules", "%s", why);
    }
}

void import_headers(struct import *im)
{
    add_maps(im, "header_checks");
    add_maps(im, "mime_header_checks");
    add_maps(im, "nested_header_checks");
    leave_out(im, "body_checks", "single lines of the text are not looked at");
    leave_out(im, "smtp_header_checks", "header checks are made when mail comes in, not when it goes out");
}
