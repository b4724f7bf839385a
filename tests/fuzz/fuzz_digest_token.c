/* SPDX-License-Identifier: Apache-2.0
 * What stands in a link: nothing that was not made with the secret is one. And what strangers write into subjects: no markup comes out. */
#include <stdlib.h>
#include "admin/digest_token.h"
#include "base/html.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "message/words.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned char secret[DIGEST_SECRET_N] = "fuzz";
    struct digest_link link = { .expires = 9 };
    char token[DIGEST_TOKEN_N + 1], *copy = mem_slicedup(slice_of(data, n));
    struct slice in = slice_of(copy, n);
    struct buf words = { 0 }, html = { 0 };
    bool read = digest_token_read(secret, in, 0, &link);
    if (read) digest_token_make(secret, &link, token);
    must(!read || slice_eq(in, slice_str(token)));
    digest_hash(in, link.recipient);
    memcpy(&link.id, data, n < sizeof link.id ? n : sizeof link.id);
    link.expires = UINT64_MAX;
    digest_token_make(secret, &link, token);
    must(digest_token_read(secret, slice_str(token), 5, &link));
    words_add(&words, in);
    html_add(&html, buf_slice(&words), 100);
    must(utf8_clean(buf_slice(&html)) && slice_find(buf_slice(&html), '<') < 0 && slice_find(buf_slice(&html), '"') < 0);
    buf_deinit(&words);
    buf_deinit(&html);
    free(copy);
    return 0;
}
