/* SPDX-License-Identifier: Apache-2.0
 * A token from a token endpoint, for a refresh token (RFC 6749 §6), over HTTPS. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "auth/client_internal.h"
#include "auth/token.h"
#include "base/ip.h"
#include "base/mem.h"

bool token_endpoint_is_safe(const char *url)
{
    struct slice rest, host, name;
    struct ip ip;
    if (slice_istarts(slice_str(url), SLICE("https://"))) return true;
    if (!slice_istarts(slice_str(url), SLICE("http://"))) return false;
    rest = slice_str(url + 7);
    slice_cut(&rest, '/', &host);
    if (slice_find(host, '@') >= 0) return false;
    rest = slice_starts(host, SLICE("[")) ? slice_sub(host, 1, host.n) : host;
    slice_cut(&rest, rest.p == host.p ? ':' : ']', &name);
    return slice_ieq(name, SLICE("localhost")) || (ip_parse(name, &ip) && ip_is_loopback(&ip));
}

static void add_field(struct buf *b, const char *name, struct slice value)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!value.n) return;
    if (b->n) buf_add_char(b, '&');
    buf_add_str(b, name);
    buf_add_char(b, '=');
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-._~", c));
        if (plain) buf_add_char(b, (char)c);
        else buf_add(b, slice_of((char[]){ '%', hex[c >> 4], hex[c & 15] }, 3));
    }
}

static bool make_form(const struct config_hop *hop, struct slice refresh, struct buf *form, char reason[200])
{
    struct buf secret = { 0 };
    const char *file = hop->auth.token.client_secret_file;
    bool ok = !file || auth_secret_file(file, TOKEN_MAX, &secret, reason);
    buf_reserve(form, 4096 + 3 * (refresh.n + secret.n)); /* at once, so that no copies are left */
    add_field(form, "grant_type", SLICE("refresh_token"));
    add_field(form, "client_id", slice_str(hop->auth.token.client_id));
    add_field(form, "client_secret", buf_slice(&secret));
    add_field(form, "refresh_token", refresh);
    add_field(form, "scope", slice_str(hop->auth.token.scope));
    buf_wipe(&secret);
    return ok;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;
    buf_add(b, slice_of(p, size * n));
    return b->overflow ? 0 : size * n; /* fewer: the transfer ends */
}

static void init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void trust(CURL *h, const char *ca)
{
    struct stat st;
    if (!ca || !ca[0]) return; /* the system's */
    if (stat(ca, &st) == 0 && S_ISDIR(st.st_mode)) {
        curl_easy_setopt(h, CURLOPT_CAPATH, ca);
        curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
    } else {
        curl_easy_setopt(h, CURLOPT_CAINFO, ca);
        curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
    }
}

static CURLcode post(const char *url, const char *ca, const struct buf *form, struct buf *body, long *status, char *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
    CURL *h = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (!h || !headers) abort();
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, token_endpoint_is_safe(url) ? "https,http" : "https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)TOKEN_TIME_MAX);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)TOKEN_TIME_MAX / 2);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "postern/" POSTERN_VERSION);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)form->n);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, form->p);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    trust(h, ca);
    CURLcode rc = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(h);
    return rc;
}

bool token_ask_endpoint(const struct config *c, const struct config_hop *hop, struct slice refresh, struct token *t, char reason[200])
{
    const char *url = hop->auth.token.endpoint;
    struct buf form = { 0 }, body = { .max = TOKEN_ENDPOINT_MAX };
    char why[CURL_ERROR_SIZE] = "", what[200] = "";
    long status = 0;
    bool ok = false;
    if (!token_endpoint_is_safe(url)) {
        snprintf(reason, 200, "token.endpoint must begin with https://");
        return false;
    }
    if (!make_form(hop, refresh, &form, reason)) {
        buf_wipe(&form);
        return false;
    }
    CURLcode rc = post(url, c->tls.ca, &form, &body, &status, why);
    if (rc != CURLE_OK)
        snprintf(what, sizeof what, "%.150s", body.overflow ? "it answers more than 64 KiB" : why[0] ? why : curl_easy_strerror(rc));
    else if (token_parse_json(buf_slice(&body), t, what)) ok = status == 200;
    if (!ok && rc == CURLE_OK && !what[0]) snprintf(what, sizeof what, "a token, but not with code 200");
    if (!ok && status) snprintf(reason, 200, "token.endpoint answered %ld: %.150s", status, what);
    else if (!ok) snprintf(reason, 200, "token.endpoint: %.180s", what);
    buf_wipe(&form);
    buf_wipe(&body);
    return ok;
}
