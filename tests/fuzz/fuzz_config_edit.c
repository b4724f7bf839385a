/* SPDX-License-Identifier: Apache-2.0
 * Edits of any text at any path: first line the path, second the value, the rest the file. What is set can be set again
 * and taken away; the diff of both is well-formed. */
#include <assert.h>
#include "base/mem.h"
#include "config/diff.h"
#include "config/edit.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size), path, value;
    struct buf set = { 0 }, unset = { 0 }, diff = { 0 };
    struct err err;
    if (size > 4096 || !slice_cut(&text, '\n', &path) || !slice_cut(&text, '\n', &value)) return 0;
    char *p = mem_slicedup(path), *v = mem_slicedup(value);
    if (edit_set(text, p, v, &set, &err)) {
        diff_unified(text, "a", buf_slice(&set), "b", &diff);
        assert(slice_eq(text, buf_slice(&set)) == (diff.n == 0));
        if (!strstr(p, "[+]") && edit_unset(buf_slice(&set), p, &unset, &err))
            assert(!slice_eq(buf_slice(&set), buf_slice(&unset)));
    } else if (edit_unset(text, p, &unset, &err))
        assert(!slice_eq(text, buf_slice(&unset)));
    free(p);
    free(v);
    buf_deinit(&set);
    buf_deinit(&unset);
    buf_deinit(&diff);
    return 0;
}
