/* SPDX-License-Identifier: Apache-2.0
 * Programs beside us that are asked about a message: plain blocking code in a scan process. One file a protocol, one row each in
 * scanner.c. Whatever the other side says is hostile: bounded in bytes and time. */
#ifndef POSTERN_CONTENT_SCANNER_H
#define POSTERN_CONTENT_SCANNER_H
#include "content/context.h"
#include "content/message.h"
#include "content/report.h"

/* What one scanner said. Texts in the arena, printable, at most REPORT_TEXT_MAX bytes. */
struct scanner_answer {
    enum scanner_state state;
    struct slice text;           /* what was wrong, for people; FINE: may be empty */
    struct report_virus *viruses; size_t virus_n;
    bool judged; int32_t score;  /* of spam, as it counts itself, hundredths; scaled so that its own threshold is our level `mark` */
    struct report_symbol *symbols; size_t symbol_n;
    struct report_action *actions; size_t action_n; /* of milters, rspamd's reject and "soft reject" are judged by score alone */
    struct envelope_cut *edits; size_t edit_n;      /* of milters */
    struct slice prepend;
};
/* Opens what it needs before the sandbox: secrets, and addresses of a name (one that cannot be resolved is no error here: the scanner is DOWN and
 * says so). `c` must outlive it. NULL and an error: an address that is none, a password that cannot be read. Blocks. */
struct scanner;
struct scanner *scanner_open(const struct config_scanner *c, const char *directory, struct err *err) MUST_CHECK; /* directory: for files */
void scanner_close(struct scanner **s); /* clears the pointer; NULL is fine */
/* Blocks, at most c->timeout and until the deadline (mono ms), whatever comes first. `out` is set whole. A message above max_size: TOO_LARGE of
 * scanners for viruses, NOT_ASKED of others. When a virus was found the state is FINE whatever came later. */
void scanner_ask(struct scanner *s, const struct content_message *m, const struct scan_context *c, const struct config *config,
                 uint64_t deadline, struct arena *arena, struct scanner_answer *out);

#endif
