/* SPDX-License-Identifier: Apache-2.0
 * What looks into messages: scanners that can be asked, limits that fit each other, handlings that say where mail goes;
 * and the quarantine. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

#define SOCKET_PATH_MAX 107
#define DIGEST_TIMES_MAX 8

/* ---- how messages are looked into */

static void check_scan(const struct check *k)
{
    const struct config_scan *s = &k->c->scan;
    const struct yaml_node *scan = yaml_get(k->root, "scan"), *time = yaml_get(scan, "unpack_time"),
                           *size = yaml_get(scan, "unpacked");
    if (s->unpack_time >= s->timeout)
        yaml_error(k->report, yaml_either(time, yaml_get(scan, "timeout")), "make timeout longer",
                   "unpack_time is not shorter than timeout: nothing would be left for the scanners");
    if (s->unpacked > s->memory)
        yaml_error(k->report, yaml_either(size, yaml_get(scan, "memory")), "make memory larger, twice as much is usual",
                   "unpacked is more than memory: a message that is unpacked would end the process");
}

/* ---- scanners */

/* "unix:/run/clamav/clamd.ctl", "127.0.0.1:3310", "[::1]:3310", "scan.example.com:3310". NULL: fine. */
static const char *address_problem(struct slice text)
{
    struct slice host, port;
    bool bracketed;
    uint64_t number;
    struct ip ip;
    if (slice_starts(text, SLICE("unix:"))) {
        if (text.n < 6 || text.p[5] != '/') return "the path of a socket begins with /";
        return text.n - 5 > SOCKET_PATH_MAX ? "the path of a socket has at most 107 characters" : NULL;
    }
    if (slice_starts(text, SLICE("inet:"))) return "write it as host:port, without inet:";
    if (slice_starts(text, SLICE("/"))) return "before the path of a socket write unix:";
    if (!value_split_port(text, &host, &port, &bracketed) || !port.n) return "the port is missing";
    if (!slice_to_u64(port, 65535, &number) || !number) return "a port is a number from 1 to 65535";
    if (bracketed) return ip_parse(host, &ip) && ip.family == 6 ? NULL : "between brackets stands an IPv6 address";
    bool ok = host.n > 0 && host.n < 254;
    for (size_t i = 0; i < host.n && ok; i++)
        ok = (unsigned char)host.p[i] < 0x7F && host.p[i] > ' ' && host.p[i] != '/' && host.p[i] != '@';
    return ok ? NULL : "the host is no name and no address";
}

/* The program itself; its arguments are its own affair. */
static void check_command(const struct check *k, const char *command, const struct yaml_node *node)
{
    struct slice rest = slice_str(command), program;
    struct stat st;
    char path[1024];
    slice_cut(&rest, ' ', &program);
    const char *shown = report_quote(k->report, program);
    if (!program.n || program.p[0] != '/' || program.n >= sizeof path) {
        yaml_error(k->report, node, "write the whole path, as in /usr/bin/scan --quiet {}",
                   "\"%s\" is not the path of a program", shown);
        return;
    }
    memcpy(path, program.p, program.n);
    path[program.n] = 0;
    if (stat(path, &st) < 0) {
        int code = errno;
        report_add(k->report, code == EACCES, yaml_place(node), yaml_path(k->report, node), NULL, "%s: %s", shown,
                   strerror(code));
    } else if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
        yaml_error(k->report, node, "name a program", "%s is not a program", shown);
}

static const struct {
    const char *word, *address; /* an example of it */
} scanner_types[] = {
    [CONFIG_SCANNER_CLAMD] = { "clamd", "unix:/run/clamav/clamd.ctl" },
    [CONFIG_SCANNER_ICAP] = { "icap", "127.0.0.1:1344" },
    [CONFIG_SCANNER_COMMAND] = { "command", NULL },
    [CONFIG_SCANNER_SPAMD] = { "spamd", "127.0.0.1:783" },
    [CONFIG_SCANNER_RSPAMD] = { "rspamd", "127.0.0.1:11333" },
    [CONFIG_SCANNER_MILTER] = { "milter", "unix:/run/milter/milter.sock" },
};

/* What a type has no use for. */
static void check_unused(const struct check *k, const struct config_scanner *s, const struct yaml_node *node)
{
    const struct {
        const char *option;
        bool used;
    } all[] = {
        { "address", s->type != CONFIG_SCANNER_COMMAND },
        { "command", s->type == CONFIG_SCANNER_COMMAND },
        { "service", s->type == CONFIG_SCANNER_ICAP || s->type == CONFIG_SCANNER_SPAMD },
        { "password_file", s->type == CONFIG_SCANNER_RSPAMD },
    };
    for (size_t i = 0; i < countof(all); i++)
        if (!all[i].used && yaml_get(node, all[i].option))
            yaml_error(k->report, yaml_get(node, all[i].option), "leave it out", "scanners of type %s have no %s",
                       scanner_types[s->type].word, all[i].option);
}

static void check_reached(const struct check *k, const struct config_scanner *s, const struct yaml_node *node)
{
    const char *type = scanner_types[s->type].word, *example = scanner_types[s->type].address;
    const struct yaml_node *address = yaml_get(node, "address"), *command = yaml_get(node, "command"),
                           *at = yaml_get(node, "type");
    if (s->type == CONFIG_SCANNER_COMMAND) {
        if (!s->command)
            yaml_error(k->report, at, "add for example command: /usr/local/bin/scan {}",
                       "a scanner of type command needs command");
        else if (s->enabled) check_command(k, s->command, command);
    } else if (!s->address)
        yaml_error(k->report, at, report_text(k->report, "add for example address: %s", example),
                   "a scanner of type %s needs address", type);
    else {
        const char *why = address_problem(slice_str(s->address));
        if (why)
            yaml_error(k->report, address, report_text(k->report, "write for example %s", example),
                       "\"%s\" is no address: %s", report_quote(k->report, slice_str(s->address)), why);
    }
    if (s->type == CONFIG_SCANNER_ICAP && !s->service)
        yaml_error(k->report, at, "add for example service: avscan, as the server calls it",
                   "a scanner of type icap needs service");
    check_file(k, yaml_get(node, "password_file"), s->password_file, CHECK_FILE_SECRET_LATER);
}

static void check_scanner(const struct check *k, const struct config_scanner *s, const struct yaml_node *node)
{
    const struct config *c = k->c;
    if ((size_t)s->type >= countof(scanner_types)) return; /* it has a finding already */
    bool virus = scanner_is_for_virus(s->type);
    if (!strcmp(s->name, "builtin"))
        yaml_error(k->report, yaml_get(node, "name"), "call it otherwise",
                   "\"builtin\" is the name of the built-in engine");
    check_unused(k, s, node);
    check_reached(k, s, node);
    if (!s->enabled) return;
    if (s->timeout > c->scan.timeout)
        yaml_warning(k->report, yaml_either(yaml_get(node, "timeout"), node), "make scan.timeout longer",
                     "it is waited for longer than scan.timeout allows for all of them");
    if (virus && s->max_size && s->max_size < c->limits.message_size) {
        struct buf b = { 0 };
        value_format_size(s->max_size, &b);
        yaml_warning(k->report, yaml_either(yaml_get(node, "max_size"), node),
                     "write max_size: as large as limits.message_size, or 0",
                     "messages above %s are not looked at for viruses, and always %s", buf_cstr(&b),
                     s->trouble == CONFIG_TROUBLE_MARK ? "delivered so" : "deferred");
        buf_deinit(&b);
    }
    if (virus && s->trouble == CONFIG_TROUBLE_MARK)
        yaml_warning(k->report, yaml_get(node, "trouble"), "trouble: defer holds mail back until it is looked at",
                     "while the scanner is away viruses are delivered: a header tells that nobody looked");
}

/* ---- what becomes of mail */

void check_handling(const struct check *k, enum config_handling action, const char *address,
                    const struct yaml_node *group)
{
    const struct yaml_node *node = yaml_get(group, "action"), *to = yaml_get(group, "address");
    if (action == CONFIG_HANDLE_REDIRECT && !address)
        yaml_error(k->report, node, "add for example address: held@example.com",
                   "redirect needs address: where the mail goes");
    if (action != CONFIG_HANDLE_REDIRECT && address)
        yaml_warning(k->report, to, "set action: redirect, or remove it", "nothing goes to this address");
    if (action == CONFIG_HANDLE_DISCARD)
        yaml_warning(k->report, node, "quarantine keeps it, reject tells the sender",
                     "the mail is lost, and neither sender nor recipient learns of it");
}

static void check_notify(const struct check *k, const struct config_notify *n, const struct yaml_node *group)
{
    const struct yaml_node *notify = yaml_get(group, "notify"), *own = yaml_get(notify, "own_only"),
                           *from = yaml_get(notify, "from");
    if (n->from && !n->address && !n->recipients)
        yaml_warning(k->report, from, "set address, or recipients: yes", "nobody is told");
    if (!n->own_only && !n->recipients)
        yaml_warning(k->report, own, "set recipients: yes, or remove it", "recipients are not told at all");
    else if (n->recipients && !n->own_only)
        yaml_warning(k->report, own, "remove it: own_only: yes is the default",
                     "people elsewhere would be told of mail they never asked for");
}

bool check_has_virus_scanner(const struct config *c)
{
    for (size_t i = 0; i < c->scanner_n; i++)
        if (c->scanners[i].enabled && scanner_is_for_virus(c->scanners[i].type)) return true;
    return false;
}

static void check_virus(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *virus = yaml_get(k->root, "virus");
    if (virus && !check_has_virus_scanner(c))
        yaml_warning(k->report, virus,
                     "add for example scanners: [{name: clamav, type: clamd, address: \"unix:/run/clamav/clamd.ctl\"}]",
                     "there is no scanner for viruses: none is ever found");
    check_handling(k, c->virus.action, c->virus.address, virus);
    if (c->virus.action == CONFIG_HANDLE_PASS)
        yaml_warning(k->report, yaml_get(virus, "action"), "reject is usual", "viruses are delivered");
    check_notify(k, &c->virus.notify, virus);
}

/* ---- attachments */

const char *check_pattern_problem(struct slice pattern)
{
    bool open = false;
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] == '\\' && ++i == pattern.n) return "nothing follows the \\ at its end";
        if (pattern.p[i] == '[' && !open) {
            open = true;
            if (i + 1 < pattern.n && (pattern.p[i + 1] == '!' || pattern.p[i + 1] == '^')) i++;
            if (i + 1 < pattern.n && pattern.p[i + 1] == ']') i++; /* the first one is meant as it is */
        } else if (pattern.p[i] == ']') open = false;
    }
    return open ? "a [ without its ]" : NULL;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || strchr("()<>@,;:\\\"/[]?=", s.p[i])) return false; /* RFC 2045 §5.1 */
    return s.n > 0;
}

bool check_is_type(struct slice text)
{
    struct slice minor = text, major;
    return slice_cut(&minor, '/', &major) && is_token(major) && !slice_eq(major, SLICE("*")) && is_token(minor);
}

static void check_names(const struct check *k, const struct yaml_node *attachments)
{
    const struct config_attachments *a = &k->c->attachments;
    const struct yaml_node *item = yaml_items(yaml_get(attachments, "extensions"));
    for (size_t i = 0; i < a->extension_n && item; i++, item = item->next) {
        const char *text = a->extensions[i], *shown = report_quote(k->report, slice_str(text));
        if (text[0] == '.' || text[0] == '*')
            yaml_error(k->report, item, report_text(k->report, "write %s", shown + strspn(shown, "*.")),
                       "\"%s\": extensions are written without the dot", shown);
        else if (strpbrk(text, "/\\*? ")) yaml_error(k->report, item, NULL, "\"%s\" is not an extension", shown);
    }
    item = yaml_items(yaml_get(attachments, "types"));
    for (size_t i = 0; i < a->type_n && item; i++, item = item->next)
        if (!check_is_type(slice_str(a->types[i])))
            yaml_error(k->report, item, "write for example application/x-dosexec or video/*", "\"%s\" is not a type",
                       report_quote(k->report, slice_str(a->types[i])));
    item = yaml_items(yaml_get(attachments, "allow"));
    for (size_t i = 0; i < a->allow_n && item; i++, item = item->next) {
        const char *why = check_pattern_problem(slice_str(a->allow[i]));
        if (why)
            yaml_error(k->report, item, "write for example report-*.js", "\"%s\": %s",
                       report_quote(k->report, slice_str(a->allow[i])), why);
        else if (!a->allow[i][strspn(a->allow[i], "*")])
            yaml_warning(k->report, item, NULL, "all names fit: nothing is ever blocked");
    }
}

static void check_attachments(const struct check *k)
{
    const struct config_attachments *a = &k->c->attachments;
    const struct yaml_node *group = yaml_get(k->root, "attachments");
    check_names(k, group);
    check_handling(k, a->action, a->address, group);
    check_notify(k, &a->notify, group);
    if (group && group->n && !a->enabled && !yaml_get(group, "enabled"))
        yaml_warning(k->report, group, "add enabled: yes", "nothing is blocked: attachments are not looked at");
    if (a->enabled && a->action == CONFIG_HANDLE_PASS)
        yaml_warning(k->report, yaml_get(group, "action"), "strip, quarantine or reject hold them back",
                     "blocked attachments are delivered: only a header tells");
}

/* ---- quarantine */

static bool listen_ok(struct slice text)
{
    struct slice host, port;
    bool bracketed;
    uint64_t number;
    struct ip ip;
    if (!value_split_port(text, &host, &port, &bracketed) || !slice_to_u64(port, 65535, &number) || !number)
        return false;
    return slice_eq(host, SLICE("*")) || (ip_parse(host, &ip) && bracketed == (ip.family == 6));
}

static void check_links(const struct check *k, const struct yaml_node *digest)
{
    const struct config_quarantine *q = &k->c->quarantine;
    const struct yaml_node *url = yaml_get(digest, "url"), *listen = yaml_get(digest, "listen"),
                           *certificate = yaml_get(digest, "certificate"), *key = yaml_get(digest, "key");
    bool secure = q->digest.url && slice_istarts(slice_str(q->digest.url), SLICE("https://"));
    bool plain = q->digest.url && slice_istarts(slice_str(q->digest.url), SLICE("http://"));
    if (q->digest.url && ((!secure && !plain) || strpbrk(q->digest.url, " ?#<>\"") || !q->digest.url[secure ? 8 : 7]))
        yaml_error(k->report, url, "write for example https://mail.example.com:8443", "\"%s\" is not the URL of a page",
                   report_quote(k->report, slice_str(q->digest.url)));
    else if (plain && !check_is_here(slice_str(q->digest.url + 7)))
        yaml_warning(k->report, url, "use https://", "whoever reads a link on its way can release the mail");
    if (q->digest.url && !q->digest.listen)
        yaml_error(k->report, url, "add for example listen: \"*:8443\"", "nobody listens where the links lead to");
    if (q->digest.listen && !q->digest.url)
        yaml_error(k->report, listen, "add for example url: https://mail.example.com:8443",
                   "without url there are no links that lead here");
    if (q->digest.listen && !listen_ok(slice_str(q->digest.listen)))
        yaml_error(k->report, listen, "write for example \"*:8443\", 192.0.2.1:8443 or \"[2001:db8::1]:8443\"",
                   "\"%s\" is not an address with a port", report_quote(k->report, slice_str(q->digest.listen)));
    if (!q->digest.certificate != !q->digest.key)
        yaml_error(k->report, yaml_either(certificate, key), q->digest.key ? "add certificate" : "add key",
                   "certificate and key belong together");
    if (secure && q->digest.listen && !q->digest.certificate && listen_ok(slice_str(q->digest.listen)) && !check_is_here(slice_str(q->digest.listen)))
        yaml_warning(k->report, listen, "add certificate and key, or listen on 127.0.0.1 with a proxy in front",
                     "the page speaks plain HTTP where others can reach it");
    if (plain && q->digest.certificate)
        yaml_error(k->report, url, "write https://", "the page speaks TLS: with http:// nobody reaches it");
    check_file(k, certificate, q->digest.certificate, CHECK_FILE);
    check_file(k, key, q->digest.key, CHECK_FILE_SECRET);
}

static void check_quarantine(const struct check *k)
{
    const struct config_quarantine *q = &k->c->quarantine;
    const struct yaml_node *digest = yaml_get(yaml_get(k->root, "quarantine"), "digest"), *at = yaml_get(digest, "at"),
                           *item = yaml_items(yaml_get(digest, "domains"));
    check_links(k, digest);
    for (size_t i = 0; i < q->digest.domain_n && item; i++, item = item->next)
        if (q->digest.domains[i][0] && !config_may_be_domain(k->c, slice_str(q->digest.domains[i])))
            yaml_error(k->report, item, "declare it below domains:", "%s is not a relay domain", q->digest.domains[i]);
    if (q->digest.at_n > DIGEST_TIMES_MAX)
        yaml_error(k->report, at, NULL, "%zu times of the day: at most %d are possible", q->digest.at_n,
                   DIGEST_TIMES_MAX);
    if (q->digest.enabled && !q->digest.at_n)
        yaml_error(k->report, at, "write for example [\"07:00\"]", "a digest is never sent");
    if (q->size && q->size < k->c->limits.message_size)
        yaml_warning(k->report, yaml_get(yaml_get(k->root, "quarantine"), "size"), NULL,
                     "less than limits.message_size: there are messages that never fit");
}

void check_content(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "scanners");
    check_scan(k);
    for (size_t i = 0; i < k->c->scanner_n && node; i++, node = node->next) check_scanner(k, &k->c->scanners[i], node);
    check_attachments(k);
    check_virus(k);
    check_spam(k);
    check_rules(k);
    check_quarantine(k);
}
