/* SPDX-License-Identifier: Apache-2.0
 * Is this relay set up well? What a worker finds out about its own names, addresses, records, certificate, rights and
 * health; and what a connection to some host would come to. */
#ifndef POSTERN_DOCTOR_DOCTOR_H
#define POSTERN_DOCTOR_DOCTOR_H
#include <jansson.h>
#include "config/config.h"

struct event_base;
struct fetch_query;
struct link;
struct policy_engine;
struct queue;
struct resolver;
struct signer_keys;
struct stream_loop;
struct tls_client;
struct tls_server;

struct doctor_options {
    struct event_base *base;
    struct stream_loop *streams;
    const struct config *config;
    struct resolver *resolver;
    const struct tls_server *server_tls; /* the certificates that are shown; NULL: none */
    struct tls_client *client_tls;       /* of connections to others, with the authorities; NULL: never TLS */
    const struct signer_keys *keys;      /* NULL: nothing is signed */
    struct link *fetch;                  /* to the process that fetches MTA-STS policies; NULL: none */
    struct policy_engine *policy;
    struct queue *queue;
    /* {"scan", "tables", "spool"} as in `postern status`; the callee's */
    json_t *(*health)(void *arg);
    void *arg;
};
struct doctor;
/* Everything in the options must outlive it. */
struct doctor *doctor_new(const struct doctor_options *o);
/* Those who wait are answered with an error. Clears the pointer; NULL is fine. */
void doctor_free(struct doctor **d);

#define DOCTOR_LIMIT_MS 20000 /* an examination as a whole; what is not known by then is told so */
#define DOCTOR_KEEP_MS 60000  /* its result is good for */
#define DOCTOR_DOMAINS_MAX 40 /* looked at when none is named */
#define PROBE_LIMIT_MS 60000  /* a probe as a whole */

/* {"op": "doctor", "domain"?: name, "fresh"?: true}: {"findings": [{"id", "subject", "state", "text", "mend",
 * "option"? (path of what mends it), "records"?}], "running": false, "left_out"?: number of domains}
 * {"op": "records", "domain"?, "fresh"?}: {"records": [{"id", "domain"?, "type", "host", "value", "bind", "why",
 * "state", "found"}]} state: ok, missing, different, unknown
 * {"op": "probe", "host", "port"?, "tls"?, "recipient"?, "sender"?}: {"ok", "host", "port", "steps": [{"step", "ok",
 * "text", "ms"}], "extensions": [..], "tls"?: {"version", "cipher", "names", "verified", "failure"?}} What cannot be
 * done: {"error": text}. False: it is none of these. reply comes from the loop, or at once; nothing is waited for
 * longer than the limits above. */
bool doctor_request(struct doctor *d, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

#endif
