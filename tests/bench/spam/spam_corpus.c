/* SPDX-License-Identifier: Apache-2.0
 * Runs the engine over files, one name a line on standard input, for measurements:
 *   spam_corpus judge [FOLDER]      name, score, likelihood of spam and symbols of each; at the end the CPU time of it all
 *   spam_corpus learn FOLDER spam|ham
 *   spam_corpus tokens              hashes of each, binary: header tokens, body tokens, their counts in front
 *   spam_corpus words               the tokens of each, for people
 *   spam_corpus hits                names of all rules that each meets
 *   spam_corpus facts               numbers of each that are not 0
 * FOLDER has the table of tokens. Files may be of mbox form with their "From " line. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/buf.h"
#include "base/mem.h"
#include "spam/engine.h"

static const struct config_scan limits = { .depth = 10, .parts = 1000, .unpacked = 100 << 20, .ratio = 200, .unpack_time = 5000 };

static bool read_message(const char *name, struct buf *out)
{
    FILE *f = fopen(name, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!f)
        return false;
    buf_clear(out);
    for (bool first = true; (n = getline(&line, &room, f)) > 0; first = false) {
        if (first && n > 5 && memcmp(line, "From ", 5) == 0)
            continue;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        buf_add(out, slice_of(line, (size_t)n));
        buf_add_str(out, "\r\n");
    }
    free(line);
    (void)fclose(f);
    return true;
}

static double cpu(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_token(void *arg, bool header, struct slice token)
{
    (void)arg;
    printf("  %s %.*s\n", header ? "h" : "b", SLICE_ARG(token));
}

static void print_tokens(struct spam_engine *e, const struct content_message *m, struct arena *arena)
{
    struct token_set s;
    spam_tokens(e, m, arena, &s);
    uint64_t n[2] = { s.header_n, s.body_n };
    (void)fwrite(n, sizeof n, 1, stdout);
    (void)fwrite(s.header, sizeof *s.header, s.header_n, stdout);
    (void)fwrite(s.body, sizeof *s.body, s.body_n, stdout);
}

static void print_facts(struct spam_engine *e, const struct content_message *m, struct arena *arena)
{
    struct facts f;
    facts_take(&f, m, NULL, e->rules.fields, e->rules.field_n, e->suffixes, arena);
    for (int i = 0; i < FACT_COUNT; i++)
        if (f.n[i])
            printf(" %s=%d", fact_name((enum fact)i), f.n[i]);
    printf("\n");
}

static void print_hits(struct spam_engine *e, const struct content_message *m, struct arena *arena)
{
    struct facts f;
    bool *hits = arena_alloc(arena, e->rules.n + 1);
    facts_take(&f, m, NULL, e->rules.fields, e->rules.field_n, e->suffixes, arena);
    rules_ask(&e->rules, &f, hits, NULL);
    printf("\t");
    for (size_t i = 0; i < e->rules.n; i++)
        if (hits[i] && e->rules.rules[i].name[0] != '_')
            printf("%s ", e->rules.rules[i].name);
    printf("\n");
}

static void print_verdict(struct spam_engine *e, const struct content_message *m, struct arena *arena)
{
    static const struct scan_context nothing = { .reputation = -1 };
    struct spam_verdict v;
    spam_judge(e, m, &nothing, UINT64_MAX, arena, &v);
    printf("\t%d\t%d\t", v.score, v.bayes);
    for (size_t i = 0; i < v.symbol_n; i++)
        printf("%.*s=%d ", SLICE_ARG(v.symbols[i].name), v.symbols[i].score);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct config_spam config = { .enabled = true, .builtin = true };
    struct err err;
    const char *mode = argc > 1 ? argv[1] : "";
    config.bayes.enabled = argc > 2;
    config.bayes.tokens = 64 << 20;
    config.bayes.min_spam = config.bayes.min_ham = 1;
    struct spam_engine *e = spam_engine_new(&(struct spam_options){ .config = &config, .directory = argc > 2 ? argv[2] : NULL }, &err);
    if (!e) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    enum spam_learn as = argc > 3 && strcmp(argv[3], "spam") == 0 ? SPAM_LEARN_SPAM : SPAM_LEARN_HAM;
    struct buf text = { 0 };
    char name[4096];
    double spent = 0;
    size_t n = 0;
    while (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = 0;
        if (!read_message(name, &text))
            continue;
        struct arena arena = { 0 };
        struct content_message m;
        double before = cpu();
        content_message_read(&m, buf_slice(&text), &limits, e->suffixes, &arena);
        if (strcmp(mode, "learn") == 0) {
            if (!spam_learn(e, &m, as, &err))
                fprintf(stderr, "%s\n", err.text);
        } else if (strcmp(mode, "tokens") == 0)
            print_tokens(e, &m, &arena);
        else if (strcmp(mode, "words") == 0) {
            struct token_set s;
            printf("%s\n", name);
            tokens_take(&s, &m, (uint64_t[2]){ 0 }, e->breaker, &arena, print_token, NULL);
        } else {
            printf("%s", name);
            (strcmp(mode, "facts") == 0 ? print_facts : strcmp(mode, "hits") == 0 ? print_hits : print_verdict)(e, &m, &arena);
        }
        arena_deinit(&arena);
        spent += cpu() - before;
        n++;
    }
    fprintf(stderr, "messages %zu cpu_ms %.3f\n", n, n ? spent * 1000 / (double)n : 0);
    buf_deinit(&text);
    spam_engine_free(e);
    return 0;
}
