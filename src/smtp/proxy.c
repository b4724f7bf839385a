/* SPDX-License-Identifier: Apache-2.0
 * The PROXY protocol's header and XCLIENT's attributes. */
#include "smtp/proxy.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "smtp/address.h"

#define V2_FIXED 16
#define V2_CRC32C 0x03 /* type of the extension */

static enum proxy_result bad(const char **error, const char *why)
{
    *error = why;
    return PROXY_BAD;
}

static bool can_be_client(const struct ip *ip)
{
    if (ip->family == 4) return ip->bytes[0] != 0 && ip->bytes[0] < 224;
    return ip->family == 6 && ip->bytes[0] != 0xFF && !ip_is_unspecified(ip);
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.9 40000 25" CRLF */

static bool take_address(struct slice *line, bool v6, struct ip *out)
{
    struct slice word;
    if (!slice_cut(line, ' ', &word)) return false;
    bool colon = slice_find(word, ':') >= 0; /* a mapped address is written as IPv6 and becomes IPv4 */
    return colon == v6 && ip_parse(word, out);
}

static bool take_port(struct slice word, uint16_t *out)
{
    uint64_t n;
    if ((word.n > 1 && word.p[0] == '0') || !slice_to_u64(word, 65535, &n)) return false;
    *out = (uint16_t)n;
    return true;
}

static enum proxy_result parse_line(struct slice line, struct proxy_header *out, const char **error)
{
    struct slice word;
    struct ip local;
    uint16_t port;
    bool more = slice_cut(&line, ' ', &word);
    if (slice_eq(word, SLICE("UNKNOWN"))) return PROXY_DONE; /* what follows is to be passed over */
    bool v6 = slice_eq(word, SLICE("TCP6"));
    if (!more || (!v6 && !slice_eq(word, SLICE("TCP4"))))
        return bad(error, "a protocol other than TCP4, TCP6, UNKNOWN");
    if (!take_address(&line, v6, &out->client) || !take_address(&line, v6, &local))
        return bad(error, "an address is malformed");
    if (!slice_cut(&line, ' ', &word) || !take_port(word, &out->port) || !take_port(line, &port))
        return bad(error, "a port is malformed");
    if (!can_be_client(&out->client)) return bad(error, "an address that no client can have");
    out->named = true;
    return PROXY_DONE;
}

static enum proxy_result parse_v1(struct slice in, struct proxy_header *out, const char **error)
{
    struct slice look = slice_sub(in, 0, PROXY_V1_MAX);
    ptrdiff_t lf = slice_find(look, '\n'), cr = slice_find(look, '\r');
    if (lf < 0) {
        if (look.n == PROXY_V1_MAX) return bad(error, "a line without end");
        if (cr >= 0 && (size_t)cr + 1 != look.n) return bad(error, "a bare CR");
        return PROXY_MORE;
    }
    if (lf == 0 || cr != lf - 1) return bad(error, "a line that does not end in CRLF");
    out->n = (size_t)lf + 1;
    if (out->n < sizeof "PROXY " - 1 + 2) return bad(error, "neither version 1 nor 2");
    return parse_line(slice_sub(look, sizeof "PROXY " - 1, (size_t)cr), out, error);
}

/* ---- version 2: signature, version and command, family and protocol, length; addresses; extensions */

static unsigned u16(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static bool checksum_fits(struct slice header, size_t at)
{
    static const char zeros[4];
    const unsigned char *p = (const unsigned char *)header.p + at;
    uint32_t told = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    uint32_t sum = crc32c(crc32c(0, header.p, at), zeros, 4);
    return crc32c(sum, header.p + at + 4, header.n - at - 4) == told;
}

static const char *check_extensions(struct slice header, size_t at)
{
    while (at < header.n) {
        if (header.n - at < 3) return "an extension is cut off";
        size_t n = u16(header.p + at + 1), body = at + 3;
        if (header.n - body < n) return "an extension is longer than the header";
        if (header.p[at] == V2_CRC32C && (n != 4 || !checksum_fits(header, body))) return "the checksum is wrong";
        at = body + n;
    }
    return NULL;
}

static struct ip ip_of_bytes(const char *p, bool v6)
{
    struct ip ip = { 0 };
    static const char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xFF', '\xFF' };
    if (v6 && !memcmp(p, mapped, 12)) {
        p += 12;
        v6 = false;
    }
    ip.family = v6 ? 6 : 4;
    memcpy(ip.bytes, p, v6 ? 16 : 4);
    return ip;
}

static enum proxy_result parse_v2(struct slice in, struct proxy_header *out, const char **error)
{
    if (in.n < V2_FIXED) return PROXY_MORE;
    unsigned version = (unsigned char)in.p[12], family = (unsigned char)in.p[13], n = u16(in.p + 14);
    if (version != 0x20 && version != 0x21) return bad(error, "an unknown version or command");
    if (V2_FIXED + n > PROXY_V2_MAX) return bad(error, "the header is too long");
    if (in.n < V2_FIXED + n) return PROXY_MORE;
    out->n = V2_FIXED + n;
    if (version == 0x20) return PROXY_DONE; /* LOCAL: what follows is to be passed over */
    if (family != 0x11 && family != 0x21) return bad(error, "a family other than TCP over IPv4 or IPv6");
    size_t address = family == 0x21 ? 16 : 4, block = 2 * address + 4;
    if (n < block) return bad(error, "the addresses are cut off");
    const char *why = check_extensions(slice_sub(in, 0, out->n), V2_FIXED + block);
    if (why) return bad(error, why);
    out->client = ip_of_bytes(in.p + V2_FIXED, family == 0x21);
    out->port = (uint16_t)u16(in.p + V2_FIXED + 2 * address);
    if (!can_be_client(&out->client)) return bad(error, "an address that no client can have");
    out->named = true;
    return PROXY_DONE;
}

enum proxy_result proxy_parse(struct slice in, struct proxy_header *out, const char **error)
{
    static const char v2[12] = "\r\n\r\n\0\r\nQUIT\n";
    const struct slice starts[] = { SLICE("PROXY "), slice_of(v2, sizeof v2) };
    *out = (struct proxy_header){ 0 };
    if (!in.n) return PROXY_MORE;
    for (size_t i = 0; i < countof(starts); i++) {
        size_t n = in.n < starts[i].n ? in.n : starts[i].n;
        if (!slice_eq(slice_sub(in, 0, n), slice_sub(starts[i], 0, n))) continue;
        if (in.n < starts[i].n) return PROXY_MORE;
        return i == 0 ? parse_v1(in, out, error) : parse_v2(in, out, error);
    }
    return bad(error, "neither version 1 nor 2");
}

/* ---- XCLIENT */

static const struct {
    const char *name;
    enum xclient_attribute bit;
} attributes[] = {
    { "NAME", XCLIENT_NAME },         { "ADDR", XCLIENT_ADDR },
    { "PORT", XCLIENT_PORT },         { "PROTO", XCLIENT_PROTO },
    { "HELO", XCLIENT_HELO },         { "LOGIN", XCLIENT_LOGIN },
    { "DESTADDR", XCLIENT_DESTADDR }, { "DESTPORT", XCLIENT_DESTPORT },
    { "REVERSE_NAME", XCLIENT_REVERSE_NAME },
};

/* xtext into out, NUL added. False: malformed, too long, or with something that is not printable ASCII. */
static bool decode(struct slice in, char out[256])
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        int c = (unsigned char)in.p[i];
        if (c == '+') {
            if (in.n - i < 3 || ascii_hex(in.p[i + 1]) < 0 || ascii_hex(in.p[i + 2]) < 0) return false;
            c = ascii_hex(in.p[i + 1]) << 4 | ascii_hex(in.p[i + 2]);
            i += 2;
        }
        if (n == 255 || c <= 0x20 || c >= 0x7F) return false;
        out[n++] = (char)c;
    }
    out[n] = 0;
    return n > 0;
}

static bool parse_address(struct slice value, bool client, struct ip *out)
{
    bool v6 = slice_istarts(value, SLICE("IPV6:"));
    if (v6) value = slice_sub(value, 5, value.n);
    if ((slice_find(value, ':') >= 0) != v6 || !ip_parse(value, out)) return false;
    return !client || can_be_client(out);
}

static bool parse_proto(struct slice value, bool *esmtp)
{
    *esmtp = slice_ieq(value, SLICE("ESMTP"));
    return *esmtp || slice_ieq(value, SLICE("SMTP"));
}

static const char *take_attribute(enum xclient_attribute which, char *text, bool none, struct xclient *out)
{
    struct slice value = slice_str(text);
    struct ip local;
    uint16_t port = 0;
    switch (which) {
    case XCLIENT_NAME:
    case XCLIENT_REVERSE_NAME:
        if (!none && !address_domain_ok(value, false)) return "NAME and REVERSE_NAME need a host name";
        if (!none && which == XCLIENT_NAME) memcpy(out->name, value.p, value.n + 1);
        return NULL;
    case XCLIENT_ADDR:
        return none || parse_address(value, true, &out->addr) ? NULL : "ADDR needs an address (IPV6: in front of IPv6)";
    case XCLIENT_DESTADDR: return none || parse_address(value, false, &local) ? NULL : "DESTADDR needs an address";
    case XCLIENT_PORT:
        return none || (take_port(value, &out->port) && out->port) ? NULL : "PORT needs a number from 1 to 65535";
    case XCLIENT_DESTPORT: return none || take_port(value, &port) ? NULL : "DESTPORT needs a port";
    case XCLIENT_PROTO: return !none && parse_proto(value, &out->esmtp) ? NULL : "PROTO needs SMTP or ESMTP";
    case XCLIENT_HELO:
        if (!none && !address_helo_ok(value)) return "HELO needs a domain name or an address literal";
        if (!none) memcpy(out->helo, value.p, value.n + 1);
        return NULL;
    case XCLIENT_LOGIN:
        if (text[0] == '@') return "LOGIN needs a name"; /* elsewhere that means everybody of a domain */
        if (!none) memcpy(out->login, value.p, value.n + 1);
        return NULL;
    }
    return "an attribute is not known here";
}

const char *xclient_parse(struct slice arg, struct xclient *out)
{
    *out = (struct xclient){ 0 };
    while (arg.n) {
        struct slice word, name;
        char text[256];
        size_t i = 0;
        if (slice_cut(&arg, ' ', &word) && !arg.n) return "there must be one space between attributes";
        if (!slice_cut(&word, '=', &name)) return "an attribute needs a value";
        while (i < countof(attributes) && !slice_ieq(name, slice_str(attributes[i].name))) i++;
        if (i == countof(attributes)) return "an attribute is not known here";
        if (out->given & attributes[i].bit) return "an attribute was given twice";
        if (!decode(word, text)) return "a value is malformed";
        bool none = slice_ieq(slice_str(text), SLICE("[UNAVAILABLE]")) ||
                    slice_ieq(slice_str(text), SLICE("[TEMPUNAVAIL]"));
        const char *wrong = take_attribute(attributes[i].bit, text, none, out);
        if (wrong) return wrong;
        out->given |= attributes[i].bit;
    }
    return out->given ? NULL : "XCLIENT needs attributes";
}
