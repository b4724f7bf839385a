/* SPDX-License-Identifier: Apache-2.0
 * What becomes of messages, told to the history. */
#include "delivery/internal.h"
#include "store/store.h"

/* The code in front of a host's reply; reasons have the host's name before it. */
static int take_code(struct slice *text, struct slice host)
{
    uint64_t code;
    if (host.n && slice_starts(*text, host) && slice_starts(slice_sub(*text, host.n, text->n), SLICE(": ")))
        *text = slice_sub(*text, host.n + 2, text->n);
    if (text->n < 4 || text->p[3] != ' ' || !slice_to_u64(slice_sub(*text, 0, 3), 599, &code) || code < 200) return 0;
    *text = slice_sub(*text, 4, text->n);
    return (int)code;
}

void history_tell(const struct queue *q, uint64_t id, enum history_kind kind, struct slice rcpt, struct slice text, const char *host)
{
    if (!q->o.store) return;
    struct history_event e = { .kind = kind, .id = id, .when = clock_wall_ms(), .rcpts = &rcpt, .rcpt_n = rcpt.n ? 1 : 0,
                               .host = slice_str(host) };
    e.code = take_code(&text, e.host);
    e.text = text;
    store_history(q->o.store, &e);
}

void history_tell_failed(const struct work *w, uint32_t rcpt, struct slice text)
{
    history_tell(w->q, w->m->spool.id, HISTORY_BOUNCED, w->env.rcpts[rcpt], text, NULL);
}
