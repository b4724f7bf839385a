/* SPDX-License-Identifier: Apache-2.0
 * What the files of scanning share. */
#ifndef POSTERN_SCAN_PARTS_H
#define POSTERN_SCAN_PARTS_H
#include "config/list.h"
#include "content/rules.h"
#include "content/scanner.h"
#include "scan/scanning.h"
#include "spam/spam.h"

struct public_suffix;
struct scan_dns;

struct scanning {
    const struct config *config;
    char *directory;             /* NULL: none */
    bool unpacks;                /* libmagic is there */
    struct public_suffix *suffixes;
    struct tables *tables;       /* that lists and rules look into */
    struct rules *rules;         /* NULL: there are none */
    struct scanner **scanners;   /* as config->scanners; NULL: it is off */
    struct list_match *exempt, *always_spam, *never_spam;
    struct spam_engine *spam;    /* NULL: off, or not started */
    char *trouble;               /* why it has no classifier; NULL: it has one, or none is wanted */
    struct scan_dns *dns;        /* NULL: nobody asks */
    struct {                     /* what is to be learnt when the answer is given; message NULL: nothing */
        const struct content_message *message;
        enum spam_learn as;
    } settle;
};

/* One message on its way. */
struct scan_run {
    struct scanning *s;
    const struct config *config;
    const struct content_message *message;
    const struct scan_context *context;
    struct report *report;
    struct arena *arena;
    uint64_t deadline;           /* mono ms */
};

/* ---- report_parts.c: what was found in the message, and what `attachments` blocks of it */
void scan_tell_parts(struct scan_run *r);
/* ---- ask.c */
/* Is it on, and for this mail? */
bool scan_asks(const struct scan_run *r, size_t scanner);
/* Asks it and adds how it is to the report; nothing else of the answer. */
void scan_ask(struct scan_run *r, size_t scanner, const struct content_message *m, struct scanner_answer *out);
void scan_viruses(struct scan_run *r);
void scan_milters(struct scan_run *r);
/* ---- judge.c: spam */
void scan_judge(struct scan_run *r);

/* ---- dns.c: blocking questions on a loop of their own */
struct scan_dns *scan_dns_new(const struct config *c, struct err *err) MUST_CHECK;
void scan_dns_free(struct scan_dns *d); /* NULL is fine */
void scan_dns_ask(void *dns, const char *const *names, uint32_t *answers, size_t n, uint64_t deadline);

#endif
