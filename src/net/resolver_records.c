/* SPDX-License-Identifier: Apache-2.0
 * Rdata of A, AAAA, MX, PTR, TXT and TLSA records. Name servers are strangers: sizes, characters and counts are checked here. */
#include "base/mem.h"
#include "net/resolver_parts.h"

static bool is_name_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool resolver_name_ok(struct slice name)
{
    struct slice label;
    bool more = true;
    if (!name.n || name.n > 253) return false;
    while (more) {
        more = slice_cut(&name, '.', &label);
        if (!label.n || label.n > 63) return false;
        for (size_t i = 0; i < label.n; i++)
            if (!is_name_char(label.p[i])) return false;
    }
    return true;
}

char *resolver_escape_name(struct slice name)
{
    struct buf out = { 0 };
    struct slice label;
    bool more = true;
    if (!name.n || name.n > 253) return NULL;
    while (more) {
        more = slice_cut(&name, '.', &label);
        if (!label.n || label.n > 63) {
            buf_deinit(&out);
            return NULL;
        }
        for (size_t i = 0; i < label.n; i++) {
            if (is_name_char(label.p[i])) buf_add_char(&out, ascii_lower(label.p[i]));
            else buf_addf(&out, "\\%03u", (unsigned char)label.p[i]);
        }
        if (more) buf_add_char(&out, '.');
    }
    buf_add_char(&out, 0);
    return out.p;
}

size_t resolver_read_ips(char *const *data, const int *len, bool ipv6, struct ip out[RESOLVER_IPS_MAX])
{
    return resolver_read_ips_max(data, len, ipv6, out, RESOLVER_IPS_MAX);
}

size_t resolver_read_ips_max(char *const *data, const int *len, bool ipv6, struct ip *out, size_t max)
{
    static const char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (char)0xFF, (char)0xFF };
    size_t n = 0, want = ipv6 ? 16 : 4;
    for (size_t i = 0; data[i] && n < max; i++) {
        if (len[i] != (int)want) continue;
        if (ipv6 && memcmp(data[i], mapped, sizeof mapped) == 0) continue; /* IPv4 in disguise belongs into an A record */
        out[n] = (struct ip){ .family = ipv6 ? 6 : 4 };
        memcpy(out[n++].bytes, data[i], want);
    }
    return n;
}

/* RFC 1035 §3.1: a name as length-prefixed labels that fills `wire`; "" for the root. NULL or what is wrong. */
static const char *name_from_wire(struct slice wire, char out[256])
{
    size_t at = 0, n = 0;
    struct ip ip;
    out[0] = 0;
    for (;;) {
        if (at >= wire.n) return "an MX record is cut short";
        size_t label = (unsigned char)wire.p[at++];
        if (label == 0) break;
        if (label > 63 || at + label > wire.n || n + label + 1 > 253) return "an MX record's host name is too long or malformed";
        if (n) out[n++] = '.';
        for (size_t end = at + label; at < end; at++) {
            if (!is_name_char(wire.p[at])) return "an MX record names a host with characters no host name has";
            out[n++] = ascii_lower(wire.p[at]);
        }
    }
    if (at != wire.n) return "an MX record has bytes behind its host name";
    out[n] = 0;
    return ip_parse(slice_of(out, n), &ip) ? "an MX record names an address instead of a host (RFC 5321 section 5.1)" : NULL;
}

size_t resolver_read_mx(char *const *data, const int *len, struct resolver_mx out[RESOLVER_MX_MAX], const char **odd)
{
    size_t n = 0;
    for (size_t i = 0; data[i] && n < RESOLVER_MX_MAX; i++) {
        if (len[i] < 3) {
            *odd = "an MX record is cut short";
            continue;
        }
        const unsigned char *p = (const unsigned char *)data[i];
        const char *wrong = name_from_wire(slice_of(p + 2, (size_t)len[i] - 2), out[n].name);
        if (wrong) *odd = wrong;
        else out[n++].preference = (uint16_t)(p[0] << 8 | p[1]);
    }
    return n;
}

size_t resolver_read_ptr(char *const *data, const int *len, struct resolver_name out[RESOLVER_NAMES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; data[i] && n < RESOLVER_NAMES_MAX; i++)
        if (len[i] > 0 && !name_from_wire(slice_of(data[i], (size_t)len[i]), out[n].text) && out[n].text[0]) n++;
    return n;
}

void resolver_add_reversed(struct buf *out, const struct ip *ip)
{
    if (ip->family == 4) {
        buf_addf(out, "%u.%u.%u.%u", ip->bytes[3], ip->bytes[2], ip->bytes[1], ip->bytes[0]);
        return;
    }
    for (size_t i = 16; i-- > 0;) buf_addf(out, "%x.%x%s", ip->bytes[i] & 15, ip->bytes[i] >> 4, i ? "." : "");
}

/* Length of the joined strings of one TXT record; false: its lengths do not fill it. */
static bool txt_length(const unsigned char *p, size_t n, size_t *length)
{
    size_t at = 0;
    *length = 0;
    while (at < n) {
        size_t one = p[at++];
        if (one > n - at) return false;
        *length += one;
        at += one;
    }
    return n > 0;
}

size_t resolver_read_txt(char *const *data, const int *len, struct slice out[RESOLVER_RECORDS_MAX], char **bytes)
{
    return resolver_read_txt_max(data, len, out, RESOLVER_RECORDS_MAX, bytes);
}

size_t resolver_read_txt_max(char *const *data, const int *len, struct slice *out, size_t max, char **bytes)
{
    size_t n = 0, used = 0, total = 0, length;
    for (size_t i = 0; data[i]; i++)
        if (len[i] > 0) total += (size_t)len[i];
    if (total > RESOLVER_BYTES_MAX) total = RESOLVER_BYTES_MAX;
    *bytes = mem_alloc(total + 1);
    for (size_t i = 0; data[i] && n < max; i++) {
        const unsigned char *p = (const unsigned char *)data[i];
        size_t size = len[i] > 0 ? (size_t)len[i] : 0;
        if (!txt_length(p, size, &length) || length > total - used) continue;
        out[n++] = slice_of(*bytes + used, length);
        for (size_t at = 0; at < size; at += (size_t)p[at] + 1) {
            memcpy(*bytes + used, p + at + 1, p[at]);
            used += p[at];
        }
    }
    return n;
}

size_t resolver_read_tlsa(char *const *data, const int *len, struct tls_tlsa out[RESOLVER_RECORDS_MAX])
{
    size_t n = 0, total = 0;
    for (size_t i = 0; data[i] && n < RESOLVER_RECORDS_MAX; i++) {
        const unsigned char *p = (const unsigned char *)data[i];
        if (len[i] < 4 || len[i] > 65535 || total + (size_t)len[i] > RESOLVER_BYTES_MAX) continue;
        total += (size_t)len[i];
        out[n++] = (struct tls_tlsa){ p[0], p[1], p[2], (uint16_t)(len[i] - 3), p + 3 };
    }
    return n;
}
