/* SPDX-License-Identifier: Apache-2.0
 * MTA-STS records and policies: small grammars, strictly read. */
#include "fetch/mta_sts.h"
#include "smtp/address.h"

static bool is_alnum(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

static bool id_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i])) return false;
    return s.n >= 1 && s.n <= STS_ID_MAX;
}

/* "v=STSv1" and then a delimiter, or nothing. */
static bool is_sts(struct slice *text)
{
    if (!slice_starts(*text, SLICE("v=STSv1"))) return false; /* case-sensitive: RFC 8461 §3.1 */
    struct slice rest = slice_trim_blanks(slice_sub(*text, 7, text->n));
    if (rest.n && rest.p[0] != ';') return false;
    *text = slice_sub(rest, 1, rest.n);
    return true;
}

static bool take_id(struct slice fields, char id[STS_ID_MAX + 1])
{
    struct slice field, name;
    bool found = false;
    while (fields.n) {
        slice_cut(&fields, ';', &field);
        field = slice_trim_blanks(field);
        if (!slice_cut(&field, '=', &name) || !slice_eq(name, SLICE("id"))) continue; /* extensions: passed over */
        if (found || !id_ok(field)) return false;
        memcpy(id, field.p, field.n);
        id[field.n] = 0;
        found = true;
    }
    return found;
}

bool sts_record_parse(const struct slice *texts, size_t n, char id[STS_ID_MAX + 1])
{
    struct slice fields = { 0 };
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        struct slice text = texts[i];
        if (!is_sts(&text)) continue;
        fields = text;
        found++;
    }
    return found == 1 && take_id(fields, id);
}

/* ---- policies */

static bool parse_mx(struct slice value, struct sts_policy *out, struct err *err)
{
    struct slice host = slice_starts(value, SLICE("*.")) ? slice_sub(value, 2, value.n) : value;
    if (out->mx_n == STS_MX_MAX) return err_set(err, "the policy names more than %d MX patterns", STS_MX_MAX);
    if (value.n > 255 || !address_domain_ok(host, false)) return err_set(err, "the policy has an mx that is no host name");
    char *to = out->mx[out->mx_n++];
    for (size_t i = 0; i < value.n; i++) to[i] = ascii_lower(value.p[i]);
    to[value.n] = 0;
    return true;
}

static bool parse_mode(struct slice value, struct sts_policy *out, struct err *err)
{
    if (slice_eq(value, SLICE("enforce"))) out->mode = STS_ENFORCE;
    else if (slice_eq(value, SLICE("testing"))) out->mode = STS_TESTING;
    else if (slice_eq(value, SLICE("none"))) out->mode = STS_NONE;
    else return err_set(err, "the policy's mode is none of enforce, testing, none");
    return true;
}

static bool parse_age(struct slice value, struct sts_policy *out, struct err *err)
{
    uint64_t age;
    if (value.n > 10 || !slice_to_u64(value, UINT32_MAX, &age)) return err_set(err, "the policy's max_age is no number");
    out->max_age = age > STS_AGE_MAX ? STS_AGE_MAX : (uint32_t)age;
    return true;
}

enum seen { SEEN_VERSION = 1, SEEN_MODE = 2, SEEN_AGE = 4 };

/* Of a key given twice the first counts (RFC 8461 §3.2), but for mx. */
static bool take_pair(struct slice key, struct slice value, unsigned *seen, struct sts_policy *out, struct err *err)
{
    if (slice_eq(key, SLICE("mx"))) return parse_mx(value, out, err);
    unsigned what = slice_eq(key, SLICE("version"))   ? SEEN_VERSION
                    : slice_eq(key, SLICE("mode"))    ? SEEN_MODE
                    : slice_eq(key, SLICE("max_age")) ? SEEN_AGE
                                                      : 0;
    if (!what || *seen & what) return true;
    *seen |= what;
    if (what == SEEN_MODE) return parse_mode(value, out, err);
    if (what == SEEN_AGE) return parse_age(value, out, err);
    return slice_eq(value, SLICE("STSv1")) || err_set(err, "the policy's version is not STSv1");
}

/* RFC 8461 §3.2: nothing in it is a control character; what is kept of it goes to files, logs and reports. */
static bool is_clean(struct slice line)
{
    for (size_t i = 0; i < line.n; i++)
        if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7F) return false;
    return true;
}

bool sts_policy_parse(struct slice text, struct sts_policy *out, struct err *err)
{
    unsigned seen = 0;
    *out = (struct sts_policy){ 0 };
    if (text.n > STS_POLICY_MAX) return err_set(err, "the policy is larger than %d bytes", STS_POLICY_MAX);
    while (text.n) {
        struct slice line, key;
        slice_cut(&text, '\n', &line);
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        line = slice_trim_blanks(line);
        if (!line.n) continue;
        if (!is_clean(line)) return err_set(err, "the policy has control characters");
        if (!slice_cut(&line, ':', &key)) return err_set(err, "the policy has a line without a colon");
        if (!take_pair(slice_trim_blanks(key), slice_trim_blanks(line), &seen, out, err)) return false;
    }
    if (seen != (SEEN_VERSION | SEEN_MODE | SEEN_AGE)) return err_set(err, "the policy lacks its version, mode or max_age");
    return out->mx_n > 0 || out->mode == STS_NONE || err_set(err, "the policy names no MX host");
}

bool sts_policy_covers(const struct sts_policy *p, struct slice host)
{
    ptrdiff_t dot = slice_find(host, '.');
    struct slice behind = dot > 0 ? slice_sub(host, (size_t)dot + 1, host.n) : SLICE("");
    for (size_t i = 0; i < p->mx_n; i++) {
        struct slice pattern = slice_str(p->mx[i]);
        if (slice_starts(pattern, SLICE("*."))) {
            if (behind.n && slice_ieq(slice_sub(pattern, 2, pattern.n), behind)) return true;
        } else if (slice_ieq(pattern, host))
            return true;
    }
    return false;
}
