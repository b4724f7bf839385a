/* SPDX-License-Identifier: Apache-2.0
 * Answers to requests of the API about the configuration. Secrets are in none of them. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "change/answer_int.h"

json_t *answer_failure(int status, const char *text)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(text), 1000);
    json_t *out = json_pack("{s:i, s:s}", "status", status, "error", buf_cstr(&b));
    buf_deinit(&b);
    return out;
}

json_t *change_answer_text(struct slice s)
{
    json_t *out = json_stringn(s.p ? s.p : "", s.n);
    if (out) return out;
    struct buf b = { 0 };
    buf_add_printable(&b, s, s.n);
    out = json_stringn(b.p ? b.p : "", b.n);
    buf_deinit(&b);
    return out;
}

const char *answer_word(const json_t *request, const char *name)
{
    return json_string_value(json_object_get(request, name));
}

uint64_t answer_number(const json_t *request, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(request, name));
    return n > 0 ? (uint64_t)n : 0;
}

void answer_version(struct slice text, char out[ANSWER_VERSION_N])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(text.n ? text.p : "", text.n, digest, &n, EVP_sha256(), NULL)) abort(); /* only without memory */
    for (unsigned i = 0; i < n && i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* ---- findings */

/* What was read from a file at fault is told with its place alone ("FILE:12: ..."): the file is read with rights that
 * who asks has not. Returns where that begins; NULL: no file is spoken of. */
static const char *behind_place(const char *text)
{
    for (const char *p = strchr(text, '/'); p && (p = strchr(p, ':')); p++) {
        size_t n = strspn(p + 1, "0123456789");
        if (n && p[1 + n] == ':') return p + 2 + n;
    }
    return NULL;
}

/* Perhaps its end is missing, and with it the quote behind what was read: "line 12: " in front of it may have been taken away. */
static bool may_be_cut(const char *text) { return strlen(text) + 20 >= sizeof ((struct err *)0)->text; }

static void hide_content(json_t *finding)
{
    const char *text = answer_word(finding, "text"), *from = text ? behind_place(text) : NULL;
    const char *first = from ? strchr(from, '"') : NULL, *last = first && !may_be_cut(text) ? strrchr(first, '"') : first;
    if (!first) return;
    struct buf b = { 0 };
    buf_add(&b, slice_of(text, (size_t)(first + 1 - text)));
    buf_add_str(&b, "...");
    if (last > first) buf_add_str(&b, last);
    json_object_set_new(finding, "text", json_string(buf_cstr(&b)));
    buf_deinit(&b);
}

json_t *answer_findings(const struct config_report *r)
{
    json_t *all = change_findings(r), *one;
    size_t i;
    json_array_foreach(all, i, one) hide_content(one);
    return all;
}

/* ---- requests */

static const struct {
    const char *op;
    answer_op *answer;
} ops[] = {
    { "show", answer_show },
    { "history", answer_history },
    { "diff", answer_differences },
    { "revision", answer_revision },
    { "check", answer_check },
    { "apply", answer_apply },
    { "rollback", answer_rollback },
    { "sender", answer_sender },
    { "keys", answer_keys },
    { "key-new", answer_key_new },
    { "key-plan", answer_key_plan },
    { "key-switch", answer_key_switch },
    { "key-retire", answer_key_retire },
    { "notices", answer_notices },
    { "notice", answer_notice },
    { "nft", answer_nft },
    { "import-postfix", answer_import },
};

json_t *change_answer(const struct change_world *w, const json_t *request, bool *wrote)
{
    const char *op = answer_word(request, "op");
    *wrote = false;
    if (!op) return answer_failure(STATUS_BAD, "no request");
    for (size_t i = 0; i < countof(ops); i++)
        if (!strcmp(op, ops[i].op)) return ops[i].answer(w, request, wrote);
    return answer_failure(STATUS_BAD, "no such request");
}
