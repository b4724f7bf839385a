/* SPDX-License-Identifier: Apache-2.0
 * The one binary: finds the command and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "cli/cli.h"

static const struct {
    const char *name;
    cli_command *run;
    const char *help;
} commands[] = {
    { "run", cli_run, "the daemon, in the foreground" },
    { "check", cli_check, "check the configuration: errors with file:line:column" },
    { "config", cli_config, "get, set, diff, history, rollback" },
    { "reload", cli_reload, "apply a changed configuration without dropping a connection" },
    { "status", cli_status, "processes, sessions, queue, disk" },
    { "queue", cli_queue, "list, groups, show, retry, hold, release, delete" },
    { "quarantine", cli_quarantine, "list, show, release, delete, train, download" },
    { "learn", cli_learn, "teach the spam filter: spam, ham, forget" },
    { "import", cli_import, "take over the configuration of another server: postfix" },
    { "nft", cli_nft, "print, install, remove, status: rules for transparent zones" },
    { "table", cli_table, "list, show, query, refresh: tables that options use" },
    { "statistics", cli_statistics, "what was counted of mail, hour by hour" },
    { "trace", cli_trace, "what became of a message, or why it was refused" },
    { "spool", cli_spool, "verify, dump, cat: read a spool directory by hand" },
    { "doctor", cli_doctor, "is the relay set up well, what to mend, and which DNS records to enter" },
    { "explain", cli_explain, "what would become of a mail, and which check decides" },
    { "tls-report", cli_tls_report, "show one that somebody sent; send ours now" },
    { "auth", cli_auth, "spf, dkim, dmarc, arc of a sender or a message" },
    { "dkim", cli_dkim, "new, show, check, rotate: keys to sign with" },
    { "dns-lists", cli_dns_lists, "lists in the DNS: how ours are, and the catalogue" },
    { "scan", cli_scan, "what the relay sees in a message: parts, true types, what is blocked" },
    { "notices", cli_notices, "texts of bounces and notices: list, show, export" },
    { "metrics", cli_metrics, "figures for Prometheus" },
    { "webhook", cli_webhook, "test: send an event to webhooks" },
    { "backup", cli_backup, "all that a new machine needs, in one file" },
    { "restore", cli_restore, "bring it back" },
    { "schema", cli_schema, "the options as a manual page or JSON schema" },
    { "account", cli_account, "who may use the web administration: list, add, link, delete and more" },
    { "user", cli_user, "add, password, addresses, delete, list: who may log in to send" },
    { "send", cli_send, "a test client, also for load" },
    { "sink", cli_sink, "a test server, also for load" },
};

static void usage(FILE *to)
{
    fputs("usage: postern COMMAND [ARGUMENT ...]\n\n", to);
    for (size_t i = 0; i < countof(commands); i++) fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n`postern COMMAND --help` tells more; so does the manual page postern(1).\n", to);
}

/* Whoever started us may have closed descriptors 0 to 2. Nothing else may get these numbers: what is logged or printed
 * would be written into it, and workers would inherit it. */
static void open_standard(void)
{
    int fd;
    do fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

int main(int argc, char **argv)
{
    open_standard();
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        usage(stderr);
        return EX_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("postern " POSTERN_VERSION);
        return 0;
    }
    for (size_t i = 0; i < countof(commands); i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "postern: no command \"%s\"\n\n", argv[1]);
    usage(stderr);
    return EX_USAGE;
}
