/* SPDX-License-Identifier: Apache-2.0
 * What the files of an import share: where something came from, reading, parameters, tables, writing. Everything lives in the import's
 * arena. */
#ifndef POSTERN_IMPORT_PARTS_H
#define POSTERN_IMPORT_PARTS_H
#include "base/arena.h"
#include "base/hash.h"
#include "config/match.h"
#include "import/import.h"

#define IMPORT_FILE_MAX (32u << 20)   /* bytes of one file */
#define IMPORT_TOTAL_MAX (128u << 20) /* of all together */
#define IMPORT_LINE_MAX (256u << 10)  /* of a logical line */
#define IMPORT_VALUE_MAX (1u << 20)   /* of a parameter, when all names in it are replaced */
#define IMPORT_NAMES_MAX 5000         /* parameters */
#define IMPORT_NOTES_MAX 20000        /* more are counted only */
#define IMPORT_INLINE_MAX 20          /* entries that stand in the configuration; longer lists get a file */

struct import_from {
    const char *file;    /* as people know it: "main.cf" */
    uint32_t line;       /* 0: of no line */
    struct slice text;   /* the line, or what is shown of it */
    struct slice value;  /* of a parameter: all that import_get gave, so that a word of it tells its own line */
    uint32_t skipped;    /* lines before it */
};

/* ---- notes (note.c): what, why, what to do; text from outside is made printable here */
void import_note(struct import *im, enum import_kind kind, const struct import_from *from, const char *todo, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#define left_out(im, from, todo, ...) import_note(im, IMPORT_LEFT_OUT, from, todo, __VA_ARGS__)
#define different(im, from, todo, ...) import_note(im, IMPORT_DIFFERENT, from, todo, __VA_ARGS__)
const char *import_show(struct import *im, struct slice s); /* printable, shortened; lives in the arena */

/* ---- files (read.c) */
struct import_text {
    const char *name;    /* shown */
    struct slice rest;   /* what is still to be read */
    uint32_t line;
    bool secret;         /* its lines are not shown */
    bool lines;          /* a logical line keeps a line break for each line it is made of */
};
/* NULL with a note at `from`: it cannot be read. */
bool import_is_there(struct import *im, const char *name); /* in the folder */
struct import_text *import_open(struct import *im, const char *path, const struct import_from *from);
/* The next logical line: comments and empty lines passed over, continued lines put together; long and binary ones are noted and passed over. */
bool import_next(struct import *im, struct import_text *t, struct slice *line, struct import_from *from);
bool import_word(struct slice *s, struct slice *word);  /* separated by blanks and commas; {...} is one word, without its braces */
bool import_has_word(struct slice list, struct slice word); /* case ignored */
bool import_is_binary(struct slice s);

/* ---- parameters (params.c) */
struct import_param {
    const char *name;
    struct slice value;  /* as written */
    struct import_from from;
    bool used, replaced; /* replaced: defined again later */
};
bool import_read_params(struct import *im, struct import_text *t);
/* The value with all names replaced; empty when there is neither a definition nor a default. from: NULL or filled; line 0: it is a default.
 * Where a value stands on several lines, their breaks are in it. */
struct slice import_get(struct import *im, const char *name, struct import_from *from);
/* `walk`, as import_get filled it, with the line that a word of the value stands in, and what is to be shown of it. Words are asked for in their
 * order: `walk` goes on to each. */
struct import_from import_from_word(struct import *im, struct import_from *walk, struct slice word, const char *shown);
bool import_yes(struct import *im, const char *name, struct import_from *from);
/* $names replaced. False: a loop, too long, or not understood. */
bool import_expand(struct import *im, struct slice text, struct slice *out, struct err *err) MUST_CHECK;
const char *import_str(struct import *im, struct slice s);
struct slice import_socket_path(struct import *im, struct slice path); /* relative ones are within queue_directory */
bool import_parents_match(struct import *im, const char *feature); /* parent_domain_matches_subdomains */

/* ---- tables (maps.c) */
enum import_entry_kind { IMPORT_EXACT, IMPORT_CIDR, IMPORT_REGEXP, IMPORT_STATIC };
struct import_entry {
    enum import_entry_kind kind;
    struct slice key, value; /* of REGEXP: the pattern without its slashes, as one that must fit the whole text */
    struct import_from from;
    bool used;
};
struct import_map {
    struct import_entry *entries;
    size_t n, cap;
    struct htable exact;     /* the first exact one of each key */
    const char **tables;     /* names in `tables`, of sources that are read as a whole */
    size_t table_n;
};
/* All maps of a list ("hash:/etc/postfix/a, inline:{...}"). secret: lines are never shown; aliases: in the form of aliases(5). */
struct import_map import_maps(struct import *im, struct slice specs, const struct import_from *from, bool secret, bool aliases);
struct import_map import_map_of(struct import *im, const char *param, struct import_from *from);
void import_map_deinit(struct import_map *m);
struct import_entry *import_find(struct import_map *m, struct slice key); /* the first exact one, case ignored */
/* A source that is read as a whole: its name in `tables`; NULL with a note. type: "ldap", "pgsql", "sqlite", "mysql". */
const char *import_source(struct import *im, const char *type, const char *path, const struct import_from *from);
/* The words of a list like mydestination: files and tables in it are read. Patterns with ! are noted. */
typedef void import_word_fn(struct import *im, struct slice word, const struct import_from *from, void *arg);
void import_each(struct import *im, const char *param, import_word_fn *fn, void *arg);

/* ---- writing (write.c) */
enum import_section {
    PUT_HOSTNAME, PUT_POSTMASTER, PUT_LISTENERS, PUT_ZONES, PUT_MAIN_DOMAIN, PUT_DOMAINS, PUT_ROUTES, PUT_SMARTHOST, PUT_MAPPINGS, PUT_ALIASES,
    PUT_COPIES, PUT_TABLES, PUT_LIMITS, PUT_TIMEOUTS, PUT_QUEUE, PUT_DELIVERY, PUT_TLS_POLICIES, PUT_TLS, PUT_AUTH, PUT_CHECKS,
    PUT_ALLOW_CLIENTS, PUT_ALLOW_SENDERS, PUT_ALLOW_RECIPIENTS, PUT_BLOCK_CLIENTS, PUT_BLOCK_SENDERS, PUT_BLOCK_RECIPIENTS,
    PUT_PAUSE, PUT_CLIENT_LIMITS, PUT_RECIPIENT_LIMIT, PUT_HELO, PUT_REVERSE, PUT_SENDER, PUT_RECIPIENT, PUT_DNS, PUT_DNS_LISTS, PUT_GREYLIST,
    PUT_SPF, PUT_RELAYING, PUT_SCANNERS, PUT_HEADER_CHECKS, PUT_RULES, PUT_SECTIONS,
};
/* One setting or entry: lines without indent. The same setting of the same section again is left alone. */
void import_put(struct import *im, enum import_section where, const struct import_from *from, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
const char *import_scalar(struct import *im, struct slice s); /* as yaml_add_scalar; yes, no and the like in quotes */
/* Keeps `text` as a file beside the configuration; its name, or NULL when there are none. */
const char *import_keep(struct import *im, const char *folder, struct slice name, struct slice text, bool secret);

/* ---- master.cf (master.c) */
struct import_service {
    const char *name, *type, *command;
    struct import_from from;
    struct slice args;
};
void import_read_master(struct import *im);
const struct import_service *import_service(const struct import *im, const char *name, const char *type);
/* The value of -o NAME=VALUE; empty: not there. */
struct slice import_override(struct import *im, const struct import_service *s, const char *name);
void import_listeners(struct import *im);

/* ---- next hops (hop.c) */
struct import_hop {
    const char *text;    /* what stands behind deliver:, via: ... */
    bool mx;             /* no next hop: the recipient's MX */
};
/* "[host]:port", "host". */
bool import_next_hop(struct import *im, struct slice text, struct slice sender, const char *service, struct import_hop *out,
                     const struct import_from *from);
/* The right side of a transport table: "smtp:[host]:port", ":[host]", "lmtp:unix:path". False: noted. */
bool import_transport(struct import *im, struct slice text, struct import_hop *out, const struct import_from *from);
/* The transport for a domain, by "domain", or with tree ".domain". */
bool import_transport_of(struct import *im, struct slice domain, bool tree, struct import_hop *out);
void import_unused_passwords(struct import *im);
/* The addresses that a service of master.cf sends from, as `source` has them; NULL: it does not say. s: NULL is fine. */
const char *import_source_of(struct import *im, const struct import_service *s);
void import_add_route(struct import *im, struct slice to, const struct import_hop *hop, const struct import_from *from);
void import_routes(struct import *im); /* when the domains are known */

/* The word of ours for a level of TLS (tls.c); NULL: none is the same. */
const char *import_tls_level(struct slice level);

/* ---- subjects, in this order */
void import_networks(struct import *im);
void import_domains(struct import *im);
void import_aliases(struct import *im);
void import_rewriting(struct import *im);  /* canonical, bcc, relocated */
void import_restrictions(struct import *im);
void import_postscreen(struct import *im);
void import_headers(struct import *im);
void import_tls(struct import *im);
void import_options(struct import *im);    /* what is one setting here, and what was not looked at by anybody */

/* ---- access tables (access.c) */
enum import_access { ACCESS_CLIENT, ACCESS_SENDER, ACCESS_RECIPIENT, ACCESS_HELO };
struct import_place_of_check {
    enum import_access of;
    bool before_relay;    /* OK in it lets a stranger relay */
    bool after_trusted;   /* clients of mynetworks are not looked at */
};
void import_access(struct import *im, struct slice spec, const struct import_place_of_check *where, const struct import_from *from);
/* An entry of a block or allow list; false: noted. text: "", or the reason. */
bool import_list_entry(struct import *im, enum import_section where, enum list_of of, struct slice entry, struct slice reason,
                       const struct import_from *from);

/* ---- all of it */
struct import_note {
    enum import_kind kind;
    const char *file, *text, *why, *todo;
    uint32_t line;
};
struct import_unit {
    enum import_section where;
    struct import_from from;
    const char *text;
    uint32_t first, last; /* lines of the composed text */
    bool dropped;
};
struct import_known_source {
    const char *type, *path, *name; /* name NULL: it cannot be had */
};
struct import_given {
    const char *name;
    struct slice text;
};
struct import {
    struct arena arena;
    const char *folder;
    bool beside;
    struct import_given *given; /* NULL: files of the folder are read */
    size_t given_n;
    size_t read;          /* bytes of files */
    struct import_param *params;
    size_t param_n, param_cap;
    size_t steps;         /* names replaced so far, within one value */
    struct import_note *notes;
    size_t note_n, note_cap, counts[2];
    struct import_unit *units;
    size_t unit_n, unit_cap;
    struct htable seen;   /* units by section and text */
    struct import_file *files;
    size_t file_n, file_cap;
    struct import_service *services;
    size_t service_n, service_cap;
    struct import_known_source *sources;
    size_t source_n, source_cap;
    struct buf text;      /* composed */
    struct import_map transports, passwords;
    struct import_hop smarthost; /* text NULL: none */
    const char *hostname, *domain, *origin, *main_domain;
    struct slice parents; /* parent_domain_matches_subdomains; p NULL: not asked for yet */
    bool mailboxes;       /* names at mydestination have mailboxes (LMTP) */
    bool trust_networks;  /* permit_mynetworks lets relay */
    bool verify_recipients;
    int verify_code;
    size_t taken;
};
/* Room for one more. */
#define import_grow(p, n, cap) \
    ((n) < (cap) ? (void)0 : (void)((cap) = (cap) ? 2 * (cap) : 16, (p) = mem_grow((p), (cap), sizeof *(p))))

#endif
