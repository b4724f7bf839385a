/* SPDX-License-Identifier: Apache-2.0
 * The configuration of administration: `web`, `webhooks`. Part of config.h, which says what holds of all fields. */
#ifndef POSTERN_CONFIG_CONFIG_WEB_H
#define POSTERN_CONFIG_CONFIG_WEB_H
#include "base/ip.h"
#include "config/config_checks.h"

/* ---- the web administration: UI and API over HTTPS */
struct config_web {
    bool enabled;
    const char *listen;          /* "127.0.0.1:9443": address and port */
    const char *url;             /* how people reach it, in links; NULL: https:// and listen */
    const char *certificate, *key; /* PEM files; NULL: those of `tls` */
    struct ip_net *networks;     /* who may connect; none: everybody who can reach it */
    size_t network_n;
    uint64_t session_idle;       /* ms without a request until a session ends */
    uint64_t session_max;        /* ms until it ends in any case */
    uint64_t audit;              /* ms that entries of the audit log are kept */
    bool second_factor;          /* administrators must have one */
    struct config_place place;
};

/* ---- events told to others */
struct config_webhook {
    const char *url;             /* https://..., or http:// on this machine */
    const char *secret_file;     /* first line: the key of X-Postern-Signature (HMAC-SHA256 of the body, hex); NULL: none */
    uint32_t events;             /* enum watch_kind (base/watch.h); 0: all but refused, bounced and delivered */
    uint64_t timeout;            /* ms for one try */
    uint64_t keep;               /* ms that one is tried again */
    struct config_place place;
};

struct config;
uint32_t config_webhook_events(const struct config *c); /* that any of them wants */
uint32_t config_webhook_wants(const struct config_webhook *h);
const char *config_webhook_event_name(uint32_t one);
/* "https://host[:port]/path" in its parts, which point into url; port 0: as the scheme says. False: it is no such thing; plain http is one
 * for this machine alone (localhost, 127.0.0.0/8, ::1). */
struct config_webhook_url {
    bool secure;
    struct slice host;           /* without brackets */
    uint16_t port;
    struct slice path;           /* "/..." , or empty */
};
bool config_webhook_url_parse(const char *url, struct config_webhook_url *out);

#endif
