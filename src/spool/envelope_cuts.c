/* SPDX-License-Identifier: Apache-2.0
 * The text as it is sent: that which is kept, with its edits. */
#include "spool/envelope.h"
#include <errno.h>
#include <unistd.h>
#include "base/mem.h"

const char *envelope_quarantine_name(unsigned kind)
{
    static const char *const names[] = { "none", "spam", "virus", "file", "rule", "crash", "auth" };
    return kind < countof(names) ? names[kind] : "unknown";
}

const char *envelope_marks_name(unsigned marks)
{
    static const char *const names[] = { "", "forwarded", "copy", "forwarded, copy", "group", "forwarded, group", "copy, group", "forwarded, copy, group" };
    return names[marks & (countof(names) - 1)];
}

bool envelope_cuts_add(struct envelope_cut *cuts, uint32_t *n, struct envelope_cut cut)
{
    uint32_t i = *n;
    while (i && cuts[i - 1].at + cuts[i - 1].n > cut.at) i--; /* those before it end where it begins, or earlier */
    if (i < *n && cut.at + cut.n > cuts[i].at) return false;
    memmove(cuts + i + 1, cuts + i, (*n - i) * sizeof *cuts);
    cuts[i] = cut;
    ++*n;
    return true;
}

bool envelope_cuts_ok(const struct envelope_cut *cuts, uint32_t n, uint64_t text_size)
{
    uint64_t end = 0, with = 0;
    if (n > ENVELOPE_CUTS_MAX) return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct envelope_cut *c = &cuts[i];
        if ((!c->n && !c->with.n) || c->at < end || c->at > text_size || c->n > text_size - c->at) return false;
        if (c->with.n > ENVELOPE_CUTS_TEXT_MAX - with) return false;
        with += c->with.n;
        end = c->at + c->n;
    }
    return true;
}

uint64_t envelope_sent_size(const struct envelope *e)
{
    uint64_t n = e->text_size;
    for (uint32_t i = 0; i < e->cut_n; i++) n = n - e->cuts[i].n + e->cuts[i].with.n;
    return n;
}

uint64_t envelope_run(const struct envelope *e, uint64_t at, uint64_t *from, struct slice *with)
{
    uint64_t kept = 0; /* where the run of kept text begins that is looked at */
    *with = (struct slice){ 0 };
    for (uint32_t i = 0; i < e->cut_n; i++) {
        const struct envelope_cut *c = &e->cuts[i];
        uint64_t run = c->at - kept;
        *from = kept + at;
        if (at < run) return run - at;
        at -= run;
        if (at < c->with.n) {
            *with = slice_sub(c->with, (size_t)at, c->with.n);
            return with->n;
        }
        at -= c->with.n;
        kept = c->at + c->n;
    }
    *from = kept + at;
    return at < e->text_size - kept ? e->text_size - kept - at : 0;
}

size_t envelope_read(const struct envelope *e, int fd, uint64_t offset, uint64_t at, char *to, size_t n)
{
    struct slice with;
    uint64_t from, run;
    size_t done = 0;
    while (done < n && (run = envelope_run(e, at + done, &from, &with))) {
        size_t want = n - done < run ? n - done : (size_t)run;
        ssize_t k = (ssize_t)want;
        if (with.p) memcpy(to + done, with.p, want);
        else k = pread(fd, to + done, want, (off_t)(offset + from));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        done += (size_t)k;
    }
    return done;
}
