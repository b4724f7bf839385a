/* SPDX-License-Identifier: Apache-2.0
 * A message taken apart, for everything that judges content: its header, the tree of its parts with what archives and documents
 * hold, its text as a reader would see it, links and addresses. Made in a scan process of hostile bytes. A limit that is reached is
 * a finding, never an error: any bytes at all are a message.
 *
 * Slices point into the message's bytes or into its arena and live as long as it does. Texts are UTF-8 (what is not was replaced by
 * U+FFFD), of names without control characters. */
#ifndef POSTERN_CONTENT_MESSAGE_H
#define POSTERN_CONTENT_MESSAGE_H
#include "base/arena.h"
#include "base/slice.h"
#include "config/config.h"

/* A field of the message's own header, or of a MIME part's, in the order in which they stand. */
struct content_field {
    struct slice name;           /* as written */
    struct slice raw;            /* behind the colon up to the line end, folded as it came */
    struct slice value;          /* unfolded, trimmed, encoded words decoded (RFC 2047), raw 8-bit read as UTF-8 or else windows-1252 */
    uint64_t at;                 /* of the name's first byte in the message's bytes; of MIME parts, too. UINT64_MAX: not in them (decoded) */
    uint32_t n;                  /* bytes with the line end */
};

/* What is remarkable about a part: bits. Names for people and JSON: content_finding_name. */
enum content_finding {
    CONTENT_NAME_CONFLICT = 1u << 0,    /* filename, name and their encoded forms say different things */
    CONTENT_NAME_BIDI = 1u << 1,        /* right-to-left marks in the name */
    CONTENT_NAME_CONTROL = 1u << 2,     /* control characters, NUL, or trailing dots and blanks that Windows drops, in it */
    CONTENT_TYPE_CONFLICT = 1u << 3,    /* the content is something else than name or declared type say, in a way that misleads */
    CONTENT_EXECUTABLE = 1u << 4,       /* runs when it is opened: by content or by name */
    CONTENT_SCRIPT = 1u << 5,
    CONTENT_ARCHIVE = 1u << 6,
    CONTENT_DOCUMENT = 1u << 7,         /* office, PDF, RTF */
    CONTENT_MACRO = 1u << 8,            /* a document that holds macros */
    CONTENT_MACRO_AUTO = 1u << 9,       /* that run when it is opened */
    CONTENT_PDF_SCRIPT = 1u << 10,      /* JavaScript, Launch, OpenAction with them in a PDF */
    CONTENT_ENCRYPTED = 1u << 11,       /* nobody can look into it */
    CONTENT_IMAGE = 1u << 12, CONTENT_AUDIO = 1u << 13, CONTENT_VIDEO = 1u << 14,
    CONTENT_MESSAGE = 1u << 15,         /* a message within the message */
    CONTENT_BROKEN = 1u << 16,          /* said to be something it cannot be read as: a damaged archive, base64 that is none */
    CONTENT_LIMIT_DEPTH = 1u << 17, CONTENT_LIMIT_PARTS = 1u << 18, CONTENT_LIMIT_SIZE = 1u << 19, CONTENT_LIMIT_RATIO = 1u << 20,
    CONTENT_LIMIT_TIME = 1u << 21,
    CONTENT_UUENCODE = 1u << 22, CONTENT_BINHEX = 1u << 23, CONTENT_TNEF = 1u << 24, /* how it was wrapped */
    CONTENT_DOUBLE_EXTENSION = 1u << 25,/* "a.pdf.exe" */
    CONTENT_MIME_BROKEN = 1u << 26,     /* a structure that readers read differently: boundary missing or twice, two Content-Types ... */
    CONTENT_EXTERNAL_LINK = 1u << 27,   /* an office document that loads a template or object from elsewhere */
};
#define CONTENT_LIMITS (CONTENT_LIMIT_DEPTH | CONTENT_LIMIT_PARTS | CONTENT_LIMIT_SIZE | CONTENT_LIMIT_RATIO | CONTENT_LIMIT_TIME)
const char *content_finding_name(unsigned bit); /* "name-conflict"; of one bit (finding.c) */

struct content_part {
    uint32_t parent;             /* number of the part it is in; of the first: 0 */
    uint32_t depth;              /* 0: the message itself */
    bool is_file;                /* an attachment, or a file in an archive or document; else a part of the text or a container */
    bool is_mime;                /* a MIME part of the message itself: at, n say where; else unpacked from one */
    struct slice declared;       /* type as declared, lower case, "text/html"; of what was unpacked: empty */
    struct slice type;           /* true type, by content (libmagic and our own look), lower case; empty: not looked at */
    struct slice charset;
    struct slice *names; size_t name_n; /* all it goes by, decoded; the first is the worst of them (executable before others); none: 0 */
    struct slice data;           /* decoded; may be cut off at a limit (see findings); empty for multiparts */
    uint64_t size;               /* true size when it is known, else that of data */
    uint64_t at, n;              /* of a MIME part with its header, in the message's bytes: what may be cut out and replaced;
                                  * ends before the line end that belongs to the next boundary (RFC 2046 §5.1.1) */
    uint64_t body_at;            /* where its body begins */
    struct content_field *fields; size_t field_n; /* of a MIME part */
    bool inline_shown;           /* Content-Disposition is not attachment */
    unsigned findings;           /* enum content_finding */
};

struct content_link {
    struct slice url;            /* as a browser would ask for it: entities and percent signs decoded once, at most 2,000 bytes */
    struct slice host;           /* lower case, A-labels where possible; an address as text; empty: mailto and the like */
    struct slice domain;         /* its registrable domain; or host */
    struct slice shown;          /* the text that stands for it in HTML, at most 200 bytes */
    uint32_t part;
    bool image;                  /* loaded, not clicked */
    bool form;                   /* where a form leads */
};

struct content_message {
    struct arena *arena;
    struct slice bytes;          /* the message as it is kept: CRLF line ends */
    uint64_t header_n;           /* bytes of its header with the empty line */
    struct content_field *fields; size_t field_n;  /* at most 2,020; what comes behind 2,000 is in no check, and is LIMIT_PARTS of part 0, but for MIME's own */
    struct content_part *parts; size_t part_n;     /* at least 1: the message itself */
    struct content_link *links; size_t link_n;     /* at most 2,000 */
    /* The text: what is shown of text parts, in their order, at most 256 KiB: HTML without marks, entities decoded, blanks one. */
    struct slice text;           /* what a reader sees */
    struct slice hidden;         /* what HTML holds and nobody sees: text without size, in the colour of its background, display: none */
    struct slice html;           /* the marks themselves: all HTML parts' decoded source, at most 256 KiB */
    struct slice subject;        /* decoded; empty: none */
    unsigned findings;           /* of all parts together */
};

/* Loads converters of charsets, once for the life of the process, before the sandbox; what follows does it when nobody did. */
void content_message_init(void);
void content_message_deinit(void);

/* Never fails, does not block; one thread at a time. The bytes must outlive it; `suffixes` finds registrable domains (base/public_suffix.h), NULL: the last two labels. */
struct public_suffix;
void content_message_read(struct content_message *m, struct slice bytes, const struct config_scan *limits,
                          const struct public_suffix *suffixes, struct arena *arena);
/* The first field of that name of the message's own header; NULL: none. */
const struct content_field *content_message_field(const struct content_message *m, const char *name);

#endif
