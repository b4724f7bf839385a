/* SPDX-License-Identifier: Apache-2.0
 * The fields of a header, with where they stand. Lines that are no field are passed over when fields that matter follow, as most
 * readers do; where others would begin the body then is told. */
#include "base/mem.h"
#include "content/message_internal.h"

#define MIME_FIELDS_MORE 20 /* fields beyond the limit */
#define JUNK_LINES_MAX 100 /* lines that are looked through for a field that follows */

struct line {
    struct slice text;           /* without its end */
    size_t next;                 /* where the next one begins */
};

static struct line line_at(struct slice bytes, size_t at)
{
    const char *lf = memchr(bytes.p + at, '\n', bytes.n - at);
    size_t end = lf ? (size_t)(lf - bytes.p) : bytes.n;
    struct line l = { .next = lf ? end + 1 : end };
    if (lf && end > at && bytes.p[end - 1] == '\r') end--;
    l.text = slice_sub(bytes, at, end);
    return l;
}

/* The length of a name that a field of this line has; 0: it is none. blanks: there are some before the colon. */
static size_t field_name(struct slice line, bool *blanks)
{
    size_t n = 0, i;
    while (n < line.n && (unsigned char)line.p[n] > ' ' && (unsigned char)line.p[n] < 0x7F && line.p[n] != ':') n++;
    for (i = n; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'); i++) {}
    *blanks = i > n;
    return i < line.n && line.p[i] == ':' ? n : 0;
}

/* Does a field that matters for how the message is read follow, before the empty line? */
static bool fields_follow(struct slice bytes, size_t at)
{
    static const char *const names[] = { "content-", "mime-version", "from", "to", "subject", "date",
                                          "received", "message-id" };
    for (int i = 0; i < JUNK_LINES_MAX && at < bytes.n; i++) {
        struct line l = line_at(bytes, at);
        bool blanks;
        size_t n = field_name(l.text, &blanks);
        if (!l.text.n) return false;
        for (size_t k = 0; n && k < countof(names); k++)
            if (k ? slice_ieq(slice_sub(l.text, 0, n), slice_str(names[k])) : slice_istarts(l.text, slice_str(names[k]))) return true;
        at = l.next;
    }
    return false;
}

/* What says how the message is read, and is kept wherever it stands. */
static bool matters(struct slice name)
{
    return slice_ieq(name, SLICE("content-type")) || slice_ieq(name, SLICE("content-disposition")) ||
           slice_ieq(name, SLICE("content-transfer-encoding"));
}

static void add_field(struct walk *w, struct message_header *h, size_t *room, struct content_field f)
{
    if (h->n >= MESSAGE_FIELDS_MAX) {
        h->more = true;
        if (!matters(f.name)) return;
        if (h->n == MESSAGE_FIELDS_MAX + MIME_FIELDS_MORE) h->n--; /* the last one of all is what some readers take */
    }
    if (h->n >= *room) {
        *room = *room ? *room * 2 : 8;
        struct content_field *grown = arena_alloc(w->arena, *room * sizeof *grown);
        if (h->n) memcpy(grown, h->fields, h->n * sizeof *grown);
        h->fields = grown;
    }
    if (slice_find(f.raw, 0) >= 0) h->broken = true;
    f.value = message_words(w->arena, message_unfold(w->arena, f.raw));
    h->fields[h->n++] = f;
}

/* A lone CR is a line end to some: what follows it is a field to them. */
static void take_hidden(struct walk *w, struct slice raw, struct message_header *h, size_t *room)
{
    struct slice rest = raw, line;
    while (slice_cut(&rest, '\r', &line)) {
        if (slice_starts(rest, SLICE("\n"))) continue;
        h->broken = true;
        slice_cut(&(struct slice){ rest.p, rest.n }, '\r', &line);
        bool blanks;
        size_t n = field_name(line, &blanks);
        if (!n || !slice_istarts(line, SLICE("content-"))) continue;
        struct slice value = slice_sub(line, n, line.n), name;
        slice_cut(&value, ':', &name);
        add_field(w, h, room, (struct content_field){ .name = slice_sub(line, 0, n), .raw = value, .at = UINT64_MAX });
    }
}

/* Takes the field whose first line begins at `at`, with the lines that continue it. Returns where the next begins. */
static size_t take_field(struct walk *w, struct slice bytes, size_t at, size_t name_n, struct message_header *h, size_t *room)
{
    struct line l = line_at(bytes, at);
    size_t next = l.next, end = at + l.text.n;
    while (next < bytes.n && (bytes.p[next] == ' ' || bytes.p[next] == '\t')) {
        l = line_at(bytes, next);
        if (!slice_trim(l.text).n && !h->early) { /* some take a line of blanks for the empty one */
            h->early = l.next;
            h->broken = h->broken || fields_follow(bytes, l.next);
        }
        end = next + l.text.n;
        next = l.next;
    }
    struct slice raw = slice_sub(bytes, at + name_n, end);
    raw = slice_sub(raw, (size_t)slice_find(raw, ':') + 1, raw.n);
    struct content_field f = {
        .name = slice_sub(bytes, at, at + name_n), .raw = raw, .at = walk_offset(w, bytes.p + at), .n = (uint32_t)(next - at),
    };
    add_field(w, h, room, f);
    take_hidden(w, raw, h, room);
    return next;
}

void message_header_read(struct walk *w, struct slice bytes, struct message_header *h)
{
    *h = (struct message_header){ 0 };
    size_t room = 0, at = 0;
    while (at < bytes.n) {
        struct line l = line_at(bytes, at);
        bool blanks = false;
        size_t name_n = field_name(l.text, &blanks);
        if (!l.text.n) {
            at = l.next;
            break;
        }
        if (name_n) {
            h->broken |= blanks && slice_istarts(l.text, SLICE("content-"));
            at = take_field(w, bytes, at, name_n, h, &room);
            continue;
        }
        bool from_line = at == 0 && (slice_starts(l.text, SLICE("From ")) || slice_starts(l.text, SLICE(">From ")));
        if (!from_line && !fields_follow(bytes, l.next)) {
            h->broken = true;
            break; /* it begins the body */
        }
        if (!from_line) {
            h->broken = true;
            if (!h->early) h->early = at;
        }
        at = l.next;
    }
    h->size = at;
}
