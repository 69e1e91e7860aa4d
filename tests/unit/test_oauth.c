/* One token: who fetches, when it is renewed, and what a 401 means, to the millisecond. */
#include <stddef.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/oauth.h"

#define NEVER QN_OAUTH_UNSAID

static void test_one_fetches_the_others_wait(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    assert_int_equal(qn_oauth_ask(&oauth, 0), QN_OAUTH_FETCH);
    assert_int_equal(qn_oauth_ask(&oauth, 0), QN_OAUTH_WAIT);
    assert_int_equal(qn_oauth_ask(&oauth, 5), QN_OAUTH_WAIT);
    qn_oauth_fetched(&oauth, 3600, 0);
    assert_int_equal(oauth.generation, 1);
    assert_int_equal(qn_oauth_ask(&oauth, 10), QN_OAUTH_HAVE);
}

static void test_a_failed_fetch_lets_another_try(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    assert_int_equal(qn_oauth_ask(&oauth, 0), QN_OAUTH_FETCH);
    qn_oauth_failed(&oauth);
    assert_int_equal(oauth.generation, 0);
    assert_int_equal(qn_oauth_ask(&oauth, 0), QN_OAUTH_FETCH);
}

/* When a token of this life, asked for at 1000, is renewed, and when it is no longer used at all. */
static void test_lives(void **state)
{
    static const struct {
        int64_t expires_in_s;
        uint64_t renew_at_ms, expires_at_ms;
    } rows[] = {
        {3600, 1000 + 3540000, 1000 + 3600000}, /* a tenth is 6 min: 60 s wins */
        {300, 1000 + 270000, 1000 + 300000},    /* a tenth is 30 s */
        {600, 1000 + 540000, 1000 + 600000},
        {10, 1000 + 9000, 1000 + 10000},
        {1, 1000 + 900, 1000 + 1000},
        {0, 1000, 1000},
        {-5, 1000, 1000},
        {NEVER, 1000 + 3540000, 1000 + 3600000},
        {48 * 3600, UINT64_C(1000) + 48 * 3600000 - 60000, UINT64_C(1000) + 48 * 3600000},
        {INT64_MAX, UINT64_C(1000) + 48 * 3600000 - 60000, UINT64_C(1000) + 48 * 3600000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct qn_oauth oauth = {0};
        (void)qn_oauth_ask(&oauth, 1000);
        qn_oauth_fetched(&oauth, rows[i].expires_in_s, 1000);
        assert_int_equal(oauth.renew_at_ms, rows[i].renew_at_ms);
        assert_int_equal(oauth.expires_at_ms, rows[i].expires_at_ms);
        if (rows[i].renew_at_ms > 1000) assert_int_equal(qn_oauth_ask(&oauth, rows[i].renew_at_ms - 1), QN_OAUTH_HAVE);
        assert_int_equal(qn_oauth_ask(&oauth, rows[i].renew_at_ms), QN_OAUTH_FETCH);
    }
}

/* While one renews, the others use what is still good. */
static void test_the_old_token_lasts_while_the_new_one_comes(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    (void)qn_oauth_ask(&oauth, 0);
    qn_oauth_fetched(&oauth, 100, 0);
    assert_int_equal(qn_oauth_ask(&oauth, 90000), QN_OAUTH_FETCH);
    assert_int_equal(qn_oauth_ask(&oauth, 99999), QN_OAUTH_HAVE);
    assert_int_equal(qn_oauth_ask(&oauth, 100000), QN_OAUTH_WAIT);
    qn_oauth_failed(&oauth);
    assert_int_equal(qn_oauth_ask(&oauth, 100000), QN_OAUTH_FETCH);
}

static void fetch(struct qn_oauth *oauth, uint64_t now_ms)
{
    assert_int_equal(qn_oauth_ask(oauth, now_ms), QN_OAUTH_FETCH);
    qn_oauth_fetched(oauth, 3600, now_ms);
}

static void test_a_refusal_of_an_older_generation_replays(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    fetch(&oauth, 0);
    qn_oauth_accepted(&oauth, 1);
    assert_int_equal(qn_oauth_refused(&oauth, 1), QN_OAUTH_REPLAY); /* drops it */
    assert_int_equal(qn_oauth_refused(&oauth, 1), QN_OAUTH_REPLAY); /* the same news from another request */
    fetch(&oauth, 0);
    assert_int_equal(oauth.generation, 2);
    assert_int_equal(qn_oauth_refused(&oauth, 1), QN_OAUTH_REPLAY); /* late news */
    assert_int_equal(qn_oauth_ask(&oauth, 1), QN_OAUTH_HAVE);
}

static void test_a_replacement_refused_before_it_was_accepted_ends(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    fetch(&oauth, 0);
    assert_int_equal(qn_oauth_refused(&oauth, 1), QN_OAUTH_REPLAY); /* the first may have been revoked meanwhile */
    fetch(&oauth, 0);
    assert_int_equal(qn_oauth_refused(&oauth, 2), QN_OAUTH_DENIED);
}

static void test_acceptance_clears_the_record(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    for (uint64_t generation = 1; generation <= 5; generation++) {
        fetch(&oauth, 0);
        qn_oauth_accepted(&oauth, generation - 1); /* an older one says nothing about this */
        qn_oauth_accepted(&oauth, generation);
        assert_int_equal(qn_oauth_refused(&oauth, generation), QN_OAUTH_REPLAY);
    }
    fetch(&oauth, 0);
    qn_oauth_accepted(&oauth, 5);
    for (uint64_t generation = 6; generation <= 7; generation++) { /* the credentials are known to be good */
        assert_int_equal(qn_oauth_refused(&oauth, generation), QN_OAUTH_REPLAY);
        fetch(&oauth, 0);
    }
    assert_int_equal(qn_oauth_refused(&oauth, 8), QN_OAUTH_DENIED);
}

/* Two requests with one token: the refusal of one arrives before the acceptance of the other. */
static void test_a_late_acceptance_counts(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    fetch(&oauth, 0);
    qn_oauth_accepted(&oauth, 1);
    for (uint64_t generation = 1; generation <= 6; generation++) {
        assert_true(qn_oauth_holds(&oauth, generation));
        assert_int_equal(qn_oauth_refused(&oauth, generation), QN_OAUTH_REPLAY);
        assert_false(qn_oauth_holds(&oauth, generation));
        fetch(&oauth, 0);
        qn_oauth_accepted(&oauth, generation);
    }
}

/* A token that was renewed because it was old is not a replacement of a refused one. */
static void test_a_renewed_token_gets_its_own_chance(void **state)
{
    (void)state;
    struct qn_oauth oauth = {0};
    fetch(&oauth, 0);
    qn_oauth_accepted(&oauth, 1);
    fetch(&oauth, 3600000);
    for (uint64_t generation = 2; generation <= 4; generation++) {
        assert_int_equal(qn_oauth_refused(&oauth, generation), QN_OAUTH_REPLAY);
        fetch(&oauth, 3600000);
    }
    assert_int_equal(qn_oauth_refused(&oauth, 5), QN_OAUTH_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_fetches_the_others_wait),
        cmocka_unit_test(test_a_failed_fetch_lets_another_try),
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_the_old_token_lasts_while_the_new_one_comes),
        cmocka_unit_test(test_a_refusal_of_an_older_generation_replays),
        cmocka_unit_test(test_a_replacement_refused_before_it_was_accepted_ends),
        cmocka_unit_test(test_acceptance_clears_the_record),
        cmocka_unit_test(test_a_late_acceptance_counts),
        cmocka_unit_test(test_a_renewed_token_gets_its_own_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
