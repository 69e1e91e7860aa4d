/* The gate: first come first served, at once, in a window, apart, and held. */
#include <stddef.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "net/limit.h"

static struct qn_limit *make(struct qn_limit_options options)
{
    struct qn_limit *limit = NULL;
    assert_int_equal(qn_limit_new(&options, &limit, NULL), 0);
    return limit;
}

static void enter(struct qn_limit *limit, struct qn_ticket *tickets, size_t count)
{
    for (size_t i = 0; i < count; i++) qn_limit_enter(limit, &tickets[i]);
}

static void leave(struct qn_ticket *tickets, size_t count)
{
    for (size_t i = 0; i < count; i++) qn_limit_leave(&tickets[i]);
}

static void test_concurrency_is_first_come_first_served(void **state)
{
    (void)state;
    struct qn_limit *limit = make((struct qn_limit_options){.concurrency = 2});
    struct qn_ticket t[4] = {0};
    enter(limit, t, 4);
    assert_true(qn_limit_ask(&t[1], 0) == QN_LIMIT_WAIT); /* not before the first */
    assert_int_equal(qn_limit_ask(&t[0], 0), 0);
    assert_int_equal(qn_limit_ask(&t[1], 0), 0);
    assert_true(qn_limit_ask(&t[2], 0) == QN_LIMIT_WAIT);
    qn_limit_leave(&t[0]);
    assert_true(qn_limit_ask(&t[3], 0) == QN_LIMIT_WAIT);
    assert_int_equal(qn_limit_ask(&t[2], 0), 0);
    leave(t, 4);
    qn_limit_free(limit);
}

static void test_who_goes_away_holds_nobody_up(void **state)
{
    (void)state;
    struct qn_limit *limit = make((struct qn_limit_options){.concurrency = 1});
    struct qn_ticket t[5] = {0};
    enter(limit, t, 5);
    assert_int_equal(qn_limit_ask(&t[0], 0), 0);
    qn_limit_leave(&t[1]); /* the head of the queue */
    qn_limit_leave(&t[3]); /* its middle */
    qn_limit_leave(&t[4]); /* its end */
    qn_limit_leave(&t[0]);
    qn_limit_leave(&t[0]); /* twice is fine */
    assert_int_equal(qn_limit_ask(&t[2], 0), 0);
    qn_limit_leave(&t[2]);
    qn_limit_enter(limit, &t[0]);
    assert_int_equal(qn_limit_ask(&t[0], 0), 0);
    leave(t, 5);
    qn_limit_free(limit);
}

/* Never more than 3 starts in any 1000 ms, wherever the window is laid. */
static void test_rate_holds_in_every_window(void **state)
{
    (void)state;
    struct qn_limit *limit = make((struct qn_limit_options){.count = 3, .window_ms = 1000});
    uint64_t starts[12], now = 500;
    for (int i = 0; i < 12; i++) {
        struct qn_ticket t = {0};
        qn_limit_enter(limit, &t);
        uint64_t wait = qn_limit_ask(&t, now);
        if (wait) {
            assert_int_equal(qn_limit_ask(&t, now + wait - 1), 1);
            now += wait;
            assert_int_equal(qn_limit_ask(&t, now), 0);
        }
        starts[i] = now;
        now += 10;
        qn_limit_leave(&t);
    }
    assert_int_equal(starts[0], 500);
    assert_int_equal(starts[2], 520);
    assert_int_equal(starts[3], 1500);
    assert_int_equal(starts[5], 1520);
    assert_int_equal(starts[11], 3520);
    for (int i = 3; i < 12; i++) assert_true(starts[i] - starts[i - 3] >= 1000);
    qn_limit_free(limit);
}

static void test_pace(void **state)
{
    (void)state;
    struct qn_limit *limit = make((struct qn_limit_options){.pace_ms = 500});
    struct qn_ticket t[3] = {0};
    enter(limit, t, 3);
    assert_int_equal(qn_limit_ask(&t[0], 0), 0);
    assert_true(qn_limit_ask(&t[2], 0) == QN_LIMIT_WAIT); /* only the head is told a time */
    assert_int_equal(qn_limit_ask(&t[1], 100), 400);
    assert_int_equal(qn_limit_ask(&t[1], 500), 0);
    assert_int_equal(qn_limit_ask(&t[2], 2000), 0);
    leave(t, 3);
    qn_limit_free(limit);
}

static void test_hold(void **state)
{
    (void)state;
    struct qn_limit *limit = make((struct qn_limit_options){.concurrency = 8});
    struct qn_ticket t[2] = {0};
    enter(limit, t, 2);
    qn_limit_hold(limit, 12000);
    qn_limit_hold(limit, 3000); /* does not shorten it */
    assert_int_equal(qn_limit_ask(&t[0], 2000), 10000);
    assert_int_equal(qn_limit_ask(&t[0], 11999), 1);
    qn_limit_hold(limit, 20000);
    assert_int_equal(qn_limit_ask(&t[0], 12000), 8000);
    assert_int_equal(qn_limit_ask(&t[0], 20000), 0);
    assert_int_equal(qn_limit_ask(&t[1], 20000), 0);
    leave(t, 2);
    qn_limit_free(limit);
}

static void test_least_time(void **state)
{
    (void)state;
    struct qn_limit_options rate = {.count = 300, .window_ms = 60000}, pace = {.pace_ms = 500},
                            none = {.concurrency = 8};
    assert_int_equal(qn_limit_least_ms(&rate, 0), 0);
    assert_int_equal(qn_limit_least_ms(&rate, 300), 0);
    assert_int_equal(qn_limit_least_ms(&rate, 301), 60000);
    assert_int_equal(qn_limit_least_ms(&pace, 10), 4500);
    assert_int_equal(qn_limit_least_ms(&none, 1000), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    struct qn_limit *limit = NULL;
    struct qn_err err = {.text = ""};
    struct qn_limit_options many = {.count = 100001, .window_ms = 1000}, few = {.count = 1, .window_ms = 1000};
    assert_int_equal(qn_limit_new(&many, &limit, &err), QN_EINVAL);
    assert_null(limit);
    qn_mem_fail_after(1);
    assert_int_equal(qn_limit_new(&few, &limit, &err), QN_ENOMEM);
    qn_mem_fail_after(0);
    assert_null(limit);
    qn_limit_free(NULL);
    assert_int_equal(qn_mem_blocks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrency_is_first_come_first_served),
        cmocka_unit_test(test_who_goes_away_holds_nobody_up),
        cmocka_unit_test(test_rate_holds_in_every_window),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_least_time),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
