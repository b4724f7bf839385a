/* SPDX-License-Identifier: Apache-2.0
 * The UI's files, which are part of the program, packed: nearly every client takes them so, for others they are unpacked. Answers that are packed. */
#include <stdlib.h>
#include <zlib.h>
#include "admin/web_assets.h"
#include "admin/web_int.h"

/* Nothing inline, nothing from elsewhere: what somebody smuggles into a page is text. */
#define CONTENT_POLICY                                                                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "     \
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static const struct web_asset *find(struct slice path)
{
    for (unsigned i = 0; i < web_asset_n; i++)
        if (slice_eq(path, slice_str(web_assets[i].path))) return &web_assets[i];
    return NULL;
}

/* "/" and what the UI itself makes of a path is its first page; a name with a dot is a file, and is there or not. */
static const struct web_asset *asset_of(struct slice path)
{
    const struct web_asset *a = find(path);
    if (a || slice_find(path, '.') >= 0 || slice_eq(path, SLICE("/v1")) || slice_starts(path, SLICE("/v1/"))) return a;
    return find(SLICE("/index.html"));
}

/* RFC 9110 §12.5.3, as far as browsers go: "gzip, deflate, br"; "gzip;q=0" is said by nobody who means it otherwise. */
static bool takes_gzip(const struct http_request *r)
{
    struct slice all = slice_str(http_header(r, MHD_HTTP_HEADER_ACCEPT_ENCODING)), one, name;
    for (bool more = all.n != 0; more;) {
        more = slice_cut(&all, ',', &one);
        (void)slice_cut(&one, ';', &name);
        if (slice_ieq(slice_trim(name), SLICE("gzip"))) return !slice_eq(slice_trim(one), SLICE("q=0"));
    }
    return false;
}

static struct MHD_Response *unpacked(const struct web_asset *a)
{
    unsigned char *to = mem_zalloc(a->n + 1);
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)a->gzip, .avail_in = (unsigned)a->gzip_n, .next_out = to, .avail_out = (unsigned)a->n + 1 };
    bool ok = inflateInit2(&z, 15 + 16) == Z_OK;
    if (ok) ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == a->n;
    inflateEnd(&z);
    if (ok) return MHD_create_response_from_buffer(a->n, to, MHD_RESPMEM_MUST_FREE);
    free(to);
    return NULL;
}

static struct MHD_Response *pack(const char *text)
{
    size_t n = strlen(text);
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)text, .avail_in = (unsigned)n };
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return NULL;
    size_t max = deflateBound(&z, n);
    unsigned char *to = mem_zalloc(max);
    z.next_out = to;
    z.avail_out = (unsigned)max;
    bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    size_t packed = z.total_out;
    deflateEnd(&z);
    if (ok) return MHD_create_response_from_buffer(packed, to, MHD_RESPMEM_MUST_FREE);
    free(to);
    return NULL;
}

void http_answer_packed(struct http_request *r, json_t *answer)
{
    char *text = takes_gzip(r) ? json_dumps(answer, JSON_COMPACT) : NULL;
    struct MHD_Response *response = text ? pack(text) : NULL;
    free(text);
    if (!response) {
        http_answer(r, MHD_HTTP_OK, answer);
        return;
    }
    json_decref(answer);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    http_answer_response(r, MHD_HTTP_OK, response);
}

/* RFC 9110 §13.1.2; our tags have no commas. */
static bool has_it(const struct http_request *r, const struct web_asset *a)
{
    const char *tags = http_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return tags && (strstr(tags, a->etag) || !strcmp(tags, "*"));
}

bool web_files_serve(struct http_request *r)
{
    const struct web_asset *a = asset_of(slice_str(r->path));
    if (!a || (strcmp(r->method, MHD_HTTP_METHOD_GET) != 0 && strcmp(r->method, MHD_HTTP_METHOD_HEAD) != 0)) return false;
    bool same = has_it(r, a), packed = takes_gzip(r);
    struct MHD_Response *response = same ? MHD_create_response_from_buffer(0, (void *)(uintptr_t)"", MHD_RESPMEM_PERSISTENT)
                                  : packed ? MHD_create_response_from_buffer(a->gzip_n, (void *)(uintptr_t)a->gzip, MHD_RESPMEM_PERSISTENT)
                                           : unpacked(a);
    if (!response) {
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory");
        return true;
    }
    if (!same && packed) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, a->etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, a->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    MHD_add_response_header(response, "Content-Security-Policy", CONTENT_POLICY);
    http_answer_response(r, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    return true;
}
