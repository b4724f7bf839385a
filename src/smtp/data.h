/* SPDX-License-Identifier: Apache-2.0
 * The text of a message on the wire (RFC 5321 §4.5.2), both directions. Strict: only CRLF ends a line, only
 * CRLF.CRLF ends the text; a bare CR or a bare LF is an error that is told after the end was found. Works at memory speed:
 * finds line ends with memchr and copies runs. */
#ifndef POSTERN_SMTP_DATA_H
#define POSTERN_SMTP_DATA_H
#include "base/slice.h"

enum data_status {
    DATA_MORE,  /* all of the input was used */
    DATA_ROOM,  /* the output is full; call again with the rest and new room */
    DATA_END,   /* the final dot was found; *used stands behind its CRLF */
};

/* Reading: zero, then data_reader_init. */
struct data_reader {
    int state;
    uint64_t size;            /* bytes of text put out */
    uint64_t line_n, line_max;/* length of the line at hand; limit with CRLF */
    bool bare_cr, bare_lf, nul, long_line, has_dots, has_8bit; /* seen so far */
    bool lenient;             /* set after data_reader_init: a bare LF ends a line, too, and is put out as CRLF; a dot between two such
                               * ends the text. For old devices on networks of one's own only: elsewhere it lets mail be smuggled. */
};
void data_reader_init(struct data_reader *r, uint64_t line_max);
/* Reads from in, writes unstuffed text to out (room bytes). *used and *put tell how far it came. Text put out always ends in CRLF at
 * DATA_END. Nothing after the final dot is looked at. After bare_cr or bare_lf was seen the end is still found only at a true
 * CRLF.CRLF, and the caller refuses the message. */
enum data_status data_read(struct data_reader *r, struct slice in, size_t *used, char *out, size_t room, size_t *put);

/* Text of a chunk (RFC 3030): dots mean nothing, its size tells its end. Copies all of in to out; always strict. */
void data_read_chunk(struct data_reader *r, struct slice in, char *out);
/* The last chunk was read. True: the text is complete. False: its last line has no CRLF, which is to be added to it (and is counted
 * in size by this call); a CR that stands there alone is a bare one. */
bool data_end_chunks(struct data_reader *r);

/* Writing: copies text with dots stuffed at line starts. *at_line_start is true to begin with and carries over. Returns bytes written to
 * out; out must have room for 2*in.n. */
size_t data_stuff(struct slice in, bool *at_line_start, char *out);

#endif
