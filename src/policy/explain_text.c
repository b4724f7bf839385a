/* SPDX-License-Identifier: Apache-2.0
 * A message that is explained: nothing of it is kept but in memory. */
#include "policy/explain_text.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/io.h"
#include "base/mem.h"
#include "content/wire.h"
#include "message/crlf.h"
#include "message/header.h"
#include "policy/message_auth.h"
#include "policy/outcome.h"
#include "spool/spool.h"

struct explain_text {
    struct buf text;             /* CRLF line ends */
    struct spool_share share;
};

/* As it would come by SMTP. */
static void add_lines(struct buf *out, struct slice text)
{
    crlf_add_message(text, out);
    if (out->n && out->p[out->n - 1] != '\n') buf_add_str(out, "\r\n");
}

static bool share(struct explain_text *t)
{
    t->share = (struct spool_share){ .fd = memfd_create("explain", MFD_CLOEXEC), .size = t->text.n };
    return t->share.fd >= 0 && io_write_all(t->share.fd, buf_slice(&t->text));
}

struct explain_text *explain_text_new(struct slice base64, const char **why)
{
    struct explain_text *t = mem_new(struct explain_text);
    struct buf raw = { 0 };
    t->share.fd = -1;
    *why = NULL;
    if (!base64_decode(base64, &raw) || !raw.n) *why = "message: a message in base64 is expected";
    else add_lines(&t->text, buf_slice(&raw));
    if (!*why && memchr(t->text.p, 0, t->text.n)) *why = "message: it holds NUL bytes, and would not be taken at all";
    if (!*why && !share(t)) *why = "message: there is no memory for it";
    buf_deinit(&raw);
    if (*why) explain_text_free(&t);
    return t;
}

void explain_text_free(struct explain_text **tp)
{
    struct explain_text *t = *tp;
    *tp = NULL;
    if (!t) return;
    if (t->share.fd >= 0) close(t->share.fd);
    buf_deinit(&t->text);
    free(t);
}

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    policy_text_field(arg, slice_of(name.p, (size_t)(value.p + value.n - name.p)), truncated);
}

void explain_text_give(const struct explain_text *t, struct policy_run *run, const struct slice *rcpts, uint32_t n)
{
    struct header_reader r = { 0 };
    struct slice text = buf_slice(&t->text);
    policy_set_share(run, &t->share);
    policy_set_envelope(run, 0, rcpts, n, false);
    if (!policy_text_begin(run)) return;
    header_reader_init(&r, on_field, run);
    size_t header = header_read(&r, text);
    header_finish(&r);
    policy_text_header_end(run, r.malformed);
    if (header < text.n) policy_text_body(run, slice_sub(text, header, text.n));
    policy_text_end(run);
    header_reader_deinit(&r);
}

static json_t *addresses(const struct slice *all, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, wire_clean_text(all[i], 320));
    return list;
}

static json_t *fields(struct slice text)
{
    json_t *list = json_array();
    struct slice line;
    while (text.n) {
        slice_cut(&text, '\n', &line);
        json_array_append_new(list, wire_clean_text(slice_trim(line), 1000));
    }
    return list;
}

json_t *explain_outcome(const struct policy_run *run)
{
    const struct content_outcome *o = policy_outcome(run);
    json_t *out = json_object(), *notices = json_array();
    if (o->cut_n) json_object_set_new(out, "edits", json_integer(o->cut_n));
    if (o->prepend.n) json_object_set_new(out, "fields", fields(o->prepend));
    if (o->redirect.n) json_object_set_new(out, "redirect", wire_clean_text(o->redirect, 320));
    if (o->copy_n) json_object_set_new(out, "copies", addresses(o->copies, o->copy_n));
    if (o->removed_n) json_object_set_new(out, "removed", addresses(o->removed, o->removed_n));
    for (uint32_t i = 0; i < o->notice_n; i++) {
        const struct policy_notice *n = &o->notices[i];
        json_array_append_new(notices, json_pack("{s:o, s:o}", "to", n->to.n ? wire_clean_text(n->to, 320) : json_string("its recipients"), "what",
                                                 wire_clean_text(n->what, 500)));
    }
    if (json_array_size(notices)) json_object_set(out, "notices", notices);
    json_decref(notices);
    return out;
}
