/* SPDX-License-Identifier: Apache-2.0
 * Asking the scanners that are configured: for viruses, milters; and what all of them have in common. */
#include "base/clock.h"
#include "base/mem.h"
#include "scan/parts.h"

bool scan_asks(const struct scan_run *r, size_t i)
{
    return r->s->scanners[i] && (!r->context->trusted || r->config->scanners[i].trusted_mail);
}

static bool is_down(const struct scan_context *c, const char *name)
{
    for (uint32_t i = 0; i < c->down_n; i++)
        if (slice_eq(c->down[i], slice_str(name))) return true;
    return false;
}

void scan_ask(struct scan_run *r, size_t i, const struct content_message *m, struct scanner_answer *out)
{
    const struct config_scanner *c = &r->config->scanners[i];
    uint64_t start = clock_mono_us();
    *out = (struct scanner_answer){ .state = SCANNER_NOT_ASKED };
    if (is_down(r->context, c->name)) out->text = SLICE("it failed several times in a row and is left alone for a while");
    else if (start / 1000 >= r->deadline) out->text = SLICE("no time was left for it: scan.timeout");
    else scanner_ask(r->s->scanners[i], m, r->context, r->config, r->deadline, r->arena, out);
    report_add_scanner(r->report, &(struct report_scanner){ slice_str(c->name), out->state, out->text,
                                                            (uint32_t)(clock_mono_us() - start) }, r->arena);
}

/* The first that finds something ends it. */
void scan_viruses(struct scan_run *r)
{
    struct scanner_answer a;
    for (size_t i = 0; i < r->config->scanner_n && !r->report->virus_n; i++) {
        if (!scanner_is_for_virus(r->config->scanners[i].type) || !scan_asks(r, i)) continue;
        scan_ask(r, i, r->message, &a);
        for (size_t k = 0; k < a.virus_n; k++) report_add_virus(r->report, &a.viruses[k], r->arena);
    }
}

static bool ends_all(const struct scanner_answer *a)
{
    for (size_t i = 0; i < a->action_n; i++)
        if (a->actions[i].action == CONFIG_DO_REJECT || a->actions[i].action == CONFIG_DO_DEFER || a->actions[i].action == CONFIG_DO_DISCARD)
            return true;
    return false;
}

/* All of them, until one refuses or discards. */
void scan_milters(struct scan_run *r)
{
    struct scanner_answer a = { 0 };
    for (size_t i = 0; i < r->config->scanner_n && !ends_all(&a); i++) {
        if (r->config->scanners[i].type != CONFIG_SCANNER_MILTER || !scan_asks(r, i)) continue;
        scan_ask(r, i, r->message, &a);
        for (size_t k = 0; k < a.action_n; k++) report_add_action(r->report, &a.actions[k], r->arena);
        for (size_t k = 0; k < a.edit_n; k++) report_add_edit(r->report, &a.edits[k], r->arena);
        report_add_prepend(r->report, a.prepend, r->arena);
    }
}
