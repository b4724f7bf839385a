/* SPDX-License-Identifier: Apache-2.0
 * What the files of webhooks share. */
#ifndef POSTERN_FETCH_HOOKS_INT_H
#define POSTERN_FETCH_HOOKS_INT_H
#include "fetch/hooks.h"

#define HOOK_EVENT_MAX 20480           /* bytes of one event */
#define HOOK_QUEUE_MAX (16u << 20)     /* bytes that wait for one hook */

/* ---- hooks_file.c: what waits for one hook: lines in a file, and in its head where the first one begins. */
struct hook_file {
    int fd;                            /* -1: it cannot be had; nothing is kept then */
    char path[4400];
    uint64_t from, to;
};
void hook_file_open(struct hook_file *f, const char *directory, const char *url);
void hook_file_close(struct hook_file *f);
enum hook_kept { HOOK_KEPT, HOOK_FULL, HOOK_NOT_WRITTEN };
enum hook_kept hook_file_add(struct hook_file *f, struct slice line); /* without a line end */
/* The first line, and how far it goes; false: there is none. What is damaged is passed over. */
bool hook_file_first(struct hook_file *f, struct buf *line, uint64_t *end);
void hook_file_done(struct hook_file *f, uint64_t end);

/* ---- hooks_send.c: one POST */
struct hook_post;
struct hook_result {
    long status;                       /* 0: no answer */
    const char *error;                 /* one clause; "" : it was taken (2xx) */
    uint64_t ms;
};
struct hook_sender {
    struct event_base *base;
    struct resolver *resolver;
    struct https *https;
};
/* The callback comes from the loop, once. secret: empty: not signed. */
struct hook_post *hook_post_start(const struct hook_sender *s, const struct config_webhook *c, struct slice secret, struct slice body,
                                  void (*cb)(void *arg, const struct hook_result *r), void *arg);
void hook_post_cancel(struct hook_post **p);
/* "sha256=" and 64 hexadecimal digits. */
#define HOOK_SIGNATURE_N 71
void hook_sign(struct slice secret, struct slice body, char out[HOOK_SIGNATURE_N + 1]);

/* ---- hooks.c */
struct hook {
    struct hooks *all;
    const struct config_webhook *config;
    char host[64];
    struct slice shown;      /* its URL without the path, which may be a secret: many services have a token there */
    struct buf secret;
    struct hook_file file;
    struct hook_post *post;
    uint64_t end;            /* of the line under way */
    unsigned failures;       /* in a row */
    struct event *timer;     /* ends a pause */
    uint64_t minute;         /* mono ms: began */
    unsigned in_minute, left_out;
};

struct hooks {
    struct hooks_options o;
    struct hook_sender sender;
    struct hook *hooks;
    size_t n;
    char directory[4300], mark[4320];
    int lock;                /* -1: another process has the files */
    bool yielded;            /* a younger one has them: never again */
    struct event *events, *tick;
    unsigned test_n;         /* under way */
    uint64_t counter;
};

/* ---- hooks_try.c */
json_t *hooks_event(struct hooks *a, const char *name, json_int_t time); /* the members that all have */

#endif
