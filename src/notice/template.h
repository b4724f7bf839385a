/* SPDX-License-Identifier: Apache-2.0
 * The texts of mail that the relay writes itself, in four languages. Each is a file: lines "name: text" (of mail first of all "Subject:"), an
 * empty line, the body. {names} in braces stand for values, {{ and }} for braces. A line of the body is a paragraph: it is wrapped when it is
 * sent. The files are part of the program; a folder may have others in their place. */
#ifndef POSTERN_NOTICE_TEMPLATE_H
#define POSTERN_NOTICE_TEMPLATE_H
#include "base/buf.h"
#include "base/err.h"

enum template_language { LANGUAGE_EN, LANGUAGE_DE, LANGUAGE_IT, LANGUAGE_JA, LANGUAGES };
enum template_kind {
    TEMPLATE_FAILED, TEMPLATE_DELAYED, TEMPLATE_UNDELIVERABLE, TEMPLATE_RELAYED, /* delivery/bounce.c */
    TEMPLATE_VIRUS, TEMPLATE_FILE, TEMPLATE_SPAM, TEMPLATE_RULE,                 /* policy/notice.c */
    TEMPLATE_ALARM,              /* to the postmaster */
    TEMPLATE_TEST,               /* to see whether mail arrives; proc/worker_test.c */
    TEMPLATE_DIGEST,             /* of the quarantine */
    TEMPLATE_REMOVED,            /* stands where a part was */
    TEMPLATE_REPORT,             /* in front of spam */
    TEMPLATE_PAGE,               /* behind the links of digests: phrases only; so is */
    TEMPLATE_WORDS,              /* what all others use */
    TEMPLATE_KINDS
};
#define TEMPLATE_MAX 16384       /* bytes of a file */
#define TEMPLATE_WIDTH 72        /* columns */

const char *template_language_name(enum template_language l); /* "de" */
const char *template_kind_name(enum template_kind k);         /* "failed" */
const char *template_kind_about(enum template_kind k);        /* "a virus was found" */
bool template_language_find(struct slice name, enum template_language *out);
bool template_kind_find(struct slice name, enum template_kind *out);
const char *template_placeholders(enum template_kind k);      /* of its body, separated by blanks; "": it has none */
bool template_is_mail(enum template_kind k);                  /* it has a Subject */

/* ---- those in place of the built-in ones. NULL, of a set: only these are there */
struct templates;
/* Reads FOLDER/de/failed.txt and so on; folder NULL: nothing is replaced. NULL: *err says which line of which file is wrong. Blocks. */
struct templates *templates_load(const char *folder, struct err *err) MUST_CHECK;
struct templates *templates_new(void);
/* Copies it once it is found right. `file`: for *err. */
bool templates_set(struct templates *t, enum template_language l, enum template_kind k, struct slice text, const char *file, struct err *err) MUST_CHECK;
void templates_free(struct templates *t); /* NULL is fine */
/* The whole file; as long as t. */
struct slice templates_text(const struct templates *t, enum template_language l, enum template_kind k);
bool templates_replace(const struct templates *t, enum template_language l, enum template_kind k); /* is there one in place of the built-in one? */
/* The built-in one as it can be put into a file: with a line of comment that says what may stand in braces. Appended. */
void template_add_file(enum template_language l, enum template_kind k, struct buf *out);
size_t templates_replaced(const struct templates *t);         /* how many */
/* What is hardly meant, a sentence each: files and folders that nobody reads, a bounce that does not say who was not reached. folder as for
 * templates_load, NULL: there is nothing. Blocks. */
void templates_doubt(const struct templates *t, const char *folder, void (*tell)(void *arg, const char *text), void *arg);

/* ---- what is made of them */

struct wording {
    const struct templates *set; /* NULL: the built-in ones */
    enum template_language language;
};
/* A value is text, never a template: braces in it mean nothing. What is not printable in it becomes "?". */
struct template_value {
    const char *name;
    struct slice text;           /* UTF-8 */
    bool lines;                  /* line feeds in it end lines; the next ones begin under the first */
    struct slice html;           /* for template_add_html: what stands there instead; empty: the text */
};
/* A line "name: text", on one line, as it is in a replaced file or else in the built-in one. */
void template_add_phrase(const struct wording *w, enum template_kind k, const char *name, const struct template_value *values, size_t n,
                         struct buf *out);
/* The body with CRLF line ends, wrapped. A line whose values are all empty is left out, and so is the empty line after it. */
void template_add_body(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out);
/* The same as paragraphs of HTML; a line that is nothing but one name whose value has html becomes just that. */
void template_add_html(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out);
/* Text of line feeds as above, wrapped by columns: where a blank is, and between characters of East Asia. */
void template_add_wrapped(struct buf *out, struct slice line, unsigned hang);

/* A time as people of the language write it, in local time: "date" with its zone, or "time" alone. Appended. */
void template_add_date(const struct wording *w, const char *phrase, uint64_t wall_ms, struct buf *out);

/* ---- as mail: 7-bit whatever it is */

/* "Subject: ...", From with a phrase of `words` for its name, with CRLF. address: clean. */
void template_add_subject(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out);
void template_add_from(const struct wording *w, const char *phrase, struct slice address, struct buf *out);
/* The fields of a text part and, behind the empty line, its text: as it is when it is ASCII, else quoted-printable or base64, whichever suits
 * the text. type: "text/plain". */
void template_add_part(const struct wording *w, const char *type, struct slice text, struct buf *out);

#endif
