/* SPDX-License-Identifier: Apache-2.0
 * The configuration as the program sees it: plain structures, filled from the YAML file by the schema table
 * (config/schema.c), checked as a whole, never changed afterwards. Strings are NUL-terminated, belong to the
 * configuration and are never NULL unless said. Sizes are bytes, times milliseconds. */
#ifndef POSTERN_CONFIG_CONFIG_H
#define POSTERN_CONFIG_CONFIG_H
#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"

/* Where in the file an entry began; line 0: a default. For messages and traces. */
struct config_place {
    uint32_t line, column;
};

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_OFFER, CONFIG_TLS_REQUIRE, CONFIG_TLS_IMPLICIT };
enum config_role { CONFIG_ROLE_RELAY, CONFIG_ROLE_SUBMISSION, CONFIG_ROLE_LMTP };
enum config_zone_mode { CONFIG_ZONE_ACTIVE, CONFIG_ZONE_INACTIVE };
enum config_trust { CONFIG_TRUST_NONE, CONFIG_TRUST_RELAY };
enum config_family { CONFIG_FAMILY_ANY, CONFIG_FAMILY_IPV4, CONFIG_FAMILY_IPV6 };
enum config_client_tls { CONFIG_CLIENT_TLS_NONE, CONFIG_CLIENT_TLS_MAY };

/* A next hop: "192.0.2.7", "192.0.2.7:2525", "[2001:db8::1]:25", "relay.example:587" (its addresses),
 * "mx:example.com" or "mx:example.com:26" (the MX hosts of that name). */
struct config_hop {
    const char *host;    /* a name without final dot, or an address without brackets; NULL: not set */
    struct ip ip;        /* family 0: host is a name */
    uint16_t port;       /* 25 unless written */
    bool mx;             /* look up MX records of host */
    enum config_client_tls tls;
    struct ip source;    /* family 0: the system chooses */
    const char *text;    /* as written; how messages and logs call it */
    struct config_place place;
};

struct config_listener {
    struct ip ip;        /* family 0: any address, both families */
    uint16_t port;
    enum config_role role;
    enum config_tls tls;
    int zone;            /* index into zones, or -1: by the client's address */
    struct config_place place;
};

struct config_zone {
    const char *name;
    enum config_zone_mode mode;
    enum config_trust trust;
    struct ip_net *networks;
    size_t network_n;
    const char **interfaces;
    size_t interface_n;
    bool dsn;                    /* bounces and delay warnings for mail that came in here */
    uint32_t max_connections;    /* at once, all clients of the zone together; 0: only the global limit */
    uint64_t message_size;       /* 0: limits.message_size */
    struct config_place place;
};

struct config_domain {
    const char *name;            /* lower case, A-labels */
    bool subdomains;
    struct config_hop deliver;   /* host NULL: inner_host, or the domain's MX when that is not set */
    struct config_place place;
};

struct config_route {
    const char *to;              /* "example.org", ".example.org" (it and all below), "user@example.org"; lower case */
    struct config_hop via;
    struct config_place place;
};

struct config_limits {
    uint64_t message_size, message_size_filtered;
    uint32_t recipients;         /* per message, at least 100 (RFC 5321 §4.5.3.1.8) */
    uint32_t connections, connections_per_client; /* of one worker's share: see ARCHITECTURE */
    uint32_t errors;             /* bad commands and refusals before 421 */
    uint32_t hops;               /* Received headers (RFC 5321 §6.3) */
    uint64_t header_size;        /* all header lines together */
    uint64_t line_length;        /* of message text with CRLF; RFC 5321 §4.5.3.1.6 says 1000, real mail needs more */
    uint32_t messages_per_connection;
};

struct config_timeouts {
    uint64_t command;            /* RFC 5321 §4.5.3.2.7: 5 minutes */
    uint64_t data;               /* between two pieces of a message: 5 minutes */
    uint64_t message;            /* for one whole message, first to last byte: 60 minutes */
    uint64_t session;            /* of a connection as a whole: 0 none */
    uint64_t connect, greeting, reply, data_init, data_block, data_done; /* as a client, RFC 5321 §4.5.3.2 */
};

struct config_queue {
    uint64_t lifetime;           /* 5d; after that the message is returned */
    uint64_t bounce_lifetime;    /* of our own bounces: 2d */
    uint64_t retry_first, retry_max;
    uint64_t delay_warning;      /* 4h; 0: none */
    uint32_t free_space;         /* percent; below it new mail gets 452 */
    uint64_t memory;             /* of one worker, for message text waiting to be delivered */
    uint64_t segment_size;       /* 64 MiB */
    uint64_t inline_size;        /* 128 KiB; larger messages get a file of their own */
    uint32_t active;             /* messages a worker works on at once */
};

struct config_delivery {
    uint32_t connections;        /* per destination and worker */
    uint32_t connections_total;  /* per worker */
    uint32_t messages_per_connection;
    uint32_t recipients;         /* per transaction */
    uint64_t idle;               /* how long a connection is kept with nothing to send */
    const char *helo;            /* "" : hostname */
    enum config_family family;
    struct ip source4, source6;  /* family 0: the system chooses */
    enum config_client_tls tls;
};

struct config {
    struct arena arena;          /* holds all of it */
    const char *file;            /* its path */
    const char *hostname;
    const char *postmaster;      /* "postmaster@hostname" unless set */
    struct config_listener *listeners;
    size_t listener_n;
    struct config_zone *zones;   /* the last is "internet", networks empty: everybody else */
    size_t zone_n;
    struct config_domain *domains;
    size_t domain_n;
    struct config_route *routes;
    size_t route_n;
    struct config_hop inner_host; /* host NULL: not set */
    struct config_hop smarthost;  /* for all other domains; host NULL: by MX */
    struct config_limits limits;
    struct config_timeouts timeouts;
    struct config_queue queue;
    struct config_delivery delivery;
    struct {
        const char *certificate, *key; /* PEM files; "" : a self-signed pair made at first start */
        uint32_t min_version;          /* 12 or 13 for TLS 1.2, 1.3 */
    } tls;
    struct {
        const char **servers;          /* "192.0.2.53" or "127.0.0.1:5353"; none: /etc/resolv.conf */
        size_t server_n;
        uint64_t timeout;
    } dns;
    struct {
        const char *directory;         /* /var/lib/postern: spool/, revisions/, tls/ below it */
        const char *run_directory;     /* /run/postern: control.sock, postern.pid */
        const char *user, *admin_user; /* "postern", "postern-admin"; "" : stay who we are (tests, demonstration) */
        uint32_t workers;              /* 0: one a core */
        uint64_t drain;                /* how long open sessions may go on after reload or stop */
        bool sandbox;                  /* Landlock and seccomp; on */
    } system;
    struct {
        uint32_t level;                /* enum log_level */
    } log;
    struct config_lookup *lookup;      /* how zones and domains are found fast: lookup.c */
};

/* One finding of parsing or checking. */
struct config_finding {
    bool warning;                /* else an error */
    struct config_place place;
    const char *option;          /* "domains[2].deliver", or "" */
    const char *text;            /* what is wrong */
    const char *hint;            /* how to mend it; may be "" */
};

struct config_report {
    struct config_finding *findings;
    size_t n;
    size_t errors;
    struct arena arena;
};

/* Reads and checks a file. *report is set up by the call and must be given to config_report_deinit afterwards.
 * Returns NULL when there is any error; warnings may be in the report otherwise. Blocks on the file. */
struct config *config_load(const char *path, struct config_report *report) MUST_CHECK;
/* The same from memory; `path` is only for messages. */
struct config *config_parse(struct slice text, const char *path, struct config_report *report) MUST_CHECK;
void config_free(struct config *c);                       /* NULL is fine */
void config_report_deinit(struct config_report *r);

/* The zone of a client; never NULL (the last zone takes all). */
const struct config_zone *config_zone_of(const struct config *c, const struct config_listener *l, const struct ip *client);
/* The relay domain that covers `domain` (ASCII, any case), or NULL. The longest name wins. */
const struct config_domain *config_domain_of(const struct config *c, struct slice domain);

#endif
