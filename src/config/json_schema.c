/* SPDX-License-Identifier: Apache-2.0
 * The JSON Schema (draft 2020-12) of the configuration file, made from the tables: for editors and other programs. */
#include <string.h>
#include "base/mem.h"
#include "base/slice.h"
#include "config/dns_catalogue.h"
#include "config/dump.h"
#include "config/schema.h"

static json_t *table_schema(const struct schema_table *t, bool full);

static json_t *pattern(const char *regex)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", regex);
}

static json_t *either(json_t *a, json_t *b)
{
    return json_pack("{s:[o, o]}", "anyOf", a, b);
}

static json_t *integer(const struct schema_option *o)
{
    json_t *out = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)o->min);
    if (o->max) json_object_set_new(out, "maximum", json_integer((json_int_t)o->max));
    return out;
}

/* Words that look like numbers ("1.2") are numbers to most YAML readers. */
static json_t *words(const struct schema_option *o)
{
    json_t *list = json_array();
    for (const struct schema_word *w = o->words; w->word; w++) {
        if (w->planned || w->refused) continue;
        if (!strcmp(w->word, "off")) json_array_append_new(list, json_false());
        json_array_append_new(list, json_string(w->word));
        if (w->word[0] >= '0' && w->word[0] <= '9') json_array_append_new(list, json_real(w->value / 10.0));
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *scalar_schema(const struct schema_option *o, enum schema_type type)
{
    switch (type) {
    case SCHEMA_BOOL:
        if (o->words) return words(o);
        return json_pack("{s:[b, b, s, s, s, s]}", "enum", 1, 0, "yes", "no", "on", "off");
    case SCHEMA_NUMBER:
    case SCHEMA_PORT: return integer(o);
    case SCHEMA_SCORE:
        return json_pack("{s:s, s:f, s:f}", "type", "number", "minimum", (double)(int64_t)o->min / 100, "maximum",
                         (double)(int64_t)o->max / 100);
    case SCHEMA_CLOCK: return pattern("^([01]?[0-9]|2[0-3]):[0-5][0-9]$");
    case SCHEMA_PERCENT: return either(integer(o), pattern("^[0-9]+ ?%$"));
    case SCHEMA_SIZE: return either(integer(o), pattern("^[0-9]+ ?([KMGTkmgt]i?)?[Bb]?$"));
    case SCHEMA_TIME: return either(json_pack("{s:i}", "const", 0), pattern("^([0-9]+(ms|s|m|h|d|w) ?)+$"));
    case SCHEMA_ENUM:
    case SCHEMA_SET: return words(o);
    case SCHEMA_NETWORK: return pattern("^[0-9A-Fa-f.:]+(/[0-9.]+)?$");
    case SCHEMA_MAC: return pattern("^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$");
    case SCHEMA_LISTENER:
    case SCHEMA_ENDPOINT: return pattern("^(\\*|[0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]+$");
    case SCHEMA_HOP: return either(json_pack("{s:s}", "type", "string"), json_pack("{s:s}", "$ref", "#/$defs/hop"));
    default: return json_pack("{s:s}", "type", "string");
    }
}

static json_t *word_list(struct slice text)
{
    json_t *out = json_array();
    struct slice word;
    for (bool more = true; more;) {
        more = slice_cut(&text, ',', &word);
        word = slice_trim(word);
        json_array_append_new(out, json_stringn(word.p, word.n));
    }
    return out;
}

static json_t *option_schema(const struct schema_option *o, bool full)
{
    json_t *out;
    switch (o->type) {
    case SCHEMA_GROUP: out = table_schema(o->table, full); break;
    case SCHEMA_RECORDS: {
        json_t *item = table_schema(o->table, full);
        if (o->table->scalar) item = either(json_pack("{s:s}", "type", "string"), item);
        out = json_pack("{s:s, s:o}", "type", "array", "items", item);
        break;
    }
    case SCHEMA_MAP:
        out = json_pack("{s:s, s:o}", "type", "object", "additionalProperties", table_schema(o->table, full));
        break;
    case SCHEMA_LIST:
    case SCHEMA_SET: {
        enum schema_type item = o->type == SCHEMA_SET ? SCHEMA_SET : o->item;
        out = either(scalar_schema(o, item), json_pack("{s:s, s:o}", "type", "array", "items", scalar_schema(o, item)));
        break;
    }
    case SCHEMA_SOURCES:
        out = either(json_pack("{s:s}", "type", "string"),
                     json_pack("{s:s, s:{s:s}, s:i}", "type", "array", "items", "type", "string", "maxItems", 2));
        break;
    default: out = scalar_schema(o, o->type); break;
    }
    json_object_set_new(out, "description", json_string(o->help));
    uint64_t n;
    bool number = (o->type == SCHEMA_NUMBER || o->type == SCHEMA_PORT) && o->fallback &&
                  slice_to_u64(slice_str(o->fallback), INT64_MAX, &n);
    if (o->fallback && (o->type == SCHEMA_SET || o->type == SCHEMA_LIST)) json_object_set_new(out, "default", word_list(slice_str(o->fallback)));
    else if (o->fallback && o->type == SCHEMA_SCORE) json_object_set_new(out, "default", json_loads(o->fallback, JSON_DECODE_ANY, NULL));
    else if (o->fallback)
        json_object_set_new(out, "default", number ? json_integer((json_int_t)n) : json_string(o->fallback));
    if (o->example) json_object_set_new(out, "examples", json_pack("[s]", o->example));
    return out;
}

/* ---- what forms want to know beside it */

static const char *const kinds[] = {
    [SCHEMA_STRING] = "text",     [SCHEMA_SECRET] = "secret",       [SCHEMA_HOST] = "host",       [SCHEMA_DOMAIN] = "domain",
    [SCHEMA_DNS_NAME] = "dns-name", [SCHEMA_DOMAIN_TREE] = "domain-tree", [SCHEMA_PEER] = "peer", [SCHEMA_MAILBOX] = "mailbox",
    [SCHEMA_RECIPIENT] = "recipient", [SCHEMA_LOCAL] = "local",     [SCHEMA_ALIAS] = "alias",     [SCHEMA_TARGET] = "target",
    [SCHEMA_MAC] = "mac",         [SCHEMA_NAME] = "name",           [SCHEMA_PATH] = "path",       [SCHEMA_SERVER] = "server",
    [SCHEMA_BOOL] = "bool",       [SCHEMA_NUMBER] = "number",       [SCHEMA_PERCENT] = "percent", [SCHEMA_SCORE] = "score",
    [SCHEMA_CLOCK] = "clock",     [SCHEMA_PORT] = "port",           [SCHEMA_SIZE] = "size",       [SCHEMA_TIME] = "time",
    [SCHEMA_ENUM] = "enum",       [SCHEMA_SET] = "set",             [SCHEMA_IP] = "ip",           [SCHEMA_SOURCES] = "sources",
    [SCHEMA_NETWORK] = "network", [SCHEMA_ENDPOINT] = "endpoint",   [SCHEMA_ZONE] = "zone",       [SCHEMA_LISTENER] = "listener",
    [SCHEMA_HOP] = "hop",         [SCHEMA_LIST] = "list",           [SCHEMA_GROUP] = "group",     [SCHEMA_RECORDS] = "records",
    [SCHEMA_MAP] = "map",
};

static const char *unit_of(enum schema_type type)
{
    return type == SCHEMA_SIZE ? "bytes" : type == SCHEMA_TIME ? "ms" : type == SCHEMA_PERCENT ? "percent" : type == SCHEMA_SCORE ? "points" : NULL;
}

static json_t *word_details(const struct schema_word *w)
{
    json_t *all = json_array();
    for (; w->word; w++) {
        json_t *one = json_pack("{s:s}", "word", w->word);
        if (w->planned) json_object_set_new(one, "planned", json_true());
        if (w->refused) json_object_set_new(one, "refused", json_string(w->refused));
        json_array_append_new(all, one);
    }
    return all;
}

static void add_bounds(json_t *out, const struct schema_option *o)
{
    if (o->type != SCHEMA_SIZE && o->type != SCHEMA_TIME && o->type != SCHEMA_PERCENT) return;
    json_object_set_new(out, "minimum", json_integer((json_int_t)o->min));
    if (o->max) json_object_set_new(out, "maximum", json_integer((json_int_t)o->max));
}

static void add_form(json_t *out, const struct schema_option *o, size_t place)
{
    json_object_set_new(out, "x-type", json_string(kinds[o->type]));
    json_object_set_new(out, "x-type-text", json_string(schema_type_name(o)));
    json_object_set_new(out, "x-place", json_integer((json_int_t)place));
    if (o->type == SCHEMA_LIST) json_object_set_new(out, "x-item", json_string(kinds[o->item]));
    if (unit_of(o->type)) json_object_set_new(out, "x-unit", json_string(unit_of(o->type)));
    if (o->shown) json_object_set_new(out, "x-default-text", json_string(o->shown));
    if (o->words) json_object_set_new(out, "x-words", word_details(o->words));
    if (o->required) json_object_set_new(out, "x-required", json_true());
    if (o->nullable) json_object_set_new(out, "x-nullable", json_true());
    if (o->table && o->table->scalar) json_object_set_new(out, "x-scalar", json_string(o->table->scalar));
    add_bounds(out, o);
}

/* "oneOf", "anyOf" of what must be written. */
static void add_choice(json_t *out, const char *key, const char *const names[2])
{
    if (names[0])
        json_object_set_new(out, key, json_pack("[{s:[s]}, {s:[s]}]", "required", names[0], "required", names[1]));
}

static json_t *table_schema(const struct schema_table *t, bool full)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < t->n; i++) {
        json_t *option = option_schema(&t->options[i], full);
        if (full) add_form(option, &t->options[i], i);
        json_object_set_new(properties, t->options[i].name, option);
        if (t->options[i].required) json_array_append_new(required, json_string(t->options[i].name));
    }
    json_t *out = json_pack("{s:[s, s], s:o, s:b}", "type", "object", "null", "properties", properties,
                            "additionalProperties", 0);
    if (json_array_size(required)) {
        json_object_set(out, "required", required);
        json_object_set_new(out, "type", json_string("object"));
    }
    json_decref(required);
    if (t->just_one[0]) json_object_set_new(out, "type", json_string("object"));
    add_choice(out, "oneOf", t->just_one);
    add_choice(out, "anyOf", t->any);
    return out;
}

static json_t *make(bool full)
{
    json_t *out =
        json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title", "postern.yaml");
    json_t *root = table_schema(&schema_root, full);
    json_object_update(out, root);
    json_decref(root);
    json_object_set_new(out, "$defs",
                        json_pack("{s:o}", "hop", table_schema(schema_find(&schema_root, "smarthost", 9)->table, full)));
    if (full) json_object_set_new(out, "x-dns-lists", dns_catalogue_to_json());
    return out;
}

json_t *schema_to_json(void) { return make(false); }

json_t *schema_to_json_full(void) { return make(true); }
