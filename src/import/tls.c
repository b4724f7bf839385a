/* SPDX-License-Identifier: Apache-2.0
 * Certificates, levels and policies of TLS; who logs in. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"
#include "smtp/address.h"

/* ---- our certificate */

static void certificate(struct import *im)
{
    struct import_from from;
    struct slice chain = import_get(im, "smtpd_tls_chain_files", &from), word;
    if (chain.n) {
        if (!import_word(&chain, &word)) return;
        import_put(im, PUT_TLS, &from, "certificate: %s\nkey: %s", import_scalar(im, word), import_scalar(im, word));
        while (import_word(&chain, &word))
            import_put(im, PUT_TLS, &from, "certificates:\n  - {certificate: %s, key: %s}", import_scalar(im, word), import_scalar(im, word));
        return;
    }
    struct slice cert = import_get(im, "smtpd_tls_cert_file", &from), key = import_get(im, "smtpd_tls_key_file", NULL);
    if (!cert.n || slice_eq(cert, SLICE("none"))) return;
    if (!key.n) key = cert;
    if (slice_ihas(cert, SLICE("ssl-cert-snakeoil"))) {
        different(im, &from, "set tls.certificate and tls.key", "a certificate that anybody could have made: the relay makes one of its own");
        return;
    }
    if (cert.p[0] != '/') cert = slice_str(arena_printf(&im->arena, "%s/%.*s", im->folder, SLICE_ARG(cert)));
    if (key.p[0] != '/') key = slice_str(arena_printf(&im->arena, "%s/%.*s", im->folder, SLICE_ARG(key)));
    import_put(im, PUT_TLS, &from, "certificate: %s\nkey: %s", import_scalar(im, cert), import_scalar(im, key));
}

/* ">=TLSv1.2", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1" */
static const char *lowest(struct slice s)
{
    if (slice_ihas(s, SLICE(">=TLSv1.3")) || slice_ihas(s, SLICE("!TLSv1.2"))) return "1.3";
    return NULL;
}

static void versions(struct import *im)
{
    static const char *const params[] = { "smtpd_tls_mandatory_protocols", "smtpd_tls_protocols", "smtp_tls_mandatory_protocols", "smtp_tls_protocols" };
    struct import_from from;
    for (size_t i = 0; i < countof(params); i++) {
        struct slice v = import_get(im, params[i], &from);
        const char *word = lowest(v);
        if (word && from.line) import_put(im, PUT_TLS, &from, "min_version: \"%s\"", word);
        if (word) return;
    }
}

/* Those of the system are ours by default. */
static void authorities(struct import *im)
{
    static const char *const params[] = { "smtp_tls_CAfile", "smtp_tls_CApath" };
    struct import_from from;
    bool done = false;
    for (size_t i = 0; i < countof(params); i++) {
        struct slice v = import_get(im, params[i], &from);
        if (!v.n || slice_starts(v, SLICE("/etc/ssl/certs"))) continue;
        if (done) left_out(im, &from, "put them into one file", "there is one file or folder of authorities");
        else import_put(im, PUT_TLS, &from, "ca: %s", import_scalar(im, v));
        done = true;
    }
}

/* ---- towards next hops */

const char *import_tls_level(struct slice level)
{
    static const char *const words[][2] = { { "none", "none" }, { "may", "may" }, { "encrypt", "encrypt" }, { "dane", "dane" },
                                            { "dane-only", "dane-only" }, { "verify", "verify" }, { "secure", "verify" } };
    for (size_t i = 0; i < countof(words); i++)
        if (slice_ieq(level, slice_str(words[i][0]))) return words[i][1];
    return NULL;
}

static const char *level(struct import *im, struct slice word, const struct import_from *from)
{
    const char *known = import_tls_level(word);
    if (known) return known;
    if (slice_ieq(word, SLICE("fingerprint"))) {
        left_out(im, from, "write tls: verify with ca and names", "certificates are not known by their fingerprints: it is encrypted only");
        return "encrypt";
    }
    left_out(im, from, NULL, "%s is no level that is known here", import_show(im, word));
    return NULL;
}

static void add_attributes(struct import *im, struct slice rest, const struct import_entry *e, const char *tls, struct buf *out)
{
    struct slice word, name, item;
    while (import_word(&rest, &word)) {
        struct slice value = word;
        slice_cut(&value, '=', &name);
        if (slice_ieq(name, SLICE("match")) && tls && !strcmp(tls, "verify")) {
            struct buf names = { 0 };
            for (bool more = true; more;) {
                more = slice_cut(&value, ':', &item);
                if (slice_ieq(item, SLICE("nexthop")) || slice_ieq(item, SLICE("hostname")) || slice_ieq(item, SLICE("dot-nexthop"))) continue;
                buf_addf(&names, "%s%s", names.n ? ", " : "", import_scalar(im, item));
            }
            if (names.n) buf_addf(out, ", names: [%s]", buf_cstr(&names));
            buf_deinit(&names);
        } else if (slice_ieq(name, SLICE("protocols"))) {
            if (lowest(value)) buf_addf(out, ", min_version: \"%s\"", lowest(value));
        } else if (!slice_ieq(name, SLICE("ciphers")) && !slice_ieq(name, SLICE("exclude")) && !slice_ieq(name, SLICE("servername")))
            left_out(im, &e->from, NULL, "%s is not known here", import_show(im, word));
    }
}

static void policies(struct import *im)
{
    struct import_map m = import_map_of(im, "smtp_tls_policy_maps", NULL);
    for (size_t i = 0; i < m.n; i++) {
        struct import_entry *e = &m.entries[i];
        struct slice key = e->key, rest = e->value, word;
        struct buf more = { 0 };
        char ascii[256];
        ptrdiff_t end = key.n && key.p[0] == '[' ? slice_find(key, ']') : -1;
        if (end > 0) key = slice_sub(key, 1, (size_t)end);
        else if (slice_find(key, ':') >= 0) key = slice_sub(key, 0, (size_t)slice_find(key, ':'));
        bool tree = key.n && key.p[0] == '.';
        const char *tls = import_word(&rest, &word) ? level(im, word, &e->from) : NULL;
        if (e->kind != IMPORT_EXACT || !address_domain_ascii(slice_sub(key, tree, key.n), ascii))
            left_out(im, &e->from, "write tls at the next hop", "a policy is for a domain or a host's name");
        else if (tls) {
            add_attributes(im, rest, e, tls, &more);
            import_put(im, PUT_TLS_POLICIES, &e->from, "{to: %s, tls: %s%s}", import_scalar(im, slice_str(arena_printf(&im->arena, "%s%s", tree ? "." : "", ascii))),
                       tls, more.n ? buf_cstr(&more) : "");
            if (!strcmp(tls, "none") || !strcmp(tls, "may"))
                different(im, &e->from, "write tls at the next hop", "a policy can only make encryption stricter than delivery.tls");
        }
        buf_deinit(&more);
    }
    import_map_deinit(&m);
}

/* ---- users */

static void sasl(struct import *im)
{
    struct import_from from, at;
    bool any = import_yes(im, "smtpd_sasl_auth_enable", &from);
    for (size_t i = 0; i < im->service_n && !any; i++) {
        any = slice_ieq(import_override(im, &im->services[i], "smtpd_sasl_auth_enable"), SLICE("yes"));
        if (any) from = im->services[i].from;
    }
    struct slice type = import_get(im, "smtpd_sasl_type", &at), path = import_get(im, "smtpd_sasl_path", &at);
    if (!any) return;
    if (!slice_ieq(type, SLICE("dovecot")) || !path.n || slice_istarts(path, SLICE("inet:"))) {
        left_out(im, &from, "set auth.backend: users, imap, ldap or dovecot", "who knows users and passwords is not understood (smtpd_sasl_type)");
        return;
    }
    import_put(im, PUT_AUTH, &at, "backend: dovecot\ndovecot: {socket: %s}", import_scalar(im, import_socket_path(im, path)));
    different(im, &at, "have Dovecot make a socket that system.auth_user can reach, and name it", "the socket was made for Postfix");
    import_put(im, PUT_AUTH, &at, "methods: [plain, login]");
    struct import_from logins;
    if (!import_get(im, "smtpd_sender_login_maps", &logins).n) {
        import_put(im, PUT_AUTH, &at, "sender_must_match: no");
    } else
        left_out(im, &logins, "auth.sender_must_match: yes allows the addresses of the account", "tables of who may send as whom are not known here");
}

void import_tls(struct import *im)
{
    struct import_from from;
    struct slice smtp = import_get(im, "smtp_tls_security_level", &from);
    certificate(im);
    versions(im);
    authorities(im);
    if (smtp.n) {
        const char *word = level(im, smtp, &from);
        if (word) import_put(im, PUT_DELIVERY, &from, "tls: %s", word);
    }
    policies(im);
    sasl(im);
}
