/* SPDX-License-Identifier: Apache-2.0
 * The parts of postern dkim. */
#ifndef POSTERN_CLI_DKIM_H
#define POSTERN_CLI_DKIM_H
#include <jansson.h>
#include "change/dkim_keys.h"
#include "cli/auth.h"

struct dkim_options_cli {
    const char *op, *config_file, *selector, *type, *bits_text, *directory, *key, *dns;
    char domain[256];            /* A-labels, lower case */
    unsigned bits;               /* 0: not given */
    enum dkim_key_type key_type;
    bool json, testing, all, write;
};

/* ---- dkim.c */
/* For look-ups. NULL: told on standard error why, and *code is the exit code. */
struct auth_world *dkim_world_new(const struct dkim_options_cli *o, int *code);
static inline struct dkim_wish dkim_wish_of(const struct dkim_options_cli *o)
{
    return (struct dkim_wish){ .domain = o->domain, .selector = o->selector, .type = o->key_type, .bits = o->bits };
}

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

/* ---- dkim_rotate.c */
/* Returns an exit code. `current` are loaded. */
int dkim_rotate(const struct dkim_options_cli *o, const struct dkim_place *place, const struct dkim_named_keys *current);

#endif
