/* SPDX-License-Identifier: Apache-2.0
 * The parts of postern auth and postern dkim: look-ups on a loop of their own, a message from a file, results in words and JSON. */
#ifndef POSTERN_CLI_AUTH_H
#define POSTERN_CLI_AUTH_H
#include <jansson.h>
#include "base/err.h"
#include "mailauth/mailauth.h"

#define AUTH_LOOKUP_MS 8000      /* of one look-up, */
#define AUTH_LIMIT_MS 17000      /* and of all together: a command ends within 20 seconds */

/* ---- auth_dns.c */
struct auth_world;
/* "HOST:PORT" or "HOST" of a name server; NULL: those of the system. Blocks. NULL with err; err->code is 0 when `server` is not
 * understood. */
struct auth_world *auth_world_new(const char *server, struct err *err);
void auth_world_free(struct auth_world **w); /* NULL is fine */
struct auth_dns auth_world_dns(struct auth_world *w);
/* Calls check until it says true, as answers come. When the time of all runs is up what is open is answered with TEMPFAIL, and so is
 * what is asked later. Blocks. */
void auth_world_run(struct auth_world *w, bool (*check)(void *arg, const struct auth_dns *dns), void *arg);

/* ---- auth_message.c */
struct auth_message {
    struct auth_header header;
    struct auth_body *body;
    void (*on_header)(void *arg); /* the header is complete: those who want body hashes say so now; NULL: nobody does */
    void *arg;
};
/* Reads the file ("-": standard input) from its beginning to its end, keeping the header alone. Lines may end in CRLF or LF; a line "From "
 * in front (mbox) is passed over. False with err. Blocks. */
bool auth_message_read(struct auth_message *m, const char *file, struct arena *arena, struct err *err) MUST_CHECK;
void auth_message_deinit(struct auth_message *m);

/* ---- auth_print.c: to standard output, disarmed */
/* The word for a signature's result: one that holds and is not believed (DKIM_POLICY) has failed for whoever asks. */
const char *auth_dkim_word(enum dkim_result r);
void auth_print_spf(const struct spf *r);
void auth_print_dkim(const struct dkim *r);
void auth_print_arc(const struct arc *r);
void auth_print_dmarc(const struct dmarc *r, const struct spf *spf, const struct dkim *dkim);

/* ---- auth_json.c */
json_t *auth_json_text(struct slice s); /* printable */
json_t *auth_json_spf(const struct spf *r);
json_t *auth_json_dkim(const struct dkim *r);
json_t *auth_json_arc(const struct arc *r);
json_t *auth_json_dmarc(const struct dmarc *r);

#endif
