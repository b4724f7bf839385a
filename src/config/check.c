/* SPDX-License-Identifier: Apache-2.0
 * Checks between options, and config_load around everything. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/parse.h"
#include "config/secret.h"

#define RUN_DIRECTORY_MAX 90 /* a Unix socket's path has 107 bytes at the most */

static const struct yaml_node *at(const struct check *k, const char *group, const char *name)
{
    return yaml_get(yaml_get(k->root, group), name);
}

static void check_sizes(const struct check *k)
{
    const struct config *c = k->c;
    struct buf b = { 0 };
    if (c->limits.message_size_filtered < 2 * c->limits.message_size) {
        value_format_size(2 * c->limits.message_size, &b);
        yaml_error(k->report, at(k, "limits", "message_size_filtered"),
                   report_text(k->report, "write at least %s, or leave the line out", buf_cstr(&b)),
                   "less than twice message_size");
    }
    if (c->queue.inline_size * 4 > c->queue.segment_size)
        yaml_error(k->report, yaml_either(at(k, "queue", "segment_size"), at(k, "queue", "inline_size")), NULL,
                   "segment_size is less than four times inline_size");
    if (c->queue.memory < c->queue.inline_size * 4)
        yaml_error(k->report, yaml_either(at(k, "queue", "memory"), at(k, "queue", "inline_size")), NULL,
                   "memory is less than four times inline_size");
    buf_deinit(&b);
}

static void check_times(const struct check *k)
{
    const struct config *c = k->c;
    if (c->queue.retry_first > c->queue.retry_max)
        yaml_error(k->report, yaml_either(at(k, "queue", "retry_first"), at(k, "queue", "retry_max")), NULL,
                   "retry_first is longer than retry_max");
    if (c->queue.lifetime < c->queue.retry_first)
        yaml_error(k->report, yaml_either(at(k, "queue", "lifetime"), at(k, "queue", "retry_first")),
                   "mail would be returned before its second try", "lifetime is shorter than retry_first");
    if (c->queue.delay_warning > c->queue.lifetime)
        yaml_warning(k->report, yaml_either(at(k, "queue", "delay_warning"), at(k, "queue", "lifetime")),
                     "write 0 to switch the warning off", "delay_warning is longer than lifetime: it is never sent");
    if (c->timeouts.session && c->timeouts.session < c->timeouts.command)
        yaml_warning(k->report, at(k, "timeouts", "session"), NULL, "session is shorter than command");
    if (c->delivery.connections > c->delivery.connections_total)
        yaml_warning(k->report, yaml_either(at(k, "delivery", "connections"), at(k, "delivery", "connections_total")),
                     NULL, "more connections to one destination than connections_total");
}

/* Names of records are unique. The first of two wins the table, the second gets the finding. */
struct named {
    const char *name;
    struct config_place place;
};
static uint64_t hash_of_named(const void *item) { return hash_bytes(slice_str(((const struct named *)item)->name)); }
static bool named_is(const void *item, const void *key) { return !strcmp(((const struct named *)item)->name, key); }

static void check_unique(const struct check *k, const char *list, const char *field, const struct named *names,
                         size_t n)
{
    struct htable seen;
    htable_init(&seen, hash_of_named);
    const struct yaml_node *node = yaml_first(k->root, list);
    for (size_t i = 0; i < n && node; i++, node = node->next) {
        if (!names[i].name[0]) continue;
        const struct named *first = htable_find(&seen, hash_of_named(&names[i]), named_is, names[i].name);
        if (!first) htable_add(&seen, (void *)&names[i]);
        else yaml_error(k->report, yaml_either(yaml_get(node, field), node), "keep one of the two",
                        "%s is written twice: also at line %u", names[i].name, first->place.line);
    }
    htable_deinit(&seen);
}

static const char *text_of(const char *text) { return text ? text : ""; }

static void check_duplicates(const struct check *k)
{
    const struct config *c = k->c;
    size_t most = c->domain_n + c->route_n + c->listener_n + c->tls_policy_n + c->scanner_n + c->rule_n;
    struct named *names = mem_zalloc((most + 1) * sizeof *names);
    struct buf *texts = mem_zalloc((c->listener_n + 1) * sizeof *texts);
    for (size_t i = 0; i < c->domain_n; i++) names[i] = (struct named){ c->domains[i].name, c->domains[i].place };
    check_unique(k, "domains", "name", names, c->domain_n);
    for (size_t i = 0; i < c->route_n; i++) names[i] = (struct named){ text_of(c->routes[i].to), c->routes[i].place };
    check_unique(k, "routes", "to", names, c->route_n);
    for (size_t i = 0; i < c->route_n; i++) names[i] = (struct named){ text_of(c->routes[i].from), c->routes[i].place };
    check_unique(k, "routes", "from", names, c->route_n);
    for (size_t i = 0; i < c->tls_policy_n; i++)
        names[i] = (struct named){ c->tls_policies[i].to, c->tls_policies[i].place };
    check_unique(k, "tls_policies", "to", names, c->tls_policy_n);
    for (size_t i = 0; i < c->scanner_n; i++) names[i] = (struct named){ c->scanners[i].name, c->scanners[i].place };
    check_unique(k, "scanners", "name", names, c->scanner_n);
    for (size_t i = 0; i < c->rule_n; i++) names[i] = (struct named){ c->rules[i].name, c->rules[i].place };
    check_unique(k, "rules", "name", names, c->rule_n);
    for (size_t i = 0; i < c->listener_n; i++) {
        struct config_listener l = c->listeners[i];
        static const uint8_t any[16];
        if (l.ip.family == 6 && !memcmp(l.ip.bytes, any, 16)) l.ip.family = 0; /* [::] is * */
        if (l.port) value_format_endpoint(&l.ip, l.port, &texts[i]);
        names[i] = (struct named){ buf_cstr(&texts[i]), l.place };
    }
    check_unique(k, "listeners", "address", names, c->listener_n);
    for (size_t i = 0; i < c->listener_n; i++) buf_deinit(&texts[i]);
    free(texts);
    free(names);
}

/* Whether its contents are right is seen when it is used. */
void check_file(const struct check *k, const struct yaml_node *node, const char *path, enum check_file kind)
{
    struct stat st;
    if (!node || !path || !path[0]) return;
    bool later = kind == CHECK_FILE_LATER || kind == CHECK_FILE_SECRET_LATER, secret = kind == CHECK_FILE_SECRET || kind == CHECK_FILE_SECRET_LATER;
    const char *shown = report_quote(k->report, slice_str(path));
    if (stat(path, &st) < 0) {
        int code = errno;
        report_add(k->report, later || code == EACCES, node->place, yaml_path(k->report, node), NULL, "%s: %s", shown,
                   strerror(code));
    } else if (!S_ISREG(st.st_mode) && !(kind == CHECK_FILE_OR_FOLDER && S_ISDIR(st.st_mode)))
        report_add(k->report, later, node->place, yaml_path(k->report, node), NULL, "%s is not a file", shown);
    else if (secret && (st.st_mode & 0007))
        report_add(k->report, later, node->place, yaml_path(k->report, node),
                   report_text(k->report, "chmod o= %s", shown), "everybody on this machine can read %s", shown);
}

static void check_system(const struct check *k)
{
    const struct config *c = k->c;
    check_file(k, at(k, "dns", "trust_anchor"), c->dns.trust_anchor, CHECK_FILE);
    if (strlen(c->system.run_directory) > RUN_DIRECTORY_MAX)
        yaml_error(k->report, at(k, "system", "run_directory"), "sockets allow only short paths",
                   "the path is longer than %d characters", RUN_DIRECTORY_MAX);
}

/* A file that is right in itself, but does nothing. */
static void check_useful(const struct check *k)
{
    const struct config *c = k->c;
    bool trusted = false;
    for (size_t i = 0; i < c->zone_n; i++) trusted |= c->zones[i].trust == CONFIG_TRUST_RELAY;
    if (!c->domain_n && !trusted)
        report_warning(k->report, (struct config_place){ 1, 1 }, "", "add domains, or a zone with trust: relay",
                       "there are no domains and no trusted zone: all mail would be refused");
}

void check_all(const struct check *k)
{
    check_duplicates(k);
    check_closed_relay(k);
    check_hops(k);
    check_routes(k);
    check_rewriting(k);
    check_tables(k);
    check_zones(k);
    check_tls(k);
    check_auth(k);
    check_credentials(k);
    check_signing(k);
    check_checks(k);
    check_relaying(k);
    check_dns_lists(k);
    check_content(k);
    check_web(k);
    check_sizes(k);
    check_times(k);
    check_system(k);
    if (!k->report->errors) check_useful(k);
}

bool config_read_file(const char *path, struct buf *out, struct err *err)
{
    return config_read_up_to(path, YAML_TEXT_MAX, out, err);
}

bool config_read_up_to(const char *path, size_t max, struct buf *out, struct err *err)
{
    int fd = io_open_file(path, err);
    if (fd < 0) return false;
    struct stat st;
    ssize_t got = -1;
    bool ok = false;
    if (fstat(fd, &st) < 0) err_sys(err, errno, "cannot read %s", path);
    else if (st.st_size > (off_t)max) err_set(err, "%s is larger than %zu MB", path, max >> 20);
    else ok = buf_reserve(out, (size_t)st.st_size + 131072) != NULL; /* at once: growing would leave copies of secrets */
    while (ok && out->n <= max && (got = read(fd, buf_reserve(out, 65536), 65536)) > 0) out->n += (size_t)got;
    if (ok && got < 0) ok = err_sys(err, errno, "cannot read %s", path);
    if (ok && out->n > max) ok = err_set(err, "%s is larger than %zu MB", path, max >> 20); /* it grew */
    close(fd);
    return ok;
}

/* Fills *c; false: the text is not even YAML. */
static bool read_text(struct config *c, struct slice text, const char *path, struct config_report *report, bool whole)
{
    struct arena nodes = { 0 };
    bool empty;
    c->file = arena_strdup(&c->arena, slice_str(path));
    struct yaml_node *root = yaml_parse(text, &nodes, report, &empty);
    bool read = root || empty;
    if (read) parse_tree(c, root, report);
    if (read && whole) {
        lookup_build(c, root, report);
        check_all(&(struct check){ c, root, report });
    }
    secret_wipe(root);
    arena_deinit(&nodes);
    return read;
}

struct config *config_parse(struct slice text, const char *path, struct config_report *report)
{
    *report = (struct config_report){ 0 };
    struct config *c = mem_new(struct config);
    read_text(c, text, path, report, true);
    c->fingerprint = hash_bytes(text);
    report_sort(report);
    if (!report->errors) return c;
    config_free(c);
    return NULL;
}

bool config_run_directory(struct slice text, const char *path, struct buf *out)
{
    struct config_report report = { 0 };
    struct config *c = mem_new(struct config);
    bool read = read_text(c, text, path, &report, false);
    if (read) buf_add_str(out, c->system.run_directory);
    config_report_deinit(&report);
    config_free(c);
    return read;
}

struct config *config_load(const char *path, struct config_report *report)
{
    *report = (struct config_report){ 0 };
    struct buf text = { 0 };
    struct err err;
    struct config *c = NULL;
    if (config_read_file(path, &text, &err)) c = config_parse(buf_slice(&text), path, report);
    else report_error(report, (struct config_place){ 0 }, "", "the file is named with -c FILE", "%s", err.text);
    buf_wipe(&text);
    return c;
}

void config_free(struct config *c)
{
    if (!c) return;
    lookup_free(c);
    config_forget_secrets(c);
    arena_deinit(&c->arena);
    free(c);
}
