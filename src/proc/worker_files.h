/* SPDX-License-Identifier: Apache-2.0
 * What the files share that serve requests of the admin process about a message in a file. */
#ifndef POSTERN_PROC_WORKER_FILES_H
#define POSTERN_PROC_WORKER_FILES_H
#include "content/scan.h"
#include "proc/worker_int.h"
#include "spool/spool.h"
#include "store/quarantine_files.h"

#define WORKER_FILE_NO_SCAN                                                                                      \
    "nothing looks into messages: none of attachments, scanners, spam, rules and header_checks is in use"
#define WORKER_FILE_BAD_WORD "as is spam, ham or forget"

struct file_request {
    struct list node;            /* of worker.files */
    struct worker *w;
    void (*reply)(void *arg, json_t *answer);
    void *arg;
    int fd;
    struct arena arena;
    struct scan_request *scan;
    /* of the quarantine */
    struct quarantine_head head;
    struct buf encoded;
    struct envelope envelope;
    /* release */
    struct spool_draft *draft;
    struct event *timer;
    uint64_t size, done, old;
    uint32_t crc;
};

/* ---- worker_quarantine.c: the request ends, and is gone. Takes j. */
void worker_file_answer(struct file_request *f, json_t *j);
void worker_file_fail(struct file_request *f, const char *text);

/* ---- worker_files.c */
scan_view_cb worker_file_on_view;
scan_learn_cb worker_file_on_learnt;
const char *worker_file_learn_as(const json_t *request); /* "spam", "ham", "forget"; NULL: anything else */
/* Of any message, which is the whole file. */
void worker_file_learn(struct file_request *f, const json_t *request);
void worker_file_scan(struct file_request *f, const json_t *request);
void worker_file_view(struct file_request *f, const json_t *request);

#endif
