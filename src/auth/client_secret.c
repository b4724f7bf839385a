/* SPDX-License-Identifier: Apache-2.0
 * Secrets that are written in the configuration or in files of their own. Files are read when they are needed, so that a new password
 * serves at once; nothing is kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/client_internal.h"
#include "base/log.h"
#include "base/mem.h"

static bool read_first_line(int fd, char *text, size_t room, struct slice *line)
{
    size_t n = 0;
    while (n < room && !memchr(text, '\n', n)) {
        ssize_t k = read(fd, text + n, room - n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return false;
        if (k == 0) break;
        n += (size_t)k;
    }
    struct slice all = slice_of(text, n);
    slice_cut(&all, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

bool auth_secret_file(const char *path, size_t max, struct buf *out, char reason[200])
{
    struct stat st;
    struct slice line;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(reason, 200, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    if (st.st_mode & (S_IROTH | S_IWOTH))
        log_event(LOG_WARNING, "secret-readable-by-others", LOG_STR("file", path), LOG_STR("mend", "chmod o-rwx"));
    char *text = mem_alloc(max + 2);
    bool ok = read_first_line(fd, text, max + 2, &line);
    if (!ok) snprintf(reason, 200, "%s cannot be read: %s", path, strerror(errno));
    else if (!(ok = line.n > 0 && line.n <= max && slice_find(line, 0) < 0))
        snprintf(reason, 200, "the first line of %s is %s", path, line.n > max ? "too long" : line.n ? "not text" : "empty");
    if (ok) buf_add(out, line);
    mem_wipe(text, max + 2);
    free(text);
    close(fd);
    return ok;
}

bool auth_secret_password(const struct config_hop *hop, struct buf *out, char reason[200])
{
    const struct config_credentials *a = &hop->auth;
    if (!a->password && a->password_file) return auth_secret_file(a->password_file, SECRET_MAX, out, reason);
    if (a->password && a->password[0]) {
        buf_add_str(out, a->password);
        return true;
    }
    snprintf(reason, 200, "no password is set");
    return false;
}
