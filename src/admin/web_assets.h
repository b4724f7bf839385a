/* SPDX-License-Identifier: Apache-2.0
 * The UI's files within the program: scripts/web.py makes the array. */
#ifndef POSTERN_ADMIN_WEB_ASSETS_H
#define POSTERN_ADMIN_WEB_ASSETS_H
#include <stdbool.h>
#include <stddef.h>

struct web_asset {
    const char *path, *type, *etag; /* path: "/index.html"; etag: with its quotes */
    const unsigned char *gzip;
    size_t gzip_n, n;
    bool immutable;                 /* its name has a hash of what is in it */
};
extern const struct web_asset web_assets[];
extern const unsigned web_asset_n;

#endif
