/* SPDX-License-Identifier: Apache-2.0
 * The conversation of a probe: greeting, EHLO, STARTTLS, and perhaps MAIL and RCPT; never DATA. The other side is a
 * stranger. */
#include <event2/event.h>
#include "content/wire.h"
#include "doctor/probe.h"
#include "net/stream.h"
#include "net/tls_parts.h"

#define IN_MAX 16384
#define BYTES_MAX 262144 /* of the other side, in all */
#define NAMES_MAX 20
#define REPLY_SHOWN 300

static void say(struct probe *p, enum probe_stage stage, const char *verb, const char *rest)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s%s\r\n", verb, rest);
    stream_write(p->stream, buf_slice(&b));
    buf_deinit(&b);
    p->stage = stage;
}

static void say_hello(struct probe *p, enum probe_stage stage)
{
    const struct config *c = p->doctor->o.config;
    say(p, stage, stage == PROBE_EHLO ? "EHLO " : "HELO ", c->delivery.helo[0] ? c->delivery.helo : c->hostname);
}

/* "250 2.1.0 ok"; of several lines, "250 mx.example.net, SIZE 1000, PIPELINING" */
static void add_reply(const struct probe *p, struct buf *out)
{
    struct slice all = slice_of(p->reader.text, p->reader.text_n), line;
    size_t begin;
    buf_addf(out, "%d %s%s", p->reader.code, p->reader.enhanced, p->reader.enhanced[0] ? " " : "");
    begin = out->n;
    while (all.n && out->n - begin < REPLY_SHOWN) {
        slice_cut(&all, '\n', &line);
        if (out->n > begin) buf_add_str(out, ", ");
        buf_add_printable(out, slice_trim(line), REPLY_SHOWN - (out->n - begin));
    }
}

static void step(struct probe *p, const char *name, bool ok)
{
    struct buf b = { 0 };
    add_reply(p, &b);
    probe_step(p, name, ok, buf_cstr(&b));
    buf_deinit(&b);
}

/* QUIT is only good manners: its answer is waited for, and nothing depends on it. */
static void quit(struct probe *p, bool failed)
{
    static const struct timeval most = { 2, 0 };
    p->failed = p->failed || failed;
    say(p, PROBE_QUIT, "QUIT", "");
    evtimer_add(p->step, &most);
}

static void refuse(struct probe *p, const char *name)
{
    step(p, name, false);
    quit(p, true);
}

/* ---- TLS */

static void set_names(struct probe *p)
{
    const struct probe_target *t = &p->targets[p->target_at - 1];
    p->name_n = 0;
    p->names[p->name_n++] = p->host;
    if (!p->by_mx) return;
    snprintf(p->below, sizeof p->below, ".%s",
             p->host); /* as delivery does: the MX host's name is only what anybody may have put there */
    p->names[p->name_n++] = p->below;
    if (p->tls != PROBE_VERIFY) p->names[p->name_n++] = t->name;
}

static void begin_tls(struct probe *p)
{
    const struct probe_target *t = &p->targets[p->target_at - 1];
    struct ip literal;
    struct err err;
    set_names(p);
    struct tls_wish wish = { .sni = ip_parse(slice_str(t->name), &literal) ? NULL : t->name,
                             .verify = true,
                             .names = p->names,
                             .name_n = p->name_n,
                             .min_version = p->doctor->o.config->tls.min_version,
                             .keep_on = p->tls != PROBE_VERIFY };
    p->ssl = tls_client_session(p->doctor->o.client_tls, &wish, NULL, &err);
    p->stage = PROBE_HANDSHAKE;
    if (p->ssl) stream_start_tls_client(p->stream, p->ssl);
    else probe_fail(p, "starttls", err.text);
}

static void add_name(void *arg, const char *name)
{
    if (json_array_size(arg) < NAMES_MAX) json_array_append_new(arg, wire_clean_text(slice_str(name), 253));
}

static void tell_tls(struct probe *p)
{
    const char *version, *cipher, *failure = tls_failure(p->ssl);
    X509 *cert = SSL_get0_peer_certificate(p->ssl);
    json_t *names = json_array();
    struct buf b = { 0 };
    int bits;
    stream_tls_info(p->stream, &version, &cipher, &bits);
    if (cert) tls_cert_names(cert, add_name, names);
    p->said_of_tls = json_pack("{s:s, s:s, s:o, s:b}", "version", version, "cipher", cipher, "names", names, "verified",
                               !failure[0]);
    if (failure[0]) json_object_set_new(p->said_of_tls, "failure", wire_clean_text(slice_str(failure), 300));
    buf_addf(&b, "%s%s, %s; ", p->implicit ? "TLS from the first byte: " : "", version, cipher);
    if (failure[0]) buf_add_str(&b, "the certificate proves nothing: ");
    else buf_add_str(&b, "the certificate is verified");
    buf_add_printable(&b, slice_str(failure), 300);
    probe_step(p, "starttls", true, buf_cstr(&b));
    buf_deinit(&b);
}

static void on_ready(void *owner)
{
    struct probe *p = owner;
    if (p->stage != PROBE_HANDSHAKE) { /* the connection stands */
        struct buf b = { 0 };
        const struct probe_target *t = &p->targets[p->target_at - 1];
        ip_add(&b, &t->ip);
        buf_addf(&b, " port %u", p->port);
        probe_step(p, "connect", true, buf_cstr(&b));
        buf_deinit(&b);
        p->stage = PROBE_GREETING;
        if (p->implicit) begin_tls(p);
        return;
    }
    p->encrypted = true;
    tell_tls(p);
    p->reader = (struct reply_reader){ 0 };
    if (p->implicit) p->stage = PROBE_GREETING;
    else say_hello(p, PROBE_EHLO);
}

/* ---- replies */

static void mail(struct probe *p)
{
    struct buf b = { 0 };
    if (!p->recipient) {
        quit(p, false);
        return;
    }
    buf_addf(&b, "<%s>", p->sender ? p->sender : "");
    say(p, PROBE_MAIL, "MAIL FROM:", buf_cstr(&b));
    buf_deinit(&b);
}

static void take_extensions(struct probe *p)
{
    struct slice all = slice_of(p->reader.text, p->reader.text_n), line;
    json_array_clear(p->extensions);
    slice_cut(&all, '\n', &line); /* who it is */
    while (all.n) {
        slice_cut(&all, '\n', &line);
        json_array_append_new(p->extensions, wire_clean_text(slice_trim(line), 200));
    }
}

static void on_ehlo(struct probe *p)
{
    struct slice args;
    take_extensions(p);
    step(p, "ehlo", true);
    if (p->encrypted || p->tls == PROBE_NONE) mail(p);
    else if (reply_ehlo_has(&p->reader, "STARTTLS", &args)) say(p, PROBE_STARTTLS, "STARTTLS", "");
    else {
        bool may = p->tls == PROBE_MAY;
        probe_step(p, "starttls", may, may ? "not offered: mail goes in the clear" : "not offered");
        if (may) mail(p);
        else quit(p, true);
    }
}

static void on_reply(struct probe *p)
{
    int class = p->reader.code / 100;
    switch (p->stage) {
    case PROBE_GREETING:
        step(p, "greeting", p->reader.code == 220);
        if (p->reader.code == 220) say_hello(p, PROBE_EHLO);
        else quit(p, true);
        break;
    case PROBE_EHLO:
        if (class == 2) on_ehlo(p);
        else if (class == 5 && !p->encrypted) say_hello(p, PROBE_HELO); /* RFC 5321 §3.2 */
        else refuse(p, "ehlo");
        break;
    case PROBE_HELO:
        if (class == 2) on_ehlo(p);
        else refuse(p, "ehlo");
        break;
    case PROBE_STARTTLS:
        if (p->reader.code == 220) begin_tls(p);
        else refuse(p, "starttls");
        break;
    case PROBE_MAIL: {
        struct buf b = { 0 };
        buf_addf(&b, "<%s>", p->recipient);
        if (class == 2) say(p, PROBE_RCPT, "RCPT TO:", buf_cstr(&b));
        else refuse(p, "recipient");
        buf_deinit(&b);
        break;
    }
    case PROBE_RCPT:
        step(p, "recipient", class == 2);
        quit(p, class != 2);
        break;
    default:
        probe_end(p);
    }
}

/* One reply at a time: nothing was asked ahead. */
static size_t on_input(void *owner, struct slice in)
{
    struct probe *p = owner;
    struct slice rest = in;
    const char *why = NULL;
    enum reply_status s = reply_read(&p->reader, &rest, &why);
    size_t taken = in.n - rest.n;
    p->bytes += taken;
    if (s == REPLY_BAD || p->bytes > BYTES_MAX)
        probe_fail(p, probe_step_name(p), s == REPLY_BAD ? why : "it sends without end");
    else if (s == REPLY_DONE) on_reply(p);
    return taken;
}

static void on_end(void *owner, enum stream_end why, const struct err *err)
{
    struct probe *p = owner;
    struct buf b = { 0 };
    bool connecting = p->stage > PROBE_QUIT;
    const char *text = why == STREAM_EOF     ? "it closed the connection"
                       : err && err->text[0] ? err->text
                                             : "the connection is lost";
    if (p->stage == PROBE_QUIT) {
        probe_end(p);
        return;
    }
    if (p->stage == PROBE_HANDSHAKE && p->ssl && tls_failure(p->ssl)[0])
        buf_addf(&b, "%s (%s)", text, tls_failure(p->ssl));
    else buf_add_str(&b, text);
    if (p->stage == PROBE_HANDSHAKE && p->tls == PROBE_MAY) buf_add_str(&b, "; delivery would go on in the clear");
    struct buf clean = { 0 };
    buf_add_printable(&clean, buf_slice(&b), 500);
    p->ssl = NULL;
    if (connecting) probe_pass_by(p, buf_cstr(&clean));
    else probe_fail(p, probe_step_name(p), buf_cstr(&clean));
    buf_deinit(&clean);
    buf_deinit(&b);
}

bool probe_connect(struct probe *p, const struct probe_target *t, struct err *err)
{
    static const struct stream_ops ops = { .on_input = on_input, .on_end = on_end, .on_ready = on_ready };
    const struct config *c = p->doctor->o.config;
    p->stage = (enum probe_stage)(PROBE_QUIT + 1); /* until it stands */
    p->reader = (struct reply_reader){ 0 };
    p->stream = stream_connect(p->doctor->o.streams, &t->ip, p->port,
                               t->ip.family == 4 ? &c->delivery.source4 : &c->delivery.source6, IN_MAX, &ops, p, err);
    return p->stream != NULL;
}
