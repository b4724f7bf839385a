/* SPDX-License-Identifier: Apache-2.0
 * What the admin process needs for digests and only the master can give: the socket of the page behind their links, its certificate and key,
 * and the secret that proves links, as descriptors. None of it is read here: what workers are forked from knows nothing of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "notice/template.h"
#include "proc/process.h"

#define SECRET_N 32
#define PATH_N 4300

static void secret_path(const struct master *m, char out[PATH_N], const char *end)
{
    snprintf(out, PATH_N, "%s/digest.secret%s", m->directory, end);
}

static bool write_secret(int fd, struct err *err)
{
    unsigned char secret[SECRET_N];
    bool ok = getrandom(secret, sizeof secret, 0) == SECRET_N && write(fd, secret, sizeof secret) == SECRET_N && fsync(fd) == 0;
    int code = errno;
    mem_wipe(secret, sizeof secret);
    return ok || err_sys(err, code, "cannot write the secret of digests");
}

/* At the first start with links. */
static bool make_secret(const struct master *m, struct err *err)
{
    char path[PATH_N], made[PATH_N];
    struct stat st;
    secret_path(m, path, "");
    secret_path(m, made, ".new");
    if (lstat(path, &st) == 0) return true;
    if (errno != ENOENT) return err_sys(err, errno, "cannot look at %.250s", path);
    (void)unlink(made); /* of a start that broke off */
    int fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(err, errno, "cannot make %.250s", made);
    bool ok = write_secret(fd, err);
    close(fd);
    if (ok && rename(made, path) != 0) ok = err_sys(err, errno, "cannot name %.250s", path);
    if (!ok) (void)unlink(made);
    return ok;
}

bool digest_prepare(struct generation *g, const struct config *c, struct err *err)
{
    const struct generation *now = g->master->current;
    const char *listen = c->quarantine.digest.listen;
    if (!listen || !c->quarantine.digest.url) return true;
    if (!make_secret(g->master, err)) return false;
    const char *former = now && now->digest_fd >= 0 ? now->config->quarantine.digest.listen : NULL;
    if (!former || strcmp(former, listen) != 0) g->digest_fd = listen_open_one(slice_str(listen), "quarantine.digest.listen", err);
    else if ((g->digest_fd = fcntl(now->digest_fd, F_DUPFD_CLOEXEC, 3)) < 0) return err_sys(err, errno, "quarantine.digest.listen");
    return g->digest_fd >= 0;
}

/* ---- to the admin process */

/* fd: -1: there is none, which the other side notices. */
static void send_fd(struct child *admin, const char *what, int fd)
{
    if (fd >= 0) child_send(admin, json_pack("{s:s, s:s}", "op", "digest-file", "what", what), fd);
}

static void send_file(struct child *admin, const char *what, const char *path)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
    if (path && fd < 0) log_event(LOG_ERROR, "digest-file", LOG_STR("file", path), LOG_STR("error", strerror(errno)));
    send_fd(admin, what, fd);
    if (fd >= 0) close(fd);
}

/* Of the page, whose process reads no files. */
static void add_texts(const struct generation *g, json_t *told)
{
    static const enum template_kind kinds[] = { TEMPLATE_PAGE, TEMPLATE_WORDS };
    enum template_language language = (enum template_language)g->config->notices.language;
    json_t *texts = json_object();
    for (size_t i = 0; i < countof(kinds); i++) {
        struct slice text = templates_text(g->templates, language, kinds[i]);
        json_object_set_new(texts, template_kind_name(kinds[i]), json_stringn(text.p, text.n));
    }
    json_object_set_new(told, "language", json_string(template_language_name(language)));
    json_object_set_new(told, "texts", texts);
}

void digest_tell_admin(struct master *m)
{
    const struct generation *g = m->current ? m->current : m->next;
    const struct config_quarantine *q = &g->config->quarantine;
    char path[PATH_N];
    if (!m->admin) return;
    json_t *at = json_array();
    for (size_t i = 0; i < q->digest.at_n; i++) json_array_append_new(at, json_integer(q->digest.at[i]));
    secret_path(m, path, "");
    if (g->digest_fd >= 0) {
        send_fd(m->admin, "socket", g->digest_fd);
        send_file(m->admin, "secret", path);
        send_file(m->admin, "certificate", q->digest.certificate);
        send_file(m->admin, "key", q->digest.key);
    }
    json_t *told = json_pack("{s:s, s:b, s:o, s:I, s:b}", "op", "digest", "enabled", q->digest.enabled, "at", at, "valid",
                             (json_int_t)q->digest.valid, "secure", q->digest.certificate != NULL);
    add_texts(g, told);
    if (g->digest_fd >= 0) json_object_set_new(told, "url", json_string(q->digest.url));
    child_send(m->admin, told, -1);
}
