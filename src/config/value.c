/* SPDX-License-Identifier: Apache-2.0
 * Numbers, sizes, times, words and yes/no; what is a name or an address goes to value_name.c and value_net.c. */
#include "config/value.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"

bool value_fail(const struct value_source *v, const char *hint, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    yaml_error(v->report, v->node, hint, "%s", text);
    return false;
}

static const struct {
    char letter;
    uint64_t bytes;
} size_units[] = { { 'T', 1ull << 40 }, { 'G', 1ull << 30 }, { 'M', 1ull << 20 }, { 'K', 1ull << 10 } };

static const struct {
    const char *word;
    uint64_t ms;
} time_units[] = { { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
                   { "m", 60000 },     { "s", 1000 },     { "ms", 1 } };

static bool digits(struct slice *s, uint64_t *out)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') n++;
    bool ok = slice_to_u64(slice_sub(*s, 0, n), UINT64_MAX, out);
    *s = slice_sub(*s, n, s->n);
    return ok;
}

/* "20M", "20 MB", "20MiB", "4096": all units are binary. */
static bool size_of(struct slice s, uint64_t *out)
{
    uint64_t unit = 1;
    if (!digits(&s, out)) return false;
    s = slice_trim(s);
    for (size_t i = 0; s.n && i < countof(size_units); i++)
        if (ascii_lower(s.p[0]) == ascii_lower(size_units[i].letter)) {
            unit = size_units[i].bytes;
            s = slice_sub(s, 1, s.n);
            if (slice_ieq(s, SLICE("i")) || slice_istarts(s, SLICE("ib"))) s = slice_sub(s, 1, s.n);
            break;
        }
    if (s.n && !slice_ieq(s, SLICE("b"))) return false;
    if (*out > UINT64_MAX / unit) return false;
    *out *= unit;
    return true;
}

/* "90s", "1h30m", "500ms", "0". */
static bool time_of(struct slice s, uint64_t *out)
{
    *out = 0;
    if (slice_eq(s, SLICE("0"))) return true;
    while (s.n) {
        uint64_t n, unit = 0;
        if (!digits(&s, &n)) return false;
        s = slice_trim(s);
        size_t letters = 0;
        while (letters < s.n && s.p[letters] >= 'a' && s.p[letters] <= 'z') letters++;
        for (size_t i = 0; i < countof(time_units); i++)
            if (slice_eq(slice_sub(s, 0, letters), slice_str(time_units[i].word))) unit = time_units[i].ms;
        if (!unit || n > UINT64_MAX / 2 / unit || *out > UINT64_MAX / 2) return false;
        *out += n * unit;
        s = slice_trim(slice_sub(s, letters, s.n));
    }
    return true;
}

void value_format_size(uint64_t bytes, struct buf *out)
{
    for (size_t i = 0; i < countof(size_units); i++)
        if (bytes && bytes % size_units[i].bytes == 0) {
            buf_addf(out, "%llu%c", (unsigned long long)(bytes / size_units[i].bytes), size_units[i].letter);
            return;
        }
    buf_add_u64(out, bytes);
}

void value_format_time(uint64_t ms, struct buf *out)
{
    if (!ms) buf_add_char(out, '0');
    for (size_t i = 1; ms; i++) /* weeks are read, days are written */
        if (ms % time_units[i].ms == 0) {
            buf_addf(out, "%llu%s", (unsigned long long)(ms / time_units[i].ms), time_units[i].word);
            return;
        }
}

void value_format_score(int64_t hundredths, struct buf *out)
{
    uint64_t n = (uint64_t)(hundredths < 0 ? -hundredths : hundredths);
    buf_addf(out, "%s%llu", hundredths < 0 ? "-" : "", (unsigned long long)(n / 100));
    if (n % 100) buf_addf(out, n % 10 ? ".%02u" : ".%u", (unsigned)(n % 10 ? n % 100 : n % 100 / 10));
}

/* "5", "5.5", "-1.25" */
static bool score_of(struct slice s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    struct slice rest = slice_sub(s, negative, s.n), whole;
    uint64_t n, part = 0;
    bool point = slice_cut(&rest, '.', &whole);
    if (!slice_to_u64(whole, 1000000, &n)) return false;
    if (point && (!rest.n || rest.n > 2 || !slice_to_u64(rest, 99, &part))) return false;
    if (rest.n == 1) part *= 10;
    *out = (int64_t)(n * 100 + part);
    if (negative) *out = -*out;
    return true;
}

static bool parse_score(const struct value_source *v, const struct schema_option *o, struct slice text, int32_t *out)
{
    int64_t n, least = (int64_t)o->min, most = (int64_t)o->max;
    const char *shown = report_quote(v->report, text);
    if (!score_of(text, &n)) return value_fail(v, "write for example 5, 5.5 or -1.25", "\"%s\" is not a score", shown);
    assert(least < most && least >= INT32_MIN && most <= INT32_MAX);
    if (n >= least && n <= most) {
        *out = (int32_t)n;
        return true;
    }
    struct buf bound = { 0 };
    value_format_score(n < least ? least : most, &bound);
    value_fail(v, NULL, n < least ? "%s is too small: the least is %s" : "%s is too large: the most is %s", shown, buf_cstr(&bound));
    buf_deinit(&bound);
    return false;
}

static bool parse_clock(const struct value_source *v, struct slice text, uint32_t *out)
{
    struct slice minutes = text, hours;
    uint64_t h, m;
    if (!slice_cut(&minutes, ':', &hours) || !slice_to_u64(hours, 23, &h) || minutes.n != 2 || !slice_to_u64(minutes, 59, &m))
        return value_fail(v, "write for example \"07:00\"", "\"%s\" is not a time of the day", report_quote(v->report, text));
    *out = (uint32_t)(h * 60 + m);
    return true;
}

static void format_number(enum schema_type type, uint64_t n, struct buf *out)
{
    if (type == SCHEMA_SIZE) value_format_size(n, out);
    else if (type == SCHEMA_TIME) value_format_time(n, out);
    else buf_addf(out, "%llu%s", (unsigned long long)n, type == SCHEMA_PERCENT ? "%" : "");
}

static bool in_bounds(const struct value_source *v, const struct schema_option *o, struct slice text, uint64_t n)
{
    bool small = n < o->min, large = o->max && n > o->max;
    if (!small && !large) return true;
    struct buf bound = { 0 };
    format_number(o->type, small ? o->min : o->max, &bound);
    value_fail(v, NULL, small ? "%s is too small: the least is %s" : "%s is too large: the most is %s",
               report_quote(v->report, text), buf_cstr(&bound));
    buf_deinit(&bound);
    return false;
}

static bool parse_number(const struct value_source *v, const struct schema_option *o, struct slice text, uint64_t *out)
{
    const char *shown = report_quote(v->report, text);
    struct slice s = text;
    uint64_t n = 0;
    switch (o->type) {
    case SCHEMA_SIZE:
        if (!size_of(s, out)) return value_fail(v, "write for example 128K, 20M or 1G", "\"%s\" is not a size", shown);
        break;
    case SCHEMA_TIME:
        if (slice_to_u64(s, UINT64_MAX, &n) && n)
            return value_fail(v, report_text(v->report, "write %ss, %sm, %sh or %sd", shown, shown, shown, shown),
                              "\"%s\" has no unit", shown);
        if (!time_of(s, out))
            return value_fail(v, "write for example 500ms, 30s, 5m, 1h30m or 7d", "\"%s\" is not a time", shown);
        break;
    case SCHEMA_PERCENT:
        if (s.n && s.p[s.n - 1] == '%') s = slice_trim(slice_sub(s, 0, s.n - 1));
        if (!slice_to_u64(s, UINT64_MAX, out))
            return value_fail(v, "write for example 5%", "\"%s\" is not a percentage", shown);
        break;
    default:
        if (!slice_to_u64(s, UINT64_MAX, out)) return value_fail(v, NULL, "\"%s\" is not a whole number", shown);
        break;
    }
    return in_bounds(v, o, text, *out);
}

/* word: what is known of it, or the end of the list. */
static bool fail_word(const struct value_source *v, const struct schema_option *o, struct slice text,
                      const struct schema_word *word)
{
    struct buf known = { 0 };
    const char *names[16] = { NULL };
    size_t n = 0;
    for (const struct schema_word *w = o->words; w->word; w++) {
        if (w->planned || w->refused) continue;
        buf_addf(&known, "%s%s", n ? ", " : "", w->word);
        assert(n < countof(names));
        names[n++] = w->word;
    }
    const char *near = suggest(text, names, n), *shown = report_quote(v->report, text);
    if (word->refused)
        value_fail(v, report_text(v->report, "possible here: %s", buf_cstr(&known)), "%s is not possible here: %s",
                   shown, word->refused);
    else if (word->planned)
        value_fail(v, report_text(v->report, "this version knows: %s", buf_cstr(&known)), "%s is not available yet",
                   shown);
    else
        value_fail(v, near ? report_text(v->report, "did you mean %s?", near) : NULL,
                   n > 1 ? "\"%s\" is none of %s" : "\"%s\" is not %s", shown, buf_cstr(&known));
    buf_deinit(&known);
    return false;
}

static bool parse_word(const struct value_source *v, const struct schema_option *o, struct slice text, uint32_t *out)
{
    const struct schema_word *w = o->words;
    while (w->word && !slice_eq(text, slice_str(w->word))) w++;
    if (!w->word || w->planned || w->refused) return fail_word(v, o, text, w);
    *out = w->value;
    return true;
}

static bool parse_bool(const struct value_source *v, const struct schema_option *o, struct slice text, bool *out)
{
    uint32_t word = *out;
    if (o->words) return parse_word(v, o, text, &word) ? (*out = word, true) : false;
    static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };
    for (size_t i = 0; i < countof(yes); i++) {
        if (slice_ieq(text, slice_str(yes[i]))) return *out = true;
        if (slice_ieq(text, slice_str(no[i]))) return !(*out = false);
    }
    return value_fail(v, NULL, "\"%s\" is neither yes nor no", report_quote(v->report, text));
}

bool value_parse(const struct value_source *v, const struct schema_option *o, enum schema_type type,
                 struct slice text, void *field)
{
    uint64_t n = 0;
    uint32_t bit = 0;
    if (type == SCHEMA_STRING && o->empty && !text.n) {
        *(const char **)field = "";
        return true;
    }
    switch (type) {
    case SCHEMA_STRING:
    case SCHEMA_SECRET:
    case SCHEMA_HOST:
    case SCHEMA_DOMAIN:
    case SCHEMA_DNS_NAME:
    case SCHEMA_DOMAIN_TREE:
    case SCHEMA_PEER:
    case SCHEMA_MAILBOX:
    case SCHEMA_RECIPIENT:
    case SCHEMA_LOCAL:
    case SCHEMA_ALIAS:
    case SCHEMA_TARGET:
    case SCHEMA_MAC:
    case SCHEMA_NAME:
    case SCHEMA_PATH: return value_parse_name(v, type, text, field);
    case SCHEMA_SCORE: return parse_score(v, o, text, field);
    case SCHEMA_CLOCK: return parse_clock(v, text, field);
    case SCHEMA_BOOL: return parse_bool(v, o, text, field);
    case SCHEMA_ENUM: return parse_word(v, o, text, field);
    case SCHEMA_SET:
        if (!parse_word(v, o, text, &bit)) return false;
        *(uint32_t *)field |= bit;
        return true;
    case SCHEMA_SIZE:
    case SCHEMA_TIME: /* a wrong value leaves the default, so that nothing else is found wrong because of it */
        if (!parse_number(v, o, text, &n)) return false;
        *(uint64_t *)field = n;
        return true;
    case SCHEMA_NUMBER:
    case SCHEMA_PERCENT:
        if (!parse_number(v, o, text, &n)) return false;
        assert(o->max && o->max <= UINT32_MAX);
        *(uint32_t *)field = (uint32_t)n;
        return true;
    case SCHEMA_PORT:
        if (!parse_number(v, o, text, &n)) return false;
        *(uint16_t *)field = (uint16_t)n;
        return true;
    default: return value_parse_net(v, o, type, text, field);
    }
}

static void format_word(const struct schema_option *o, uint32_t value, struct buf *out)
{
    for (const struct schema_word *w = o->words; w->word; w++)
        if (w->value == value && !w->planned) {
            buf_add_str(out, w->word);
            break;
        }
}

void value_format(const struct schema_option *o, enum schema_type type, const void *field, struct buf *out)
{
    switch (type) {
    case SCHEMA_SECRET: buf_add_str(out, SCHEMA_HIDDEN); break;
    case SCHEMA_STRING:
    case SCHEMA_HOST:
    case SCHEMA_DOMAIN:
    case SCHEMA_DNS_NAME:
    case SCHEMA_DOMAIN_TREE:
    case SCHEMA_PEER:
    case SCHEMA_MAILBOX:
    case SCHEMA_RECIPIENT:
    case SCHEMA_LOCAL:
    case SCHEMA_ALIAS:
    case SCHEMA_TARGET:
    case SCHEMA_MAC:
    case SCHEMA_NAME:
    case SCHEMA_SERVER:
    case SCHEMA_PATH: buf_add_str(out, *(const char *const *)field); break;
    case SCHEMA_BOOL:
        if (o->words) format_word(o, *(const bool *)field, out);
        else buf_add_str(out, *(const bool *)field ? "yes" : "no");
        break;
    case SCHEMA_NUMBER:
    case SCHEMA_PERCENT: format_number(type, *(const uint32_t *)field, out); break;
    case SCHEMA_PORT: format_number(type, *(const uint16_t *)field, out); break;
    case SCHEMA_SCORE: value_format_score(*(const int32_t *)field, out); break;
    case SCHEMA_CLOCK: buf_addf(out, "%02u:%02u", *(const uint32_t *)field / 60, *(const uint32_t *)field % 60); break;
    case SCHEMA_SIZE:
    case SCHEMA_TIME: format_number(type, *(const uint64_t *)field, out); break;
    case SCHEMA_ENUM: format_word(o, *(const uint32_t *)field, out); break;
    case SCHEMA_IP:
        if (((const struct ip *)field)->family) ip_add(out, field);
        break;
    case SCHEMA_NETWORK: value_format_net(field, out); break;
    case SCHEMA_ENDPOINT: {
        const struct config_listener *l = container_of(field, const struct config_listener, ip);
        value_format_endpoint(&l->ip, l->port, out);
        break;
    }
    case SCHEMA_HOP: buf_add_str(out, ((const struct config_hop *)field)->text); break;
    default: assert(!"a type without a text form");
    }
}
