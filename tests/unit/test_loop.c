/* Clocks, timers, turns, and what the loop says is left. */
#include "net_world.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/rng.h"

#define WALL INT64_C(1709294400000)

static struct qn_clock *virtual_clock(void)
{
    return qn_clock_virtual(WALL);
}

/* A timer that writes its letter, and may do more. */
struct letter {
    struct qn_timer timer; /* first */
    char name;
    void (*also)(struct letter *);
    struct letter *other;
    struct qn_loop *loop;
};

static char fired[4096];
static size_t fired_count;

static void on_letter(struct qn_timer *timer)
{
    struct letter *letter = (struct letter *)timer;
    assert_null(timer->loop); /* not armed in its own callback */
    if (fired_count + 1 < sizeof fired) fired[fired_count++] = letter->name;
    fired[fired_count] = 0;
    if (letter->also) letter->also(letter);
}

static void letter_init(struct letter *letter, struct qn_loop *loop, char name)
{
    *letter = (struct letter){.name = name, .loop = loop};
    qn_timer_init(&letter->timer, on_letter);
    fired_count = 0;
    fired[0] = 0;
}

static void start(struct letter *letter, uint64_t after_ms)
{
    assert_int_equal(qn_timer_start(letter->loop, &letter->timer, after_ms), 0);
}

static void test_virtual_clock(void **state)
{
    (void)state;
    struct qn_clock *clock = virtual_clock();
    assert_true(qn_clock_is_virtual(clock));
    assert_int_equal(qn_clock_monotonic_ms(clock), 0);
    assert_int_equal(qn_clock_wall_ms(clock), WALL);
    qn_clock_advance_to(clock, 500);
    qn_clock_advance_to(clock, 400); /* never backwards */
    assert_int_equal(qn_clock_monotonic_ms(clock), 500);
    assert_int_equal(qn_clock_wall_ms(clock), WALL + 500);
    qn_clock_jump_wall(clock, -3600000);
    assert_int_equal(qn_clock_monotonic_ms(clock), 500); /* the calendar alone */
    assert_int_equal(qn_clock_wall_ms(clock), WALL + 500 - 3600000);
    qn_clock_free(clock);
    qn_clock_free(NULL);
}

static void test_real_clock(void **state)
{
    (void)state;
    struct qn_clock *clock = qn_clock_real();
    assert_false(qn_clock_is_virtual(clock));
    uint64_t before = qn_clock_monotonic_ms(clock);
    assert_true(qn_clock_wall_ms(clock) > INT64_C(1600000000000));
    qn_clock_advance_to(clock, before + 1000000);
    assert_true(qn_clock_monotonic_ms(clock) < before + 1000000);
    int64_t wall = qn_clock_wall_ms(clock);
    qn_clock_jump_wall(clock, 100000000);
    assert_true(qn_clock_wall_ms(clock) < wall + 100000000);
    usleep(3000);
    assert_true(qn_clock_monotonic_ms(clock) >= before + 2);
    qn_clock_free(clock);
    qn_mem_fail_after(1);
    assert_null(qn_clock_real());
    assert_null(qn_clock_virtual(0));
    qn_mem_fail_after(0);
}

static void test_order(void **state)
{
    struct world world;
    struct letter t[6];
    static const uint64_t after[] = {10, 5, 10, 0, 5, 10};
    (void)state;
    world_open(&world, virtual_clock);
    for (int i = 0; i < 6; i++) {
        letter_init(&t[i], world.loop, (char)('a' + i));
        start(&t[i], after[i]);
    }
    assert_true(qn_loop_turn(world.loop, true)); /* what is due; the clock stands */
    assert_string_equal(fired, "d");
    assert_int_equal(qn_loop_now(world.loop), 0);
    assert_true(qn_loop_turn(world.loop, false)); /* not asked to wait: it stands still */
    assert_string_equal(fired, "d");
    assert_true(qn_loop_turn(world.loop, true));
    assert_string_equal(fired, "dbe"); /* equal times: in the order they were set */
    assert_int_equal(qn_loop_now(world.loop), 5);
    assert_false(qn_loop_turn(world.loop, true));
    assert_string_equal(fired, "dbeacf");
    assert_int_equal(qn_clock_wall_ms(qn_loop_clock(world.loop)), WALL + 10);
    assert_false(qn_loop_turn(world.loop, true)); /* nothing is left: it does not sleep */
    assert_int_equal(qn_loop_now(world.loop), 10);
    world_close(&world);
}

static void stop_both(struct letter *letter)
{
    qn_timer_stop(&letter->timer);
    qn_timer_stop(&letter->other->timer);
}

static void again(struct letter *letter)
{
    if (fired_count < 5) start(letter, 0);
}

static void test_in_callback(void **state)
{
    struct world world;
    struct letter a, b, c;
    (void)state;
    world_open(&world, virtual_clock);
    letter_init(&a, world.loop, 'a');
    letter_init(&b, world.loop, 'b');
    letter_init(&c, world.loop, 'c');
    a.also = stop_both;
    a.other = &b;
    start(&a, 1);
    start(&b, 1);
    start(&c, 1);
    assert_false(qn_loop_turn(world.loop, true));
    assert_string_equal(fired, "ac"); /* b was due too, and stopped in time */

    letter_init(&a, world.loop, 'a');
    a.also = again; /* restarts itself: once a turn, so that a turn ends */
    start(&a, 0);
    for (size_t turn = 1; turn <= 5; turn++) {
        assert_true(qn_loop_turn(world.loop, true) == (turn < 5));
        assert_int_equal(fired_count, turn);
    }
    assert_int_equal(qn_loop_now(world.loop), 1);
    world_close(&world);
}

static void test_restart(void **state)
{
    struct world world;
    struct letter a, b;
    (void)state;
    world_open(&world, virtual_clock);
    letter_init(&a, world.loop, 'a');
    letter_init(&b, world.loop, 'b');
    qn_timer_stop(&a.timer); /* never started */
    start(&a, 5);
    start(&b, 5);
    start(&a, 5); /* set anew: behind b now */
    qn_loop_turn(world.loop, true);
    assert_string_equal(fired, "ba");
    start(&a, 5);
    start(&a, 50);
    qn_loop_turn(world.loop, true);
    assert_int_equal(qn_loop_now(world.loop), 55);
    start(&a, UINT64_MAX); /* for ever, not in the past */
    start(&b, 1);
    qn_loop_turn(world.loop, true);
    assert_string_equal(fired, "baab");
    qn_timer_stop(&a.timer);
    qn_timer_stop(&a.timer);
    assert_false(qn_loop_alive(world.loop));
    world_close(&world);
}

/* Many timers, started, restarted and stopped by lot, fire in order of time and then of setting. */
static uint64_t last_due, last_sequence, fired_many;

static void in_order(struct qn_timer *timer)
{
    assert_true(timer->due_ms > last_due || (timer->due_ms == last_due && timer->sequence > last_sequence));
    last_due = timer->due_ms;
    last_sequence = timer->sequence;
    fired_many++;
}

static void test_many(void **state)
{
    static struct qn_timer timers[500];
    struct world world;
    struct qn_rng rng;
    uint64_t armed = 0;
    (void)state;
    world_open(&world, virtual_clock);
    qn_rng_seed(&rng, 11);
    for (size_t i = 0; i < 500; i++) qn_timer_init(&timers[i], in_order);
    for (int i = 0; i < 5000; i++) {
        struct qn_timer *timer = &timers[qn_rng_below(&rng, 500)];
        if (qn_rng_below(&rng, 3) == 0)
            qn_timer_stop(timer);
        else
            assert_int_equal(qn_timer_start(world.loop, timer, 1 + qn_rng_below(&rng, 100)), 0);
    }
    for (size_t i = 0; i < 500; i++) armed += timers[i].loop != NULL;
    assert_true(armed > 200);
    last_due = last_sequence = fired_many = 0;
    while (qn_loop_turn(world.loop, true)) {}
    assert_int_equal(fired_many, armed);
    world_close(&world);
}

static void test_no_memory(void **state)
{
    struct world world;
    struct letter t[17];
    (void)state;
    world_open(&world, virtual_clock);
    for (int i = 0; i < 17; i++) letter_init(&t[i], world.loop, 'x');
    qn_mem_fail_after(1);
    assert_int_equal(qn_timer_start(world.loop, &t[0].timer, 1), QN_ENOMEM);
    qn_mem_fail_after(0);
    assert_null(t[0].timer.loop);
    assert_false(qn_loop_alive(world.loop));
    for (int i = 0; i < 16; i++) start(&t[i], 1);
    qn_mem_fail_after(1);
    assert_int_equal(qn_timer_start(world.loop, &t[16].timer, 1), QN_ENOMEM);
    start(&t[3], 2); /* one that is armed needs no memory */
    qn_mem_fail_after(0);
    while (qn_loop_turn(world.loop, true)) {}
    assert_int_equal(fired_count, 16);
    world_close(&world);

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
        cmocka_unit_test(test_virtual_clock),
        cmocka_unit_test(test_real_clock),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_in_callback),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_many),
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
