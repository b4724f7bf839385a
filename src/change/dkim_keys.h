/* SPDX-License-Identifier: Apache-2.0
 * Keys to sign with, as files: DIRECTORY/SELECTOR._domainkey.DOMAIN.pem, and as entries of the configuration. */
#ifndef POSTERN_CHANGE_DKIM_KEYS_H
#define POSTERN_CHANGE_DKIM_KEYS_H
#include "base/err.h"
#include "mailauth/key.h"

struct config;

#define DKIM_KEYS_MAX 32         /* of one domain */

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
/* The keys the configuration has for the domain, in their order; not loaded. */
void dkim_keys_of(const struct config *c, const char *domain, struct dkim_named_keys *out);
/* {domain: ..., selector: ..., file: ...}, for the configuration. */
void dkim_add_entry(const char *domain, const struct dkim_named_key *k, bool enabled, struct buf *out);

struct dkim_wish {
    const char *domain;          /* A-labels, lower case */
    const char *selector;        /* NULL: one with the date */
    enum dkim_key_type type;
    unsigned bits;               /* of RSA; 0: 2048 */
};
struct dkim_place {
    const char *directory;
    const char *owner;           /* user whom keys belong to when we are root; "" , or nobody: who we are */
};
/* Makes a key and its file, readable by its owner alone. A selector that is not given is named with the date: the first
 * free one that `taken` does not hold either. A file that is there is never written to. Blocks, for seconds. False with
 * err; err->code is EEXIST for such a file. */
bool dkim_file_new(const struct dkim_wish *o, const struct dkim_place *place, const struct dkim_named_keys *taken,
                   struct dkim_named_key *out, struct err *err) MUST_CHECK;
/* The domain's keys in the directory, loaded; of those that cannot be passed_over hears, which may be NULL. */
void dkim_files_list(const char *directory, const char *domain, void (*passed_over)(const struct err *err),
                     struct dkim_named_keys *out);
/* Was a's key made after b's? By the dates in selectors that we named, else by the files' times. */
bool dkim_file_newer(const struct dkim_named_key *a, const struct dkim_named_key *b);

#endif
