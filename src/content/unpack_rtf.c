/* SPDX-License-Identifier: Apache-2.0
 * Objects in RTF, and in what else Office writes: OLE packages, OneNote sections, ActiveMime. */
#include "base/mem.h"
#include "content/unpack_parts.h"

#define OBJECTS_MAX 1000

static struct slice until_nul(struct slice d, size_t *at)
{
    struct slice rest = *at < d.n ? slice_sub(d, *at, d.n) : (struct slice){ 0 };
    ptrdiff_t n = slice_find(rest, '\0');
    if (n < 0) {
        *at = d.n;
        return (struct slice){ 0 };
    }
    *at += (size_t)n + 1;
    return slice_sub(rest, 0, (size_t)n);
}

/* A length, what was put in with which name and path, and its bytes. What is not like that is taken whole. */
void unpack_package(struct unpack *u, uint32_t n, struct slice native)
{
    struct slice d = unpack_at(native, 4, unpack_le32(native, 0));
    size_t at = 2;
    struct slice name = until_nul(d, &at), path = until_nul(d, &at);
    uint32_t path_n = unpack_le32(d, at + 4);
    uint64_t size_at = (uint64_t)at + 8 + path_n;
    uint32_t size = unpack_le32(d, size_at);
    if (unpack_le16(d, 0) != 2 || !name.n || !size || size_at + 4 >= d.n) {
        if (native.n > 4) unpack_add_data(u, n, (struct slice){ 0 }, d.n ? d : native);
        return;
    }
    uint32_t child = unpack_add_file(u, n, unpack_utf8_of_1252(u->message->arena, name));
    if (child == UNPACK_NONE) return;
    unpack_add_name(u, child, unpack_utf8_of_1252(u->message->arena, path));
    unpack_give(u, child, unpack_at(d, size_at + 4, size));
}

/* [MS-OLEDS] §2.2.5: version, kind, names, native data. */
static void take_object(struct unpack *u, uint32_t n, struct slice d)
{
    size_t at = 8;
    struct slice class = { 0 };
    for (unsigned i = 0; i < 3; i++) { /* class, topic, item */
        uint32_t size = unpack_le32(d, at);
        if (!i) class = unpack_at(d, at + 4, size);
        if (size > d.n) break;
        at += 4 + size;
    }
    struct slice native = unpack_at(d, at + 4, unpack_le32(d, at));
    if (unpack_le32(d, 4) == 1) unpack_find(u, n, CONTENT_EXTERNAL_LINK);
    if (slice_istarts(class, SLICE("package")) && native.n) {
        struct buf whole = { 0 };
        buf_add(&whole, unpack_at(d, at, 4));
        buf_add(&whole, native);
        unpack_package(u, n, buf_keep(&whole, u->message->arena));
        return;
    }
    if (slice_istarts(class, SLICE("otf")) || !d.n) return;
    struct slice ole = SLICE("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    size_t found = unpack_search(d, 0, ole);
    if (found != SIZE_MAX) unpack_add_data(u, n, (struct slice){ 0 }, slice_sub(d, found, d.n));
    else unpack_add_data(u, n, (struct slice){ 0 }, native.n ? native : d);
}

/* The last byte of the control word, with its number, that begins at i. */
static size_t control_end(struct slice text, size_t i)
{
    if (i + 1 >= text.n) return i;
    if (text.p[i + 1] == '\'') return i + 3;
    size_t k = i + 1;
    while (k < text.n && ascii_lower(text.p[k]) >= 'a' && ascii_lower(text.p[k]) <= 'z') k++;
    if (k == i + 1) return k; /* one sign */
    if (k < text.n && text.p[k] == '-') k++;
    while (k < text.n && text.p[k] >= '0' && text.p[k] <= '9') k++;
    return k - 1;
}

/* "\binN " is followed by N bytes as they are. Returns the last byte of control word and bytes. */
static size_t take_binary(struct slice text, size_t at, size_t end, struct buf *out)
{
    struct slice digits = slice_sub(text, at + 4, end + 1);
    uint64_t n = 0;
    if (!slice_starts(slice_sub(text, at, text.n), SLICE("\\bin")) || !slice_to_u64(digits, UINT32_MAX, &n)) return end;
    end += end + 1 < text.n && text.p[end + 1] == ' ';
    struct slice bytes = unpack_at(text, end + 1, n);
    buf_add(out, bytes);
    return end + bytes.n;
}

/* Hexadecimal digits, with whatever readers skip between them: blanks, groups, control words. */
static struct slice hex_data(struct unpack *u, uint32_t n, struct slice text, size_t *end)
{
    struct buf out = { 0 };
    int high = -1;
    unsigned depth = 0;
    size_t i = 0;
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '{') depth++;
        if (c == '}' && !depth--) break;
        if (c == '\\') {
            i = take_binary(text, i, control_end(text, i), &out);
            continue;
        }
        int v = ascii_hex(c);
        if (v < 0) continue;
        if (high < 0) {
            high = v;
        } else {
            buf_add_char(&out, (char)(high << 4 | v));
            high = -1;
        }
    }
    *end = i;
    struct slice bytes =
        unpack_spend(u, n, out.n) && out.n ? arena_slice(u->message->arena, buf_slice(&out)) : (struct slice){ 0 };
    buf_deinit(&out);
    return bytes;
}

void unpack_rtf(struct unpack *u, uint32_t n)
{
    struct slice d = u->message->parts[n].data;
    u->message->parts[n].type = SLICE("text/rtf");
    unsigned objects = 0;
    for (size_t at = 0; (at = unpack_search(d, at, SLICE("\\objdata"))) != SIZE_MAX && objects++ < OBJECTS_MAX &&
                        unpack_in_time(u, n);) {
        size_t end;
        struct slice rest = slice_sub(d, at + 8, d.n), bytes = hex_data(u, n, rest, &end);
        if (bytes.n > 8) take_object(u, n, bytes);
        at += 8 + end;
    }
    if (objects && unpack_search(d, 0, SLICE("\\objupdate")) != SIZE_MAX)
        unpack_find(u, n, CONTENT_MACRO_AUTO); /* loaded without a click */
    size_t template = unpack_search(d, 0, SLICE("\\*\\template"));
    if (template != SIZE_MAX) {
        struct slice value = slice_trim(unpack_at(d, template + 11, 500));
        if (slice_istarts(value, SLICE("http")) || slice_istarts(value, SLICE("\\\\\\\\")) ||
            slice_istarts(value, SLICE("file:")) || slice_istarts(value, SLICE("\\u")))
            unpack_find(u, n, CONTENT_EXTERNAL_LINK);
    }
}

/* [MS-ONESTORE] §2.6.13: file data stands plain in the section. */
void unpack_onenote(struct unpack *u, uint32_t n)
{
    static const struct slice mark = UNPACK_TEXT("\xE7\x16\xE3\xBD\x65\x26\x11\x45\xA4\xC4\x8D\x4D\x0B\x7A\x9E\xAC");
    struct slice d = u->message->parts[n].data;
    for (size_t at = 0; (at = unpack_search(d, at, mark)) != SIZE_MAX && unpack_in_time(u, n);) {
        uint64_t size = unpack_le64(d, at + 16);
        if (size > d.n) unpack_find(u, n, CONTENT_BROKEN);
        struct slice file = unpack_at(d, at + 36, size);
        if (file.n) unpack_add_data(u, n, (struct slice){ 0 }, file);
        at += 36 + file.n;
        if (!unpack_has_room(u, n)) return;
    }
}

/* What Office saves beside web pages: a header, and deflated behind it the macros' compound file. */
void unpack_active_mime(struct unpack *u, uint32_t n)
{
    struct slice d = u->message->parts[n].data;
    size_t at = 12;
    while (at + 2 < d.n && at < 1024 && !(unpack_u8(d, at) == 0x78 && unpack_be16(d, at) % 31 == 0)) at++;
    uint32_t child = unpack_add_file(u, n, (struct slice){ 0 });
    if (child == UNPACK_NONE) return;
    struct unpack_sink sink = { .u = u, .n = child };
    if (unpack_flate(&sink, unpack_at(d, at, d.n), 15) == UNPACK_FLATE_BROKEN) unpack_find(u, child, CONTENT_BROKEN);
    unpack_give(u, child, unpack_sink_take(&sink));
    unpack_find(u, n, u->message->parts[child].findings & (CONTENT_MACRO | CONTENT_MACRO_AUTO));
}
