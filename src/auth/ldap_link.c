/* SPDX-License-Identifier: Apache-2.0
 * A connection to a directory, by libldap. */
#include "auth/ldap_link.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/clock.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define PDU_MAX (16u << 20) /* bytes of one answer */
#define LAYER ((LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2)

struct timeval ldap_link_left(const struct ldap_link *l)
{
    uint64_t now = clock_mono_ms(), ms = l->deadline > now ? l->deadline - now : 1;
    return (struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
}

bool ldap_link_broken(struct ldap_link *l, int rc, struct err *err)
{
    struct buf detail = { 0 };
    char *text = NULL;
    if (l->ld) ldap_get_option(l->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    buf_add_printable(&detail, slice_str(text), 120);
    err_set_text(err, "LDAP %.60s, %s: %s%s%.80s", l->url, l->what, ldap_err2string(rc), detail.n ? ": " : "", buf_cstr(&detail));
    buf_deinit(&detail);
    if (text) ldap_memfree(text);
    return false;
}

/* ---- a layer below TLS: the library waits for an answer no longer than it is told, but TLS reads whole records and shakes hands, and would wait
 * for the rest of one for ever */

static bool wait_for(Sockbuf_IO_Desc *d, short what)
{
    const struct ldap_link *l = d->sbiod_pvt;
    ber_socket_t fd = -1;
    int rc = -1;
    ber_sockbuf_ctrl(d->sbiod_sb, LBER_SB_OPT_GET_FD, &fd);
    for (uint64_t now; rc < 0 && (now = clock_mono_ms()) < l->deadline;) {
        uint64_t left = l->deadline - now;
        rc = poll(&(struct pollfd){ .fd = fd, .events = what }, 1, left < INT_MAX ? (int)left : INT_MAX);
        if (rc < 0 && errno != EINTR) return false;
    }
    if (rc <= 0) errno = ETIMEDOUT;
    return rc > 0;
}

static int on_setup(Sockbuf_IO_Desc *d, void *link)
{
    d->sbiod_pvt = link;
    return 0;
}

static int on_end(Sockbuf_IO_Desc *d) { return 0; }
static int on_control(Sockbuf_IO_Desc *d, int what, void *arg) { return LBER_SBIOD_CTRL_NEXT(d, what, arg); }

static ber_slen_t on_read(Sockbuf_IO_Desc *d, void *to, ber_len_t n)
{
    return wait_for(d, POLLIN) ? LBER_SBIOD_READ_NEXT(d, to, n) : -1;
}

static ber_slen_t on_write(Sockbuf_IO_Desc *d, void *from, ber_len_t n)
{
    return wait_for(d, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(d, from, n) : -1;
}

static int on_connected(LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *to, struct ldap_conncb *cb)
{
    static Sockbuf_IO layer = { on_setup, on_end, on_control, on_read, on_write, on_end }; /* nobody writes to it */
    return ber_sockbuf_add_io(sb, &layer, LAYER, cb->lc_arg);
}

static void on_closing(LDAP *ld, Sockbuf *sb, struct ldap_conncb *cb) {}

/* Before the first byte comes. */
static void limit(struct ldap_link *l)
{
    Sockbuf *sb = NULL;
    ber_len_t most = PDU_MAX;
    l->connected = (struct ldap_conncb){ on_connected, on_closing, l };
    ldap_set_option(l->ld, LDAP_OPT_CONNECT_CB, &l->connected);
    if (ldap_get_option(l->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb) ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
}

/* ---- opening, binding, closing */

bool ldap_link_open(struct ldap_link *l, struct err *err)
{
    const char *ca = l->ca && *l->ca ? l->ca : SYSTEM_CA; /* the library has none of itself */
    struct stat st;
    struct timeval tv = ldap_link_left(l);
    bool folder = stat(ca, &st) == 0 && S_ISDIR(st.st_mode);
    int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
    l->what = "connecting";
    int rc = ldap_initialize(&l->ld, l->url);
    if (rc != LDAP_SUCCESS) return ldap_link_broken(l, rc, err);
    limit(l);
    ldap_set_option(l->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(l->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    ldap_set_option(l->ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    ldap_set_option(l->ld, LDAP_OPT_NETWORK_TIMEOUT, &tv);
    ldap_set_option(l->ld, LDAP_OPT_TIMEOUT, &tv);
    ldap_set_option(l->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    ldap_set_option(l->ld, folder ? LDAP_OPT_X_TLS_CACERTDIR : LDAP_OPT_X_TLS_CACERTFILE, ca);
    ldap_set_option(l->ld, LDAP_OPT_X_TLS_NEWCTX, &client);
    if (!l->starttls) return true;
    l->what = "STARTTLS";
    rc = ldap_start_tls_s(l->ld, NULL, NULL);
    return rc == LDAP_SUCCESS ? true : ldap_link_broken(l, rc, err);
}

int ldap_link_bind(struct ldap_link *l, const char *dn, struct slice password, struct err *err)
{
    struct berval cred = { .bv_len = password.n, .bv_val = (char *)(uintptr_t)password.p };
    LDAPMessage *answer = NULL;
    struct timeval tv = ldap_link_left(l);
    int id = 0, code = -1;
    int rc = ldap_sasl_bind(l->ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, &id);
    if (rc == LDAP_SUCCESS) {
        int kind = ldap_result(l->ld, id, LDAP_MSG_ONE, &tv, &answer);
        if (kind > 0 && kind != LDAP_RES_BIND) { /* a server that sends anything else may send it without end */
            ldap_msgfree(answer);
            rc = LDAP_PROTOCOL_ERROR;
        } else if (kind > 0) rc = ldap_parse_result(l->ld, answer, &code, NULL, NULL, NULL, NULL, 1);
        else if (kind == 0) rc = LDAP_TIMEOUT;
        else ldap_get_option(l->ld, LDAP_OPT_RESULT_CODE, &rc);
    }
    if (rc == LDAP_SUCCESS && code >= 0) return code;
    ldap_link_broken(l, rc == LDAP_SUCCESS ? LDAP_OTHER : rc, err);
    return -1;
}

void ldap_link_close(struct ldap_link *l)
{
    if (l->ld) ldap_unbind_ext(l->ld, NULL, NULL);
    l->ld = NULL;
}
