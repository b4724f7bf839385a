/* SPDX-License-Identifier: Apache-2.0
 * Tables in a PostgreSQL database: one connection for each reading, one query in a transaction that only reads, row by row. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "table/source.h"

static bool broken(const struct reading *r, const char *what, const char *text, struct err *err)
{
    struct buf lines = { 0 }, shown = { 0 };
    for (; text && *text; text++) { /* several lines */
        if (*text != '\n') buf_add_char(&lines, *text == '\t' ? ' ' : *text);
        else if (text[1]) buf_add_str(&lines, "; ");
    }
    buf_add_printable(&shown, buf_slice(&lines), 260);
    err_set_text(err, "PostgreSQL, %s: %.300s", what, shown.n ? buf_cstr(&shown) : "no answer");
    buf_deinit(&lines);
    buf_deinit(&shown);
    return false;
}

static void ignore_notice(void *arg, const PGresult *res) {}

/* What comes later counts: in front of `connection` are defaults, behind it is what must be so. */
static PGconn *dial(const struct reading *r)
{
    const char *password = r->password.p;
    const char *names[] = { "application_name", "connect_timeout", "gssencmode", "keepalives_idle", "keepalives_interval", "keepalives_count",
                            "tcp_user_timeout", "dbname", "client_encoding", password ? "password" : NULL, NULL };
    const char *values[] = { "postern", "10", "disable", "30", "10", "3", "60000", r->table->connection, "UTF8", password, NULL };
    PGconn *c = PQconnectdbParams(names, values, 1);
    if (c) PQsetNoticeReceiver(c, ignore_notice, NULL); /* which would go to standard error */
    return c;
}

/* Until there is a result that can be had without waiting. */
static bool wait_for(const struct reading *r, PGconn *c)
{
    while (PQisBusy(c)) {
        uint64_t now = clock_mono_ms(), left = r->deadline > now ? r->deadline - now : 0;
        struct pollfd p = { .fd = PQsocket(c), .events = POLLIN };
        if (!left || p.fd < 0) return false;
        if (poll(&p, 1, left < 1000 ? (int)left : 1000) > 0 && !PQconsumeInput(c)) return true; /* its result tells why */
    }
    return true;
}

static bool failed(const struct reading *r, PGconn *c, const char *what, struct err *err)
{
    return clock_mono_ms() >= r->deadline ? err_set(err, "PostgreSQL, %s: it took too long", what) : broken(r, what, PQerrorMessage(c), err);
}

/* One statement that gives nothing. */
static bool run(const struct reading *r, PGconn *c, const char *statement, struct err *err)
{
    PGresult *res = NULL;
    bool ok = PQsendQuery(c, statement) == 1, more = ok;
    while (more && (ok &= wait_for(r, c)) && (res = PQgetResult(c))) {
        ok &= PQresultStatus(res) == PGRES_COMMAND_OK;
        PQclear(res);
    }
    return ok ? true : failed(r, c, "beginning", err);
}

static struct slice cell(const PGresult *res, int column)
{
    if (column >= PQnfields(res) || PQgetisnull(res, 0, column)) return (struct slice){ 0 };
    return slice_of(PQgetvalue(res, 0, column), (size_t)PQgetlength(res, 0, column));
}

static bool take(struct reading *r, const PGresult *res, struct err *err)
{
    int columns = PQnfields(res);
    if (columns != 1 && columns != 2)
        return err_set(err, "tables.%.60s.query gives %d columns: it must be one (the entry) or two (and its value)", r->table->name, columns);
    if (!PQntuples(res)) return true;
    if (!PQgetisnull(res, 0, 0)) return rows_add(r->rows, cell(res, 0), cell(res, 1), err);
    rows_skip(r->rows, "its entry is NULL");
    return true;
}

static bool read_rows(struct reading *r, PGconn *c, struct err *err)
{
    PGresult *res = NULL;
    if (!PQsendQueryParams(c, r->table->query, 0, NULL, NULL, NULL, NULL, 0) || !PQsetSingleRowMode(c)) return failed(r, c, "asking", err);
    for (;;) {
        if (!wait_for(r, c)) return failed(r, c, "reading", err);
        res = PQgetResult(c);
        if (!res) return true;
        ExecStatusType status = PQresultStatus(res);
        bool rows = status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK;
        bool ok = rows ? take(r, res, err) : broken(r, "the query", PQresultErrorMessage(res), err);
        PQclear(res);
        if (!ok) return false;
        if (clock_mono_ms() >= r->deadline) return failed(r, c, "reading", err); /* rows that are there already are not waited for */
    }
}

bool source_postgresql(struct reading *r, struct err *err)
{
    char limit[80];
    uint64_t now = clock_mono_ms();
    PGconn *c = dial(r);
    bool ok = c && PQstatus(c) == CONNECTION_OK;
    if (!ok) broken(r, "connecting", c ? PQerrorMessage(c) : "no memory", err);
    snprintf(limit, sizeof limit, "SET LOCAL statement_timeout = %llu", (unsigned long long)(r->deadline > now ? r->deadline - now : 1));
    ok = ok && run(r, c, "BEGIN READ ONLY", err) && run(r, c, limit, err) && read_rows(r, c, err);
    PQfinish(c);
    return ok;
}
