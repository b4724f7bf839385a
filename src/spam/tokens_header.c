/* SPDX-License-Identifier: Apache-2.0
 * Tokens of the header: what the sender's program wrote. What was added on the way to the reader is left out: it tells of the way, and
 * a message that is learnt from a mailbox has come another one than a message that is judged. */
#include "base/mem.h"
#include "spam/facts.h"
#include "spam/tokens.h"

#define VALUE_MAX 200            /* bytes of a field */

/* Of relays, lists, filters and mailboxes; of one message only; or seen to elsewhere. What a list adds would speak for spam that was
 * sent to the list. */
static const char *const skipped[] = { "received", "return-path", "delivered-to", "x-original-to", "envelope-to", "delivery-date", "date",
    "x-envelope-to", "x-envelope-from", "x-original-date", "received-spf", "authentication-results", "dkim-signature", "domainkey-signature",
    "dkim-filter", "arc-seal", "arc-message-signature", "arc-authentication-results", "x-received", "x-google-dkim-signature",
    "x-gm-message-state", "x-google-smtp-source", "status", "x-status", "x-keywords", "x-uid", "x-uidl", "x-mozilla-status",
    "x-mozilla-status2", "x-mozilla-keys", "x-sieve", "x-evolution-source", "lines", "xref", "bytes", "x-apparently-to", "x-delivered-to",
    "x-mail-from", "x-rcpt-to", "x-original-recipient", "x-forwarded-to", "x-forwarded-for", "resent-date", "resent-message-id",
    "content-length", "apparently-to", "x-pmflags", "x-folder", "x-account-key", "x-uidvalidity", "x-imapbase", "x-mime-autoconverted",
    "x-authentication-warning", "x-return-path", "sender", "errors-to", "x-beenthere", "precedence", "x-loop", "mailing-list",
    "x-mailing-list", "x-egroups-return", "x-egroups-approved-by", "approved-by", "x-no-archive", "x-list-host" };
static const char *const skipped_families[] = { "x-spam", "x-virus", "x-amavis", "x-rspamd", "x-mailscanner", "x-ms-exchange",
    "x-microsoft-antispam", "x-forefront", "x-barracuda", "x-proofpoint", "x-ironport", "x-scanned", "x-bogosity", "x-dspam", "x-postern",
    "x-antivirus", "x-policyd", "x-greylist", "x-spf", "x-mdaemon", "x-cloudmark", "x-csa", "x-assp", "x-quarantine", "x-dmarc", "x-dkim",
    "x-antiabuse", "x-rcpt", "x-envelope", "list-", "x-mailman", "x-listserver", "x-majordomo", "x-listprocessor", "resent-" };

static bool is_skipped(struct slice name)
{
    for (size_t i = 0; i < countof(skipped); i++)
        if (slice_ieq(name, slice_str(skipped[i])))
            return true;
    for (size_t i = 0; i < countof(skipped_families); i++)
        if (slice_istarts(name, slice_str(skipped_families[i])))
            return true;
    return false;
}

/* Letters and digits become what they are, so that forms can be told apart: "a9.a". */
static struct slice shape(struct slice s, char *room, size_t max, bool hexadecimal)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max;) {
        size_t hex = 0;
        while (hexadecimal && i + hex < s.n && ascii_hex(s.p[i + hex]) >= 0)
            hex++;
        char c = s.p[i], l = ascii_lower(c), kind = c >= '0' && c <= '9' ? '9' : (l >= 'a' && l <= 'z') || (uint8_t)c > 127 ? 'a' : 0;
        if (hex >= 6) {
            kind = 'X';
            i += hex;
        } else
            i++;
        if (!kind)
            room[n++] = c;
        else if (n == 0 || room[n - 1] != kind || kind == 'X')
            room[n++] = kind;
    }
    return slice_of(room, n);
}

static void take_address(struct token_taker *t, struct slice value, const char *const names[5], struct arena *arena)
{
    struct fact_address a[1] = { 0 };
    char room[40];
    if (!fact_addresses(value, arena, a, 1))
        return;
    token_add_words(t, true, names[0], slice_sub(a->name, 0, VALUE_MAX), 1, 20);
    if (!a->domain.n)
        return;
    size_t top = a->domain.n;
    while (top && a->domain.p[top - 1] != '.')
        top--;
    token_add(t, true, names[1], a->domain);
    token_add(t, true, names[2], slice_sub(a->domain, top, a->domain.n));
    token_add(t, true, names[3], shape(a->local, room, sizeof room, false));
    if (names[4])
        token_add(t, true, names[4], fact_lower(slice_sub(a->address, 0, 100), arena));
}

/* Fields whose words and whole value tell: what wrote it, and how. */
static const char *told(struct slice name)
{
    static const struct { const char *name, *prefix; } fields[] = {
        { "x-mailer", "x-mailer:" }, { "user-agent", "user-agent:" }, { "content-type", "content-type:" }, { "importance", "importance:" },
        { "content-transfer-encoding", "encoding:" }, { "x-mimeole", "x-mimeole:" }, { "x-priority", "x-priority:" },
        { "mime-version", "mime-version:" }, { "organization", "organization:" },
        { "auto-submitted", "auto:" }, { "feedback-id", "feedback:" },
    };
    for (size_t i = 0; i < countof(fields); i++)
        if (slice_ieq(name, slice_str(fields[i].name)))
            return fields[i].prefix;
    return NULL;
}

/* Content-Type without its boundary, which is another one in each message. */
static struct slice without_boundary(struct slice v)
{
    for (size_t i = 0; i + 8 < v.n; i++)
        if (slice_istarts(slice_sub(v, i, v.n), SLICE("boundary")))
            return slice_sub(v, 0, i);
    return v;
}

static void take_field(struct token_taker *t, const struct content_field *f, struct arena *arena)
{
    static const char *const from[5] = { "from:", "from@", "from.", "from#", "from=" }, *const reply[5] = { "reply:", "reply@", "reply.",
        "reply#", NULL };
    char room[40];
    struct slice v = slice_sub(f->value, 0, VALUE_MAX);
    const char *prefix;
    if (slice_ieq(f->name, SLICE("List-Id")))
        token_add(t, true, "list-id=", fact_lower(slice_sub(v, 0, 80), arena));
    if (is_skipped(f->name))
        return;
    token_add(t, true, "field:", fact_lower(slice_sub(f->name, 0, 40), arena));
    if (slice_ieq(f->name, SLICE("From")))
        take_address(t, v, from, arena);
    else if (slice_ieq(f->name, SLICE("Reply-To")))
        take_address(t, v, reply, arena);
    else if (slice_ieq(f->name, SLICE("Message-ID")))
        token_add(t, true, "id#", shape(v, room, sizeof room, true));
    else if ((prefix = told(f->name))) {
        v = slice_trim(slice_ieq(f->name, SLICE("Content-Type")) ? without_boundary(v) : v);
        token_add_words(t, true, prefix, v, 1, 30);
        token_add(t, true, "field=", fact_lower(slice_sub(v, 0, 60), arena));
    }
}

static bool shouts(struct slice s)
{
    size_t upper = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'a' && s.p[i] <= 'z')
            return false;
        upper += s.p[i] >= 'A' && s.p[i] <= 'Z';
    }
    return upper >= 4;
}

void tokens_take_header(struct token_taker *t, const struct content_message *m)
{
    struct arena *arena = m->arena;
    struct fact_address *to = arena_alloc(arena, 8 * sizeof *to);
    size_t n = 0;
    for (size_t i = 0; i < m->field_n; i++) {
        const struct content_field *f = &m->fields[i];
        take_field(t, f, arena);
        if (n < 8 && (slice_ieq(f->name, SLICE("To")) || slice_ieq(f->name, SLICE("Cc"))))
            n += fact_addresses(f->value, arena, to + n, 8 - n);
    }
    static const char *const counts[] = { "0", "1", "2", "3", "4", "5", "6" };
    token_add(t, true, "to#", slice_str(counts[n < 6 ? n : 6]));
    if (n && to[0].name.n)
        token_add(t, true, "to:", SLICE("name"));
    if (shouts(m->subject))
        token_add(t, false, "subject!", SLICE("capitals"));
    size_t end = m->subject.n;
    while (end && m->subject.p[end - 1] != ' ')
        end--;
    if (end > 5 && slice_eq(slice_sub(m->subject, end - 5, end), SLICE("     ")))
        token_add(t, false, "subject!", SLICE("tail"));
}
