/* SPDX-License-Identifier: Apache-2.0
 * Times as people type them. */
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/common.h"

bool cli_parse_when(const char *text, bool end, uint64_t *ms)
{
    static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };
    uint64_t span, now = clock_wall_ms();
    if (cli_parse_span(slice_str(text), &span)) {
        *ms = span < now ? now - span : 0;
        return true;
    }
    for (size_t i = 0; i < countof(forms); i++) {
        struct tm tm = { 0 };
        const char *rest = strptime(text, forms[i], &tm);
        time_t t = rest && !*rest ? timegm(&tm) : -1;
        if (t < 0) continue;
        *ms = (uint64_t)t * 1000;
        if (end) *ms += (i == countof(forms) - 1 ? 86400000 : i < 2 ? 1000 : 60000) - 1;
        return true;
    }
    return false;
}
