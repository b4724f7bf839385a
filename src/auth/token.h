/* SPDX-License-Identifier: Apache-2.0
 * OAuth 2 access tokens of next hops: fetched by a command or from a token endpoint (RFC 6749 §6), kept until shortly before they end. One
 * fetch at a time for a hop, others wait for it; after an error none for a while. Any thread may call; the calls block for up to
 * TOKEN_TIME_MAX ms. */
#ifndef POSTERN_AUTH_TOKEN_H
#define POSTERN_AUTH_TOKEN_H
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

#define TOKEN_MAX 8192             /* bytes of an access or refresh token */
#define TOKEN_TIME_MAX 30000       /* ms for a command or endpoint */
#define TOKEN_COMMAND_MAX 16384    /* bytes that a command may print */
#define TOKEN_ENDPOINT_MAX 65536   /* bytes that an endpoint may answer */
#define TOKEN_ERROR_MS 30000       /* so long an error is believed */

/* An access token for hop (which has token.command or token.endpoint), into an empty buffer; the caller wipes it. False: reason. */
bool token_get(const struct config *c, const struct config_hop *hop, struct buf *out, char reason[200]) MUST_CHECK;
/* The server would not have this one: another is fetched next time. When that is refused, too, there is none for TOKEN_ERROR_MS. */
void token_refuse(const struct config_hop *hop, struct slice token);
void token_accept(const struct config_hop *hop);
void token_forget(void); /* wipes all; nobody may be in token_get (for tests: a process that ends takes its memory along) */

/* ---- within: what a fetch brings */
struct token {
    struct buf access, refresh;    /* refresh: a new one, or empty */
    uint64_t life;                 /* ms; 0: not said */
};
void token_deinit(struct token *t);
/* The answer of an endpoint (RFC 6749 §5.1, §5.2), or the JSON of a command; t is empty before. */
bool token_parse_json(struct slice text, struct token *t, char reason[200]) MUST_CHECK;
/* What a command prints: JSON, or the token on the first line. */
bool token_parse_output(struct slice text, struct token *t, char reason[200]) MUST_CHECK;
bool token_run_command(const char *command, struct token *t, char reason[200]) MUST_CHECK;
/* refresh: the one to send. */
bool token_ask_endpoint(const struct config *c, const struct config_hop *hop, struct slice refresh, struct token *t,
                        char reason[200]) MUST_CHECK;
/* "https://...", or "http://" to a loopback address or localhost (other machines must not see what is sent). */
bool token_endpoint_is_safe(const char *url);

#endif
