/* SPDX-License-Identifier: Apache-2.0
 * What token endpoints and commands answer (RFC 6749 §5). */
#include <jansson.h>
#include <stdio.h>
#include "auth/client_internal.h"
#include "auth/token.h"
#include "base/json.h"

#define LIFE_MAX (366u * 24 * 3600) /* seconds */

void token_deinit(struct token *t)
{
    buf_wipe(&t->access);
    buf_wipe(&t->refresh);
    t->life = 0;
}

/* RFC 6750 §2.1 allows less, but what matters is that nothing can end the field it is written into. */
static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7F) return false;
    return s.n > 0 && s.n <= TOKEN_MAX;
}

static uint64_t life_of(const json_t *object)
{
    const json_t *v = json_object_get(object, "expires_in");
    uint64_t seconds = 0;
    if (json_is_integer(v) && json_integer_value(v) > 0) seconds = (uint64_t)json_integer_value(v);
    else if (json_is_string(v) && !slice_to_u64(json_text(object, "expires_in"), UINT32_MAX, &seconds)) seconds = 0; /* some write it so */
    return (seconds < LIFE_MAX ? seconds : LIFE_MAX) * 1000;
}

static void explain(const json_t *object, char reason[200])
{
    struct buf b = { 0 };
    struct slice description = json_text(object, "error_description");
    buf_add_str(&b, "it says ");
    buf_add_printable(&b, json_text(object, "error"), 60);
    if (description.n) buf_add_str(&b, ": ");
    buf_add_printable(&b, description, 100);
    snprintf(reason, 200, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

static bool take(const json_t *object, struct token *t, char reason[200])
{
    struct slice access = json_text(object, "access_token"), type = json_text(object, "token_type"), refresh = json_text(object, "refresh_token");
    if (json_text(object, "error").n) {
        explain(object, reason);
        return false;
    }
    snprintf(reason, 200, "there is no access_token in it");
    if (!is_token(access)) return false;
    snprintf(reason, 200, "the token is not of the type Bearer");
    if (type.n && !slice_ieq(type, SLICE("Bearer"))) return false;
    reason[0] = 0;
    buf_add(&t->access, access);
    if (is_token(refresh)) buf_add(&t->refresh, refresh);
    t->life = life_of(object);
    return true;
}

bool token_parse_json(struct slice text, struct token *t, char reason[200])
{
    json_error_t error;
    json_t *object = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
    bool ok = false;
    if (json_is_object(object)) ok = take(object, t, reason);
    else snprintf(reason, 200, "that is not a JSON object");
    json_decref(object);
    return ok;
}

bool token_parse_output(struct slice text, struct token *t, char reason[200])
{
    struct slice line;
    text = slice_trim(text);
    if (text.n && text.p[0] == '{') return token_parse_json(text, t, reason);
    slice_cut(&text, '\n', &line);
    line = slice_trim(line);
    if (is_token(line)) {
        buf_add(&t->access, line);
        return true;
    }
    snprintf(reason, 200, "its first line is not a token");
    return false;
}
