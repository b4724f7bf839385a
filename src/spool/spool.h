/* SPDX-License-Identifier: Apache-2.0
 * The spool: a segmented append-only log of messages and of what became of them. One worker owns a spool
 * under a lock. All calls are made on the worker's event loop and do not block; disk work is done by threads of
 * the spool, and callbacks come on the loop, never before the starter has returned.
 *
 * Layout of the directory:   lock   seg-<16 hex digits>   big-<message id>   damaged-*
 *
 * Liveness: a segment is removed (or kept as a spare to be written over) when no live message and no live state
 * is in it and every older segment that its records speak of is gone. Segments with little alive are copied
 * forward. See docs/spool.md for the record format. */
#ifndef POSTERN_SPOOL_SPOOL_H
#define POSTERN_SPOOL_SPOOL_H
#include "base/buf.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"

struct event_base;
struct spool;

struct spool_options {
    const char *dir;              /* exists, ours; copied */
    uint64_t segment_size;        /* bytes */
    uint64_t inline_size;         /* messages up to this are kept in the log, larger ones in files of their own */
    uint64_t pending_max;         /* bytes handed over and not yet on disk; past it drafts are congested. 0: 64 MiB */
    uint32_t free_percent;        /* below it spool_full() is true */
};

/* Embedded in whatever the queue keeps for a message; the queue owns the memory, the spool the fields. */
struct spool_msg {
    uint64_t id;
    uint32_t segment, offset;     /* of the message record; segment counts from the spool's first */
    uint32_t meta_n;
    uint32_t state_segment;       /* where its latest state is; 0: none, or with the message */
    uint64_t text_n;              /* bytes of text */
    uint32_t state_offset;
    bool big, dead;
};

/* ---- life of a spool */
/* Takes the lock (fails at once when another process has it), makes the directory's first segment. Reads at most
 * the segments' headers: the rest is spool_recover's. *busy tells a lock held from other failures. */
struct spool *spool_open(struct event_base *base, const struct spool_options *o, bool *busy, struct err *err) MUST_CHECK;
/* Writes out what is pending, waits for it (this one blocks), frees. Drafts and loads must be over;
 * every live spool_msg must still be there. */
void spool_close(struct spool *sp);

/* Replays what a former owner left: reads record headers and envelopes, not texts (but checks the texts of the segment
 * that was open last: a torn tail is cut, anything else that does not check is set aside in damaged-* and reported).
 * Works in slices on the loop. For each live message, after all of the log is read: on_message gets the encoded envelope
 * and the latest state (empty if none) and returns the spool_msg embedded in the queue's new object (it need only be
 * zeroed memory; the spool fills it). New drafts may be committed at any time, also before recovery ends. */
struct spool_recovery {
    struct spool_msg *(*on_message)(void *arg, uint64_t id, struct slice envelope, struct slice state);
    void (*on_done)(void *arg, uint64_t messages, uint64_t damaged);
    void *arg;
};
void spool_recover(struct spool *sp, const struct spool_recovery *r);

/* ---- a message comes in */
struct spool_draft;
/* The text's bytes as one or more pieces in memory, or in a file. */
struct spool_text {
    struct slice *pieces;         /* NULL: in the file */
    size_t piece_n;
    int fd;                       /* when pieces is NULL; text begins at offset */
    uint64_t offset, n;
};
/* Outcome of a commit. On success `msg` was filled and is live, and `content` holds the text in memory for immediate
 * delivery when it is small enough (else NULL): the callee owns it, spool_content_free. */
struct spool_content;
typedef void spool_commit_cb(void *arg, bool ok, struct spool_content *content, const struct err *err);

struct spool_draft *spool_draft_new(struct spool *sp);
/* Room to put text in; *room (at least 1 byte) tells how much. Then spool_draft_added(n) says how much was used.
 * false when the disk failed or is full: the draft is good for spool_draft_free only. */
char *spool_draft_room(struct spool_draft *d, size_t *room);
bool spool_draft_added(struct spool_draft *d, size_t n, struct err *err) MUST_CHECK;
bool spool_draft_append(struct spool_draft *d, struct slice text, struct err *err) MUST_CHECK; /* the two in one */
uint64_t spool_draft_size(const struct spool_draft *d);
/* True while so much is waiting for the disk that the caller should stop reading; on_relief(arg) comes once when it may
 * go on. */
bool spool_draft_congested(struct spool_draft *d, void (*on_relief)(void *arg), void *arg);
/* Makes the message durable: envelope and text are in one record, flushed together with all others that are ready.
 * The envelope is copied. `msg` must stay where it is until the callback. The draft is used up. A commit cannot be
 * cancelled: when the client is gone by then, the message is ours all the same. */
void spool_draft_commit(struct spool_draft *d, uint64_t id, struct slice envelope, struct spool_msg *msg, spool_commit_cb *cb,
                        void *arg);
void spool_draft_free(struct spool_draft **d); /* gives up; clears the pointer; NULL is fine */

/* A descriptor with a message's whole text, for other processes, which can read it and nothing else: a small one is copied into a sealed
 * memfd, a big one's file is opened once more, read-only (everything was handed to it, it need not be on disk). It stays the spool's: who
 * wants to keep it makes a copy. A memfd has one file position for all: pread or mmap it. */
struct spool_share {
    int fd;
    uint64_t offset, size;        /* the text begins there, and has so many bytes */
};
enum spool_sharing { SPOOL_SHARED, SPOOL_SHARE_WAITS, SPOOL_SHARE_FAILED };
/* Once the text is complete: none may be added afterwards. SHARED: *out is filled. WAITS: cb comes from the loop, once, with share NULL and an
 * error when it failed; not after spool_draft_share_cancel, commit or free. The descriptor is closed with the commit or the draft.
 * Asked again it gives the same one. The commit is as ever. */
typedef void spool_share_cb(void *arg, const struct spool_share *share, const struct err *err);
enum spool_sharing spool_draft_share(struct spool_draft *d, struct spool_share *out, spool_share_cb *cb, void *arg,
                                     struct err *err) MUST_CHECK;
void spool_draft_share_cancel(struct spool_draft *d); /* no callback after that; fine when nothing waits */

/* ---- what becomes of it */
/* The message is finished; msg is dead and its memory is the queue's to free at once. Written with the next flush or within
 * 100 ms; lost in a power cut it means a second delivery, never a lost message. */
void spool_done(struct spool *sp, struct spool_msg *msg);
/* Keeps `state` (opaque, at most 64 KiB) with the message, in place of any earlier one. Written as spool_done. */
void spool_save_state(struct spool *sp, struct spool_msg *msg, struct slice state);
/* Calls back once all that was handed over before is on disk. */
void spool_sync(struct spool *sp, void (*cb)(void *arg, bool ok), void *arg);

/* ---- reading it again */
struct spool_content {
    struct slice envelope;        /* encoded */
    struct spool_text text;
    size_t memory;                /* bytes this holds in memory: for the queue's budget */
};
/* Reads envelope (and text unless it is big: then a descriptor) in a thread. cb gets NULL and an error when it cannot be read or
 * does not check (code EBADMSG: damaged, set aside). Cancel: spool_load_cancel; no callback after that. */
struct spool_load;
typedef void spool_load_cb(void *arg, struct spool_content *content, const struct err *err);
struct spool_load *spool_load_start(struct spool *sp, const struct spool_msg *msg, bool envelope_only, spool_load_cb *cb, void *arg);
void spool_load_cancel(struct spool_load **l);
/* The envelope at once, for listings: reads from the page cache, may block for one disk read. */
bool spool_read_envelope(struct spool *sp, const struct spool_msg *msg, struct buf *out, struct err *err) MUST_CHECK;
void spool_content_free(struct spool_content *c); /* NULL is fine; closes its descriptors */
/* The same as spool_draft_share for a message that was read, with its text; at once. The descriptor is closed with the content. */
bool spool_content_share(struct spool_content *c, struct spool_share *out, struct err *err) MUST_CHECK;

/* ---- state of the spool */
bool spool_full(struct spool *sp);  /* less than free_percent left, or the last write failed for want of space; asked at most
                                     * once a second of the file system, so cheap */
struct spool_figures {
    uint64_t messages, segments, spare_segments, bytes_total, bytes_alive, flushes, records, damaged;
    uint64_t free_bytes, disk_bytes;
};
void spool_get_figures(struct spool *sp, struct spool_figures *out);

/* Steps of crash tests (base/crash.h): draft-first, draft-big, commit-queued, write-before, write-after, flush-after, commit-callback,
 * done-queued, done-written, state-written, segment-new, segment-removed, compact-copied. */

/* ---- the commands: read a directory without owning it */
bool spool_tool_verify(const char *dir, bool json, struct buf *out, struct err *err) MUST_CHECK; /* false also when damage was found */
bool spool_tool_dump(const char *dir, bool json, struct buf *out, struct err *err) MUST_CHECK;   /* a line per record */
bool spool_tool_cat(const char *dir, uint64_t id, struct buf *out, struct err *err) MUST_CHECK;  /* prepend + text */

#endif
