/* SPDX-License-Identifier: Apache-2.0
 * What the files about HTTPS share. */
#ifndef POSTERN_ADMIN_WEB_INT_H
#define POSTERN_ADMIN_WEB_INT_H
#include "admin/http.h"
#include "admin/sent_files.h"
#include "admin/web.h"
#include "base/ip.h"

/* As the master says. */
struct web_site {
    struct admin *admin;
    char *listen, *url, *hostname; /* url: without a / at the end; NULL: none */
    char *host;                    /* of url; NULL: none */
    bool strict;                   /* the host has nothing but us on its ports: Strict-Transport-Security may be said */
    struct ip_net *networks;
    size_t network_n;
    struct sent_files files;       /* which came before the rest */
    struct web *web;               /* NULL: it is off, or cannot be */
    struct list leaving;           /* those of former certificates whose last requests are under way */
    struct event *sweeper;
    uint64_t refused, told;        /* clients that may not connect; mono ms of the last line about them */
};

struct web {
    struct http_front front;
    struct list node;              /* in leaving */
    struct web_site *site;
    char *certificate, *key;       /* PEM */
    char *listen;
};

/* "[::1]:9443", "mail.example.com:9443": the name or address alone. */
struct slice web_host_name(struct slice host);

#endif
