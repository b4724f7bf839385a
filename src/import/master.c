/* SPDX-License-Identifier: Apache-2.0
 * master.cf: where mail comes in, and ways out with settings of their own. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

void import_read_master(struct import *im)
{
    struct import_from none = { "master.cf", 0, SLICE("master.cf") };
    struct import_text *t = import_open(im, "master.cf", &none);
    struct slice line, word[8];
    struct import_from from;
    while (t && import_next(im, t, &line, &from)) {
        struct slice rest = line;
        size_t n = 0;
        while (n < 8 && import_word(&rest, &word[n])) n++;
        if (n < 8) {
            left_out(im, &from, NULL, "it is no service: eight columns");
            continue;
        }
        if (im->service_n == IMPORT_NAMES_MAX) return;
        from.text = slice_str(arena_printf(&im->arena, "%.*s %.*s ... %.*s", SLICE_ARG(word[0]), SLICE_ARG(word[1]), SLICE_ARG(word[7])));
        import_grow(im->services, im->service_n, im->service_cap);
        im->services[im->service_n++] = (struct import_service){ .name = import_str(im, word[0]), .type = import_str(im, word[1]),
                                                                 .command = import_str(im, word[7]), .from = from, .args = slice_trim(rest) };
    }
}

const struct import_service *import_service(const struct import *im, const char *name, const char *type)
{
    for (size_t i = 0; i < im->service_n; i++)
        if (!strcmp(im->services[i].name, name) && !strcmp(im->services[i].type, type)) return &im->services[i];
    return NULL;
}

/* The next "-o name=value"; false: there is none. */
static bool next_override(struct slice *args, struct slice *name, struct slice *value)
{
    struct slice word;
    for (;;) {
        size_t n = 0;
        *args = slice_trim(*args);
        if (!args->n) return false;
        if (args->p[0] == '{') {
            if (!import_word(args, &word)) return false;
        } else {
            while (n < args->n && args->p[n] != ' ' && args->p[n] != '\t') n++;
            word = slice_sub(*args, 0, n);
            *args = slice_sub(*args, n, args->n);
        }
        if (slice_eq(word, SLICE("-o"))) continue;
        if (slice_starts(word, SLICE("-o"))) word = slice_sub(word, 2, word.n);
        *value = word;
        if (!slice_cut(value, '=', name)) continue;
        *name = slice_trim(*name);
        *value = slice_trim(*value);
        return true;
    }
}

struct slice import_override(struct import *im, const struct import_service *s, const char *name)
{
    struct slice args = s ? s->args : SLICE(""), key, value, found = SLICE(""), out;
    struct err err = { .text = "" };
    while (next_override(&args, &key, &value))
        if (slice_eq(key, slice_str(name))) found = value;
    return import_expand(im, found, &out, &err) ? out : SLICE("");
}

/* ---- listeners */

static bool wants_login(struct import *im, const struct import_service *s)
{
    static const char *const lists[] = { "smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions" };
    for (size_t i = 0; i < countof(lists); i++) {
        struct slice v = import_override(im, s, lists[i]);
        if (slice_ihas(v, SLICE("permit_sasl_authenticated")) && slice_ihas(v, SLICE("reject")) && !slice_ihas(v, SLICE("unauth_destination"))) return true;
    }
    return false;
}

static void note_overrides(struct import *im, const struct import_service *s)
{
    static const char *const known[] = { "smtpd_tls_security_level", "smtpd_tls_wrappermode", "smtpd_sasl_auth_enable", "syslog_name",
                                         "smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions",
                                         "milter_macro_daemon_name", "smtpd_tls_auth_only", "smtpd_use_tls", "smtpd_enforce_tls",
                                         "smtpd_reject_unlisted_recipient", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
                                         "smtpd_sasl_type", "smtpd_sasl_path", "smtpd_forbid_bare_newline", "smtpd_forbid_unauth_pipelining" };
    struct slice args = s->args, name, value;
    while (next_override(&args, &name, &value)) {
        size_t i = 0;
        while (i < countof(known) && !slice_eq(name, slice_str(known[i]))) i++;
        if (i < countof(known)) continue;
        struct import_from from = { s->from.file, s->from.line,
                                    slice_str(arena_printf(&im->arena, "%s: -o %.*s=%.*s", s->name, SLICE_ARG(name), SLICE_ARG(value))) };
        left_out(im, &from, "see whether it is needed here", "settings of one listener alone are those of the manual's page on receiving");
    }
}

static void put_listener(struct import *im, const struct import_service *s, struct slice host, struct slice port)
{
    static const char *const services[][2] = { { "smtp", "25" }, { "submission", "587" }, { "smtps", "465" }, { "submissions", "465" } };
    struct slice level = import_override(im, s, "smtpd_tls_security_level");
    struct buf b = { 0 };
    uint64_t number;
    if (!level.n) level = import_get(im, "smtpd_tls_security_level", NULL);
    for (size_t i = 0; i < countof(services); i++)
        if (slice_eq(port, slice_str(services[i][0]))) port = slice_str(services[i][1]);
    if (!slice_to_u64(port, 65535, &number) || !number) {
        left_out(im, &s->from, "write its number", "%s is no port that is known here", import_show(im, port));
        return;
    }
    bool wrapper = slice_ieq(import_override(im, s, "smtpd_tls_wrappermode"), SLICE("yes"));
    bool submission = number == 587 || wrapper || wants_login(im, s);
    const char *tls = wrapper ? "implicit" : slice_ieq(level, SLICE("encrypt")) ? "require" : slice_ieq(level, SLICE("none")) ? "none"
                    : slice_ieq(level, SLICE("may")) ? "offer" : submission ? "require" : NULL;
    bool sasl = slice_ieq(import_override(im, s, "smtpd_sasl_auth_enable"), SLICE("yes")) ||
                (!import_override(im, s, "smtpd_sasl_auth_enable").n && import_yes(im, "smtpd_sasl_auth_enable", NULL));
    struct ip ip;
    bool v6 = ip_parse(host, &ip) && ip.family == 6;
    const char *address = arena_printf(&im->arena, "%s%.*s%s:%u", v6 ? "[" : "", SLICE_ARG(host), v6 ? "]" : "", (unsigned)number);
    buf_addf(&b, "{address: %s", import_scalar(im, slice_str(address)));
    if (submission) buf_add_str(&b, ", role: submission");
    if (tls) buf_addf(&b, ", tls: %s", tls);
    if (sasl && !submission && (!tls || strcmp(tls, "none") != 0)) buf_add_str(&b, ", auth: yes");
    import_put(im, PUT_LISTENERS, &s->from, "%s}", buf_cstr(&b));
    buf_deinit(&b);
}

static void each_interface(struct import *im, const struct import_service *s, struct slice port)
{
    struct slice list = import_get(im, "inet_interfaces", NULL), word, protocols = import_get(im, "inet_protocols", NULL);
    bool four = slice_ieq(protocols, SLICE("ipv4"));
    while (import_word(&list, &word)) {
        if (slice_ieq(word, SLICE("all"))) put_listener(im, s, four ? SLICE("0.0.0.0") : SLICE("*"), port);
        else if (slice_ieq(word, SLICE("loopback-only")) || slice_ieq(word, SLICE("localhost"))) {
            put_listener(im, s, SLICE("127.0.0.1"), port);
            if (!four) put_listener(im, s, SLICE("::1"), port);
        } else {
            struct slice host = word;
            struct ip ip;
            if (host.n > 2 && host.p[0] == '[') host = slice_sub(host, 1, host.n - 1);
            if (ip_parse(host, &ip)) put_listener(im, s, host, port);
            else left_out(im, &s->from, "write its address", "a listener has an address: %s is none", import_show(im, word));
        }
    }
}

static void add_service(struct import *im, const struct import_service *s)
{
    struct slice name = slice_str(s->name), host;
    size_t colon = name.n;
    if (slice_ihas(import_override(im, s, "mynetworks"), SLICE("127.0.0.")) || import_override(im, s, "receive_override_options").n) {
        left_out(im, &s->from, "scanners are asked within the relay: see the manual's page on scanners", "mail comes back here from a content filter");
        return;
    }
    note_overrides(im, s);
    while (colon && name.p[colon - 1] != ':') colon--;
    if (!colon) {
        each_interface(im, s, name);
        return;
    }
    host = slice_sub(name, 0, colon - 1);
    if (host.n > 2 && host.p[0] == '[') host = slice_sub(host, 1, host.n - 1);
    struct ip ip;
    if (slice_eq(host, SLICE("localhost"))) host = SLICE("127.0.0.1");
    if (!host.n || slice_eq(host, SLICE("*")) || ip_parse(host, &ip)) put_listener(im, s, host.n ? host : SLICE("*"), slice_sub(name, colon, name.n));
    else left_out(im, &s->from, "write its address", "a listener has an address: %s is none", import_show(im, host));
}

void import_listeners(struct import *im)
{
    bool any = false;
    for (size_t i = 0; i < im->service_n; i++) {
        const struct import_service *s = &im->services[i];
        bool smtpd = !strcmp(s->command, "smtpd") || !strcmp(s->command, "postscreen");
        if (strcmp(s->type, "inet") != 0) continue;
        if (smtpd) add_service(im, s), any = true;
        else left_out(im, &s->from, NULL, "a port for %s, which is not here", import_show(im, slice_str(s->command)));
    }
    if (any) return;
    struct import_service smtp = { .name = "smtp", .type = "inet", .command = "smtpd", .from = { "main.cf", 0, SLICE("inet_interfaces") } };
    import_get(im, "inet_interfaces", &smtp.from);
    each_interface(im, &smtp, SLICE("smtp"));
}
