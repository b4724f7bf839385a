/* SPDX-License-Identifier: Apache-2.0
 * For the API, what is seen of the configuration beside itself: the texts of notices that are in force, the kernel's
 * rules for transparent zones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "change/answer_int.h"
#include "config/nft_rules.h"
#include "notice/template.h"

#define PATH_N 4300

/* ---- {"op": "notices"}, {"op": "notice", "name", "language"?} */

/* Where one lies, or would lie, in the folder; without one in that which is proposed. */
static json_t *file_of(const struct change_world *w, enum template_language l, enum template_kind k)
{
    char path[PATH_N];
    const char *folder = w->config->notices.templates, *slash = strrchr(w->file, '/');
    if (folder) snprintf(path, sizeof path, "%s/", folder);
    else snprintf(path, sizeof path, "%.*snotices/", slash ? (int)(slash + 1 - w->file) : 0, w->file);
    size_t n = strlen(path);
    snprintf(path + n, sizeof path - n, "%s/%s.txt", template_language_name(l), template_kind_name(k));
    return change_answer_text(slice_str(path));
}

static void put_folder(const struct change_world *w, json_t *o)
{
    const char *folder = w->config->notices.templates;
    if (folder) json_object_set_new(o, "folder", change_answer_text(slice_str(folder)));
}

static json_t *words_json(const char *words)
{
    json_t *all = json_array();
    struct slice rest = slice_str(words), one;
    for (bool more = rest.n > 0; more;) {
        more = slice_cut(&rest, ' ', &one);
        json_array_append_new(all, json_stringn(one.p, one.n));
    }
    return all;
}

static json_t *kind_json(enum template_kind k)
{
    return json_pack("{s:s, s:s, s:o, s:b}", "name", template_kind_name(k), "about", template_kind_about(k),
                     "placeholders", words_json(template_placeholders(k)), "mail", template_is_mail(k));
}

static json_t *listed(const struct change_world *w, enum template_kind k)
{
    json_t *one = kind_json(k), *replaced = json_array();
    for (unsigned i = 0; i < LANGUAGES; i++) {
        enum template_language l = (enum template_language)i;
        if (!templates_replace(w->templates, l, k)) continue;
        json_array_append_new(replaced,
                              json_pack("{s:s, s:o}", "language", template_language_name(l), "file", file_of(w, l, k)));
    }
    json_object_set_new(one, "replaced", replaced);
    return one;
}

json_t *answer_notices(const struct change_world *w, const json_t *request, bool *wrote)
{
    json_t *all = json_array(), *languages = json_array();
    for (unsigned l = 0; l < LANGUAGES; l++)
        json_array_append_new(languages, json_string(template_language_name((enum template_language)l)));
    for (unsigned k = 0; k < TEMPLATE_KINDS; k++) json_array_append_new(all, listed(w, (enum template_kind)k));
    json_t *out = json_pack("{s:i, s:s, s:o, s:o}", "status", STATUS_OK, "language",
                            template_language_name((enum template_language)w->config->notices.language), "languages",
                            languages, "notices", all);
    put_folder(w, out);
    return out;
}

json_t *answer_notice(const struct change_world *w, const json_t *request, bool *wrote)
{
    enum template_kind k;
    enum template_language l = (enum template_language)w->config->notices.language;
    const char *name = answer_word(request, "name"), *language = answer_word(request, "language");
    struct buf builtin = { 0 };
    if (!name || !template_kind_find(slice_str(name), &k))
        return answer_failure(STATUS_NONE, "there is no text of this name");
    if (language && !template_language_find(slice_str(language), &l))
        return answer_failure(STATUS_BAD, "language: en, de, it or ja");
    bool replaced = templates_replace(w->templates, l, k);
    template_add_file(l, k, &builtin);
    json_t *out = kind_json(k);
    json_object_set_new(out, "status", json_integer(STATUS_OK));
    json_object_set_new(out, "language", json_string(template_language_name(l)));
    json_object_set_new(out, "builtin", change_answer_text(buf_slice(&builtin)));
    json_object_set_new(out, "text",
                        change_answer_text(replaced ? templates_text(w->templates, l, k) : buf_slice(&builtin)));
    json_object_set_new(out, "replaced", json_boolean(replaced));
    put_folder(w, out);
    json_object_set_new(out, "file", file_of(w, l, k));
    buf_deinit(&builtin);
    return out;
}

/* ---- {"op": "nft"}: of the file as it is, like `postern nft print` */

static json_t *lines_json(struct slice lines)
{
    json_t *all = json_array();
    struct slice line;
    while (lines.n) {
        slice_cut(&lines, '\n', &line);
        json_array_append_new(all, change_answer_text(line));
    }
    return all;
}

json_t *answer_nft(const struct change_world *w, const json_t *request, bool *wrote)
{
    struct nft_rules rules = { 0 };
    struct buf text = { 0 };
    struct err err;
    json_t *answer = NULL;
    struct config *c = answer_config(w, &answer);
    if (!c) return answer;
    if (nft_rules_make(c, &rules, &err)) {
        nft_rules_print(c, &rules, &text);
        answer = json_pack("{s:i, s:o, s:I, s:o}", "status", STATUS_OK, "text", change_answer_text(buf_slice(&text)),
                           "zones", (json_int_t)rules.zones, "notes", lines_json(buf_slice(&rules.notes)));
    } else answer = answer_failure(STATUS_BAD, err.text);
    nft_rules_deinit(&rules);
    buf_deinit(&text);
    config_free(c);
    return answer;
}
