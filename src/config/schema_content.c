/* SPDX-License-Identifier: Apache-2.0
 * Options of what looks into messages: limits, scanners, attachments, viruses; and of the quarantine. */
#include "config/schema_table.h"

#define EXTENSIONS /* what Windows, macOS and Linux run, install or mount when it is opened */ \
    "ade, adp, apk, app, appimage, application, appref-ms, appx, appxbundle, asx, bas, bat, cab, chm, cmd, com, command, cpl, crt, " \
    "daa, deb, desktop, diagcab, dll, dmg, drv, exe, fxp, gadget, grp, hlp, hpj, hta, img, inf, ins, iso, isp, its, jar, jnlp, js, " \
    "jse, ksh, library-ms, lnk, mad, maf, mag, mam, maq, mar, mas, mat, mau, mav, maw, mcf, mda, mde, mdt, mdw, mdz, mjs, msc, msh, " \
    "msh1, msh1xml, msh2, msh2xml, mshxml, msi, msix, msixbundle, msp, mst, nrg, ocx, one, onepkg, ops, pcd, pif, pkg, pl, plg, prf, " \
    "prg, printerexport, ps1, ps1xml, ps2, ps2xml, psc1, psc2, psd1, psdm1, psm1, py, pyc, pyo, pyw, pyz, pyzw, reg, rpm, run, " \
    "scf, scpt, scptd, scr, sct, search-ms, searchconnector-ms, settingcontent-ms, sh, shb, shs, sys, terminal, theme, themepack, " \
    "toast, tool, udf, url, vb, vbe, vbp, vbs, vhd, vhdx, vmdk, vsmacros, vsw, vxd, webpnp, website, wim, workflow, ws, wsb, " \
    "wsc, wsf, wsh, xbap, xll, xnk"
#define TYPES /* as libmagic calls them */ \
    "application/vnd.microsoft.portable-executable, application/x-dosexec, application/x-dosdriver, " \
    "application/x-ms-ne-executable, application/x-lx-executable, application/x-executable, application/x-pie-executable, " \
    "application/x-sharedlib, application/x-object, application/x-mach-binary, application/x-msi, application/x-ms-shortcut, " \
    "application/x-ms-wim, application/vnd.ms-htmlhelp, application/winhelp, application/x-winhelp, " \
    "application/java-archive, application/x-java-applet, application/x-bytecode.python, " \
    "application/vnd.android.package-archive, application/vnd.debian.binary-package, application/x-rpm, " \
    "application/x-apple-diskimage, application/x-iso9660-image, application/x-virtualbox-vhd, application/x-qemu-disk, " \
    "application/msonenote, text/x-msdos-batch, text/x-ms-scf"

/* ---- scan */

static const struct schema_option scan_options[] = {
    { .name = "processes", .type = SCHEMA_NUMBER, AT(config, scan.processes), .fallback = "0", .max = 256,
      .help = "Processes that look into messages, one message each at a time; 0: one for each processor core, two at the least." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, scan.timeout), .fallback = "60s", .min = SECOND, .max = 10 * MINUTE,
      .help = "How long one message may take, all scanners together." },
    { .name = "memory", .type = SCHEMA_SIZE, AT(config, scan.memory), .fallback = "1G", .min = 64 * M, .max = 1024 * G,
      .help = "Memory that one of these processes may use for messages." },
    { .name = "depth", .type = SCHEMA_NUMBER, AT(config, scan.depth), .fallback = "10", .min = 1, .max = 100,
      .help = "How deep messages, archives and documents in each other are looked into." },
    { .name = "parts", .type = SCHEMA_NUMBER, AT(config, scan.parts), .fallback = "2000", .min = 10, .max = 100000,
      .help = "Parts, and files in archives, of one message that are looked into." },
    { .name = "unpacked", .type = SCHEMA_SIZE, AT(config, scan.unpacked), .fallback = "200M", .min = M, .max = 512 * G,
      .help = "Bytes that are unpacked from one message." },
    { .name = "ratio", .type = SCHEMA_NUMBER, AT(config, scan.ratio), .fallback = "200", .min = 10, .max = 100000,
      .help = "How many times its packed size one file above 1 MB may have." },
    { .name = "unpack_time", .type = SCHEMA_TIME, AT(config, scan.unpack_time), .fallback = "5s", .min = 100, .max = 5 * MINUTE,
      .help = "How long unpacking of one message may take." },
};
const struct schema_table schema_scan = { TABLE(scan_options) };

/* ---- scanners */

static const struct schema_word scanner_types[] = { { "clamd", CONFIG_SCANNER_CLAMD },     { "icap", CONFIG_SCANNER_ICAP },
                                                    { "command", CONFIG_SCANNER_COMMAND }, { "spamd", CONFIG_SCANNER_SPAMD },
                                                    { "rspamd", CONFIG_SCANNER_RSPAMD },   { "milter", CONFIG_SCANNER_MILTER },
                                                    { NULL } };
static const struct schema_word troubles[] = { { "defer", CONFIG_TROUBLE_DEFER }, { "mark", CONFIG_TROUBLE_MARK }, { NULL } };
static const struct schema_option scanner_options[] = {
    { .name = "name", .type = SCHEMA_NAME, AT(config_scanner, name), .required = true,
      .help = "What the log, the trace and headers call it.", .example = "clamav" },
    { .name = "type", .type = SCHEMA_ENUM, AT(config_scanner, type), .required = true, .unset = SCHEMA_UNSET,
      .words = scanner_types, .help = "How it is asked. For viruses: clamd (ClamAV's daemon), icap (RFC 3507), command (a program "
      "that is started). For spam: spamd (SpamAssassin), rspamd. For whatever it says: milter.", .example = "clamd" },
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config_scanner, enabled), .fallback = "yes", .help = "Ask it." },
    { .name = "address", .type = SCHEMA_STRING, AT(config_scanner, address), .nullable = true,
      .help = "Where it listens: unix:/path or host:port. Of all types but command.", .example = "unix:/run/clamav/clamd.ctl" },
    { .name = "command", .type = SCHEMA_STRING, AT(config_scanner, command), .nullable = true,
      .help = "Of type command: the whole path of a program, and its arguments. {} stands for the path of a file with the message "
              "or part; without it they come on its standard input. Exit code 0 means clean.",
      .example = "/usr/local/bin/scan --quiet {}" },
    { .name = "infected_code", .type = SCHEMA_NUMBER, AT(config_scanner, infected_code), .fallback = "1", .min = 1, .max = 255,
      .help = "Of type command: the exit code that means infected; any other is trouble." },
    { .name = "service", .type = SCHEMA_STRING, AT(config_scanner, service), .nullable = true,
      .help = "Of type icap: the name of the service. Of type spamd: the user whose settings count.", .example = "avscan" },
    { .name = "password_file", .type = SCHEMA_PATH, AT(config_scanner, password_file), .nullable = true,
      .help = "Of type rspamd: a file whose first line is the password.", .example = "secrets/rspamd" },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config_scanner, timeout), .fallback = "30s", .min = 100, .max = 10 * MINUTE,
      .help = "How long one answer may take." },
    { .name = "max_size", .type = SCHEMA_SIZE, AT(config_scanner, max_size), .fallback = "25M", .max = 2 * G,
      .help = "Larger messages are not given to it: for scanners for viruses that is trouble, others are passed over; 0: any." },
    { .name = "trouble", .type = SCHEMA_ENUM, AT(config_scanner, trouble), .fallback = "defer", .words = troubles,
      .help = "When it does not answer, or makes no sense: defer (the sender tries again later), or mark (the mail is delivered with "
              "a header that says what was not looked at)." },
    { .name = "trusted_mail", .type = SCHEMA_BOOL, AT(config_scanner, trusted_mail),
      .shown = "yes for viruses and milters, no for spam",
      .help = "Give it the mail of users who have logged in and of trusted clients, too." },
};
const struct schema_table schema_scanner = { TABLE(scanner_options), .size = sizeof(struct config_scanner),
                                             .place_offset = offsetof(struct config_scanner, place) };

/* ---- attachments, viruses */

#define NOTIFY(group, what) \
    static const struct schema_option group##_notify_options[] = { \
        { .name = "address", .type = SCHEMA_MAILBOX, AT(config, group.notify.address), .nullable = true, \
          .help = "An administrator who is told of " what ".", .example = "security@example.com" }, \
        { .name = "recipients", .type = SCHEMA_BOOL, AT(config, group.notify.recipients), .fallback = "no", \
          .help = "Tell those to whom the message was sent, too." }, \
        { .name = "own_only", .type = SCHEMA_BOOL, AT(config, group.notify.own_only), .fallback = "yes", \
          .help = "Of them, only those in relay domains." }, \
        { .name = "from", .type = SCHEMA_MAILBOX, AT(config, group.notify.from), .nullable = true, .shown = "postmaster", \
          .help = "Who these messages come from.", .example = "scanner@example.com" }, \
    }; \
    static const struct schema_table group##_notify_table = { TABLE(group##_notify_options) }
NOTIFY(attachments, "blocked attachments");
NOTIFY(virus, "viruses");

static const struct schema_word attachment_actions[] = {
    { "pass", CONFIG_HANDLE_PASS },         { "strip", CONFIG_HANDLE_STRIP },
    { "quarantine", CONFIG_HANDLE_QUARANTINE }, { "redirect", CONFIG_HANDLE_REDIRECT },
    { "reject", CONFIG_HANDLE_REJECT },     { "discard", CONFIG_HANDLE_DISCARD },
    { NULL },
};
static const struct schema_option attachments_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, attachments.enabled), .fallback = "no",
      .help = "Block attachments by what they are." },
    { .name = "action", .type = SCHEMA_ENUM, AT(config, attachments.action), .fallback = "reject", .words = attachment_actions,
      .help = "What becomes of the mail: pass (a header tells), strip (the attachment goes, a note takes its place), quarantine, "
              "redirect (to `address`), reject, or discard." },
    { .name = "address", .type = SCHEMA_MAILBOX, AT(config, attachments.address), .nullable = true,
      .help = "Who gets the mail of action redirect, instead of its recipients.", .example = "attachments@example.com" },
    { .name = "extensions", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config, attachments.extensions, attachments.extension_n),
      .fallback = EXTENSIONS, .help = "Ends of file names that are blocked, without the dot.", .example = "[exe, js, iso]" },
    { .name = "types", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config, attachments.types, attachments.type_n),
      .fallback = TYPES, .help = "What is blocked whatever its name: the true type, found in the content.",
      .example = "[application/x-dosexec, video/*]" },
    { .name = "archives", .type = SCHEMA_BOOL, AT(config, attachments.archives), .fallback = "yes",
      .help = "Files in archives count, too, at any depth." },
    { .name = "double_extensions", .type = SCHEMA_BOOL, AT(config, attachments.double_extensions), .fallback = "yes",
      .help = "A listed extension counts before the last one, too: invoice.exe.pdf." },
    { .name = "encrypted", .type = SCHEMA_BOOL, AT(config, attachments.encrypted), .fallback = "no",
      .help = "Block archives and documents with a password, which nobody can look into." },
    { .name = "macros", .type = SCHEMA_BOOL, AT(config, attachments.macros), .fallback = "no",
      .help = "Block documents with macros that run when they are opened." },
    { .name = "limits", .type = SCHEMA_BOOL, AT(config, attachments.limits), .fallback = "yes",
      .help = "Block what exceeds the limits of `scan`, or cannot be unpacked." },
    { .name = "trusted_mail", .type = SCHEMA_BOOL, AT(config, attachments.trusted_mail), .fallback = "yes",
      .help = "Look at the mail of users who have logged in and of trusted clients, too." },
    { .name = "allow", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config, attachments.allow, attachments.allow_n),
      .help = "Names of files that are never blocked: * stands for any text, ? for one character.", .example = "[\"report-*.js\"]" },
    { .name = "notify", .type = SCHEMA_GROUP, .table = &attachments_notify_table, .help = "Who is told." },
};
const struct schema_table schema_attachments = { TABLE(attachments_options) };

static const struct schema_word virus_actions[] = { { "pass", CONFIG_HANDLE_PASS },         { "quarantine", CONFIG_HANDLE_QUARANTINE },
                                                    { "redirect", CONFIG_HANDLE_REDIRECT }, { "reject", CONFIG_HANDLE_REJECT },
                                                    { "discard", CONFIG_HANDLE_DISCARD },   { NULL } };
static const struct schema_option virus_options[] = {
    { .name = "action", .type = SCHEMA_ENUM, AT(config, virus.action), .fallback = "reject", .words = virus_actions,
      .help = "What becomes of mail with a virus: pass (a header tells), quarantine, redirect (to `address`), reject, or discard." },
    { .name = "address", .type = SCHEMA_MAILBOX, AT(config, virus.address), .nullable = true,
      .help = "Who gets the mail of action redirect, instead of its recipients.", .example = "viruses@example.com" },
    { .name = "notify", .type = SCHEMA_GROUP, .table = &virus_notify_table, .help = "Who is told." },
};
const struct schema_table schema_virus = { TABLE(virus_options) };

/* ---- quarantine */

static const struct schema_option digest_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, quarantine.digest.enabled), .fallback = "no",
      .help = "Send recipients a list of what was held of their mail." },
    { .name = "at", .type = SCHEMA_LIST, .item = SCHEMA_CLOCK, AT_LIST(config, quarantine.digest.at, quarantine.digest.at_n),
      .fallback = "07:00", .help = "When, in local time.", .example = "[\"07:00\", \"13:00\"]" },
    { .name = "from", .type = SCHEMA_MAILBOX, AT(config, quarantine.digest.from), .nullable = true, .shown = "postmaster",
      .help = "Who it comes from.", .example = "quarantine@example.com" },
    { .name = "domains", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME,
      AT_LIST(config, quarantine.digest.domains, quarantine.digest.domain_n), .shown = "all relay domains",
      .help = "Whose recipients get one.", .example = "[example.com]" },
    { .name = "url", .type = SCHEMA_STRING, AT(config, quarantine.digest.url), .nullable = true, .shown = "digests have no links",
      .help = "Where recipients reach the page behind the links with which they release their mail.",
      .example = "https://mail.example.com:8443" },
    { .name = "listen", .type = SCHEMA_STRING, AT(config, quarantine.digest.listen), .nullable = true,
      .help = "Address and port of that page.", .example = "\"*:8443\"" },
    { .name = "certificate", .type = SCHEMA_PATH, AT(config, quarantine.digest.certificate), .nullable = true,
      .shown = "none: plain HTTP, for a proxy in front", .help = "PEM file with its certificate and those above it.",
      .example = "tls/mail.pem" },
    { .name = "key", .type = SCHEMA_PATH, AT(config, quarantine.digest.key), .nullable = true, .help = "PEM file with the private key.",
      .example = "tls/mail.key" },
    { .name = "valid", .type = SCHEMA_TIME, AT(config, quarantine.digest.valid), .fallback = "14d", .min = HOUR, .max = 365 * DAY,
      .help = "How long a link is good for." },
};
static const struct schema_table digest_table = { TABLE(digest_options) };

static const struct schema_option quarantine_options[] = {
    { .name = "keep", .type = SCHEMA_TIME, AT(config, quarantine.keep), .fallback = "30d", .max = 3650 * DAY,
      .help = "How long a message is kept; 0: without end." },
    { .name = "size", .type = SCHEMA_SIZE, AT(config, quarantine.size), .fallback = "0", .max = 1ull << 50,
      .help = "Bytes of all messages in it. When it is full, what would go there is deferred; 0: no limit but the disk's." },
    { .name = "digest", .type = SCHEMA_GROUP, .table = &digest_table, .help = "Mail to recipients that lists what was held." },
};
const struct schema_table schema_quarantine = { TABLE(quarantine_options) };
