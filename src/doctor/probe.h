/* SPDX-License-Identifier: Apache-2.0
 * A probe: one connection to a host, step by step. Of this folder only. */
#ifndef POSTERN_DOCTOR_PROBE_H
#define POSTERN_DOCTOR_PROBE_H
#include "doctor/internal.h"
#include "smtp/reply.h"

struct ssl_st;

enum probe_tls { PROBE_NONE, PROBE_MAY, PROBE_ENCRYPT, PROBE_VERIFY };
enum probe_stage {
    PROBE_GREETING,
    PROBE_EHLO,
    PROBE_HELO,
    PROBE_STARTTLS,
    PROBE_HANDSHAKE,
    PROBE_MAIL,
    PROBE_RCPT,
    PROBE_QUIT
};

#define PROBE_TARGETS_MAX 6 /* addresses tried */
struct probe_target {
    struct ip ip;
    char name[256];
};

struct probe {
    struct list node;
    struct doctor *doctor;
    void (*reply)(void *arg, json_t *answer);
    void *arg;
    char host[256]; /* without "mx:" */
    bool by_mx;
    uint16_t port;
    enum probe_tls tls;
    bool implicit;            /* TLS from the first byte */
    char *sender, *recipient; /* recipient NULL: not asked about */
    struct resolver_query *query;
    char hosts[PROBE_TARGETS_MAX][256]; /* by MX */
    size_t host_n, host_at;
    struct probe_target targets[PROBE_TARGETS_MAX];
    size_t target_n, target_at;
    struct stream *stream;
    struct ssl_st *ssl; /* the stream's */
    bool encrypted;
    const char *names[3]; /* accepted in the certificate */
    size_t name_n;
    char below[260]; /* ".example.com" */
    enum probe_stage stage;
    struct reply_reader reader;
    size_t bytes; /* that came */
    struct event *limit, *step;
    uint64_t began; /* mono us: this step */
    json_t *steps, *extensions, *said_of_tls;
    bool failed;
};

/* probe.c */
/* A step is over; starts the clock of the next. text: printable. */
void probe_step(struct probe *p, const char *step, bool ok, const char *text);
const char *probe_step_name(const struct probe *p); /* of the one under way */
void probe_end(struct probe *p); /* answers and frees it */
/* The step fails, and that is the end. */
void probe_fail(struct probe *p, const char *step, const char *text);
void probe_next_target(struct probe *p); /* connects; may end it */
/* This one cannot be connected to: the next. why: printable. */
void probe_pass_by(struct probe *p, const char *why);

/* probe_dialog.c: what is said over the connection */
bool probe_connect(struct probe *p, const struct probe_target *t, struct err *err);

#endif
