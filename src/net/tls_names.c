/* SPDX-License-Identifier: Apache-2.0
 * The names in a certificate. */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "net/tls_parts.h"

void tls_name_text(const X509_NAME *name, char *out, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    int n = bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0
                ? (int)BIO_get_mem_data(bio, &text)
                : 0;
    struct buf b = { 0 }; /* a name may hold anything */
    buf_add_printable(&b, (struct slice){ text, (size_t)(n > 0 ? n : 0) }, room - 1);
    snprintf(out, room, "%s", b.n ? buf_cstr(&b) : "(no name)");
    buf_deinit(&b);
    BIO_free(bio);
}

/* A lower-case copy; false: nothing that could be the name of a server. */
static bool take_name(const unsigned char *p, int n, char out[TLS_NAME_MAX + 1])
{
    if (n < 1 || n > TLS_NAME_MAX) return false;
    for (int i = 0; i < n; i++) {
        char ch = ascii_lower((char)p[i]);
        bool wild = i == 0 && ch == '*' && n > 2 && p[1] == '.';
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '-' && ch != '_' && ch != '.' && !wild)
            return false;
        out[i] = ch;
    }
    out[n] = '\0';
    return true;
}

void tls_cert_names(const X509 *cert, void (*each)(void *arg, const char *name), void *arg)
{
    char name[TLS_NAME_MAX + 1];
    bool any = false;
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type != GEN_DNS) continue;
        any = true;
        if (take_name(ASN1_STRING_get0_data(g->d.dNSName), ASN1_STRING_length(g->d.dNSName), name)) each(arg, name);
    }
    GENERAL_NAMES_free(all);
    if (any) return; /* RFC 6125 §6.4.4: the common name only as the last resort */
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *cn = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    if (cn && take_name(ASN1_STRING_get0_data(cn), ASN1_STRING_length(cn), name)) each(arg, name);
}

struct wanted {
    const char *name;
    bool found;
};

static void compare_name(void *arg, const char *name)
{
    struct wanted *w = arg;
    w->found |= slice_ieq(slice_str(name), slice_str(w->name));
}

bool tls_pair_covers(const struct tls_pair *p, const char *name)
{
    if (name[0] != '*') return X509_check_host(p->leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
    struct wanted w = { .name = name };
    tls_cert_names(p->leaf, compare_name, &w);
    return w.found;
}
