/* SPDX-License-Identifier: Apache-2.0
 * The log. The only mutable state of the process that is not in its context: where lines go. */
#include "base/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log_int.h"
#include "base/mem.h"

#define GATHER_MAX 32768
#define WAITING_MAX (1u << 20) /* of what standard error does not take */
#define END_MS 1000

static struct {
    pthread_mutex_t lock; /* of the rest: threads log, too */
    char process[24];
    enum log_level least;
    bool journal;
    struct buf pending, line;
    enum log_format format;
    enum log_target to;
    uint32_t facility;
    int fd;
    char path[108], hostname[256];
    uint64_t lost;
    log_watch_cb *watch;
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .process = "postern", .least = LOG_INFO, .fd = -1 };

/* systemd names the device and inode of the stream it reads (systemd.exec(5), JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (!stream || fstat(STDERR_FILENO, &st) != 0) return false;
    unsigned long long dev, ino;
    return sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && dev == st.st_dev && ino == st.st_ino;
}

void log_setup(const struct log_options *o)
{
    static const char *const paths[] = { "", "/run/systemd/journal/socket", "/dev/log" };
    pthread_mutex_lock(&log_state.lock);
    log_state.format = o->format;
    log_state.to = o->to;
    log_state.facility = o->facility;
    snprintf(log_state.path, sizeof log_state.path, "%s", o->socket ? o->socket : paths[o->to]);
    snprintf(log_state.hostname, sizeof log_state.hostname, "%s", o->hostname ? o->hostname : "");
    if (o->to != LOG_TO_STDERR && log_state.fd < 0) log_state.fd = log_socket_open();
    tzset(); /* before files are out of reach: syslog's lines have local time */
    pthread_mutex_unlock(&log_state.lock);
}

int log_socket(void)
{
    return log_state.fd;
}

void log_open(const char *process, enum log_level least)
{
    snprintf(log_state.process, sizeof log_state.process, "%s", process);
    log_state.least = least;
    log_state.journal = stderr_is_journal();
    buf_clear(&log_state.pending); /* of the process that this one was forked from, which writes it itself */
}

bool log_enabled(enum log_level level)
{
    return level >= log_state.least || (log_state.watch && level >= LOG_INFO);
}

void log_watch(log_watch_cb *cb)
{
    log_state.watch = cb;
}

static void lose(uint64_t lines)
{
    log_state.lost += lines;
    counters_add(COUNTER_LOG_LOST, NULL, lines);
}

/* ---- standard error */

static void flush(int ms)
{
    struct buf *b = &log_state.pending;
    if (!b->n) return;
    buf_consume(b, log_stderr_write(buf_slice(b), ms));
    if (b->n < WAITING_MAX) return; /* the rest waits for the next turn */
    struct slice waiting = buf_slice(b);
    uint64_t lines = 0;
    for (size_t i = 0; i < waiting.n; i++) lines += waiting.p[i] == '\n';
    lose(lines);
    buf_clear(b);
    buf_add_char(b, '\n'); /* the line before may have gone out in part */
}

static void add_line(const struct log_line *l)
{
    struct buf *b = &log_state.pending;
    if (log_state.journal) buf_addf(b, "<%d>", log_priority(l->level));
    if (log_state.format == LOG_FORMAT_JSON) log_format_json(b, l);
    else if (log_state.journal) log_format_fields(b, l);
    else log_format_text(b, l);
    buf_add_char(b, '\n');
    if (l->level >= LOG_WARNING || b->n > GATHER_MAX) flush(0);
}

/* ---- sockets */

static bool send_line(const struct log_line *l)
{
    struct buf *b = &log_state.line;
    buf_clear(b);
    if (log_state.to == LOG_TO_JOURNAL) log_format_journal(b, l);
    else if (log_state.format == LOG_FORMAT_RFC5424) log_format_rfc5424(b, l);
    else log_format_syslog(b, l, log_state.format == LOG_FORMAT_JSON);
    switch (log_socket_send(log_state.fd, log_state.path, buf_slice(b))) {
    case LOG_SENT: return true;
    case LOG_FULL: lose(1); return false;
    case LOG_NOBODY: break;
    }
    add_line(l); /* somebody may read that */
    return true;
}

/* ---- both */

static bool write_line(const struct log_line *l)
{
    if (log_state.to != LOG_TO_STDERR && log_state.fd >= 0) return send_line(l);
    add_line(l);
    return log_state.pending.n < GATHER_MAX;
}

static void tell_lost(const struct log_line *after)
{
    const struct log_field fields[] = { LOG_NUM("lines", log_state.lost), { .key = NULL } };
    struct log_line l = *after;
    l.level = LOG_WARNING;
    l.event = "log-lost";
    l.fields = fields;
    log_state.lost = 0;
    (void)write_line(&l);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields)
{
    if (log_state.watch) log_state.watch(level, event, fields + 1);
    if (level < log_state.least) return;
    pthread_mutex_lock(&log_state.lock);
    struct log_line l = { .level = level, .process = log_state.process, .event = event, .fields = fields + 1, .now = clock_wall_ms(),
                          .hostname = log_state.hostname, .facility = log_state.facility };
    if (write_line(&l) && log_state.lost) tell_lost(&l);
    pthread_mutex_unlock(&log_state.lock);
}

void log_flush(void)
{
    pthread_mutex_lock(&log_state.lock);
    flush(0);
    pthread_mutex_unlock(&log_state.lock);
}

void log_finish(void)
{
    pthread_mutex_lock(&log_state.lock);
    flush(END_MS);
    pthread_mutex_unlock(&log_state.lock);
}

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void id_format(uint64_t id, char out[ID_TEXT_LEN + 1])
{
    out[ID_TEXT_LEN] = 0;
    for (int i = ID_TEXT_LEN; i-- > 0; id >>= 5) out[i] = id_digits[id & 31];
}

bool id_parse(struct slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n != ID_TEXT_LEN) return false;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = memchr(id_digits, ascii_lower(s.p[i]), sizeof id_digits - 1);
        if (!at || (i == 0 && at - id_digits > 15)) return false;
        v = v << 5 | (uint64_t)(at - id_digits);
    }
    *out = v;
    return true;
}

void id_add(struct buf *out, uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    buf_add(out, slice_of(text, ID_TEXT_LEN));
}
