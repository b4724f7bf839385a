/* SPDX-License-Identifier: Apache-2.0
 * Options of what is done about spam. */
#include "config/schema_table.h"

#define POINT 100 /* scores are kept in hundredths */
#define SCORE(least, most) .min = SCHEMA_SCORE_BOUND(least), .max = SCHEMA_SCORE_BOUND(most)
#define MATCHES(option, field, text, sample) \
    { .name = option, .type = SCHEMA_RECORDS, AT_LIST(config, spam.field.entries, spam.field.n), .table = &schema_match, \
      .help = text, .example = sample }

static const struct schema_word spam_actions[] = {
    { "mark", CONFIG_HANDLE_MARK },     { "quarantine", CONFIG_HANDLE_QUARANTINE }, { "redirect", CONFIG_HANDLE_REDIRECT },
    { "reject", CONFIG_HANDLE_REJECT }, { "discard", CONFIG_HANDLE_DISCARD },       { "pass", CONFIG_HANDLE_PASS },
    { NULL },
};

static const struct schema_option level_options[] = {
    { .name = "tag", .type = SCHEMA_SCORE, AT(config, spam.tag), .fallback = "3", SCORE(POINT / 10, 100 * POINT),
      .help = "From here on headers tell the score." },
    { .name = "mark", .type = SCHEMA_SCORE, AT(config, spam.mark), .fallback = "5", SCORE(POINT / 10, 100 * POINT),
      .help = "From here on it is spam: `action` is done." },
    { .name = "quarantine", .type = SCHEMA_SCORE, AT(config, spam.quarantine), .fallback = "10", SCORE(POINT / 10, 100 * POINT),
      .help = "From here on marked mail goes to the quarantine instead of its recipients." },
};
static const struct schema_table level_table = { TABLE(level_options) };

static const struct schema_option class_options[] = {
    { .name = "confirmed", .type = SCHEMA_SCORE, AT(config, spam.confirmed), .fallback = "10", SCORE(POINT, 10 * POINT),
      .help = "From here on: surely spam." },
    { .name = "bulk", .type = SCHEMA_SCORE, AT(config, spam.bulk), .fallback = "7", SCORE(POINT, 10 * POINT),
      .help = "From here on: mass mail." },
    { .name = "suspected", .type = SCHEMA_SCORE, AT(config, spam.suspected), .fallback = "5", SCORE(POINT, 10 * POINT),
      .help = "From here on: probably spam." },
    { .name = "unknown", .type = SCHEMA_SCORE, AT(config, spam.unknown), .fallback = "1", SCORE(POINT, 10 * POINT),
      .help = "From here on: it cannot be said." },
    { .name = "non_spam", .type = SCHEMA_SCORE, AT(config, spam.non_spam), .fallback = "-1", SCORE(-10 * POINT, -POINT),
      .help = "Down from here: surely no spam." },
};
static const struct schema_table class_table = { TABLE(class_options) };

static const struct schema_option notify_options[] = {
    { .name = "address", .type = SCHEMA_MAILBOX, AT(config, spam.notify.address), .nullable = true, .shown = "nobody is told",
      .help = "An administrator who is told of spam.", .example = "spam@example.com" },
    { .name = "below", .type = SCHEMA_SCORE, AT(config, spam.notify.below), .fallback = "0", SCORE(0, 100 * POINT),
      .help = "Only of mail with a score below; 0: of all." },
    { .name = "from", .type = SCHEMA_MAILBOX, AT(config, spam.notify.from), .nullable = true, .shown = "postmaster",
      .help = "Who these messages come from.", .example = "scanner@example.com" },
};
static const struct schema_table notify_table = { TABLE(notify_options) };

static const struct schema_option score_options[] = {
    { .name = "symbol", .type = SCHEMA_STRING, AT(config_score, symbol), .required = true,
      .help = "What the trace and `postern scan` call the rule.", .example = "BAYES_99" },
    { .name = "score", .type = SCHEMA_SCORE, AT(config_score, score), .required = true, SCORE(-100 * POINT, 100 * POINT),
      .help = "What it counts instead; 0: nothing.", .example = "4.5" },
};
static const struct schema_table score_table = { TABLE(score_options), .size = sizeof(struct config_score),
                                                 .place_offset = offsetof(struct config_score, place) };

static const struct schema_option bayes_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, spam.bayes.enabled), .fallback = "yes",
      .help = "Let a classifier speak that has learnt from messages." },
    { .name = "auto_learn", .type = SCHEMA_BOOL, AT(config, spam.bayes.auto_learn), .fallback = "yes",
      .help = "Let it learn by itself where the rules alone are sure." },
    { .name = "tokens", .type = SCHEMA_SIZE, AT(config, spam.bayes.tokens), .fallback = "64M", .min = M, .max = 8 * G,
      .help = "Size of the table of what it has learnt. When it is full, what was not seen for long is forgotten." },
    { .name = "min_spam", .type = SCHEMA_NUMBER, AT(config, spam.bayes.min_spam), .fallback = "50", .min = 1, .max = 1000000,
      .help = "Spam that it must have learnt before it speaks." },
    { .name = "min_ham", .type = SCHEMA_NUMBER, AT(config, spam.bayes.min_ham), .fallback = "50", .min = 1, .max = 1000000,
      .help = "Other mail that it must have learnt before it speaks." },
    { .name = "learn_spam", .type = SCHEMA_SCORE, AT(config, spam.bayes.learn_spam), .fallback = "12", SCORE(POINT, 100 * POINT),
      .help = "Of auto_learn: from this score on mail is learnt as spam." },
    { .name = "learn_ham", .type = SCHEMA_SCORE, AT(config, spam.bayes.learn_ham), .fallback = "-2", SCORE(-100 * POINT, 10 * POINT),
      .help = "Of auto_learn: down from this score mail is learnt as no spam." },
    { .name = "spam_address", .type = SCHEMA_MAILBOX, AT(config, spam.bayes.spam_address), .nullable = true,
      .help = "Mail that users and trusted clients send here is learnt as spam, not delivered.", .example = "is-spam@mx.example.com" },
    { .name = "ham_address", .type = SCHEMA_MAILBOX, AT(config, spam.bayes.ham_address), .nullable = true,
      .help = "Mail that users and trusted clients send here is learnt as no spam, not delivered.",
      .example = "no-spam@mx.example.com" },
};
static const struct schema_table bayes_table = { TABLE(bayes_options) };

static const struct schema_option spam_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, spam.enabled), .fallback = "yes", .help = "Judge messages." },
    { .name = "builtin", .type = SCHEMA_BOOL, AT(config, spam.builtin), .fallback = "yes",
      .help = "Ask the built-in engine; no: only scanners of the types spamd and rspamd." },
    { .name = "trusted_mail", .type = SCHEMA_BOOL, AT(config, spam.trusted_mail), .fallback = "no",
      .help = "Judge the mail of users who have logged in and of trusted clients, too." },
    { .name = "short_circuit", .type = SCHEMA_BOOL, AT(config, spam.short_circuit), .fallback = "yes",
      .help = "Ask no further engine when one is sure: confirmed or non_spam." },
    { .name = "max_size", .type = SCHEMA_SIZE, AT(config, spam.max_size), .fallback = "1M", .min = 16 * K, .max = G,
      .help = "Larger messages are judged by their first bytes." },
    { .name = "levels", .type = SCHEMA_GROUP, .table = &level_table, .help = "From which score on what is done." },
    { .name = "classes", .type = SCHEMA_GROUP, .table = &class_table, .help = "From which score on how it is called." },
    { .name = "action", .type = SCHEMA_ENUM, AT(config, spam.action), .fallback = "mark", .words = spam_actions,
      .help = "What becomes of mail from levels.mark on: mark (subject and headers tell), quarantine, redirect (to `address`), "
              "reject, discard, or pass." },
    { .name = "address", .type = SCHEMA_MAILBOX, AT(config, spam.address), .nullable = true,
      .help = "Who gets the mail of action redirect, instead of its recipients.", .example = "spam@example.com" },
    { .name = "subject", .type = SCHEMA_STRING, AT(config, spam.subject), .fallback = "[SPAM] ", .empty = true,
      .help = "What is put before the subject of marked mail; \"\": nothing.", .example = "\"[SPAM] \"" },
    { .name = "report", .type = SCHEMA_BOOL, AT(config, spam.report), .fallback = "no",
      .help = "Put a text with what was found in front of marked mail." },
    { .name = "notify", .type = SCHEMA_GROUP, .table = &notify_table, .help = "Who is told." },
    MATCHES("exempt", exempt_clients, "Clients whose mail is not judged.", "[192.0.2.0/24]"),
    MATCHES("always_spam", always_spam, "Senders whose mail is spam, whatever it holds.", "[.spam.example]"),
    MATCHES("never_spam", never_spam, "Senders whose mail is never spam. Anybody can claim to be one, unless it is proven.",
            "[{match: partner.example, proven: yes}]"),
    { .name = "rules", .type = SCHEMA_LIST, .item = SCHEMA_PATH, AT_LIST(config, spam.rules, spam.rule_n),
      .help = "Files with rules of your own, beside those built in.", .example = "[spam/own.rules]" },
    { .name = "scores", .type = SCHEMA_RECORDS, AT_LIST(config, spam.scores, spam.score_n), .table = &score_table,
      .help = "Other scores than those of the rules themselves.", .example = "[{symbol: BAYES_99, score: 4.5}]" },
    { .name = "dns", .type = SCHEMA_BOOL, AT(config, spam.dns), .fallback = "yes",
      .help = "Ask uri_lists." },
    { .name = "uri_lists", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config, spam.uri_lists, spam.uri_list_n),
      .help = "Zones in the DNS that are asked about the domains that a message leads to.", .example = "[dbl.spamhaus.org]" },
    { .name = "bayes", .type = SCHEMA_GROUP, .table = &bayes_table, .help = "The classifier that learns." },
};
const struct schema_table schema_spam = { TABLE(spam_options) };
