/* SPDX-License-Identifier: Apache-2.0
 * Checks that do not concern the clients of a zone. Those that keep the relay closed, or that others build on, cannot be skipped. */
#include "policy/skip.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

static const struct check *find(const struct check *const *table, const char *name)
{
    for (; *table; table++)
        if (!strcmp((*table)->name, name)) return *table;
    return NULL;
}

static bool names(const struct config_zone *z, const char *check)
{
    for (size_t i = 0; i < z->skip_check_n; i++)
        if (!strcmp(z->skip_checks[i], check)) return true;
    return false;
}

/* "FILE:LINE: zones.NAME.skip_checks: what is wrong" */
static bool fail(const struct policy *p, const struct config_zone *z, const char *what, struct err *err)
{
    return err_set(err, "%s:%u: zones.%s.skip_checks: %s", p->config->file ? p->config->file : "", z->place.line, z->name, what);
}

static bool fail_with_names(const struct policy *p, const struct check *const *table, const struct config_zone *z, const char *name,
                            struct err *err)
{
    struct buf b = { 0 };
    const char *last = "";
    buf_addf(&b, "%s \"%s\"; possible are", find(table, name) ? "no zone may skip" : "there is no check", name);
    for (; *table; last = (*table)->name, table++)
        if (!(*table)->never_skipped && strcmp(last, (*table)->name) != 0) buf_addf(&b, " %s", (*table)->name);
    fail(p, z, buf_cstr(&b), err);
    buf_deinit(&b);
    return false;
}

/* What SPF and DKIM did not find, DMARC would hold against the sender. */
static bool is_sound(const struct policy *p, const struct config_zone *z, struct err *err)
{
    if (!p->config->checks.dmarc.enabled || names(z, "dmarc") || (!names(z, "spf") && !names(z, "dkim"))) return true;
    return fail(p, z, "dmarc builds on what spf and dkim find: name it as well", err);
}

static bool load_zone(struct policy *p, const struct check *const *table, const struct config_zone *z, struct err *err)
{
    for (size_t i = 0; i < z->skip_check_n; i++) {
        const struct check *k = find(table, z->skip_checks[i]);
        if (!k || k->never_skipped) return fail_with_names(p, table, z, z->skip_checks[i], err);
    }
    if (!is_sound(p, z, err)) return false;
    p->skips = mem_grow(p->skips, p->skip_n + 1, sizeof *p->skips);
    struct zone_skips *s = &p->skips[p->skip_n++];
    *s = (struct zone_skips){ .zone = z, .checks = mem_zalloc((p->n + 1) * sizeof *s->checks),
                              .finding = { .enhanced = "", .text = "", .place = z->place } };
    for (size_t i = 0; i < p->n; i++) s->checks[i] = names(z, p->checks[i]->name);
    struct buf why = { 0 };
    buf_addf(&why, "not for zone %s", z->name);
    s->finding.why = s->why = mem_strdup(buf_cstr(&why));
    buf_deinit(&why);
    return true;
}

bool skips_load(struct policy *p, const struct check *const *table, struct err *err)
{
    for (size_t i = 0; i < p->config->zone_n; i++)
        if (p->config->zones[i].skip_check_n && !load_zone(p, table, &p->config->zones[i], err)) return false;
    return true;
}

void skips_free(struct policy *p)
{
    for (size_t i = 0; i < p->skip_n; i++) {
        free(p->skips[i].checks);
        free(p->skips[i].why);
    }
    free(p->skips);
    p->skips = NULL;
    p->skip_n = 0;
}

const struct zone_skips *skips_of(const struct policy *p, const struct config_zone *zone)
{
    for (size_t i = 0; i < p->skip_n; i++)
        if (p->skips[i].zone == zone) return &p->skips[i];
    return NULL;
}
