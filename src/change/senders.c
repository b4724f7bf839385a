/* SPDX-License-Identifier: Apache-2.0
 * One sender, allowed or blocked: an entry of its own in the configuration. */
#include <stdio.h>
#include "change/change.h"
#include "config/config.h"
#include "config/edit.h"

/* Of several entries for it the first counts. NULL: there is none. */
static const struct config_match *find(const struct config_match_list *l, struct slice address)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].match && slice_ieq(slice_str(l->entries[i].match), address)) return &l->entries[i];
    return NULL;
}

static bool add(const struct change_sender *s, struct slice old_text, struct buf *out, struct err *err)
{
    json_t *entry = json_pack("{s:s%}", "match", s->address.p, s->address.n);
    if (s->comment && *s->comment) json_object_set_new(entry, "comment", json_string(s->comment));
    if (s->proven) json_object_set_new(entry, "proven", json_true());
    bool ok = edit_set_json(old_text, s->allow ? "checks.allow.senders[+]" : "checks.block.senders[+]", entry, out, err);
    json_decref(entry);
    return ok;
}

/* Nobody asks for an entry without proof and means that the one with it stays. */
static bool take_proof_off(size_t entry, struct slice old_text, struct buf *out, struct err *err)
{
    char path[80];
    snprintf(path, sizeof path, "checks.allow.senders[%zu].proven", entry);
    return edit_unset(old_text, path, out, err);
}

bool change_add_sender(const struct config *c, struct change_sender *s, struct slice old_text, struct buf *out, struct err *err)
{
    static const struct config_match_list none;
    const struct config_match_list *l = !c ? &none : s->allow ? &c->checks.allow_senders : &c->checks.block_senders;
    const struct config_match *there = find(l, s->address);
    if (!there && s->most && l->n >= s->most)
        return err_set(err, "the list has %zu entries or more: somebody who may change the configuration can move them to a file",
                       s->most);
    s->proven = s->allow && !s->unproven && (there ? there->proven : c && c->checks.spf.enabled);
    if (!there) return add(s, old_text, out, err);
    if (s->unproven && s->allow && there->proven) return take_proof_off((size_t)(there - l->entries), old_text, out, err);
    s->proven = there->proven;
    buf_add(out, old_text);
    return true;
}
