/* SPDX-License-Identifier: Apache-2.0
 * Files that web pages carry within themselves, as links whose address is their data (RFC 2397). Pictures and fonts are
 * the page's own. */
#include "base/mem.h"
#include "content/unpack_parts.h"

#define LINKS_MAX 200
#define TYPE_MOST 200

static int digit(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 :
        c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static size_t decode(struct slice text, size_t at, struct buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (; at < text.n; at++) {
        int v = digit(text.p[at]);
        if (v < 0 && strchr("\r\n\t ", text.p[at]) && text.p[at]) continue;
        if (v < 0) break;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        buf_add_char(out, (char)(bits >> have));
    }
    return at;
}

void unpack_html(struct unpack *u, uint32_t n)
{
    struct slice d = u->message->parts[n].data;
    unsigned links = 0;
    for (size_t at = 0; (at = unpack_isearch(d, at, SLICE("base64,"))) != SIZE_MAX && unpack_in_time(u, n);) {
        size_t from = at > TYPE_MOST ? at - TYPE_MOST : 0, data = SIZE_MAX;
        for (size_t k = from; (k = unpack_isearch(slice_sub(d, 0, at), k, SLICE("data:"))) != SIZE_MAX; k++) data = k + 5;
        struct slice before = slice_trim(slice_sub(d, from, at));
        bool meant = data != SIZE_MAX || slice_iends(before, SLICE(";")); /* a word of a text is not */
        struct slice type = data != SIZE_MAX ? slice_sub(d, data, at) : (struct slice){ 0 };
        bool own = slice_istarts(type, SLICE("image/")) || slice_istarts(type, SLICE("font/")) ||
                   slice_istarts(type, SLICE("application/font")) || slice_istarts(type, SLICE("application/x-font"));
        struct buf bytes = { 0 };
        at = decode(d, at + 7, &bytes);
        if (meant && bytes.n && (!own || slice_istarts(type, SLICE("image/svg"))) && unpack_may_enter(u, n)) {
            if (links++ == LINKS_MAX) {
                unpack_find(u, n, CONTENT_LIMIT_PARTS);
                buf_deinit(&bytes);
                return;
            }
            uint32_t child = unpack_add_file(u, n, (struct slice){ 0 });
            struct slice copy = child != UNPACK_NONE && unpack_spend(u, child, bytes.n)
                                    ? arena_slice(u->message->arena, buf_slice(&bytes))
                                    : (struct slice){ 0 };
            if (child != UNPACK_NONE) unpack_give(u, child, copy);
        }
        buf_deinit(&bytes);
    }
}

/* Word's XML of 2003 and flat packages: what is binary stands in base64 within elements. */
void unpack_office_xml(struct unpack *u, uint32_t n)
{
    static const struct slice elements[] = { UNPACK_TEXT("<w:binData"), UNPACK_TEXT("<pkg:binaryData") };
    struct slice d = u->message->parts[n].data;
    for (size_t k = 0; k < countof(elements); k++)
        for (size_t at = 0; (at = unpack_search(d, at, elements[k])) != SIZE_MAX && unpack_in_time(u, n);) {
            size_t from = unpack_search(d, at, SLICE(">"));
            if (from == SIZE_MAX) return;
            struct buf bytes = { 0 };
            at = decode(d, from + 1, &bytes);
            unsigned kind = unpack_type_findings(unpack_signature(buf_slice(&bytes)));
            uint32_t child = bytes.n && !(kind & CONTENT_IMAGE) ? unpack_add_file(u, n, (struct slice){ 0 }) : UNPACK_NONE;
            if (child != UNPACK_NONE && unpack_spend(u, child, bytes.n)) {
                unpack_give(u, child, arena_slice(u->message->arena, buf_slice(&bytes)));
                unpack_find(u, n, u->message->parts[child].findings & (CONTENT_MACRO | CONTENT_MACRO_AUTO));
            }
            buf_deinit(&bytes);
        }
    if (unpack_search(d, 0, SLICE("macrosPresent=\"yes\"")) != SIZE_MAX) unpack_find(u, n, CONTENT_MACRO);
}
