/* SPDX-License-Identifier: Apache-2.0
 * `postern quarantine release --allow`: senders go into checks.allow.senders of the configuration file, as `postern config set` would put them
 * there, by whoever may write that file. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/mem.h"
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/quarantine.h"
#include "config/parse.h"
#include "config/revision.h"

/* A plain address: what it is written into is a list of patterns, in YAML. */
static bool is_plain(struct slice a)
{
    ptrdiff_t at = slice_find(a, '@');
    if (at <= 0 || (size_t)at + 1 >= a.n || a.p[0] == '.' || a.n > 254) return false;
    for (size_t i = 0; i < a.n; i++) {
        char c = ascii_lower(a.p[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !strchr("@.+-_=", c)) return false;
    }
    return true;
}

static bool add_sender(const struct config *c, struct buf *text, struct change_sender *s, struct err *err)
{
    struct buf out = { 0 };
    char comment[64];
    time_t now = time(NULL);
    struct tm tm;
    strftime(comment, sizeof comment, "released from the quarantine on %Y-%m-%d", gmtime_r(&now, &tm));
    s->comment = comment;
    bool ok = change_add_sender(c, s, buf_slice(text), &out, err);
    buf_wipe(ok ? text : &out);
    if (ok) *text = out;
    return ok;
}

/* Where the entry would not have let the message at hand through, that is said, too. */
static void tell(const char *shown, const struct change_sender *s, bool was_proven)
{
    printf("%s is allowed from now on%s\n", shown, s->proven ? ", where SPF proves that it is them" : "");
    if (s->proven && !was_proven)
        printf("  which it did not for this message: --unproven allows them all the same\n");
}

#define NO_PROOF "checks.spf is off, so nothing proves who a sender is; --unproven adds it all the same"

static bool add_one(const struct config *c, struct buf *text, const json_t *m, bool unproven, struct err *err)
{
    struct change_sender s = { .address = slice_str(cli_text_of(m, "sender")), .allow = true, .unproven = unproven };
    struct buf shown = { 0 };
    bool ok = true;
    buf_add_printable(&shown, s.address, 200);
    if (is_plain(s.address)) {
        ok = add_sender(c, text, &s, err);
        if (ok) tell(buf_cstr(&shown), &s, json_is_true(json_object_get(m, "proven")));
    } else if (s.address.n)
        fprintf(stderr, "postern: %s is not added to checks.allow.senders: put it there by hand\n", buf_cstr(&shown));
    else fputs("postern: a message without a sender (a bounce) has nobody who could be allowed\n", stderr);
    buf_deinit(&shown);
    return ok;
}

static bool add_all(struct buf *text, const struct config *c, const json_t *released, bool unproven, struct err *err)
{
    size_t i;
    const json_t *m;
    if (!c->checks.spf.enabled && !unproven) return err_set(err, NO_PROOF);
    json_array_foreach(released, i, m) {
        struct slice s = slice_str(cli_text_of(m, "sender"));
        size_t before = 0;
        while (before < i && !slice_eq(slice_str(cli_text_of(json_array_get(released, before), "sender")), s)) before++;
        if (before == i && !add_one(c, text, m, unproven, err)) return false;
    }
    return true;
}

/* NULL: it cannot be read, or has errors. */
static struct config *read_config(const struct store *s, struct buf *text, struct err *err)
{
    struct config_report report = { 0 };
    if (!config_read_file(s->file, text, err)) return NULL;
    struct config *c = config_parse(buf_slice(text), s->file, &report);
    config_report_deinit(&report);
    if (!c) err_set(err, "%.250s is not right as it is; see `postern check`", s->file);
    return c;
}

static bool write_text(struct store *s, struct slice old_text, struct slice text, struct err *err)
{
    struct config_report report = { 0 };
    uint64_t number;
    enum change_outcome got = change_write(s, old_text, text, "quarantine release --allow", &report, &number, err);
    if (got == CHANGE_ERRORS) err_set_text(err, "not written: the file would have errors; see `postern check`");
    config_report_deinit(&report);
    return got == CHANGE_WRITTEN || got == CHANGE_SAME;
}

static bool change(struct store *s, const json_t *released, bool unproven, bool *changed, struct err *err)
{
    struct buf old_text = { 0 }, text = { 0 };
    struct config *c = read_config(s, &old_text, err);
    bool ok = c != NULL;
    if (ok) {
        buf_add(&text, buf_slice(&old_text));
        ok = add_all(&text, c, released, unproven, err);
        *changed = ok && !slice_eq(buf_slice(&old_text), buf_slice(&text));
    }
    if (*changed) ok = write_text(s, buf_slice(&old_text), buf_slice(&text), err);
    config_free(c);
    buf_wipe(&old_text);
    buf_wipe(&text);
    return ok;
}

/* Of a file that can be read, and changed. */
static bool may_change(const struct store *s, bool unproven, struct err *err)
{
    struct buf text = { 0 };
    struct config *c = read_config(s, &text, err);
    bool ok = c != NULL;
    if (ok && !unproven && !c->checks.spf.enabled) ok = err_set(err, NO_PROOF);
    config_free(c);
    buf_wipe(&text);
    return ok;
}

int quarantine_may_allow(const char *config, bool unproven)
{
    struct store s;
    struct err err;
    bool opened = store_open(&s, config, true, &err), ok = opened && may_change(&s, unproven, &err);
    if (opened) store_close(&s);
    if (!ok) fprintf(stderr, "postern: nothing was released, as the sender cannot be allowed: %s\n", err.text);
    return ok ? 0 : EX_CANTCREAT;
}

int quarantine_allow(const char *config, const char *socket, const json_t *released, bool unproven)
{
    struct store s;
    struct err err;
    bool changed = false;
    if (!store_open(&s, config, true, &err)) {
        fprintf(stderr, "postern: released, but the sender is not allowed: %s\n", err.text);
        return EX_CANTCREAT;
    }
    bool ok = change(&s, released, unproven, &changed, &err);
    store_close(&s);
    if (!ok) {
        fprintf(stderr, "postern: released, but the sender is not allowed: %s\n", err.text);
        return EX_CANTCREAT;
    }
    if (!changed) return 0;
    json_t *a = cli_request(socket, "POST", "/v1/reload", NULL, &err);
    bool loaded = a && json_is_true(json_object_get(a, "ok"));
    if (!a) fprintf(stderr, "postern: %s\n", err.text);
    else if (!loaded) fprintf(stderr, "postern: the configuration is written, but not in force: see `postern reload`\n");
    json_decref(a);
    return loaded ? 0 : EX_CONFIG;
}
