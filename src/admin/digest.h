/* SPDX-License-Identifier: Apache-2.0
 * Digests in the admin process: it knows when, asks the store who is to be told of what, makes the links, has a worker send the mail, and
 * tells the store that it is on its way. One run at a time, one recipient after the other. What was under way when a process died is done
 * again: a digest may come twice then, none is left out. */
#ifndef POSTERN_ADMIN_DIGEST_H
#define POSTERN_ADMIN_DIGEST_H
#include "admin/internal.h"
#include "admin/digest_token.h"
#include "admin/sent_files.h"
#include "notice/template.h"

#define DIGEST_TIMES_MAX 8

struct digest_page;

struct digest {
    struct admin *admin;
    struct event *timer;
    /* as the master says */
    bool enabled, secure;
    uint32_t at[DIGEST_TIMES_MAX]; /* minutes of the day */
    size_t at_n;
    uint64_t valid;              /* ms */
    char *url;                   /* without a / at the end; NULL: there are no links */
    unsigned char secret[DIGEST_SECRET_N];
    bool has_secret;             /* else there are no links */
    struct templates *templates; /* of the page, and of its language; NULL: the built-in ones */
    struct wording wording;      /* of them */
    struct sent_files files;     /* which came before the rest */
    struct digest_page *page;    /* NULL: none */
    struct list leaving;         /* pages of former configurations whose last requests are under way */
    /* a run */
    struct digest_run *run;      /* NULL: none */
    uint64_t ran;                /* wall ms of the last one that was due; 0: not known yet */
    uint64_t again;              /* mono ms: not before, after one that failed */
    bool asking;                 /* for `ran` */
};

/* Puts links into the store's answer of what a recipient is to be told of. No other ones stay in it, whatever it says. */
void digest_add_links(const struct digest *d, const json_t *answer);

/* The last time at or before `now` (wall ms) at which digests were due, in local time; 0: never. And the next one after it. */
uint64_t digest_due(const uint32_t *minutes, size_t n, uint64_t now);
uint64_t digest_next(const uint32_t *minutes, size_t n, uint64_t now);

/* ---- digest_page.c: the page behind links */

struct digest_page_start {
    int socket;                  /* taken */
    struct slice certificate, key; /* PEM; empty: plain HTTP */
};
/* The page looks at secret and admin of d while it lives. NULL: it cannot be. */
struct digest_page *digest_page_open(struct digest *d, const struct digest_page_start *s, struct err *err) MUST_CHECK;
/* No new requests; those under way are served. */
void digest_page_leave(struct digest_page *p, struct list *leaving);
/* Frees those that have nothing under way; all: whatever they have, which must not be waiting for an answer any more. */
void digest_pages_sweep(struct list *leaving, bool all);

#endif
