/* SPDX-License-Identifier: Apache-2.0
 * A TLS report as a message (RFC 8460 §5.3), and packed. */
#include "fetch/report_mail.h"
#include <stdlib.h>
#include <zlib.h>
#include "base/base64.h"
#include "base/clock.h"

bool report_pack(const json_t *report, struct buf *out)
{
    char *text = json_dumps(report, JSON_COMPACT);
    size_t n = text ? strlen(text) : 0, room = n + 1024;
    z_stream z = { .next_in = (unsigned char *)text, .avail_in = (unsigned)n };
    if (!text || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(text);
        return false;
    }
    if (deflateBound(&z, n) > room) room = deflateBound(&z, n);
    z.next_out = (unsigned char *)buf_reserve(out, room);
    z.avail_out = (unsigned)room;
    bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->n += room - z.avail_out;
    deflateEnd(&z);
    free(text);
    return ok;
}

static void add_base64(struct buf *out, struct slice s)
{
    for (size_t at = 0; at < s.n; at += 57) {
        base64_add(out, slice_sub(s, at, at + 57));
        buf_add_str(out, "\r\n");
    }
}

void report_mail_format(const struct report_mail *m, struct buf *out)
{
    buf_addf(out, "From: <%s>\r\nTo: <%.*s>\r\n", m->from, SLICE_ARG(m->to));
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, clock_wall_ms());
    buf_add_str(out, "\r\n");
    buf_addf(out, "Message-ID: <%s>\r\nSubject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n", m->id, m->domain,
             m->submitter, m->id);
    /* RFC 8689 §5: a report of TLS trouble should not be kept back by TLS trouble. */
    buf_addf(out, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\nAuto-Submitted: auto-generated\r\n",
             m->domain, m->submitter);
    buf_addf(out,
             "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"%s\"\r\n\r\n"
             "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
             "This is a report on TLS sessions with the mail servers of\r\n%s,\r\nmade by %s (RFC 8460).\r\n\r\n",
             m->boundary, m->boundary, m->domain, m->submitter);
    buf_addf(out,
             "--%s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
             "Content-Disposition: attachment;\r\n filename=\"%s!%s!%lld!%lld!1.json.gz\"\r\n\r\n",
             m->boundary, m->submitter, m->domain, (long long)m->start, (long long)m->end);
    add_base64(out, m->packed);
    buf_addf(out, "\r\n--%s--\r\n", m->boundary);
}
