/* SPDX-License-Identifier: Apache-2.0
 * Challenges of a server, one a line, to each mechanism; and answers of token endpoints. The first byte chooses. */
#include "auth/client_internal.h"
#include "auth/token.h"
#include "base/log.h"
#include "base/mem.h"
#include "fuzz.h"

static void parse_tokens(struct slice text)
{
    struct token t = { 0 };
    char why[200] = "";
    if (token_parse_json(text, &t, why)) must(t.access.n > 0 && t.access.n <= TOKEN_MAX);
    else must(why[0]);
    token_deinit(&t);
    if (token_parse_output(text, &t, why)) must(t.access.n > 0 && t.access.n <= TOKEN_MAX);
    token_deinit(&t);
}

/* "$" in a challenge stands for what we said first without its first eight bytes: so that a SCRAM nonce can be the right one. */
static void fill_in(struct slice line, struct slice first, struct buf *out)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] != '$') buf_add_char(out, line.p[i]);
        else buf_add(out, slice_sub(first, first.n > 24 ? first.n - 24 : 0, first.n));
    }
}

static void converse(const char *mechanism, struct slice rest)
{
    static const struct config config = { .tls = { .ca = "" } };
    struct config_hop hop = { .host = "h", .text = "h", .auth = { .user = "user", .password = (char[]){ "pencil" } } };
    struct auth_reply r = { 0 };
    struct buf first = { 0 }, challenge = { 0 };
    struct slice line;
    struct auth_client *a = auth_client_new(&config, &hop, slice_str(mechanism), "h", 25, true, slice_of(NULL, 0), &r);
    must(a != NULL);
    buf_add(&first, buf_slice(&r.data));
    bool proves = strncmp(mechanism, "SCRAM", 5) == 0;
    while (r.outcome == AUTH_CONTINUE && rest.n) {
        slice_cut(&rest, '\n', &line);
        buf_clear(&challenge);
        fill_in(line, buf_slice(&first), &challenge);
        auth_client_next(a, buf_slice(&challenge), &r);
        must(r.outcome == AUTH_CONTINUE || (r.outcome == AUTH_FAILED && r.reason[0]));
    }
    if (r.outcome == AUTH_CONTINUE) {
        auth_client_end(&a, true, &r);
        must(!proves || r.outcome == AUTH_FAILED); /* nobody here knows the password */
    } else {
        auth_client_cancel(&a);
    }
    buf_deinit(&first);
    buf_deinit(&challenge);
    auth_reply_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const mechanisms[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "LOGIN", "PLAIN" };
    if (n < 1) return 0;
    log_open("fuzz", LOG_ERROR);
    struct slice rest = slice_sub(slice_of(data, n), 1, n);
    unsigned which = data[0] % (countof(mechanisms) + 1);
    if (which == countof(mechanisms)) parse_tokens(rest);
    else converse(mechanisms[which], rest);
    return 0;
}
