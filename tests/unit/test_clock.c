/* What time it is: real, or virtual. */
#include "letter.h"

#include <unistd.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtual_clock),
        cmocka_unit_test(test_real_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
