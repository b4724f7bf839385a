/* SPDX-License-Identifier: Apache-2.0
 * The table of tokens. A page of head, then buckets of eight slots (two lines of the cache). A slot is two words: the token's hash,
 * and its counts with the day it was last learnt. Words are read and written whole; a slot that is given to another token has no counts
 * for the moment between, and who reads looks at the hash again afterwards. */
#include "spam/table.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"

#define MAGIC "PosternTokens\n1\n" /* 16 with its NUL */
#define HEAD 4096
#define BUCKET 8
#define SLOTS_MAX (UINT64_C(1) << 30)
#define COUNT_MAX 0xFFFFFFu      /* 24 bits each, 16 of the day */
#define LOCK_WAIT 10000          /* ms */

struct head {
    char magic[16];
    uint64_t slots;
    uint64_t key[2];
    uint32_t checksum;           /* of what stands before */
    uint32_t unused;
    _Atomic uint64_t messages;   /* spam << 32 | ham */
};
struct slot {
    _Atomic uint64_t token;      /* 0: free */
    _Atomic uint64_t counts;     /* spam << 40 | ham << 16 | day */
};
struct token_table {
    int fd;
    bool may_write;
    size_t size;
    struct head *head;
    struct slot *slots;
    uint64_t buckets;
};

static uint64_t size_for(uint64_t bytes)
{
    uint64_t n = TOKEN_TABLE_MIN;
    while (n * 2 <= bytes && n < SLOTS_MAX * sizeof(struct slot))
        n *= 2;
    return n;
}

static uint32_t head_checksum(const struct head *h)
{
    return crc32c(0, h, offsetof(struct head, checksum));
}

/* A file that is a table of whatever size. */
static bool head_ok(int fd, uint64_t *slots)
{
    struct head h;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        return false;
    *slots = h.slots;
    return memcmp(h.magic, MAGIC, sizeof h.magic) == 0 && h.checksum == head_checksum(&h) && h.slots >= BUCKET &&
        h.slots <= SLOTS_MAX && (h.slots & (h.slots - 1)) == 0 && (uint64_t)st.st_size == HEAD + h.slots * sizeof(struct slot);
}

/* Makes a new one under another name, whole, and gives it the right one: nobody ever sees half a table. The folder is locked. */
static bool make(int dir, const char *directory, uint64_t slots, struct err *err)
{
    struct head h = { .magic = MAGIC, .slots = slots };
    static const char name[] = "tokens.new"; /* the lock makes it ours; what a dead process left is written over */
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "%s/%s", directory, name);
    int code = getrandom(h.key, sizeof h.key, 0) == (ssize_t)sizeof h.key ? 0 : errno;
    h.checksum = head_checksum(&h);
    if (!code)                   /* with its blocks: a disk that is full later must not end who writes to the memory */
        code = posix_fallocate(fd, 0, (off_t)(HEAD + slots * sizeof(struct slot)));
    if (!code && pwrite(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        code = errno;
    if (!code && (fsync(fd) != 0 || renameat(dir, name, dir, "tokens") != 0))
        code = errno;
    (void)close(fd);
    if (!code)
        return true;
    (void)unlinkat(dir, name, 0);
    return err_sys(err, code, "%s/tokens", directory);
}

/* The lock that keeps two processes from making a table at the same time. */
static int lock_directory(int dir)
{
    int lock = openat(dir, "tokens.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock >= 0)
        (void)flock(lock, LOCK_EX);
    return lock;
}

static int open_file(int dir, uint64_t *slots, bool *may_write)
{
    int fd = openat(dir, "tokens", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    *may_write = fd >= 0;
    if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
        fd = openat(dir, "tokens", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && !head_ok(fd, slots)) {
        (void)close(fd);
        errno = EBADMSG;
        return -1;
    }
    return fd;
}

static int open_or_make(const char *directory, uint64_t *slots, bool *may_write, bool *aside, struct err *err)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        (void)err_sys(err, errno, "%s", directory);
        return -1;
    }
    uint64_t wanted = *slots;
    int fd = open_file(dir, slots, may_write);
    if (fd < 0) {
        int lock = lock_directory(dir);
        fd = open_file(dir, slots, may_write); /* another process may have made it meanwhile */
        if (fd < 0 && errno != ENOENT)
            *aside = renameat(dir, "tokens", dir, "tokens.aside") == 0;
        if (fd < 0 && make(dir, directory, wanted, err)) {
            fd = open_file(dir, slots, may_write);
            if (fd < 0)
                (void)err_sys(err, errno, "%s/tokens", directory);
        }
        if (lock >= 0)
            (void)close(lock);
    }
    (void)close(dir);
    return fd;
}

struct token_table *token_table_open(const char *directory, uint64_t bytes, bool *aside, struct err *err)
{
    uint64_t slots = size_for(bytes) / sizeof(struct slot);
    bool may_write;
    *aside = false;
    int fd = open_or_make(directory, &slots, &may_write, aside, err);
    if (fd < 0)
        return NULL;
    size_t size = HEAD + slots * sizeof(struct slot);
    /* A process that reads what strangers wrote cannot damage the table by a stray pointer: it may write only between begin and end. */
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        (void)err_sys(err, errno, "%s/tokens", directory);
        (void)close(fd);
        return NULL;
    }
    struct token_table *t = mem_new(struct token_table);
    *t = (struct token_table){ .fd = fd, .may_write = may_write, .size = size, .head = p,
        .slots = (struct slot *)(void *)((char *)p + HEAD), .buckets = slots / BUCKET };
    return t;
}

void token_table_close(struct token_table *t)
{
    if (!t)
        return;
    (void)munmap(t->head, t->size);
    (void)close(t->fd);
    free(t);
}

const uint64_t *token_table_key(const struct token_table *t)
{
    return t->head->key;
}

struct token_counts token_table_messages(const struct token_table *t)
{
    uint64_t v = atomic_load_explicit(&t->head->messages, memory_order_relaxed);
    return (struct token_counts){ .spam = (uint32_t)(v >> 32), .ham = (uint32_t)v };
}

static struct slot *bucket_of(const struct token_table *t, uint64_t token)
{
    return t->slots + (token & (t->buckets - 1)) * BUCKET;
}

static uint64_t stored(uint64_t token) /* 0 means free */
{
    return token ? token : 1;
}

struct token_counts token_table_get(const struct token_table *t, uint64_t token)
{
    struct slot *b = bucket_of(t, token);
    token = stored(token);
    for (size_t i = 0; i < BUCKET; i++)
        if (atomic_load_explicit(&b[i].token, memory_order_acquire) == token) {
            uint64_t v = atomic_load_explicit(&b[i].counts, memory_order_acquire);
            if (atomic_load_explicit(&b[i].token, memory_order_acquire) != token)
                break;
            return (struct token_counts){ .spam = (uint32_t)(v >> 40), .ham = (uint32_t)(v >> 16) & COUNT_MAX };
        }
    return (struct token_counts){ 0 };
}

uint64_t token_table_used(const struct token_table *t)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < t->buckets * BUCKET; i++)
        n += atomic_load_explicit(&t->slots[i].token, memory_order_relaxed) != 0;
    return n;
}

static void unlock(struct token_table *t)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    (void)fcntl(t->fd, F_SETLK, &lock);
}

bool token_table_begin(struct token_table *t, struct err *err)
{
    if (!t->may_write)
        return err_set(err, "the table of tokens may not be written by this user");
    /* Of the process, not of the descriptor: children inherit that from who forked them, and must keep each other out. */
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    for (uint64_t end = clock_mono_ms() + LOCK_WAIT; fcntl(t->fd, F_SETLK, &lock) != 0;) {
        if (errno != EINTR && errno != EAGAIN && errno != EACCES)
            return err_sys(err, errno, "locking the table of tokens");
        if (clock_mono_ms() > end)
            return err_set(err, "the table of tokens has been locked by another process for %d s", LOCK_WAIT / 1000);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    if (mprotect(t->head, t->size, PROT_READ | PROT_WRITE) != 0) {
        (void)err_sys(err, errno, "the table of tokens");
        unlock(t);
        return false;
    }
    return true;
}

void token_table_end(struct token_table *t)
{
    (void)mprotect(t->head, t->size, PROT_READ);
    unlock(t);
}

static uint32_t add_to(uint32_t v, int d, uint32_t max)
{
    int64_t sum = (int64_t)v + d;
    return sum < 0 ? 0 : sum > max ? max : (uint32_t)sum;
}

/* What a slot is worth: tokens that were seen often or lately stay. */
static uint64_t worth(uint64_t counts, uint16_t today)
{
    uint64_t seen = (counts >> 40) + ((counts >> 16) & COUNT_MAX);
    uint16_t age = (uint16_t)(today - (uint16_t)counts);
    return (seen < 1000 ? seen : 1000) * 64 / (1 + age / 16u);
}

static struct slot *slot_for(struct token_table *t, uint64_t token, uint16_t today)
{
    struct slot *b = bucket_of(t, token), *least = b;
    token = stored(token);
    uint64_t least_worth = UINT64_MAX;
    for (size_t i = 0; i < BUCKET; i++) {
        uint64_t has = atomic_load_explicit(&b[i].token, memory_order_relaxed);
        if (has == token)
            return &b[i];
        uint64_t w = has ? 1 + worth(atomic_load_explicit(&b[i].counts, memory_order_relaxed), today) : 0;
        if (w < least_worth) {
            least_worth = w;
            least = &b[i];
        }
    }
    atomic_store_explicit(&least->counts, 0, memory_order_release);
    atomic_store_explicit(&least->token, token, memory_order_release);
    return least;
}

void token_table_add(struct token_table *t, uint64_t token, int spam, int ham)
{
    uint16_t today = (uint16_t)(clock_wall_ms() / 86400000);
    if (spam <= 0 && ham <= 0) { /* what is gone already needs no slot to be taken from */
        struct token_counts c = token_table_get(t, token);
        if (!c.spam && !c.ham)
            return;
    }
    struct slot *s = slot_for(t, token, today);
    uint64_t v = atomic_load_explicit(&s->counts, memory_order_relaxed);
    uint64_t new_spam = add_to((uint32_t)(v >> 40), spam, COUNT_MAX), new_ham = add_to((uint32_t)(v >> 16) & COUNT_MAX, ham, COUNT_MAX);
    atomic_store_explicit(&s->counts, new_spam << 40 | new_ham << 16 | today, memory_order_release);
    if (!new_spam && !new_ham)
        atomic_store_explicit(&s->token, 0, memory_order_release);
}

void token_table_add_messages(struct token_table *t, int spam, int ham)
{
    struct token_counts c = token_table_messages(t);
    uint64_t v = (uint64_t)add_to(c.spam, spam, UINT32_MAX) << 32 | add_to(c.ham, ham, UINT32_MAX);
    atomic_store_explicit(&t->head->messages, v, memory_order_release);
}
