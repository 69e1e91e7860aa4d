/* The transport of the tests itself: instants, limits, cancelling, nothing left. */
#include "net_world.h"

#include "net/header.h"
#include "net/sim.h"

static struct qn_clock *virtual_clock(void)
{
    return qn_clock_virtual(0);
}

struct script {
    struct qn_sim_answer answer;
    int rc;
};

static int serve(void *user, const struct qn_request *request, struct qn_sim_answer *answer)
{
    struct script *script = user;
    (void)request;
    *answer = script->answer;
    return script->rc;
}

struct fixture {
    struct world world;
    struct script script;
    struct qn_transport *transport;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    world_open(&f->world, virtual_clock);
    assert_int_equal(qn_sim_new(f->world.loop, serve, &f->script, &f->transport, NULL), 0);
}

static void close_fixture(struct fixture *f)
{
    qn_transport_free(f->transport);
    world_close(&f->world);
}

static const struct qn_request plain = {.method = "GET", .url = "https://h/x"};

static void test_answer_after(void **state)
{
    struct fixture f;
    struct qn_exchange *exchange;
    const struct qn_header header = {"Retry-After", "5", NULL};
    size_t count;
    (void)state;
    open_fixture(&f);
    f.script.answer = (struct qn_sim_answer){
        .after_ms = 1234, .status = 429, .headers = &header, .header_count = 1, .body = "{}", .body_size = 2};
    assert_int_equal(qn_transport_start(f.transport, &plain, &exchange, NULL), 0);
    assert_int_equal(exchange->op.state, QN_OP_PENDING);
    world_wait(&f.world, &exchange->op);
    assert_int_equal(qn_loop_now(f.world.loop), 1234);
    assert_int_equal(exchange->result.kind, QN_RESULT_ANSWER);
    assert_int_equal(exchange->result.status, 429);
    assert_int_equal(exchange->result.elapsed_ms, 1234);
    assert_string_equal(qn_header_find(exchange->result.headers, exchange->result.header_count, "retry-after"), "5");
    assert_memory_equal(qn_bytes_data(exchange->result.body), "{}", 2);
    qn_exchange_free(exchange);
    const struct qn_sim_note *notes = qn_sim_notes(f.transport, &count);
    assert_int_equal(count, 1);
    assert_int_equal(notes[0].at_ms, 0);
    assert_string_equal(notes[0].method, "GET");
    assert_string_equal(notes[0].url, "https://h/x");
    close_fixture(&f);
}

static void expect_kind(struct fixture *f, const struct qn_request *request, enum qn_result_kind kind, uint64_t after)
{
    struct qn_exchange *exchange;
    uint64_t start = qn_loop_now(f->world.loop);
    assert_int_equal(qn_transport_start(f->transport, request, &exchange, NULL), 0);
    world_wait(&f->world, &exchange->op);
    assert_int_equal(exchange->result.kind, kind);
    assert_int_equal(qn_loop_now(f->world.loop) - start, after);
    assert_true(kind == QN_RESULT_ANSWER || exchange->result.message[0]);
    qn_exchange_free(exchange);
}

static void test_limits(void **state)
{
    struct fixture f;
    struct qn_request request = plain;
    (void)state;
    open_fixture(&f);
    f.script.answer.after_ms = 60001;
    expect_kind(&f, &request, QN_RESULT_TIMEOUT, 60000);
    request.idle_ms = 100;
    expect_kind(&f, &request, QN_RESULT_TIMEOUT, 100);
    request.idle_ms = 100000;
    request.total_ms = 200;
    expect_kind(&f, &request, QN_RESULT_TIMEOUT, 200);
    f.script.answer = (struct qn_sim_answer){.body = "abc", .body_size = 3};
    request.max_body_bytes = 3;
    expect_kind(&f, &request, QN_RESULT_ANSWER, 0);
    request.max_body_bytes = 2;
    expect_kind(&f, &request, QN_RESULT_TOO_LARGE, 0);
    f.script.answer = (struct qn_sim_answer){.after_ms = 7, .kind = QN_RESULT_RESET, .message = "gone"};
    expect_kind(&f, &request, QN_RESULT_RESET, 7);
    close_fixture(&f);
}

static void test_cancel_and_refuse(void **state)
{
    struct fixture f;
    struct qn_exchange *a, *b;
    struct qn_err err;
    (void)state;
    open_fixture(&f);
    f.script.answer.after_ms = 10;
    assert_int_equal(qn_transport_start(f.transport, &plain, &a, NULL), 0);
    assert_int_equal(qn_transport_start(f.transport, &plain, &b, NULL), 0);
    qn_op_cancel(&a->op);
    assert_int_equal(a->op.state, QN_OP_CANCELED);
    world_wait(&f.world, &b->op);
    assert_int_equal(a->op.state, QN_OP_CANCELED);
    qn_exchange_free(a);
    qn_exchange_free(b);
    assert_int_equal(qn_transport_start(f.transport, &plain, &a, NULL), 0);
    qn_exchange_free(a); /* pending */
    f.script.rc = QN_EINVAL;
    assert_int_equal(qn_transport_start(f.transport, &plain, &a, &err), QN_EINVAL);
    close_fixture(&f);
}

static void test_no_memory(void **state)
{
    struct fixture f;
    const struct qn_header header = {"A", "b", NULL};
    bool passed = false;
    (void)state;
    open_fixture(&f);
    f.script.answer = (struct qn_sim_answer){.headers = &header, .header_count = 1};
    for (uint64_t n = 1; n < 100 && !passed; n++) {
        struct qn_exchange *exchange = NULL;
        size_t blocks = qn_mem_blocks();
        qn_mem_fail_after(n);
        int rc = qn_transport_start(f.transport, &plain, &exchange, NULL);
        qn_mem_fail_after(0);
        passed = rc == 0;
        assert_true(passed || (rc == QN_ENOMEM && qn_mem_blocks() <= blocks + 3)); /* the note may stay */
        qn_exchange_free(exchange);
    }
    assert_true(passed);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_after),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cancel_and_refuse),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
