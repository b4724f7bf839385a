/* SPDX-License-Identifier: Apache-2.0
 * spamd: SPAMC/1.5's REPORT; the score is in a header of the answer, the rules are lines of its report. */
#include "base/log.h"
#include "content/scanner_internal.h"

#define HEAD_MAX 4096
#define BODY_MAX (256u << 10)

/* ---- the answer: "SPAMD/1.1 0 EX_OK", header lines, an empty line, the report */

static enum talk_step read_head(struct spamd_reader *r, struct buf *in)
{
    struct slice seen = slice_sub(buf_slice(in), 0, HEAD_MAX);
    const char *end = seen.n ? memmem(seen.p, seen.n, "\r\n\r\n", 4) : NULL;
    if (!end) return seen.n == HEAD_MAX ? TALK_BAD : TALK_MORE;
    size_t n = (size_t)(end - seen.p) + 4;
    r->head = arena_slice(r->ask->arena, slice_of(seen.p, n));
    buf_consume(in, n);
    r->has_head = true;
    struct http_head h = { .fields = r->head };
    struct slice value;
    r->has_length = http_field(&h, "Content-length", &value);
    return r->has_length && !slice_to_u64(value, BODY_MAX, &r->left) ? TALK_BAD : TALK_DONE;
}

enum talk_step spamd_read(void *arg, struct buf *in, bool end)
{
    struct spamd_reader *r = arg;
    r->why = "the head of its answer";
    r->body.max = BODY_MAX;
    if (!r->has_head) {
        enum talk_step step = read_head(r, in);
        /* What went wrong is told in one line, and nothing else. */
        if (step == TALK_MORE && end && slice_starts(buf_slice(in), SLICE("SPAMD/"))) {
            r->head = arena_slice(r->ask->arena, slice_sub(buf_slice(in), 0, HEAD_MAX));
            return TALK_DONE;
        }
        if (step != TALK_DONE) return step;
    }
    size_t n = r->has_length && r->left < in->n ? (size_t)r->left : in->n;
    buf_add(&r->body, slice_of(in->p, n));
    buf_consume(in, n);
    r->why = "its report is too long";
    if (r->body.overflow) return TALK_BAD;
    if (!r->has_length) return end ? TALK_DONE : TALK_MORE;
    r->left -= n;
    return r->left ? TALK_MORE : TALK_DONE;
}

/* ---- what it means */

/* " 1.2 RULE_NAME   why": a line of the report's table. */
static void add_line(struct ask *a, struct slice line, double factor)
{
    struct slice number, name;
    double score;
    line = slice_trim(line);
    if (!slice_cut(&line, ' ', &number) || slice_find(number, '.') <= 0 || !scanner_number(number, &score)) return;
    line = slice_trim(line);
    slice_cut(&line, ' ', &name);
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'A' && name.p[i] <= 'Z') && !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '_') return;
    if (name.n > 2) scanner_add_symbol(a, name, line, score * factor);
}

/* "True ; 15.3 / 5.0" */
static bool parse_spam(struct slice value, double *score, double *threshold)
{
    struct slice verdict, number;
    return slice_cut(&value, ';', &verdict) && slice_cut(&value, '/', &number) && scanner_number(slice_trim(number), score) &&
           scanner_number(slice_trim(value), threshold);
}

void spamd_judge(struct ask *a, const struct spamd_reader *r)
{
    struct slice rest = r->head, line, word, value;
    struct http_head h = { .fields = r->head };
    double score, threshold, factor;
    const char *address = a->s->c->address;
    slice_cut(&rest, '\n', &line);
    struct slice shown = scanner_text(a->arena, line);
    slice_cut(&line, ' ', &word);
    struct slice code;
    line = slice_trim(line);
    slice_cut(&line, ' ', &code);
    if (!slice_starts(word, SLICE("SPAMD/")) || !code.n) (void)scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: %.*s", address, SLICE_ARG(shown));
    else if (!slice_eq(code, SLICE("0"))) (void)scanner_fail(a, SCANNER_DOWN, "%s says: %.*s", address, SLICE_ARG(shown));
    else if (!http_field(&h, "Spam", &value) || !parse_spam(value, &score, &threshold))
        (void)scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: there is no score in its answer", address);
    else {
        scanner_set_score(a, score, threshold, &factor);
        rest = buf_slice(&r->body);
        while (rest.n) {
            slice_cut(&rest, '\n', &line);
            add_line(a, line, factor);
        }
    }
}

void scanner_ask_spamd(struct ask *a)
{
    struct spamd_reader r = { .ask = a };
    struct buf trace = { 0 }, head = { 0 };
    struct talk t;
    scanner_add_trace(&trace, a);
    buf_add_str(&head, "REPORT SPAMC/1.5\r\n");
    buf_addf(&head, "Content-length: %zu\r\n", trace.n + a->m->bytes.n);
    if (a->s->c->service) {
        buf_add_str(&head, "User: ");
        scanner_add_clean(&head, slice_str(a->s->c->service));
        buf_add_str(&head, "\r\n");
    }
    buf_add_str(&head, "\r\n");
    if (talk_open(&t, a)) {
        talk_add(&t, buf_slice(&head));
        talk_add(&t, buf_slice(&trace));
        talk_add(&t, a->m->bytes);
        if (talk_exchange(&t, true, spamd_read, &r, &r.why)) spamd_judge(a, &r);
    }
    talk_close(&t);
    buf_deinit(&r.body);
    buf_deinit(&trace);
    buf_deinit(&head);
}
