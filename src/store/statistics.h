/* SPDX-License-Identifier: Apache-2.0
 * What is counted of the history's events as they come: an hour at a time, in memory; the hour's rows are written every few seconds with
 * the history's own. Kept as long as the history. Of names (senders, reasons ..) the most frequent are kept: memory has at most
 * STATISTICS_MOST of a kind, an hour's rows STATISTICS_KEPT, and what falls out is counted as "other". */
#ifndef POSTERN_STORE_STATISTICS_H
#define POSTERN_STORE_STATISTICS_H
#include <jansson.h>
#include "base/buf.h"
#include "base/hash.h"
#include "store/store.h"
#include "store/trace.h"

#define STATISTICS_MOST 2000
#define STATISTICS_KEPT 100
#define STATISTICS_CHECKS 512        /* of a stage, an outcome and a name */
#define STATISTICS_KEY_MAX 120       /* bytes */
#define STATISTICS_LIVE 15           /* slots */
#define STATISTICS_LIVE_MS 20000     /* each */
#define STATISTICS_HOUR_MS 3600000u

struct history;

enum statistics_kind {               /* kept on disk: new ones are appended */
    STATISTICS_OUTCOMES, STATISTICS_OF_CHECKS,
    STATISTICS_REASONS, STATISTICS_SENDERS, STATISTICS_RECIPIENTS, STATISTICS_CLIENTS, STATISTICS_DESTINATIONS, STATISTICS_VIRUSES,
    STATISTICS_KINDS
};
#define STATISTICS_NAMES STATISTICS_REASONS /* the first kind of names */

struct statistics_name {
    uint64_t hash, n;
    uint8_t key_n;
    char key[];
};
struct statistics_names {
    struct htable table;
    uint64_t other;                  /* counts of what fell out */
};
struct statistics_check {
    uint8_t stage, outcome, name_n;
    char name[37];
    uint64_t n, us;
    uint32_t live[STATISTICS_LIVE];
};
struct statistics {
    uint64_t hour;                   /* wall ms at which it began; 0: nothing was counted yet */
    uint64_t outcomes[HISTORY_KINDS];
    uint32_t live[STATISTICS_LIVE][HISTORY_KINDS];
    struct statistics_check *checks; /* STATISTICS_CHECKS */
    size_t check_n;
    struct statistics_names names[STATISTICS_KINDS - STATISTICS_NAMES];
    uint64_t slot;                   /* the number of the newest one of `live` */
    uint64_t saved;                  /* mono ms */
    unsigned turn;                   /* the kind that is written next */
    uint32_t changed;                /* kinds with something that is not written: a bit each */
};

void statistics_init(struct statistics *s);
void statistics_deinit(struct statistics *s);
void statistics_count(struct history *h, const struct history_event *e);
void statistics_load(struct history *h);           /* the present hour, from its rows: after the database was opened */
void statistics_save(struct history *h, bool all); /* one kind a second; all: everything, now */
void statistics_trim(struct history *h, uint64_t before); /* rows of hours that ended before this time (wall ms) go */
const char *statistics_kind_name(unsigned kind);   /* "reasons" */
/* A part of the text that is the same for others of its kind, and can be searched for. */
struct slice statistics_reason(struct slice text);

/* statistics_read.c */
/* {"since"?, "until"?: wall ms; the last 24 hours by default; "limit"?: of each list of names, 1 to 100, else 20}:
 * {"step": ms: an hour; days, weeks and so on where hours would be too many,
 *  "hours": [{"time", "accepted" ..: a number of events for each word of history_kind_name}], each of one step,
 *  "stages": [{"stage", "checks": [{"check", "seen", "pass", "allow", "tag", "hold", "defer", "reject", "discard", "quarantine", "ms"}]}],
 *  "top": {"reasons": [{"key", "n"}] ..}, "other": {"reasons": n ..: what is in none of the lists}} */
struct statistics_reading;
struct statistics_reading *statistics_reading_new(struct history *h, const json_t *request);
bool statistics_reading_run(struct statistics_reading *s); /* some milliseconds, so that nobody else waits; true: done */
json_t *statistics_reading_answer(const struct statistics_reading *s);
void statistics_reading_free(struct statistics_reading *s); /* NULL is fine */
/* What came within the last minutes: {"ms", "counts": {"accepted": n ..}, "minute": {the same of the last 60 s},
 *  "checks": [{"stage", "check", "outcome", "n"}], "hour"?: the last one with mail, as in statistics_read} */
json_t *statistics_live(struct history *h);

#endif
