/* SPDX-License-Identifier: Apache-2.0
 * Domain names in their one form for look-ups and comparisons: A-labels, lower case. */
#include <idn2.h>
#include "base/utf8.h"
#include "smtp/address.h"

#define DOMAIN_MAX 255 /* RFC 5321 §4.5.3.1.2 */

static bool lower(struct slice s, char out[256])
{
    if (!address_domain_ok(s, false)) return false;
    for (size_t i = 0; i < s.n; i++) out[i] = ascii_lower(s.p[i]);
    out[s.n] = 0;
    return true;
}

bool address_domain_ascii(struct slice domain, char out[256])
{
    char text[DOMAIN_MAX + 1];
    uint8_t *ascii = NULL;
    if (domain.n && domain.p[domain.n - 1] == '.') domain.n--;
    if (!domain.n || domain.n > DOMAIN_MAX) return false;
    if (utf8_ascii(domain)) return lower(domain, out);
    if (!utf8_clean(domain) || slice_find(domain, 0) >= 0) return false;
    memcpy(text, domain.p, domain.n);
    text[domain.n] = 0;
    /* RFC 5891 §5, with the mapping of UTS #46 for what people type (capitals, composed and decomposed letters); not
     * its transitional form, which makes other names of ß and ς. */
    if (idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK) return false;
    bool ok = lower(slice_str((const char *)ascii), out);
    idn2_free(ascii);
    return ok;
}
