/* SPDX-License-Identifier: Apache-2.0
 * TLS reports as they come: in a file of their own, or in the message that brought them; and what people are shown of
 * them. */
#include "base/base64.h"
#include "base/mem.h"
#include "fetch/tls_report.h"

#define TEXT_MAX 200
#define POLICIES_MAX 1000 /* shown */
#define DETAILS_MAX 1000  /* of all policies together */

/* ---- the message it came in */

/* A line of a message, without its end. */
static bool next_line(struct slice *in, struct slice *line)
{
    if (!in->n) return false;
    slice_cut(in, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

struct part {
    bool wanted, base64, quoted; /* what its header says */
    struct slice name;           /* of the field that was read last */
    struct buf text;
};

static void read_header_line(struct part *p, struct slice line)
{
    bool more = line.n && (line.p[0] == ' ' || line.p[0] == '\t'); /* of the field before */
    if (!more) p->name = SLICE("");
    if (!more && !slice_cut(&line, ':', &p->name)) return;
    line = slice_trim(line);
    if (slice_ieq(p->name, SLICE("Content-Type"))) p->wanted |= slice_istarts(line, SLICE("application/tlsrpt+"));
    if (!slice_ieq(p->name, SLICE("Content-Transfer-Encoding"))) return;
    p->base64 |= slice_ieq(line, SLICE("base64"));
    p->quoted |= slice_ieq(line, SLICE("quoted-printable"));
}

/* RFC 2045 §6.7, one line. */
static void add_quoted_line(struct slice line, struct buf *out)
{
    bool soft = line.n && line.p[line.n - 1] == '=';
    for (size_t i = 0; i + soft < line.n; i++) {
        int high = line.p[i] == '=' && i + 2 < line.n ? ascii_hex(line.p[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex(line.p[i + 2]) : -1;
        buf_add_char(out, low >= 0 ? (char)(high << 4 | low) : line.p[i]);
        if (low >= 0) i += 2;
    }
    if (!soft) buf_add_char(out, '\n');
}

static void add_body_line(struct part *p, struct slice line)
{
    if (p->quoted) add_quoted_line(line, &p->text);
    else buf_add(&p->text, p->base64 ? slice_trim(line) : line);
    if (!p->quoted && !p->base64) buf_add_char(&p->text, '\n');
}

/* The attachment of a message: of the first part that is one of TLS reports, or of the message itself. False: there is
 * none. */
static bool take_part(struct slice mail, struct buf *out)
{
    struct slice line;
    struct part p = { 0 };
    bool header = true;
    while (next_line(&mail, &line)) {
        if (slice_starts(line, SLICE("--"))) { /* a boundary; in a part that is wanted nothing else begins so */
            if (p.wanted && !header) break;
            p = (struct part){ 0 };
            header = true;
        } else if (header && !line.n) header = false;
        else if (header) read_header_line(&p, line);
        else if (p.wanted) add_body_line(&p, line);
    }
    bool ok = p.wanted && !header && (!p.base64 || base64_decode(buf_slice(&p.text), out));
    if (ok && !p.base64) buf_add(out, buf_slice(&p.text));
    buf_deinit(&p.text);
    return ok;
}

json_t *tls_report_open(struct slice file, struct err *err)
{
    struct buf part = { 0 };
    bool plain = slice_starts(slice_trim(file), SLICE("{")) || slice_starts(file, SLICE("\x1f\x8b"));
    if (!plain && take_part(file, &part)) file = buf_slice(&part);
    json_t *report = tls_report_read(file, err);
    buf_deinit(&part);
    return report;
}

/* ---- for people */

static void put_text(json_t *to, const char *as, const json_t *from, const char *key)
{
    const char *text = json_string_value(json_object_get(from, key));
    struct buf b = { 0 };
    if (text) buf_add_printable(&b, slice_str(text), TEXT_MAX);
    if (b.n) json_object_set_new(to, as, json_stringn(b.p, b.n));
    buf_deinit(&b);
}

static void put_number(json_t *to, const char *as, const json_t *from, const char *key)
{
    json_object_set_new(to, as, json_integer(json_integer_value(json_object_get(from, key))));
}

static json_t *detail_to_people(const json_t *detail)
{
    json_t *o = json_object();
    put_number(o, "sessions", detail, "failed-session-count");
    put_text(o, "result", detail, "result-type");
    put_text(o, "mx", detail, "receiving-mx-hostname");
    put_text(o, "from", detail, "sending-mta-ip");
    put_text(o, "reason", detail, "failure-reason-code");
    return o;
}

static json_t *policy_to_people(const json_t *entry, size_t *room, size_t *more)
{
    const json_t *policy = json_object_get(entry, "policy"), *summary = json_object_get(entry, "summary"), *detail;
    json_t *o = json_object(), *details = json_array();
    size_t i;
    put_text(o, "domain", policy, "policy-domain");
    put_text(o, "type", policy, "policy-type");
    put_number(o, "well", summary, "total-successful-session-count");
    put_number(o, "failed", summary, "total-failure-session-count");
    json_array_foreach(json_object_get(entry, "failure-details"), i, detail) {
        if (*room) json_array_append_new(details, detail_to_people(detail));
        *room ? --*room : ++*more;
    }
    json_object_set_new(o, "details", details);
    return o;
}

json_t *tls_report_to_people(const json_t *report)
{
    const json_t *range = json_object_get(report, "date-range"), *all = json_object_get(report, "policies"), *entry;
    json_t *o = json_object(), *policies = json_array();
    size_t i, room = DETAILS_MAX, more = 0;
    put_text(o, "organization", report, "organization-name");
    put_text(o, "contact", report, "contact-info");
    put_text(o, "report_id", report, "report-id");
    put_text(o, "start", range, "start-datetime");
    put_text(o, "end", range, "end-datetime");
    json_array_foreach(all, i, entry) {
        if (i < POLICIES_MAX) json_array_append_new(policies, policy_to_people(entry, &room, &more));
        else more++;
    }
    json_object_set_new(o, "policies", policies);
    if (more) json_object_set_new(o, "more", json_integer((json_int_t)more));
    return o;
}
