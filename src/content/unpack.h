/* SPDX-License-Identifier: Apache-2.0
 * What is in a file: its true type, and for archives, documents, uuencode, BinHex, TNEF the files in it, each of which
 * is looked into again. message.c hands it each decoded part. */
#ifndef POSTERN_CONTENT_UNPACK_H
#define POSTERN_CONTENT_UNPACK_H
#include "content/message.h"

/* What is left of the limits for one message. */
struct unpack {
    struct content_message *message; /* takes the parts; its arena holds what is unpacked */
    size_t part_room;                /* of message->parts: grown by unpack_add_part */
    const struct config_scan *limits;/* ratio 0, unpack_time 0: none of these */
    uint64_t unpacked;               /* bytes so far */
    uint64_t deadline_us;            /* of CPU of this thread; 0: not begun */
    unsigned ended;                  /* limits that were reached: no more is unpacked of this message */
    /* Takes part `n` apart as a message (its data is one: an .eml in an archive, a saved web page) and adds its parts
     * below it, by unpack_add_part, unpack_part, unpack_text; NULL: they are not looked into. Its depth is within the
     * limit. */
    void (*on_message)(struct unpack *u, uint32_t n, void *arg);
    void *on_message_arg;
};

/* Opens libmagic's database, once for the life of the process, before the sandbox; blocks. False and an error when it
 * cannot. */
bool unpack_init(struct err *err) MUST_CHECK;
void unpack_deinit(void);

/* Adds an empty part below `parent` and returns its number; UINT32_MAX when there are limits->parts (the parent then
 * has LIMIT_PARTS). Pointers into message->parts are no longer valid. */
uint32_t unpack_add_part(struct unpack *u, uint32_t parent);
/* Looks at part `n`, which has names, declared, data and depth: fills type and findings, adds what is in it, and looks
 * at that. Messages within are only told by their finding when the part is_mime and declared as one: who took the
 * message apart does that. */
void unpack_part(struct unpack *u, uint32_t n);
/* Of a text part: uuencoded and BinHex files within its lines become parts below it. */
void unpack_text(struct unpack *u, uint32_t n, struct slice text);
/* What names alone tell: findings of a part by its names; also puts the worst one first. */
void unpack_judge_names(struct content_part *p);
/* A file's name from outside as people may see it: UTF-8 (what is not is U+FFFD), what is before the last slash or
 * backslash, control characters, marks of direction, and dots and blanks at its end left out; at most 255 bytes. Adds
 * NAME_CONTROL and NAME_BIDI to findings when there were such. Lives in the arena, or is part of `raw`. */
struct slice unpack_clean_name(struct arena *arena, struct slice raw, unsigned *findings);

#endif
