/* SPDX-License-Identifier: Apache-2.0
 * What a message consists of, for the classifier: words, pairs of words a few apart, links, marks of HTML, and what the header says.
 * A pair's hash is made of its words' hashes, which nobody can know who has not the table's key. */
#include "spam/tokens.h"
#include <stdio.h>
#include "base/hash.h"
#include "base/mem.h"
#include "spam/facts.h"

#define WORDS_MAX 3000           /* of one text */
#define WINDOW 4                 /* pairs of words up to three apart */
#define SLOTS (1u << 15)
#define OWN_MAX 20
#define LINKS_MAX 100

struct token_taker {
    struct token_set *out;
    uint64_t *slots;             /* what was taken already: each token counts once */
    uint64_t key[2];
    struct word_reader reader;
    struct word_breaker *breaker;
    struct slice own[OWN_MAX];   /* names and addresses of recipients: they differ from reader to reader and tell nothing */
    size_t own_n;
    token_show *show;
    void *arg;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ (b + UINT64_C(0x9E3779B97F4A7C15) + (a << 6) + (a >> 2))) * UINT64_C(0xBF58476D1CE4E5B9);
    h ^= h >> 29;
    h *= UINT64_C(0x94D049BB133111EB);
    return h ^ h >> 32;
}

static bool add_hash(struct token_taker *t, bool header, uint64_t h)
{
    struct token_set *o = t->out;
    h = h ? h : 1;
    if (header ? o->header_n >= TOKENS_HEADER_MAX : o->body_n >= TOKENS_BODY_MAX)
        return false;
    size_t at = (size_t)(h >> 20) & (SLOTS - 1);
    while (t->slots[at] && t->slots[at] != h)
        at = (at + 1) & (SLOTS - 1);
    if (t->slots[at])
        return false;
    t->slots[at] = h;
    if (header)
        o->header[o->header_n++] = h;
    else
        o->body[o->body_n++] = h;
    return true;
}

static void show(struct token_taker *t, bool header, const char *prefix, struct slice a, unsigned apart, struct slice b)
{
    char text[200];
    int n = apart ? snprintf(text, sizeof text, "%s%.*s %u %.*s", prefix, SLICE_ARG(a), apart, SLICE_ARG(b))
                  : snprintf(text, sizeof text, "%s%.*s", prefix, SLICE_ARG(a));
    if (n > 0)
        t->show(t->arg, header, slice_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}

static uint64_t hash_prefixed(struct token_taker *t, const char *prefix, struct slice text)
{
    uint64_t h = hash_keyed(t->key, text);
    return *prefix ? mix(h, hash_keyed(t->key, slice_str(prefix))) : h;
}

void token_add(struct token_taker *t, bool header, const char *prefix, struct slice text)
{
    text.n = text.n < 100 ? text.n : 100;
    if (add_hash(t, header, hash_prefixed(t, prefix, text)) && t->show)
        show(t, header, prefix, text, 0, text);
}

static bool is_own(const struct token_taker *t, struct slice word)
{
    for (size_t i = 0; i < t->own_n; i++)
        if (slice_ieq(t->own[i], word))
            return true;
    return false;
}

void token_add_words(struct token_taker *t, bool header, const char *prefix, struct slice text, size_t window, size_t max)
{
    uint64_t before[WINDOW] = { 0 }, prefix_hash = *prefix ? hash_keyed(t->key, slice_str(prefix)) : 0;
    char words[WINDOW][64];
    size_t lengths[WINDOW] = { 0 };
    word_reader_init(&t->reader, text, t->breaker);
    for (size_t n = 0; n < max && word_reader_next(&t->reader); n++) {
        struct slice word = slice_of(t->reader.word, t->reader.word_n);
        if (is_own(t, word))
            word = SLICE("<recipient>");
        uint64_t h = hash_keyed(t->key, word);
        h = prefix_hash ? mix(h, prefix_hash) : h;
        if (add_hash(t, header, h) && t->show)
            show(t, header, prefix, word, 0, word);
        for (size_t d = 1; d < window && d <= n; d++) {
            size_t i = (n - d) % WINDOW;
            if (add_hash(t, header, mix(before[i], h + d)) && t->show)
                show(t, header, prefix, slice_of(words[i], lengths[i]), (unsigned)d, word);
        }
        before[n % WINDOW] = h;
        if (t->show) {
            memcpy(words[n % WINDOW], word.p, word.n);
            lengths[n % WINDOW] = word.n;
        }
    }
}

static bool is_letter(char c)
{
    char l = ascii_lower(c);
    return l >= 'a' && l <= 'z';
}

/* Words of the path, without what changes from message to message. */
static void take_path(struct token_taker *t, struct slice path)
{
    char word[24];
    size_t n = 0, words = 0;
    for (size_t i = 0; i <= path.n && words < 8; i++) {
        char c = i < path.n ? path.p[i] : '/';
        if (is_letter(c) && n < sizeof word) {
            word[n++] = ascii_lower(c);
            continue;
        }
        if (n >= 3 && !is_own(t, slice_of(word, n))) {
            token_add(t, false, "path:", slice_of(word, n));
            words++;
        }
        if (c == '?' || c == '=')
            token_add(t, false, "path:", slice_of(&c, 1));
        n = 0;
    }
}

static void take_links(struct token_taker *t, const struct content_message *m)
{
    for (size_t i = 0; i < m->link_n && i < LINKS_MAX; i++) {
        const struct content_link *l = &m->links[i];
        if (!l->host.n) {
            if (slice_find(l->url, ':') > 0)
                token_add(t, false, "scheme:", slice_sub(l->url, 0, (size_t)slice_find(l->url, ':')));
            continue;
        }
        size_t top = l->host.n;
        while (top && l->host.p[top - 1] != '.')
            top--;
        bool number = l->host.p[l->host.n - 1] >= '0' && l->host.p[l->host.n - 1] <= '9';
        if (number)
            token_add(t, false, "link!", SLICE("address"));
        else {
            if (!is_own(t, l->domain))
                token_add(t, false, "link:", l->domain);
            token_add(t, false, "link.", slice_sub(l->host, top, l->host.n));
        }
        const char *at = memmem(l->url.p, l->url.n, "://", 3);
        struct slice rest = at ? slice_sub(l->url, (size_t)(at - l->url.p) + 3, l->url.n) : l->url;
        ptrdiff_t slash = slice_find(rest, '/');
        if (slash >= 0)
            take_path(t, slice_sub(rest, (size_t)slash, rest.n));
    }
}

static void take_parts(struct token_taker *t, const struct content_message *m)
{
    bool text = false, html = false;
    for (size_t i = 0; i < m->part_n; i++) {
        const struct content_part *p = &m->parts[i];
        if (p->is_mime) {
            token_add(t, false, "part:", p->declared);
            token_add(t, false, "charset:", p->charset);
            text |= slice_eq(p->declared, SLICE("text/plain"));
            html |= slice_eq(p->declared, SLICE("text/html"));
        }
        for (size_t k = 0; k < p->name_n && k < 2; k++) {
            struct slice name = p->names[k], head;
            while (slice_cut(&name, '.', &head))
                ;
            token_add(t, false, "file.", slice_sub(head, 0, 8));
        }
    }
    if (html && !text)
        token_add(t, false, "html!", SLICE("only"));
}

static void take_own(struct token_taker *t, const struct content_message *m, struct arena *arena)
{
    struct fact_address to[OWN_MAX / 3];
    for (size_t i = 0; i < m->field_n && t->own_n == 0; i++) {
        if (!slice_ieq(m->fields[i].name, SLICE("To")))
            continue;
        size_t n = fact_addresses(m->fields[i].value, arena, to, countof(to));
        for (size_t k = 0; k < n; k++) {
            if (!to[k].domain.n)
                continue;
            t->own[t->own_n++] = to[k].address;
            t->own[t->own_n++] = to[k].domain;
            if (to[k].local.n >= 3)
                t->own[t->own_n++] = to[k].local;
        }
    }
}

void tokens_take(struct token_set *out, const struct content_message *m, const uint64_t key[2], struct word_breaker *w,
                 struct arena *arena, token_show *show_token, void *arg)
{
    struct token_taker *t = arena_alloc(arena, sizeof *t);
    *out = (struct token_set){ .header = arena_alloc(arena, TOKENS_HEADER_MAX * sizeof *out->header),
        .body = arena_alloc(arena, TOKENS_BODY_MAX * sizeof *out->body) };
    *t = (struct token_taker){ .out = out, .slots = arena_alloc(arena, SLOTS * sizeof *t->slots), .key = { key[0], key[1] },
        .breaker = w, .show = show_token, .arg = arg };
    take_own(t, m, arena);
    tokens_take_header(t, m);
    token_add_words(t, false, "subject:", m->subject, 3, 200);
    take_parts(t, m);
    take_links(t, m);
    tokens_take_html(t, m->html);
    token_add_words(t, false, "", m->text, WINDOW, WORDS_MAX);
    token_add_words(t, false, "hidden:", m->hidden, 1, 300);
}
