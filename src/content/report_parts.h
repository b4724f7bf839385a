/* SPDX-License-Identifier: Apache-2.0
 * What writing and reading a report share: what an edit may be, and how much there may be of each thing. The longest of all of it fits
 * a frame. */
#ifndef POSTERN_CONTENT_REPORT_PARTS_H
#define POSTERN_CONTENT_REPORT_PARTS_H
#include "content/report.h"

#define REPORT_VIRUSES_MAX 64
#define REPORT_SCANNERS_MAX 64
#define REPORT_ACTIONS_MAX 48
#define REPORT_PREPEND_MAX 16384
#define REPORT_SUBJECT_MAX 255
#define REPORT_ENHANCED_MAX 12

/* Behind `end` (where the one before it ended), with line ends that are CRLF. */
bool report_edit_fits(const struct envelope_cut *e, uint64_t end);
/* Whole header fields, each line with CRLF; empty is fine. */
bool report_is_header(struct slice s);
/* RFC 3463: "5.7.1", of the class of code, without which there is none; empty is fine. */
bool report_is_enhanced(struct slice s, uint32_t code);
bool report_is_code(uint64_t code);
bool report_is_class(uint64_t class);

#endif
