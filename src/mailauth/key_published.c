/* SPDX-License-Identifier: Apache-2.0
 * Is what is published under a selector the key that is to be there? */
#include <openssl/evp.h>
#include "mailauth/key.h"

static bool differs(struct buf *reason, struct buf *hint, const char *why, const char *how)
{
    buf_add_str(reason, why);
    buf_add_str(hint, how);
    return false;
}

static bool compare(const struct dkim_record *theirs, const struct dkim_record *ours, struct buf *reason, struct buf *hint)
{
    static const char again[] = "publish the value that `postern dkim show` prints";
    if (theirs->revoked)
        return differs(reason, hint, "the published key is revoked: its p= is empty", "publish the key, or take another selector");
    if (theirs->type != ours->type) return differs(reason, hint, "the published key is of another type", again);
    if (EVP_PKEY_eq(theirs->key, ours->key) != 1) return differs(reason, hint, "another key is published under this selector", again);
    if (!theirs->sha256) return differs(reason, hint, "its h= does not allow sha256", "remove h= from the record");
    if (!theirs->email) return differs(reason, hint, "its s= does not allow email", "remove s= from the record");
    buf_add_str(reason, "published, and it matches the key");
    if (theirs->testing) buf_add_str(hint, "t=y in the record tells receivers that this is a test: remove it when all is well");
    return true;
}

bool dkim_published_is(const struct slice *texts, size_t n, struct slice record, struct buf *reason, struct buf *hint)
{
    struct arena arena = { 0 };
    struct dkim_record theirs = { 0 }, ours = { 0 };
    bool is = false;
    const char *bug = dkim_record_parse(record, &arena, &ours);
    const char *wrong = bug ? bug : dkim_record_parse(texts[0], &arena, &theirs);
    if (n > 1) /* RFC 6376 §3.6.2.2: which of them counts is not defined */
        differs(reason, hint, "several TXT records are published where one must be", "remove all but one");
    else if (wrong) {
        buf_addf(reason, "the published record cannot be read: %s", wrong);
        buf_add_str(hint, "publish the value that `postern dkim show` prints, its strings joined without blanks");
    } else is = compare(&theirs, &ours, reason, hint);
    dkim_record_deinit(&theirs);
    dkim_record_deinit(&ours);
    arena_deinit(&arena);
    return is;
}
