/* SPDX-License-Identifier: Apache-2.0
 * Tables: each has what its type needs and nothing else, is there where an option names it, and fits what it is needed for. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/parse.h"
#include "config/schema_table.h"

/* ---- the tables themselves */

#define IS(type) (1u << CONFIG_TABLE_##type)
#define FILES (IS(ANY) | IS(EXACT) | IS(CIDR) | IS(PCRE))
static const struct {
    const char *name;
    uint32_t of, needed; /* types that know it, and that cannot be without */
} options[] = {
    { "file", FILES | IS(SQLITE), FILES | IS(SQLITE) },
    { "refresh", IS(LDAP) | IS(SQLITE) | IS(POSTGRESQL), 0 },
    { "query", IS(SQLITE) | IS(POSTGRESQL), IS(SQLITE) | IS(POSTGRESQL) },
    { "connection", IS(POSTGRESQL), IS(POSTGRESQL) },
    { "password_file", IS(LDAP) | IS(POSTGRESQL), 0 },
    { "ldap", IS(LDAP), IS(LDAP) },
};

static const struct schema_option *option_of(const struct schema_table *t, const char *name) { return schema_find(t, name, strlen(name)); }

static const char *type_word(const struct check *k, const struct config_table *t)
{
    struct buf b = { 0 };
    value_format(option_of(&schema_table, "type"), SCHEMA_ENUM, &t->type, &b);
    const char *out = report_text(k->report, "%s", buf_cstr(&b));
    buf_deinit(&b);
    return out;
}

static void missing(const struct check *k, const struct config_table *t, const struct schema_option *o, const struct yaml_node *where)
{
    yaml_error(k->report, where, o->example ? report_text(k->report, "add for example %s: %s", o->name, o->example) : NULL,
               "a table of type %s needs %s", type_word(k, t), o->name);
}

/* Does the table have more than defaults there? These are shown of each. */
static bool says_something(const struct config_table *t, const char *name, const struct yaml_node *written)
{
    const char *fallback = option_of(&schema_table, name)->fallback;
    if (strcmp(name, "ldap") != 0) return !fallback || !slice_eq(written->text, slice_str(fallback));
    return t->ldap.url || t->ldap.starttls || t->ldap.ca || t->ldap.base || t->ldap.filter || t->ldap.user_dn || t->ldap.key || t->ldap.value;
}

static void check_options(const struct check *k, const struct config_table *t, const struct yaml_node *node)
{
    uint32_t type = 1u << t->type;
    for (size_t i = 0; i < countof(options); i++) {
        const struct yaml_node *written = yaml_get(node, options[i].name);
        if (written && !(options[i].of & type) && says_something(t, options[i].name, written))
            yaml_error(k->report, written, "remove it, or write another type", "%s is nothing for a table of type %s", options[i].name,
                       type_word(k, t));
        else if (!written && options[i].needed & type) {
            if (t->type == CONFIG_TABLE_LDAP)
                yaml_error(k->report, node, "add ldap: {url: ldaps://dc.example.com, base: \"dc=example,dc=com\", filter: \"(mail=*)\", key: mail}",
                           "a table of type ldap needs ldap");
            else missing(k, t, option_of(&schema_table, options[i].name), node);
        }
    }
}

static bool starts(const char *url, const char *scheme) { return slice_istarts(slice_str(url), slice_str(scheme)); }

static void check_directory(const struct check *k, const struct config_table *t, const struct yaml_node *node)
{
    const struct yaml_node *ldap = yaml_get(node, "ldap"), *url = yaml_get(ldap, "url");
    static const char *const needed[] = { "url", "base", "filter", "key" };
    const char *at = t->ldap.url;
    if (t->type != CONFIG_TABLE_LDAP || !ldap) return;
    for (size_t i = 0; i < countof(needed); i++)
        if (!yaml_get(ldap, needed[i])) missing(k, t, option_of(option_of(&schema_table, "ldap")->table, needed[i]), ldap);
    check_file(k, yaml_get(ldap, "ca"), t->ldap.ca, CHECK_FILE);
    if (!t->ldap.user_dn != !t->password_file)
        yaml_error(k->report, yaml_either(yaml_get(ldap, "user_dn"), yaml_get(node, "password_file")),
                   "set both, or neither for an anonymous search", "ldap.user_dn and password_file belong together");
    if (at && !starts(at, "ldap://") && !starts(at, "ldaps://") && !starts(at, "ldapi://"))
        yaml_error(k->report, url, "write for example ldaps://dc.example.com", "this is not the address of an LDAP server");
    else if (at && t->ldap.starttls && !starts(at, "ldap://"))
        yaml_error(k->report, yaml_get(ldap, "starttls"), "leave starttls out", "it is for ldap:// only");
    else if (at && t->ldap.user_dn && starts(at, "ldap://") && !t->ldap.starttls && !check_is_here(slice_str(at + 7)))
        yaml_warning(k->report, url, "use ldaps://, or set starttls: yes", "the password crosses the network unencrypted");
}

/* What libpq reads as "word=", in its two forms: blanks may be around the sign, and % before what a URI has of it. */
static const char *word_of(const char *connection, const char *word)
{
    for (const char *at = connection; (at = strstr(at, word)); at++) {
        const char *end = at + strlen(word);
        end += strspn(end, " \t\r\n\f\v");
        if (*end == '=') return end + 1 + strspn(end + 1, " \t\r\n\f\v");
    }
    return NULL;
}

/* The host: of a URI what stands between its user and the port, the path or the end. */
static struct slice host_of(const char *connection)
{
    const char *url = strstr(connection, "://"), *host = word_of(connection, "host"), *numeric = word_of(connection, "hostaddr");
    if (host || numeric) return slice_of(host ? host : numeric, strcspn(host ? host : numeric, " &\t"));
    if (!url) return SLICE("");
    size_t n = strcspn(url + 3, "/?");
    const char *at = memchr(url + 3, '@', n), *begin = at ? at + 1 : url + 3;
    size_t address = *begin == '[' ? strcspn(begin, "]") : 0;
    return slice_of(begin, address + strcspn(begin + address, ":/?"));
}

/* A connection over the network that libpq may make without TLS. */
static bool may_be_clear(const char *connection)
{
    struct slice host = host_of(connection);
    return host.n && !strstr(connection, "sslmode") && !slice_starts(host, SLICE("/")) && !slice_starts(host, SLICE("%2")) && !check_is_here(host);
}

static void check_connection(const struct check *k, const struct config_table *t, const struct yaml_node *node)
{
    const struct yaml_node *where = yaml_get(node, "connection");
    if (t->type != CONFIG_TABLE_POSTGRESQL || !t->connection) return;
    const char *url = strstr(t->connection, "://"), *at = url ? strchr(url, '@') : NULL, *colon = url ? strchr(url + 3, ':') : NULL;
    if (word_of(t->connection, "password") || (at && colon && colon < at))
        yaml_error(k->report, where, "write it into a file of its own: password_file", "a password does not belong here");
    else if (may_be_clear(t->connection))
        yaml_warning(k->report, where, "add sslmode=verify-full", "without sslmode the connection need not be encrypted");
}

/* What the query begins with: behind blanks, comments and brackets. */
static struct slice first_word(const char *query)
{
    query += strspn(query, " (");
    while (query[0] == '/' && query[1] == '*') {
        const char *end = strstr(query, "*/");
        if (!end) return SLICE("");
        query = end + 2 + strspn(end + 2, " (");
    }
    return slice_of(query, strspn(query, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"));
}

static void check_query(const struct check *k, const struct config_table *t, const struct yaml_node *node)
{
    bool postgresql = t->type == CONFIG_TABLE_POSTGRESQL;
    if (!t->query || (!postgresql && t->type != CONFIG_TABLE_SQLITE)) return;
    struct slice word = first_word(t->query);
    if (slice_ieq(word, SLICE("SELECT")) || slice_ieq(word, SLICE("WITH"))) return;
    if (postgresql && (slice_ieq(word, SLICE("VALUES")) || slice_ieq(word, SLICE("TABLE")))) return;
    yaml_error(k->report, yaml_get(node, "query"), "write for example SELECT address, target FROM aliases",
               "it must begin with SELECT or WITH%s", postgresql ? ", VALUES or TABLE" : "");
}

static void check_table(const struct check *k, const struct config_table *t, const struct yaml_node *node)
{
    const struct yaml_node *type = yaml_get(node, "type");
    if (node->kind != YAML_GROUP) { /* "lan:" with nothing behind it */
        if (yaml_is_null(node)) missing(k, t, option_of(&schema_table, "file"), node);
        return;
    }
    if (type && (type->kind != YAML_SCALAR || !slice_eq(type->text, slice_str(type_word(k, t))))) return; /* told already */
    check_options(k, t, node);
    if (options[0].of & 1u << t->type) check_file(k, yaml_get(node, "file"), t->file, CHECK_FILE_LATER);
    check_file(k, yaml_get(node, "password_file"), t->password_file, CHECK_FILE_SECRET_LATER);
    check_directory(k, t, node);
    check_connection(k, t, node);
    check_query(k, t, node);
}

/* ---- where they are named */

static const struct config_table *find_table(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->table_n; i++)
        if (slice_eq(slice_str(c->tables[i].name), name)) return &c->tables[i];
    return NULL;
}

/* Why a table of this type is of no use there, or NULL. */
static const char *unfit(const struct config_table *t, enum list_of of)
{
    if (t->type == CONFIG_TABLE_CIDR && of != LIST_OF_CLIENTS) return "has networks, which are for clients only";
    if (t->type == CONFIG_TABLE_PCRE && of != LIST_OF_CLIENTS && of != LIST_OF_ADDRESSES)
        return "has regular expressions, which are for clients, senders and recipients only";
    if (t->type == CONFIG_TABLE_LDAP && list_has_values(of) && !t->ldap.value) return "gives no values: ldap.value is missing";
    return NULL;
}

void check_table_name(const struct check *k, const char *name, enum list_of of, const struct yaml_node *node)
{
    const struct config *c = k->c;
    if (!node || !name || !name[0]) return;
    const struct config_table *t = find_table(c, slice_str(name));
    const char *why = t ? unfit(t, of) : NULL;
    if (why) yaml_error(k->report, node, "name another table", "the table %s (line %u) %s", t->name, t->place.line, why);
    if (t) return;
    const char **names = mem_zalloc((c->table_n + 1) * sizeof *names);
    for (size_t i = 0; i < c->table_n; i++) names[i] = c->tables[i].name;
    const char *near = suggest(slice_str(name), names, c->table_n);
    yaml_error(k->report, node, near ? report_text(k->report, "did you mean %s?", near) : "declare it below tables:", "there is no table \"%s\"",
               report_quote(k->report, slice_str(name)));
    free(names);
}

/* Options that take a table all call it so. */
static void mark_named(const struct check *k, const struct yaml_node *node, bool *named)
{
    for (; node; node = node->next) {
        const struct config_table *t = slice_eq(node->key, SLICE("table")) && node->kind == YAML_SCALAR ? find_table(k->c, node->text) : NULL;
        if (t) named[t - k->c->tables] = true;
        mark_named(k, node->children, named);
    }
}

void check_tables(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *node = yaml_first(k->root, "tables");
    bool *named = mem_zalloc(c->table_n + 1);
    if (c->table_n) mark_named(k, k->root, named);
    for (size_t i = 0; i < c->table_n && node; i++, node = node->next) {
        check_table(k, &c->tables[i], node);
        if (!named[i] && c->tables[i].name[0])
            yaml_warning(k->report, node, report_text(k->report, "name it in a list: {table: %s}, or remove it", c->tables[i].name),
                         "no option names this table");
    }
    free(named);
}
