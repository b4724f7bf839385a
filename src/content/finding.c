/* SPDX-License-Identifier: Apache-2.0
 * How findings are called. */
#include "base/mem.h"
#include "content/message.h"

const char *content_finding_name(unsigned bit)
{
    static const char *const names[] = {
        "name-conflict", "name-bidi",   "name-control", "type-conflict", "executable",       "script",      "archive",
        "document",      "macro",       "macro-auto",   "pdf-script",    "encrypted",        "image",       "audio",
        "video",         "message",     "broken",       "limit-depth",   "limit-parts",      "limit-size",  "limit-ratio",
        "limit-time",    "uuencode",    "binhex",       "tnef",          "double-extension", "mime-broken", "external-link",
    };
    _Static_assert(1u << (countof(names) - 1) == CONTENT_EXTERNAL_LINK, "each has a name");
    for (size_t i = 0; i < countof(names); i++)
        if (bit == 1u << i) return names[i];
    return "unknown";
}
