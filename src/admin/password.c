/* SPDX-License-Identifier: Apache-2.0
 * Passwords: yescrypt by libcrypt, in threads, as one takes a tenth of a second. */
#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include "admin/auth_int.h"
#include "auth/users_file.h"
#include "base/utf8.h"

#define THREADS 2     /* each hash takes 16 MB while it lasts */
#define WAITING_MAX 32

struct passwords {
    struct tasks *tasks;
    struct pool *pool;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE]; /* of names that are none: costs as much as a real one */
};

/* ---- in a thread */

static bool run_crypt(const char *password, const char *setting, char out[PASSWORD_HASH_MAX])
{
    struct crypt_data *d = mem_new(struct crypt_data);
    const char *hash = crypt_r(password, setting, d);
    bool ok = hash && *hash != '*' && strlen(hash) < PASSWORD_HASH_MAX;
    if (ok) memcpy(out, hash, strlen(hash) + 1);
    mem_wipe(d, sizeof *d);
    free(d);
    return ok;
}

static void run(struct task *t)
{
    struct password_job *job = container_of(t, struct password_job, task);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], made[PASSWORD_HASH_MAX] = "";
    if (job->for_users) {
        struct err err;
        job->ok = users_secret_make(slice_str(job->password), &job->secret, &err);
        return;
    }
    if (!*job->hash) {
        job->ok = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) && run_crypt(job->password, setting, job->hash);
        return;
    }
    job->ok = run_crypt(job->password, job->hash, made) && strlen(made) == strlen(job->hash) &&
              CRYPTO_memcmp(made, job->hash, strlen(made)) == 0;
    mem_wipe(made, sizeof made);
}

/* ---- on the loop */

static void job_free(struct password_job *job)
{
    mem_wipe(job->password, strlen(job->password));
    free(job->password);
    mem_wipe(job->hash, sizeof job->hash);
    buf_wipe(&job->secret);
    free(job);
}

static void done(struct task *t)
{
    struct password_job *job = container_of(t, struct password_job, task);
    job->done(job->arg, job);
    job_free(job);
}

struct passwords *passwords_new(struct event_base *base, struct err *err)
{
    struct passwords *p = mem_new(struct passwords);
    if (!crypt_gensalt_rn("$y$", 0, NULL, 0, p->setting, sizeof p->setting)) err_set_text(err, "libcrypt has no yescrypt");
    else if ((p->pool = pool_new(THREADS, WAITING_MAX, err))) p->tasks = tasks_new(base, run, done, err);
    if (p->tasks) return p;
    free(p); /* the pool stays: the process ends */
    return NULL;
}

void passwords_free(struct passwords *p)
{
    if (!p) return;
    tasks_free(p->tasks);
    free(p);
}

static bool start(struct passwords *p, struct slice password, const char *hash, bool for_users, password_done *cb, void *arg)
{
    struct password_job *job = mem_new(struct password_job);
    job->password = mem_slicedup(password);
    job->done = cb;
    job->arg = arg;
    job->for_users = for_users;
    memcpy(job->hash, hash, strlen(hash) + 1);
    if (task_start(p->tasks, p->pool, NULL, &job->task)) return true;
    job_free(job);
    return false;
}

bool password_check(struct passwords *p, struct slice password, const char *hash, password_done *cb, void *arg)
{
    bool possible = password.n && password.n <= PASSWORD_MAX;
    return start(p, possible ? password : SLICE("?"), hash && *hash && possible ? hash : p->setting, false, cb, arg);
}

bool password_hash(struct passwords *p, struct slice password, password_done *cb, void *arg)
{
    return start(p, password, "", false, cb, arg);
}

bool password_for_users(struct passwords *p, struct slice password, password_done *cb, void *arg)
{
    return start(p, password, "", true, cb, arg);
}

const char *password_refuses(struct slice password, struct slice name)
{
    size_t characters = 0;
    for (size_t i = 0; i < password.n; i++) characters += ((unsigned char)password.p[i] & 0xC0) != 0x80;
    if (characters < PASSWORD_MIN) return "a password must have at least 10 characters";
    if (password.n > PASSWORD_MAX) return "a password must not have more than 1024 bytes";
    if (memchr(password.p, 0, password.n) || !utf8_ok(password)) return "a password must be text";
    if (slice_ieq(password, name)) return "the name is no password";
    return NULL;
}
