/* SPDX-License-Identifier: Apache-2.0
 * What `postern table` asks a worker: how the tables are, what is in one, what a look-up gives. It answers from the blocks that its own
 * look-ups use; how the sources are it knows from the tables process. */
#include "base/buf.h"
#include "base/json.h"
#include "config/tables.h"
#include "policy/policy.h"
#include "proc/worker_int.h"

#define ENTRIES_MAX 1000           /* in one answer */
#define ANSWER_MAX (600u << 10)    /* bytes of texts in it */
#define BROKEN_MAX 20              /* that a status tells of */
#define SHOWN_MAX 4000             /* bytes of one text */
#define STATES_MAX (500u << 10)    /* bytes of all that the tables process tells */

static const char *const uses[] = { [LIST_OF_CLIENTS] = "clients", [LIST_OF_ADDRESSES] = "addresses", [LIST_OF_ALIASES] = "aliases",
                                    [LIST_OF_MAPPINGS] = "mappings", [LIST_OF_DOMAINS] = "domains" };

struct request {
    struct tables *tables;
    struct slice name, use;        /* use empty: any */
};

static struct table *table_at(const struct tables *t, size_t i)
{
    const struct table_source *s = tables_source(t, i);
    struct table *found = tables_of_name(t, s->table->name, s->of);
    return found && table_source(found) == s ? found : tables_of_file(t, s->table->name, s->of);
}

/* The next one that is meant, from *at on; NULL: there is none. */
static struct table *next_table(const struct request *r, size_t *at)
{
    for (; *at < tables_count(r->tables); (*at)++) {
        const struct table_source *s = tables_source(r->tables, *at);
        if (!slice_eq(r->name, slice_str(s->table->name)) || (r->use.n && !slice_eq(r->use, slice_str(uses[s->of])))) continue;
        return table_at(r->tables, (*at)++);
    }
    return NULL;
}

static json_t *unknown(void)
{
    return json_pack("{s:s}", "error", "there is no table with this name that an option uses; `postern table list` shows all");
}

/* ---- all of them */

static json_t *state_of(const struct worker *w, const char *id)
{
    size_t i;
    json_t *s;
    json_array_foreach(w->table_state, i, s)
        if (slice_eq(json_text(s, "id"), slice_str(id))) return s;
    return NULL;
}

static json_t *one_state(const struct worker *w, struct table *t)
{
    const struct table_source *s = table_source(t);
    const struct snapshot *now = table_snapshot(t);
    json_t *told = w ? state_of(w, s->id) : NULL, *m = told ? json_copy(told) : json_object();
    if (w && !told) json_object_set_new(m, "state", json_string("unknown")); /* by a process that is away, or has not begun */
    json_object_set_new(m, "name", json_string(s->table->name));
    json_object_set_new(m, "use", json_string(uses[s->of]));
    json_object_set_new(m, "newest", json_integer(json_integer_value(json_object_get(m, "made")))); /* that there is on disk */
    json_object_set_new(m, "known", json_boolean(now != NULL));
    json_object_set_new(m, "entries", json_integer(now ? (json_int_t)snapshot_entries(now) : 0));
    json_object_set_new(m, "made", json_integer(now ? (json_int_t)snapshot_made(now) : 0));
    return m;
}

static json_t *list(const struct worker *w, const struct request *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < tables_count(r->tables) && i < ENTRIES_MAX; i++)
        json_array_append_new(all, one_state(w, table_at(r->tables, i)));
    return json_pack("{s:I, s:o}", "generation", (json_int_t)w->start->generation, "tables", all);
}

void worker_add_tables(const struct worker *w, json_t *answer)
{
    json_t *broken = json_array(), *s;
    size_t i, n = tables_count(policy_tables(w->start->policy));
    json_array_foreach(w->table_state, i, s)
        if (slice_eq(json_text(s, "state"), SLICE("broken")) && json_array_size(broken) < BROKEN_MAX) json_array_append(broken, s);
    if (n) json_object_set_new(answer, "tables", json_pack("{s:I, s:O}", "count", (json_int_t)n, "broken", broken));
    json_decref(broken);
}

/* ---- what is in one */

static void set_text(json_t *m, const char *name, const char *text, size_t *bytes)
{
    struct buf clean = { 0 };
    if (!text) return;
    buf_add_printable(&clean, slice_str(text), SHOWN_MAX);
    json_object_set_new(m, name, json_stringn(buf_cstr(&clean), clean.n));
    *bytes += clean.n;
    buf_deinit(&clean);
}

static json_t *entry_json(const struct table *t, const struct snapshot_entry *e, size_t *bytes)
{
    const struct table_source *s = table_source(t);
    json_t *m = json_object();
    set_text(m, "entry", e->match, bytes);
    set_text(m, "value", e->value, bytes);
    set_text(m, "comment", e->comment, bytes);
    set_text(m, "reason", e->reason, bytes);
    if (e->line) json_object_set_new(m, "line", json_integer(e->line));
    if (e->line && s->table->file) set_text(m, "file", s->table->file, bytes);
    *bytes += 100;
    return m;
}

/* From number `after` on; "next" where there are more. */
static json_t *show(const struct request *r, const json_t *request)
{
    json_int_t after = json_integer_value(json_object_get(request, "after")), limit = json_integer_value(json_object_get(request, "limit"));
    size_t at = 0, i = after > 0 ? (size_t)after : 0, bytes = 0;
    struct table *t = next_table(r, &at);
    const struct snapshot *s = t ? table_snapshot(t) : NULL;
    struct snapshot_entry e;
    if (!t) return unknown();
    if (limit <= 0 || limit > ENTRIES_MAX) limit = ENTRIES_MAX;
    json_t *all = json_array(), *m = one_state(NULL, t);
    for (; s && json_array_size(all) < (size_t)limit && bytes < ANSWER_MAX && i < snapshot_entries(s); i++)
        if (snapshot_entry_at(s, i, &e)) json_array_append_new(all, entry_json(t, &e, &bytes));
    json_t *answer = json_pack("{s:o, s:o}", "table", m, "entries", all);
    if (s && i < snapshot_entries(s)) json_object_set_new(answer, "next", json_integer((json_int_t)i));
    return answer;
}

/* ---- what a look-up gives */

/* The nearest entry for a domain or host: itself, then the trees it stands in. */
static bool find_domain(const struct snapshot *s, struct slice domain, struct snapshot_entry *out)
{
    char dotted[260];
    if (snapshot_find_key(s, domain, out)) return true;
    if (!domain.n || domain.n > 255) return false;
    dotted[0] = '.';
    memcpy(dotted + 1, domain.p, domain.n);
    for (struct slice tree = slice_of(dotted, domain.n + 1); tree.n > 1;) {
        if (snapshot_find_key(s, tree, out)) return true;
        ptrdiff_t dot = slice_find(slice_sub(tree, 1, tree.n), '.');
        tree = dot < 0 ? SLICE("") : slice_sub(tree, (size_t)dot + 1, tree.n);
    }
    return false;
}

static bool find_local(const struct snapshot *s, const struct match *m, struct snapshot_entry *out)
{
    char room[80];
    memcpy(room, m->local, m->local_n);
    room[m->local_n] = '@';
    return snapshot_find_key(s, slice_of(room, m->local_n + 1), out);
}

/* As lists do it (config/list.h): mailboxes before expressions before domains. */
static bool find(const struct table *t, struct slice text, const struct match *m, struct snapshot_entry *out)
{
    const struct snapshot *s = table_snapshot(t);
    enum list_of of = table_source(t)->of;
    char room[MATCH_KEY_MAX];
    bool host = m->form == MATCH_NAME || m->form == MATCH_TREE, mailbox = m->form == MATCH_MAILBOX;
    if (m->form == MATCH_NETWORK) return snapshot_find_ip(s, &m->net.ip, out);
    if (m->form == MATCH_EXPRESSION) return false;
    if (!host && snapshot_find_key(s, match_key(m, room), out)) return true;
    if (mailbox && find_local(s, m, out)) return true;
    if (table_find_expression(t, text, out)) return true;
    return (host || (mailbox && of == LIST_OF_ADDRESSES)) && find_domain(s, slice_str(m->domain), out);
}

static json_t *query(const struct request *r, struct slice key)
{
    json_t *all = json_array();
    struct snapshot_entry e;
    struct match m;
    size_t at = 0, bytes = 0, n = 0;
    for (struct table *t; (t = next_table(r, &at)); n++) {
        const char *why = match_parse(key, table_source(t)->of, &m);
        json_t *one = one_state(NULL, t);
        if (why) json_object_set_new(one, "problem", json_string(why));
        else if (table_snapshot(t) && find(t, key, &m, &e)) json_object_set_new(one, "found", entry_json(t, &e, &bytes));
        json_array_append_new(all, one);
    }
    if (n) return json_pack("{s:o}", "tables", all);
    json_decref(all);
    return unknown();
}

/* ---- requests */

/* Of a name: the process passes over those it does not know. */
static json_t *refresh(const struct worker *w, const struct request *r)
{
    size_t at = 0;
    if (r->name.n && !next_table(r, &at)) return unknown();
    json_t *m = json_pack("{s:s}", "op", "refresh");
    if (r->name.n) json_object_set_new(m, "name", json_stringn(r->name.p, r->name.n));
    link_send(w->tables, m);
    return json_pack("{s:b}", "asked", 1);
}

bool worker_table_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    struct request r = { .tables = policy_tables(w->start->policy), .name = json_text(request, "name"), .use = json_text(request, "use") };
    struct slice op = json_text(request, "op");
    if (!slice_starts(op, SLICE("table-"))) return false;
    if (slice_eq(op, SLICE("table-list"))) reply(arg, list(w, &r));
    else if (slice_eq(op, SLICE("table-show"))) reply(arg, show(&r, request));
    else if (slice_eq(op, SLICE("table-query"))) reply(arg, query(&r, json_text(request, "key")));
    else if (slice_eq(op, SLICE("table-refresh"))) reply(arg, refresh(w, &r));
    else return false;
    return true;
}

/* ---- what the tables process tells: it reads what strangers wrote, and what it says goes on into frames of ours */

static json_t *clean_state(const json_t *told)
{
    static const char *const texts[] = { "id", "name", "use", "type", "state", "error", "first", "source" };
    static const char *const numbers[] = { "entries", "made", "tried", "next", "skipped" };
    json_t *m = json_object();
    size_t bytes = 0;
    for (size_t i = 0; i < countof(texts); i++) set_text(m, texts[i], json_string_value(json_object_get(told, texts[i])), &bytes);
    for (size_t i = 0; i < countof(numbers); i++)
        json_object_set_new(m, numbers[i], json_integer(json_integer_value(json_object_get(told, numbers[i]))));
    json_object_set_new(m, "reading", json_boolean(json_is_true(json_object_get(told, "reading"))));
    return m;
}

void worker_on_table_message(void *arg, const json_t *m)
{
    struct worker *w = arg;
    json_t *all, *told;
    size_t i, bytes = 0;
    if (!slice_eq(json_text(m, "op"), SLICE("state"))) return;
    all = json_array();
    json_array_foreach(json_object_get(m, "tables"), i, told) {
        json_t *one = clean_state(told);
        bytes += json_dumpb(one, NULL, 0, JSON_COMPACT);
        if (bytes <= STATES_MAX) json_array_append(all, one);
        json_decref(one);
        if (bytes > STATES_MAX) break;
    }
    json_decref(w->table_state);
    w->table_state = all;
}
