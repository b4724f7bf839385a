/* SPDX-License-Identifier: Apache-2.0
 * Digests, which the admin process has sent: it knows who is to be told of what, and made the links; here is the spool. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "proc/digest_mail.h"
#include "proc/worker_int.h"
#include "smtp/address.h"

#define LINES_MAX 1000

struct digest_request {
    void (*reply)(void *arg, json_t *answer);
    void *arg;
    char *to;
    uint64_t id;
    json_int_t messages;
};

static void answer(struct digest_request *d, json_t *j)
{
    d->reply(d->arg, j);
    free(d->to);
    free(d);
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    struct digest_request *d = arg;
    char id[ID_TEXT_LEN + 1];
    id_format(d->id, id);
    if (ok) log_event(LOG_INFO, "digest-sent", LOG_ID(d->id), LOG_STR("to", d->to), LOG_NUM("messages", d->messages));
    else log_event(LOG_WARNING, "digest-not-written", LOG_STR("to", d->to), LOG_ERR(err));
    answer(d, json_pack("{s:s, s:s}", ok ? "id" : "error", ok ? id : err->text, "to", d->to));
}

/* Of domains in a table, which have one entry of the configuration for all: is it this one? */
static bool is_of(const struct config_domain *d, struct slice name, struct slice to)
{
    struct address a;
    char ascii[256];
    if (!d->table) return true;
    if (address_parse(to, &a) || !address_domain_ascii(a.domain, ascii)) return false;
    struct slice domain = slice_str(ascii);
    return slice_ieq(name, domain) || (domain.n > name.n + 1 && domain.p[domain.n - name.n - 1] == '.' && slice_iends(domain, name));
}

/* Does somebody with this address get digests? */
static bool is_wanted(const struct config *c, struct slice to)
{
    if (to.n > 998 || slice_find(to, '\n') >= 0 || slice_find(to, '\r') >= 0) return false;
    const struct config_domain *domain = config_domain_of_address(c, to);
    if (!domain) return false;
    for (size_t i = 0; i < c->quarantine.digest.domain_n; i++)
        if (config_domain_of(c, slice_str(c->quarantine.digest.domains[i])) == domain &&
            is_of(domain, slice_str(c->quarantine.digest.domains[i]), to))
            return true;
    return !c->quarantine.digest.domain_n;
}

static size_t take_lines(const json_t *messages, struct digest_line *lines)
{
    size_t i;
    const json_t *m;
    json_array_foreach(messages, i, m) {
        if (i == LINES_MAX) break;
        lines[i] = (struct digest_line){ .kind = json_text(m, "kind"), .sender = json_text(m, "sender"), .subject = json_text(m, "subject"),
                                         .link = json_text(m, "link"), .stored = (uint64_t)json_integer_value(json_object_get(m, "stored")),
                                         .expires = (uint64_t)json_integer_value(json_object_get(m, "expires")) };
    }
    return i;
}

static void submit(struct worker *w, struct digest_request *d, const json_t *request)
{
    const struct config *c = w->config;
    const json_t *messages = json_object_get(request, "messages");
    struct digest_line *lines = mem_zalloc((json_array_size(messages) + 1) * sizeof *lines);
    struct err err;
    struct buf text = { 0 };
    struct slice to = slice_str(d->to);
    d->id = queue_new_id(w->queue);
    d->messages = json_integer_value(json_object_get(request, "count"));
    struct digest_mail m = { .hostname = c->hostname,
                             .wording = { w->start->templates, (enum template_language)c->notices.language },
                             .from = slice_str(c->quarantine.digest.from ? c->quarantine.digest.from : c->postmaster),
                             .to = to, .id = d->id, .now = clock_wall_ms(), .lines = lines, .count = (uint64_t)d->messages };
    m.line_n = take_lines(messages, lines);
    if (m.count < m.line_n) m.count = m.line_n;
    digest_mail_format(&m, &text);
    bool wide = !utf8_ascii(m.from) || !utf8_ascii(to);
    struct envelope e = { .id = d->id, .flags = ENVELOPE_BOUNCE | (wide ? ENVELOPE_SMTPUTF8 : 0), .rcpts = &to, .rcpt_n = 1,
                          .subject = SLICE("Digest of the quarantine") };
    if (!worker_submit(w, &e, buf_slice(&text), on_committed, d, &err)) on_committed(d, false, &err);
    buf_deinit(&text);
    free(lines);
}

bool worker_digest_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    struct slice to = json_text(request, "to");
    if (!slice_eq(json_text(request, "op"), SLICE("digest-mail"))) return false;
    if (!w->queue || w->draining) {
        reply(arg, json_pack("{s:s}", "error", "this worker is about to end; try again"));
    } else if (!is_wanted(w->config, to)) {
        reply(arg, json_pack("{s:b}", "skipped", true));
    } else {
        struct digest_request *d = mem_new(struct digest_request);
        *d = (struct digest_request){ .reply = reply, .arg = arg, .to = mem_slicedup(to) };
        submit(w, d, request);
    }
    return true;
}
