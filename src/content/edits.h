/* SPDX-License-Identifier: Apache-2.0
 * Edits of a message by what a report says of it: parts that are taken out with a note in their place, a text in front of it, fields that
 * go. The relay makes them, of the header it has read itself and of places in a report that nobody need believe: whatever that says,
 * the edits are within the text and apart from each other. Bytes that are kept stay as they came. */
#ifndef POSTERN_CONTENT_EDITS_H
#define POSTERN_CONTENT_EDITS_H
#include "base/arena.h"
#include "content/report.h"
#include "notice/template.h"

struct edit_field {
    struct slice name, value;    /* value: raw, behind the colon, without the last line end */
    uint64_t at;
    uint32_t n;                  /* bytes with the line end */
};
struct edit_header {
    struct slice bytes;          /* of it, in the arena */
    struct edit_field *fields; size_t field_n;
    uint64_t end;                /* behind the last field: new ones may be put in there */
    bool whole;                  /* an empty line ends it */
    bool mime;                   /* it has MIME-Version */
};
/* bytes: the text's first ones, the header and maybe more; not longer than the text. False: they end within the header, and it has too
 * much of something: it cannot be edited. */
bool edit_header_read(struct edit_header *h, struct slice bytes, uint64_t text_size, struct arena *arena) MUST_CHECK;

#define EDITS_MAX 48
struct edits {
    struct envelope_cut cuts[EDITS_MAX]; /* ascending, apart from each other; texts are in the arena */
    uint32_t n;
};

/* The name of a file with what it is packed in: "setup.exe in docs.zip". As it came, but for the length; empty: it has none. */
struct slice edits_file_name(const struct report *r, size_t part, struct arena *arena);

/* What the notes say beside the parts' names. */
struct edit_notes {
    const char *hostname;
    const char *reference;       /* the message's id, as text */
    struct wording wording;
    const struct slice *why;     /* of each part of the report; n: 0 those that stay. One clause: "extension exe" */
};
/* Takes the parts with a reason out: of each the MIME part that it is in, or all of the message's content. False: it cannot be done so, as
 * words around a file (uuencode) would go with it, too; `out` is of no use then. */
bool edits_strip(struct edits *out, const struct edit_header *h, const struct report *r, uint64_t text_size, const struct edit_notes *notes,
                 struct arena *arena) MUST_CHECK;
/* The message becomes a multipart: `text` (UTF-8, CRLF line ends) and what it was. boundary: must not be in it. False: as before. */
bool edits_wrap(struct edits *out, const struct edit_header *h, uint64_t text_size, const char *boundary, struct slice text,
                struct arena *arena) MUST_CHECK;
/* Cuts out the fields whose names begin with `prefix` (case ignored). False: they are too many. */
bool edits_remove(struct edits *out, const struct edit_header *h, struct slice prefix) MUST_CHECK;

/* The first Subject: where its value begins, behind colon and blanks; 0: there is none. */
uint64_t edit_subject_at(const struct edit_header *h);
/* The same of a text that is put in: 0 when it does not begin with that field. */
uint64_t edit_subject_in(struct slice field);
/* `prefix` as it is put at `at` of the text, whose first Subject's value begins there, or another one's: what is not ASCII in encoded words
 * (RFC 2047), of whatever stands behind it apart, and folded when the line would be too long. before: what is put in there already. at 0:
 * there is no Subject. Empty: a prefix of blanks alone. */
struct slice edit_subject_prefix(struct slice text, uint64_t at, struct slice before, struct slice prefix, struct arena *arena);

#endif
