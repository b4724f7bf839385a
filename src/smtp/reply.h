/* SPDX-License-Identifier: Apache-2.0
 * Replies: reading a server's (RFC 5321 §4.2) and writing ours with enhanced codes (RFC 2034, 3463). */
#ifndef POSTERN_SMTP_REPLY_H
#define POSTERN_SMTP_REPLY_H
#include "base/buf.h"

#define REPLY_LINE_MAX 12400 /* a server's line; RFC 5321 says 512, RFC 4954 §4 12288 for a challenge */
#define REPLY_LINES_MAX 128
#define REPLY_TEXT_MAX 12288 /* kept of a reply's text, the rest is passed over */

/* A reader for one reply after another. Zero it to begin with. */
struct reply_reader {
    int code;                /* of the reply at hand, 0 before its first line */
    unsigned lines;
    char enhanced[12];       /* "5.1.1" or "" */
    size_t text_n;
    char text[REPLY_TEXT_MAX]; /* lines joined by '\n', codes taken off, the enhanced ones, too; bytes as they came */
    bool done;               /* the next bytes begin another reply */
};

enum reply_status { REPLY_MORE, REPLY_DONE, REPLY_BAD };

/* Takes bytes from *in up to the end of a reply. REPLY_DONE: r holds it until the next call. REPLY_MORE: all complete lines were
 * taken, an incomplete one is left in *in. REPLY_BAD: not SMTP (*why says what). A bare LF ends a line, too. */
enum reply_status reply_read(struct reply_reader *r, struct slice *in, const char **why);
/* Finds "KEYWORD" or "KEYWORD args" in an EHLO reply; *args gets the rest, trimmed. ASCII case folded.
 * A keyword that ends with "=" is found without a blank behind it. */
bool reply_ehlo_has(const struct reply_reader *r, const char *keyword, struct slice *args);

/* Length of the enhanced code "5.1.1" at the start of the text of a reply with this code; 0: there is none. */
size_t reply_enhanced_length(int code, struct slice text);

/* Appends a reply. text may have several lines, split at '\n'; it is made printable ASCII; each line is cut to 512 bytes in all.
 * enhanced may be NULL (greeting, EHLO, 354). */
void reply_format(struct buf *out, int code, const char *enhanced, struct slice text);

#endif
