/* SPDX-License-Identifier: Apache-2.0
 * postern dkim: keys to sign with. Makes them, shows what is to be published, compares that with what is, and changes them in turn. */
#include "cli/dkim.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/config.h"
#include "net/resolver_parts.h"
#include "smtp/address.h"

static const char help[] =
    "usage: postern dkim new    DOMAIN [--selector NAME] [--type rsa|ed25519] [--bits N] [--testing]\n"
    "                           [--directory DIR] [-c FILE] [--json]\n"
    "       postern dkim new    --all [--write] [--selector NAME] [--type rsa|ed25519] [--bits N]\n"
    "                           [--directory DIR] [-c FILE] [--json]\n"
    "       postern dkim show   DOMAIN [--key FILE --selector NAME] [-c FILE] [--json]\n"
    "       postern dkim check  DOMAIN [--key FILE --selector NAME] [-c FILE] [--dns HOST:PORT] [--json]\n"
    "       postern dkim rotate DOMAIN [--key FILE --selector NAME] [--type rsa|ed25519] [--directory DIR]\n"
    "                           [-c FILE] [--dns HOST:PORT] [--json]\n"
    "\n"
    "Keys that mail of DOMAIN is signed with. new makes one and shows its DNS record; show shows the records of\n"
    "those in the configuration; check tells whether they are published and fit the keys; rotate leads from one\n"
    "key to the next: run it, do what it says, run it again.\n"
    "\n"
    "  --all               make a key for each relay domain of the configuration that has none\n"
    "  --write             put their lines, with enabled: no, into the configuration (`postern config history`)\n"
    "  --selector NAME     the key's name; new: selector-YYYY-MM-DD-N unless given\n"
    "  --type, --bits      rsa with 2048 bits unless given; 1024 to 4096\n"
    "  --testing           the record says t=y: receivers are asked not to mind what fails\n"
    "  --directory DIR     where key files are; the folder keys beside the configuration unless given\n"
    "  --key FILE          this key file instead of those of the configuration\n"
    "  -c, --config FILE   the configuration (" CLI_DEFAULT_CONFIG ")\n"
    "  --dns HOST:PORT     ask this name server instead of the system's\n"
    "  --json              print every detail\n";

struct run {
    struct dkim_options_cli o;
    struct config *config;       /* NULL: not needed, or it has errors */
    struct buf directory;
    struct dkim_place place;
    struct dkim_named_keys keys; /* of the configuration, or --key */
};

/* The key that seals is published like the others. */
static void add_sealing_key(const struct config *c, const char *domain, struct dkim_named_keys *out)
{
    const struct config_dkim_key *k = &c->arc.key;
    if (!k->selector || !k->file || out->n == DKIM_KEYS_MAX) return;
    if (!slice_ieq(slice_str(k->domain ? k->domain : c->hostname), slice_str(domain))) return;
    struct dkim_named_key *to = &out->items[out->n++];
    *to = (struct dkim_named_key){ .waits = !c->arc.seal };
    snprintf(to->selector, sizeof to->selector, "%s", k->selector);
    snprintf(to->file, sizeof to->file, "%s", k->file);
}

/* ---- options */

static bool complain(const char *before, const char *what, const char *behind) { return cli_complain("dkim", before, what, behind); }

static bool is(const struct dkim_options_cli *o, const char *op) { return !strcmp(o->op, op); }

static bool read_type(struct dkim_options_cli *o)
{
    uint64_t bits;
    if (o->type && strcmp(o->type, "rsa") != 0 && strcmp(o->type, "ed25519") != 0)
        return complain("--type is rsa or ed25519, not \"", o->type, "\"");
    o->key_type = o->type && !strcmp(o->type, "ed25519") ? DKIM_ED25519 : DKIM_RSA;
    if (!o->bits_text) return true;
    if (o->key_type == DKIM_ED25519) return complain("", "ed25519 keys have one size: leave --bits out", "");
    if (!slice_to_u64(slice_str(o->bits_text), 4096, &bits) || bits < 1024) /* RFC 8301 §3.2 */
        return complain("--bits is a number from 1024 to 4096, not \"", o->bits_text, "\"");
    o->bits = (unsigned)bits;
    return true;
}

static bool fits(struct dkim_options_cli *o, const char *domain)
{
    static const char *const ops[] = { "new", "show", "check", "rotate" };
    bool known = false;
    if (!o->op) return complain("", "what is to be done: new, show, check or rotate?", "");
    for (size_t i = 0; i < countof(ops); i++) known = known || is(o, ops[i]);
    if (!known) return complain("there is no \"", o->op, "\": new, show, check or rotate");
    if (o->all && !is(o, "new")) return complain("", o->op, " takes no --all");
    if (o->write && !o->all) return complain("", "--write", " is for new --all");
    if (o->all && domain) return complain("--all is for all domains, not for \"", domain, "\"");
    if (!domain && !o->all) return complain("", o->op, " needs a DOMAIN");
    if (domain && (!address_domain_ascii(slice_str(domain), o->domain) || !resolver_name_ok(slice_str(o->domain))))
        return complain("\"", domain, "\" is no domain");
    if (o->selector && (!resolver_name_ok(slice_str(o->selector)) || strlen(o->selector) + strlen(o->domain) > 240))
        return complain("--selector: \"", o->selector, "\" is no name: letters, digits, hyphens, underscores and dots");
    if (is(o, "new") && o->key) return complain("", "new takes no --key", "");
    if (!is(o, "new") && !o->key != !o->selector) return complain("", "--key and --selector go together", "");
    if (!is(o, "new") && o->bits_text) return complain("", o->op, " takes no --bits");
    return read_type(o);
}

/* -1: go on. */
static int read_options(int argc, char **argv, struct dkim_options_cli *o)
{
    const char *domain = NULL;
    bool ok = true;
    for (int i = 1; i < argc && ok; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) o->json = true;
        else if (cli_flag(argv, i, "--testing")) o->testing = true;
        else if (cli_flag(argv, i, "--all")) o->all = true;
        else if (cli_flag(argv, i, "--write")) o->write = true;
        else if (cli_config_option(argc, argv, &i, &o->config_file) || cli_option(argc, argv, &i, "--selector", &o->selector) ||
                 cli_option(argc, argv, &i, "--type", &o->type) || cli_option(argc, argv, &i, "--bits", &o->bits_text) ||
                 cli_option(argc, argv, &i, "--directory", &o->directory) || cli_option(argc, argv, &i, "--key", &o->key) ||
                 cli_option(argc, argv, &i, "--dns", &o->dns))
            continue;
        else if (argv[i][0] == '-') ok = complain("what is \"", argv[i], "\"?");
        else if (!o->op) o->op = argv[i];
        else if (!domain) domain = argv[i];
        else ok = complain("one word too many: \"", argv[i], "\"");
    }
    if (ok && fits(o, domain)) return -1;
    fputs(help, stderr);
    return EX_USAGE;
}

/* ---- what there is */

/* 0 or an exit code. What is told by options needs no configuration. */
static int load_config(struct run *r)
{
    struct dkim_options_cli *o = &r->o;
    const char *file = o->config_file ? o->config_file : CLI_DEFAULT_CONFIG;
    bool places = is(o, "new") || is(o, "rotate"), needed = o->all || (places && !o->directory) || (!is(o, "new") && !o->key);
    struct config_report report;
    r->config = config_load(file, &report);
    config_report_deinit(&report);
    if (!r->config && (needed || o->config_file)) {
        fprintf(stderr, "postern: the configuration %s cannot be read or has errors: see `postern check`%s\n", file,
                needed && is(o, "new") && !o->all ? ", or say where keys are with --directory" : "");
        return EX_CONFIG;
    }
    const char *slash = strrchr(file, '/');
    if (o->directory) buf_add_str(&r->directory, o->directory);
    else buf_addf(&r->directory, "%.*skeys", slash ? (int)(slash + 1 - file) : 0, file);
    r->place = (struct dkim_place){ .directory = buf_cstr(&r->directory),
                                    .owner = r->config ? r->config->system.sign_user : "postern-sign" };
    return 0;
}

static bool load_keys(struct run *r, struct err *err)
{
    if (r->o.key) {
        r->keys.n = 1;
        snprintf(r->keys.items[0].selector, sizeof r->keys.items[0].selector, "%s", r->o.selector);
        snprintf(r->keys.items[0].file, sizeof r->keys.items[0].file, "%s", r->o.key);
    } else if (r->config) {
        dkim_keys_of(r->config, r->o.domain, &r->keys);
        if (!is(&r->o, "rotate")) add_sealing_key(r->config, r->o.domain, &r->keys);
    }
    for (size_t i = 0; i < r->keys.n && !is(&r->o, "new"); i++) {
        r->keys.items[i].key = dkim_key_load(r->keys.items[i].file, err);
        if (!r->keys.items[i].key) return false;
    }
    return true;
}

/* ---- doing it */

static int make(struct run *r)
{
    struct dkim_named_key key;
    struct err err;
    struct dkim_wish wish = dkim_wish_of(&r->o);
    if (!dkim_file_new(&wish, &r->place, &r->keys, &key, &err)) {
        fprintf(stderr, "postern dkim: %s\n", err.text);
        return EX_CANTCREAT;
    }
    if (r->o.json) {
        json_t *j = dkim_key_json(&r->o, &key);
        cli_print_json(j);
        json_decref(j);
    } else
        dkim_print_key(&r->o, &key, true);
    dkim_key_free(&key.key);
    return 0;
}

static int none(const struct run *r)
{
    fprintf(stderr, "postern dkim: the configuration has no key for %s: `postern dkim new %s` makes one\n", r->o.domain, r->o.domain);
    return EX_DATAERR;
}

static int show(struct run *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->keys.n; i++) {
        if (r->o.json) json_array_append_new(all, dkim_key_json(&r->o, &r->keys.items[i]));
        else {
            if (i) putchar('\n');
            dkim_print_key(&r->o, &r->keys.items[i], false);
        }
    }
    if (r->o.json) cli_print_json(all);
    json_decref(all);
    return 0;
}

struct auth_world *dkim_world_new(const struct dkim_options_cli *o, int *code)
{
    struct err err;
    struct auth_world *w = auth_world_new(o->dns, &err);
    if (w) return w;
    fprintf(stderr, "postern dkim: %s%s\n", err.code ? "" : "--dns: ", err.text);
    *code = err.code ? EX_UNAVAILABLE : EX_USAGE;
    return NULL;
}

static int check(struct run *r)
{
    int code = 0;
    struct auth_world *w = dkim_world_new(&r->o, &code);
    if (!w) return code;
    json_t *all = json_array();
    for (size_t i = 0; i < r->keys.n; i++) {
        struct dkim_finding f;
        dkim_published_check(w, r->o.domain, &r->keys.items[i], &f);
        if (r->o.json) json_array_append_new(all, dkim_finding_json(&r->o, &r->keys.items[i], &f));
        else dkim_print_finding(&r->o, &r->keys.items[i], &f);
        if (f.state == DKIM_UNANSWERED && !code) code = EX_TEMPFAIL;
        else if (f.state != DKIM_UNANSWERED && f.state != DKIM_PUBLISHED) code = EX_DATAERR;
        dkim_finding_deinit(&f);
    }
    if (r->o.json) cli_print_json(all);
    json_decref(all);
    auth_world_free(&w);
    return code;
}

static int run(struct run *r)
{
    struct err err;
    int code = load_config(r);
    if (code) return code;
    if (!load_keys(r, &err)) {
        fprintf(stderr, "postern dkim: %s\n", err.text);
        return EX_NOINPUT;
    }
    if (r->o.all) return dkim_all(&r->o, &r->place, r->config);
    if (is(&r->o, "new")) return make(r);
    if (is(&r->o, "rotate")) return dkim_rotate(&r->o, &r->place, &r->keys);
    if (!r->keys.n) return none(r);
    return is(&r->o, "show") ? show(r) : check(r);
}

int cli_dkim(int argc, char **argv)
{
    struct run *r = mem_new(struct run);
    int code = read_options(argc, argv, &r->o);
    if (code < 0) {
        code = run(r);
        if (!code && fflush(stdout) != 0) code = EX_IOERR;
    }
    dkim_named_keys_deinit(&r->keys);
    buf_deinit(&r->directory);
    config_free(r->config);
    free(r);
    return code;
}
