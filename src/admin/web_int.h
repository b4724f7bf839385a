/* SPDX-License-Identifier: Apache-2.0
 * What the files about HTTPS share. */
#ifndef POSTERN_ADMIN_WEB_INT_H
#define POSTERN_ADMIN_WEB_INT_H
#include "admin/http.h"
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
    int socket, certificate, key;  /* descriptors that came before the rest; -1: none */
    struct web *web;               /* NULL: it is off, or cannot be */
    struct list leaving;           /* those of former certificates whose last requests are under way */
    struct event *sweeper;
    uint64_t refused, told;        /* clients that may not connect; mono ms of the last line about them */
};

struct web {
    struct http_front front;
    struct list node;              /* in leaving */
    struct web_site *site;
    struct list connections;
    char *certificate, *key, *listen; /* PEM */
    unsigned waiting;              /* requests that wait for somebody */
    bool left;                     /* its socket is closed: libmicrohttpd would give its number out again */
};

/* "[::1]:9443", "mail.example.com:9443": the name or address alone. */
struct slice web_host_name(struct slice host);

struct web_connection {
    struct list node;
    struct MHD_Connection *mhd;
    uint64_t since;                /* mono ms: it began, or its last request ended */
    bool known;                    /* the one whose request is under way has logged in */
    bool waits;                    /* for somebody else, or for what is to be told */
    bool lasts;                    /* its answer is large */
};

#endif
