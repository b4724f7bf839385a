/* SPDX-License-Identifier: Apache-2.0
 * The built-in engine for spam: rules over a message taken apart, a classifier that learns, lists in the DNS. Used by scan processes
 * and commands; no sockets of its own but for the DNS it is given. */
#ifndef POSTERN_SPAM_SPAM_H
#define POSTERN_SPAM_SPAM_H
#include "content/context.h"
#include "content/message.h"
#include "content/report.h"

struct spam_engine;

struct spam_options {
    const struct config_spam *config;
    const char *directory;       /* of the table of tokens; NULL: no classifier */
    /* Asks the DNS for A records of all names at once, at most until the deadline; blocks. answers[i] is host order, 0: none. NULL: no DNS. */
    void (*dns)(void *arg, const char *const *names, uint32_t *answers, size_t n, uint64_t deadline);
    void *dns_arg;
};
/* Reads the rules built in and those in files. NULL and an error (file:line: what) when one cannot be read. Blocks. */
struct spam_engine *spam_engine_new(const struct spam_options *o, struct err *err) MUST_CHECK;
void spam_engine_free(struct spam_engine *e); /* NULL is fine */

/* Fills score and symbols (in the arena), each with what it found. deadline: mono ms. */
struct spam_verdict {
    int32_t score;               /* hundredths */
    struct report_symbol *symbols; size_t symbol_n;
    int32_t bayes;               /* the classifier's spamminess in 1/10000; -1: it does not speak */
    int32_t header_score, body_score; /* what rules about the header, and about text, links and parts, gave; neither has what the
                                  * classifier or the DNS said: auto_learn is for what is clear without them */
};
void spam_judge(struct spam_engine *e, const struct content_message *m, const struct scan_context *c, uint64_t deadline,
                struct arena *arena, struct spam_verdict *out);
/* Learns it. again: it was learnt as the other before (which is undone). False: the table cannot be written. */
enum spam_learn { SPAM_LEARN_SPAM, SPAM_LEARN_HAM, SPAM_FORGET };
bool spam_learn(struct spam_engine *e, const struct content_message *m, enum spam_learn as, struct err *err) MUST_CHECK;
enum config_spam_class spam_class_of(const struct config_spam *c, int32_t score);

#endif
