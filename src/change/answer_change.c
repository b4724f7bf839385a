/* SPDX-License-Identifier: Apache-2.0
 * Changes: checked, or made and written. */
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "change/answer_int.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/secret.h"

#define COMMENT_MAX 200

/* ---- {"changes"} or {"text"} */

static bool make_wanted(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    const struct answer_arg *x = arg;
    const json_t *text = json_object_get(x->request, "text"), *changes = json_object_get(x->request, "changes");
    struct err err;
    bool ok;
    if (!text == !changes) ok = err_set(&err, "either changes or text is needed");
    else if (changes) ok = change_make_text(old_text, changes, out, what, &err);
    else {
        ok = secret_restore(old_text, slice_of(json_string_value(text), json_string_length(text)), out, &err);
        buf_add_str(what, "edit");
    }
    if (!ok) *answer = answer_failure(STATUS_BAD, err.text);
    return ok;
}

json_t *answer_check(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct buf old_text = { 0 }, text = { 0 }, ignored = { 0 }, hidden = { 0 }, out = { 0 };
    struct config_report report = { 0 };
    struct err err;
    json_t *answer = NULL;
    const char *slash = strrchr(w->file, '/'), *name = slash ? slash + 1 : w->file;
    if (!config_read_file(w->file, &old_text, &err)) return answer_failure(STATUS_FAILED, err.text);
    if (make_wanted(&(struct answer_arg){ w, request }, buf_slice(&old_text), &text, &ignored, &answer)) {
        struct config *c = change_check_text(w->file, buf_slice(&text), &report);
        (void)answer_shuts_out(w, c, request, buf_slice(&text), &report, &ignored);
        answer_diff(buf_slice(&old_text), name, buf_slice(&text), name, &out);
        secret_hide_quoted(buf_slice(&text), &hidden);
        answer = json_pack("{s:i, s:b, s:o, s:o, s:o}", "status", STATUS_OK, "ok", c != NULL,
                           "findings", answer_findings(&report), "diff", change_answer_text(buf_slice(&out)),
                           "text", change_answer_text(buf_slice(&hidden)));
        config_free(c);
        config_report_deinit(&report);
    }
    buf_wipe(&old_text);
    buf_wipe(&text);
    buf_deinit(&ignored);
    buf_deinit(&hidden);
    buf_deinit(&out);
    return answer;
}

/* ---- under the lock */

static json_t *tell(enum change_outcome outcome, const struct config_report *report, uint64_t revision,
                    const struct err *err)
{
    json_t *out;
    if (outcome == CHANGE_FAILED) out = answer_failure(STATUS_FAILED, err->text);
    else if (outcome == CHANGE_ERRORS)
        out = answer_failure(STATUS_BAD, "not written: the configuration would have errors");
    else if (outcome == CHANGE_SAME)
        out = json_pack("{s:i, s:b, s:b, s:n}", "status", STATUS_OK, "ok", 1, "unchanged", 1, "revision");
    else out = json_pack("{s:i, s:b, s:I}", "status", STATUS_OK, "ok", 1, "revision", (json_int_t)revision);
    json_object_set_new(out, "findings", answer_findings(report));
    return out;
}

/* The comment comes first, what was done behind it. */
static void put_comment(const json_t *request, struct buf *what)
{
    const char *comment = answer_word(request, "comment");
    if (!comment || !*comment) return;
    struct buf all = { 0 };
    buf_add_printable(&all, slice_str(comment), COMMENT_MAX);
    buf_addf(&all, " (%s)", buf_cstr(what));
    buf_deinit(what);
    *what = all;
}

/* The answer to who would shut himself out, and has not said that he means it; NULL: go on. */
static json_t *ask_again(const struct change_world *w, const json_t *request, struct slice old_text, struct slice text)
{
    struct config_report report = { 0 }, ignored = { 0 };
    struct buf why = { 0 };
    json_t *answer = NULL;
    if (!json_object_get(request, "client") || json_is_true(json_object_get(request, "anyway")) ||
        slice_eq(old_text, text))
        return NULL;
    struct config *c = config_parse(text, w->file, &ignored);
    if (answer_shuts_out(w, c, request, text, &report, &why)) {
        answer = answer_failure(STATUS_CONFLICT, buf_cstr(&why));
        json_object_set_new(answer, "shut_out", json_true());
        json_object_set_new(answer, "findings", answer_findings(&report));
    }
    config_free(c);
    config_report_deinit(&report);
    config_report_deinit(&ignored);
    buf_deinit(&why);
    return answer;
}

static json_t *change(const struct change_world *w, struct store *s, const json_t *request, make_text *make, void *arg, bool *wrote)
{
    struct buf old_text = { 0 }, text = { 0 }, what = { 0 };
    struct config_report report = { 0 };
    struct err err = { 0 };
    char is[ANSWER_VERSION_N];
    uint64_t number = 0;
    json_t *answer = NULL;
    const char *version = answer_word(request, "version");
    if (!config_read_file(s->file, &old_text, &err)) return answer_failure(STATUS_FAILED, err.text);
    answer_version(buf_slice(&old_text), is);
    if (version && strcmp(version, is) != 0)
        answer = answer_failure(STATUS_CONFLICT,
                                "the configuration was changed meanwhile by somebody else: load it again");
    else if (make(arg, buf_slice(&old_text), &text, &what, &answer) &&
             !(answer = ask_again(w, request, buf_slice(&old_text), buf_slice(&text)))) {
        put_comment(request, &what);
        enum change_outcome outcome = change_write(s, buf_slice(&old_text), buf_slice(&text), buf_cstr(&what), &report,
                                                   &number, &err);
        *wrote = outcome == CHANGE_WRITTEN;
        answer = tell(outcome, &report, number, &err);
        if (*wrote)
            log_event(LOG_INFO, "config-changed", LOG_STR("by", s->author), LOG_NUM("revision", number),
                      LOG_TEXT("change", buf_slice(&what)));
        answer_version(*wrote ? buf_slice(&text) : buf_slice(&old_text), is);
        json_object_set_new(answer, "version", json_string(is));
        config_report_deinit(&report);
    }
    buf_wipe(&old_text);
    buf_wipe(&text);
    buf_deinit(&what);
    return answer;
}

json_t *answer_change(const struct change_world *w, const json_t *request, make_text *make, void *arg, bool *wrote)
{
    struct store s;
    struct err err;
    if (!store_open(&s, w->file, true, &err)) return answer_failure(STATUS_FAILED, err.text);
    const char *author = answer_word(request, "author");
    s.author = author ? author : "web";
    json_t *answer = change(w, &s, request, make, arg, wrote);
    store_close(&s);
    return answer;
}

json_t *answer_apply(const struct change_world *w, const json_t *request, bool *wrote)
{
    return answer_change(w, request, make_wanted, &(struct answer_arg){ w, request }, wrote);
}

/* ---- going back */

static bool make_former(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    const struct answer_arg *x = arg;
    uint64_t number = answer_number(x->request, "revision");
    struct store s;
    struct err err;
    bool ok = store_open(&s, x->world->file, false, &err);
    if (ok) {
        ok = store_read(&s, number, out, &err);
        store_close(&s);
    }
    buf_addf(what, "rollback %llu", (unsigned long long)number);
    if (!ok) *answer = answer_failure(STATUS_NONE, err.text);
    return ok;
}

json_t *answer_rollback(const struct change_world *w, const json_t *request, bool *wrote)
{
    return answer_change(w, request, make_former, &(struct answer_arg){ w, request }, wrote);
}

/* ---- one sender, allowed or blocked */

#define SENDERS_MAX 2000 /* each addition keeps the file as it was: those who may do no more cannot fill the disk */

struct sender_arg {
    struct answer_arg base;
    struct change_sender sender;
};

static bool make_sender(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer)
{
    struct sender_arg *x = arg;
    struct err err;
    struct config_report report = { 0 };
    struct config *c = config_parse(old_text, x->base.world->file, &report);
    bool ok = change_add_sender(c, &x->sender, old_text, out, &err);
    buf_addf(what, "%s the sender %.*s%s", x->sender.allow ? "allow" : "block", SLICE_ARG(x->sender.address),
             x->sender.unproven ? " without proof" : "");
    if (!ok) *answer = answer_failure(STATUS_BAD, err.text);
    config_free(c);
    config_report_deinit(&report);
    return ok;
}

json_t *answer_sender(const struct change_world *w, const json_t *request, bool *wrote)
{
    const char *list = answer_word(request, "list");
    bool allow = list && !strcmp(list, "allow");
    struct sender_arg x = { { w, request },
                            { .address = slice_str(answer_word(request, "address")), .comment = answer_word(request, "comment"),
                              .allow = allow, .most = SENDERS_MAX, .unproven = allow && json_is_true(json_object_get(request, "unproven")) } };
    json_t *answer = answer_change(w, request, make_sender, &x, wrote);
    if (json_is_true(json_object_get(answer, "ok"))) json_object_set_new(answer, "proven", json_boolean(x.sender.proven));
    return answer;
}
