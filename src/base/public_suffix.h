/* SPDX-License-Identifier: Apache-2.0
 * Which part of a host's name is a domain that somebody registered: by the public suffix list (publicsuffix.org), which knows below
 * which names anybody may have one ("com", "co.uk", "github.io"). */
#ifndef POSTERN_BASE_PUBLIC_SUFFIX_H
#define POSTERN_BASE_PUBLIC_SUFFIX_H
#include "base/slice.h"

struct public_suffix; /* the list; it does not change, and may be shared by threads and forked processes */

/* The system's list, or the one that is built into the library, whichever is newer. Reads a file: before a sandbox. NULL: there is
 * none. */
struct public_suffix *public_suffix_load(void);
void public_suffix_free(struct public_suffix *l); /* NULL is fine */

/* The registrable domain of a name, as the slice of it: of "mx1.mail.example.co.uk" and of itself "example.co.uk". name: A-labels, in
 * any case; a dot at its end is left out. A top-level domain that the list does not name is a public suffix. Empty when there is
 * none: for a public suffix itself ("co.uk", "com", any single label), an IP address, a text that is no name; and when l is NULL.
 * It neither allocates nor blocks. */
struct slice public_suffix_registrable(const struct public_suffix *l, struct slice name);

#endif
