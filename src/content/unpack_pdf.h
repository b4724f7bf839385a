/* SPDX-License-Identifier: Apache-2.0
 * PDF's syntax (ISO 32000-1 §7) as far as one must know it to find what runs and what is embedded. Between the files of
 * unpack. */
#ifndef POSTERN_CONTENT_UNPACK_PDF_H
#define POSTERN_CONTENT_UNPACK_PDF_H
#include "content/unpack_parts.h"

#define PDF_NEST 24
#define PDF_FILTERS 6
#define PDF_FILES 1000
#define PDF_STREAMS 50000

enum pdf_filter { PDF_FLATE, PDF_HEX, PDF_85, PDF_LZW, PDF_CRYPT, PDF_PICTURE, PDF_UNKNOWN };

/* A dictionary that is being read; those in it are nested levels. */
struct pdf_level {
    struct slice key;            /* the name before the value at hand, decoded */
    char key_room[32];
    bool awaits;                 /* a value comes next: a name is none */
    unsigned arrays;             /* that are open */
    struct slice name;           /* of F or UF: how a file is called */
    uint32_t file;               /* of EF: the object that holds it; 0: none */
    bool is_ef, is_parms;
};
struct pdf_file {
    uint32_t object;
    struct slice name;
};
/* What is said of a stream in the dictionary before it. */
struct pdf_stream {
    uint32_t object;
    struct slice raw;
    enum pdf_filter filters[PDF_FILTERS];
    unsigned filter_n;
    uint32_t predictor, columns, colors, bits; /* 0: not said */
    uint64_t length;
    bool is_objects, is_embedded, taken;
};
struct pdf {
    struct unpack *u;
    uint32_t n;                  /* the part */
    unsigned found;
    uint32_t numbers[2];         /* the last ones, for "12 0 R" and "12 0 obj" */
    struct pdf_level levels[PDF_NEST];
    unsigned depth;              /* of dictionaries; deeper ones are taken as the deepest */
    struct pdf_stream at;        /* of the object at hand */
    struct pdf_file *files; size_t file_n;
    struct pdf_stream *streams; size_t stream_n, stream_room;
    uint32_t objects;
    bool no_ends;                /* of streams from here on */
    unsigned unclosed;           /* parentheses so far that nobody closes */
    bool nested;                 /* in a stream of objects: no streams in it */
    bool encrypted, broken;
};

/* unpack_pdf_filter.c: a stream through its filters; false: it cannot be decoded. */
struct slice pdf_decode(struct unpack *u, uint32_t n, const struct pdf_stream *s, bool *ok);

#endif
