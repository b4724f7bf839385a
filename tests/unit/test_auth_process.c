/* SPDX-License-Identifier: Apache-2.0
 * The auth process before workers that were taken over: whatever they send, their own channel is all that it can cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "auth/auth.h"
#include "auth/process.h"
#include "auth/users_file.h"
#include "base/channel.h"
#include "base/mem.h"

static struct {
    struct config *config;
    int master;
    pid_t pid;
    char users[64];
} world;

/* ---- frames */

static void send_frame(int fd, struct slice text, int passed)
{
    uint32_t head[2] = { (uint32_t)text.n, passed >= 0 };
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec io[2] = { { head, sizeof head }, { (char *)(uintptr_t)text.p, text.n } };
    struct msghdr m = { .msg_iov = io, .msg_iovlen = 2 };
    if (passed >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &passed, sizeof passed);
    }
    (void)!sendmsg(fd, &m, MSG_NOSIGNAL); /* it may have hung up already */
}

static void say(int fd, const char *text)
{
    send_frame(fd, slice_str(text), -1);
}

/* The next answer; NULL: it hung up. */
static json_t *hear(int fd)
{
    uint32_t head[2];
    ssize_t k = recv(fd, head, sizeof head, MSG_WAITALL);
    if (k <= 0) assert_true(k == 0 || errno == ECONNRESET); /* and not that nothing came in time */
    if (k <= 0) return NULL;
    assert_int_equal(k, sizeof head);
    char *text = mem_alloc(head[0] + 1);
    assert_int_equal(recv(fd, text, head[0], MSG_WAITALL), head[0]);
    json_t *m = json_loadb(text, head[0], 0, NULL);
    free(text);
    assert_non_null(m);
    return m;
}

static int hear_outcome(int fd)
{
    json_t *m = hear(fd);
    int outcome = m ? (int)json_integer_value(json_object_get(m, "outcome")) : -1;
    json_decref(m);
    return outcome;
}

static int worker(void)
{
    struct err err;
    int pair[2];
    assert_true(channel_pair(pair, &err));
    send_frame(world.master, SLICE("{\"op\":\"worker\",\"pid\":1}"), pair[0]);
    close(pair[0]);
    assert_int_equal(fcntl(pair[1], F_SETFL, 0), 0);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 30, 0 }, sizeof(struct timeval)), 0);
    return pair[1];
}

/* ---- the process */

#define GOOD "\"op\":\"server\",\"mechanism\":\"PLAIN\",\"initial\":\"AGFubmEAc2VjcmV0\",\"client\":\"127.0.0.1\",\"tls\":true}"
#define LOGIN "\"op\":\"server\",\"mechanism\":\"LOGIN\",\"client\":\"127.0.0.1\",\"tls\":true}"
#define HOP "\"op\":\"client\",\"hop\":0,\"mechanisms\":\"SCRAM-SHA-256\",\"host\":\"h.example\",\"port\":587,\"tls\":true}"
#define RECIPIENT "\"op\":\"recipient\",\"domain\":0,\"address\":\"a@example.com\"}"

static int start(void **state)
{
    struct config_report report;
    struct err err;
    struct buf text = { 0 };
    int pair[2];
    snprintf(world.users, sizeof world.users, "/tmp/postern-auth-users-%d", (int)getpid());
    unlink(world.users);
    struct buf secret = { 0 };
    if (!users_secret_make(SLICE("secret"), &secret, &err)) return -1;
    struct users_change add = { .name = SLICE("anna"), .secret = buf_slice(&secret), .group = -1 };
    if (!users_file_change(world.users, &add, &err) || !channel_pair(pair, &err)) return -1;
    buf_wipe(&secret);
    buf_addf(&text, "hostname: mx.example\nsystem: {sandbox: no, auth_user: \"\"}\n"
                    "smarthost: {host: 127.0.0.1, port: 587, tls: encrypt, user: relay, password: x}\n"
                    "domains:\n  - {name: example.com, deliver: 192.0.2.1, recipients: {verify: ldap, timeout: 1s,\n"
                    "     ldap: {url: \"ldap://127.0.0.1:1\", base: dc=example, filter: (mail=%%s)}}}\n"
                    "  - {name: example.net, deliver: 192.0.2.1}\n"
                    "auth: {backend: users, users: %s, failures: 0}\n", world.users);
    world.config = config_parse(buf_slice(&text), "test.yaml", &report);
    buf_deinit(&text);
    config_report_deinit(&report);
    if (!world.config) return -1;
    world.pid = fork();
    if (world.pid == 0) {
        struct privilege_user nobody = { 0 };
        close(pair[1]);
        _exit(helper_main(&(struct helper_start){
            .kind = &auth_helper, .config = world.config, .channel = pair[0], .user = &nobody }));
    }
    close(pair[0]);
    world.master = pair[1];
    return 0;
}

static int stop(void **state)
{
    int status = -1;
    close(world.master);
    alarm(20); /* what a failed test has left open keeps it alive */
    waitpid(world.pid, &status, 0);
    unlink(world.users);
    config_free(world.config);
    return status;
}

static void still_serves(void)
{
    int w = worker();
    say(w, "{\"id\":1," GOOD);
    assert_int_equal(hear_outcome(w), AUTH_OK);
    close(w);
}

static void nonsense_ends_the_channel(void **state)
{
    static const char *const words[][3] = {
        { "{\"id\":1,\"op\":\"what\"}" },
        { "{\"id\":0," GOOD },
        { "{\"id\":-1," GOOD },
        { "{\"id\":1.5," GOOD },
        { "{" GOOD },
        { "{}" },
        { "[]" },
        { "\"x\"" },
        { "{" },
        { "{\"id\":1," LOGIN, "{\"id\":1," LOGIN },
        { "{\"id\":1," GOOD, "{\"id\":1,\"op\":\"step\",\"data\":\"\"}" },         /* its turn is not over */
        { "{\"id\":1," LOGIN, NULL, "{\"id\":1,\"op\":\"done\",\"success\":true}" }, /* that is for a client's */
        { "{\"id\":1," LOGIN, NULL, "{\"id\":1,\"op\":\"step\"}" },
        { "{\"id\":1," LOGIN, NULL, "{\"id\":1,\"op\":\"step\",\"data\":7}" },
        { "{\"id\":1," LOGIN, NULL, "{\"id\":1,\"op\":\"step\",\"data\":\"!\"}" },
        { "{\"id\":1," LOGIN, NULL, "{\"id\":1,\"op\":\"else\"}" },
        { "{\"id\":1," HOP, NULL, "{\"id\":1," HOP },
        { "{\"id\":1," RECIPIENT, "{\"id\":1," RECIPIENT },
        { "{\"id\":1," RECIPIENT, "{\"id\":1,\"op\":\"step\",\"data\":\"\"}" },
    };
    for (size_t i = 0; i < countof(words); i++) {
        int w = worker();
        say(w, words[i][0]);
        if (words[i][2]) {
            assert_int_equal(hear_outcome(w), AUTH_CONTINUE);
            say(w, words[i][2]);
        } else if (words[i][1]) say(w, words[i][1]);
        json_t *m;
        while ((m = hear(w))) json_decref(m); /* an answer that was on its way */
        close(w);
    }
    int w = worker();
    const uint32_t heads[][2] = { { 0, 0 }, { UINT32_MAX, 0 }, { 2, 7 }, { 2, 1 } };
    for (size_t i = 0; i < countof(heads); i++, w = worker()) {
        assert_int_equal(send(w, heads[i], sizeof heads[i], 0), sizeof heads[i]);
        assert_int_equal(send(w, "{}", 2, MSG_NOSIGNAL) >= -1, 1);
        assert_null(hear(w));
        close(w);
    }
    close(w);
    still_serves();
}

static void requests_that_cannot_be_served(void **state)
{
    static const char *const words[] = {
        "{\"id\":1,\"op\":\"server\"}",
        "{\"id\":1,\"op\":\"server\",\"mechanism\":\"PLAIN\",\"client\":\"not an address\"}",
        "{\"id\":1,\"op\":\"server\",\"mechanism\":\"PLAIN\",\"client\":\"::1\",\"initial\":\"A\"}",
        "{\"id\":1,\"op\":\"server\",\"mechanism\":\"PLAIN\",\"client\":\"::1\",\"binding\":\"!\"}",
        "{\"id\":1,\"op\":\"client\"}",
        "{\"id\":1,\"op\":\"client\",\"hop\":-1,\"mechanisms\":\"PLAIN\",\"host\":\"h\",\"port\":25}",
        "{\"id\":1,\"op\":\"client\",\"hop\":1,\"mechanisms\":\"PLAIN\",\"host\":\"h\",\"port\":25}",
        "{\"id\":1,\"op\":\"client\",\"hop\":4294967296,\"mechanisms\":\"PLAIN\",\"host\":\"h\",\"port\":25}",
        "{\"id\":1,\"op\":\"client\",\"hop\":0.5,\"mechanisms\":\"PLAIN\",\"host\":\"h\",\"port\":25}",
        "{\"id\":1,\"op\":\"client\",\"hop\":0,\"mechanisms\":\"PLAIN\",\"host\":\"h\",\"port\":65536}",
        "{\"id\":1,\"op\":\"recipient\"}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":0}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":0,\"address\":7}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":\"0\",\"address\":\"a@example.com\"}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":1,\"address\":\"a@example.net\"}", /* it has no directory */
        "{\"id\":1,\"op\":\"recipient\",\"domain\":2,\"address\":\"a@example.org\"}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":-1,\"address\":\"a@example.org\"}",
        "{\"id\":1,\"op\":\"recipient\",\"domain\":0,\"address\":\"a@example.com\"}", /* nobody is there */
    };
    int w = worker();
    for (size_t i = 0; i < countof(words); i++) {
        say(w, words[i]);
        assert_int_equal(hear_outcome(w), AUTH_TEMPFAIL);
    }
    say(w, "{\"id\":1,\"op\":\"server\",\"mechanism\":\"GSSAPI\",\"client\":\"::1\",\"tls\":true}");
    assert_int_equal(hear_outcome(w), AUTH_FAILED);
    close(w);
    still_serves();
}

static void ends_in_the_middle(void **state)
{
    char text[400];
    for (int round = 0; round < 4; round++) {
        int w = worker();
        for (int i = 1; i <= 60; i++) {
            snprintf(text, sizeof text, i % 3 ? i % 4 ? "{\"id\":%d," GOOD : "{\"id\":%d," RECIPIENT : "{\"id\":%d," HOP, i);
            say(w, text);
            if (i % 2 && round % 2) { /* cancelled while a thread has it, or waits for one; the number is used again */
                snprintf(text, sizeof text, "{\"id\":%d,\"op\":\"cancel\"}", i);
                say(w, text);
                snprintf(text, sizeof text, "{\"id\":%d,\"op\":\"step\",\"data\":\"AAAA\"}", i);
                say(w, text);
                snprintf(text, sizeof text, "{\"id\":%d," GOOD, i);
                say(w, text);
            }
        }
        if (round > 1) assert_true(hear_outcome(w) >= 0);
        close(w);
    }
    still_serves();
}

static void more_than_there_is_room_for(void **state)
{
    char text[400];
    int w = worker(), begun = 0, refused = 0;
    for (int i = 1; i <= 4200; i++) {
        snprintf(text, sizeof text, "{\"id\":%d," LOGIN, i);
        say(w, text);
        int outcome = hear_outcome(w);
        assert_true(outcome == AUTH_CONTINUE || outcome == AUTH_TEMPFAIL);
        *(outcome == AUTH_CONTINUE ? &begun : &refused) += 1;
    }
    assert_int_equal(begun, 4096);
    assert_int_equal(refused, 104);
    still_serves(); /* others are not touched */
    close(w);
    still_serves();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_ends_the_channel),
        cmocka_unit_test(requests_that_cannot_be_served),
        cmocka_unit_test(ends_in_the_middle),
        cmocka_unit_test(more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
