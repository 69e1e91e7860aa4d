/* Pending operations: complete once, cancel any time, wait in turn. */
#include "base_world.h"

#include "engine/op.h"

struct counted {
    struct qn_op op; /* first */
    int cancels;
};

static void on_cancel(struct qn_op *op)
{
    ((struct counted *)op)->cancels++;
}

static struct counted make(void)
{
    struct counted c = {.cancels = 0};
    qn_op_init(&c.op, on_cancel);
    return c;
}

static void test_complete(void **state)
{
    struct qn_sched sched;
    struct qn_waiter waiter;
    struct counted c = make();
    (void)state;
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_op_complete(&c.op); /* not begun: nothing */
    assert_int_equal(c.op.state, QN_OP_IDLE);
    qn_op_begin(&c.op);
    qn_op_wait(&c.op, &waiter);
    assert_false(qn_sched_has_ready(&sched));
    assert_ptr_equal(waiter.op, &c.op);
    qn_op_complete(&c.op);
    qn_op_complete(&c.op);
    assert_int_equal(c.op.state, QN_OP_DONE);
    assert_null(waiter.op);
    assert_int_equal(sched.count, 1);
    assert_ptr_equal(qn_sched_next(&sched), &waiter);
    assert_null(qn_sched_next(&sched));
    qn_op_cancel(&c.op); /* too late: nothing */
    assert_int_equal(c.op.state, QN_OP_DONE);
    assert_int_equal(c.cancels, 0);
    qn_op_begin(&c.op); /* again */
    assert_int_equal(c.op.state, QN_OP_PENDING);
    qn_op_complete(&c.op); /* nobody waits */
    assert_false(qn_sched_has_ready(&sched));
}

static void test_cancel(void **state)
{
    struct qn_sched sched;
    struct qn_waiter waiter;
    struct counted c = make();
    (void)state;
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_op_cancel(&c.op); /* not begun */
    assert_int_equal(c.op.state, QN_OP_IDLE);
    qn_op_begin(&c.op);
    qn_op_wait(&c.op, &waiter);
    qn_op_cancel(&c.op);
    qn_op_cancel(&c.op);
    assert_int_equal(c.cancels, 1);
    assert_int_equal(c.op.state, QN_OP_CANCELED);
    assert_null(waiter.op);
    qn_op_complete(&c.op); /* the work ended all the same: nobody is told */
    assert_int_equal(c.op.state, QN_OP_CANCELED);
    assert_false(qn_sched_has_ready(&sched));

    qn_op_begin(&c.op); /* cancelled after completion, before the waiter ran: it stays listed */
    qn_op_wait(&c.op, &waiter);
    qn_op_complete(&c.op);
    qn_op_cancel(&c.op);
    assert_ptr_equal(qn_sched_next(&sched), &waiter);
    assert_int_equal(c.cancels, 1);

    struct qn_op bare;
    qn_op_init(&bare, NULL);
    qn_op_begin(&bare);
    qn_op_cancel(&bare);
    assert_int_equal(bare.state, QN_OP_CANCELED);
}

static void test_wait_on_done(void **state)
{
    struct qn_sched sched;
    struct qn_waiter waiter;
    struct counted c = make();
    (void)state;
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_op_begin(&c.op);
    qn_op_complete(&c.op);
    qn_op_wait(&c.op, &waiter);
    qn_op_wait(&c.op, &waiter); /* listed once */
    assert_int_equal(sched.count, 1);
    assert_ptr_equal(qn_sched_next(&sched), &waiter);
    assert_null(waiter.op);
    qn_op_begin(&c.op);
    qn_op_cancel(&c.op);
    qn_op_wait(&c.op, &waiter); /* nothing will come: it must not sleep for ever */
    assert_ptr_equal(qn_sched_next(&sched), &waiter);
}

static void test_order(void **state)
{
    struct qn_sched sched;
    struct qn_waiter w[4];
    (void)state;
    qn_sched_init(&sched);
    for (int i = 0; i < 4; i++) {
        qn_waiter_init(&w[i], &sched);
        qn_sched_ready(&w[i]);
    }
    qn_sched_ready(&w[0]); /* keeps its place */
    qn_sched_forget(&w[2]);
    qn_sched_forget(&w[2]);
    assert_int_equal(sched.count, 3);
    assert_ptr_equal(qn_sched_next(&sched), &w[0]);
    qn_sched_ready(&w[0]); /* taken, so listed anew */
    assert_ptr_equal(qn_sched_next(&sched), &w[1]);
    qn_sched_forget(&w[3]); /* the first of those left */
    assert_ptr_equal(qn_sched_next(&sched), &w[0]);
    assert_true(!sched.first && !sched.last && !sched.count);
}

static void test_forget(void **state)
{
    struct qn_sched sched;
    struct qn_waiter waiter;
    struct counted c = make();
    (void)state;
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_op_begin(&c.op);
    qn_op_wait(&c.op, &waiter);
    qn_sched_forget(&waiter);
    assert_true(!waiter.op && !c.op.waiter);
    assert_int_equal(c.op.state, QN_OP_PENDING); /* not cancelled */
    qn_op_complete(&c.op);
    assert_false(qn_sched_has_ready(&sched));
    assert_int_equal(c.cancels, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete), cmocka_unit_test(test_cancel), cmocka_unit_test(test_wait_on_done),
        cmocka_unit_test(test_order),    cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
