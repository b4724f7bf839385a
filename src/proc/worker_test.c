/* SPDX-License-Identifier: Apache-2.0
 * A message of our own to try the way to a mailbox: only to somebody that mail is relayed to anyway, or the postmaster. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "notice/template.h"
#include "proc/worker_int.h"
#include "smtp/address.h"
#include "store/store.h"

#define SUBJECT "Test message" /* in the queue and the history */

struct test_request {
    struct worker *worker;
    void (*reply)(void *arg, json_t *answer);
    void *arg;
    char *to, *from;
    uint64_t id, size;
};

/* So that it is found like mail that came from somebody. */
static void tell_history(const struct test_request *t)
{
    struct slice to = slice_str(t->to);
    const struct worker *w = t->worker;
    if (!w->store || !w->config->store.history) return;
    store_history(w->store, &(struct history_event){
        .kind = HISTORY_ACCEPTED, .id = t->id, .when = clock_wall_ms(), .sender = slice_str(t->from), .rcpts = &to, .rcpt_n = 1,
        .subject = SLICE(SUBJECT), .size = t->size });
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    struct test_request *t = arg;
    char id[ID_TEXT_LEN + 1];
    id_format(t->id, id);
    if (ok) tell_history(t);
    if (ok) log_event(LOG_INFO, "test-sent", LOG_ID(t->id), LOG_STR("to", t->to));
    else log_event(LOG_WARNING, "test-not-written", LOG_STR("to", t->to), LOG_ERR(err));
    t->reply(t->arg, json_pack("{s:s}", ok ? "id" : "error", ok ? id : err->text));
    free(t->to);
    free(t->from);
    free(t);
}

/* An address that is ours: then nobody who never asked for mail of this relay gets any. */
static bool is_ours(const struct config *c, struct slice address)
{
    struct address a;
    if (address.n > 254 || address_parse(address, &a)) return false;
    return slice_ieq(address, slice_str(c->postmaster)) || config_domain_of_address(c, address);
}

static void format(const struct worker *w, const struct test_request *t, struct slice from, struct buf *out)
{
    const struct config *c = w->config;
    const struct wording wording = { w->start->templates, (enum template_language)c->notices.language };
    char id[ID_TEXT_LEN + 1];
    struct buf body = { 0 };
    id_format(t->id, id);
    const struct template_value values[] = {
        { .name = "hostname", .text = slice_str(c->hostname) }, { .name = "id", .text = slice_str(id) }, { .name = "recipient", .text = slice_str(t->to) },
    };
    template_add_from(&wording, "notices-from", from, out);
    buf_addf(out, "To: <%s>\r\n", t->to);
    template_add_subject(&wording, TEMPLATE_TEST, values, countof(values), out);
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, clock_wall_ms());
    buf_addf(out, "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", id, c->hostname); /* RFC 3834 §5 */
    template_add_body(&wording, TEMPLATE_TEST, values, countof(values), &body);
    template_add_part(&wording, "text/plain", buf_slice(&body), out);
    buf_deinit(&body);
}

/* From a sender, not the null one: what it comes to should be what it comes to with mail of people. */
static void submit(struct worker *w, struct test_request *t, struct slice from)
{
    struct err err;
    struct buf text = { 0 };
    struct slice to = slice_str(t->to);
    t->id = queue_new_id(w->queue);
    format(w, t, from, &text);
    bool wide = !utf8_ascii(from) || !utf8_ascii(to);
    struct envelope e = { .id = t->id, .sender = from, .flags = wide ? ENVELOPE_SMTPUTF8 : 0, .rcpts = &to, .rcpt_n = 1,
                          .subject = SLICE(SUBJECT) };
    t->size = text.n;
    if (!worker_submit(w, &e, buf_slice(&text), on_committed, t, &err)) on_committed(t, false, &err);
    buf_deinit(&text);
}

bool worker_test_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    struct slice to = json_text(request, "to"), from = json_text(request, "from");
    if (!slice_eq(json_text(request, "op"), SLICE("test-message"))) return false;
    if (!from.n) from = slice_str(w->config->postmaster);
    if (!w->queue || w->draining) {
        reply(arg, json_pack("{s:s}", "error", "this worker is about to end; try again"));
    } else if (!is_ours(w->config, to)) {
        reply(arg, json_pack("{s:s}", "error", "to: an address in one of the relay's domains, or the postmaster's; nobody else gets tests"));
    } else if (!is_ours(w->config, from)) {
        reply(arg, json_pack("{s:s}", "error", "from: an address in one of the relay's domains, or the postmaster's"));
    } else {
        struct test_request *t = mem_new(struct test_request);
        *t = (struct test_request){ .worker = w, .reply = reply, .arg = arg, .to = mem_slicedup(to), .from = mem_slicedup(from) };
        submit(w, t, from);
    }
    return true;
}
