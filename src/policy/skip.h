/* SPDX-License-Identifier: Apache-2.0
 * Checks that do not concern the clients of a zone: zones.X.skip_checks. Private to this folder. */
#ifndef POSTERN_POLICY_SKIP_H
#define POSTERN_POLICY_SKIP_H
#include "policy/pipeline.h"

/* Reads the lists of all zones, when policy->checks are chosen. `table` has all checks there are, NULL at the end. False with an error that
 * names file and line: a check that there is not, that no zone may skip, or that one which is not skipped builds on. */
bool skips_load(struct policy *p, const struct check *const *table, struct err *err) MUST_CHECK;
void skips_free(struct policy *p);
/* Of this zone; NULL: it skips none. */
const struct zone_skips *skips_of(const struct policy *p, const struct config_zone *zone);

#endif
