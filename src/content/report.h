/* SPDX-License-Identifier: Apache-2.0
 * What a scan process says of a message: everything that the rest of the relay knows of its content. A process that was taken over by
 * what it parsed can lie in it, and can do nothing else: report_decode looks at every length, number and text. */
#ifndef POSTERN_CONTENT_REPORT_H
#define POSTERN_CONTENT_REPORT_H
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "config/config.h"
#include "spool/envelope.h"

#define REPORT_PARTS_MAX 500     /* told of; more are counted */
#define REPORT_SYMBOLS_MAX 200
#define REPORT_EDITS_MAX 48
#define REPORT_TEXT_MAX 300      /* bytes of any one text in it */

struct report_part {             /* a file, or a MIME part; see content/message.h */
    uint32_t parent, depth;
    bool is_file, is_mime;
    struct slice name, declared, type;
    uint64_t size, at, n;        /* at, n: of is_mime */
    unsigned findings;           /* enum content_finding */
    struct slice blocked;        /* why attachments.* blocks it: "extension exe"; empty: it does not */
};
struct report_virus {
    struct slice scanner, name, part; /* part: a file's name; may be empty */
};
struct report_symbol {           /* of an engine for spam */
    struct slice engine;         /* "builtin", or a scanner's name */
    struct slice name, text;     /* text: for people, may be empty */
    int32_t score;               /* hundredths */
};
enum scanner_state { SCANNER_FINE, SCANNER_NOT_ASKED, SCANNER_DOWN, SCANNER_TIMEOUT, SCANNER_NONSENSE, SCANNER_TOO_LARGE };
struct report_scanner {          /* one of config->scanners, or "builtin" */
    struct slice name;
    enum scanner_state state;
    struct slice text;           /* what was wrong, or what it said */
    uint32_t us;
};
/* What header checks, rules and milters want done, in the order in which they said it. Edits of the header come as `edits`. */
struct report_action {
    struct slice by;             /* "header check", "rule", or a milter's name */
    struct slice name;           /* the rule's */
    struct config_place place;   /* line 0: none, a milter, or in a file */
    enum config_rule_do action;
    struct slice text, address;  /* REJECT and DEFER: text for the client, may be empty; TAG_SUBJECT: prefix */
    uint32_t code;               /* REJECT and DEFER: the reply's; 0: ours */
    struct slice enhanced;       /* the same; empty: ours */
    uint32_t *parts; size_t part_n; /* STRIP: numbers of report parts */
};

struct report {
    struct report_part *parts; size_t part_n;
    uint32_t parts_more;         /* those not told of */
    unsigned findings;           /* of all */
    struct report_virus *viruses; size_t virus_n;
    struct report_scanner *scanners; size_t scanner_n;
    bool judged;                 /* for spam: by some engine */
    int32_t score;               /* hundredths; the highest of the engines' */
    enum config_spam_class class;
    struct report_symbol *symbols; size_t symbol_n;
    struct report_action *actions; size_t action_n;
    struct envelope_cut *edits; size_t edit_n; /* of the text, by header checks, rules and milters; ascending, apart from each other */
    struct slice prepend;        /* header lines to be put in front, each with CRLF; at most 16 KiB */
    uint64_t subject_at;         /* where the first Subject's value begins, behind colon and blanks; 0: there is none */
    struct slice subject;        /* decoded, at most 255 bytes */
    uint32_t us;                 /* how long it all took */
    bool crashed;                /* made by the dispatcher: the message killed a scan process twice; all else is empty */
};

json_t *report_encode(const struct report *r);                       /* within CHANNEL_FRAME_MAX: parts that do not fit are counted */
/* text_size: of the message; edits and parts must be within it. False and an error when something in it cannot be. */
bool report_decode(const json_t *j, uint64_t text_size, struct arena *arena, struct report *out, struct err *err) MUST_CHECK;
/* For people, `postern scan` and quarantine: the same with names for numbers ("findings": ["macro", ...]). */
json_t *report_to_json(const struct report *r);
/* `postern scan` and POST /v1/scan: the same, and "verdict": "block" or "pass"; none when it could not be looked into (crashed). As JSON at most max
 * bytes: parts that do not fit are counted. The caller's. */
json_t *report_to_people(const struct report *r, size_t max);
void report_add_view(json_t *to_people, const json_t *view); /* headers, text and links of scan_view */
bool report_blocks(const struct report *r);                  /* a file in it is blocked, or it holds a virus */
const char *report_scanner_state_name(enum scanner_state s); /* "too-large" */
const char *report_class_name(enum config_spam_class c);      /* "non-spam" */
const char *report_action_name(enum config_rule_do a);        /* "tag-subject" */

/* Adding to a report while it is made: arrays grow in the arena. False: there is no room for more, or of an edit, that it overlaps
 * one that is there (the first wins), or that it or the lines could not be sent. */
bool report_add_virus(struct report *r, const struct report_virus *v, struct arena *arena);
bool report_add_scanner(struct report *r, const struct report_scanner *s, struct arena *arena);
bool report_add_symbol(struct report *r, const struct report_symbol *s, struct arena *arena);
bool report_add_action(struct report *r, const struct report_action *a, struct arena *arena);
bool report_add_edit(struct report *r, const struct envelope_cut *e, struct arena *arena); /* to its place: they stay in order */
bool report_add_prepend(struct report *r, struct slice lines, struct arena *arena);

#endif
