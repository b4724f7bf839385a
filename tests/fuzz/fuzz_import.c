/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a Postfix configuration: main.cf, and behind a line "--" master.cf and the table that main.cf may name. What comes out is YAML of
 * known sections, in which no text of theirs begins a line, and the report is printable. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "config/yaml.h"
#include "fuzz.h"
#include "import/import.h"

static char folder[64];

static void clean(void)
{
    static const char *const names[] = { "main.cf", "master.cf", "table" };
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void put(const char *name, struct slice text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, text.p ? text.p : "", text.n) == (ssize_t)text.n);
    close(fd);
}

static struct slice part(struct slice *rest)
{
    const char *end = rest->n ? memmem(rest->p, rest->n, "\n--\n", 4) : NULL;
    struct slice out = slice_sub(*rest, 0, end ? (size_t)(end - rest->p) : rest->n);
    *rest = slice_sub(*rest, out.n + 4, rest->n);
    return out;
}

static bool is_yaml(struct slice text)
{
    struct arena arena = { 0 };
    struct config_report r = { 0 };
    bool empty, ok = yaml_parse(text, &arena, &r, &empty);
    config_report_deinit(&r);
    arena_deinit(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct err err;
    struct buf report = { 0 };
    struct config_report findings = { 0 };
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/fuzz-import-XXXXXX");
        must(mkdtemp(folder));
        atexit(clean);
        log_open("fuzz", LOG_ERROR);
    }
    put("main.cf", part(&rest));
    put("master.cf", part(&rest));
    put("table", rest);
    struct import *im = import_new(folder, size % 2);
    if (import_read_postfix(im, &err)) {
        struct slice text = import_compose(im);
        struct config *c = config_parse(text, "made.yaml", &findings);
        must(is_yaml(text));
        for (size_t i = 0; i < findings.n && !c; i++) (void)import_drop_line(im, findings.findings[i].place.line, "wrong");
        config_free(c);
        config_report_deinit(&findings);
    }
    import_add_report(im, &report);
    for (size_t i = 0; i < report.n; i++) must(report.p[i] == '\n' || (unsigned char)report.p[i] >= ' ');
    json_t *j = import_report_json(im);
    must(j);
    json_decref(j);
    buf_deinit(&report);
    import_free(im);
    return 0;
}
