/* SPDX-License-Identifier: Apache-2.0
 * Parameters that are one setting here, those that need none, and those that nobody looked at. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

/* ---- one setting */

enum unit { NUMBER, SECONDS, HOURS, DAYS, YESNO };
static const struct {
    const char *param;
    enum import_section where;
    enum unit unit;
    const char *option;
    uint64_t least, most; /* what our setting may be; times in seconds */
} settings[] = {
    { "message_size_limit", PUT_LIMITS, NUMBER, "message_size", 65536, 2147483648 },
    { "smtpd_recipient_limit", PUT_LIMITS, NUMBER, "recipients", 100, 100000 },
    { "smtpd_hard_error_limit", PUT_LIMITS, NUMBER, "errors", 1, 10000 },
    { "hopcount_limit", PUT_LIMITS, NUMBER, "hops", 10, 1000 },
    { "header_size_limit", PUT_LIMITS, NUMBER, "header_size", 16384, 67108864 },
    { "smtpd_timeout", PUT_TIMEOUTS, SECONDS, "command", 1, 3600 },
    { "smtp_connect_timeout", PUT_TIMEOUTS, SECONDS, "connect", 1, 600 },
    { "smtp_helo_timeout", PUT_TIMEOUTS, SECONDS, "greeting", 1, 3600 },
    { "smtp_data_init_timeout", PUT_TIMEOUTS, SECONDS, "data_init", 1, 3600 },
    { "smtp_data_xfer_timeout", PUT_TIMEOUTS, SECONDS, "data_block", 1, 3600 },
    { "smtp_data_done_timeout", PUT_TIMEOUTS, SECONDS, "data_done", 1, 3600 },
    { "maximal_queue_lifetime", PUT_QUEUE, DAYS, "lifetime", 1, 8640000 },
    { "bounce_queue_lifetime", PUT_QUEUE, DAYS, "bounce_lifetime", 0, 8640000 },
    { "delay_warning_time", PUT_QUEUE, HOURS, "delay_warning", 0, 8640000 },
    { "minimal_backoff_time", PUT_QUEUE, SECONDS, "retry_first", 1, 86400 },
    { "maximal_backoff_time", PUT_QUEUE, SECONDS, "retry_max", 1, 604800 },
    { "default_destination_concurrency_limit", PUT_DELIVERY, NUMBER, "connections", 1, 10000 },
    { "default_destination_recipient_limit", PUT_DELIVERY, NUMBER, "recipients", 1, 10000 },
    { "smtpd_client_connection_count_limit", PUT_LIMITS, NUMBER, "connections_per_client", 1, 1000000 },
    { "smtpd_client_connection_rate_limit", PUT_CLIENT_LIMITS, NUMBER, "rate", 1, 1000000 },
    { "smtpd_delay_reject", PUT_CHECKS, YESNO, "delay_reject", 0, 0 },
};

/* "300s", "5d"; without a letter in the parameter's own unit. */
static bool take_time(struct slice s, enum unit unit, uint64_t *seconds)
{
    static const uint64_t by_unit[] = { [SECONDS] = 1, [HOURS] = 3600, [DAYS] = 86400 };
    uint64_t factor = by_unit[unit];
    if (!s.n) return false;
    switch (ascii_lower(s.p[s.n - 1])) {
    case 's': factor = 1; break;
    case 'm': factor = 60; break;
    case 'h': factor = 3600; break;
    case 'd': factor = 86400; break;
    case 'w': factor = 604800; break;
    default: s.n++;
    }
    s.n--;
    if (!slice_to_u64(s, 100000000, seconds)) return false;
    *seconds *= factor;
    return true;
}

static const char *written(struct import *im, enum unit unit, uint64_t n)
{
    if (unit >= SECONDS && n && n % 86400 == 0) return arena_printf(&im->arena, "%llud", (unsigned long long)n / 86400);
    if (unit >= SECONDS && n && n % 3600 == 0) return arena_printf(&im->arena, "%lluh", (unsigned long long)n / 3600);
    return arena_printf(&im->arena, unit >= SECONDS && n ? "%llus" : "%llu", (unsigned long long)n);
}

static void put_setting(struct import *im, size_t i)
{
    struct import_from from;
    struct slice value = import_get(im, settings[i].param, &from);
    enum unit unit = settings[i].unit;
    uint64_t n, old;
    if (!from.line || !value.n) return;
    if (unit == YESNO) {
        import_put(im, settings[i].where, &from, "%s: %s", settings[i].option, slice_ieq(value, SLICE("yes")) ? "yes" : "no");
        return;
    }
    if (unit == NUMBER ? !slice_to_u64(value, UINT64_MAX, &n) : !take_time(value, unit, &n)) {
        left_out(im, &from, NULL, "it is no number that is understood");
        return;
    }
    old = n;
    if (!n && settings[i].least) n = unit == NUMBER ? settings[i].most : settings[i].least; /* 0: no limit */
    if (n < settings[i].least) n = settings[i].least;
    if (n > settings[i].most) n = settings[i].most;
    if (n != old) different(im, &from, NULL, "%s is %s: it cannot be %llu", settings[i].option, written(im, unit, n), (unsigned long long)old);
    import_put(im, settings[i].where, &from, "%s: %s", settings[i].option, written(im, unit, n));
    if (settings[i].where == PUT_CLIENT_LIMITS) import_put(im, PUT_CLIENT_LIMITS, &from, "enabled: yes\nconnections: 0");
}

static void addresses(struct import *im)
{
    struct import_from from;
    struct slice v = import_get(im, "smtp_bind_address", &from);
    if (v.n) import_put(im, PUT_DELIVERY, &from, "source4: %s", import_scalar(im, v));
    v = import_get(im, "smtp_bind_address6", &from);
    if (v.n) import_put(im, PUT_DELIVERY, &from, "source6: %s", import_scalar(im, v));
    v = import_get(im, "smtp_helo_name", &from);
    if (v.n && from.line && !slice_ieq(v, slice_str(im->hostname))) import_put(im, PUT_DELIVERY, &from, "helo: %s", import_scalar(im, v));
    v = import_get(im, "inet_protocols", &from);
    if (from.line && (slice_ieq(v, SLICE("ipv4")) || slice_ieq(v, SLICE("ipv6"))))
        import_put(im, PUT_DELIVERY, &from, "family: %s", slice_ieq(v, SLICE("ipv4")) ? "ipv4" : "ipv6");
}

static void filters(struct import *im)
{
    struct import_from from;
    struct slice milters = import_get(im, "smtpd_milters", &from), word;
    for (unsigned n = 1; import_word(&milters, &word); n++) {
        struct slice address = word, spec = word, first;
        if (import_word(&spec, &first)) address = first;
        if (slice_istarts(address, SLICE("inet:"))) {
            address = slice_sub(address, 5, address.n);
            struct slice host = address, port;
            ptrdiff_t at = slice_find(address, '@'); /* "inet:port@host" of old */
            if (at > 0) {
                slice_cut(&host, '@', &port);
                address = slice_str(arena_printf(&im->arena, "%.*s:%.*s", SLICE_ARG(host), SLICE_ARG(port)));
            }
        } else if (slice_istarts(address, SLICE("unix:")) && address.n > 5)
            address = slice_str(arena_printf(&im->arena, "unix:%.*s", SLICE_ARG(import_socket_path(im, slice_sub(address, 5, address.n)))));
        import_put(im, PUT_SCANNERS, &from, "{name: milter-%u, type: milter, address: %s, trouble: %s}", n, import_scalar(im, address),
                   slice_ieq(import_get(im, "milter_default_action", NULL), SLICE("accept")) ? "mark" : "defer");
    }
    struct slice filter = import_get(im, "content_filter", &from);
    if (filter.n)
        left_out(im, &from, "write what it asks below scanners: clamd, spamd, rspamd; the relay looks for spam and viruses itself",
                 "mail is not sent through another server for filtering: %s", import_show(im, filter));
}

/* ---- the rest */

static const char *const silent[] = { /* about Postfix itself, or as it always is here */
    "compatibility_level", "queue_directory", "command_directory", "daemon_directory", "data_directory", "mail_owner", "setgid_group", "sendmail_path",
    "newaliases_path", "mailq_path", "html_directory", "manpage_directory", "sample_directory", "readme_directory", "meta_directory", "shlib_directory",
    "debugger_command", "debug_peer_level", "debug_peer_list", "biff", "append_dot_mydomain", "append_at_myorigin", "smtpd_banner", "mail_version", "mail_name",
    "unknown_local_recipient_reject_code", "disable_vrfy_command", "strict_rfc821_envelopes", "recipient_delimiter", "mailbox_size_limit", "alias_database",
    "smtpd_use_tls", "smtp_use_tls", "smtpd_tls_session_cache_database", "smtp_tls_session_cache_database", "smtpd_tls_session_cache_timeout",
    "smtp_tls_session_cache_timeout", "smtpd_tls_loglevel", "smtp_tls_loglevel", "smtpd_tls_received_header", "tls_random_source", "smtp_tls_note_starttls_offer",
    "smtpd_tls_auth_only", "smtpd_sasl_security_options", "smtpd_sasl_tls_security_options", "smtp_sasl_security_options", "smtp_sasl_tls_security_options",
    "smtp_sasl_mechanism_filter", "smtpd_sasl_local_domain", "broken_sasl_auth_clients", "smtpd_sasl_authenticated_header", "smtp_sasl_password_maps",
    "smtpd_tls_key_file", "smtpd_tls_cert_file", "smtpd_tls_dh1024_param_file", "smtpd_tls_dh512_param_file", "smtpd_tls_eecdh_grade", "smtpd_tls_ciphers",
    "smtpd_tls_mandatory_ciphers", "smtp_tls_ciphers", "smtp_tls_mandatory_ciphers", "tls_preempt_cipherlist", "tls_high_cipherlist", "tls_medium_cipherlist",
    "smtpd_tls_exclude_ciphers", "smtp_tls_exclude_ciphers", "smtpd_tls_mandatory_exclude_ciphers", "tls_ssl_options", "smtpd_tls_ask_ccert",
    "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols", "smtp_tls_protocols", "smtp_tls_mandatory_protocols", "smtp_dns_support_level", "smtp_host_lookup",
    "mynetworks_style", "parent_domain_matches_subdomains", "mydomain", "myorigin", "myhostname", "default_transport", "milter_protocol",
    "milter_default_action", "non_smtpd_milters", "milter_macro_daemon_name", "maillog_file", "maillog_file_prefixes", "smtpd_data_restrictions", "process_id_directory",
    "default_process_limit", "in_flow_delay", "queue_run_delay", "qmgr_message_active_limit", "qmgr_message_recipient_limit", "local_destination_concurrency_limit",
    "local_destination_recipient_limit", "initial_destination_concurrency", "lmtp_destination_recipient_limit", "dovecot_destination_recipient_limit", "swap_bangpath",
    "allow_percent_hack", "allow_mail_to_commands", "allow_mail_to_files", "header_address_token_limit", "line_length_limit", "empty_address_recipient", "double_bounce_sender",
    "notify_classes", "bounce_notice_recipient", "2bounce_notice_recipient", "delay_notice_recipient", "error_notice_recipient", "smtpd_soft_error_limit",
    "smtpd_error_sleep_time", "smtpd_junk_command_limit", "smtputf8_enable", "postscreen_access_list", "postscreen_dnsbl_sites", "postscreen_dnsbl_threshold",
    "postscreen_dnsbl_action", "postscreen_greet_action", "postscreen_greet_wait", "postscreen_greet_banner", "postscreen_blacklist_action", "postscreen_denylist_action",
    "postscreen_cache_map", "smtpd_reject_unlisted_recipient", "smtpd_forbid_bare_newline", "smtpd_forbid_unauth_pipelining",
    "smtpd_forbid_bare_newline_exclusions", "virtual_uid_maps", "virtual_gid_maps", "virtual_minimum_uid", "virtual_mailbox_limit", "virtual_mailbox_base",
    "virtual_mailbox_limit_maps", "address_verify_map", "address_verify_sender", "unverified_recipient_reject_reason", "proxy_read_maps", "smtpd_client_port_logging",
    "best_mx_transport", "owner_request_special", "home_mailbox", "mailbox_command", "mail_spool_directory", "mailbox_transport", "local_transport", "syslog_facility",
    "syslog_name", "import_environment", "export_environment", "tls_append_default_CA", "smtp_tls_connection_reuse", "smtp_connection_cache_destinations",
    "default_database_type", "inet_protocols", "smtpd_sasl_path", "smtpd_sasl_type", "relayhost", "config_directory", "max_idle", "max_use", "ipc_timeout",
    "smtpd_relay_before_recipient_restrictions", "smtpd_proxy_timeout", "postscreen_bare_newline_enable", "smtpd_tls_chain_files", "unverified_recipient_reject_code",
    "unknown_client_reject_code", "unknown_address_reject_code", "unknown_hostname_reject_code", "maps_rbl_reject_code", "access_map_reject_code", "reject_code",
    "invalid_hostname_reject_code", "non_fqdn_reject_code", "relay_domains_reject_code", "multi_recipient_bounce_reject_code", "smtpd_helo_required",
    "smtp_tls_wrappermode", "smtp_sasl_auth_enable", "smtp_sender_dependent_authentication", "queue_minfree", "smtpd_peername_lookup", "fast_flush_domains",
    "smtpd_log_access_permit_actions", "enable_long_queue_ids", "lock_directory", "tls_daemon_random_bytes",
};

static const struct {
    const char *param, *why, *todo;
} known[] = {
    { "smtpd_tls_CAfile", "authorities of clients' certificates", "set listeners[].client_ca" },
    { "smtpd_tls_CApath", "authorities of clients' certificates", "set listeners[].client_ca" },
    { "smtp_tls_cert_file", "certificates that we show next hops", NULL },
    { "smtp_tls_key_file", "certificates that we show next hops", NULL },
    { "default_destination_rate_delay", "mail is not slowed down for a destination", NULL },
    { "smtp_generic_maps", "addresses are not rewritten on their way out", "have the programs that send it write the right address" },
    { "masquerade_domains", "addresses of senders are not rewritten", "have the programs that send it write the right address" },
    { "fallback_relay", "there is one next hop", "use MX records that name several hosts" },
    { "smtp_fallback_relay", "there is one next hop", "use MX records that name several hosts" },
    { "luser_relay", "an alias for all other names is not known here", "write the aliases" },
    { "local_recipient_maps", "who has a mailbox is not known here", "write domains[].recipients" },
    { "soft_bounce", "refusals are not made temporary", NULL },
    { "smtpd_proxy_filter", "mail is not sent through another server for filtering", "write what it asks below scanners" },
    { "smtpd_upstream_proxy_protocol", "load balancers are named at a listener", "set listeners[].proxies" },
    { "smtpd_authorized_xclient_hosts", "who may say XCLIENT is named at a listener", "set listeners[].xclient" },
    { "smtpd_discard_ehlo_keywords", "extensions are not hidden", NULL },
};

static bool is_prefix(const char *name)
{
    static const char *const prefixes[] = { "postscreen_", "lmtp_", "milter_", "qmqpd_", "tlsproxy_", "dnsblog_", "address_verify_", "virtual_destination_",
                                            "relay_destination_", "smtp_destination_", "local_destination_", "stress", "ipc_", "berkeley_db_", "lmdb_", "tls_" };
    for (size_t i = 0; i < countof(prefixes); i++)
        if (slice_starts(slice_str(name), slice_str(prefixes[i]))) return true;
    return false;
}

static bool is_silent(const char *name)
{
    for (size_t i = 0; i < countof(silent); i++)
        if (!strcmp(silent[i], name)) return true;
    return false;
}

static void tell_unused(struct import *im, const struct import_param *p)
{
    struct slice rest = p->value, word;
    if (p->used || p->replaced || is_silent(p->name) || !import_word(&rest, &word)) return;
    for (size_t i = 0; i < countof(known); i++)
        if (!strcmp(known[i].param, p->name)) {
            left_out(im, &p->from, known[i].todo, "%s", known[i].why);
            return;
        }
    left_out(im, &p->from, is_prefix(p->name) ? NULL : "see the manual, if it is needed", "%s", is_prefix(p->name) ? "a setting of Postfix's own programs" : "it has no counterpart");
}

void import_options(struct import *im)
{
    for (size_t i = 0; i < countof(settings); i++) put_setting(im, i);
    addresses(im);
    filters(im);
    for (size_t i = 0; i < im->param_n; i++) tell_unused(im, &im->params[i]);
}
