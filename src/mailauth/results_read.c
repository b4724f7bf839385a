/* SPDX-License-Identifier: Apache-2.0
 * Whose Authentication-Results field is it? One that bears our name but is not ours must go (RFC 8601 §5), and
 * whoever forges one writes it in a way that some reader understands and another does not: all that is not plainly
 * another's is taken for ours. */
#include "mailauth/results.h"
#include "smtp/address.h"

#define ID_MAX 512

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Behind a comment at *at, which is "("; nested ones and quoted pairs are seen through (RFC 5322 §3.2.2). False: not
 * closed. */
static bool skip_comment(struct slice s, size_t *at)
{
    size_t depth = 0;
    for (size_t i = *at; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '(') {
            depth++;
        } else if (s.p[i] == ')' && --depth == 0) {
            *at = i + 1;
            return true;
        }
    }
    return false;
}

static bool skip_cfws(struct slice s, size_t *at)
{
    while (*at < s.n) {
        if (is_blank(s.p[*at]))
            ++*at;
        else if (s.p[*at] != '(')
            break;
        else if (!skip_comment(s, at))
            return false;
    }
    return true;
}

/* A quoted string at *at without its quotes; false: not closed, or longer than any name. */
static bool take_quoted(struct slice s, size_t *at, char id[ID_MAX], size_t *n)
{
    for (size_t i = *at + 1; i < s.n; i++) {
        if (s.p[i] == '"') {
            *at = i + 1;
            return true;
        }
        if (s.p[i] == '\r' || s.p[i] == '\n') continue; /* of a fold */
        if (s.p[i] == '\\' && ++i == s.n) break;
        if (*n == ID_MAX) break;
        id[(*n)++] = s.p[i];
    }
    return false;
}

/* A token (RFC 2045 §5.1), or 8-bit text, which some write instead of A-labels. */
static bool take_token(struct slice s, size_t *at, char id[ID_MAX], size_t *n)
{
    for (; *at < s.n; ++*at) {
        char c = s.p[*at];
        if (is_blank(c) || c == ';' || c == '(') break;
        if ((unsigned char)c < 0x21 || c == 0x7F || strchr("()<>@,:\\\"/[]?=", c) || *n == ID_MAX) return false;
        id[(*n)++] = c;
    }
    return *n > 0;
}

/* A line that ends where it should not: what follows might be read as a field of its own. */
static bool breaks_out(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == 0) return true;
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') i++;
        else if (s.p[i] != '\r' && s.p[i] != '\n') continue;
        if (i + 1 < s.n && s.p[i + 1] != ' ' && s.p[i + 1] != '\t') return true;
    }
    return false;
}

/* The same name; in doubt it is. */
static bool same_name(struct slice id, struct slice ours)
{
    char a[256], b[256];
    bool wide = false;
    for (size_t i = 0; i < id.n; i++) wide |= (unsigned char)id.p[i] >= 0x80;
    if (id.n && id.p[id.n - 1] == '.') id.n--;
    if (ours.n && ours.p[ours.n - 1] == '.') ours.n--;
    if (slice_ieq(id, ours)) return true;
    if (!wide) return false;
    if (!address_domain_ascii(id, a) || !address_domain_ascii(ours, b)) return true;
    return strcmp(a, b) == 0;
}

bool auth_results_is_from(struct slice value, struct slice ours)
{
    char id[ID_MAX];
    size_t at = 0, n = 0;
    if (!ours.n || breaks_out(value)) return true;
    if (!skip_cfws(value, &at)) return true;
    if (at == value.n) return false; /* it says nothing about anybody */
    if (!(value.p[at] == '"' ? take_quoted : take_token)(value, &at, id, &n)) return true;
    struct slice name = slice_trim(slice_of(id, n));
    if (!name.n || same_name(name, ours)) return true;
    /* Another's. Behind it come a version and ";" (RFC 8601 §2.2); what is different might be read differently. */
    if (!skip_cfws(value, &at)) return true;
    while (at < value.n && value.p[at] >= '0' && value.p[at] <= '9') at++;
    return !skip_cfws(value, &at) || (at < value.n && value.p[at] != ';');
}
