/* SPDX-License-Identifier: Apache-2.0
 * Effective values: from struct config, led by the schema table, to JSON and YAML. */
#include "config/dump.h"
#include <stdio.h>
#include "config/edit.h"
#include "config/value.h"

static json_t *table_json(const struct config *c, const struct schema_table *t, const char *record);

static json_t *text_json(const struct schema_option *o, enum schema_type type, const void *field)
{
    struct buf b = { 0 };
    value_format(o, type, field, &b);
    json_t *out = json_stringn(b.p ? b.p : "", b.n);
    buf_deinit(&b);
    return out;
}

static bool has_more(const struct config_hop *hop)
{
    const struct config_credentials *a = &hop->auth;
    bool token = a->token.command || a->token.endpoint || a->token.client_id || a->token.client_secret_file ||
                 a->token.refresh_token_file || a->token.scope;
    return hop->implicit_tls != (!hop->path && hop->port == 465) || hop->ca || hop->name_n || a->user || a->password ||
           a->password_file || a->methods || token;
}

static json_t *set_json(const struct schema_option *o, uint32_t set)
{
    json_t *out = json_array();
    for (const struct schema_word *w = o->words; w->word; w++) {
        if ((set & w->value) != w->value) continue;
        if (set == w->value) json_array_clear(out); /* a word for all */
        json_array_append_new(out, json_string(w->word));
    }
    return out;
}

/* One line, unless it has a TLS mode or source of its own that is not shown beside it. */
static json_t *hop_json(const struct config *c, const struct schema_table *in, const struct schema_option *o,
                        const struct config_hop *hop)
{
    if (!hop->host) return json_null();
    const struct schema_option *beside = schema_find(in, "tls", 3);
    bool shown_beside = beside && beside->type == SCHEMA_ENUM;
    bool own = hop->tls != c->delivery.tls || hop->source4.family || hop->source6.family;
    bool plain = hop->path || ((shown_beside || !own) && !has_more(hop));
    return plain ? text_json(o, SCHEMA_HOP, hop) : table_json(c, o->table, (const char *)hop);
}

static json_t *list_json(const struct config *c, const struct schema_option *o, const char *record)
{
    const char *array;
    size_t n;
    memcpy(&array, record + o->offset, sizeof array);
    memcpy(&n, record + o->count_offset, sizeof n);
    json_t *out = o->type == SCHEMA_MAP ? json_object() : json_array();
    for (size_t i = 0; i < n; i++) {
        if (o->type == SCHEMA_LIST) {
            json_array_append_new(out, text_json(o, o->item, array + i * value_item_size(o->item)));
            continue;
        }
        const char *at = array + i * o->table->size, *key;
        json_t *item = table_json(c, o->table, at);
        memcpy(&key, at + o->table->key_offset, sizeof key);
        if (o->type == SCHEMA_MAP) json_object_set_new(out, key, item);
        else json_array_append_new(out, item);
    }
    return out;
}

static json_t *sources_json(const struct schema_option *o, const char *record)
{
    const struct ip *ipv4 = (const void *)(record + o->offset), *ipv6 = (const void *)(record + o->count_offset);
    if (!ipv4->family && !ipv6->family) return json_null();
    if (!ipv4->family || !ipv6->family) return text_json(o, SCHEMA_IP, ipv4->family ? ipv4 : ipv6);
    return json_pack("[o, o]", text_json(o, SCHEMA_IP, ipv4), text_json(o, SCHEMA_IP, ipv6));
}

static bool is_instead(const struct schema_option *o, const char *record)
{
    const char *other = NULL;
    if (o->instead_offset) memcpy(&other, record + o->instead_offset, sizeof other);
    return other;
}

static json_t *option_json(const struct config *c, const struct schema_table *in, const struct schema_option *o,
                           const char *record)
{
    const void *field = record + o->offset;
    if (is_instead(o, record) || (o->type <= SCHEMA_SERVER && !*(const char *const *)field)) return json_null();
    switch (o->type) {
    case SCHEMA_GROUP: return table_json(c, o->table, record);
    case SCHEMA_LIST:
    case SCHEMA_RECORDS:
    case SCHEMA_MAP: return list_json(c, o, record);
    case SCHEMA_HOP: return hop_json(c, in, o, field);
    case SCHEMA_BOOL:
        if (o->words) break;
        return json_boolean(*(const bool *)field);
    case SCHEMA_SET: return set_json(o, *(const uint32_t *)field);
    case SCHEMA_ENUM:
        if (!o->fallback && !o->required && *(const uint32_t *)field == o->unset) return json_null();
        break;
    case SCHEMA_NUMBER: return json_integer(*(const uint32_t *)field);
    case SCHEMA_SCORE: return json_real(*(const int32_t *)field / 100.0);
    case SCHEMA_PORT: return json_integer(*(const uint16_t *)field);
    case SCHEMA_ZONE: return *(const int *)field < 0 ? json_null() : json_string(c->zones[*(const int *)field].name);
    case SCHEMA_IP: return ((const struct ip *)field)->family ? text_json(o, o->type, field) : json_null();
    case SCHEMA_SOURCES: return sources_json(o, record);
    case SCHEMA_LISTENER: return *(const int *)field < 0 ? json_null() : text_json(o, SCHEMA_ENDPOINT, &c->listeners[*(const int *)field].ip);
    case SCHEMA_STRING:
    case SCHEMA_SECRET:
    case SCHEMA_MAILBOX:
    case SCHEMA_PEER:
    case SCHEMA_HOST:
    case SCHEMA_DNS_NAME:
    case SCHEMA_PATH:
        if (!**(const char *const *)field && !o->empty && o->type != SCHEMA_SECRET) return json_null();
        break;
    default: break;
    }
    return text_json(o, o->type, field);
}

static json_t *table_json(const struct config *c, const struct schema_table *t, const char *record)
{
    json_t *out = json_object();
    for (size_t i = 0; i < t->n; i++)
        json_object_set_new(out, t->options[i].name, option_json(c, t, &t->options[i], record));
    return out;
}

json_t *config_to_json(const struct config *c)
{
    return table_json(c, &schema_root, (const char *)c);
}

json_t *config_json_at(json_t *root, const char *path, struct err *err)
{
    struct edit_path p;
    if (!edit_path_parse(path, &p, err)) return NULL;
    json_t *at = root;
    for (size_t i = 0; i < p.n; i++) {
        const struct edit_step *s = &p.steps[i];
        char name[EDIT_NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(s->name));
        at = s->kind == EDIT_NAME    ? json_object_get(at, name)
             : s->kind == EDIT_INDEX ? json_array_get(at, s->index)
                                     : NULL;
        if (!at) {
            err_set(err, "there is no %s", path);
            return NULL;
        }
    }
    return at;
}

static bool plain_scalar(struct slice s)
{
    static const char inner[] = "._/@%+=~-:";
    if (!s.n || s.n > 200 || slice_eq(s, SLICE("~")) || slice_ieq(s, SLICE("null"))) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool minus = c == '-' && s.n > 1 && s.p[1] >= '0' && s.p[1] <= '9'; /* of a number */
        if (i == 0 && !alnum && !minus && c != '/' && c != '.' && c != '_') return false;
        if (c == ' ' && i + 1 < s.n && s.p[i + 1] != ' ' && s.p[i + 1] != '#' && s.p[i - 1] != ':') continue;
        if (!alnum && (!c || !strchr(inner, c))) return false;
        if (c == ':' && (i + 1 == s.n || s.p[i + 1] == ' ')) return false;
    }
    return true;
}

void yaml_add_scalar(struct buf *out, struct slice s)
{
    if (plain_scalar(s)) {
        buf_add(out, s);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F) buf_addf(out, "\\x%02x", c);
        else buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
}

static void add_scalar(struct buf *out, const json_t *v)
{
    if (json_is_boolean(v)) buf_add_str(out, json_is_true(v) ? "yes" : "no");
    else if (json_is_integer(v)) buf_addf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v)) value_format_score((int64_t)(json_real_value(v) * 100 + (json_real_value(v) < 0 ? -0.5 : 0.5)), out);
    else yaml_add_scalar(out, slice_of(json_string_value(v), json_string_length(v)));
}

static bool is_leaf_list(const json_t *v)
{
    return json_is_array(v) && (!json_array_size(v) || !json_is_object(json_array_get(v, 0)));
}

static void add_leaf_list(struct buf *out, const json_t *v)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i) buf_add_str(out, ", ");
        add_scalar(out, json_array_get(v, i));
    }
    buf_add_char(out, ']');
}

static void add_block(struct buf *out, const json_t *v, int indent, bool first_here);

static void add_entry(struct buf *out, const char *key, const json_t *v, int indent, bool here)
{
    buf_addf(out, "%*s%s:", here ? 0 : indent, "", key);
    if (is_leaf_list(v)) {
        buf_add_char(out, ' ');
        add_leaf_list(out, v);
    } else if (json_is_object(v) || json_is_array(v)) {
        if (json_is_object(v) && !json_object_size(v)) buf_add_str(out, " {}");
        buf_add_char(out, '\n');
        add_block(out, v, indent + 2, false);
        return;
    } else {
        buf_add_char(out, ' ');
        add_scalar(out, v);
    }
    buf_add_char(out, '\n');
}

/* first_here: the first entry continues the line ("- name: ..."). */
static void add_block(struct buf *out, const json_t *v, int indent, bool first_here)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach((json_t *)v, i, item) {
            buf_addf(out, "%*s- ", indent, "");
            add_block(out, item, indent + 2, true);
        }
        return;
    }
    json_object_foreach((json_t *)v, key, item) {
        if (json_is_null(item)) continue;
        add_entry(out, key, item, indent, first_here);
        first_here = false;
    }
}

void config_json_yaml(const json_t *v, struct buf *out)
{
    if (json_is_null(v)) return;
    if (json_is_string(v)) buf_add(out, slice_of(json_string_value(v), json_string_length(v)));
    else if (is_leaf_list(v)) add_leaf_list(out, v);
    else if (json_is_object(v) || json_is_array(v)) {
        add_block(out, v, 0, false);
        return;
    } else add_scalar(out, v);
    buf_add_char(out, '\n');
}
