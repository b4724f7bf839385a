/* SPDX-License-Identifier: Apache-2.0
 * Gives each file of the folders named on the command line to a fuzz target once: what was found stays found. */
#include <dirent.h>
#include <stdio.h>
#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static int replay(const char *path)
{
    uint8_t *bytes = malloc(INPUT_MAX);
    FILE *f = fopen(path, "rb");
    if (!f || !bytes) {
        perror(path);
        exit(1);
    }
    size_t n = fread(bytes, 1, INPUT_MAX, f);
    fclose(f);
    bytes = realloc(bytes, n ? n : 1); /* exact, so that a sanitizer sees a byte read too many */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 1;
}

int main(int argc, char **argv)
{
    int seen = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));) {
            char path[4096];
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            seen += replay(path);
        }
        closedir(dir);
    }
    printf("%d inputs\n", seen);
    return seen ? 0 : 1; /* an empty corpus is a mistake */
}
