/* SPDX-License-Identifier: Apache-2.0
 * Folders of mailboxes: the first line is the path as configured, the rest a recipient. Whatever he is called, the folder is as deep as the path says, and
 * begins with what is fixed of it. */
#include <string.h>
#include "base/mem.h"
#include "fuzz.h"
#include "maildir/folder.h"

static size_t slashes(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '/';
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size), first;
    struct buf out = { 0 };
    slice_cut(&rest, '\n', &first);
    if (!first.n || first.p[0] != '/' || memchr(first.p, 0, first.n)) return 0;
    char *path = mem_slicedup(first);
    size_t fixed = maildir_fixed(path);
    must(fixed && fixed <= first.n && !memchr(path, '%', fixed));
    if (!maildir_folder(path, rest, &out) && strchr(path, '%')) {
        must(out.n >= fixed && memcmp(out.p, path, fixed) == 0 && !memchr(out.p, 0, out.n) && slashes(buf_slice(&out)) == slashes(first));
        if (!strstr(path, "..") && !strstr(path, ".%")) must(!memmem(out.p, out.n, "/../", 4) && !slice_iends(buf_slice(&out), SLICE("/..")));
    }
    buf_deinit(&out);
    free(path);
    return 0;
}
