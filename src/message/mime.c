/* SPDX-License-Identifier: Apache-2.0
 * Content-Type and Content-Transfer-Encoding. */
#include "message/mime.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a parameter at the start of *in, which is moved to the ";" behind it; cut to `room` bytes. */
static size_t take_value(struct slice *in, char *to, size_t room, bool *fits)
{
    size_t n = 0, i = 0;
    bool quoted = in->n && in->p[0] == '"';
    *fits = true;
    for (i = quoted; i < in->n; i++) {
        char c = in->p[i];
        if (quoted ? c == '"' : c == ';' || is_space(c)) break;
        if (quoted && c == '\\' && i + 1 < in->n) c = in->p[++i];
        if (n < room) to[n++] = c;
        else *fits = false;
    }
    while (i < in->n && in->p[i] != ';') i++;
    *in = slice_sub(*in, i, in->n);
    while (n && is_space(to[n - 1])) n--; /* RFC 2046 §5.1.1 */
    return n;
}

static void find_boundary(struct slice in, struct mime_type *out)
{
    char waste[1] = "";
    struct slice name;
    bool fits;
    while (in.n) {
        if (in.p[0] == ';') in = slice_sub(in, 1, in.n);
        size_t i = 0;
        while (i < in.n && in.p[i] != '=' && in.p[i] != ';') i++;
        name = slice_trim(slice_sub(in, 0, i));
        in = slice_sub(in, i, in.n);
        if (!in.n || in.p[0] == ';') continue;
        for (in = slice_sub(in, 1, in.n); in.n && is_space(in.p[0]);) in = slice_sub(in, 1, in.n);
        bool wanted = slice_ieq(name, SLICE("boundary")) && !out->boundary_n;
        size_t n = take_value(&in, wanted ? out->boundary : waste, wanted ? sizeof out->boundary : sizeof waste, &fits);
        if (wanted && fits) out->boundary_n = n;
    }
}

void mime_type_parse(struct slice value, struct mime_type *out)
{
    struct slice type, rest = value;
    *out = (struct mime_type){ 0 };
    slice_cut(&rest, ';', &type);
    type = slice_trim(type);
    out->is_multipart = slice_istarts(type, SLICE("multipart/"));
    out->is_digest = slice_ieq(type, SLICE("multipart/digest"));
    out->is_sealed = slice_ieq(type, SLICE("multipart/signed")) || slice_ieq(type, SLICE("multipart/encrypted"));
    out->is_message = slice_ieq(type, SLICE("message/rfc822"));
    out->is_text = slice_istarts(type, SLICE("text/")) || slice_istarts(type, SLICE("message/")) || slice_find(type, '/') < 0 ||
                   out->is_multipart; /* without a boundary: just lines */
    if (out->is_multipart) find_boundary(rest, out);
}

static struct slice encoding_of(struct slice field)
{
    struct slice name, value = field;
    if (!slice_cut(&value, ':', &name)) return slice_of(NULL, 0);
    slice_cut(&value, ';', &name);
    return slice_trim(name);
}

bool mime_is(struct slice field, const char *encoding)
{
    return slice_ieq(encoding_of(field), slice_str(encoding));
}

bool mime_is_8bit(struct slice field)
{
    return mime_is(field, "8bit") || mime_is(field, "binary");
}

bool mime_is_identity(struct slice field)
{
    return !encoding_of(field).n || mime_is(field, "7bit") || mime_is_8bit(field);
}
