/* SPDX-License-Identifier: Apache-2.0
 * Are the keys that sign for a domain published, and are they the same? */
#include "doctor/internal.h"
#include "mailauth/key.h"
#include "signer/signer.h"

static const struct auth_dns_answer no_name = { .status = AUTH_DNS_NXDOMAIN };

static const struct auth_dns_answer *look(struct exam *x, const char *host)
{
    return strlen(host) <= 253 ? exam_look(x, AUTH_DNS_TXT, slice_str(host), NULL) : &no_name;
}

static void tell_missing(struct exam *x, const struct config_dkim_key *k, const char *host, json_t *record)
{
    const struct auth_dns_answer *twice =
        look(x, arena_printf(&x->arena, "%s.%s", host, k->domain)); /* a common slip */
    if (!twice) return;
    if (twice->status == AUTH_DNS_OK)
        exam_find(
            x, "dkim", host, k->enabled ? DOCTOR_ERROR : DOCTOR_WARNING,
            "the key is not published here, but with the domain's name twice",
            arena_printf(&x->arena,
                         "the panel adds the domain by itself: enter the host without .%s, or with a dot at its end",
                         k->domain),
            &record, 1);
    else if (k->enabled)
        exam_find(x, "dkim", host, DOCTOR_ERROR,
                  "mail is signed with a key that is not published: receivers find its signatures broken",
                  "enter the record below", &record, 1);
    else
        exam_find(x, "dkim", host, DOCTOR_WARNING, "this key waits for its record, and does not sign yet",
                  "enter the record below; when it is published, let the key sign (enabled: yes)", &record, 1);
}

static void tell(struct exam *x, const struct config_dkim_key *k, const char *host, const char *ours)
{
    static const char why[] = "receivers check the signatures of the domain's mail with it";
    const struct auth_dns_answer *a = look(x, host);
    struct buf reason = { 0 }, hint = { 0 };
    if (!a) return;
    if (a->status == AUTH_DNS_TEMPFAIL) {
        json_t *record = exam_record(x, "dkim", "TXT", host, ours, why, RECORD_UNKNOWN, NULL);
        exam_find(x, "dkim", host, DOCTOR_UNKNOWN, "no answer from the DNS for this key's record", "try again later",
                  &record, 1);
        return;
    }
    if (a->status != AUTH_DNS_OK) {
        tell_missing(x, k, host, exam_record(x, "dkim", "TXT", host, ours, why, RECORD_MISSING, NULL));
        return;
    }
    bool is = dkim_published_is(a->texts, a->n, slice_str(ours), &reason, &hint);
    json_t *record =
        exam_record(x, "dkim", "TXT", host, ours, why, is ? RECORD_OK : RECORD_DIFFERENT, exam_texts(a->texts, a->n));
    if (is && !k->enabled) {
        buf_add_str(&reason, "; it does not sign yet");
        if (!hint.n) buf_add_str(&hint, "let it sign: enabled: yes");
    }
    exam_find(x, "dkim", host,
              !is      ? DOCTOR_ERROR
              : hint.n ? DOCTOR_WARNING
                       : DOCTOR_OK,
              buf_cstr(&reason), buf_cstr(&hint), &record, 1);
    buf_deinit(&reason);
    buf_deinit(&hint);
}

/* With dkim.subdomains the keys of the nearest domain above that has any. */
static const char *whose_keys(const struct config *c, const char *domain)
{
    for (const char *d = domain; d;) {
        for (size_t i = 0; i < c->dkim.key_n; i++)
            if (!strcmp(c->dkim.keys[i].domain, d)) return d;
        d = c->dkim.subdomains ? strchr(d, '.') : NULL;
        if (d) d++;
    }
    return NULL;
}

void exam_dkim(struct exam *x)
{
    const struct config *c = x->config;
    const char *owner = whose_keys(c, x->domain);
    if (!owner) {
        exam_find(x, "dkim", x->domain, DOCTOR_WARNING, "mail of this domain is not signed: it has no key",
                  arena_printf(&x->arena, "make one: postern dkim new %s", x->domain), NULL, 0);
        return;
    }
    for (size_t i = 0; i < c->dkim.key_n; i++) {
        const struct config_dkim_key *k = &c->dkim.keys[i];
        const char *ours = x->run->doctor->o.keys ? signer_key_record(x->run->doctor->o.keys, i) : NULL;
        if (strcmp(k->domain, owner) != 0) continue;
        const char *host = arena_printf(&x->arena, "%s._domainkey.%s", k->selector, k->domain);
        if (ours) tell(x, k, host, ours);
        else
            exam_find(x, "dkim", host, DOCTOR_WARNING,
                      arena_printf(&x->arena, "the key cannot be read: %s", exam_shown(x, slice_str(k->file))),
                      "make it anew, or remove its entry from dkim.keys", NULL, 0);
    }
}
