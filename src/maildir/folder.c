/* SPDX-License-Identifier: Apache-2.0
 * From a recipient, whom strangers name, to a folder below the one that the configuration names. */
#include "maildir/folder.h"
#include <string.h>
#include "base/utf8.h"
#include "smtp/address.h"

#define LOCAL_MAX 320 /* nothing longer is an address (RFC 5321 §4.5.3.1) */

size_t maildir_fixed(const char *path)
{
    const char *end = strchr(path, '%');
    size_t n = end ? (size_t)(end - path) : strlen(path);
    while (n > 1 && path[n - 1] == '/' && !end) n--; /* "/var/mail/all/" */
    while (n > 1 && path[n - 1] != '/') n--;
    return n > 1 ? n - 1 : 1;
}

/* What it would be as a part of a file's name. */
static const char *problem_with(struct slice name)
{
    if (!name.n) return "its name is empty";
    if (name.n > MAILDIR_NAME_MAX) return "its name is too long";
    if (name.p[0] == '.') return "its name begins with a dot";
    if (!utf8_ok(name)) return "its name is not UTF-8";
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7F) return "its name has control characters";
        if (c == '/') return "its name has a slash";
        if (c == '.' && i && name.p[i - 1] == '.') return "its name has two dots in a row";
    }
    return NULL;
}

static void add_lower(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) buf_add_char(out, ascii_lower(s.p[i]));
}

static void expand(const char *path, struct slice local, struct slice domain, struct buf *out)
{
    for (; *path; path++) {
        if (*path != '%' || !path[1] || !strchr("dnu", path[1])) {
            buf_add_char(out, *path);
            continue;
        }
        path++;
        if (*path != 'd') add_lower(out, local);
        if (*path == 'u') buf_add_char(out, '@');
        if (*path != 'n') add_lower(out, domain);
    }
}

const char *maildir_folder(const char *path, struct slice rcpt, struct buf *out)
{
    const char *at = rcpt.n ? memrchr(rcpt.p, '@', rcpt.n) : NULL;
    char plain[LOCAL_MAX], domain[256];
    if (!strchr(path, '%')) {
        buf_add_str(out, path);
        return NULL;
    }
    if (!at || (size_t)(at - rcpt.p) >= sizeof plain) return "it is no address";
    struct slice local = slice_sub(rcpt, 0, (size_t)(at - rcpt.p));
    if (!address_domain_ascii(slice_sub(rcpt, local.n + 1, rcpt.n), domain) || domain[0] == '[') return "its domain is none";
    size_t n = address_local_unquote(local, plain);
    const char *why = problem_with(slice_of(plain, n));
    if (!why) why = problem_with(slice_str(domain));
    if (!why && strstr(path, "%u") && n + strlen(domain) + 1 > MAILDIR_NAME_MAX) why = "its name is too long";
    if (!why) expand(path, slice_of(plain, n), slice_str(domain), out);
    return why;
}
