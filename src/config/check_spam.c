/* SPDX-License-Identifier: Apache-2.0
 * Spam: levels and classes in their order, an engine that judges, files of rules that are there. What rules hold is
 * seen when they are read. */
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

/* Each is at least as high as the one before it. */
struct step {
    const char *name;
    int32_t score;
};
static void check_order(const struct check *k, const struct step *steps, size_t n, const struct yaml_node *group)
{
    for (size_t i = 1; i < n; i++) {
        if (steps[i].score >= steps[i - 1].score) continue;
        struct buf a = { 0 }, b = { 0 };
        value_format_score(steps[i].score, &a);
        value_format_score(steps[i - 1].score, &b);
        yaml_error(k->report, yaml_either(yaml_get(group, steps[i].name), yaml_get(group, steps[i - 1].name)), NULL,
                   "%s (%s) is less than %s (%s)", steps[i].name, buf_cstr(&a), steps[i - 1].name, buf_cstr(&b));
        buf_deinit(&a);
        buf_deinit(&b);
    }
}

static void check_scores(const struct check *k, const struct yaml_node *spam)
{
    const struct config_spam *s = &k->c->spam;
    const struct step levels[] = { { "tag", s->tag }, { "mark", s->mark }, { "quarantine", s->quarantine } };
    const struct step classes[] = {
        { "unknown", s->unknown }, { "suspected", s->suspected }, { "bulk", s->bulk }, { "confirmed", s->confirmed }
    };
    check_order(k, levels, countof(levels), yaml_get(spam, "levels"));
    check_order(k, classes, countof(classes), yaml_get(spam, "classes"));
    const struct yaml_node *item = yaml_first(spam, "scores");
    for (size_t i = 0; i < s->score_n && item; i++, item = item->next) {
        const char *symbol = s->scores[i].symbol;
        if (!symbol[0]) continue;
        if (strpbrk(symbol, " \t"))
            yaml_error(k->report, yaml_get(item, "symbol"), "`postern scan` shows the symbols of a message",
                       "\"%s\" is no symbol: it has blanks", report_quote(k->report, slice_str(symbol)));
        for (size_t j = 0; j < i; j++)
            if (!strcmp(symbol, s->scores[j].symbol)) {
                yaml_error(k->report, yaml_get(item, "symbol"), "keep one of the two",
                           "%s has a score already, in line %u", report_quote(k->report, slice_str(symbol)),
                           s->scores[j].place.line);
                break;
            }
    }
}

static void check_bayes(const struct check *k, const struct yaml_node *bayes)
{
    const struct config_spam *s = &k->c->spam;
    const struct yaml_node *spam = yaml_get(bayes, "spam_address"), *ham = yaml_get(bayes, "ham_address");
    if (s->bayes.learn_ham >= s->bayes.learn_spam)
        yaml_error(k->report, yaml_either(yaml_get(bayes, "learn_ham"), yaml_get(bayes, "learn_spam")), NULL,
                   "learn_ham is not less than learn_spam");
    else if (s->bayes.enabled && s->bayes.auto_learn && s->bayes.learn_spam < s->mark)
        yaml_warning(k->report, yaml_get(bayes, "learn_spam"), "12 is a careful value",
                     "mail that is not even marked would be learnt as spam");
    else if (s->bayes.enabled && s->bayes.auto_learn && s->bayes.learn_ham >= s->tag)
        yaml_warning(k->report, yaml_get(bayes, "learn_ham"), "-2 is a careful value",
                     "mail that is tagged would be learnt as no spam");
    if (s->bayes.spam_address && s->bayes.ham_address &&
        slice_ieq(slice_str(s->bayes.spam_address), slice_str(s->bayes.ham_address)))
        yaml_error(k->report, ham, "give it an address of its own", "the same address as spam_address");
    if (!s->bayes.enabled && (spam || ham))
        yaml_error(k->report, yaml_either(spam, ham), "set enabled: yes", "the classifier is off: it learns nothing");
}

static void check_uri_lists(const struct check *k, const struct yaml_node *spam)
{
    const struct config_spam *s = &k->c->spam;
    const struct yaml_node *list = yaml_get(spam, "uri_lists"), *item = yaml_items(list);
    for (size_t i = 0; i < s->uri_list_n && item; i++, item = item->next) {
        if (s->uri_lists[i][0] && !strchr(s->uri_lists[i], '.'))
            yaml_error(k->report, item, "write for example dbl.spamhaus.org", "%s is not a zone of a list",
                       s->uri_lists[i]);
        for (size_t j = 0; j < i; j++)
            if (s->uri_lists[i][0] && !strcmp(s->uri_lists[i], s->uri_lists[j])) {
                yaml_error(k->report, item, "keep one of the two", "%s is written twice", s->uri_lists[i]);
                break;
            }
    }
    if (s->uri_list_n && !s->dns) yaml_warning(k->report, list, "set dns: yes", "they are not asked: dns is off");
}

static bool has_engine(const struct config *c)
{
    for (size_t i = 0; i < c->scanner_n; i++)
        if (c->scanners[i].enabled && scanner_is_for_spam(c->scanners[i].type)) return true;
    return c->spam.builtin;
}

void check_spam(const struct check *k)
{
    const struct config_spam *s = &k->c->spam;
    const struct yaml_node *spam = yaml_get(k->root, "spam"), *notify = yaml_get(spam, "notify"),
                           *item = yaml_items(yaml_get(spam, "rules"));
    if (s->enabled && !has_engine(k->c))
        yaml_error(k->report, yaml_get(spam, "builtin"),
                   "set builtin: yes, add a scanner of type spamd or rspamd, or set enabled: no",
                   "there is no engine that judges");
    check_handling(k, s->action, s->address, spam);
    check_scores(k, spam);
    check_bayes(k, yaml_get(spam, "bayes"));
    check_uri_lists(k, spam);
    check_matches(k, &s->exempt_clients, LIST_OF_CLIENTS, false, yaml_get(spam, "exempt"));
    check_matches(k, &s->always_spam, LIST_OF_ADDRESSES, true, yaml_get(spam, "always_spam"));
    check_matches(k, &s->never_spam, LIST_OF_ADDRESSES, true, yaml_get(spam, "never_spam"));
    for (size_t i = 0; i < s->rule_n && item; i++, item = item->next) check_file(k, item, s->rules[i], CHECK_FILE);
    if ((s->notify.below || s->notify.from) && !s->notify.address)
        yaml_warning(k->report, notify, "add address", "nobody is told");
    else if (s->notify.below && s->notify.below <= s->mark)
        yaml_warning(k->report, yaml_get(notify, "below"), "write more than levels.mark, or 0 for all",
                     "what is below is not marked: nobody is ever told");
}
