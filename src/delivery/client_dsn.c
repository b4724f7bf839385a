/* SPDX-License-Identifier: Apache-2.0
 * Delivery status notifications (RFC 3461): what the sender asked for is passed on to servers that offer DSN, and is our own task where
 * a server does not (§5.2.2). */
#include "base/utf8.h"
#include "delivery/client.h"
#include "delivery/reason.h"
#include "smtp/xtext.h"

bool dsn_wanted(const struct work *w, uint32_t i, enum envelope_notify what)
{
    unsigned notify = w->env.rcpt_dsn ? w->env.rcpt_dsn[i].notify : NOTIFY_UNSET;
    if (what == NOTIFY_SUCCESS && (!w->env.sender.n || w->env.flags & (ENVELOPE_BOUNCE | ENVELOPE_NO_DSN | ENVELOPE_FORGED))) return false;
    if (notify == NOTIFY_UNSET) return what == NOTIFY_FAILURE || what == NOTIFY_DELAY; /* RFC 3461 §5.2 */
    return notify & what;
}

/* ---- passing on: RFC 3461 §5.2.1 */

void client_dsn_add_mail(const struct client *c, const struct work *w, struct buf *out)
{
    const struct envelope *e = &w->env;
    if (!c->dsn) return;
    if (e->flags & ENVELOPE_RET_FULL) buf_add_str(out, " RET=FULL");
    else if (e->flags & ENVELOPE_RET_HDRS) buf_add_str(out, " RET=HDRS");
    if (!e->envid.n) return;
    buf_add_str(out, " ENVID=");
    buf_add(out, e->envid);
}

/* What is not ASCII as \x{...} (RFC 6533 §3); ASCII, too, where xtext has no place for it, unless all of it is encoded already. */
static void add_utf8_xtext(struct slice s, bool encoded, struct buf *out)
{
    uint32_t code = 0;
    for (size_t n; s.n; s = slice_sub(s, n, s.n)) {
        n = utf8_char(s, &code);
        if (n == 1 && (encoded || (code > 0x20 && code < 0x7F && code != '+' && code != '=' && code != '\\')))
            buf_add_char(out, (char)code);
        else buf_addf(out, "\\x{%X}", n ? (unsigned)code : (unsigned char)s.p[0]);
        if (!n) n = 1;
    }
}

static void add_orcpt(const struct client *c, struct slice orcpt, struct slice rcpt, struct buf *out)
{
    bool wide = !utf8_ascii(rcpt);
    buf_add_str(out, " ORCPT=");
    if (!orcpt.n) { /* §4.2: the address as it came */
        buf_add_str(out, wide ? "utf-8;" : "rfc822;");
        if (wide) add_utf8_xtext(rcpt, false, out);
        else xtext_encode(rcpt, out);
    } else if (c->utf8)
        buf_add(out, orcpt);
    else /* RFC 6533 §3: utf-8-addr-unitext is for SMTPUTF8 only; ASCII of it stands for itself in either form */
        add_utf8_xtext(orcpt, true, out);
}

void client_dsn_add_rcpt(const struct client *c, const struct work *w, uint32_t i, struct buf *out)
{
    static const struct {
        enum envelope_notify bit;
        const char *word;
    } words[] = { { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }, { NOTIFY_NEVER, "NEVER" } };
    if (!c->dsn || !w->env.rcpt_dsn) return;
    const struct envelope_dsn *d = &w->env.rcpt_dsn[i];
    if (d->notify) {
        char before = '=';
        buf_add_str(out, " NOTIFY");
        for (size_t k = 0; k < countof(words); k++) {
            if (!(d->notify & words[k].bit)) continue;
            buf_add_char(out, before);
            buf_add_str(out, words[k].word);
            before = ',';
        }
    }
    if (d->notify || d->orcpt.n) add_orcpt(c, d->orcpt, w->env.rcpts[i], out);
}

/* ---- "relayed" */

bool client_dsn_relayed_one(struct client *c, struct part *p, uint32_t i)
{
    struct buf reason = { 0 };
    if (c->dsn || !p->work->env.rcpt_dsn || !dsn_wanted(p->work, i, NOTIFY_SUCCESS)) return false;
    client_add_reason(c, &reason);
    part_result(p, i, RCPT_RELAYED, buf_slice(&reason));
    client_log(c, p, "delivered", i, 1, buf_slice(&reason));
    buf_deinit(&reason);
    return true;
}

void client_dsn_relayed(struct client *c, struct part *p)
{
    struct work *w = p->work;
    uint32_t first = UINT32_MAX, n = 0;
    struct buf reason = { 0 };
    if (c->dsn || !w->env.rcpt_dsn) return;
    PART_EACH(i, p) {
        if (w->rcpts[i].settled || !dsn_wanted(w, i, NOTIFY_SUCCESS)) continue;
        if (!reason.n) client_add_reason(c, &reason);
        if (first == UINT32_MAX) first = i;
        part_result(p, i, RCPT_RELAYED, buf_slice(&reason));
        n++;
    }
    if (n) client_log(c, p, "delivered", first, n, buf_slice(&reason));
    buf_deinit(&reason);
}
