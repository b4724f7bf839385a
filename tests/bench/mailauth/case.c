/* SPDX-License-Identifier: Apache-2.0
 * Loads the benchmark's folder; measures CPU time. */
#include "case.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void case_must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "it is not as it should be: %s\n", what);
    exit(1);
}

struct case_text case_file(const struct case_world *w, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *f = fopen(path, "rb");
    case_must(f && fseek(f, 0, SEEK_END) == 0, path);
    size_t n = (size_t)ftell(f);
    rewind(f);
    struct case_text t = { calloc(1, n + 1), n };
    case_must(t.p && fread(t.p, 1, n, f) == n, path);
    fclose(f);
    return t;
}

static void load_message(struct case_world *w, const char *name, struct case_message *m)
{
    m->all = case_file(w, name);
    char *p = m->all.p, *end = p + m->all.n;
    while (strncmp(p, "\r\n", 2) != 0) {
        char *q = p;
        do {
            q = strstr(q, "\r\n");
            case_must(q && m->n < CASE_FIELDS, name);
            q += 2;
        } while (*q == ' ' || *q == '\t');
        m->fields[m->n++] = (struct case_text){ p, (size_t)(q - p) - 2 };
        p = q;
    }
    m->body = (struct case_text){ p + 2, (size_t)(end - p) - 2 };
}

void case_load(struct case_world *w, const char *folder)
{
    *w = (struct case_world){ .folder = folder };
    load_message(w, "plain.eml", &w->plain);
    load_message(w, "arc.eml", &w->arc);
    char *at = case_file(w, "envelope").p, *line;
    w->ip = strsep(&at, "\n");
    w->helo = strsep(&at, "\n");
    w->sender = strsep(&at, "\n");
    at = case_file(w, "zone").p;
    while ((line = strsep(&at, "\n")) && *line) {
        struct case_record *r = &w->zone[w->zone_n++];
        r->type = strsep(&line, "\t");
        r->name = strsep(&line, "\t");
        r->value = line;
        case_must(line && w->zone_n < sizeof w->zone / sizeof *w->zone, "zone");
    }
}

const struct case_record *case_find(const struct case_world *w, const char *type, const char *name, size_t n)
{
    for (size_t i = 0; i < w->zone_n; i++) {
        const struct case_record *r = &w->zone[i];
        if (strncasecmp(r->name, name, n) == 0 && !r->name[n] && strcmp(r->type, type) == 0) return r;
    }
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void case_measure(const char *program, const char *what, const char *how_long, void (*once)(void *arg), void *arg)
{
    double limit = strchr(how_long, 's') ? strtod(how_long, NULL) : 0;
    unsigned long n = 0, batch = limit > 0 ? 1 : strtoul(how_long, NULL, 10);
    for (int i = 0; i < 3; i++) once(arg);
    double begin = cpu_seconds(), took;
    do {
        for (unsigned long i = 0; i < batch; i++) once(arg);
        n += batch;
        took = cpu_seconds() - begin;
        if (took < limit / 20) batch *= 2;
    } while (took < limit);
    printf("{\"program\": \"%s\", \"what\": \"%s\", \"messages\": %lu, \"cpu_seconds\": %.6f}\n", program, what, n, took);
}
