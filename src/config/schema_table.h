/* SPDX-License-Identifier: Apache-2.0
 * Words for writing the tables of schema_*.c, and what these tables share. */
#ifndef POSTERN_CONFIG_SCHEMA_TABLE_H
#define POSTERN_CONFIG_SCHEMA_TABLE_H
#include "base/mem.h"
#include "config/config.h"
#include "config/schema.h"

#define K 1024ull
#define M (1024 * K)
#define G (1024 * M)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define AT(record, field) .offset = offsetof(struct record, field)
#define AT_LIST(record, field, count) \
    .offset = offsetof(struct record, field), .count_offset = offsetof(struct record, count)
#define TABLE(rows) .options = rows, .n = countof(rows)

extern const struct schema_word schema_tls_versions[]; /* schema_tls.c */

/* schema_receive.c */
extern const struct schema_table schema_listener, schema_zone, schema_limits;
/* schema_delivery.c; schema_hop is of struct config_hop */
extern const struct schema_table schema_hop, schema_domain, schema_route, schema_tls_policy, schema_timeouts,
    schema_queue, schema_delivery;
/* schema_tls.c */
extern const struct schema_table schema_tls;
/* schema_auth.c */
extern const struct schema_table schema_auth;
/* schema_checks.c; schema_recipients is of struct config_domain */
extern const struct schema_table schema_match, schema_checks, schema_relaying, schema_guard, schema_recipients, schema_store;
/* schema_signing.c */
extern const struct schema_table schema_dkim, schema_arc, schema_srs;
/* schema_content.c */
extern const struct schema_table schema_scan, schema_scanner, schema_attachments, schema_virus, schema_quarantine;
/* schema_spam.c */
extern const struct schema_table schema_spam;
/* schema_rewrite.c */
extern const struct schema_table schema_mapping, schema_alias, schema_copy, schema_table, schema_notices;
extern const struct schema_word schema_languages[];
/* schema_web.c; schema_webhook is of struct config_webhook */
extern const struct schema_table schema_web, schema_webhook;
extern const struct schema_word schema_webhook_events[];
/* schema_rules.c */
extern const struct schema_table schema_header_check, schema_rule;

#endif
