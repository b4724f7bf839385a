/* SPDX-License-Identifier: Apache-2.0
 * The same messages through libspf2, libopendkim and libopendmarc, with their answers from DNS at hand: peers WORLD WHAT HOW_LONG. They
 * are used as milters use them: what can be made once is made once. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <opendkim/dkim.h>
#include <opendmarc/dmarc.h>
#include <spf2/spf.h>
#include "case.h"
#include "peers.h"

static struct case_world world;
static SPF_server_t *spf_server;
static DKIM_LIB *dkim_library;

/* ---- DNS, in place of each library's own */

static SPF_dns_rr_t *spf_lookup(SPF_dns_server_t *server, const char *domain, ns_type type, int cached)
{
    const struct case_record *r = case_find(&world, type == ns_t_txt ? "TXT" : type == ns_t_a ? "A" : "?", domain, strlen(domain));
    (void)cached;
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, domain, type, 60, r ? NETDB_SUCCESS : HOST_NOT_FOUND);
    if (!r) return rr;
    case_must(rr && SPF_dns_rr_buf_realloc(rr, 0, strlen(r->value) + 32) == SPF_E_SUCCESS, "memory");
    if (type == ns_t_a) inet_pton(AF_INET, r->value, &rr->rr[0]->a);
    else memcpy(rr->rr[0]->txt, r->value, strlen(r->value) + 1);
    rr->num_rr = 1;
    return rr;
}

static DKIM_CBSTAT find_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *out, size_t room)
{
    char name[600];
    (void)dkim;
    int n = snprintf(name, sizeof name, "%s._domainkey.%s", dkim_sig_getselector(sig), dkim_sig_getdomain(sig));
    const struct case_record *r = case_find(&world, "TXT", name, (size_t)n);
    if (!r) return DKIM_CBSTAT_NOTFOUND;
    snprintf((char *)out, room, "%s", r->value);
    return DKIM_CBSTAT_CONTINUE;
}

char *dmarc_dns_get_record(char *domain, int *reply, char *out, size_t room)
{
    const struct case_record *r = case_find(&world, "TXT", domain, strlen(domain));
    *reply = r ? NETDB_SUCCESS : HOST_NOT_FOUND;
    if (!r) return NULL;
    snprintf(out, room, "%s", r->value);
    return out;
}

/* ---- the parts */

static void spf(void *arg)
{
    SPF_response_t *response = NULL;
    SPF_request_t *request = SPF_request_new(spf_server);
    (void)arg;
    SPF_request_set_ipv4_str(request, world.ip);
    SPF_request_set_helo_dom(request, world.helo);
    SPF_request_set_env_from(request, world.sender);
    SPF_request_query_mailfrom(request, &response);
    case_must(response && SPF_response_result(response) == SPF_RESULT_PASS, "libspf2");
    SPF_response_free(response);
    SPF_request_free(request);
}

static void dkim(void *arg)
{
    const struct case_message *m = arg;
    DKIM_STAT status;
    DKIM *d = dkim_verify(dkim_library, (const u_char *)"case", NULL, &status);
    case_must(d, "libopendkim");
    for (size_t i = 0; i < m->n; i++) dkim_header(d, (u_char *)m->fields[i].p, m->fields[i].n);
    dkim_eoh(d);
    for (size_t at = 0; at < m->body.n; at += CASE_PIECE)
        dkim_body(d, (u_char *)m->body.p + at, m->body.n - at < CASE_PIECE ? m->body.n - at : CASE_PIECE);
    status = dkim_eom(d, NULL);
    case_must(status == DKIM_STAT_OK, "libopendkim");
    DKIM_SIGINFO *sig = dkim_getsignature(d);
    case_must(sig && dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED && dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH, "libopendkim");
    dkim_free(d);
}

static void dmarc(void *arg)
{
    (void)arg;
    DMARC_POLICY_T *p = opendmarc_policy_connect_init((u_char *)world.ip, DMARC_POLICY_IP_TYPE_IPV4);
    opendmarc_policy_store_from_domain(p, (u_char *)"example.com");
    opendmarc_policy_store_spf(p, (u_char *)"bounces.example.com", DMARC_POLICY_SPF_OUTCOME_PASS, DMARC_POLICY_SPF_ORIGIN_MAILFROM, NULL);
    opendmarc_policy_store_dkim(p, (u_char *)"example.com", (u_char *)"s2026", DMARC_POLICY_DKIM_OUTCOME_PASS, NULL);
    case_must(opendmarc_policy_query_dmarc(p, (u_char *)"example.com") == DMARC_PARSE_OKAY, "libopendmarc");
    case_must(opendmarc_get_policy_to_enforce(p) == DMARC_POLICY_PASS, "libopendmarc");
    opendmarc_policy_connect_shutdown(p);
}

static void message(void *arg)
{
    spf(arg);
    dkim(arg);
    dmarc(arg);
}

static const struct {
    const char *name;
    void (*once)(void *arg);
    bool arc; /* the message; none of them knows ARC */
} measurements[] = { { "spf", spf, false }, { "dkim", dkim, false }, { "dmarc", dmarc, false }, { "message", message, false },
    { "message-arc", message, true } };

static void make(void)
{
    static SPF_dns_server_t dns = { .lookup = spf_lookup, .name = "case" };
    static OPENDMARC_LIB_T dmarc_library = { .tld_type = OPENDMARC_TLD_TYPE_MOZILLA,
        .tld_source_file = "/usr/share/publicsuffix/public_suffix_list.dat" };
    spf_server = SPF_server_new_dns(&dns, 0);
    dkim_library = dkim_init(NULL, NULL);
    case_must(spf_server && dkim_library && opendmarc_policy_library_init(&dmarc_library) == DMARC_PARSE_OKAY, "the libraries");
    dkim_set_key_lookup(dkim_library, find_key);
}

int main(int argc, char **argv)
{
    case_must(argc == 4, "usage: peers WORLD WHAT HOW_LONG");
    case_load(&world, argv[1]);
    make();
    for (size_t i = 0; i < sizeof measurements / sizeof *measurements; i++) {
        if (strcmp(measurements[i].name, argv[2]) != 0) continue;
        case_measure("C peers", argv[2], argv[3], measurements[i].once, measurements[i].arc ? &world.arc : &world.plain);
        return 0;
    }
    case_must(false, "no such measurement");
}
