/* SPDX-License-Identifier: Apache-2.0
 * A new configuration: read, checked, its workers started beside the old ones; when all of them are ready they get the
 * sockets and the old ones drain. Anything that goes wrong before leaves everything as it was. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "config/parse.h"
#include "net/tls.h"
#include "proc/process.h"

#define DRAINING_MAX 8  /* earlier configurations whose workers have all of system.drain */
#define HURRIED_MS 1000 /* of others */
#define ASKERS_MAX 1000 /* the admin process has far fewer connections */

json_t *reload_log_findings(const struct config_report *r, const char *file)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct config_finding *f = &r->findings[i];
        log_event(f->warning ? LOG_WARNING : LOG_ERROR, "configuration", LOG_STR("file", file),
                  LOG_NUM("line", f->place.line), LOG_NUM("column", f->place.column), LOG_STR("option", f->option),
                  LOG_STR("text", f->text), LOG_STR("hint", f->hint));
        /* text with bytes that are not UTF-8 does not become JSON; the log has it */
        json_t *finding =
            json_pack("{s:b, s:i, s:i, s:s, s:s, s:s}", "warning", f->warning, "line", (int)f->place.line, "column",
                      (int)f->place.column, "option", f->option, "text", f->text, "hint", f->hint);
        if (finding) json_array_append_new(all, finding);
    }
    return all;
}

/* Tells everybody who asked. error: NULL when it went well. */
static void answer(struct master *m, const char *error)
{
    size_t i;
    const json_t *id;
    if (!m->reload_findings) m->reload_findings = json_array();
    json_array_foreach(m->reload_ids, i, id) {
        if (!m->admin) break;
        json_t *a = json_pack("{s:O, s:{s:b, s:s, s:O}}", "id", id, "answer", "ok", error == NULL, "file", m->file,
                              "findings", m->reload_findings);
        if (!a) continue; /* a path that is not UTF-8 */
        if (error) json_object_set_new(json_object_get(a, "answer"), "error", json_string(error));
        int result = config_work_take_result(m, id);
        child_send(m->admin, a, result);
        if (result >= 0) close(result);
    }
    json_array_clear(m->reload_ids);
    json_decref(m->reload_findings);
    m->reload_findings = NULL;
    if (!m->stopping) notify_send("READY=1");
}

void reload_stop(struct master *m)
{
    m->reload_again = false;
    json_array_extend(m->reload_ids, m->reload_later);
    json_array_clear(m->reload_later);
    if (json_array_size(m->reload_ids)) answer(m, "the relay is being stopped");
}

static void finish(struct master *m, const char *error)
{
    if (error) log_event(LOG_ERROR, "reload-failed", LOG_STR("reason", error));
    answer(m, error);
    if (!m->reload_again || m->stopping) return;
    m->reload_again = false;
    json_array_extend(m->reload_ids, m->reload_later);
    json_array_clear(m->reload_later);
    reload_start(m, NULL);
}

/* What only a restart changes. */
static void check_unchanged(struct master *m, const struct config *c)
{
    const struct {
        const char *option, *is, *wanted;
    } fixed[] = {
        { "system.directory", m->directory, c->system.directory },
        { "system.run_directory", m->run_directory, c->system.run_directory },
        { "system.user", m->current->config->system.user, c->system.user },
        { "system.admin_user", m->current->config->system.admin_user, c->system.admin_user },
        { "system.store_user", m->current->config->system.store_user, c->system.store_user },
        { "system.scan_user", m->current->config->system.scan_user, c->system.scan_user },
        { "system.table_user", m->current->config->system.table_user, c->system.table_user },
        { "system.mail_user", m->current->config->system.mail_user, c->system.mail_user },
    };
    for (size_t i = 0; i < countof(fixed); i++) {
        if (!strcmp(fixed[i].is, fixed[i].wanted)) continue;
        log_event(LOG_WARNING, "needs-restart", LOG_STR("option", fixed[i].option));
        json_array_append_new(m->reload_findings, json_pack("{s:b, s:i, s:i, s:s, s:s, s:s}", "warning", 1, "line", 0,
                                                            "column", 0, "option", fixed[i].option, "text",
                                                            "takes effect only after a restart", "hint", ""));
    }
}

bool reload_check_certificates(const char *file, const struct config *c, struct config_report *report)
{
    struct buf text = { 0 };
    struct err err;
    if (!config_read_file(file, &text, &err)) buf_deinit(&text); /* only the places are missed */
    bool ok = tls_check(c, buf_slice(&text), report);
    ok = config_check_sources(c, buf_slice(&text), report) && ok;
    buf_wipe(&text); /* passwords: workers are forked with what is left here */
    return ok;
}

static struct config *load(struct master *m)
{
    struct config_report report = { 0 };
    struct config *c = config_load(m->file, &report);
    if (c && !reload_check_certificates(m->file, c, &report)) {
        config_free(c);
        c = NULL;
    }
    m->reload_findings = reload_log_findings(&report, m->file);
    config_report_deinit(&report);
    if (c) check_unchanged(m, c);
    return c;
}

void reload_start(struct master *m, json_t *id)
{
    char text[96];
    struct err err;
    if (m->stopping) {
        json_array_append_new(m->reload_ids, id);
        reload_stop(m);
        return;
    }
    json_t *askers = m->next ? m->reload_later : m->reload_ids;
    if (json_array_size(askers) < ASKERS_MAX) json_array_append_new(askers, id); /* no id: a signal, nobody waits */
    else json_decref(id);
    if (m->next) { /* whoever asks now may mean a newer file than the one being brought in */
        m->reload_again = true;
        return;
    }
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
    notify_send(text);
    struct config *c = load(m);
    if (!c) {
        finish(m, "the configuration has errors; the former one stays in force");
        return;
    }
    m->next = generation_new(m, c, m->current->listeners, false, &err);
    if (!m->next) config_free(c);
    else if (generation_start(m->next, &err)) return;
    reload_failed(m, err.text);
}

void reload_failed(struct master *m, const char *why)
{
    char reason[400]; /* `why` may belong to what is freed here */
    snprintf(reason, sizeof reason, "%s", why);
    if (m->next) generation_drain(m->next, 0);
    generation_free(&m->next);
    if (!m->current) { /* the very first one */
        log_event(LOG_ERROR, "start-failed", LOG_STR("reason", reason));
        master_stop(m, 0, EXIT_FAILURE);
        return;
    }
    generation_share_sockets(m->current); /* ports may have grown sockets for workers that never came */
    finish(m, reason);
}

/* Whoever may have the configuration read again could have ever more workers wait for clients that take their time. */
static uint64_t drain_ms(const struct master *m, const struct generation *old)
{
    size_t n = 0;
    list_each(it, &m->children) {
        const struct child *c = list_entry(it, struct child, node);
        n += c->role == CHILD_WORKER && c->state == CHILD_DRAINING;
    }
    uint64_t ms = old->config->system.drain;
    return n >= (size_t)DRAINING_MAX * old->slot_n && ms > HURRIED_MS ? HURRIED_MS : ms;
}

/* All new workers have their spools: from here on they accept. The old ones get word after that; what arrives between
 * waits in the accept queues, which both share. */
void reload_ready(struct master *m)
{
    struct generation *old = m->current;
    if (!generation_ready(m->next)) return;
    m->current = m->next;
    m->next = NULL;
    generation_serve(m->current);
    master_set_log(m->current->config, "master");
    counters_set_wanted(config_webhook_events(m->current->config));
    store_set_limits(m);
    if (old) digest_tell_admin(m);
    if (old) web_tell_admin(m);
    struct buf listeners = { 0 };
    listen_set_describe(m->current->config, &listeners);
    log_event(LOG_INFO, old ? "reloaded" : "ready", LOG_NUM("generation", m->current->number),
              LOG_NUM("workers", m->current->slot_n), LOG_TEXT("listeners", buf_slice(&listeners)));
    buf_deinit(&listeners);
    if (old) {
        generation_drain(old, drain_ms(m, old));
        generation_free(&old);
    }
    finish(m, NULL);
    workers_adopt(m);
}
