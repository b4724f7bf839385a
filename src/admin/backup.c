/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/backup: what `postern backup` writes, as a download. Another process makes it (src/proc/backup_child.c) as a file without a name; here
 * it is read while it goes out. There is one at a time, from its beginning until its last byte is sent: each may be as large as all data. */
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "admin/web_int.h"
#include "base/clock.h"
#include "base/io.h"

#define BACKUP_MS 1860000    /* the process has half an hour */
#define LOOK_SECONDS 2
#define PIECE 65536

struct backup {
    struct admin *admin;
    struct http_request *r;  /* waits for it; NULL: it goes out */
    struct event *look;
    int fd;
    uint64_t n;
};

static void backup_free(struct backup *b)
{
    b->admin->backup = NULL;
    event_free(b->look);
    if (b->fd >= 0) close(b->fd);
    free(b);
}

/* Nobody hears of a connection that is suspended; what nobody waits for need not be made. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct backup *b = arg;
    struct pollfd gone = { .fd = http_socket_of(b->r->connection), .events = POLLRDHUP };
    if (poll(&gone, 1, 0) != 1 || !(gone.revents & (POLLRDHUP | POLLHUP | POLLERR))) return;
    event_del(b->look);
    tell_master(b->admin, "backup-stop");
}

/* ---- it goes out */

static ssize_t read_piece(void *arg, uint64_t at, char *to, size_t max)
{
    const struct backup *b = arg;
    if (at >= b->n) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t k = io_read_at(b->fd, to, b->n - at < max ? (size_t)(b->n - at) : max, at);
    return k ? (ssize_t)k : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_sent(void *arg) { backup_free(arg); }

/* "postern-mail.example.com-2026-02-01.backup" */
static void name_of(const struct admin *a, char *out, size_t size)
{
    struct tm day;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    localtime_r(&now, &day);
    snprintf(out, size, "postern-%.100s-%04d-%02d-%02d.backup", a->site->hostname ? a->site->hostname : "relay", day.tm_year + 1900, day.tm_mon + 1,
             day.tm_mday);
}

static void send_it(struct backup *b, const json_t *told)
{
    struct http_request *r = b->r;
    char name[160], header[240], detail[160];
    struct MHD_Response *response = MHD_create_response_from_callback(b->n, PIECE, read_piece, b, on_sent);
    if (!response) {
        backup_free(b);
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no memory for the answer");
        return;
    }
    b->r = NULL;
    event_del(b->look);
    name_of(b->admin, name, sizeof name);
    snprintf(header, sizeof header, "attachment; filename=\"%s\"", name);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/zstd");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, header);
    snprintf(detail, sizeof detail, "%lld files, %llu bytes%s", (long long)json_integer_value(json_object_get(told, "files")),
             (unsigned long long)b->n, json_is_false(json_object_get(r->json, "quarantine")) ? ", without the quarantine" : "");
    http_audit(r, name, detail);
    http_connection_of(r->connection)->lasts = true;
    http_answer_response(r, MHD_HTTP_OK, response);
}

static void on_made(void *arg, json_t *answers, unsigned missing)
{
    struct backup *b = arg;
    struct http_request *r = b->r;
    struct stat st;
    json_t *told = json_array_get(answers, 0);
    const char *why = json_string_value(json_object_get(told, "failed"));
    b->fd = ask_take_fd(b->admin);
    if (b->fd >= 0 && fstat(b->fd, &st) == 0 && st.st_size > 0) {
        b->n = (uint64_t)st.st_size;
        if (http_still_may(r)) send_it(b, told); /* half an hour may have gone by */
        else backup_free(b);
    } else {
        backup_free(b);
        http_error(r, json_is_true(json_object_get(told, "full")) ? MHD_HTTP_INSUFFICIENT_STORAGE : MHD_HTTP_SERVICE_UNAVAILABLE,
                   why ? why : "the master has not answered; the log tells more");
    }
    json_decref(answers);
}

/* ---- it is asked for */

static void serve_backup(struct http_request *r)
{
    struct admin *a = r->admin;
    const json_t *quarantine = json_object_get(r->json, "quarantine");
    if (json_is_true(json_object_get(r->json, "queue"))) {
        http_error(r, MHD_HTTP_CONFLICT, "queue: not while the relay runs, as what it delivers meanwhile would be delivered again: stop it, then "
                                         "`postern backup FILE --with-queue`");
        return;
    }
    if (a->backup) {
        http_error(r, MHD_HTTP_CONFLICT, "a backup is being made or fetched: one at a time");
        return;
    }
    struct backup *b = a->backup = mem_new(struct backup);
    *b = (struct backup){ .admin = a, .r = r, .fd = -1 };
    b->look = event_new(a->base, -1, EV_PERSIST, on_look, b);
    event_add(b->look, &(struct timeval){ LOOK_SECONDS, 0 });
    ask_master_message(a, json_pack("{s:s, s:b}", "op", "backup", "quarantine", !json_is_false(quarantine)), BACKUP_MS, on_made, b);
}

static const struct route_field backup_body[] = {
    { "quarantine", ROUTE_BOOL, false, "with the messages in the quarantine (true when it is not said)", NULL },
    { "queue", ROUTE_BOOL, false, "with mail that is still to be delivered: refused while the relay runs", NULL },
    { 0 },
};
static const struct route_field no_fields[] = { { 0 } };

const struct route routes_backup[] = {
    { "POST", "/v1/backup", "all that a new machine needs, as one file with every secret of the relay (application/zstd); `postern restore` takes it",
      serve_backup, RIGHT_ACCOUNTS, no_fields, backup_body, "application/zstd", .no_token = true },
    { 0 },
};
