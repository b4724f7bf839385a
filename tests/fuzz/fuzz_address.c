/* SPDX-License-Identifier: Apache-2.0
 * Envelope addresses: what is accepted keeps the promises of smtp/address.h and is accepted again on its own. */
#include "base/mem.h"
#include "base/utf8.h"
#include "smtp/address.h"
#include "fuzz.h"

static void check(const struct address *a)
{
    char local[64];
    struct address again;
    must(a->local.n <= 64 && a->domain.n <= 255 && a->text.n <= 254);
    must(address_local_unquote(a->local, local) <= a->local.n);
    for (size_t i = 0; i < a->text.n; i++)
        must(a->text.p[i] >= 0x20 ? a->text.p[i] < 0x7F : a->utf8 && (unsigned char)a->text.p[i] >= 0x80);
    must(utf8_ok(a->text) && a->utf8 == !utf8_ascii(a->text));
    if (a->kind == ADDRESS_NO_DOMAIN) {
        must(a->domain.n == 0 && (a->text.n == 0 || slice_ieq(a->text, SLICE("postmaster"))));
        return;
    }
    must(address_parse(a->text, &again) == NULL && slice_eq(again.local, a->local) &&
         slice_eq(again.domain, a->domain));
    char ascii[256], again_ascii[256];
    must(!utf8_ascii(a->domain) || address_helo_ok(a->domain));
    if (a->kind == ADDRESS_LITERAL) return;
    must(address_domain_ascii(a->domain, ascii) && address_domain_ok(slice_str(ascii), false));
    must(address_domain_ascii(slice_str(ascii), again_ascii) && !strcmp(ascii, again_ascii));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice in = slice_of(data, n), rest = in;
    struct address a;
    if (!address_parse_path(&rest, true, true, &a)) {
        must(rest.p + rest.n == in.p + in.n && rest.p[-1] == '>' && in.n - rest.n <= 256);
        check(&a);
    } else must(rest.p == in.p && rest.n == in.n);
    if (!address_parse(in, &a)) check(&a);
    address_domain_ok(in, true);
    address_helo_ok(in);
    char ascii[256];
    if (address_domain_ascii(in, ascii)) must(address_domain_ok(slice_str(ascii), false));
    return 0;
}
