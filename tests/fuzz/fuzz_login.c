/* SPDX-License-Identifier: Apache-2.0
 * What somebody sends who logs in: the header Cookie, names, codes of second factors. */
#include <stdlib.h>
#include "admin/auth_int.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned char secret[TOTP_SECRET_N] = { 1, 2, 3 };
    char *text = mem_slicedup(slice_of(data, n)), name[ACCOUNT_NAME_MAX + 1], code[RECOVERY_TEXT_N + 1], again[RECOVERY_TEXT_N + 1];
    struct slice all = slice_of(data, n), token;
    if (session_cookie(text, &token) && (token.p < text || token.p + token.n > text + strlen(text))) abort();
    if (account_name_fold(all, name) && (strlen(name) != n || name[0] == '-')) abort();
    if (recovery_read(all, code) && (!recovery_read(slice_str(code), again) || strcmp(code, again) != 0)) abort();
    uint64_t step = totp_check(secret, all, UINT64_C(1800000000000), 0);
    if (step && totp_check(secret, all, UINT64_C(1800000000000), step + 1)) abort();
    free(text);
    return 0;
}
