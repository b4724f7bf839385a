/* SPDX-License-Identifier: Apache-2.0
 * Answers to requests of the API about the users file: who logs in to send mail. Passwords are none here: what is made
 * of them comes ready, and is in no answer. */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "auth/users_file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "change/answer_int.h"
#include "config/config.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

static const char *const backends[] = {
    [CONFIG_AUTH_OFF] = "off",   [CONFIG_AUTH_USERS] = "users",     [CONFIG_AUTH_IMAP] = "imap",
    [CONFIG_AUTH_LDAP] = "ldap", [CONFIG_AUTH_DOVECOT] = "dovecot",
};

static json_t *failed(const struct err *err)
{
    int status = err->code == EEXIST   ? STATUS_CONFLICT
                 : err->code == ESRCH  ? STATUS_NONE
                 : err->code == EINVAL ? STATUS_BAD
                                       : STATUS_FAILED;
    if (status != STATUS_FAILED) return answer_failure(status, err->text);
    struct buf text = { 0 };
    buf_addf(&text, "the file of auth.users: %s", err->text);
    json_t *out = answer_failure(status, buf_cstr(&text));
    buf_deinit(&text);
    return out;
}

/* ---- {"op": "list"} */

struct listing {
    struct slice search, after;
    json_t *found; /* in the order of the file */
};

json_t *change_users_addresses_of(const struct users_entry *u)
{
    struct slice one, rest = u->addresses;
    json_t *all = json_array();
    while (rest.n) {
        slice_cut(&rest, ',', &one);
        if (slice_trim(one).n) json_array_append_new(all, change_answer_text(slice_trim(one)));
    }
    return all;
}

static void add_one(void *arg, const struct users_entry *u)
{
    struct listing *l = arg;
    if (l->search.n && !slice_ihas(u->name, l->search) && !slice_ihas(u->addresses, l->search)) return;
    json_array_append_new(l->found, json_pack("{s:o, s:o, s:b, s:b}", "login", change_answer_text(u->name),
                                              "addresses", change_users_addresses_of(u), "locked", u->locked, "cram_md5", u->cram_md5));
}

static const char *login_of(const json_t *one) { return json_string_value(json_object_get(one, "login")); }

static int compare(const void *a, const void *b)
{
    const char *x = login_of(*(json_t *const *)a), *y = login_of(*(json_t *const *)b);
    int order = strcasecmp(x, y);
    return order ? order : strcmp(x, y);
}

/* A page of what was found: "users", and "after" when there are more. */
static void add_page(const struct listing *l, size_t limit, json_t *out)
{
    size_t n = json_array_size(l->found), from = 0;
    json_t **sorted = mem_alloc((n + 1) * sizeof *sorted),
           *after = json_pack("{s:o}", "login", change_answer_text(l->after)), *page = json_array();
    for (size_t i = 0; i < n; i++) sorted[i] = json_array_get(l->found, i);
    if (n) qsort(sorted, n, sizeof *sorted, compare);
    while (l->after.n && from < n && compare(&sorted[from], &after) <= 0) from++;
    for (size_t i = from; i < n && i - from < limit; i++) json_array_append(page, sorted[i]);
    if (n - from > limit) json_object_set(out, "after", json_object_get(sorted[from + limit - 1], "login"));
    json_object_set_new(out, "users", page);
    json_decref(after);
    free(sorted);
}

static json_t *list(const struct config *c, const json_t *request)
{
    struct listing l = { json_text(request, "search"), json_text(request, "after"), json_array() };
    json_int_t limit = json_integer_value(json_object_get(request, "limit"));
    struct err err;
    json_t *out;
    if (users_file_each(c->auth.users, add_one, &l, &err)) {
        out = json_pack("{s:i, s:i, s:s, s:o}", "status", STATUS_OK, "total", (int)json_array_size(l.found), "backend",
                        backends[c->auth.backend], "file", change_answer_text(slice_str(c->auth.users)));
        add_page(&l, limit <= 0 ? LIMIT_DEFAULT : limit > LIMIT_MAX ? LIMIT_MAX : (size_t)limit, out);
    } else out = failed(&err);
    json_decref(l.found);
    return out;
}

/* ---- changes */

static json_t *refuse_backend(const struct config *c)
{
    bool off = c->auth.backend == CONFIG_AUTH_OFF;
    struct buf text = { 0 };
    if (off)
        buf_add_str(&text,
                    "auth.backend is off: nobody can log in to send. Set it to users to keep logins in a file here");
    else
        buf_addf(&text, "auth.backend is %s: logins are kept there. Set it to users to keep them in a file here",
                 backends[c->auth.backend]);
    json_t *out = answer_failure(STATUS_CONFLICT, buf_cstr(&text));
    buf_deinit(&text);
    return out;
}

bool change_users_addresses(const json_t *list, struct buf *out, struct err *err)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one) {
        struct slice a = slice_of(json_string_value(one), json_string_length(one));
        if (!users_address_ok(a, err)) return false;
        if (i) buf_add_char(out, ',');
        buf_add(out, a);
    }
    return true;
}

/* Files of others lie in it, too, and empty ones mean something there. */
static bool is_shared(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    return !strcmp(folder, "/") || (slash && !strcmp(slash, "/etc"));
}

/* auth.users can be set on the web, and root writes here: a file of the system (root's authorized_keys, a job of cron, the
 * configuration) must not become the users file. */
static json_t *change(const struct change_users_world *w, const json_t *request, struct users_change c, const char *done)
{
    const char *author = json_string_value(json_object_get(request, "author"));
    const json_t *list = json_object_get(request, "addresses");
    struct buf addresses = { 0 };
    struct err err = { 0 };
    char *file = mem_strdup(w->file);
    const char *folder = dirname(file), *const own[] = { w->directory, is_shared(folder) ? NULL : folder, NULL };
    c.name = json_text(request, "login");
    c.secret = json_text(request, "secret");
    c.cram_md5 = json_is_true(json_object_get(request, "cram_md5"));
    c.group = w->group;
    c.new_in = own;
    bool ok = change_users_addresses(list, &addresses, &err);
    if (list) c.addresses = addresses.n ? buf_slice(&addresses) : SLICE("");
    ok = ok && users_file_change(w->config->auth.users, &c, &err);
    if (ok)
        log_event(LOG_INFO, "users-changed", LOG_STR("by", author ? author : "web"), LOG_TEXT("user", c.name),
                  LOG_STR("change", done));
    buf_deinit(&addresses);
    free(file);
    return ok ? json_pack("{s:i}", "status", STATUS_OK) : failed(&err);
}

json_t *change_answer_users(const struct change_users_world *w, const json_t *request)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    struct users_change c = { .must_exist = true };
    if (!op) return answer_failure(STATUS_BAD, "no request");
    if (!strcmp(op, "list")) return list(w->config, request);
    if (w->config->auth.backend != CONFIG_AUTH_USERS) return refuse_backend(w->config);
    if (!strcmp(op, "change"))
        return change(w, request, c, json_object_get(request, "secret") ? "password" : "addresses");
    if (!strcmp(op, "delete")) {
        c.remove = true;
        return change(w, request, c, "deleted");
    }
    c = (struct users_change){ .must_not_exist = true };
    if (!strcmp(op, "add") && json_object_get(request, "secret")) return change(w, request, c, "added");
    return answer_failure(STATUS_BAD, "no such request");
}
