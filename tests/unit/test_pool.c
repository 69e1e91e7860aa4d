/* Worker threads: every job comes home once, whatever is cancelled, and nothing is left. */
#include "net_world.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "engine/pool.h"

static struct qn_clock *virtual_clock(void)
{
    return qn_clock_virtual(0);
}

static atomic_int opened, closed;

struct worker_state {
    struct qn_pool_thread *thread;
    unsigned number;
    int jobs;
};

static void *open_state(void *context, struct qn_pool_thread *thread, struct qn_err *err)
{
    const int *fails_on = context;
    unsigned number = qn_pool_thread_number(thread);
    if (fails_on && *fails_on == (int)number) {
        qn_fail(err, QN_ESCRIPT, "thread %u does not like it", number);
        return NULL;
    }
    struct worker_state *state = qn_calloc(1, sizeof *state);
    if (!state) return NULL; /* and does not say why */
    state->thread = thread;
    state->number = number;
    atomic_fetch_add(&opened, 1);
    return state;
}

static void close_state(void *state)
{
    atomic_fetch_add(&closed, 1);
    qn_free(state);
}

struct task {
    struct qn_pool_job job; /* first */
    int in, out;
    sem_t *started, *go; /* NULL: does not wait */
    bool loses;          /* its thread */
    int worked, abandoned, done;
    unsigned lost_on;           /* 1 + number of the thread */
    struct worker_state *keeps; /* of a lost thread */
};

static void work(struct qn_pool_job *job, void *state)
{
    struct task *task = (struct task *)job;
    struct worker_state *mine = state;
    if (task->started) sem_post(task->started);
    if (task->loses) {
        task->keeps = mine;
        qn_pool_lose(mine->thread);
        for (;;) pause();
    }
    if (task->go) sem_wait(task->go);
    mine->jobs++;
    task->worked++;
    task->out = task->in * 2 + 1;
}

static void abandoned(struct qn_pool_job *job)
{
    ((struct task *)job)->abandoned++;
}

static void done(struct qn_pool_job *job)
{
    assert_int_equal(job->op.state, QN_OP_DONE);
    ((struct task *)job)->done++;
}

static void lost(struct qn_pool_job *job, void *state)
{
    const struct worker_state *its = state;
    ((struct task *)job)->lost_on = its->number + 1;
}

static struct qn_pool *make_pool(struct world *world, unsigned threads)
{
    const struct qn_pool_options options = {.threads = threads, .open = open_state, .close = close_state};
    struct qn_pool *pool = NULL;
    world_open(world, virtual_clock);
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    assert_int_equal(qn_pool_new(world->loop, &options, &pool, NULL), 0);
    assert_int_equal(qn_pool_threads(pool), threads);
    return pool;
}

static void drop_pool(struct world *world, struct qn_pool *pool)
{
    qn_pool_free(pool);
    assert_int_equal(atomic_load(&opened), atomic_load(&closed));
    world_close(world);
}

static void submit(struct qn_pool *pool, struct task *task, int in)
{
    *task = (struct task){.job = {.work = work, .abandoned = abandoned, .done = done, .lost = lost},
                          .in = in,
                          .loses = task->loses,
                          .started = task->started,
                          .go = task->go};
    qn_pool_submit(pool, &task->job);
    assert_int_equal(task->job.op.state, QN_OP_PENDING);
}

static void drain(struct world *world, struct qn_pool *pool)
{
    for (int i = 0; qn_pool_load(pool) > 0 && i < 100000; i++) qn_loop_turn(world->loop, true);
    assert_int_equal(qn_pool_load(pool), 0);
}

static void test_many(void **state)
{
    static struct task tasks[2000];
    struct world world;
    unsigned used, overtakes;
    (void)state;
    struct qn_pool *pool = make_pool(&world, 4);
    memset(tasks, 0, sizeof tasks);
    qn_pool_facts(pool, &used, &overtakes);
    assert_true(used == 0 && overtakes == 0);
    for (int i = 0; i < 2000; i++) submit(pool, &tasks[i], i);
    assert_int_equal(qn_pool_load(pool), 2000);
    drain(&world, pool);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(tasks[i].job.op.state, QN_OP_DONE);
        assert_int_equal(tasks[i].job.number, i + 1);
        assert_true(tasks[i].out == 2 * i + 1 && tasks[i].worked == 1 && tasks[i].abandoned == 0);
        assert_int_equal(tasks[i].done, 1);
    }
    qn_pool_facts(pool, &used, &overtakes);
    assert_true(used >= 1 && used <= 4 && overtakes < 2000);
    assert_int_equal(qn_loop_now(world.loop), 0);
    assert_false(qn_loop_alive(world.loop)); /* an idle pool keeps nothing awake */
    drop_pool(&world, pool);
}

/* Two threads, the first job held back: the second overtakes it, and both threads were used. */
static void test_facts(void **state)
{
    struct world world;
    sem_t started, go;
    struct task slow = {.started = &started, .go = &go}, quick = {.in = 0};
    unsigned used, overtakes;
    (void)state;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    struct qn_pool *pool = make_pool(&world, 2);
    submit(pool, &slow, 1);
    sem_wait(&started);
    submit(pool, &quick, 2);
    world_wait(&world, &quick.job.op);
    qn_pool_facts(pool, &used, &overtakes);
    assert_true(used == 1 && overtakes == 0);
    sem_post(&go);
    world_wait(&world, &slow.job.op);
    qn_pool_facts(pool, &used, &overtakes);
    assert_true(used == 2 && overtakes == 1);
    assert_int_not_equal(slow.job.worker, quick.job.worker);
    drop_pool(&world, pool);
    sem_destroy(&started);
    sem_destroy(&go);
}

static void test_waiter(void **state)
{
    struct world world;
    struct task task = {.in = 0};
    struct qn_sched sched;
    struct qn_waiter waiter;
    struct qn_timer timer;
    (void)state;
    struct qn_pool *pool = make_pool(&world, 1);
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_timer_init(&timer, NULL); /* would crash if the clock moved before the answer */
    assert_int_equal(qn_timer_start(world.loop, &timer, 1), 0);
    submit(pool, &task, 20);
    qn_op_wait(&task.job.op, &waiter);
    while (!qn_sched_has_ready(&sched)) qn_loop_turn(world.loop, true);
    assert_ptr_equal(qn_sched_next(&sched), &waiter);
    assert_int_equal(task.out, 41);
    assert_int_equal(qn_loop_now(world.loop), 0);
    qn_timer_stop(&timer);
    drop_pool(&world, pool);
}

/* Without a turn of the loop; what comes home meanwhile is settled, too, and the wake-up that is left does no harm. */
static void test_wait(void **state)
{
    static struct task tasks[100];
    struct world world;
    (void)state;
    struct qn_pool *pool = make_pool(&world, 2);
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < 100; i++) submit(pool, &tasks[i], i);
    qn_op_cancel(&tasks[50].job.op);
    for (int i = 99; i >= 0; i -= 3) qn_pool_wait(pool, &tasks[i].job);
    for (int i = 0; i < 100; i++) {
        if (i == 50) continue;
        qn_pool_wait(pool, &tasks[i].job);
        assert_true(tasks[i].worked == 1 && tasks[i].done == 1 && tasks[i].out == 2 * i + 1);
    }
    qn_pool_wait(pool, &tasks[50].job); /* cancelled: there is nothing to wait for */
    drain(&world, pool);
    assert_true(tasks[50].abandoned == 1 && tasks[50].done == 0);
    assert_false(qn_loop_alive(world.loop));
    drop_pool(&world, pool);
}

static void test_cancel(void **state)
{
    struct world world;
    sem_t started, go;
    struct task running = {.started = &started, .go = &go}, queued = {.in = 0}, last = {.in = 0};
    unsigned used, overtakes;
    (void)state;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    struct qn_pool *pool = make_pool(&world, 1);
    submit(pool, &running, 1);
    submit(pool, &queued, 2);
    submit(pool, &last, 3);
    sem_wait(&started);
    qn_op_cancel(&running.job.op);
    qn_op_cancel(&running.job.op);
    qn_op_cancel(&queued.job.op);
    assert_int_equal(running.abandoned + queued.abandoned, 0); /* later: the thread has it still */
    assert_int_equal(qn_pool_load(pool), 3);
    sem_post(&go);
    drain(&world, pool);
    assert_true(running.worked == 1 && running.abandoned == 1 && running.job.op.state == QN_OP_CANCELED);
    assert_true(queued.worked == 0 && queued.abandoned == 1 && queued.job.op.state == QN_OP_CANCELED);
    assert_true(last.worked == 1 && last.abandoned == 0 && last.job.op.state == QN_OP_DONE);
    qn_op_cancel(&last.job.op); /* too late: nothing */
    assert_int_equal(last.abandoned, 0);
    qn_pool_facts(pool, &used, &overtakes);
    assert_true(used == 1 && overtakes == 0);
    drop_pool(&world, pool);
    sem_destroy(&started);
    sem_destroy(&go);
}

/* By lot: cancelled while queued, while running, or done already; each comes home in exactly one way. */
static void test_cancel_races(void **state)
{
    static struct task tasks[1000];
    struct world world;
    (void)state;
    struct qn_pool *pool = make_pool(&world, 3);
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < 1000; i++) {
        submit(pool, &tasks[i], i);
        if (i % 3 == 0) qn_op_cancel(&tasks[i / 2].job.op);
        if (i % 7 == 0) qn_loop_turn(world.loop, false);
    }
    drain(&world, pool);
    for (int i = 0; i < 1000; i++) {
        int done = tasks[i].job.op.state == QN_OP_DONE;
        assert_true(done ? tasks[i].worked == 1 && tasks[i].abandoned == 0 : tasks[i].abandoned == 1);
        assert_int_equal(tasks[i].done, done);
    }
    drop_pool(&world, pool);
}

static void test_free_with_jobs_pending(void **state)
{
    struct world world;
    sem_t started, go;
    struct task tasks[20] = {{.started = &started, .go = &go}};
    (void)state;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    struct qn_sched sched;
    struct qn_waiter waiter;
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    struct qn_pool *pool = make_pool(&world, 1);
    for (int i = 0; i < 20; i++) submit(pool, &tasks[i], i);
    qn_op_wait(&tasks[5].job.op, &waiter);
    qn_op_cancel(&tasks[7].job.op);
    sem_wait(&started);
    sem_post(&go); /* the first runs on; the others may or may not have begun */
    drop_pool(&world, pool);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tasks[i].abandoned, 1);
        assert_int_equal(tasks[i].job.op.state, QN_OP_CANCELED);
    }
    assert_null(waiter.op);
    assert_ptr_equal(qn_sched_next(&sched), &waiter); /* hears that there is no answer */
    qn_pool_free(NULL);
    sem_destroy(&started);
    sem_destroy(&go);
}

static void test_free_with_answers_waiting(void **state)
{
    struct world world;
    struct task tasks[3] = {{.in = 0}};
    sem_t started;
    (void)state;
    sem_init(&started, 0, 0);
    for (int i = 0; i < 3; i++) tasks[i].started = &started;
    struct qn_pool *pool = make_pool(&world, 2);
    for (int i = 0; i < 3; i++) submit(pool, &tasks[i], i);
    for (int i = 0; i < 3; i++) sem_wait(&started);
    usleep(20000); /* the answers are there, and nobody turned the loop */
    drop_pool(&world, pool);
    for (int i = 0; i < 3; i++) assert_true(tasks[i].worked == 1 && tasks[i].abandoned == 1);
    sem_destroy(&started);
}

/* Nobody waits for a thread that gave itself up; the other does its work. */
static void test_lost_threads(void **state)
{
    struct world world;
    struct task stuck = {.loses = true}, others[20] = {{.in = 0}};
    (void)state;
    struct qn_pool *pool = make_pool(&world, 2);
    submit(pool, &stuck, 1);
    for (int i = 0; i < 20; i++) submit(pool, &others[i], i);
    drain(&world, pool);
    assert_true(stuck.job.op.state == QN_OP_DONE && stuck.job.is_lost && stuck.lost_on > 0);
    assert_true(stuck.worked == 0 && stuck.abandoned == 0 && stuck.done == 1);
    for (int i = 0; i < 20; i++) assert_true(others[i].worked == 1 && others[i].job.worker + 1 != stuck.lost_on);
    qn_pool_free(pool);
    assert_int_equal(atomic_load(&opened) - atomic_load(&closed), 1); /* what it holds is its own */
    qn_free(stuck.keeps);
    world_close(&world);
}

static void test_free_with_a_lost_thread(void **state)
{
    struct world world;
    sem_t started;
    struct task stuck = {.loses = true, .started = &started}, canceled = stuck, waiting = {.in = 0};
    (void)state;
    sem_init(&started, 0, 0);
    struct qn_pool *pool = make_pool(&world, 2);
    submit(pool, &stuck, 1);
    submit(pool, &canceled, 2);
    for (int i = 0; i < 2; i++) sem_wait(&started);
    submit(pool, &waiting, 3);
    qn_op_cancel(&canceled.job.op);
    qn_pool_free(pool); /* nobody turned the loop since */
    assert_true(stuck.job.op.state == QN_OP_DONE && stuck.abandoned == 0 && stuck.lost_on > 0);
    assert_true(canceled.job.is_lost && canceled.abandoned == 1 && canceled.lost_on == 0);
    assert_true(waiting.worked == 0 && waiting.abandoned == 1);
    qn_free(stuck.keeps);
    qn_free(canceled.keeps);
    world_close(&world);
    sem_destroy(&started);
}

/* With nobody left to do them, jobs do not wait for ever. */
static void test_all_threads_lost(void **state)
{
    struct world world;
    struct task stuck = {.loses = true}, waiting = {.in = 0}, later = {.in = 0};
    (void)state;
    struct qn_pool *pool = make_pool(&world, 1);
    submit(pool, &stuck, 1);
    submit(pool, &waiting, 2);
    drain(&world, pool);
    submit(pool, &later, 3);
    drain(&world, pool);
    assert_true(stuck.job.op.state == QN_OP_DONE && waiting.abandoned == 1 && later.abandoned == 1);
    qn_pool_free(pool);
    qn_free(stuck.keeps);
    world_close(&world);
}

static void test_open_fails(void **state)
{
    struct world world;
    struct qn_err err = {0};
    struct qn_pool *pool = NULL;
    (void)state;
    for (int fails_on = 0; fails_on < 3; fails_on++) {
        const struct qn_pool_options options = {
            .threads = 3, .open = open_state, .close = close_state, .context = &fails_on};
        world_open(&world, virtual_clock);
        atomic_store(&opened, 0);
        atomic_store(&closed, 0);
        assert_int_equal(qn_pool_new(world.loop, &options, &pool, &err), QN_ESCRIPT);
        assert_null(pool);
        assert_non_null(strstr(err.text, "does not like it"));
        assert_true(atomic_load(&opened) == 2 && atomic_load(&closed) == 2); /* the others were closed */
        world_close(&world);
    }
}

/* The linker sends the calls of libuv that may fail here. */
int __real_uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument);
int __wrap_uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument);
int __real_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb);
int __wrap_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb);

static int threads_there_are = -1; /* -1: enough */
static bool no_async;

int __wrap_uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument)
{
    if (threads_there_are == 0) return UV_EAGAIN;
    if (threads_there_are > 0) threads_there_are--;
    return __real_uv_thread_create(thread, entry, argument);
}

int __wrap_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb)
{
    return no_async ? UV_EMFILE : __real_uv_async_init(loop, async, cb);
}

/* Threads that did start are stopped and their states closed. */
static void test_no_threads(void **state)
{
    const struct qn_pool_options options = {.threads = 3, .open = open_state, .close = close_state};
    (void)state;
    for (int there_are = 0; there_are < 3; there_are++) {
        struct world world;
        struct qn_err err = {0};
        struct qn_pool *pool = NULL;
        world_open(&world, virtual_clock);
        atomic_store(&opened, 0);
        atomic_store(&closed, 0);
        threads_there_are = there_are;
        assert_int_equal(qn_pool_new(world.loop, &options, &pool, &err), QN_ENOMEM);
        threads_there_are = -1;
        assert_null(pool);
        assert_int_equal(err.code, QN_ENOMEM);
        assert_non_null(strstr(err.text, "cannot start worker thread"));
        assert_int_equal(atomic_load(&opened), there_are);
        assert_int_equal(atomic_load(&closed), there_are);
        no_async = true;
        assert_int_equal(qn_pool_new(world.loop, &options, &pool, &err), QN_ENOMEM);
        no_async = false;
        assert_null(pool);
        world_close(&world);
    }
}

static void test_no_memory(void **state)
{
    const struct qn_pool_options options = {.threads = 2, .open = open_state, .close = close_state},
                                 none = {.threads = 0, .open = open_state, .close = close_state};
    struct world world;
    struct qn_err err;
    struct qn_pool *pool = NULL;
    (void)state;
    world_open(&world, virtual_clock);
    assert_int_equal(qn_pool_new(world.loop, &none, &pool, &err), QN_EINVAL);
    for (unsigned n = 1; n <= 3; n++) { /* the pool, one state, the other */
        qn_mem_fail_after(n);
        err = (struct qn_err){0};
        assert_int_equal(qn_pool_new(world.loop, &options, &pool, &err), QN_ENOMEM);
        qn_mem_fail_after(0);
        assert_int_equal(err.code, QN_ENOMEM);
        assert_true(err.text[0]);
        assert_null(pool);
    }
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_waiter),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_races),
        cmocka_unit_test(test_free_with_jobs_pending),
        cmocka_unit_test(test_free_with_answers_waiting),
        cmocka_unit_test(test_lost_threads),
        cmocka_unit_test(test_free_with_a_lost_thread),
        cmocka_unit_test(test_all_threads_lost),
        cmocka_unit_test(test_open_fails),
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
