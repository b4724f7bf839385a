/* SPDX-License-Identifier: Apache-2.0
 * A line of the users file: name:hash:scram:cram:addresses.
 *   name       as the user writes it, after SASLprep; any case of ASCII letters is the same
 *   hash       crypt(5), made with yescrypt; for PLAIN and LOGIN. With ! or * in front the user is locked, whatever the mechanism
 *   scram      iterations$salt$StoredKey$ServerKey, in base64 (RFC 5802 §3), or empty
 *   cram       MD5's state after the inner and the outer key block, 64 hexadecimal digits, or empty
 *   addresses  what the user may send as besides the name, with commas between: a@b.example, @b.example for a whole domain, * for any
 * Lines that begin with # are comments; "#seed:..." holds a random value from which salts of names that are not there are made. */
#include "auth/internal.h"
#include "base/base64.h"
#include "base/mem.h"

bool user_decode(struct slice text, unsigned char *out, size_t n)
{
    struct buf b = { 0 };
    bool ok = base64_decode(text, &b) && b.n == n;
    if (ok) memcpy(out, b.p, n);
    buf_wipe(&b);
    return ok;
}

static bool parse_scram(struct slice text, struct scram_secret *s)
{
    struct slice iterations, salt, stored;
    struct buf b = { 0 };
    uint64_t n = 0;
    bool ok = slice_cut(&text, '$', &iterations) && slice_cut(&text, '$', &salt) && slice_cut(&text, '$', &stored) &&
              slice_to_u64(iterations, 10000000, &n) && n >= 1 && base64_decode(salt, &b) && b.n &&
              b.n <= sizeof s->salt && user_decode(stored, s->stored, SCRAM_KEY) &&
              user_decode(text, s->server, SCRAM_KEY);
    if (ok) memcpy(s->salt, b.p, b.n);
    s->salt_n = ok ? b.n : 0;
    s->iterations = (uint32_t)n;
    buf_deinit(&b);
    return ok;
}

static bool parse_hex(struct slice text, unsigned char *out, size_t n)
{
    if (text.n != 2 * n) return false;
    for (size_t i = 0; i < text.n; i++) {
        int d = ascii_hex(text.p[i]);
        if (d < 0) return false;
        out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | d : d << 4);
    }
    return true;
}

bool user_name_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ':' || (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return false;
    return s.n && s.n <= AUTH_NAME_MAX && s.p[0] != '#';
}

bool user_is_locked(const struct user *u) { return u->hash[0] == '!' || u->hash[0] == '*'; }

bool user_parse(struct slice line, struct user *out, struct err *err)
{
    struct slice name, hash, scram, cram;
    unsigned char both[32];
    *out = (struct user){ 0 };
    if (!slice_cut(&line, ':', &name) || !slice_cut(&line, ':', &hash) || !slice_cut(&line, ':', &scram) ||
        !slice_cut(&line, ':', &cram))
        return err_set(err, "has fewer than five fields");
    if (!user_name_ok(name)) return err_set(err, "has no name that can be");
    if (!hash.n || hash.n >= sizeof out->hash || memchr(hash.p, 0, hash.n))
        return err_set(err, "has no password hash that can be");
    memcpy(out->name, name.p, name.n);
    memcpy(out->hash, hash.p, hash.n);
    if (scram.n && !parse_scram(scram, &out->scram)) return err_set(err, "has SCRAM keys that are damaged");
    if (cram.n && !parse_hex(cram, both, sizeof both)) return err_set(err, "has a CRAM-MD5 state that is damaged");
    out->has_scram = scram.n > 0;
    out->has_cram = cram.n > 0;
    if (cram.n) {
        memcpy(out->cram.inner, both, 16);
        memcpy(out->cram.outer, both + 16, 16);
    }
    out->addresses = line;
    return true;
}

/* hash:scram:cram */
void user_format_secret(const struct user *u, struct buf *out)
{
    const struct scram_secret *s = &u->scram;
    buf_addf(out, "%s:", u->hash);
    if (u->has_scram) {
        buf_addf(out, "%u$", s->iterations);
        base64_add(out, slice_of(s->salt, s->salt_n));
        buf_add_char(out, '$');
        base64_add(out, slice_of(s->stored, SCRAM_KEY));
        buf_add_char(out, '$');
        base64_add(out, slice_of(s->server, SCRAM_KEY));
    }
    buf_add_char(out, ':');
    for (size_t i = 0; u->has_cram && i < 32; i++)
        buf_addf(out, "%02x", i < 16 ? u->cram.inner[i] : u->cram.outer[i - 16]);
}

void user_format(const struct user *u, struct buf *out)
{
    buf_addf(out, "%s:", u->name);
    user_format_secret(u, out);
    buf_add_char(out, ':');
    buf_add(out, u->addresses);
    buf_add_char(out, '\n');
}
