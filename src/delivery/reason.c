/* SPDX-License-Identifier: Apache-2.0
 * Reasons. */
#include "delivery/reason.h"
#include "delivery/label.h"

/* Length of "d.ddd.ddd" at the start of s, followed by a blank or the end; else 0 (RFC 3463 §2). */
static size_t status_length(struct slice s)
{
    size_t i = 0;
    if (s.n < 5 || s.p[0] < '2' || s.p[0] > '5' || s.p[1] != '.') return 0;
    for (i = 2; i < s.n && i < 5 && s.p[i] >= '0' && s.p[i] <= '9';) i++;
    size_t dot = i;
    if (dot == 2 || dot >= s.n || s.p[dot] != '.') return 0;
    for (i = dot + 1; i < s.n && i < dot + 4 && s.p[i] >= '0' && s.p[i] <= '9';) i++;
    if (i == dot + 1 || (i < s.n && s.p[i] != ' ')) return 0;
    return i;
}

static bool is_code(struct slice s)
{
    return s.n >= 3 && s.p[0] >= '2' && s.p[0] <= '5' && s.p[1] >= '0' && s.p[1] <= '9' && s.p[2] >= '0' &&
           s.p[2] <= '9' && (s.n == 3 || s.p[3] == ' ');
}

static bool is_host(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')) return false;
    }
    return s.n > 0;
}

static void set_status(struct reason *r, struct slice s, char class)
{
    size_t n = status_length(s);
    struct slice rest = n && n < sizeof r->status ? slice_sub(s, 1, n) : SLICE(".0.0");
    r->status[0] = class;
    memcpy(r->status + 1, rest.p, rest.n);
    r->status[1 + rest.n] = 0;
}

void reason_parse(struct slice text, bool permanent, struct reason *out)
{
    *out = (struct reason){ .diagnostic = text };
    for (size_t i = 0; i + 3 < text.n && !status_length(text); i++) {
        struct slice after = slice_sub(text, i + 3, text.n);
        if (memcmp(text.p + i, "]: ", 3) != 0) continue;
        if (!is_code(after)) break;
        ptrdiff_t bracket = slice_find(text, '[');
        struct slice host = slice_sub(text, 0, bracket > 0 ? (size_t)bracket : 0);
        if (is_host(host)) out->host = host;
        out->remote = true;
        out->diagnostic = after;
        set_status(out, slice_sub(after, 4, after.n), after.p[0]); /* the code decides when the two differ */
        return;
    }
    set_status(out, text, status_length(text) ? text.p[0] : permanent ? '5' : '4');
}

void reason_add_reply(struct buf *out, struct slice host, int code, const char *enhanced, struct slice text)
{
    struct buf b = { .max = 4 * LABEL_MAX + 512 };
    buf_add_printable(&b, host, 160);
    buf_addf(&b, ": %d %s%s", code, enhanced, enhanced[0] ? " " : "");
    struct slice line;
    bool more = true;
    while (more && b.n < LABEL_MAX) { /* the lines of the reply become one */
        more = slice_cut(&text, '\n', &line);
        buf_add_printable(&b, slice_trim(line), LABEL_MAX);
        if (more) buf_add_char(&b, ' ');
    }
    buf_add(out, slice_trim(label_cut(buf_slice(&b), LABEL_MAX)));
    buf_deinit(&b);
}
