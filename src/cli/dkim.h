/* SPDX-License-Identifier: Apache-2.0
 * The parts of postern dkim. */
#ifndef POSTERN_CLI_DKIM_H
#define POSTERN_CLI_DKIM_H
#include <jansson.h>
#include "cli/auth.h"

struct config;

#define DKIM_KEYS_MAX 32         /* of one domain */

struct dkim_options_cli {
    const char *op, *config_file, *selector, *type, *bits_text, *directory, *key, *dns;
    char domain[256];            /* A-labels, lower case */
    unsigned bits;               /* 0: not given */
    enum dkim_key_type key_type;
    bool json, testing, all, write;
};

/* A key file and the selector it is published under. */
struct dkim_named_key {
    char selector[256];
    char file[1024];
    struct dkim_key *key;        /* NULL until it is loaded */
    bool waits;                  /* the configuration has it, and does not sign with it */
};
struct dkim_named_keys {
    struct dkim_named_key items[DKIM_KEYS_MAX];
    size_t n;
};
void dkim_named_keys_deinit(struct dkim_named_keys *k);

/* ---- dkim.c */
/* For look-ups. NULL: told on standard error why, and *code is the exit code. */
struct auth_world *dkim_world_new(const struct dkim_options_cli *o, int *code);
/* The keys the configuration has for the domain, in their order; not loaded. */
void dkim_keys_of(const struct config *c, const char *domain, struct dkim_named_keys *out);

/* ---- dkim_files.c: key files, DIRECTORY/SELECTOR._domainkey.DOMAIN.pem */
struct dkim_place {
    const char *directory;
    const char *owner;           /* user whom keys belong to when we are root; "" , or nobody: who we are */
};
/* Makes a key and its file, readable by its owner alone. A selector that is not given is named with the date: the first free one that
 * `taken` does not hold either. A file that is there is never written to. Blocks, for seconds. False with err; err->code is EEXIST for
 * such a file. */
bool dkim_file_new(const struct dkim_options_cli *o, const struct dkim_place *place, const struct dkim_named_keys *taken,
                   struct dkim_named_key *out, struct err *err) MUST_CHECK;
/* The domain's keys in the directory, loaded; those that cannot be are left out with a line on standard error. */
void dkim_files_list(const char *directory, const char *domain, struct dkim_named_keys *out);
/* Was a's key made after b's? By the dates in selectors that we named, else by the files' times. */
bool dkim_file_newer(const struct dkim_named_key *a, const struct dkim_named_key *b);

/* ---- dkim_all.c */
/* Makes a key for each relay domain that has none, and shows them or writes their lines into the configuration. Returns an exit code. */
int dkim_all(const struct dkim_options_cli *o, const struct dkim_place *place, const struct config *c);

/* ---- dkim_published.c */
enum dkim_published { DKIM_PUBLISHED, DKIM_DIFFERS, DKIM_MISSING, DKIM_UNANSWERED };
struct dkim_finding {
    enum dkim_published state;
    struct buf reason;           /* one clause, printable */
    struct buf hint;             /* how to mend it; may be empty */
};
void dkim_published_check(struct auth_world *w, const char *domain, const struct dkim_named_key *k, struct dkim_finding *out);
void dkim_finding_deinit(struct dkim_finding *f);
const char *dkim_published_name(enum dkim_published p);

/* ---- dkim_print.c */
/* Host and value, the line for BIND, and with `lines` those for the configuration. */
void dkim_print_key(const struct dkim_options_cli *o, const struct dkim_named_key *k, bool lines);
json_t *dkim_key_json(const struct dkim_options_cli *o, const struct dkim_named_key *k);
void dkim_print_finding(const struct dkim_options_cli *o, const struct dkim_named_key *k, const struct dkim_finding *f);
json_t *dkim_finding_json(const struct dkim_options_cli *o, const struct dkim_named_key *k, const struct dkim_finding *f);
/* "dkim:", and these keys. */
void dkim_add_lines(const struct dkim_options_cli *o, const struct dkim_named_key *const *keys, size_t n, struct buf *out);
/* {domain: ..., selector: ..., file: ...}, for the configuration. */
void dkim_add_entry(const char *domain, const struct dkim_named_key *k, bool enabled, struct buf *out);

/* ---- dkim_rotate.c */
/* Returns an exit code. `current` are loaded. */
int dkim_rotate(const struct dkim_options_cli *o, const struct dkim_place *place, const struct dkim_named_keys *current);

#endif
