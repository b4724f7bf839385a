/* SPDX-License-Identifier: Apache-2.0
 * Files of JSON, replaced by renaming. */
#include "fetch/json_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"

void json_file_write(const char *path, const json_t *v, bool durable, const char *event)
{
    char part[4450];
    snprintf(part, sizeof part, "%s.%d.part", path, (int)getpid());
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && json_dumpfd(v, fd, JSON_COMPACT) == 0 && (!durable || fsync(fd) == 0);
    if (fd >= 0) close(fd);
    if (!ok || rename(part, path) != 0) log_event(LOG_WARNING, event, LOG_STR("file", path), LOG_NUM("errno", errno));
}
