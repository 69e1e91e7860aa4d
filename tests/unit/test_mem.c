/* The allocator: counts, peak, planned failures. Also the text of errors. */
#include "base_world.h"

#include <errno.h>
#include <pthread.h>

static void test_counts(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks(), bytes = qn_mem_current();
    char *a = qn_malloc(100), *b = qn_calloc(10, 10), *c = qn_malloc(0);
    assert_true(a && b && c);
    assert_int_equal(qn_mem_blocks(), blocks + 3);
    assert_true(qn_mem_current() >= bytes + 200);
    for (int i = 0; i < 100; i++) assert_int_equal(b[i], 0);
    a = qn_realloc(a, 5000);
    assert_non_null(a);
    assert_int_equal(qn_mem_blocks(), blocks + 3);
    assert_true(qn_mem_current() >= bytes + 5100);
    assert_null(qn_realloc(a, 0));
    assert_int_equal(qn_mem_blocks(), blocks + 2);
    qn_free(b);
    qn_free(c);
    qn_free(NULL);
    assert_int_equal(qn_mem_blocks(), blocks);
    assert_int_equal(qn_mem_current(), bytes);
}

static void test_calloc_overflow(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    volatile size_t half = SIZE_MAX / 2 + 2; /* volatile: the compiler would warn about the product */
    assert_null(qn_calloc(half, 2));
    assert_null(qn_calloc(2, half));
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void test_peak(void **state)
{
    (void)state;
    qn_mem_reset_peak();
    size_t before = qn_mem_current();
    assert_int_equal(qn_mem_peak(), before);
    char *a = qn_malloc(1 << 20);
    qn_free(a);
    assert_int_equal(qn_mem_current(), before);
    assert_true(qn_mem_peak() >= before + (1 << 20));
    char *b = qn_malloc(16);
    b = qn_realloc(b, 2 << 20);
    qn_free(b);
    assert_true(qn_mem_peak() >= before + (2 << 20));
    qn_mem_reset_peak();
    assert_int_equal(qn_mem_peak(), before);
}

static void test_strings(void **state)
{
    (void)state;
    char *a = qn_strdup("abc"), *b = qn_strndup("abc", 2), *c = qn_strndup("a\0b", 3), *d = qn_strndup(NULL, 0);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_memory_equal(c, "a\0b", 4);
    assert_string_equal(d, "");
    qn_free(a);
    qn_free(b);
    qn_free(c);
    qn_free(d);
}

static void test_fail_after(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    qn_mem_fail_after(2);
    char *a = qn_malloc(8);
    assert_non_null(a);
    assert_null(qn_malloc(8));
    assert_null(qn_calloc(1, 8)); /* and so do all after it */
    assert_null(qn_realloc(NULL, 8));
    assert_null(qn_realloc(a, 800)); /* a is as before */
    assert_null(qn_strdup("x"));
    assert_int_equal(qn_mem_blocks(), blocks + 1);
    qn_mem_fail_after(0);
    a = qn_realloc(a, 800);
    assert_non_null(a);
    qn_free(a);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void test_fail_once(void **state)
{
    (void)state;
    qn_mem_fail_once(2);
    char *a = qn_malloc(8);
    assert_true(qn_mem_fails());
    assert_null(qn_realloc(a, 800));
    assert_false(qn_mem_fails());
    a = qn_realloc(a, 800);
    assert_non_null(a);
    qn_free(a);
    qn_mem_fail_once(3);
    qn_mem_fail_once(0);
    assert_false(qn_mem_fails());
    qn_mem_fail_after(1);
    assert_null(qn_malloc(1));
    assert_true(qn_mem_fails()); /* it goes on */
    qn_mem_fail_after(0);
}

static void *churn(void *argument)
{
    for (size_t i = 0; i < 2000; i++) {
        char *p = qn_malloc(1 + i % 700);
        p = qn_realloc(p, 1 + i % 1300);
        qn_free(p);
    }
    return argument;
}

static void test_threads(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks(), bytes = qn_mem_current();
    pthread_t threads[4];
    for (size_t i = 0; i < count_of(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (size_t i = 0; i < count_of(threads); i++) pthread_join(threads[i], NULL);
    assert_int_equal(qn_mem_blocks(), blocks);
    assert_int_equal(qn_mem_current(), bytes);
}

static void test_err(void **state)
{
    (void)state;
    struct qn_err err = {0};
    assert_int_equal(qn_fail(NULL, QN_EIO, "x"), QN_EIO);
    assert_int_equal(qn_fail(&err, QN_ELIMIT, "more than %d", 7), QN_ELIMIT);
    assert_int_equal(err.code, QN_ELIMIT);
    assert_string_equal(err.text, "more than 7");
    assert_int_equal(qn_fail_at(&err, QN_ESYNTAX, 12, "here"), QN_ESYNTAX);
    assert_int_equal(err.offset, 12);
    assert_int_equal(qn_fail_errno(&err, QN_EIO, ENOENT, "cannot open '%s'", "f"), QN_EIO);
    assert_string_equal(err.text, "cannot open 'f': No such file or directory");
    assert_int_equal(err.offset, 0);

    char wide[2 * QN_ERR_TEXT_SIZE];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    qn_fail_errno(&err, QN_EIO, ENOENT, "%s", wide);
    assert_int_equal(strlen(err.text), QN_ERR_TEXT_SIZE - 1);
}

static void test_err_names(void **state)
{
    (void)state;
    assert_string_equal(qn_err_name(0), "ok");
    assert_string_equal(qn_err_name(QN_ELIMIT), "limit");
    assert_string_equal(qn_err_name(QN_EPIPE), "pipe");
    for (int code = QN_EPIPE; code <= 0; code++) assert_string_not_equal(qn_err_name(code), "unknown");
    assert_string_equal(qn_err_name(1), "unknown");
    assert_string_equal(qn_err_name(QN_EPIPE - 1), "unknown");
    assert_string_equal(qn_err_name(INT32_MIN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_calloc_overflow),
        cmocka_unit_test(test_peak),       cmocka_unit_test(test_strings),
        cmocka_unit_test(test_fail_after), cmocka_unit_test(test_fail_once),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_err),
        cmocka_unit_test(test_err_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
