/* SPDX-License-Identifier: Apache-2.0
 * clamd: a session over its socket, the message as a stream (INSTREAM), then each file in it (clamd(8)). */
#include <arpa/inet.h>
#include "content/scanner_internal.h"

#define CHUNK (1u << 20)
#define REPLY_MAX 4096

enum clamd_said clamd_parse(struct slice line, uint64_t *id, struct slice *text)
{
    struct slice head, rest = line;
    *id = 0;
    if (slice_find(rest, ':') > 0 && slice_cut(&rest, ':', &head) && slice_to_u64(head, UINT32_MAX, id)) line = slice_trim(rest);
    *text = line;
    if (slice_iends(line, SLICE(" ERROR"))) return slice_istarts(line, SLICE("INSTREAM size limit exceeded")) ? CLAMD_LIMIT : CLAMD_ERROR;
    if (!slice_starts(line, SLICE("stream: "))) return CLAMD_NONSENSE;
    *text = slice_sub(line, 8, line.n);
    if (slice_eq(*text, SLICE("OK"))) return CLAMD_OK;
    if (text->n <= 6 || !slice_iends(*text, SLICE(" FOUND"))) return CLAMD_NONSENSE;
    *text = slice_sub(*text, 0, text->n - 6);
    return CLAMD_FOUND;
}

struct reply {
    struct arena *arena;
    struct slice line;
    const char *why;
};

/* Each reply ends with NUL, as each command did. */
static enum talk_step read_reply(void *arg, struct buf *in, bool end)
{
    struct reply *r = arg;
    const char *nul = in->n ? memchr(in->p, 0, in->n) : NULL;
    if (!nul && in->n > REPLY_MAX) {
        r->why = "a reply without an end";
        return TALK_BAD;
    }
    if (!nul) return TALK_MORE;
    size_t n = (size_t)(nul - in->p);
    r->line = arena_slice(r->arena, slice_trim(slice_of(in->p, n)));
    buf_consume(in, n + 1);
    return TALK_DONE;
}

static void queue_piece(struct talk *t, struct slice data)
{
    talk_add(t, slice_of("zINSTREAM", 10));
    while (data.n) {
        uint32_t n = data.n < CHUNK ? (uint32_t)data.n : CHUNK, size = htonl(n);
        talk_add_copy(t, slice_of(&size, sizeof size));
        talk_add(t, slice_of(data.p, n));
        data = slice_sub(data, n, data.n);
    }
    talk_add(t, slice_of("\0\0\0", 4));
}

/* False: no more questions. */
static bool ask_piece(struct talk *t, uint64_t number, const struct scanner_piece *piece)
{
    struct ask *a = t->ask;
    struct reply r = { .arena = a->arena };
    struct slice text;
    uint64_t id;
    queue_piece(t, piece->data);
    if (!talk_exchange(t, false, read_reply, &r, &r.why)) return false;
    enum clamd_said said = clamd_parse(r.line, &id, &text);
    struct slice shown = scanner_text(a->arena, text);
    if ((id && id != number) || (said == CLAMD_OK && t->cut)) said = CLAMD_NONSENSE; /* of another one, or of half of it */
    switch (said) {
    case CLAMD_OK: return true;
    case CLAMD_FOUND: scanner_add_virus(a, text, piece->name); return true;
    case CLAMD_LIMIT: return scanner_fail(a, SCANNER_TOO_LARGE, "%s takes no streams of %zu bytes (StreamMaxLength in clamd.conf)", a->s->c->address, piece->data.n);
    case CLAMD_ERROR: return scanner_fail(a, SCANNER_DOWN, "%s says: %.*s", a->s->c->address, SLICE_ARG(shown));
    case CLAMD_NONSENSE: break;
    }
    return scanner_fail(a, SCANNER_NONSENSE, "%s makes no sense: %.*s", a->s->c->address, SLICE_ARG(shown));
}

void scanner_ask_clamd(struct ask *a)
{
    struct scanner_piece pieces[SCANNER_PIECES_MAX];
    size_t n = scanner_pieces(a->m, pieces);
    struct talk t;
    if (talk_open(&t, a)) {
        talk_add(&t, slice_of("zIDSESSION", 11));
        for (size_t i = 0; i < n && ask_piece(&t, i + 1, &pieces[i]);) i++;
    }
    talk_close(&t);
}
