/* SPDX-License-Identifier: Apache-2.0
 * What the files of src/notice share: which lines and values a template has, and how one is read. */
#ifndef POSTERN_NOTICE_KINDS_H
#define POSTERN_NOTICE_KINDS_H
#include "notice/template.h"

struct phrase_kind {
    const char *name;
    const char *placeholders;    /* separated by blanks */
};
struct kind {
    const char *name;
    const struct phrase_kind *phrases;
    size_t phrase_n;
    const char *body;            /* placeholders; NULL: it has no body */
};
extern const struct kind template_kinds[TEMPLATE_KINDS];
bool placeholder_in(const char *list, struct slice name);

/* Takes the next line off, without its end. False: there is none. */
bool template_line(struct slice *rest, struct slice *line);
/* The next piece of a line: text up to a placeholder, or one. False: the line is over. fault: of a brace that makes no sense; NULL: none. */
struct piece {
    struct slice text;           /* or the name in braces */
    bool is_name;
    const char *fault;
};
bool template_piece(struct slice *line, struct piece *out);
/* What stands behind "name:" before the empty line. False: nothing does. */
bool template_find_phrase(struct slice text, const char *name, struct slice *out);
struct slice template_body(struct slice text); /* behind the empty line */
struct slice template_builtin(enum template_language l, enum template_kind k);
/* False: *err names the line, as "file:line: ..". */
bool template_check(enum template_kind k, struct slice text, const char *file, struct err *err) MUST_CHECK;

#endif
