/* SPDX-License-Identifier: Apache-2.0
 * How a line of the log is written. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log_int.h"

#define VALUE_MAX 512

static const char *const level_names[] = { "debug", "info", "warning", "error" };

int log_priority(enum log_level level)
{
    static const int priorities[] = { 7, 6, 4, 3 };
    return priorities[level];
}

/* ---- values */

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

static void add_value(struct buf *b, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_FIELD_TEXT: buf_add_printable(b, f->text, VALUE_MAX); break;
    case LOG_FIELD_NUM: buf_add_u64(b, f->num); break;
    case LOG_FIELD_IP: ip_add(b, f->ip); break;
    case LOG_FIELD_ID: id_add(b, f->num); break;
    }
    if (f->kind == LOG_FIELD_TEXT && f->text.n > VALUE_MAX) buf_add_str(b, "...");
}

/* What is printable already, with a backslash in front of those characters that end a value. */
static void add_escaped(struct buf *b, struct slice s, const char *special)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr(special, s.p[i]) && s.p[i]) buf_add_char(b, '\\');
        buf_add_char(b, s.p[i]);
    }
}

static void add_escaped_value(struct buf *b, const struct log_field *f, const char *special)
{
    struct buf value = { 0 };
    add_value(&value, f);
    add_escaped(b, buf_slice(&value), special);
    buf_deinit(&value);
}

/* ---- text */

void log_format_fields(struct buf *b, const struct log_line *l)
{
    buf_add_str(b, l->process);
    buf_add_char(b, ' ');
    buf_add_str(b, l->event);
    for (const struct log_field *f = l->fields; f->key; f++) {
        buf_add_char(b, ' ');
        buf_add_str(b, f->key);
        buf_add_char(b, '=');
        if (f->kind == LOG_FIELD_TEXT) add_text(b, f->text);
        else add_value(b, f);
    }
}

void log_format_text(struct buf *b, const struct log_line *l)
{
    clock_add_rfc3339(b, l->now);
    buf_add_char(b, ' ');
    buf_add_str(b, level_names[l->level]);
    buf_add_char(b, ' ');
    log_format_fields(b, l);
}

/* ---- JSON (RFC 8259); what is printable is UTF-8 without control characters */

static void add_member(struct buf *b, const char *name, struct slice text)
{
    buf_addf(b, "\"%s\":\"", name);
    add_escaped(b, text, "\"\\");
    buf_add_str(b, "\"");
}

void log_format_members(struct buf *b, const struct log_line *l, const char *id)
{
    for (const struct log_field *f = l->fields; f->key; f++) {
        bool number = f->kind == LOG_FIELD_NUM;
        buf_addf(b, ",\"%s\":%s", strcmp(f->key, "id") != 0 ? f->key : id, number ? "" : "\"");
        add_escaped_value(b, f, "\"\\");
        if (!number) buf_add_char(b, '"');
    }
}

void log_format_json(struct buf *b, const struct log_line *l)
{
    struct buf time = { 0 };
    clock_add_rfc3339(&time, l->now);
    buf_add_char(b, '{');
    add_member(b, "time", buf_slice(&time));
    buf_add_char(b, ',');
    add_member(b, "level", slice_str(level_names[l->level]));
    buf_add_char(b, ',');
    add_member(b, "process", slice_str(l->process));
    buf_add_char(b, ',');
    add_member(b, "event", slice_str(l->event));
    log_format_members(b, l, "id");
    buf_add_char(b, '}');
    buf_deinit(&time);
}

/* ---- the journal: NAME=value lines; values have no line ends, as all is printable */

static void add_field_name(struct buf *b, const char *key)
{
    buf_add_str(b, "POSTERN_");
    for (; *key; key++) {
        char c = *key;
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        buf_add_char(b, (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
    }
}

void log_format_journal(struct buf *b, const struct log_line *l)
{
    buf_add_str(b, "MESSAGE=");
    log_format_fields(b, l);
    buf_addf(b, "\nPRIORITY=%d\nSYSLOG_FACILITY=%u\nSYSLOG_IDENTIFIER=postern\nSYSLOG_PID=%d\nPOSTERN_PROCESS=%s\nPOSTERN_EVENT=%s\n",
             log_priority(l->level), l->facility, (int)getpid(), l->process, l->event);
    for (const struct log_field *f = l->fields; f->key; f++) {
        add_field_name(b, f->key);
        buf_add_char(b, '=');
        add_value(b, f);
        buf_add_char(b, '\n');
    }
}

/* ---- syslog */

static int priority(const struct log_line *l)
{
    return (int)(l->facility * 8) + log_priority(l->level);
}

void log_format_syslog(struct buf *b, const struct log_line *l, bool json)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(l->now / 1000);
    struct tm t;
    localtime_r(&seconds, &t);
    buf_addf(b, "<%d>%s %2d %02d:%02d:%02d postern[%d]: ", priority(l), months[t.tm_mon], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)getpid());
    if (json) log_format_json(b, l);
    else log_format_fields(b, l);
}

/* RFC 5424 §6. The enterprise number is the one for documentation (RFC 5612): there is none of our own. */
void log_format_rfc5424(struct buf *b, const struct log_line *l)
{
    buf_addf(b, "<%d>1 ", priority(l));
    clock_add_rfc3339(b, l->now);
    buf_addf(b, " %s postern %d %.32s [postern@32473 process=\"%s\"", l->hostname[0] ? l->hostname : "-", (int)getpid(), l->event, l->process);
    for (const struct log_field *f = l->fields; f->key; f++) {
        buf_addf(b, " %.32s=\"", f->key);
        add_escaped_value(b, f, "\"\\]"); /* §6.3.3 */
        buf_add_char(b, '"');
    }
    buf_add_str(b, "] ");
    log_format_fields(b, l);
}
