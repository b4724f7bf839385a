/* SPDX-License-Identifier: Apache-2.0
 * Header checks and rules: conditions that can hold, actions that have what they need. Lines of header checks are read
 * when the configuration is loaded. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

#define HEADER_TEXT_MAX 900 /* of a line that is added: RFC 5322 §2.1.1 allows 998 */

static void check_header_checks(const struct check *k)
{
    const struct yaml_node *item = yaml_first(k->root, "header_checks");
    for (size_t i = 0; i < k->c->header_check_n && item; i++, item = item->next) {
        const struct config_header_check *h = &k->c->header_checks[i];
        const struct yaml_node *line = yaml_get(item, "line"), *file = yaml_get(item, "file");
        if (line && file)
            yaml_error(k->report, file, "make two entries of it", "an entry has either line or file, not both");
        if (item->kind == YAML_GROUP && !line && !file)
            yaml_error(k->report, item, "add line: or file:", "the entry names nothing: neither line nor file");
        check_file(k, file, h->file, CHECK_FILE);
    }
}

/* ---- conditions */

/* RFC 5322 §3.6.8 */
static bool is_field_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || s.p[i] == ':') return false;
    return s.n > 0 && s.n < 78;
}

static void check_field_name(const struct check *k, struct slice name, const struct yaml_node *node)
{
    if (!is_field_name(name))
        yaml_error(k->report, node, "write the name of a header field, without a colon",
                   "\"%s\" is no name of a header field", report_quote(k->report, name));
}

/* As rules are compiled when they are read: found anywhere in the value. */
static void check_expression(const struct check *k, const char *text, const struct yaml_node *node)
{
    struct err err;
    const uint32_t options = PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *made = match_compile_as(slice_str(text), options, &err);
    if (!made) yaml_error(k->report, node, NULL, "\"%s\": %s", report_quote(k->report, slice_str(text)), err.text);
    pcre2_code_free(made);
}

static void check_headers(const struct check *k, const struct config_rule *r, const struct yaml_node *group)
{
    const struct yaml_node *item = yaml_first(group, "headers");
    for (size_t i = 0; i < r->when.header_n && item; i++, item = item->next) {
        const struct config_rule_header *h = &r->when.headers[i];
        if (yaml_get(item, "name")) check_field_name(k, slice_str(h->name), yaml_get(item, "name"));
        if (yaml_get(item, "match")) check_expression(k, h->match, yaml_get(item, "match"));
    }
}

static void check_rule_attachments(const struct check *k, const struct config_rule *r, const struct yaml_node *group)
{
    const struct yaml_node *item = yaml_first(group, "attachments");
    for (size_t i = 0; i < r->when.attachment_n && item; i++, item = item->next) {
        const struct config_rule_attachment *a = &r->when.attachments[i];
        const char *why = a->name ? check_pattern_problem(slice_str(a->name)) : NULL;
        if (why)
            yaml_error(k->report, yaml_get(item, "name"), "write for example \"*.docm\"", "\"%s\": %s",
                       report_quote(k->report, slice_str(a->name)), why);
        if (a->type && !check_is_type(slice_str(a->type)))
            yaml_error(k->report, yaml_get(item, "type"), "write for example application/pdf or image/*",
                       "\"%s\" is not a type", report_quote(k->report, slice_str(a->type)));
    }
}

static void check_rule_zones(const struct check *k, const struct config_rule *r, const struct yaml_node *group)
{
    const struct yaml_node *item = yaml_items(yaml_get(group, "zones"));
    for (size_t i = 0; i < r->when.zone_n && item; i++, item = item->next)
        if (r->when.zones[i][0]) (void)parse_zone(k->c, slice_str(r->when.zones[i]), item, k->report);
}

/* What is asked for but never found out. */
static void check_known(const struct check *k, const struct config_rule *r, const struct yaml_node *group)
{
    const struct config *c = k->c;
    const struct {
        const char *option, *what, *hint;
        bool asked, known;
    } all[] = {
        { "spf", "SPF is not checked", "set checks.spf.enabled: yes", r->when.spf != 0, c->checks.spf.enabled },
        { "dkim", "DKIM is not checked", "set checks.dkim.enabled: yes", r->when.dkim != 0, c->checks.dkim.enabled },
        { "dmarc", "DMARC is not checked", "set checks.dmarc.enabled: yes", r->when.dmarc != 0,
          c->checks.dmarc.enabled },
        { "arc", "ARC is not checked", "set checks.arc.enabled: yes", r->when.arc != 0, c->checks.arc.enabled },
        { "spam", "spam is not looked for", "set spam.enabled: yes", r->when.spam != 0, c->spam.enabled },
        { "virus", "no scanner looks for viruses", "add one to scanners", r->when.virus, check_has_virus_scanner(c) },
    };
    for (size_t i = 0; i < countof(all); i++)
        if (all[i].asked && !all[i].known)
            yaml_warning(k->report, yaml_get(group, all[i].option), all[i].hint, "%s: the rule is never used",
                         all[i].what);
    if (r->when.larger && r->when.smaller && r->when.smaller <= r->when.larger)
        yaml_error(k->report, yaml_get(group, "smaller"), NULL,
                   "no message is smaller than this and larger than larger");
}

/* ---- actions */

static bool ends_rules(enum config_rule_do a)
{
    return a == CONFIG_DO_ACCEPT || a == CONFIG_DO_REJECT || a == CONFIG_DO_DEFER || a == CONFIG_DO_DISCARD ||
           a == CONFIG_DO_STOP;
}

/* "Name: value" */
static void check_added(const struct check *k, struct slice text, const struct yaml_node *node)
{
    struct slice value = text, name;
    bool colon = slice_cut(&value, ':', &name), ascii = true;
    for (size_t i = 0; i < text.n; i++) ascii &= (unsigned char)text.p[i] < 0x80;
    if (!colon || !is_field_name(name) || !slice_trim(value).n)
        yaml_error(k->report, node, "write for example \"X-Checked: yes\"", "\"%s\" is no header line",
                   report_quote(k->report, text));
    else if (!ascii)
        yaml_error(k->report, node, "write it as an encoded word (RFC 2047)",
                   "a header line has ASCII characters only");
    else if (text.n > HEADER_TEXT_MAX)
        yaml_error(k->report, node, NULL, "a header line of more than %d characters", HEADER_TEXT_MAX);
}

static void check_text(const struct check *k, const struct config_rule_action *a, const struct yaml_node *node)
{
    const struct yaml_node *text = yaml_get(node, "text");
    struct slice given = slice_str(a->text);
    const char *why = NULL;
    switch (a->action) {
    case CONFIG_DO_REJECT:
    case CONFIG_DO_DEFER:
        why = match_reason_problem(given);
        break;
    case CONFIG_DO_ADD_HEADER:
        check_added(k, given, text);
        break;
    case CONFIG_DO_REMOVE_HEADER:
        check_field_name(k, given, text);
        break;
    case CONFIG_DO_TAG_SUBJECT:
        if (given.n > MATCH_REASON_MAX)
            yaml_error(k->report, text, NULL, "more than %d characters before a subject", MATCH_REASON_MAX);
        break;
    default:
        yaml_error(k->report, text, "remove it", "this action has no text");
        break;
    }
    if (why) yaml_error(k->report, text, "it is told to clients", "%s", why);
}

static void check_action(const struct check *k, const struct config_rule_action *a, const struct yaml_node *node)
{
    bool by_text =
        a->action == CONFIG_DO_TAG_SUBJECT || a->action == CONFIG_DO_ADD_HEADER || a->action == CONFIG_DO_REMOVE_HEADER;
    bool by_address = a->action == CONFIG_DO_REDIRECT || a->action == CONFIG_DO_COPY || a->action == CONFIG_DO_NOTIFY;
    if ((uint32_t)a->action == SCHEMA_UNSET) return; /* it has a finding already */
    if (by_text && !a->text)
        yaml_error(k->report, node,
                   a->action == CONFIG_DO_TAG_SUBJECT ? "write for example {action: tag_subject, text: \"[External] \"}"
                   : a->action == CONFIG_DO_ADD_HEADER
                       ? "write for example {action: add_header, text: \"X-Checked: yes\"}"
                       : "write for example {action: remove_header, text: X-Checked}",
                   "the action needs text");
    if (by_address && !a->address)
        yaml_error(k->report, node, "write for example {action: copy, address: archive@example.com}",
                   "the action needs address");
    if (!by_address && a->address)
        yaml_error(k->report, yaml_get(node, "address"), "remove it", "this action has no address");
    if (a->text) check_text(k, a, node);
}

static void check_actions(const struct check *k, const struct config_rule *r, const struct yaml_node *rule)
{
    const struct yaml_node *then = yaml_get(rule, "then"), *item = yaml_first(rule, "then");
    if (then && then->kind == YAML_LIST && !then->n)
        yaml_error(k->report, then, "write for example [quarantine]", "the rule does nothing");
    bool ended = false;
    for (size_t i = 0; i < r->action_n && item; i++, item = item->next) {
        check_action(k, &r->actions[i], item);
        if (ended)
            yaml_error(k->report, item, "put it before", "what stands before ends the rules: this is never done");
        if (ended) return;
        ended = ends_rules(r->actions[i].action);
    }
}

static const struct yaml_node *is_end_of_all(const struct config_rule *r, const struct yaml_node *rule)
{
    const struct yaml_node *when = yaml_get(rule, "if"), *item = yaml_first(rule, "then");
    if (!r->enabled || (when && (when->kind != YAML_GROUP || when->n))) return NULL;
    for (size_t i = 0; i < r->action_n && item; i++, item = item->next)
        if (r->actions[i].action == CONFIG_DO_REJECT || r->actions[i].action == CONFIG_DO_DEFER || r->actions[i].action == CONFIG_DO_DISCARD)
            return item;
    return NULL;
}

/* Unless a rule before it spares something. */
static void check_everything(const struct check *k, const struct yaml_node *node)
{
    for (size_t i = 0; i < k->c->rule_n && node; i++, node = node->next) {
        const struct config_rule *r = &k->c->rules[i];
        const struct yaml_node *action = is_end_of_all(r, node);
        if (action)
            yaml_warning(k->report, action, "add if: with a condition", "the rule has no condition: no message at all gets through");
        for (size_t j = 0; j < r->action_n; j++)
            if (r->enabled && (action || r->actions[j].action == CONFIG_DO_ACCEPT || r->actions[j].action == CONFIG_DO_STOP)) return;
    }
}

static void check_rule(const struct check *k, const struct config_rule *r, const struct yaml_node *node)
{
    const struct yaml_node *group = yaml_get(node, "if");
    check_matches(k, &r->when.clients, LIST_OF_CLIENTS, false, yaml_get(group, "clients"));
    check_matches(k, &r->when.senders, LIST_OF_ADDRESSES, true, yaml_get(group, "senders"));
    check_matches(k, &r->when.recipients, LIST_OF_ADDRESSES, false, yaml_get(group, "recipients"));
    check_rule_zones(k, r, group);
    check_headers(k, r, group);
    check_rule_attachments(k, r, group);
    check_known(k, r, group);
    check_actions(k, r, node);
}

void check_rules(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "rules");
    check_header_checks(k);
    check_everything(k, node);
    for (size_t i = 0; i < k->c->rule_n && node; i++, node = node->next) check_rule(k, &k->c->rules[i], node);
}
