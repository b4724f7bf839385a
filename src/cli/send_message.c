/* SPDX-License-Identifier: Apache-2.0
 * The messages the test client makes: each can be told from all others and be found again. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/common.h"
#include "cli/send.h"

#define FILE_MAX (1ull << 30)

static bool one_line(const char *text)
{
    return !strpbrk(text, "\r\n");
}

static struct slice without_brackets(const char *text)
{
    struct slice s = slice_trim(slice_str(text));
    return s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? slice_sub(s, 1, s.n - 1) : s;
}

/* Lines of letters without any dot, so that they need no stuffing wherever a message's part of them begins. */
static void make_filler(struct buf *out, uint64_t size)
{
    static const char line[] = "the quick brown fox jumps over the lazy dog while postern counts its messages\r\n";
    while (out->n + sizeof line - 1 < size) buf_add(out, slice_of(line, sizeof line - 1));
    while (out->n + 2 < size) buf_add_char(out, 'x');
    buf_add_str(out, "\r\n");
}

/* Every line ends in CRLF, dots at line starts are doubled (RFC 5321 §4.5.2). */
static void add_normalised(struct buf *out, struct slice text)
{
    struct slice line;
    while (text.n) {
        slice_cut(&text, '\n', &line);
        while (line.n && line.p[line.n - 1] == '\r') line.n--;
        if (line.n && line.p[0] == '.') buf_add_char(out, '.');
        buf_add(out, line);
        buf_add_str(out, "\r\n");
    }
}

/* "Name: ..." at the start. */
static bool begins_with_header(struct slice text)
{
    size_t i = 0;
    while (i < text.n && text.p[i] > ' ' && text.p[i] < 127 && text.p[i] != ':') i++;
    return i > 0 && i < text.n && text.p[i] == ':';
}

static bool load_text(struct send *c, struct err *err)
{
    struct buf file = { 0 };
    bool ok = cli_read_file(c->o.file, FILE_MAX, &file, err);
    if (ok) {
        c->own_header = !c->o.raw && !begins_with_header(buf_slice(&file));
        if (c->o.raw) buf_add(&c->text, buf_slice(&file));
        else add_normalised(&c->text, buf_slice(&file));
        for (size_t i = 0; i < file.n; i++) c->eight |= (unsigned char)file.p[i] > 127;
    }
    buf_deinit(&file);
    return ok;
}

bool send_message_init(struct send *c, struct err *err)
{
    if (!c->o.to.n) c->o.to.items[c->o.to.n++] = "test@example.com";
    c->to = mem_grow(NULL, c->o.to.n, sizeof *c->to);
    for (size_t i = 0; i < c->o.to.n; i++) {
        if (!one_line(c->o.to.items[i]) || strlen(c->o.to.items[i]) > 1000) return err_set(err, "--to: not one address");
        c->to[c->to_n++] = without_brackets(c->o.to.items[i]);
    }
    struct slice from = without_brackets(c->o.from);
    if (!one_line(c->o.from) || from.n > 1000) return err_set(err, "--from: not one address");
    if (c->o.subject && !one_line(c->o.subject)) return err_set(err, "--subject: not one line");
    if (c->o.file) {
        if (!load_text(c, err)) return false;
    } else {
        c->own_header = true;
        make_filler(&c->text, c->o.size);
    }
    if (!slice_iends(buf_slice(&c->text), SLICE("\r\n")) && c->text.n) buf_add_str(&c->text, "\r\n"); /* --raw */
    buf_add_str(&c->text, ".\r\n");
    return true;
}

void send_message_deinit(struct send *c)
{
    free(c->to);
    buf_deinit(&c->text);
}

unsigned send_message_rcpts(const struct send *c)
{
    return (unsigned)(c->o.recipients ? c->o.recipients : c->to_n);
}

void send_message_rcpt(const struct send *c, uint64_t number, unsigned i, struct buf *out)
{
    struct slice address = c->to[i % c->to_n];
    if (!c->o.distinct && (!c->o.recipients || c->o.recipients <= c->to_n)) {
        buf_add(out, address);
        return;
    }
    uint64_t tag = c->o.distinct ? (number - 1) * send_message_rcpts(c) + i + 1 : i + 1;
    ptrdiff_t at = -1;
    for (size_t k = address.n; k-- > 0 && at < 0;)
        if (address.p[k] == '@') at = (ptrdiff_t)k;
    size_t local = at < 0 ? address.n : (size_t)at;
    buf_add(out, slice_sub(address, 0, local));
    buf_add_char(out, '-');
    buf_add_u64(out, tag);
    buf_add(out, slice_sub(address, local, address.n));
}

static void add_header(const struct send *c, uint64_t number, struct buf *out)
{
    struct slice from = without_brackets(c->o.from);
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, clock_wall_ms());
    buf_add_str(out, "\r\nFrom: <");
    buf_add(out, from.n ? from : SLICE("postmaster@example.com"));
    buf_add_str(out, ">\r\nTo: <");
    send_message_rcpt(c, number, 0, out);
    buf_add_str(out, ">\r\nSubject: ");
    if (c->o.subject) buf_add_str(out, c->o.subject);
    else buf_addf(out, "test message %llu", (unsigned long long)number);
    buf_add_str(out, "\r\nMessage-ID: <");
    buf_add_str(out, c->run);
    buf_add_char(out, '.');
    buf_add_u64(out, number);
    buf_add_char(out, '@');
    buf_add_str(out, c->helo);
    buf_add_str(out, ">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
    if (c->eight) buf_add_str(out, "Content-Transfer-Encoding: 8bit\r\n");
}

void send_message_text(const struct send *c, uint64_t number, struct buf *out, struct slice *rest)
{
    size_t before = out->n;
    *rest = buf_slice(&c->text);
    if (c->own_header) add_header(c, number, out);
    /* A single file goes out as it is; one of many must be told from the others. */
    if (!c->o.raw && (c->own_header || c->o.messages > 1 || c->ledger >= 0))
        buf_addf(out, "X-Postern-Test: %s-%llu\r\n", c->run, (unsigned long long)number);
    if (c->own_header) buf_add_str(out, "\r\n");
    if (c->o.file) return;
    /* The filler is cut at its start so that header and filler have the asked size together. It must not begin within a CRLF. */
    size_t header = out->n - before, keep = c->o.size > header + 2 ? (size_t)c->o.size - header : 2;
    *rest = slice_sub(*rest, rest->n - 3 - keep, rest->n);
    if (rest->p[0] == '\n') {
        buf_add_char(out, 'x');
        *rest = slice_sub(*rest, 1, rest->n);
    }
}

uint64_t send_message_size(const struct send *c)
{
    return c->o.file ? c->text.n + 400 : c->o.size;
}
