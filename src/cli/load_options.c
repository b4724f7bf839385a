/* SPDX-License-Identifier: Apache-2.0
 * Options of the test tools: one table gives parsing, bounds and help. */
#include "cli/load.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static bool parse_number(const struct load_option *o, void *to, const char *text, struct err *err)
{
    struct slice s = slice_str(text);
    uint64_t unit = 1, value;
    if (o->kind == LOAD_SIZE && s.n > 1) {
        char last = ascii_lower(s.p[s.n - 1]);
        if (last == 'k') unit = 1024;
        else if (last == 'm') unit = 1024 * 1024;
        else if (last == 'g') unit = 1024 * 1024 * 1024;
        if (unit > 1) s.n--;
    } else if (o->kind == LOAD_NUMBER && slice_iends(s, SLICE("/s")))
        s.n -= 2;
    if (!slice_to_u64(s, UINT64_MAX / unit, &value) || value * unit < o->min || value * unit > o->max)
        return err_set(err, "%s takes a number from %llu to %llu", o->name, (unsigned long long)o->min,
                       (unsigned long long)o->max);
    *(uint64_t *)to = value * unit;
    return true;
}

static bool take_value(const struct load_option *o, void *to, const char *value, struct err *err)
{
    if (o->kind == LOAD_NUMBER || o->kind == LOAD_SIZE) return parse_number(o, to, value, err);
    if (o->kind == LOAD_LIST) {
        struct load_list *list = to;
        if (list->n == LOAD_LIST_MAX) return err_set(err, "%s is given too often", o->name);
        list->items[list->n++] = value;
    } else
        *(const char **)to = value;
    return true;
}

static const struct load_option *find_option(const struct load_option *options, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++)
        if (options[i].name && slice_eq(name, slice_str(options[i].name))) return &options[i];
    return NULL;
}

bool load_options_parse(const struct load_option *options, size_t n, void *to, int argc, char **argv,
                        const char **rest, struct err *err)
{
    bool words_only = false, seen = false;
    for (int i = 1; i < argc; i++) {
        struct slice word = slice_str(argv[i]), name, value = word;
        if (!words_only && slice_eq(word, SLICE("--"))) {
            words_only = true;
            continue;
        }
        if (words_only || !slice_starts(word, SLICE("--"))) {
            if (seen) return err_set(err, "one word too many: \"%s\"", argv[i]);
            seen = true;
            *rest = argv[i];
            continue;
        }
        bool has_value = slice_cut(&value, '=', &name);
        const struct load_option *o = find_option(options, n, name);
        if (!o) return err_set(err, "no option \"%.*s\"", (int)(name.n < 60 ? name.n : 60), name.p);
        void *field = (char *)to + o->offset;
        if (o->kind == LOAD_FLAG) {
            if (has_value) return err_set(err, "%s takes no value", o->name);
            *(bool *)field = true;
            continue;
        }
        if (!has_value && i + 1 == argc) return err_set(err, "%s needs a value: %s", o->name, o->value);
        if (!take_value(o, field, has_value ? value.p : argv[++i], err)) return false;
    }
    return true;
}

void load_options_help(const struct load_option *options, size_t n, const char *intro)
{
    fputs(intro, stdout);
    for (size_t i = 0; i < n; i++) {
        const struct load_option *o = &options[i];
        if (o->kind == LOAD_HEADING) {
            printf("\n%s\n", o->help);
            continue;
        }
        int width = printf("  %s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        struct slice left = slice_str(o->help), line;
        if (width > 27) fputs("\n", stdout);
        bool first = width <= 27, more = true;
        while (more) {
            more = slice_cut(&left, '\n', &line);
            printf("%*s%.*s\n", first ? 29 - width : 29, "", SLICE_ARG(line));
            first = false;
        }
    }
}

bool load_wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

/* Takes "HOST:PORT" apart; an IPv6 address stands in brackets when a port follows. */
static bool split_endpoint(const char *text, const char *default_port, char host[256], char port[16])
{
    struct slice s = slice_str(text), h = s, p = slice_str(default_port);
    if (s.n && s.p[0] == '[') {
        ptrdiff_t end = slice_find(s, ']');
        if (end < 0) return false;
        h = slice_sub(s, 1, (size_t)end);
        struct slice after = slice_sub(s, (size_t)end + 1, s.n);
        if (after.n > 1 && after.p[0] == ':') p = slice_sub(after, 1, after.n);
        else if (after.n) return false;
    } else {
        ptrdiff_t colon = slice_find(s, ':');
        if (colon >= 0 && slice_find(slice_sub(s, (size_t)colon + 1, s.n), ':') < 0) {
            h = slice_sub(s, 0, (size_t)colon);
            p = slice_sub(s, (size_t)colon + 1, s.n);
        }
    }
    if (h.n >= 256 || p.n == 0 || p.n >= 16) return false;
    snprintf(host, 256, "%.*s", SLICE_ARG(h));
    snprintf(port, 16, "%.*s", SLICE_ARG(p));
    return true;
}

bool load_endpoint_parse(const char *text, const char *default_port, bool passive, struct load_endpoint *out,
                         struct err *err)
{
    char host[256], port[16];
    uint64_t number;
    *out = (struct load_endpoint){ 0 };
    if (!split_endpoint(text, default_port, host, port) || !slice_to_u64(slice_str(port), 65535, &number))
        return err_set(err, "\"%.200s\" is not HOST:PORT", text);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) };
    struct addrinfo *found = NULL;
    bool any = !host[0] || !strcmp(host, "*");
    int rc = getaddrinfo(any ? NULL : host, port, &hints, &found);
    if (rc) return err_set(err, "%s: %s", text, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    for (struct addrinfo *a = found; a && out->n < LOAD_ADDRESSES_MAX; a = a->ai_next) {
        memcpy(&out->addr[out->n], a->ai_addr, a->ai_addrlen);
        out->len[out->n++] = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return out->n > 0 || err_set(err, "%s has no address", text);
}

uint64_t load_raise_file_limit(void)
{
    struct rlimit r, old;
    if (getrlimit(RLIMIT_NOFILE, &old) != 0) return 256;
    r = old;
    r.rlim_cur = r.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : old.rlim_cur;
}
