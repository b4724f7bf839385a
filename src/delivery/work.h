/* SPDX-License-Identifier: Apache-2.0
 * Messages being worked on, and their parts: recipients that go to one destination in one transaction. */
#ifndef POSTERN_DELIVERY_WORK_H
#define POSTERN_DELIVERY_WORK_H
#include "delivery/message.h"

struct work_rcpt {
    struct label *reason;
    uint32_t next;                     /* of the same part; UINT32_MAX ends */
    uint8_t status;                    /* enum rcpt_status */
    bool settled;                      /* has a result of this attempt */
    bool later;                        /* the server takes no more recipients in the transaction under way */
};

#define BY_MAX 80

struct work {
    struct list link;                  /* spare, or unsaved */
    struct queue *q;
    struct message *m;
    struct arena arena;
    struct envelope env;
    struct spool_content *content;
    struct spool_text text;            /* the content's as it is sent: in memory its pieces with the edits, in a file envelope_run tells */
    struct spool_load *load;
    struct quarantine_transfer *transfer; /* on its way into the quarantine */
    uint64_t memory;                   /* its share of queue.memory */
    struct work_rcpt *rcpts;
    struct slice rewritten;            /* the sender, for recipients elsewhere (route/rewrite.h); empty: not needed, or as it is */
    bool rewriting_tried;
    struct list parts;
    unsigned open;                     /* parts, and holds */
    struct destination *from;          /* it was parked there, and counts in its loading_n, */
    uint64_t from_bytes;               /* and for so much in its bytes */
    struct destination *blocked;       /* some part could not be tried: that one is down or full; counted in its waiting_n */
    bool deferred;                     /* some recipient was tried and deferred */
    bool counted;                      /* in queue.active */
    bool owed;                         /* a bounce could not be written */
    bool header_known, header_8bit;    /* the text's header was looked at, and has 8-bit bytes: client_utf8.c */
    bool telling_copies;               /* the postmaster of copies that failed, not the sender of recipients that did */
    bool warned;                       /* a warning was tried in this attempt */
    bool file;                         /* it has a descriptor, or will have one when it is loaded: counted in queue.files */
    uint64_t notice_id;                /* of the bounce being written */
    void (*on_told)(struct work *w, bool ok);
    char *by;                          /* who wants it held or deleted when its work ends; NULL: nobody who is known */
    queue_submit_cb *cb;               /* while incoming */
    void *arg;
};

struct part {
    struct list sibling;               /* of work.parts */
    struct list link;                  /* of destination.ready */
    struct work *work;
    struct destination *dest;
    bool rewritten;                    /* it is sent with work.rewritten */
    bool copy;                         /* of copies (MARK_COPY): whatever the server says to them, it does not say it to the others */
    uint32_t first, last, n;           /* recipients */
    unsigned tries;
    unsigned rounds;                   /* transactions its recipients were left over from */
    uint64_t ready_at;                 /* mono ms */
    uint64_t bytes;                    /* its share of destination.bytes */
};

struct work *work_new(struct queue *q, struct message *m);
void work_free(struct work *w);                    /* lets go of content; detaches from the message */
static inline char *work_take_by(struct work *w)   /* the caller frees it */
{
    char *by = w->by;
    w->by = NULL;
    return by;
}
void work_count(struct work *w);                   /* it takes one of queue.active */
bool work_set_content(struct work *w, struct spool_content *c, struct err *err) MUST_CHECK; /* takes c */
void work_load(struct message *m, struct destination *from); /* reads the message, then works on it */
void work_set_text(struct work *w);                /* work_text.c: of its envelope and content */
/* Up to n bytes of the text from `at` on; fewer at its end, or when its file cannot be read. That one was opened to be sent a moment
 * ago: it is at hand. */
size_t work_read_text(const struct work *w, uint64_t at, char *to, size_t n);
bool work_ends_line(const struct work *w);         /* the text ends in CRLF, or is empty; edits might have cut that off */
void work_begin(struct work *w);                   /* routes; may end the work */
static inline void work_hold(struct work *w) { w->open++; }
void work_release(struct work *w);                 /* may end the work */
void work_save(struct work *w);                    /* what became of its recipients until now, to the spool */
void work_save_soon(struct work *w);               /* from the tick: some recipients have results, and others may take long */
void work_cancel_ready(struct work *w);            /* parts nobody sends yet are given up; may end the work */
void work_finish(struct work *w);                  /* result.c */
void work_quarantine(struct work *w);              /* quarantine.c: instead of routing it; may end the work */
void work_quarantine_cancel(struct work *w);       /* fine when nothing is under way */

#define PART_EACH(i, p) for (uint32_t i = (p)->first; i != UINT32_MAX; i = (p)->work->rcpts[i].next)
/* What became of a recipient. reason as in reason.h; empty for delivered. */
void part_result(struct part *p, uint32_t i, enum rcpt_status status, struct slice reason);
void part_result_all(struct part *p, enum rcpt_status status, struct slice reason); /* all without a result yet */
uint32_t part_unsettled(const struct part *p);     /* how many have none */
void part_done(struct part *p);                    /* its attempt is over */
void part_drop_settled(struct part *p);            /* they are no recipients of it any more */
/* The unsettled recipients marked `later`, or those beyond the first `most` when it is not 0, become a part of their own, which is ready at
 * once. Those left may be none. */
void part_split(struct part *p, uint32_t most);
void part_blocked(struct part *p);                 /* could not be tried */

static inline bool work_is_copy(const struct work *w, uint32_t i) { return envelope_marks(&w->env, i) & MARK_COPY; }
/* history.c: the address that recipient i stands for, where the client (or the one before it) wrote another one; false: none, nothing is added. */
bool work_original(const struct work *w, uint32_t i, struct buf *out);
struct log_field work_for(const struct work *w, uint32_t i, struct buf *room); /* the same as a field of a log line, the last one */
bool dsn_wanted(const struct work *w, uint32_t i, enum envelope_notify what); /* client_dsn.c: is the sender told that of recipient i? */
#define PLAIN_ADDRESS_ROOM 640
/* client_utf8.c: in ASCII, an internationalized domain as A-labels; an address that has no such form as it is. May be in room. */
struct slice utf8_plain_address(struct slice address, char room[PLAIN_ADDRESS_ROOM]);
/* notify.c: tells the sender (or the postmaster) of the first NOTICE_RCPTS failed recipients, which are closed then, or of the delay. Of copies
 * that failed (telling_copies) the postmaster is told, within bounds, and the sender never.
 * cb comes from the loop, or at once when there is nobody to tell. ok: it is on disk. The caller keeps a hold on w. */
#define NOTICE_RCPTS 500
void notify_failed(struct work *w, void (*cb)(struct work *w, bool ok));
void notify_delayed(struct work *w, void (*cb)(struct work *w, bool ok));
void notify_relayed(struct work *w, void (*cb)(struct work *w, bool ok)); /* as notify_failed, for RCPT_RELAYED */

#endif
