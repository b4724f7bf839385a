/* SPDX-License-Identifier: Apache-2.0
 * Rspamd: the message by HTTP to /checkv2, what is known of it in header lines, an answer in JSON. */
#include <jansson.h>
#include "base/json.h"
#include "base/log.h"
#include "content/scanner_internal.h"

#define BODY_MAX (2u << 20)
#define HEADER_RCPTS_MAX 1000

/* ---- the question */

static void add_header(struct buf *out, const char *name, struct slice value)
{
    if (!value.n) return;
    buf_add_str(out, name);
    buf_add_str(out, ": ");
    scanner_add_clean(out, value);
    buf_add_str(out, "\r\n");
}

static void add_request(struct buf *out, const struct ask *a)
{
    const struct scan_context *c = a->context;
    struct buf text = { 0 };
    buf_add_str(out, "POST /checkv2 HTTP/1.1\r\nHost: rspamd\r\nConnection: close\r\nUser-Agent: Postern\r\n");
    buf_addf(out, "Content-Length: %zu\r\n", a->m->bytes.n);
    add_header(out, "Password", slice_str(a->s->password));
    buf_add_char(&text, '<');
    buf_add(&text, c->sender);
    buf_add_char(&text, '>');
    add_header(out, "From", buf_slice(&text));
    for (uint32_t i = 0; i < c->rcpt_n && i < HEADER_RCPTS_MAX; i++) add_header(out, "Rcpt", c->rcpts[i]);
    buf_clear(&text);
    if (c->client.family) ip_add(&text, &c->client);
    add_header(out, "IP", buf_slice(&text));
    add_header(out, "Helo", c->helo);
    add_header(out, "Hostname", c->client_name);
    add_header(out, "User", c->account);
    add_header(out, "MTA-Name", slice_str(a->config->hostname));
    buf_clear(&text);
    if (c->id) id_add(&text, c->id);
    add_header(out, "Queue-Id", buf_slice(&text));
    buf_add_str(out, "\r\n");
    buf_deinit(&text);
}

/* ---- the answer */

/* Where it would mark a message: what our level `mark` is. Older ones tell of the level of refusal alone, of which the one of marking is two fifths
 * as they are shipped. */
static double threshold_of(const json_t *j)
{
    const json_t *levels = json_object_get(j, "thresholds");
    const json_t *level = json_object_get(levels, "add header");
    if (!json_is_number(level)) level = json_object_get(levels, "rewrite subject");
    if (json_is_number(level)) return json_number_value(level);
    return json_number_value(json_object_get(j, "required_score")) * 0.4;
}

/* Whether it would mark this one it does tell. */
static void obey_action(struct ask *a, struct slice action)
{
    int32_t mark = a->config->spam.mark, *score = &a->out->score;
    bool marks = slice_eq(action, SLICE("add header")) || slice_eq(action, SLICE("rewrite subject")) || slice_eq(action, SLICE("reject"));
    bool passes = slice_eq(action, SLICE("no action")) || slice_eq(action, SLICE("greylist"));
    if (marks && *score < mark) *score = mark;
    if (passes && *score >= mark) *score = mark - 1;
}

static struct slice options_text(struct ask *a, const json_t *symbol)
{
    struct buf b = { .max = REPORT_TEXT_MAX };
    const json_t *options = json_object_get(symbol, "options");
    for (size_t i = 0; i < json_array_size(options); i++) {
        const json_t *o = json_array_get(options, i);
        if (!json_is_string(o)) continue;
        if (b.n) buf_add_str(&b, ", ");
        buf_add(&b, slice_of(json_string_value(o), json_string_length(o)));
    }
    if (!b.n) buf_add(&b, json_text(symbol, "description"));
    return buf_keep(&b, a->arena);
}

static void add_symbols(struct ask *a, json_t *symbols, double factor)
{
    const char *name;
    json_t *symbol;
    json_object_foreach(symbols, name, symbol) {
        const json_t *score = json_object_get(symbol, "score");
        if (!json_is_number(score)) continue;
        scanner_add_symbol(a, slice_str(name), options_text(a, symbol), json_number_value(score) * factor);
    }
}

void rspamd_judge(struct ask *a, struct slice json)
{
    json_error_t error;
    double factor;
    json_t *j = json_loadb(json.p ? json.p : "", json.n, 0, &error);
    const json_t *score = json_object_get(j, "score");
    if (json_is_true(json_object_get(j, "is_skipped"))) a->out->text = SLICE("not judged: its settings pass this message over");
    else if (!json_is_number(score))
        (void)scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: %s", a->s->c->address, j ? "there is no score in its answer" : "its answer is not JSON");
    else {
        scanner_set_score(a, json_number_value(score), threshold_of(j), &factor);
        add_symbols(a, json_object_get(j, "symbols"), factor);
        obey_action(a, json_text(j, "action"));
        a->out->text = scanner_text(a->arena, json_text(j, "action"));
    }
    json_decref(j);
}

static void judge_answer(struct ask *a, const struct http_reader *r)
{
    struct slice shown = scanner_text(a->arena, slice_sub(buf_slice(&r->body), 0, 200));
    if (r->head.status == 200) rspamd_judge(a, buf_slice(&r->body));
    else if (r->head.status == 401 || r->head.status == 403)
        (void)scanner_fail(a, SCANNER_DOWN, "%s wants another password (HTTP %u)", a->s->c->address, r->head.status);
    else if (r->head.status == 413)
        (void)scanner_fail(a, SCANNER_TOO_LARGE, "%s takes no messages of %zu bytes (max_message in rspamd's options)", a->s->c->address, a->m->bytes.n);
    else (void)scanner_fail(a, SCANNER_DOWN, "%s says: HTTP %u %.*s", a->s->c->address, r->head.status, SLICE_ARG(shown));
}

void scanner_ask_rspamd(struct ask *a)
{
    struct http_reader r = { .arena = a->arena, .body = { .max = BODY_MAX } };
    struct buf head = { 0 };
    struct talk t;
    add_request(&head, a);
    if (talk_open(&t, a)) {
        talk_add(&t, buf_slice(&head));
        talk_add(&t, a->m->bytes);
        if (talk_exchange(&t, false, http_read, &r, &r.why)) judge_answer(a, &r);
    }
    talk_close(&t);
    buf_deinit(&r.body);
    buf_wipe(&head);
}
