/* SPDX-License-Identifier: Apache-2.0
 * SPF with a DNS that lies: lines of the input are client, EHLO, sender, and the texts all answers are made of. Answers at once and
 * answers in any order give the same, within the limits. */
#include "base/mem.h"
#include "mailauth/spf.h"
#include "fuzz.h"

#define LINES_MAX 40

struct world {
    struct slice lines[LINES_MAX], domain;
    size_t n;
    struct arena arena;
    struct lookup *open[LOOKUPS_MAX];
    size_t n_open, asked;
    uint32_t dice;
};

static uint32_t hash(enum auth_dns_type type, struct slice name)
{
    uint32_t h = 2166136261u + (uint32_t)type;
    for (size_t i = 0; i < name.n; i++) h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
    return h ^ (h >> 15);
}

static struct slice text_of(const struct world *w, size_t i) { return w->n > 3 ? w->lines[3 + i % (w->n - 3)] : SLICE("v=spf1"); }

static struct ip ip_of(struct slice s, bool six)
{
    struct ip ip = { .family = six ? 6 : 4 };
    size_t n = six ? 16 : 4;
    for (size_t i = 0; i < n && i < s.n; i++) ip.bytes[i] = (uint8_t)s.p[i];
    return ip;
}

static const struct auth_dns_answer *look(struct world *w, enum auth_dns_type type, struct slice name, const struct ip *client)
{
    uint32_t h = hash(type, type == AUTH_DNS_PTR ? slice_of(client->bytes, 16) : name);
    bool first = type == AUTH_DNS_TXT && slice_ieq(name, w->domain);
    struct auth_dns_answer *a = arena_alloc(&w->arena, sizeof *a);
    size_t n = first ? 1 : (h >> 8) % 13;
    struct slice *texts = arena_alloc(&w->arena, 13 * sizeof *texts);
    struct ip *ips = arena_alloc(&w->arena, 13 * sizeof *ips);
    struct auth_dns_mx *mx = arena_alloc(&w->arena, 13 * sizeof *mx);
    if (type == AUTH_DNS_TXT && n > 2) n = 1;
    for (size_t i = 0; i < n; i++) {
        texts[i] = text_of(w, first ? 0 : h + i);
        ips[i] = ip_of(texts[i], type == AUTH_DNS_AAAA);
        mx[i] = (struct auth_dns_mx){ (uint16_t)i, texts[i] };
    }
    *a = (struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = n, .texts = texts, .ips = ips, .mx = mx, .names = texts };
    if (!n) a->status = h & 1 ? AUTH_DNS_NXDOMAIN : h & 2 ? AUTH_DNS_NODATA : AUTH_DNS_TEMPFAIL;
    return a;
}

static const struct auth_dns_answer *get_now(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    must(type == AUTH_DNS_PTR ? ip != NULL : auth_dns_name_ok(name));
    return look(arg, type, name, ip);
}

static void start(void *arg, struct lookup *l)
{
    struct world *w = arg;
    must(w->asked++ < LOOKUPS_MAX);
    w->open[w->n_open++] = l;
}

static void cancel(void *arg, struct lookup *l)
{
    (void)arg;
    must(l != NULL);
}

static void answer_some(struct world *w)
{
    must(w->n_open > 0);
    do {
        w->dice = w->dice * 1103515245u + 12345u;
        size_t i = (w->dice >> 16) % w->n_open;
        struct lookup *l = w->open[i];
        w->open[i] = w->open[--w->n_open];
        lookup_answer(l, look(w, l->type, slice_str(l->name), &l->ip));
    } while (w->n_open && w->dice & 0x10000000);
}

static void check_text(struct slice s, bool ascii, size_t max)
{
    must(s.n <= max);
    for (size_t i = 0; i < s.n; i++) must((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7F && (!ascii || (unsigned char)s.p[i] < 0x7F));
}

static void check(const struct spf *s)
{
    must(s->lookups <= 10 || (s->lookups == 11 && s->result == SPF_PERMERROR));
    must(s->voids <= 2 || (s->voids == 3 && s->result == SPF_PERMERROR));
    must(s->result == SPF_FAIL || !s->explanation.n);
    must((s->result != SPF_PERMERROR && s->result != SPF_TEMPERROR) || !s->mechanism.n);
    check_text(s->explanation, true, 1000);
    check_text(s->mechanism, true, 65536);
    check_text(s->reason, false, 2000);
    must(s->reason.n > 0 && s->domain.n < 256 && s->record_domain.n < 254);
}

static void check_late(struct world *w, const struct spf_input *in, const struct spf *now)
{
    struct lookups_calls calls = { start, cancel, NULL, w };
    struct lookups *set = lookups_new(&calls);
    struct auth_dns dns = lookups_dns(set);
    struct arena arena = { 0 };
    struct spf late;
    while (!spf_check(in, &dns, &arena, &late)) answer_some(w);
    must(late.result == now->result && slice_eq(late.explanation, now->explanation) && slice_eq(late.reason, now->reason));
    must(late.lookups == now->lookups && late.voids == now->voids && slice_eq(late.mechanism, now->mechanism));
    lookups_free(&set);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct world w = { .dice = (uint32_t)n };
    struct arena arena = { 0 };
    if (n > 20000) return 0;
    char *copy = mem_slicedup(slice_of(data, n));
    struct slice rest = slice_of(copy, n);
    while (rest.n && w.n < LINES_MAX) slice_cut(&rest, '\n', &w.lines[w.n++]);
    struct spf_input in = { .ip = ip_of(w.lines[0], w.lines[0].n > 4), .helo = w.lines[1], .sender = w.lines[2], .now = n * 1000 };
    if (n % 5 == 0) in.identity = SPF_HELO;
    struct slice judged = in.identity == SPF_HELO || !in.sender.n ? in.helo : in.sender, head;
    while (slice_find(judged, '@') >= 0) slice_cut(&judged, '@', &head);
    w.domain = judged;
    struct auth_dns dns = { get_now, &w };
    struct spf spf;
    must(spf_check(&in, &dns, &arena, &spf));
    check(&spf);
    check_late(&w, &in, &spf);
    arena_deinit(&arena);
    arena_deinit(&w.arena);
    free(copy);
    return 0;
}
