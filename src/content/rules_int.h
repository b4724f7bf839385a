/* SPDX-License-Identifier: Apache-2.0
 * What the files of header checks and rules share. */
#ifndef POSTERN_CONTENT_RULES_INT_H
#define POSTERN_CONTENT_RULES_INT_H
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "config/list.h"
#include "content/rules.h"

struct rules_pattern {
    pcre2_code *code;
    bool negated;
    uint32_t groups;
};

/* ---- header checks: a line of a table */
enum header_line_kind { HEADER_LINE_MATCH, HEADER_LINE_IF, HEADER_LINE_ENDIF };
enum header_action {
    HEADER_BCC, HEADER_DISCARD, HEADER_DUNNO, HEADER_FILTER, HEADER_HOLD, HEADER_IGNORE, HEADER_INFO, HEADER_OK, HEADER_PASS,
    HEADER_PREPEND, HEADER_REDIRECT, HEADER_REJECT, HEADER_REPLACE, HEADER_STRIP, HEADER_WARN, HEADER_ACTIONS,
};
struct header_line {
    enum header_line_kind kind;
    struct rules_pattern pattern; /* not of ENDIF */
    size_t endif;                /* of IF: the number of its endif */
    enum header_action action;   /* of MATCH */
    struct slice text;           /* behind the action, as written */
    struct slice where;          /* for people: "line 12", "header_checks:12" */
    struct config_place place;   /* of the entry in the configuration */
    uint32_t number;             /* in its file */
};

/* ---- rules */
struct rule {
    const struct config_rule *config;
    struct list_match *clients, *senders, *recipients; /* NULL: any */
    struct rules_pattern *headers; /* as config->when.headers */
};

struct rules {
    const struct config *config;
    const struct tables *tables;
    struct arena arena;
    struct header_line *lines;
    size_t line_n, line_room;
    struct rule *rules;
    size_t rule_n;
    uint32_t groups;             /* the most that a pattern has */
    pcre2_match_data *found;
    pcre2_match_context *limits;
};

/* Reads all header checks. False: *err says what and where in its file; *place is that of the entry. */
bool rules_read_headers(struct rules *r, struct config_place *place, struct err *err) MUST_CHECK;
void rules_free_headers(struct rules *r);
const char *header_action_name(enum header_action a); /* "REJECT" */

/* ---- patterns */
/* False: *err says what is wrong, and at which character. */
bool rules_pattern_compile(struct rules *r, struct slice text, uint32_t options, struct rules_pattern *out, struct err *err) MUST_CHECK;

/* ---- texts with $1, ${1}, $(1) and $$ */
/* NULL, or what is wrong with it, in the arena. *uses: it has a group. */
const char *rules_text_problem(struct slice text, uint32_t groups, struct arena *arena, bool *uses);
/* With what the groups of the last match hold of `subject`. */
struct slice rules_text_expand(const struct rules *r, struct slice text, struct slice subject, struct arena *arena);

/* ---- one message */
struct rules_run {
    const struct rules *rules;
    const struct content_message *message;
    const struct scan_context *context;
    struct report *report;
    struct arena *arena;
    uint64_t deadline;           /* mono us: nothing matches any more */
    struct slice by, name;       /* what is at work: "rule" and its name */
    struct config_place place;
    bool gave_up;                /* told of once */
    unsigned notes;              /* actions that only tell something */
    struct envelope_cut *changes; uint32_t change_n, change_room; /* of the header; as envelope_cuts_add has them */
};

/* Is it found in there? A pattern that exceeds its limits is not, whatever it says; the report tells. */
bool rules_match(struct rules_run *run, const struct rules_pattern *p, struct slice subject);
/* The line that holds for a header line, and its text; NULL: none. */
const struct header_line *rules_find_line(struct rules_run *run, struct slice subject, struct slice *text);

/* Tells of an action; the same one only once. One that only tells something gives way to others. */
void rules_tell(struct rules_run *run, struct report_action a);
void rules_note(struct rules_run *run, enum config_rule_do what, struct slice text);
/* `with` in front of a field, or instead of its n bytes. False: it is not in the message's bytes, or something else is done with them already. */
bool rules_change(struct rules_run *run, const struct content_field *f, uint64_t n, struct slice with);
/* The changes become edits of the report. */
void rules_settle(struct rules_run *run);

/* False: the message is not taken, no rule has a say. */
bool rules_apply_headers(struct rules_run *run);
void rules_apply_rules(struct rules_run *run);

/* Do all conditions hold? parts: numbers in the report of the attachments that they are about, in the arena. */
struct rule_parts {
    uint32_t *numbers;
    size_t n;
    bool lost;                   /* one of them is not in the report */
};
bool rule_holds(struct rules_run *run, const struct rule *rule, struct rule_parts *parts);

#endif
