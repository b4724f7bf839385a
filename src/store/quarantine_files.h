/* SPDX-License-Identifier: Apache-2.0
 * A message in the quarantine as a file: a head, the encoded envelope, the text as it came, and behind that notes of what was done with it
 * since. A file says all there is to say of its message, so that the index can be made anew from the files. All of this blocks.
 *
 * Layout (little-endian): head of 64 bytes { "PSTQUAR1", id 8, stored 8, text_n 8, envelope_n 4, envelope_crc 4, text_crc 4, 16 zeros,
 * crc of all that 4 }; envelope; text; notes of 24 bytes each { "PSQN", what 4, which 4, crc of the others 4, when 8 }. A note that was
 * not written to its end is none, and the next one takes its place. */
#ifndef POSTERN_STORE_QUARANTINE_FILES_H
#define POSTERN_STORE_QUARANTINE_FILES_H
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define QUARANTINE_HEAD_N 64
#define QUARANTINE_ENVELOPE_MAX (64u << 20)
#define QUARANTINE_PATH_MAX 4400
#define QUARANTINE_FOLDERS 256

struct quarantine_head {
    uint64_t id, stored;             /* stored: wall ms */
    uint64_t text_n;
    uint32_t envelope_n, envelope_crc, text_crc;
};
enum quarantine_note_what { QUARANTINE_NOTE_RELEASED = 1, QUARANTINE_NOTE_DELETED, QUARANTINE_NOTE_LEARNT, QUARANTINE_NOTE_TOLD };
#define QUARANTINE_NOTE_ALL UINT32_MAX
struct quarantine_note {
    enum quarantine_note_what what;
    uint32_t which;                  /* RELEASED, DELETED, TOLD: number of the recipient, or _ALL (not TOLD); LEARNT: enum quarantine_learnt */
    uint64_t when;                   /* wall ms */
};

unsigned quarantine_folder(uint64_t id); /* 0 to QUARANTINE_FOLDERS - 1: its name is these two hex digits */
uint64_t quarantine_text_at(const struct quarantine_head *h);

bool quarantine_root_make(const char *root, struct err *err) MUST_CHECK; /* it being there is fine */

/* Where the text to be kept is. */
struct quarantine_source {
    struct slice envelope;
    int fd;
    uint64_t offset, n;
};
/* Writes ROOT/xx/ID by way of ID.new. True: it is on disk, file and folder; also when it had been there before (*known). *size: bytes of the
 * file. Fills the rest of h, which has id and stored. */
bool quarantine_file_write(const char *root, struct quarantine_head *h, const struct quarantine_source *from, bool *known, uint64_t *size,
                           struct err *err) MUST_CHECK;
/* A descriptor for reading, or -1 with err (code ENOENT: there is none). */
int quarantine_file_open(const char *root, uint64_t id, struct err *err) MUST_CHECK;
/* Head and envelope; *size: of the file. False with code EBADMSG: what is there does not check. The text is not read. */
bool quarantine_file_read(int fd, struct quarantine_head *h, struct buf *envelope, uint64_t *size, struct err *err) MUST_CHECK;
/* How many notes a file of that size has room for; the n-th of them. False: it does not check, and is none. */
uint64_t quarantine_note_count(const struct quarantine_head *h, uint64_t size);
bool quarantine_file_note(int fd, const struct quarantine_head *h, uint64_t n, struct quarantine_note *out);
/* Adds notes and brings them to disk. */
bool quarantine_file_add_notes(const char *root, uint64_t id, const struct quarantine_note *notes, size_t n, uint64_t *size,
                               struct err *err) MUST_CHECK;
bool quarantine_file_remove(const char *root, uint64_t id, struct err *err) MUST_CHECK; /* it being gone is fine */
bool quarantine_file_set_aside(const char *root, uint64_t id);                          /* as ID.damaged */

/* The files of a folder. rest: of those that were not written to their end, with their ids. Calls found for each; a folder that is not there
 * has none. */
bool quarantine_folder_read(const char *root, unsigned folder, void (*found)(void *arg, uint64_t id, uint64_t size, bool rest), void *arg,
                            struct err *err) MUST_CHECK;
void quarantine_folder_remove_rest(const char *root, uint64_t id);

#endif
