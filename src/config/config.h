/* SPDX-License-Identifier: Apache-2.0
 * The configuration as the program sees it: plain structures, filled from the YAML file by the schema table
 * (config/schema.c), checked as a whole, never changed afterwards. Strings are NUL-terminated, belong to the
 * configuration and are never NULL unless said. Sizes are bytes, times milliseconds. */
#ifndef POSTERN_CONFIG_CONFIG_H
#define POSTERN_CONFIG_CONFIG_H
#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"
#include "config/config_checks.h"
#include "config/config_content.h"
#include "config/config_rewrite.h"
#include "config/config_signing.h"
#include "config/config_web.h"

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_OFFER, CONFIG_TLS_REQUIRE, CONFIG_TLS_IMPLICIT };
enum config_role { CONFIG_ROLE_RELAY, CONFIG_ROLE_SUBMISSION, CONFIG_ROLE_LMTP };
enum config_zone_mode { CONFIG_ZONE_ACTIVE, CONFIG_ZONE_INACTIVE, CONFIG_ZONE_TRANSPARENT };
enum config_trust { CONFIG_TRUST_NONE, CONFIG_TRUST_RELAY };
enum config_family { CONFIG_FAMILY_ANY, CONFIG_FAMILY_IPV4, CONFIG_FAMILY_IPV6 };
/* Towards a next hop, weakest first; what is asked for on top of it may only raise it. DANE: as RFC 7672 says where the
 * destination publishes secure TLSA records, else MAY; DANE_ONLY: else deferred. */
enum config_client_tls {
    CONFIG_CLIENT_TLS_NONE,
    CONFIG_CLIENT_TLS_MAY,
    CONFIG_CLIENT_TLS_DANE,
    CONFIG_CLIENT_TLS_ENCRYPT,   /* encrypted, whatever the certificate */
    CONFIG_CLIENT_TLS_VERIFY,    /* certificate chain and name check */
    CONFIG_CLIENT_TLS_DANE_ONLY,
};
/* SASL mechanisms (RFC 4422), a set of bits: what is offered to clients, or may be used towards a next hop. */
enum config_sasl {
    CONFIG_SASL_PLAIN = 1,
    CONFIG_SASL_LOGIN = 2,
    CONFIG_SASL_CRAM_MD5 = 4,
    CONFIG_SASL_DIGEST_MD5 = 8,      /* towards next hops only */
    CONFIG_SASL_SCRAM_SHA_1 = 16,    /* towards next hops only */
    CONFIG_SASL_SCRAM_SHA_256 = 32,
    CONFIG_SASL_SCRAM_SHA_256_PLUS = 64,
    CONFIG_SASL_XOAUTH2 = 128,       /* towards next hops only */
    CONFIG_SASL_OAUTHBEARER = 256,   /* towards next hops only */
};
enum config_client_cert { CONFIG_CLIENT_CERT_NONE, CONFIG_CLIENT_CERT_ASK, CONFIG_CLIENT_CERT_REQUIRE };
enum config_auth_backend {
    CONFIG_AUTH_OFF,
    CONFIG_AUTH_USERS,
    CONFIG_AUTH_IMAP,
    CONFIG_AUTH_LDAP,
    CONFIG_AUTH_DOVECOT,
};

/* How we prove who we are to a next hop. Secrets are read into the auth process alone; every other process wipes what it
 * inherited (config_forget_secrets). */
struct config_credentials {
    const char *user;            /* NULL: no authentication */
    char *password;              /* as written in the file; NULL: none */
    const char *password_file;   /* first line of it; NULL: none */
    uint32_t methods;            /* enum config_sasl; 0: the best that both sides know */
    struct {
        const char *command;     /* prints an access token; run by /bin/sh -c; NULL: none */
        const char *endpoint;    /* URL of an OAuth 2 token endpoint (RFC 6749 §6); NULL: none */
        const char *client_id;
        const char *client_secret_file, *refresh_token_file; /* NULL: none */
        const char *scope;       /* NULL: none */
    } token;
};

/* What is spoken with a next hop. */
enum config_hop_kind { CONFIG_HOP_SMTP, CONFIG_HOP_LMTP, CONFIG_HOP_MAILDIR };

/* A next hop: "192.0.2.7", "192.0.2.7:2525", "[2001:db8::1]:25", "relay.example:587" (its addresses),
 * "mx:example.com" or "mx:example.com:26" (the MX hosts of that name); "lmtp:192.0.2.7:24", "lmtp:/run/dovecot/lmtp" (RFC 2033);
 * "maildir:/var/mail/%d/%n" (a folder of its own for each recipient). */
struct config_hop {
    enum config_hop_kind kind;
    const char *path;    /* of LMTP over a Unix socket, and of MAILDIR (%d: domain, %n: local part, %u: both); absolute; else NULL */
    const char *host;    /* a name without final dot, or an address without brackets; with a path: the text as written, for people; NULL:
                            not set */
    struct ip ip;        /* family 0: host is a name */
    uint16_t port;       /* 25 unless written */
    bool mx;             /* look up MX records of host */
    enum config_client_tls tls;
    bool implicit_tls;   /* TLS from the first byte (port 465, RFC 8314 §3) */
    const char *ca;      /* PEM file the certificate must lead to; NULL: tls.ca */
    const char **names;  /* accepted in its certificate; none: host (for MX also what RFC 7672, 8461 say) */
    size_t name_n;
    struct config_credentials auth;
    int id;              /* counts all hops of a configuration from 0: how the auth process knows it; -1: not set */
    struct ip source4, source6; /* `source`; family 0: delivery.source4, source6 */
    const char *text;    /* as written; how messages and logs call it */
    struct config_place place;
};

struct config_listener {
    struct ip ip;        /* family 0: any address, both families */
    uint16_t port;
    enum config_role role;
    enum config_tls tls;
    int zone;            /* index into zones, or -1: by the client's address */
    bool auth;           /* AUTH is offered (submission: yes, relay: no, unless written) */
    enum config_client_cert client_certificate;
    const char *client_ca;       /* PEM file client certificates must lead to; NULL: none asked for */
    struct ip_net *proxies;      /* clients that begin with a PROXY header, which is believed (and must come) */
    size_t proxy_n;
    struct ip_net *xclient;      /* clients that may say XCLIENT */
    size_t xclient_n;
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
    enum config_tls tls;         /* NONE, OFFER, REQUIRE; never weaker by accident: IMPLICIT stands for "as the listener" */
    uint32_t min_version;        /* 10..13 for TLS 1.0 to 1.3; 0: tls.min_version. Below 12 old ciphers are taken, too */
    bool bare_lf;                /* a bare LF ends a line here, and goes out as CRLF */
    bool auth_without_tls;       /* passwords may come in the clear */
    uint32_t providers;          /* enum config_provider: their published networks belong to the zone, too */
    const char **senders;        /* sender domains that the zone may relay for; none: any (not allowed with providers) */
    size_t sender_n;
    const char **skip_checks;    /* names of checks that do not concern its clients */
    size_t skip_check_n;
    enum config_language language; /* of bounces for mail that came in here; CONFIG_LANGUAGES: as notices.language */
    struct {                     /* of mode transparent: how connections to others are taken, and which are not */
        enum config_interception by;
        struct ip_net *sources, *destinations;
        size_t source_n, destination_n;
        const char **macs;       /* "02:00:00:00:00:01", lower case */
        size_t mac_n;
        uint16_t port;           /* of others that is taken: 25 */
        int listener;            /* index: where they arrive; -1: not set: the first listener for SMTP between servers */
    } intercept;
    struct config_place place;
};
/* Whose networks are looked up and kept up to date. */
enum config_provider { CONFIG_PROVIDER_MICROSOFT365 = 1, CONFIG_PROVIDER_GOOGLE = 2 };

struct config_domain {
    const char *name;            /* lower case, A-labels; of a table: the table's name */
    bool table;                  /* its names are the entries of a table (domains[].table) */
    const char *names;           /* domains[].table as it is written; NULL: none */
    bool subdomains;
    struct config_hop deliver;   /* host NULL: inner_host, or the domain's MX when that is not set */
    struct config_recipients recipients;
    bool rewrite_sender;         /* mail to it is sent with a sender at srs.domain */
    struct config_place place;
};

/* Just one of to and from is set. The recipient's rule wins: one with `to`, or the relay domain's own next hop; of those the nearest. */
struct config_route {
    const char *to;              /* "example.org", ".example.org" (it and all below), "user@example.org"; lower case; NULL */
    const char *from;            /* the same of senders (as MAIL FROM says); NULL */
    struct config_hop via;       /* host NULL: where it would go without this route, from `source` */
    struct ip source4, source6;  /* from these addresses; family 0: as ever. With `via` the same as via.source4, source6 */
    bool rewrite_sender;         /* as config_domain's */
    struct config_place place;
};

/* What must hold of TLS towards a destination, whoever its hosts are. */
struct config_tls_policy {
    const char *to;              /* "example.org" or ".example.org" (it and all below): the recipient's domain or the next hop's name */
    enum config_client_tls tls;
    bool mta_sts;                /* look for a policy (delivery.mta_sts unless written) */
    const char *ca;              /* NULL: tls.ca */
    const char **names;
    size_t name_n;
    uint32_t min_version;        /* 12 or 13; 0: tls.min_version */
    struct config_place place;
};

/* A certificate and what it is for. */
struct config_certificate {
    const char *certificate, *key;
    const char **names;          /* server names it is shown for; none: those in the certificate */
    size_t name_n;
    struct config_place place;
};

/* Who may send as a user of ours, and how that is found out. */
struct config_auth {
    enum config_auth_backend backend;
    uint32_t methods;            /* enum config_sasl offered */
    bool sender_must_match;      /* MAIL FROM and From must be addresses of the account */
    const char *users;           /* file of `postern user` */
    struct {
        const char *host;
        uint16_t port;
        bool implicit_tls, verify;
        const char *ca;          /* NULL: tls.ca */
        uint32_t connections;    /* logins at the same time */
    } imap;
    struct {
        const char *url;         /* ldap://, ldaps://, ldapi:// */
        bool starttls;
        const char *ca;
        const char *bind_dn;     /* template: %u the name, %n the part before the @, %d behind it; NULL: search first */
        const char *base, *filter, *user_dn; /* of the search; user_dn: who searches; NULL: anonymous */
        const char *password_file; /* of user_dn; NULL: none */
        const char *mail;        /* attribute with the account's addresses; "" : none */
    } ldap;
    const char *dovecot;         /* path of its auth socket */
    uint64_t timeout;            /* of one question to a back end */
    uint32_t failures;           /* of a client or account within `window` before it is braked; 0: no brake */
    uint64_t window, block;
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
    uint32_t warn_messages;      /* so many are a long queue; 0: none is */
    uint64_t warn_age;           /* the same of the age of its oldest message */
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
    struct ip_net *public;       /* as others see them, each of one address; none: the machine's own. For the set-up check alone */
    size_t public_n;
    enum config_client_tls tls;
    bool mta_sts;
    bool tls_reports;            /* count, and send reports where a domain asks for them (RFC 8460) */
    const char *tls_report_contact; /* in reports; NULL: postmaster */
    uint64_t probe;              /* how long what a fixed next hop can take is believed before it is asked again; 0: never asked */
};

struct config {
    struct arena arena;          /* holds all of it */
    const char *file;            /* its path */
    uint64_t fingerprint;        /* of the text; only for this process and those it forks */
    const char *hostname;
    const char *postmaster;      /* "postmaster@hostname" unless set */
    struct config_listener *listeners;
    size_t listener_n;
    struct config_zone *zones;   /* the last is "internet", networks empty: everybody else */
    size_t zone_n;
    const char *main_domain;     /* of names without a domain, in aliases; it is no relay domain to elsewhere. NULL: none */
    struct config_mapping *mappings;
    size_t mapping_n;
    struct config_alias *aliases;
    size_t alias_n;
    const char **system_mail;    /* local parts whose mail at hostname and main_domain goes to `postmaster`; lower case */
    size_t system_mail_n;
    struct config_copy *copies;
    size_t copy_n;
    struct config_table *tables;
    size_t table_n;
    struct config_notices notices;
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
    struct config_tls_policy *tls_policies;
    size_t tls_policy_n;
    struct config_auth auth;
    struct config_checks checks;
    struct config_relaying *relaying;
    size_t relaying_n;
    struct config_guard guard;
    struct config_store store;
    struct config_dkim dkim;
    struct config_arc arc;
    struct config_srs srs;
    struct config_scan scan;
    struct config_scanner *scanners;
    size_t scanner_n;
    struct config_attachments attachments;
    struct config_virus virus;
    struct config_spam spam;
    struct config_header_check *header_checks;
    size_t header_check_n;
    struct config_rule *rules;
    size_t rule_n;
    struct config_quarantine quarantine;
    struct config_web web;
    struct config_webhook *webhooks;
    size_t webhook_n;
    const struct config_hop **hops; /* all there are, by id; only those that are set */
    size_t hop_n;
    struct {
        const char *certificate, *key; /* PEM files; "" : a self-signed pair made at first start */
        uint32_t min_version;          /* 12 or 13 for TLS 1.2, 1.3 */
        struct config_certificate *certificates; /* shown by name (SNI); others get the one above */
        size_t certificate_n;
        const char *ca;                /* PEM file or folder of trusted authorities; "" : the system's */
        uint64_t ticket_life;          /* a session ticket key serves so long, and is understood as long again; 0: no tickets */
    } tls;
    struct {
        const char **servers;          /* "192.0.2.53" or "127.0.0.1:5353"; none: /etc/resolv.conf */
        size_t server_n;
        uint64_t timeout;
        const char *trust_anchor;      /* file with DS or DNSKEY records; "" : the root's, of Debian's dns-root-data */
    } dns;
    struct {
        const char *directory;         /* /var/lib/postern: spool/, revisions/, tls/ below it */
        const char *run_directory;     /* /run/postern: control.sock, postern.pid */
        const char *user, *admin_user, *auth_user, *sign_user, *store_user, *scan_user, *table_user, *mail_user; /* "postern", "postern-admin" ...; "" : stay who we are (tests, demonstration) */
        uint32_t workers;              /* 0: one a core */
        uint64_t drain;                /* how long open sessions may go on after reload or stop */
        bool sandbox;                  /* Landlock and seccomp; on */
    } system;
    struct {
        uint32_t level;                /* enum log_level */
        uint32_t format, to;           /* enum log_format, enum log_target */
        uint32_t facility;             /* of syslog, as a number */
        const char *socket;            /* NULL: where the journal, or syslog, listens */
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
/* Files and folders it names; option: the last word of the option's path. The same may come more than once. */
void config_each_path(const struct config *c, void (*cb)(void *arg, const char *option, const char *path), void *arg);
void config_free(struct config *c);                       /* NULL is fine */
/* Wipes passwords written in the file. For every process but the one that needs them. */
void config_forget_secrets(struct config *c);
/* How the file calls a level: "may", "dane-only". */
const char *config_client_tls_word(enum config_client_tls level);
/* Does anything ask for dane or dane-only, which need DNSSEC? Without that nothing is validated, as a name server that passes no
 * signatures on would then stop all mail. */
bool config_wants_dnssec(const struct config *c);
#define CONFIG_ROOT_ANCHOR "/usr/share/dns/root.key" /* Debian: dns-root-data; used when dns.trust_anchor is "" */
/* The policy for a destination: the longest `to` that fits, or NULL. name: ASCII, any case. */
const struct config_tls_policy *config_tls_policy_of(const struct config *c, struct slice name);
void config_report_deinit(struct config_report *r);

/* The zone of a client; never NULL (the last zone takes all). */
const struct config_zone *config_zone_of(const struct config *c, const struct config_listener *l, const struct ip *client);
/* Which clients belong to which zone by their address: IPv6 or IPv4 apart, the nearest network first, so that the first that holds an
 * address decides. Those of interfaces are as they were when the configuration was read. NULL and 0: none. */
struct config_network {
    struct ip_net net;
    const struct config_zone *zone;
    const char *interface;       /* the network is attached to this one of zone->interfaces; NULL: it is one of zone->networks */
};
const struct config_network *config_networks(const struct config *c, size_t *n);
/* Where what a transparent zone's clients say to others arrives: intercept.listener, or the first that can take it; NULL: none. */
const struct config_listener *config_arrival(const struct config *c, const struct config_zone *z);
/* May clients of the zone send as this domain (A-labels)? One whose networks others use as well is bound to sender domains; the null
 * reverse-path (empty) is of none of them: anybody's bounces would pass. */
bool config_zone_sends(const struct config_zone *zone, struct slice sender);
/* hostname or main_domain (A-labels, any case): where plain names are. */
bool config_is_own_host(const struct config *c, struct slice domain);
/* The relay domain that covers `domain` (ASCII, any case), or NULL. The longest name wins; of the same name one that is written before one
 * of a table. */
const struct config_domain *config_domain_of(const struct config *c, struct slice domain);
/* Is it one, or may it be: some domains stand in a table, and what is in there is not looked at. For checks of the configuration. */
bool config_may_be_domain(const struct config *c, struct slice domain);
/* Where domains of tables are looked for from now on (config/tables.h); NULL: nowhere. The tables must outlive the configuration, or be
 * taken away again. Not of a configuration that was put together by hand. */
struct tables;
void config_set_tables(const struct config *c, const struct tables *t);
/* The same of a mail address, without <>; NULL also when it is none. */
const struct config_domain *config_domain_of_address(const struct config *c, struct slice address);
/* Has the mailbox, its domain or one above it an entry in routes? ASCII, any case; a local part in quotes only as it is written there. */
bool config_has_route(const struct config *c, struct slice local, struct slice domain);

#endif
