/* SPDX-License-Identifier: Apache-2.0
 * What the admin process needs for the web administration and only the master can give: the socket, and certificate and key as descriptors,
 * which are not read here. The relay never waits for any of it: what fails is told, and the socket is tried again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "config/value.h"
#include "proc/process.h"
#include "proc/web.h"

#define AGAIN_MS 1500

static const struct generation *serving(const struct master *m)
{
    return m->current ? m->current : m->next;
}

/* ---- the socket */

static void close_socket(struct web_socket *w)
{
    if (w->fd >= 0) close(w->fd);
    free(w->listen);
    w->fd = -1;
    w->listen = NULL;
}

/* One line for each thing that is wrong, not one a try. */
static void tell_failed(struct web_socket *w, const struct err *err)
{
    if (!strcmp(w->fault, err->text)) return;
    snprintf(w->fault, sizeof w->fault, "%s", err->text);
    log_event(LOG_ERROR, "web-failed", LOG_ERR(err));
}

/* Binds what the configuration names, unless it is bound. */
static bool open_socket(struct master *m, const struct config_web *c)
{
    struct web_socket *w = &m->web;
    struct err err;
    if (!c->enabled) {
        close_socket(w);
        return false;
    }
    if (w->fd >= 0 && !strcmp(w->listen, c->listen)) return true;
    close_socket(w);
    w->tried = clock_mono_ms();
    w->fd = listen_open_one(slice_str(c->listen), "web.listen", &err);
    if (w->fd < 0) {
        tell_failed(w, &err);
        return false;
    }
    w->fault[0] = 0;
    w->listen = mem_strdup(c->listen);
    return true;
}

/* ---- to the admin process */

static void send_fd(struct child *admin, const char *what, int fd)
{
    child_send(admin, json_pack("{s:s, s:s}", "op", "web-file", "what", what), fd);
}

static void send_file(struct master *m, struct child *admin, const char *what, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        snprintf(m->web.file_fault, sizeof m->web.file_fault, "%.250s: %.100s", path ? path : "", strerror(errno));
        log_event(LOG_ERROR, "web-failed", LOG_STR("file", path), LOG_STR("error", strerror(errno)));
        return;
    }
    send_fd(admin, what, fd);
    close(fd);
}

/* Those of web, else of tls, else the ones made at first start, which may have been for STARTTLS only so far. */
static void send_files(struct master *m, const struct config *c)
{
    char made[2][4300];
    const char *certificate = c->web.certificate, *key = c->web.key;
    snprintf(made[0], sizeof made[0], "%s/tls/certificate.pem", m->directory);
    snprintf(made[1], sizeof made[1], "%s/tls/key.pem", m->directory);
    if (!certificate) {
        bool own = *c->tls.certificate;
        certificate = own ? c->tls.certificate : made[0];
        key = own ? c->tls.key : made[1];
    } else if (!key) {
        key = certificate; /* both in one file */
    }
    m->web.file_fault[0] = 0;
    send_file(m, m->admin, "certificate", certificate);
    send_file(m, m->admin, "key", key);
}

/* How people reach it, as far as we can know. */
static json_t *url_of(const struct config *c)
{
    struct slice host, port;
    struct ip ip;
    bool bracketed;
    if (c->web.url) return json_string(c->web.url);
    if (!value_split_port(slice_str(c->web.listen), &host, &port, &bracketed)) return json_null();
    bool all = !ip_parse(host, &ip) || ip_is_unspecified(&ip);
    if (all) return json_sprintf("https://%s:%.*s", c->hostname, SLICE_ARG(port));
    return json_sprintf("https://%s%.*s%s:%.*s", ip.family == 6 ? "[" : "", SLICE_ARG(host), ip.family == 6 ? "]" : "", SLICE_ARG(port));
}

static json_t *networks_of(const struct config_web *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->network_n; i++) {
        struct buf b = { 0 };
        value_format_net(&c->networks[i], &b);
        json_array_append_new(list, json_string(buf_cstr(&b)));
        buf_deinit(&b);
    }
    return list;
}

void web_tell_admin(struct master *m)
{
    const struct config *c = serving(m)->config;
    if (!m->admin) return;
    bool on = open_socket(m, &c->web);
    if (on) {
        send_fd(m->admin, "socket", m->web.fd);
        send_files(m, c);
    }
    child_send(m->admin, json_pack("{s:s, s:b, s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:b}", "op", "web", "enabled", on, "listen", c->web.listen,
                                   "url", url_of(c), "hostname", c->hostname, "networks", networks_of(&c->web), "session_idle",
                                   (json_int_t)c->web.session_idle, "session_max", (json_int_t)c->web.session_max, "audit",
                                   (json_int_t)c->web.audit, "second_factor", c->web.second_factor), -1);
}

json_t *web_describe(const struct master *m)
{
    const struct config_web *c = &serving(m)->config->web;
    const char *fault = m->web.fd < 0 ? m->web.fault : m->web.file_fault;
    json_t *d = json_pack("{s:b, s:s}", "enabled", c->enabled, "listen", c->listen);
    if (c->enabled && *fault) json_object_set_new(d, "error", json_string(fault));
    return d ? d : json_null();
}

void web_tick(struct master *m)
{
    const struct generation *g = serving(m);
    if (!g || !g->config->web.enabled || m->web.fd >= 0 || m->stopping || clock_mono_ms() - m->web.tried < AGAIN_MS) return;
    if (open_socket(m, &g->config->web)) web_tell_admin(m);
}

void web_init(struct master *m)
{
    m->web = (struct web_socket){ .fd = -1 };
}

void web_end(struct master *m)
{
    close_socket(&m->web);
}
