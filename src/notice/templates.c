/* SPDX-License-Identifier: Apache-2.0
 * Templates that take the place of the built-in ones. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "notice/kinds.h"

#define PATH_N 4300

struct templates {
    struct buf text[LANGUAGES][TEMPLATE_KINDS];
};

struct templates *templates_new(void) { return mem_new(struct templates); }

void templates_free(struct templates *t)
{
    if (!t) return;
    for (unsigned l = 0; l < LANGUAGES; l++)
        for (unsigned k = 0; k < TEMPLATE_KINDS; k++) buf_deinit(&t->text[l][k]);
    free(t);
}

bool templates_set(struct templates *t, enum template_language l, enum template_kind k, struct slice text, const char *file, struct err *err)
{
    if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) text = slice_sub(text, 3, text.n); /* as some editors write */
    if (!template_check(k, text, file, err)) return false;
    buf_clear(&t->text[l][k]);
    buf_add(&t->text[l][k], text);
    return true;
}

struct slice templates_text(const struct templates *t, enum template_language l, enum template_kind k)
{
    return t && t->text[l][k].n ? buf_slice(&t->text[l][k]) : template_builtin(l, k);
}

bool templates_replace(const struct templates *t, enum template_language l, enum template_kind k) { return t && t->text[l][k].n; }

void template_add_file(enum template_language l, enum template_kind k, struct buf *out)
{
    const char *names = template_placeholders(k);
    if (*names) buf_addf(out, "# In braces: %s\n", names);
    buf_add(out, template_builtin(l, k));
}

size_t templates_replaced(const struct templates *t)
{
    size_t n = 0;
    for (unsigned l = 0; t && l < LANGUAGES; l++)
        for (unsigned k = 0; k < TEMPLATE_KINDS; k++) n += templates_replace(t, (enum template_language)l, (enum template_kind)k);
    return n;
}

/* ---- from a folder */

static bool read_text(const char *path, struct buf *out, struct err *err)
{
    int fd = io_open_file(path, err);
    if (fd < 0) return false;
    char *to = buf_reserve(out, TEMPLATE_MAX + 1);
    ssize_t k = 0;
    while (to && out->n <= TEMPLATE_MAX && (k = read(fd, out->p + out->n, TEMPLATE_MAX + 1 - out->n)) > 0) out->n += (size_t)k;
    bool ok = k >= 0 || err_sys(err, errno, "cannot read %.250s", path);
    close(fd);
    return ok;
}

static bool take(struct templates *t, enum template_language l, const char *folder, const char *name, struct err *err)
{
    char path[PATH_N], file[160];
    enum template_kind k;
    struct buf text = { 0 };
    struct slice base = slice_sub(slice_str(name), 0, strlen(name) - 4);
    snprintf(path, sizeof path, "%s/%s/%s", folder, template_language_name(l), name);
    if (!template_kind_find(base, &k))
        return err_set(err, "%.250s: there is no text of this name; `postern notices list` shows them", path);
    size_t n = strlen(path);
    snprintf(file, sizeof file, "%.115s", n < 115 ? path : path + n - 115); /* of a long one its end */
    bool ok = read_text(path, &text, err) && templates_set(t, l, k, buf_slice(&text), file, err);
    buf_deinit(&text);
    return ok;
}

/* l: LANGUAGES: the folder itself, in which no template may be. */
static bool take_all(struct templates *t, unsigned l, const char *folder, struct err *err)
{
    char path[PATH_N];
    const struct dirent *e;
    bool ok = true;
    snprintf(path, sizeof path, "%s%s%s", folder, l < LANGUAGES ? "/" : "", l < LANGUAGES ? template_language_name((enum template_language)l) : "");
    DIR *d = opendir(path);
    if (!d && errno == ENOENT && l < LANGUAGES) return true;
    if (!d) return err_sys(err, errno, "notices.templates: cannot open %.250s", path);
    while (ok && (e = readdir(d))) { // NOLINT(concurrency-mt-unsafe): our own stream
        if (e->d_name[0] == '.' || !slice_iends(slice_str(e->d_name), SLICE(".txt"))) continue;
        if (l < LANGUAGES) ok = take(t, (enum template_language)l, folder, e->d_name, err);
        else ok = err_set(err, "%.150s/%.100s: put it into the folder of its language: en, de, it or ja", folder, e->d_name);
    }
    closedir(d);
    return ok;
}

/* Is there something in it that nobody reads? Hidden files and those of editors are not looked at. l: as above. */
static void doubt_folder(unsigned l, const char *folder, void (*tell)(void *arg, const char *text), void *arg)
{
    char path[PATH_N], text[600];
    const struct dirent *e;
    enum template_language known;
    struct stat st;
    snprintf(path, sizeof path, "%s%s%s", folder, l < LANGUAGES ? "/" : "", l < LANGUAGES ? template_language_name((enum template_language)l) : "");
    DIR *d = opendir(path);
    while (d && (e = readdir(d))) { // NOLINT(concurrency-mt-unsafe): our own stream
        struct slice name = slice_str(e->d_name);
        struct buf shown = { 0 };
        bool is_folder = fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
        if (name.p[0] == '.' || slice_iends(name, SLICE("~")) || (l < LANGUAGES && slice_iends(name, SLICE(".txt"))) ||
            (l == LANGUAGES && (!is_folder || template_language_find(name, &known))))
            continue;
        buf_add_printable(&shown, name, 100);
        snprintf(text, sizeof text, "%.250s/%.250s is not read: %s", path, buf_cstr(&shown),
                 l < LANGUAGES ? "the names of texts end in .txt" : "there are texts for en, de, it and ja");
        tell(arg, text);
        buf_deinit(&shown);
    }
    if (d) closedir(d);
}

static bool body_has(struct slice text, const char *name)
{
    struct slice body = template_body(text);
    struct piece p;
    while (template_piece(&body, &p))
        if (p.is_name && slice_eq(p.text, slice_str(name))) return true;
    return false;
}

void templates_doubt(const struct templates *t, const char *folder, void (*tell)(void *arg, const char *text), void *arg)
{
    static const enum template_kind bounces[] = { TEMPLATE_FAILED, TEMPLATE_DELAYED, TEMPLATE_UNDELIVERABLE, TEMPLATE_RELAYED };
    char text[400];
    for (unsigned l = 0; folder && l <= LANGUAGES; l++) doubt_folder(l, folder, tell, arg);
    for (unsigned l = 0; folder && l < LANGUAGES; l++)
        for (size_t i = 0; i < countof(bounces); i++) {
            const struct buf *own = &t->text[l][bounces[i]];
            if (!own->n || body_has(buf_slice(own), "recipients")) continue;
            snprintf(text, sizeof text, "%.250s/%s/%s.txt: {recipients} is nowhere in it: nobody learns from it whom it is about", folder,
                     template_language_name((enum template_language)l), template_kind_name(bounces[i]));
            tell(arg, text);
        }
}

struct templates *templates_load(const char *folder, struct err *err)
{
    struct templates *t = templates_new();
    bool ok = true;
    for (unsigned l = 0; folder && ok && l <= LANGUAGES; l++) ok = take_all(t, l, folder, err);
    if (ok) return t;
    templates_free(t);
    return NULL;
}
