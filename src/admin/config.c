/* SPDX-License-Identifier: Apache-2.0
 * Routes about the configuration: seen, checked, changed, its history. */
#include "admin/config.h"
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "config/dump.h"

#define CONFIG_MS 180000       /* others may be in front, and a reload may come behind */
#define STORE_MS 15000
#define ANSWER_MAX (64u << 20)

/* ---- asking */

struct call {
    struct http_request *r;
    config_done *done;
};

/* Who asks, as the history has it. */
static void author_of(const struct http_request *r, char *out, size_t size)
{
    const char *via = r->who.via == VIA_TOKEN ? "token" : r->who.via == VIA_SESSION ? "web" : "socket";
    snprintf(out, size, "%s:%s", via, r->who.name);
}

json_t *config_change(const struct http_request *r, const char *op)
{
    char author[ACCOUNT_NAME_MAX + 16];
    author_of(r, author, sizeof author);
    return json_pack("{s:s, s:s}", "op", op, "author", author);
}

void config_take(json_t *request, const json_t *from, const char *const *names)
{
    for (; *names; names++) {
        json_t *v = json_object_get(from, *names);
        if (v) json_object_set(request, *names, v);
    }
}

static json_t *failed(int status, const char *text) { return json_pack("{s:i, s:s}", "status", status, "error", text); }

static json_t *read_answer(int fd)
{
    struct stat st;
    struct buf text = { 0 };
    json_t *answer = NULL;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= ANSWER_MAX) {
        char *to = buf_reserve(&text, (size_t)st.st_size);
        ssize_t n = pread(fd, to, (size_t)st.st_size, 0);
        if (n == st.st_size) answer = json_loadb(to, (size_t)n, 0, NULL);
    }
    buf_deinit(&text);
    return answer;
}

/* What the master says is empty, a reload's result, or why nothing could be done; the rest is in the file. */
static void on_config(void *arg, json_t *answers, unsigned missing)
{
    struct call *k = arg;
    struct http_request *r = k->r;
    config_done *done = k->done;
    int fd = ask_take_fd(r->admin);
    json_t *told = json_array_get(answers, 0), *answer = fd >= 0 ? read_answer(fd) : NULL;
    const char *why = json_string_value(json_object_get(told, "failed"));
    if (fd >= 0) close(fd);
    free(k);
    if (!answer) answer = failed(MHD_HTTP_SERVICE_UNAVAILABLE, why ? why : "the master has not answered; the log tells more");
    else if (json_object_get(told, "ok")) {
        json_object_del(told, "file");
        json_object_set(answer, "reload", told);
    }
    json_decref(answers);
    done(r, answer);
}

/* about: "config", or "users" (the file of logins, which it cannot be asked of otherwise). */
static void ask(struct http_request *r, const char *about, json_t *request, config_done *done)
{
    struct call *k = mem_new(struct call);
    *k = (struct call){ .r = r, .done = done };
    char *text = json_dumps(request, JSON_COMPACT);
    int fd = memfd_create("request", MFD_CLOEXEC);
    if (fd >= 0 && text && !io_write_all(fd, slice_str(text))) {
        close(fd);
        fd = -1;
    }
    ask_master_with(r->admin, about, fd, CONFIG_MS, on_config, k);
    if (fd >= 0) close(fd);
    if (text) mem_wipe(text, strlen(text));
    free(text);
    json_decref(request);
}

void config_ask(struct http_request *r, json_t *request, config_done *done) { ask(r, "config", request, done); }
void config_ask_users(struct http_request *r, json_t *request, config_done *done) { ask(r, "users", request, done); }

void config_answer(struct http_request *r, json_t *answer)
{
    char revision[300];
    int status = (int)json_integer_value(json_object_get(answer, "status"));
    json_int_t number = json_integer_value(json_object_get(answer, "revision"));
    snprintf(revision, sizeof revision, "revision %lld%s%.200s", (long long)number, r->detail ? ": " : "", r->detail ? r->detail : "");
    json_object_del(answer, "status");
    if (number) http_audit(r, NULL, revision);
    http_answer(r, status ? status : MHD_HTTP_OK, answer);
}

/* ---- what is seen */

static void serve_schema(struct http_request *r) { http_answer_packed(r, schema_to_json_full()); }

static void serve_show(struct http_request *r) { config_ask(r, json_pack("{s:s}", "op", "show"), config_answer); }

static void serve_history(struct http_request *r) { config_ask(r, json_pack("{s:s}", "op", "history"), config_answer); }

static void serve_diff(struct http_request *r) { config_ask(r, http_arguments(r, "diff"), config_answer); }

static void serve_revision(struct http_request *r) { config_ask(r, http_arguments(r, "revision"), config_answer); }

/* ---- changes */

/* Whoever sits in front of a browser is asked again before he shuts himself out. */
static void add_client(const struct http_request *r, json_t *request)
{
    if (r->who.via == VIA_SESSION) json_object_set_new(request, "client", json_string(r->who.address));
}

static void serve_check(struct http_request *r)
{
    static const char *const names[] = { "changes", "text", NULL };
    json_t *request = json_pack("{s:s}", "op", "check");
    add_client(r, request);
    config_take(request, r->json, names);
    config_ask(r, request, config_answer);
}

static void serve_apply(struct http_request *r)
{
    static const char *const names[] = { "version", "changes", "text", "comment", "anyway", NULL };
    json_t *request = config_change(r, "apply");
    add_client(r, request);
    config_take(request, r->json, names);
    http_audit(r, "configuration", json_string_value(json_object_get(r->json, "comment")));
    config_ask(r, request, config_answer);
}

static void serve_rollback(struct http_request *r)
{
    static const char *const names[] = { "version", "revision", "anyway", NULL };
    json_t *request = config_change(r, "rollback");
    add_client(r, request);
    config_take(request, r->json, names);
    http_audit(r, "configuration", NULL);
    config_ask(r, request, config_answer);
}

/* ---- POST /v1/senders */

/* "user@example.org", "example.org", ".example.org": nothing that would mean more than what it looks like. */
static bool is_plain_sender(struct slice s)
{
    ptrdiff_t at = slice_find(s, '@');
    struct slice domain = at >= 0 ? slice_sub(s, (size_t)at + 1, s.n) : s;
    bool dot = false;
    if (!s.n || s.n > 254 || at == 0 || !domain.n || (at > 0 && (s.p[0] == '.' || domain.p[0] == '.'))) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'), local = at >= 0 && i < (size_t)at;
        if (!alnum && (ptrdiff_t)i != at && !(c && strchr(local ? ".+-_=" : ".-", c))) return false;
        dot |= !local && c == '.' && i > 0 && i + 1 < s.n;
    }
    return dot && domain.p[domain.n - 1] != '.';
}

/* Would an entry that asks for proof have let the message at hand through? */
static void tell_effect(const struct http_request *r, json_t *answer)
{
    if (!r->parts || !json_is_true(json_object_get(answer, "ok"))) return;
    bool proof = json_is_true(json_object_get(answer, "proven"));
    json_object_set_new(answer, "effective", json_boolean(!proof || json_is_true(r->parts)));
}

/* What the check found in the rest of the configuration is for those who may see it. */
static void on_sender(struct http_request *r, json_t *answer)
{
    tell_effect(r, answer);
    bool may_see = r->who.rights & RIGHT_CONFIG;
    if (!may_see) (void)json_object_del(answer, "findings");
    if (!may_see) (void)json_object_del(json_object_get(answer, "reload"), "findings");
    config_answer(r, answer);
}

static void add_sender(struct http_request *r)
{
    static const char *const names[] = { "address", "list", "comment", "unproven", NULL };
    json_t *request = config_change(r, "sender");
    config_take(request, r->json, names);
    config_ask(r, request, on_sender);
}

static void on_message(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    int fd = ask_take_fd(r->admin);
    json_t *answer = http_only_answer(r, answers, "the store");
    if (answer) {
        r->parts = json_boolean(quarantine_sender_proven(fd));
        add_sender(r);
    }
    if (fd >= 0) close(fd);
    json_decref(answer);
}

static void serve_sender(struct http_request *r)
{
    const char *address = json_string_value(json_object_get(r->json, "address")), *list = json_string_value(json_object_get(r->json, "list"));
    const json_t *comment = json_object_get(r->json, "comment"), *message = json_object_get(r->json, "message");
    char target[300];
    if (!is_plain_sender(slice_str(address))) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "address: expected an address (user@example.org) or a domain (example.org; .example.org: with all below it)");
        return;
    }
    if (json_string_length(comment) > 200) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "comment: at most 200 characters");
        return;
    }
    if (message && !(r->who.rights & RIGHT_MAIL)) {
        http_error(r, MHD_HTTP_FORBIDDEN, "message: this needs the right \"mail\"");
        return;
    }
    bool unproven = !strcmp(list, "allow") && json_is_true(json_object_get(r->json, "unproven"));
    snprintf(target, sizeof target, "%s %s%s", list, address, unproven ? " without proof" : "");
    http_audit(r, target, NULL);
    if (message && !strcmp(list, "allow"))
        ask_store(r->admin, json_pack("{s:s, s:O}", "op", "quarantine-open", "id", message), STORE_MS, on_message, r);
    else add_sender(r);
}

/* ---- the table */

static const struct route_field no_fields[] = { { 0 } };
static const struct route_field diff_arguments[] = {
    { "from", ROUTE_NUMBER, true, "a revision", NULL },
    { "to", ROUTE_NUMBER, false, "another one; the present file when it is not there", NULL },
    { 0 },
};
static const struct route_field revision_arguments[] = { { "revision", ROUTE_NUMBER, true, "its number", NULL }, { 0 } };
#define CHANGES                                                                                                                            \
    { "changes", ROUTE_ARRAY, false,                                                                                                       \
      "objects of path, and one of: value (any JSON), unset (true), insert (a new entry, in front of the one at the path), move (its new "  \
      "index)", NULL },                                                                                                                    \
    { "text", ROUTE_ANY, false, "in place of changes: the whole file; secrets that are \"***\" stay as they are", NULL }
static const struct route_field check_body[] = { CHANGES, { 0 } };
#define ANYWAY { "anyway", ROUTE_BOOL, false, "though it shuts out who asks, or switches the web administration off", NULL }
static const struct route_field apply_body[] = {
    { "version", ROUTE_TEXT, true, "of the configuration that was seen", NULL }, CHANGES, { "comment", ROUTE_TEXT, false, "for the history", NULL }, ANYWAY,
    { 0 },
};
static const struct route_field rollback_body[] = {
    { "revision", ROUTE_NUMBER, true, "whose text is to be the present one", NULL },
    { "version", ROUTE_TEXT, true, "of the configuration that was seen", NULL }, ANYWAY, { 0 },
};
static const struct route_field sender_body[] = {
    { "address", ROUTE_TEXT, true, "an address, a domain, or with a dot in front a domain and all below it", NULL },
    { "list", ROUTE_TEXT, true, "whether its mail passes", "allow block" },
    { "comment", ROUTE_TEXT, false, "why", NULL },
    { "unproven", ROUTE_BOOL, false,
      "of allow, true: the entry counts without proof by SPF, too, though anybody can claim to be this sender; one that is there asks for none any more",
      NULL },
    { "message", ROUTE_TEXT, false, "of allow: the id of a message of the sender in the quarantine; effective is about this one", NULL },
    { 0 },
};
#define APPLIED "ok: boolean, revision: integer, version: string, findings: array, reload: object"

const struct route routes_config[] = {
    { "GET", "/v1/schema", "the options, as a JSON Schema with x-type, x-unit, x-place, x-default-text", serve_schema, RIGHT_CONFIG, no_fields,
      NULL,
      "properties: object" },
    { "GET", "/v1/config", "the configuration: effective values, what is written, its text", serve_show, RIGHT_CONFIG, no_fields, NULL,
      "version: string, values: object, written: object, text: string, file: string, pending: boolean, findings: array" },
    { "POST", "/v1/config/check", "what a change would do", serve_check, RIGHT_CONFIGURE, no_fields, check_body,
      "ok: boolean, findings: array, diff: string, text: string", .reads = true },
    { "POST", "/v1/config/apply", "change the configuration and bring it in force", serve_apply, RIGHT_CONFIGURE, no_fields, apply_body, APPLIED },
    { "GET", "/v1/config/history", "its revisions, the newest first", serve_history, RIGHT_CONFIG, no_fields, NULL, "revisions: array" },
    { "GET", "/v1/config/diff", "what changed between two", serve_diff, RIGHT_CONFIG, diff_arguments, NULL, "diff: string" },
    { "GET", "/v1/config/revision", "the text of one", serve_revision, RIGHT_CONFIG, revision_arguments, NULL, "text: string" },
    { "POST", "/v1/config/rollback", "make an earlier text the present one", serve_rollback, RIGHT_CONFIGURE, no_fields, rollback_body, APPLIED },
    { "POST", "/v1/senders", "allow or block a sender", serve_sender, RIGHT_SENDERS, no_fields, sender_body,
      "ok: boolean, proven: boolean, effective?: boolean, revision: integer, version: string, findings?: array, reload: object" },
    { 0 },
};
