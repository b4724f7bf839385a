/* SPDX-License-Identifier: Apache-2.0
 * What next hops can take, learned from their EHLO replies. */
#include "delivery/internal.h"

bool queue_abilities(struct queue *q, struct slice rcpt, struct hop_abilities *out)
{
    return false;
}
