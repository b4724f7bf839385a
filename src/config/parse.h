/* SPDX-License-Identifier: Apache-2.0
 * Between parsing and checking: what the files of this folder share. */
#ifndef POSTERN_CONFIG_PARSE_H
#define POSTERN_CONFIG_PARSE_H
#include "config/match.h"
#include "config/value.h"

/* A parsed configuration, its tree (children of lists and of `zones` in the order of the structs; NULL for an empty
 * file) and the report. */
struct check {
    const struct config *c;
    const struct yaml_node *root;
    struct config_report *report;
};

/* The tree on its way into a configuration. */
struct parser {
    struct config *c;
    struct config_report *report;
    const char *directory;
};

/* Fills a group or record. node NULL or null: defaults only. */
void parse_fill(struct parser *p, const struct schema_table *t, const struct yaml_node *node, char *record);
void parse_order_zones(struct yaml_node *root);                           /* finish.c: before anything is filled */
void parse_finish(struct parser *p, const struct yaml_node *root);        /* finish.c: when everything is */
/* finish.c: which zone has that name; -1: none, an error at the node says so. */
int parse_zone(const struct config *c, struct slice name, const struct yaml_node *node, struct config_report *report);

/* Fills *c from the tree and the defaults. Findings go to the report; *c is complete even then. */
void parse_tree(struct config *c, struct yaml_node *root, struct config_report *report);

void check_all(const struct check *k);        /* check.c: all of these */
void check_closed_relay(const struct check *k);      /* check_relay.c: nothing relays for strangers */
void check_hops(const struct check *k);       /* check_hops.c: no next hop is ourselves */
void check_tls(const struct check *k);        /* check_tls.c: certificates, and encryption that is asked for */
void check_routes(const struct check *k);     /* check_routes.c: routes, deliveries on this machine */
void check_rewriting(const struct check *k);  /* check_rewrite.c: main domain, mappings, aliases, copies */
void check_tables(const struct check *k);     /* check_tables.c: tables that are complete, and named */
void check_zones(const struct check *k);      /* check_zones.c: exceptions for old devices, providers, interception */
void check_auth(const struct check *k);       /* check_auth.c: who logs in here */
void check_dns_lists(const struct check *k);  /* check_dns.c: lists in the DNS */
void check_checks(const struct check *k);     /* check_checks.c: lists of matches, limits, recipients */
void check_relaying(const struct check *k);   /* check_relaying.c: the list relaying opens nothing for strangers */
void check_signing(const struct check *k);     /* check_signing.c: keys and secrets for what goes out */
void check_credentials(const struct check *k); /* check_credentials.c: logging in to next hops */
void check_content(const struct check *k);     /* check_content.c: scanners, attachments, viruses, the quarantine; and the next two */
void check_web(const struct check *k);         /* check_web.c: administration, webhooks, the log */
void check_spam(const struct check *k);        /* check_spam.c */
void check_rules(const struct check *k);       /* check_rules.c: header checks, and rules */

/* Every entry of a list that is held against clients or addresses. senders: entries may have `proven`. check_checks.c */
void check_matches(const struct check *k, const struct config_match_list *l, enum list_of of, bool senders,
                   const struct yaml_node *list);
/* A table that is named where `of` is needed; node: the name, NULL: not written. check_tables.c */
void check_table_name(const struct check *k, const char *name, enum list_of of, const struct yaml_node *node);
/* `action` and `address` of a group. check_content.c */
void check_handling(const struct check *k, enum config_handling action, const char *address, const struct yaml_node *group);
bool check_has_virus_scanner(const struct config *c); /* check_content.c */
/* What is wrong with a shell pattern, or NULL; is it a type of content, perhaps with * for the part behind the slash? check_content.c */
const char *check_pattern_problem(struct slice pattern);
bool check_is_type(struct slice text);

/* A file that is named in the configuration: an error when it is missing or no file, and for a secret when everybody
 * may read it; a warning when it cannot be seen by who we are. What is read later, a secret by another user: warnings
 * only. node NULL: not written, nothing to check. */
enum check_file { CHECK_FILE, CHECK_FILE_LATER, CHECK_FILE_OR_FOLDER, CHECK_FILE_SECRET, CHECK_FILE_SECRET_LATER };
void check_file(const struct check *k, const struct yaml_node *node, const char *path, enum check_file kind);
/* Calls f for each next hop that is set. route: where it stands in, which has its tls and source as well; else NULL. */
typedef void check_hop_fn(const struct check *k, const struct config_hop *hop, const struct yaml_node *node,
                          const struct yaml_node *route);
void check_each_hop(const struct check *k, check_hop_fn *f); /* check_hops.c */
/* Of a host or the part of a URL behind "//": does traffic with it stay on this machine? check_auth.c */
bool check_is_here(struct slice authority);
/* Why strangers may have an address in the network, or NULL. check_relay.c */
const char *check_net_too_wide(const struct ip_net *net);
/* Adds a network to the public IPv4 addresses that are trusted; true for the one that makes them too many. check_relay.c */
#define CHECK_PUBLIC_MAX (4ull << 24)
bool check_too_many(const struct ip_net *net, uint64_t *public);
/* "co.uk", "com.au": a registry below a country's domain, by its look. check_relay.c */
bool check_is_registry(struct slice name);

/* The look-up tables over a complete configuration; freed by config_free. Adds warnings about interfaces that do not
 * exist to the report. */
void lookup_build(struct config *c, const struct yaml_node *root, struct config_report *report);
void lookup_free(struct config *c);

/* Reads a whole file of at most YAML_TEXT_MAX bytes, or of at most `max`. Blocks. */
bool config_read_file(const char *path, struct buf *out, struct err *err) MUST_CHECK;
bool config_read_up_to(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;

/* system.run_directory of a file that may have errors elsewhere: where its daemon, which runs on with an earlier text, is to be
 * asked. false: the text is not even YAML. */
bool config_run_directory(struct slice text, const char *path, struct buf *out) MUST_CHECK;

#endif
