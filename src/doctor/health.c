/* SPDX-License-Identifier: Apache-2.0
 * How the relay itself is: the resolver, the queue, the disk, scanners, tables. */
#include "base/clock.h"
#include "base/json.h"
#include "delivery/queue.h"
#include "doctor/internal.h"

#define OLD_MS (4 * 3600000ull) /* mail that waits so long is worth a look */
#define ROOT_HOST "a.root-servers.net"
#define SIGNED_ZONE "org"

/* ---- the resolver */

void exam_resolver(struct exam *x)
{
    const char *host = x->config->hostname;
    bool wanted = config_wants_dnssec(x->config);
    const struct auth_dns_answer *own = exam_look(x, AUTH_DNS_A, slice_str(host), NULL);
    const struct auth_dns_answer *root = exam_look(x, AUTH_DNS_A, SLICE(ROOT_HOST), NULL);
    const struct auth_dns_answer *sig = wanted ? exam_look(x, AUTH_DNS_MX, SLICE(SIGNED_ZONE), NULL) : NULL;
    if (!own || !root || (wanted && !sig)) return;
    const char *servers = x->config->dns.server_n
                              ? arena_printf(&x->arena, "dns.servers (%s%s)", x->config->dns.servers[0],
                                             x->config->dns.server_n > 1 ? " ..." : "")
                              : "/etc/resolv.conf";
    if (own->status == AUTH_DNS_TEMPFAIL && root->status == AUTH_DNS_TEMPFAIL)
        exam_find(x, "resolver", servers, DOCTOR_ERROR,
                  "the name servers do not answer: no mail can be delivered by the DNS, and most checks say nothing",
                  "see whether these name servers are right and can be reached from here", NULL, 0);
    else if (root->status == AUTH_DNS_TEMPFAIL)
        exam_find(x, "resolver", servers, DOCTOR_WARNING,
                  "the name servers answer for the relay's own name, but not for names of the internet (" ROOT_HOST ")",
                  "name servers that resolve everything: dns.servers", NULL, 0);
    else exam_find(x, "resolver", servers, DOCTOR_OK, "the name servers answer", "", NULL, 0);
    if (!wanted) return;
    if (sig->status == AUTH_DNS_TEMPFAIL)
        exam_find(x, "dnssec", servers, DOCTOR_WARNING,
                  "no answer that can be validated came for " SIGNED_ZONE
                  ": the name servers may not pass DNSSEC signatures on",
                  "a resolver of your own that does (unbound, for one): dns.servers", NULL, 0);
    else if (!sig->secure)
        exam_find(x, "dnssec", servers, DOCTOR_WARNING,
                  "answers are not validated (DNSSEC), so DANE does not take effect",
                  "dns.trust_anchor, and name servers that pass signatures on", NULL, 0);
    else exam_find(x, "dnssec", servers, DOCTOR_OK, "answers are validated (DNSSEC)", "", NULL, 0);
}

/* ---- scanners, tables */

static void find_scanners(struct exam *x, const json_t *scan)
{
    const char *trouble = json_text(scan, "failure").n ? json_text(scan, "failure").p : json_text(scan, "trouble").p;
    const json_t *s;
    size_t i;
    if (!scan) return;
    if (trouble && trouble[0])
        exam_find(x, "scan", x->config->hostname, DOCTOR_ERROR,
                  arena_printf(&x->arena, "messages cannot be looked into: %s", exam_shown(x, slice_str(trouble))),
                  "the log tells more", NULL, 0);
    else
        exam_find(x, "scan", x->config->hostname, DOCTOR_OK,
                  json_is_true(json_object_get(scan, "starting")) ? "the scan process is starting"
                                                                  : "messages can be looked into",
                  "", NULL, 0);
    json_array_foreach(json_object_get(scan, "scanners"), i, s) {
        struct slice state = json_text(s, "state"), error = json_text(s, "error"), name = json_text(s, "name");
        bool up = slice_eq(state, SLICE("fine"));
        exam_find(x, "scanner", exam_shown(x, name),
                  up                                    ? DOCTOR_OK
                  : slice_eq(state, SLICE("not-asked")) ? DOCTOR_UNKNOWN
                                                        : DOCTOR_ERROR,
                  arena_printf(&x->arena, "%s%s%s", exam_shown(x, state), error.n ? ": " : "", exam_shown(x, error)),
                  up ? "" : "see whether it runs and can be reached; `postern scan` tries it", NULL, 0);
    }
}

static void find_tables(struct exam *x, const json_t *tables)
{
    const json_t *broken = json_object_get(tables, "broken"), *t;
    size_t i;
    if (!tables) return;
    if (!json_array_size(broken))
        exam_find(x, "tables", x->config->hostname, DOCTOR_OK, "all tables can be read", "", NULL, 0);
    json_array_foreach(broken, i, t)
        exam_find(x, "tables", exam_shown(x, json_text(t, "name")), DOCTOR_ERROR,
                  arena_printf(&x->arena, "it cannot be read, and its last good state counts: %s",
                               exam_shown(x, json_text(t, "error"))),
                  "`postern table list` tells more", NULL, 0);
}

/* ---- disk, queue */

static uint64_t number(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v > 0 ? (uint64_t)v : 0;
}

static void find_disk(struct exam *x, const json_t *spool)
{
    uint64_t disk = number(spool, "disk"), free = number(spool, "free"), keep = x->config->queue.free_space;
    double percent = disk ? 100.0 * (double)free / (double)disk : 100;
    const char *where = x->config->system.directory,
               *text = arena_printf(&x->arena, "%.1f %% of the disk are free; new mail is refused below %u %%", percent,
                                    (unsigned)keep);
    if (!spool) return;
    if (json_is_true(json_object_get(spool, "full")))
        exam_find(x, "disk", where, DOCTOR_ERROR, "the disk is full: new mail is refused (452)",
                  "make room, or give it a larger disk", NULL, 0);
    else if (keep && percent < 2.0 * (double)keep)
        exam_find(x, "disk", where, DOCTOR_WARNING, text, "make room", NULL, 0);
    else exam_find(x, "disk", where, DOCTOR_OK, text, "", NULL, 0);
    if (number(spool, "damaged"))
        exam_find(x, "spool", where, DOCTOR_ERROR,
                  arena_printf(&x->arena, "%llu damaged places were found in the spool",
                               (unsigned long long)number(spool, "damaged")),
                  "`postern spool verify` shows them; see whether disk and memory are sound", NULL, 0);
}

static void find_queue(struct exam *x, const json_t *answer)
{
    const json_t *m = json_array_get(json_object_get(answer, "messages"), 0);
    uint64_t arrival = number(m, "arrival"), now = clock_wall_ms();
    struct buf age = { 0 };
    if (!m) {
        exam_find(x, "queue", x->config->hostname, DOCTOR_OK, "no mail waits", "", NULL, 0);
        return;
    }
    clock_add_span(&age, now > arrival ? now - arrival : 0);
    const char *text = arena_printf(&x->arena, "the oldest message waits for %s%s%s", buf_cstr(&age),
                                    json_text(m, "reason").n ? ": " : "", exam_shown(x, json_text(m, "reason")));
    if (arrival > now + 300000)
        exam_find(x, "clock", x->config->hostname, DOCTOR_ERROR,
                  "a message in the queue has come in the future: the clock was, or is, wrong",
                  "have the clock set by NTP", NULL, 0);
    if (now > arrival + OLD_MS)
        exam_find(x, "queue", x->config->hostname, DOCTOR_WARNING, text,
                  "`postern queue list` shows what waits, and why", NULL, 0);
    else exam_find(x, "queue", x->config->hostname, DOCTOR_OK, text, "", NULL, 0);
    buf_deinit(&age);
}

static void ask_queue(struct exam *x)
{
    json_t *request = json_pack("{s:s, s:i, s:s}", "op", "list", "limit", 1, "sort", "arrival");
    queue_control(x->run->doctor->o.queue, request, late_reply, exam_late(x));
    json_decref(request);
}

void exam_health(struct exam *x)
{
    const struct doctor_options *o = &x->run->doctor->o;
    if (!x->late_n && o->queue) ask_queue(x);
    if (x->late_n && !exam_came(x, x->lates[0]) && !x->run->over) return;
    json_t *now = o->health(o->arg);
    if (x->late_n && x->lates[0]->answer) find_queue(x, x->lates[0]->answer);
    find_disk(x, json_object_get(now, "spool"));
    find_scanners(x, json_object_get(now, "scan"));
    find_tables(x, json_object_get(now, "tables"));
    json_decref(now);
}
