/* SPDX-License-Identifier: Apache-2.0
 * Where in the text of a configuration an option stands. */
#include "base/arena.h"
#include "config/secret.h"

/* "certificates[2]" below node; NULL: not there. */
static const struct yaml_node *step(const struct yaml_node *node, struct slice word)
{
    struct slice name, rest = word;
    if (!slice_cut(&rest, '[', &name)) return yaml_get_slice(node, word);
    uint64_t index;
    if (rest.n < 2 || !slice_to_u64(slice_sub(rest, 0, rest.n - 1), UINT32_MAX, &index)) return NULL;
    node = yaml_get_slice(node, name);
    if (!node || node->kind == YAML_LIST) return yaml_at(node, (size_t)index);
    for (node = node->children; node && index; index--) node = node->next; /* a mapping of named records */
    return node;
}

struct config_place config_place_of(struct slice text, const char *option)
{
    struct arena arena = { 0 };
    struct config_report report = { 0 };
    struct slice rest = slice_str(option), word;
    bool empty, more = true;
    struct yaml_node *root = yaml_parse(text, &arena, &report, &empty);
    const struct yaml_node *found = NULL, *node = root;
    while (node && more) {
        more = slice_cut(&rest, '.', &word);
        node = step(node, word);
        if (node) found = node;
    }
    struct config_place place = yaml_place(found);
    secret_wipe(root);
    arena_deinit(&arena);
    config_report_deinit(&report);
    return place;
}
