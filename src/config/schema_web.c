/* SPDX-License-Identifier: Apache-2.0
 * The groups `web` and `webhooks`: administration. */
#include "base/watch.h"
#include "config/schema_table.h"

static const struct schema_option web_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, web.enabled), .fallback = "yes", .help = "Serve the web administration." },
    { .name = "listen", .type = SCHEMA_STRING, AT(config, web.listen), .fallback = "127.0.0.1:9443",
      .help = "Address and port of the web administration.", .example = "\"10.20.30.1:9443\"" },
    { .name = "url", .type = SCHEMA_STRING, AT(config, web.url), .nullable = true, .shown = "https:// and listen",
      .help = "How people reach it: for links to it, and for requests, which must name this host.", .example = "https://mail.example.com" },
    { .name = "certificate", .type = SCHEMA_PATH, AT(config, web.certificate), .nullable = true, .shown = "tls.certificate",
      .help = "PEM file with its certificate and those above it.", .example = "tls/admin.pem" },
    { .name = "key", .type = SCHEMA_PATH, AT(config, web.key), .nullable = true, .shown = "tls.key", .help = "PEM file with the private key.",
      .example = "tls/admin.key" },
    { .name = "networks", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config, web.networks, web.network_n), .shown = "everybody",
      .help = "Who may connect to it.", .example = "[10.20.30.0/24]" },
    { .name = "session_idle", .type = SCHEMA_TIME, AT(config, web.session_idle), .fallback = "30m", .min = MINUTE, .max = DAY,
      .help = "After so long without a request a session ends." },
    { .name = "session_max", .type = SCHEMA_TIME, AT(config, web.session_max), .fallback = "12h", .min = 5 * MINUTE, .max = 30 * DAY,
      .help = "After so long it ends in any case." },
    { .name = "audit", .type = SCHEMA_TIME, AT(config, web.audit), .fallback = "365d", .min = DAY, .max = 3650 * DAY,
      .help = "How long is kept who did what." },
    { .name = "second_factor", .type = SCHEMA_BOOL, AT(config, web.second_factor), .fallback = "no",
      .help = "Administrators must set up a second factor (TOTP, RFC 6238) before they can do anything else." },
};
const struct schema_table schema_web = { TABLE(web_options) };

const struct schema_word schema_webhook_events[] = {
    { "virus", WATCH_VIRUS },         { "quarantined", WATCH_QUARANTINED }, { "refused", WATCH_REFUSED },
    { "bounced", WATCH_BOUNCED },     { "delivered", WATCH_DELIVERED },     { "queue", WATCH_QUEUE },
    { "health", WATCH_HEALTH },       { "login", WATCH_LOGIN },             { "config", WATCH_CONFIG },
    { 0 },
};
static const struct schema_option webhook_options[] = {
    { .name = "url", .type = SCHEMA_STRING, AT(config_webhook, url), .required = true, .help = "Where events are posted to, as JSON.",
      .example = "https://hooks.example.com/postern" },
    { .name = "secret_file", .type = SCHEMA_PATH, AT(config_webhook, secret_file), .nullable = true,
      .help = "A file whose first line is the key that X-Postern-Signature is made with (HMAC-SHA256 of the body).", .example = "secrets/hook" },
    { .name = "events", .type = SCHEMA_SET, AT(config_webhook, events), .words = schema_webhook_events,
      .fallback = "virus, quarantined, queue, health, login, config", .help = "Which events are told." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config_webhook, timeout), .fallback = "10s", .min = SECOND, .max = MINUTE,
      .help = "How long an answer is waited for." },
    { .name = "keep", .type = SCHEMA_TIME, AT(config_webhook, keep), .fallback = "1d", .min = MINUTE, .max = 30 * DAY,
      .help = "How long an event is tried again." },
};
const struct schema_table schema_webhook = { TABLE(webhook_options), .size = sizeof(struct config_webhook),
                                             .place_offset = offsetof(struct config_webhook, place) };
