/* SPDX-License-Identifier: Apache-2.0
 * The envelope on disk: fields of a tag (1 byte), a length (LEB128, at most 5 bytes) and that many bytes; numbers are
 * little-endian. Each tag comes once but those of recipients. Unknown tags are passed over. */
#include "spool/envelope.h"
#include <assert.h>
#include <endian.h>
#include "base/mem.h"

enum tag {
    TAG_ID = 1,
    TAG_ARRIVAL,
    TAG_FLAGS,
    TAG_CLIENT, /* family, address, and for IPv6 the scope */
    TAG_HELO,
    TAG_ZONE,
    TAG_SENDER,
    TAG_RCPT,
    TAG_PREPEND,
    TAG_TEXT_SIZE,
    TAG_MESSAGE_ID,
    TAG_SUBJECT,
    TAG_RCPT_DSN, /* of the recipient before it: notify (1 byte), orcpt */
    TAG_ENVID,
    TAG_ACCOUNT,
    TAG_TRACE,
    TAG_HOLD,
    TAG_CUTS, /* of each its place (8 bytes) and length (4) */
    TAG_KNOWN /* one past the last */
};
#define RCPT_MAX 100000
#define LISTING_MAX 255
#define CUT_BYTES 12

static void add_field(struct buf *out, enum tag tag, struct slice value)
{
    assert(value.n <= UINT32_MAX);
    buf_add_char(out, (char)tag);
    uint64_t n = value.n;
    for (; n > 127; n >>= 7) buf_add_char(out, (char)(n | 128));
    buf_add_char(out, (char)n);
    buf_add(out, value);
}

static void add_number(struct buf *out, enum tag tag, uint64_t v)
{
    uint64_t le = htole64(v);
    add_field(out, tag, slice_of(&le, sizeof le));
}

static void add_text(struct buf *out, enum tag tag, struct slice value)
{
    if (value.n) add_field(out, tag, value);
}

static struct slice listing(struct slice s)
{
    return s.n > LISTING_MAX ? slice_sub(s, 0, LISTING_MAX) : s;
}

static void add_client(struct buf *out, const struct ip *ip)
{
    char b[21] = { (char)ip->family };
    size_t n = ip->family == 4 ? 4 : 16;
    uint32_t scope = htole32(ip->scope);
    if (!ip->family) return;
    memcpy(b + 1, ip->bytes, n);
    memcpy(b + 1 + n, &scope, sizeof scope);
    add_field(out, TAG_CLIENT, slice_of(b, ip->family == 4 ? 5 : 21));
}

static void add_rcpt(const struct envelope *e, uint32_t i, struct buf *out)
{
    char b[1 + ENVELOPE_ORCPT_MAX];
    add_field(out, TAG_RCPT, e->rcpts[i]);
    if (!e->rcpt_dsn) return;
    const struct envelope_dsn *d = &e->rcpt_dsn[i];
    assert(d->orcpt.n <= ENVELOPE_ORCPT_MAX);
    if (!d->notify && !d->orcpt.n) return;
    b[0] = (char)d->notify;
    if (d->orcpt.n) memcpy(b + 1, d->orcpt.p, d->orcpt.n);
    add_field(out, TAG_RCPT_DSN, slice_of(b, 1 + d->orcpt.n));
}

static void add_cuts(const struct envelope *e, struct buf *out)
{
    char b[ENVELOPE_CUTS_MAX * CUT_BYTES];
    assert(e->cut_n <= ENVELOPE_CUTS_MAX);
    for (uint32_t i = 0; i < e->cut_n; i++) {
        uint64_t at = htole64(e->cuts[i].at);
        uint32_t n = htole32(e->cuts[i].n);
        memcpy(b + i * CUT_BYTES, &at, sizeof at);
        memcpy(b + i * CUT_BYTES + sizeof at, &n, sizeof n);
    }
    add_text(out, TAG_CUTS, slice_of(b, e->cut_n * CUT_BYTES));
}

void envelope_encode(const struct envelope *e, struct buf *out)
{
    add_number(out, TAG_ID, e->id);
    add_number(out, TAG_ARRIVAL, e->arrival);
    if (e->flags) add_number(out, TAG_FLAGS, e->flags);
    add_client(out, &e->client);
    add_text(out, TAG_HELO, e->helo);
    add_text(out, TAG_ZONE, e->zone);
    add_text(out, TAG_SENDER, e->sender);
    for (uint32_t i = 0; i < e->rcpt_n; i++) add_rcpt(e, i, out);
    assert(e->envid.n <= ENVELOPE_ENVID_MAX && e->account.n <= ENVELOPE_ACCOUNT_MAX);
    add_text(out, TAG_ENVID, e->envid);
    add_text(out, TAG_ACCOUNT, e->account);
    add_text(out, TAG_PREPEND, e->prepend);
    add_number(out, TAG_TEXT_SIZE, e->text_size);
    add_text(out, TAG_MESSAGE_ID, listing(e->message_id));
    add_text(out, TAG_SUBJECT, listing(e->subject));
    add_text(out, TAG_HOLD, listing(e->hold));
    assert(e->trace.n <= ENVELOPE_TRACE_MAX);
    add_text(out, TAG_TRACE, e->trace);
    add_cuts(e, out);
}

/* Cuts one field off *in. */
static bool next_field(struct slice *in, unsigned *tag, struct slice *value)
{
    uint64_t n = 0;
    size_t at = 1;
    for (unsigned shift = 0;; shift += 7, at++) {
        if (at >= in->n || shift > 28) return false;
        unsigned char c = (unsigned char)in->p[at];
        n |= (uint64_t)(c & 127) << shift;
        if (c < 128) break;
    }
    at++;
    if (n > in->n - at) return false;
    *tag = (unsigned char)in->p[0];
    *value = slice_of(in->p + at, (size_t)n);
    *in = slice_sub(*in, at + (size_t)n, in->n);
    return true;
}

static bool take_number(struct slice value, uint64_t max, uint64_t *out)
{
    uint64_t le;
    if (value.n != sizeof le) return false;
    memcpy(&le, value.p, sizeof le);
    *out = le64toh(le);
    return *out <= max;
}

static bool take_client(struct slice value, struct ip *out)
{
    uint32_t scope;
    if (!value.n) return false;
    *out = (struct ip){ .family = (uint8_t)value.p[0] };
    size_t n = out->family == 4 ? 4 : 16;
    if (!(out->family == 4 && value.n == 5) && !(out->family == 6 && value.n == 21)) return false;
    memcpy(out->bytes, value.p + 1, n);
    if (out->family == 6) {
        memcpy(&scope, value.p + 17, sizeof scope);
        out->scope = le32toh(scope);
    }
    return true;
}

static bool take_text(struct slice value, size_t max, struct slice *out)
{
    *out = value;
    return value.n <= max;
}

/* Right behind a recipient. In the first round the array is not there yet. */
static bool take_dsn(struct envelope *e, struct slice value)
{
    const uint8_t all = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
    if (!e->rcpt_n || value.n < 1 || value.n > 1 + ENVELOPE_ORCPT_MAX) return false;
    uint8_t notify = (uint8_t)value.p[0];
    if (notify > all && notify != NOTIFY_NEVER) return false;
    e->flags |= ENVELOPE_DSN_SEEN;
    if (e->rcpt_dsn) e->rcpt_dsn[e->rcpt_n - 1] = (struct envelope_dsn){ notify, slice_sub(value, 1, value.n) };
    return true;
}

/* In the first round the array is not there yet. */
static bool take_cuts(struct envelope *e, struct slice value)
{
    e->cut_n = (uint32_t)(value.n / CUT_BYTES);
    if (value.n % CUT_BYTES || !e->cut_n || value.n > ENVELOPE_CUTS_MAX * CUT_BYTES) return false;
    if (!e->cuts) return true;
    struct envelope_cut *cuts = (struct envelope_cut *)e->cuts;
    for (uint32_t i = 0; i < e->cut_n; i++) {
        memcpy(&cuts[i].at, value.p + i * CUT_BYTES, 8);
        memcpy(&cuts[i].n, value.p + i * CUT_BYTES + 8, 4);
        cuts[i] = (struct envelope_cut){ le64toh(cuts[i].at), le32toh(cuts[i].n) };
    }
    return true;
}

/* Ascending, apart, within the text. */
static bool cuts_ok(const struct envelope *e)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < e->cut_n; i++) {
        const struct envelope_cut *c = &e->cuts[i];
        if (!c->n || c->at < end || c->at > e->text_size || c->n > e->text_size - c->at) return false;
        end = c->at + c->n;
    }
    return true;
}

static bool take_field(struct envelope *e, unsigned tag, struct slice value)
{
    uint64_t flags = 0;
    switch (tag) {
    case TAG_ID: return take_number(value, UINT64_MAX, &e->id);
    case TAG_ARRIVAL: return take_number(value, UINT64_MAX, &e->arrival);
    case TAG_FLAGS:
        if (!take_number(value, UINT32_MAX, &flags)) return false;
        e->flags |= (uint32_t)flags;
        return true;
    case TAG_CLIENT: return take_client(value, &e->client);
    case TAG_HELO: e->helo = value; return true;
    case TAG_ZONE: e->zone = value; return true;
    case TAG_SENDER: e->sender = value; return true;
    case TAG_RCPT:
        if (e->rcpts) e->rcpts[e->rcpt_n] = value; /* second round */
        return e->rcpt_n++ < RCPT_MAX;
    case TAG_PREPEND: e->prepend = value; return true;
    case TAG_TEXT_SIZE: return take_number(value, UINT64_MAX, &e->text_size);
    case TAG_MESSAGE_ID: e->message_id = listing(value); return true;
    case TAG_SUBJECT: e->subject = listing(value); return true;
    case TAG_RCPT_DSN: return take_dsn(e, value);
    case TAG_ENVID: return take_text(value, ENVELOPE_ENVID_MAX, &e->envid);
    case TAG_ACCOUNT: return take_text(value, ENVELOPE_ACCOUNT_MAX, &e->account);
    case TAG_HOLD: e->hold = listing(value); return true;
    case TAG_TRACE: return take_text(value, ENVELOPE_TRACE_MAX, &e->trace);
    case TAG_CUTS: return take_cuts(e, value);
    default: return true; /* of a later version */
    }
}

static bool take_all(struct slice in, struct envelope *e, struct err *err)
{
    uint32_t seen = 0;
    unsigned tag = 0;
    while (in.n) {
        unsigned before = tag;
        struct slice value;
        if (!next_field(&in, &tag, &value)) return err_set(err, "the envelope ends within a field");
        if (tag == TAG_RCPT_DSN && before != TAG_RCPT)
            return err_set(err, "field %u of the envelope belongs to no recipient", tag);
        if (tag < TAG_KNOWN && tag != TAG_RCPT && tag != TAG_RCPT_DSN) {
            if (seen & 1u << tag) return err_set(err, "the envelope has field %u twice", tag);
            seen |= 1u << tag;
        }
        if (!take_field(e, tag, value)) return err_set(err, "field %u of the envelope is not valid", tag);
    }
    uint32_t needed = 1u << TAG_ID | 1u << TAG_ARRIVAL | 1u << TAG_TEXT_SIZE;
    return (seen & needed) == needed || err_set(err, "the envelope is not complete");
}

bool envelope_decode(struct slice in, struct arena *arena, struct envelope *out, struct err *err)
{
    struct envelope e = { 0 };
    if (!take_all(in, &e, err)) return false;
    uint32_t room = e.rcpt_n ? e.rcpt_n : 1;
    *out = (struct envelope){ .rcpts = arena_alloc(arena, room * sizeof *out->rcpts) };
    if (e.flags & ENVELOPE_DSN_SEEN) out->rcpt_dsn = arena_alloc(arena, room * sizeof *out->rcpt_dsn);
    if (e.cut_n) out->cuts = arena_alloc(arena, e.cut_n * sizeof *out->cuts);
    return take_all(in, out, err) && (cuts_ok(out) || err_set(err, "what the envelope cuts off the text is not valid"));
}

uint64_t envelope_sent_size(const struct envelope *e)
{
    uint64_t n = e->text_size;
    for (uint32_t i = 0; i < e->cut_n; i++) n -= e->cuts[i].n;
    return n;
}

uint64_t envelope_run(const struct envelope *e, uint64_t at, uint64_t *from)
{
    uint64_t kept = 0; /* where the run begins that is looked at */
    for (uint32_t i = 0; i < e->cut_n; i++) {
        uint64_t run = e->cuts[i].at - kept;
        *from = kept + at;
        if (at < run) return run - at;
        at -= run;
        kept = e->cuts[i].at + e->cuts[i].n;
    }
    *from = kept + at;
    return at < e->text_size - kept ? e->text_size - kept - at : 0;
}
