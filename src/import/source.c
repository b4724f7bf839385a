/* SPDX-License-Identifier: Apache-2.0
 * Directories and databases: what Postfix asks for one key at a time is here read as a whole, so the query must be one that can be. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

#define SETTINGS_MAX 60

struct settings {
    struct slice names[SETTINGS_MAX], values[SETTINGS_MAX];
    size_t n;
};

static struct slice get(const struct settings *s, const char *name)
{
    for (size_t i = s->n; i-- > 0;)
        if (slice_eq(s->names[i], slice_str(name))) return s->values[i];
    return SLICE("");
}

static bool read_settings(struct import *im, const char *path, const struct import_from *from, struct settings *out)
{
    struct import_text *t = import_open(im, path, from);
    struct slice line, name;
    struct import_from at;
    if (!t) return false;
    t->secret = true;
    while (import_next(im, t, &line, &at) && out->n < SETTINGS_MAX) {
        if (!slice_cut(&line, '=', &name)) continue;
        out->names[out->n] = slice_trim(name);
        out->values[out->n++] = slice_trim(line);
    }
    return true;
}

/* A filter or condition with "key=%s" in it, and nothing else of the key: "(mail=%s)" asks for all as "(mail=*)". */
static bool whole_filter(struct import *im, struct slice filter, const char **all, const char **attribute)
{
    const char *text = import_str(im, filter), *at = strstr(text, "=%s");
    if (!at || strchr(at + 1, '%') != at + 1 || strchr(at + 2, '%')) return false;
    const char *name = at;
    while (name > text && name[-1] != '(' && name[-1] != ')') name--;
    if (at[3] != ')' && at[3]) return false;
    *attribute = arena_printf(&im->arena, "%.*s", (int)(at - name), name);
    *all = arena_printf(&im->arena, "%.*s=*%s", (int)(at - text), text, at + 3);
    return name[0] && at > name;
}

static const char *make_ldap(struct import *im, const struct settings *s, const char *name, const struct import_from *from)
{
    struct slice hosts = get(s, "server_host"), host, attribute = get(s, "result_attribute"), filter = get(s, "query_filter"), dn = get(s, "bind_dn");
    const char *all, *key, *secret = NULL;
    if (!import_word(&hosts, &host)) host = SLICE("localhost");
    if (!filter.n) filter = SLICE("(mailacceptinggeneralid=%s)");
    if (!attribute.n) attribute = SLICE("maildrop");
    if (!whole_filter(im, filter, &all, &key) || get(s, "result_format").n || get(s, "special_result_attribute").n || get(s, "leaf_result_attribute").n) {
        left_out(im, from, "write a table of type ldap whose filter finds all entries, with key and value",
                 "its query cannot be made one for all entries");
        return NULL;
    }
    if (dn.n && get(s, "bind_pw").n && !(secret = import_keep(im, "secrets", slice_str(name), get(s, "bind_pw"), true)))
        left_out(im, from, "write it to a file, and name that as password_file", "its password can only be kept beside a configuration (-o FILE)");
    const char *url = slice_ihas(host, SLICE("://")) ? import_str(im, host) : arena_printf(&im->arena, "ldap://%s", import_str(im, host));
    struct buf b = { 0 };
    buf_addf(&b, "%s:\n  type: ldap\n", name);
    if (secret) buf_addf(&b, "  password_file: %s\n", secret);
    buf_addf(&b, "  ldap:\n    url: %s\n", import_scalar(im, slice_str(url)));
    if (slice_ieq(get(s, "start_tls"), SLICE("yes"))) buf_add_str(&b, "    starttls: yes\n");
    buf_addf(&b, "    base: %s\n    filter: %s\n", import_scalar(im, get(s, "search_base")), import_scalar(im, slice_str(all)));
    if (dn.n && secret) buf_addf(&b, "    user_dn: %s\n", import_scalar(im, dn));
    buf_addf(&b, "    key: %s", import_scalar(im, slice_str(key)));
    if (!slice_ieq(attribute, slice_str(key))) buf_addf(&b, "\n    value: %s", import_scalar(im, attribute));
    import_put(im, PUT_TABLES, from, "%s", buf_cstr(&b));
    buf_deinit(&b);
    different(im, from, "try it: postern table list", "the directory is read as a whole, again and again, and not asked for each recipient");
    return name;
}

/* "SELECT a FROM t WHERE b = '%s' [AND ...]" asks for all as "SELECT b, a FROM t [WHERE ...]". */
static const char *whole_query(struct import *im, struct slice query)
{
    struct buf b = { 0 };
    const char *text = import_str(im, query), *where = strcasestr(text, " where "), *value = strstr(text, "'%s'");
    const char *from = strcasestr(text, " from ");
    if (!slice_istarts(query, SLICE("select ")) || !from || !where || !value || value < where || strcasestr(text, " union ") || strchr(value + 4, '%') ||
        memchr(text, '%', (size_t)(value - text)) || strcasestr(text, " or ") || strchr(text, ';'))
        return NULL;
    const char *end = value;
    while (end > where && (end[-1] == ' ' || end[-1] == '=')) end--;
    const char *start = end;
    while (start > where && start[-1] != ' ' && start[-1] != '(') start--;
    if (start == end || end == value || start[-1] == '(') return NULL;
    const char *after = value + 4;
    while (*after == ' ') after++;
    struct slice before = slice_trim(slice_of(where + 7, (size_t)(start - where - 7)));
    bool more = slice_istarts(slice_str(after), SLICE("and "));
    if ((*after && !more) || (before.n && !slice_iends(before, SLICE(" and")))) return NULL;
    struct slice what = slice_trim(slice_of(text + 7, (size_t)(from - text - 7))), column = slice_of(start, (size_t)(end - start));
    buf_addf(&b, "SELECT %.*s", SLICE_ARG(column));
    if (!slice_ieq(what, column)) buf_addf(&b, ", %.*s", SLICE_ARG(what));
    buf_addf(&b, "%.*s", (int)(where - from), from);
    if (before.n || more) buf_addf(&b, " WHERE %.*s", (int)(before.n ? before.n - (more ? 0 : 4) : 0), before.n ? before.p : "");
    if (more) buf_addf(&b, "%s%s", before.n ? " " : "", after + 4);
    return buf_keep(&b, &im->arena).p;
}

static const char *make_sql(struct import *im, const char *type, const struct settings *s, const char *name, const struct import_from *from)
{
    struct slice query = get(s, "query"), hosts = get(s, "hosts"), host;
    bool pgsql = !strcmp(type, "pgsql");
    const char *all = query.n && !get(s, "result_format").n ? whole_query(im, query) : NULL, *secret = NULL;
    if (!all) {
        left_out(im, from, "write a table of type postgresql or sqlite with a query for all entries", "its query cannot be made one for all entries");
        return NULL;
    }
    struct buf b = { 0 };
    buf_addf(&b, "%s:\n  type: %s\n", name, pgsql ? "postgresql" : "sqlite");
    if (!pgsql) buf_addf(&b, "  file: %s\n", import_scalar(im, get(s, "dbpath")));
    else {
        if (get(s, "password").n && !(secret = import_keep(im, "secrets", slice_str(name), get(s, "password"), true)))
            left_out(im, from, "write it to a file, and name that as password_file", "its password can only be kept beside a configuration (-o FILE)");
        struct buf c = { 0 };
        if (!import_word(&hosts, &host)) host = SLICE("localhost");
        if (slice_starts(host, SLICE("inet:"))) host = slice_sub(host, 5, host.n);
        if (slice_starts(host, SLICE("unix:"))) host = slice_sub(host, 5, host.n);
        buf_addf(&c, "host=%.*s dbname=%.*s", SLICE_ARG(host), SLICE_ARG(get(s, "dbname")));
        if (get(s, "user").n) buf_addf(&c, " user=%.*s", SLICE_ARG(get(s, "user")));
        buf_addf(&b, "  connection: %s\n", import_scalar(im, buf_slice(&c)));
        buf_deinit(&c);
        if (secret) buf_addf(&b, "  password_file: %s\n", secret);
    }
    buf_addf(&b, "  query: %s", import_scalar(im, slice_str(all)));
    import_put(im, PUT_TABLES, from, "%s", buf_cstr(&b));
    buf_deinit(&b);
    different(im, from, "try it: postern table list", "the database is read as a whole, again and again, and not asked for each recipient");
    return name;
}

/* What it is called in `tables`: after its file, and not as another one. */
static const char *name_of(struct import *im, const char *path)
{
    const char *last = strrchr(path, '/');
    struct slice base = slice_str(last ? last + 1 : path);
    struct buf b = { 0 };
    if (slice_iends(base, SLICE(".cf"))) base.n -= 3;
    for (size_t i = 0; i < base.n && i < 40; i++) {
        char c = ascii_lower(base.p[i]);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9' && i);
        if (fine || i) buf_add_char(&b, fine ? c : '-');
    }
    const char *first = b.n ? buf_keep(&b, &im->arena).p : "table", *name = first;
    buf_deinit(&b);
    for (size_t i = 0, n = 2; i < im->source_n; i++)
        if (im->sources[i].name && !strcmp(im->sources[i].name, name)) name = arena_printf(&im->arena, "%s-%zu", first, n++), i = (size_t)-1;
    return name;
}

static const char *make_source(struct import *im, const char *type, const char *path, const struct import_from *from)
{
    struct settings s = { .n = 0 };
    if (!strcmp(type, "mysql")) {
        left_out(im, from, "export its entries to a file, again and again, and name that in a table", "MySQL cannot be read here");
        return NULL;
    }
    if (path[0] != '/' && !strchr(path, '/') && !strchr(path, '.')) { /* the old way: NAME_query in main.cf */
        left_out(im, from, "move its settings to a file of their own", "its settings in main.cf itself are not understood");
        return NULL;
    }
    if (!read_settings(im, path, from, &s)) return NULL;
    const char *name = name_of(im, path);
    return !strcmp(type, "ldap") ? make_ldap(im, &s, name, from) : make_sql(im, type, &s, name, from);
}

const char *import_source(struct import *im, const char *type, const char *path, const struct import_from *from)
{
    for (size_t i = 0; i < im->source_n; i++)
        if (!strcmp(im->sources[i].type, type) && !strcmp(im->sources[i].path, path)) return im->sources[i].name;
    const char *name = make_source(im, type, path, from);
    import_grow(im->sources, im->source_n, im->source_cap);
    im->sources[im->source_n++] = (struct import_known_source){ type, path, name };
    return name;
}
