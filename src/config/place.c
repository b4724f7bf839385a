/* SPDX-License-Identifier: Apache-2.0
 * Where in the text of a configuration an option stands. */
#include "config/edit.h"
#include "config/secret.h"

struct config_place config_place_of(struct slice text, const char *option)
{
    struct arena arena = { 0 };
    struct config_report report = { 0 };
    struct edit_path path;
    struct err err;
    bool empty;
    size_t done;
    struct yaml_node *root = yaml_parse(text, &arena, &report, &empty);
    const struct yaml_node *found = root;
    if (edit_path_parse(option, &path, &err)) found = edit_path_find(root, &path, path.n, &done);
    struct config_place place = yaml_place(found == root ? NULL : found);
    secret_wipe(root);
    arena_deinit(&arena);
    config_report_deinit(&report);
    return place;
}
