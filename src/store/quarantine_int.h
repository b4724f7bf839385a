/* SPDX-License-Identifier: Apache-2.0
 * The inside of the quarantine. The loop owns everything; a thread owns a job between job_start and job->done. */
#ifndef POSTERN_STORE_QUARANTINE_INT_H
#define POSTERN_STORE_QUARANTINE_INT_H
#include <event2/event.h>
#include "base/channel.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/task.h"
#include "store/history.h"
#include "store/quarantine.h"
#include "store/quarantine_index.h"

struct asker {                   /* who is to be answered; reply NULL: nobody */
    quarantine_reply *reply;
    void *owner;
    json_int_t id;
};

struct keeper;
struct job {
    struct task task;
    struct quarantine *q;
    void (*run)(struct job *j);  /* in a thread: fills ok, err and what it is for */
    void (*done)(struct job *j); /* on the loop; job_free follows */
    uint64_t id;
    bool ok, known;
    bool reads;                  /* others may be at the file, too */
    struct err err;
    struct quarantine_head head;
    struct envelope envelope;    /* in arena */
    struct arena arena;
    struct buf encoded;
    uint64_t size;               /* of the file */
    struct quarantine_note *notes;
    size_t note_n;
    /* keep */
    struct keeper *keeper;       /* NULL: gone */
    int envelope_fd, fd;
    uint64_t envelope_n, offset, n;
    /* requests */
    struct asker asker;
    json_t *answer;
    char *as, *by;               /* as, of what tells recipients: whom */
    json_int_t told;             /* before this one */
    bool expired;
    /* folders */
    unsigned folder;
    struct found *found;
    size_t found_n;
};
struct found {
    uint64_t id, size;
    bool rest;
};

enum sync_phase { SYNC_IDLE, SYNC_FOLDERS, SYNC_ROWS };
struct sync {                    /* quarantine_sync.c: the index is brought in line with the files */
    enum sync_phase phase;
    unsigned folder;
    struct found *found;         /* files of the folder at hand */
    size_t found_n, at;
    bool listed;                 /* they are known */
    uint64_t after;
    uint64_t added, dropped, damaged;
    unsigned opened, rollbacks;  /* of the index, for which it was done last */
    struct event *timer;
    uint64_t again_at;           /* mono ms; 0: not before something happens */
};

struct quarantine {
    struct event_base *base;
    char *root;
    struct quarantine_limits limits;
    struct history *history;
    struct quarantine_index index;
    struct pool *pool;
    struct event *tick;
    struct tasks *tasks;
    struct task_owner running;   /* jobs */
    uint64_t pending;            /* bytes of messages being written */
    uint64_t full_until;         /* mono ms: somebody was turned away for want of room until then, for the figures */
    bool full_told;
    struct list keepers, queries;
    struct event *querying;
    struct sync sync;
    bool expiring, dead;
};

/* ---- quarantine.c */
void quarantine_expire(struct quarantine *q); /* the next one, if its time is over */

/* ---- quarantine_jobs.c */
bool jobs_open(struct quarantine *q, struct err *err) MUST_CHECK;
void jobs_close(struct quarantine *q); /* when all have ended */
struct job *job_new(struct quarantine *q, uint64_t id, void (*run)(struct job *j), void (*done)(struct job *j));
bool job_start(struct job *j);   /* false: too many; it is the caller's to free */
struct job *job_of(struct list *node); /* of quarantine.running */
void job_free(struct job *j);
bool job_busy(const struct quarantine *q, uint64_t id); /* some job changes this message */

void job_add_notes(struct job *j); /* in a thread: writes them into its file */

/* Of a file that has been read (head, size, envelope): its notes, in a thread; and its row, with what they say, on the loop. */
void job_read_notes(struct job *j, int fd);
bool job_add_row(struct job *j);

/* ---- quarantine_keep.c */
void keepers_close(struct quarantine *q);

/* ---- quarantine_requests.c */
void quarantine_answer(const struct asker *a, json_t *answer, int fd); /* takes both; fd: -1: none */
void quarantine_answer_error(const struct asker *a, const char *text, bool missing);
void request_remove(struct quarantine *q, uint64_t id); /* it has expired */
void tell_history(struct quarantine *q, uint64_t id, enum history_kind kind, struct slice text);

/* ---- quarantine_query.c */
void query_start(struct quarantine *q, const json_t *request, const struct asker *asker);
void queries_close(struct quarantine *q, const void *owner); /* NULL: all */
json_t *entry_json(struct quarantine *q, enum index_statement s, size_t rcpts_max); /* of the row at hand */

/* ---- quarantine_digest.c */
bool digest_request(struct quarantine *q, const json_t *request, const struct asker *a); /* false: it is none of these */

/* ---- quarantine_sync.c */
void sync_open(struct quarantine *q);
void sync_tend(struct quarantine *q); /* begins when there is reason to */
void sync_wanted(struct quarantine *q); /* a row could not be written */
void sync_close(struct quarantine *q);

#endif
