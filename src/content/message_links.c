/* SPDX-License-Identifier: Apache-2.0
 * Addresses of the web, read as browsers read them (url.spec.whatwg.org), not as their writers would like filters to. */
#include <idn2.h>
#include <stdio.h>
#include "base/ip.h"
#include "base/mem.h"
#include "base/public_suffix.h"
#include "base/utf8.h"
#include "content/message_internal.h"

#define HOST_MAX 255

/* One number of an IPv4 address: decimal, 0x hexadecimal, 0 octal. */
static bool number(struct slice s, uint64_t *out)
{
    unsigned base = 10;
    if (s.n > 1 && s.p[0] == '0') {
        bool hex = ascii_lower(s.p[1]) == 'x';
        base = hex ? 16 : 8;
        s = slice_sub(s, hex ? 2 : 1, s.n);
    } else if (!s.n)
        return false;
    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0 || (unsigned)d >= base) return false;
        *out = *out > UINT32_MAX ? *out : *out * base + (unsigned)d;
    }
    return true;
}

/* "127.1", "0x7f000001", "2130706433", "0177.0.0.1" */
static bool ipv4_of(struct slice host, char out[16])
{
    uint64_t parts[4], address = 0;
    size_t n = 0;
    while (host.n) {
        struct slice part;
        slice_cut(&host, '.', &part);
        if (n == 4 || !number(part, &parts[n++])) return false;
    }
    if (!n) return false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (parts[i] > 255) return false;
        address |= parts[i] << (24 - 8 * i);
    }
    if (parts[n - 1] >> (8 * (5 - n))) return false;
    address |= parts[n - 1];
    snprintf(out, 16, "%u.%u.%u.%u", (unsigned)(address >> 24 & 255), (unsigned)(address >> 16 & 255), (unsigned)(address >> 8 & 255),
             (unsigned)(address & 255));
    return true;
}

static struct slice ipv6_host(struct arena *arena, struct slice s)
{
    struct ip ip;
    struct buf b = { 0 };
    struct slice inner;
    slice_cut(&s, ']', &inner);
    if (!ip_parse(inner, &ip)) return SLICE("");
    ip_add(&b, &ip);
    return buf_keep(&b, arena);
}

static struct slice ascii_name(struct arena *arena, struct slice host)
{
    char text[HOST_MAX + 1];
    uint8_t *ascii = NULL;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    if (!utf8_ascii(host) && utf8_ok(host) &&
        idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK) {
        struct slice name = arena_slice(arena, slice_str((const char *)ascii));
        idn2_free(ascii);
        return name;
    }
    struct buf b = { 0 }; /* no name that could be looked up; kept for people */
    for (size_t i = 0; i < host.n; i++) text[i] = ascii_lower(text[i]);
    message_charset_add(SLICE("utf-8"), slice_of(text, host.n), &b);
    return buf_keep(&b, arena);
}

struct slice message_host(struct arena *arena, struct slice authority)
{
    char text[HOST_MAX], ip[16];
    for (size_t i = authority.n; i-- > 0;)
        if (authority.p[i] == '@') {
            authority = slice_sub(authority, i + 1, authority.n);
            break;
        }
    if (authority.n && authority.p[0] == '[') return ipv6_host(arena, slice_sub(authority, 1, authority.n));
    struct slice host;
    slice_cut(&authority, ':', &host);
    size_t n = message_decode_percent(text, sizeof text, host), kept = 0;
    for (size_t i = 0; i < n; i++) { /* what cannot be in a name ends it, to some; blanks and the like are dropped */
        if (kept && text[i] && strchr("/\\?#@<>^|\"", text[i])) break;
        if ((unsigned char)text[i] > 0x20 && text[i] != 0x7F) text[kept++] = text[i];
    }
    host = slice_of(text, kept);
    while (host.n && host.p[host.n - 1] == '.') host.n--;
    if (!host.n) return SLICE("");
    struct slice name = ascii_name(arena, host);
    return ipv4_of(name, ip) ? arena_slice(arena, slice_str(ip)) : name;
}

static struct slice domain_of(const struct walk *w, struct slice host)
{
    struct ip ip;
    if (!host.n || ip_parse(host, &ip)) return host;
    if (w->suffixes) {
        struct slice domain = public_suffix_registrable(w->suffixes, host);
        return domain.n ? domain : host;
    }
    unsigned dots = 0;
    for (size_t i = host.n; i-- > 0;)
        if (host.p[i] == '.' && ++dots == 2) return slice_sub(host, i + 1, host.n);
    return host;
}

/* ---- one link */
struct url {
    struct slice scheme, authority, rest;
    bool web;                    /* has a host */
};

static bool is_slash(char c) { return c == '/' || c == '\\'; }

static size_t scheme_n(struct slice s)
{
    for (size_t i = 0; i < s.n && i < 20; i++) {
        char c = ascii_lower(s.p[i]);
        if (c == ':') return i;
        if ((c < 'a' || c > 'z') && (i == 0 || ((c < '0' || c > '9') && c != '+' && c != '-' && c != '.'))) return 0;
    }
    return 0;
}

static void split_authority(struct url *u, struct slice s)
{
    size_t i = 0;
    while (i < s.n && is_slash(s.p[i])) i++;
    size_t from = i;
    while (i < s.n && !is_slash(s.p[i]) && s.p[i] != '?' && s.p[i] != '#') i++;
    u->authority = slice_sub(s, from, i);
    u->rest = slice_sub(s, i, s.n);
    u->web = true;
}

static bool split_url(struct slice s, struct url *u)
{
    static const char *const web[] = { "https", "http", "ftp", "ws", "wss", "file" };
    *u = (struct url){ 0 };
    size_t n = scheme_n(s);
    if (s.n > 2 && is_slash(s.p[0]) && is_slash(s.p[1])) {
        u->scheme = SLICE("http");
        split_authority(u, s);
        return true;
    }
    if (!n && slice_istarts(s, SLICE("www."))) {
        u->scheme = SLICE("http");
        split_authority(u, s);
        return true;
    }
    if (!n) return false;
    u->scheme = slice_sub(s, 0, n);
    u->rest = slice_sub(s, n + 1, s.n);
    for (size_t i = 0; i < countof(web); i++)
        if (slice_ieq(u->scheme, slice_str(web[i]))) {
            u->scheme = slice_str(web[i]);
            split_authority(u, u->rest);
            return true;
        }
    return !slice_ieq(u->scheme, SLICE("cid")) && !slice_ieq(u->scheme, SLICE("mid")) && !slice_ieq(u->scheme, SLICE("about"));
}

/* Decoded once; what would be no text stays encoded. */
static void add_rest(struct buf *b, struct slice s)
{
    char text[MESSAGE_URL_MAX];
    size_t n = message_decode_percent(text, sizeof text, slice_sub(s, 0, sizeof text));
    bool fine = utf8_ok(slice_of(text, n));
    for (size_t i = 0; fine && i < n; i++) fine = (unsigned char)text[i] > 0x20 && text[i] != 0x7F;
    if (fine) {
        message_buf_fill(b, slice_of(text, n));
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, low = high >= 0 ? ascii_hex(s.p[i + 2]) : -1;
        unsigned c = low >= 0 ? (unsigned)(high << 4 | low) : (unsigned char)s.p[i];
        if (low >= 0 && c > 0x20 && c < 0x7F) {
            message_buf_code(b, c);
            i += 2;
        } else if (c <= 0x20 && low < 0)
            message_buf_fill(b, SLICE("%20"));
        else
            message_buf_fill(b, slice_sub(s, i, i + 1));
    }
}

/* Without the blanks around it, and the tabs and line ends in it, that browsers drop. */
static struct slice tidied(char *out, size_t room, struct slice s)
{
    size_t n = 0;
    while (s.n && (unsigned char)s.p[0] <= 0x20) s = slice_sub(s, 1, s.n);
    while (s.n && (unsigned char)s.p[s.n - 1] <= 0x20) s.n--;
    for (size_t i = 0; i < s.n && n < room; i++)
        if (s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n') out[n++] = s.p[i];
    return slice_of(out, n);
}

static struct slice write_url(struct walk *w, const struct url *u, struct slice host)
{
    struct buf b = { .max = MESSAGE_URL_MAX };
    for (size_t i = 0; i < u->scheme.n; i++) buf_add_char(&b, ascii_lower(u->scheme.p[i]));
    buf_add_char(&b, ':');
    if (u->web) {
        struct slice authority = slice_sub(u->authority, 0, 1000), port = authority;
        buf_add(&b, SLICE("//"));
        for (size_t i = authority.n; i-- > 0;)
            if (authority.p[i] == '@') {
                add_rest(&b, slice_sub(authority, 0, i + 1));
                port = slice_sub(authority, i + 1, authority.n);
                break;
            }
        bool six = slice_find(host, ':') >= 0;
        if (six) buf_add_char(&b, '[');
        buf_add(&b, host);
        if (six) buf_add_char(&b, ']');
        struct slice before;
        if (six) slice_cut(&port, ']', &before);
        if (slice_cut(&port, ':', &before)) {
            uint64_t number_of;
            if (slice_to_u64(port, 65535, &number_of)) buf_addf(&b, ":%u", (unsigned)number_of);
        }
    }
    add_rest(&b, u->rest);
    struct buf clean = { .max = MESSAGE_URL_MAX };
    message_charset_add(SLICE("utf-8"), buf_slice(&b), &clean);
    buf_deinit(&b);
    return buf_keep(&clean, w->arena);
}

size_t message_link_add(struct walk *w, uint32_t n, struct slice raw, struct slice base, bool image, bool form)
{
    char text[4 * MESSAGE_URL_MAX];
    struct url u;
    struct content_message *m = w->m;
    struct slice s = tidied(text, sizeof text, raw);
    if (!s.n || s.p[0] == '#' || m->link_n >= MESSAGE_LINKS_MAX) return 0;
    if (!split_url(s, &u)) {
        if (!base.n || scheme_n(s) || !split_url(base, &u) || !u.web) return 0;
        u.rest = s;
        if (!is_slash(s.p[0])) {
            memmove(text + 1, s.p, s.n < sizeof text ? s.n : s.n - 1);
            text[0] = '/';
            u.rest = slice_of(text, s.n < sizeof text ? s.n + 1 : s.n);
        }
    }
    struct slice host = u.web ? message_host(w->arena, u.authority) : SLICE("");
    if (u.web && !host.n) return 0;
    if (m->link_n == w->link_room) {
        w->link_room = w->link_room ? w->link_room * 2 : 16;
        struct content_link *grown = arena_alloc(w->arena, w->link_room * sizeof *grown);
        if (m->link_n) memcpy(grown, m->links, m->link_n * sizeof *grown);
        m->links = grown;
    }
    m->links[m->link_n++] = (struct content_link){
        .url = write_url(w, &u, host), .host = host, .domain = domain_of(w, host), .part = n, .image = image, .form = form,
    };
    return m->link_n;
}

/* ---- in text */
static bool is_letter(char c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9'); }

/* Blanks, quotes, brackets and stops of other scripts; but not the full stops that IDNA takes for dots. */
static bool is_mark(uint32_t c)
{
    if (c == 0x3002 || c == 0xFF0E) return false;
    return c == 0xA0 || utf8_is_control(c) || (c >= 0x2010 && c <= 0x206F) || (c >= 0x3000 && c < 0x3003) || (c >= 0x3008 && c <= 0x3011) ||
           (c >= 0xFF00 && c < 0xFF10);
}

/* Where the address that begins s ends. Behind an ASCII label of the host Chinese and Japanese begin the text that follows. */
static size_t url_end(struct slice s, size_t host_at)
{
    size_t n = 0;
    bool in_host = true, ascii_label = false;
    while (n < s.n) {
        uint32_t code;
        size_t step = utf8_char(slice_sub(s, n, s.n), &code);
        if (!step || code <= 0x20 || code == '<' || code == '>' || code == '"' || code == '`' || code == 0x7F) break;
        if (n >= host_at && (code == '/' || code == '?' || code == '#')) in_host = false;
        if (code >= 0x80) {
            if (!in_host || (ascii_label && code >= 0x2E80) || is_mark(code)) break;
        } else if (n >= host_at)
            ascii_label = is_letter((char)code);
        n += step;
    }
    while (n && strchr(".,;:!?'*_)]}|", s.p[n - 1])) {
        char c = s.p[n - 1], open = c == ')' ? '(' : c == ']' ? '[' : c == '}' ? '{' : 0;
        if (open && slice_find(slice_sub(s, 0, n), open) >= 0) break;
        n--;
    }
    return n;
}

void message_links_find(struct walk *w, uint32_t n, struct slice text)
{
    static const char *const starts[] = { "http://", "https://", "ftp://", "www." };
    for (size_t i = 0; i + 5 < text.n; i++) {
        char c = ascii_lower(text.p[i]);
        if ((c != 'h' && c != 'w' && c != 'f') || (i && is_letter(text.p[i - 1]) && text.p[i - 1] != '=')) continue;
        struct slice rest = slice_sub(text, i, text.n);
        for (size_t k = 0; k < countof(starts); k++) {
            if (!slice_istarts(rest, slice_str(starts[k]))) continue;
            size_t end = url_end(slice_sub(rest, 0, MESSAGE_URL_MAX), k < 3 ? slice_str(starts[k]).n : 0);
            if (end > slice_str(starts[k]).n && !(k == 3 && i && (text.p[i - 1] == '@' || text.p[i - 1] == '.' || text.p[i - 1] == '/')))
                message_link_add(w, n, slice_sub(rest, 0, end), SLICE(""), false, false);
            i += end > 0 ? end - 1 : 0;
            break;
        }
    }
}
