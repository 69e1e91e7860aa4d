/* The failure table, row by row; backoff, waits and bounds to the millisecond; the circuit. */
#include <stddef.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net/retry.h"

#define S   UINT64_C(1000)
#define MIN (60 * S)

static struct qn_attempt status(int code)
{
    return (struct qn_attempt){
        .outcome = QN_OUTCOME_STATUS, .status = code, .retry_after_ms = -1, .safe = true, .chance = 0.5};
}

static struct qn_attempt outcome(enum qn_outcome kind)
{
    return (struct qn_attempt){.outcome = kind, .retry_after_ms = -1, .safe = true, .chance = 0.5};
}

static struct qn_retry_policy policy(void)
{
    struct qn_retry_policy made;
    qn_retry_policy_init(&made);
    return made;
}

static struct qn_verdict first(struct qn_attempt attempt)
{
    struct qn_retry retry = {0};
    struct qn_retry_policy defaults = policy();
    qn_retry_begin(&retry, 5000);
    return qn_retry_decide(&retry, &defaults, &attempt, 5000);
}

static void test_defaults(void **state)
{
    (void)state;
    struct qn_retry_policy made = policy();
    assert_int_equal(made.base_ms, 1000);
    assert_int_equal(made.cap_ms, 60000);
    assert_int_equal(made.attempts, 6);
    assert_int_equal(made.elapsed_ms, 15 * MIN);
    assert_int_equal(made.max_wait_ms, 180000);
    assert_int_equal(made.unavailable_ms, 30000);
    assert_true(made.jitter);
}

static void test_first_answers(void **state)
{
    static const struct {
        int status;
        enum qn_action action;
        uint64_t wait_ms;
        int exit;
    } rows[] = {
        {204, QN_ACTION_WAIT, 500, 0},   {408, QN_ACTION_WAIT, 500, 0}, {425, QN_ACTION_WAIT, 500, 0},
        {500, QN_ACTION_WAIT, 500, 0},   {502, QN_ACTION_WAIT, 500, 0}, {504, QN_ACTION_WAIT, 500, 0},
        {507, QN_ACTION_WAIT, 500, 0},   {520, QN_ACTION_WAIT, 500, 0}, {429, QN_ACTION_WAIT, 500, 0},
        {503, QN_ACTION_WAIT, 30000, 0}, {401, QN_ACTION_AUTH, 0, 0},   {403, QN_ACTION_END, 0, 4},
        {400, QN_ACTION_END, 0, 5},      {413, QN_ACTION_SPLIT, 0, 0},  {404, QN_ACTION_FAIL, 0, 0},
        {405, QN_ACTION_FAIL, 0, 0},     {409, QN_ACTION_FAIL, 0, 0},   {410, QN_ACTION_FAIL, 0, 0},
        {415, QN_ACTION_FAIL, 0, 0},     {422, QN_ACTION_FAIL, 0, 0},   {451, QN_ACTION_FAIL, 0, 0},
        {501, QN_ACTION_FAIL, 0, 0},     {304, QN_ACTION_FAIL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct qn_verdict verdict = first(status(rows[i].status));
        if (verdict.action != rows[i].action) print_error("status %d\n", rows[i].status);
        assert_int_equal(verdict.action, rows[i].action);
        assert_int_equal(verdict.wait_ms, rows[i].wait_ms);
        assert_int_equal(verdict.exit, rows[i].exit);
        assert_int_equal(verdict.shared, rows[i].status == 429);
    }
}

static void test_other_outcomes(void **state)
{
    (void)state;
    assert_int_equal(first(outcome(QN_OUTCOME_NETWORK)).action, QN_ACTION_WAIT);
    assert_int_equal(first(outcome(QN_OUTCOME_BODY)).action, QN_ACTION_WAIT);
    assert_int_equal(first(outcome(QN_OUTCOME_TOO_LARGE)).action, QN_ACTION_SPLIT);
    assert_int_equal(first(outcome(QN_OUTCOME_TLS)).action, QN_ACTION_END);
    assert_int_equal(first(outcome(QN_OUTCOME_TLS)).exit, 1);
    assert_int_equal(first(outcome(QN_OUTCOME_DENIED)).action, QN_ACTION_END);
    assert_int_equal(first(outcome(QN_OUTCOME_DENIED)).exit, 1);
}

static void test_bad_requests_by_message(void **state)
{
    (void)state;
    struct qn_attempt attempt = status(400);
    attempt.about_size = true;
    assert_int_equal(first(attempt).action, QN_ACTION_SPLIT);
    attempt = status(400);
    attempt.about_cursor = true;
    assert_int_equal(first(attempt).action, QN_ACTION_RESTART);
}

/* Six attempts: waits of 1, 2, 4, 8, 16 s at most, then the end. */
static void test_backoff(void **state)
{
    (void)state;
    struct qn_retry_policy defaults = policy();
    for (int half = 0; half <= 1; half++) {
        struct qn_retry retry = {0};
        struct qn_attempt attempt = half ? status(502) : outcome(QN_OUTCOME_NETWORK);
        attempt.chance = half ? 0.5 : 0.999999;
        for (uint64_t bound = 1000; bound <= 16000; bound *= 2) {
            struct qn_verdict verdict = qn_retry_decide(&retry, &defaults, &attempt, 0);
            assert_int_equal(verdict.action, QN_ACTION_WAIT);
            assert_int_equal(verdict.wait_ms, half ? bound / 2 : bound - 1);
        }
        struct qn_verdict last = qn_retry_decide(&retry, &defaults, &attempt, 0);
        assert_int_equal(last.action, QN_ACTION_FAIL);
        assert_string_equal(last.why, "all attempts are used up");
    }
}

static void test_backoff_has_a_cap_and_a_floor_of_nothing(void **state)
{
    (void)state;
    struct qn_retry_policy many = policy();
    struct qn_retry retry = {0};
    struct qn_attempt attempt = status(500);
    many.attempts = 100;
    many.jitter = false;
    for (int i = 0; i < 8; i++) (void)qn_retry_decide(&retry, &many, &attempt, 0);
    assert_int_equal(qn_retry_decide(&retry, &many, &attempt, 0).wait_ms, 60000);
    attempt.chance = 0;
    many.jitter = true;
    assert_int_equal(qn_retry_decide(&retry, &many, &attempt, 0).wait_ms, 0);
}

/* What would end after 15 minutes is not begun. */
static void test_time_for_one_request(void **state)
{
    (void)state;
    struct qn_retry_policy many = policy();
    struct qn_retry retry = {0};
    struct qn_attempt attempt = status(500);
    many.attempts = 100;
    many.jitter = false;
    qn_retry_begin(&retry, 1000);
    qn_retry_begin(&retry, 999999); /* the first counts */
    assert_int_equal(qn_retry_decide(&retry, &many, &attempt, 1000 + 15 * MIN - 1000).action, QN_ACTION_WAIT);
    struct qn_verdict late = qn_retry_decide(&retry, &many, &attempt, 1000 + 15 * MIN - 1000);
    assert_int_equal(late.action, QN_ACTION_FAIL);
    assert_string_equal(late.why, "the time for one request is used up");
}

static void test_throttled_uses_time_never_attempts(void **state)
{
    (void)state;
    struct qn_retry_policy defaults = policy();
    struct qn_retry retry = {0};
    struct qn_attempt attempt = status(429);
    attempt.retry_after_ms = 10000;
    uint64_t now = 0;
    int waits = 0;
    struct qn_verdict verdict;
    while ((verdict = qn_retry_decide(&retry, &defaults, &attempt, now)).action == QN_ACTION_WAIT) {
        assert_int_equal(verdict.wait_ms, 10000);
        assert_true(verdict.shared);
        now += verdict.wait_ms;
        waits++;
    }
    assert_int_equal(waits, 90);
    assert_int_equal(now, 15 * MIN);
    assert_int_equal(verdict.action, QN_ACTION_DEFER);
    assert_int_equal(retry.attempts, 0);
}

static void test_retry_after_beats_the_cap_and_defers_above_max_wait(void **state)
{
    (void)state;
    struct qn_attempt attempt = status(429);
    attempt.retry_after_ms = 179000;
    assert_int_equal(first(attempt).wait_ms, 179000);
    attempt.retry_after_ms = 180000;
    assert_int_equal(first(attempt).action, QN_ACTION_WAIT);
    attempt.retry_after_ms = 180001;
    assert_int_equal(first(attempt).action, QN_ACTION_DEFER);
    assert_string_equal(first(attempt).why, "it asks for a longer wait than max_wait");
}

/* Nonsense backs off, growing; "0" is obeyed once. */
static void test_throttled_without_advice(void **state)
{
    (void)state;
    struct qn_retry_policy plain = policy();
    struct qn_retry retry = {0}, zero = {0};
    struct qn_attempt attempt = status(429);
    plain.jitter = false;
    for (uint64_t wait = 1000; wait <= 32000; wait *= 2) {
        struct qn_verdict verdict = qn_retry_decide(&retry, &plain, &attempt, 0);
        assert_int_equal(verdict.wait_ms, wait);
        assert_true(verdict.shared);
    }
    assert_int_equal(qn_retry_decide(&retry, &plain, &attempt, 0).wait_ms, 60000);
    attempt.retry_after_ms = 0;
    assert_int_equal(qn_retry_decide(&zero, &plain, &attempt, 0).wait_ms, 0);
    assert_int_equal(qn_retry_decide(&zero, &plain, &attempt, 0).wait_ms, 2000);
}

static void test_unavailable(void **state)
{
    (void)state;
    struct qn_attempt attempt = status(503);
    attempt.retry_after_ms = 10000;
    assert_int_equal(first(attempt).wait_ms, 30000);
    assert_false(first(attempt).shared);
    attempt.retry_after_ms = 45000;
    assert_int_equal(first(attempt).wait_ms, 45000);
    attempt.retry_after_ms = 200000; /* max_wait is for 429; the circuit bounds this one */
    assert_int_equal(first(attempt).wait_ms, 200000);
    attempt.retry_after_ms = 3600000;
    assert_int_equal(first(attempt).action, QN_ACTION_DEFER);
    struct qn_retry_policy defaults = policy();
    struct qn_retry retry = {0};
    attempt = status(503);
    for (int i = 0; i < 20; i++)
        assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).action, QN_ACTION_WAIT);
}

static void test_gateway_timeouts_split(void **state)
{
    (void)state;
    struct qn_retry_policy defaults = policy();
    struct qn_retry retry = {0};
    struct qn_attempt attempt = status(504);
    assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).wait_ms, 500);
    assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).wait_ms, 1000);
    assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).action, QN_ACTION_SPLIT);
}

static void test_third_unauthorized_ends(void **state)
{
    (void)state;
    struct qn_retry_policy defaults = policy();
    struct qn_retry retry = {0};
    struct qn_attempt attempt = status(401), stale = status(401);
    stale.stale_token = true;
    assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).action, QN_ACTION_AUTH);
    for (int i = 0; i < 5; i++) /* another request's 401 had dropped the token */
        assert_int_equal(qn_retry_decide(&retry, &defaults, &stale, 0).action, QN_ACTION_AUTH);
    assert_int_equal(qn_retry_decide(&retry, &defaults, &attempt, 0).action, QN_ACTION_AUTH);
    struct qn_verdict third = qn_retry_decide(&retry, &defaults, &attempt, 0);
    assert_int_equal(third.action, QN_ACTION_END);
    assert_int_equal(third.exit, 4);
}

/* What must not be repeated is repeated only if it surely never arrived, or was refused. */
static void test_unsafe(void **state)
{
    static const int statuses[] = {500, 502, 504, 520}, refusals[] = {408, 425, 429, 503};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct qn_attempt attempt = status(statuses[i]);
        attempt.safe = false;
        assert_int_equal(first(attempt).action, QN_ACTION_FAIL);
        assert_string_equal(first(attempt).why, "it must not be sent twice");
    }
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct qn_attempt refused = status(refusals[i]);
        refused.safe = false;
        assert_int_equal(first(refused).action, QN_ACTION_WAIT);
    }
    struct qn_attempt attempt = status(401);
    attempt.safe = false;
    assert_int_equal(first(attempt).action, QN_ACTION_AUTH);
    attempt = outcome(QN_OUTCOME_NETWORK);
    attempt.safe = false;
    assert_int_equal(first(attempt).action, QN_ACTION_FAIL);
    attempt.never_sent = true;
    assert_int_equal(first(attempt).action, QN_ACTION_WAIT);
    attempt = status(403);
    attempt.safe = false;
    assert_int_equal(first(attempt).action, QN_ACTION_END);
}

static bool size_of(const char *text)
{
    return qn_retry_about_size(text, strlen(text));
}

static void test_messages_about_size(void **state)
{
    static const char *const yes[] = {"The result is too large",
                                      "the date range exceeds 31 days",
                                      "Interval too long: P90D",
                                      "RESULT SET TOO BIG",
                                      "Result window is too large, from + size must be less than 10000",
                                      "too many results",
                                      "the requested period is too wide",
                                      "Query interval is longer than the maximum of 31 days"};
    static const char *const no[] = {"",
                                     "result",
                                     "too large",
                                     "page size too large for this range",
                                     "pageSize exceeds the maximum of 1000 results",
                                     "the interval is malformed",
                                     "invalid range: from is after to",
                                     "unknown metric 'tTalk'"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) assert_true(size_of(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_false(size_of(no[i]));
}

static void test_messages_about_cursors(void **state)
{
    (void)state;
    assert_true(qn_retry_about_cursor("The cursor has expired", 22));
    assert_true(qn_retry_about_cursor("invalid pageToken", 17));
    assert_false(qn_retry_about_cursor("the token has expired", 21));
    assert_false(qn_retry_about_cursor("cursor", 6));
}

static void test_circuit(void **state)
{
    (void)state;
    struct qn_breaker breaker = {.open_after_ms = 5 * MIN};
    assert_false(qn_breaker_open(&breaker, 0));
    assert_true(qn_breaker_left(&breaker, 0) == UINT64_MAX);
    qn_breaker_note(&breaker, true, 1000);
    assert_int_equal(qn_breaker_left(&breaker, 1000), 5 * MIN);
    qn_breaker_note(&breaker, true, 2 * MIN);
    assert_int_equal(qn_breaker_left(&breaker, 2 * MIN), 3 * MIN + 1000);
    qn_breaker_note(&breaker, false, 3 * MIN); /* anything else begins anew */
    assert_false(qn_breaker_open(&breaker, 100 * MIN));
    qn_breaker_note(&breaker, true, 200 * MIN);
    assert_false(qn_breaker_open(&breaker, 205 * MIN - 1));
    assert_true(qn_breaker_open(&breaker, 205 * MIN));
    qn_breaker_note(&breaker, false, 206 * MIN); /* for good */
    assert_true(qn_breaker_open(&breaker, 206 * MIN));
    assert_int_equal(qn_breaker_left(&breaker, 206 * MIN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_first_answers),
        cmocka_unit_test(test_other_outcomes),
        cmocka_unit_test(test_bad_requests_by_message),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_backoff_has_a_cap_and_a_floor_of_nothing),
        cmocka_unit_test(test_time_for_one_request),
        cmocka_unit_test(test_throttled_uses_time_never_attempts),
        cmocka_unit_test(test_retry_after_beats_the_cap_and_defers_above_max_wait),
        cmocka_unit_test(test_throttled_without_advice),
        cmocka_unit_test(test_unavailable),
        cmocka_unit_test(test_gateway_timeouts_split),
        cmocka_unit_test(test_third_unauthorized_ends),
        cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_messages_about_size),
        cmocka_unit_test(test_messages_about_cursors),
        cmocka_unit_test(test_circuit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
