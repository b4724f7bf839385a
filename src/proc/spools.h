/* SPDX-License-Identifier: Apache-2.0
 * Which process has which spool directory: <directory>/spool/<number>. Each has one owner at most; those that a process
 * left behind are given to one that lives. */
#ifndef POSTERN_PROC_SPOOLS_H
#define POSTERN_PROC_SPOOLS_H
#include "base/buf.h"
#include "base/err.h"

#define SPOOLS_MAX 1024 /* the number is part of message ids: delivery/queue.h */

struct spools;
struct privilege_user;

/* Makes dir if need be and notes what is in it. user: who is to own the directories. */
struct spools *spools_new(const char *dir, const struct privilege_user *user, struct err *err) MUST_CHECK;
void spools_free(struct spools **s);
/* The lowest number without an owner, now owner's; its directory is made. What is there and no directory is passed
 * over. -1 with err. */
int spools_take(struct spools *s, const void *owner, uint64_t now, struct err *err);
/* The next directory that may hold mail and has nobody, now owner's; -1: none. */
int spools_adopt(struct spools *s, const void *owner, uint64_t now);
/* Somebody else has its lock (a worker of a master that died): not before now + 2 s again. */
void spools_busy(struct spools *s, int n, uint64_t now);
/* Could not be opened: not before now + 60 s again. */
void spools_failed(struct spools *s, int n, uint64_t now);
void spools_emptied(struct spools *s, int n); /* holds nothing any more */
bool spools_owned(const struct spools *s, int n, const void *owner);
/* owner is gone. crashed: it may have been what is in there, so adoption waits longer each time. */
void spools_release(struct spools *s, const void *owner, bool crashed, uint64_t now);

#endif
