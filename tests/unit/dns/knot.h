/* SPDX-License-Identifier: Apache-2.0
 * A real DNS server for tests: knotd on a free loopback port with example.zone, in a directory of its own. */
#ifndef POSTERN_TEST_KNOT_H
#define POSTERN_TEST_KNOT_H
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct knot {
    pid_t pid;
    uint16_t port;
    char server[32]; /* for dns.servers */
    char dir[64];
};

/* A UDP socket on a free loopback port. */
static int knot_udp(uint16_t *port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sa;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (void *)&sa, n) != 0 || getsockname(fd, (void *)&sa, &n) != 0) abort();
    *port = ntohs(sa.sin_port);
    return fd;
}

static bool knot_write_config(const struct knot *k, const char *zones)
{
    char path[96];
    snprintf(path, sizeof path, "%s/knot.conf", k->dir);
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f,
            "server:\n    rundir: \"%s\"\n    listen: 127.0.0.1@%u\n    udp-workers: 1\n    tcp-workers: 1\n"
            "    background-workers: 1\ndatabase:\n    storage: \"%s\"\ntemplate:\n  - id: default\n    storage: \"%s\"\n"
            "    zonefile-sync: -1\n    journal-content: none\nzone:\n  - domain: example\n    file: example.zone\n",
            k->dir, k->port, k->dir, zones);
    return fclose(f) == 0;
}

/* Asks for the zone's SOA until it is answered, ten seconds at most. */
static bool knot_answers(uint16_t port)
{
    static const char question[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0\7example\0\0\6\0\1";
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (int i = 0; i < 100; i++) {
        uint16_t own;
        char answer[512];
        int fd = knot_udp(&own);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        bool came = connect(fd, (void *)&sa, sizeof sa) == 0 && send(fd, question, sizeof question - 1, 0) > 0 &&
                    poll(&p, 1, 100) == 1 && recv(fd, answer, sizeof answer, 0) > 12 && (answer[3] & 15) == 0;
        close(fd);
        if (came) return true;
        usleep(100000);
    }
    return false;
}

static void knot_stop(struct knot *k)
{
    if (k->pid > 0) {
        kill(k->pid, SIGTERM);
        waitpid(k->pid, NULL, 0);
    }
    k->pid = 0;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", k->dir);
    if (k->dir[0] && system(command) != 0) fprintf(stderr, "cannot remove %s\n", k->dir);
    k->dir[0] = 0;
}

/* False with a printed reason when there is no knotd. */
static bool knot_start(struct knot *k, const char *zones)
{
    static const char *const places[] = { "/usr/sbin/knotd", "/usr/local/sbin/knotd" };
    const char *program = NULL;
    *k = (struct knot){ 0 };
    for (size_t i = 0; i < sizeof places / sizeof *places && !program; i++)
        if (access(places[i], X_OK) == 0) program = places[i];
    if (!program) {
        puts("skipped: knotd is not installed (Debian: apt-get install knot)");
        return false;
    }
    snprintf(k->dir, sizeof k->dir, "/tmp/postern-knot-XXXXXX");
    if (!mkdtemp(k->dir)) abort();
    int probe = knot_udp(&k->port);
    snprintf(k->server, sizeof k->server, "127.0.0.1:%u", k->port);
    if (!knot_write_config(k, zones)) abort();
    close(probe);
    k->pid = fork();
    if (k->pid == 0) {
        char path[96], log[96];
        snprintf(path, sizeof path, "%s/knot.conf", k->dir);
        snprintf(log, sizeof log, "%s/log", k->dir);
        int fd = open(log, O_WRONLY | O_CREAT, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(program, program, "-c", path, (char *)NULL);
        _exit(127);
    }
    if (knot_answers(k->port)) return true;
    fprintf(stderr, "knotd does not answer; its log is in %s\n", k->dir);
    kill(k->pid, SIGTERM);
    abort();
}

#endif
