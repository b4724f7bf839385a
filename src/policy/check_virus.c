/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a message in which a scanner found a virus. No allow entry spares it. */
#include "policy/checks.h"
#include "policy/content_look.h"

static bool wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->scanner_n; i++)
        if (c->scanners[i].enabled && scanner_is_for_virus(c->scanners[i].type)) return true;
    return false;
}

/* With what it is packed in, when only one file goes by that name. */
static const char *show_file(struct check_call *c, const struct report *r, struct slice name)
{
    size_t n = 0, found = 0;
    for (size_t i = 0; i < r->part_n; i++) {
        if (!slice_eq(r->parts[i].name, name)) continue;
        found = i;
        n++;
    }
    return check_show(c, n == 1 ? edits_file_name(r, found, check_arena(c)) : name);
}

static void run(struct check_call *c)
{
    const struct config_virus *o = &check_engine(c)->config->virus;
    const struct report *r = check_report(c);
    if (!r) return;
    if (!r->virus_n) {
        check_pass(c, "none was found");
        return;
    }
    const struct report_virus *v = &r->viruses[0];
    const char *name = check_show(c, v->name);
    struct content_handling h = {
        .action = o->action, .address = o->address, .place = o->place, .kind = QUARANTINE_VIRUS, .reason = NOTICE_VIRUS,
        .notify = &o->notify, .field = "X-Postern-Virus",
        .text = arena_printf(check_arena(c), "the message holds the virus %s", name),
    };
    const char *more = r->virus_n > 1 ? arena_printf(check_arena(c), " and %zu more", r->virus_n - 1) : "";
    const char *by = arena_printf(check_arena(c), "found by %s", check_show(c, v->scanner));
    h.what = v->part.n ? arena_printf(check_arena(c), "the virus %s in %s%s, %s", name, show_file(c, r, v->part), more, by)
                       : arena_printf(check_arena(c), "the virus %s%s, %s", name, more, by);
    check_handle(c, &h);
}

const struct check check_content_virus = { .place_offset = offsetof(struct config, virus.place), .name = "virus", .stage = STAGE_CONTENT, .step = 3,
                                   .whom = FOR_ALL, .wanted = wanted, .run = run };
