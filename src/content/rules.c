/* SPDX-License-Identifier: Apache-2.0
 * Header checks and rules: the place where they are to be. */
#include "content/rules.h"
#include "base/mem.h"
#include <stdlib.h>

struct rules {
    const struct config *config;
};

struct rules *rules_new(const struct config *c, struct err *err)
{
    struct rules *r = mem_new(struct rules);
    r->config = c;
    return r;
}

void rules_free(struct rules *r) { free(r); }

void rules_apply(const struct rules *r, const struct content_message *m, const struct scan_context *c, struct report *report,
                 struct arena *arena)
{
}
