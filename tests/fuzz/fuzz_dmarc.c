/* SPDX-License-Identifier: Apache-2.0
 * DMARC with a From field and a DNS that are the input: by the list and by tree walk, with answers at once and one
 * by one. The input: the field, then for each look-up a line of what is answered: "N", "X", "T" or "R" and a record,
 * several with 0x01 between them. */
#include <libpsl.h>
#include "base/mem.h"
#include "mailauth/dmarc.h"
#include "fuzz.h"

#define ASKED_MAX 400

struct asked {
    char name[256];
    enum auth_dns_type type;
    struct auth_dns_answer answer;
    struct slice texts[4];
    bool late;
};
struct world {
    struct slice lines;
    bool slow;
    size_t n;
    struct asked asked[ASKED_MAX];
};

static void answer(struct world *w, struct asked *a)
{
    struct slice line;
    slice_cut(&w->lines, '\n', &line);
    a->answer.status = !line.n || line.p[0] == 'X' ? AUTH_DNS_NXDOMAIN : line.p[0] == 'T' ? AUTH_DNS_TEMPFAIL : AUTH_DNS_NODATA;
    if (!line.n || line.p[0] != 'R') return;
    a->answer.status = AUTH_DNS_OK;
    a->answer.texts = a->texts;
    line = slice_sub(line, 1, line.n);
    do slice_cut(&line, 1, &a->texts[a->answer.n]);
    while (++a->answer.n < countof(a->texts) && line.n);
}

static const struct auth_dns_answer *get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct world *w = arg;
    must(name.n > 0 && name.n <= 253 && slice_find(name, 0) < 0);
    for (size_t i = 0; i < w->n; i++)
        if (w->asked[i].type == type && slice_eq(slice_str(w->asked[i].name), name)) return w->asked[i].late ? NULL : &w->asked[i].answer;
    must(w->n < ASKED_MAX);
    struct asked *a = &w->asked[w->n++];
    memcpy(a->name, name.p, name.n);
    a->type = type;
    answer(w, a);
    a->late = w->slow;
    return a->late ? NULL : &a->answer;
}

static void check(struct slice from, struct slice lines, const psl_ctx_t *psl, bool slow, struct arena *arena, struct dmarc *out)
{
    struct world *w = mem_new(struct world);
    struct auth_dns dns = { get, w };
    struct auth_header h = { .arena = arena };
    struct auth_field field = { from, SLICE("From"), from };
    h.fields = &field;
    h.n = 1;
    w->lines = lines;
    w->slow = slow;
    struct spf spf = { .result = SPF_PASS, .domain = SLICE("mail.example.com") };
    struct dkim_signature s[2] = { { DKIM_PASS, .domain = SLICE("a.b.example.org") }, { DKIM_TEMPERROR, .domain = SLICE("example.com") } };
    struct dkim dkim = { DKIM_PASS, s, 2 };
    struct dmarc_input in = { &h, &spf, &dkim, psl, 50 };
    size_t rounds = 0;
    while (!dmarc_check(&in, &dns, arena, out)) {
        bool some = false;
        must(slow && ++rounds < 10);
        for (size_t i = 0; i < w->n; i++) {
            some |= w->asked[i].late;
            w->asked[i].late = false;
        }
        must(some);
    }
    free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = mem_slicedup(slice_of(data, n));
    struct slice lines = slice_of(copy, n), from;
    slice_cut(&lines, 0, &from);
    for (int tree = 0; tree < 2; tree++) {
        for (int slow = 0; slow < 2; slow++) {
            struct arena arena = { 0 };
            struct dmarc d;
            check(from, lines, tree ? NULL : psl_builtin(), slow, &arena, &d);
            must(d.reason.n > 0 && d.pct <= 100 && (d.result == DMARC_FAIL || d.asked == DMARC_ASK_NONE));
            must((d.result == DMARC_PASS) == (d.spf_aligned || d.dkim_aligned));
            must(d.result != DMARC_PASS || d.record_domain.n);
            for (size_t i = 0; i < d.record.n; i++) must((unsigned char)d.record.p[i] >= 0x20 && d.record.p[i] != 0x7F);
            arena_deinit(&arena);
        }
    }
    free(copy);
    return 0;
}
