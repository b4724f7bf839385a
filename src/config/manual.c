/* SPDX-License-Identifier: Apache-2.0
 * postern.yaml(5), made from the schema. */
#include "config/dump.h"
#include "config/schema.h"
#include "config/value.h"

/* Text for roff: nothing in it is a request or an escape. */
static void add(struct buf *out, const char *text)
{
    bool start = !out->n || out->p[out->n - 1] == '\n';
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\'')) buf_add_str(out, "\\&");
        start = *text == '\n';
        if (*text == '-') buf_add_str(out, "\\-");
        else if (*text == '\\') buf_add_str(out, "\\e");
        else buf_add_char(out, *text);
    }
}

static void add_bound(struct buf *out, const struct schema_option *o, uint64_t n)
{
    if (o->type == SCHEMA_SIZE) value_format_size(n, out);
    else if (o->type == SCHEMA_TIME) value_format_time(n, out);
    else if (o->type == SCHEMA_SCORE) value_format_score((int64_t)n, out);
    else buf_addf(out, "%llu%s", (unsigned long long)n, o->type == SCHEMA_PERCENT ? "%" : "");
}

static bool has_bounds(const struct schema_option *o)
{
    return o->type == SCHEMA_SCORE || (o->max && (o->type == SCHEMA_SIZE || o->type == SCHEMA_TIME || o->type == SCHEMA_NUMBER ||
                      o->type == SCHEMA_PORT || o->type == SCHEMA_PERCENT));
}

static void add_facts(struct buf *out, const struct schema_option *o)
{
    if (o->words) {
        size_t n = 0;
        add(out, o->type == SCHEMA_SET ? "A list of" : "One of");
        for (const struct schema_word *w = o->words; w->word; w++) {
            if (w->planned || w->refused) continue;
            buf_addf(out, "%s \\fB", n++ ? "," : "");
            add(out, w->word);
            buf_add_str(out, "\\fR");
        }
    } else {
        buf_addf(out, "Type: ");
        add(out, schema_type_name(o));
    }
    if (has_bounds(o)) {
        struct buf b = { 0 };
        buf_add_str(&b, ", from ");
        add_bound(&b, o, o->min);
        buf_add_str(&b, " to ");
        add_bound(&b, o, o->max);
        add(out, buf_cstr(&b));
        buf_deinit(&b);
    }
    const char *def = o->shown ? o->shown : o->fallback;
    add(out, o->required ? ". Must be set." : def ? ". Default: " : ". Default: none");
    if (!o->required && def) add(out, def);
    if (!o->required) add(out, ".");
    if (o->example) {
        add(out, " Example: ");
        add(out, o->name);
        add(out, ": ");
        add(out, o->example);
    }
    buf_add_char(out, '\n');
}

static bool is_nested(const struct schema_option *o)
{
    return o->type == SCHEMA_GROUP || o->type == SCHEMA_RECORDS || o->type == SCHEMA_MAP;
}

static void add_entries(struct buf *out, const char *above, const struct schema_option *o);

static void add_option(struct buf *out, const char *prefix, const struct schema_option *o)
{
    buf_add_str(out, ".TP\n.B ");
    add(out, prefix);
    add(out, o->name);
    buf_add_char(out, '\n');
    add(out, o->help);
    buf_add_char(out, '\n');
    if (is_nested(o)) add_entries(out, prefix, o); /* they follow each other, under their whole names */
    else {
        buf_add_str(out, ".br\n");
        add_facts(out, o);
    }
}

/* What stands below "tls.certificates[]." */
static void add_entries(struct buf *out, const char *above, const struct schema_option *o)
{
    struct buf prefix = { 0 };
    buf_addf(&prefix, "%s%s%s.", above, o->name,
             o->type == SCHEMA_RECORDS ? "[]" : o->type == SCHEMA_MAP ? ".NAME" : "");
    for (size_t i = 0; i < o->table->n; i++) add_option(out, buf_cstr(&prefix), &o->table->options[i]);
    buf_deinit(&prefix);
}

static void add_section(struct buf *out, const struct schema_option *o)
{
    buf_addf(out, ".SS %s\n", o->name);
    add(out, o->help);
    buf_add_char(out, '\n');
    if (o->shown) {
        add(out, "Default: ");
        add(out, o->shown);
        add(out, ".\n");
    }
    if (o->type == SCHEMA_RECORDS) add(out, "A list; each entry has:\n");
    if (o->type == SCHEMA_MAP) add(out, "Each has a name of your choice, and:\n");
    add_entries(out, "", o);
}

static const char intro[] =
    ".SH NAME\n"
    "postern.yaml \\- configuration of the mail relay postern\n"
    ".SH DESCRIPTION\n"
    "One file tells the relay everything; without \\fB\\-c\\fR it is \\fI/etc/postern/postern.yaml\\fR. It is YAML in\n"
    "UTF\\-8, without anchors, references and tags. What is not written has a default that is safe.\n"
    "\\fBpostern check\\fR reads the file and names each mistake with its line and column; \\fBpostern reload\\fR\n"
    "applies a changed file. A file that would let strangers send through the relay is refused.\n"
    ".SH A FIRST RELAY\n"
    "Mail for example.com goes to an inner server; the inner network may send everywhere:\n"
    ".PP\n.nf\n.RS\n"
    "hostname: mx.example.com\n"
    "domains:\n"
    "  \\- {name: example.com, deliver: 10.20.30.40}\n"
    "zones:\n"
    "  lan: {networks: [10.20.30.0/24], trust: relay}\n"
    ".RE\n.fi\n"
    ".SH VALUES\n"
    ".TP\n.B yes or no\nAlso true, false, on, off.\n"
    ".TP\n.B size\nA number of bytes, or with a unit: \\fB128K\\fR, \\fB20M\\fR, \\fB1G\\fR. K is 1024 bytes.\n"
    ".TP\n.B time\nA number with a unit: \\fB500ms\\fR, \\fB30s\\fR, \\fB5m\\fR, \\fB4h\\fR, \\fB7d\\fR, \\fB2w\\fR, "
    "or\n"
    "several: \\fB1h30m\\fR. Only 0 goes without.\n"
    ".TP\n.B percentage\n\\fB5%\\fR or \\fB5\\fR.\n"
    ".TP\n.B score\nA number of points with at most two decimals: \\fB5\\fR, \\fB5.5\\fR, \\fB\\-1.25\\fR.\n"
    ".TP\n.B network\n\\fB10.20.30.0/24\\fR, \\fB10.0.0.0/255.0.0.0\\fR, \\fB2001:db8::/32\\fR, or a single address. "
    "Bits\n"
    "beyond the prefix must be zero.\n"
    ".TP\n.B domain\nIn ASCII; international names as A\\-labels (\\fBxn\\-\\-...\\fR).\n"
    ".TP\n.B next hop\n\\fB192.0.2.7\\fR, \\fB192.0.2.7:2525\\fR, \\fB\"[2001:db8::1]:25\"\\fR or\n"
    "\\fBrelay.example:587\\fR for a host; \\fBmx:example.com\\fR for the MX hosts of a name. Port 25 unless\n"
    "written. For domains, inner_host and routes to recipients also \\fBlmtp:192.0.2.7\\fR (port 24) and\n"
    "\\fBlmtp:/run/dovecot/lmtp\\fR, and \\fBmaildir:/var/mail/%d/%n\\fR: %d is the recipient's domain, %n the part before\n"
    "the @, %u both. A group with the entries below \\(lqnext hop\\(rq stands for the same.\n"
    ".TP\n.B secret text\nNever shown again: \\fB***\\fR stands for it in \\fBpostern config\\fR and in messages.\n"
    ".TP\n.B list\n\\fB[one, another]\\fR, or one line \\(lq\\- one\\(rq for each. A list of values may be a single "
    "value.\n"
    ".PP\nText that begins with one of * & [ { ! | > ' \" % @ ` or contains \\(lq: \\(rq or \\(lq #\\(rq goes into\n"
    "double quotes, as in \\fBaddress: \"*:25\"\\fR.\n"
    ".SH OPTIONS\n";

static const char outro[] =
    ".SH CHANGING THE FILE\n"
    "\\fBpostern config set limits.message_size 30M\\fR changes one entry and keeps comments and layout; list entries\n"
    "are counted from 0, as in \\fBdomains[0].deliver\\fR, and \\fBdomains[+]\\fR adds one. The earlier text stays in\n"
    "\\fI.postern\\-revisions\\fR beside the file: see \\fBpostern config history\\fR, \\fBdiff\\fR and "
    "\\fBrollback\\fR.\n"
    "\\fBpostern config get\\fR shows every effective value.\n"
    ".SH FILES\n"
    "\\fI/etc/postern/postern.yaml\\fR\n"
    ".SH SEE ALSO\n"
    "\\fBpostern\\fR(1)\n";

void schema_add_manual(struct buf *out)
{
    buf_addf(out, ".\\\" Made by `postern schema --man`.\n.TH POSTERN.YAML 5 \"\" \"postern %s\" \"File formats\"\n",
             POSTERN_VERSION);
    buf_add_str(out, intro);
    const struct schema_table *hop = NULL;
    for (size_t i = 0; i < schema_root.n; i++)
        if (!is_nested(&schema_root.options[i])) add_option(out, "", &schema_root.options[i]);
    for (size_t i = 0; i < schema_root.n; i++) {
        const struct schema_option *o = &schema_root.options[i];
        if (is_nested(o)) add_section(out, o);
        else if (o->type == SCHEMA_HOP) hop = o->table;
    }
    buf_add_str(out, ".SS next hop\nThe entries of a next hop that is written as a group.\n");
    for (size_t i = 0; hop && i < hop->n; i++) add_option(out, "", &hop->options[i]);
    buf_add_str(out, outro);
}
