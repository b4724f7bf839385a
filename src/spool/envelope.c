/* SPDX-License-Identifier: Apache-2.0
 * The envelope on disk: fields of a tag (1 byte), a length (LEB128, at most 5 bytes) and that many bytes; numbers are
 * little-endian. Each tag comes once but those of recipients, whose own follow them. Unknown tags are passed over. */
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
    TAG_CUTS, /* of each its place (8 bytes) and length (4). Empty: they stand in TAG_EDITS, which follows. Versions that do not know that tag
               * refuse an empty one, and so do not send the text without its edits */
    TAG_EDITS, /* of each its place (8 bytes), length (8), the length of what is put in (4), and that */
    TAG_QUARANTINE, /* 1 byte */
    TAG_SCORE, /* its bits, zero-extended */
    TAG_FINDINGS,
    TAG_RCPT_MARKS, /* of the recipient before it, behind what was said of that one: 1 byte */
    TAG_KNOWN /* one past the last */
};
#define LISTING_MAX 255
#define CUT_BYTES 12
#define EDIT_BYTES 20 /* and the text */

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

static void add_dsn(const struct envelope *e, uint32_t i, struct buf *out)
{
    char b[1 + ENVELOPE_ORCPT_MAX];
    if (!e->rcpt_dsn) return;
    const struct envelope_dsn *d = &e->rcpt_dsn[i];
    assert(d->orcpt.n <= ENVELOPE_ORCPT_MAX);
    if (!d->notify && !d->orcpt.n) return;
    b[0] = (char)d->notify;
    if (d->orcpt.n) memcpy(b + 1, d->orcpt.p, d->orcpt.n);
    add_field(out, TAG_RCPT_DSN, slice_of(b, 1 + d->orcpt.n));
}

static void add_rcpt(const struct envelope *e, uint32_t i, struct buf *out)
{
    add_field(out, TAG_RCPT, e->rcpts[i]);
    add_dsn(e, i, out);
    if (envelope_marks(e, i)) add_field(out, TAG_RCPT_MARKS, slice_of(&e->rcpt_marks[i], 1));
}

/* Can the older form say it? */
static bool only_cuts(const struct envelope *e)
{
    for (uint32_t i = 0; i < e->cut_n; i++)
        if (e->cuts[i].with.n || !e->cuts[i].n || e->cuts[i].n > UINT32_MAX) return false;
    return true;
}

static void put_edits(const struct envelope *e, struct buf *out)
{
    for (uint32_t i = 0; i < e->cut_n; i++) {
        const struct envelope_cut *c = &e->cuts[i];
        uint64_t at = htole64(c->at), n = htole64(c->n);
        uint32_t with = htole32((uint32_t)c->with.n);
        buf_add(out, slice_of(&at, sizeof at));
        buf_add(out, slice_of(&n, sizeof n));
        buf_add(out, slice_of(&with, sizeof with));
        buf_add(out, c->with);
    }
}

static void add_edits(const struct envelope *e, struct buf *out)
{
    struct buf b = { 0 };
    put_edits(e, &b);
    add_field(out, TAG_CUTS, SLICE(""));
    add_field(out, TAG_EDITS, buf_slice(&b));
    buf_deinit(&b);
}

static void add_cuts(const struct envelope *e, struct buf *out)
{
    char b[ENVELOPE_CUTS_MAX * CUT_BYTES];
    assert(e->cut_n <= ENVELOPE_CUTS_MAX);
    if (!only_cuts(e)) {
        add_edits(e, out);
        return;
    }
    for (uint32_t i = 0; i < e->cut_n; i++) {
        uint64_t at = htole64(e->cuts[i].at);
        uint32_t n = htole32((uint32_t)e->cuts[i].n);
        memcpy(b + i * CUT_BYTES, &at, sizeof at);
        memcpy(b + i * CUT_BYTES + sizeof at, &n, sizeof n);
    }
    add_text(out, TAG_CUTS, slice_of(b, e->cut_n * CUT_BYTES));
}

static void add_quarantine(const struct envelope *e, struct buf *out)
{
    assert(e->findings.n <= ENVELOPE_FINDINGS_MAX);
    if (e->quarantine) add_field(out, TAG_QUARANTINE, slice_of(&e->quarantine, 1));
    if (e->score) add_number(out, TAG_SCORE, (uint32_t)e->score);
    add_text(out, TAG_FINDINGS, e->findings);
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
    add_quarantine(e, out);
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

/* The same. */
static bool take_marks(struct envelope *e, struct slice value)
{
    if (value.n != 1) return false;
    if (e->rcpt_marks) e->rcpt_marks[e->rcpt_n - 1] = (uint8_t)value.p[0];
    return true;
}

/* In the first round the array is not there yet. */
static bool take_cuts(struct envelope *e, struct slice value)
{
    struct envelope_cut *cuts = (struct envelope_cut *)e->cuts;
    uint64_t at;
    uint32_t n;
    if (value.n % CUT_BYTES || value.n > ENVELOPE_CUTS_MAX * CUT_BYTES) return false;
    e->cut_n = (uint32_t)(value.n / CUT_BYTES);
    for (uint32_t i = 0; cuts && i < e->cut_n; i++) {
        memcpy(&at, value.p + i * CUT_BYTES, sizeof at);
        memcpy(&n, value.p + i * CUT_BYTES + sizeof at, sizeof n);
        cuts[i] = (struct envelope_cut){ le64toh(at), le32toh(n), SLICE("") };
    }
    return true;
}

static bool take_edit(struct slice *in, struct envelope_cut *out)
{
    uint64_t at, n;
    uint32_t with;
    if (in->n < EDIT_BYTES) return false;
    memcpy(&at, in->p, sizeof at);
    memcpy(&n, in->p + 8, sizeof n);
    memcpy(&with, in->p + 16, sizeof with);
    with = le32toh(with);
    if (with > in->n - EDIT_BYTES) return false;
    *out = (struct envelope_cut){ le64toh(at), le64toh(n), slice_sub(*in, EDIT_BYTES, EDIT_BYTES + with) };
    *in = slice_sub(*in, EDIT_BYTES + with, in->n);
    return true;
}

/* The same. */
static bool take_edits(struct envelope *e, struct slice value)
{
    struct envelope_cut *cuts = (struct envelope_cut *)e->cuts, one;
    if (e->cut_n || !value.n) return false;
    while (value.n) {
        if (e->cut_n >= ENVELOPE_CUTS_MAX || !take_edit(&value, &one)) return false;
        if (cuts) cuts[e->cut_n] = one;
        e->cut_n++;
    }
    return true;
}

static bool take_score(struct slice value, int32_t *out)
{
    uint64_t bits = 0;
    bool ok = take_number(value, UINT32_MAX, &bits);
    *out = (int32_t)(uint32_t)bits;
    return ok;
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
        return e->rcpt_n++ < ENVELOPE_RCPTS_MAX;
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
    case TAG_EDITS: return take_edits(e, value);
    case TAG_QUARANTINE: e->quarantine = value.n ? (uint8_t)value.p[0] : 0; return value.n == 1;
    case TAG_SCORE: return take_score(value, &e->score);
    case TAG_FINDINGS: return take_text(value, ENVELOPE_FINDINGS_MAX, &e->findings);
    case TAG_RCPT_MARKS: return take_marks(e, value);
    default: return true; /* of a later version */
    }
}

static bool is_of_rcpt(unsigned tag) { return tag == TAG_RCPT || tag == TAG_RCPT_DSN || tag == TAG_RCPT_MARKS; }

/* What is said of a recipient stands right behind it. */
static bool is_misplaced(unsigned tag, unsigned before)
{
    if (tag == TAG_RCPT_DSN) return before != TAG_RCPT;
    return tag == TAG_RCPT_MARKS && before != TAG_RCPT && before != TAG_RCPT_DSN;
}

static bool take_all(struct slice in, struct envelope *e, bool *marked, struct err *err)
{
    uint32_t seen = 0;
    unsigned tag = 0;
    while (in.n) {
        unsigned before = tag;
        struct slice value;
        if (!next_field(&in, &tag, &value)) return err_set(err, "the envelope ends within a field");
        if (is_misplaced(tag, before)) return err_set(err, "field %u of the envelope belongs to no recipient", tag);
        *marked |= tag == TAG_RCPT_MARKS;
        if ((before == TAG_CUTS && !e->cut_n) != (tag == TAG_EDITS))
            return err_set(err, "the envelope does not say what is edited in the text");
        if (tag < TAG_KNOWN && !is_of_rcpt(tag)) {
            if (seen & 1u << tag) return err_set(err, "the envelope has field %u twice", tag);
            seen |= 1u << tag;
        }
        if (!take_field(e, tag, value)) return err_set(err, "field %u of the envelope is not valid", tag);
    }
    if (tag == TAG_CUTS && !e->cut_n) return err_set(err, "the envelope does not say what is edited in the text");
    uint32_t needed = 1u << TAG_ID | 1u << TAG_ARRIVAL | 1u << TAG_TEXT_SIZE;
    return (seen & needed) == needed || err_set(err, "the envelope is not complete");
}

bool envelope_decode(struct slice in, struct arena *arena, struct envelope *out, struct err *err)
{
    struct envelope e = { 0 };
    bool marked = false;
    if (!take_all(in, &e, &marked, err)) return false;
    uint32_t room = e.rcpt_n ? e.rcpt_n : 1;
    *out = (struct envelope){ .rcpts = arena_alloc(arena, room * sizeof *out->rcpts) };
    if (e.flags & ENVELOPE_DSN_SEEN) out->rcpt_dsn = arena_alloc(arena, room * sizeof *out->rcpt_dsn);
    if (marked) out->rcpt_marks = arena_alloc(arena, room * sizeof *out->rcpt_marks);
    if (e.cut_n) out->cuts = arena_alloc(arena, e.cut_n * sizeof *out->cuts);
    if (!take_all(in, out, &marked, err)) return false;
    return envelope_cuts_ok(out->cuts, out->cut_n, out->text_size) ||
           err_set(err, "what the envelope edits of the text is not valid");
}
