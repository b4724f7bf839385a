/* SPDX-License-Identifier: Apache-2.0
 * For fuzz targets of DKIM and ARC: an input is lines "NAME TEXT" of a DNS that lies ("*" answers what nobody else does; no text: the
 * look-up fails), a line ".", and a message (line feeds become CRLF). */
#ifndef POSTERN_TESTS_DKIM_INPUT_H
#define POSTERN_TESTS_DKIM_INPUT_H
#include "base/mem.h"
#include "mailauth/mailauth.h"
#include "fuzz.h"

#define FUZZ_KEY "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"
#define FUZZ_RECORD "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define FUZZ_QUERY "ours._domainkey.fuzz.example"
#define FUZZ_NOW 1700000000u

struct dkim_input {
    struct slice records;
    struct buf message;
    struct arena arena;   /* of answers */
    unsigned late, calls; /* so many calls come too early */
};

static inline void input_read(struct dkim_input *in, struct slice data)
{
    struct slice line, rest = data;
    *in = (struct dkim_input){ .records = data };
    while (rest.n) {
        size_t at = data.n - rest.n;
        slice_cut(&rest, '\n', &line);
        if (!slice_eq(line, SLICE("."))) continue;
        in->records = slice_sub(data, 0, at);
        break;
    }
    while (rest.n) {
        bool more = slice_cut(&rest, '\n', &line);
        buf_add(&in->message, line);
        if (more && line.n && line.p[line.n - 1] == '\r') buf_add_char(&in->message, '\n');
        else if (more) buf_add_str(&in->message, "\r\n");
    }
}

static inline void input_deinit(struct dkim_input *in)
{
    buf_deinit(&in->message);
    arena_deinit(&in->arena);
}

static inline const struct auth_dns_answer *input_get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct dkim_input *in = arg;
    struct slice rest = in->records, line, key;
    must(type == AUTH_DNS_TXT && auth_dns_name_ok(name));
    if (in->calls++ < in->late) return NULL;
    struct auth_dns_answer *a = arena_alloc(&in->arena, sizeof *a);
    struct slice *texts = arena_alloc(&in->arena, 8 * sizeof *texts);
    *a = (struct auth_dns_answer){ .status = AUTH_DNS_NXDOMAIN, .texts = texts };
    if (slice_eq(name, SLICE(FUZZ_QUERY))) texts[a->n++] = SLICE(FUZZ_RECORD);
    while (rest.n && a->n < 8 && !slice_eq(name, SLICE(FUZZ_QUERY))) {
        slice_cut(&rest, '\n', &line);
        slice_cut(&line, ' ', &key);
        if (!slice_eq(key, SLICE("*")) && !slice_ieq(key, name)) continue;
        if (!line.n) {
            a->status = AUTH_DNS_TEMPFAIL;
            return a;
        }
        texts[a->n++] = line;
    }
    if (a->n) a->status = AUTH_DNS_OK;
    return a;
}

/* The header is read; what is left is the body. `front`: fields before it. */
static inline struct slice input_header(struct auth_header *h, struct slice front, struct slice message)
{
    struct slice parts[] = { front, message }, text = { NULL, 0 };
    for (size_t k = 0; k < 2; k++) {
        text = parts[k];
        while (text.n && !slice_starts(text, SLICE("\r\n"))) {
            size_t i = 0;
            for (;; i++) {
                const char *lf = memchr(text.p + i, '\n', text.n - i);
                if (!lf) {
                    i = text.n;
                    break;
                }
                i = (size_t)(lf - text.p);
                if (i && text.p[i - 1] == '\r' && !(i + 1 < text.n && (text.p[i + 1] == ' ' || text.p[i + 1] == '\t'))) break;
            }
            auth_header_add(h, slice_sub(text, 0, i + 1));
            text = slice_sub(text, i + 1, text.n);
        }
    }
    return slice_sub(text, 2, text.n);
}

static inline void input_push(struct auth_body *b, struct slice text, size_t step)
{
    for (size_t i = 0; i < text.n; i += step) auth_body_push(b, slice_sub(text, i, i + step));
    auth_body_end(b);
}

static inline void must_be_printable(const char *reason)
{
    must(reason && *reason);
    for (; *reason; reason++) must((unsigned char)*reason >= 0x20 && (unsigned char)*reason < 0x7f);
}

#endif
