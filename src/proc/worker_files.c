/* SPDX-License-Identifier: Apache-2.0
 * Any message that the admin process hands over as a file: learnt, or looked into. Who looks is the scan process; here
 * nobody reads a byte. */
#include <sys/stat.h>
#include "base/json.h"
#include "base/mem.h"
#include "proc/worker_files.h"

#define FILE_MAX (64u << 20)
#define ANSWER_MAX (CHANNEL_FRAME_MAX - 4096)

/* ---- answers of the scan process */

/* It goes on in one frame: text that is mostly quotes may double in it. */
void worker_file_on_view(void *arg, const json_t *view, const char *error)
{
    struct file_request *f = arg;
    f->scan = NULL;
    if (!view) {
        worker_file_fail(f, error ? error : "nobody can look into the message now");
        return;
    }
    json_t *fits = json_copy((json_t *)(uintptr_t)view);
    if (json_dumpb(fits, NULL, 0, JSON_COMPACT) > ANSWER_MAX)
        json_object_set_new(fits, "text", json_string("(too large to be shown)"));
    worker_file_answer(f, json_pack("{s:o}", "view", fits));
}

void worker_file_on_learnt(void *arg, const char *error)
{
    struct file_request *f = arg;
    f->scan = NULL;
    if (error) worker_file_fail(f, error);
    else worker_file_answer(f, json_pack("{s:b}", "learnt", true));
}

static void on_report(void *arg, const struct report *report, const char *error)
{
    struct file_request *f = arg;
    f->scan = NULL;
    if (report) worker_file_answer(f, report_to_people(report, ANSWER_MAX));
    else worker_file_fail(f, error ? error : "nobody can look into the message now");
}

/* ---- requests */

const char *worker_file_learn_as(const json_t *request)
{
    static const char *const words[] = { "spam", "ham", "forget" };
    struct slice as = json_text(request, "as");
    for (size_t i = 0; i < countof(words); i++)
        if (slice_eq(as, slice_str(words[i]))) return words[i];
    return NULL;
}

/* False: the request is answered. */
static bool size_of(struct file_request *f, uint64_t *size)
{
    struct stat st;
    const char *wrong = !scan_is_needed(f->w->config) ? WORKER_FILE_NO_SCAN
                        : fstat(f->fd, &st) != 0 || st.st_size <= 0 || st.st_size > FILE_MAX
                            ? "the message is empty or too large"
                            : NULL;
    if (wrong) worker_file_fail(f, wrong);
    else *size = (uint64_t)st.st_size;
    return !wrong;
}

void worker_file_learn(struct file_request *f, const json_t *request)
{
    uint64_t size;
    const char *as = worker_file_learn_as(request);
    if (!as) worker_file_fail(f, WORKER_FILE_BAD_WORD);
    else if (size_of(f, &size))
        f->scan = scan_learn(f->w->scan, f->w->config, as, f->fd, 0, size, &f->arena, worker_file_on_learnt, f);
}

void worker_file_scan(struct file_request *f, const json_t *request)
{
    uint64_t size;
    if (size_of(f, &size)) f->scan = scan_file_start(f->w->scan, f->w->config, f->fd, size, &f->arena, on_report, f);
}

void worker_file_view(struct file_request *f, const json_t *request)
{
    uint64_t size;
    if (size_of(f, &size))
        f->scan = scan_file_view(f->w->scan, f->w->config, f->fd, size, &f->arena, worker_file_on_view, f);
}
