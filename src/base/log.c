/* SPDX-License-Identifier: Apache-2.0
 * The log. The only mutable state of the process that is not in its context: where lines go. */
#include "base/log.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"

#define GATHER_MAX 32768
#define VALUE_MAX 512

static struct {
    pthread_mutex_t lock; /* of pending: threads log, too */
    char process[24];
    enum log_level least;
    bool journal;
    struct buf pending;
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .process = "postern", .least = LOG_INFO };

/* systemd names the device and inode of the stream it reads (systemd.exec(5), JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (!stream || fstat(STDERR_FILENO, &st) != 0) return false;
    unsigned long long dev, ino;
    return sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && dev == st.st_dev && ino == st.st_ino;
}

void log_open(const char *process, enum log_level least)
{
    snprintf(log_state.process, sizeof log_state.process, "%s", process);
    log_state.least = least;
    log_state.journal = stderr_is_journal();
}

bool log_enabled(enum log_level level)
{
    return level >= log_state.least;
}

static void flush(void)
{
    struct buf *b = &log_state.pending;
    size_t done = 0;
    while (done < b->n) {
        ssize_t k = write(STDERR_FILENO, b->p + done, b->n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break; /* nobody reads the log: mail goes on */
        done += (size_t)k;
    }
    b->n = 0;
}

void log_flush(void)
{
    pthread_mutex_lock(&log_state.lock);
    flush();
    pthread_mutex_unlock(&log_state.lock);
}

static bool needs_quotes(struct slice s)
{
    if (!s.n) return true;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '=') return true;
    return false;
}

static void add_text(struct buf *b, struct slice s)
{
    bool cut = s.n > VALUE_MAX;
    s = slice_sub(s, 0, VALUE_MAX);
    bool quote = needs_quotes(s);
    if (quote) buf_add_char(b, '"');
    while (s.n) { /* a double quote would end the value early */
        struct slice part;
        bool more = slice_cut(&s, '"', &part);
        buf_add_printable(b, part, VALUE_MAX);
        if (more) buf_add_str(b, "\\x22");
    }
    if (cut) buf_add_str(b, "...");
    if (quote) buf_add_char(b, '"');
}

static void add_field(struct buf *b, const struct log_field *f)
{
    buf_add_char(b, ' ');
    buf_add_str(b, f->key);
    buf_add_char(b, '=');
    switch (f->kind) {
    case LOG_FIELD_TEXT: add_text(b, f->text); break;
    case LOG_FIELD_NUM: buf_add_u64(b, f->num); break;
    case LOG_FIELD_IP: ip_add(b, f->ip); break;
    case LOG_FIELD_ID: id_add(b, f->num); break;
    }
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    static const char *const priorities[] = { "<7>", "<6>", "<4>", "<3>" };
    struct buf *b = &log_state.pending;
    if (!log_enabled(level)) return;
    pthread_mutex_lock(&log_state.lock);
    if (log_state.journal)
        buf_add_str(b, priorities[level]);
    else {
        clock_add_rfc3339(b, clock_wall_ms());
        buf_add_char(b, ' ');
        buf_add_str(b, names[level]);
        buf_add_char(b, ' ');
    }
    buf_add_str(b, log_state.process);
    buf_add_char(b, ' ');
    buf_add_str(b, event);
    for (fields++; fields->key; fields++) add_field(b, fields);
    buf_add_char(b, '\n');
    if (level >= LOG_WARNING || b->n > GATHER_MAX) flush();
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
