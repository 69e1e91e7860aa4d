/* pool.c - see pool.h. One queue in, one list of answers out, both under one mutex; one uv_async brings answers home.
 */
#include "engine/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/mem.h"

struct qn_pool_thread {
    struct qn_pool *pool;
    uv_thread_t thread;
    unsigned number;
    void *state;
    struct qn_pool_job *job; /* that it runs; under lock */
    bool ended;              /* under lock */
    bool used;               /* finished a job */
    bool mourned;            /* main thread: the job of a lost thread has been settled */
    atomic_int lost;         /* enum lost */
};

/* A thread that is LOST still touches the pool, to wake it; one that is GONE does not. */
enum lost { NOT_LOST, LOST, GONE };

#define GONE_LOOK_NS 20000000

struct list {
    struct qn_pool_job *first, *last;
};

struct qn_pool {
    struct qn_loop *loop;
    struct qn_pool_options options;
    uv_mutex_t lock;
    uv_cond_t work_there, opened, answer_there;
    uv_async_t answered;
    struct list urgent, queue, answers; /* under lock */
    unsigned opened_count;              /* under lock */
    bool stopping;                      /* under lock */
    struct qn_err open_error;           /* under lock; the first that failed */
    unsigned load;                      /* main thread */
    uint64_t submitted, finished_up_to; /* main thread: to count overtakes */
    unsigned overtakes;
    unsigned started, mourned;
    struct qn_pool_thread workers[];
};

static void push(struct list *list, struct qn_pool_job *job)
{
    job->next = NULL;
    if (list->last)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
}

static struct qn_pool_job *pop(struct list *list)
{
    struct qn_pool_job *job = list->first;
    if (job) {
        list->first = job->next;
        if (!list->first) list->last = NULL;
        job->next = NULL;
    }
    return job;
}

/* canceled: nobody wants it any more; it goes home as it is. */
static struct qn_pool_job *next_job(struct qn_pool_thread *worker, bool *canceled)
{
    struct qn_pool *pool = worker->pool;
    uv_mutex_lock(&pool->lock);
    while (!pool->urgent.first && !pool->queue.first && !pool->stopping) uv_cond_wait(&pool->work_there, &pool->lock);
    struct qn_pool_job *job = pool->stopping ? NULL : pop(pool->urgent.first ? &pool->urgent : &pool->queue);
    *canceled = job && job->canceled;
    worker->job = job;
    uv_mutex_unlock(&pool->lock);
    return job;
}

static void answer(struct qn_pool *pool, struct qn_pool_job *job)
{
    uv_mutex_lock(&pool->lock);
    push(&pool->answers, job);
    uv_cond_signal(&pool->answer_there);
    uv_mutex_unlock(&pool->lock);
    uv_async_send(&pool->answered);
}

static void open_state(struct qn_pool_thread *worker)
{
    struct qn_pool *pool = worker->pool;
    struct qn_err err = {.text = ""};
    worker->state = pool->options.open(pool->options.context, worker, &err);
    uv_mutex_lock(&pool->lock);
    if (!worker->state && pool->open_error.code == 0) {
        if (err.code == 0) qn_fail(&err, QN_ENOMEM, "no memory for worker thread %u", worker->number + 1);
        pool->open_error = err;
    }
    pool->opened_count++;
    uv_cond_signal(&pool->opened);
    uv_mutex_unlock(&pool->lock);
}

static void do_jobs(struct qn_pool_thread *worker)
{
    bool canceled;
    for (struct qn_pool_job *job; (job = next_job(worker, &canceled)) != NULL;) {
        job->worker = worker->number;
        if (!canceled) job->work(job, worker->state);
        answer(worker->pool, job);
    }
    worker->pool->options.close(worker->state);
}

static void run_worker(void *argument)
{
    struct qn_pool_thread *worker = argument;
    open_state(worker);
    if (worker->state) do_jobs(worker);
    uv_mutex_lock(&worker->pool->lock);
    worker->ended = true;
    uv_cond_signal(&worker->pool->answer_there);
    uv_mutex_unlock(&worker->pool->lock);
}

/* The job is home: its op completes, or its owner has gone and `abandoned` frees it. */
static void settle(struct qn_pool *pool, struct qn_pool_job *job)
{
    pool->load--;
    qn_loop_hold(pool->loop, -1);
    if (job->canceled)
        job->abandoned(job);
    else {
        void (*done)(struct qn_pool_job *) = job->done; /* whoever waits for the op may have the job from here */
        qn_op_complete(&job->op);
        if (done) done(job);
    }
}

static void note(struct qn_pool *pool, const struct qn_pool_job *job)
{
    pool->workers[job->worker].used = true;
    if (job->number < pool->finished_up_to)
        pool->overtakes++;
    else
        pool->finished_up_to = job->number;
}

/* Takes home what has been answered; if nothing has, waits for it where the caller wants that. */
static void settle_answers(struct qn_pool *pool, bool wait)
{
    uv_mutex_lock(&pool->lock);
    while (wait && !pool->answers.first) uv_cond_wait(&pool->answer_there, &pool->lock);
    struct list answers = pool->answers;
    pool->answers = (struct list){0};
    uv_mutex_unlock(&pool->lock);
    for (struct qn_pool_job *job; (job = pop(&answers)) != NULL;) {
        if (!job->canceled) note(pool, job);
        settle(pool, job);
    }
}

/* Whoever waits for one of the jobs hears that there is no answer. */
static void drop(struct qn_pool *pool, struct list *list)
{
    for (struct qn_pool_job *job; (job = pop(list)) != NULL;) {
        struct qn_waiter *waiter = job->op.waiter;
        qn_op_cancel(&job->op);
        if (waiter) qn_sched_ready(waiter);
        settle(pool, job);
    }
}

static void drop_waiting(struct qn_pool *pool)
{
    uv_mutex_lock(&pool->lock);
    struct list urgent = pool->urgent, waiting = pool->queue;
    pool->urgent = pool->queue = (struct list){0};
    uv_mutex_unlock(&pool->lock);
    drop(pool, &urgent);
    drop(pool, &waiting);
}

/* The job of a thread that will not answer is settled once. Nothing but `work` runs on that thread any more. */
static void settle_lost(struct qn_pool *pool)
{
    for (unsigned i = 0; i < pool->started; i++) {
        struct qn_pool_thread *worker = &pool->workers[i];
        if (worker->mourned || atomic_load(&worker->lost) == NOT_LOST) continue;
        worker->mourned = true;
        pool->mourned++;
        struct qn_pool_job *job = worker->job;
        job->is_lost = true;
        if (!job->canceled && job->lost) job->lost(job, worker->state);
        settle(pool, job);
    }
    if (pool->mourned > 0 && pool->mourned == pool->started) drop_waiting(pool);
}

static void on_answered(uv_async_t *async)
{
    settle_answers(async->data, false);
    settle_lost(async->data);
    uv_stop(async->loop);
}

static void on_closed(uv_handle_t *handle)
{
    qn_free(handle->data);
}

static void stop_workers(struct qn_pool *pool)
{
    uv_mutex_lock(&pool->lock);
    pool->stopping = true;
    uv_cond_broadcast(&pool->work_there);
    for (unsigned i = 0; i < pool->started; i++) {
        struct qn_pool_thread *worker = &pool->workers[i]; /* a signal handler cannot wake us */
        while (!worker->ended && atomic_load(&worker->lost) != GONE)
            uv_cond_timedwait(&pool->answer_there, &pool->lock, GONE_LOOK_NS);
    }
    uv_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++) {
        struct qn_pool_thread *worker = &pool->workers[i];
        if (atomic_load(&worker->lost) == GONE)
            pthread_detach(worker->thread);
        else
            uv_thread_join(&worker->thread);
    }
}

static void destroy(struct qn_pool *pool)
{
    stop_workers(pool);
    uv_cond_destroy(&pool->opened);
    uv_cond_destroy(&pool->answer_there);
    uv_cond_destroy(&pool->work_there);
    uv_mutex_destroy(&pool->lock);
    uv_close((uv_handle_t *)&pool->answered, on_closed);
}

static int start_workers(struct qn_pool *pool, struct qn_err *err)
{
    for (unsigned i = 0; i < pool->options.threads; i++) {
        pool->workers[i] = (struct qn_pool_thread){.pool = pool, .number = i};
        if (uv_thread_create(&pool->workers[i].thread, run_worker, &pool->workers[i]) != 0) {
            return qn_fail(err, QN_ENOMEM, "cannot start worker thread %u", i + 1);
        }
        pool->started++;
    }
    uv_mutex_lock(&pool->lock);
    while (pool->opened_count < pool->started) uv_cond_wait(&pool->opened, &pool->lock);
    int rc = pool->open_error.code;
    if (rc != 0 && err) *err = pool->open_error;
    uv_mutex_unlock(&pool->lock);
    return rc;
}

int qn_pool_new(struct qn_loop *loop, const struct qn_pool_options *options, struct qn_pool **out, struct qn_err *err)
{
    if (options->threads == 0) return qn_fail(err, QN_EINVAL, "a worker pool needs at least one thread");
    struct qn_pool *pool = qn_calloc(1, sizeof *pool + options->threads * sizeof(struct qn_pool_thread));
    if (!pool) return qn_fail(err, QN_ENOMEM, "no memory for %u workers", options->threads);
    pool->loop = loop;
    pool->options = *options;
    if (uv_async_init(qn_loop_uv(loop), &pool->answered, on_answered) != 0) {
        qn_free(pool);
        return qn_fail(err, QN_ENOMEM, "cannot make the workers' wake-up handle");
    }
    pool->answered.data = pool;
    uv_unref((uv_handle_t *)&pool->answered); /* the debt on the loop keeps it awake, not this */
    uv_mutex_init(&pool->lock);
    uv_cond_init(&pool->work_there);
    uv_cond_init(&pool->opened);
    uv_cond_init(&pool->answer_there);
    int rc = start_workers(pool, err);
    if (rc < 0) {
        destroy(pool);
        return rc;
    }
    *out = pool;
    return 0;
}

void qn_pool_free(struct qn_pool *pool)
{
    if (!pool) return;
    stop_workers(pool); /* what waits is not begun any more */
    settle_lost(pool);
    pool->started = 0;
    drop_waiting(pool);
    drop(pool, &pool->answers); /* no worker is left: no lock needed */
    destroy(pool);
}

/* Cancelled while queued or running: the thread may still touch the job, so it is freed when it comes home. */
static void cancel_job(struct qn_op *op)
{
    struct qn_pool_job *job = (struct qn_pool_job *)op; /* op is the first member */
    uv_mutex_lock(&job->pool->lock);
    job->canceled = true;
    uv_mutex_unlock(&job->pool->lock);
}

void qn_pool_submit(struct qn_pool *pool, struct qn_pool_job *job)
{
    qn_op_init(&job->op, cancel_job);
    qn_op_begin(&job->op);
    job->pool = pool;
    job->canceled = false;
    job->number = ++pool->submitted;
    pool->load++;
    qn_loop_hold(pool->loop, 1);
    uv_mutex_lock(&pool->lock);
    push(job->urgent ? &pool->urgent : &pool->queue, job);
    uv_cond_signal(&pool->work_there);
    uv_mutex_unlock(&pool->lock);
    if (pool->mourned == pool->started) uv_async_send(&pool->answered); /* nobody is left to do it */
}

void qn_pool_wait(struct qn_pool *pool, struct qn_pool_job *job)
{
    while (job->op.state == QN_OP_PENDING) settle_answers(pool, true);
}

void qn_pool_lose(struct qn_pool_thread *thread)
{
    atomic_store(&thread->lost, LOST);
    uv_async_send(&thread->pool->answered);
    atomic_store(&thread->lost, GONE);
}

unsigned qn_pool_thread_number(const struct qn_pool_thread *thread)
{
    return thread->number;
}

unsigned qn_pool_threads(const struct qn_pool *pool)
{
    return pool->options.threads;
}

unsigned qn_pool_load(const struct qn_pool *pool)
{
    return pool->load;
}

void qn_pool_facts(const struct qn_pool *pool, unsigned *threads_used, unsigned *overtakes)
{
    *threads_used = 0;
    for (unsigned i = 0; i < pool->options.threads; i++) *threads_used += pool->workers[i].used;
    *overtakes = pool->overtakes;
}
