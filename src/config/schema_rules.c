/* SPDX-License-Identifier: Apache-2.0
 * Options of header checks and rules. */
#include "config/schema_table.h"

static const struct schema_option header_check_options[] = {
    { .name = "line", .type = SCHEMA_STRING, AT(config_header_check, line), .nullable = true,
      .help = "A pattern and what is done with header lines that match it, as in Postfix's header_checks: /pattern/flags ACTION text.",
      .example = "\"/^Subject:.*lottery/ REJECT no lotteries, please\"" },
    { .name = "file", .type = SCHEMA_PATH, AT(config_header_check, file), .nullable = true,
      .help = "A file of such lines. Read when the configuration is loaded.", .example = "header_checks" },
};
const struct schema_table schema_header_check = { TABLE(header_check_options), .size = sizeof(struct config_header_check),
                                                  .place_offset = offsetof(struct config_header_check, place), .scalar = "line" };

/* ---- conditions of rules */

static const struct schema_word directions[] = { { "in", CONFIG_DIRECTION_IN }, { "out", CONFIG_DIRECTION_OUT },
                                                 { "through", CONFIG_DIRECTION_THROUGH }, { NULL } };
static const struct schema_word spf_results[] = {
    { "none", CONFIG_RESULT_NONE }, { "neutral", CONFIG_RESULT_NEUTRAL },   { "pass", CONFIG_RESULT_PASS },
    { "fail", CONFIG_RESULT_FAIL }, { "softfail", CONFIG_RESULT_SOFTFAIL }, { "temperror", CONFIG_RESULT_TEMPERROR },
    { "permerror", CONFIG_RESULT_PERMERROR }, { NULL },
};
static const struct schema_word dkim_results[] = {
    { "none", CONFIG_RESULT_NONE }, { "neutral", CONFIG_RESULT_NEUTRAL }, { "pass", CONFIG_RESULT_PASS },
    { "fail", CONFIG_RESULT_FAIL }, { "policy", CONFIG_RESULT_POLICY },   { "temperror", CONFIG_RESULT_TEMPERROR },
    { "permerror", CONFIG_RESULT_PERMERROR }, { NULL },
};
static const struct schema_word dmarc_results[] = {
    { "none", CONFIG_RESULT_NONE }, { "pass", CONFIG_RESULT_PASS }, { "fail", CONFIG_RESULT_FAIL },
    { "temperror", CONFIG_RESULT_TEMPERROR }, { "permerror", CONFIG_RESULT_PERMERROR }, { NULL },
};
static const struct schema_word arc_results[] = {
    { "none", CONFIG_RESULT_NONE }, { "pass", CONFIG_RESULT_PASS }, { "fail", CONFIG_RESULT_FAIL },
    { "temperror", CONFIG_RESULT_TEMPERROR }, { "permerror", CONFIG_RESULT_PERMERROR }, { NULL },
};
static const struct schema_word spam_classes[] = {
    { "non_spam", CONFIG_SPAM_NON_SPAM },   { "none", CONFIG_SPAM_NONE }, { "unknown", CONFIG_SPAM_UNKNOWN },
    { "suspected", CONFIG_SPAM_SUSPECTED }, { "bulk", CONFIG_SPAM_BULK }, { "confirmed", CONFIG_SPAM_CONFIRMED },
    { NULL },
};
static const struct schema_word kinds[] = {
    { "executable", CONFIG_KIND_EXECUTABLE }, { "script", CONFIG_KIND_SCRIPT },       { "archive", CONFIG_KIND_ARCHIVE },
    { "document", CONFIG_KIND_DOCUMENT },     { "macro", CONFIG_KIND_MACRO },         { "encrypted", CONFIG_KIND_ENCRYPTED },
    { "image", CONFIG_KIND_IMAGE },           { "audio", CONFIG_KIND_AUDIO },         { "video", CONFIG_KIND_VIDEO },
    { "message", CONFIG_KIND_MESSAGE },       { "any", CONFIG_KIND_ANY },             { NULL },
};

static const struct schema_option rule_header_options[] = {
    { .name = "name", .type = SCHEMA_STRING, AT(config_rule_header, name), .required = true, .help = "The field's name.",
      .example = "Subject" },
    { .name = "match", .type = SCHEMA_STRING, AT(config_rule_header, match), .required = true,
      .help = "A regular expression (PCRE2) that is looked for in its decoded value, case ignored.", .example = "\"invoice\\\\b\"" },
};
static const struct schema_table rule_header_table = { TABLE(rule_header_options), .size = sizeof(struct config_rule_header),
                                                       .place_offset = offsetof(struct config_rule_header, place) };

static const struct schema_option rule_attachment_options[] = {
    { .name = "kind", .type = SCHEMA_SET, AT(config_rule_attachment, kinds), .words = kinds, .shown = "any",
      .help = "What it is, by its content or its name.", .example = "[executable, script]" },
    { .name = "name", .type = SCHEMA_STRING, AT(config_rule_attachment, name), .nullable = true, .shown = "any",
      .help = "Its file name: * stands for any text, ? for one character.", .example = "\"*.docm\"" },
    { .name = "type", .type = SCHEMA_STRING, AT(config_rule_attachment, type), .nullable = true, .shown = "any",
      .help = "Its true type, found in the content.", .example = "image/*" },
    { .name = "larger", .type = SCHEMA_SIZE, AT(config_rule_attachment, larger), .fallback = "0", .max = 64 * G,
      .help = "It is larger than this; 0: any size." },
};
static const struct schema_table rule_attachment_table = { TABLE(rule_attachment_options),
                                                           .size = sizeof(struct config_rule_attachment),
                                                           .place_offset = offsetof(struct config_rule_attachment, place),
                                                           .scalar = "kind" };

#define MATCHES(option, field, text, sample) \
    { .name = option, .type = SCHEMA_RECORDS, AT_LIST(config_rule, when.field.entries, when.field.n), .table = &schema_match, \
      .help = text, .example = sample }
#define RESULTS(option, mechanism) \
    { .name = #option, .type = SCHEMA_SET, AT(config_rule, when.option), .words = option##_results, .shown = "any", \
      .help = "What " mechanism " says.", .example = "[fail]" }
static const struct schema_option if_options[] = {
    MATCHES("clients", clients, "The client is one of these.", "[192.0.2.0/24]"),
    MATCHES("senders", senders, "The sender is one of these.", "[.example.org]"),
    MATCHES("recipients", recipients, "One of the recipients is one of these.", "[orders@example.com]"),
    { .name = "direction", .type = SCHEMA_SET, AT(config_rule, when.directions), .words = directions, .shown = "any",
      .help = "in: from strangers to relay domains. out: from users and trusted clients to other domains. through: all "
              "else.", .example = "[in]" },
    { .name = "zones", .type = SCHEMA_LIST, .item = SCHEMA_NAME, AT_LIST(config_rule, when.zones, when.zone_n), .shown = "any",
      .help = "Zones, one of which the client belongs to.", .example = "[lan]" },
    { .name = "headers", .type = SCHEMA_RECORDS, AT_LIST(config_rule, when.headers, when.header_n), .table = &rule_header_table,
      .help = "Header fields, one of which has a value that matches." },
    { .name = "larger", .type = SCHEMA_SIZE, AT(config_rule, when.larger), .fallback = "0", .max = 2 * G,
      .help = "The message is larger than this; 0: any size." },
    { .name = "smaller", .type = SCHEMA_SIZE, AT(config_rule, when.smaller), .fallback = "0", .max = 2 * G,
      .help = "The message is smaller than this; 0: any size." },
    { .name = "attachments", .type = SCHEMA_RECORDS, AT_LIST(config_rule, when.attachments, when.attachment_n),
      .table = &rule_attachment_table, .help = "It has one of these; a single word stands for a kind." },
    RESULTS(spf, "SPF"), RESULTS(dkim, "DKIM"), RESULTS(dmarc, "DMARC"), RESULTS(arc, "ARC"),
    { .name = "spam", .type = SCHEMA_SET, AT(config_rule, when.spam), .words = spam_classes, .shown = "any",
      .help = "Its class as spam; none lies between non_spam and unknown.", .example = "[bulk, confirmed]" },
    { .name = "virus", .type = SCHEMA_BOOL, AT(config_rule, when.virus), .fallback = "no", .help = "A virus was found." },
};
static const struct schema_table if_table = { TABLE(if_options) };

/* ---- actions of rules */

static const struct schema_word actions[] = {
    { "accept", CONFIG_DO_ACCEPT },           { "reject", CONFIG_DO_REJECT },
    { "defer", CONFIG_DO_DEFER },             { "discard", CONFIG_DO_DISCARD },
    { "quarantine", CONFIG_DO_QUARANTINE },   { "tag_subject", CONFIG_DO_TAG_SUBJECT },
    { "add_header", CONFIG_DO_ADD_HEADER },   { "remove_header", CONFIG_DO_REMOVE_HEADER },
    { "redirect", CONFIG_DO_REDIRECT },       { "copy", CONFIG_DO_COPY },
    { "notify", CONFIG_DO_NOTIFY },           { "strip", CONFIG_DO_STRIP },
    { "stop", CONFIG_DO_STOP },               { NULL },
};
static const struct schema_option action_options[] = {
    { .name = "action", .type = SCHEMA_ENUM, AT(config_rule_action, action), .required = true, .unset = SCHEMA_UNSET, .words = actions,
      .help = "accept: no further rule, and neither spam nor attachments have a say. reject, defer, discard, quarantine. tag_subject, "
              "add_header, remove_header: with `text`. redirect, copy, notify: to `address`. strip: the attachments that the "
              "condition is about. stop: no further rule.", .example = "quarantine" },
    { .name = "text", .type = SCHEMA_STRING, AT(config_rule_action, text), .nullable = true,
      .help = "What the client is told (reject, defer), stands before the subject, is added (\"Name: value\"), or is removed (a name).",
      .example = "\"[External] \"" },
    { .name = "address", .type = SCHEMA_MAILBOX, AT(config_rule_action, address), .nullable = true,
      .help = "Of redirect, copy and notify.", .example = "archive@example.com" },
};
static const struct schema_table action_table = { TABLE(action_options), .size = sizeof(struct config_rule_action),
                                                  .place_offset = offsetof(struct config_rule_action, place), .scalar = "action" };

static const struct schema_option rule_options[] = {
    { .name = "name", .type = SCHEMA_STRING, AT(config_rule, name), .required = true,
      .help = "What the log and the trace call it.", .example = "no invoices by script" },
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config_rule, enabled), .fallback = "yes", .help = "Use it." },
    { .name = "if", .type = SCHEMA_GROUP, .table = &if_table,
      .help = "All that is written must hold; of a list one entry. Without it the rule is for all mail." },
    { .name = "then", .type = SCHEMA_RECORDS, AT_LIST(config_rule, actions, action_n), .table = &action_table, .required = true,
      .help = "What is done, in this order; a single word stands for an action.", .example = "[quarantine]" },
};
const struct schema_table schema_rule = { TABLE(rule_options), .size = sizeof(struct config_rule),
                                          .place_offset = offsetof(struct config_rule, place) };
