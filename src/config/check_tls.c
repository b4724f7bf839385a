/* SPDX-License-Identifier: Apache-2.0
 * Certificates are there, and what is asked for of encryption fits together. Whether a certificate is right is not seen
 * here. */
#include <unistd.h>
#include "config/parse.h"

static void check_pair(const struct check *k, const struct yaml_node *node, const char *certificate, const char *key)
{
    const struct yaml_node *c = yaml_get(node, "certificate"), *s = yaml_get(node, "key");
    check_file(k, c, certificate, CHECK_FILE);
    check_file(k, s, key, CHECK_FILE_SECRET);
    if ((c || s) && !certificate[0] != !key[0])
        yaml_error(k->report, c ? c : s, "set both, or none", "%s is set, but not %s", key[0] ? "key" : "certificate",
                   key[0] ? "certificate" : "key");
}

/* Ports 465 and 587 are for users' programs (RFC 8314 §3, RFC 6409 §3.1). */
static void check_port(const struct check *k, const struct config_listener *l, const struct yaml_node *node)
{
    const struct yaml_node *role = yaml_get(node, "role"), *tls = yaml_get(node, "tls");
    if ((l->port == 465 || l->port == 587) && !role)
        yaml_warning(k->report, yaml_get(node, "address"), "set role: submission, or role: relay if it is meant",
                     "port %u is for submission: role: submission", l->port);
    if (l->port == 465 && tls && l->tls != CONFIG_TLS_IMPLICIT)
        yaml_warning(k->report, tls, "set tls: implicit, or leave it out",
                     "programs that connect to port 465 begin with TLS");
    if (l->port == 587 && l->tls == CONFIG_TLS_IMPLICIT)
        yaml_warning(k->report, tls, "set tls: require, or listen on port 465",
                     "programs that connect to port 587 begin without TLS");
}

static void check_listener(const struct check *k, const struct config_listener *l, const struct yaml_node *node)
{
    const struct yaml_node *wanted = yaml_get(node, "client_certificate"), *ca = yaml_get(node, "client_ca");
    check_port(k, l, node);
    check_file(k, ca, l->client_ca, CHECK_FILE);
    if (l->client_certificate && !l->client_ca)
        yaml_error(k->report, wanted, "add client_ca: a PEM file with the authority that made them",
                   "client certificates cannot be checked without client_ca");
    if (l->client_certificate && l->tls == CONFIG_TLS_NONE)
        yaml_error(k->report, wanted, "set tls: offer, require or implicit", "without TLS there are no certificates");
    if (!l->client_certificate && l->client_ca)
        yaml_warning(k->report, ca, "set client_certificate: ask or require",
                     "client_ca has no effect: clients are not asked for certificates");
}

static void check_policy(const struct check *k, const struct config_tls_policy *t, const struct yaml_node *node)
{
    check_file(k, yaml_get(node, "ca"), t->ca, CHECK_FILE);
    if ((t->ca || t->name_n) && t->tls != CONFIG_CLIENT_TLS_VERIFY)
        yaml_warning(k->report, yaml_get(node, t->ca ? "ca" : "names"), "set tls: verify",
                     "it has an effect with tls: verify only");
    if (t->mta_sts && yaml_get(node, "mta_sts") && t->tls == CONFIG_CLIENT_TLS_NONE)
        yaml_warning(k->report, yaml_get(node, "mta_sts"), "set another tls",
                     "with tls: none a policy cannot be obeyed");
}

/* ca, names and implicit_tls of a next hop that is written as a group. */
static void check_hop(const struct check *k, const struct config_hop *hop, const struct yaml_node *node,
                      const struct yaml_node *route)
{
    const struct yaml_node *tls = yaml_either(yaml_get(route, "tls"), yaml_get(node, "tls"));
    check_file(k, yaml_get(node, "ca"), hop->ca, CHECK_FILE);
    if (hop->implicit_tls && hop->tls == CONFIG_CLIENT_TLS_NONE)
        yaml_error(k->report, tls ? tls : node, "set tls: encrypt or verify for this hop",
                   "%s begins with TLS%s, and tls is none", report_quote(k->report, slice_str(hop->text)),
                   hop->port == 465 ? " (port 465)" : "");
    if ((hop->ca || hop->name_n) && hop->tls != CONFIG_CLIENT_TLS_VERIFY)
        yaml_warning(k->report, yaml_get(node, hop->ca ? "ca" : "names"), "set tls: verify",
                     "it has an effect with tls: verify only");
}

void check_tls(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *tls = yaml_get(k->root, "tls"), *node = yaml_first(tls, "certificates");
    check_pair(k, tls, c->tls.certificate, c->tls.key);
    check_file(k, yaml_get(tls, "ca"), c->tls.ca, CHECK_FILE_OR_FOLDER);
    for (size_t i = 0; i < c->tls.certificate_n && node; i++, node = node->next) {
        check_file(k, yaml_get(node, "certificate"), c->tls.certificates[i].certificate, CHECK_FILE);
        check_file(k, yaml_get(node, "key"), c->tls.certificates[i].key, CHECK_FILE_SECRET);
    }
    node = yaml_first(k->root, "listeners");
    for (size_t i = 0; i < c->listener_n && node; i++, node = node->next) check_listener(k, &c->listeners[i], node);
    node = yaml_first(k->root, "tls_policies");
    for (size_t i = 0; i < c->tls_policy_n && node; i++, node = node->next) check_policy(k, &c->tls_policies[i], node);
    check_each_hop(k, check_hop);
    if (config_wants_dnssec(c) && !c->dns.trust_anchor[0] && access(CONFIG_ROOT_ANCHOR, R_OK) != 0)
        yaml_warning(k->report, yaml_get(k->root, "dns"), "apt install dns-root-data, or set dns.trust_anchor",
                     "DANE needs DNSSEC, and there is no trust anchor for it: nothing will count as signed");
}
