/* SPDX-License-Identifier: Apache-2.0
 * The stages of an explanation. */
#include "policy/explain_path.h"
#include "base/json.h"
#include "policy/policy.h"

static unsigned outcome_of(const json_t *check)
{
    struct slice name = json_text(check, "outcome");
    for (unsigned i = 0; i < POLICY_WAIT; i++)
        if (slice_eq(name, slice_str(trace_outcome_name(i)))) return i;
    return POLICY_PASS;
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
    struct slice x = json_text(a, key), y = json_text(b, key);
    return slice_eq(x, y);
}

/* Is this entry of the trace what decided about the recipient? */
static bool decides(const json_t *check, const json_t *rcpt)
{
    return same(check, rcpt, "check") && same(check, rcpt, "outcome") &&
           (!json_object_get(check, "recipient") || same(check, rcpt, "recipient"));
}

static json_t *check_json(const json_t *entry, json_t *recipients)
{
    json_t *one = json_copy((json_t *)entry), *rcpt;
    size_t i;
    json_array_foreach(recipients, i, rcpt) {
        if (!json_text(rcpt, "check").n || json_object_get(rcpt, "stage") || !decides(entry, rcpt)) continue;
        json_object_set(rcpt, "stage", json_object_get(entry, "stage"));
        json_object_set_new(one, "decides", json_true());
    }
    return one;
}

static json_t *stage_json(const char *name, const json_t *trace, json_t *recipients)
{
    json_t *checks = json_array(), *entry;
    unsigned worst = POLICY_PASS;
    size_t i;
    json_array_foreach(trace, i, entry) {
        if (!slice_eq(json_text(entry, "stage"), slice_str(name))) continue;
        unsigned outcome = outcome_of(entry);
        if (policy_strength(outcome) > policy_strength(worst)) worst = outcome;
        json_array_append_new(checks, check_json(entry, recipients));
    }
    return json_pack("{s:s, s:b, s:s, s:o}", "stage", name, "reached", json_array_size(checks) > 0, "outcome",
                     trace_outcome_name(worst), "checks", checks);
}

json_t *explain_path(const json_t *trace, json_t *recipients)
{
    json_t *all = json_array();
    for (unsigned stage = 0; stage < STAGES; stage++)
        json_array_append_new(all, stage_json(trace_stage_name(stage), trace, recipients));
    return all;
}
