/* SPDX-License-Identifier: Apache-2.0
 * A name server within the test: answers on the test's own event loop out of a table that the test may change. Names that are not in
 * it do not exist. */
#ifndef POSTERN_TEST_ANSWERING_H
#define POSTERN_TEST_ANSWERING_H
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_ANY = 255 };

struct dns_record {
    const char *name; /* NULL ends the table */
    int type;
    const char *data; /* "127.0.0.2", a name, a text; "SERVFAIL", "SILENT"; with "~" in front 300 ms late */
};

struct answering {
    int fd;
    char server[32]; /* for dns.servers */
    struct event *event;
    const struct dns_record *records;
    unsigned asked;
    char last[300];
    struct late_answer *late; /* those on their way, and those that have left */
};

static size_t put_name(unsigned char *out, const char *name)
{
    size_t n = 0;
    while (*name) {
        size_t label = strcspn(name, ".");
        out[n++] = (unsigned char)label;
        memcpy(out + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    out[n++] = 0;
    return n;
}

static size_t put_data(unsigned char *out, int type, const char *data)
{
    size_t n = strlen(data);
    switch (type) {
    case DNS_A: return inet_pton(AF_INET, data, out) == 1 ? 4 : 0;
    case DNS_AAAA: return inet_pton(AF_INET6, data, out) == 1 ? 16 : 0;
    case DNS_PTR: return put_name(out, data);
    case DNS_MX: out[0] = 0; out[1] = 10; return 2 + put_name(out + 2, data);
    default:
        out[0] = (unsigned char)n;
        memcpy(out + 1, data, n);
        return n + 1;
    }
}

struct late_answer {
    struct late_answer *next;
    struct event *event;
    int fd;
    struct sockaddr_in peer;
    size_t n;
    unsigned char m[4096];
};

static void answering_late(evutil_socket_t fd, short what, void *arg)
{
    struct late_answer *l = arg;
    sendto(l->fd, l->m, l->n, 0, (void *)&l->peer, sizeof l->peer);
}

static void answering_on_question(int fd, short what, void *arg)
{
    struct answering *s = arg;
    unsigned char m[4096];
    struct sockaddr_in peer;
    socklen_t peer_n = sizeof peer;
    ssize_t got = recvfrom(fd, m, 512, 0, (void *)&peer, &peer_n);
    char name[300] = "";
    size_t at = 12, n = 0;
    if (got < 17) return;
    while (m[at] && at < (size_t)got) {
        if (n) name[n++] = '.';
        memcpy(name + n, m + at + 1, m[at]);
        n += m[at];
        at += m[at] + 1u;
    }
    name[n] = 0;
    bool late = false;
    int type = m[at + 1] << 8 | m[at + 2], count = 0, rcode = 3;
    at += 5;
    s->asked++;
    snprintf(s->last, sizeof s->last, "%s", name);
    for (const struct dns_record *r = s->records; r && r->name; r++) {
        if (strcasecmp(r->name, name) != 0) continue;
        bool meant = r->type == type || r->type == DNS_ANY;
        if (meant && !strcmp(r->data, "SILENT")) return;
        bool broken = meant && !strcmp(r->data, "SERVFAIL");
        rcode = broken ? 2 : 0;
        if (broken) break;
        if (r->type != type) continue;
        m[at] = 0xc0, m[at + 1] = 12, m[at + 2] = 0, m[at + 3] = (unsigned char)type, m[at + 4] = 0, m[at + 5] = 1;
        memset(m + at + 6, 0, 4); /* not to be cached */
        late |= r->data[0] == '~';
        size_t len = put_data(m + at + 12, type, r->data + (r->data[0] == '~'));
        m[at + 10] = (unsigned char)(len >> 8), m[at + 11] = (unsigned char)len;
        at += 12 + len;
        count++;
    }
    m[2] = (unsigned char)(0x84 | (m[2] & 1)), m[3] = (unsigned char)(0x80 | rcode);
    m[6] = 0, m[7] = (unsigned char)count;
    memset(m + 8, 0, 4);
    if (late) {
        struct late_answer *l = malloc(sizeof *l);
        struct timeval when = { 0, 300000 };
        *l = (struct late_answer){ .next = s->late, .fd = fd, .peer = peer, .n = at };
        memcpy(l->m, m, at);
        l->event = evtimer_new(event_get_base(s->event), answering_late, l);
        evtimer_add(l->event, &when);
        s->late = l;
    } else
        sendto(fd, m, at, 0, (void *)&peer, peer_n);
}

static void answering_open(struct answering *s, struct event_base *base, const struct dns_record *records)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sa;
    *s = (struct answering){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .records = records };
    if (s->fd < 0 || bind(s->fd, (void *)&sa, n) != 0 || getsockname(s->fd, (void *)&sa, &n) != 0) abort();
    snprintf(s->server, sizeof s->server, "127.0.0.1:%u", ntohs(sa.sin_port));
    s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, answering_on_question, s);
    event_add(s->event, NULL);
}

static void answering_close(struct answering *s)
{
    for (struct late_answer *l = s->late, *next; l; l = next) {
        next = l->next;
        event_free(l->event);
        free(l);
    }
    event_free(s->event);
    close(s->fd);
}

#endif
