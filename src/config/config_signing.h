/* SPDX-License-Identifier: Apache-2.0
 * The configuration of what is signed and rewritten on its way out: `dkim`, `arc`, `srs`. Part of config.h, which says what
 * holds of all fields. */
#ifndef POSTERN_CONFIG_CONFIG_SIGNING_H
#define POSTERN_CONFIG_CONFIG_SIGNING_H
#include "config/config_checks.h"

/* Values are those of enum auth_canon. */
enum config_canonicalization { CONFIG_CANON_SIMPLE, CONFIG_CANON_RELAXED };

/* A key: what it signs with. Read by the signer process alone. */
struct config_dkim_key {
    const char *domain;          /* of the author; A-labels, lower case */
    const char *selector;        /* <selector>._domainkey.<domain> is where the public key is published */
    const char *file;            /* PEM */
    bool enabled;                /* no: made, perhaps published, not used yet or no more */
    struct config_place place;
};
struct config_dkim {
    struct config_dkim_key *keys;
    size_t key_n;
    bool subdomains;             /* a domain's keys sign for those below it that have none */
    enum config_canonicalization header, body;
    const char **headers;        /* names to sign where present; none: the library's choice */
    size_t header_n;
    const char **oversign;       /* none: the library's choice */
    size_t oversign_n;
    uint64_t expire;             /* ms a signature is good for; 0: it says nothing of that */
    uint64_t timeout;            /* the signer is waited for so long; then the client is asked to come again */
    struct config_place place;
};
struct config_arc {
    bool seal;
    struct config_dkim_key key;  /* domain NULL: hostname */
    struct config_place place;
};
struct config_srs {
    const char *domain;          /* of our rewritten addresses; NULL: off */
    const char *secrets_file;    /* one a line: the first signs, all are good for what comes back */
    bool shared;                 /* the secrets are those of other programs: hashes as theirs */
    uint64_t keep;               /* ms a bounce is taken back for: whole days */
    struct config_place place;
};

#endif
