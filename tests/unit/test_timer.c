/* Timers fire in order, once, and may be stopped or set anew at any moment. */
#include "letter.h"

#include "base/err.h"
#include "base/rng.h"

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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_in_callback), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_many),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
