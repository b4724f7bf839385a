/* SPDX-License-Identifier: Apache-2.0
 * Asks one scanner about one message and prints the answer as JSON, with the message as it would be sent on:
 *     scanner_ask key=value ... FILE
 * Keys: type name address command service password_file infected_code timeout max_size directory; deadline (ms from now); hostname mark;
 * client client_name helo account sender rcpt (as often as there are recipients) tls; part (NAME:FILE, a file in the message); twice (asks once
 * more and prints the second answer). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/scanner.h"

#define LIST_MAX 100

struct asking {
    struct arena arena;
    struct config_scanner scanner;
    struct config config;
    struct scan_context context;
    struct content_message message;
    const char *directory;
    uint64_t deadline;
    bool twice;
};

static struct slice read_file(struct asking *a, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "scanner_ask: %s: %s\n", path, strerror(errno));
        exit(66);
    }
    char *p = arena_alloc(&a->arena, (size_t)st.st_size + 1);
    ssize_t n = read(fd, p, (size_t)st.st_size);
    close(fd);
    return slice_of(p, n > 0 ? (size_t)n : 0);
}

/* ---- what is asked */

static int type_named(const char *name)
{
    static const char *const names[] = { "clamd", "icap", "command", "spamd", "rspamd", "milter" };
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i], name) == 0) return (int)i;
    fprintf(stderr, "scanner_ask: type=%s\n", name);
    exit(64);
}

static void add_part(struct asking *a, const char *value)
{
    struct content_message *m = &a->message;
    const char *colon = strchr(value, ':');
    struct content_part *p = &m->parts[m->part_n++];
    if (!colon || m->part_n == LIST_MAX) exit(64);
    struct slice data = read_file(a, colon + 1);
    struct slice *name = arena_alloc(&a->arena, sizeof *name);
    *name = slice_of(value, (size_t)(colon - value));
    *p = (struct content_part){ .depth = 1, .is_file = true, .is_mime = true, .names = name, .name_n = 1, .data = data, .size = data.n };
}

static bool set_number(struct asking *a, const char *key, uint64_t v)
{
    struct { const char *key; uint64_t *to; } const numbers[] = {
        { "timeout", &a->scanner.timeout }, { "max_size", &a->scanner.max_size }, { "deadline", &a->deadline }, { "id", &a->context.id },
    };
    for (size_t i = 0; i < countof(numbers); i++) {
        if (strcmp(numbers[i].key, key) != 0) continue;
        *numbers[i].to = v;
        return true;
    }
    if (strcmp(key, "infected_code") == 0) a->scanner.infected_code = (uint32_t)v;
    else if (strcmp(key, "mark") == 0) a->config.spam.mark = (int32_t)v;
    else if (strcmp(key, "tls") == 0) a->context.tls = v;
    else if (strcmp(key, "twice") == 0) a->twice = v;
    else return false;
    return true;
}

static bool set_text(struct asking *a, const char *key, const char *value)
{
    struct { const char *key, **to; } const texts[] = {
        { "name", &a->scanner.name }, { "address", &a->scanner.address }, { "command", &a->scanner.command }, { "service", &a->scanner.service },
        { "password_file", &a->scanner.password_file }, { "directory", &a->directory }, { "hostname", &a->config.hostname },
    };
    struct { const char *key; struct slice *to; } const slices[] = {
        { "client_name", &a->context.client_name }, { "helo", &a->context.helo }, { "account", &a->context.account }, { "sender", &a->context.sender },
    };
    for (size_t i = 0; i < countof(texts); i++)
        if (strcmp(texts[i].key, key) == 0) {
            *texts[i].to = value;
            return true;
        }
    for (size_t i = 0; i < countof(slices); i++)
        if (strcmp(slices[i].key, key) == 0) {
            *slices[i].to = slice_str(value);
            return true;
        }
    if (strcmp(key, "type") == 0) a->scanner.type = (enum config_scanner_type)type_named(value);
    else if (strcmp(key, "client") == 0) return ip_parse(slice_str(value), &a->context.client);
    else if (strcmp(key, "rcpt") == 0 && a->context.rcpt_n < LIST_MAX) a->context.rcpts[a->context.rcpt_n++] = slice_str(value);
    else if (strcmp(key, "part") == 0) add_part(a, value);
    else return set_number(a, key, strtoull(value, NULL, 10));
    return true;
}

/* Lines up to the empty one. */
static void read_fields(struct asking *a, struct slice bytes)
{
    struct content_message *m = &a->message;
    size_t at = 0;
    m->bytes = m->parts[0].data = bytes;
    m->header_n = bytes.n;
    m->fields = arena_alloc(&a->arena, 1000 * sizeof *m->fields);
    while (at < bytes.n && m->field_n < 1000) {
        const char *end = memchr(bytes.p + at, '\n', bytes.n - at);
        size_t next = end ? (size_t)(end - bytes.p) + 1 : bytes.n;
        if (bytes.p[at] == '\r' || bytes.p[at] == '\n') {
            m->header_n = next;
            return;
        }
        struct content_field *f = &m->fields[m->field_n ? m->field_n - 1 : 0];
        struct slice line = slice_sub(bytes, at, next), name;
        if ((bytes.p[at] == ' ' || bytes.p[at] == '\t') && m->field_n) f->n += (uint32_t)line.n;
        else if (slice_cut(&line, ':', &name)) m->fields[m->field_n++] = (struct content_field){ .name = name, .raw = line, .at = at, .n = (uint32_t)(next - at) };
        at = next;
    }
}

static void end_fields(struct content_message *m)
{
    for (size_t i = 0; i < m->field_n; i++) {
        struct content_field *f = &m->fields[i];
        size_t end = (size_t)f->at + f->n;
        while (end > f->at && (m->bytes.p[end - 1] == '\n' || m->bytes.p[end - 1] == '\r')) end--;
        f->raw = slice_of(f->raw.p, (size_t)(m->bytes.p + end - f->raw.p));
    }
}

/* ---- what it said */

static json_t *text(struct slice s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);
    if (j) return j;
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80) buf_add_char(&b, (char)c);
        else buf_addf(&b, "%c%c", 0xC0 | c >> 6, 0x80 | (c & 0x3F)); /* as Latin-1 */
    }
    j = json_stringn(b.p, b.n);
    buf_deinit(&b);
    return j;
}

static json_t *sent_on(const struct asking *a, const struct scanner_answer *out)
{
    struct buf b = { 0 };
    uint64_t at = 0;
    buf_add(&b, out->prepend);
    for (size_t i = 0; i < out->edit_n; i++) {
        const struct envelope_cut *e = &out->edits[i];
        if (e->at < at || e->at > a->message.bytes.n || e->n > a->message.bytes.n - e->at) abort();
        buf_add(&b, slice_sub(a->message.bytes, at, e->at));
        buf_add(&b, e->with);
        at = e->at + e->n;
    }
    buf_add(&b, slice_sub(a->message.bytes, at, a->message.bytes.n));
    json_t *j = text(buf_slice(&b));
    buf_deinit(&b);
    return j;
}

static json_t *lists(const struct scanner_answer *out)
{
    json_t *viruses = json_array(), *symbols = json_object(), *actions = json_array();
    for (size_t i = 0; i < out->virus_n; i++)
        json_array_append_new(viruses, json_pack("{s:o,s:o}", "name", text(out->viruses[i].name), "part", text(out->viruses[i].part)));
    for (size_t i = 0; i < out->symbol_n; i++) {
        char name[REPORT_TEXT_MAX + 1];
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(out->symbols[i].name));
        json_object_set_new(symbols, name, json_pack("{s:i,s:o}", "score", out->symbols[i].score, "text", text(out->symbols[i].text)));
    }
    for (size_t i = 0; i < out->action_n; i++) {
        const struct report_action *x = &out->actions[i];
        json_array_append_new(actions, json_pack("{s:i,s:o,s:o,s:i,s:o}", "action", (int)x->action, "text", text(x->text), "address", text(x->address),
                                                 "code", (int)x->code, "enhanced", text(x->enhanced)));
    }
    return json_pack("{s:o,s:o,s:o}", "viruses", viruses, "symbols", symbols, "actions", actions);
}

static void print_answer(const struct asking *a, const struct scanner_answer *out)
{
    static const char *const states[] = { "fine", "not-asked", "down", "timeout", "nonsense", "too-large" };
    json_t *j = json_pack("{s:s,s:o,s:b,s:i,s:i,s:o,s:o}", "state", states[out->state], "text", text(out->text), "judged", out->judged, "score",
                          out->score, "edits", (int)out->edit_n, "prepend", text(out->prepend), "message", sent_on(a, out));
    json_t *more = lists(out);
    json_object_update(j, more);
    json_decref(more);
    json_dumpf(j, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    json_decref(j);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct asking a = {
        .scanner = { .name = "scanner", .enabled = true, .timeout = 10000, .infected_code = 1 }, .directory = "/tmp", .deadline = 60000,
        .config = { .hostname = "relay.test", .spam = { .mark = 500 } }, .context = { .id = 4711 },
    };
    struct err err;
    struct scanner_answer out;
    a.context.rcpts = arena_alloc(&a.arena, LIST_MAX * sizeof *a.context.rcpts);
    a.message.parts = arena_alloc(&a.arena, (LIST_MAX + 1) * sizeof *a.message.parts);
    a.message.part_n = 1;
    for (int i = 1; i < argc - 1; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals) *equals = 0;
        if (!equals || !set_text(&a, argv[i], equals + 1)) {
            fprintf(stderr, "scanner_ask: %s\n", argv[i]);
            return 64;
        }
    }
    if (argc < 2) return 64;
    read_fields(&a, read_file(&a, argv[argc - 1]));
    end_fields(&a.message);
    struct scanner *s = scanner_open(&a.scanner, a.directory, &err);
    if (!s) {
        fprintf(stderr, "%s\n", err.text);
        arena_deinit(&a.arena);
        return 78;
    }
    for (int i = 0; i <= a.twice; i++) scanner_ask(s, &a.message, &a.context, &a.config, clock_mono_ms() + a.deadline, &a.arena, &out);
    print_answer(&a, &out);
    scanner_close(&s);
    arena_deinit(&a.arena);
    return 0;
}
