/* SPDX-License-Identifier: Apache-2.0
 * Are the addresses that mail is to go out from addresses of this machine? The kernel says so when a socket is bound to one. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/report.h"

/* 0, or errno. */
static int bind_problem(const struct ip *ip)
{
    struct sockaddr_storage addr;
    socklen_t n = ip_to_sockaddr(ip, 0, &addr);
    int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int code = bind(fd, (struct sockaddr *)&addr, n) < 0 ? errno : 0;
    close(fd);
    return code;
}

struct sources {
    struct slice text;
    struct config_report *report;
    bool ok;
};

static void check_one(struct sources *s, const struct ip *ip, const char *option)
{
    int code = ip->family ? bind_problem(ip) : 0;
    if (!code) return;
    struct buf b = { 0 };
    ip_add(&b, ip);
    struct config_place place = config_place_of(s->text, option);
    if (code == EADDRNOTAVAIL)
        report_error(s->report, place, option, "give it to an interface (ip address add ...), or name one that is there (ip address)",
                     "%s is no address of this machine", buf_cstr(&b));
    else report_error(s->report, place, option, NULL, "mail cannot go out from %s: %s", buf_cstr(&b), strerror(code));
    buf_deinit(&b);
    s->ok = false;
}

static void check_two(struct sources *s, const struct ip *ipv4, const struct ip *ipv6, const char *option)
{
    check_one(s, ipv4, option);
    check_one(s, ipv6, option);
}

bool config_check_sources(const struct config *c, struct slice text, struct config_report *report)
{
    struct sources s = { text, report, true };
    char option[64];
    check_one(&s, &c->delivery.source4, "delivery.source4");
    check_one(&s, &c->delivery.source6, "delivery.source6");
    check_two(&s, &c->inner_host.source4, &c->inner_host.source6, "inner_host.source");
    check_two(&s, &c->smarthost.source4, &c->smarthost.source6, "smarthost.source");
    for (size_t i = 0; i < c->domain_n; i++) {
        snprintf(option, sizeof option, "domains[%zu].deliver.source", i);
        check_two(&s, &c->domains[i].deliver.source4, &c->domains[i].deliver.source6, option);
    }
    for (size_t i = 0; i < c->route_n; i++) { /* one inside `via` is found there, too */
        snprintf(option, sizeof option, "routes[%zu].source", i);
        check_two(&s, &c->routes[i].source4, &c->routes[i].source6, option);
    }
    return s.ok;
}
