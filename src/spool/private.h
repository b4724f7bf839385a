/* SPDX-License-Identifier: Apache-2.0
 * Inside of the spool. Three parties: the loop thread owns everything not said otherwise; the flush thread owns
 * the open segment; threads of the pool run jobs (big files, loads, new and dead segments, recovery, compaction). They
 * meet in three places, each under a lock: items go to the flush thread (struct flush), jobs to the pool (struct pool),
 * and both come back to the loop (struct outbox), which an eventfd wakes once for many. */
#ifndef POSTERN_SPOOL_PRIVATE_H
#define POSTERN_SPOOL_PRIVATE_H
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/mem.h"
#include "spool/format.h"
#include "spool/spool.h"

#define SPARES_MAX 3
#define POOL_THREADS 4
#define CHUNK_FIRST (8192 - 64)
#define CHUNK_NEXT (65536 - 64)
#define PAD_ROOM 8           /* behind every piece that ends a record */
#define STATE_COST 128       /* what a state counts as, in bytes alive */
#define NAME_N 64            /* of a file */

/* ---- what goes through the flush thread. Log order is the order of hand-over. */
enum item_kind { ITEM_MESSAGE, ITEM_COPY, ITEM_STATE, ITEM_DONE, ITEM_SYNC };
struct item {
    struct list link;
    uint8_t kind, flags;   /* flags: RECORD_BIG */
    bool handed;           /* the flush thread has it, or had */
    bool internal;         /* made by the flush thread */
    int error;             /* outcome: 0 or an errno */
    uint64_t id;
    uint64_t source;       /* ITEM_COPY: sequence of the segment it came from */
    uint64_t sequence;     /* outcome: where it is */
    uint32_t offset, seed;
    uint32_t text_crc;
    uint64_t text_n;
    char *record;          /* RECORD_HEAD bytes of room, then the meta, then PAD_ROOM */
    uint32_t meta_n;
    uint32_t piece_n;
    struct slice *pieces;  /* the text; PAD_ROOM bytes behind the last may be written to */
    void (*done)(struct spool *sp, struct item *it); /* on the loop; frees it */
};

struct made_segment {
    int fd;                /* -1: none */
    bool written;          /* all of its blocks had been written before: overwriting is cheap */
    uint64_t sequence, size;
    uint32_t seed;
};

struct flush {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, made;
    struct list incoming;         /* under the lock, as all down to `next_sequence` */
    bool stop, urgent, making, sleeping;
    struct made_segment next;     /* made ahead of need */
    uint64_t spares[SPARES_MAX];  /* the numbers in their names */
    unsigned spare_n;
    uint64_t next_sequence;

    struct made_segment cur;      /* the thread's own from here */
    uint64_t pos, synced, zeroed, marked;
    struct list unsynced;         /* done and state records that are written, not yet known to be on disk */
    uint64_t retry_at, synced_at, worked_at; /* mono ms */
    int error;
    struct iovec *iov;
    unsigned iov_n;
    uint64_t iov_at, iov_bytes;
    atomic_uint_least64_t flushes, records;
};

/* ---- jobs */
struct job {
    struct list link;
    void (*run)(struct spool *sp, struct job *j);  /* in a thread */
    void (*done)(struct spool *sp, struct job *j); /* on the loop; frees it */
    bool slow;                                     /* may take long: never gets the last thread */
};
struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list fast, slow;
    pthread_t threads[POOL_THREADS];
    unsigned thread_n, idle, queued, slow_running;
    bool stop;
    unsigned outstanding; /* the loop's: submitted and not yet done */
};
struct outbox {
    pthread_mutex_t lock;
    struct list items, jobs;
    struct list taken_items, taken_jobs; /* the loop's: being worked on */
    int fd;               /* eventfd */
    struct event *event;
};

/* ---- segments, as the loop sees them */
struct segment {
    uint64_t sequence, size, used, live_bytes;
    uint32_t index;       /* what struct spool_msg says: 1 + sequence - first_sequence */
    uint32_t seed;
    uint32_t live_n;      /* messages and states */
    uint32_t pins;        /* loads and compaction that read it */
    uint32_t *refs;       /* indices of older segments that its done and copy records speak of, ascending */
    uint32_t ref_n, ref_cap;
    bool sealed, retiring;
    bool ahead;           /* the next one was asked for */
    bool kept;            /* damaged or not understood: left alone until the next start */
};

struct recovery;
struct compaction;

struct spool {
    struct event_base *base;
    struct spool_options o;
    char *dir;
    int dir_fd, lock_fd;
    uint64_t epoch, first_sequence; /* of index 1 */
    struct flush flush;
    struct pool pool;
    struct outbox outbox;
    bool closing;                   /* no more callbacks to users */
    bool closed;                    /* nothing left but this memory, which goes when `depth` is 0 */
    unsigned depth;                 /* frames of ours that call users' callbacks and look at the spool again */

    struct htable messages;         /* struct spool_msg */
    struct segment **segments;      /* ascending */
    size_t segment_n, segment_cap;
    uint64_t active;                /* highest sequence written to */

    struct list commits, states, syncs; /* items of the next hand-over */
    struct buf dones;               /* entries of the next hand-over */
    struct htable state_items;      /* latest struct item not yet on disk, by message */
    struct event *handover_event, *later_event, *tick_event;
    bool handover_due;
    unsigned in_flight;             /* items handed over */
    uint64_t late_ends;             /* messages that ended while they were copied forward */
    uint64_t tick_ms;

    uint64_t draft_no, ticket;
    struct list big_commits;        /* big drafts on their way, oldest first */
    struct list sync_waits;
    struct list relief, relieved;   /* drafts waiting for it; about to be told */
    unsigned drafts;                /* not yet used up */
    uint64_t pending;               /* bytes handed over and not yet on disk */

    uint64_t *trash;                /* ids of big files to unlink once the end of their messages is on disk */
    size_t trash_n, trash_cap;
    bool barrier;                   /* under way, for what is in the trash and for segments that are retiring */
    struct found *found;            /* by spool_open, for recovery */
    struct recovery *recovery;
    struct compaction *compaction;
    uint64_t compact_min;           /* dead bytes that are no reason to compact */
    uint64_t *fresh_bigs;           /* ids of big messages written by this process, a ring */
    unsigned fresh_at;

    int peek_fd;                    /* of spool_read_envelope */
    uint32_t peek_index;
    uint64_t damaged, big_bytes;
    uint64_t full_asked, free_bytes, disk_bytes, no_space_at;
    uint64_t came_since;            /* bytes of text since full_asked */
};
#define FRESH_BIGS 64

/* ---- spool.c */
void spool_lack_of_space(struct spool *sp, int error); /* remembers ENOSPC and EDQUOT */
void spool_enter(struct spool *sp);
void spool_leave(struct spool *sp);
struct spool_msg *spool_find(const struct spool *sp, uint64_t id);

/* ---- pool.c */
bool pool_init(struct spool *sp, struct err *err) MUST_CHECK;
void pool_deinit(struct spool *sp); /* nothing may be outstanding */
void pool_submit(struct spool *sp, struct job *j);
bool outbox_init(struct spool *sp, struct err *err) MUST_CHECK;
void outbox_deinit(struct spool *sp);
void outbox_put_items(struct spool *sp, struct list *items); /* any thread; empties the list */
bool outbox_take(struct spool *sp); /* runs what came back; false: nothing had */
bool thread_start(pthread_t *t, void *(*run)(void *), void *arg, struct err *err) MUST_CHECK; /* all signals blocked */
void mutex_and_cond_init(pthread_mutex_t *m, pthread_cond_t *c); /* the condition by the monotonic clock */

/* ---- files.c: names and files of the directory */
void name_segment(char out[NAME_N], uint64_t sequence);
void name_spare(char out[NAME_N], uint64_t sequence);
void name_big(char out[NAME_N], uint64_t id);
void name_draft(char out[NAME_N], uint64_t no);
bool name_parse(const char *name, const char *prefix, uint64_t *number); /* hexadecimal, or an id for "big-" */
/* A segment that is durably there under its name, out of a spare or new. Any thread; takes flush.lock. */
bool segment_make(struct spool *sp, uint64_t sequence, struct made_segment *out, struct err *err) MUST_CHECK;
/* Makes it a spare or removes it; durable on return. Any thread, one at a time. */
bool segment_retire(struct spool *sp, uint64_t sequence, uint64_t size) MUST_CHECK;
/* Keeps bytes that do not check in damaged-<sequence>-<offset>; a file that is there stays as it is. */
void damaged_save(int dir_fd, int from, uint64_t sequence, uint64_t offset, uint64_t n);

/* ---- flush.c */
bool flush_start(struct spool *sp, struct err *err) MUST_CHECK; /* flush.cur is the segment to begin with */
void flush_stop(struct spool *sp);                              /* ends the log cleanly, closes */
void flush_handover(struct spool *sp, struct list *items);      /* empties the list */
void flush_ahead(struct spool *sp);                             /* has the next segment made, unless there is one */
int flush_next_segment(struct spool *sp);                       /* the thread's: a new `cur`; an errno or 0 */
void list_move_all(struct list *from, struct list *to);         /* to the end of `to` */

/* ---- write.c: the flush thread's hands */
void log_write(struct spool *sp, struct list *todo);            /* all of it; completes or keeps what is in it */
bool log_idle(struct spool *sp, uint64_t *wait_ms); /* a small piece of work for idle times; false: none left */
bool log_end(struct spool *sp, uint8_t flags);                  /* END record, synced */

/* ---- segment.c */
struct segment *segment_find(const struct spool *sp, uint32_t index);
struct segment *segment_get(struct spool *sp, uint64_t sequence); /* makes it when it is new */
uint32_t segment_index(const struct spool *sp, uint64_t sequence); /* 0: not one of ours */
void segment_refer(struct spool *sp, struct segment *s, uint64_t older);
void segment_live(struct spool *sp, uint32_t index, uint64_t bytes, int by); /* one more (1) or less (-1) */
void segment_place(struct spool *sp, const struct item *it, uint64_t size); /* a record was written */
bool segment_is_dead(const struct spool *sp, const struct segment *s);
void segment_unpin(struct segment *s);
void segments_free(struct spool *sp);
uint64_t message_cost(const struct spool_msg *m);
void tick_arm(struct spool *sp);
void tick_run(evutil_socket_t fd, short what, void *arg);
void trash_big(struct spool *sp, uint64_t id, uint64_t text_n);
void trash_now(struct spool *sp); /* on close: unlinks what waits */

/* ---- result.c */
void done_queue(struct spool *sp, uint64_t id, uint64_t sequence); /* that segment's and older records of id are dead */
void done_item_done(struct spool *sp, struct item *it);
void handover_soon(struct spool *sp);  /* at the end of this turn of the loop */
void handover_later(struct spool *sp); /* within 100 ms */
void handover_now(struct spool *sp);
void handover_on_event(evutil_socket_t fd, short what, void *arg);
void barrier_queue(struct spool *sp, void (*done)(struct spool *sp, struct item *it), struct item *it);
bool state_in_flight(const struct spool *sp, uint64_t id);
struct item *state_item_new(struct spool *sp, uint64_t id, struct slice state);
uint64_t state_item_hash(const void *item);
bool state_item_match(const void *item, const void *key);
void sync_waits_check(struct spool *sp);

/* ---- draft.c */
struct chunk {
    struct chunk *next;
    uint32_t n, cap;
    char bytes[];          /* cap + PAD_ROOM */
};
struct content {
    struct spool_content pub;
    struct chunk *chunks;
    char *record;          /* or the buffer of a load */
    struct slice *pieces, few[4];
    int share_fd;          /* -1: it was not shared, or is in a file */
};
void content_init(struct content *c);
struct big;
struct spool_draft {
    struct content content; /* first: what becomes of a draft */
    struct spool *sp;
    struct chunk *last;
    uint64_t n;
    uint32_t crc;
    bool failed, committing;
    int error;              /* when it failed, and at what */
    const char *error_what;
    struct big *big;
    struct item item;
    struct spool_msg *msg;
    spool_commit_cb *cb;
    void *arg;
    struct list relief;     /* in spool.relief */
    void (*on_relief)(void *arg);
    void *relief_arg;
    uint64_t shared_n;      /* bytes of text when it was shared */
    spool_share_cb *share_cb; /* NULL: nobody waits */
    void *share_arg;
};
void draft_shared(struct spool_draft *d, int fd, int error, const char *what); /* by the file; takes fd. The draft may be gone then */
void draft_unshare(struct spool_draft *d);
void chunks_free(struct chunk *c);
void draft_fail(struct spool_draft *d, int error, const char *what);
void draft_refuse(struct spool_draft *d);  /* a commit that failed before the log: tells so from the loop */
void draft_relieve(struct spool *sp);      /* looks who may go on */
void draft_queue(struct spool_draft *d);   /* to the log */

/* ---- big.c */
void big_start(struct spool_draft *d);           /* the draft's chunks, and all later ones, go to a file */
void big_add(struct spool_draft *d);             /* the last chunk is full */
uint64_t big_outstanding(const struct big *b);
void big_commit(struct spool_draft *d);          /* draft_queue or draft_refuse follows from the loop */
/* The log failed: removes the finished file. False: there is none; else draft_refuse follows. */
bool big_discard(struct spool_draft *d) MUST_CHECK;
void big_abandon(struct spool_draft *d);
void big_share(struct spool_draft *d);           /* all text to the file; draft_shared follows from the loop */
uint64_t big_oldest_ticket(const struct spool *sp); /* of the commits under way; UINT64_MAX: none */
bool big_is_fresh(const struct spool *sp, uint64_t id);

/* ---- load.c */
struct place {
    uint64_t sequence, offset, n; /* n: bytes to read, head and meta at the least */
    uint32_t seed;
};
/* Reads one record of a segment and checks head, meta and, when n reaches over it, the inline text. *p is the caller's
 * to free, NULL on failure unless the code is EBADMSG (damaged). */
bool record_read(int fd, const struct place *at, char **p, struct record_head *head, struct err *err) MUST_CHECK;
/* Of one that is in memory whole: do meta and text check? */
bool record_check(const char *p, const struct record_head *head);
int big_check(int fd, uint64_t n, uint32_t crc); /* reads it all: 0, EBADMSG when it is not that text, or why it cannot be read */

/* ---- scan.c, recover.c */
void found_free(struct found *f);
void recovery_stop(struct spool *sp); /* on close: makes a recovery under way come to its end */
void recovery_free(struct spool *sp);

/* ---- compact.c */
void compact_consider(struct spool *sp); /* on a tick */
void compact_free(struct spool *sp);

#endif
