/* SPDX-License-Identifier: Apache-2.0
 * HTTPS on the event loop, by libcurl: small texts from servers that are not trusted. Names are looked up by the caller; nothing is
 * followed elsewhere; certificates must be good. */
#ifndef POSTERN_FETCH_HTTPS_H
#define POSTERN_FETCH_HTTPS_H
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

struct event_base;
struct https;
struct https_request;

/* ca: PEM file or folder, "" : the system's. Before the sandbox closes. */
struct https *https_new(struct event_base *base, const char *ca, struct err *err) MUST_CHECK;
void https_free(struct https *h); /* requests must be cancelled before; NULL is fine */

struct https_answer {
    long status;             /* of HTTP; 0: there was no answer */
    bool certificate_bad;    /* of status 0 */
    const char *type;        /* Content-Type; "" : none */
    struct slice body;
    const char *reason;      /* of status 0: one clause; else "" */
};
typedef void https_cb(void *arg, const struct https_answer *a);

struct https_target {
    const char *host;        /* A-labels, lower case: for the certificate and the Host header */
    const char *path;        /* "/..." */
    const struct ip *ips;    /* of host, in the order to be tried */
    size_t ip_n;             /* at least 1; the first 16 are tried */
    uint16_t port;
    bool plain;              /* http: for programs on this machine; the caller sees to it that ips are its own */
    const char *header;      /* one more: "Name: value"; NULL: none */
};
/* Comes from the loop, once, never before these return; the request is gone when it returns. max: bytes of body, more is an error.
 * body NULL: GET, else POST of body (copied) as `type`. */
struct https_request *https_start(struct https *h, const struct https_target *t, const char *type, const struct slice *body,
                                  size_t max, uint64_t timeout_ms, https_cb *cb, void *arg);
void https_cancel(struct https_request **r); /* clears the pointer; NULL is fine */

#endif
