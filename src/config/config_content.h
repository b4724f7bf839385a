/* SPDX-License-Identifier: Apache-2.0
 * The configuration of what looks into messages: `scan`, `scanners`, `attachments`, `virus`, `spam`, `header_checks`, `rules`,
 * `quarantine`. Part of config.h, which says what holds of all fields. */
#ifndef POSTERN_CONFIG_CONFIG_CONTENT_H
#define POSTERN_CONFIG_CONFIG_CONTENT_H
#include "config/config_checks.h"

/* What becomes of a message in which something was found. */
enum config_handling {
    CONFIG_HANDLE_PASS,          /* as it is; only the trace and the header tell */
    CONFIG_HANDLE_MARK,          /* and its subject and header say so (spam) */
    CONFIG_HANDLE_STRIP,         /* without the part, a note in its place (attachments) */
    CONFIG_HANDLE_QUARANTINE,
    CONFIG_HANDLE_REDIRECT,      /* to `address` instead of its recipients */
    CONFIG_HANDLE_REJECT,
    CONFIG_HANDLE_DISCARD,       /* taken and dropped; trace and history keep that it was */
};
enum config_trouble { CONFIG_TROUBLE_DEFER, CONFIG_TROUBLE_MARK }; /* 451; or delivered with a header that says what was not looked at */

/* Who is told. */
struct config_notify {
    const char *address;         /* an administrator's; NULL: none */
    bool recipients;             /* those of the message, too, */
    bool own_only;               /* but only in relay domains */
    const char *from;            /* sender of notifications; NULL: the postmaster */
};

/* ---- how messages are looked into */
struct config_scan {
    uint32_t processes;          /* 0: one a core */
    uint64_t timeout;            /* ms for one message, all scanners together */
    uint64_t memory;             /* bytes of address space of one process beyond what it begins with */
    uint32_t depth;              /* of messages, archives and documents in each other */
    uint32_t parts;              /* MIME parts, and files in archives, of one message */
    uint64_t unpacked;           /* bytes unpacked from one message */
    uint32_t ratio;              /* unpacked to packed, of one file above 1 MiB */
    uint64_t unpack_time;        /* ms of unpacking of one message */
    struct config_place place;
};

/* ---- programs that are asked beside ourselves */
enum config_scanner_type {
    CONFIG_SCANNER_CLAMD,        /* virus: its socket, INSTREAM */
    CONFIG_SCANNER_ICAP,         /* virus: RFC 3507, RESPMOD */
    CONFIG_SCANNER_COMMAND,      /* virus: a program that gets a file, or the message on its standard input */
    CONFIG_SCANNER_SPAMD,        /* spam */
    CONFIG_SCANNER_RSPAMD,       /* spam: HTTP, /checkv2 */
    CONFIG_SCANNER_MILTER,       /* whatever it says: reject, defer, discard, quarantine, header changes */
};
static inline bool scanner_is_for_virus(enum config_scanner_type t)
{
    return t == CONFIG_SCANNER_CLAMD || t == CONFIG_SCANNER_ICAP || t == CONFIG_SCANNER_COMMAND;
}
static inline bool scanner_is_for_spam(enum config_scanner_type t) { return t == CONFIG_SCANNER_SPAMD || t == CONFIG_SCANNER_RSPAMD; }
struct config_scanner {
    const char *name;            /* in the trace, the log, headers; unique */
    enum config_scanner_type type;
    bool enabled;
    const char *address;         /* "unix:/run/clamav/clamd.ctl", "127.0.0.1:3310"; NULL: COMMAND */
    const char *command;         /* of COMMAND: absolute path and arguments, split at blanks; {} is a file with the message or part; without
                                  * it, it comes on standard input. Exit code 0: clean; infected_code: infected, the name is in the output */
    uint32_t infected_code;
    const char *service;         /* of ICAP: "avscan", "srv_clamav"; of SPAMD: the user */
    const char *password_file;   /* of RSPAMD: NULL: none */
    uint64_t timeout;            /* ms for one answer */
    uint64_t max_size;           /* larger messages are not given to it (and are in trouble for virus scanners, not for spam); 0: any */
    enum config_trouble trouble; /* when it does not answer, or makes no sense */
    bool trusted_mail;           /* mail of users and trusted clients is given to it, too */
    struct config_place place;
};

/* ---- attachments (features E8) */
struct config_attachments {
    bool enabled;
    enum config_handling action;
    const char *address;         /* of REDIRECT; NULL: none */
    const char **extensions;     /* lower case, no dot */
    size_t extension_n;
    const char **types;          /* true types, "application/x-dosexec", "video/ *" */
    size_t type_n;
    bool archives;               /* what is in archives, too */
    bool double_extensions;      /* "invoice.pdf.exe", also where the last one is not listed: the second but last or the last is */
    bool encrypted;              /* archives and documents nobody can look into are blocked */
    bool macros;                 /* documents with macros that run by themselves are blocked */
    bool limits;                 /* what exceeds the limits of `scan`, or cannot be unpacked, is blocked */
    bool trusted_mail;           /* mail of users and trusted clients is looked at, too */
    const char **allow;          /* names that are never blocked: shell patterns */
    size_t allow_n;
    struct config_notify notify;
    struct config_place place;
};

/* ---- viruses (E7): on when a scanner for viruses is */
struct config_virus {
    enum config_handling action;
    const char *address;
    struct config_notify notify;
    struct config_place place;
};

/* ---- spam (E1 to E6). Scores and levels are in hundredths of a point. */
enum config_spam_class {         /* a set of bits, for rules */
    CONFIG_SPAM_NON_SPAM = 1,
    CONFIG_SPAM_NONE = 2,        /* between non-spam and unknown */
    CONFIG_SPAM_UNKNOWN = 4,
    CONFIG_SPAM_SUSPECTED = 8,
    CONFIG_SPAM_BULK = 16,
    CONFIG_SPAM_CONFIRMED = 32,
};
struct config_score {
    const char *symbol;
    int32_t score;
    struct config_place place;
};
struct config_spam {
    bool enabled, builtin;       /* builtin: our own engine */
    bool trusted_mail;           /* mail of users and trusted clients is judged, too */
    bool short_circuit;          /* the first engine that is sure ends it: at or above the class confirmed, or at or below non_spam */
    uint64_t max_size;           /* larger messages are judged by their first bytes */
    int32_t tag, mark, quarantine;                          /* levels */
    int32_t confirmed, bulk, suspected, unknown, non_spam;  /* where classes begin */
    enum config_handling action; /* of what is at or above `mark` */
    const char *address;
    const char *subject;         /* prefix of marked mail's subject; "": none */
    bool report;                 /* marked mail gets a text part with the findings in front */
    struct {
        const char *address;     /* NULL: nobody is told */
        int32_t below;           /* only of scores below; 0: of all */
        const char *from;
    } notify;
    struct config_match_list exempt_clients;             /* not judged */
    struct config_match_list always_spam, never_spam;    /* senders */
    const char **rules;          /* files of rules beside those built in */
    size_t rule_n;
    struct config_score *scores; /* of symbols, in place of their own */
    size_t score_n;
    bool dns;                    /* lists in the DNS may be asked: */
    const char **uri_lists;      /* zones asked about domains of links */
    size_t uri_list_n;
    struct {
        bool enabled, auto_learn;
        uint64_t tokens;         /* bytes of the table of tokens */
        uint32_t min_spam, min_ham; /* messages that must have been learnt before it speaks */
        int32_t learn_spam, learn_ham; /* auto_learn: at or above; at or below */
        const char *spam_address, *ham_address; /* what trusted clients send here is learnt, not delivered; NULL: none */
    } bayes;
    struct config_place place;
};

/* ---- header checks (E9): a line "/pattern/flags ACTION text", or a file of them */
struct config_header_check {
    const char *line, *file;     /* just one */
    struct config_place place;
};

/* ---- rules (E10) */
enum config_direction { CONFIG_DIRECTION_IN = 1, CONFIG_DIRECTION_OUT = 2, CONFIG_DIRECTION_THROUGH = 4 };
enum config_rule_result {        /* of spf, dkim, dmarc, arc: a set */
    CONFIG_RESULT_NONE = 1, CONFIG_RESULT_NEUTRAL = 2, CONFIG_RESULT_PASS = 4, CONFIG_RESULT_FAIL = 8, CONFIG_RESULT_SOFTFAIL = 16,
    CONFIG_RESULT_TEMPERROR = 32, CONFIG_RESULT_PERMERROR = 64, CONFIG_RESULT_POLICY = 128,
};
enum config_attachment_kind {    /* a set */
    CONFIG_KIND_EXECUTABLE = 1, CONFIG_KIND_SCRIPT = 2, CONFIG_KIND_ARCHIVE = 4, CONFIG_KIND_DOCUMENT = 8, CONFIG_KIND_MACRO = 16,
    CONFIG_KIND_ENCRYPTED = 32, CONFIG_KIND_IMAGE = 64, CONFIG_KIND_AUDIO = 128, CONFIG_KIND_VIDEO = 256, CONFIG_KIND_MESSAGE = 512,
    CONFIG_KIND_ANY = 1024,
};
struct config_rule_header {
    const char *name;            /* of the field */
    const char *match;           /* PCRE2 over its decoded value, case-insensitive */
    struct config_place place;
};
struct config_rule_attachment {
    uint32_t kinds;              /* enum config_attachment_kind; 0: any */
    const char *name;            /* shell pattern; NULL: any */
    const char *type;            /* true type, "application/pdf", "image/ *"; NULL: any */
    uint64_t larger;             /* bytes; 0: any */
    struct config_place place;
};
enum config_rule_do {
    CONFIG_DO_ACCEPT,            /* no further rule, and neither spam nor attachments have a say */
    CONFIG_DO_REJECT, CONFIG_DO_DEFER, CONFIG_DO_DISCARD, CONFIG_DO_QUARANTINE,
    CONFIG_DO_TAG_SUBJECT,       /* text: the prefix */
    CONFIG_DO_ADD_HEADER,        /* text: "Name: value" */
    CONFIG_DO_REMOVE_HEADER,     /* text: name */
    CONFIG_DO_REDIRECT, CONFIG_DO_COPY, CONFIG_DO_NOTIFY, /* address */
    CONFIG_DO_STRIP,             /* the attachments that the condition is about; all, without one */
    CONFIG_DO_STOP,              /* no further rule */
    /* Of milters only: */
    CONFIG_DO_REMOVE_RCPT,       /* address: that recipient gets nothing; one that is none is passed over */
    CONFIG_DO_CHANGE_SENDER,     /* address: the new reverse-path, without <>; NULL or empty: the null one */
    /* Of header checks only: */
    CONFIG_DO_HOLD,              /* it stays in the queue until somebody releases it */
    CONFIG_DO_WARN,              /* nothing; the trace tells */
};
struct config_rule_action {
    enum config_rule_do action;
    const char *text, *address;  /* NULL: none */
    struct config_place place;
};
struct config_rule {
    const char *name;
    bool enabled;
    struct {                     /* all that are given must hold; of a list one entry */
        struct config_match_list clients, senders, recipients;
        uint32_t directions;     /* 0: any */
        const char **zones;
        size_t zone_n;
        struct config_rule_header *headers;
        size_t header_n;
        uint64_t larger, smaller;/* bytes of the message; 0: any */
        struct config_rule_attachment *attachments;
        size_t attachment_n;
        uint32_t spf, dkim, dmarc, arc; /* enum config_rule_result; 0: any */
        uint32_t spam;           /* enum config_spam_class; 0: any */
        bool virus;              /* one was found */
    } when;
    struct config_rule_action *actions;
    size_t action_n;
    struct config_place place;
};

/* ---- quarantine (G4, G5) */
struct config_quarantine {
    uint64_t keep;               /* ms; 0: without end */
    uint64_t size;               /* bytes of all; when it is full new messages are deferred; 0: no limit but the disk's */
    struct {
        bool enabled;
        uint32_t *at;            /* minutes of the day, local time; at most 8 */
        size_t at_n;
        const char *from;        /* NULL: postmaster */
        const char **domains;    /* whose recipients get one; none: all relay domains */
        size_t domain_n;
        const char *url;         /* "https://mail.example.com:8443": where readers of links reach `listen`; NULL: digests have no links */
        const char *listen;      /* address:port of the page behind links; NULL: none */
        const char *certificate, *key; /* PEM; NULL: plain HTTP, for a proxy in front */
        uint64_t valid;          /* ms a link is good for */
    } digest;
    struct config_place place;
};

#endif
