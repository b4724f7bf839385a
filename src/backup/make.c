/* SPDX-License-Identifier: Apache-2.0
 * A whole backup, as `postern backup` and the API make it. */
#include <stdlib.h>
#include "backup/backup.h"
#include "base/clock.h"
#include "config/config.h"

bool backup_make(int fd, const struct backup_options *o, size_t *n, struct err *err)
{
    const struct config *c = o->config;
    struct backup_writer *w = backup_writer_new(fd, err);
    if (!w) return false;
    char *directory = backup_path_tidy(c->system.directory), *run_directory = backup_path_tidy(c->system.run_directory);
    bool ok = (backup_path_ok(directory, true) && backup_path_ok(run_directory, true)) ||
              err_set(err, "system.directory and system.run_directory must be absolute, without \"..\" and control characters");
    backup_writer_keep_free(w, o->keep_free);
    if (!ok || !backup_collect(w, o, err)) {
        free(directory);
        free(run_directory);
        backup_writer_free(w);
        return false;
    }
    *n = backup_writer_count(w);
    json_t *left_out = json_array();
    if (!o->queue) json_array_append_new(left_out, json_string("queue"));
    if (!o->quarantine) json_array_append_new(left_out, json_string("quarantine"));
    ok = backup_writer_finish(w, json_pack("{s:s, s:i, s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "format", "postern-backup", "version", 1, "relay",
                                             POSTERN_VERSION, "made", (json_int_t)clock_wall_ms(), "hostname", c->hostname, "config", o->file,
                                             "directory", directory, "run_directory", run_directory, "left_out", left_out), err);
    free(directory);
    free(run_directory);
    return ok;
}
