/* SPDX-License-Identifier: Apache-2.0
 * What the files of tables.h share. */
#ifndef POSTERN_CONFIG_TABLES_PARTS_H
#define POSTERN_CONFIG_TABLES_PARTS_H
#include <sys/types.h>
#include <time.h>
#include "config/tables.h"

struct table_expression;
/* A block that was, which somebody may still look at. */
struct table_former {
    struct table_former *next;
    struct snapshot *snapshot;
    uint64_t since;              /* mono ms: there is another one */
};
struct table {
    struct table_source source;
    struct config_table own;     /* of a file that a list names */
    struct tables *tables;
    struct snapshot *now;        /* NULL: nothing was read yet */
    uint64_t made, serial;       /* serial: how many blocks were taken up */
    struct table_expression *expressions; /* of `now` */
    size_t expression_n;
    struct table_former *formers;
    struct timespec changed;     /* the file of its blocks, as it was seen last */
    ino_t number;
    off_t size;
    bool told;                   /* that it cannot be taken up */
    bool used;                   /* somebody asked for it */
    struct err fault;            /* of its source, at the start; no text: none */
};
struct tables {
    struct table **all;
    size_t n;
    char *folder;
    const struct config *config;
    struct pcre2_real_match_data_8 *match_data;
    struct pcre2_real_match_context_8 *match_limits;
    struct event *timer;
};

/* tables_sources.c: all that is named. */
bool tables_find_sources(struct tables *t, const struct config *c, struct err *err) MUST_CHECK;
bool tables_find_in_list(struct tables *t, const struct config_match_list *list, enum list_of of, struct err *err) MUST_CHECK;
/* tables_expressions.c */
void table_compile(struct table *t);
void table_forget_expressions(struct table *t);
/* tables_read.c: its file, as a block. */
struct snapshot *table_read_source(const struct table *t, struct err *err) MUST_CHECK;

#endif
