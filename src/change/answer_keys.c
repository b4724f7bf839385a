/* SPDX-License-Identifier: Apache-2.0
 * Keys to sign with, for the API: which there are, new ones, and the change from one to the next. A new key is in the
 * configuration with enabled: no until its record is published. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "change/answer_int.h"
#include "change/dkim_keys.h"
#include "config/edit.h"
#include "config/parse.h"
#include "net/resolver_parts.h"
#include "smtp/address.h"

/* ---- what there is */

static json_t *record_of(const char *domain, const char *selector, const struct dkim_key *key)
{
    struct buf host = { 0 }, value = { 0 }, bind = { 0 };
    buf_addf(&host, "%s._domainkey.%s", selector, domain);
    dkim_key_record(key, false, &value);
    dkim_format_bind(buf_slice(&host), buf_slice(&value), &bind);
    json_t *out = json_pack("{s:s, s:s, s:s, s:s}", "type", "TXT", "host", buf_cstr(&host), "value", buf_cstr(&value),
                            "bind", buf_cstr(&bind));
    buf_deinit(&host);
    buf_deinit(&value);
    buf_deinit(&bind);
    return out;
}

static json_t *key_json(const char *option, const char *domain, const char *selector, const char *file, bool active)
{
    struct err err;
    json_t *out = json_pack("{s:s, s:s, s:s, s:o, s:b}", "option", option, "domain", domain, "selector", selector,
                            "file", change_answer_text(slice_str(file)), "active", active);
    struct dkim_key *key = dkim_key_load(file, &err);
    if (key) {
        json_object_set_new(out, "type", json_string(dkim_key_type(key) == DKIM_ED25519 ? "ed25519" : "rsa"));
        json_object_set_new(out, "bits", json_integer(dkim_key_bits(key)));
        json_object_set_new(out, "record", record_of(domain, selector, key));
        dkim_key_free(&key);
    } else json_object_set_new(out, "error", change_answer_text(slice_str(err.text)));
    return out;
}

/* Of dkim.keys[i]. */
static json_t *key_at(const struct config *c, size_t i)
{
    char option[60];
    const struct config_dkim_key *k = &c->dkim.keys[i];
    snprintf(option, sizeof option, "dkim.keys[%zu]", i);
    return key_json(option, k->domain, k->selector, k->file, k->enabled);
}

static json_t *has_errors(const struct config_report *report)
{
    struct buf b = { 0 };
    size_t i;
    const json_t *one;
    json_t *all = answer_findings(report);
    buf_add_str(&b, "the configuration has errors");
    json_array_foreach(all, i, one) {
        if (!slice_eq(json_text(one, "severity"), SLICE("error"))) continue;
        buf_addf(&b, "; the first, in line %d: %s", (int)json_integer_value(json_object_get(one, "line")), answer_word(one, "text"));
        break;
    }
    json_t *out = answer_failure(STATUS_BAD, buf_cstr(&b));
    json_object_set_new(out, "findings", all);
    buf_deinit(&b);
    return out;
}

struct config *answer_config(const struct change_world *w, json_t **answer)
{
    struct config_report report;
    struct config *c = config_load(w->file, &report);
    if (!c) *answer = has_errors(&report);
    config_report_deinit(&report);
    return c;
}

json_t *answer_keys(const struct change_world *w, const json_t *request, bool *wrote)
{
    json_t *answer = NULL, *keys = json_array();
    struct config *c = answer_config(w, &answer);
    for (size_t i = 0; c && i < c->dkim.key_n; i++) json_array_append_new(keys, key_at(c, i));
    const struct config_dkim_key *arc = c ? &c->arc.key : NULL;
    if (arc && arc->selector && arc->file)
        json_array_append_new(keys, key_json("arc", arc->domain ? arc->domain : c->hostname, arc->selector, arc->file,
                                             c->arc.seal));
    if (c)
        answer = json_pack("{s:i, s:O, s:o}", "status", STATUS_OK, "dkim", keys,
                           "certificates", answer_certificates(c));
    json_decref(keys);
    config_free(c);
    return answer;
}

/* ---- a new one */

struct new_key {
    const struct change_world *world;
    char domain[256];
    const char *owner;
    struct dkim_wish wish;
    struct dkim_named_key key;   /* file "": not made */
};

static bool read_domain(const json_t *request, char out[256], json_t **answer)
{
    const char *domain = answer_word(request, "domain");
    bool ok = domain && address_domain_ascii(slice_str(domain), out) && resolver_name_ok(slice_str(out));
    if (!ok) *answer = answer_failure(STATUS_BAD, "domain: not a domain");
    return ok;
}

static bool read_wish(const json_t *request, struct new_key *n, json_t **answer)
{
    const char *type = answer_word(request, "type"), *selector = answer_word(request, "selector");
    json_int_t bits = json_integer_value(json_object_get(request, "bits"));
    n->wish = (struct dkim_wish){ .domain = n->domain,
                                  .selector = selector && *selector ? selector : NULL,
                                  .type = type && !strcmp(type, "ed25519") ? DKIM_ED25519 : DKIM_RSA,
                                  .bits = (unsigned)bits };
    const char *wrong = NULL;
    if (n->wish.selector && (!resolver_name_ok(slice_str(selector)) || strlen(selector) + strlen(n->domain) > 240))
        wrong = "selector: letters, digits, hyphens, underscores and dots";
    if (type && strcmp(type, "rsa") != 0 && n->wish.type != DKIM_ED25519) wrong = "type: rsa or ed25519";
    if (bits && (bits < 1024 || bits > 4096 || n->wish.type != DKIM_RSA)) wrong = "bits: of rsa, 1024 to 4096";
    if (wrong) *answer = answer_failure(STATUS_BAD, wrong);
    return !wrong;
}

static bool make_file(struct new_key *n, const struct config *c, struct err *err)
{
    struct buf directory = { 0 };
    struct dkim_named_keys *taken = mem_new(struct dkim_named_keys);
    const char *slash = strrchr(n->world->file, '/');
    buf_addf(&directory, "%.*skeys", slash ? (int)(slash + 1 - n->world->file) : 0, n->world->file);
    dkim_keys_of(c, n->domain, taken);
    struct dkim_place place = { buf_cstr(&directory), c->system.sign_user };
    bool ok = dkim_file_new(&n->wish, &place, taken, &n->key, err);
    free(taken);
    buf_deinit(&directory);
    return ok;
}

static bool make_key(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    struct new_key *n = arg;
    struct buf entry = { 0 };
    struct config_report report = { 0 };
    struct err err;
    struct config *c = config_parse(old_text, n->world->file, &report);
    bool ok = c ? make_file(n, c, &err) : err_set(&err, "the configuration has errors");
    if (ok) dkim_add_entry(n->domain, &n->key, false, &entry);
    ok = ok && edit_set(old_text, "dkim.keys[+]", buf_cstr(&entry), out, &err);
    if (!ok) *answer = answer_failure(err.code == EEXIST ? STATUS_CONFLICT : STATUS_BAD, err.text);
    buf_addf(what, "new key %s for %s", n->key.selector, n->domain);
    buf_deinit(&entry);
    config_free(c);
    config_report_deinit(&report);
    return ok;
}

json_t *answer_key_new(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct new_key *n = mem_new(struct new_key);
    json_t *answer = NULL;
    n->world = w;
    if (read_domain(request, n->domain, &answer) && read_wish(request, n, &answer)) {
        answer = answer_change(w, request, make_key, n, wrote);
        if (*wrote)
            json_object_set_new(answer, "key", json_pack("{s:s, s:s, s:o, s:b, s:o}", "domain", n->domain,
                                                         "selector", n->key.selector,
                                                         "file", change_answer_text(slice_str(n->key.file)),
                                                         "active", 0,
                                                         "record", record_of(n->domain, n->key.selector, n->key.key)));
        else if (n->key.key) (void)unlink(n->key.file); /* nobody knows of it */
    }
    dkim_key_free(&n->key.key);
    free(n);
    return answer;
}

/* ---- from one key to the next */

/* Keys of a domain as the change sees them: in use, to come, to go. Numbers in dkim.keys; SIZE_MAX: none. */
struct plan {
    size_t current, next;
    size_t old[DKIM_KEYS_MAX];
    size_t old_n;
};

static bool is_newer(const struct config *c, size_t a, size_t b)
{
    struct dkim_named_key x = { 0 }, y = { 0 };
    snprintf(x.selector, sizeof x.selector, "%s", c->dkim.keys[a].selector);
    snprintf(y.selector, sizeof y.selector, "%s", c->dkim.keys[b].selector);
    snprintf(x.file, sizeof x.file, "%s", c->dkim.keys[a].file);
    snprintf(y.file, sizeof y.file, "%s", c->dkim.keys[b].file);
    return dkim_file_newer(&x, &y);
}

static bool is_of(const struct config *c, size_t i, const char *domain)
{
    return slice_ieq(slice_str(c->dkim.keys[i].domain), slice_str(domain));
}

/* Of the entry of a selector. */
static size_t find(const struct config *c, const char *domain, const char *selector)
{
    for (size_t i = 0; selector && i < c->dkim.key_n; i++)
        if (is_of(c, i, domain) && slice_ieq(slice_str(c->dkim.keys[i].selector), slice_str(selector))) return i;
    return SIZE_MAX;
}

static void make_plan(const struct config *c, const char *domain, struct plan *p)
{
    *p = (struct plan){ .current = SIZE_MAX, .next = SIZE_MAX };
    for (size_t i = 0; i < c->dkim.key_n; i++)
        if (is_of(c, i, domain) && c->dkim.keys[i].enabled && (p->current == SIZE_MAX || is_newer(c, i, p->current)))
            p->current = i;
    for (size_t i = 0; i < c->dkim.key_n; i++) {
        if (!is_of(c, i, domain) || c->dkim.keys[i].enabled) continue;
        bool newer = p->current == SIZE_MAX || is_newer(c, i, p->current);
        if (newer && (p->next == SIZE_MAX || is_newer(c, i, p->next))) p->next = i;
        else if (!newer && p->old_n < DKIM_KEYS_MAX) p->old[p->old_n++] = i;
    }
}

/* Only that key, which is to sign beside those that do. */
static json_t *plan_one(const struct config *c, const char *domain, const char *selector, struct plan *p)
{
    size_t i = find(c, domain, selector);
    *p = (struct plan){ .current = SIZE_MAX, .next = i };
    if (i == SIZE_MAX) return answer_failure(STATUS_NONE, "the domain has no key with this selector");
    return c->dkim.keys[i].enabled ? answer_failure(STATUS_CONFLICT, "this key signs already") : NULL;
}

static json_t *planned(const struct config *c, size_t i) { return i == SIZE_MAX ? json_null() : key_at(c, i); }

json_t *answer_key_plan(const struct change_world *w, const json_t *request, bool *wrote)
{
    char domain[256];
    json_t *answer = NULL;
    if (!read_domain(request, domain, &answer)) return answer;
    struct config *c = answer_config(w, &answer);
    if (!c) return answer;
    struct plan p;
    const char *selector = answer_word(request, "selector");
    if (!selector) make_plan(c, domain, &p);
    else if ((answer = plan_one(c, domain, selector, &p))) {
        config_free(c);
        return answer;
    }
    json_t *old = json_array();
    for (size_t i = 0; i < p.old_n; i++) json_array_append_new(old, key_at(c, p.old[i]));
    answer = json_pack("{s:i, s:o, s:o, s:o}", "status", STATUS_OK, "current", planned(c, p.current),
                       "next", planned(c, p.next), "old", old);
    config_free(c);
    return answer;
}

typedef bool turn_fn(const struct config *c, const char *domain, const json_t *request, json_t *changes,
                     struct buf *what);

static bool make_turn(const struct answer_arg *t, turn_fn *f, struct slice old_text, struct buf *out, struct buf *what,
                      json_t **answer)
{
    char domain[256];
    struct config_report report = { 0 };
    struct err err;
    struct buf ignored = { 0 };
    json_t *changes = json_array();
    struct config *c = config_parse(old_text, t->world->file, &report);
    bool ok = read_domain(t->request, domain, answer);
    if (ok && !(c && f(c, domain, t->request, changes, what))) {
        ok = false;
        *answer = answer_failure(STATUS_CONFLICT, "the configuration has no such key any more");
    } else if (ok && !(ok = change_make_text(old_text, changes, out, &ignored, &err)))
        *answer = answer_failure(STATUS_BAD, err.text);
    json_decref(changes);
    buf_deinit(&ignored);
    config_free(c);
    config_report_deinit(&report);
    return ok;
}

static void add_change(json_t *changes, size_t i, const char *member, const char *what, json_t *value)
{
    char path[80];
    snprintf(path, sizeof path, "dkim.keys[%zu]%s", i, member);
    json_array_append_new(changes, json_pack("{s:s, s:o}", "path", path, what, value));
}

/* The next key signs; those of the same type that did do no more. */
static bool switch_keys(const struct config *c, const char *domain, const json_t *request, json_t *changes,
                        struct buf *what)
{
    size_t next = find(c, domain, answer_word(request, "selector"));
    size_t former = find(c, domain, answer_word(request, "former"));
    if (next == SIZE_MAX) return false;
    add_change(changes, next, ".enabled", "unset", json_true());
    if (former != SIZE_MAX) add_change(changes, former, ".enabled", "value", json_false());
    buf_addf(what, "sign for %s with %s", domain, answer_word(request, "selector"));
    return true;
}

static bool make_switch(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    return make_turn(arg, switch_keys, old_text, out, what, answer);
}

json_t *answer_key_switch(const struct change_world *w, const json_t *request, bool *wrote)
{
    return answer_change(w, request, make_switch, &(struct answer_arg){ w, request }, wrote);
}

/* Entries of keys that are published no more; the files stay. */
static bool retire_keys(const struct config *c, const char *domain, const json_t *request, json_t *changes,
                        struct buf *what)
{
    const json_t *selectors = json_object_get(request, "selectors");
    for (size_t i = c->dkim.key_n; i-- > 0;) {
        bool wanted = false;
        for (size_t k = 0; is_of(c, i, domain) && k < json_array_size(selectors); k++) {
            const char *selector = json_string_value(json_array_get(selectors, k));
            wanted |= selector && slice_ieq(slice_str(c->dkim.keys[i].selector), slice_str(selector));
        }
        if (wanted && !c->dkim.keys[i].enabled) add_change(changes, i, "", "unset", json_true());
    }
    buf_addf(what, "remove former keys of %s", domain);
    return json_array_size(changes) > 0;
}

static bool make_retired(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    return make_turn(arg, retire_keys, old_text, out, what, answer);
}

json_t *answer_key_retire(const struct change_world *w, const json_t *request, bool *wrote)
{
    return answer_change(w, request, make_retired, &(struct answer_arg){ w, request }, wrote);
}
