/* pool.h - worker threads with a bounded queue of jobs; answers come back on the main loop.
 *
 * Each thread owns one `state` (for quern: a Lua state and scratch buffers), made by `open` on that
 * thread and freed by `close` there. A job's `work` runs on a worker; its `op` completes on the main
 * thread, in no particular order among jobs. While a job is out the pool holds a debt on the loop, so a
 * virtual clock waits for it. All functions: main thread, except qn_pool_lose. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/loop.h"
#include "engine/op.h"

struct qn_pool;        /* opaque */
struct qn_pool_thread; /* opaque: one of its threads */

struct qn_pool_job {
    struct qn_op op;                                    /* completes when work has returned */
    void (*work)(struct qn_pool_job *job, void *state); /* worker thread; must not touch the op */
    /* Called on the main thread instead of completing the op when the job was cancelled while it ran or
     * waited: frees what the job owns, the job included. One that waited is not run any more. Always called exactly
     * once for a cancelled job, never for one that completed (then its owner frees it). */
    void (*abandoned)(struct qn_pool_job *job);
    void (*done)(struct qn_pool_job *job); /* main thread, once the op has completed; must not free the job; or NULL */
    /* Main thread, before the op of a job completes whose thread is lost: state is that thread's; or NULL. */
    void (*lost)(struct qn_pool_job *job, void *state);
    bool urgent;          /* runs before those that are not: it gives back memory that they would add to */
    struct qn_pool *pool; /* the pool's own from here */
    uint64_t number;      /* in order of submission, from 1 */
    struct qn_pool_job *next;
    unsigned worker; /* number of the thread that ran it */
    bool canceled;
    bool is_lost; /* its thread may read what the job holds, for ever: it cannot be freed */
};

struct qn_pool_options {
    unsigned threads; /* at least 1 */
    /* NULL: failed, err filled. The thread is for qn_pool_lose. */
    void *(*open)(void *context, struct qn_pool_thread *thread, struct qn_err *err);
    void (*close)(void *state);
    void *context; /* borrowed until the pool is freed */
};

/* Starts the threads and waits until every open has answered. */
int qn_pool_new(struct qn_loop *loop, const struct qn_pool_options *options, struct qn_pool **out, struct qn_err *err);
/* Cancels what waits, waits for what runs (not for what is lost), joins the threads. Whoever waits for a job is made
 * ready. */
void qn_pool_free(struct qn_pool *pool);
/* Queues job (borrowed until its op completes or `abandoned` is called). Its op is made PENDING here. Any number
 * may be queued; callers bound it (see qn_pool_load). */
void qn_pool_submit(struct qn_pool *pool, struct qn_pool_job *job);
/* Blocks until job is no longer pending, and settles what else comes home meanwhile: for callers that cannot turn the
 * loop. Not from `done`, and not where threads may be lost. */
void qn_pool_wait(struct qn_pool *pool, struct qn_pool_job *job);
/* Called on a pool's thread, also by a signal handler: the job that it runs may never end. The job completes without
 * it (see `lost`), or is abandoned if it was cancelled. The thread must not come back from `work`, and what it holds is
 * never freed. Once. With the last thread, what waits is cancelled as in qn_pool_free. */
void qn_pool_lose(struct qn_pool_thread *thread);
unsigned qn_pool_thread_number(const struct qn_pool_thread *thread); /* from 0 */
unsigned qn_pool_threads(const struct qn_pool *pool);
unsigned qn_pool_load(const struct qn_pool *pool); /* jobs queued or running */
/* What tests of order ask: how many distinct threads finished jobs, and how many jobs finished before one submitted
 * earlier. */
void qn_pool_facts(const struct qn_pool *pool, unsigned *threads_used, unsigned *overtakes);
