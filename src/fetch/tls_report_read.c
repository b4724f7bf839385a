/* SPDX-License-Identifier: Apache-2.0
 * TLS reports that others send us: unpacked within bounds, and told in words. */
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "fetch/tls_report.h"

/* 1: done. 0: the bytes are no gzip. -1: too large. */
static int unpack(struct slice in, struct buf *out)
{
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)in.p, .avail_in = (unsigned)in.n };
    int rc;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return 0;
    do {
        z.next_out = (unsigned char *)buf_reserve(out, 65536);
        z.avail_out = 65536;
        rc = inflate(&z, Z_NO_FLUSH);
        out->n += 65536 - z.avail_out;
    } while (rc == Z_OK && out->n <= TLS_REPORT_READ_MAX && (z.avail_in || !z.avail_out));
    inflateEnd(&z);
    return out->n > TLS_REPORT_READ_MAX ? -1 : rc == Z_STREAM_END;
}

json_t *tls_report_read(struct slice bytes, struct err *err)
{
    struct buf plain = { 0 };
    json_error_t where;
    json_t *report = NULL;
    int ok = 1;
    if (bytes.n > TLS_REPORT_READ_MAX) ok = -1;
    else if (slice_starts(bytes, SLICE("\x1f\x8b"))) ok = unpack(bytes, &plain);
    else buf_add(&plain, bytes);
    if (ok < 0) err_set(err, "the report is larger than %u bytes", TLS_REPORT_READ_MAX);
    else if (!ok) err_set(err, "the report is packed, and damaged");
    else if (!(report = json_loadb(plain.p ? plain.p : "", plain.n, JSON_REJECT_DUPLICATES, &where)))
        err_set(err, "the report is not JSON: line %d, column %d: %.120s", where.line, where.column, where.text);
    else if (!json_is_array(json_object_get(report, "policies"))) {
        err_set(err, "the report is not one of TLS: it has no policies");
        json_decref(report);
        report = NULL;
    }
    buf_deinit(&plain);
    return report;
}

static void add_text(struct buf *out, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    if (text) buf_add_printable(out, slice_str(text), 200);
    else buf_add_str(out, "-");
}

static void print_detail(const json_t *detail, struct buf *out)
{
    buf_addf(out, "    %" JSON_INTEGER_FORMAT " x ", json_integer_value(json_object_get(detail, "failed-session-count")));
    add_text(out, detail, "result-type");
    buf_add_str(out, " at ");
    add_text(out, detail, "receiving-mx-hostname");
    buf_add_str(out, ", seen from ");
    add_text(out, detail, "sending-mta-ip");
    if (json_object_get(detail, "failure-reason-code")) {
        buf_add_str(out, "\n        ");
        add_text(out, detail, "failure-reason-code");
    }
    buf_add_char(out, '\n');
}

void tls_report_print(const json_t *report, struct buf *out)
{
    const json_t *range = json_object_get(report, "date-range"), *entry, *detail;
    size_t i, k;
    add_text(out, report, "organization-name");
    buf_add_str(out, ", ");
    add_text(out, range, "start-datetime");
    buf_add_str(out, " to ");
    add_text(out, range, "end-datetime");
    buf_add_char(out, '\n');
    json_array_foreach(json_object_get(report, "policies"), i, entry) {
        const json_t *policy = json_object_get(entry, "policy"), *summary = json_object_get(entry, "summary");
        buf_add_str(out, "  ");
        add_text(out, policy, "policy-domain");
        buf_add_str(out, " (");
        add_text(out, policy, "policy-type");
        buf_addf(out, "): %" JSON_INTEGER_FORMAT " sessions well, %" JSON_INTEGER_FORMAT " failed\n",
                 json_integer_value(json_object_get(summary, "total-successful-session-count")),
                 json_integer_value(json_object_get(summary, "total-failure-session-count")));
        json_array_foreach(json_object_get(entry, "failure-details"), k, detail) print_detail(detail, out);
    }
}
