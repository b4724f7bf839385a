/* SPDX-License-Identifier: Apache-2.0
 * Would this relay take a stranger's mail for somebody elsewhere? The pipeline itself is asked (policy/explain.h), for
 * each zone in which strangers may be, with everything that was ever used to get mail through. */
#include <stdio.h>
#include "doctor/internal.h"
#include "policy/explain.h"
#include "smtp/address.h"

#define THERE "relay-test.example.org" /* nobody's relay domain */
#define FORMS_MAX 16

/* Addresses for documentation (RFC 5737): nobody's clients, and in no zone but by mistake. */
static const char *const strangers[] = { "198.51.100.77", "203.0.113.77", "192.0.2.77" };

struct form {
    const char *before, *behind; /* of the relay's own domain; behind NULL: nothing of it is in there */
};
static const struct form forms[] = {
    { "victim@" THERE, NULL },        { "victim%" THERE "@", "" }, /* RFC 1123 §5.2.16: the percent hack */
    { THERE "!victim@", "" },                                      /* a bang path */
    { "\"victim@" THERE "\"@", "" },  { "\"victim%" THERE "\"@", "" }, { "\"" THERE "!victim\"@", "" },
    { "victim%" THERE "%more@", "" }, { "@", ":victim@" THERE }, /* a source route, RFC 5321 appendix F.2 */
    { "victim@", "@" THERE },         { "victim@" THERE "@", "" },     { "victim@[127.0.0.1]", NULL },
    { "victim@[192.0.2.77]", NULL },
};

static const char *own_domain(const struct config *c)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (!c->domains[i].table) return c->domains[i].name;
    return c->hostname;
}

/* Those that have the form of an address; the others are refused before anybody looks at whom they are for. */
static json_t *recipients(struct exam *x, const char *domain)
{
    json_t *to = json_array();
    for (size_t i = 0; i < countof(forms); i++) {
        const struct form *f = &forms[i];
        const char *text = f->behind ? arena_printf(&x->arena, "%s%s%s", f->before, domain, f->behind) : f->before;
        struct address a;
        if (!address_parse(slice_str(text), &a)) json_array_append_new(to, json_string(text));
    }
    return to;
}

/* The zones where a stranger ends up: without trust, by his address or since a listener says so. */
static bool is_strangers(const struct config *c, size_t i)
{
    if (c->zones[i].trust != CONFIG_TRUST_NONE) return false;
    if (i + 1 == c->zone_n) return true;
    for (size_t k = 0; k < c->listener_n; k++)
        if (c->listeners[k].zone == (int)i) return true;
    return c->zones[i].network_n > 0;
}

static void ask(struct exam *x)
{
    const struct config *c = x->config;
    const char *senders[] = { "stranger@" THERE, "", arena_printf(&x->arena, "postmaster@%s", own_domain(c)) };
    for (size_t i = c->zone_n; i-- > 0;)
        for (size_t k = 0; k < countof(senders); k++) {
            if (!is_strangers(c, i) || x->late_n == LATES_MAX) continue;
            json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:o}", "client",
                                        strangers[x->late_n % countof(strangers)], "zone", c->zones[i].name, "helo",
                                        "stranger." THERE, "from", senders[k], "to", recipients(x, own_domain(c)));
            policy_explain(x->run->doctor->o.policy, request, late_reply, exam_late(x));
            json_decref(request);
        }
}

/* What the check of the right to relay said; NULL: it was not asked. */
static const char *right_of(const json_t *answer, const char *rcpt)
{
    const json_t *e, *r;
    size_t i;
    json_array_foreach(json_object_get(answer, "trace"), i, e) {
        r = json_object_get(e, "recipient");
        if (!strcmp(json_string_value(json_object_get(e, "check")), "relay") && r &&
            !strcmp(json_string_value(r), rcpt))
            return json_string_value(json_object_get(e, "outcome"));
    }
    return NULL;
}

struct counts {
    unsigned refused, unsure;
    struct buf taken; /* the recipients, the first ones */
    unsigned taken_n;
    const char *zone;
};

static void judge(const json_t *answer, struct counts *n)
{
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(answer, "recipients"), i, r) {
        const char *rcpt = json_string_value(json_object_get(r, "recipient")),
                   *outcome = json_string_value(json_object_get(r, "outcome"));
        const char *right = right_of(answer, rcpt);
        if (!strcmp(outcome, "reject") && (!right || strcmp(right, "pass") != 0)) n->refused++;
        else if (!strcmp(outcome, "defer") && (!right || !strcmp(right, "reject")))
            n->unsure++; /* by another check, before */
        else if (n->taken_n++ < 3) buf_addf(&n->taken, "%s%s", n->taken_n > 1 ? ", " : "", rcpt);
    }
}

static void tell(struct exam *x, const char *zone, struct counts *n)
{
    if (n->taken_n)
        exam_find(x, "open-relay", zone, DOCTOR_ERROR,
                  arena_printf(&x->arena, "a stranger in the zone %s may send to others: %s", zone,
                               exam_shown(x, buf_slice(&n->taken))),
                  "`postern explain --client ADDRESS --from ADDRESS --to ADDRESS` shows which line lets it through",
                  NULL, 0);
    else if (n->unsure)
        exam_find(x, "open-relay", zone, DOCTOR_UNKNOWN,
                  arena_printf(&x->arena, "for %u of %u forms the answer was to come later", n->unsure,
                               n->unsure + n->refused),
                  "look again in a minute", NULL, 0);
    else
        exam_find(x, "open-relay", zone, DOCTOR_OK,
                  arena_printf(&x->arena, "strangers in the zone %s get nothing through to others (%u ways tried)",
                               zone, n->refused),
                  "", NULL, 0);
    buf_deinit(&n->taken);
}

/* Who connects to such a listener may relay, whoever it is. */
static void look_at_listeners(struct exam *x)
{
    const struct config *c = x->config;
    for (size_t i = 0; i < c->listener_n; i++) {
        const struct config_listener *l = &c->listeners[i];
        const struct config_zone *z = l->zone >= 0 ? &c->zones[l->zone] : NULL;
        if (!z || z->trust != CONFIG_TRUST_RELAY || ip_is_loopback(&l->ip)) continue;
        exam_find(
            x, "open-relay",
            arena_printf(&x->arena, "listener %s:%u", l->ip.family ? exam_ip(x, &l->ip) : "*", l->port), DOCTOR_WARNING,
            arena_printf(&x->arena, "everybody who can reach this listener is in the zone %s, and may relay", z->name),
            "leave zone out of the listener, or see to it that a firewall keeps strangers away", NULL, 0);
        exam_option(x, arena_printf(&x->arena, "listeners[%zu].zone", i));
    }
}

void exam_relay(struct exam *x)
{
    if (!x->late_n) ask(x);
    for (size_t i = 0; i < x->late_n; i++)
        if (!exam_came(x, x->lates[i]) && !x->run->over) return;
    struct counts n = { .refused = 0 };
    size_t at = 0;
    for (size_t i = x->config->zone_n; i-- > 0 && at < x->late_n;) {
        if (!is_strangers(x->config, i)) continue;
        for (size_t k = 0; k < 3 && at < x->late_n; k++, at++) {
            const json_t *answer = x->lates[at]->answer;
            if (answer && !json_object_get(answer, "error")) judge(answer, &n);
            else n.unsure++;
        }
        tell(x, x->config->zones[i].name, &n);
        n = (struct counts){ .refused = 0 };
    }
    look_at_listeners(x);
}
