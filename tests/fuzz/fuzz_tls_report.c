/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: TLS reports of others, and the records that say where ours go. The first byte chooses. */
#include "fetch/tls_report.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char rua[TLS_REPORT_RUA_MAX][512];
    struct slice texts[4], rest = slice_of(data + 1, size ? size - 1 : 0);
    struct buf out = { 0 };
    struct err err;
    size_t n = 0;
    if (!size) return 0;
    if (data[0] & 1) {
        while (rest.n && n < 4) slice_cut(&rest, 0, &texts[n++]);
        if (tls_report_rua(texts, n, rua) > TLS_REPORT_RUA_MAX) abort();
        return 0;
    }
    json_t *report = tls_report_open(rest, &err);
    if (report) tls_report_print(report, &out);
    json_t *people = report ? tls_report_to_people(report) : NULL;
    char *shown = people ? json_dumps(people, JSON_COMPACT) : NULL; /* NULL: some text in it is not UTF-8 */
    if (people && !shown) abort();
    json_decref(people);
    free(shown);
    for (size_t i = 0; i < out.n; i++)
        if ((unsigned char)out.p[i] < 0x20 && out.p[i] != '\n') abort();
    json_decref(report);
    buf_deinit(&out);
    return 0;
}
