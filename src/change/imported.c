/* SPDX-License-Identifier: Apache-2.0
 * Imported configurations: made such that the check has nothing against them; the API's way to them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "change/answer_int.h"
#include "import/import.h"

#define ROUNDS_MAX 200
#define STATUS_LARGE 413
#define FILES_BYTES (8u << 20) /* all together */

/* Some findings about the whole say it in their words only: "(line 12)". */
static uint32_t line_of(const struct config_finding *f)
{
    const char *at = strstr(f->text, "line ");
    return f->place.line ? f->place.line : at ? (uint32_t)strtoul(at + 5, NULL, 10) : 0;
}

/* Leaves out what its errors are about. shown: texts of findings as answers may have them. */
static bool drop_errors(struct import *im, const struct config_report *report, const json_t *shown, struct err *err)
{
    bool dropped = false;
    for (size_t i = 0; i < report->n; i++) {
        const struct config_finding *f = &report->findings[i];
        const char *text = json_string_value(json_object_get(json_array_get(shown, i), "text"));
        if (f->warning) continue;
        if (!dropped) err_set_text(err, "what was made is refused: %s: %s", f->option, text ? text : f->text);
        if (line_of(f)) dropped |= import_drop_line(im, line_of(f), text ? text : f->text);
    }
    return dropped;
}

bool change_import_right(struct import *im, const char *file, struct err *err)
{
    err_set_text(err, "what was made has too many errors");
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct config_report report = { 0 };
        struct config *c = change_check_text(file, import_compose(im), &report);
        json_t *shown = c ? NULL : answer_findings(&report);
        bool ok = c, dropped = !ok && drop_errors(im, &report, shown, err);
        json_decref(shown);
        config_free(c);
        config_report_deinit(&report);
        if (ok || !dropped) return ok;
    }
    return false;
}

/* ---- {"op": "import-postfix", "files": {name: text}} */

static json_t *refused(int status, const char *name, const char *why)
{
    struct buf b = { 0 };
    buf_add_str(&b, "files: ");
    if (name) buf_add_printable(&b, slice_str(name), 100);
    buf_addf(&b, "%s%s", name ? ": " : "", why);
    json_t *answer = answer_failure(status, buf_cstr(&b));
    buf_deinit(&b);
    return answer;
}

/* NULL: they are given to it. */
static json_t *give(struct import *im, const json_t *files)
{
    const char *name;
    json_t *text;
    size_t bytes = 0;
    if (json_object_size(files) > IMPORT_GIVEN_MAX) return refused(STATUS_LARGE, NULL, "there are more than 500");
    json_object_foreach((json_t *)(uintptr_t)files, name, text) {
        if (!json_is_string(text)) return refused(STATUS_BAD, name, "a text is expected");
        bytes += json_string_length(text);
        if (bytes > FILES_BYTES) return refused(STATUS_LARGE, NULL, "they have more than 8 MB together");
        if (!import_give(im, name, slice_of(json_string_value(text), json_string_length(text))))
            return refused(STATUS_BAD, name, "a name is expected, or a path below the folder, without \"..\"");
    }
    return NULL;
}

json_t *answer_import(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct import *im = import_new_given();
    struct err err;
    json_t *answer = give(im, json_object_get(request, "files"));
    if (!answer && !import_read_postfix(im, &err)) answer = refused(STATUS_BAD, NULL, err.code == ENOENT ? "main.cf is not among them" : err.text);
    if (!answer && !change_import_right(im, w->file, &err)) answer = answer_failure(STATUS_FAILED, err.text);
    if (!answer) {
        answer = import_report_json(im);
        json_object_set_new(answer, "status", json_integer(STATUS_OK));
        json_object_set_new(answer, "config", change_answer_text(import_compose(im)));
    }
    import_free(im);
    return answer;
}
