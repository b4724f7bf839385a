/* SPDX-License-Identifier: Apache-2.0
 * Which messages a request of `postern queue` means. */
#include "delivery/control.h"
#include <stdlib.h>

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static const char *take_ids(struct match *f, const json_t *ids)
{
    size_t i;
    json_t *v;
    if (!ids) return NULL;
    if (!json_is_array(ids) || json_array_size(ids) > CONTROL_LIMIT_MAX) return "ids must be a list of at most 1000 ids";
    f->ids = mem_grow(NULL, json_array_size(ids), sizeof *f->ids);
    json_array_foreach(ids, i, v)
        if (!json_is_string(v) || !id_parse(slice_str(json_string_value(v)), &f->ids[f->id_n++])) return "that is not an id";
    qsort(f->ids, f->id_n, sizeof *f->ids, compare_ids);
    return NULL;
}

static bool has_id_part(const char *part, uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    return slice_ihas(slice_str(text), slice_str(part));
}

static const char *take_text(char **to, const json_t *request, const char *name)
{
    const json_t *v = json_object_get(request, name);
    if (!v) return NULL;
    if (!json_is_string(v) || json_string_length(v) > 1000) return "a filter is not a text";
    *to = mem_slicedup(slice_of(json_string_value(v), json_string_length(v)));
    return NULL;
}

const char *match_init(struct match *f, const json_t *request)
{
    static const char *const states[] = { "incoming", "active", "deferred", "held" };
    const json_t *older = json_object_get(request, "older_than");
    *f = (struct match){ 0 };
    const char *wrong = take_ids(f, json_object_get(request, "ids"));
    if (!wrong) wrong = take_text(&f->sender, request, "sender");
    if (!wrong) wrong = take_text(&f->recipient, request, "recipient");
    if (!wrong) wrong = take_text(&f->destination, request, "destination");
    if (!wrong) wrong = take_text(&f->reason, request, "reason");
    if (!wrong) wrong = take_text(&f->state, request, "state");
    if (!wrong) wrong = take_text(&f->id_part, request, "id");
    if (wrong) return wrong;
    if (older && (!json_is_integer(older) || json_integer_value(older) < 0)) return "older_than must be a number of milliseconds";
    f->older_than = older ? (uint64_t)json_integer_value(older) : 0;
    for (size_t i = 0; f->state && i < countof(states); i++)
        if (strcmp(f->state, states[i]) == 0) return NULL;
    return f->state ? "state must be incoming, active, deferred or held" : NULL;
}

void match_deinit(struct match *f)
{
    free(f->ids);
    free(f->sender);
    free(f->recipient);
    free(f->destination);
    free(f->reason);
    free(f->state);
    free(f->id_part);
    *f = (struct match){ 0 };
}

bool match_needs_envelope(const struct match *f)
{
    return f->sender || f->recipient || f->destination;
}

bool match_address(struct slice pattern, struct slice address)
{
    if (slice_eq(pattern, SLICE("<>")) || !pattern.n) return !address.n;
    if (pattern.p[0] == '@') return slice_iends(address, pattern);
    if (slice_find(pattern, '@') >= 0) return slice_ieq(pattern, address);
    return slice_ihas(address, pattern);
}

const char *message_state_name(const struct message *m)
{
    static const char *const names[MESSAGE_STATES] = { "incoming", "active", "active", "deferred", "deferred", "held" };
    return names[m->state];
}

struct slice message_reason(const struct message *m)
{
    return m->state == MESSAGE_PARKED && m->dest->blocked ? slice_str(m->dest->reason) : label_text(m->reason);
}

bool match_message(const struct match *f, const struct message *m, uint64_t now)
{
    if (f->ids && !bsearch(&m->spool.id, f->ids, f->id_n, sizeof *f->ids, compare_ids)) return false;
    if (f->state && strcmp(f->state, message_state_name(m)) != 0) return false;
    if (f->id_part && !has_id_part(f->id_part, m->spool.id)) return false;
    if (f->older_than && (now < m->arrival || now - m->arrival < f->older_than)) return false;
    return !f->reason || slice_ihas(message_reason(m), slice_str(f->reason));
}

/* The domain of a recipient is meant as well as its next hop. Of that, what is known for a single recipient is used; else the
 * recipients are routed as they would be now. */
static bool match_destination(const struct match *f, const struct message *m, const struct envelope *e)
{
    struct slice part = slice_str(f->destination);
    struct route_hop hop;
    struct err err;
    for (uint32_t i = 0; i < e->rcpt_n; i++) {
        struct slice rcpt = e->rcpts[i];
        if (rcpt.n > part.n && rcpt.p[rcpt.n - part.n - 1] == '@' && slice_iends(rcpt, part)) return true;
    }
    if (m->rcpt_n == 1 && m->where) return slice_ihas(label_text(m->where), part);
    for (uint32_t i = 0; i < e->rcpt_n; i++)
        if (route_find(m->home->q->routes, envelope_route_sender(e), e->rcpts[i], &hop, &err) && slice_ihas(slice_str(hop.key), part)) return true;
    return false;
}

bool match_envelope(const struct match *f, const struct message *m, const struct envelope *e)
{
    if (f->sender && !match_address(slice_str(f->sender), e->sender)) return false;
    bool found = !f->recipient;
    for (uint32_t i = 0; !found && i < e->rcpt_n; i++) found = match_address(slice_str(f->recipient), e->rcpts[i]);
    return found && (!f->destination || match_destination(f, m, e));
}
