/* SPDX-License-Identifier: Apache-2.0
 * What the files message*.c share: one message being taken apart, and the small readers it takes. Everything allocates from the
 * message's arena, and nothing fails. */
#ifndef POSTERN_CONTENT_MESSAGE_INTERNAL_H
#define POSTERN_CONTENT_MESSAGE_INTERNAL_H
#include "base/buf.h"
#include "content/unpack.h"

#define MESSAGE_FIELDS_MAX 2000
#define MESSAGE_LINKS_MAX 2000
#define MESSAGE_TEXT_MAX (256 * 1024)
#define MESSAGE_NEST_MAX 100     /* multiparts and messages in each other: readers give up sooner */
#define MESSAGE_URL_MAX 2000
#define MESSAGE_SHOWN_MAX 200

struct walk {
    struct content_message *m;
    struct unpack *u;
    const struct public_suffix *suffixes;
    struct arena *arena;
    struct buf text, hidden, html; /* at most MESSAGE_TEXT_MAX each */
    uint64_t work;               /* bytes that may yet be looked through for structure: nested and second readings cost again */
    uint32_t readings;           /* how many second readings may yet be added */
    size_t link_room;
    unsigned nest;
};

static inline struct content_part *walk_part(const struct walk *w, uint32_t n) { return &w->m->parts[n]; }
static inline void walk_found(const struct walk *w, uint32_t n, unsigned findings) { w->m->parts[n].findings |= findings; }
/* Where these bytes stand in the message; UINT64_MAX: not in it. */
uint64_t walk_offset(const struct walk *w, const char *p);
bool walk_spend(struct walk *w, uint32_t n, uint64_t bytes); /* false: too much is nested or ambiguous; part n has LIMIT_DEPTH */

/* ---- message_charset.c */
void message_charset_init(void);
void message_charset_deinit(void);
/* Appends text in that charset as UTF-8, up to out->max; what is no text in it becomes U+FFFD. Empty or unknown charset, or one that it
 * is clearly not: UTF-8 when it is that, else windows-1252. */
void message_charset_add(struct slice charset, struct slice text, struct buf *out);
void message_buf_fill(struct buf *out, struct slice utf8); /* as much of it as there is room for, cut between characters */
void message_buf_code(struct buf *out, uint32_t code);     /* one character as UTF-8; U+FFFD for what is none */

/* ---- message_decode.c */
struct message_decoded {
    struct slice data;
    struct slice behind;         /* base64: what followed its padding */
    size_t good, junk;           /* base64: bytes of its alphabet, and bytes that are neither that nor blank */
    size_t blanks;               /* base64: blanks within lines */
    bool cut;                    /* base64: ends within a group */
};
struct message_decoded message_decode_base64(struct arena *arena, struct slice text);
struct slice message_decode_quoted(struct arena *arena, struct slice text, bool word); /* word: the Q form of RFC 2047 §4.2 */
/* "%41" is "A", what is no such thing stays. Returns how many bytes were put into out, at most room. */
size_t message_decode_percent(char *out, size_t room, struct slice s);

/* ---- message_words.c */
struct slice message_unfold(struct arena *arena, struct slice raw);        /* RFC 5322 §2.2.3, trimmed */
struct slice message_words(struct arena *arena, struct slice text);        /* encoded words and raw 8-bit to UTF-8 */

/* ---- message_fields.c */
struct message_header {
    struct content_field *fields;
    size_t n;
    size_t size;                 /* with the empty line */
    size_t early;                /* where readers that end it at the first strange line begin the body; 0: none */
    bool more;                   /* there are more fields than are kept */
    bool broken;
};
void message_header_read(struct walk *w, struct slice bytes, struct message_header *out);

/* ---- message_params.c */
#define MESSAGE_PARAMS_MAX 100
struct message_param {
    struct slice name;           /* "filename", without what RFC 2231 puts behind it */
    struct slice value;          /* unquoted */
    struct slice other[2];       /* what laxer readers make of it; empty: the same */
    int section;                 /* RFC 2231 §3; -1: none */
    bool extended;               /* RFC 2231 §4: charset and percent signs */
};
struct message_params {
    struct slice head;           /* "text/html", "attachment": lower case, without comments */
    struct message_param *list;
    size_t n;
    bool broken;                 /* readers differ about it */
};
/* comments: of RFC 5322 are taken for such; some readers know none. */
void message_params_read(struct walk *w, struct slice value, bool comments, struct message_params *out);
/* All that the parameter is by any reading, as bytes; returns how many were put into out. *broken is set when they differ. decode:
 * out's texts are made UTF-8 (names); else they are as they stand (boundaries). */
size_t message_params_get(struct walk *w, const struct message_params *params, const char *name, bool decode, struct slice *out, size_t max,
                          bool *broken);

/* ---- message_names.c */
/* Gives part n all the names that its Content-Type and Content-Disposition fields hold. */
void message_names_set(struct walk *w, uint32_t n, const struct message_params *fields, size_t field_n);

/* ---- message_multipart.c */
/* A multipart's body by one boundary. again: a second reading, whose parts are not to be cut out. Returns how many parts there were. */
size_t message_multipart_read(struct walk *w, uint32_t n, struct slice body, struct slice boundary, bool digest, bool again);
struct slice message_boundary_guess(struct slice body); /* by the first line that looks like one; empty: none */

/* ---- message_entity.c */
void message_entity_read(struct walk *w, uint32_t n, struct slice bytes, const char *type, bool again);
/* Another reading of part n's bytes: a part below it, with its names, that is looked into. */
void message_reading_add(struct walk *w, uint32_t n, struct slice data);

/* ---- message_text.c */
void message_text_part(struct walk *w, uint32_t n); /* a leaf with data: text, HTML and links of it */

/* ---- message_html.c */
/* shown: its text is what a reader sees; else only links are taken. */
void message_html_read(struct walk *w, uint32_t n, struct slice utf8, bool shown);

/* ---- message_entities.c */
/* A character reference at the start of s ("&amp;"): its bytes and code point. 0: it is none. */
size_t message_reference(struct slice s, uint32_t *code);

/* ---- message_style.c */
#define MESSAGE_COLOUR_NONE 0xFFFFFFFFu  /* not known */
#define MESSAGE_COLOUR_CLEAR 0xFFFFFFFEu /* transparent */
struct message_style {           /* what an element inherits or sets */
    uint32_t colour, background; /* 0xRRGGBB, or one of the above */
    bool gone;                   /* with all that is in it */
    bool invisible, tiny;        /* what is in it may set this aside */
};
uint32_t message_colour(struct slice s);
bool message_style_hides(const struct message_style *style);
void message_style_apply(struct message_style *style, struct slice css);

/* ---- message_sheet.c */
#define MESSAGE_RULES_MAX 64
struct message_rule {            /* of a style sheet: hides what has this class ('.') or id ('#') */
    struct slice name, css;
    char kind;
};
struct message_sheet {
    struct message_rule rules[MESSAGE_RULES_MAX];
    size_t n;
    uint64_t work;               /* bytes of rules that may yet be applied: the rest hides nothing */
};
void message_sheet_add(struct message_sheet *sheet, struct slice css);
void message_sheet_apply(struct message_sheet *sheet, char kind, struct slice names, struct message_style *style); /* names: by blanks */

/* ---- message_links.c */
/* Returns its number + 1; 0: it is no link, or there are too many. base: of relative ones; empty: they are left out. */
size_t message_link_add(struct walk *w, uint32_t n, struct slice url, struct slice base, bool image, bool form);
/* Finds addresses of the web in text that is shown. */
void message_links_find(struct walk *w, uint32_t n, struct slice text);
/* Host of an authority, as its owner would call it: lower case, A-labels, addresses in one form. Empty: none. */
struct slice message_host(struct arena *arena, struct slice authority);

#endif
