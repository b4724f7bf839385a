/* SPDX-License-Identifier: Apache-2.0
 * Message text that is coming in, by DATA or BDAT: where it goes, what is looked at on the way, and its end. */
#ifndef POSTERN_SERVER_TEXT_H
#define POSTERN_SERVER_TEXT_H
#include "policy/notice.h"
#include "server/session.h"

/* The text begins: draft, readers and deadline. False: there is no storage, tx.refusal says so (452). */
bool text_begin(struct session *s);
/* Room to read text into: the draft's, or waste for a message that is refused already. */
char *text_room(struct session *s, size_t *room);
void text_keep(struct session *s, struct slice text); /* that much of the room was filled */
/* The limits that show while text is coming: keeps the refusal, from then on the text goes to waste. */
void text_check_limits(struct session *s);
void text_check_line_ends(struct session *s); /* the same for bare CR and LF, once a part of the text is complete */
/* More than twice the size limit: says 552 and hangs up. */
bool text_is_endless(struct session *s, uint64_t size);
void text_brake(struct session *s); /* takes no more input while too much waits for the disk */
void text_spoil(struct session *s, int code, const char *enhanced, const char *text); /* the first reason stays */
void text_spoil_storage(struct session *s, const struct err *err);
void text_refuse(struct session *s, struct slice about); /* tells tx.refusal, as session_refuse */
/* The text is complete: commits it, or tells the refusal and ends the transaction. */
void text_finish(struct session *s);
void text_give_up(struct session *s); /* tells tx.refusal and ends the transaction */

/* content.c: what a header field says; also keeps what listings show. For header_reader_init, arg is the session. */
void text_on_field(void *arg, struct slice name, struct slice value, bool truncated);
void text_check_header(struct session *s); /* once the text is complete */
/* The header ended in a line that is no field: is there one of those behind it that would have been cut out? `text`: from somewhere within
 * that line on, and then the pieces that follow. */
void text_look_behind(struct session *s, struct slice text);

/* edited.c. The checks let the message pass: looks at the text as their edits make it, and has what was hashed for signatures hashed again
 * where they changed it; then text_sign, or a refusal (451) when it cannot be edited so. */
void text_edit(struct session *s);
void text_edit_cancel(struct session *s); /* nothing comes of it any more; the transaction may be over */

/* outcome.c: what the checks want, beside the verdict. */
void text_note_outcome(struct session *s, const struct policy_verdict *v); /* keeps it in the transaction, which it outlives */
void text_apply_outcome(struct session *s); /* a message that is taken: recipients, fields, quarantine */
/* expanded.c: behind that. What becomes of the recipients (route/expand.h) and who gets copies: tx.final. False: it cannot be found out any
 * more, or they are too many; tx.refusal says so (451, 452). */
bool text_expand(struct session *s);
/* One recipient may stand for up to EXPAND_MAX others, those of a message for this many, copies aside. */
#define TEXT_EXPANDED_MAX 10000
void text_discard(struct session *s, const struct policy_verdict *v); /* answers the client as if it had been taken */
/* Tells those who are to be told; once. */
void text_tell(struct session *s, enum notice_done done);
/* notices.c */
struct notices;
void notices_free(struct notices **n); /* NULL is fine */

/* sign.c. At the end of the header: the message is to be signed, or sealed, if there is a key for it. */
void text_sign_begin(struct session *s);
/* Then text_submit, when its signatures are there; or a refusal (451) when they do not come. */
void text_sign(struct session *s);

/* submit.c: the fields that a program which writes mail may leave to us (RFC 6409 §8); made once. */
const char *text_missing(struct session *s);
void text_count_taken(struct session *s); /* by the session, and by the server if it is still there */
void text_reply_taken(struct session *s); /* 250, with the id */
/* submit.c: commits the message with its envelope; the callback answers the client. */
void text_submit(struct session *s);

#endif
