/* SPDX-License-Identifier: Apache-2.0
 * The server's side of the milter protocol, version 6: the session as it was is told once more, command by command, and what the milter wants becomes
 * actions and edits. A milter that refuses some of the recipients refuses the message: they were taken already, and none may be lost. */
#include <arpa/inet.h>
#include "base/log.h"
#include "content/scanner_internal.h"

#define VERSION 6
#define ACTIONS_OFFERED 0xFFu    /* add, change, insert headers; replace body; add and delete recipients; quarantine; sender */
#define CHUNK 65535
#define MODIFICATIONS_MAX 200

/* Steps that may be left out, replies that are not given (SMFIP_*). All of them, but: unknown commands, refused recipients, longer frames. */
enum step {
    NO_CONNECT = 1, NO_HELO = 2, NO_MAIL = 4, NO_RCPT = 8, NO_BODY = 0x10, NO_HEADERS = 0x20, NO_EOH = 0x40, QUIET_HEADER = 0x80, NO_UNKNOWN = 0x100,
    NO_DATA = 0x200, MAY_SKIP = 0x400, QUIET_CONNECT = 0x1000, QUIET_HELO = 0x2000, QUIET_MAIL = 0x4000, QUIET_RCPT = 0x8000, QUIET_DATA = 0x10000,
    QUIET_UNKNOWN = 0x20000, QUIET_EOH = 0x40000, QUIET_BODY = 0x80000, LEAD_SPACE = 0x100000,
};
#define STEPS_OFFERED 0x1FF7FFu

enum milter_step { STEP_NEXT, STEP_SKIP, STEP_ENOUGH }; /* ENOUGH: a verdict, or trouble */

struct milter {
    struct ask *ask;
    struct talk talk;
    struct milter_edits edits;
    uint32_t version, actions, steps;
    unsigned modifications;
    /* the frame that is read */
    bool at_end;                 /* of the message: changes may come */
    struct milter_frame frame;   /* command, and a copy of its data */
    const char *why;
};

/* ---- frames */

enum talk_step milter_take_frame(struct slice in, struct milter_frame *f)
{
    uint32_t size;
    if (in.n < 4) return TALK_MORE;
    memcpy(&size, in.p, 4);
    size = ntohl(size);
    if (!size || size > MILTER_FRAME_MAX) return TALK_BAD;
    if (in.n - 4 < size) return TALK_MORE;
    *f = (struct milter_frame){ .command = in.p[4], .data = slice_of(in.p + 5, size - 1), .n = 4 + (size_t)size };
    return TALK_DONE;
}

/* One that ends what was asked. Progress and, at the end of the message, changes come before. */
static enum talk_step read_frame(void *arg, struct buf *in, bool end)
{
    struct milter *m = arg;
    for (;;) {
        struct milter_frame *f = &m->frame;
        m->why = "the length of its answer";
        enum talk_step step = milter_take_frame(buf_slice(in), f);
        if (step != TALK_DONE) return step;
        size_t n = f->n;
        bool change = m->at_end && f->command && strchr("hime+2-bq", f->command);
        if (change && ++m->modifications > MODIFICATIONS_MAX) m->why = "too many changes";
        else m->why = change ? milter_modify(&m->edits, f, m->actions) : NULL;
        if (!change) f->data = arena_slice(m->ask->arena, slice_sub(f->data, 0, 4096));
        buf_consume(in, n);
        if (m->why) return TALK_BAD;
        if (!change && f->command != 'p') return TALK_DONE;
    }
}

static void queue_frame(struct milter *m, char command, struct slice data)
{
    char head[5];
    uint32_t size = htonl((uint32_t)(1 + data.n));
    memcpy(head, &size, 4);
    head[4] = command;
    talk_add_copy(&m->talk, slice_of(head, 5));
    talk_add(&m->talk, data);
}

/* ---- answers */

static enum milter_step refuse(struct milter *m, struct report_action what)
{
    static const char *const words[] = { [CONFIG_DO_REJECT] = "reject", [CONFIG_DO_DEFER] = "defer", [CONFIG_DO_DISCARD] = "discard" };
    struct report_action *action = scanner_add_action(m->ask, what.action);
    if (!action) {
        (void)scanner_fail(m->ask, SCANNER_NONSENSE, "%s wants too many things done", m->ask->s->c->address);
        return STEP_ENOUGH;
    }
    what.by = action->by;
    *action = what;
    m->ask->out->text = slice_str(words[what.action]);
    return STEP_ENOUGH;
}

static enum milter_step refuse_with(struct milter *m, struct slice text)
{
    struct report_action action;
    if (milter_parse_reply(text, m->ask->arena, &action)) return refuse(m, action);
    struct slice shown = scanner_text(m->ask->arena, text);
    (void)scanner_fail(m->ask, SCANNER_NONSENSE, "%s makes no sense: the reply %.*s", m->ask->s->c->address, SLICE_ARG(shown));
    return STEP_ENOUGH;
}

/* What the frame that was read decides. skippable: "skip" makes sense here. */
static enum milter_step decide(struct milter *m, char about, bool skippable)
{
    switch (m->frame.command) {
    case 'c': return STEP_NEXT;
    case 's':
        if (skippable) return STEP_SKIP;
        break;
    case 'a': m->ask->out->text = SLICE("accept"); return STEP_ENOUGH;
    case 'r': return refuse(m, (struct report_action){ .action = CONFIG_DO_REJECT });
    case 't': case '4': case 'f': return refuse(m, (struct report_action){ .action = CONFIG_DO_DEFER });
    case 'd': return refuse(m, (struct report_action){ .action = CONFIG_DO_DISCARD });
    case 'y': return refuse_with(m, m->frame.data);
    default: break;
    }
    char answer = m->frame.command;
    (void)scanner_fail(m->ask, SCANNER_NONSENSE, "%s makes no sense: the answer '%c' to '%c'", m->ask->s->c->address,
                       answer >= ' ' && answer < 0x7F ? answer : '?', about);
    return STEP_ENOUGH;
}

/* Sends what is queued, and hears unless it said at first that it would not answer. */
static enum milter_step ask_step(struct milter *m, char about, uint32_t quiet)
{
    if (m->steps & quiet) return STEP_NEXT; /* goes with what comes next */
    if (!talk_exchange(&m->talk, false, read_frame, m, &m->why)) return STEP_ENOUGH;
    return decide(m, about, about == 'B' || about == 'L' || about == 'R');
}

/* ---- what it is told */

static void add_string(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i]) buf_add_char(b, s.p[i]);
    buf_add_char(b, 0);
}

static void add_macro(struct buf *b, const char *name, struct slice value)
{
    if (!value.n) return;
    add_string(b, slice_str(name));
    add_string(b, value);
}

static void queue_buf(struct milter *m, char command, struct buf *b)
{
    queue_frame(m, command, arena_slice(m->ask->arena, buf_slice(b)));
    buf_clear(b);
}

/* Those of a command begin with it; from MAIL on the first is the message's id. */
static void begin_macros(const struct milter *m, struct buf *b, char about)
{
    char id[ID_TEXT_LEN + 1];
    id_format(m->ask->context->id, id);
    buf_add_char(b, about);
    add_macro(b, "i", slice_str(id));
}

static void add_path(struct buf *b, struct slice address)
{
    buf_add_char(b, '<');
    for (size_t i = 0; i < address.n; i++)
        if (address.p[i]) buf_add_char(b, address.p[i]);
    add_string(b, SLICE(">"));
}

static void add_client(struct buf *b, const struct scan_context *c, bool address)
{
    if (c->client_name.n && !address) buf_add(b, slice_sub(c->client_name, 0, 255));
    else if (c->client.family) {
        if (!address) buf_add_char(b, '[');
        ip_add(b, &c->client);
        if (!address) buf_add_char(b, ']');
    } else buf_add_str(b, "localhost");
}

static void queue_connect_macros(struct milter *m, struct buf *b)
{
    const struct scan_context *c = m->ask->context;
    struct buf name = { 0 }, address = { 0 };
    add_client(&name, c, false);
    add_client(&address, c, true);
    buf_add_char(b, 'C');
    add_macro(b, "j", slice_str(m->ask->config->hostname));
    add_macro(b, "v", SLICE("Postern"));
    add_macro(b, "{daemon_name}", SLICE("postern"));
    add_macro(b, "{client_name}", buf_slice(&name));
    add_macro(b, "{client_addr}", buf_slice(&address));
    add_macro(b, "{client_resolve}", c->client_name.n ? SLICE("OK") : SLICE("FAIL"));
    if (c->client.family && c->client_name.n) buf_addf(&name, " [%.*s]", SLICE_ARG(buf_slice(&address)));
    add_macro(b, "_", buf_slice(&name));
    queue_buf(m, 'D', b);
    buf_deinit(&name);
    buf_deinit(&address);
}

static enum milter_step tell_connect(struct milter *m, struct buf *b)
{
    const struct scan_context *c = m->ask->context;
    if (m->steps & NO_CONNECT) return STEP_NEXT;
    queue_connect_macros(m, b);
    add_client(b, c, false);
    buf_add_char(b, 0);
    buf_add_char(b, c->client.family == 4 ? '4' : c->client.family == 6 ? '6' : 'U');
    if (c->client.family) {
        buf_add(b, slice_of("\0", 2)); /* the port: not known */
        if (c->client.family == 6) buf_add_str(b, "IPv6:");
        ip_add(b, &c->client);
        buf_add_char(b, 0);
    }
    queue_buf(m, 'C', b);
    return ask_step(m, 'C', QUIET_CONNECT);
}

static enum milter_step tell_helo(struct milter *m, struct buf *b)
{
    const struct scan_context *c = m->ask->context;
    if (m->steps & NO_HELO) return STEP_NEXT;
    buf_add_char(b, 'H');
    if (c->tls) add_macro(b, "{tls_version}", SLICE("TLS"));
    queue_buf(m, 'D', b);
    add_string(b, c->helo.n ? c->helo : SLICE("localhost"));
    queue_buf(m, 'H', b);
    return ask_step(m, 'H', QUIET_HELO);
}

static enum milter_step tell_mail(struct milter *m, struct buf *b)
{
    const struct scan_context *c = m->ask->context;
    if (m->steps & NO_MAIL) return STEP_NEXT;
    begin_macros(m, b, 'M');
    add_macro(b, "{mail_addr}", c->sender);
    if (c->account.n) {
        add_macro(b, "{auth_type}", SLICE("SASL"));
        add_macro(b, "{auth_authen}", c->account);
    }
    queue_buf(m, 'D', b);
    add_path(b, c->sender);
    queue_buf(m, 'M', b);
    return ask_step(m, 'M', QUIET_MAIL);
}

/* Who reads the refusal is to know that it is not about all. */
static void name_recipient(struct milter *m, struct slice rcpt)
{
    struct scanner_answer *out = m->ask->out;
    struct report_action *action = out->action_n ? &out->actions[out->action_n - 1] : NULL;
    if (!action || (action->action != CONFIG_DO_REJECT && action->action != CONFIG_DO_DEFER) || m->ask->context->rcpt_n < 2) return;
    struct slice to = scanner_text(m->ask->arena, slice_sub(rcpt, 0, 100)), said = action->text.n ? action->text : SLICE("refused");
    char *text = arena_printf(m->ask->arena, "<%.*s>: %.*s", SLICE_ARG(to), SLICE_ARG(said));
    action->text = scanner_cut(m->ask->arena, slice_str(text));
}

static enum milter_step tell_rcpts(struct milter *m, struct buf *b)
{
    const struct scan_context *c = m->ask->context;
    enum milter_step step = STEP_NEXT;
    if (m->steps & NO_RCPT) return STEP_NEXT;
    for (uint32_t i = 0; i < c->rcpt_n && step == STEP_NEXT; i++) {
        buf_add_char(b, 'R');
        add_macro(b, "{rcpt_addr}", c->rcpts[i]);
        queue_buf(m, 'D', b);
        add_path(b, c->rcpts[i]);
        queue_buf(m, 'R', b);
        step = ask_step(m, 'R', QUIET_RCPT);
        if (step == STEP_ENOUGH) name_recipient(m, c->rcpts[i]);
    }
    return step;
}

static enum milter_step tell_data(struct milter *m, struct buf *b)
{
    if (m->steps & NO_DATA || m->version < 4) return STEP_NEXT;
    begin_macros(m, b, 'T');
    queue_buf(m, 'D', b);
    queue_buf(m, 'T', b);
    return ask_step(m, 'T', QUIET_DATA);
}

/* As milters know a value: lines end in LF, and the first blank is not part of it unless it asked for it. */
static void add_value(struct buf *b, struct slice raw, bool lead_space)
{
    if (!lead_space && raw.n && (raw.p[0] == ' ' || raw.p[0] == '\t')) raw = slice_sub(raw, 1, raw.n);
    for (size_t i = 0; i < raw.n && b->n < CHUNK - 1; i++)
        if (raw.p[i] && !(raw.p[i] == '\r' && i + 1 < raw.n && raw.p[i + 1] == '\n')) buf_add_char(b, raw.p[i]);
    buf_add_char(b, 0);
}

static enum milter_step tell_headers(struct milter *m, struct buf *b)
{
    enum milter_step step = STEP_NEXT;
    const struct content_message *msg = m->ask->m;
    if (m->steps & NO_HEADERS) return STEP_NEXT;
    for (size_t i = 0; i < msg->field_n && step == STEP_NEXT; i++) {
        add_string(b, slice_sub(msg->fields[i].name, 0, 1000));
        add_value(b, msg->fields[i].raw, m->edits.lead_space);
        queue_buf(m, 'L', b);
        step = ask_step(m, 'L', QUIET_HEADER);
    }
    return step;
}

static enum milter_step tell_body(struct milter *m)
{
    enum milter_step step = STEP_NEXT;
    struct slice rest = slice_sub(m->ask->m->bytes, m->ask->m->header_n, m->ask->m->bytes.n);
    if (!(m->steps & NO_EOH)) {
        queue_frame(m, 'N', slice_of(NULL, 0));
        if (ask_step(m, 'N', QUIET_EOH) == STEP_ENOUGH) return STEP_ENOUGH;
    }
    if (m->steps & NO_BODY) return STEP_NEXT;
    while (rest.n && step == STEP_NEXT) {
        struct slice chunk = slice_sub(rest, 0, CHUNK);
        queue_frame(m, 'B', chunk);
        step = ask_step(m, 'B', QUIET_BODY);
        rest = slice_sub(rest, chunk.n, rest.n);
    }
    return step;
}

static void tell_end(struct milter *m, struct buf *b)
{
    begin_macros(m, b, 'E');
    queue_buf(m, 'D', b);
    queue_buf(m, 'E', b);
    m->at_end = true;
    (void)ask_step(m, 'E', 0);
    m->at_end = false;
    if (m->ask->out->state != SCANNER_FINE) return;
    m->why = milter_edits_finish(&m->edits);
    if (m->why) (void)scanner_fail(m->ask, SCANNER_NONSENSE, "%s asks for what cannot be done: %s", m->ask->s->c->address, m->why);
}

/* ---- the whole */

static uint32_t number_at(struct slice s, size_t at)
{
    uint32_t v = 0;
    if (at + 4 <= s.n) memcpy(&v, s.p + at, 4);
    return ntohl(v);
}

/* Macros that it asks for by name come behind; it gets those that there are. */
static bool negotiate(struct milter *m)
{
    const uint32_t offer[] = { htonl(VERSION), htonl(ACTIONS_OFFERED), htonl(STEPS_OFFERED) };
    queue_frame(m, 'O', slice_of(offer, sizeof offer));
    if (!talk_exchange(&m->talk, false, read_frame, m, &m->why)) return false;
    struct slice data = m->frame.data;
    const char *address = m->ask->s->c->address;
    if (m->frame.command != 'O' || data.n < 12) return scanner_fail(m->ask, SCANNER_NONSENSE, "%s makes no sense: it does not negotiate", address);
    m->version = number_at(data, 0);
    m->actions = number_at(data, 4);
    m->steps = number_at(data, 8);
    m->edits.lead_space = m->steps & LEAD_SPACE;
    if (m->version < 2 || m->version > VERSION)
        return scanner_fail(m->ask, SCANNER_NONSENSE, "%s wants version %u of the protocol, and we have 2 to %d", address, m->version, VERSION);
    if ((m->actions & ~ACTIONS_OFFERED) || (m->steps & ~STEPS_OFFERED))
        return scanner_fail(m->ask, SCANNER_NONSENSE, "%s wants what it was not offered (actions %x, steps %x)", address, m->actions, m->steps);
    return true;
}

static void tell_all(struct milter *m, struct buf *b)
{
    if (!negotiate(m) || tell_connect(m, b) == STEP_ENOUGH || tell_helo(m, b) == STEP_ENOUGH || tell_mail(m, b) == STEP_ENOUGH ||
        tell_rcpts(m, b) == STEP_ENOUGH || tell_data(m, b) == STEP_ENOUGH || tell_headers(m, b) == STEP_ENOUGH || tell_body(m) == STEP_ENOUGH)
        return;
    tell_end(m, b);
}

void scanner_ask_milter(struct ask *a)
{
    struct milter m = { .ask = a };
    struct buf b = { 0 };
    milter_edits_init(&m.edits, a);
    if (talk_open(&m.talk, a)) {
        tell_all(&m, &b);
        if (a->out->state == SCANNER_FINE) talk_say(&m.talk, slice_of("\0\0\0\1Q", 5));
    }
    talk_close(&m.talk);
    buf_deinit(&b);
}
