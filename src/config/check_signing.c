/* SPDX-License-Identifier: Apache-2.0
 * Keys and secrets for what goes out: each is there, is read by nobody else, and stands for one name. What a key holds is seen when it
 * is read (signer/keys.c). */
#include "base/mem.h"
#include "config/parse.h"
#include "smtp/address.h"

#define KEYS_MAX 4 /* of one domain that sign: SIGNER_KEYS_MAX */

static bool is_same(const char *a, const char *b) { return slice_ieq(slice_str(a), slice_str(b)); }

static void check_selector(const struct check *k, const char *selector, const struct yaml_node *node)
{
    if (selector && *selector && !address_domain_ok(slice_str(selector), false))
        yaml_error(k->report, node, "letters, digits, hyphens, underscores and dots, for example selector-2026-11-21-1",
                   "\"%s\" is no selector", report_quote(k->report, slice_str(selector)));
}

/* Against those before it. */
static void check_key(const struct check *k, size_t i, const struct yaml_node *node)
{
    const struct config_dkim_key *all = k->c->dkim.keys, *key = &all[i];
    unsigned same = 0;
    check_file(k, yaml_get(node, "file"), key->file, CHECK_FILE_SECRET);
    check_selector(k, key->selector, yaml_get(node, "selector"));
    if (!key->domain || !key->selector) return;
    for (size_t j = 0; j < i; j++) {
        if (!all[j].domain || !is_same(all[j].domain, key->domain)) continue;
        same += all[j].enabled && key->enabled;
        if (all[j].selector && is_same(all[j].selector, key->selector))
            yaml_error(k->report, yaml_get(node, "selector"), "give each key a selector of its own",
                       "%s has the selector %s twice: also at line %u", key->domain, key->selector, all[j].place.line);
    }
    if (same == KEYS_MAX)
        yaml_error(k->report, node, "set enabled: no for those that were replaced",
                   "mail of %s would be signed with more than %d keys", key->domain, KEYS_MAX);
}

/* A field's name (RFC 5322 §3.6.8), and one that may be signed. */
static void check_names(const struct check *k, const char **names, size_t n, const struct yaml_node *list)
{
    static const char *const never[] = { "Return-Path", "Received", "DKIM-Signature", "Bcc" };
    const struct yaml_node *item = yaml_items(list);
    for (size_t i = 0; i < n && item; i++, item = item->next) {
        bool ok = names[i][0] != 0;
        for (const char *p = names[i]; *p; p++) ok &= *p > ' ' && *p < 0x7F && *p != ':' && *p != ';';
        if (!ok)
            yaml_error(k->report, item, "write the name of a header field, without a colon", "\"%s\" is no name of a header field",
                       report_quote(k->report, slice_str(names[i])));
        for (size_t j = 0; ok && j < countof(never); j++)
            if (is_same(names[i], never[j]))
                yaml_error(k->report, item, "leave it out", "%s is changed on the way: a signature over it would break", never[j]);
    }
}

static bool has(const char **names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (is_same(names[i], name)) return true;
    return false;
}

static void check_dkim(const struct check *k)
{
    const struct config_dkim *d = &k->c->dkim;
    const struct yaml_node *dkim = yaml_get(k->root, "dkim"), *node = yaml_first(dkim, "keys"), *headers = yaml_get(dkim, "headers");
    for (size_t i = 0; i < d->key_n && node; i++, node = node->next) check_key(k, i, node);
    check_names(k, d->headers, d->header_n, headers);
    check_names(k, d->oversign, d->oversign_n, yaml_get(dkim, "oversign"));
    if (d->header_n && !has(d->headers, d->header_n, "From"))
        yaml_error(k->report, headers, "add From", "From must be signed (RFC 6376)");
    if (d->expire && d->expire < k->c->queue.lifetime)
        yaml_warning(k->report, yaml_get(dkim, "expire"), "write at least queue.lifetime",
                     "mail may wait longer than that, and then arrive with a signature that is no longer good");
}

static void check_arc(const struct check *k)
{
    const struct config_arc *a = &k->c->arc;
    const struct yaml_node *arc = yaml_get(k->root, "arc");
    check_file(k, yaml_get(arc, "file"), a->key.file, CHECK_FILE_SECRET);
    check_selector(k, a->key.selector, yaml_get(arc, "selector"));
    if (a->seal && (!a->key.selector || !a->key.file))
        yaml_error(k->report, yaml_get(arc, "seal"), "`postern dkim new` makes a key and shows what to write",
                   "sealing needs selector and file");
    if (a->seal && !k->c->checks.arc.enabled)
        yaml_error(k->report, yaml_get(arc, "seal"), "set checks.arc.enabled: yes", "what is not validated cannot be sealed");
}

/* Nothing to rewrite to. */
static void check_sender(const struct check *k, bool rewrites, const struct yaml_node *entry)
{
    if (rewrites && !k->c->srs.domain)
        yaml_error(k->report, yaml_get(entry, "rewrite_sender"), "add srs.domain and srs.secrets_file",
                   "there is no domain for rewritten senders");
}

static void check_srs(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "domains");
    for (size_t i = 0; i < k->c->domain_n && node; i++, node = node->next) check_sender(k, k->c->domains[i].rewrite_sender, node);
    node = yaml_first(k->root, "routes");
    for (size_t i = 0; i < k->c->route_n && node; i++, node = node->next) check_sender(k, k->c->routes[i].rewrite_sender, node);
    const struct config_srs *s = &k->c->srs;
    const struct yaml_node *srs = yaml_get(k->root, "srs"), *domain = yaml_get(srs, "domain"), *file = yaml_get(srs, "secrets_file");
    check_file(k, file, s->secrets_file, CHECK_FILE_SECRET);
    if (s->domain && !s->secrets_file)
        yaml_error(k->report, domain, "add secrets_file: for example made by openssl rand -base64 24", "rewriting needs secrets");
    if (!s->domain && s->secrets_file) yaml_error(k->report, file, "add domain", "the secrets are for no domain");
}

void check_signing(const struct check *k)
{
    check_dkim(k);
    check_arc(k);
    check_srs(k);
}
