/* SPDX-License-Identifier: Apache-2.0
 * What authentication parses of what others say: PLAIN, SCRAM's messages, base64, lines of the users file, replies of Dovecot and of an IMAP
 * server, names in LDAP's templates. The first byte chooses. */
#include "auth/internal.h"
#include "base/base64.h"
#include "base/mem.h"
#include "fuzz.h"

static void plain(struct slice in)
{
    struct slice name, password;
    if (sasl_plain_split(in, &name, &password)) return;
    must(name.n && password.n && !memchr(name.p, 0, name.n) && !memchr(password.p, 0, password.n));
}

static void base64(struct slice in)
{
    struct buf raw = { 0 }, again = { 0 };
    if (base64_decode(in, &raw)) {
        base64_add(&again, buf_slice(&raw));
        must(slice_eq(buf_slice(&again), in)); /* there is one form only */
    }
    buf_deinit(&raw);
    buf_deinit(&again);
}

/* client-first and client-final with a NUL between them. */
static void scram(struct slice in, bool plus)
{
    struct scram s = { .plus = plus, .can_plus = plus, .binding = SLICE("0123456789abcdef0123456789abcdef") };
    struct scram_secret secret = { .iterations = 4096, .salt_n = 16 };
    struct slice first;
    struct buf out = { 0 };
    bool proven;
    slice_cut(&in, '\0', &first);
    if (!scram_client_first(&s, first)) {
        must(*s.name);
        scram_server_first(&s, &secret, &out);
        buf_clear(&out);
        if (!scram_client_final(&s, in, &proven, &out)) must(!proven && !out.n);
    }
    buf_deinit(&out);
    scram_deinit(&s);
}

static void user(struct slice in)
{
    struct user u, again;
    struct err err;
    struct buf line = { 0 };
    if (memchr(in.p ? in.p : "", '\n', in.n) || memchr(in.p ? in.p : "", 0, in.n) || !user_parse(in, &u, &err)) return;
    user_format(&u, &line);
    must(user_parse(slice_sub(buf_slice(&line), 0, line.n - 1), &again, &err) && !strcmp(u.name, again.name) && u.has_scram == again.has_scram);
    buf_deinit(&line);
}

static void replies(struct slice in, bool imap)
{
    struct auth_verdict v = { 0 };
    struct buf challenge = { 0 };
    if (imap) imap_judge(in, SLICE("c"), &v);
    else dovecot_judge(in, &challenge, &v);
    must(strlen(v.account) <= AUTH_NAME_MAX && challenge.n <= AUTH_DATA_MAX);
    buf_deinit(&challenge);
    auth_verdict_deinit(&v);
}

static void ldap(struct slice in)
{
    struct buf out = { 0 };
    ldap_fill(&out, "(uid=%u,%n,%d%%)", in);
    for (size_t i = 5; i + 1 < out.n; i++) must(out.p[i] != '*' && out.p[i] != '(' && out.p[i] != '\0');
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    struct slice in = slice_of(data + 1, n - 1);
    switch (data[0] % 8) {
    case 0: plain(in); break;
    case 1: base64(in); break;
    case 2: scram(in, false); break;
    case 3: scram(in, true); break;
    case 4: user(in); break;
    case 5: replies(in, false); break;
    case 6: replies(in, true); break;
    default: ldap(in);
    }
    return 0;
}
