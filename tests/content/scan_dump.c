/* SPDX-License-Identifier: Apache-2.0
 * Prints messages taken apart as JSON, a line each, for tests: all that content/message.h tells of them. scan_dump [-c] FILE...
 * -c: nothing is printed but how long it took. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/public_suffix.h"
#include "content/unpack.h"

static json_t *text(struct slice s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);
    if (!j) {
        fprintf(stderr, "scan_dump: a text that is no UTF-8\n");
        abort();
    }
    return j;
}

static json_t *findings(unsigned bits)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < 32; i++)
        if (bits >> i & 1) json_array_append_new(list, json_string(content_finding_name(1u << i)));
    return list;
}

static json_t *part(const struct content_part *p)
{
    json_t *names = json_array();
    for (size_t i = 0; i < p->name_n; i++) json_array_append_new(names, text(p->names[i]));
    char start[33] = "";
    for (size_t i = 0; i < 16 && i < p->data.n; i++) snprintf(start + 2 * i, 3, "%02x", (unsigned char)p->data.p[i]);
    return json_pack("{s:i,s:i,s:b,s:b,s:b,s:s%,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:i,s:s,s:o}", "parent", (int)p->parent, "depth", (int)p->depth,
                     "file", p->is_file, "mime", p->is_mime, "inline", p->inline_shown, "charset", p->charset.p ? p->charset.p : "", p->charset.n,
                     "declared", text(p->declared), "type", text(p->type), "names", names, "size", (json_int_t)p->size, "at", (json_int_t)p->at, "n",
                     (json_int_t)p->n, "body_at", (json_int_t)p->body_at, "fields", (int)p->field_n, "start", start, "findings", findings(p->findings));
}

static json_t *message(const struct content_message *m)
{
    json_t *fields = json_array(), *parts = json_array(), *links = json_array();
    for (size_t i = 0; i < m->field_n; i++)
        json_array_append_new(fields, json_pack("{s:o,s:o,s:I,s:i}", "name", text(m->fields[i].name), "value", text(m->fields[i].value), "at",
                                                (json_int_t)m->fields[i].at, "n", (int)m->fields[i].n));
    for (size_t i = 0; i < m->part_n; i++) json_array_append_new(parts, part(&m->parts[i]));
    for (size_t i = 0; i < m->link_n; i++) {
        const struct content_link *l = &m->links[i];
        json_array_append_new(links, json_pack("{s:o,s:o,s:o,s:o,s:i,s:b,s:b}", "url", text(l->url), "host", text(l->host), "domain",
                                               text(l->domain), "shown", text(l->shown), "part", (int)l->part, "image", l->image, "form", l->form));
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "header", (json_int_t)m->header_n, "fields", fields, "parts", parts, "links", links,
                     "text", text(m->text), "hidden", text(m->hidden), "html", text(m->html), "subject", text(m->subject), "findings",
                     findings(m->findings));
}

static void dump(const char *file, bool quiet, const struct public_suffix *suffixes)
{
    static const struct config_scan limits = { .depth = 16, .parts = 5000, .unpacked = 512u << 20, .ratio = 250, .unpack_time = 10000 };
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(file);
        exit(1);
    }
    void *p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    struct arena arena = { 0 };
    struct content_message m;
    content_message_read(&m, slice_of(p, (size_t)st.st_size), &limits, suffixes, &arena);
    if (!quiet) {
        json_t *j = message(&m);
        json_dumpf(j, stdout, JSON_COMPACT | JSON_SORT_KEYS);
        puts("");
        json_decref(j);
    }
    arena_deinit(&arena);
    if (p) munmap(p, (size_t)st.st_size);
    close(fd);
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    bool quiet = argc > 1 && strcmp(argv[1], "-c") == 0;
    if (!unpack_init(&err)) {
        fprintf(stderr, "scan_dump: %s\n", err.text);
        return 1;
    }
    content_message_init();
    struct public_suffix *suffixes = public_suffix_load();
    clock_t began = clock();
    for (int i = quiet ? 2 : 1; i < argc; i++) dump(argv[i], quiet, suffixes);
    if (quiet) printf("%d messages, %.3f ms of CPU each\n", argc - 2, (double)(clock() - began) * 1000 / CLOCKS_PER_SEC / (argc > 2 ? argc - 2 : 1));
    public_suffix_free(suffixes);
    content_message_deinit();
    unpack_deinit();
    return 0;
}
