/* SPDX-License-Identifier: Apache-2.0
 * From libyaml's events to the tree: places, bounds, duplicate keys, and libyaml's complaints in friendlier words. */
#include "config/yaml.h"
#include <stdlib.h>
#include <yaml.h>
#include "base/hash.h"
#include "base/mem.h"

struct reader {
    yaml_parser_t parser;
    struct slice text;
    size_t chars, bytes; /* a character index of libyaml and the byte it stands for */
    struct arena *arena;
    struct config_report *report;
    size_t nodes;
};

static struct config_place place_of(yaml_mark_t m)
{
    return (struct config_place){ (uint32_t)m.line + 1, (uint32_t)m.column + 1 };
}

/* Marks count characters. They come nearly in order, so walking from the last one is cheap. */
static size_t byte_of(struct reader *r, yaml_mark_t m)
{
    while (r->chars < m.index && r->bytes < r->text.n) {
        do r->bytes++;
        while (r->bytes < r->text.n && ((unsigned char)r->text.p[r->bytes] & 0xC0) == 0x80);
        r->chars++;
    }
    while (r->chars > m.index && r->bytes > 0) {
        do r->bytes--;
        while (r->bytes > 0 && ((unsigned char)r->text.p[r->bytes] & 0xC0) == 0x80);
        r->chars--;
    }
    return r->bytes;
}

/* What libyaml says, and what it usually means. */
static const struct {
    const char *problem, *text, *hint;
} problems[] = {
    { "found character that cannot start any token", "this character cannot stand here",
      "indent with blanks, not tabs; put text with special characters into quotes" },
    { "found a tab character that violates indentation", "a tab where blanks are expected",
      "indent with blanks, not tabs" },
    { "did not find expected key", "this line does not fit the ones above",
      "entries of one group begin in the same column" },
    { "did not find expected '-' indicator", "this line does not fit the list above",
      "entries of one list begin with \"-\" in the same column" },
    { "mapping values are not allowed in this context", "a second \":\" in one entry, or a wrong indentation",
      "put text that contains \": \" into quotes; begin entries of one group in the same column" },
    { "did not find expected node content", "this cannot begin a value here",
      "put text with special characters into quotes: \"[::1]:25\"" },
    { "could not find expected ':'", "there is no \":\" after this word", "write \"name: value\"" },
    { "did not find expected ',' or '}'", "a \",\" or \"}\" is missing here", NULL },
    { "did not find expected ',' or ']'", "a \",\" or \"]\" is missing here", NULL },
    { "found unexpected end of stream", "the file ends within quotes", "close the quotes" },
    { "did not find expected alphabetic or numeric character", "\"*\" and \"&\" begin references in YAML",
      "put the value into quotes: \"*:25\"" },
    { "block sequence entries are not allowed in this context", "a list entry cannot begin here",
      "put the list on the lines below the name" },
    { "found unknown escape character", "an unknown escape after \"\\\"", "write \\\\ for a backslash, or use '...'" },
    { "did not find expected <document start>", "text after the end of the document", NULL },
    { "invalid leading UTF-8 octet", "this is not UTF-8", "save the file as UTF-8" },
    { "invalid trailing UTF-8 octet", "this is not UTF-8", "save the file as UTF-8" },
    { "incomplete UTF-8 octet sequence", "this is not UTF-8", "save the file as UTF-8" },
    { "control characters are not allowed", "a control character", "remove it" },
};

static struct config_place place_of_byte(struct slice text, size_t byte)
{
    struct config_place at = { 1, 1 };
    for (size_t i = 0; i < byte && i < text.n; i++) {
        if (text.p[i] == '\n') at = (struct config_place){ at.line + 1, 1 };
        else if (((unsigned char)text.p[i] & 0xC0) != 0x80) at.column++;
    }
    return at;
}

static void report_problem(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "not YAML", *text = NULL, *hint = NULL;
    for (size_t i = 0; i < countof(problems) && !text; i++)
        if (!strcmp(problem, problems[i].problem)) text = problems[i].text, hint = problems[i].hint;
    struct config_place at = p->error == YAML_READER_ERROR ? place_of_byte(r->text, p->problem_offset)
                                                           : place_of(p->problem_mark);
    if (p->error == YAML_SCANNER_ERROR && byte_of(r, p->problem_mark) < r->text.n && r->text.p[r->bytes] == '\t')
        text = "a tab where blanks are expected", hint = "indent with blanks, not tabs";
    if (p->context && p->context_mark.line + 1 != at.line && p->error != YAML_READER_ERROR)
        report_error(r->report, at, "", hint, "%s (%s that begins at line %zu)", text ? text : problem,
                     strstr(p->context, "quoted") ? "in the quoted text" : "in the entry", p->context_mark.line + 1);
    else
        report_error(r->report, at, "", hint, "%s", text ? text : problem);
}

static bool refuse(struct reader *r, yaml_mark_t at, const char *hint, const char *what)
{
    report_error(r->report, place_of(at), "", hint, "%s", what);
    return false;
}

static bool next_event(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e)) return true;
    report_problem(r);
    return false;
}

static const char reference_hint[] = "write the value out; if it begins with \"*\" or \"&\", put it into quotes";

static bool event_is_plain(struct reader *r, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (e->type) {
    case YAML_ALIAS_EVENT: return refuse(r, e->start_mark, reference_hint, "references (*name) are not supported");
    case YAML_SCALAR_EVENT: anchor = e->data.scalar.anchor, tag = e->data.scalar.tag; break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT: anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag; break;
    default: break;
    }
    if (anchor) return refuse(r, e->start_mark, reference_hint, "anchors (&name) are not supported");
    if (tag) return refuse(r, e->start_mark, "put the value into quotes", "tags (!name) are not supported");
    return true;
}

static struct slice scalar_text(struct reader *r, const yaml_event_t *e)
{
    return arena_slice(r->arena, slice_of(e->data.scalar.value, e->data.scalar.length));
}

static bool read_children(struct reader *r, struct yaml_node *node, int depth);

/* Fills *node from an event that begins a value, and what follows it. */
static bool read_value(struct reader *r, const yaml_event_t *e, struct yaml_node *node, int depth)
{
    if (!event_is_plain(r, e)) return false;
    if (++r->nodes > YAML_NODES_MAX) return refuse(r, e->start_mark, NULL, "the file has too many entries");
    node->place = place_of(e->start_mark);
    node->from = byte_of(r, e->start_mark);
    if (e->type == YAML_SCALAR_EVENT) {
        node->kind = YAML_SCALAR;
        node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = scalar_text(r, e);
        node->to = byte_of(r, e->end_mark);
        /* A block scalar ends on the line below it. */
        while (node->to > node->from && strchr(" \t\r\n", r->text.p[node->to - 1])) node->to--;
        return true;
    }
    if (depth >= YAML_DEPTH_MAX) return refuse(r, e->start_mark, NULL, "too many levels of nesting");
    if (e->type == YAML_SEQUENCE_START_EVENT) {
        node->kind = YAML_LIST;
        node->flow = e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    } else {
        node->kind = YAML_GROUP;
        node->flow = e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    }
    return read_children(r, node, depth);
}

static uint64_t hash_of_key(const void *item) { return hash_bytes(((const struct yaml_node *)item)->key); }
static bool key_is(const void *item, const void *key)
{
    return slice_eq(((const struct yaml_node *)item)->key, *(const struct slice *)key);
}

static void note_key(struct reader *r, struct htable *seen, struct yaml_node *child)
{
    const struct yaml_node *first = htable_find(seen, hash_bytes(child->key), key_is, &child->key);
    if (first)
        report_error(r->report, child->key_place, yaml_path(r->report, child), "keep one of the two",
                     "written twice: also at line %u", first->key_place.line);
    else
        htable_add(seen, child);
}

static bool read_key(struct reader *r, const yaml_event_t *e, struct yaml_node *child)
{
    if (!event_is_plain(r, e)) return false;
    if (e->type != YAML_SCALAR_EVENT)
        return refuse(r, e->start_mark, "write \"name: value\"", "a name is expected here");
    child->key = scalar_text(r, e);
    child->key_place = place_of(e->start_mark);
    child->key_from = byte_of(r, e->start_mark);
    child->key_to = byte_of(r, e->end_mark);
    return true;
}

/* One child; false at the end of the collection (*ok stays true) or on an error. */
static bool read_child(struct reader *r, struct yaml_node *node, struct htable *seen, int depth, bool *ok)
{
    yaml_event_t e;
    if (!(*ok = next_event(r, &e))) return false;
    if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) {
        if (node->flow) node->to = byte_of(r, e.end_mark);
        yaml_event_delete(&e);
        return false;
    }
    struct yaml_node *child = arena_alloc(r->arena, sizeof *child);
    child->parent = node;
    if (node->kind == YAML_GROUP) {
        *ok = read_key(r, &e, child);
        yaml_event_delete(&e);
        if (!*ok || !(*ok = next_event(r, &e))) return false;
        note_key(r, seen, child);
    }
    *ok = read_value(r, &e, child, depth + 1);
    if (e.type == YAML_SCALAR_EVENT) mem_wipe(e.data.scalar.value, e.data.scalar.length); /* it may be a secret */
    yaml_event_delete(&e);
    if (!*ok) return false;
    if (yaml_is_null(child) && child->from == child->to && node->kind == YAML_GROUP) child->place = child->key_place;
    if (node->last) node->last->next = child;
    else node->children = child;
    node->last = child;
    node->n++;
    if (!node->flow) node->to = child->to > child->key_to ? child->to : child->key_to;
    return true;
}

static bool read_children(struct reader *r, struct yaml_node *node, int depth)
{
    struct htable seen;
    htable_init(&seen, hash_of_key);
    bool ok = true;
    node->to = node->from;
    while (read_child(r, node, &seen, depth, &ok)) continue;
    htable_deinit(&seen);
    return ok;
}

static bool expect(struct reader *r, yaml_event_type_t type)
{
    yaml_event_t e;
    if (!next_event(r, &e)) return false;
    bool ok = e.type == type;
    if (!ok) refuse(r, e.start_mark, "remove the line \"---\"", "only one document is expected");
    yaml_event_delete(&e);
    return ok;
}

static struct yaml_node *read_document(struct reader *r, bool *empty)
{
    yaml_event_t e;
    if (!expect(r, YAML_STREAM_START_EVENT) || !next_event(r, &e)) return NULL;
    *empty = e.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&e);
    if (*empty || !next_event(r, &e)) return NULL;
    struct yaml_node *root = arena_alloc(r->arena, sizeof *root);
    bool ok = read_value(r, &e, root, 0);
    yaml_event_delete(&e);
    if (!ok || !expect(r, YAML_DOCUMENT_END_EVENT) || !expect(r, YAML_STREAM_END_EVENT)) return NULL;
    *empty = yaml_is_null(root);
    return *empty ? NULL : root;
}

struct yaml_node *yaml_parse(struct slice text, struct arena *arena, struct config_report *r, bool *empty)
{
    *empty = false;
    struct config_place top = { 1, 1 };
    if (text.n > YAML_TEXT_MAX) {
        report_error(r, top, "", NULL, "the file is larger than %u MB", YAML_TEXT_MAX >> 20);
        return NULL;
    }
    if (slice_starts(text, SLICE("\xFF\xFE")) || slice_starts(text, SLICE("\xFE\xFF")) ||
        (text.n && memchr(text.p, 0, text.n))) {
        report_error(r, top, "", "save the file as UTF-8", "this is not a text in UTF-8");
        return NULL;
    }
    struct reader reader = { .text = text, .arena = arena, .report = r };
    if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) reader.bytes = 3; /* libyaml does not count a byte order mark */
    if (!yaml_parser_initialize(&reader.parser)) abort(); /* no memory: see base/mem.h */
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.p ? text.p : "") + reader.bytes,
                                 text.n - reader.bytes);
    size_t errors = r->errors;
    struct yaml_node *root = read_document(&reader, empty);
    if (reader.parser.buffer.start)
        mem_wipe(reader.parser.buffer.start, (size_t)(reader.parser.buffer.end - reader.parser.buffer.start));
    if (reader.parser.raw_buffer.start)
        mem_wipe(reader.parser.raw_buffer.start,
                 (size_t)(reader.parser.raw_buffer.end - reader.parser.raw_buffer.start));
    yaml_parser_delete(&reader.parser);
    return r->errors == errors ? root : NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->quoted &&
           (!node->text.n || slice_eq(node->text, SLICE("~")) || slice_ieq(node->text, SLICE("null")));
}

struct yaml_node *yaml_get_slice(const struct yaml_node *group, struct slice key)
{
    if (!group || group->kind != YAML_GROUP) return NULL;
    for (struct yaml_node *c = group->children; c; c = c->next)
        if (slice_eq(c->key, key)) return c;
    return NULL;
}

struct yaml_node *yaml_get(const struct yaml_node *group, const char *key)
{
    return yaml_get_slice(group, slice_str(key));
}

struct yaml_node *yaml_at(const struct yaml_node *list, size_t index)
{
    if (!list || list->kind != YAML_LIST) return NULL;
    struct yaml_node *c = list->children;
    while (c && index--) c = c->next;
    return c;
}

const struct yaml_node *yaml_first(const struct yaml_node *group, const char *key)
{
    const struct yaml_node *node = yaml_get(group, key);
    return node ? node->children : NULL;
}

const struct yaml_node *yaml_items(const struct yaml_node *list)
{
    return list && list->kind == YAML_LIST ? list->children : list;
}

const char *yaml_path(struct config_report *r, const struct yaml_node *node)
{
    if (!node || !node->parent || r->n >= REPORT_FINDINGS_MAX) return "";
    const char *above = yaml_path(r, node->parent);
    if (node->parent->kind == YAML_GROUP)
        return report_text(r, "%s%s%s", above, *above ? "." : "", report_quote(r, node->key));
    size_t index = 0;
    for (const struct yaml_node *c = node->parent->children; c && c != node; c = c->next) index++;
    return report_text(r, "%s[%zu]", above, index);
}
