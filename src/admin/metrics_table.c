/* SPDX-License-Identifier: Apache-2.0
 * All metrics. Their names are promised: none is renamed. */
#include "admin/metrics.h"
#include "base/mem.h"

#define COUNT(n, c, l, h) { .name = "postern_" n "_total", .labels = l, .help = h, .type = METRIC_COUNTER, .counter = c, .divisor = 1 }
#define GAUGE(n, l, h) { .name = "postern_" n, .labels = l, .help = h, .type = METRIC_GAUGE, .counter = -1 }

const struct metric metrics_table[] = {
    GAUGE("info", "version hostname", "1; what runs"),
    GAUGE("start_time_seconds", "", "when the relay was started, since 1970"),
    GAUGE("generation", "", "counts reloads"),
    GAUGE("processes", "role", "how many are there"),
    GAUGE("workers_silent", "", "relay processes that gave no figures within their time"),
    COUNT("process_failures", COUNTER_PROCESS_ENDED, "role", "processes that ended otherwise than they should, and were started again"),
    COUNT("reloads", COUNTER_RELOAD, "", "configurations brought in force without a restart"),
    COUNT("reload_failures", COUNTER_RELOAD_FAILED, "", "reloads that failed"),
    COUNT("log_lines_lost", COUNTER_LOG_LOST, "", "lines that whoever reads the log was too slow for"),
    /* mail in */
    GAUGE("sessions", "", "SMTP sessions that are open"),
    COUNT("messages_accepted", COUNTER_ACCEPTED, "", "messages taken over: on disk, and acknowledged"),
    COUNT("messages_accepted_bytes", COUNTER_ACCEPTED_BYTES, "", "their size"),
    COUNT("refused", COUNTER_REFUSED, "stage", "what clients asked and did not get, by stage of the conversation"),
    COUNT("messages_discarded", COUNTER_DISCARDED, "", "messages that a check had dropped"),
    COUNT("messages_quarantined", COUNTER_QUARANTINED, "", "messages put into the quarantine"),
    COUNT("messages_virus", COUNTER_VIRUS, "", "messages refused, dropped or put aside for a virus"),
    COUNT("smtp_logins", COUNTER_AUTH_OK, "", "clients that logged in"),
    COUNT("smtp_login_failures", COUNTER_AUTH_FAILED, "", "clients that did not get in"),
    COUNT("checks", COUNTER_CHECK_RUNS, "check outcome", "what each check found, how often"),
    { .name = "postern_check_seconds_total", .labels = "check", .type = METRIC_COUNTER, .counter = COUNTER_CHECK_TIME, .divisor = 1000000,
      .help = "how long each check took, all in all" },
    /* mail out */
    COUNT("recipients_delivered", COUNTER_DELIVERED, "", "recipients whose message a next hop took"),
    COUNT("recipients_deferred", COUNTER_DEFERRED, "", "tries that are made again later, by recipient"),
    COUNT("recipients_bounced", COUNTER_BOUNCED, "", "recipients that failed for good"),
    { .name = "postern_delivery_seconds", .labels = "", .type = METRIC_HISTOGRAM, .counter = COUNTER_DELIVERY_TIME, .divisor = 1000,
      .help = "from acceptance to a next hop" },
    COUNT("connection_failures", COUNTER_CONNECTION_FAILED, "", "servers of next hops that could not be used"),
    COUNT("destinations_down", COUNTER_DESTINATION_DOWN, "", "next hops of which no server could be reached any more"),
    GAUGE("delivery_connections", "", "connections to next hops"),
    GAUGE("queue_messages", "state", "messages in the queue"),
    GAUGE("queue_oldest_seconds", "", "age of the oldest message in the queue, nearly"),
    GAUGE("queue_memory_bytes", "", "memory of the queue"),
    /* disk */
    GAUGE("spool_messages", "", "messages on disk"),
    GAUGE("spool_bytes", "", "size of the spool"),
    GAUGE("spool_alive_bytes", "", "of it what is still needed"),
    GAUGE("spool_free_bytes", "", "what is left on its disk"),
    GAUGE("spool_disk_bytes", "", "size of its disk"),
    GAUGE("spool_full", "", "1: the guard over free space has mail refused (452)"),
    GAUGE("quarantine_messages", "", "messages in the quarantine"),
    GAUGE("quarantine_bytes", "", "their size"),
    GAUGE("quarantine_limit_bytes", "", "the bound of it (quarantine.size)"),
    GAUGE("history_bytes", "", "size of the history"),
    GAUGE("store_entries", "space", "what the store remembers"),
    GAUGE("store_writing", "", "0: what should be remembered cannot be written"),
    /* others */
    GAUGE("scanner_up", "scanner", "0: it fails"),
    COUNT("scan_crashes", COUNTER_SCAN_CRASH, "", "messages that ended the process which looked into them"),
    COUNT("scan_timeouts", COUNTER_SCAN_TIMEOUT, "", "messages that took longer than scan.timeout"),
    GAUGE("dns_list_up", "zone", "0: a DNS list cannot be believed, and is not asked"),
    GAUGE("tables", "", "tables that options use"),
    GAUGE("tables_broken", "", "of these, sources that fail"),
    GAUGE("certificate_expiry_seconds", "certificate", "when a certificate ends, since 1970"),
    COUNT("web_logins", COUNTER_LOGIN, "", "logins to the web administration"),
    COUNT("web_login_failures", COUNTER_LOGIN_FAILED, "", "tries to log in there that failed"),
    COUNT("webhook_events", COUNTER_HOOK_SENT, "host", "events that a webhook took"),
    COUNT("webhook_failures", COUNTER_HOOK_FAILED, "host", "tries that failed"),
    COUNT("webhook_events_lost", COUNTER_HOOK_LOST, "reason", "events that were not told: busy, rate, age, size, refused"),
};
const size_t metrics_n = countof(metrics_table);
_Static_assert(countof(metrics_table) <= METRICS_MAX, "room for all");

const char *metric_type_name(enum metric_type t)
{
    static const char *const names[] = { "counter", "gauge", "histogram" };
    return names[t];
}
