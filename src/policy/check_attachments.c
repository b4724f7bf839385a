/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a message with files that `attachments` blocks. */
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/content_look.h"

#define NAMED_MAX 3 /* files in one line */

static bool wanted(const struct config *c, const struct policy *p) { return c->attachments.enabled; }

/* "invoice.exe in docs.zip (extension exe), ...". NULL: none is blocked. */
static const char *describe(struct check_call *c, const struct report *r)
{
    struct buf b = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < r->part_n; i++) {
        const struct report_part *p = &r->parts[i];
        if (!p->blocked.n || n++ >= NAMED_MAX) continue;
        if (b.n) buf_add_str(&b, ", ");
        if (p->name.n) buf_add_printable(&b, edits_file_name(r, i, check_arena(c)), 150);
        else buf_add_str(&b, "a part without a name");
        buf_add_str(&b, " (");
        buf_add_printable(&b, p->blocked, 60);
        buf_add_char(&b, ')');
    }
    if (n > NAMED_MAX) buf_addf(&b, " and %zu more", n - NAMED_MAX);
    const char *text = n ? arena_strdup(check_arena(c), buf_slice(&b)) : NULL;
    buf_deinit(&b);
    return text;
}

static void strip(struct check_call *c, const struct report *r, const struct content_handling *h)
{
    struct slice *why = arena_alloc(check_arena(c), (r->part_n + 1) * sizeof *why);
    for (size_t i = 0; i < r->part_n; i++) why[i] = r->parts[i].blocked;
    policy_outcome_notify_all(c->run, h->reason, h->notify, slice_str(h->what));
    if (check_strip(c, why)) check_pass_by(c, h->place, "taken out: %s", h->what);
    else check_put_aside(c, h->kind, h->place, arena_printf(check_arena(c), "it cannot be taken out: %s", h->what));
}

static void run(struct check_call *c)
{
    const struct config_attachments *o = &check_engine(c)->config->attachments;
    const struct report *r = check_report(c);
    if (!r) return;
    const char *what = describe(c, r);
    if (!what) {
        check_pass(c, "none is blocked");
        return;
    }
    if (check_look(c)->accepted) {
        check_pass(c, "a rule accepts it: %s", what);
        return;
    }
    struct content_handling h = {
        .action = o->action, .address = o->address, .place = o->place, .kind = QUARANTINE_FILE, .reason = NOTICE_FILE, .notify = &o->notify,
        .what = what, .field = "X-Postern-Blocked",
        .text = arena_printf(check_arena(c), "such attachments are not taken here: %s", what),
    };
    if (h.action == CONFIG_HANDLE_STRIP) strip(c, r, &h);
    else check_handle(c, &h);
}

const struct check check_content_attachments = { .place_offset = offsetof(struct config, attachments.place), .name = "attachments",
                                         .stage = STAGE_CONTENT, .step = 3, .whom = FOR_ALL, .spared_by = ALLOW_CLIENT | ALLOW_MAIL,
                                         .wanted = wanted, .run = run };
