/* SPDX-License-Identifier: Apache-2.0
 * Rewritten senders: the secrets, and who is rewritten. */
#include "route/rewrite.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "smtp/address.h"

#define FILE_MAX 65536
#define SECRETS_MAX 16   /* each is tried when a bounce comes */
#define SECRET_MIN 16    /* bytes: what can be guessed opens the relay */
#define SECRET_MAX 1024
#define DAY_MS 86400000u

struct rewriter {
    const struct config *config;
    struct srs srs;
    struct srs_key keys[SECRETS_MAX];
    char *text;              /* of the file: the secrets are in it; NULL: off */
};

/* ---- secrets */

/* *n: FILE_MAX when there is more. */
static bool read_all(int fd, char *text, size_t *n)
{
    for (*n = 0; *n < FILE_MAX;) {
        ssize_t k = read(fd, text + *n, FILE_MAX - *n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return false;
        if (!k) break;
        *n += (size_t)k;
    }
    return true;
}

static bool take_secret(struct rewriter *r, struct slice secret, unsigned line, struct err *err)
{
    const char *file = r->config->srs.secrets_file;
    if (!secret.n) return true;
    if (secret.n < SECRET_MIN || secret.n > SECRET_MAX)
        return err_set(err, "%s line %u: a secret has %d to %d characters; openssl rand -base64 24 makes one", file, line, SECRET_MIN,
                       SECRET_MAX);
    if (r->srs.keys_n == SECRETS_MAX)
        return err_set(err, "%s line %u: more than %d secrets: remove the oldest at the end", file, line, SECRETS_MAX);
    r->keys[r->srs.keys_n++].secret = secret;
    return true;
}

static bool load_secrets(struct rewriter *r, struct err *err)
{
    const char *file = r->config->srs.secrets_file;
    size_t n;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s", file);
    bool ok = read_all(fd, r->text, &n);
    int code = errno;
    close(fd);
    if (!ok) return err_sys(err, code, "%s", file);
    if (n == FILE_MAX) return err_set(err, "%s: this is no file of secrets: it is too large", file);
    struct slice rest = slice_of(r->text, n), line;
    for (unsigned i = 1; rest.n; i++) {
        slice_cut(&rest, '\n', &line);
        if (!take_secret(r, slice_trim(line), i, err)) return false;
    }
    return r->srs.keys_n || err_set(err, "%s holds no secret; openssl rand -base64 24 makes one", file);
}

struct rewriter *rewriter_new(const struct config *c, struct err *err)
{
    struct rewriter *r = mem_new(struct rewriter);
    r->config = c;
    if (!c->srs.domain || !c->srs.secrets_file) return r;
    r->text = mem_zalloc(FILE_MAX);
    r->srs = (struct srs){ .keys = r->keys, .domain = slice_str(c->srs.domain), .shared = c->srs.shared, .days = (unsigned)(c->srs.keep / DAY_MS) };
    if (load_secrets(r, err)) return r;
    rewriter_free(r);
    return NULL;
}

void rewriter_free(struct rewriter *r)
{
    if (!r) return;
    if (r->text) mem_wipe(r->text, FILE_MAX);
    free(r->text);
    free(r);
}

/* ---- addresses */

static bool is_of_this_house(const struct config *c, const char *domain)
{
    return !strcmp(domain, c->srs.domain) || config_is_own_host(c, slice_str(domain)) || config_domain_of(c, slice_str(domain));
}

/* Its domain becomes A-labels: it is part of a local part then, and needs no SMTPUTF8 there. */
bool rewriter_wrap(const struct rewriter *r, struct slice sender, uint64_t now_ms, struct buf *out)
{
    char domain[256];
    const char *at = sender.n ? memrchr(sender.p, '@', sender.n) : NULL;
    size_t n = at ? (size_t)(at - sender.p) + 1 : 0;
    if (!r || !r->text || !n || !address_domain_ascii(slice_sub(sender, n, sender.n), domain)) return false;
    if (is_of_this_house(r->config, domain)) return false;
    struct buf plain = { 0 };
    buf_add(&plain, slice_sub(sender, 0, n));
    buf_add_str(&plain, domain);
    bool ok = srs_forward(&r->srs, buf_slice(&plain), now_ms, out);
    buf_deinit(&plain);
    return ok;
}

bool rewriter_is_domain(const struct rewriter *r, const char *domain)
{
    return r && r->text && slice_ieq(slice_str(domain), slice_str(r->config->srs.domain));
}

enum srs_outcome rewriter_unwrap(const struct rewriter *r, struct slice rcpt, uint64_t now_ms, struct buf *out)
{
    struct address a;
    size_t before = out->n;
    if (!r || !r->text) return SRS_NOT;
    enum srs_outcome outcome = srs_reverse(&r->srs, rcpt, now_ms, out);
    if (outcome != SRS_OK) return outcome;
    if (!address_parse(slice_sub(buf_slice(out), before, out->n), &a) && a.kind == ADDRESS_NAME) return SRS_OK;
    out->n = before;
    return SRS_FORGED;
}
