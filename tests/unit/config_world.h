/* SPDX-License-Identifier: Apache-2.0
 * Configurations from texts, and what is found in them. For test_config.c and test_config_tls.c. */
#ifndef POSTERN_TESTS_CONFIG_WORLD_H
#define POSTERN_TESTS_CONFIG_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/diff.h"
#include "config/dump.h"
#include "config/parse.h"

#define NOWHERE "/nowhere/postern.yaml"
#define FIRST "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 10.20.30.40}]\n"

static inline struct config *must_parse(const char *text)
{
    struct config_report r;
    struct config *c = config_parse(slice_str(text), NOWHERE, &r);
    for (size_t i = 0; i < r.n; i++)
        if (!r.findings[i].warning) fail_msg("%s: %s", r.findings[i].option, r.findings[i].text);
    config_report_deinit(&r);
    assert_non_null(c);
    return c;
}

/* Each finding as "line:column: option: text"; the hint after " | " when there is one. */
static inline char *findings(const char *text, const char *path)
{
    struct config_report r;
    struct buf b = { 0 };
    config_free(config_parse(slice_str(text), path, &r));
    for (size_t i = 0; i < r.n; i++) {
        const struct config_finding *f = &r.findings[i];
        buf_addf(&b, "%s%s%u:%u: %s: %s", i ? "\n" : "", f->warning ? "warning " : "", f->place.line, f->place.column,
                 f->option, f->text);
        if (f->hint[0]) buf_addf(&b, " | %s", f->hint);
    }
    char *out = mem_slicedup(buf_slice(&b));
    buf_deinit(&b);
    config_report_deinit(&r);
    return out;
}

static inline void expect_findings(const char *text, const char *want)
{
    char *got = findings(text, NOWHERE);
    if (strcmp(got, want) != 0) fail_msg("for\n%s\nwanted\n%s\ngot\n%s", text, want, got);
    free(got);
}

#endif
