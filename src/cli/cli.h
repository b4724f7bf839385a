/* SPDX-License-Identifier: Apache-2.0
 * The commands of `postern`. Each gets argv with its own name first and returns an exit code of sysexits(3).
 * Listings take --json; all take --help. */
#ifndef POSTERN_CLI_CLI_H
#define POSTERN_CLI_CLI_H
#include <sysexits.h>
#include "base/err.h"

#define CLI_DEFAULT_CONFIG "/etc/postern/postern.yaml"

typedef int cli_command(int argc, char **argv);

cli_command cli_run;      /* src/cli/run.c */
cli_command cli_auth;     /* src/cli/auth.c */
cli_command cli_dkim;     /* src/cli/dkim.c */
cli_command cli_check;    /* src/cli/check.c */
cli_command cli_config;   /* src/cli/config.c */
cli_command cli_schema;   /* src/cli/schema.c: the manual page and JSON schema, for the build and for people */
cli_command cli_reload;   /* src/cli/control.c */
cli_command cli_status;   /* src/cli/control.c */
cli_command cli_learn;    /* src/cli/learn.c */
cli_command cli_notices;  /* src/cli/notices.c */
cli_command cli_import;   /* src/cli/import.c */
cli_command cli_nft;      /* src/cli/nft.c */
cli_command cli_quarantine; /* src/cli/quarantine.c */
cli_command cli_queue;    /* src/cli/queue.c */
cli_command cli_table;    /* src/cli/table.c */
cli_command cli_statistics; /* src/cli/statistics.c */
cli_command cli_trace;    /* src/cli/trace.c */
cli_command cli_spool;    /* src/cli/spool.c */
cli_command cli_explain;  /* src/cli/explain.c */
cli_command cli_doctor;   /* src/cli/doctor.c */
cli_command cli_tls_report; /* src/cli/tls_report.c */
cli_command cli_dns_lists; /* src/cli/dns_lists.c */
cli_command cli_scan;     /* src/cli/scan.c */
cli_command cli_send;     /* src/cli/send.c */
cli_command cli_account;  /* src/cli/account.c */
cli_command cli_metrics;  /* src/cli/ops.c */
cli_command cli_webhook;  /* src/cli/ops.c */
cli_command cli_backup;   /* src/cli/backup.c */
cli_command cli_restore;  /* src/cli/backup.c */
cli_command cli_user;     /* src/cli/user.c */
cli_command cli_sink;     /* src/cli/sink.c */

#endif
