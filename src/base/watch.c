/* SPDX-License-Identifier: Apache-2.0
 * What events of the log mean to others. */
#include "base/watch.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log_int.h"
#include "base/mem.h"

#define BUFFER (4 << 20)

/* Its descriptors are the process's, like the log's. */
static struct {
    int writer, reader;
} watch = { -1, -1 };

struct row {
    const char *event;
    uint32_t kinds;          /* enum watch_kind */
    int counter;             /* -1: not counted */
    const char *amount;      /* a field that says how many; NULL: one */
    const char *label;       /* a field that says of which sort; NULL: none */
    bool errors;             /* only when it is logged as an error */
};
static const struct row rows[] = {
    { "accepted", 0, COUNTER_ACCEPTED },
    { "delivered", WATCH_DELIVERED, COUNTER_DELIVERED, "recipients" },
    { "deferred", 0, COUNTER_DEFERRED, "recipients" },
    { "bounced", WATCH_BOUNCED, COUNTER_BOUNCED, "recipients" },
    { "quarantined", WATCH_QUARANTINED, COUNTER_QUARANTINED },
    { "discarded", WATCH_REFUSED, COUNTER_DISCARDED },
    { "refused", WATCH_REFUSED, COUNTER_REFUSED, NULL, "stage" },
    { "auth-ok", 0, COUNTER_AUTH_OK },
    { "auth-failed", 0, COUNTER_AUTH_FAILED },
    { "connection-failed", 0, COUNTER_CONNECTION_FAILED },
    { "destination-down", 0, COUNTER_DESTINATION_DOWN },
    { "worker-ended", 0, COUNTER_PROCESS_ENDED, .label = "role", .errors = true },
    { "admin-ended", 0, COUNTER_PROCESS_ENDED, .label = "role", .errors = true },
    { "helper-ended", 0, COUNTER_PROCESS_ENDED, .label = "role", .errors = true },
    { "store-ended", 0, COUNTER_PROCESS_ENDED, .label = "role", .errors = true },
    { "scan-crash", 0, COUNTER_SCAN_CRASH },
    { "scan-timeout", 0, COUNTER_SCAN_TIMEOUT },
    { "reloaded", WATCH_CONFIG, COUNTER_RELOAD },
    { "reload-failed", WATCH_CONFIG, COUNTER_RELOAD_FAILED },
    { "config-changed", WATCH_CONFIG, -1 },
    { "login", WATCH_LOGIN, COUNTER_LOGIN },
    { "login-failed", WATCH_LOGIN, COUNTER_LOGIN_FAILED },
    { "login-braked", WATCH_LOGIN, -1 },
    { "trouble", WATCH_HEALTH, -1 },
    { "trouble-over", WATCH_HEALTH, -1 },
    { "queue-trouble", WATCH_QUEUE, -1 },
    { "queue-trouble-over", WATCH_QUEUE, -1 },
};

static const struct row *row_of(const char *event)
{
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].event[0] == event[0] && !strcmp(rows[i].event, event)) return &rows[i];
    return NULL;
}

static const struct log_field *field(const struct log_field *f, const char *key)
{
    for (; f->key; f++)
        if (!strcmp(f->key, key)) return f;
    return NULL;
}

static bool text_is(const struct log_field *fields, const char *key, const char *value)
{
    const struct log_field *f = field(fields, key);
    return f && f->kind == LOG_FIELD_TEXT && slice_eq(f->text, slice_str(value));
}

/* ---- counting */

static uint64_t amount(const struct row *r, const struct log_field *fields)
{
    const struct log_field *f = r->amount ? field(fields, r->amount) : NULL;
    return f && f->kind == LOG_FIELD_NUM ? f->num : 1;
}

static void count(const struct row *r, const struct log_field *fields)
{
    char label[COUNTER_LABEL_MAX + 1] = "";
    const struct log_field *f = r->label ? field(fields, r->label) : NULL;
    if (f && f->kind == LOG_FIELD_TEXT) snprintf(label, sizeof label, "%.*s", (int)(f->text.n < 40 ? f->text.n : 40), f->text.p);
    counters_add((enum counter)r->counter, label, amount(r, fields));
    if (r->counter == COUNTER_ACCEPTED && (f = field(fields, "size"))) counters_add(COUNTER_ACCEPTED_BYTES, NULL, f->num);
    if (r->counter == COUNTER_DELIVERED && (f = field(fields, "ms"))) counters_time(COUNTER_DELIVERY_TIME, f->num);
}

/* ---- telling */

static void tell(enum log_level level, const char *event, uint32_t kinds, const struct log_field *fields)
{
    struct buf b = { .max = WATCH_MESSAGE_MAX };
    struct log_line l = { .level = level, .event = event, .fields = fields };
    static const char *const levels[] = { "debug", "info", "warning", "error" };
    buf_addf(&b, "{\"kinds\":%u,\"log\":\"%s\",\"level\":\"%s\",\"time\":%llu,\"fields\":{\"v\":1", kinds, event, levels[level],
             (unsigned long long)clock_wall_ms());
    log_format_members(&b, &l, "message");
    buf_add_str(&b, "}}");
    ssize_t k;
    do k = b.overflow ? -1 : send(watch.writer, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    if (k < 0) counters_add(COUNTER_HOOK_LOST, "busy", 1);
    buf_deinit(&b);
}

static void on_event(enum log_level level, const char *event, const struct log_field *fields)
{
    const struct row *r = row_of(event);
    bool virus = (r && (r->counter == COUNTER_REFUSED || r->counter == COUNTER_DISCARDED) && text_is(fields, "check", "virus")) ||
                 (r && r->counter == COUNTER_ACCEPTED && text_is(fields, "quarantine", "virus"));
    if (!r || (r->errors && level < LOG_ERROR)) return;
    if (virus) counters_add(COUNTER_VIRUS, NULL, 1);
    if (r->counter >= 0) count(r, fields);
    uint32_t kinds = (r->kinds | (virus ? WATCH_VIRUS : 0)) & counters_wanted();
    if (kinds && watch.writer >= 0) tell(level, event, kinds, fields);
}

/* ---- life */

bool watch_open(struct err *err)
{
    int pair[2], size = BUFFER;
    counters_open();
    log_watch(on_event);
    if (watch.writer >= 0) return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return err_sys(err, errno, "a socket for events");
    if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    watch.writer = pair[0];
    watch.reader = pair[1];
    return true;
}

int watch_writer(void)
{
    return watch.writer;
}

int watch_reader(void)
{
    return watch.reader;
}

void watch_only_write(void)
{
    if (watch.reader >= 0) close(watch.reader);
    watch.reader = -1;
}

void watch_forget(void)
{
    watch_only_write();
    log_watch(NULL);
    counters_forget();
    if (watch.writer >= 0) close(watch.writer);
    watch.writer = -1;
}
