/* SPDX-License-Identifier: Apache-2.0
 * The set-up check with a DNS that lies: lines of the input are the texts and names that all answers are made of. Whatever they say, findings
 * and records are complete JSON, and a TXT record's strings are no longer than they may be. */
#include <stdlib.h>
#include "base/mem.h"
#include "doctor/internal.h"
#include "fuzz.h"
#include "smtp/address.h"

#define LINES_MAX 40

struct world {
    struct slice lines[LINES_MAX];
    size_t n;
    struct arena arena;
    bool late; /* the first question of each kind has no answer yet */
    unsigned asked;
};

static uint32_t hash(enum auth_dns_type type, struct slice name)
{
    uint32_t h = 2166136261u + (uint32_t)type;
    for (size_t i = 0; i < name.n; i++) h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
    return h ^ (h >> 15);
}

static const struct auth_dns_answer *get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct world *w = arg;
    struct auth_dns_answer *a = arena_alloc(&w->arena, sizeof *a);
    struct slice *texts = arena_alloc(&w->arena, 8 * sizeof *texts);
    struct ip *ips = arena_alloc(&w->arena, 8 * sizeof *ips);
    struct auth_dns_mx *mx = arena_alloc(&w->arena, 8 * sizeof *mx);
    uint32_t h = hash(type, type == AUTH_DNS_PTR ? slice_of(ip->bytes, 16) : name);
    size_t n = w->n ? (h >> 8) % 4 : 0;
    if (w->late && w->asked++ % 7 == 3) return NULL;
    for (size_t i = 0; i < n; i++) {
        texts[i] = w->lines[(h + i) % w->n];
        ips[i] = (struct ip){ .family = type == AUTH_DNS_AAAA ? 6 : 4 };
        memcpy(ips[i].bytes, texts[i].p, texts[i].n < 4 ? texts[i].n : 4);
        mx[i] = (struct auth_dns_mx){ (uint16_t)(h + i), slice_sub(texts[i], 0, 253) };
    }
    *a = (struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = n, .texts = texts, .ips = ips, .mx = mx, .names = texts };
    if (!n) a->status = h & 1 ? AUTH_DNS_NXDOMAIN : h & 2 ? AUTH_DNS_NODATA : AUTH_DNS_TEMPFAIL;
    return a;
}

static void check(const struct exam *x)
{
    size_t i;
    json_t *one;
    json_array_foreach(x->findings, i, one) must(json_is_object(one) && json_string_length(json_object_get(one, "text")) > 0);
    json_array_foreach(x->records, i, one) {
        size_t run = 0;
        must(json_is_object(one) && json_is_array(json_object_get(one, "found")));
        for (const char *p = json_string_value(json_object_get(one, "bind")); *p; p++) {
            run = *p == '"' ? 0 : run + 1;
            must(run < 700);
        }
    }
}

static void examine(struct exam *x, void (*with)(struct exam *x))
{
    x->examine = with;
    exam_once(x);
    check(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config = { .hostname = "mx.example.com" };
    static struct doctor doctor;
    struct doctor_run run = { .doctor = &doctor, .helo = "mx.example.com", .addresses = { .n = 2 } };
    struct world w = { .n = 0 };
    struct exam x = { .run = &run, .config = &config, .domain = "example.com", .dns = { get, &w } };
    must(ip_parse(SLICE("192.0.2.10"), &run.addresses.ips[0]) && ip_parse(SLICE("2001:db8::10"), &run.addresses.ips[1]));
    config.delivery.helo = "";
    doctor.o.config = &config;
    for (struct slice rest = slice_of(data, size); rest.n && w.n < LINES_MAX;) slice_cut(&rest, '\n', &w.lines[w.n++]);
    for (unsigned late = 0; late < 2; late++) {
        w.late = late;
        examine(&x, exam_domain);
        examine(&x, exam_host);
        run.addresses.smarthost = !run.addresses.smarthost;
        config.smarthost.text = "relay.example.net";
    }
    json_decref(x.findings);
    json_decref(x.records);
    arena_deinit(&x.arena);
    arena_deinit(&w.arena);
    return 0;
}
