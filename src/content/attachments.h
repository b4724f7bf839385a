/* SPDX-License-Identifier: Apache-2.0
 * Which files `attachments` blocks, and why. */
#ifndef POSTERN_CONTENT_ATTACHMENTS_H
#define POSTERN_CONTENT_ATTACHMENTS_H
#include "content/message.h"

/* Why that part is blocked, for people: "extension exe", "type application/x-dosexec", "double extension exe", "encrypted", "macros",
 * "limit depth", "damaged"; empty: it is not. Of all its names each is looked at. The text is in the arena. Whether `attachments` is on is
 * the caller's matter. */
struct slice attachments_blocked(const struct config_attachments *c, const struct content_message *m, uint32_t part, struct arena *arena);

#endif
