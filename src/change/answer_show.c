/* SPDX-License-Identifier: Apache-2.0
 * What there is: the configuration, its history, differences. */
#include <string.h>
#include "base/hash.h"
#include "change/answer_int.h"
#include "config/config.h"
#include "config/diff.h"
#include "config/dump.h"
#include "config/parse.h"
#include "config/secret.h"

json_t *answer_show(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct buf text = { 0 }, hidden = { 0 };
    struct err err;
    struct config_report report = { 0 };
    char version[ANSWER_VERSION_N];
    if (!config_read_file(w->file, &text, &err)) return answer_failure(STATUS_FAILED, err.text);
    struct config *c = config_parse(buf_slice(&text), w->file, &report);
    json_t *values = c ? config_to_json(c) : json_null(), *written = change_written(buf_slice(&text));
    answer_version(buf_slice(&text), version);
    secret_hide_quoted(buf_slice(&text), &hidden);
    json_t *out = json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:b, s:o}", "status", STATUS_OK, "version", version,
                            "values", values, "written", written ? written : json_null(),
                            "text", change_answer_text(buf_slice(&hidden)),
                            "file", change_answer_text(slice_str(w->file)),
                            "pending", hash_bytes(buf_slice(&text)) != w->running,
                            "findings", answer_findings(&report));
    config_free(c);
    config_report_deinit(&report);
    buf_wipe(&text);
    buf_deinit(&hidden);
    return out;
}

/* ---- revisions */

json_t *answer_history(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct store s;
    struct err err;
    if (!store_open(&s, w->file, false, &err)) return answer_failure(STATUS_FAILED, err.text);
    json_t *all = json_array();
    for (size_t i = s.n; i-- > 0;) {
        const struct revision *r = &s.revisions[i];
        json_array_append_new(all, json_pack("{s:I, s:o, s:o, s:o}", "revision", (json_int_t)r->number,
                                             "time", change_answer_text(slice_str(r->when)),
                                             "user", change_answer_text(slice_str(r->who)),
                                             "before", change_answer_text(slice_str(r->what))));
    }
    store_close(&s);
    return json_pack("{s:i, s:o}", "status", STATUS_OK, "revisions", all);
}

/* The answer that has one text, or err. */
static json_t *text_or_failure(bool ok, const char *name, const struct buf *text, const struct err *err)
{
    if (!ok) return answer_failure(STATUS_NONE, err->text);
    return json_pack("{s:i, s:o}", "status", STATUS_OK, name, change_answer_text(buf_slice(text)));
}

json_t *answer_revision(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct store s;
    struct err err;
    struct buf text = { 0 }, hidden = { 0 };
    if (!store_open(&s, w->file, false, &err)) return answer_failure(STATUS_FAILED, err.text);
    bool ok = store_read(&s, answer_number(request, "revision"), &text, &err);
    if (ok) secret_hide_quoted(buf_slice(&text), &hidden);
    json_t *answer = text_or_failure(ok, "text", &hidden, &err);
    store_close(&s);
    buf_wipe(&text);
    buf_deinit(&hidden);
    return answer;
}

/* ---- differences */

void answer_diff(struct slice a, const char *a_name, struct slice b, const char *b_name, struct buf *out)
{
    struct buf x = { 0 }, y = { 0 };
    secret_hide_quoted(a, &x);
    secret_hide_quoted(b, &y);
    diff_unified(buf_slice(&x), a_name, buf_slice(&y), b_name, out);
    if (!out->n && !slice_eq(a, b)) buf_addf(out, "--- %s\n+++ %s\n# a secret is another one\n", a_name, b_name);
    buf_deinit(&x);
    buf_deinit(&y);
}

/* number 0: the present file. */
static bool read_side(const struct store *s, uint64_t number, struct buf *text, struct buf *name, struct err *err)
{
    if (!number) buf_add_str(name, strrchr(s->file, '/') + 1);
    else buf_addf(name, "revision %llu", (unsigned long long)number);
    return number ? store_read(s, number, text, err) : config_read_file(s->file, text, err);
}

json_t *answer_differences(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct store s;
    struct err err;
    struct buf a = { 0 }, b = { 0 }, a_name = { 0 }, b_name = { 0 }, out = { 0 };
    if (!store_open(&s, w->file, false, &err)) return answer_failure(STATUS_FAILED, err.text);
    bool ok = read_side(&s, answer_number(request, "from"), &a, &a_name, &err) &&
              read_side(&s, answer_number(request, "to"), &b, &b_name, &err);
    if (ok) answer_diff(buf_slice(&a), buf_cstr(&a_name), buf_slice(&b), buf_cstr(&b_name), &out);
    json_t *answer = text_or_failure(ok, "diff", &out, &err);
    store_close(&s);
    buf_wipe(&a);
    buf_wipe(&b);
    buf_deinit(&a_name);
    buf_deinit(&b_name);
    buf_deinit(&out);
    return answer;
}
