/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a table of header checks: an error with its line, or a table that can be held against a message, and whatever it does to it
 * leaves a header. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "content/report_parts.h"
#include "content/rules.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_scan limits = { .depth = 3, .parts = 50, .unpacked = 1 << 20, .ratio = 100, .unpack_time = 1000 };
    struct arena arena = { 0 };
    struct err err = { .text = "" };
    struct report report = { 0 };
    struct scan_context nobody = { 0 };
    struct content_message m;
    char path[64];
    int fd = memfd_create("table", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config_header_check check = { .file = path };
    struct config config = { .header_checks = &check, .header_check_n = 1, .scan.timeout = 400 };
    log_open("fuzz", LOG_ERROR);
    struct rules *r = rules_new(&config, NULL, &err);
    close(fd);
    must(r || strstr(err.text, path));
    if (!r) return 0;
    content_message_read(&m, SLICE("X-Odd : aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\tb\r\nSubject: =?utf-8?q?x?= \xE9\r\nTo: a@b.example, \"c\" <d@e.example>\r\n"
                                   "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n"
                                   "x\r\n--b--\r\n"), &limits, NULL, &arena);
    rules_apply(r, &m, &nobody, &report, &arena);
    must(report.action_n <= REPORT_ACTIONS_MAX && report.edit_n <= REPORT_EDITS_MAX);
    for (size_t i = 0; i < report.edit_n; i++)
        must(report.edits[i].at + report.edits[i].n <= m.bytes.n && report_is_header(report.edits[i].with));
    rules_free(r);
    arena_deinit(&arena);
    return 0;
}
