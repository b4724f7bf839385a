/* SPDX-License-Identifier: Apache-2.0
 * ICAP (RFC 3507): the message, and each file in it, as the body of an HTTP answer that the server may change (RESPMOD), with a preview where it
 * wants one. */
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "content/scanner_internal.h"

#define PREVIEW_MAX (1u << 20)
#define CHUNK (1u << 20)
#define OPTIONS_KEPT 3600000 /* ms */

void icap_reader_init(struct icap_reader *r, struct ask *a, struct slice original)
{
    *r = (struct icap_reader){ .ask = a, .original = original };
}

/* ---- the answer */

static bool compare_body(void *arg, struct slice data)
{
    struct icap_reader *r = arg;
    struct slice expected = slice_sub(r->original, r->same, r->same + data.n);
    if (!r->differs && slice_eq(expected, data)) r->same += data.n;
    else r->differs = true;
    return true;
}

/* RFC 3507 §4.4.1: "res-hdr=0, res-body=213" */
static bool parse_encapsulated(struct icap_reader *r, struct slice list)
{
    struct slice item, name;
    uint64_t at;
    bool had_res = false;
    while (list.n) {
        slice_cut(&list, ',', &item);
        item = slice_trim(item);
        if (!slice_cut(&item, '=', &name) || !slice_to_u64(slice_trim(item), HTTP_HEAD_MAX, &at)) return false;
        if (had_res && !r->res_n) r->res_n = at - r->res_at;
        if (slice_ieq(name, SLICE("res-hdr"))) {
            r->res_at = at;
            had_res = true;
        }
        r->has_body = slice_ieq(name, SLICE("res-body")) || slice_ieq(name, SLICE("opt-body")) || slice_ieq(name, SLICE("req-body"));
        if (at < r->hdr_n) return false;
        r->hdr_n = at;
    }
    return true;
}

static enum talk_step read_icap_head(struct icap_reader *r, struct buf *in)
{
    struct slice list;
    enum talk_step step = http_read_head(in, r->ask->arena, &r->icap);
    r->why = "its answer is not ICAP";
    if (step != TALK_DONE) return step;
    if (!slice_istarts(r->icap.protocol, SLICE("ICAP/"))) return TALK_BAD;
    r->why = "the lengths in its answer";
    /* RFC 3507 §4.6: 204 and 100 have no body, whatever else they say. */
    if (r->icap.status == 204 || r->icap.status == 100 || !http_field(&r->icap, "Encapsulated", &list)) r->at = ICAP_DONE;
    else if (!parse_encapsulated(r, list)) return TALK_BAD;
    else r->at = ICAP_HTTP;
    return TALK_DONE;
}

static enum talk_step read_http_head(struct icap_reader *r, struct buf *in)
{
    r->why = "the HTTP answer in its answer";
    if (in->n < r->hdr_n) return TALK_MORE;
    if (r->res_n && !http_parse_head(arena_slice(r->ask->arena, slice_sub(buf_slice(in), r->res_at, r->res_at + r->res_n)), &r->http)) return TALK_BAD;
    buf_consume(in, r->hdr_n);
    r->chunks = (struct http_chunks){ .sink = compare_body, .arg = r };
    r->at = r->has_body ? ICAP_BODY : ICAP_DONE;
    return TALK_DONE;
}

enum talk_step icap_read(void *arg, struct buf *in, bool end)
{
    struct icap_reader *r = arg;
    enum talk_step step = TALK_DONE;
    while (r->at != ICAP_DONE && step == TALK_DONE) {
        if (r->at == ICAP_HEAD) step = read_icap_head(r, in);
        else if (r->at == ICAP_HTTP) step = read_http_head(r, in);
        else {
            step = http_read_chunks(&r->chunks, in);
            r->why = "the chunks of its answer";
            if (step == TALK_DONE) r->at = ICAP_DONE;
        }
    }
    return step;
}

/* ---- what it means */

/* "Type=0; Resolution=2; Threat=Eicar-Test-Signature;" */
static struct slice threat_of(struct slice value)
{
    struct slice item, rest = value;
    while (rest.n) {
        slice_cut(&rest, ';', &item);
        item = slice_trim(item);
        if (slice_istarts(item, SLICE("Threat="))) return slice_sub(item, 7, item.n);
    }
    return value;
}

/* Each product has headers of its own; the first that is there names it. */
static bool found_name(const struct icap_reader *r, struct slice *name)
{
    static const char *const names[] = { "X-Infection-Found", "X-Virus-ID", "X-Virus-Name", "X-Violations-Found", "X-Blocked" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!http_field(&r->icap, names[i], name) && !http_field(&r->http, names[i], name)) continue;
        *name = threat_of(*name);
        if (!slice_ieq(*name, SLICE("0")) && !slice_ieq(*name, SLICE("no threats")) && !slice_ieq(*name, SLICE("no"))) return true;
    }
    return false;
}

static bool fail_status(struct ask *a, const struct icap_reader *r)
{
    const char *address = a->s->c->address;
    unsigned status = r->icap.status;
    if (status == 404) return scanner_fail(a, SCANNER_DOWN, "%s has no service %s", address, a->s->c->service ? a->s->c->service : "");
    if (status == 413) return scanner_fail(a, SCANNER_TOO_LARGE, "%s takes no bodies of %zu bytes", address, r->original.n);
    if (status >= 400) return scanner_fail(a, SCANNER_DOWN, "%s says: ICAP %u", address, status);
    return scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: ICAP %u", address, status);
}

bool icap_judge(struct ask *a, const struct icap_reader *r, struct slice part)
{
    struct slice name;
    unsigned http = r->http.status;
    if (found_name(r, &name)) scanner_add_virus(a, name, part);
    else if (r->icap.status == 204) return true;
    else if (r->icap.status != 200) return fail_status(a, r);
    else if (!http) return scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: ICAP 200 without an HTTP answer", a->s->c->address);
    else if (http >= 500) return scanner_fail(a, SCANNER_DOWN, "%s says: HTTP %u", a->s->c->address, http);
    else if (http >= 400) scanner_add_virus(a, SLICE("blocked"), part);
    else if (r->differs || !r->has_body || r->same != r->original.n) scanner_add_virus(a, SLICE("changed"), part); /* it took something out */
    return true;
}

/* ---- the question */

static void add_uri(struct buf *out, const struct scanner *s, const char *method)
{
    const char *address = s->c->address, *host = strncmp(address, "unix:", 5) == 0 ? "localhost" : address;
    buf_addf(out, "%s icap://%s/%s ICAP/1.0\r\nHost: %s\r\nUser-Agent: Postern\r\n", method, host, s->c->service ? s->c->service : "", host);
}

/* RFC 3507 §4.10: once an hour; what it says of previews is kept. One that does not know OPTIONS gets no preview. */
static bool ask_options(struct talk *t)
{
    struct scanner *s = t->ask->s;
    struct icap_reader r;
    struct slice value;
    struct buf request = { 0 };
    icap_reader_init(&r, t->ask, slice_of(NULL, 0));
    add_uri(&request, s, "OPTIONS");
    buf_add_str(&request, "Encapsulated: null-body=0\r\n\r\n");
    talk_add_copy(t, buf_slice(&request));
    buf_deinit(&request);
    if (!talk_exchange(t, false, icap_read, &r, &r.why)) return false;
    if (r.icap.status == 404 || r.icap.status >= 500) return fail_status(t->ask, &r);
    s->icap.asked = clock_mono_ms();
    s->icap.has_preview = r.icap.status == 200 && http_field(&r.icap, "Preview", &value) && slice_to_u64(value, PREVIEW_MAX, &s->icap.preview);
    return true;
}

static void queue_chunks(struct talk *t, struct slice data)
{
    char line[20];
    while (data.n) {
        size_t n = data.n < CHUNK ? data.n : CHUNK;
        int k = snprintf(line, sizeof line, "%zx\r\n", n);
        talk_add_copy(t, slice_of(line, (size_t)k));
        talk_add(t, slice_of(data.p, n));
        talk_add(t, SLICE("\r\n"));
        data = slice_sub(data, n, data.n);
    }
}

/* The heads; RFC 3507 §4.9.2. The name in the URI only tells one piece from another in the server's log. */
static void queue_head(struct talk *t, struct slice data, bool preview, bool message)
{
    const struct scanner *s = t->ask->s;
    struct buf http = { 0 }, out = { 0 };
    buf_add_str(&http, "GET http://mail.invalid/");
    id_add(&http, t->ask->context->id);
    buf_add_str(&http, message ? ".eml HTTP/1.1\r\nHost: mail.invalid\r\n\r\n" : ".bin HTTP/1.1\r\nHost: mail.invalid\r\n\r\n");
    size_t res_at = http.n;
    buf_addf(&http, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", message ? "message/rfc822" : "application/octet-stream", data.n);
    add_uri(&out, s, "RESPMOD");
    buf_add_str(&out, "Allow: 204\r\n");
    if (preview) buf_addf(&out, "Preview: %llu\r\n", (unsigned long long)s->icap.preview);
    buf_addf(&out, "Encapsulated: req-hdr=0, res-hdr=%zu, res-body=%zu\r\n\r\n", res_at, http.n);
    buf_add(&out, buf_slice(&http));
    talk_add_copy(t, buf_slice(&out));
    buf_deinit(&http);
    buf_deinit(&out);
}

/* False: no more questions. RFC 3507 §4.5: after 100 the rest is sent on. */
static bool ask_piece(struct talk *t, const struct scanner_piece *piece)
{
    struct scanner *s = t->ask->s;
    struct icap_reader r;
    bool preview = s->icap.has_preview, whole = !preview || piece->data.n <= s->icap.preview;
    size_t n = whole ? piece->data.n : (size_t)s->icap.preview;
    icap_reader_init(&r, t->ask, piece->data);
    queue_head(t, piece->data, preview, piece->name.n == 0);
    queue_chunks(t, slice_sub(piece->data, 0, n));
    talk_add(t, preview && whole ? SLICE("0; ieof\r\n\r\n") : SLICE("0\r\n\r\n"));
    if (!talk_exchange(t, false, icap_read, &r, &r.why)) return false;
    if (r.icap.status == 100 && !whole) {
        icap_reader_init(&r, t->ask, piece->data);
        queue_chunks(t, slice_sub(piece->data, n, piece->data.n));
        talk_add(t, SLICE("0\r\n\r\n"));
        if (!talk_exchange(t, false, icap_read, &r, &r.why)) return false;
    }
    return icap_judge(t->ask, &r, piece->name);
}

/* A connection for each question: servers close them as they like. piece NULL: OPTIONS. */
static bool converse(struct ask *a, const struct scanner_piece *piece)
{
    struct talk t;
    bool fine = talk_open(&t, a) && (piece ? ask_piece(&t, piece) : ask_options(&t));
    talk_close(&t);
    return fine;
}

void scanner_ask_icap(struct ask *a)
{
    struct scanner_piece pieces[SCANNER_PIECES_MAX];
    size_t n = scanner_pieces(a->m, pieces);
    bool knows = a->s->icap.asked && clock_mono_ms() < a->s->icap.asked + OPTIONS_KEPT;
    if (!knows && !converse(a, NULL)) return;
    for (size_t i = 0; i < n && converse(a, &pieces[i]);) i++;
}
