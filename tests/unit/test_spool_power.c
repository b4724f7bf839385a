/* SPDX-License-Identifier: Apache-2.0
 * The spool after a power cut. The calls that make things durable are caught (linked with --wrap) and note what the
 * disk is sure to have: of each file its bytes at its last fdatasync, of the directory its names at its last fsync.
 * After a kill the directory is made anew of that alone, or of all names that there were with only the bytes that were
 * synced. */
#include "spool_help.h"
#include <signal.h>
#include <sys/mman.h>

enum { SUBMITTED = 1, ACKED, ENDING, ENDED };
#define ROUNDS 25
#define PER_ROUND 12

static struct {
    char durable[96]; /* directory: ino-<number> for bytes, names for names; empty: nothing is noted */
    ino_t spool;      /* the directory whose names count */
    pthread_mutex_t lock;
} power = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void copy_file(int from, const char *to)
{
    char b[65536], part[160];
    snprintf(part, sizeof part, "%s.part", to);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    for (ssize_t k; (k = pread(from, b, sizeof b, at)) > 0; at += k)
        if (write(fd, b, (size_t)k) != k) abort();
    close(fd);
    if (rename(part, to) != 0) abort();
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    int result = __real_fdatasync(fd);
    struct stat st;
    char path[160], self[64];
    if (!power.durable[0] || result != 0 || fstat(fd, &st) != 0) return result;
    pthread_mutex_lock(&power.lock);
    snprintf(path, sizeof path, "%s/ino-%ju", power.durable, (uintmax_t)st.st_ino);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd); /* it may be open for writing only */
    int from = open(self, O_RDONLY);
    copy_file(from, path);
    close(from);
    pthread_mutex_unlock(&power.lock);
    return result;
}

static void note_names(int dir_fd)
{
    char path[160], part[160];
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(fd);
    struct dirent *e;
    snprintf(path, sizeof path, "%s/names", power.durable);
    snprintf(part, sizeof part, "%s/names.part", power.durable);
    FILE *f = fopen(part, "w");
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') fprintf(f, "%ju %s\n", (uintmax_t)e->d_ino, e->d_name);
    fclose(f);
    closedir(d);
    if (rename(part, path) != 0) abort();
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;
    int result = __real_fsync(fd);
    if (!power.durable[0] || result != 0 || fstat(fd, &st) != 0 || st.st_ino != power.spool) return result;
    pthread_mutex_lock(&power.lock);
    note_names(fd);
    pthread_mutex_unlock(&power.lock);
    return result;
}

static unsigned char *map_notes(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, HELP_MAX + 1) == 0);
    unsigned char *notes = mmap(NULL, HELP_MAX + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(notes != MAP_FAILED);
    close(fd);
    return notes;
}

static bool no_large; /* whose syncs of the directory would cover for others */
static uint64_t size_of(uint64_t id) { return id % 13 == 0 && !no_large ? 60000 : 300 + id * 41 % 5000; }

static void round_of_mail(struct help *h, unsigned char *notes, uint64_t ours, uint64_t first)
{
    unsigned before = h->acks;
    for (uint64_t id = first; id < first + PER_ROUND; id++) {
        notes[id] = SUBMITTED;
        help_commit(h, id, size_of(id));
    }
    while (h->acks < before + PER_ROUND) {
        event_base_loop(h->base, EVLOOP_ONCE);
        for (uint64_t id = first; id < first + PER_ROUND; id++)
            if (h->msgs[id].acked) notes[id] = ACKED;
    }
    for (uint64_t id = first; id < first + PER_ROUND; id++) {
        if (id % 12 == 0) {
            spool_save_state(h->sp, &h->msgs[id].msg, SLICE("tried"));
        } else {
            notes[id] = ENDING;
            spool_done(h->sp, &h->msgs[id].msg);
        }
    }
    if (first / PER_ROUND % 3 == 2 && help_sync(h))
        for (uint64_t id = ours; id < first + PER_ROUND; id++)
            if (notes[id] == ENDING) notes[id] = ENDED;
}

static int child(const char *dir, const char *notes_path, bool small)
{
    no_large = small;
    struct help h = { 0 };
    unsigned char *notes = map_notes(notes_path);
    snprintf(h.dir, sizeof h.dir, "%s", dir);
    snprintf(power.durable, sizeof power.durable, "%s.durable", dir);
    struct stat st;
    assert_int_equal(stat(dir, &st), 0);
    power.spool = st.st_ino;
    h.o = (struct spool_options){ .dir = h.dir, .segment_size = 128 << 10, .inline_size = 32 << 10 };
    h.msgs = mem_zalloc((HELP_MAX + 1) * sizeof *h.msgs);
    help_open(&h);
    h.sp->compact_min = 64 << 10;
    help_recover(&h);
    uint64_t first = 1;
    while (notes[first]) first += PER_ROUND;
    for (int i = 0; i < ROUNDS; i++) round_of_mail(&h, notes, first, first + (uint64_t)i * PER_ROUND);
    struct spool_figures f;
    HELP_UNTIL(&h, (spool_get_figures(h.sp, &f), f.segments <= 4));
    help_close(&h);
    free(h.msgs);
    return 0;
}

static void empty_directory(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
}

/* Before a start: all that is there is on disk. */
static void note_all(const struct help *h)
{
    char path[256];
    snprintf(power.durable, sizeof power.durable, "%s.durable", h->dir);
    empty_directory(power.durable);
    int fd = open(h->dir, O_RDONLY | O_DIRECTORY);
    DIR *d = opendir(h->dir);
    struct dirent *e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.') continue;
        int from = openat(fd, e->d_name, O_RDONLY);
        snprintf(path, sizeof path, "%s/ino-%ju", power.durable, (uintmax_t)e->d_ino);
        copy_file(from, path);
        close(from);
    }
    closedir(d);
    note_names(fd);
    close(fd);
    power.durable[0] = 0;
}

/* The directory as it comes up again. */
static void power_comes_back(struct help *h, bool all_names)
{
    char durable[96], path[256], name[128];
    uintmax_t ino;
    snprintf(durable, sizeof durable, "%s.durable", h->dir);
    if (all_names) {
        int fd = open(h->dir, O_RDONLY | O_DIRECTORY);
        snprintf(power.durable, sizeof power.durable, "%s", durable);
        note_names(fd);
        power.durable[0] = 0;
        close(fd);
    }
    empty_directory(h->dir);
    snprintf(path, sizeof path, "%s/names", durable);
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%ju %127s", &ino, name) == 2) {
        snprintf(path, sizeof path, "%s/ino-%ju", durable, ino);
        int from = open(path, O_RDONLY);
        snprintf(path, sizeof path, "%s/%s", h->dir, name);
        if (from >= 0) {
            copy_file(from, path);
            close(from);
        } else {
            close(open(path, O_WRONLY | O_CREAT, 0600));
        }
    }
    if (f) fclose(f);
}

static void check(struct help *h, const unsigned char *notes)
{
    help_open(h);
    help_recover(h);
    assert_int_equal(h->damaged, 0);
    for (uint64_t id = 1; id <= HELP_MAX; id++) {
        const struct help_msg *m = &h->msgs[id];
        if (notes[id] == ACKED && !m->known) fail_msg("message %d was acknowledged and is lost", (int)id);
        if ((!notes[id] || notes[id] == ENDED) && m->known)
            fail_msg("message %d should not be there (%d)", (int)id, notes[id]);
        if (m->known) assert_int_equal(help_load(h, id, NULL), size_of(id));
    }
    help_close(h);
}

static void cut(const char *at, unsigned after_ms, bool all_names)
{
    struct help h = { 0 };
    char path[96];
    int status;
    static unsigned turn;
    no_large = ++turn / 2 % 2;
    help_dir(&h);
    h.o.segment_size = 128 << 10;
    snprintf(path, sizeof path, "%s.durable", h.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s.notes", h.dir);
    unsigned char *notes = map_notes(path);
    for (int round = 0; round < 3; round++) {
        note_all(&h);
        fflush(NULL);
        pid_t pid = fork();
        if (!pid) {
            if (at) setenv("POSTERN_CRASH_AT", at, 1);
            execl("/proc/self/exe", "test_spool_power", "child", h.dir, path, no_large ? "small" : "all", (char *)NULL);
            _exit(127);
        }
        if (after_ms) {
            usleep(after_ms * 1000);
            kill(pid, SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : !at && WEXITSTATUS(status) == 0);
        power_comes_back(&h, all_names);
        check(&h, notes);
    }
    munmap(notes, HELP_MAX + 1);
    unlink(path);
    snprintf(path, sizeof path, "%s.durable", h.dir);
    empty_directory(path);
    rmdir(path);
    help_remove(&h);
}

static void test_at_steps(void **state)
{
#ifdef POSTERN_CRASH_POINTS
    static const char *const steps[] = { "commit-queued:30",   "write-before:20", "write-after:20",  "flush-after:20",
                                         "commit-callback:30", "done-written:5",  "state-written:5", "segment-new:4",
                                         "segment-removed:2",  "compact-copied:3" };
    for (size_t i = 0; i < countof(steps); i++) cut(steps[i], 0, i % 2);
#else
    skip();
#endif
}

static void test_at_random(void **state)
{
    for (unsigned i = 0; i < 8; i++) cut(NULL, 60 + i * 71 % 300, i % 2);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "child")) return child(argv[2], argv[3], !strcmp(argv[4], "small"));
    log_open("test", LOG_ERROR + 1);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_at_steps), cmocka_unit_test(test_at_random) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
