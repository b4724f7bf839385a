/* SPDX-License-Identifier: Apache-2.0
 * What the files of the scanners share: the connection with its deadline, answers, HTTP's framing, and each protocol's parser, which tests feed by
 * themselves. */
#ifndef POSTERN_CONTENT_SCANNER_INTERNAL_H
#define POSTERN_CONTENT_SCANNER_INTERNAL_H
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/buf.h"
#include "content/scanner.h"

#define SCANNER_ADDRESSES_MAX 4
#define SCANNER_VIRUSES_MAX 20
#define SCANNER_PIECES_MAX 50    /* files of one message that are given to a scanner one by one */
#define SCANNER_SAID_MAX (8u << 20) /* bytes of one conversation that are listened to */
#define SCANNER_SCORE_MAX 100000 /* hundredths */

struct scanner {
    const struct config_scanner *c;
    struct { struct sockaddr_storage address; socklen_t n; } addresses[SCANNER_ADDRESSES_MAX];
    size_t address_n;
    char *unresolved;            /* why its name has no address */
    char *password;              /* rspamd */
    char *directory;
    char **argv;                 /* command; NULL ends it, all in one piece of memory */
    bool by_file;                /* command: an argument holds {} */
    struct { uint64_t asked, preview; bool has_preview; } icap; /* what OPTIONS told, and when (mono ms; 0: not yet) */
};

/* ---- one question */
struct ask {
    struct scanner *s;
    const struct content_message *m;
    const struct scan_context *context;
    const struct config *config;
    uint64_t until;              /* mono ms */
    struct arena *arena;
    struct scanner_answer *out;
};
void scanner_ask_clamd(struct ask *a);
void scanner_ask_icap(struct ask *a);
void scanner_ask_command(struct ask *a);
void scanner_ask_spamd(struct ask *a);
void scanner_ask_rspamd(struct ask *a);
void scanner_ask_milter(struct ask *a);

/* The message, then the files in it that are neither in archives nor in documents (which scanners open by themselves): readers of MIME differ, and what
 * is hidden from one is given to it unpacked. */
struct scanner_piece {
    struct slice data, name;     /* name: empty for the message */
};
size_t scanner_pieces(const struct content_message *m, struct scanner_piece out[SCANNER_PIECES_MAX]);

/* ---- answers (scanner_answer.c) */
struct slice scanner_text(struct arena *arena, struct slice raw); /* printable, within REPORT_TEXT_MAX */
struct slice scanner_cut(struct arena *arena, struct slice clean); /* the same of what is printable already */
/* Sets state and text, whose parts are printable; false. */
bool scanner_fail(struct ask *a, enum scanner_state state, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void scanner_add_virus(struct ask *a, struct slice name, struct slice part);
void scanner_add_symbol(struct ask *a, struct slice name, struct slice text, double score);
struct report_action *scanner_add_action(struct ask *a, enum config_rule_do action); /* NULL: too many, and failed */
/* threshold: what it counts as spam; so much is config->spam.mark of ours. factor: for the symbols. */
void scanner_set_score(struct ask *a, double score, double threshold, double *factor);
int32_t scanner_hundredths(double score);   /* bounded; 0 for what is no number */
/* A number with an optional sign and fraction, "-1.5"; exponents are none. False: it is none. */
bool scanner_number(struct slice s, double *out);
/* Who brought the message, as a Received field and Return-Path would say; for engines that read it from the header. */
void scanner_add_trace(struct buf *out, const struct ask *a);
void scanner_add_clean(struct buf *out, struct slice s); /* without controls: for lines of a protocol */

/* ---- connections (scanner_talk.c) */
enum talk_step { TALK_MORE, TALK_DONE, TALK_BAD };
/* Takes what it can off `in`; what it leaves is there the next time. end: nothing more comes. */
typedef enum talk_step talk_reader(void *arg, struct buf *in, bool end);
struct talk {
    struct ask *ask;
    int fd;
    struct buf in;
    uint64_t heard;
    bool cut;                    /* it answered before all was sent: that was the last exchange */
    struct { struct iovec *v; size_t n, room; } out;
};
/* All of these set the answer's state and text when they fail. */
bool talk_open(struct talk *t, struct ask *a);
void talk_close(struct talk *t);
/* Queues bytes, which must live until they are sent. */
void talk_add(struct talk *t, struct slice s);
void talk_add_copy(struct talk *t, struct slice s);
/* Sends what is queued and listens at the same time until `reader` is done, which may be before all is sent. last: says that nothing more comes.
 * After BAD the reader has set what is wrong in *why. */
bool talk_exchange(struct talk *t, bool last, talk_reader *reader, void *arg, const char *const *why);
void talk_say(struct talk *t, struct slice s); /* what needs no answer, and need not arrive */
bool scanner_address_parse(struct scanner *s, struct err *err);

/* ---- HTTP, as ICAP and rspamd have it (scanner_http.c) */
#define HTTP_HEAD_MAX 16384
struct http_head {
    unsigned status;
    struct slice fields;         /* lines behind the first one */
    struct slice protocol;       /* "HTTP/1.1" */
};
/* Takes one off `in`. */
enum talk_step http_read_head(struct buf *in, struct arena *arena, struct http_head *out);
bool http_parse_head(struct slice head, struct http_head *out);
bool http_field(const struct http_head *h, const char *name, struct slice *value);
struct http_chunks {             /* RFC 9112 §7.1 */
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_END } at;
    uint64_t left;
    bool (*sink)(void *arg, struct slice data); /* false: enough */
    void *arg;
};
enum talk_step http_read_chunks(struct http_chunks *c, struct buf *in);
/* A whole answer with its body of at most body->max bytes. */
struct http_reader {
    struct arena *arena;
    struct http_head head;
    bool has_head, chunked, has_length;
    uint64_t left;
    struct http_chunks chunks;
    struct buf body;
    const char *why;
};
enum talk_step http_read(void *arg, struct buf *in, bool end);

/* ---- parsers */
enum clamd_said { CLAMD_OK, CLAMD_FOUND, CLAMD_LIMIT, CLAMD_ERROR, CLAMD_NONSENSE };
/* One reply, "1: stream: Name FOUND"; id: the number in front, 0: none. */
enum clamd_said clamd_parse(struct slice line, uint64_t *id, struct slice *text);

struct spamd_reader {
    struct ask *ask;
    struct slice head;
    bool has_head, has_length;
    uint64_t left;
    struct buf body;
    const char *why;
};
enum talk_step spamd_read(void *arg, struct buf *in, bool end);
void spamd_judge(struct ask *a, const struct spamd_reader *r);

void rspamd_judge(struct ask *a, struct slice json);

struct icap_reader {
    struct ask *ask;
    struct http_head icap, http;
    enum { ICAP_HEAD, ICAP_HTTP, ICAP_BODY, ICAP_DONE } at;
    uint64_t hdr_n;              /* bytes of encapsulated headers before the body */
    uint64_t res_at, res_n;      /* of the response's among them */
    bool has_body;
    struct http_chunks chunks;
    struct slice original;       /* what was sent */
    uint64_t same;               /* bytes of the body that came back as they were */
    bool differs;
    const char *why;
};
void icap_reader_init(struct icap_reader *r, struct ask *a, struct slice original);
enum talk_step icap_read(void *arg, struct buf *in, bool end);
/* After DONE: what it means; true: this piece is clean, or its virus was added. */
bool icap_judge(struct ask *a, const struct icap_reader *r, struct slice part);

/* ---- milter */
#define MILTER_FRAME_MAX (1u << 20)
struct milter_frame {
    char command;
    struct slice data;           /* within the buffer until it is consumed */
    size_t n;                    /* bytes of the frame with its length */
};
enum talk_step milter_take_frame(struct slice in, struct milter_frame *f);

struct milter_field {
    struct slice before;         /* put in in front of it */
    bool changed;
    struct slice text;           /* instead of it; empty: removed */
};
struct milter_edits {
    struct ask *ask;
    struct milter_field *fields; /* as many as the message's */
    struct slice top, tail, body;
    bool new_body;
    bool lead_space;             /* HDR_LEADSPC: values come with the blank behind the colon */
    size_t bytes;                /* of all new text */
};
void milter_edits_init(struct milter_edits *e, struct ask *a);
/* NULL, or what is wrong with it. data: as in the frame. */
const char *milter_change_header(struct milter_edits *e, struct slice data);
/* Edits and prepend of the answer. */
const char *milter_edits_finish(struct milter_edits *e);
/* Code, enhanced code and text of 'y' into the action; false: it is no refusal. */
bool milter_parse_reply(struct slice text, struct arena *arena, struct report_action *action);
/* What one frame at the end of the message asks for; NULL: it was done. */
const char *milter_modify(struct milter_edits *e, const struct milter_frame *f, uint32_t actions);

#endif
