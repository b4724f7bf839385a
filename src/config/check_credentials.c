/* SPDX-License-Identifier: Apache-2.0
 * Logging in to next hops: complete, possible, and not in the clear. */
#include <sys/stat.h>
#include "config/parse.h"

#define BY_TOKEN ((uint32_t)(CONFIG_SASL_XOAUTH2 | CONFIG_SASL_OAUTHBEARER))
/* What proves a password without sending it. */
#define BY_PROOF                                                                                                       \
    ((uint32_t)(CONFIG_SASL_CRAM_MD5 | CONFIG_SASL_DIGEST_MD5 | CONFIG_SASL_SCRAM_SHA_1 | CONFIG_SASL_SCRAM_SHA_256 |  \
                CONFIG_SASL_SCRAM_SHA_256_PLUS))

/* One next hop: its credentials, the group they stand in, and where its tls is written. */
struct login {
    const struct check *k;
    const struct config_hop *hop;
    const struct config_credentials *auth;
    const struct yaml_node *node, *tls;
    bool token;
};

static const struct yaml_node *entry(const struct login *l, const char *name) { return yaml_get(l->node, name); }

static void check_complete(const struct login *l)
{
    const struct config_credentials *a = l->auth;
    struct config_report *r = l->k->report;
    bool password = a->password || a->password_file;
    if (a->password && a->password_file)
        yaml_error(r, entry(l, "password"), "keep password_file", "there is a password_file as well");
    if (a->user && !password && !l->token)
        yaml_error(r, entry(l, "user"), "add password_file, password, or token", "there is no password for this user");
    if (!a->user && (password || l->token))
        yaml_error(r, yaml_either(entry(l, "password"), yaml_either(entry(l, "password_file"), entry(l, "token"))),
                   "add user", "there is no user to log in as");
    else if (!a->user && a->methods)
        yaml_error(r, entry(l, "methods"), "add user and password_file", "there is no user to log in as");
    if (a->methods & BY_TOKEN && !l->token)
        yaml_error(r, entry(l, "methods"), "add token: {command: ...} or token: {endpoint: ..., ...}",
                   "xoauth2 and oauthbearer need an access token");
    else if (a->methods && !(a->methods & BY_TOKEN) && l->token && !password)
        yaml_error(r, entry(l, "methods"), "add xoauth2 or oauthbearer, or a password_file",
                   "there is a token, but no method that uses it");
    if (a->methods & ~BY_TOKEN && l->token && !password)
        yaml_error(r, entry(l, "methods"), "keep xoauth2 and oauthbearer, or add password_file",
                   "the other methods need a password");
}

/* https, or plain http on this machine; no password in it. */
static const char *endpoint_problem(struct slice url)
{
    bool secure = slice_istarts(url, SLICE("https://"));
    if (!secure && !slice_istarts(url, SLICE("http://"))) return "is not a URL that begins with https://";
    struct slice rest = slice_sub(url, secure ? 8 : 7, url.n), host;
    slice_cut(&rest, '/', &host);
    if (slice_find(host, '@') >= 0) return "must not have a name or password in it";
    if (!host.n) return "has no host";
    return secure || check_is_here(host) ? NULL : "would send secrets unencrypted: use https://";
}

static void check_token(const struct login *l)
{
    const struct yaml_node *token = entry(l, "token"), *endpoint = yaml_get(token, "endpoint");
    const struct config_credentials *a = l->auth;
    struct config_report *r = l->k->report;
    check_file(l->k, yaml_get(token, "client_secret_file"), a->token.client_secret_file, CHECK_FILE_SECRET_LATER);
    check_file(l->k, yaml_get(token, "refresh_token_file"), a->token.refresh_token_file, CHECK_FILE_SECRET_LATER);
    if (a->token.command && a->token.endpoint)
        yaml_error(r, endpoint, "keep one of the two", "there is a command as well");
    const char *problem = a->token.endpoint ? endpoint_problem(slice_str(a->token.endpoint)) : NULL;
    if (problem) yaml_error(r, endpoint, NULL, "the endpoint %s", problem);
    if (a->token.endpoint && !(a->token.client_id && a->token.refresh_token_file))
        yaml_error(r, endpoint, "add client_id and refresh_token_file", "an endpoint needs %s",
                   a->token.client_id ? "refresh_token_file" : "client_id");
    bool more = a->token.client_id || a->token.client_secret_file || a->token.refresh_token_file || a->token.scope;
    if (more && !a->token.endpoint)
        yaml_error(r, token, "add endpoint", "client_id, scope and their files are for an endpoint, and there is none");
}

/* What is written is what holds; it does not when the word was wrong, which is told already. */
static bool tls_is_read(const struct login *l)
{
    const char *word = config_client_tls_word(l->hop->tls);
    return !l->tls || (l->tls->kind == YAML_SCALAR && slice_eq(l->tls->text, slice_str(word)));
}

/* A password on a connection that need not be encrypted. */
static void check_secrecy(const struct login *l)
{
    const struct config_hop *hop = l->hop;
    const struct config_credentials *a = l->auth;
    const struct yaml_node *where = yaml_either(l->tls, yaml_either(entry(l, "user"), l->node));
    bool proof = a->methods && !(a->methods & ~BY_PROOF);
    if (!a->user || proof || hop->implicit_tls || !tls_is_read(l)) return;
    if (hop->tls == CONFIG_CLIENT_TLS_NONE)
        yaml_error(l->k->report, where, "set tls: verify, or methods that send no password: [scram-sha-256, cram-md5]",
                   "the %s would be sent unencrypted", l->token ? "token" : "password");
    else if (hop->tls == CONFIG_CLIENT_TLS_MAY || hop->tls == CONFIG_CLIENT_TLS_DANE)
        yaml_warning(l->k->report, where, "set tls: verify",
                     "with tls: %s the %s may be sent unencrypted, or to somebody else",
                     config_client_tls_word(hop->tls), l->token ? "token" : "password");
}

static void check_written(const struct login *l)
{
    const struct yaml_node *node = entry(l, "password");
    struct stat st;
    if (!l->auth->password) return;
    if (!strcmp(l->auth->password, SCHEMA_HIDDEN))
        yaml_warning(l->k->report, node, "write the password itself, or better password_file",
                     "\"" SCHEMA_HIDDEN "\" stands for a password that is not shown");
    else if (stat(l->k->c->file, &st) == 0 && st.st_mode & 0004)
        yaml_warning(l->k->report, node, "move it to a password_file, or chmod o= the configuration file",
                     "everybody on this machine can read this password");
}

static void check_login(const struct check *k, const struct config_hop *hop, const struct yaml_node *node,
                        const struct yaml_node *route)
{
    if (node->kind != YAML_GROUP) return;
    struct login l = { k,
                       hop,
                       &hop->auth,
                       node,
                       yaml_either(yaml_get(route, "tls"), yaml_get(node, "tls")),
                       hop->auth.token.command || hop->auth.token.endpoint };
    check_complete(&l);
    check_token(&l);
    check_secrecy(&l);
    check_written(&l);
    check_file(k, entry(&l, "password_file"), hop->auth.password_file, CHECK_FILE_SECRET_LATER);
}

void check_credentials(const struct check *k) { check_each_hop(k, check_login); }
