/* SPDX-License-Identifier: Apache-2.0
 * What the files of the log share: how a line is written, and how it is sent. */
#ifndef POSTERN_BASE_LOG_INT_H
#define POSTERN_BASE_LOG_INT_H
#include "base/buf.h"
#include "base/log.h"

struct log_line {
    enum log_level level;
    const char *process, *event;
    const struct log_field *fields; /* without the first one */
    uint64_t now;                   /* wall ms */
    const char *hostname;
    uint32_t facility;
};

/* ---- log_format.c; without the line's end, but for the journal's */
void log_format_fields(struct buf *b, const struct log_line *l);   /* "process event key=value ..." */
void log_format_text(struct buf *b, const struct log_line *l);     /* with time and level in front */
void log_format_json(struct buf *b, const struct log_line *l);
void log_format_members(struct buf *b, const struct log_line *l, const char *id); /* ,"key":value ... ; id: how the field "id" is called */
void log_format_journal(struct buf *b, const struct log_line *l);  /* the journal's native protocol */
void log_format_syslog(struct buf *b, const struct log_line *l, bool json); /* as syslog(3) sends it */
void log_format_rfc5424(struct buf *b, const struct log_line *l);
int log_priority(enum log_level level);                            /* of syslog */

/* ---- log_target.c */
int log_socket_open(void);                                         /* -1: cannot */
enum log_sent { LOG_SENT, LOG_FULL, LOG_NOBODY };
enum log_sent log_socket_send(int fd, const char *path, struct slice line); /* never blocks */
/* As much as can be written without waiting, or within ms; how much it was. */
size_t log_stderr_write(struct slice s, int ms);

#endif
