/* SPDX-License-Identifier: Apache-2.0
 * The configuration of the policy checks: `checks`, `relaying`, `guard`, `store`, and `recipients` of a domain. Part of
 * config.h, which says what holds of all fields. */
#ifndef POSTERN_CONFIG_CONFIG_CHECKS_H
#define POSTERN_CONFIG_CONFIG_CHECKS_H
#include "base/ip.h"

/* Where in the file an entry began; line 0: a default. For messages and traces. */
struct config_place {
    uint32_t line, column;
};

/* One entry of a list that clients, senders or recipients are held against; config/list.h tells the forms it may have. Just one of
 * match, file and table is set. */
struct config_match {
    const char *match;           /* "192.0.2.0/24", "user@example.org", ".example.org", "/regular expression/" ... */
    const char *file;            /* such entries, one a line; read again when it changes */
    const char *table;           /* the entries of one in `tables` */
    const char *comment;         /* for people; NULL: none */
    const char *reason;          /* told to a client that is refused; NULL: none */
    bool proven;                 /* of senders: counts only when SPF proves that the mail is theirs */
    struct config_place place;
};
struct config_match_list {
    struct config_match *entries;
    size_t n;
};

/* What a check that finds something does. */
enum config_action { CONFIG_ACTION_REJECT, CONFIG_ACTION_DEFER, CONFIG_ACTION_SCORE };

enum config_dns_list_of {        /* what is looked up in a list */
    CONFIG_DNS_LIST_CLIENT = 1,  /* the client's address */
    CONFIG_DNS_LIST_REVERSE = 2, /* its name, forward-confirmed */
    CONFIG_DNS_LIST_HELO = 4,
    CONFIG_DNS_LIST_SENDER = 8,  /* the domain of MAIL FROM */
};
enum config_dns_list_action { CONFIG_DNS_LIST_REJECT, CONFIG_DNS_LIST_SCORE, CONFIG_DNS_LIST_ALLOW };
struct config_dns_list {
    const char *zone;            /* "zen.spamhaus.org" */
    uint32_t of;                 /* enum config_dns_list_of; 0: as the catalogue says, else the client's address */
    const char **answers;        /* "127.0.0.2", "127.0.0.2-127.0.0.11", "127.0.0.0/16"; none: as the catalogue says, else all of
                                    127.0.0.0/8 that is no error */
    size_t answer_n;
    enum config_dns_list_action action;
    uint32_t weight;             /* of SCORE: summed up and compared with the threshold */
    bool enabled;
    bool test;                   /* it must list the test points of RFC 5782, unless the catalogue knows that it has none */
    const char *home;            /* its page; NULL: as the catalogue says */
    struct config_place place;
};

enum config_greylist_gone { CONFIG_GONE_PASS, CONFIG_GONE_DEFER }; /* what happens while the store does not answer */

/* What a failed DMARC check does for mail that says it is from a domain, whatever the domain asks for. */
enum config_dmarc_action { CONFIG_DMARC_NONE, CONFIG_DMARC_QUARANTINE, CONFIG_DMARC_REJECT };
struct config_dmarc_override {
    const char *domain;          /* "example.org", ".example.org": it and all below */
    enum config_dmarc_action action;
    const char *comment;
    struct config_place place;
};
enum config_organization { CONFIG_ORGANIZATION_LIST, CONFIG_ORGANIZATION_WALK };

/* `place` of a group: where it is written; line 0: it is not. */
struct config_checks {
    bool delay_reject;           /* what is refused before RCPT is told at RCPT */
    struct config_match_list allow_clients, allow_senders, allow_recipients, block_clients, block_senders, block_recipients;
    struct {
        bool enabled;
        uint64_t pause, exempt_for; /* ms */
        struct config_match_list exempt; /* clients */
        struct config_place place;
    } greeting_pause;
    struct {
        bool enabled;
        uint32_t connections;    /* of one client at once; 0: no limit */
        uint32_t rate;           /* new ones within `per`; 0: no limit */
        uint64_t per;
        struct config_match_list exempt; /* clients */
        struct config_place place;
    } client_limits;
    struct {
        bool enabled;
        uint32_t most;
        struct config_place place;
    } recipient_limit;
    struct {
        bool required, reject_invalid, reject_non_fqdn;
        struct config_place place;
    } helo;
    struct {
        bool enabled;
        enum config_action action;
        struct config_match_list exempt; /* clients */
        struct config_place place;
    } reverse_dns;
    struct {
        bool fqdn, resolvable;
        struct config_place place;
    } sender, recipient;
    struct {
        uint32_t threshold;      /* of the weights of lists with action score; 0: never */
        uint64_t timeout;        /* of one look-up */
        uint64_t off_for;        /* how long a list that fails is left alone */
        struct config_dns_list *lists;
        size_t n;
    } dns_lists;
    struct {
        bool enabled;
        uint64_t delay, allow_for, retry_within;
        uint32_t ipv4_prefix, ipv6_prefix;
        bool private_exempt;     /* private and loopback networks are never delayed */
        bool spf_exempt;         /* nor clients that SPF proves to send for the sender's domain */
        struct config_match_list exempt_clients, exempt_senders, exempt_recipients;
        enum config_greylist_gone without_store;
        struct config_place place;
    } greylist;
    struct {
        bool enabled;
        uint32_t ipv4_prefix, ipv6_prefix;
        uint64_t keep;           /* ms after which half of what was counted is forgotten */
        uint32_t reject_below;   /* percent of good verdicts below which a client is refused; 0: score only */
        struct config_place place;
    } reputation;
    uint64_t authentication_timeout; /* of all look-ups for SPF, DKIM, ARC and DMARC of one message */
    struct {
        bool enabled, reject;    /* reject: what fails */
        enum config_greylist_gone unsure; /* while it cannot be looked up */
        struct config_place place;
    } spf;
    struct {
        bool enabled;
        bool trust_length;       /* a signature that leaves out the end of the body may pass */
        struct config_place place;
    } dkim;
    struct {
        bool enabled;
        const char **sealers;    /* domains whose seals may excuse a DMARC failure; lower case */
        size_t sealer_n;
        struct config_place place;
    } arc;
    struct {
        bool enabled, honor;     /* honor: what the domain's policy asks for is done */
        enum config_organization organization;
        const char *suffixes;    /* file with the public suffix list; NULL: the system's */
        struct config_dmarc_override *overrides;
        size_t override_n;
        struct config_place place;
    } dmarc;
};

/* Exceptions to who may relay (policy/relay.h): what an entry is held against and what becomes of it. */
enum config_relaying_on { CONFIG_RELAYING_CONNECT = 1, CONFIG_RELAYING_FROM = 2, CONFIG_RELAYING_TO = 4 };
enum config_relaying_action { CONFIG_RELAYING_RELAY, CONFIG_RELAYING_REJECT, CONFIG_RELAYING_OK };
struct config_relaying {
    const char *match;           /* a domain, host, IP address or network */
    uint32_t on;                 /* enum config_relaying_on */
    enum config_relaying_action action;
    const char *comment;
    struct config_place place;
};

/* How much one may send within an hour before it is held. 0: no limit. */
struct config_guard_limit {
    uint32_t messages, recipients;
};
struct config_guard {
    struct {
        bool enabled;
        struct config_guard_limit account, client, sender_domain;
        struct config_place place;
    } outbound;
    struct {
        bool enabled;
        uint32_t strangers;      /* distinct foreign clients seen behind one inner address within the hour */
        uint64_t distrust_for;
        struct config_place place;
    } open_relay;
};

enum config_verify { CONFIG_VERIFY_OFF, CONFIG_VERIFY_SMTP, CONFIG_VERIFY_LDAP, CONFIG_VERIFY_LIST };
struct config_recipients {
    enum config_verify verify;
    uint32_t reject_code;        /* 450 or 550 */
    uint64_t keep_known, keep_unknown; /* ms an answer of the inner server is believed */
    uint64_t timeout;            /* of one question */
    enum config_greylist_gone unsure; /* what happens when the question cannot be answered */
    struct config_match_list list;
    struct {
        const char *url;         /* NULL: none */
        bool starttls;
        const char *ca;          /* NULL: tls.ca */
        const char *base, *filter, *user_dn, *password_file; /* filter: %s the address, %n the part before the @, %d behind it */
    } ldap;
};

struct config_store {
    uint64_t history;            /* ms a message's story is kept; 0: none is written */
    uint64_t history_size;       /* bytes of it at most */
    uint32_t entries;            /* of each kind of memory: greylist, reputation ...; the oldest give way */
};

#endif
