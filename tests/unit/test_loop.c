/* Turns, debts, wakes, and what the loop says is left. */
#include "letter.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

static void test_no_memory(void **state)
{
    (void)state;
    struct qn_clock *clock = virtual_clock();
    qn_mem_fail_after(1);
    assert_null(qn_loop_new(clock)); /* the clock stays the caller's */
    qn_mem_fail_after(0);
    qn_clock_free(clock);
}

/* The linker sends the calls of libuv that may fail here. */
int __real_uv_loop_init(uv_loop_t *loop);
int __wrap_uv_loop_init(uv_loop_t *loop);
int __real_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb);
int __wrap_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb);

static bool no_loop, no_async;

int __wrap_uv_loop_init(uv_loop_t *loop)
{
    return no_loop ? UV_EMFILE : __real_uv_loop_init(loop);
}

int __wrap_uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb cb)
{
    return no_async ? UV_EMFILE : __real_uv_async_init(loop, async, cb);
}

static void test_no_descriptors(void **state)
{
    (void)state;
    struct qn_clock *clock = virtual_clock();
    size_t blocks = qn_mem_blocks();
    no_loop = true;
    assert_null(qn_loop_new(clock));
    no_loop = false;
    no_async = true;
    assert_null(qn_loop_new(clock));
    no_async = false;
    assert_int_equal(qn_mem_blocks(), blocks);
    struct qn_loop *loop = qn_loop_new(clock); /* the clock stayed the caller's */
    assert_non_null(loop);
    assert_int_equal(qn_loop_free(loop), 0);
}

/* ---- debts ---- */

struct debtor {
    struct qn_loop *loop;
    uv_async_t paid;
    pthread_t thread;
    struct qn_op op;
};

static void on_paid(uv_async_t *async)
{
    struct debtor *debtor = async->data;
    qn_loop_hold(debtor->loop, -1);
    qn_op_complete(&debtor->op);
}

static void *pay_later(void *argument)
{
    usleep(20000);
    uv_async_send(&((struct debtor *)argument)->paid);
    return NULL;
}

static void debtor_open(struct debtor *debtor, struct qn_loop *loop)
{
    debtor->loop = loop;
    assert_int_equal(uv_async_init(qn_loop_uv(loop), &debtor->paid, on_paid), 0);
    uv_unref((uv_handle_t *)&debtor->paid);
    debtor->paid.data = debtor;
    qn_op_init(&debtor->op, NULL);
    qn_op_begin(&debtor->op);
    qn_loop_hold(loop, 1);
    assert_int_equal(pthread_create(&debtor->thread, NULL, pay_later, debtor), 0);
}

static void debtor_close(struct debtor *debtor)
{
    pthread_join(debtor->thread, NULL);
    uv_close((uv_handle_t *)&debtor->paid, NULL);
    qn_loop_turn(debtor->loop, false);
}

static void test_debt_holds_the_clock(void **state)
{
    struct world world;
    struct debtor debtor;
    struct letter a;
    (void)state;
    world_open(&world, virtual_clock);
    letter_init(&a, world.loop, 'a');
    start(&a, 1);
    debtor_open(&debtor, world.loop);
    world_wait(&world, &debtor.op);
    assert_int_equal(qn_loop_now(world.loop), 0); /* whoever waited for the debt runs first */
    assert_string_equal(fired, "");
    qn_loop_turn(world.loop, true);
    assert_string_equal(fired, "a");
    debtor_close(&debtor);
    world_close(&world);
}

/* A debt that was paid while others were busy, seen by the turn that would move the clock. */
static void test_debt_paid_before_the_turn(void **state)
{
    struct world world;
    struct debtor debtor;
    struct letter a;
    (void)state;
    world_open(&world, virtual_clock);
    letter_init(&a, world.loop, 'a');
    start(&a, 1);
    debtor_open(&debtor, world.loop);
    pthread_join(debtor.thread, NULL);
    assert_true(qn_loop_turn(world.loop, true));
    assert_int_equal(debtor.op.state, QN_OP_DONE);
    assert_int_equal(qn_loop_now(world.loop), 0);
    assert_string_equal(fired, "");
    qn_loop_turn(world.loop, true);
    assert_string_equal(fired, "a");
    uv_close((uv_handle_t *)&debtor.paid, NULL);
    qn_loop_turn(world.loop, false);
    world_close(&world);
}

static void test_debt_without_waiting(void **state, struct qn_clock *(*make_clock)(void))
{
    struct world world;
    struct debtor debtor;
    (void)state;
    world_open(&world, make_clock);
    debtor_open(&debtor, world.loop);
    for (int i = 0; i < 2000 && debtor.op.state == QN_OP_PENDING; i++) {
        qn_loop_turn(world.loop, false); /* what is ready is delivered, also by turns that do not wait */
        usleep(1000);
    }
    assert_int_equal(debtor.op.state, QN_OP_DONE);
    debtor_close(&debtor);
    world_close(&world);
}

static void test_debt_without_waiting_virtual(void **state)
{
    test_debt_without_waiting(state, virtual_clock);
}

static void test_debt_without_waiting_real(void **state)
{
    test_debt_without_waiting(state, qn_clock_real);
}

static void on_handle(uv_timer_t *handle)
{
    uv_close((uv_handle_t *)handle, NULL);
}

/* A real handle alone is waited for; there is no timer to move a virtual clock to. */
static void test_handle_alone(void **state)
{
    struct world world;
    uv_timer_t handle;
    (void)state;
    world_open(&world, virtual_clock);
    assert_int_equal(uv_timer_init(qn_loop_uv(world.loop), &handle), 0);
    assert_int_equal(uv_timer_start(&handle, on_handle, 5, 0), 0);
    unsigned turns = 0;
    while (qn_loop_turn(world.loop, true)) turns++;
    assert_true(turns < 5); /* it slept */
    assert_int_equal(qn_loop_now(world.loop), 0);
    world_close(&world);
}

/* ---- the real clock ---- */

static void test_real_timers(void **state)
{
    struct world world;
    struct letter a, b, c;
    (void)state;
    world_open(&world, qn_clock_real);
    letter_init(&a, world.loop, 'a');
    letter_init(&b, world.loop, 'b');
    letter_init(&c, world.loop, 'c');
    uint64_t began = qn_loop_now(world.loop);
    start(&a, 30);
    start(&b, 10);
    start(&c, 0);
    unsigned turns = 0;
    while (qn_loop_turn(world.loop, true)) turns++;
    assert_string_equal(fired, "cba");
    assert_true(qn_loop_now(world.loop) >= began + 30);
    assert_true(turns < 20); /* it slept */
    world_close(&world);
}

static void *wake_later(void *argument)
{
    usleep(20000);
    qn_loop_wake(argument);
    return NULL;
}

static void test_wake(void **state)
{
    struct world world;
    struct letter a;
    pthread_t thread;
    (void)state;
    world_open(&world, qn_clock_real);
    letter_init(&a, world.loop, 'a');
    start(&a, 3600000);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, world.loop), 0);
    assert_true(qn_loop_turn(world.loop, true)); /* not an hour */
    assert_string_equal(fired, "");
    pthread_join(thread, NULL);
    qn_timer_stop(&a.timer);
    assert_false(qn_loop_turn(world.loop, true));
    world_close(&world);
}

/* Whoever was woken runs before the clock moves, wherever the call came from. */
static void wake_too(struct letter *letter)
{
    qn_loop_wake(letter->loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    qn_loop_wake(prepare->data); /* as a callback of a real socket would */
    uv_prepare_stop(prepare);
}

static void test_wake_holds_the_clock(void **state)
{
    struct world world;
    struct letter a, b;
    uv_prepare_t prepare;
    (void)state;
    world_open(&world, virtual_clock);
    letter_init(&a, world.loop, 'a');
    letter_init(&b, world.loop, 'b');
    start(&a, 5);
    qn_loop_wake(world.loop); /* before the turn */
    assert_true(qn_loop_turn(world.loop, true));
    assert_int_equal(qn_loop_now(world.loop), 0);

    assert_int_equal(uv_prepare_init(qn_loop_uv(world.loop), &prepare), 0);
    prepare.data = world.loop;
    assert_int_equal(uv_prepare_start(&prepare, on_prepare), 0);
    assert_true(qn_loop_turn(world.loop, true)); /* within it */
    assert_int_equal(qn_loop_now(world.loop), 0);
    uv_close((uv_handle_t *)&prepare, NULL);

    b.also = wake_too; /* by a timer */
    start(&b, 0);
    assert_true(qn_loop_turn(world.loop, true));
    assert_string_equal(fired, "b");
    assert_int_equal(qn_loop_now(world.loop), 0);
    for (int turn = 0; turn < 3 && fired_count == 1; turn++) qn_loop_turn(world.loop, true); /* a wake is spent once */
    assert_string_equal(fired, "ba");
    assert_int_equal(qn_loop_now(world.loop), 5);
    world_close(&world);
}

/* ---- what is left ---- */

static void test_left(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_loop *loop = qn_loop_new(virtual_clock());
    struct letter a;
    uv_timer_t handle;
    letter_init(&a, loop, 'a');
    start(&a, 10);
    uv_timer_init(qn_loop_uv(loop), &handle);

    int saved = dup(2), text[2]; /* what it says */
    assert_true(saved >= 0 && pipe(text) == 0);
    dup2(text[1], 2);
    int left = qn_loop_free(loop);
    dup2(saved, 2);
    close(saved);
    close(text[1]);
    char said[512] = "";
    assert_true(read(text[0], said, sizeof said - 1) >= 0);
    close(text[0]);

    assert_int_equal(left, 2);
    assert_null(a.timer.loop); /* safe to stop, although the loop has gone */
    qn_timer_stop(&a.timer);
    assert_int_equal(qn_mem_blocks(), blocks);
#ifndef NDEBUG
    assert_non_null(strstr(said, "1 timer"));
    assert_non_null(strstr(said, "a timer handle"));
#endif
    assert_int_equal(qn_loop_free(NULL), 0);
}

static void close_next(uv_handle_t *handle)
{
    if (handle->data) uv_close(handle->data, close_next);
}

static void test_closing_is_not_left(void **state)
{
    (void)state;
    struct qn_loop *loop = qn_loop_new(virtual_clock());
    uv_timer_t chain[3];
    for (int i = 0; i < 3; i++) {
        uv_timer_init(qn_loop_uv(loop), &chain[i]);
        chain[i].data = i < 2 ? &chain[i + 1] : NULL;
    }
    uv_close((uv_handle_t *)&chain[0], close_next); /* its callback closes the next, and so on */
    assert_int_equal(qn_loop_free(loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_debt_holds_the_clock),
        cmocka_unit_test(test_debt_paid_before_the_turn),
        cmocka_unit_test(test_debt_without_waiting_virtual),
        cmocka_unit_test(test_debt_without_waiting_real),
        cmocka_unit_test(test_handle_alone),
        cmocka_unit_test(test_real_timers),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_wake_holds_the_clock),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_closing_is_not_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
