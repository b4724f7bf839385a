/* SPDX-License-Identifier: Apache-2.0
 * An import from its beginning to its end: the subjects, one after the other. */
#include "import/import.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "import/parts.h"
#include "smtp/address.h"

struct import *import_new(const char *folder, bool beside)
{
    struct import *im = mem_new(struct import);
    im->folder = arena_strdup(&im->arena, slice_str(folder));
    im->beside = beside;
    im->hostname = im->domain = im->origin = "";
    return im;
}

struct import *import_new_given(void)
{
    struct import *im = import_new("/etc/postfix", false); /* where relative names of certificates lead */
    im->given = mem_zalloc(IMPORT_GIVEN_MAX * sizeof *im->given);
    return im;
}

static bool is_name(struct slice name)
{
    struct slice rest = name, part;
    if (name.n > 250) return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7F) return false;
    for (bool more = true; more;) {
        more = slice_cut(&rest, '/', &part);
        if (!part.n || slice_eq(part, SLICE(".")) || slice_eq(part, SLICE(".."))) return false;
    }
    return true;
}

bool import_give(struct import *im, const char *name, struct slice text)
{
    if (!is_name(slice_str(name)) || im->given_n == IMPORT_GIVEN_MAX) return false;
    im->given[im->given_n++] = (struct import_given){ name, text };
    return true;
}

void import_free(struct import *im)
{
    if (!im) return;
    free(im->given);
    free(im->params);
    free(im->notes);
    free(im->units);
    free(im->files);
    free(im->services);
    free(im->sources);
    import_map_deinit(&im->transports);
    import_map_deinit(&im->passwords);
    if (im->seen.hash_of) htable_deinit(&im->seen);
    buf_deinit(&im->text);
    arena_deinit(&im->arena);
    free(im);
}

/* myhostname, mydomain, myorigin: each follows from the one before. */
static void find_names(struct import *im)
{
    char own[256] = "";
    struct import_from from, origin;
    struct slice host = import_get(im, "myhostname", &from), rest;
    if (!host.n) {
        if (gethostname(own, sizeof own - 1) || !own[0]) own[0] = 0;
        struct slice domain = import_get(im, "mydomain", NULL);
        host = slice_str(strchr(own, '.') ? own : arena_printf(&im->arena, "%s.%.*s", own[0] ? own : "localhost", SLICE_ARG(domain.n ? domain : SLICE("localdomain"))));
        different(im, &from, "set hostname", "main.cf does not say it: the name of this machine is taken");
    }
    char ascii[256];
    if (!address_domain_ascii(host, ascii) || !address_domain_ok(slice_str(ascii), true)) {
        left_out(im, &from, "set hostname", "%s is no full name of a host", import_show(im, host));
        memcpy(ascii, "localhost.localdomain", sizeof "localhost.localdomain");
    }
    im->hostname = arena_strdup(&im->arena, slice_str(ascii));
    rest = slice_str(im->hostname);
    struct slice head;
    im->domain = slice_cut(&rest, '.', &head) && slice_find(rest, '.') >= 0 ? rest.p : im->hostname;
    struct slice domain = import_get(im, "mydomain", NULL);
    if (domain.n) im->domain = import_str(im, domain);
    struct slice name = import_get(im, "myorigin", &origin), line;
    struct import_from at;
    if (name.n && name.p[0] == '/') {
        struct import_text *t = import_open(im, import_str(im, name), &origin);
        name = t && import_next(im, t, &line, &at) ? line : SLICE("");
    }
    im->origin = address_domain_ascii(name, ascii) ? arena_strdup(&im->arena, slice_str(ascii)) : im->hostname;
    import_put(im, PUT_HOSTNAME, &from, "hostname: %s", import_scalar(im, slice_str(im->hostname)));
}

bool import_read_postfix(struct import *im, struct err *err)
{
    struct import_from none = { "main.cf", 0, SLICE("main.cf") };
    err->code = 0;
    struct import_text *t = import_open(im, "main.cf", &none);
    if (!t) {
        err_set_text(err, "%s", im->notes[im->note_n - 1].why);
        err->code = ENOENT;
        return false;
    }
    t->lines = true;
    if (import_is_binary(t->rest)) return err_set(err, "main.cf is no text");
    if (!import_read_params(im, t)) return err_set(err, "main.cf has more than %d parameters", IMPORT_NAMES_MAX);
    if (!im->param_n && im->note_n) return err_set(err, "main.cf holds no parameters");
    if (import_is_there(im, "master.cf")) import_read_master(im);
    find_names(im);
    import_listeners(im);
    import_restrictions(im);
    import_postscreen(im);
    import_networks(im);
    import_domains(im);
    import_aliases(im);
    import_rewriting(im);
    import_headers(im);
    import_tls(im);
    import_options(im);
    return true;
}
