/* SPDX-License-Identifier: Apache-2.0
 * The log: one line per event, "time level process event key=value ...", to standard error or, when
 * standard error is the journal, with the journal's priority prefix and without the time; or as JSON; or to the journal with fields of its
 * own, or to syslog, each over a socket. Values from outside are escaped here, once. Lines to standard error are gathered and written when
 * log_flush is called (the event loop calls it every turn) or the gathered text grows past 32 KiB; warnings and errors are written at once.
 * Nobody waits for a reader that does not read: lines are lost then, and their number is told as soon as one can be written again. Any thread
 * may log.
 *
 *     log_event(LOG_INFO, "delivered", LOG_ID(id), LOG_TEXT("to", rcpt), LOG_NUM("ms", took));
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H
#include "base/err.h"
#include "base/ip.h"
#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUM, LOG_FIELD_IP, LOG_FIELD_ID } kind;
    struct slice text;
    uint64_t num;
    const struct ip *ip;
};

#define LOG_TEXT(k, s) ((struct log_field){ .key = k, .kind = LOG_FIELD_TEXT, .text = (s) })
#define LOG_STR(k, cstr) LOG_TEXT(k, slice_str(cstr))
#define LOG_NUM(k, v) ((struct log_field){ .key = k, .kind = LOG_FIELD_NUM, .num = (uint64_t)(v) })
#define LOG_IP(k, ipp) ((struct log_field){ .key = k, .kind = LOG_FIELD_IP, .ip = (ipp) })
#define LOG_ID(v) ((struct log_field){ .key = "id", .kind = LOG_FIELD_ID, .num = (v) })             /* message */
#define LOG_SESSION(v) ((struct log_field){ .key = "session", .kind = LOG_FIELD_ID, .num = (v) })
#define LOG_ERR(e) LOG_STR("error", (e)->text)

#define log_event(level, event, ...) \
    log_fields(level, event, (const struct log_field[]){ { .key = "" }, ##__VA_ARGS__, { .key = NULL } })

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_RFC5424 }; /* the last one: to syslog only, elsewhere as text */
enum log_target { LOG_TO_STDERR, LOG_TO_JOURNAL, LOG_TO_SYSLOG };
struct log_options {
    enum log_format format;
    enum log_target to;
    uint32_t facility;   /* of syslog: 0 to 23 */
    const char *socket;  /* NULL: where the journal, or syslog, listens */
    const char *hostname;
};
/* Where lines go from here on, and those of processes that are forked later. Before the sandbox: it opens a socket. When there is nobody at
 * the socket, lines go to standard error. */
void log_setup(const struct log_options *o);
int log_socket(void);    /* that socket, which must stay open; -1: none */
void log_open(const char *process, enum log_level least); /* process: "master", "relay-0" ...; copied */
bool log_enabled(enum log_level level); /* somebody wants to know */
/* Sees each event, also those that are not written. Any thread; it must not log. NULL: nobody. */
typedef void log_watch_cb(enum log_level level, const char *event, const struct log_field *fields); /* fields: without the first one */
void log_watch(log_watch_cb *cb);
/* The first of fields is passed over (it makes the macro's list never empty). */
void log_fields(enum log_level level, const char *event, const struct log_field *fields);
void log_flush(void);
void log_finish(void);      /* before the process ends: waits up to a second for a slow reader */

/* Ids of messages and sessions: 64 bits as 13 characters of a lower-case base 32 without i, l, o, u. */
#define ID_TEXT_LEN 13
void id_format(uint64_t id, char out[ID_TEXT_LEN + 1]);
bool id_parse(struct slice s, uint64_t *out);
void id_add(struct buf *out, uint64_t id);

#endif
