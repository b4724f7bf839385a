/* SPDX-License-Identifier: Apache-2.0
 * `postern notices`: the texts that the relay writes, for those who want others in their place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "notice/template.h"

static const char help[] =
    "usage: postern notices list\n"
    "       postern notices show [--language LANGUAGE] NAME\n"
    "       postern notices export [--language LANGUAGE] FOLDER\n\n"
    "The built-in texts of bounces, warnings, notices and digests. A file of the same name in the folder\n"
    "that notices.templates names, FOLDER/LANGUAGE/NAME.txt, takes the place of one; `postern check` reads\n"
    "them all.\n\n"
    "  list                the names, and what can stand in braces in each\n"
    "  show NAME           one of them, as it can be put into a file\n"
    "  export FOLDER       writes them all into files; what is there already stays as it is\n"
    "  --language          en, de, it or ja; show: en, export: all\n";

static int list(void)
{
    for (unsigned k = 0; k < TEMPLATE_KINDS; k++) {
        const char *names = template_placeholders((enum template_kind)k);
        printf("%-14s %s\n", template_kind_name((enum template_kind)k), template_kind_about((enum template_kind)k));
        if (*names) printf("%-14s in braces: %s\n", "", names);
    }
    return 0;
}

static int show(const char *name, enum template_language l)
{
    enum template_kind k;
    struct buf out = { 0 };
    if (!template_kind_find(slice_str(name), &k)) {
        (void)cli_complain("notices", "there is no text \"", name, "\"; `postern notices list` shows them");
        return EX_USAGE;
    }
    template_add_file(l, k, &out);
    bool ok = io_write_all(STDOUT_FILENO, buf_slice(&out));
    buf_deinit(&out);
    return ok ? 0 : EXIT_FAILURE;
}

/* A file that is there stays. */
static bool write_one(const char *folder, enum template_language l, enum template_kind k, unsigned *written, struct err *err)
{
    char path[4300];
    struct buf text = { 0 };
    snprintf(path, sizeof path, "%s/%s/%s.txt", folder, template_language_name(l), template_kind_name(k));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return errno == EEXIST || err_sys(err, errno, "cannot make %.250s", path);
    template_add_file(l, k, &text);
    bool ok = io_write_all(fd, buf_slice(&text)) || err_sys(err, errno, "cannot write %.250s", path);
    close(fd);
    buf_deinit(&text);
    *written += ok;
    return ok;
}

static bool make_folder(const char *path, struct err *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST || err_sys(err, errno, "cannot make %.250s", path);
}

/* only: LANGUAGES: all of them. */
static int export_all(const char *folder, unsigned only)
{
    char path[4200];
    struct err err;
    unsigned written = 0;
    bool ok = make_folder(folder, &err);
    for (unsigned l = 0; ok && l < LANGUAGES; l++) {
        if (only < LANGUAGES && l != only) continue;
        snprintf(path, sizeof path, "%s/%s", folder, template_language_name((enum template_language)l));
        ok = make_folder(path, &err);
        for (unsigned k = 0; ok && k < TEMPLATE_KINDS; k++) ok = write_one(folder, (enum template_language)l, (enum template_kind)k, &written, &err);
    }
    if (!ok) return cli_fail(&err);
    printf("%u files written to %s\n", written, folder);
    return 0;
}

int cli_notices(int argc, char **argv)
{
    const char *language = NULL, *words[2] = { NULL, NULL };
    enum template_language l = LANGUAGE_EN;
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        if (cli_option(argc, argv, &i, "--language", &language)) continue;
        bool asked = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
        if (asked || argv[i][0] == '-' || n == countof(words)) {
            fputs(help, asked ? stdout : stderr);
            return asked ? 0 : EX_USAGE;
        }
        words[n++] = argv[i];
    }
    if (language && !template_language_find(slice_str(language), &l)) {
        (void)cli_complain("notices", "there is no language \"", language, "\": en, de, it or ja");
        return EX_USAGE;
    }
    if (n == 1 && !strcmp(words[0], "list")) return list();
    if (n == 2 && !strcmp(words[0], "show")) return show(words[1], l);
    if (n == 2 && !strcmp(words[0], "export")) return export_all(words[1], language ? l : LANGUAGES);
    fputs(help, stderr);
    return EX_USAGE;
}
