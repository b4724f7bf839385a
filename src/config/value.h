/* SPDX-License-Identifier: Apache-2.0
 * Single values: from the words of the file to the C field, and back. */
#ifndef POSTERN_CONFIG_VALUE_H
#define POSTERN_CONFIG_VALUE_H
#include "config/schema.h"
#include "config/yaml.h"

/* Where a value comes from and where findings about it go. */
struct value_source {
    struct arena *arena;          /* strings of the configuration */
    struct config_report *report;
    const char *directory;        /* relative paths begin here; "" or ending in "/" */
    const struct yaml_node *node; /* NULL for a default */
};

/* Reads `text` as `type` (o->type, or o->item of a list) into *field; one word of a SCHEMA_SET adds its bit. False
 * after adding a finding. */
bool value_parse(const struct value_source *v, const struct schema_option *o, enum schema_type type,
                 struct slice text, void *field);
/* The field in the words of the file, such that value_parse reads the same from it; not quoted. A secret is "***". Not
 * for SCHEMA_ZONE, LISTENER, SOURCES and SET. */
void value_format(const struct schema_option *o, enum schema_type type, const void *field, struct buf *out);
/* Of a value in a SCHEMA_LIST. */
static inline size_t value_item_size(enum schema_type item)
{
    return item == SCHEMA_NETWORK ? sizeof(struct ip_net) : item == SCHEMA_CLOCK ? sizeof(uint32_t) : sizeof(const char *);
}
/* Adds an error about the value and returns false. */
bool value_fail(const struct value_source *v, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- the parts, used by value_parse (value_name.c, value_net.c) --- */
bool value_parse_name(const struct value_source *v, enum schema_type type, struct slice text, const char **out);
bool value_parse_net(const struct value_source *v, const struct schema_option *o, enum schema_type type,
                     struct slice text, void *field);
/* Completes a hop whose fields came one by one: host becomes name or address, `text` is made. */
bool value_finish_hop(const struct value_source *v, struct config_hop *hop);
/* A host name in lower case, into the arena; single labels and underscores are allowed when `loose`. */
bool value_parse_host(const struct value_source *v, struct slice text, bool loose, const char **out);

/* "host", "host:port", "[v6]", "[v6]:port"; text with several colons and no brackets is all host. False: brackets that
 * do not fit. port stays empty (p NULL) when there is none. */
bool value_split_port(struct slice text, struct slice *host, struct slice *port, bool *bracketed);

void value_format_size(uint64_t bytes, struct buf *out); /* "20M" */
void value_format_time(uint64_t ms, struct buf *out);    /* "5m" */
void value_format_score(int64_t hundredths, struct buf *out); /* "-1.25", "5.5", "5" */
void value_format_net(const struct ip_net *net, struct buf *out);
void value_format_endpoint(const struct ip *ip, uint16_t port, struct buf *out);

/* The nearest of n names, NULL when none is near enough to be meant. */
const char *suggest(struct slice word, const char *const *names, size_t n);

#endif
