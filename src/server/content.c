/* SPDX-License-Identifier: Apache-2.0
 * Header fields of a message that is coming in: hops are counted, what listings show is kept, whoever it is said to be from must
 * belong to the account, if there is one, and the checks of mail authentication get to see them. */
#include "base/mem.h"
#include "message/mailbox.h"
#include "policy/message_auth.h"
#include "server/text.h"

#define AUTHORS_MAX 100 /* of one message */
#define LISTED_MAX 255 /* bytes of Subject and Message-ID kept for listings */

/* An unfolded copy (RFC 5322 §2.2.3). */
static struct slice keep_value(struct session *s, struct slice value)
{
    value = slice_trim(value);
    char *to = arena_alloc(&s->arena, LISTED_MAX);
    size_t n = 0;
    for (size_t i = 0; i < value.n && n < LISTED_MAX; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n') to[n++] = value.p[i];
    return slice_of(to, n);
}

static bool may_send_as(void *arg, struct slice address)
{
    struct session *s = arg;
    struct buf shown = { 0 };
    if (++s->tx.authors > AUTHORS_MAX) return false;
    if (auth_may_send_as(s, address)) return true;
    buf_add_printable(&shown, address, 100);
    text_spoil(s, 550, "5.7.1", arena_printf(&s->arena, "the author %.400s of the message does not belong to your account",
                                             buf_cstr(&shown)));
    buf_deinit(&shown);
    return false;
}

/* Who is shown as the one it is from. */
static bool names_author(struct slice name)
{
    static const char *const fields[] = { "From", "Sender", "Resent-From", "Resent-Sender" };
    for (size_t i = 0; i < countof(fields); i++)
        if (slice_ieq(name, slice_str(fields[i]))) return true;
    return false;
}

/* RFC 6409 §6.1 and §8.1: the author must be somebody the account may speak for. A group without members shows a name, and
 * is nobody. */
static void check_author(struct session *s, struct slice value, bool truncated)
{
    uint32_t before = s->tx.authors;
    if (s->tx.refusal.code) return;
    enum mailbox_outcome outcome = truncated ? MAILBOX_MALFORMED : mailbox_each(value, may_send_as, s);
    if (s->tx.authors > AUTHORS_MAX) text_spoil(s, 550, "5.7.1", "the message has too many authors");
    else if (outcome == MAILBOX_MALFORMED || s->tx.authors == before)
        text_spoil(s, 550, "5.7.1", "the From field is not understood, and so not known to be yours");
}

/* A field that readers would take for ours, of somebody whose mail is judged (RFC 8601 §5), is left out when the message is sent. Those
 * that stand together are one cut. */
static void cut(struct session *s)
{
    struct transaction *tx = &s->tx;
    const struct header_reader *r = &tx->header;
    uint64_t at = r->size - r->field_n;
    struct envelope_cut *last = tx->cuts ? &tx->cuts[tx->cut_n - 1] : NULL;
    if (!last) tx->cuts = arena_alloc(&s->arena, ENVELOPE_CUTS_MAX * sizeof *tx->cuts);
    if (last && last->at + last->n == at) last->n += r->field_n;
    else if (tx->cut_n < ENVELOPE_CUTS_MAX) tx->cuts[tx->cut_n++] = (struct envelope_cut){ .at = at, .n = r->field_n };
    else text_spoil(s, 550, "5.6.0", "too many Authentication-Results fields that claim to be of this host");
}

/* The checks see the header as it came. */
static void judge(struct session *s, struct slice name, struct slice value, bool truncated)
{
    policy_text_field(s->run, slice_of(name.p, (size_t)(value.p + value.n - name.p)), truncated);
    if (policy_text_is_forged(s->run, name, value, truncated)) cut(s);
}

/* There is no cutting it out: what is behind the header is body. */
static void on_stray_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct session *s = arg;
    if (policy_text_is_forged(s->run, name, value, truncated))
        text_spoil(s, 550, "5.6.0", "an Authentication-Results field that claims to be of this host stands behind a line that is no field");
}

/* Many readers go on behind a line that is no field. To all of them a first line with a blank before it is the rest of the last of our
 * own fields, and what follows is header (RFC 5322 §2.2.3). */
void text_look_behind(struct session *s, struct slice text)
{
    struct transaction *tx = &s->tx;
    struct header_reader *r = &tx->stray;
    if (!r->on_field) {
        header_reader_init(r, on_stray_field, s);
        tx->in_stray_line = true;
    }
    while (text.n && (!r->ended || r->malformed)) {
        struct slice line;
        if (tx->in_stray_line) {
            if (!slice_cut(&text, '\n', &line)) return;
            tx->in_stray_line = false;
            header_reader_deinit(r);
            header_reader_init(r, on_stray_field, s);
        }
        size_t n = header_read(r, text);
        if (!r->ended) return;
        tx->in_stray_line = r->malformed;
        text = slice_sub(text, n, text.n);
    }
}

/* Other readers go on behind a line that is no field, and find a From there that nobody has looked at. */
void text_check_header(struct session *s)
{
    if (auth_binds_sender(s) && s->tx.header.malformed)
        text_spoil(s, 550, "5.6.0", "a line of the header is no field, so that it is not known who the message is from");
}

void text_on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct session *s = arg;
    struct transaction *tx = &s->tx;
    if (tx->judged) judge(s, name, value, truncated);
    if (slice_ieq(name, SLICE("Received")))
        tx->hops++;
    else if (slice_ieq(name, SLICE("Date")))
        tx->has_date = true;
    else if (auth_binds_sender(s) && names_author(name))
        check_author(s, value, truncated);
    else if (!tx->has_subject && slice_ieq(name, SLICE("Subject"))) {
        tx->has_subject = true;
        tx->subject = keep_value(s, value);
    } else if (!tx->has_message_id && slice_ieq(name, SLICE("Message-ID"))) {
        tx->has_message_id = true;
        tx->message_id = keep_value(s, value);
    }
}
