/* SPDX-License-Identifier: Apache-2.0
 * The same cases for libspf2, libopendkim and libopendmarc: JSON lines in, JSON lines out. DNS is in the case, and so is the time. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <jansson.h>
#include <arpa/inet.h>
#include <opendkim/dkim.h>
#include <opendmarc/dmarc.h>
#include <spf2/spf.h>
#include "base/base64.h"
#include "base/buf.h"
#include "peer_c.h"

static const json_t *zone;
static time_t now;

/* Of the libraries, too: this program's own comes first. */
time_t time(time_t *out)
{
    if (out) *out = now;
    return now;
}

/* Bytes that JSON carries as characters. */
static char *latin1(const char *s)
{
    char *out = calloc(1, strlen(s) + 1), *o = out;
    for (const unsigned char *p = (const unsigned char *)s; *p; p++)
        if (*p >= 0xc2 && *p <= 0xc3 && p[1]) {
            *o++ = (char)(p[0] << 6 | (p[1] & 0x3f));
            p++;
        } else
            *o++ = (char)*p;
    return out;
}

static json_t *text_json(const char *s)
{
    struct buf b = { 0 };
    for (const unsigned char *p = (const unsigned char *)(s ? s : ""); *p; p++) {
        if (*p < 0x80) buf_add_char(&b, (char)*p);
        else buf_addf(&b, "%c%c", 0xc0 | *p >> 6, 0x80 | (*p & 0x3f));
    }
    json_t *j = json_string(buf_cstr(&b));
    buf_deinit(&b);
    return j;
}

static const char *text(const json_t *c, const char *key)
{
    const char *s = json_string_value(json_object_get(c, key));
    return s ? s : "";
}

static json_t *look(const char *name, const char *type)
{
    char lower[1100];
    size_t n = strnlen(name, sizeof lower - 1);
    for (size_t i = 0; i <= n; i++) lower[i] = i == n ? 0 : ascii_lower(name[i]);
    if (n && lower[n - 1] == '.') lower[n - 1] = 0;
    return json_object_get(json_object_get(zone, lower), type);
}

/* ---- SPF */

static SPF_dns_rr_t *spf_lookup(SPF_dns_server_t *server, const char *domain, ns_type type, int cached)
{
    (void)cached;
    const char *name = type == ns_t_txt ? "TXT" : type == ns_t_a ? "A" : type == ns_t_aaaa ? "AAAA" : type == ns_t_mx ? "MX" : "PTR";
    const json_t *list = type == 99 ? NULL : look(domain, name), *e;
    int status = json_is_string(list) ? TRY_AGAIN : json_array_size(list) ? NETDB_SUCCESS : HOST_NOT_FOUND;
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, domain, type, 60, status);
    size_t i;
    if (!rr || status != NETDB_SUCCESS) return rr;
    json_array_foreach(list, i, e) {
        char *s = latin1(type == ns_t_mx ? json_string_value(json_array_get(e, 1)) : json_string_value(e));
        if (SPF_dns_rr_buf_realloc(rr, (int)i, strlen(s) + 32) != SPF_E_SUCCESS) abort();
        if (type == ns_t_a) inet_pton(AF_INET, s, &rr->rr[i]->a);
        else if (type == ns_t_aaaa) inet_pton(AF_INET6, s, &rr->rr[i]->aaaa);
        else memcpy(rr->rr[i]->txt, s, strlen(s) + 1);
        rr->num_rr = (int)i + 1;
        free(s);
    }
    return rr;
}

static json_t *run_spf(const json_t *c)
{
    static SPF_dns_server_t dns = { .lookup = spf_lookup, .name = "case" };
    SPF_server_t *server = SPF_server_new_dns(&dns, 0);
    SPF_request_t *request = SPF_request_new(server);
    SPF_response_t *response = NULL;
    char *sender = latin1(text(c, "sender")), *helo = latin1(text(c, "helo"));
    const char *ip = text(c, "ip");
    if (strchr(ip, ':')) SPF_request_set_ipv6_str(request, ip);
    else SPF_request_set_ipv4_str(request, ip);
    SPF_request_set_helo_dom(request, helo);
    if (*sender) SPF_request_set_env_from(request, sender);
    SPF_request_query_mailfrom(request, &response);
    SPF_result_t result = response ? SPF_response_result(response) : SPF_RESULT_INVALID;
    int error = response ? SPF_response_errcode(response) : 0;
    if (result == SPF_RESULT_INVALID) /* it says why not */
        result = error == SPF_E_DNS_ERROR ? SPF_RESULT_TEMPERROR : SPF_RESULT_PERMERROR;
    json_t *j = json_pack("{s:s, s:o, s:s}", "result", SPF_strresult(result), "explanation",
                          text_json(response ? SPF_response_get_explanation(response) : NULL), "reason", error ? SPF_strerror(error) : "");
    if (response) SPF_response_free(response);
    SPF_request_free(request);
    SPF_server_free(server);
    free(sender);
    free(helo);
    return j;
}

/* ---- DKIM */

static DKIM_CBSTAT find_key(DKIM *dkim, DKIM_SIGINFO *sig, u_char *out, size_t room)
{
    char name[600];
    (void)dkim;
    snprintf(name, sizeof name, "%s._domainkey.%s", dkim_sig_getselector(sig), dkim_sig_getdomain(sig));
    const json_t *list = look(name, "TXT");
    if (json_is_string(list)) return DKIM_CBSTAT_TRYAGAIN;
    if (!json_array_size(list)) return DKIM_CBSTAT_NOTFOUND;
    char *s = latin1(json_string_value(json_array_get(list, 0)));
    snprintf((char *)out, room, "%s", s);
    free(s);
    return DKIM_CBSTAT_CONTINUE;
}

static DKIM_LIB *dkim_library(void)
{
    static DKIM_LIB *library;
    if (!library) {
        unsigned bits = 1024;
        library = dkim_init(NULL, NULL);
        dkim_set_key_lookup(library, find_key);
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof bits);
    }
    return library;
}

/* Folded fields one by one, then the body. */
static DKIM_STAT feed(DKIM *dkim, const struct buf *message)
{
    char *p = message->p, *end = p + message->n;
    DKIM_STAT status = DKIM_STAT_OK;
    while (p < end && !(p + 1 < end && p[0] == '\r' && p[1] == '\n')) {
        char *q = p;
        do {
            char *nl = memmem(q, (size_t)(end - q), "\r\n", 2);
            q = nl ? nl + 2 : end;
        } while (q < end && (*q == ' ' || *q == '\t'));
        size_t n = (size_t)(q - p);
        if (n >= 2 && q[-2] == '\r') n -= 2;
        status = dkim_header(dkim, (u_char *)p, n);
        if (status != DKIM_STAT_OK) return status;
        p = q;
    }
    status = dkim_eoh(dkim);
    if (status != DKIM_STAT_OK && status != DKIM_STAT_NOSIG) return status;
    if (p + 2 <= end) p += 2;
    if (p < end) dkim_body(dkim, (u_char *)p, (size_t)(end - p));
    return dkim_eom(dkim, NULL);
}

static const char *word_of(DKIM_SIGINFO *sig)
{
    unsigned flags = dkim_sig_getflags(sig);
    DKIM_SIGERROR e = dkim_sig_geterror(sig);
    if (e == DKIM_SIGERROR_KEYFAIL) return "temperror";
    if (flags & DKIM_SIGFLAG_PASSED && dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH && e <= DKIM_SIGERROR_OK) return "pass";
    return e == DKIM_SIGERROR_BADSIG || e <= DKIM_SIGERROR_OK ? "fail" : "permerror";
}

static json_t *run_dkim(const json_t *c)
{
    struct buf message = { 0 };
    DKIM_STAT status;
    DKIM_SIGINFO **sigs = NULL;
    int n = 0;
    base64_decode(slice_str(text(c, "message")), &message);
    DKIM *dkim = dkim_verify(dkim_library(), (const u_char *)"case", NULL, &status);
    status = feed(dkim, &message);
    json_t *list = json_array();
    if (dkim_getsiglist(dkim, &sigs, &n) == DKIM_STAT_OK)
        for (int i = 0; i < n; i++) {
            const char *why = dkim_sig_geterrorstr(dkim_sig_geterror(sigs[i]));
            bool again = status == DKIM_STAT_CBTRYAGAIN || status == DKIM_STAT_KEYFAIL;
            json_array_append_new(list, json_pack("{s:s, s:s}", "result", again ? "temperror" : word_of(sigs[i]), "reason", why ? why : ""));
        }
    const char *error = dkim_geterror(dkim);
    if (error && strcmp(error, "CRLF at end of body missing") == 0) { /* its caller sees to that */
        json_decref(list);
        list = NULL;
    }
    json_t *j = json_pack("{s:o*, s:i, s:s}", "signatures", list, "status", (int)status, "error", error ? error : "");
    dkim_free(dkim);
    buf_deinit(&message);
    return j;
}

static json_t *run_sign(const json_t *c)
{
    struct buf message = { 0 }, out = { 0 }, coded = { 0 };
    DKIM_STAT status;
    u_char field[8192];
    const char *canon = text(c, "canon");
    const json_t *e, *names = json_object_get(c, "headers");
    const u_char *list[64] = { NULL };
    size_t i;
    base64_decode(slice_str(text(c, "message")), &message);
    json_array_foreach(names, i, e) list[i] = (const u_char *)json_string_value(e);
    dkim_options(dkim_library(), DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, list, sizeof(u_char **));
    DKIM *dkim = dkim_sign(dkim_library(), (const u_char *)"case", NULL, (dkim_sigkey_t)text(c, "key"), (const u_char *)text(c, "selector"),
        (const u_char *)text(c, "domain"), strncmp(canon, "simple", 6) == 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED,
        strstr(canon, "/simple") ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1, &status);
    if (dkim && feed(dkim, &message) == DKIM_STAT_OK && dkim_getsighdr(dkim, field, sizeof field, 16) == DKIM_STAT_OK) {
        buf_addf(&out, "DKIM-Signature: ");
        for (const u_char *p = field; *p; p++) {
            if (*p == '\n' && (p == field || p[-1] != '\r')) buf_add_char(&out, '\r');
            buf_add_char(&out, (char)*p);
        }
        buf_add_str(&out, "\r\n");
    }
    if (dkim) dkim_free(dkim);
    base64_add(&coded, buf_slice(&out));
    json_t *j = json_pack("{s:s, s:s}", "result", out.n ? "signed" : "refused", "fields", coded.n ? buf_cstr(&coded) : "");
    buf_deinit(&message);
    buf_deinit(&out);
    buf_deinit(&coded);
    return j;
}

/* ---- DMARC */

/* The one look-up of libopendmarc, in its place. */
char *dmarc_dns_get_record(char *domain, int *reply, char *out, size_t room)
{
    const json_t *list = look(domain, "TXT"), *e;
    size_t i;
    *reply = json_is_string(list) ? TRY_AGAIN : json_array_size(list) ? NETDB_SUCCESS : HOST_NOT_FOUND;
    json_array_foreach(list, i, e) {
        if (strncasecmp(json_string_value(e), "v=DMARC1", 8) != 0) continue;
        snprintf(out, room, "%s", json_string_value(e));
        return out;
    }
    if (*reply == NETDB_SUCCESS) *reply = NO_DATA;
    return NULL;
}

static const struct {
    const char *word;
    int outcome;
} outcomes[] = { { "pass", DMARC_POLICY_DKIM_OUTCOME_PASS }, { "fail", DMARC_POLICY_DKIM_OUTCOME_FAIL },
    { "temperror", DMARC_POLICY_DKIM_OUTCOME_TMPFAIL } };

static int outcome_of(const json_t *j)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (strcmp(text(j, "result"), outcomes[i].word) == 0) return outcomes[i].outcome;
    return DMARC_POLICY_DKIM_OUTCOME_NONE;
}

static json_t *dmarc_judged(DMARC_POLICY_T *p, const char *from)
{
    u_char found[256] = "";
    int status = opendmarc_policy_query_dmarc(p, (u_char *)from);
    if (status == DMARC_DNS_ERROR_TMPERR) return json_pack("{s:s}", "result", "temperror");
    if (status == DMARC_DNS_ERROR_NO_RECORD || status == DMARC_DNS_ERROR_NXDOMAIN) return json_pack("{s:s}", "result", "none");
    if (status != DMARC_PARSE_OKAY) return json_pack("{s:s, s:i}", "result", "permerror", "status", status);
    status = opendmarc_get_policy_to_enforce(p);
    opendmarc_policy_fetch_utilized_domain(p, found, sizeof found);
    const char *asked = status == DMARC_POLICY_REJECT ? "reject" : status == DMARC_POLICY_QUARANTINE ? "quarantine" : "none";
    const char *result = status == DMARC_POLICY_PASS ? "pass" : status == DMARC_POLICY_ABSENT ? "none"
        : status == DMARC_FROM_DOMAIN_ABSENT ? "permerror" : "fail";
    return json_pack("{s:s, s:s, s:s}", "result", result, "published", asked, "record_domain", found);
}

static json_t *run_dmarc(const json_t *c)
{
    static OPENDMARC_LIB_T library = { .tld_type = OPENDMARC_TLD_TYPE_MOZILLA,
        .tld_source_file = "/usr/share/publicsuffix/public_suffix_list.dat" };
    static bool ready;
    const json_t *e, *spf = json_object_get(c, "spf"), *dkim = json_object_get(c, "dkim");
    const char *from = text(c, "from_domain");
    size_t i;
    if (json_is_true(json_object_get(c, "walk")) || !*from) return json_pack("{s:n}", "result");
    if (!ready) opendmarc_policy_library_init(&library);
    ready = true;
    DMARC_POLICY_T *p = opendmarc_policy_connect_init((u_char *)"192.0.2.1", DMARC_POLICY_IP_TYPE_IPV4);
    opendmarc_policy_store_from_domain(p, (u_char *)from);
    if (spf) opendmarc_policy_store_spf(p, (u_char *)text(spf, "domain"), outcome_of(spf), DMARC_POLICY_SPF_ORIGIN_MAILFROM, NULL);
    json_array_foreach(dkim, i, e)
        opendmarc_policy_store_dkim(p, (u_char *)text(e, "domain"), (u_char *)"s", outcome_of(e), NULL);
    json_t *j = dmarc_judged(p, from);
    opendmarc_policy_connect_shutdown(p);
    return j;
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        json_t *c = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        const char *what = text(c, "do");
        zone = json_object_get(c, "zone");
        now = (time_t)json_integer_value(json_object_get(c, "now"));
        json_t *j = strcmp(what, "spf") == 0 ? run_spf(c) : strcmp(what, "dkim") == 0 ? run_dkim(c)
            : strcmp(what, "dmarc") == 0 ? run_dmarc(c) : strcmp(what, "sign") == 0 ? run_sign(c) : json_pack("{s:n}", "result");
        json_object_set(j, "id", json_object_get(c, "id"));
        json_dumpf(j, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(j);
        json_decref(c);
    }
    free(line);
    return 0;
}
